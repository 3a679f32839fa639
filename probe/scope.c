/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the cgroup that stands for this node. The probe's own task is asked in the kernel: /proc/self/cgroup shows no more
 * than the part inside of the container's cgroup namespace, and the cgroup file system need not be mounted here.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "probe.h"

#define CONTAINER_ID_DIGITS 64

static const char *const HIERARCHY_NAMES[HIERARCHIES] = {
	[HIERARCHY_UNIFIED] = "unified",
	[HIERARCHY_MEMORY] = "memory",
	[HIERARCHY_CPU] = "cpu",
	[HIERARCHY_PIDS] = "pids",
};

struct component {
	const char *start;
	size_t length;
};

/* The next component of a path; its length is 0 at the end. */
static struct component next_component(const char **path)
{
	struct component component;
	*path += strspn(*path, "/");
	component = (struct component){ *path, strcspn(*path, "/") };
	*path += component.length;
	return component;
}

static bool ends_with(struct component component, const char *end)
{
	size_t length = strlen(end);
	return component.length >= length && memcmp(component.start + component.length - length, end, length) == 0;
}

static bool is(struct component component, const char *name)
{
	return component.length == strlen(name) && ends_with(component, name);
}

/* The kubelet's two cgroup drivers; systemd's slices carry the names of those above them (--cgroup-root). */
static bool is_pods(struct component component)
{
	return is(component, "kubepods") || is(component, "kubepods.slice") || ends_with(component, "-kubepods.slice");
}

static bool is_container(struct component component)
{
	if (ends_with(component, ".scope"))
		component.length -= strlen(".scope");
	if (component.length < CONTAINER_ID_DIGITS)
		return false;
	component.start += component.length - CONTAINER_ID_DIGITS;
	return strspn(component.start, "0123456789abcdef") >= CONTAINER_ID_DIGITS;
}

static uint32_t last_level(const char *path, uint32_t before, bool (*is_wanted)(struct component))
{
	uint32_t level = 0, found = 0;
	for (struct component one = next_component(&path); one.length > 0 && ++level < before; one = next_component(&path))
		if (is_wanted(one))
			found = level;
	return found;
}

uint32_t pods_level(const char *path)
{
	return last_level(path, UINT32_MAX, is_pods);
}

uint32_t container_level(const char *path, uint32_t level)
{
	return last_level(path, level, is_container);
}

/* How deep `wish` is, where `path` is that cgroup or below it; -1 where it is not. */
static int64_t common_level(const char *path, const char *wish)
{
	int64_t level = 0;
	for (;;) {
		struct component wanted = next_component(&wish), own = next_component(&path);
		if (wanted.length == 0)
			return level;
		if (wanted.length != own.length || memcmp(wanted.start, own.start, own.length) != 0)
			return -1;
		level++;
	}
}

static uint32_t count_levels(const char *path)
{
	uint32_t levels = 0;
	while (next_component(&path).length > 0)
		levels++;
	return levels;
}

/* The first `level` components of a path, into `text`; its end where it does not fit. */
static const char *cut_path(const char *path, uint32_t level, char *text, size_t bytes)
{
	const char *at = path;
	size_t length;
	while (level-- > 0)
		next_component(&at);
	length = (size_t)(at - path);
	if (length < bytes)
		snprintf(text, bytes, "%.*s", length ? (int)length : 1, length ? path : "/");
	else
		snprintf(text, bytes, "...%.*s", (int)(bytes - 4), at - (bytes - 4));
	return text;
}

static void take_self(void *context, const struct wire_header *frame, uint32_t bytes)
{
	if (frame->type == SELF_RECORD && bytes == sizeof(struct self_record))
		memcpy(context, frame, bytes);
}

/* False where the kernel does not tell. */
static bool read_self(struct kernel *kernel, uint32_t hierarchy, struct self_record *self)
{
	memset(self, 0, sizeof(*self));
	kernel->settings->hierarchy = hierarchy;
	if (kernel_iterate(kernel, READ_SELF, take_self, self) != 0 || self->head.header.type != SELF_RECORD)
		return false;
	self->path[self->head.path_length < PATH_AREA ? self->head.path_length : PATH_AREA - 1] = '\0';
	return true;
}

__attribute__((format(printf, 3, 4))) static bool say(struct feature *feature, int error, const char *format, ...)
{
	va_list arguments;
	feature->error = error;
	va_start(arguments, format);
	vsnprintf(feature->reason, sizeof(feature->reason), format, arguments);
	va_end(arguments);
	return error == 0 || error == EOPNOTSUPP;
}

/* Which level of `path` was wished for; -1: none. */
static int64_t wished_level(const char *path, const char *wish)
{
	uint32_t level;
	if (wish[0] == '/')
		return common_level(path, wish);
	level = pods_level(path);
	return level > 0 ? (int64_t)level : -1;
}

bool scope_apply(struct kernel *kernel, const char *wish, bool host_processes)
{
	struct feature *feature = &kernel->features[WIRE_F_CGROUP_FILTER];
	struct settings *settings = kernel->settings;
	static struct self_record self;
	char text[100];
	int64_t level = -1;
	bool is_known, is_cut = false;
	uint32_t hierarchy;

	settings->scope = SCOPE_NOTHING;
	is_known = read_self(kernel, HIERARCHY_UNIFIED, &self);
	if (is_known)
		settings->own_tgid = self.head.tgid;
	if (strcmp(wish, "off") == 0) {
		settings->scope = SCOPE_ALL;
		return say(feature, EOPNOTSUPP, "not requested");
	}
	if (!is_known)
		return say(feature, ENOSYS, "the kernel does not tell the probe's own cgroup");
	for (hierarchy = 0; hierarchy < HIERARCHIES; hierarchy++) {
		if (!read_self(kernel, hierarchy, &self))
			continue;
		/* A path that is deeper than can be read lacks its beginning, so that its levels cannot be told. */
		if (self.head.level > 0 && count_levels(self.path) != (uint32_t)self.head.level)
			is_cut = true;
		else if (self.head.level >= 0)
			level = wished_level(self.path, wish);
		if (level >= 0)
			break;
	}
	if (level < 0 && is_cut)
		return say(feature, ENAMETOOLONG, "the probe's cgroup is too deep to tell which node it belongs to");
	if (level < 0 && strcmp(wish, "auto") == 0) {
		settings->scope = SCOPE_ALL;
		return say(feature, EOPNOTSUPP, "not requested: the probe itself is in no pod");
	}
	if (level < 0) {
		if (read_self(kernel, HIERARCHY_UNIFIED, &self) && self.head.level == 0)
			read_self(kernel, HIERARCHY_MEMORY, &self);
		cut_path(self.path, count_levels(self.path), text, sizeof(text));
		return say(feature, ENOENT, "the probe's cgroup %s is not below %s", text,
			   wish[0] == '/' ? "the one asked for" : "any kubepods");
	}
	settings->pods_level = (uint32_t)level;
	settings->host_level = container_level(self.path, (uint32_t)level);
	/* Again, now with the levels: the kernel side notes what it will compare with. */
	if (!read_self(kernel, hierarchy, &self) || settings->pods == 0 || settings->host == 0)
		return say(feature, ENOENT, "the kernel does not tell the ancestors of the probe's cgroup");
	settings->scope = host_processes ? SCOPE_PODS_AND_HOST : SCOPE_PODS;
	return say(feature, 0, "what is below %s (%s)%s", cut_path(self.path, (uint32_t)level, text, sizeof(text)),
		   HIERARCHY_NAMES[hierarchy], host_processes ? ", and what is in no pod" : "");
}
