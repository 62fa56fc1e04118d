/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_FUSE_MOUNTINFO_H
#define FLEETFS_FS_FUSE_MOUNTINFO_H

/* Reads the list of mounts in this process' mount namespace (proc_pid_mountinfo(5)), and the mount
 * IDs of descriptors. */

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

/* A mount. The texts have no escapes. */
struct mountinfo_mount {
	int id; /* greater than 0; the kernel reuses the IDs of mounts that are gone */
	int parent_id;
	int peer_group;   /* of a shared mount, else 0: the kernel propagates a mount that is made
	                     inside one mount of the group to the others */
	int master_group; /* the kernel also propagates mounts made inside this peer group into this
	                     mount; 0: it is no slave */
	const char *device; /* of the file system, such as "0:61" */
	const char *root;   /* the directory of the file system that is mounted */
	const char *path;   /* of the mount point */
	const char *type;   /* of the file system, such as "tmpfs" */
	const char *source; /* as mount(8) shows it */
};

/* The list, in the order of the kernel. */
struct mountinfo {
	struct mountinfo_mount *mounts;
	size_t count;
	char *text; /* owns the texts of the mounts */
};

/* Opens the file that lists the mounts. Returns a descriptor or -errno. */
int mountinfo_open(void);

/* Reads the current list from a descriptor of mountinfo_open(), any number of times. Needs no other
 * descriptor. Returns 0; or -errno, and then mountinfo_free() is not needed. */
int mountinfo_read(int fd, struct mountinfo *ret_mountinfo);

void mountinfo_free(struct mountinfo *mountinfo);

/* Returns the mount with an ID, or NULL. */
const struct mountinfo_mount *mountinfo_find(const struct mountinfo *mountinfo, int id);

#define MOUNTINFO_PLACE_BYTES ((size_t)2 * PATH_MAX) /* size of ret_place of mountinfo_place() */

/* Writes the place of a path in the mounted file system: mount->root and the part of the path below
 * the mount point. It is empty for the root of the file system. path: the mount point or below it,
 * absolute, without symlinks. */
void mountinfo_place(const struct mountinfo_mount *mount, const char *path,
                     char ret_place[static MOUNTINFO_PLACE_BYTES]);

/* Returns an existing mount at a place to which the kernel would propagate a new mount at path; or
 * NULL. id: of the mount that contains path, which is absolute and without symlinks. */
const struct mountinfo_mount *mountinfo_find_propagated(const struct mountinfo *mountinfo,
                                                        const char *path, int id);

/* Returns whether a path is below a directory. Both are absolute and without symlinks. */
bool mountinfo_is_below(const char *path, const char *directory);

/* Returns the ID of the mount that a descriptor leads to; 0 if /proc is missing or hidden, or if no
 * descriptor is free. Sends no request to the file system, which may be dead or served by this
 * thread. */
int mountinfo_id_of(int fd);

#endif
