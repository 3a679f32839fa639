/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of what needs no kernel: frames and their buffer, the merge of two rings, control frames, the command line. */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probe.h"

static int failures, checks;
#define CHECK(what)                                                              \
	do {                                                                     \
		checks++;                                                        \
		if (!(what)) {                                                   \
			failures++;                                              \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what); \
		}                                                                \
	} while (0)

/* What control.c does to the kernel, noted instead. */
static struct {
	int verdicts, published, ignored;
	struct wire_conn_id id;
	struct verdict verdict;
	uint32_t tgid;
} noted;

bool kernel_set_verdict(const struct kernel *kernel, const struct wire_conn_id *id, struct verdict verdict)
{
	(void)kernel;
	noted.verdicts++;
	noted.id = *id;
	noted.verdict = verdict;
	return id->tsid != 0;
}

void kernel_publish_verdicts(const struct kernel *kernel)
{
	(void)kernel;
	noted.published++;
}

void kernel_ignore(const struct kernel *kernel, uint32_t tgid)
{
	(void)kernel;
	noted.ignored++;
	noted.tgid = tgid;
}

int kernel_iterate(const struct kernel *kernel, enum iterator which, record_sink sink, void *context)
{
	(void)kernel, (void)which, (void)sink, (void)context;
	return EOPNOTSUPP;
}

static size_t drain(int fd, uint8_t *bytes, size_t max)
{
	size_t used = 0;
	for (ssize_t more; (more = read(fd, bytes + used, max - used)) > 0;)
		used += (size_t)more;
	return used;
}

static void open_pipe(int ends[2])
{
	if (pipe2(ends, O_NONBLOCK) != 0)
		abort();
}

static int waits;
static uint8_t taken[1 << 20];
static size_t taken_bytes;

/* A slow agent: takes something each time it is waited for. */
static bool take_some(void *context)
{
	waits++;
	taken_bytes += drain(*(int *)context, taken + taken_bytes, sizeof(taken) - taken_bytes);
	return true;
}

static void test_output_keeps_every_frame_whole_and_in_order(void)
{
	static struct output output;
	int ends[2];
	uint32_t frames = 0, at = 0;
	size_t bytes;

	open_pipe(ends);
	output = (struct output){ .fd = ends[1], .wait = take_some, .wait_context = &ends[0] };
	waits = 0;
	taken_bytes = 0;
	for (uint32_t i = 0; i < 20000; i++) {
		struct wire_header *header = output_reserve(&output, 16 + i % 4 * 8);
		header->length = 16 + i % 4 * 8;
		header->ktime = i;
	}
	output_flush(&output);
	take_some(&ends[0]);
	CHECK(waits > 1 && !output.broken && output.used == 0);
	for (bytes = taken_bytes; at < bytes; frames++) {
		struct wire_header header;
		memcpy(&header, taken + at, sizeof(header));
		if (header.ktime != frames || header.length != 16 + frames % 4 * 8)
			break;
		at += header.length;
	}
	CHECK(frames == 20000);
	close(ends[0]);
	close(ends[1]);
}

static void test_output_gives_up_when_the_agent_has_gone(void)
{
	static struct output output;
	int ends[2];

	open_pipe(ends);
	close(ends[0]);
	output = (struct output){ .fd = ends[1] };
	for (int i = 0; i < 10000; i++)
		put_empty(&output, WIRE_DRAINED, 1);
	output_flush(&output);
	CHECK(output.broken);
	close(ends[1]);
}

static void test_output_takes_the_largest_frame(void)
{
	static struct output output;
	int ends[2];

	open_pipe(ends);
	output = (struct output){ .fd = ends[1], .wait = take_some, .wait_context = &ends[0] };
	taken_bytes = 0;
	put_empty(&output, WIRE_DRAINED, 1);
	memset(output_reserve(&output, WIRE_FRAME_MAX), 7, WIRE_FRAME_MAX);
	output_flush(&output);
	take_some(&ends[0]);
	CHECK(taken_bytes == 16 + WIRE_FRAME_MAX && taken[16] == 7 && taken[15 + WIRE_FRAME_MAX] == 7);
	close(ends[0]);
	close(ends[1]);
}

static void test_process_texts_are_packed(void)
{
	static struct output output;
	static struct process_record record;
	const struct wire_process *frame = (const void *)output.buffer;
	static const char WANTED[] = "sh\0/bin/sh\0/a\0sh\0-c";

	output = (struct output){ .fd = -1 };
	record = (struct process_record){ .header = { .type = WIRE_PROCESS, .flags = WIRE_PROCESS_EXEC, .ktime = 5 }, .tgid = 9 };
	strcpy(record.comm, "sh");
	strcpy(record.exe, "/bin/sh, and what an earlier record left");
	strcpy(record.cgroup, "/a");
	record.exe_length = 7;
	record.cgroup_length = 2;
	put_process(&output, &record, "sh\0-c\0\0", 7);
	CHECK(output.used % 8 == 0 && frame->header.length == output.used && frame->header.flags == WIRE_PROCESS_EXEC);
	CHECK(frame->comm_length == 2 && frame->exe_length == 7 && frame->cgroup_length == 2 && frame->cmdline_length == 5);
	CHECK(memcmp(frame + 1, WANTED, sizeof(WANTED)) == 0);

	/* The longest of everything fits, and a record's own arguments win. */
	output.used = 0;
	memset(record.comm, 'c', sizeof(record.comm));
	memset(record.exe, 'e', sizeof(record.exe));
	memset(record.cgroup, 'g', sizeof(record.cgroup));
	memset(record.cmdline, 'a', sizeof(record.cmdline));
	record.exe_length = record.cgroup_length = record.cmdline_length = UINT32_MAX;
	put_process(&output, &record, "x", 1);
	CHECK(frame->comm_length == 16 && frame->exe_length == PATH_AREA && frame->cmdline_length == CMDLINE_MAX);
	CHECK(frame->header.length == output.used && output.used <= WIRE_FRAME_MAX);
}

static void test_features_and_hello(void)
{
	static struct output output;
	struct feature features[FEATURES] = { [WIRE_F_CGROUP_FILTER] = { .error = 95, .reason = "not requested" } };
	const struct wire_hello *hello = (const void *)output.buffer;
	const struct wire_feature *feature = (const void *)(output.buffer + sizeof(*hello));

	output = (struct output){ .fd = -1 };
	put_hello(&output, features, 77, 4, 1000, 4711);
	put_feature(&output, WIRE_F_CGROUP_FILTER, &features[WIRE_F_CGROUP_FILTER], 1);
	CHECK(hello->magic == WIRE_MAGIC && hello->version == WIRE_VERSION && hello->start_ktime == 77 && hello->cpus == 4);
	CHECK(hello->features == (1u << FEATURES) - 1 - (1u << WIRE_F_CGROUP_FILTER) && hello->capture_max == 1000);
	CHECK(feature->id == WIRE_F_CGROUP_FILTER && feature->error == 95 && feature->header.length % 8 == 0);
	CHECK(memcmp(feature + 1, "cgroup_filter\0not requested", 28) == 0);
}

/* A ring in plain memory, in the kernel's layout. */
struct fake_ring {
	struct ring ring;
	uint64_t consumer, producer;
	uint8_t data[2 * 4096];
};

static struct fake_ring *new_ring(void)
{
	struct fake_ring *fake = calloc(1, sizeof(*fake));
	fake->ring = (struct ring){ .consumer = &fake->consumer, .producer = &fake->producer, .data = fake->data, .mask = 4095,
				    .entries = calloc(65536, sizeof(struct ring_entry)) };
	return fake;
}

static void free_ring(struct fake_ring *fake)
{
	free(fake->ring.entries);
	free(fake);
}

/* One record with a bare header; `bits` as the kernel sets them. Returns where its length word is. */
static uint32_t *put_record(struct fake_ring *fake, uint64_t ktime, uint16_t type, uint32_t bits)
{
	struct wire_header header = { .length = 16, .type = type, .ktime = ktime };
	uint64_t at = fake->producer & 4095;
	uint32_t word = (uint32_t)sizeof(header) | bits;
	uint8_t record[8 + sizeof(header)] = { 0 };

	memcpy(record, &word, 4);
	memcpy(record + 8, &header, sizeof(header));
	/* The kernel maps the same memory twice; here there are two copies. */
	for (uint64_t i = 0; i < sizeof(record); i++)
		fake->data[(at + i) % 4096] = fake->data[4096 + (at + i) % 4096] = record[i];
	fake->producer += sizeof(record);
	return (uint32_t *)(fake->data + at);
}

static struct {
	uint64_t ktimes[512];
	uint16_t types[512];
	int count;
} seen;

static void see(void *context, const struct wire_header *frame, uint32_t bytes)
{
	(void)context;
	CHECK(bytes == 16);
	seen.ktimes[seen.count] = frame->ktime;
	seen.types[seen.count++] = frame->type;
}

static uint64_t merge(struct fake_ring *control, struct fake_ring *data, uint64_t until, uint64_t drained)
{
	seen.count = 0;
	return merge_rings(&control->ring, &data->ring, until, drained, see, NULL);
}

static void test_rings_are_merged_by_time(void)
{
	struct fake_ring *control = new_ring(), *data = new_ring();

	put_record(control, 10, WIRE_CONN_OPEN, 0);
	put_record(control, 40, WIRE_CONN_CLOSE, 0);
	put_record(data, 10, WIRE_CONN_DATA, 0);
	put_record(data, 30, WIRE_CONN_DATA, 0);
	put_record(data, 20, WIRE_CONN_DATA, 0);
	put_record(data, 25, WIRE_CONN_DATA, BPF_RINGBUF_DISCARD_BIT);
	put_record(data, 90, WIRE_CONN_DATA, 0);
	CHECK(merge(control, data, 50, 0) == 50);
	CHECK(seen.count == 5);
	CHECK(seen.types[0] == WIRE_CONN_OPEN && seen.types[1] == WIRE_CONN_DATA && seen.types[4] == WIRE_CONN_CLOSE);
	CHECK(seen.ktimes[2] == 20 && seen.ktimes[3] == 30);
	CHECK(merge(control, data, 100, 50) == 100 && seen.count == 1 && seen.ktimes[0] == 90);
	CHECK(merge(control, data, 100, 100) == 100 && seen.count == 0);
	CHECK(control->consumer == control->producer && data->consumer == data->producer);
	free_ring(control);
	free_ring(data);
}

static void test_a_round_ends_where_no_later_place_has_an_earlier_time(void)
{
	struct fake_ring *control = new_ring(), *data = new_ring();

	put_record(data, 40, 1, 0);
	put_record(data, 60, 1, 0);
	put_record(data, 48, 1, 0);
	put_record(control, 45, 1, 0);
	put_record(control, 49, 1, 0);
	/* 48 lies behind 60, which is too late for this round: so the round ends before 48, in both rings. */
	CHECK(merge(control, data, 50, 0) == 47);
	CHECK(seen.count == 2 && seen.ktimes[0] == 40 && seen.ktimes[1] == 45);
	CHECK(merge(control, data, 100, 47) == 100);
	CHECK(seen.count == 3 && seen.ktimes[0] == 48 && seen.ktimes[1] == 49 && seen.ktimes[2] == 60);
	free_ring(control);
	free_ring(data);
}

static void test_an_incomplete_record_stops_the_round(void)
{
	struct fake_ring *control = new_ring(), *data = new_ring();
	uint32_t *word;

	put_record(data, 20, 1, 0);
	word = put_record(data, 0, 1, BPF_RINGBUF_BUSY_BIT);
	put_record(data, 25, 1, 0);
	CHECK(merge(control, data, 50, 10) == 10 && seen.count == 0);
	*word &= ~BPF_RINGBUF_BUSY_BIT;
	CHECK(merge(control, data, 60, 10) == 60 && seen.count == 3);
	/* It came late: told, and what was promised stays promised. */
	CHECK(seen.ktimes[0] == 0);
	free_ring(control);
	free_ring(data);
}

static void test_random_rings_lose_nothing_and_keep_promises(void)
{
	unsigned seed = getenv("SEED") ? (unsigned)atoi(getenv("SEED")) : 20261121;

	printf("merge seed %u (SEED=)\n", seed);
	srand(seed);
	for (int run = 0; run < 300; run++) {
		struct fake_ring *rings[2] = { new_ring(), new_ring() };
		uint64_t clock = 1000, drained = 0, last = 0;
		int put = 0, got = 0;
		for (int round = 0; round < 40; round++) {
				for (int i = rand() % 20; i-- > 0;) {
				/* Places in almost the order of times; none earlier than what has been promised. */
				clock += (uint64_t)rand() % 5;
				put_record(rings[rand() % 2], clock - (uint64_t)rand() % 20, 1,
					   rand() % 10 == 0 ? (put--, BPF_RINGBUF_DISCARD_BIT) : 0);
				put++;
			}
			/* As in a session: a round ends so far behind now that nothing earlier can still come. */
			uint64_t now = merge(rings[0], rings[1], clock > 40 ? clock - 40 : 0, drained);
			CHECK(now >= drained);
			for (int i = 0; i < seen.count; i++) {
				CHECK(seen.ktimes[i] >= last && seen.ktimes[i] > drained && seen.ktimes[i] <= now);
				last = seen.ktimes[i];
			}
			got += seen.count;
			drained = now;
		}
		merge(rings[0], rings[1], UINT64_MAX - 1, drained);
		CHECK(got + seen.count == put);
		free_ring(rings[0]);
		free_ring(rings[1]);
	}
}

static bool feed(struct control *control, const void *bytes, size_t length)
{
	memcpy(control->buffer + control->used, bytes, length);
	control->used += length;
	return control_take(control);
}

static void test_control_frames_come_in_pieces(void)
{
	static struct settings settings = { .capture_max = 1000 };
	static struct kernel kernel = { .settings = &settings };
	static struct control control = { .kernel = &kernel };
	struct wire_follow follow = { .header = { .length = sizeof(follow), .type = WIRE_FOLLOW },
				      .id = { .tgid = 1, .fd = 2, .tsid = 3 }, .capture_max = 5000 };
	struct wire_mute gone = { .header = { .length = sizeof(gone), .type = WIRE_MUTE } };
	struct wire_ignore_tgid ignore = { .header = { .length = sizeof(ignore), .type = WIRE_IGNORE_TGID }, .tgid = 42 };
	struct wire_header unknown = { .length = 16, .type = 99 }, crooked = { .length = 20, .type = WIRE_MUTE };

	memset(&noted, 0, sizeof(noted));
	for (size_t i = 0; i < sizeof(follow); i++) {
		CHECK(noted.verdicts == 0);
		CHECK(feed(&control, (uint8_t *)&follow + i, 1));
	}
	CHECK(noted.verdicts == 1 && noted.published == 1 && noted.id.tsid == 3);
	CHECK(noted.verdict.verdict == VERDICT_FOLLOW && noted.verdict.capture_max == 1000);
	CHECK(feed(&control, &unknown, sizeof(unknown)) && feed(&control, &gone, sizeof(gone)));
	CHECK(noted.verdicts == 2 && noted.verdict.verdict == VERDICT_MUTE && noted.published == 1);
	CHECK(feed(&control, &ignore, sizeof(ignore)) && noted.ignored == 1 && noted.tgid == 42);
	CHECK(!feed(&control, &crooked, sizeof(crooked)));
	control.used = 0;
	CHECK(!feed(&control, "GET / HTTP/1.1\r\n\r\n", 18));
	control.used = 0;
	/* A frame that is too short for its type is skipped. */
	follow.header.length = 16;
	CHECK(feed(&control, &follow, 16) && noted.verdicts == 2);

	srand(7);
	for (int run = 0; run < 20000; run++) {
		uint8_t noise[64];
		for (size_t i = 0; i < sizeof(noise); i++)
			noise[i] = (uint8_t)(rand() % 4 ? rand() % 70 * (i % 8 == 0 || i % 8 == 4) : rand());
		if (control.used + sizeof(noise) > sizeof(control.buffer) || !feed(&control, noise, (size_t)rand() % sizeof(noise)))
			control.used = 0;
	}
}

static bool parse(struct options *options, char *message, size_t bytes, int count, ...)
{
	char *arguments[16] = { (char *)"sluice-probe" };
	__builtin_va_list list;
	__builtin_va_start(list, count);
	for (int i = 1; i <= count; i++)
		arguments[i] = __builtin_va_arg(list, char *);
	__builtin_va_end(list);
	return options_parse(options, count + 1, arguments, message, bytes);
}

static void test_options(void)
{
	struct options options;
	char message[200], long_path[200];

	memset(long_path, 'p', sizeof(long_path));
	long_path[199] = '\0';
	CHECK(parse(&options, message, sizeof(message), 7, "--socket", "/s", "--once", "--pid", "7", "--pid", "4194304"));
	CHECK(strcmp(options.socket_path, "/s") == 0 && options.once && options.pid_count == 2 && options.pids[1] == 4194304);
	CHECK(options.socket_uid == -1 && options.capture_max == WIRE_CAPTURE_MAX);
	CHECK(parse(&options, message, sizeof(message), 5, "--stdout", "--capture-max", "0", "--socket-uid", "1000"));
	CHECK(options.capture_max == 0 && options.socket_uid == 1000 && options.use_stdout);
	CHECK(!parse(&options, message, sizeof(message), 2, "--socket", long_path));
	CHECK(!parse(&options, message, sizeof(message), 3, "--stdout", "--pid", "1x"));
	CHECK(!parse(&options, message, sizeof(message), 3, "--stdout", "--pid", ""));
	CHECK(!parse(&options, message, sizeof(message), 3, "--stdout", "--capture-max", "16385"));
	CHECK(strstr(message, "16384") != NULL);
	CHECK(!parse(&options, message, sizeof(message), 1, "--once"));
	CHECK(strcmp(options.cgroup, "auto") == 0 && !options.host_processes && options.socket_gid == -1);
	CHECK(parse(&options, message, sizeof(message), 6, "--stdout", "--cgroup", "/a/b", "--host-processes", "--socket-gid", "7"));
	CHECK(strcmp(options.cgroup, "/a/b") == 0 && options.host_processes && options.socket_gid == 7);
	CHECK(parse(&options, message, sizeof(message), 3, "--stdout", "--cgroup", "pods"));
	CHECK(!parse(&options, message, sizeof(message), 3, "--stdout", "--cgroup", "kubepods"));
	CHECK(strstr(message, "auto, pods, off") != NULL);
}

#define ID "9fe944c22f1cd09402b72349577a70569fe944c22f1cd09402b72349577a7056"

/* Where this node's pods begin, in the layouts that there are. */
static void test_levels_of_cgroup_paths(void)
{
	CHECK(pods_level("/") == 0 && pods_level("") == 0 && pods_level("/user.slice/user-0.slice") == 0);
	CHECK(pods_level("/kubepods/burstable/podx/" ID) == 1);
	CHECK(pods_level("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podx.slice/cri-containerd-" ID ".scope") == 1);
	CHECK(pods_level("/node-1/kubepods/podx/" ID) == 2);
	CHECK(pods_level("/docker/" ID "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-podx.slice/" ID) == 4);
	CHECK(pods_level("/kubepods/podx/" ID "/kubepods.slice/kubepods-pody.slice/" ID) == 4);
	CHECK(pods_level("/system.slice/my-kubepods.service") == 0 && pods_level("/kubepods-x") == 0);
	CHECK(container_level("/kubepods/podx/" ID, 1) == 0);
	CHECK(container_level("/docker/" ID "/kubelet.slice/kubelet-kubepods.slice/x/" ID, 4) == 2);
	CHECK(container_level("/system.slice/docker-" ID ".scope/kubepods/podx/" ID, 3) == 2);
	CHECK(container_level("/kubepods/podx/" ID "/init/kubepods/pody/" ID, 5) == 3);
	CHECK(container_level("/docker/x" ID "0/kubepods/podx/" ID, 3) == 2);
	CHECK(container_level("/docker/9fe9/kubepods/podx/" ID, 3) == 0);
}

static void test_clocks_are_read_together(void)
{
	uint64_t before = ktime_now(), ktime, realtime, boottime;
	read_clocks(&ktime, &realtime, &boottime);
	CHECK(ktime >= before && ktime <= ktime_now() && boottime >= ktime && realtime > UINT64_C(1700000000000000000));
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	test_output_keeps_every_frame_whole_and_in_order();
	test_output_gives_up_when_the_agent_has_gone();
	test_output_takes_the_largest_frame();
	test_process_texts_are_packed();
	test_features_and_hello();
	test_rings_are_merged_by_time();
	test_a_round_ends_where_no_later_place_has_an_earlier_time();
	test_an_incomplete_record_stops_the_round();
	test_random_rings_lose_nothing_and_keep_promises();
	test_control_frames_come_in_pieces();
	test_options();
	test_levels_of_cgroup_paths();
	test_clocks_are_read_together();
	printf("%d checks, %d failed\n", checks, failures);
	return failures != 0;
}
