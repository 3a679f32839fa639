/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The few kernel structs that the probe reads, with the few fields it needs. The compiler records each access by name
 * and libbpf finds the field's place in the running kernel (CO-RE), so the order and the size here mean nothing.
 * A suffix after three underscores is another kernel version's idea of the same struct.
 */
#ifndef SLUICE_KERNEL_H
#define SLUICE_KERNEL_H

typedef _Bool bool;
#define true 1
#define false 0

typedef __u64 u64;
typedef __u32 u32;
typedef __u16 u16;
typedef __u8 u8;
typedef __s64 s64;
typedef __s32 s32;

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long r10, r9, r8, dx, si, di, orig_ax;
};
struct thread_info {
	u32 status;
};
#elif defined(__TARGET_ARCH_arm64)
struct pt_regs {
	u64 regs[31];
	u64 orig_x0;
	s32 syscallno;
};
struct thread_info {
	unsigned long flags;
};
#else
#error "no system call numbers for this architecture"
#endif

struct list_head {
	struct list_head *next;
};

typedef struct {
	int counter;
} atomic_t;

typedef struct {
	s64 counter;
} atomic64_t;

/* Its first word is the sequence count in every version. */
typedef struct {
	u32 sequence;
} seqlock_t;

typedef struct {
	u32 val;
} kuid_t;

struct ns_common {
	u32 inum;
};
struct net {
	struct ns_common ns;
};
typedef struct {
	struct net *net;
} possible_net_t;

struct in6_addr {
	union {
		u8 u6_addr8[16];
		u32 u6_addr32[4];
	} in6_u;
};

struct sock_common {
	u32 skc_daddr;
	u32 skc_rcv_saddr;
	u16 skc_dport; /* network order */
	u16 skc_num;   /* host order */
	u16 skc_family;
	volatile u8 skc_state;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
};
struct sock {
	struct sock_common __sk_common;
	u16 sk_protocol;
	u32 sk_max_ack_backlog;
};
struct socket {
	short type;
	struct sock *sk;
};

struct qstr {
	const u8 *name;
};
struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
};
struct vfsmount {
	struct dentry *mnt_root;
};
struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
};
struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};
struct inode {
	u16 i_mode;
};
struct file {
	struct inode *f_inode;
	void *private_data;
	struct path f_path;
};
struct fdtable {
	u32 max_fds;
	struct file **fd;
};
struct files_struct {
	struct fdtable *fdt;
};

struct kernfs_node {
	struct kernfs_node *__parent; /* 6.15 */
	const char *name;
	u64 id;
};
struct kernfs_node___before_6_15 {
	struct kernfs_node *parent;
};
struct cgroup {
	int level;
	struct kernfs_node *kn;
	struct cgroup *ancestors[1]; /* 6.1; as many as its level says, and itself */
};
struct cgroup___before_6_1 {
	u64 ancestor_ids[1];
};
struct cgroup_subsys_state {
	struct cgroup *cgroup;
};
struct css_set {
	struct cgroup_subsys_state *subsys[16];
	struct cgroup *dfl_cgrp;
};

struct task_io_accounting {
	u64 rchar;
	u64 wchar;
	u64 read_bytes;
	u64 write_bytes;
};

struct percpu_counter {
	s64 count;
};
struct mm_struct {
	unsigned long total_vm;
	unsigned long arg_start;
	unsigned long arg_end;
	struct percpu_counter rss_stat[4]; /* 6.2 */
	struct file *exe_file;
};
struct mm_rss_stat___before_6_2 {
	atomic64_t count[4];
};
struct mm_struct___before_6_2 {
	struct mm_rss_stat___before_6_2 rss_stat;
};

struct prev_cputime {
	u64 utime;
	u64 stime;
};
struct signal_struct {
	atomic_t live;
	int nr_threads;
	struct list_head thread_head;
	int group_exit_code;
	u32 flags;
	seqlock_t stats_lock;
	u64 utime;
	u64 stime;
	u64 sum_sched_runtime;
	struct prev_cputime prev_cputime;
	unsigned long min_flt;
	unsigned long maj_flt;
	struct task_io_accounting ioac;
};

struct pid_namespace;
struct upid {
	int nr;
	struct pid_namespace *ns;
};
struct pid {
	u32 level;
	struct upid numbers[1]; /* one for each namespace that it is in, the root's first */
};

struct cred {
	kuid_t uid;
};
struct sched_entity {
	u64 sum_exec_runtime;
};
struct task_struct {
	struct thread_info thread_info;
	struct sched_entity se;
	struct mm_struct *mm;
	int exit_code;
	int pid;
	int tgid;
	u32 flags;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	struct pid *thread_pid;
	struct list_head thread_node;
	u64 utime;
	u64 stime;
	u64 start_boottime;
	unsigned long min_flt;
	unsigned long maj_flt;
	const struct cred *real_cred;
	char comm[16];
	struct files_struct *files;
	struct signal_struct *signal;
	struct css_set *cgroups;
	struct task_io_accounting ioac;
};

struct seq_file;
struct bpf_iter_meta {
	struct seq_file *seq;
};
struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};
struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	u32 fd;
	struct file *file;
};
struct bpf_iter__bpf_map_elem {
	struct bpf_iter_meta *meta;
	void *key;
	void *value;
};

#pragma clang attribute pop

/* Only the names count; the values come from the running kernel. */
enum cgroup_subsys_id { cpu_cgrp_id, memory_cgrp_id, pids_cgrp_id };

#define S_IFMT 0170000
#define S_IFSOCK 0140000
#define AF_INET 2
#define AF_INET6 10
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define IPPROTO_MPTCP 262
#define TCP_CLOSE 7
#define TCP_LISTEN 10
#define EINPROGRESS 115
#define MSG_OOB 1
#define MSG_PEEK 2
#define MSG_TRUNC 0x20
#define MSG_ERRQUEUE 0x2000
#define CLOSE_RANGE_CLOEXEC 4
#define SIGNAL_GROUP_EXIT 4
#define PF_KTHREAD 0x00200000
#define NSEC_PER_TICK 10000000 /* USER_HZ is 100 everywhere */

#endif
