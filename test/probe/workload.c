/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process that does on command, a line each from standard input, the system calls that the probe's tests watch, and
 * answers each with a line. What it writes to a socket is a function of the position in that socket's stream, so that
 * whoever sees a piece can tell whether it is the right one. Reads check the same.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FDS 1024
#define BYTES_MAX (1 << 20)
#define SEGMENTS_MAX 1024

static uint64_t sent[FDS], received[FDS];
static uint8_t buffer[BYTES_MAX];
static struct iovec segments[SEGMENTS_MAX];

static void die(const char *what)
{
	printf("error %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint8_t pattern(uint64_t position)
{
	return (uint8_t)(position * 7 + (position >> 8));
}

static void fill(int fd, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		buffer[i] = pattern(sent[fd] + i);
}

static void check(int fd, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if (buffer[i] != pattern(received[fd] + i))
			die("other bytes than were sent");
}

static void advance(uint64_t *position, ssize_t moved, size_t wanted, const char *what)
{
	if (moved < 0 || (size_t)moved != wanted)
		die(what);
	*position += (uint64_t)moved;
}

/* Splits the buffer into `count` segments of `each` bytes. */
static void split(size_t count, size_t each)
{
	for (size_t i = 0; i < count; i++)
		segments[i] = (struct iovec){ buffer + i * each, each };
}

static void reset(int fd)
{
	sent[fd] = received[fd] = 0;
}

/* A connected pair of TCP sockets: prints both ends' descriptors and ports. */
static void pair(int family, int backlog)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_addr = in6addr_loopback };
	struct sockaddr *address = family == AF_INET ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6;
	socklen_t length = family == AF_INET ? sizeof(v4) : sizeof(v6);
	int listener = socket(family, SOCK_STREAM, 0), client = socket(family, SOCK_STREAM, 0), server;
	int server_port, client_port;

	if (bind(listener, address, length) || listen(listener, backlog) || getsockname(listener, address, &length))
		die("listen");
	server_port = ntohs(family == AF_INET ? v4.sin_port : v6.sin6_port);
	if (connect(client, address, length) || getsockname(client, address, &length))
		die("connect");
	client_port = ntohs(family == AF_INET ? v4.sin_port : v6.sin6_port);
	server = accept(listener, NULL, NULL);
	if (server < 0)
		die("accept");
	close(listener);
	reset(client);
	reset(server);
	printf("ok %d %d %d %d\n", client, server, client_port, server_port);
}

static void messages(int fd, size_t count, size_t each, int is_send)
{
	struct mmsghdr headers[64];
	int moved;

	memset(headers, 0, sizeof(headers));
	split(count, each);
	if (is_send)
		fill(fd, count * each);
	for (size_t i = 0; i < count; i++) {
		headers[i].msg_hdr.msg_iov = &segments[i];
		headers[i].msg_hdr.msg_iovlen = 1;
	}
	moved = is_send ? sendmmsg(fd, headers, (unsigned)count, 0) : recvmmsg(fd, headers, (unsigned)count, MSG_WAITALL, NULL);
	if (moved != (int)count)
		die("messages");
	if (is_send) {
		sent[fd] += count * each;
	} else {
		check(fd, count * each);
		received[fd] += count * each;
	}
}

static void send_file(int fd, size_t bytes, int by_splice)
{
	char path[] = "/tmp/sluice-workload-XXXXXX";
	int file = mkstemp(path), ends[2];

	unlink(path);
	fill(fd, bytes);
	if (file < 0 || write(file, buffer, bytes) != (ssize_t)bytes || pipe(ends) != 0)
		die("file");
	lseek(file, 0, SEEK_SET);
	if (by_splice) {
		if (splice(file, NULL, ends[1], NULL, bytes, 0) != (ssize_t)bytes)
			die("splice to a pipe");
		advance(&sent[fd], splice(ends[0], NULL, fd, NULL, bytes, 0), bytes, "splice");
	} else {
		advance(&sent[fd], sendfile(fd, file, NULL, bytes), bytes, "sendfile");
	}
	close(file);
	close(ends[0]);
	close(ends[1]);
}

static void *burn(void *milliseconds)
{
	struct timespec now;
	volatile uint64_t sum = 0;

	do {
		for (int i = 0; i < 100000; i++)
			sum += (uint64_t)i;
		(void)getppid();
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	} while (now.tv_sec * 1000 + now.tv_nsec / 1000000 < *(long *)milliseconds);
	return NULL;
}

static void *idle(void *nothing)
{
	pause();
	return nothing;
}

int main(void)
{
	char line[256], name[32];

	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("ready %d\n", getpid());
	while (fgets(line, sizeof(line), stdin)) {
		long a = 0, b = 0, c = 0, d = 0;
		ssize_t moved = 0;
		sscanf(line, "%31s %ld %ld %ld %ld", name, &a, &b, &c, &d);
#define IS(word) (strcmp(name, word) == 0)
		if (IS("pair") || IS("pair6")) {
			pair(IS("pair") ? AF_INET : AF_INET6, (int)a);
			continue;
		} else if (IS("write") || IS("send")) {
			fill((int)a, (size_t)b);
			moved = IS("write") ? write((int)a, buffer, (size_t)b) : send((int)a, buffer, (size_t)b, MSG_NOSIGNAL);
			advance(&sent[a], moved, (size_t)b, name);
		} else if (IS("read") || IS("recv")) {
			moved = IS("read") ? read((int)a, buffer, (size_t)b) : recv((int)a, buffer, (size_t)b, MSG_WAITALL);
			check((int)a, moved > 0 ? (size_t)moved : 0);
			advance(&received[a], moved, (size_t)b, name);
		} else if (IS("peek")) {
			moved = recv((int)a, buffer, (size_t)b, MSG_PEEK);
		} else if (IS("throwaway")) {
			advance(&received[a], recv((int)a, NULL, (size_t)b, MSG_TRUNC), (size_t)b, name);
		} else if (IS("writev") || IS("sendmsg")) {
			struct msghdr header = { .msg_iov = segments, .msg_iovlen = (size_t)b };
			split((size_t)b, (size_t)c);
			fill((int)a, (size_t)(b * c));
			moved = IS("writev") ? writev((int)a, segments, (int)b) : sendmsg((int)a, &header, 0);
			advance(&sent[a], moved, (size_t)(b * c), name);
		} else if (IS("readv") || IS("recvmsg")) {
			struct msghdr header = { .msg_iov = segments, .msg_iovlen = (size_t)b };
			split((size_t)b, (size_t)c);
			moved = IS("readv") ? readv((int)a, segments, (int)b) : recvmsg((int)a, &header, MSG_WAITALL);
			check((int)a, moved > 0 ? (size_t)moved : 0);
			advance(&received[a], moved, (size_t)(b * c), name);
		} else if (IS("sendmmsg") || IS("recvmmsg")) {
			messages((int)a, (size_t)b, (size_t)c, IS("sendmmsg"));
		} else if (IS("sendfile") || IS("splice")) {
			send_file((int)a, (size_t)b, IS("splice"));
		} else if (IS("burst")) {
			/* c times: b sends d bytes, a reads them */
			for (long i = 0; i < c; i++) {
				fill((int)a, (size_t)d);
				advance(&sent[a], write((int)a, buffer, (size_t)d), (size_t)d, "write");
				advance(&received[b], recv((int)b, buffer, (size_t)d, MSG_WAITALL), (size_t)d, "recv");
			}
		} else if (IS("close")) {
			moved = close((int)a);
			reset((int)a);
		} else if (IS("close_range")) {
			moved = syscall(SYS_close_range, (unsigned)a, (unsigned)b, 0);
		} else if (IS("dup2")) {
			moved = dup2((int)a, (int)b);
		} else if (IS("null")) {
			moved = open("/dev/null", O_RDWR);
		} else if (IS("fork")) {
			/* A child that reads and answers on an inherited socket, and ends with status 7. */
			pid_t child = fork();
			if (child == 0) {
				fill((int)a, (size_t)b);
				_exit(read((int)a, buffer + b, (size_t)b) == b && write((int)a, buffer, (size_t)b) == b ? 7 : 1);
			}
			waitpid(child, NULL, 0);
			moved = child;
		} else if (IS("threads")) {
			pthread_t thread;
			for (long i = 0; i < a; i++)
				pthread_create(&thread, NULL, idle, NULL);
		} else if (IS("burn")) {
			pthread_t thread;
			pthread_create(&thread, NULL, burn, &a);
			pthread_join(thread, NULL);
			burn(&a);
		} else if (IS("exit")) {
			exit((int)a);
		} else {
			errno = ENOSYS;
			die(name);
		}
		if (moved < 0)
			die(name);
		printf("ok %zd\n", moved);
	}
	return 0;
}
