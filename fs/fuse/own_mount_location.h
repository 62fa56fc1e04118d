/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_FUSE_OWN_MOUNT_LOCATION_H
#define FLEETFS_FS_FUSE_OWN_MOUNT_LOCATION_H

/* Where the own mount is, and the mounts around it, in one reading of the list of mounts. */

#include <stdbool.h>
#include <stddef.h>

#include "fs/fuse/mountinfo.h"

struct own_mount;

struct own_mount_location {
	struct mountinfo list;                /* owns the mounts */
	const struct mountinfo_mount *own;    /* or a bind mount in its place. NULL: it is gone */
	size_t own_count;                     /* mounts of its file system in that place */
	const struct mountinfo_mount *other;  /* any other mount of its file system, or NULL */
	const struct mountinfo_mount *cover;  /* the topmost mount that hides it, or NULL */
	const struct mountinfo_mount *inside; /* another file system mounted inside it, or NULL */
	size_t inside_count;                  /* file systems mounted inside it */
	bool cover_is_own;                    /* cover is a bind mount of own */
	bool cover_is_stacked;                /* such a bind mount with the same mount point */
};

/* Reads the location of a mount whose id is known. Needs no free descriptor. Returns 0, and then
 * own_mount_location_done() must follow; or -errno. */
int own_mount_location_read(const struct own_mount *mount, struct own_mount_location *ret_location);

void own_mount_location_done(struct own_mount_location *location);

#endif
