/* SPDX-License-Identifier: MIT */
#include "fs/fuse/mountinfo.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#define FIELDS 5 /* mount ID, parent ID, device, root, mount point */

int mountinfo_open(struct mountinfo *mountinfo)
{
	*mountinfo = (struct mountinfo){.file = fopen("/proc/self/mountinfo", "re")};
	return mountinfo->file ? 0 : -errno;
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

bool mountinfo_next(struct mountinfo *mountinfo, struct mountinfo_mount *ret_mount)
{
	while (getline(&mountinfo->line, &mountinfo->line_bytes, mountinfo->file) > 0) {
		char *rest = mountinfo->line, *fields[FIELDS];

		for (size_t i = 0; i < FIELDS; i++)
			fields[i] = strsep(&rest, " ");
		if (!rest)
			continue;
		ret_mount->id = (int)strtol(fields[0], NULL, 10);
		ret_mount->parent_id = (int)strtol(fields[1], NULL, 10);
		snprintf(ret_mount->device, sizeof(ret_mount->device), "%s", fields[2]);
		mountinfo_unescape(fields[4]);
		snprintf(ret_mount->path, sizeof(ret_mount->path), "%s", fields[4]);
		return true;
	}
	return false;
}

void mountinfo_close(struct mountinfo *mountinfo)
{
	free(mountinfo->line);
	fclose(mountinfo->file);
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
