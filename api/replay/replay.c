/* SPDX-License-Identifier: MIT */
#include "api/replay/replay.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/json/decode.h"
#include "api/model/clock.h"
#include "api/model/file_identity.h"

#define RECENT_S 2 /* the resolution of a file's times on FAT, which is the coarsest */

struct replay {
	char *file;
	unsigned int per_page;
	int64_t ttl_ms;

	int64_t checked_ms;            /* when the file was last checked, CLOCK_BOOTTIME */
	struct file_identity identity; /* of the file that was last read; zeroes: read it again */
	char *text;                    /* of the file; NULL: it could not be read */
	struct decode_list list;       /* of text */
	struct failure failure; /* if text is NULL: why the file with `identity` is no list */

	size_t noted_count; /* the numbers in the last note */
	int64_t noted_total;
};

static int64_t replay_now_ms(void)
{
	return clock_ns(CLOCK_BOOTTIME) / 1000000;
}

struct replay *replay_new(const char *file, unsigned int per_page, int64_t ttl_ms)
{
	struct replay *replay = calloc(1, sizeof(*replay));

	if (!replay)
		return NULL;
	replay->per_page = per_page;
	replay->ttl_ms = ttl_ms;
	replay->noted_total = -1;
	replay->file = strdup(file);
	if (!replay->file) {
		free(replay);
		return NULL;
	}
	return replay;
}

static void replay_clear(struct replay *replay)
{
	decode_list_done(&replay->list);
	free(replay->text);
	replay->text = NULL;
	replay->identity = (struct file_identity){0};
}

void replay_free(struct replay *replay)
{
	if (!replay)
		return;
	replay_clear(replay);
	free(replay->file);
	free(replay);
}

static const char *replay_remedy(enum failure_cause cause)
{
	switch (cause) {
	case FAILURE_UNREACHABLE:
		return "check the path (the URL of an API would begin with https://)";
	case FAILURE_CREDENTIAL:
		return "let this user read it";
	case FAILURE_MALFORMED:
	case FAILURE_OVERSIZED:
		return "give a saved agents.json, or a saved response of the API";
	default:
		return NULL;
	}
}

/* Sets the failure of a system call. Returns a negative number. */
static int replay_fail_errno(struct failure *failure, int error)
{
	enum failure_cause cause = FAILURE_UNREACHABLE;

	if (error == EACCES || error == EPERM)
		cause = FAILURE_CREDENTIAL;
	else if (error == ENOMEM)
		cause = FAILURE_MEMORY;
	return failure_set(failure, cause, "%s", strerror(error));
}

/* Returns whether the file changed so recently that a later write may leave its times as they are.
 */
static bool replay_changed_recently(const struct file_identity *identity)
{
	int64_t now_s = clock_ns(CLOCK_REALTIME) / 1000000000;

	return llabs(now_s - identity->changed.tv_sec) <= RECENT_S;
}

/* Accepts regular files only: opening a device or a FIFO has effects, and may block. */
static int replay_check_type(const struct stat *status, struct failure *failure)
{
	if (S_ISREG(status->st_mode))
		return 0;
	return failure_set(failure, FAILURE_MALFORMED, "is %s, not a file",
	                   S_ISDIR(status->st_mode)    ? "a directory"
	                   : S_ISFIFO(status->st_mode) ? "a pipe"
	                   : S_ISSOCK(status->st_mode) ? "a socket"
	                                               : "a device");
}

/* Reads exactly `bytes` bytes. Returns 0, or a negative number and a failure, also if the file ends
 * early. */
static int replay_read_bytes(int fd, char *text, size_t bytes, struct failure *failure)
{
	for (size_t at = 0; at < bytes;) {
		ssize_t got = read(fd, text + at, bytes - at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return replay_fail_errno(failure, errno);
		if (got == 0)
			return failure_set(failure, FAILURE_TRUNCATED,
			                   "was truncated while it was read");
		at += (size_t)got;
	}
	return 0;
}

/* Reads a whole open file. Returns 0, or a negative number and a failure, also if it is written
 * meanwhile. */
static int replay_read_unchanged(int fd, const struct file_identity *before, char *text,
                                 struct failure *failure)
{
	struct file_identity after;
	struct stat status;

	if (replay_read_bytes(fd, text, (size_t)before->bytes, failure) < 0)
		return -1;
	if (fstat(fd, &status) < 0)
		return replay_fail_errno(failure, errno);
	after = file_identity_of(&status);
	if (file_identity_same_content(before, &after))
		return 0;
	return failure_set(failure, FAILURE_TRUNCATED,
	                   "was written to while it was read; replace it with mv instead");
}

/* Reads an open file: its text, to be freed, and its identity. Returns 0, or a negative number and
 * a failure. */
static int replay_read_text(int fd, char **ret_text, struct file_identity *ret_identity,
                            struct failure *failure)
{
	struct file_identity identity;
	struct stat status;
	char *text;

	if (fstat(fd, &status) < 0)
		return replay_fail_errno(failure, errno);
	if (replay_check_type(&status, failure) < 0)
		return -1;
	identity = file_identity_of(&status);
	if (identity.bytes > DECODE_MAX_LIST_BYTES)
		return failure_set(failure, FAILURE_OVERSIZED, "larger than %u MiB",
		                   DECODE_MAX_LIST_BYTES >> 20);
	text = malloc((size_t)identity.bytes + 1);
	if (!text)
		return replay_fail_errno(failure, ENOMEM);
	if (replay_read_unchanged(fd, &identity, text, failure) < 0) {
		free(text);
		return -1;
	}
	*ret_text = text;
	*ret_identity = identity;
	return 0;
}

/* Reads the file, and replaces the list. Returns 0; or a negative number and a failure, and then
 * the replay has no list. */
static int replay_load(struct replay *replay, struct failure *failure)
{
	struct file_identity identity = {0};
	char *text = NULL;
	int fd, err;

	replay_clear(replay);
	fd = open(replay->file, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return replay_fail_errno(failure, errno);
	err = replay_read_text(fd, &text, &identity, failure);
	close(fd);
	if (err < 0)
		return -1;
	err = decode_list_init(text, (size_t)identity.bytes, &replay->list, failure);
	if (err == 0) {
		replay->text = text;
	} else {
		free(text);
		replay->failure = *failure;
	}
	/* A file that is no list is not read again until it changes. */
	if (err != -ENOMEM && !replay_changed_recently(&identity))
		replay->identity = identity;
	return err;
}

/* Checks whether the file is still the one that was read; if not, reads it. Returns 0, or a
 * negative number and a failure. */
static int replay_check(struct replay *replay, struct failure *failure)
{
	struct file_identity identity;
	struct stat status;

	replay->checked_ms = replay_now_ms();
	if (stat(replay->file, &status) < 0) {
		int error = errno;

		replay_clear(replay);
		return replay_fail_errno(failure, error);
	}
	if (replay_check_type(&status, failure) < 0) {
		replay_clear(replay);
		return -1;
	}
	identity = file_identity_of(&status);
	if (!file_identity_equal(&identity, &replay->identity))
		return replay_load(replay, failure);
	if (replay->text)
		return 0;
	*failure = replay->failure;
	return -1;
}

static void replay_note_count(struct replay *replay, char *ret_note, size_t note_bytes)
{
	const struct decode_list *list = &replay->list;

	if (list->count == replay->noted_count && list->total_count == replay->noted_total)
		return;
	replay->noted_count = list->count;
	replay->noted_total = list->total_count;
	if (list->total_count == AGENT_ABSENT)
		snprintf(ret_note, note_bytes,
		         "the file has %zu agents, and no total_count to compare with",
		         list->count);
	else if ((size_t)list->total_count != list->count)
		snprintf(ret_note, note_bytes,
		         "the file has %zu agents, but its total_count is %" PRId64, list->count,
		         list->total_count);
}

/* Returns 0 and the page in fetch, or a negative number and a failure. */
static int replay_make_page(struct replay *replay, bool check_now, struct fetch *fetch,
                            struct failure *failure)
{
	size_t first = (size_t)(fetch->number - 1) * replay->per_page;
	struct page *page;

	if ((check_now || !replay->text ||
	     replay_now_ms() - replay->checked_ms >= replay->ttl_ms) &&
	    replay_check(replay, failure) < 0)
		return -1;
	if (decode_list_page(&replay->list, first, replay->per_page, &page, failure) < 0)
		return -1;
	replay_note_count(replay, fetch->note, sizeof(fetch->note));
	page->age_ms = replay_now_ms() - replay->checked_ms;
	page->per_page = replay->per_page;
	/* Without a total_count the cache does not report its listing as verified. So a file with
	 * a part of a list does not pass for a whole one. */
	if (replay->list.total_count == (int64_t)replay->list.count)
		page->total_count = replay->list.total_count;
	fetch->page = page;
	return 0;
}

void replay_fetch(struct replay *replay, bool check_now, struct fetch *fetch)
{
	struct failure *failure = &fetch->failure;
	struct failure reason = {.message = ""};

	*failure = (struct failure){
		.retry_after_ms = -1,
		.at_ns = clock_ns(CLOCK_REALTIME),
	};
	snprintf(failure->url, sizeof(failure->url), "%s", replay->file);
	if (replay_make_page(replay, check_now, fetch, &reason) == 0)
		return;
	failure_set(failure, reason.cause, "%.200s: %.300s", replay->file, reason.message);
	failure->remedy = replay_remedy(reason.cause);
}
