/* SPDX-License-Identifier: MIT */
#include "api/model/file_identity.h"

struct file_identity file_identity_of(const struct stat *status)
{
	return (struct file_identity){
		.device = status->st_dev,
		.inode = status->st_ino,
		.bytes = status->st_size,
		.modified = status->st_mtim,
		.changed = status->st_ctim,
	};
}

static bool is_same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

bool file_identity_same_content(const struct file_identity *a, const struct file_identity *b)
{
	return a->bytes == b->bytes && is_same_time(&a->modified, &b->modified);
}

bool file_identity_equal(const struct file_identity *a, const struct file_identity *b)
{
	return a->device == b->device && a->inode == b->inode && file_identity_same_content(a, b) &&
	       is_same_time(&a->changed, &b->changed);
}
