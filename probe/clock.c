/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's clocks. bpf_ktime_get_ns() is CLOCK_MONOTONIC. */
#include <time.h>

#include "probe.h"

static uint64_t read_clock(clockid_t id)
{
	struct timespec time;
	clock_gettime(id, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

uint64_t ktime_now(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

void read_clocks(uint64_t *ktime, uint64_t *realtime, uint64_t *boottime)
{
	uint64_t best = UINT64_MAX;

	/* Being interrupted between the readings would tell a wrong offset; the closest of some tries was not. */
	for (int attempt = 0; attempt < 5; attempt++) {
		uint64_t before = ktime_now();
		uint64_t real = read_clock(CLOCK_REALTIME);
		uint64_t boot = read_clock(CLOCK_BOOTTIME);
		uint64_t after = ktime_now();
		if (after - before >= best)
			continue;
		best = after - before;
		*ktime = before + best / 2;
		*realtime = real;
		*boottime = boot;
	}
}
