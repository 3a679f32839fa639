/* SPDX-License-Identifier: Apache-2.0 */
/* What user space changes in the kernel side's maps. */
#include <bpf/bpf.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "probe.h"

/* Samples come every second; a process without one for so long is gone, or has moved to where we do not look. */
#define OUT_OF_SIGHT_NS UINT64_C(30000000000)

struct sweep {
	const struct kernel *kernel;
	bool (*is_gone)(const struct sweep *sweep, uint32_t tgid);
	uint32_t tgid;
	uint64_t ktime;
	bool is_nested;
};

/* Deletes what is gone; safe because the next key is asked for before its predecessor goes. Keys begin with the tgid. */
static void delete_keys(const struct sweep *sweep, int map, size_t key_bytes)
{
	uint8_t key[16], next[16];
	bool more = bpf_map_get_next_key(map, NULL, next) == 0;
	uint32_t tgid;

	while (more) {
		memcpy(key, next, key_bytes);
		memcpy(&tgid, key, sizeof(tgid));
		more = bpf_map_get_next_key(map, key, next) == 0;
		if (!sweep->is_gone || sweep->is_gone(sweep, tgid))
			bpf_map_delete_elem(map, key);
	}
}

static bool is_of(const struct sweep *sweep, uint32_t tgid)
{
	return tgid == sweep->tgid;
}

static bool is_dead(const struct sweep *sweep, uint32_t tgid)
{
	struct process_state state;
	bool has_state = bpf_map_lookup_elem(sweep->kernel->processes, &tgid, &state) == 0;

	if (has_state && state.round != 0 && state.round + OUT_OF_SIGHT_NS < sweep->ktime)
		return true;
	/* In a pid namespace of our own the kernel's numbers name others, or nobody. */
	return sweep->is_nested ? !has_state : kill((pid_t)tgid, 0) != 0 && errno == ESRCH;
}

void kernel_clear(const struct kernel *kernel)
{
	const struct sweep all = { .kernel = kernel };
	delete_keys(&all, kernel->conns, sizeof(struct conn_key));
	delete_keys(&all, kernel->verdicts, sizeof(struct conn_key));
	delete_keys(&all, kernel->processes, sizeof(uint32_t));
	delete_keys(&all, kernel->listeners, sizeof(struct listener_key));
}

void kernel_forget_dead(const struct kernel *kernel, uint64_t ktime)
{
	const struct sweep dead = {
		.kernel = kernel,
		.is_gone = is_dead,
		.ktime = ktime,
		.is_nested = kernel->settings->own_tgid != (uint32_t)getpid(),
	};
	delete_keys(&dead, kernel->conns, sizeof(struct conn_key));
	delete_keys(&dead, kernel->verdicts, sizeof(struct conn_key));
	delete_keys(&dead, kernel->ignored_tgids, sizeof(uint32_t));
	/* The others ask this one. */
	delete_keys(&dead, kernel->processes, sizeof(uint32_t));
}

void kernel_ignore(const struct kernel *kernel, uint32_t tgid)
{
	const struct sweep own = { .kernel = kernel, .is_gone = is_of, .tgid = tgid };
	uint8_t one = 1;
	bpf_map_update_elem(kernel->ignored_tgids, &tgid, &one, BPF_ANY);
	delete_keys(&own, kernel->conns, sizeof(struct conn_key));
}

bool kernel_set_verdict(const struct kernel *kernel, const struct wire_conn_id *id, struct verdict verdict)
{
	struct conn_key key = { .tgid = id->tgid, .fd = id->fd };
	struct conn conn;

	/* A word on a connection that has closed meanwhile would stay in the map for nothing. */
	if (bpf_map_lookup_elem(kernel->conns, &key, &conn) != 0 || conn.tsid != id->tsid)
		return false;
	verdict.tsid = id->tsid;
	return bpf_map_update_elem(kernel->verdicts, &key, &verdict, BPF_ANY) == 0;
}

void kernel_publish_verdicts(const struct kernel *kernel)
{
	__atomic_add_fetch(&kernel->settings->verdict_generation, 1, __ATOMIC_RELEASE);
}
