/* SPDX-License-Identifier: Apache-2.0 */
/* The probe's program: load, give up all rights, serve one agent after the other. */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "probe.h"

static volatile int stop;

static void on_signal(int number)
{
	(void)number;
	stop = 1;
}

__attribute__((format(printf, 2, 3))) static int fail(int status, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	fputs("sluice-probe: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	return status;
}

static void catch_signals(void)
{
	/* Without SA_RESTART: a wait ends when we are told to. */
	struct sigaction action = { .sa_handler = on_signal };
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
}

static int report(const struct kernel *kernel)
{
	int status = 0;
	for (uint32_t id = 0; id < FEATURES; id++) {
		const struct feature *feature = &kernel->features[id];
		printf("%-16s %s%s%s\n", feature_name(id), feature->error ? "no" : "yes", feature->reason[0] ? ": " : "",
		       feature->reason);
		/* A filter that nobody asked for is not missing. */
		if (feature->error && !(id == WIRE_F_CGROUP_FILTER && feature->error == EOPNOTSUPP))
			status = EXIT_FAILED;
	}
	return status;
}

/* Returns the listening socket, or -1 with errno. */
static int listen_at(const struct options *options)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t mask;

	if (fd < 0)
		return -1;
	strncpy(address.sun_path, options->socket_path, sizeof(address.sun_path) - 1);
	unlink(options->socket_path);
	mask = umask(options->socket_gid < 0 ? 0177 : 0117);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, 4) != 0)
		return -1;
	umask(mask);
	/* One after the other: a group of ours can be given without any capability, another owner cannot. */
	if (options->socket_gid >= 0 && chown(options->socket_path, (uid_t)-1, (gid_t)options->socket_gid) != 0)
		return -1;
	if (options->socket_uid >= 0 && chown(options->socket_path, (uid_t)options->socket_uid, (gid_t)-1) != 0)
		return -1;
	return fd;
}

/* The process at the other end of a unix socket, in our own pid namespace; 0 where it is in another. */
static uint32_t peer_tgid(int socket)
{
	struct ucred peer = { 0 };
	socklen_t bytes = sizeof(peer);
	return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) == 0 && peer.pid > 0 ? (uint32_t)peer.pid : 0;
}

static void serve(struct kernel *kernel, int listener, bool once)
{
	while (!stop) {
		struct pollfd wait = { .fd = listener, .events = POLLIN };
		int agent;
		if (poll(&wait, 1, -1) <= 0)
			continue;
		agent = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (agent < 0)
			continue;
		session_run(kernel, agent, agent, peer_tgid(agent), &stop);
		close(agent);
		if (once)
			return;
	}
}

int main(int count, char **arguments)
{
	static struct kernel kernel;
	struct options options;
	char message[768];
	pid_t parent = getppid();
	int listener = -1, status;

	if (!options_parse(&options, count, arguments, message, sizeof(message)))
		return fail(EXIT_USAGE, "%s", message);
	if (options.help)
		return fputs(OPTIONS_HELP, stdout) < 0;
	if (options.version)
		return printf("sluice-probe %s (wire %d)\n", SLUICE_VERSION, WIRE_VERSION) < 0;

	catch_signals();
	status = kernel_load(&kernel, message, sizeof(message));
	if (status != 0)
		return fail(status, "%s", message);
	if (!scope_apply(&kernel, options.cgroup, options.host_processes))
		fprintf(stderr, "sluice-probe: nothing is seen: %s\n", kernel.features[WIRE_F_CGROUP_FILTER].reason);
	if (options.check)
		return report(&kernel);
	kernel.settings->capture_max = options.capture_max;
	for (size_t i = 0; i < options.pid_count; i++) {
		uint8_t one = 1;
		bpf_map_update_elem(kernel.allowed_tgids, &options.pids[i], &one, BPF_ANY);
	}
	kernel.settings->allow_list = options.pid_count > 0;
	if (options.socket_path && (listener = listen_at(&options)) < 0)
		return fail(EXIT_FAILED, "cannot listen on %s: %s", options.socket_path, strerror(errno));
	if (!rights_drop(&kernel, options.socket_uid))
		return fail(EXIT_RIGHTS, "cannot give up rights: %s", strerror(errno));
	/* Not earlier: the kernel forgets this wish when the user id changes. */
	if (options.die_with_parent && (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != parent))
		return fail(EXIT_FAILED, "the process that started this one has gone");

	if (options.use_stdout) {
		fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_NONBLOCK);
		fcntl(STDOUT_FILENO, F_SETFL, fcntl(STDOUT_FILENO, F_GETFL) | O_NONBLOCK);
		session_run(&kernel, STDIN_FILENO, STDOUT_FILENO, 0, &stop);
		return 0;
	}
	serve(&kernel, listener, options.once);
	/* Nobody's directory in most cases, then the next probe replaces it. */
	unlink(options.socket_path);
	return 0;
}
