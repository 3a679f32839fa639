/* SPDX-License-Identifier: Apache-2.0 */
/* The frames of wire.h that the kernel side does not write itself. */
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "probe.h"

static const char *const FEATURE_NAMES[FEATURES] = {
	[WIRE_F_SYS_EXIT] = "sys_exit",		      [WIRE_F_BPF_LOOP] = "bpf_loop",
	[WIRE_F_SOCKET_SNAPSHOT] = "socket_snapshot", [WIRE_F_PROCESS_EVENTS] = "process_events",
	[WIRE_F_PROCESS_SAMPLE] = "process_sample",   [WIRE_F_SENDFILE] = "sendfile",
	[WIRE_F_CGROUP_FILTER] = "cgroup_filter",
};

const char *feature_name(uint32_t id)
{
	return FEATURE_NAMES[id];
}

static size_t round_up(size_t bytes)
{
	return (bytes + 7) & ~(size_t)7;
}

static void *reserve(struct output *output, uint16_t type, uint64_t ktime, size_t bytes)
{
	struct wire_header *header = output_reserve(output, round_up(bytes));
	header->length = (uint32_t)round_up(bytes);
	header->type = type;
	header->ktime = ktime;
	return header;
}

void put_empty(struct output *output, uint16_t type, uint64_t ktime)
{
	reserve(output, type, ktime, sizeof(struct wire_header));
}

void put_hello(struct output *output, const struct feature *features, uint64_t start_ktime, uint32_t cpus,
	       uint32_t capture_max, uint32_t own_tgid)
{
	struct wire_hello *hello = reserve(output, WIRE_HELLO, ktime_now(), sizeof(*hello));
	struct utsname names;

	hello->magic = WIRE_MAGIC;
	hello->version = WIRE_VERSION;
	hello->cpus = (uint16_t)cpus;
	hello->page_size = (uint32_t)sysconf(_SC_PAGESIZE);
	hello->clock_ticks = (uint32_t)sysconf(_SC_CLK_TCK);
	for (uint32_t id = 0; id < FEATURES; id++)
		if (features[id].error == 0)
			hello->features |= UINT64_C(1) << id;
	hello->start_ktime = start_ktime;
	hello->probe_tgid = own_tgid;
	hello->capture_max = capture_max;
	if (uname(&names) == 0) {
		snprintf(hello->release, sizeof(hello->release), "%.63s", names.release);
		snprintf(hello->hostname, sizeof(hello->hostname), "%.63s", names.nodename);
	}
}

void put_feature(struct output *output, uint32_t id, const struct feature *feature, uint64_t ktime)
{
	const char *name = feature_name(id);
	size_t name_bytes = strlen(name) + 1, reason_bytes = strlen(feature->reason) + 1;
	struct wire_feature *frame =
		reserve(output, WIRE_FEATURE, ktime, sizeof(*frame) + name_bytes + reason_bytes);

	frame->id = id;
	frame->error = feature->error;
	memcpy(frame + 1, name, name_bytes);
	memcpy((char *)(frame + 1) + name_bytes, feature->reason, reason_bytes);
}

void put_clock(struct output *output)
{
	uint64_t ktime = 0, realtime = 0, boottime = 0;
	struct wire_clock *clock;

	read_clocks(&ktime, &realtime, &boottime);
	clock = reserve(output, WIRE_CLOCK, ktime, sizeof(*clock));
	clock->realtime = realtime;
	clock->boottime = boottime;
}

void put_ignore(struct output *output, uint32_t tgid, uint64_t ktime)
{
	struct wire_ignore_tgid *frame = reserve(output, WIRE_IGNORE_TGID, ktime, sizeof(*frame));
	frame->tgid = tgid;
}

static char *put_text(char *at, const char *text, size_t length)
{
	memcpy(at, text, length);
	return at + length + 1;
}

void put_process(struct output *output, const struct process_record *record, const char *cmdline, size_t cmdline_length)
{
	size_t comm = strnlen(record->comm, sizeof(record->comm));
	size_t exe = strnlen(record->exe, record->exe_length < PATH_AREA ? record->exe_length : PATH_AREA);
	size_t cgroup = strnlen(record->cgroup, record->cgroup_length < PATH_AREA ? record->cgroup_length : PATH_AREA);
	struct wire_process *frame;
	char *at;

	if (record->cmdline_length > 0) {
		cmdline = record->cmdline;
		cmdline_length = record->cmdline_length < CMDLINE_MAX ? record->cmdline_length : CMDLINE_MAX;
	}
	while (cmdline_length > 0 && cmdline[cmdline_length - 1] == '\0')
		cmdline_length--;
	frame = reserve(output, WIRE_PROCESS, record->header.ktime, sizeof(*frame) + comm + exe + cgroup + cmdline_length + 4);
	frame->header.flags = record->header.flags;
	frame->tgid = record->tgid;
	frame->parent_tgid = record->parent_tgid;
	frame->start_ticks = record->start_ticks;
	frame->uid = record->uid;
	frame->comm_length = (uint16_t)comm;
	frame->exe_length = (uint16_t)exe;
	frame->cgroup_length = (uint16_t)cgroup;
	frame->cmdline_length = (uint16_t)cmdline_length;
	at = put_text((char *)(frame + 1), record->comm, comm);
	at = put_text(at, record->exe, exe);
	at = put_text(at, record->cgroup, cgroup);
	put_text(at, cmdline, cmdline_length);
}
