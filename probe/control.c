/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent says: FOLLOW, MUTE, IGNORE_TGID. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "probe.h"

static void take_frame(const struct kernel *kernel, const uint8_t *bytes, bool *has_verdicts)
{
	struct wire_header header;

	memcpy(&header, bytes, sizeof(header));
	if (header.type == WIRE_FOLLOW && header.length >= sizeof(struct wire_follow)) {
		struct wire_follow follow;
		memcpy(&follow, bytes, sizeof(follow));
		*has_verdicts |= kernel_set_verdict(
			kernel, &follow.id,
			(struct verdict){ .verdict = VERDICT_FOLLOW,
					  .capture_max = follow.capture_max < kernel->settings->capture_max ?
								 follow.capture_max :
								 kernel->settings->capture_max });
	} else if (header.type == WIRE_MUTE && header.length >= sizeof(struct wire_mute)) {
		struct wire_mute mute;
		memcpy(&mute, bytes, sizeof(mute));
		*has_verdicts |= kernel_set_verdict(kernel, &mute.id, (struct verdict){ .verdict = VERDICT_MUTE });
	} else if (header.type == WIRE_IGNORE_TGID && header.length >= sizeof(struct wire_ignore_tgid)) {
		struct wire_ignore_tgid ignore;
		memcpy(&ignore, bytes, sizeof(ignore));
		kernel_ignore(kernel, ignore.tgid);
	}
	/* Types of a later version are skipped by their length. */
}

bool control_take(struct control *control)
{
	bool has_verdicts = false, is_sane = true;
	size_t at = 0;

	while (control->used - at >= sizeof(struct wire_header)) {
		uint32_t length;
		memcpy(&length, control->buffer + at, sizeof(length));
		if (length < sizeof(struct wire_header) || length % 8 != 0 || length > sizeof(control->buffer)) {
			is_sane = false;
			break;
		}
		if (length > control->used - at)
			break;
		take_frame(control->kernel, control->buffer + at, &has_verdicts);
		at += length;
	}
	memmove(control->buffer, control->buffer + at, control->used - at);
	control->used -= at;
	if (has_verdicts)
		kernel_publish_verdicts(control->kernel);
	return is_sane;
}

bool control_read(struct control *control, int fd)
{
	for (;;) {
		ssize_t bytes = read(fd, control->buffer + control->used, sizeof(control->buffer) - control->used);
		if (bytes < 0 && errno == EINTR)
			continue;
		if (bytes < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK;
		if (bytes == 0)
			return false;
		control->used += (size_t)bytes;
		if (!control_take(control))
			return false;
	}
}
