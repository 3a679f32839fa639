/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From a file descriptor to a connection, once per connection; then its life in the map `conns`.
 */
#ifndef SLUICE_CONNECTION_BPF_H
#define SLUICE_CONNECTION_BPF_H

/* The current task's open file `fd` as a number: only ever compared, or read through with probe reads. */
static __always_inline u64 current_file(u32 fd)
{
	struct file **files;
	u64 file = 0;
	u32 max_fds;

	if (MODERN) {
		/* Typed pointers: plain loads that the kernel lets fault, cheaper than a helper call for each step. */
		struct fdtable *table = bpf_get_current_task_btf()->files->fdt;
		max_fds = table->max_fds;
		files = table->fd;
	} else {
		struct task_struct *task = (void *)bpf_get_current_task();
		struct fdtable *table = BPF_CORE_READ(task, files, fdt);
		max_fds = BPF_CORE_READ(table, max_fds);
		files = BPF_CORE_READ(table, fd);
	}
	if (fd >= max_fds || bpf_probe_read_kernel(&file, sizeof(file), files + fd))
		return 0;
	return file;
}

/* The TCP or UDP socket behind a file; null for everything else. */
static __always_inline struct sock *inet_socket(u64 file_address, u16 *protocol)
{
	struct file *file = (void *)file_address;
	struct socket *socket;
	struct sock *sk;
	u16 family;

	if ((BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return 0;
	socket = BPF_CORE_READ(file, private_data);
	sk = BPF_CORE_READ(socket, sk);
	if (!sk)
		return 0;
	family = BPF_CORE_READ(sk, __sk_common.skc_family);
	if (family != AF_INET && family != AF_INET6)
		return 0;
	*protocol = BPF_CORE_READ(sk, sk_protocol);
	if (*protocol == IPPROTO_MPTCP)
		*protocol = IPPROTO_TCP;
	return *protocol == IPPROTO_TCP || *protocol == IPPROTO_UDP ? sk : 0;
}

static __always_inline u64 start_ticks_of(struct task_struct *task)
{
	return BPF_CORE_READ(task, group_leader, start_boottime) / NSEC_PER_TICK;
}

static __always_inline void fill_addresses(struct wire_conn_open *open, struct sock *sk)
{
	open->family = BPF_CORE_READ(sk, __sk_common.skc_family);
	open->local_port = BPF_CORE_READ(sk, __sk_common.skc_num);
	open->remote_port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
	open->netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	if (open->family == AF_INET6) {
		struct in6_addr local = BPF_CORE_READ(sk, __sk_common.skc_v6_rcv_saddr);
		struct in6_addr remote = BPF_CORE_READ(sk, __sk_common.skc_v6_daddr);
		if (remote.in6_u.u6_addr32[0] == 0 && remote.in6_u.u6_addr32[1] == 0 &&
		    remote.in6_u.u6_addr32[2] == bpf_htonl(0xffff)) {
			/* IPv4 through an IPv6 socket: say what it is on the network. */
			open->family = AF_INET;
			__builtin_memcpy(open->local_address, &local.in6_u.u6_addr32[3], 4);
			__builtin_memcpy(open->remote_address, &remote.in6_u.u6_addr32[3], 4);
			return;
		}
		__builtin_memcpy(open->local_address, &local, 16);
		__builtin_memcpy(open->remote_address, &remote, 16);
		return;
	}
	*(u32 *)open->local_address = BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr);
	*(u32 *)open->remote_address = BPF_CORE_READ(sk, __sk_common.skc_daddr);
}

/*
 * The role of a connection whose beginning we did not see. A socket that accept() made has inherited its listener's
 * backlog limit, one that connect() made never had one; a listener with limit 0 is recognised by its port, at snapshot.
 */
static __always_inline u8 guess_role(struct sock *sk, u16 protocol)
{
	struct listener_key key = {};
	if (protocol != IPPROTO_TCP)
		return WIRE_ROLE_UNKNOWN;
	if (BPF_CORE_READ(sk, sk_max_ack_backlog) > 0)
		return WIRE_ROLE_SERVER;
	key.netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	key.port = BPF_CORE_READ(sk, __sk_common.skc_num);
	key.protocol = protocol;
	return bpf_map_lookup_elem(&listeners, &key) ? WIRE_ROLE_SERVER : WIRE_ROLE_CLIENT;
}

static __always_inline void fill_id(struct wire_conn_id *id, const struct conn_key *key, const struct conn *conn)
{
	id->tgid = key->tgid;
	id->fd = key->fd;
	id->tsid = conn->tsid;
	id->start_ticks = conn->start_ticks;
}

static __always_inline void fill_open(struct wire_conn_open *open, const struct conn_key *key, const struct conn *conn,
				      struct sock *sk, u64 ktime)
{
	open->header.length = sizeof(*open);
	open->header.type = WIRE_CONN_OPEN;
	open->header.ktime = ktime;
	fill_id(&open->id, key, conn);
	open->role = conn->role;
	open->origin = conn->origin;
	open->protocol = conn->protocol;
	fill_addresses(open, sk);
}

static __noinline void announce(const struct conn_key *key, struct conn *conn, struct sock *sk, u64 ktime)
{
	struct wire_conn_open open = {};
	fill_open(&open, key, conn, sk, ktime);
	conn->announced = send_control(&open, sizeof(open));
}

static __always_inline struct process_state *process_of(u32 tgid, u64 start_ticks)
{
	struct process_state fresh = { .start_ticks = start_ticks };
	struct process_state *state = bpf_map_lookup_elem(&processes, &tgid);
	if (state && state->start_ticks == start_ticks)
		return state;
	if (bpf_map_update_elem(&processes, &tgid, &fresh, BPF_ANY))
		return 0;
	return bpf_map_lookup_elem(&processes, &tgid);
}

static __always_inline bool is_ignored(u32 tgid, const struct settings *config)
{
	if (tgid == config->own_tgid || bpf_map_lookup_elem(&ignored_tgids, &tgid))
		return true;
	return config->allow_list && !bpf_map_lookup_elem(&allowed_tgids, &tgid);
}

/* Puts a new connection into the map; null if that is full. */
static __always_inline struct conn *add_conn(const struct conn_key *key, u64 file, u16 protocol, u8 role, u8 origin,
					     u64 start_ticks, u64 ktime)
{
	struct conn fresh = {};
	struct process_state *process;

	fresh.file = file;
	fresh.tsid = ktime;
	fresh.start_ticks = start_ticks;
	fresh.protocol = protocol;
	fresh.role = role;
	fresh.origin = origin;
	if (bpf_map_update_elem(&conns, key, &fresh, BPF_ANY)) {
		COUNT_DROP(connections_full);
		return 0;
	}
	process = process_of(key->tgid, start_ticks);
	if (process)
		__sync_fetch_and_add(&process->connections, 1);
	return bpf_map_lookup_elem(&conns, key);
}

static __noinline void close_conn(const struct conn_key *key, struct conn *conn, u64 ktime)
{
	struct wire_conn_close close = {};
	struct process_state *process;

	close.header.length = sizeof(close);
	close.header.type = WIRE_CONN_CLOSE;
	close.header.ktime = ktime;
	fill_id(&close.id, key, conn);
	close.sent = conn->sent;
	close.received = conn->received;
	if (conn->verdict != VERDICT_NONE)
		bpf_map_delete_elem(&verdicts, key);
	if (bpf_map_delete_elem(&conns, key))
		return; /* another thread was faster and has said it */
	send_control(&close, sizeof(close));
	process = bpf_map_lookup_elem(&processes, &key->tgid);
	if (process && process->connections)
		__sync_fetch_and_add(&process->connections, -1);
}

/*
 * The connection behind the current task's `fd`; made if we did not know it (or knew another in this place). `origin`
 * says how we come to look. Null: not ours to follow.
 */
static __noinline struct conn *find_conn(const struct conn_key *key, u32 origin, u64 ktime)
{
	struct conn *conn = bpf_map_lookup_elem(&conns, key);
	struct settings *config;
	struct task_struct *task;
	struct sock *sk;
	u16 protocol = 0;
	u8 role, state;
	u64 file;

	if (!conn) {
		config = get_settings();
		if (!config || is_ignored(key->tgid, config))
			return 0;
	}
	file = current_file(key->fd);
	if (conn && conn->file == file && conn->announced && origin == WIRE_ORIGIN_DATA)
		return conn;
	if (conn && conn->file != file) {
		close_conn(key, conn, ktime);
		conn = 0;
	}
	if (!file)
		return 0;
	sk = inet_socket(file, &protocol);
	if (!sk)
		return 0;
	if (conn) {
		/* The OPEN was dropped, or a connect() goes on or names another peer. */
		if (origin != WIRE_ORIGIN_DATA && conn->origin == WIRE_ORIGIN_DATA) {
			conn->origin = origin;
			conn->role = origin == WIRE_ORIGIN_ACCEPT ? WIRE_ROLE_SERVER : WIRE_ROLE_CLIENT;
		}
	} else {
		state = BPF_CORE_READ(sk, __sk_common.skc_state);
		if (protocol == IPPROTO_TCP && state == TCP_LISTEN)
			return 0;
		role = origin == WIRE_ORIGIN_ACCEPT  ? WIRE_ROLE_SERVER :
		       origin == WIRE_ORIGIN_CONNECT ? WIRE_ROLE_CLIENT :
						       guess_role(sk, protocol);
		task = (void *)bpf_get_current_task();
		conn = add_conn(key, file, protocol, role, origin, start_ticks_of(task), ktime);
		if (!conn)
			return 0;
	}
	announce(key, conn, sk, ktime);
	return conn;
}

#endif
