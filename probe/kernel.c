/* SPDX-License-Identifier: Apache-2.0 */
/* Loads the kernel side, attaches what this kernel has, and says in one line what is missing. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "probe.h"

/* objects.S */
extern const char modern_object[], modern_object_end[], plain_object[], plain_object_end[];

static const struct program {
	const char *name;
	uint32_t feature;
	int iterator; /* -1: an event */
} PROGRAMS[] = {
	{ "sys_exit", WIRE_F_SYS_EXIT, -1 },
	{ "process_exec", WIRE_F_PROCESS_EVENTS, -1 },
	{ "process_fork", WIRE_F_PROCESS_EVENTS, -1 },
	{ "process_exit", WIRE_F_PROCESS_EVENTS, -1 },
	{ "read_self", WIRE_F_PROCESS_SAMPLE, READ_SELF },
	{ "list_processes", WIRE_F_PROCESS_SAMPLE, LIST_PROCESSES },
	{ "sample_processes", WIRE_F_PROCESS_SAMPLE, SAMPLE_PROCESSES },
	{ "list_sockets", WIRE_F_SOCKET_SNAPSHOT, LIST_SOCKETS },
	{ "list_counts", WIRE_F_SYS_EXIT, LIST_COUNTS },
};
#define PROGRAM_COUNT (sizeof(PROGRAMS) / sizeof(PROGRAMS[0]))

static int print_libbpf(enum libbpf_print_level level, const char *format, va_list arguments)
{
	const char *wish = getenv("SLUICE_PROBE_DEBUG");
	/* 1: what libbpf finds wrong; 2: everything, with the verifier's statistics. */
	if (wish == NULL || (level == LIBBPF_DEBUG && strcmp(wish, "2") != 0))
		return 0;
	return vfprintf(stderr, format, arguments);
}

__attribute__((format(printf, 3, 4))) static void fail_feature(struct kernel *kernel, uint32_t id, const char *format, ...)
{
	va_list arguments;

	if (kernel->features[id].error != 0)
		return;
	kernel->features[id].error = errno ? errno : EINVAL;
	va_start(arguments, format);
	vsnprintf(kernel->features[id].reason, sizeof(kernel->features[id].reason), format, arguments);
	va_end(arguments);
}

/* Which of the two objects, and of it all programs or only the one that everything rests on. */
static struct bpf_object *try_load(const struct kernel *kernel, bool modern, bool all)
{
	const char *object_bytes = modern ? modern_object : plain_object;
	size_t bytes = (size_t)((modern ? modern_object_end : plain_object_end) - object_bytes);
	LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = "sluice", .kernel_log_level = getenv("SLUICE_PROBE_DEBUG") ? 4 : 0);
	struct bpf_object *object = bpf_object__open_mem(object_bytes, bytes, &options);
	int error;

	if (!object)
		return NULL;
	bpf_map__set_max_entries(bpf_object__find_map_by_name(object, "data_scratch"), kernel->cpus);
	bpf_map__set_max_entries(bpf_object__find_map_by_name(object, "process_scratch"), kernel->cpus + 1);
	for (size_t i = 0; i < PROGRAM_COUNT && !all; i++)
		if (PROGRAMS[i].feature != WIRE_F_SYS_EXIT)
			bpf_program__set_autoload(bpf_object__find_program_by_name(object, PROGRAMS[i].name), false);
	error = bpf_object__load(object);
	if (error == 0)
		return object;
	bpf_object__close(object);
	errno = -error;
	return NULL;
}

static int explain(int error, char *message, size_t bytes)
{
	struct utsname names = { 0 };
	unsigned major = 0, minor = 0;
	bool has_bpf = rights_have(CAP_BPF) || rights_have(CAP_SYS_ADMIN);
	bool has_perfmon = rights_have(CAP_PERFMON) || rights_have(CAP_SYS_ADMIN);
	char path[512];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
	struct rlimit limit = { 0, 0 };

	path[length > 0 ? length : 0] = '\0';
	uname(&names);
	sscanf(names.release, "%u.%u", &major, &minor);
	if (access("/sys/kernel/btf/vmlinux", R_OK) != 0) {
		snprintf(message, bytes,
			 "the kernel %.60s has no type information (/sys/kernel/btf/vmlinux): it needs CONFIG_DEBUG_INFO_BTF=y",
			 names.release);
		return EXIT_KERNEL;
	}
	if (major < 5 || (major == 5 && minor < 8)) {
		snprintf(message, bytes, "the kernel %.60s is too old: 5.8 or newer is needed", names.release);
		return EXIT_KERNEL;
	}
	if (!has_bpf || !has_perfmon) {
		snprintf(message, bytes, "missing %s%s%s; run as root, or once: sudo setcap cap_bpf,cap_perfmon+ep %s",
			 has_bpf ? "" : "CAP_BPF", !has_bpf && !has_perfmon ? " and " : "", has_perfmon ? "" : "CAP_PERFMON",
			 path);
		return EXIT_RIGHTS;
	}
	getrlimit(RLIMIT_MEMLOCK, &limit);
	if ((error == EPERM || error == ENOMEM) && (major == 5 && minor < 11) && limit.rlim_cur < (128u << 20)) {
		snprintf(message, bytes,
			 "kernels before 5.11 count BPF maps as locked memory, and the limit is %llu KiB: set `ulimit -l unlimited`",
			 (unsigned long long)limit.rlim_cur / 1024);
		return EXIT_RIGHTS;
	}
	if (error == EPERM || error == EACCES) {
		snprintf(message, bytes,
			 "the kernel refuses BPF programs (%s) in spite of CAP_BPF and CAP_PERFMON: lockdown or a security module",
			 strerror(error));
		return EXIT_RIGHTS;
	}
	snprintf(message, bytes, "the kernel %.60s does not take the programs: %s (SLUICE_PROBE_DEBUG=1 says more)", names.release,
		 strerror(error));
	return error == ENOMEM ? EXIT_FAILED : EXIT_KERNEL;
}

static struct bpf_object *load_best(struct kernel *kernel)
{
	struct bpf_object *object;
	int first_error;

	/* The variable is for tests of the other object on a kernel that takes both. */
	kernel->modern = getenv("SLUICE_PROBE_PLAIN") == NULL;
	errno = EOPNOTSUPP;
	object = kernel->modern ? try_load(kernel, true, true) : NULL;
	if (object || errno == EPERM || errno == EACCES || errno == ENOMEM)
		return object;
	first_error = errno;
	kernel->modern = false;
	fail_feature(kernel, WIRE_F_BPF_LOOP,
		     "the kernel has no bpf_loop (5.17): of vectored calls only the first 8 segments are captured");
	object = try_load(kernel, false, true);
	if (object)
		return object;
	errno = first_error;
	fail_feature(kernel, WIRE_F_PROCESS_EVENTS, "the kernel does not take the program");
	fail_feature(kernel, WIRE_F_PROCESS_SAMPLE, "the kernel does not take the program");
	fail_feature(kernel, WIRE_F_SOCKET_SNAPSHOT, "the kernel does not take the program");
	return try_load(kernel, false, false);
}

static int attach(struct kernel *kernel, struct bpf_object *object, const struct program *program)
{
	struct bpf_program *found = bpf_object__find_program_by_name(object, program->name);
	union bpf_iter_link_info info = { 0 };
	LIBBPF_OPTS(bpf_iter_attach_opts, options);
	struct bpf_link *link;

	if (program->iterator == LIST_COUNTS) {
		info.map.map_fd = (uint32_t)kernel->conns;
		options.link_info = &info;
		options.link_info_len = sizeof(info);
	}
	link = program->iterator < 0 ? bpf_program__attach(found) : bpf_program__attach_iter(found, &options);
	if (!link)
		return errno;
	if (program->iterator >= 0)
		kernel->links[program->iterator] = bpf_link__fd(link);
	kernel->programs[kernel->program_count++] = bpf_program__fd(found);
	return 0;
}

int kernel_load(struct kernel *kernel, char *message, size_t message_bytes)
{
	struct bpf_object *object;
	int error;

	libbpf_set_print(print_libbpf);
	memset(kernel, 0, sizeof(*kernel));
	kernel->cpus = (uint32_t)libbpf_num_possible_cpus();
	for (size_t i = 0; i < sizeof(kernel->links) / sizeof(kernel->links[0]); i++)
		kernel->links[i] = -1;
	object = load_best(kernel);
	if (!object)
		return explain(errno, message, message_bytes);

	kernel->conns = bpf_object__find_map_fd_by_name(object, "conns");
	kernel->verdicts = bpf_object__find_map_fd_by_name(object, "verdicts");
	kernel->processes = bpf_object__find_map_fd_by_name(object, "processes");
	kernel->listeners = bpf_object__find_map_fd_by_name(object, "listeners");
	kernel->drops = bpf_object__find_map_fd_by_name(object, "drops");
	kernel->ignored_tgids = bpf_object__find_map_fd_by_name(object, "ignored_tgids");
	kernel->allowed_tgids = bpf_object__find_map_fd_by_name(object, "allowed_tgids");
	kernel->settings = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE, MAP_SHARED,
				bpf_object__find_map_fd_by_name(object, "settings"), 0);
	error = kernel->settings == MAP_FAILED ? errno : 0;
	if (!error)
		error = ring_open(&kernel->data, bpf_object__find_map_fd_by_name(object, "data_ring"), DATA_RING_BYTES);
	if (!error)
		error = ring_open(&kernel->control, bpf_object__find_map_fd_by_name(object, "control_ring"), CONTROL_RING_BYTES);
	if (error) {
		snprintf(message, message_bytes, "the programs' memory cannot be mapped: %s", strerror(error));
		return EXIT_FAILED;
	}
	kernel->settings->own_tgid = (uint32_t)getpid();
	kernel->settings->capture_max = WIRE_CAPTURE_MAX;
	kernel->settings->iterator_slot = kernel->cpus;
	kernel->settings->page_size = (uint32_t)sysconf(_SC_PAGESIZE);

	for (size_t i = 0; i < PROGRAM_COUNT; i++) {
		if (kernel->features[PROGRAMS[i].feature].error != 0)
			continue;
		errno = attach(kernel, object, &PROGRAMS[i]);
		if (errno != 0)
			fail_feature(kernel, PROGRAMS[i].feature, "%s: %s", PROGRAMS[i].name, strerror(errno));
	}
	/* Without system calls there is nothing to do here; the object stays open as long as the process lives. */
	if (kernel->features[WIRE_F_SYS_EXIT].error != 0)
		return explain(kernel->features[WIRE_F_SYS_EXIT].error, message, message_bytes);
	return 0;
}

void kernel_drops(const struct kernel *kernel, struct wire_drops *drops)
{
	struct drop_counters counters[kernel->cpus];
	uint32_t zero = 0;

	memset(counters, 0, sizeof(counters));
	memset(drops, 0, sizeof(*drops));
	bpf_map_lookup_elem(kernel->drops, &zero, counters);
	for (uint32_t cpu = 0; cpu < kernel->cpus; cpu++) {
		drops->data_ring_full += counters[cpu].data_ring_full;
		drops->control_ring_full += counters[cpu].control_ring_full;
		drops->connections_full += counters[cpu].connections_full;
		drops->payload_faults += counters[cpu].payload_faults;
		drops->compat_calls += counters[cpu].compat_calls;
	}
	for (size_t i = 0; i < kernel->program_count; i++) {
		struct bpf_prog_info info = { 0 };
		uint32_t bytes = sizeof(info);
		if (bpf_obj_get_info_by_fd(kernel->programs[i], &info, &bytes) == 0)
			drops->recursion_misses += info.recursion_misses;
	}
}

int kernel_iterate(const struct kernel *kernel, enum iterator which, record_sink sink, void *context)
{
	static uint8_t buffer[64 * 1024] __attribute__((aligned(8)));
	size_t used = 0;
	int fd, error = 0;

	if (kernel->links[which] < 0)
		return EOPNOTSUPP;
	fd = bpf_iter_create(kernel->links[which]);
	if (fd < 0)
		return errno;
	for (;;) {
		ssize_t bytes = read(fd, buffer + used, sizeof(buffer) - used);
		size_t at = 0;
		if (bytes < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (bytes < 0)
			error = errno;
		if (bytes <= 0)
			break;
		used += (size_t)bytes;
		while (used - at >= sizeof(struct wire_header)) {
			const struct wire_header *frame = (const void *)(buffer + at);
			if (frame->length > used - at)
				break;
			sink(context, frame, frame->length);
			at += frame->length;
		}
		memmove(buffer, buffer + at, used - at);
		used -= at;
	}
	close(fd);
	return error;
}
