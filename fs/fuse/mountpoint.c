/* SPDX-License-Identifier: MIT */
#include "fs/fuse/mountpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
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

#define MAX_TRIES   200 /* polls at an interval of 10 ms: 2 s in total */
#define MAX_STACKED 16  /* dead mounts that are detached from one path */

static void mountpoint_pause(void)
{
	const struct timespec pause = {.tv_nsec = 10000000};

	nanosleep(&pause, NULL);
}

/* Waits for a program, and kills it after 2 s. Needs no free descriptor. Returns 0, -EPERM if the
 * program fails, or -ETIMEDOUT. */
static int mountpoint_await(pid_t child)
{
	int status;

	for (int i = 0; i < MAX_TRIES; i++) {
		pid_t ended = waitpid(child, &status, WNOHANG);

		if (ended != 0)
			return ended == child && status == 0 ? 0 : -EPERM;
		mountpoint_pause();
	}
	/* Not waited for: in a system call that hangs it does not even respond to SIGKILL. */
	kill(child, SIGKILL);
	return -ETIMEDOUT;
}

/* Runs a program silently, for 2 s at most. Returns 0 or -errno, -EPERM if the program fails. */
static int mountpoint_run(char *const arguments[])
{
	posix_spawn_file_actions_t silent;
	pid_t child;
	int err = posix_spawn_file_actions_init(&silent);

	if (err != 0)
		return -err;
	err = posix_spawn_file_actions_addopen(&silent, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	if (err == 0)
		err = posix_spawnp(&child, arguments[0], &silent, NULL, arguments, environ);
	posix_spawn_file_actions_destroy(&silent);
	return err == 0 ? mountpoint_await(child) : -err;
}

int mountpoint_detach(const char *path)
{
	char *copy;
	int err;

	if (umount2(path, MNT_DETACH) == 0)
		return 0;
	copy = strdup(path);
	if (!copy)
		return -ENOMEM;
	err = mountpoint_run(
		(char *[]){(char[]){"fusermount3"}, (char[]){"-u"}, (char[]){"-z"}, copy, NULL});
	/* fusermount3 reads /etc/mtab, which a minimal system may lack. */
	if (err < 0 && err != -ETIMEDOUT)
		err = mountpoint_run((char *[]){(char[]){"umount"}, (char[]){"-l"}, copy, NULL});
	free(copy);
	return err;
}

const char *mountpoint_detach_error(int err)
{
	if (err == -ETIMEDOUT)
		return "fusermount3 or umount did not end within 2 s";
	return err == -EPERM ? "fusermount3 and umount failed" : strerror(-err);
}

/* Whether a FUSE file system is mounted at a path: 1, 0 or -errno. Requests no attributes: those of
 * another user's mount may not be read. */
static int mountpoint_query_mounted(const char *path)
{
	struct statx status;
	struct statfs fs;

	if (statx(AT_FDCWD, path, 0, 0, &status) < 0 || statfs(path, &fs) < 0)
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
	char *copy = strdup(path), *parent = copy ? dirname(copy) : NULL;
	int lock = -1;

	for (int i = 0; parent && i < MAX_TRIES; i++) {
		lock = mountpoint_lock_directory(parent);
		if (lock != -EBUSY)
			break;
		mountpoint_pause();
	}
	free(copy);
	return lock < 0 ? -1 : lock;
}

/* Returns err, with a sentence in ret_why. */
static int mountpoint_report_missing(const char *path, int err, char *ret_why, size_t why_bytes)
{
	const char *remedy =
		strstr(path, "://") ? " (SOURCE comes before it)" : " (mkdir it first)";

	snprintf(ret_why, why_bytes, "mount point %s: %s%s", path, strerror(-err),
	         err == -ENOENT ? remedy : "");
	return err;
}

static int mountpoint_check_directory(const char *path, char *ret_why, size_t why_bytes)
{
	struct stat status;

	if (stat(path, &status) < 0)
		return mountpoint_report_missing(path, -errno, ret_why, why_bytes);
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
		         path, mountpoint_detach_error(err), path);
	return err;
}

/* Identifies the directory of an O_PATH descriptor. Sends no request to the file system. Returns 0
 * or -errno. */
static int mountpoint_identify_fd(int fd, struct mountpoint_directory *ret_directory)
{
	struct statx status;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_INO, &status) < 0)
		return -errno;
	*ret_directory = (struct mountpoint_directory){
		.device = makedev(status.stx_dev_major, status.stx_dev_minor),
		.inode = status.stx_ino,
		.mount_id = mountinfo_id_of(fd),
	};
	return 0;
}

/* Identifies the directory that a path without symlinks leads to. Returns 0 or -errno. */
static int mountpoint_identify(const char *path, struct mountpoint_directory *ret_directory)
{
	int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	err = mountpoint_identify_fd(fd, ret_directory);
	close(fd);
	return err;
}

static bool mountpoint_is_same(const struct mountpoint_directory *a,
                               const struct mountpoint_directory *b)
{
	return a->device == b->device && a->inode == b->inode && a->mount_id == b->mount_id;
}

/*
 * Returns the absolute path of a descriptor, without symlinks and to be freed, or NULL with errno.
 * realpath(3) would send requests to a dead mount, so it is used only without /proc.
 */
static char *mountpoint_path_of(int fd, const char *path)
{
	char name[64], real[PATH_MAX];
	ssize_t length;

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	length = readlink(name, real, sizeof(real) - 1);
	if (length <= 0)
		return realpath(path, NULL);
	real[length] = '\0';
	return strdup(real);
}

/* Checks that nothing is mounted at another path to which the kernel would propagate the new mount:
 * the same directory in another mount of the peer group. Returns 0, or -EBUSY with a sentence in
 * ret_why. */
static int mountpoint_check_propagated(const struct mountpoint *mountpoint, char *ret_why,
                                       size_t why_bytes)
{
	const struct mountinfo_mount *propagated;
	struct mountinfo list;
	int fd = mountinfo_open(), err = fd < 0 ? fd : mountinfo_read(fd, &list);

	if (fd >= 0)
		close(fd);
	if (err < 0) /* without /proc */
		return 0;
	propagated =
		mountinfo_find_propagated(&list, mountpoint->path, mountpoint->directory.mount_id);
	if (propagated) {
		snprintf(ret_why, why_bytes,
		         "mount point %s is busy, something is mounted on the same directory at "
		         "%s: fusermount3 -u %s, or choose another",
		         mountpoint->path, propagated->path, propagated->path);
		err = -EBUSY;
	}
	mountinfo_free(&list);
	return err;
}

/* Checks the absolute path and locks it. Returns 0, or -errno with a sentence in ret_why. */
static int mountpoint_check_path(struct mountpoint *mountpoint, char *ret_why, size_t why_bytes)
{
	const char *path = mountpoint->path;
	int mounted = mountpoint_query_mounted(path), err = 0;

	if (mounted <= 0) {
		err = mountpoint_check_directory(path, ret_why, why_bytes);
		if (err < 0)
			return err;
	}
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
		if (err == 0)
			mounted = mountpoint_query_mounted(path);
	}
	if (mounted > 0)
		return mountpoint_report_busy(path, ret_why, why_bytes);
	if (mounted < 0)
		err = mounted;
	if (err == 0)
		err = mountpoint_identify(path, &mountpoint->directory);
	if (err == 0)
		return mountpoint_check_propagated(mountpoint, ret_why, why_bytes);
	snprintf(ret_why, why_bytes, "mount point %s: %s", path, strerror(-err));
	return err;
}

int mountpoint_prepare(struct mountpoint *mountpoint, const char *path, char *ret_why,
                       size_t why_bytes)
{
	struct mountpoint_directory given = {0}, absolute = {0};
	int fd = open(path, O_PATH | O_CLOEXEC), err;
	bool same;

	if (fd < 0)
		return mountpoint_report_missing(path, -errno, ret_why, why_bytes);
	/* The file system is mounted at the absolute path. If the working directory is hidden by a
	 * mount, a relative path and its absolute form lead to different directories. */
	mountpoint->path = mountpoint_path_of(fd, path);
	if (!mountpoint->path) {
		err = -errno;
		close(fd);
		return mountpoint_report_missing(path, err, ret_why, why_bytes);
	}
	same = mountpoint_identify_fd(fd, &given) == 0 &&
	       mountpoint_identify(mountpoint->path, &absolute) == 0 &&
	       mountpoint_is_same(&given, &absolute);
	close(fd);
	err = mountpoint_detach_dead(mountpoint->path, ret_why, why_bytes);
	if (err == 0)
		err = mountpoint_check_path(mountpoint, ret_why, why_bytes);
	/* `same`: before the detach, path and its absolute form led to one directory, perhaps the
	 * root of the dead mount. If a dead mount hid the directory that a relative path leads to,
	 * they lead to one directory only after the detach. */
	if (err < 0 || same || mountpoint_is_same(&given, &mountpoint->directory))
		return err;
	snprintf(
		ret_why, why_bytes,
		"mount point %s is not the directory at %s, where something else is mounted or was "
		"created: give the absolute path, or cd there again",
		path, mountpoint->path);
	return -EBUSY;
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
	if (mountpoint_is_same(&now, before))
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
