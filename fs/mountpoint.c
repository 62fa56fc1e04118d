/* SPDX-License-Identifier: MIT */
#define FUSE_USE_VERSION 314

#include "fs/mountpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <libgen.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define FUSE_SUPER_MAGIC 0x65735546

/* An ordinary user may not call umount2(2); fusermount3 does it for the owner of a mount. */
static int detach(const char *path)
{
	char *const arguments[] = {(char[]){"fusermount3"}, (char[]){"-u"}, (char[]){"-z"},
	                           (char[]){"-q"},          strdup(path),   NULL};
	pid_t child;
	int status = 0, err = 0;

	if (umount2(path, MNT_DETACH) < 0) {
		err = arguments[4]
		              ? posix_spawnp(&child, arguments[0], NULL, NULL, arguments, environ)
		              : ENOMEM;
		if (err == 0 && (waitpid(child, &status, 0) < 0 || status != 0))
			err = EPERM;
	}
	free(arguments[4]);
	return -err;
}

/* Whether a FUSE file system is mounted at a path: 1, 0 or -errno. */
static int mountpoint_is_mounted(const char *path)
{
	struct statx status;
	struct statfs fs;

	if (statx(AT_FDCWD, path, 0, STATX_TYPE, &status) < 0 || statfs(path, &fs) < 0)
		return -errno;
	return fs.f_type == FUSE_SUPER_MAGIC && (status.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

static int mountpoint_refuse_busy(const char *path, char *ret_why, size_t why_bytes)
{
	snprintf(
		ret_why, why_bytes,
		"mount point %s is busy, something is mounted there already: fusermount3 -u %s, or "
		"choose another",
		path, path);
	return -EBUSY;
}

/*
 * Locks the directory against another fleetfs that starts at the same moment. Returns a descriptor
 * that holds the lock, or -errno. A directory that the user may not read cannot be locked; then
 * two starts may stack their mounts, as without a lock.
 */
static int mountpoint_lock(const char *path, int *ret_fd)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOCTTY | O_CLOEXEC);
	int err = 0;

	if (fd < 0)
		return errno == EACCES ? 0 : -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
		err = -EBUSY;
	if (err < 0)
		close(fd);
	else
		*ret_fd = fd;
	return err;
}

static int mountpoint_check_directory(const char *path, char *ret_why, size_t why_bytes)
{
	struct stat status;

	if (stat(path, &status) < 0) {
		int err = -errno;

		snprintf(ret_why, why_bytes, "mount point %s: %s%s", path, strerror(-err),
		         err == -ENOENT ? " (mkdir it first)" : "");
		return err;
	}
	if (S_ISDIR(status.st_mode))
		return 0;
	snprintf(ret_why, why_bytes, "mount point %s is not a directory", path);
	return -ENOTDIR;
}

/* Detaches a mount that a crash left at a path. */
static int mountpoint_detach_dead(const char *path, char *ret_why, size_t why_bytes)
{
	struct stat status;
	struct statfs fs;
	int err;

	/* stat(2) alone may be answered from what the kernel remembers of a dead mount. */
	if ((stat(path, &status) == 0 && statfs(path, &fs) == 0) || errno != ENOTCONN)
		return 0;
	err = detach(path);
	if (err < 0)
		snprintf(ret_why, why_bytes,
		         "%s is left from a crash and cannot be detached (%s): try fusermount3 -uz "
		         "%s",
		         path, strerror(-err), path);
	return err;
}

int mountpoint_prepare(struct mountpoint *mountpoint, const char *path, char *ret_why,
                       size_t why_bytes)
{
	int err = mountpoint_detach_dead(path, ret_why, why_bytes);
	int mounted;

	if (err == 0)
		err = mountpoint_check_directory(path, ret_why, why_bytes);
	if (err < 0)
		return err;
	mounted = mountpoint_is_mounted(path);
	if (mounted == 0) {
		err = mountpoint_lock(path, &mountpoint->lock_fd);
		if (err == -EBUSY) {
			snprintf(ret_why, why_bytes,
			         "mount point %s is busy, another fleetfs is starting there", path);
			return err;
		}
		/* Another fleetfs may have mounted between the check and the lock. */
		mounted = err == 0 ? mountpoint_is_mounted(path) : err;
	}
	if (mounted > 0)
		return mountpoint_refuse_busy(path, ret_why, why_bytes);
	mountpoint->path = mounted == 0 ? realpath(path, NULL) : NULL;
	if (mountpoint->path)
		return 0;
	err = mounted < 0 ? mounted : -errno;
	snprintf(ret_why, why_bytes, "mount point %s: %s", path, strerror(-err));
	return err;
}

bool mountpoint_hides(const struct mountpoint *mountpoint, const char *file)
{
	size_t length = strlen(mountpoint->path);
	char *real = realpath(file, NULL), *parent;
	bool hidden;

	if (!real && errno == ENOENT) {
		/* A file that is still to be made: its directory counts. */
		parent = strdup(file);
		real = parent ? realpath(dirname(parent), NULL) : NULL;
		free(parent);
	}
	hidden = real && strncmp(real, mountpoint->path, length) == 0 &&
	         (real[length] == '/' || real[length] == '\0' || length == 1);
	free(real);
	return hidden;
}

/* The own mount */

/* One line of /proc/self/mountinfo (proc_pid_mountinfo(5)). */
struct mount_line {
	int id;
	int parent_id;
	char device[32]; /* "0:61" */
	char path[PATH_MAX];
};

/* Undoes the escapes of mountinfo: \040 for a space, and so on. */
static void mount_line_unescape(char *text)
{
	char *to = text;

	for (const char *at = text; *at; to++) {
		if (at[0] == '\\' && at[1] >= '0' && at[1] <= '3' && at[2] && at[3]) {
			*to = (char)((at[1] - '0') << 6 | (at[2] - '0') << 3 | (at[3] - '0'));
			at += 4;
		} else {
			*to = *at++;
		}
	}
	*to = '\0';
}

static bool mount_line_read(FILE *mountinfo, char **line, size_t *line_bytes,
                            struct mount_line *ret_mount)
{
	while (getline(line, line_bytes, mountinfo) > 0) {
		char *rest = *line;
		char *words[5]; /* the mount ID, its parent's, the device, the root, the mount point
		                 */

		for (size_t i = 0; i < 5; i++)
			words[i] = strsep(&rest, " ");
		if (!rest)
			continue;
		ret_mount->id = (int)strtol(words[0], NULL, 10);
		ret_mount->parent_id = (int)strtol(words[1], NULL, 10);
		snprintf(ret_mount->device, sizeof(ret_mount->device), "%s", words[2]);
		mount_line_unescape(words[4]);
		snprintf(ret_mount->path, sizeof(ret_mount->path), "%s", words[4]);
		return true;
	}
	return false;
}

/* What mountinfo says about the own mount. */
struct own_mount {
	bool found;                /* it is mounted */
	bool covered;              /* something else is mounted on top of it */
	char path[PATH_MAX];       /* where it is now */
	char other_path[PATH_MAX]; /* another mount of the same file system, or "" */
};

static int mountpoint_find_own(const struct mountpoint *mountpoint, struct own_mount *ret_own)
{
	FILE *mountinfo = fopen("/proc/self/mountinfo", "re");
	struct mount_line mount;
	char *line = NULL;
	size_t line_bytes = 0;

	*ret_own = (struct own_mount){0};
	if (!mountinfo)
		return -errno;
	while (mount_line_read(mountinfo, &line, &line_bytes, &mount)) {
		bool same = strcmp(mount.device, mountpoint->device) == 0;

		if (same && mount.id == mountpoint->id) {
			ret_own->found = true;
			memcpy(ret_own->path, mount.path, sizeof(ret_own->path));
		} else if (same) {
			memcpy(ret_own->other_path, mount.path, sizeof(ret_own->other_path));
		} else if (ret_own->found && mount.parent_id == mountpoint->id &&
		           strcmp(mount.path, ret_own->path) == 0) {
			ret_own->covered = true;
		}
	}
	free(line);
	fclose(mountinfo);
	return 0;
}

/* Remembers the mount that was just made. The last one listed at a path is the topmost. stat(2)
 * would wait for an answer that nobody gives before the loop runs. */
static void mountpoint_remember(struct mountpoint *mountpoint)
{
	FILE *mountinfo = fopen("/proc/self/mountinfo", "re");
	struct mount_line mount;
	char *line = NULL;
	size_t line_bytes = 0;

	if (!mountinfo)
		return;
	while (mount_line_read(mountinfo, &line, &line_bytes, &mount)) {
		if (strcmp(mount.path, mountpoint->path) != 0)
			continue;
		mountpoint->id = mount.id;
		memcpy(mountpoint->device, mount.device, sizeof(mountpoint->device));
	}
	free(line);
	fclose(mountinfo);
}

/* Whether a path leads to the root of the own mount. O_PATH sends no request to the daemon. */
static int mountpoint_open_own(const struct mountpoint *mountpoint, const char *path)
{
	char name[64], line[128];
	int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC), id = -1;
	FILE *info;

	if (fd < 0)
		return -errno;
	snprintf(name, sizeof(name), "/proc/self/fdinfo/%d", fd);
	info = fopen(name, "re");
	while (info && id < 0 && fgets(line, sizeof(line), info))
		if (strncmp(line, "mnt_id:", 7) == 0)
			id = (int)strtol(line + 7, NULL, 10);
	if (info)
		fclose(info);
	if (id == mountpoint->id)
		return fd;
	close(fd);
	return -EBUSY;
}

/*
 * Makes fuse_session_unmount() close the connection without unmounting: libfuse unmounts by path,
 * and the path may be another mount by now. It leaves the path alone when poll(2) reports POLLERR
 * for the descriptor, as a pipe without a reader does.
 */
static void mountpoint_disconnect(struct fuse_session *session)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) == 0) {
		close(ends[0]);
		dup3(ends[1], fuse_session_fd(session), O_CLOEXEC);
		close(ends[1]);
		fuse_session_unmount(session);
	}
}

int mountpoint_unmount(const struct mountpoint *mountpoint, struct fuse_session *session,
                       char *ret_why, size_t why_bytes)
{
	struct own_mount own;
	char name[64];
	int err, fd;

	if (mountpoint->id == 0) {
		/* Without /proc the path is all that is known. */
		fuse_session_unmount(session);
		return 0;
	}
	mountpoint_disconnect(session);
	err = mountpoint_find_own(mountpoint, &own);
	if (err < 0) {
		snprintf(ret_why, why_bytes, "cannot read /proc/self/mountinfo: %s",
		         strerror(-err));
		return err;
	}
	if (own.found) {
		fd = own.covered ? -EBUSY : mountpoint_open_own(mountpoint, own.path);
		if (fd >= 0) {
			snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
			err = umount2(name, MNT_DETACH) < 0 ? detach(own.path) : 0;
			close(fd);
		} else {
			err = fd;
		}
	}
	if (err < 0)
		snprintf(ret_why, why_bytes, "cannot unmount %s: %s%s", own.path,
		         err == -EBUSY ? "another file system is mounted over it" : strerror(-err),
		         "; a dead mount is left there: try fusermount3 -uz");
	else if (*own.other_path)
		snprintf(ret_why, why_bytes,
		         "a bind mount of it is left at %s, dead: unmount it with umount",
		         own.other_path);
	return err < 0 ? err : *own.other_path ? -EEXIST : 0;
}

void mountpoint_done(struct mountpoint *mountpoint)
{
	if (mountpoint->lock_fd >= 0)
		close(mountpoint->lock_fd);
	mountpoint->lock_fd = -1;
	free(mountpoint->path);
	mountpoint->path = NULL;
}

/* The last line of what fusermount3 wrote, without its name. */
static void last_words(int fd, char *ret_why, size_t why_bytes)
{
	char text[1024];
	ssize_t length = pread(fd, text, sizeof(text) - 1, 0);
	const char *line, *words;

	while (length > 0 && text[length - 1] == '\n')
		length--;
	if (length <= 0)
		return;
	text[length] = '\0';
	line = strrchr(text, '\n');
	line = line ? line + 1 : text;
	words = strstr(line, ": ");
	snprintf(ret_why, why_bytes, "%s", words ? words + 2 : line);
}

int mountpoint_mount(struct mountpoint *mountpoint, struct fuse_session *session, bool debug,
                     char *ret_why, size_t why_bytes)
{
	/* fusermount3 writes to our stderr, where a failed start prints one line. */
	int words = debug ? -1 : memfd_create("words", MFD_CLOEXEC);
	int ours = words < 0 ? -1 : fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
	int err;

	*ret_why = '\0';
	if (ours >= 0)
		dup2(words, STDERR_FILENO);
	err = fuse_session_mount(session, mountpoint->path) < 0 ? -EIO : 0;
	mountpoint->mounted = err == 0;
	if (err == 0)
		mountpoint_remember(mountpoint);
	/* From now on another start sees the mount itself. */
	if (mountpoint->lock_fd >= 0)
		close(mountpoint->lock_fd);
	mountpoint->lock_fd = -1;
	if (ours >= 0) {
		dup2(ours, STDERR_FILENO);
		close(ours);
		if (err < 0)
			last_words(words, ret_why, why_bytes);
	}
	if (words >= 0)
		close(words);
	return err;
}
