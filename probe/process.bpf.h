/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who a process is (exec, fork, and for all at start), that it ends, and what it uses (once a second). */
#ifndef SLUICE_PROCESS_BPF_H
#define SLUICE_PROCESS_BPF_H

/* A path being put together: names leaf first into `scratch`, then "/a/b/c" into `area`. */
struct path_walk {
	struct process_scratch *scratch;
	char *area;
};

static __always_inline bool add_name(struct path_walk *walk, const void *name)
{
	struct process_scratch *scratch = walk->scratch;
	if (scratch->name_count >= PATH_DEPTH)
		return false;
	scratch->names[scratch->name_count & (PATH_DEPTH - 1)] = (u64)name;
	scratch->name_count++;
	return true;
}

static __always_inline bool join_name(struct path_walk *walk, u32 index)
{
	struct process_scratch *scratch = walk->scratch;
	void *name = (void *)scratch->names[(PATH_DEPTH - 1 - index) & (PATH_DEPTH - 1)];
	u32 length = scratch->length;
	long bytes;

	if (!name)
		return false;
	if (length >= PATH_BYTES - 1)
		return true;
	walk->area[length & (PATH_BYTES - 1)] = '/';
	length++;
	bytes = bpf_probe_read_kernel_str(walk->area + (length & (PATH_BYTES - 1)), 256, name);
	if (bytes <= 0)
		return true;
	scratch->length = length + bytes - 1;
	return false;
}

static long join_next(u32 index, void *context)
{
	return join_name(context, index);
}

static __always_inline u32 join_names(struct path_walk *walk)
{
	walk->scratch->length = 0;
	WALK(PATH_DEPTH, join_name, join_next, walk);
	if (walk->scratch->length == 0) {
		walk->area[0] = '/';
		walk->scratch->length = 1;
	}
	return walk->scratch->length;
}

static __always_inline void start_path(struct path_walk *walk)
{
	__builtin_memset(walk->scratch->names, 0, sizeof(walk->scratch->names));
	walk->scratch->name_count = 0;
}

static __always_inline bool climb_dentry(struct path_walk *walk, u32 index)
{
	struct mount *mount = (void *)walk->scratch->mount;
	struct dentry *dentry = (void *)walk->scratch->node, *parent;

	if (dentry == BPF_CORE_READ(mount, mnt.mnt_root)) {
		walk->scratch->node = (u64)BPF_CORE_READ(mount, mnt_mountpoint);
		walk->scratch->mount = (u64)BPF_CORE_READ(mount, mnt_parent);
		return walk->scratch->mount == (u64)mount;
	}
	parent = BPF_CORE_READ(dentry, d_parent);
	walk->scratch->node = (u64)parent;
	/* A file without a place in a tree, such as a memfd, is its own parent and has a name all the same. */
	return !add_name(walk, BPF_CORE_READ(dentry, d_name.name)) || parent == dentry;
}

static long climb_next_dentry(u32 index, void *context)
{
	return climb_dentry(context, index);
}

/* The path of the running binary as its own mount namespace sees it. */
static __always_inline u32 read_exe(struct process_scratch *scratch, struct task_struct *task)
{
	struct path_walk walk = { .scratch = scratch, .area = scratch->record.exe };
	struct file *file = BPF_CORE_READ(task, mm, exe_file);

	if (!file)
		return 0;
	scratch->node = (u64)BPF_CORE_READ(file, f_path.dentry);
	scratch->mount = (u64)BPF_CORE_READ(file, f_path.mnt) - bpf_core_field_offset(struct mount, mnt);
	start_path(&walk);
	WALK(2 * PATH_DEPTH, climb_dentry, climb_next_dentry, &walk);
	return join_names(&walk);
}

static __always_inline bool is_below_root(u64 node)
{
	return node && node_parent(node);
}

static __always_inline bool climb_node(struct path_walk *walk, u32 index)
{
	struct kernfs_node *node = (void *)walk->scratch->node;
	if (!is_below_root(walk->scratch->node))
		return true;
	walk->scratch->node = node_parent(walk->scratch->node);
	return !add_name(walk, BPF_CORE_READ(node, name));
}

static long climb_next_node(u32 index, void *context)
{
	return climb_node(context, index);
}

static __always_inline u32 read_cgroup_in(struct process_scratch *scratch, struct css_set *set, u32 hierarchy)
{
	struct path_walk walk = { .scratch = scratch, .area = scratch->record.cgroup };

	scratch->node = (u64)BPF_CORE_READ(cgroup_in(set, hierarchy), kn);
	start_path(&walk);
	WALK(PATH_DEPTH, climb_node, climb_next_node, &walk);
	return join_names(&walk);
}

/* The path in the unified hierarchy if it says anything, else in that of memory, cpu or pids. */
static __always_inline u32 read_cgroup(struct process_scratch *scratch, struct task_struct *task)
{
	struct css_set *set = BPF_CORE_READ(task, cgroups);
	u32 hierarchy = HIERARCHY_UNIFIED;

	for (u32 i = 0; i < HIERARCHIES; i++) {
		hierarchy = i;
		if (is_below_root((u64)BPF_CORE_READ(cgroup_in(set, i), kn)))
			break;
	}
	return read_cgroup_in(scratch, set, hierarchy);
}

/* Everything but the command line. `task` is a group leader. */
static __noinline int fill_process(struct process_scratch *scratch, struct task_struct *task, const struct settings *config)
{
	struct process_record *record = &scratch->record;

	record->header.length = __builtin_offsetof(struct process_record, cmdline);
	record->header.type = WIRE_PROCESS;
	record->header.flags = 0;
	record->header.ktime = bpf_ktime_get_ns();
	record->tgid = BPF_CORE_READ(task, tgid);
	record->parent_tgid = BPF_CORE_READ(task, real_parent, tgid);
	record->start_ticks = BPF_CORE_READ(task, start_boottime) / NSEC_PER_TICK;
	record->uid = BPF_CORE_READ(task, real_cred, uid.val);
	record->cmdline_length = 0;
	record->visible_tgid = visible_tgid(task, config);
	BPF_CORE_READ_INTO(&record->comm, task, comm);
	record->exe_length = read_exe(scratch, task);
	record->cgroup_length = read_cgroup(scratch, task);
	return 0;
}

static __always_inline void note_process(struct task_struct *task, u64 start_ticks)
{
	struct process_state *state = process_of(BPF_CORE_READ(task, tgid), start_ticks);
	if (state)
		state->css_set = (u64)BPF_CORE_READ(task, cgroups);
}

/* The current task's arguments lie in its own memory; `task` is the current one or has just been copied from it. */
static __always_inline void send_process(struct task_struct *task, u32 flags)
{
	u32 cpu = bpf_get_smp_processor_id();
	struct process_scratch *scratch = bpf_map_lookup_elem(&process_scratch, &cpu);
	struct settings *config = get_settings();
	u64 start, length;
	u32 bytes;

	if (!scratch || !config || !config->enabled || !is_seen(task, config))
		return;
	fill_process(scratch, task, config);
	scratch->record.header.flags = flags;
	start = BPF_CORE_READ(task, mm, arg_start);
	length = BPF_CORE_READ(task, mm, arg_end) - start;
	if (length > CMDLINE_MAX)
		length = CMDLINE_MAX;
	asm volatile("" : "+r"(length));
	if (length > CMDLINE_MAX || bpf_probe_read_user(scratch->record.cmdline, length, (void *)start))
		length = 0; /* the loader asks /proc */
	scratch->record.cmdline_length = length;
	bytes = (__builtin_offsetof(struct process_record, cmdline) + length + 7) & ~7u;
	scratch->record.header.length = bytes;
	note_process(task, scratch->record.start_ticks);
	asm volatile("" : "+r"(bytes));
	if (bytes <= sizeof(struct process_record))
		send_control(&scratch->record, bytes);
}

static __always_inline int on_exec(struct task_struct *task)
{
	struct settings *config = get_settings();
	struct sweep sweep = { .last = ~0u };

	if (!config || !config->enabled || !is_seen(task, config))
		return 0;
	/* Descriptors marked close-on-exec are gone by now. */
	sweep.ktime = bpf_ktime_get_ns();
	sweep.tgid = current_tgid();
	sweep_fds(&sweep);
	send_process(task, WIRE_PROCESS_EXEC);
	return 0;
}

static __always_inline int on_fork(struct task_struct *child)
{
	if (BPF_CORE_READ(child, pid) == BPF_CORE_READ(child, tgid))
		send_process(child, WIRE_PROCESS_FORK);
	return 0;
}

/* The thread that ends last ends the process; it need not be the leader. Files are still open here, memory is not. */
static __always_inline int on_exit(struct task_struct *task)
{
	struct signal_struct *signal = BPF_CORE_READ(task, signal);
	struct task_struct *leader = BPF_CORE_READ(task, group_leader);
	struct wire_process_exit exit = {};
	struct sweep sweep = { .last = ~0u, .all = 1 };
	struct settings *config = get_settings();

	if (!config || !config->enabled || BPF_CORE_READ(signal, live.counter) != 0 || !is_seen(task, config))
		return 0;
	exit.header.ktime = sweep.ktime = bpf_ktime_get_ns();
	exit.tgid = sweep.tgid = BPF_CORE_READ(task, tgid);
	sweep_fds(&sweep);
	/* Two threads that end at once both see that none is left; the second finds nothing to delete. */
	if (bpf_map_delete_elem(&processes, &exit.tgid) && task != leader)
		return 0;
	exit.header.length = sizeof(exit);
	exit.header.type = WIRE_PROCESS_EXIT;
	exit.start_ticks = start_ticks_of(task);
	if (BPF_CORE_READ(signal, flags) & SIGNAL_GROUP_EXIT)
		exit.exit_code = BPF_CORE_READ(signal, group_exit_code);
	else
		exit.exit_code = BPF_CORE_READ(leader, exit_code);
	BPF_CORE_READ_INTO(&exit.comm, leader, comm);
	send_control(&exit, sizeof(exit));
	return 0;
}

#endif
