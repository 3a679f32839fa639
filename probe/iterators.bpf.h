/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is read in rounds instead of told by events: the processes and sockets that were there before us, the resources
 * that processes use, the connections' counters. Output goes to the file from which the loader reads the iterator.
 */
#ifndef SLUICE_ITERATORS_BPF_H
#define SLUICE_ITERATORS_BPF_H

/* The iterators run one at a time, so one place is enough; it is not that of the tracepoints on the same CPU. */
static __always_inline struct process_scratch *iterator_scratch(void)
{
	struct settings *config = get_settings();
	u32 slot;
	if (!config)
		return 0;
	slot = config->iterator_slot;
	return bpf_map_lookup_elem(&process_scratch, &slot);
}

static __always_inline void write_process(struct seq_file *seq, struct task_struct *task)
{
	struct process_scratch *scratch = iterator_scratch();
	struct settings *config = get_settings();
	if (!scratch || !config)
		return;
	fill_process(scratch, task, config);
	note_process(task, scratch->record.start_ticks);
	bpf_seq_write(seq, &scratch->record, __builtin_offsetof(struct process_record, cmdline));
}

/* The task that reads the iterator: ours. Also notes what the filter is to compare with, at the levels asked for. */
static __always_inline void write_self(struct seq_file *seq, struct task_struct *task)
{
	struct process_scratch *scratch = iterator_scratch();
	struct settings *config = get_settings();
	struct self_head self = {};
	struct css_set *set;
	struct cgroup *cgroup;
	struct pid *pid;
	u64 namespace = 0;

	if (!scratch || !config || BPF_CORE_READ(task, pid) != (int)bpf_get_current_pid_tgid())
		return;
	pid = BPF_CORE_READ(task, thread_pid);
	config->pid_level = BPF_CORE_READ(pid, level);
	bpf_probe_read_kernel(&namespace, sizeof(namespace),
			      (void *)((u64)pid + bpf_core_field_offset(struct pid, numbers) +
				       config->pid_level * bpf_core_type_size(struct upid) +
				       bpf_core_field_offset(struct upid, ns)));
	config->pid_namespace = namespace;
	set = BPF_CORE_READ(task, cgroups);
	cgroup = cgroup_in(set, config->hierarchy);
	self.level = cgroup ? BPF_CORE_READ(cgroup, level) : -1;
	config->pods = ancestor_at(cgroup, self.level, config->pods_level);
	config->host = ancestor_at(cgroup, self.level, config->host_level);
	self.header.length = sizeof(struct self_record);
	self.header.type = SELF_RECORD;
	self.tgid = BPF_CORE_READ(task, tgid);
	self.path_length = read_cgroup_in(scratch, set, config->hierarchy);
	bpf_seq_write(seq, &self, sizeof(self));
	bpf_seq_write(seq, scratch->record.cgroup, sizeof(scratch->record.cgroup));
}

/* Sums over the threads of a process; those that have ended are in `signal`. */
struct usage {
	u64 utime;
	u64 stime;
	u64 runtime;
	u64 minor_faults;
	u64 major_faults;
	u64 rchar;
	u64 wchar;
	u64 read_bytes;
	u64 write_bytes;
};

struct thread_walk {
	struct usage usage;
	u64 next;
	u64 end;
};

static __always_inline bool add_thread(struct thread_walk *walk)
{
	struct task_struct *thread;
	struct list_head *node = (void *)walk->next;

	if (walk->next == walk->end || !node)
		return true;
	thread = (void *)node - bpf_core_field_offset(struct task_struct, thread_node);
	walk->usage.utime += BPF_CORE_READ(thread, utime);
	walk->usage.stime += BPF_CORE_READ(thread, stime);
	walk->usage.runtime += BPF_CORE_READ(thread, se.sum_exec_runtime);
	walk->usage.minor_faults += BPF_CORE_READ(thread, min_flt);
	walk->usage.major_faults += BPF_CORE_READ(thread, maj_flt);
	if (bpf_core_field_exists(thread->ioac.read_bytes)) {
		walk->usage.rchar += BPF_CORE_READ(thread, ioac.rchar);
		walk->usage.wchar += BPF_CORE_READ(thread, ioac.wchar);
		walk->usage.read_bytes += BPF_CORE_READ(thread, ioac.read_bytes);
		walk->usage.write_bytes += BPF_CORE_READ(thread, ioac.write_bytes);
	}
	walk->next = (u64)BPF_CORE_READ(node, next);
	return false;
}

#define THREADS_MAX 65536
#define THREADS_MAX_UNROLLED 64

static long add_next_thread(u32 index, void *context)
{
	return add_thread(context);
}

static __noinline int add_usage(struct thread_walk *walk, struct signal_struct *signal)
{
	struct usage *usage = &walk->usage;

	usage->utime = BPF_CORE_READ(signal, utime);
	usage->stime = BPF_CORE_READ(signal, stime);
	usage->runtime = BPF_CORE_READ(signal, sum_sched_runtime);
	usage->minor_faults = BPF_CORE_READ(signal, min_flt);
	usage->major_faults = BPF_CORE_READ(signal, maj_flt);
	if (bpf_core_field_exists(signal->ioac.read_bytes)) {
		usage->rchar = BPF_CORE_READ(signal, ioac.rchar);
		usage->wchar = BPF_CORE_READ(signal, ioac.wchar);
		usage->read_bytes = BPF_CORE_READ(signal, ioac.read_bytes);
		usage->write_bytes = BPF_CORE_READ(signal, ioac.write_bytes);
	}
	walk->end = (u64)signal + bpf_core_field_offset(struct signal_struct, thread_head);
	walk->next = (u64)BPF_CORE_READ(signal, thread_head.next);
	if (MODERN) {
		bpf_loop(THREADS_MAX, add_next_thread, walk, 0);
	} else {
		for (u32 i = 0; i < THREADS_MAX_UNROLLED; i++)
			if (add_thread(walk))
				break;
	}
	return 0;
}

/* a * b / c without overflow, for a and b up to c < 2^63: long division, a bit of b at a time. */
static __noinline u64 multiply_divide(u64 a, u64 b, u64 c)
{
	u64 quotient = 0, rest = 0;

	if (c == 0)
		return 0;
	quotient = a / c * b;
	a %= c;
	for (int bit = 63; bit >= 0; bit--) {
		u64 high = 0;
		rest <<= 1;
		if (rest >= c) {
			rest -= c;
			high += 1;
		}
		if (b >> bit & 1)
			rest += a;
		if (rest >= c) {
			rest -= c;
			high += 1;
		}
		quotient += high << bit;
	}
	return quotient;
}

/*
 * The kernel counts user and system time in ticks, but knows the exact time that a process ran. /proc shows the exact
 * time, split in the ticks' proportion, and never lets either part fall; so do we, by the same rule.
 */
static __always_inline void split_runtime(struct usage *usage, struct process_state *state)
{
	u64 utime, stime = usage->stime, total = usage->utime + usage->stime;

	if (usage->stime == 0)
		stime = 0;
	else if (usage->utime == 0)
		stime = usage->runtime;
	else
		stime = multiply_divide(usage->runtime, usage->stime, total);
	if (state->utime + state->stime >= usage->runtime) {
		usage->utime = state->utime;
		usage->stime = state->stime;
		return;
	}
	if (stime < state->stime)
		stime = state->stime;
	utime = usage->runtime - stime;
	if (utime < state->utime) {
		utime = state->utime;
		stime = usage->runtime - utime;
	}
	usage->utime = state->utime = utime;
	usage->stime = state->stime = stime;
}

static __always_inline u64 resident_pages(struct mm_struct *mm)
{
	struct mm_struct___before_6_2 *older = (void *)mm;
	s64 file, anonymous, shared;

	if (bpf_core_field_exists(older->rss_stat.count)) {
		file = BPF_CORE_READ(older, rss_stat.count[0].counter);
		anonymous = BPF_CORE_READ(older, rss_stat.count[1].counter);
		shared = BPF_CORE_READ(older, rss_stat.count[3].counter);
	} else {
		file = BPF_CORE_READ(mm, rss_stat[0].count);
		anonymous = BPF_CORE_READ(mm, rss_stat[1].count);
		shared = BPF_CORE_READ(mm, rss_stat[3].count);
	}
	return (file > 0 ? file : 0) + (anonymous > 0 ? anonymous : 0) + (shared > 0 ? shared : 0);
}

static __always_inline int write_sample(struct seq_file *seq, struct task_struct *task)
{
	struct signal_struct *signal = BPF_CORE_READ(task, signal);
	struct mm_struct *mm = BPF_CORE_READ(task, mm);
	u32 tgid = BPF_CORE_READ(task, tgid), before, after;
	struct wire_process_sample sample = {};
	struct thread_walk walk = {};
	struct settings *config = get_settings();
	struct process_state *state;
	struct process_state first = {};

	if (!config || !is_seen(task, config))
		return 0;
	sample.start_ticks = BPF_CORE_READ(task, start_boottime) / NSEC_PER_TICK;
	state = process_of(tgid, sample.start_ticks);
	if (state)
		state->round = config->round_ktime;
	/* It came by a way that we do not see, or moved to another cgroup: say who it is (again). */
	if (state && state->css_set != (u64)BPF_CORE_READ(task, cgroups))
		write_process(seq, task);

	/* A thread that ends adds its sums to `signal` under a sequence lock. */
	for (int attempt = 0; attempt < 3; attempt++) {
		bpf_core_read(&before, sizeof(before), &signal->stats_lock);
		add_usage(&walk, signal);
		bpf_core_read(&after, sizeof(after), &signal->stats_lock);
		if (before == after && !(before & 1))
			break;
	}
	/* Without a place to remember what was said, the state of when the kernel itself was last asked has to do. */
	first.utime = BPF_CORE_READ(signal, prev_cputime.utime);
	first.stime = BPF_CORE_READ(signal, prev_cputime.stime);
	split_runtime(&walk.usage, state ? state : &first);

	sample.header.length = sizeof(sample);
	sample.header.type = WIRE_PROCESS_SAMPLE;
	sample.header.flags = bpf_core_field_exists(signal->ioac.read_bytes) ? 1 : 0;
	sample.header.ktime = config->round_ktime;
	sample.tgid = tgid;
	sample.threads = BPF_CORE_READ(signal, nr_threads);
	sample.major_faults = walk.usage.major_faults;
	sample.minor_faults = walk.usage.minor_faults;
	sample.utime = walk.usage.utime;
	sample.ktime = walk.usage.stime;
	sample.rchar = walk.usage.rchar;
	sample.wchar = walk.usage.wchar;
	sample.read_bytes = walk.usage.read_bytes;
	sample.write_bytes = walk.usage.write_bytes;
	if (mm) {
		sample.vsize = BPF_CORE_READ(mm, total_vm) * config->page_size;
		sample.rss = resident_pages(mm) * config->page_size;
	}
	bpf_seq_write(seq, &sample, sizeof(sample));
	return 0;
}

/* Kernel threads are not processes to us; a leader that has ended before its threads still stands for them. */
static __always_inline bool is_process(struct task_struct *task)
{
	return BPF_CORE_READ(task, pid) == BPF_CORE_READ(task, tgid) && !(BPF_CORE_READ(task, flags) & PF_KTHREAD) &&
	       BPF_CORE_READ(task, signal, live.counter) > 0;
}

static __always_inline int on_socket(struct bpf_iter__task_file *context)
{
	struct task_struct *task = context->task;
	struct settings *config = get_settings();
	struct wire_conn_open open = {};
	struct conn_key key = {};
	struct conn *conn;
	struct sock *sk;
	u16 protocol = 0;
	u64 file = (u64)context->file;
	u8 state, one = 1;

	if (!task || !file || !config || !is_seen(task, config))
		return 0;
	sk = inet_socket(file, &protocol);
	if (!sk)
		return 0;
	state = BPF_CORE_READ(sk, __sk_common.skc_state);
	if (config->listeners_pass) {
		struct listener_key listener = {};
		if (protocol != IPPROTO_TCP || state != TCP_LISTEN)
			return 0;
		listener.netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
		listener.port = BPF_CORE_READ(sk, __sk_common.skc_num);
		listener.protocol = protocol;
		bpf_map_update_elem(&listeners, &listener, &one, BPF_ANY);
		return 0;
	}
	if (protocol == IPPROTO_TCP && (state == TCP_LISTEN || state == TCP_CLOSE))
		return 0;
	key.tgid = BPF_CORE_READ(task, tgid);
	key.fd = context->fd;
	if (is_ignored(key.tgid, config))
		return 0;
	conn = bpf_map_lookup_elem(&conns, &key);
	if (!conn || conn->file != file)
		conn = add_conn(&key, file, protocol, guess_role(sk, protocol), WIRE_ORIGIN_SNAPSHOT, start_ticks_of(task),
				bpf_ktime_get_ns());
	if (!conn)
		return 0;
	conn->announced = 1;
	fill_open(&open, &key, conn, sk, bpf_ktime_get_ns());
	bpf_seq_write(context->meta->seq, &open, sizeof(open));
	return 0;
}

static __always_inline int on_counts(struct bpf_iter__bpf_map_elem *context)
{
	struct conn_key *key = context->key;
	struct conn *conn = context->value;
	struct wire_conn_counts counts = {};

	if (!key || !conn)
		return 0;
	counts.sent = conn->sent;
	counts.received = conn->received;
	if (counts.sent == conn->reported_sent && counts.received == conn->reported_received)
		return 0;
	conn->reported_sent = counts.sent;
	conn->reported_received = counts.received;
	counts.header.length = sizeof(counts);
	counts.header.type = WIRE_CONN_COUNTS;
	counts.header.ktime = bpf_ktime_get_ns();
	fill_id(&counts.id, key, conn);
	bpf_seq_write(context->meta->seq, &counts, sizeof(counts));
	return 0;
}

#endif
