/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whom we see. Several nodes may share one kernel, so a node's probe keeps to the pods below the `kubepods` cgroup that it
 * lies in itself. A cgroup lists its ancestors by level: one read and one comparison decide. The list holds pointers since
 * 6.1 and ids before; we only compare what it holds at our level with what it holds there for our own task.
 */
#ifndef SLUICE_SCOPE_BPF_H
#define SLUICE_SCOPE_BPF_H

#define NAME_BYTES 64 /* of a cgroup's name, that are looked at */
#define KUBEPODS 0x73646f706562756bULL /* "kubepods", first byte lowest */

static __always_inline struct cgroup *controller_cgroup(struct css_set *set, u32 controller)
{
	struct cgroup_subsys_state *state = 0;
	if (controller >= 16)
		return 0;
	bpf_core_read(&state, sizeof(state), &set->subsys[controller]);
	return state ? BPF_CORE_READ(state, cgroup) : 0;
}

#define CGROUP_IN_HIERARCHY_OF(set, id)                                                        \
	(bpf_core_enum_value_exists(enum cgroup_subsys_id, id) ?                               \
		 controller_cgroup(set, bpf_core_enum_value(enum cgroup_subsys_id, id)) : 0)

/* Null where this kernel or this machine has no such hierarchy. */
static __always_inline struct cgroup *cgroup_in(struct css_set *set, u32 hierarchy)
{
	switch (hierarchy) {
	case HIERARCHY_UNIFIED:
		return BPF_CORE_READ(set, dfl_cgrp);
	case HIERARCHY_MEMORY:
		return CGROUP_IN_HIERARCHY_OF(set, memory_cgrp_id);
	case HIERARCHY_CPU:
		return CGROUP_IN_HIERARCHY_OF(set, cpu_cgrp_id);
	case HIERARCHY_PIDS:
		return CGROUP_IN_HIERARCHY_OF(set, pids_cgrp_id);
	default:
		return 0;
	}
}

/* What stands for the ancestor at `level`, itself included; 0 where the cgroup is not that deep. */
static __always_inline u64 ancestor_at(struct cgroup *cgroup, s32 own_level, u32 level)
{
	struct cgroup___before_6_1 *older = (void *)cgroup;
	u64 list = (u64)cgroup, ancestor = 0;

	/* Beyond its own level there is no list any more. */
	if (own_level < 0 || level > (u32)own_level)
		return 0;
	if (bpf_core_field_exists(older->ancestor_ids))
		list += bpf_core_field_offset(struct cgroup___before_6_1, ancestor_ids);
	else
		list += bpf_core_field_offset(struct cgroup, ancestors);
	bpf_probe_read_kernel(&ancestor, sizeof(ancestor), (void *)(list + level * sizeof(ancestor)));
	return ancestor;
}

static __always_inline u64 node_parent(u64 address)
{
	struct kernfs_node *node = (void *)address;
	struct kernfs_node___before_6_15 *older = (void *)address;
	if (bpf_core_field_exists(older->parent))
		return (u64)BPF_CORE_READ(older, parent);
	return (u64)BPF_CORE_READ(node, __parent);
}

struct pods_search {
	u64 node;
	u32 found;
	u32 reserved;
	char name[NAME_BYTES];
};

/* Looks for the word anywhere in a name: a cgroup that might hold somebody's pods is taken to hold them. */
static __always_inline bool search_name(struct pods_search *search, u32 index)
{
	struct kernfs_node *node = (void *)search->node;
	u64 window = 0, same = 0;

	if (!node)
		return true;
	__builtin_memset(search->name, 0, sizeof(search->name));
	bpf_probe_read_kernel_str(search->name, sizeof(search->name), BPF_CORE_READ(node, name));
	for (u32 i = 0; i < NAME_BYTES; i++) {
		u64 difference;
		window = window >> 8 | (u64)(u8)search->name[i] << 56;
		/* Without a branch: the verifier would follow both ways each time. */
		difference = window ^ KUBEPODS;
		difference |= -difference;
		asm volatile("" : "+r"(difference));
		same |= ~difference >> 63;
	}
	search->found = same;
	search->node = node_parent(search->node);
	return search->found;
}

static long search_next(u32 index, void *context)
{
	return search_name(context, index);
}

/* Whether a cgroup lies in any kubepods. Names never change and ids never come again, so the answer is kept. */
static __noinline int is_in_pods(u64 node_address)
{
	struct kernfs_node *node = (void *)node_address;
	u64 id = BPF_CORE_READ(node, id);
	u8 *known = bpf_map_lookup_elem(&cgroups_in_pods, &id), answer;
	struct pods_search search = { .node = node_address };

	if (known)
		return *known;
	WALK(PATH_DEPTH, search_name, search_next, &search);
	/* Deeper than we can climb: not seen is the safe answer. */
	answer = search.found || search.node != 0;
	bpf_map_update_elem(&cgroups_in_pods, &id, &answer, BPF_ANY);
	return answer;
}

static __always_inline bool is_cgroup_seen(struct cgroup *cgroup, s32 level, const struct settings *config)
{
	if (config->pods && ancestor_at(cgroup, level, config->pods_level) == config->pods)
		return true;
	if (config->scope != SCOPE_PODS_AND_HOST || !config->host || ancestor_at(cgroup, level, config->host_level) != config->host)
		return false;
	return !is_in_pods((u64)BPF_CORE_READ(cgroup, kn));
}

static __noinline int is_task_in_scope(struct task_struct *task, const struct settings *config)
{
	struct cgroup *cgroup = cgroup_in(BPF_CORE_READ(task, cgroups), config->hierarchy);
	if (config->scope == SCOPE_NOTHING || !cgroup)
		return 0;
	return is_cgroup_seen(cgroup, BPF_CORE_READ(cgroup, level), config);
}

/* Any task. */
static __always_inline bool is_seen(struct task_struct *task, const struct settings *config)
{
	return config->scope == SCOPE_ALL || is_task_in_scope(task, config);
}

/* The current task; the way that every system call goes. */
static __always_inline bool is_current_seen(const struct settings *config)
{
	if (config->scope == SCOPE_ALL)
		return true;
	if (MODERN && config->scope != SCOPE_NOTHING && config->hierarchy == HIERARCHY_UNIFIED) {
		/* Plain loads, as in current_file. */
		struct cgroup *cgroup = bpf_get_current_task_btf()->cgroups->dfl_cgrp;
		if (config->pods && ancestor_at(cgroup, cgroup->level, config->pods_level) == config->pods)
			return true;
		if (config->scope == SCOPE_PODS)
			return false;
	}
	return is_task_in_scope((void *)bpf_get_current_task(), config);
}

/* The number of a process in the probe's own pid namespace, under which /proc has it; 0 where it is not in there. */
static __always_inline u32 visible_tgid(struct task_struct *task, const struct settings *config)
{
	struct pid *pid = BPF_CORE_READ(task, group_leader, thread_pid);
	u64 entry = (u64)pid + bpf_core_field_offset(struct pid, numbers);
	u64 namespace = 0;
	u32 number = 0;

	if (!pid || !config->pid_namespace || BPF_CORE_READ(pid, level) < config->pid_level)
		return 0;
	entry += config->pid_level * bpf_core_type_size(struct upid);
	bpf_probe_read_kernel(&namespace, sizeof(namespace), (void *)(entry + bpf_core_field_offset(struct upid, ns)));
	bpf_probe_read_kernel(&number, sizeof(number), (void *)(entry + bpf_core_field_offset(struct upid, nr)));
	return namespace == config->pid_namespace ? number : 0;
}

#endif
