/* SPDX-License-Identifier: Apache-2.0 */
/* The user side of the probe: what each file offers to the others. */
#ifndef SLUICE_PROBE_H
#define SLUICE_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "shared.h"

#define SLUICE_VERSION "0.1.0"
#define FEATURES 7

/* Exit status: 0 done, 1 failed, 2 wrong usage, 3 rights are missing, 4 this kernel cannot do it. */
enum { EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_RIGHTS = 3, EXIT_KERNEL = 4 };

/* clock.c */
uint64_t ktime_now(void);
/* The three clocks read as closely together as a few tries allow. */
void read_clocks(uint64_t *ktime, uint64_t *realtime, uint64_t *boottime);

/* output.c: frames on their way to the agent. */
struct output {
	int fd;
	bool broken; /* the agent has gone; everything written from now on is thrown away */
	/* Called when the agent does not take more: returns false to give up. Null: give up at once. */
	bool (*wait)(void *context);
	void *wait_context;
	size_t used;
	uint8_t buffer[WIRE_FRAME_MAX];
};
/* Room for one frame of `bytes` (a multiple of 8), zeroed. Never null; sends what is waiting if there is no room. */
void *output_reserve(struct output *output, size_t bytes);
void output_copy(struct output *output, const void *frame, size_t bytes);
void output_flush(struct output *output);

/* frames.c: the frames that are made here and not in the kernel. */
struct feature {
	int error;
	char reason[160];
};
void put_empty(struct output *output, uint16_t type, uint64_t ktime);
void put_hello(struct output *output, const struct feature *features, uint64_t start_ktime, uint32_t cpus,
	       uint32_t capture_max, uint32_t own_tgid);
void put_feature(struct output *output, uint32_t id, const struct feature *feature, uint64_t ktime);
void put_clock(struct output *output);
void put_ignore(struct output *output, uint32_t tgid, uint64_t ktime);
/* Packs a record; where it has no command line, `cmdline` stands in. */
void put_process(struct output *output, const struct process_record *record, const char *cmdline, size_t cmdline_length);
const char *feature_name(uint32_t id);

/* ring.c: a BPF ring buffer, read in place. */
struct ring_entry {
	uint64_t ktime;
	uint64_t ktime_min; /* of this one and all after it */
	uint64_t end;	    /* consumer position behind it */
	const struct wire_header *frame;
	uint32_t bytes;
	uint32_t order;
};
struct ring {
	uint64_t *consumer;
	uint64_t *producer;
	const uint8_t *data;
	uint64_t mask;
	struct ring_entry *entries;
	size_t count;
	bool stalled; /* the next record is still being written */
	bool more;    /* there are more records than entries */
};
int ring_open(struct ring *ring, int map_fd, size_t bytes);
void ring_discard(struct ring *ring);
uint64_t ring_used(const struct ring *ring);
/* Finds the records that are there now, without taking them. */
void ring_index(struct ring *ring);

/*
 * merge.c: everything in both rings up to `until`, in the order of its time. Returns the time before which nothing is
 * left in the rings, at most `until`, at least `drained`, the result of the last call.
 */
typedef void (*record_sink)(void *context, const struct wire_header *frame, uint32_t bytes);
uint64_t merge_rings(struct ring *first, struct ring *second, uint64_t until, uint64_t drained, record_sink sink,
		     void *context);

/* kernel.c: the programs and maps, once loaded. */
struct kernel {
	struct settings *settings;
	struct ring data;
	struct ring control;
	struct feature features[FEATURES];
	uint32_t cpus;
	bool modern;
	int conns, verdicts, processes, listeners, drops, ignored_tgids, allowed_tgids;
	int links[8]; /* of the iterators, by enum iterator; -1 where there is none */
	int programs[16];
	size_t program_count;
};
enum iterator { LIST_PROCESSES, SAMPLE_PROCESSES, LIST_SOCKETS, LIST_COUNTS, READ_SELF };
/* Loads and attaches. Returns 0 or an exit status, with one line in `message` that says what is wrong and what helps. */
int kernel_load(struct kernel *kernel, char *message, size_t message_bytes);
/* What was dropped since the programs were loaded; all but the header. */
void kernel_drops(const struct kernel *kernel, struct wire_drops *drops);
/* Runs an iterator; returns 0 or a positive errno. Frames are at most 8 KiB. */
int kernel_iterate(const struct kernel *kernel, enum iterator which, record_sink sink, void *context);
/* Forgets all connections and processes, so that a new agent starts from nothing. */
void kernel_clear(const struct kernel *kernel);
/* Forgets the processes that are gone (or out of sight) although no exit was seen, and their connections. */
void kernel_forget_dead(const struct kernel *kernel, uint64_t ktime);
void kernel_ignore(const struct kernel *kernel, uint32_t tgid);
/* The agent's word on a connection; false if that connection is gone. Counts only after `kernel_publish_verdicts`. */
bool kernel_set_verdict(const struct kernel *kernel, const struct wire_conn_id *id, struct verdict verdict);
void kernel_publish_verdicts(const struct kernel *kernel);

/*
 * scope.c: whom the programs see. `wish` is the value of --cgroup. Where it was asked for a filter and there can be none, the
 * programs see nothing; the feature says why. Returns whether the filter is as it was asked for.
 */
bool scope_apply(struct kernel *kernel, const char *wish, bool host_processes);
/* Level of the innermost kubepods cgroup that a path names, 1 for its first component; 0: none. */
uint32_t pods_level(const char *path);
/* Level of the innermost container (a component that ends in 64 hex digits, but for .scope) above `level`; 0: none. */
uint32_t container_level(const char *path, uint32_t level);

/* rights.c */
bool rights_have(int capability);
/*
 * Gives up everything that `kernel` does not need any more; says on stderr what had to stay. Root becomes the user `owner`,
 * or nobody where that is 0 or less. Returns false on failure.
 */
bool rights_drop(const struct kernel *kernel, long owner);

/* control.c: frames from the agent, which may come in pieces. */
struct control {
	const struct kernel *kernel;
	size_t used;
	uint8_t buffer[4096];
};
/* Reads what there is. False: the agent has gone or talks nonsense. */
bool control_read(struct control *control, int fd);
/* Takes the whole frames from the buffer. False: nonsense. */
bool control_take(struct control *control);

/* proc.c */
/* The arguments of a process, separated by NUL; the number of bytes, 0 where there are none or it is gone. */
size_t read_cmdline(uint32_t tgid, char *buffer, size_t bytes);

/*
 * session.c: one agent, from HELLO to its end. `in` may be -1. `agent_tgid` in our own pid namespace is not observed; 0: not
 * known.
 */
struct session_end {
	bool stopped; /* by a signal, not by the agent */
};
void session_run(struct kernel *kernel, int in, int out, uint32_t agent_tgid, const volatile int *stop);

/* options.c */
struct options {
	const char *socket_path;
	long socket_uid; /* -1: leave the owner */
	long socket_gid; /* -1: only the owner may connect */
	const char *cgroup;
	bool host_processes;
	bool once, die_with_parent, use_stdout, check, version, help;
	uint32_t capture_max;
	uint32_t pids[64];
	size_t pid_count;
};
/* False: `message` says what is wrong. */
bool options_parse(struct options *options, int count, char **arguments, char *message, size_t message_bytes);
extern const char OPTIONS_HELP[];

#endif
