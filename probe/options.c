/* SPDX-License-Identifier: Apache-2.0 */
/* The command line. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe.h"

const char OPTIONS_HELP[] =
	"usage: sluice-probe --socket PATH | --stdout | --check\n"
	"\n"
	"Loads Sluice's eBPF programs and hands what they see to one agent at a time, as frames (probe/wire.h).\n"
	"\n"
	"  --socket PATH       listen on this unix socket (mode 0600; a file that is there is replaced)\n"
	"  --socket-uid UID    give the socket to this user, and run as this user once loaded (else as nobody)\n"
	"  --socket-gid GID    let this group connect too (mode 0660); one that the probe belongs to\n"
	"  --once              end when the first agent goes\n"
	"  --die-with-parent   end when the process that started this one does\n"
	"  --stdout            one agent: frames to standard output, control frames from standard input\n"
	"  --pid PID           see this process only; may be repeated\n"
	"  --cgroup WHAT       see only the pods of this node. auto (default): those below the innermost kubepods cgroup that\n"
	"                      the probe itself lies in, or everything where it lies in none; pods: the same, or nothing; off:\n"
	"                      everything on this kernel; a path (/a/b): what lies below that cgroup, which the probe must be in\n"
	"  --host-processes    with the pods, see what lies in no pod of any node\n"
	"  --capture-max N     bytes of one message that are captured at most, up to 16384 (default)\n"
	"  --check             load, say what this kernel and these rights allow, and end\n"
	"  --version, --help\n"
	"\n"
	"Needs CAP_BPF and CAP_PERFMON to load and gives them up afterwards. Exit status: 0 done, 1 failed, 2 wrong usage,\n"
	"3 rights are missing, 4 this kernel cannot do it.\n";

static bool parse_number(const char *text, long minimum, long maximum, long *number)
{
	char *end;

	errno = 0;
	*number = strtol(text, &end, 10);
	return errno == 0 && end != text && *end == '\0' && *number >= minimum && *number <= maximum;
}

/* The options with a value; `number` has been checked for those that want one. */
static bool set_value(struct options *options, const char *name, const char *value, char *message, size_t bytes)
{
	long number = 0;

	if (strcmp(name, "--socket") == 0) {
		/* sun_path */
		if (value[0] == '\0' || strlen(value) > 107) {
			snprintf(message, bytes, "--socket needs a path of 1 to 107 bytes");
			return false;
		}
		options->socket_path = value;
	} else if (strcmp(name, "--socket-uid") == 0) {
		if (!parse_number(value, 0, 4294967294L, &options->socket_uid)) {
			snprintf(message, bytes, "--socket-uid needs a user id, not `%.40s`", value);
			return false;
		}
	} else if (strcmp(name, "--socket-gid") == 0) {
		if (!parse_number(value, 0, 4294967294L, &options->socket_gid)) {
			snprintf(message, bytes, "--socket-gid needs a group id, not `%.40s`", value);
			return false;
		}
	} else if (strcmp(name, "--cgroup") == 0) {
		if (value[0] != '/' && strcmp(value, "auto") != 0 && strcmp(value, "pods") != 0 && strcmp(value, "off") != 0) {
			snprintf(message, bytes, "--cgroup needs auto, pods, off or a path that begins with /, not `%.40s`", value);
			return false;
		}
		options->cgroup = value;
	} else if (strcmp(name, "--pid") == 0) {
		if (options->pid_count == sizeof(options->pids) / sizeof(options->pids[0])) {
			snprintf(message, bytes, "--pid may be given at most %zu times", options->pid_count);
			return false;
		}
		if (!parse_number(value, 1, 4194304, &number)) {
			snprintf(message, bytes, "--pid needs a process id, not `%.40s`", value);
			return false;
		}
		options->pids[options->pid_count++] = (uint32_t)number;
	} else {
		if (!parse_number(value, 0, WIRE_CAPTURE_MAX, &number)) {
			snprintf(message, bytes, "--capture-max needs a number from 0 to %d, not `%.40s`", WIRE_CAPTURE_MAX, value);
			return false;
		}
		options->capture_max = (uint32_t)number;
	}
	return true;
}

bool options_parse(struct options *options, int count, char **arguments, char *message, size_t message_bytes)
{
	static const char *const VALUED[] = { "--socket", "--socket-uid", "--socket-gid", "--cgroup", "--pid", "--capture-max" };
	struct {
		const char *name;
		bool *flag;
	} flags[] = {
		{ "--once", &options->once },	    { "--die-with-parent", &options->die_with_parent },
		{ "--host-processes", &options->host_processes },
		{ "--stdout", &options->use_stdout }, { "--check", &options->check },
		{ "--version", &options->version }, { "--help", &options->help },
	};
	int ways;

	memset(options, 0, sizeof(*options));
	options->socket_uid = options->socket_gid = -1;
	options->cgroup = "auto";
	options->capture_max = WIRE_CAPTURE_MAX;
	for (int i = 1; i < count; i++) {
		bool known = false;
		for (size_t j = 0; j < sizeof(flags) / sizeof(flags[0]) && !known; j++)
			if ((known = strcmp(arguments[i], flags[j].name) == 0))
				*flags[j].flag = true;
		for (size_t j = 0; j < sizeof(VALUED) / sizeof(VALUED[0]) && !known; j++) {
			if (!(known = strcmp(arguments[i], VALUED[j]) == 0))
				continue;
			if (++i == count) {
				snprintf(message, message_bytes, "%s needs a value", VALUED[j]);
				return false;
			}
			if (!set_value(options, VALUED[j], arguments[i], message, message_bytes))
				return false;
		}
		if (!known) {
			snprintf(message, message_bytes, "unknown option `%.60s`; --help lists them", arguments[i]);
			return false;
		}
	}
	ways = (options->socket_path != NULL) + options->use_stdout + options->check;
	if (ways == 1 || options->version || options->help)
		return true;
	snprintf(message, message_bytes, "one of --socket PATH, --stdout and --check is needed; --help says more");
	return false;
}
