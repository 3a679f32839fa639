/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who a process is (exec, fork, and for all at start), that it ends, and what it uses (once a second). */
#ifndef SLUICE_PROCESS_BPF_H
#define SLUICE_PROCESS_BPF_H

static __always_inline void start_path(struct process_scratch *scratch)
{
	__builtin_memset(scratch->names, 0, sizeof(scratch->names));
	scratch->name_count = 0;
	scratch->length = 0;
}

static __always_inline void add_name(struct process_scratch *scratch, const void *name)
{
	scratch->names[scratch->name_count & (PATH_DEPTH - 1)] = (u64)name;
	scratch->name_count++;
}

/* Writes "/a/b/c" from the names gathered leaf first; returns the length. */
static __always_inline u32 join_names(struct process_scratch *scratch, char *area)
{
	for (int i = PATH_DEPTH - 1; i >= 0; i--) {
		void *name = (void *)scratch->names[i];
		u32 length = scratch->length;
		long bytes;
		if (!name)
			continue;
		if (length >= PATH_BYTES - 1)
			break;
		area[length & (PATH_BYTES - 1)] = '/';
		length++;
		bytes = bpf_probe_read_kernel_str(area + (length & (PATH_BYTES - 1)), 256, name);
		if (bytes <= 0)
			break;
		scratch->length = length + bytes - 1;
	}
	if (scratch->length == 0) {
		area[0] = '/';
		scratch->length = 1;
	}
	return scratch->length;
}

/* The path of the running binary as its own mount namespace sees it. */
static __always_inline u32 read_exe(struct process_scratch *scratch, struct task_struct *task)
{
	struct file *file = BPF_CORE_READ(task, mm, exe_file);
	struct vfsmount *vfsmount = BPF_CORE_READ(file, f_path.mnt);
	struct dentry *dentry = BPF_CORE_READ(file, f_path.dentry);
	struct mount *mount = (void *)vfsmount - bpf_core_field_offset(struct mount, mnt);

	if (!file)
		return 0;
	start_path(scratch);
	for (u32 i = 0; i < 2 * PATH_DEPTH; i++) {
		struct dentry *parent;
		if (dentry == BPF_CORE_READ(mount, mnt.mnt_root)) {
			struct mount *above = BPF_CORE_READ(mount, mnt_parent);
			if (above == mount)
				break;
			dentry = BPF_CORE_READ(mount, mnt_mountpoint);
			mount = above;
			continue;
		}
		if (scratch->name_count >= PATH_DEPTH)
			break;
		add_name(scratch, BPF_CORE_READ(dentry, d_name.name));
		parent = BPF_CORE_READ(dentry, d_parent);
		if (parent == dentry)
			break; /* a file without a place, such as a memfd */
		dentry = parent;
	}
	return join_names(scratch, scratch->record.exe);
}

static __always_inline struct kernfs_node *node_parent(struct kernfs_node *node)
{
	struct kernfs_node___before_6_15 *older = (void *)node;
	if (bpf_core_field_exists(older->parent))
		return BPF_CORE_READ(older, parent);
	return BPF_CORE_READ(node, __parent);
}

static __always_inline struct kernfs_node *controller_node(struct css_set *set, u32 controller)
{
	struct cgroup_subsys_state *state = 0;
	if (controller >= 16)
		return 0;
	bpf_core_read(&state, sizeof(state), &set->subsys[controller]);
	return state ? BPF_CORE_READ(state, cgroup, kn) : 0;
}

static __always_inline bool is_below_root(struct kernfs_node *node)
{
	return node && node_parent(node);
}

/* The path in the unified hierarchy if it says anything, else in that of memory, cpu or pids. */
static __always_inline u32 read_cgroup(struct process_scratch *scratch, struct task_struct *task)
{
	struct css_set *set = BPF_CORE_READ(task, cgroups);
	struct kernfs_node *node = BPF_CORE_READ(set, dfl_cgrp, kn);

	start_path(scratch);
	if (!is_below_root(node) && bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id))
		node = controller_node(set, bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id));
	if (!is_below_root(node) && bpf_core_enum_value_exists(enum cgroup_subsys_id, cpu_cgrp_id))
		node = controller_node(set, bpf_core_enum_value(enum cgroup_subsys_id, cpu_cgrp_id));
	if (!is_below_root(node) && bpf_core_enum_value_exists(enum cgroup_subsys_id, pids_cgrp_id))
		node = controller_node(set, bpf_core_enum_value(enum cgroup_subsys_id, pids_cgrp_id));
	for (u32 i = 0; i < PATH_DEPTH; i++) {
		struct kernfs_node *parent;
		if (!node)
			break;
		parent = node_parent(node);
		if (!parent)
			break;
		add_name(scratch, BPF_CORE_READ(node, name));
		node = parent;
	}
	return join_names(scratch, scratch->record.cgroup);
}

/* Everything but the command line. `task` is a group leader. */
static __noinline int fill_process(struct process_scratch *scratch, struct task_struct *task)
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

	if (!scratch || !config || !config->enabled)
		return;
	fill_process(scratch, task);
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

	if (!config || !config->enabled)
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

	if (!config || !config->enabled || BPF_CORE_READ(signal, live.counter) != 0)
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
