/* SPDX-License-Identifier: MIT */
#define FUSE_USE_VERSION 314

#include "fs/mountpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

static int is_mounted(const char *path)
{
	struct statx status;
	struct statfs fs;

	if (statx(AT_FDCWD, path, 0, STATX_TYPE, &status) < 0 || statfs(path, &fs) < 0)
		return -errno;
	return fs.f_type == FUSE_SUPER_MAGIC && (status.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

int mountpoint_prepare(const char *path, char **ret_absolute, char *ret_why, size_t why_bytes)
{
	struct stat status;
	struct statfs fs;
	int err, mounted;

	/* stat(2) alone may be answered by what the kernel remembers of a dead mount. */
	if ((stat(path, &status) < 0 || statfs(path, &fs) < 0) && errno == ENOTCONN) {
		err = detach(path);
		if (err < 0) {
			snprintf(ret_why, why_bytes,
			         "%s is left from a crash and cannot be detached (%s): "
			         "try fusermount3 -uz %s",
			         path, strerror(-err), path);
			return err;
		}
	}
	if (stat(path, &status) < 0) {
		err = -errno;
		snprintf(ret_why, why_bytes, "mount point %s: %s%s", path, strerror(-err),
		         err == -ENOENT ? " (mkdir it first)" : "");
		return err;
	}
	if (!S_ISDIR(status.st_mode)) {
		snprintf(ret_why, why_bytes, "mount point %s is not a folder", path);
		return -ENOTDIR;
	}
	mounted = is_mounted(path);
	if (mounted != 0) {
		snprintf(ret_why, why_bytes,
		         "mount point %s is busy, something is mounted there already: "
		         "fusermount3 -u %s, or choose another",
		         path, path);
		return mounted < 0 ? mounted : -EBUSY;
	}
	*ret_absolute = realpath(path, NULL);
	if (*ret_absolute)
		return 0;
	err = -errno;
	snprintf(ret_why, why_bytes, "mount point %s: %s", path, strerror(-err));
	return err;
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

int mountpoint_mount(struct fuse_session *session, const char *path, bool debug, char *ret_why,
                     size_t why_bytes)
{
	/* It has our stderr, where one line is to say all. */
	int words = debug ? -1 : memfd_create("words", MFD_CLOEXEC);
	int ours = words < 0 ? -1 : fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
	int err;

	*ret_why = '\0';
	if (ours >= 0)
		dup2(words, STDERR_FILENO);
	err = fuse_session_mount(session, path) < 0 ? -EIO : 0;
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
