/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The maps, and the two ways out of the kernel: a frame into a ring, a frame into an iterator's output. */
#ifndef SLUICE_MAPS_BPF_H
#define SLUICE_MAPS_BPF_H

/* Tracing programs must not allocate on every kernel that we run on, so all hashes are preallocated (the default). */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, CONNECTIONS_MAX);
	__type(key, struct conn_key);
	__type(value, struct conn);
} conns SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, CONNECTIONS_MAX);
	__type(key, struct conn_key);
	__type(value, struct verdict);
} verdicts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PROCESSES_MAX);
	__type(key, u32);
	__type(value, struct process_state);
} processes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, LISTENERS_MAX);
	__type(key, struct listener_key);
	__type(value, u8);
} listeners SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, TGIDS_MAX);
	__type(key, u32);
	__type(value, u8);
} ignored_tgids SEC(".maps"), allowed_tgids SEC(".maps");

/* By cgroup id: 1 for those that lie in anybody's kubepods. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, CGROUPS_MAX);
	__type(key, u64);
	__type(value, u8);
} cgroups_in_pods SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct settings);
} settings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct drop_counters);
} drops SEC(".maps");

/*
 * Where a data frame is put together. A plain array with one element per CPU, not a per-CPU one: those end at 32 KiB.
 * The payload has twice the room because the verifier checks offset and length apart: offset < 16 KiB, length <= 16 KiB.
 */
struct scratch {
	struct wire_conn_data frame;
	u8 payload[2 * WIRE_CAPTURE_MAX + 8];
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* set to the number of CPUs before loading */
	__type(key, u32);
	__type(value, struct scratch);
} data_scratch SEC(".maps");

/*
 * Process facts need room too, and so many pointers to path components. The state of a path being put together is here and
 * not in registers or on the stack, where the verifier would follow each of its values separately.
 */
#if MODERN
#define PATH_DEPTH 32
#else
#define PATH_DEPTH 16 /* each step is verified again */
#endif
struct process_scratch {
	struct process_record record;
	u64 names[PATH_DEPTH]; /* leaf first */
	u64 node;	       /* where the climb to the root is: a dentry or a kernfs_node */
	u64 mount;
	u32 name_count;
	u32 length;
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2); /* set to the number of CPUs + 1 before loading */
	__type(key, u32);
	__type(value, struct process_scratch);
} process_scratch SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, DATA_RING_BYTES);
} data_ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, CONTROL_RING_BYTES);
} control_ring SEC(".maps");

/* bpf_loop where there is one: the verifier then looks at one step and not at all of them in a row. */
#define WALK(steps, step, callback, walk)                       \
	do {                                                    \
		if (MODERN) {                                   \
			bpf_loop(steps, callback, walk, 0);     \
		} else {                                        \
			for (u32 i_ = 0; i_ < (steps); i_++)    \
				if (step(walk, i_))             \
					break;                  \
		}                                               \
	} while (0)

static __always_inline struct settings *get_settings(void)
{
	u32 zero = 0;
	return bpf_map_lookup_elem(&settings, &zero);
}

#define COUNT_DROP(field)                                                          \
	do {                                                                       \
		u32 zero_ = 0;                                                     \
		struct drop_counters *drops_ = bpf_map_lookup_elem(&drops, &zero_); \
		if (drops_)                                                        \
			drops_->field++;                                           \
	} while (0)

/* The reader comes by on a timer; waking it for each record would cost more than everything else here together. */
static __always_inline bool send_control(void *frame, u32 bytes)
{
	if (bpf_ringbuf_output(&control_ring, frame, bytes, BPF_RB_NO_WAKEUP) == 0)
		return true;
	COUNT_DROP(control_ring_full);
	return false;
}

static __always_inline u32 current_tgid(void)
{
	return bpf_get_current_pid_tgid() >> 32;
}

#endif
