/* SPDX-License-Identifier: MIT */
#include "fs/fuse/own_mount_location.h"

#include <string.h>

#include "fs/fuse/own_mount.h"

/* Whether a mount, or NULL, is of the file system of the own mount. */
static bool own_mount_is_same(const struct own_mount *mount, const struct mountinfo_mount *line)
{
	return line && strcmp(line->device, mount->device) == 0;
}

/* Returns the topmost of the mounts that are stacked on the root of a mount, or the mount itself if
 * no mount is stacked on it. */
static const struct mountinfo_mount *own_mount_topmost(const struct mountinfo *list,
                                                       const struct mountinfo_mount *line)
{
	const struct mountinfo_mount *below = NULL;

	while (below != line) {
		below = line;
		for (size_t i = 0; i < list->count; i++)
			if (list->mounts[i].parent_id == below->id && &list->mounts[i] != below &&
			    strcmp(list->mounts[i].path, below->path) == 0)
				line = &list->mounts[i];
	}
	return line;
}

/* Returns the mount that hides a mount: it is stacked on the mount, or mounted over a directory
 * above. NULL: no mount hides it. */
static const struct mountinfo_mount *own_mount_find_cover(const struct mountinfo *list,
                                                          const struct mountinfo_mount *own)
{
	const struct mountinfo_mount *cover = own_mount_topmost(list, own);
	const struct mountinfo_mount *child = own, *parent;

	if (cover == own)
		cover = NULL;
	while ((parent = mountinfo_find(list, child->parent_id)) && parent != child) {
		for (size_t i = 0; i < list->count; i++) {
			const struct mountinfo_mount *line = &list->mounts[i];

			if (line->parent_id == parent->id && line != child && line != parent &&
			    mountinfo_is_below(child->path, line->path))
				cover = own_mount_topmost(list, line);
		}
		child = parent;
	}
	return cover;
}

/* Finds other file systems that are mounted inside the own mount, or inside a bind mount of it that
 * would be unmounted with it. */
static void own_mount_find_inside(const struct own_mount *mount,
                                  struct own_mount_location *location)
{
	for (size_t i = 0; i < location->list.count; i++) {
		const struct mountinfo_mount *line = &location->list.mounts[i], *parent;

		if (own_mount_is_same(mount, line) ||
		    !mountinfo_is_below(line->path, location->own->path))
			continue;
		parent = mountinfo_find(&location->list, line->parent_id);
		if (!own_mount_is_same(mount, parent))
			continue;
		location->inside_count++;
		if (!location->inside)
			location->inside = line;
	}
}

int own_mount_location_read(const struct own_mount *mount, struct own_mount_location *ret_location)
{
	struct own_mount_location location = {0};
	int err = mountinfo_read(mount->mountinfo_fd, &location.list);

	if (err < 0)
		return err;
	for (size_t i = 0; i < location.list.count; i++) {
		const struct mountinfo_mount *line = &location.list.mounts[i];

		if (own_mount_is_same(mount, line) && line->id == mount->id)
			location.own = line;
		else if (own_mount_is_same(mount, line))
			location.other = line;
	}
	if (location.own) {
		location.cover = own_mount_find_cover(&location.list, location.own);
		location.cover_is_own = own_mount_is_same(mount, location.cover);
		location.cover_is_stacked = location.cover_is_own &&
		                            strcmp(location.cover->path, location.own->path) == 0;
		own_mount_find_inside(mount, &location);
	}
	*ret_location = location;
	return 0;
}

void own_mount_location_done(struct own_mount_location *location)
{
	mountinfo_free(&location->list);
}
