/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a finished system call means. Exit alone is enough: at sys_exit the argument registers still hold the arguments
 * (on arm64 all but the first, which the kernel keeps beside them), and the user's memory holds what was moved.
 */
#ifndef SLUICE_SYSCALLS_BPF_H
#define SLUICE_SYSCALLS_BPF_H

#if defined(__TARGET_ARCH_x86)
enum {
	NR_read = 0, NR_write = 1, NR_close = 3, NR_readv = 19, NR_writev = 20, NR_dup2 = 33, NR_sendfile = 40, NR_connect = 42,
	NR_accept = 43, NR_sendto = 44, NR_recvfrom = 45, NR_sendmsg = 46, NR_recvmsg = 47, NR_splice = 275, NR_accept4 = 288,
	NR_dup3 = 292, NR_recvmmsg = 299, NR_sendmmsg = 307, NR_preadv2 = 327, NR_pwritev2 = 328, NR_close_range = 436,
};
#define CALL_NUMBER(regs) ((long)(regs)->orig_ax)
#define ARGUMENT_0(regs) ((regs)->di)
#define ARGUMENT_1(regs) ((regs)->si)
#define ARGUMENT_2(regs) ((regs)->dx)
#define ARGUMENT_3(regs) ((regs)->r10)
#define TS_COMPAT 2

/* i386 numbers of what moves bytes: read write readv writev socketcall recvmmsg sendmmsg connect accept4 send* recv*. */
static __always_inline bool is_compat_io(long number)
{
	return number == 3 || number == 4 || number == 145 || number == 146 || number == 102 || number == 337 ||
	       number == 345 || (number >= 369 && number <= 372) || number == 362 || number == 364;
}
#define COMPAT_FIELD thread_info.status
#define IS_COMPAT(field) ((field) & TS_COMPAT)
#else
enum {
	NR_dup3 = 24, NR_close = 57, NR_read = 63, NR_write = 64, NR_readv = 65, NR_writev = 66, NR_sendfile = 71, NR_splice = 76,
	NR_accept = 202, NR_connect = 203, NR_sendto = 206, NR_recvfrom = 207, NR_sendmsg = 211, NR_recvmsg = 212,
	NR_accept4 = 242, NR_recvmmsg = 243, NR_sendmmsg = 269, NR_preadv2 = 286, NR_pwritev2 = 287, NR_close_range = 436,
	NR_dup2 = -2, /* does not exist here */
};
#define CALL_NUMBER(regs) ((long)(regs)->syscallno)
#define ARGUMENT_0(regs) ((regs)->orig_x0)
#define ARGUMENT_1(regs) ((regs)->regs[1])
#define ARGUMENT_2(regs) ((regs)->regs[2])
#define ARGUMENT_3(regs) ((regs)->regs[3])
#define TIF_32BIT 22

/* arm EABI numbers of the same calls. */
static __always_inline bool is_compat_io(long number)
{
	return number == 3 || number == 4 || number == 145 || number == 146 || number == 365 || number == 374 ||
	       number == 283 || (number >= 285 && number <= 297) || number == 366;
}
#define COMPAT_FIELD thread_info.flags
#define IS_COMPAT(field) ((field) >> TIF_32BIT & 1)
#endif

static __always_inline bool is_compat_task(void)
{
	if (MODERN)
		return IS_COMPAT(bpf_get_current_task_btf()->COMPAT_FIELD);
	struct task_struct *task = (void *)bpf_get_current_task();
	return IS_COMPAT(BPF_CORE_READ(task, COMPAT_FIELD));
}

static __always_inline bool is_ours(long number)
{
	switch (number) {
	case NR_read: case NR_write: case NR_close: case NR_readv: case NR_writev: case NR_dup2: case NR_sendfile:
	case NR_connect: case NR_accept: case NR_sendto: case NR_recvfrom: case NR_sendmsg: case NR_recvmsg: case NR_splice:
	case NR_accept4: case NR_dup3: case NR_recvmmsg: case NR_sendmmsg: case NR_preadv2: case NR_pwritev2:
	case NR_close_range:
		return true;
	default:
		return false;
	}
}

/* Closes what the map knows under [first, last] and the process has no longer open there. */
struct sweep {
	u64 ktime;
	u32 tgid;
	u32 first;
	u32 last;
	u32 left; /* connections of the process that have not been seen yet */
	u32 all;  /* 1: the process ends */
	u32 reserved;
};

static __always_inline bool sweep_one(struct sweep *sweep, u32 index)
{
	struct conn_key key = { .tgid = sweep->tgid, .fd = sweep->first + index };
	struct conn *conn;

	if (key.fd > sweep->last || sweep->left == 0)
		return true;
	conn = bpf_map_lookup_elem(&conns, &key);
	if (!conn)
		return false;
	sweep->left--;
	if (sweep->all || conn->file != current_file(key.fd))
		close_conn(&key, conn, sweep->ktime);
	return false;
}

static long sweep_next(u32 index, void *context)
{
	return sweep_one(context, index);
}

#define SWEEP_MAX (1 << 20)
#define SWEEP_MAX_UNROLLED 32 /* what remains, the loader finds when the process has gone */

static __noinline int sweep_fds(struct sweep *sweep)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct process_state *process = bpf_map_lookup_elem(&processes, &sweep->tgid);
	u32 max_fds = BPF_CORE_READ(task, files, fdt, max_fds);

	if (!process || process->connections == 0 || max_fds == 0)
		return 0;
	sweep->left = process->connections;
	if (sweep->last >= max_fds)
		sweep->last = max_fds - 1;
	if (MODERN) {
		bpf_loop(SWEEP_MAX, sweep_next, sweep, 0);
	} else {
		for (u32 i = 0; i < SWEEP_MAX_UNROLLED; i++)
			if (sweep_one(sweep, i))
				break;
	}
	return 0;
}

/* `fd` was closed, or another file was put in its place. */
static __noinline int on_close(struct conn_key *key, u64 ktime)
{
	struct conn *conn = bpf_map_lookup_elem(&conns, key);
	/* Between the close and now another thread may have got the same number for a new connection. */
	if (conn && conn->file != current_file(key->fd))
		close_conn(key, conn, ktime);
	return 0;
}

static __always_inline int on_sys_exit(struct pt_regs *regs, long result)
{
	long number = CALL_NUMBER(regs);
	struct transfer transfer = {};
	struct settings *config;
	u64 flags;

	if (!is_ours(number)) {
		if (is_compat_io(number) && is_compat_task() && (config = get_settings()) && config->enabled &&
		    is_current_seen(config))
			COUNT_DROP(compat_calls);
		return 0;
	}
	/* The commonest outcome of all: nothing to read yet. */
	if (result <= 0 && number != NR_close && number != NR_close_range && number != NR_connect && number != NR_dup2 &&
	    number != NR_dup3 && number != NR_accept && number != NR_accept4)
		return 0;
	config = get_settings();
	if (!config || !config->enabled || !is_current_seen(config))
		return 0;
	if (is_compat_task()) {
		if (is_compat_io(number))
			COUNT_DROP(compat_calls);
		return 0;
	}

	transfer.ktime = bpf_ktime_get_ns();
	transfer.key.tgid = current_tgid();
	transfer.key.fd = ARGUMENT_0(regs);
	transfer.address = ARGUMENT_1(regs);
	transfer.bytes = result;
	switch (number) {
	case NR_write:
		transfer.sent = 1;
	case NR_read:
		transfer.source = SOURCE_BUFFER;
		break;
	case NR_sendto:
		transfer.sent = 1;
	case NR_recvfrom:
		transfer.source = SOURCE_BUFFER;
		flags = ARGUMENT_3(regs);
		goto flagged;
	case NR_writev:
	case NR_pwritev2:
		transfer.sent = 1;
	case NR_readv:
	case NR_preadv2:
		transfer.source = SOURCE_VECTOR;
		transfer.count = ARGUMENT_2(regs);
		break;
	case NR_sendmsg:
		transfer.sent = 1;
	case NR_recvmsg:
		transfer.source = SOURCE_HEADER;
		flags = ARGUMENT_2(regs);
		goto flagged;
	case NR_sendmmsg:
		transfer.sent = 1;
	case NR_recvmmsg:
		transfer.source = SOURCE_HEADERS;
		transfer.count = result;
		flags = ARGUMENT_3(regs);
		goto flagged;
	case NR_sendfile:
		transfer.sent = 1;
		break;
	case NR_splice:
		on_transfer(&transfer);
		transfer.key.fd = ARGUMENT_2(regs);
		transfer.sent = 1;
		break;
	case NR_accept:
	case NR_accept4:
		if (result < 0)
			return 0;
		transfer.key.fd = result;
		find_conn(&transfer.key, WIRE_ORIGIN_ACCEPT, transfer.ktime);
		return 0;
	case NR_connect:
		if (result == 0 || result == -EINPROGRESS)
			find_conn(&transfer.key, WIRE_ORIGIN_CONNECT, transfer.ktime);
		return 0;
	case NR_dup2:
	case NR_dup3:
		if (result < 0)
			return 0;
		transfer.key.fd = result;
		return on_close(&transfer.key, transfer.ktime);
	case NR_close:
		return on_close(&transfer.key, transfer.ktime);
	case NR_close_range: {
		struct sweep sweep = {};
		if (result != 0 || ARGUMENT_2(regs) & CLOSE_RANGE_CLOEXEC)
			return 0;
		sweep.ktime = transfer.ktime;
		sweep.tgid = transfer.key.tgid;
		sweep.first = transfer.key.fd;
		sweep.last = transfer.address;
		return sweep_fds(&sweep);
	}
	}
	return on_transfer(&transfer);

flagged:
	/* Peeked bytes come again; the error queue and urgent bytes are not part of the stream. */
	if (flags & (MSG_OOB | MSG_ERRQUEUE) || (!transfer.sent && flags & MSG_PEEK))
		return 0;
	/* A stream socket throws these bytes away instead of copying them. */
	if (!transfer.sent && flags & MSG_TRUNC && transfer.source != SOURCE_HEADERS)
		transfer.source = SOURCE_NONE;
	return on_transfer(&transfer);
}

#endif
