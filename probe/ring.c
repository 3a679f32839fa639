/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A BPF ring buffer as the kernel lays it out: a page with the consumer's position, a page with the producer's, then the
 * data, mapped twice in a row so that no record is cut in two. libbpf's own reader calls back per record and ring; we
 * need to look at the records of two rings before taking any.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "probe.h"

/* A round takes at most so many records of a ring; the next one comes at once if there are more. */
#define ENTRIES_MAX 65536
/* Records are being written for a few microseconds at most, unless their CPU was taken away meanwhile. */
#define BUSY_SPINS 2000

int ring_open(struct ring *ring, int map_fd, size_t bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *consumer = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd, 0);
	uint8_t *producer = mmap(NULL, page + 2 * bytes, PROT_READ, MAP_SHARED, map_fd, (off_t)page);

	if (consumer == MAP_FAILED || producer == MAP_FAILED)
		return errno;
	ring->consumer = consumer;
	ring->producer = (uint64_t *)producer;
	ring->data = producer + page;
	ring->mask = bytes - 1;
	ring->entries = calloc(ENTRIES_MAX, sizeof(*ring->entries));
	return ring->entries ? 0 : ENOMEM;
}

void ring_discard(struct ring *ring)
{
	__atomic_store_n(ring->consumer, __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE), __ATOMIC_RELEASE);
}

uint64_t ring_used(const struct ring *ring)
{
	return __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE) - *ring->consumer;
}

void ring_index(struct ring *ring)
{
	uint64_t position = *ring->consumer;
	uint64_t end = __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE);

	ring->count = 0;
	ring->stalled = ring->more = false;
	while (position < end) {
		const uint8_t *record = ring->data + (position & ring->mask);
		uint32_t word = __atomic_load_n((const uint32_t *)record, __ATOMIC_ACQUIRE), bytes;

		for (int spin = 0; word & BPF_RINGBUF_BUSY_BIT && spin < BUSY_SPINS; spin++)
			word = __atomic_load_n((const uint32_t *)record, __ATOMIC_ACQUIRE);
		if (word & BPF_RINGBUF_BUSY_BIT) {
			ring->stalled = true;
			return;
		}
		if (ring->count == ENTRIES_MAX) {
			ring->more = true;
			return;
		}
		bytes = word & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
		position += (bytes + BPF_RINGBUF_HDR_SZ + 7) & ~UINT64_C(7);
		if (word & BPF_RINGBUF_DISCARD_BIT)
			continue;
		ring->entries[ring->count] = (struct ring_entry){
			.frame = (const void *)(record + BPF_RINGBUF_HDR_SZ), .bytes = bytes, .end = position,
		};
		ring->entries[ring->count].ktime = ring->entries[ring->count].frame->ktime;
		ring->count++;
	}
}
