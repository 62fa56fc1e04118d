/* SPDX-License-Identifier: MIT */
#include "fs/fuse/mountinfo.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIELDS      5 /* mount ID, parent ID, device, root, mount point */
#define FIRST_BYTES 16384

int mountinfo_open(void)
{
	int fd = open("/proc/self/mountinfo", O_RDONLY | O_NOCTTY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* Replaces the escapes of mountinfo, such as \040 for a space. */
static void mountinfo_unescape(char *text)
{
	const char *at = text;
	char *to = text;

	while (*at) {
		if (at[0] == '\\' && at[1] >= '0' && at[1] <= '3' && at[2] && at[3]) {
			*to++ = (char)((at[1] - '0') << 6 | (at[2] - '0') << 3 | (at[3] - '0'));
			at += 4;
		} else {
			*to++ = *at++;
		}
	}
	*to = '\0';
}

/* Reads the file from its beginning. Returns its text, to be freed, or NULL with errno. */
static char *mountinfo_read_text(int fd)
{
	size_t capacity = FIRST_BYTES, length = 0;
	char *text = malloc(capacity), *larger;
	ssize_t got = 0;

	if (text && lseek(fd, 0, SEEK_SET) < 0)
		got = -1;
	while (text && got >= 0) {
		got = read(fd, text + length, capacity - length - 1);
		if (got == 0) {
			text[length] = '\0';
			return text;
		}
		length += got > 0 ? (size_t)got : 0;
		if (got < 0 || length + 1 < capacity)
			continue;
		capacity *= 2;
		larger = realloc(text, capacity);
		if (!larger)
			break;
		text = larger;
	}
	free(text);
	return NULL;
}

/* Returns the number that follows a name, such as " shared:", in the optional fields of a line; 0
 * if the line does not have this name. */
static int mountinfo_group(const char *optional, const char *name)
{
	const char *at = strstr(optional, name);

	return at ? (int)strtol(at + strlen(name), NULL, 10) : 0;
}

/* Splits a line, which it changes. Returns false if the line has too few fields. */
static bool mountinfo_parse(char *line, struct mountinfo_mount *ret_mount)
{
	char *fields[FIELDS], *rest = line, *optional, *type, *source;

	for (size_t i = 0; i < FIELDS; i++)
		fields[i] = strsep(&rest, " ");
	/* Optional fields end with a hyphen. */
	optional = rest;
	rest = rest ? strstr(rest, " - ") : NULL;
	if (!rest)
		return false;
	*rest = '\0';
	rest += strlen(" - ");
	type = strsep(&rest, " ");
	source = rest ? strsep(&rest, " ") : type + strlen(type);
	mountinfo_unescape(fields[3]);
	mountinfo_unescape(fields[4]);
	mountinfo_unescape(type);
	mountinfo_unescape(source);
	*ret_mount = (struct mountinfo_mount){
		.id = (int)strtol(fields[0], NULL, 10),
		.parent_id = (int)strtol(fields[1], NULL, 10),
		.peer_group = mountinfo_group(optional, " shared:"),
		.master_group = mountinfo_group(optional, " master:"),
		.device = fields[2],
		.root = fields[3],
		.path = fields[4],
		.type = type,
		.source = source,
	};
	return true;
}

int mountinfo_read(int fd, struct mountinfo *ret_mountinfo)
{
	struct mountinfo list = {.text = mountinfo_read_text(fd)};
	size_t lines = 1;
	char *rest = list.text, *line;

	if (!list.text)
		return -errno;
	for (const char *at = list.text; (at = strchr(at, '\n')); at++)
		lines++;
	list.mounts = calloc(lines, sizeof(*list.mounts));
	if (!list.mounts) {
		free(list.text);
		return -ENOMEM;
	}
	while ((line = strsep(&rest, "\n")))
		if (mountinfo_parse(line, &list.mounts[list.count]))
			list.count++;
	*ret_mountinfo = list;
	return 0;
}

void mountinfo_free(struct mountinfo *mountinfo)
{
	free(mountinfo->mounts);
	free(mountinfo->text);
	*mountinfo = (struct mountinfo){0};
}

const struct mountinfo_mount *mountinfo_find(const struct mountinfo *mountinfo, int id)
{
	for (size_t i = 0; i < mountinfo->count; i++)
		if (mountinfo->mounts[i].id == id)
			return &mountinfo->mounts[i];
	return NULL;
}

void mountinfo_place(const struct mountinfo_mount *mount, const char *path,
                     char ret_place[static MOUNTINFO_PLACE_BYTES])
{
	const char *root = mount->root[1] ? mount->root : "";
	size_t length = mount->path[1] || !path[1] ? strlen(mount->path) : 0;

	snprintf(ret_place, MOUNTINFO_PLACE_BYTES, "%s%s", root, path + length);
}

const struct mountinfo_mount *mountinfo_find_propagated(const struct mountinfo *mountinfo,
                                                        const char *path, int id)
{
	const struct mountinfo_mount *holder = mountinfo_find(mountinfo, id);
	char place[MOUNTINFO_PLACE_BYTES], other[MOUNTINFO_PLACE_BYTES];

	if (!holder || holder->peer_group == 0)
		return NULL;
	mountinfo_place(holder, path, place);
	for (size_t i = 0; i < mountinfo->count; i++) {
		const struct mountinfo_mount *mount = &mountinfo->mounts[i];
		const struct mountinfo_mount *parent = mountinfo_find(mountinfo, mount->parent_id);

		if (!parent || parent == holder || strcmp(parent->device, holder->device) != 0 ||
		    (parent->peer_group != holder->peer_group &&
		     parent->master_group != holder->peer_group))
			continue;
		mountinfo_place(parent, mount->path, other);
		if (strcmp(place, other) == 0)
			return mount;
	}
	return NULL;
}

bool mountinfo_is_below(const char *path, const char *directory)
{
	size_t length = strlen(directory);

	if (length == 1) /* the root */
		return path[1] != '\0';
	return strncmp(path, directory, length) == 0 && path[length] == '/';
}

int mountinfo_id_of(int fd)
{
	char name[64], line[128];
	int id = 0;
	FILE *info;

	snprintf(name, sizeof(name), "/proc/self/fdinfo/%d", fd);
	info = fopen(name, "re");
	while (info && id == 0 && fgets(line, sizeof(line), info))
		if (strncmp(line, "mnt_id:", 7) == 0)
			id = (int)strtol(line + 7, NULL, 10);
	if (info)
		fclose(info);
	return id;
}
