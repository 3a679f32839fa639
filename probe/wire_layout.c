/* SPDX-License-Identifier: Apache-2.0 */
/* Compiled with -Wpadded and never linked: the sizes that both ends of the wire count on. */
#include "shared.h"

_Static_assert(sizeof(struct wire_header) == 16, "header");
_Static_assert(sizeof(struct wire_hello) == 184, "hello");
_Static_assert(sizeof(struct wire_feature) == 24, "feature");
_Static_assert(sizeof(struct wire_clock) == 32, "clock");
_Static_assert(sizeof(struct wire_process) == 48, "process");
_Static_assert(sizeof(struct wire_process_exit) == 48, "process_exit");
_Static_assert(sizeof(struct wire_process_sample) == 112, "process_sample");
_Static_assert(sizeof(struct wire_sample_end) == 16, "sample_end");
_Static_assert(sizeof(struct wire_conn_id) == 24, "conn_id");
_Static_assert(sizeof(struct wire_conn_open) == 88, "conn_open");
_Static_assert(sizeof(struct wire_conn_data) == 56, "conn_data");
_Static_assert(sizeof(struct wire_conn_close) == 56, "conn_close");
_Static_assert(sizeof(struct wire_conn_counts) == 56, "conn_counts");
_Static_assert(sizeof(struct wire_drops) == 64, "drops");
_Static_assert(sizeof(struct wire_drained) == 16, "drained");
_Static_assert(sizeof(struct wire_snapshot_end) == 16, "snapshot_end");
_Static_assert(sizeof(struct wire_blind) == 24, "blind");
_Static_assert(sizeof(struct wire_local_network) == 40, "local_network");
_Static_assert(sizeof(struct wire_follow) == 48, "follow");
_Static_assert(sizeof(struct wire_mute) == 40, "mute");
_Static_assert(sizeof(struct wire_ignore_tgid) == 24, "ignore_tgid");
_Static_assert(sizeof(struct process_record) % 8 == 0, "records are frames too");
