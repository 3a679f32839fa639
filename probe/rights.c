/* SPDX-License-Identifier: Apache-2.0 */
/*
 * After loading, a compromised probe should be able to do nothing: no capability, no user id that owns files, nothing to
 * gain by executing another program. Open map and link descriptors go on working, but kernels before 5.19 ask for
 * CAP_BPF at every bpf() call where unprivileged BPF is off, so what is needed is tried and not guessed.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "probe.h"

#define NOBODY 65534

struct capabilities {
	uint64_t effective, permitted;
};

static bool get_capabilities(struct capabilities *capabilities)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data) != 0)
		return false;
	capabilities->effective = data[0].effective | (uint64_t)data[1].effective << 32;
	capabilities->permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
	return true;
}

static bool set_capabilities(struct capabilities capabilities)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	memset(data, 0, sizeof(data));
	data[0].effective = (uint32_t)capabilities.effective;
	data[1].effective = (uint32_t)(capabilities.effective >> 32);
	data[0].permitted = (uint32_t)capabilities.permitted;
	data[1].permitted = (uint32_t)(capabilities.permitted >> 32);
	return syscall(SYS_capset, &header, data) == 0;
}

bool rights_have(int capability)
{
	struct capabilities capabilities = { 0, 0 };
	return get_capabilities(&capabilities) && capabilities.effective >> capability & 1;
}

/* The calls that a session makes. */
static bool is_still_able(const struct kernel *kernel)
{
	struct conn_key key = { 0 };
	uint32_t zero = 0;
	struct drop_counters counters[kernel->cpus];
	struct bpf_prog_info info = { 0 };
	uint32_t bytes = sizeof(info);
	int fd;

	if (bpf_map_get_next_key(kernel->conns, NULL, &key) != 0 && errno != ENOENT)
		return false;
	if (bpf_map_lookup_elem(kernel->drops, &zero, counters) != 0)
		return false;
	if (bpf_map_delete_elem(kernel->verdicts, &(struct conn_key){ 0 }) != 0 && errno != ENOENT)
		return false;
	if (bpf_obj_get_info_by_fd(kernel->programs[0], &info, &bytes) != 0)
		return false;
	fd = kernel->links[LIST_COUNTS] < 0 ? -1 : bpf_iter_create(kernel->links[LIST_COUNTS]);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

bool rights_drop(const struct kernel *kernel, long owner)
{
	/* Who owns the socket may also end the process, which is not traceable by anybody after this. */
	uid_t uid = owner > 0 ? (uid_t)owner : NOBODY;
	const uint64_t needed = UINT64_C(1) << CAP_BPF | UINT64_C(1) << CAP_PERFMON;
	struct capabilities capabilities;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || !get_capabilities(&capabilities))
		return false;
	if (geteuid() == 0 && rights_have(CAP_SETUID) && rights_have(CAP_SETGID)) {
		/* Root without capabilities would still own root's files. */
		prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
		if (setgroups(0, NULL) != 0 || setresgid(NOBODY, NOBODY, NOBODY) != 0 || setresuid(uid, uid, uid) != 0)
			return false;
	}
	capabilities.permitted &= needed;
	capabilities.effective = 0;
	if (!set_capabilities(capabilities))
		return false;
	if (is_still_able(kernel)) {
		capabilities.permitted = 0;
		return set_capabilities(capabilities);
	}
	capabilities.effective = capabilities.permitted;
	fprintf(stderr, "sluice-probe: this kernel wants CAP_BPF for the use of maps too; it is kept\n");
	return set_capabilities(capabilities) && is_still_able(kernel);
}
