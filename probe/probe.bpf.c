/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel side of Sluice: sees finished system calls, processes and open sockets, and hands them over as frames of
 * wire.h. It parses no protocol and decides nothing but what the agent has told it.
 *
 * It is compiled twice. MODERN 1 needs bpf_loop (5.17), and with it may use all that is older than that; MODERN 0 keeps
 * to what 5.8 has, and sees less of long vectored calls. The loader takes the one that loads.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_tracing.h>

#include "kernel.h"
#include "shared.h"
#include "maps.bpf.h"
#include "scope.bpf.h"
#include "connection.bpf.h"
#include "capture.bpf.h"
#include "syscalls.bpf.h"
#include "process.bpf.h"
#include "iterators.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("tp_btf/sys_exit")
int BPF_PROG(sys_exit, struct pt_regs *regs, long result)
{
	return on_sys_exit(regs, result);
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(process_exec, struct task_struct *task)
{
	return on_exec(task);
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(process_fork, struct task_struct *parent, struct task_struct *child)
{
	return on_fork(child);
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(process_exit, struct task_struct *task)
{
	return on_exit(task);
}

SEC("iter/task")
int read_self(struct bpf_iter__task *context)
{
	struct task_struct *task = context->task;
	if (!task)
		return 0;
	/* Else the compiler looks for the task's fields before it has asked whether there is one. */
	asm volatile("" : "+r"(task));
	write_self(context->meta->seq, task);
	return 0;
}

SEC("iter/task")
int list_processes(struct bpf_iter__task *context)
{
	struct task_struct *task = context->task;
	struct settings *config = get_settings();
	if (task && config && is_process(task) && is_seen(task, config))
		write_process(context->meta->seq, task);
	return 0;
}

SEC("iter/task")
int sample_processes(struct bpf_iter__task *context)
{
	struct task_struct *task = context->task;
	if (task && is_process(task))
		write_sample(context->meta->seq, task);
	return 0;
}

SEC("iter/task_file")
int list_sockets(struct bpf_iter__task_file *context)
{
	return on_socket(context);
}

SEC("iter/bpf_map_elem")
int list_counts(struct bpf_iter__bpf_map_elem *context)
{
	return on_counts(context);
}
