/* SPDX-License-Identifier: Apache-2.0 */
/* Whole frames are put together in one buffer and leave in few, large writes. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "probe.h"

void output_flush(struct output *output)
{
	size_t sent = 0;

	while (sent < output->used && !output->broken) {
		ssize_t bytes = write(output->fd, output->buffer + sent, output->used - sent);
		if (bytes >= 0)
			sent += (size_t)bytes;
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
			output->broken = output->wait == NULL || !output->wait(output->wait_context);
		else if (errno != EINTR)
			output->broken = true;
	}
	output->used = 0;
}

void *output_reserve(struct output *output, size_t bytes)
{
	void *frame;

	if (bytes > sizeof(output->buffer) - output->used)
		output_flush(output);
	frame = output->buffer + output->used;
	memset(frame, 0, bytes);
	output->used += bytes;
	return frame;
}

void output_copy(struct output *output, const void *frame, size_t bytes)
{
	if (bytes > sizeof(output->buffer) - output->used)
		output_flush(output);
	memcpy(output->buffer + output->used, frame, bytes);
	output->used += bytes;
}
