/* SPDX-License-Identifier: MIT */
#include "fs/fuse/own_mount_location.h"

#include <string.h>

#include "fs/fuse/own_mount.h"

/* Returns whether a mount shows the file system of the own mount: it is the own mount, or a bind
 * mount of it. candidate: may be NULL. */
static bool own_mount_location_shows_own(const struct own_mount *mount,
                                         const struct mountinfo_mount *candidate)
{
	return candidate && strcmp(candidate->device, mount->device) == 0;
}

/* Returns the topmost of the mounts that are stacked on the root of a mount, or the mount itself if
 * no mount is stacked on it. */
static const struct mountinfo_mount *own_mount_location_topmost(
	const struct mountinfo *list, const struct mountinfo_mount *topmost)
{
	const struct mountinfo_mount *below = NULL;

	while (below != topmost) {
		below = topmost;
		for (size_t i = 0; i < list->count; i++)
			if (list->mounts[i].parent_id == below->id && &list->mounts[i] != below &&
			    strcmp(list->mounts[i].path, below->path) == 0)
				topmost = &list->mounts[i];
	}
	return topmost;
}

/* Returns the mount that hides a mount: it is stacked on the mount, or mounted over a directory
 * above. NULL: no mount hides it. */
static const struct mountinfo_mount *own_mount_location_find_cover(
	const struct mountinfo *list, const struct mountinfo_mount *own)
{
	const struct mountinfo_mount *cover = own_mount_location_topmost(list, own);
	const struct mountinfo_mount *child = own, *parent;

	if (cover == own)
		cover = NULL;
	while ((parent = mountinfo_find(list, child->parent_id)) && parent != child) {
		for (size_t i = 0; i < list->count; i++) {
			const struct mountinfo_mount *candidate = &list->mounts[i];

			if (candidate->parent_id == parent->id && candidate != child &&
			    candidate != parent && mountinfo_is_below(child->path, candidate->path))
				cover = own_mount_location_topmost(list, candidate);
		}
		child = parent;
	}
	return cover;
}

/* Finds other file systems that are mounted inside the own mount, or inside a bind mount of it that
 * would be unmounted with it. */
static void own_mount_location_find_inside(const struct own_mount *mount,
                                           struct own_mount_location *location)
{
	for (size_t i = 0; i < location->list.count; i++) {
		const struct mountinfo_mount *candidate = &location->list.mounts[i], *parent;

		if (own_mount_location_shows_own(mount, candidate) ||
		    !mountinfo_is_below(candidate->path, location->own->path))
			continue;
		parent = mountinfo_find(&location->list, candidate->parent_id);
		if (!own_mount_location_shows_own(mount, parent))
			continue;
		location->inside_count++;
		if (!location->inside)
			location->inside = candidate;
	}
}

/* Returns the own mount; if it is gone, a bind mount of it that has taken its place; or NULL. */
static const struct mountinfo_mount *own_mount_location_find_own(const struct own_mount *mount,
                                                                 const struct mountinfo *list)
{
	const struct mountinfo_mount *replacement = NULL;

	for (size_t i = 0; i < list->count; i++) {
		const struct mountinfo_mount *candidate = &list->mounts[i];

		if (!own_mount_location_shows_own(mount, candidate))
			continue;
		if (candidate->id == mount->id)
			return candidate;
		if (!replacement && mount->device_is_own &&
		    strcmp(candidate->path, mount->path) == 0)
			replacement = candidate;
	}
	return replacement;
}

int own_mount_location_read(const struct own_mount *mount, struct own_mount_location *ret_location)
{
	struct own_mount_location location = {0};
	int err = mountinfo_read(mount->mountinfo_fd, &location.list);

	if (err < 0)
		return err;
	location.own = own_mount_location_find_own(mount, &location.list);
	for (size_t i = 0; i < location.list.count; i++) {
		const struct mountinfo_mount *candidate = &location.list.mounts[i];

		if (candidate != location.own && own_mount_location_shows_own(mount, candidate))
			location.other = candidate;
	}
	if (location.own) {
		location.cover = own_mount_location_find_cover(&location.list, location.own);
		location.cover_is_own = own_mount_location_shows_own(mount, location.cover);
		location.cover_is_stacked = location.cover_is_own &&
		                            strcmp(location.cover->path, location.own->path) == 0;
		own_mount_location_find_inside(mount, &location);
		for (size_t i = 0; i < location.list.count; i++)
			if (own_mount_location_shows_own(mount, &location.list.mounts[i]) &&
			    strcmp(location.list.mounts[i].path, location.own->path) == 0)
				location.own_count++;
	}
	*ret_location = location;
	return 0;
}

void own_mount_location_done(struct own_mount_location *location)
{
	mountinfo_free(&location->list);
}
