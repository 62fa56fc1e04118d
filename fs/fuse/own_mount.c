/* SPDX-License-Identifier: MIT */
#include "fs/fuse/own_mount.h"

#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/fuse/mountinfo.h"
#include "fs/fuse/mountpoint.h"
#include "fs/fuse/own_mount_location.h"

#define MESSAGES_BYTES 1023 /* of fusermount3 */
/* libfuse makes the socket to fusermount3 just before or after it opens /dev/fuse. So its number is
 * at most this much higher, unless many lower numbers are in use. */
#define SOCKET_DISTANCE 64

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

/*
 * Stores the IDs of the mount that was just made: of the FUSE mounts at the path, it is the one
 * that is listed last. Mounts of other types may be below it or on top of it. Nothing shows which
 * mount belongs to the session, so this assumes that no other process mounts a FUSE file system at
 * the path between fuse_session_mount() and this reading: its mount would be mistaken for the own.
 */
static void own_mount_identify(struct own_mount *mount, const char *path)
{
	struct mountinfo list = {0};
	int ends[2], fd, mountinfo = mountinfo_open();

	if (mountinfo >= 0 && mountinfo_read(mountinfo, &list) == 0) {
		for (size_t i = 0; i < list.count; i++) {
			if (strcmp(list.mounts[i].path, path) != 0 ||
			    strncmp(list.mounts[i].type, "fuse", 4) != 0)
				continue;
			mount->id = list.mounts[i].id;
			snprintf(mount->device, sizeof(mount->device), "%s", list.mounts[i].device);
		}
		mountinfo_free(&list);
	}
	if (mount->id == 0) {
		if (mountinfo >= 0)
			close(mountinfo);
		return;
	}
	mount->mountinfo_fd = mountinfo;
	mount->hangup_fd = -1;
	if (pipe2(ends, O_CLOEXEC) == 0) {
		close(ends[0]);
		mount->hangup_fd = ends[1];
	}
	fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0 && mountinfo_id_of(fd) == mount->id)
		mount->unique_id = own_mount_read_unique_id(fd);
	if (fd >= 0)
		close(fd);
}

/* Opens a file in memory for the messages of fusermount3 and libfuse. It cannot grow beyond what is
 * read of it. Returns -1 on an error. */
static int own_mount_open_messages(void)
{
	int fd = memfd_create("messages", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd >= 0 && (ftruncate(fd, MESSAGES_BYTES) < 0 ||
	                fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK) < 0)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Returns what to do about a message of fusermount3 or libfuse, as the end of a sentence. Static.
 */
static const char *own_mount_remedy(const char *message)
{
	if (strstr(message, "failed to exec") || strstr(message, "posix_spawn"))
		return ": install the package fuse3";
	if (strstr(message, "failed to open /dev/fuse"))
		return ": this machine or container must allow access to the device";
	if (strstr(message, "Operation not permitted"))
		return ": this needs a fusermount3 that is setuid root, or CAP_SYS_ADMIN";
	if (strstr(message, "mount failed: Permission denied"))
		return ": AppArmor or SELinux may forbid it, see the log of the kernel";
	return "";
}

/* Describes why mounting failed. fd: a file with the messages of fusermount3 and libfuse; -1 if
 * they were written to stderr. The last line has the reason, after "fusermount3: " or "fuse: ". */
static void own_mount_explain(int fd, const char *path, char *ret_why, size_t why_bytes)
{
	char text[MESSAGES_BYTES + 1];
	ssize_t got = fd < 0 ? 0 : pread(fd, text, sizeof(text) - 1, 0);
	const char *line, *reason;
	size_t length;

	text[got > 0 ? got : 0] = '\0';
	length = strlen(text);
	while (length > 0 && text[length - 1] == '\n')
		text[--length] = '\0';
	line = strrchr(text, '\n');
	line = line ? line + 1 : text;
	reason = strstr(line, ": ");
	if (access("/dev/fuse", R_OK | W_OK) < 0)
		snprintf(ret_why, why_bytes,
		         "cannot mount on %s: /dev/fuse: %s (an ordinary user needs it to be mode "
		         "0666)",
		         path, strerror(errno));
	else if (*line)
		snprintf(ret_why, why_bytes, "cannot mount on %s: %s%s", path,
		         reason ? reason + 2 : line, own_mount_remedy(line));
	else
		snprintf(ret_why, why_bytes,
		         "cannot mount on %s: %s, and check fusermount3 (of the package fuse3)",
		         path,
		         fd < 0 ? "see the messages before this one"
		                : "no reason is known: start with -d to see what libfuse reports");
}

/*
 * With auto_unmount, fusermount3 waits for the end of this process: until its socket to the process
 * closes. It then opens the mount point once, and unmounts only if that fails with ENOTCONN. When a
 * process is killed, the kernel releases its files in descending order of the highest descriptor of
 * each. libfuse has given the socket a higher descriptor than /dev/fuse, so the socket would be
 * released first, while the mount is still alive. This returns a copy of /dev/fuse above the
 * socket, or -1.
 */
static int own_mount_copy_device(struct fuse_session *session)
{
	int fd = fuse_session_fd(session), highest = fd;

	/* The other end of the socket is closed, so its number may be free. */
	for (int number = fd + 1; number <= fd + SOCKET_DISTANCE; number++)
		if (fcntl(number, F_GETFD) >= 0)
			highest = number;
	return fcntl(fd, F_DUPFD_CLOEXEC, highest + 1);
}

int own_mount_make(struct own_mount *mount, struct fuse_session *session, const char *path,
                   bool auto_unmount, bool debug, char *ret_why, size_t why_bytes)
{
	/* A failed start prints one line only. fusermount3 writes to stderr, and so does libfuse
	 * without a log function. */
	int messages = debug ? -1 : own_mount_open_messages();
	int saved_stderr = messages < 0 ? -1 : fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
	int err;

	if (!debug)
		fuse_set_log_func(NULL);
	if (saved_stderr >= 0)
		dup2(messages, STDERR_FILENO);
	err = fuse_session_mount(session, path) < 0 ? -EIO : 0;
	mount->mounted = err == 0;
	mount->path = path;
	mount->device_copy_fd = -1;
	if (err == 0 && auto_unmount)
		mount->device_copy_fd = own_mount_copy_device(session);
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

/*
 * Opens the root of the target: the own mount, or a bind mount that is stacked on it. Returns an
 * O_PATH descriptor; -EBUSY if another mount is on top; -ESTALE if the mount is gone and its ID
 * belongs to another mount; or -errno.
 */
static int own_mount_open(const struct own_mount *mount, const struct mountinfo_mount *target)
{
	int fd = open(target->path, O_PATH | O_NOFOLLOW | O_CLOEXEC), err = 0, id;

	if (fd < 0)
		return errno == ENOENT ? -EBUSY : -errno;
	id = mountinfo_id_of(fd);
	if (id == 0) /* /proc is hidden, or there is no free descriptor */
		err = -EMFILE;
	else if (id != target->id)
		err = -EBUSY;
	else if (id == mount->id && mount->unique_id != 0 && !mount->device_is_own &&
	         mount->unique_id != own_mount_read_unique_id(fd))
		err = -ESTALE;
	if (err == 0)
		return fd;
	close(fd);
	return err;
}

/*
 * Makes fuse_session_unmount() close the connection without unmounting. libfuse leaves the path
 * alone when poll(2) reports POLLERR for the descriptor, as a pipe without a reader does.
 */
static void own_mount_disconnect(struct own_mount *mount, struct fuse_session *session)
{
	int fd = fuse_session_fd(session);

	if (mount->hangup_fd >= 0 && dup3(mount->hangup_fd, fd, O_CLOEXEC) >= 0)
		fuse_session_unmount(session);
	/* Without a pipe only the connection is closed. The number stays in use: otherwise another
	 * thread could open a file under it, which fuse_session_destroy() would close. */
	else if (dup3(mount->mountinfo_fd, fd, O_CLOEXEC) < 0)
		close(fd); /* the limit was lowered below fd, so no new file gets the number */
	if (mount->hangup_fd >= 0)
		close(mount->hangup_fd);
	mount->hangup_fd = -1;
}

/* Unmounts the own mount, or a bind mount of it; nothing hides the target. Returns 0; -ESTALE
 * if it is gone; or another -errno. */
static int own_mount_detach(const struct own_mount *mount, const struct mountinfo_mount *target)
{
	char name[64];
	int fd = own_mount_open(mount, target), err;

	/* Without a free descriptor the list alone has to prove that the path leads to the mount.
	 */
	if (fd == -EMFILE || fd == -ENFILE)
		return mountpoint_detach(target->path);
	if (fd < 0)
		return fd;
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	err = umount2(name, MNT_DETACH) < 0 ? mountpoint_detach(target->path) : 0;
	close(fd);
	return err;
}

/* Describes why the own mount is left. err: of own_mount_detach(), or 0 if it was not tried. */
static void own_mount_explain_left(const struct own_mount_location *location, int err,
                                   char *ret_why, size_t why_bytes)
{
	const char *path = location->own->path;
	const struct mountinfo_mount *cover = location->cover, *inside = location->inside;
	char more[64] = "";

	if (location->inside_count > 1)
		snprintf(more, sizeof(more), " (and %zu more)", location->inside_count - 1);
	if (err < 0)
		snprintf(ret_why, why_bytes,
		         "cannot unmount %s: %s; a dead mount is left there: see findmnt %s, and "
		         "try fusermount3 -uz %s",
		         path,
		         err == -EBUSY ? "the path leads elsewhere" : mountpoint_detach_error(err),
		         path, path);
	else if (inside && (!cover || location->cover_is_stacked))
		snprintf(ret_why, why_bytes,
		         "cannot unmount %s: a file system of type %s (%s) is mounted inside it at "
		         "%s%s and would be lost; a dead mount is left: unmount that file system "
		         "first, then fusermount3 -uz %s",
		         path, inside->type, inside->source, inside->path, more, path);
	else if (location->cover_is_own)
		snprintf(ret_why, why_bytes,
		         "cannot unmount %s: a bind mount of it at %s hides it; both are left, "
		         "dead: umount -l %s first, then fusermount3 -uz %s",
		         path, cover->path, cover->path, path);
	else
		snprintf(ret_why, why_bytes,
		         "cannot unmount %s: a file system of type %s (%s) is mounted over it at "
		         "%s; a dead mount is left below: unmount that file system first, then "
		         "fusermount3 -uz %s",
		         path, cover->type, cover->source, cover->path, path);
}

/* Unmounts the bind mounts that are stacked on the own mount, then the own mount, then bind mounts
 * that have taken its place. Returns 1 if a bind mount elsewhere existed, 0, or -errno with a
 * sentence in ret_why. */
static int own_mount_detach_stack(const struct own_mount *mount, char *ret_why, size_t why_bytes)
{
	struct own_mount_location location;
	bool left = true, other = false;
	int err = 0;

	while (err == 0 && left) { /* each turn unmounts one mount */
		const struct mountinfo_mount *cover;

		err = own_mount_location_read(mount, &location);
		if (err < 0) {
			snprintf(ret_why, why_bytes, "cannot read /proc/self/mountinfo: %s",
			         strerror(-err));
			return err;
		}
		cover = location.cover;
		/* Once the file system has ended, another one may have its device number. */
		other = location.other && (location.own || mount->device_is_own);
		/* Whether another turn is needed is decided before this unmount: after the last one
		 * the kernel may give the device number to a new mount. */
		left = location.own_count > 1;
		/* A file system on top is not even opened: opening a network file system may hang,
		 * since that revalidates its root. */
		if (location.own && (location.inside || (cover && !location.cover_is_stacked))) {
			own_mount_explain_left(&location, 0, ret_why, why_bytes);
			err = -EBUSY;
		} else if (location.own) {
			err = own_mount_detach(mount, cover ? cover : location.own);
			if (err < 0 && err != -ESTALE)
				own_mount_explain_left(&location, err, ret_why, why_bytes);
		}
		own_mount_location_done(&location);
	}
	if (err == -ESTALE) /* another file system has the ID and the device number */
		return 0;
	return err < 0 ? err : other;
}

/* Checks that no bind mount of the unmounted file system is left. Returns 0, or -EEXIST with a
 * sentence in ret_why. */
static int own_mount_check_left(const struct own_mount *mount, char *ret_why, size_t why_bytes)
{
	struct own_mount_location left;
	int err = own_mount_location_read(mount, &left);

	if (err < 0) {
		snprintf(ret_why, why_bytes,
		         "a bind mount of the unmounted file system may be left, dead: cannot read "
		         "/proc/self/mountinfo: %s: see findmnt",
		         strerror(-err));
		return -EEXIST;
	}
	if (left.other) {
		snprintf(ret_why, why_bytes,
		         "a bind mount of the unmounted file system is left at %s, dead: try "
		         "umount %s",
		         left.other->path, left.other->path);
		err = -EEXIST;
	}
	own_mount_location_done(&left);
	return err;
}

int own_mount_remove(struct own_mount *mount, struct fuse_session *session, char *ret_why,
                     size_t why_bytes)
{
	/* POLLERR: the file system ended, or its connection was aborted. */
	struct pollfd connection = {.fd = fuse_session_fd(session)};
	int err;

	if (mount->device_copy_fd >= 0)
		close(mount->device_copy_fd);
	if (mount->id == 0) {
		/* Without /proc only the path is known. */
		fuse_session_unmount(session);
		return 0;
	}
	mount->device_is_own = poll(&connection, 1, 0) == 0;
	own_mount_disconnect(mount, session);
	err = own_mount_detach_stack(mount, ret_why, why_bytes);
	/* Checked only now, since the kernel propagates the unmounting to shared bind mounts. */
	if (err > 0)
		err = own_mount_check_left(mount, ret_why, why_bytes);
	close(mount->mountinfo_fd);
	return err;
}
