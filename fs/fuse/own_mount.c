/* SPDX-License-Identifier: MIT */
#include "fs/fuse/own_mount.h"

#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/fuse/mountinfo.h"
#include "fs/fuse/mountpoint.h"

#ifndef STATX_MNT_ID_UNIQUE
#define STATX_MNT_ID_UNIQUE 0x4000u
#endif

/* Returns the unique ID of the mount that an O_PATH descriptor leads to, or 0 if the kernel has
 * none. Sends no request to the file system, like mountinfo_id_of(). */
static uint64_t own_mount_read_unique_id(int fd)
{
	struct statx status = {0};

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID_UNIQUE, &status) < 0 ||
	    !(status.stx_mask & STATX_MNT_ID_UNIQUE))
		return 0;
	return status.stx_mnt_id;
}

/* Stores the IDs of the mount that was just made. The last mount listed at a path is the topmost.
 */
static void own_mount_identify(struct own_mount *mount, const char *path)
{
	struct mountinfo mountinfo;
	struct mountinfo_mount line;
	int fd;

	if (mountinfo_open(&mountinfo) < 0)
		return;
	while (mountinfo_next(&mountinfo, &line)) {
		if (strcmp(line.path, path) != 0)
			continue;
		mount->id = line.id;
		memcpy(mount->device, line.device, sizeof(mount->device));
	}
	mountinfo_close(&mountinfo);
	fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0 && mountinfo_id_of(fd) == mount->id)
		mount->unique_id = own_mount_read_unique_id(fd);
	if (fd >= 0)
		close(fd);
}

/* Describes why mounting failed. fd: a file with the messages of fusermount3, or -1. The last line
 * has the reason, after "fusermount3: ". */
static void own_mount_explain(int fd, const char *path, char *ret_why, size_t why_bytes)
{
	char text[1024];
	ssize_t length = fd < 0 ? 0 : pread(fd, text, sizeof(text) - 1, 0);
	const char *line, *reason;

	while (length > 0 && text[length - 1] == '\n')
		length--;
	text[length > 0 ? length : 0] = '\0';
	line = strrchr(text, '\n');
	line = line ? line + 1 : text;
	reason = strstr(line, ": ");
	if (access("/dev/fuse", R_OK | W_OK) < 0)
		snprintf(ret_why, why_bytes,
		         "cannot mount on %s: /dev/fuse: %s (an ordinary user needs it to be mode "
		         "0666)",
		         path, strerror(errno));
	else if (*line)
		snprintf(ret_why, why_bytes, "cannot mount on %s: %s", path,
		         reason ? reason + 2 : line);
	else
		snprintf(ret_why, why_bytes,
		         "cannot mount on %s: start with -d to see the reason of libfuse", path);
}

int own_mount_make(struct own_mount *mount, struct fuse_session *session, const char *path,
                   bool debug, char *ret_why, size_t why_bytes)
{
	/* fusermount3 would write to stderr, where a failed start prints one line only. */
	int messages = debug ? -1 : memfd_create("messages", MFD_CLOEXEC);
	int saved_stderr = messages < 0 ? -1 : fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
	int err;

	if (saved_stderr >= 0)
		dup2(messages, STDERR_FILENO);
	err = fuse_session_mount(session, path) < 0 ? -EIO : 0;
	mount->mounted = err == 0;
	if (err == 0)
		own_mount_identify(mount, path);
	if (saved_stderr >= 0) {
		dup2(saved_stderr, STDERR_FILENO);
		close(saved_stderr);
	}
	if (err < 0)
		own_mount_explain(saved_stderr < 0 ? -1 : messages, path, ret_why, why_bytes);
	if (messages >= 0)
		close(messages);
	return err;
}

/* Where the own mount is, according to mountinfo. */
struct own_mount_location {
	bool found;                /* it is mounted */
	bool covered;              /* another file system is mounted on top of it */
	char path[PATH_MAX];       /* where it is now */
	char other_path[PATH_MAX]; /* another mount of the same file system, or "" */
};

static int own_mount_locate(const struct own_mount *mount, struct own_mount_location *ret_location)
{
	struct mountinfo mountinfo;
	struct mountinfo_mount line;
	int err = mountinfo_open(&mountinfo);

	*ret_location = (struct own_mount_location){0};
	if (err < 0)
		return err;
	while (mountinfo_next(&mountinfo, &line)) {
		bool same = strcmp(line.device, mount->device) == 0;

		if (same && line.id == mount->id) {
			ret_location->found = true;
			memcpy(ret_location->path, line.path, sizeof(ret_location->path));
		} else if (same) {
			memcpy(ret_location->other_path, line.path,
			       sizeof(ret_location->other_path));
		} else if (ret_location->found && line.parent_id == mount->id &&
		           strcmp(line.path, ret_location->path) == 0) {
			ret_location->covered = true;
		}
	}
	mountinfo_close(&mountinfo);
	return 0;
}

/*
 * Opens the root of the own mount at a path. Returns an O_PATH descriptor; -EBUSY if another mount
 * is on top; -ENOENT if the own mount is gone and its ID belongs to another mount; or -errno.
 */
static int own_mount_open(const struct own_mount *mount, const char *path)
{
	int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC), err = 0;

	if (fd < 0)
		return errno == ENOENT ? -EBUSY : -errno;
	if (mountinfo_id_of(fd) != mount->id)
		err = -EBUSY;
	else if (mount->unique_id != 0 && mount->unique_id != own_mount_read_unique_id(fd))
		err = -ENOENT;
	if (err == 0)
		return fd;
	close(fd);
	return err;
}

/*
 * Makes fuse_session_unmount() close the connection without unmounting. libfuse leaves the path
 * alone when poll(2) reports POLLERR for the descriptor, as a pipe without a reader does.
 */
static void own_mount_disconnect(struct fuse_session *session)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) == 0) {
		close(ends[0]);
		dup3(ends[1], fuse_session_fd(session), O_CLOEXEC);
		close(ends[1]);
		fuse_session_unmount(session);
	}
}

/* Unmounts the own mount at its location. Returns 0, also if it is gone, or -errno. */
static int own_mount_detach(const struct own_mount *mount,
                            const struct own_mount_location *location)
{
	char name[64];
	int fd, err;

	if (!location->found)
		return 0;
	/* own_mount_open() would return -EBUSY, too, but first it would open the file system on
	 * top. Opening a network file system may hang: it revalidates its root. */
	fd = location->covered ? -EBUSY : own_mount_open(mount, location->path);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	err = umount2(name, MNT_DETACH) < 0 ? mountpoint_detach(location->path) : 0;
	close(fd);
	return err;
}

int own_mount_remove(const struct own_mount *mount, struct fuse_session *session, char *ret_why,
                     size_t why_bytes)
{
	struct own_mount_location location, left;
	int err;

	if (mount->id == 0) {
		/* Without /proc only the path is known. */
		fuse_session_unmount(session);
		return 0;
	}
	own_mount_disconnect(session);
	err = own_mount_locate(mount, &location);
	if (err < 0) {
		snprintf(ret_why, why_bytes, "cannot read /proc/self/mountinfo: %s",
		         strerror(-err));
		return err;
	}
	err = own_mount_detach(mount, &location);
	if (err < 0) {
		snprintf(ret_why, why_bytes,
		         "cannot unmount %s: %s; a dead mount is left there: try fusermount3 -uz "
		         "%s",
		         location.path,
		         err == -EBUSY ? "another file system is mounted over it" : strerror(-err),
		         location.path);
		return err;
	}
	/* Other mounts of the file system are reported only if they are still there now: the kernel
	 * unmounts those that are copies by mount propagation together with the own mount. */
	if (!*location.other_path || own_mount_locate(mount, &left) < 0 || !*left.other_path)
		return 0;
	snprintf(ret_why, why_bytes, "a bind mount of it is left at %s, dead: try umount %s",
	         left.other_path, left.other_path);
	return -EEXIST;
}
