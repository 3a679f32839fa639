/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One successful read or write: the stream position goes on, and if the agent wants it, a CONN_DATA frame leaves. */
#ifndef SLUICE_CAPTURE_BPF_H
#define SLUICE_CAPTURE_BPF_H

#define SEGMENTS_MAX 1024      /* UIO_MAXIOV */
#define SEGMENTS_MAX_UNROLLED 8 /* more than 12 do not pass the verifier without bpf_loop */

enum source { SOURCE_NONE, SOURCE_BUFFER, SOURCE_VECTOR, SOURCE_HEADER, SOURCE_HEADERS };

/* What a system call moved. */
struct transfer {
	u64 ktime;
	u64 address; /* user memory: the buffer, the iovec array, the msghdr or the mmsghdr array */
	u64 count;   /* segments, or messages */
	u64 bytes;
	struct conn_key key;
	u32 source;
	u32 sent;
};

struct user_iovec {
	u64 base;
	u64 length;
};
struct user_msghdr {
	u64 name;
	u64 name_length;
	u64 segments;
	u64 segment_count;
	u64 control;
	u64 control_length;
	u64 flags;
};
struct user_mmsghdr {
	struct user_msghdr header;
	u64 bytes; /* the lower half; the upper is padding */
};

struct gather {
	struct scratch *scratch;
	u64 segments;
	u64 count;
	u32 wanted;
	u32 filled;
	u32 failed;
	u32 reserved;
};

/* Copies `bytes` to the payload at `filled`. Both bounds are repeated right before the read, where the verifier looks. */
static __always_inline bool copy_in(struct scratch *scratch, u32 filled, u32 bytes, u64 address)
{
	asm volatile("" : "+r"(bytes), "+r"(filled));
	filled &= WIRE_CAPTURE_MAX - 1;
	if (bytes > WIRE_CAPTURE_MAX)
		return false;
	return bpf_probe_read_user(scratch->payload + filled, bytes, (void *)address) == 0;
}

/* True when there is nothing more to do. */
static __always_inline bool gather_segment(struct gather *gather, u32 index)
{
	struct user_iovec segment;
	u32 room = gather->wanted - gather->filled;

	if (index >= gather->count || room == 0 || room > WIRE_CAPTURE_MAX)
		return true;
	if (bpf_probe_read_user(&segment, sizeof(segment), (void *)(gather->segments + index * sizeof(segment)))) {
		gather->failed = 1;
		return true;
	}
	if (segment.length == 0)
		return false;
	if (segment.length < room)
		room = segment.length;
	if (!copy_in(gather->scratch, gather->filled, room, segment.base)) {
		gather->failed = 1;
		return true;
	}
	gather->filled += room;
	return false;
}

static long gather_one(u32 index, void *context)
{
	return gather_segment(context, index);
}

/* How many bytes of this message the agent wants; negative: not even a frame. */
static __always_inline s32 wanted_bytes(struct conn *conn, const struct conn_key *key)
{
	struct settings *config = get_settings();
	struct verdict *said;

	if (!config || conn->protocol != IPPROTO_TCP)
		return -1;
	if (conn->generation != config->verdict_generation) {
		conn->generation = config->verdict_generation;
		said = bpf_map_lookup_elem(&verdicts, key);
		if (said && said->tsid == conn->tsid) {
			conn->capture_max = said->capture_max;
			conn->verdict = said->verdict;
		}
	}
	if (conn->verdict == VERDICT_FOLLOW)
		return conn->capture_max;
	if (conn->verdict == VERDICT_MUTE)
		return -1;
	/* The agent's answer takes a few rounds of the rings; a fast connection has said far more than 8 messages by then. */
	if (conn->messages < WIRE_UNDECIDED_MESSAGES)
		conn->messages++;
	else if (conn->undecided_bytes > WIRE_UNDECIDED_BYTES)
		return -1;
	return config->capture_max;
}

static __noinline void deliver(struct transfer *transfer, struct conn *conn)
{
	u32 cpu = bpf_get_smp_processor_id(), wanted, captured = 0, flags = 0, length;
	u64 *position = transfer->sent ? &conn->sent : &conn->received;
	u64 bytes = transfer->bytes, at;
	struct gather gather = {};
	struct scratch *scratch;
	s32 limit;

	if (MODERN) {
		at = __sync_fetch_and_add(position, bytes);
	} else {
		/* Before 5.12 there is no add that tells the old value. */
		at = *position;
		__sync_fetch_and_add(position, bytes);
	}
	limit = wanted_bytes(conn, &transfer->key);
	if (limit < 0)
		return;
	scratch = bpf_map_lookup_elem(&data_scratch, &cpu);
	if (!scratch)
		return;

	wanted = bytes < (u32)limit ? bytes : (u32)limit;
	if (transfer->source == SOURCE_NONE) {
		flags = WIRE_DATA_SIZE_ONLY;
	} else if (wanted == 0) {
		/* followed for its sizes */
	} else if (transfer->source == SOURCE_BUFFER) {
		if (copy_in(scratch, 0, wanted, transfer->address))
			captured = wanted;
		else
			gather.failed = 1;
	} else {
		gather.scratch = scratch;
		gather.segments = transfer->address;
		gather.count = transfer->count;
		gather.wanted = wanted;
		if (MODERN) {
			bpf_loop(SEGMENTS_MAX, gather_one, &gather, 0);
		} else {
			for (u32 i = 0; i < SEGMENTS_MAX_UNROLLED; i++)
				if (gather_segment(&gather, i))
					break;
		}
		captured = gather.filled;
	}
	if (gather.failed) {
		COUNT_DROP(payload_faults);
		if (captured == 0)
			flags |= WIRE_DATA_LOST;
	}
	if (transfer->sent)
		flags |= WIRE_DATA_SENT;

	if (captured > WIRE_CAPTURE_MAX)
		captured = WIRE_CAPTURE_MAX;
	/* Frames are padded to 8 bytes, with zeros and not with what another connection left here. */
	__builtin_memset(scratch->payload + captured, 0, 8);
	length = (sizeof(struct wire_conn_data) + captured + 7) & ~7u;
	scratch->frame.header.length = length;
	scratch->frame.header.type = WIRE_CONN_DATA;
	scratch->frame.header.flags = flags;
	scratch->frame.header.ktime = transfer->ktime;
	fill_id(&scratch->frame.id, &transfer->key, conn);
	scratch->frame.position = at;
	scratch->frame.size = bytes;
	scratch->frame.captured = captured;
	asm volatile("" : "+r"(length));
	if (length > sizeof(struct wire_conn_data) + WIRE_CAPTURE_MAX)
		return;
	if (conn->verdict == VERDICT_NONE)
		conn->undecided_bytes += length;
	if (bpf_ringbuf_output(&data_ring, scratch, length, BPF_RB_NO_WAKEUP))
		COUNT_DROP(data_ring_full);
}

/* One msghdr of sendmsg and recvmsg. */
static __always_inline void deliver_header(struct transfer *transfer, struct conn *conn)
{
	struct user_msghdr header;
	if (bpf_probe_read_user(&header, sizeof(header), (void *)transfer->address)) {
		/* `deliver` finds no segment either, and says so. */
		header.segments = 0;
		header.segment_count = 1;
	}
	transfer->source = SOURCE_VECTOR;
	transfer->address = header.segments;
	transfer->count = header.segment_count;
	deliver(transfer, conn);
}

struct messages {
	struct transfer *transfer;
	struct conn *conn;
	u64 address;
	u64 count;
};

/* One message of sendmmsg and recvmmsg. True when there is nothing more to do. */
static __always_inline bool deliver_message(struct messages *messages, u32 index)
{
	struct transfer one = *messages->transfer;
	struct user_mmsghdr message;

	if (index >= messages->count)
		return true;
	if (bpf_probe_read_user(&message, sizeof(message), (void *)(messages->address + index * sizeof(message)))) {
		COUNT_DROP(payload_faults);
		return true;
	}
	one.bytes = (u32)message.bytes;
	if (one.bytes == 0)
		return false;
	one.source = SOURCE_VECTOR;
	one.address = message.header.segments;
	one.count = message.header.segment_count;
	deliver(&one, messages->conn);
	return false;
}

static long deliver_one(u32 index, void *context)
{
	return deliver_message(context, index);
}

/* Everything that moved bytes comes through here. */
static __noinline int on_transfer(struct transfer *transfer)
{
	struct conn *conn = find_conn(&transfer->key, WIRE_ORIGIN_DATA, transfer->ktime);
	if (!conn)
		return 0;
	if (transfer->source == SOURCE_HEADERS) {
		struct messages messages = { transfer, conn, transfer->address, transfer->count };
		if (MODERN) {
			bpf_loop(SEGMENTS_MAX, deliver_one, &messages, 0);
		} else {
			for (u32 i = 0; i < 4; i++)
				if (deliver_message(&messages, i))
					break;
		}
	} else if (transfer->source == SOURCE_HEADER) {
		deliver_header(transfer, conn);
	} else {
		deliver(transfer, conn);
	}
	return 0;
}

#endif
