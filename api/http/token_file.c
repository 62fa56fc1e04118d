/* SPDX-License-Identifier: MIT */
#include "api/http/token_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Sets the failure of a system call. Returns -error. */
static int token_file_fail(struct failure *failure, const char *path, int error)
{
	failure_set(failure, error == ENOMEM ? FAILURE_MEMORY : FAILURE_CREDENTIAL,
	            "token file %s: %s", path, strerror(error));
	return -error;
}

/* Whether an open file is on a file system that is mounted read-only. fstatvfs() of the descriptor,
 * unlike statvfs() of the path, is about the file that is read. */
static bool is_read_only(int fd)
{
	struct statvfs fs;

	return fstatvfs(fd, &fs) == 0 && (fs.f_flag & ST_RDONLY);
}

/* Checks type, owner, permissions and size. Returns 0, or -errno and a failure. */
static int token_file_check(const struct token_file *file, int fd, const struct stat *status,
                            struct failure *failure)
{
	const char *path = file->path;
	bool directory = S_ISDIR(status->st_mode);
	bool guarded = file->any_mode || (status->st_uid == 0 && is_read_only(fd));

	if (!S_ISREG(status->st_mode)) {
		failure_set(failure, FAILURE_CREDENTIAL,
		            "token file %s is %s: name the file that holds the token", path,
		            directory ? "a directory" : "no regular file");
		return directory ? -EISDIR : -EINVAL;
	}
	if (status->st_uid != 0 && status->st_uid != geteuid()) {
		failure_set(failure, FAILURE_CREDENTIAL,
		            "token file %s belongs to another user (uid %ju): chown it to uid %ju",
		            path, (uintmax_t)status->st_uid, (uintmax_t)geteuid());
		return -EACCES;
	}
	if ((status->st_mode & 077) && !guarded) {
		failure_set(failure, FAILURE_CREDENTIAL,
		            "token file %s is accessible to other users (mode %04o): chmod 600 %s",
		            path, (unsigned int)(status->st_mode & 07777), path);
		return -EACCES;
	}
	if (status->st_size > (off_t)TOKEN_FILE_MAX_BYTES) {
		failure_set(failure, FAILURE_CREDENTIAL,
		            "token file %s is larger than %u bytes: is it the right file?", path,
		            TOKEN_FILE_MAX_BYTES);
		return -EFBIG;
	}
	return 0;
}

/* Reads until the end of the file or of the room. Returns the number of bytes, or -errno. */
static ssize_t token_file_read_bytes(int fd, char *text, size_t room)
{
	size_t bytes = 0;

	while (bytes < room) {
		ssize_t got = read(fd, text + bytes, room - bytes);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		bytes += (size_t)got;
	}
	return (ssize_t)bytes;
}

/* The checks are made on the open file, so it cannot be exchanged between the checks and reading.
 */
static int token_file_read_open(const struct token_file *file, int fd, char *ret_text,
                                size_t *ret_bytes, struct file_identity *ret_identity,
                                struct failure *failure)
{
	struct stat status;
	ssize_t bytes;
	int result;

	if (fstat(fd, &status) < 0)
		return token_file_fail(failure, file->path, errno);
	*ret_identity = file_identity_of(&status);
	result = token_file_check(file, fd, &status, failure);
	if (result < 0)
		return result;
	bytes = token_file_read_bytes(fd, ret_text, TOKEN_FILE_MAX_BYTES + 1);
	if (bytes >= 0 && bytes <= (ssize_t)TOKEN_FILE_MAX_BYTES) {
		*ret_bytes = (size_t)bytes;
		return 0;
	}
	explicit_bzero(ret_text, TOKEN_FILE_MAX_BYTES + 1);
	if (bytes < 0)
		return token_file_fail(failure, file->path, (int)-bytes);
	failure_set(failure, FAILURE_CREDENTIAL, "token file %s grows while it is read",
	            file->path);
	return -EFBIG;
}

int token_file_read(const struct token_file *file, char *ret_text, size_t *ret_bytes,
                    struct file_identity *ret_identity, struct failure *ret_failure)
{
	/* O_NONBLOCK: opening a FIFO without a writer must not block. */
	int fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat status;
	int result;

	if (fd < 0) {
		result = token_file_fail(ret_failure, file->path, errno);
		*ret_identity = stat(file->path, &status) == 0 ? file_identity_of(&status)
		                                               : (struct file_identity){0};
		return result;
	}
	result = token_file_read_open(file, fd, ret_text, ret_bytes, ret_identity, ret_failure);
	close(fd);
	return result;
}
