/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The wire between the probe and the agent, and the body of a recording: a sequence of frames on a stream socket.
 *
 * Every frame starts with `struct wire_header`; `length` counts the whole frame, is a multiple of 8 and at most
 * WIRE_FRAME_MAX. All integers are little-endian, all structs are free of hidden padding, so that the far side can read
 * by offset. Unknown frame types are skipped by their length. Times are bpf_ktime_get_ns() (CLOCK_MONOTONIC).
 *
 * Probe to agent: HELLO first, then FEATUREs and a CLOCK, then PROCESS for all that lives, CONN_OPEN for all open
 * sockets, SNAPSHOT_END; from there on events, with DRAINED after each round of reading them: every frame of an event
 * with an earlier ktime than `drained.header.ktime` has been sent (or counted in DROPS).
 * Agent to probe: FOLLOW, MUTE, IGNORE_TGID. The probe says IGNORE_TGID too, in the snapshot, of the agent's own process,
 * which knows its number in its own pid namespace only.
 *
 * Order: opens, closes and process events travel in another ring than data, so that a flood of data loses none of them.
 * Each round merges both rings and sends their events in the order of ktime; at equal ktime, OPEN comes before data. So
 * an OPEN precedes its data, a CLOSE follows them and precedes the next OPEN of the same descriptor. Two exceptions:
 * where an OPEN was dropped (control_ring_full) data comes without one, and the connection's next call tries it again;
 * and an event whose CPU was taken away for more than a millisecond between looking at the clock and writing comes late.
 * Frames that are read in rounds (snapshot, samples, CONN_COUNTS, CLOCK) carry the time of their reading and are not part
 * of that order. A connection that the snapshot tells may have been told by its first event already: same id, same thing.
 */
#ifndef SLUICE_WIRE_H
#define SLUICE_WIRE_H

#ifndef __bpf__
#include <stdint.h>
typedef uint8_t wire_u8;
typedef uint16_t wire_u16;
typedef uint32_t wire_u32;
typedef uint64_t wire_u64;
typedef int32_t wire_s32;
#else
typedef unsigned char wire_u8;
typedef unsigned short wire_u16;
typedef unsigned int wire_u32;
typedef unsigned long long wire_u64;
typedef int wire_s32;
#endif

#define WIRE_MAGIC 0x43554c53u /* "SLUC" */
#define WIRE_VERSION 1
#define WIRE_FRAME_MAX 65536
/*
 * Before the agent has said FOLLOW or MUTE this many messages of a connection are sent, and more until this many bytes
 * of frames have left: a fast connection makes hundreds of exchanges while the answer is on its way.
 */
#define WIRE_UNDECIDED_MESSAGES 8
#define WIRE_UNDECIDED_BYTES (256 << 10)
/* Bytes of one message that are captured at most; the rest is told by size. */
#define WIRE_CAPTURE_MAX 16384

enum wire_type {
	WIRE_HELLO = 1,
	WIRE_FEATURE = 2,
	WIRE_CLOCK = 3,
	WIRE_PROCESS = 4,
	WIRE_PROCESS_EXIT = 5,
	WIRE_PROCESS_SAMPLE = 6,
	WIRE_SAMPLE_END = 7,
	WIRE_CONN_OPEN = 8,
	WIRE_CONN_DATA = 9,
	WIRE_CONN_CLOSE = 10,
	WIRE_CONN_COUNTS = 11,
	WIRE_DROPS = 12,
	WIRE_DRAINED = 13,
	WIRE_SNAPSHOT_END = 14,
	/* made by the agent's side, never by the probe: the source was cut or the probe died between these two times */
	WIRE_BLIND = 15,
	/* made by the agent's side too, after HELLO: addresses that are this host's own, so that a replay knows them */
	WIRE_LOCAL_NETWORK = 16,

	WIRE_FOLLOW = 64,
	WIRE_MUTE = 65,
	WIRE_IGNORE_TGID = 66,
};

struct wire_header {
	wire_u32 length;
	wire_u16 type;
	wire_u16 flags;
	wire_u64 ktime;
};

/* First frame. A reader that does not know `version` says so and stops. */
struct wire_hello {
	struct wire_header header;
	wire_u32 magic;
	wire_u16 version;
	wire_u16 cpus;
	wire_u32 page_size;
	wire_u32 clock_ticks; /* USER_HZ */
	wire_u64 features;    /* bit i: feature i of enum wire_feature_id is attached */
	wire_u64 start_ktime; /* when the programs began to work for this agent; nothing earlier was seen */
	wire_u32 probe_tgid;
	wire_u32 capture_max;
	/* NUL-terminated: kernel release, host name */
	char release[64];
	char hostname[64];
};

enum wire_feature_id {
	WIRE_F_SYS_EXIT = 0,       /* read/write families, accept, connect, close */
	WIRE_F_BPF_LOOP = 1,       /* vectored calls of more than 8 segments */
	WIRE_F_SOCKET_SNAPSHOT = 2,/* sockets that were open before we came */
	WIRE_F_PROCESS_EVENTS = 3, /* exec and exit */
	WIRE_F_PROCESS_SAMPLE = 4, /* per-second task iterator */
	WIRE_F_SENDFILE = 5,
	/*
	 * Only pods of this node are seen (--cgroup). error 0: so it is, and the reason says which; EOPNOTSUPP: not asked for,
	 * everything on this kernel is seen; else it was asked for and cannot be had: nothing is seen.
	 */
	WIRE_F_CGROUP_FILTER = 6,
};

/* A feature's state; `error` 0: attached. Text after the struct: name NUL reason NUL. */
struct wire_feature {
	struct wire_header header;
	wire_u32 id;
	wire_s32 error; /* errno, positive; 0 where it works */
};

/* ktime in the header, the other clocks read next to it. At start and every second. */
struct wire_clock {
	struct wire_header header;
	wire_u64 realtime;
	wire_u64 boottime;
};

/*
 * Facts on a process; a later frame for the same (tgid, start_ticks) replaces an earlier one.
 * Texts follow: comm NUL exe NUL cgroup NUL cmdline (arguments separated by NUL); their lengths do not count the NUL
 * after each. `exe` is the path in the process's own mount namespace, `cgroup` that of the unified hierarchy unless it
 * is "/", else of memory, cpu or pids.
 * header.flags: WIRE_PROCESS_EXEC when seen at exec, else from the snapshot.
 */
#define WIRE_PROCESS_EXEC 1
#define WIRE_PROCESS_FORK 2 /* when seen at fork: a copy of its parent still */
struct wire_process {
	struct wire_header header;
	wire_u32 tgid;
	wire_u32 parent_tgid;
	wire_u64 start_ticks;
	wire_u32 uid;
	wire_u16 comm_length;
	wire_u16 exe_length;
	wire_u16 cgroup_length;
	wire_u16 cmdline_length;
	wire_u32 reserved;
};

struct wire_process_exit {
	struct wire_header header;
	wire_u32 tgid;
	wire_u32 exit_code; /* as wait(2) gives it: status << 8 | signal */
	wire_u64 start_ticks;
	char comm[16];
};

/* Raw cumulative kernel counters. CPU times in ns, sizes in bytes. header.flags bit 0: io counters are valid. */
struct wire_process_sample {
	struct wire_header header;
	wire_u32 tgid;
	wire_u32 threads;
	wire_u64 start_ticks;
	wire_u64 major_faults;
	wire_u64 minor_faults;
	wire_u64 utime;
	wire_u64 ktime;
	wire_u64 vsize;
	wire_u64 rss;
	wire_u64 rchar;
	wire_u64 wchar;
	wire_u64 read_bytes;
	wire_u64 write_bytes;
};

/* All PROCESS_SAMPLEs of the round at header.ktime have been sent. */
struct wire_sample_end {
	struct wire_header header;
};

/* A connection is one open socket description in one process, from open to close: (tgid, fd, tsid). */
struct wire_conn_id {
	wire_u32 tgid;
	wire_u32 fd;
	wire_u64 tsid; /* ktime at which it was first seen */
	wire_u64 start_ticks;
};

enum wire_role { WIRE_ROLE_UNKNOWN = 4, WIRE_ROLE_CLIENT = 1, WIRE_ROLE_SERVER = 2 };
enum wire_origin { WIRE_ORIGIN_ACCEPT = 1, WIRE_ORIGIN_CONNECT = 2, WIRE_ORIGIN_DATA = 3, WIRE_ORIGIN_SNAPSHOT = 4 };

/* Addresses: 16 bytes, IPv4 in the first 4. Ports in host order. A later OPEN for the same id completes an earlier one. */
struct wire_conn_open {
	struct wire_header header;
	struct wire_conn_id id;
	wire_u16 family; /* AF_INET 2, AF_INET6 10 */
	wire_u8 role;
	wire_u8 origin;
	wire_u16 local_port;
	wire_u16 remote_port;
	wire_u8 local_address[16];
	wire_u8 remote_address[16];
	wire_u32 netns;
	wire_u8 protocol; /* IPPROTO_TCP 6, IPPROTO_UDP 17 */
	wire_u8 reserved[3];
};

/*
 * One message (one successful read or write) in one direction. `captured` bytes of payload follow the struct; the stream
 * goes on at position + size. header.flags say direction and kind. Positions count from 0 at open, or from where we came.
 */
#define WIRE_DATA_SENT 1      /* the process wrote it; else it read it */
#define WIRE_DATA_SIZE_ONLY 2 /* sendfile, splice: size without payload */
#define WIRE_DATA_LOST 4      /* payload could not be read (fault): size only */
struct wire_conn_data {
	struct wire_header header;
	struct wire_conn_id id;
	wire_u64 position;
	wire_u32 size;
	wire_u32 captured;
};

/* Final stream positions, also of what was muted or dropped. */
struct wire_conn_close {
	struct wire_header header;
	struct wire_conn_id id;
	wire_u64 sent;
	wire_u64 received;
};

/* Each second for each connection whose counters changed since the last round: same layout as close. */
struct wire_conn_counts {
	struct wire_header header;
	struct wire_conn_id id;
	wire_u64 sent;
	wire_u64 received;
};

/* Cumulative since `hello.start_ktime`, summed over CPUs; sent whenever one has changed, before the next DRAINED. */
struct wire_drops {
	struct wire_header header;
	wire_u64 data_ring_full;    /* payload events; each hides at most one exchange */
	wire_u64 control_ring_full; /* opens, closes, process events */
	wire_u64 connections_full;  /* opens and messages of connections that did not fit the map: not seen at all */
	wire_u64 payload_faults;    /* payload unreadable: sent as WIRE_DATA_LOST */
	wire_u64 recursion_misses;  /* the kernel skipped our program */
	wire_u64 compat_calls;      /* 32-bit system calls, not followed */
};

/* See above; also the tick of the agent's timers. */
struct wire_drained {
	struct wire_header header;
};

struct wire_snapshot_end {
	struct wire_header header;
};

struct wire_blind {
	struct wire_header header; /* ktime: the start */
	wire_u64 end_ktime;
};

/* 16 bytes of address, IPv4 in the first 4; prefix_bits counts from the family's first bit. */
struct wire_local_network {
	struct wire_header header;
	wire_u16 family; /* AF_INET 2, AF_INET6 10 */
	wire_u16 prefix_bits;
	wire_u32 reserved;
	wire_u8 address[16];
};

/* Send payload of this connection, at most `capture_max` bytes a message. */
struct wire_follow {
	struct wire_header header;
	struct wire_conn_id id;
	wire_u32 capture_max;
	wire_u32 reserved;
};

/* Send no more payload of this connection; its counters go on. */
struct wire_mute {
	struct wire_header header;
	struct wire_conn_id id;
};

struct wire_ignore_tgid {
	struct wire_header header;
	wire_u32 tgid;
	wire_u32 reserved;
};

#endif
