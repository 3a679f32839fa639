/* SPDX-License-Identifier: Apache-2.0 */
/* One agent: it is told what there is, then what happens, until it goes. Without an agent the kernel side is switched off. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "probe.h"

#define SECOND_NS UINT64_C(1000000000)
#define MILLISECOND_NS UINT64_C(1000000)
/* How far behind now a round ends: an event that began earlier has found its place in its ring. */
#define SETTLE_NS MILLISECOND_NS
/* Between rounds: the slow one unless the data ring fills by more than this share of it. */
#define ROUND_MS 10
#define ROUND_MS_BUSY 5
#define BUSY_SHARE 16
#define FORGET_DEAD_SECONDS 30

struct session {
	struct kernel *kernel;
	int in;
	uint32_t agent_tgid; /* in our own pid namespace; 0: not known */
	const volatile int *stop;
	bool is_over;
	uint64_t drained;
	struct wire_drops baseline;
	struct wire_drops said;
	struct control control;
	struct output output;
};

static void send_record(void *context, const struct wire_header *frame, uint32_t bytes)
{
	struct session *session = context;

	if (frame->type == WIRE_PROCESS) {
		const struct process_record *record = (const void *)frame;
		static char cmdline[CMDLINE_MAX];
		size_t length = bytes <= offsetof(struct process_record, cmdline) && record->visible_tgid ?
					read_cmdline(record->visible_tgid, cmdline, sizeof(cmdline)) : 0;
		put_process(&session->output, record, cmdline, length);
		if (record->visible_tgid && record->visible_tgid == session->agent_tgid) {
			/* Once: it stays ignored, and a later process of that number would be another. */
			session->agent_tgid = 0;
			kernel_ignore(session->kernel, record->tgid);
			put_ignore(&session->output, record->tgid, record->header.ktime);
		}
		return;
	}
	if (frame->length <= bytes)
		output_copy(&session->output, frame, frame->length);
}

/* What the agent said, and whether it is still there. */
static void listen_for(struct session *session, int timeout_ms, bool for_writing)
{
	struct pollfd waits[2] = {
		{ .fd = session->in, .events = POLLIN },
		{ .fd = session->output.fd, .events = for_writing ? POLLOUT : 0 },
	};

	if (poll(waits, 2, timeout_ms) < 0 && errno != EINTR)
		session->is_over = true;
	if (waits[1].revents & (POLLERR | POLLHUP))
		session->is_over = true;
	if (waits[0].revents && !control_read(&session->control, session->in)) {
		/* On a socket both directions end together; a closed standard input only means that nobody will say anything. */
		if (session->in == session->output.fd)
			session->is_over = true;
		session->in = -1;
	}
}

/* The agent does not read. It may come back; until then the rings fill and the kernel side counts what it drops. */
static bool wait_for_agent(void *context)
{
	struct session *session = context;
	listen_for(session, 1000, true);
	return !session->is_over && !*session->stop;
}

/* Dated when they were counted: rings that are full are read well behind the events that they have no room for. */
static void say_drops(struct session *session)
{
	struct wire_drops drops;

	kernel_drops(session->kernel, &drops);
	drops.data_ring_full -= session->baseline.data_ring_full;
	drops.control_ring_full -= session->baseline.control_ring_full;
	drops.connections_full -= session->baseline.connections_full;
	drops.payload_faults -= session->baseline.payload_faults;
	drops.recursion_misses -= session->baseline.recursion_misses;
	drops.compat_calls -= session->baseline.compat_calls;
	if (memcmp(&drops, &session->said, sizeof(drops)) == 0)
		return;
	session->said = drops;
	drops.header.length = sizeof(drops);
	drops.header.type = WIRE_DROPS;
	drops.header.ktime = ktime_now();
	output_copy(&session->output, &drops, sizeof(drops));
}

static void every_second(struct session *session, uint64_t second)
{
	struct kernel *kernel = session->kernel;
	uint64_t ktime = ktime_now();

	put_clock(&session->output);
	kernel_iterate(kernel, LIST_COUNTS, send_record, session);
	kernel->settings->round_ktime = ktime;
	if (kernel_iterate(kernel, SAMPLE_PROCESSES, send_record, session) == 0)
		put_empty(&session->output, WIRE_SAMPLE_END, ktime);
	if (second % FORGET_DEAD_SECONDS == 0)
		kernel_forget_dead(kernel, ktime);
}

/* Returns how much of the data ring was filled. */
static uint64_t read_round(struct session *session)
{
	struct kernel *kernel = session->kernel;
	uint64_t used = ring_used(&kernel->data), before;

	do {
		uint64_t until = ktime_now() - SETTLE_NS;
		before = session->drained;
		session->drained = merge_rings(&kernel->control, &kernel->data, until, session->drained, send_record, session);
		say_drops(session);
		put_empty(&session->output, WIRE_DRAINED, session->drained);
	} while ((kernel->control.more || kernel->data.more) && session->drained > before && !session->output.broken);
	output_flush(&session->output);
	return used;
}

static void begin(struct session *session)
{
	struct kernel *kernel = session->kernel;
	struct output *output = &session->output;
	uint64_t start;

	/* Was off until now; whatever is left is of the last agent's time. */
	kernel_clear(kernel);
	ring_discard(&kernel->data);
	ring_discard(&kernel->control);
	kernel_drops(kernel, &session->baseline);
	kernel_publish_verdicts(kernel);
	start = ktime_now();
	session->drained = start;
	__atomic_store_n(&kernel->settings->enabled, 1, __ATOMIC_RELEASE);

	put_hello(output, kernel->features, start, kernel->cpus, kernel->settings->capture_max, kernel->settings->own_tgid);
	for (uint32_t id = 0; id < FEATURES; id++)
		put_feature(output, id, &kernel->features[id], ktime_now());
	put_clock(output);
	kernel_iterate(kernel, LIST_PROCESSES, send_record, session);
	/* After the tracepoints have begun, so that there is no hole between; what both see has one id. */
	kernel->settings->listeners_pass = 1;
	kernel_iterate(kernel, LIST_SOCKETS, send_record, session);
	kernel->settings->listeners_pass = 0;
	kernel_iterate(kernel, LIST_SOCKETS, send_record, session);
	put_empty(output, WIRE_SNAPSHOT_END, ktime_now());
	output_flush(output);
}

void session_run(struct kernel *kernel, int in, int out, uint32_t agent_tgid, const volatile int *stop)
{
	static struct session session;
	uint64_t second, now;

	memset(&session, 0, sizeof(session));
	session.kernel = kernel;
	session.control.kernel = kernel;
	session.in = in;
	session.stop = stop;
	session.agent_tgid = agent_tgid;
	session.output.fd = out;
	session.output.wait = wait_for_agent;
	session.output.wait_context = &session;
	begin(&session);
	second = ktime_now() / SECOND_NS;
	while (!session.is_over && !session.output.broken && !*stop) {
		uint64_t used;
		now = ktime_now();
		if (now / SECOND_NS != second) {
			second = now / SECOND_NS;
			every_second(&session, second);
		}
		used = read_round(&session);
		listen_for(&session, used > DATA_RING_BYTES / BUSY_SHARE ? ROUND_MS_BUSY : ROUND_MS, false);
	}
	__atomic_store_n(&kernel->settings->enabled, 0, __ATOMIC_RELEASE);
	/* What happened up to here has been seen and is worth its way, if anybody is there to take it. */
	if (!session.is_over && !session.output.broken)
		read_round(&session);
}
