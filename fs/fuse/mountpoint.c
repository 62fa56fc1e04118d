/* SPDX-License-Identifier: MIT */
#include "fs/fuse/mountpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fs/fuse/mountinfo.h"

#define FUSE_SUPER_MAGIC 0x65735546

#define LOCK_TRIES  200 /* attempts to take the lock, 10 ms apart */
#define MAX_STACKED 16  /* dead mounts that are detached from one path */

int mountpoint_detach(const char *path)
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

static int mountpoint_report_busy(const char *path, char *ret_why, size_t why_bytes)
{
	snprintf(
		ret_why, why_bytes,
		"mount point %s is busy, something is mounted there already: fusermount3 -u %s, or "
		"choose another",
		path, path);
	return -EBUSY;
}

/* Takes the lock of a directory. Returns a descriptor that holds it; a descriptor without a lock if
 * flock(2) does not work there; -EBUSY if another process has the lock; or another -errno. */
static int mountpoint_lock_directory(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
		return fd;
	close(fd);
	return -EBUSY;
}

/*
 * Locks the mount point against another fleetfs that starts at the same moment. Returns 0 or
 * -errno. A directory that the user may not read cannot be locked; then two starts may stack their
 * mounts.
 */
static int mountpoint_lock(struct mountpoint *mountpoint, const char *path)
{
	int fd = mountpoint_lock_directory(path);

	if (fd == -EACCES)
		return 0;
	if (fd < 0)
		return fd;
	mountpoint->lock_fd = fd;
	return 0;
}

/*
 * Locks the parent directory of a dead mount point, which cannot be opened itself. Waits for the
 * lock, since a start on another mount point in the same directory may hold it; but only for 2 s,
 * since other programs may hold it for longer. Returns a descriptor that holds the lock, or -1
 * without a lock.
 */
static int mountpoint_lock_parent(const char *path)
{
	const struct timespec pause = {.tv_nsec = 10000000};
	char name[64], real[PATH_MAX];
	int fd = open(path, O_PATH | O_CLOEXEC), lock = -1;
	ssize_t length;

	if (fd < 0)
		return -1;
	/* realpath(3) would send a request to the dead mount. */
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	length = readlink(name, real, sizeof(real) - 1);
	close(fd);
	if (length <= 0)
		return -1;
	real[length] = '\0';
	dirname(real);
	for (int i = 0; i < LOCK_TRIES; i++) {
		lock = mountpoint_lock_directory(real);
		if (lock != -EBUSY)
			break;
		nanosleep(&pause, NULL);
	}
	return lock < 0 ? -1 : lock;
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

static bool mountpoint_is_dead(const char *path)
{
	struct stat status;
	struct statfs fs;

	/* stat(2) alone may be answered from the kernel's cache. */
	return (stat(path, &status) < 0 || statfs(path, &fs) < 0) && errno == ENOTCONN;
}

/*
 * Detaches the mounts that crashes left at a path, which may be stacked. The lock keeps a second
 * start from detaching the new mount of the first.
 */
static int mountpoint_detach_dead(const char *path, char *ret_why, size_t why_bytes)
{
	int lock, err = 0;

	if (!mountpoint_is_dead(path))
		return 0;
	lock = mountpoint_lock_parent(path);
	for (int i = 0; err == 0 && i < MAX_STACKED && mountpoint_is_dead(path); i++)
		err = mountpoint_detach(path);
	if (lock >= 0)
		close(lock);
	if (err < 0)
		snprintf(ret_why, why_bytes,
		         "%s is left from a crash and cannot be detached (%s): try fusermount3 -uz "
		         "%s",
		         path, strerror(-err), path);
	return err;
}

/* Identifies the directory that a path leads to. Returns 0 or -errno. */
static int mountpoint_identify(const char *path, struct mountpoint_directory *ret_directory)
{
	int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC), err = 0;
	struct statx status;

	if (fd < 0)
		return -errno;
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_INO, &status) < 0)
		err = -errno;
	else
		*ret_directory = (struct mountpoint_directory){
			.device = makedev(status.stx_dev_major, status.stx_dev_minor),
			.inode = status.stx_ino,
			.mount_id = mountinfo_id_of(fd),
		};
	close(fd);
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
		err = mountpoint_lock(mountpoint, path);
		if (err == -EBUSY) {
			snprintf(ret_why, why_bytes,
			         "mount point %s is busy, another fleetfs is starting there: wait "
			         "for it, or choose another",
			         path);
			return err;
		}
		/* Another fleetfs may have mounted between the check and the lock. */
		mounted = err == 0 ? mountpoint_is_mounted(path) : err;
	}
	if (mounted > 0)
		return mountpoint_report_busy(path, ret_why, why_bytes);
	mountpoint->path = mounted == 0 ? realpath(path, NULL) : NULL;
	if (mountpoint->path)
		err = mountpoint_identify(mountpoint->path, &mountpoint->directory);
	else
		err = mounted < 0 ? mounted : -errno;
	if (err < 0)
		snprintf(ret_why, why_bytes, "mount point %s: %s", path, strerror(-err));
	return err;
}

int mountpoint_check_unchanged(const struct mountpoint *mountpoint, char *ret_why, size_t why_bytes)
{
	const struct mountpoint_directory *before = &mountpoint->directory;
	struct mountpoint_directory now = {0};
	int err = mountpoint_identify(mountpoint->path, &now);

	if (err < 0) {
		snprintf(ret_why, why_bytes, "mount point %s: %s", mountpoint->path,
		         strerror(-err));
		return err;
	}
	if (now.device == before->device && now.inode == before->inode &&
	    now.mount_id == before->mount_id)
		return 0;
	snprintf(ret_why, why_bytes,
	         "mount point %s changed during the start: it was replaced, or something was "
	         "mounted there: start again",
	         mountpoint->path);
	return -EBUSY;
}

void mountpoint_unlock(struct mountpoint *mountpoint)
{
	if (mountpoint->lock_fd >= 0)
		close(mountpoint->lock_fd);
	mountpoint->lock_fd = -1;
}

void mountpoint_done(struct mountpoint *mountpoint)
{
	mountpoint_unlock(mountpoint);
	free(mountpoint->path);
	mountpoint->path = NULL;
}
