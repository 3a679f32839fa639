/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two rings into one stream in the order of time.
 *
 * An event takes its time first and its place in a ring a little later, so places are in order of time but for events of
 * different CPUs within about a microsecond. A round therefore ends at a moment `limit` for which both rings divide
 * cleanly, everything up to it in front and everything later behind, and sorts what is in front. So an OPEN comes before
 * its data, a CLOSE after them, and a CLOSE before the next OPEN of the same descriptor.
 */
#include "probe.h"

/* Events that were in order before the index was full are in order beyond it after this time. */
#define DISORDER_NS 1000000

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* How many entries have to go for `*limit`; lowers it where a later place has an earlier time. */
static size_t divide(struct ring *ring, uint64_t *limit)
{
	size_t cut = 0;

	while (cut < ring->count && ring->entries[cut].ktime <= *limit)
		cut++;
	if (cut < ring->count && ring->entries[cut].ktime_min <= *limit)
		*limit = ring->entries[cut].ktime_min - 1;
	return cut;
}

static void prepare(struct ring *ring)
{
	uint64_t minimum = UINT64_MAX;

	for (size_t i = ring->count; i-- > 0;) {
		minimum = smaller(minimum, ring->entries[i].ktime);
		ring->entries[i].ktime_min = minimum;
	}
}

/* Almost sorted already: each entry moves over very few others. Stable. */
static void sort(struct ring_entry *entries, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		struct ring_entry moved = entries[i];
		size_t at = i;
		for (; at > 0 && entries[at - 1].ktime > moved.ktime; at--)
			entries[at] = entries[at - 1];
		entries[at] = moved;
	}
}

uint64_t merge_rings(struct ring *first, struct ring *second, uint64_t until, uint64_t drained, record_sink sink,
		     void *context)
{
	struct ring *rings[2] = { first, second };
	uint64_t limit = until, before, ends[2] = { 0, 0 };
	size_t cuts[2], at[2] = { 0, 0 };

	for (int i = 0; i < 2; i++) {
		ring_index(rings[i]);
		prepare(rings[i]);
		/* A record that is not complete has an unknown time, though not one before the last round's end. */
		if (rings[i]->stalled)
			limit = smaller(limit, drained);
		if (rings[i]->more)
			limit = smaller(limit, rings[i]->entries[rings[i]->count - 1].ktime - DISORDER_NS);
	}
	do {
		before = limit;
		cuts[0] = divide(first, &limit);
		cuts[1] = divide(second, &limit);
	} while (limit != before);

	for (int i = 0; i < 2; i++) {
		if (cuts[i] > 0)
			ends[i] = rings[i]->entries[cuts[i] - 1].end;
		sort(rings[i]->entries, cuts[i]);
	}
	while (at[0] < cuts[0] || at[1] < cuts[1]) {
		int from = at[0] == cuts[0] ? 1 : at[1] == cuts[1] ? 0 :
			   first->entries[at[0]].ktime <= second->entries[at[1]].ktime ? 0 : 1;
		const struct ring_entry *entry = &rings[from]->entries[at[from]++];
		sink(context, entry->frame, entry->bytes);
	}
	for (int i = 0; i < 2; i++)
		if (cuts[i] > 0)
			__atomic_store_n(rings[i]->consumer, ends[i], __ATOMIC_RELEASE);
	return limit > drained ? limit : drained;
}
