/* SPDX-License-Identifier: Apache-2.0 */
/* What user space changes in the kernel side's maps. */
#include <bpf/bpf.h>
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "probe.h"

/* Deletes what `is_gone` says of each key; safe because the next key is asked for before its predecessor goes. */
static void delete_keys(int map, size_t key_bytes, bool (*is_gone)(const void *key, uint32_t tgid), uint32_t tgid)
{
	uint8_t key[16], next[16];
	bool more = bpf_map_get_next_key(map, NULL, next) == 0;

	while (more) {
		memcpy(key, next, key_bytes);
		more = bpf_map_get_next_key(map, key, next) == 0;
		if (is_gone(key, tgid))
			bpf_map_delete_elem(map, key);
	}
}

static bool is_any(const void *key, uint32_t tgid)
{
	(void)key;
	(void)tgid;
	return true;
}

/* Keys of all maps that are swept begin with the tgid. */
static bool is_of(const void *key, uint32_t tgid)
{
	return *(const uint32_t *)key == tgid;
}

static bool is_dead(const void *key, uint32_t tgid)
{
	(void)tgid;
	return kill((pid_t) * (const uint32_t *)key, 0) != 0 && errno == ESRCH;
}

void kernel_clear(const struct kernel *kernel)
{
	delete_keys(kernel->conns, sizeof(struct conn_key), is_any, 0);
	delete_keys(kernel->verdicts, sizeof(struct conn_key), is_any, 0);
	delete_keys(kernel->processes, sizeof(uint32_t), is_any, 0);
	delete_keys(kernel->listeners, sizeof(struct listener_key), is_any, 0);
}

void kernel_forget_dead(const struct kernel *kernel)
{
	delete_keys(kernel->conns, sizeof(struct conn_key), is_dead, 0);
	delete_keys(kernel->verdicts, sizeof(struct conn_key), is_dead, 0);
	delete_keys(kernel->processes, sizeof(uint32_t), is_dead, 0);
	delete_keys(kernel->ignored_tgids, sizeof(uint32_t), is_dead, 0);
}

void kernel_ignore(const struct kernel *kernel, uint32_t tgid)
{
	uint8_t one = 1;
	bpf_map_update_elem(kernel->ignored_tgids, &tgid, &one, BPF_ANY);
	delete_keys(kernel->conns, sizeof(struct conn_key), is_of, tgid);
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
