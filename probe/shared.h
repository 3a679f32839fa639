/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the kernel side and the loader share and nobody else sees: map contents, and the one ring record that is not a
 * wire frame yet. Everything else in the rings is a frame of wire.h, ready to be sent.
 */
#ifndef SLUICE_SHARED_H
#define SLUICE_SHARED_H

#include "wire.h"

#define CONNECTIONS_MAX 131072
#define PROCESSES_MAX 32768
#define LISTENERS_MAX 16384
#define TGIDS_MAX 4096
#define CGROUPS_MAX 16384
#define DATA_RING_BYTES (16 << 20)
#define CONTROL_RING_BYTES (1 << 20)

/* Map `settings`: one element, mapped into the loader's memory; it changes while the programs run. */
struct settings {
	wire_u32 enabled; /* 0: no agent is listening, see nothing */
	wire_u32 own_tgid;
	wire_u32 capture_max;
	wire_u32 allow_list; /* 1: only the processes in `allowed_tgids` */
	wire_u32 verdict_generation; /* goes up when `verdicts` has changed */
	wire_u32 listeners_pass; /* socket snapshot, first pass: collect listening sockets only */
	wire_u32 iterator_slot; /* index in `process_scratch` that only iterators use */
	wire_u32 page_size;
	wire_u64 round_ktime; /* the time that samples carry */
	wire_u32 scope;	      /* enum scope */
	wire_u32 hierarchy;   /* enum hierarchy: whose cgroups are compared */
	wire_u32 pods_level;  /* 0: the hierarchy's root */
	wire_u32 host_level;
	/* What the kernel's list of a cgroup's ancestors holds at that level for our own task; 0: nothing is. */
	wire_u64 pods;
	wire_u64 host;
	wire_u64 pid_namespace; /* our own, and how deep it is nested */
	wire_u32 pid_level;
	wire_u32 reserved;
};

enum scope {
	SCOPE_ALL = 0,
	SCOPE_PODS = 1,		 /* what lies below `pods` */
	SCOPE_PODS_AND_HOST = 2, /* and what lies below `host`, but in nobody's pods */
	SCOPE_NOTHING = 3,	 /* one of these was asked for and cannot be had */
};
enum hierarchy { HIERARCHY_UNIFIED = 0, HIERARCHY_MEMORY = 1, HIERARCHY_CPU = 2, HIERARCHY_PIDS = 3, HIERARCHIES = 4 };

struct conn_key {
	wire_u32 tgid;
	wire_u32 fd;
};

enum conn_verdict { VERDICT_NONE = 0, VERDICT_FOLLOW = 1, VERDICT_MUTE = 2 };

/* Map `conns`. Sent and received are separate words that only atomic adds change: two threads may use one socket. */
struct conn {
	wire_u64 file; /* struct file *: another one in the same fd is another connection */
	wire_u64 tsid;
	wire_u64 start_ticks;
	wire_u64 sent;
	wire_u64 received;
	wire_u64 reported_sent; /* what the last CONN_COUNTS said */
	wire_u64 reported_received;
	wire_u32 generation; /* of the verdicts when they were last looked at */
	wire_u32 capture_max;
	wire_u16 messages; /* sent while undecided */
	wire_u8 verdict;
	wire_u8 protocol;
	wire_u8 role;
	wire_u8 origin;
	wire_u8 announced; /* 0: the control ring was full, say OPEN again */
	wire_u8 reserved1;
	wire_u32 undecided_bytes; /* of frames, while undecided */
	wire_u32 reserved2;
};

/* Map `verdicts`: what the agent has said. Valid for the connection with this tsid only. */
struct verdict {
	wire_u64 tsid;
	wire_u32 verdict;
	wire_u32 capture_max;
};

/* Map `processes`. */
struct process_state {
	wire_u64 start_ticks;
	wire_u64 css_set; /* where its cgroups were when its facts were last sent */
	wire_u64 utime;   /* last reported, so that the scaled times never fall */
	wire_u64 stime;
	wire_u64 round; /* the time of its last sample */
	wire_u32 connections;
	wire_u32 reserved;
};

/* Map `listeners`. */
struct listener_key {
	wire_u32 netns;
	wire_u16 port;
	wire_u16 protocol;
};

/* Map `drops`, per CPU. */
struct drop_counters {
	wire_u64 data_ring_full;
	wire_u64 control_ring_full;
	wire_u64 connections_full;
	wire_u64 payload_faults;
	wire_u64 compat_calls;
};

/* A path is put together in blocks of at most NAME_MAX + 1 bytes, so the area is that much longer than the longest path. */
#define PATH_BYTES 1024
#define PATH_AREA (PATH_BYTES + 256)
#define CMDLINE_MAX 4096

/* header.type WIRE_PROCESS in the control ring and from the snapshot; the loader packs it into a wire_process. */
struct process_record {
	struct wire_header header;
	wire_u32 tgid;
	wire_u32 parent_tgid;
	wire_u64 start_ticks;
	wire_u32 uid;
	wire_u32 exe_length;
	wire_u32 cgroup_length;
	wire_u32 cmdline_length;
	wire_u32 visible_tgid; /* in the probe's own pid namespace; 0: not there */
	wire_u32 reserved;
	char comm[16];
	char exe[PATH_AREA];
	char cgroup[PATH_AREA];
	char cmdline[CMDLINE_MAX];
};

/* Type of a self_record; never leaves the probe. */
#define SELF_RECORD 0x8000

/* Our own task as the kernel sees it. */
struct self_head {
	struct wire_header header;
	wire_u32 tgid; /* in the root pid namespace */
	wire_s32 level; /* in the hierarchy that the settings name; -1: there is none */
	wire_u32 path_length;
	wire_u32 reserved;
};
struct self_record {
	struct self_head head;
	char path[PATH_AREA];
};

#endif
