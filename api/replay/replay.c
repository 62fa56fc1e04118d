/* SPDX-License-Identifier: MIT */
#include "api/replay/replay.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "api/json/decode.h"

#define YOUNG_S 2 /* the coarsest times of a file system, those of FAT */

/* What tells one content from another without reading it. */
struct identity {
	dev_t device;
	ino_t inode;
	off_t bytes;
	struct timespec modified;
	struct timespec changed;
};

struct replay {
	char *file;
	unsigned int per_page;
	int64_t ttl_ms;

	int64_t looked_ms;        /* when the last look began, CLOCK_BOOTTIME */
	struct identity identity; /* of what was read last; zeroes: read it whatever it is */
	char *text;               /* NULL: it could not be had */
	struct decode_list list;  /* of text */
	struct failure failure;   /* when text is NULL: what is wrong with what was read */

	size_t told_count; /* what the last note told of */
	int64_t told_total;
};

static struct timespec now_of(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now;
}

static int64_t now_ms(void)
{
	struct timespec now = now_of(CLOCK_BOOTTIME);

	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct replay *replay_new(const char *file, unsigned int per_page, int64_t ttl_ms)
{
	struct replay *replay = calloc(1, sizeof(*replay));

	if (!replay)
		return NULL;
	replay->per_page = per_page;
	replay->ttl_ms = ttl_ms;
	replay->told_total = -1;
	replay->file = strdup(file);
	if (!replay->file) {
		free(replay);
		return NULL;
	}
	return replay;
}

static void forget(struct replay *replay)
{
	decode_list_done(&replay->list);
	free(replay->text);
	replay->text = NULL;
	replay->identity = (struct identity){0};
}

void replay_free(struct replay *replay)
{
	if (!replay)
		return;
	forget(replay);
	free(replay->file);
	free(replay);
}

/* Always -1. */
__attribute__((format(printf, 3, 4))) static int fail(struct failure *failure,
                                                      enum failure_cause cause, const char *format,
                                                      ...)
{
	va_list args;

	failure->cause = (uint8_t)cause;
	va_start(args, format);
	vsnprintf(failure->message, sizeof(failure->message), format, args);
	va_end(args);
	return -1;
}

/* What to do about it. */
static const char *remedy(enum failure_cause cause)
{
	switch (cause) {
	case FAILURE_UNREACHABLE:
		return "check the path (the URL of an API would begin with https://)";
	case FAILURE_CREDENTIAL:
		return "let this user read it";
	case FAILURE_MALFORMED:
	case FAILURE_OVERSIZED:
		return "give a saved agents.json, or a saved answer of the API";
	default:
		return NULL;
	}
}

static int fail_errno(struct failure *failure, int error)
{
	enum failure_cause cause = FAILURE_UNREACHABLE;

	if (error == EACCES || error == EPERM)
		cause = FAILURE_CREDENTIAL;
	else if (error == ENOMEM)
		cause = FAILURE_MEMORY;
	return fail(failure, cause, "%s", strerrordesc_np(error));
}

static struct identity identity_of(const struct stat *status)
{
	return (struct identity){
		.device = status->st_dev,
		.inode = status->st_ino,
		.bytes = status->st_size,
		.modified = status->st_mtim,
		.changed = status->st_ctim,
	};
}

static bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool is_same(const struct identity *a, const struct identity *b)
{
	return a->device == b->device && a->inode == b->inode && a->bytes == b->bytes &&
	       same_time(a->modified, b->modified) && same_time(a->changed, b->changed);
}

/* Whether a change after this moment may leave the times as they are. */
static bool is_young(const struct identity *identity)
{
	return labs(now_of(CLOCK_REALTIME).tv_sec - identity->changed.tv_sec) <= YOUNG_S;
}

/* Only this is opened: opening a device or a FIFO has effects, and may wait. */
static int check_kind(const struct stat *status, struct failure *failure)
{
	if (S_ISREG(status->st_mode))
		return 0;
	return fail(failure, FAILURE_MALFORMED, "is %s, and no file",
	            S_ISDIR(status->st_mode)    ? "a folder"
	            : S_ISFIFO(status->st_mode) ? "a pipe"
	            : S_ISSOCK(status->st_mode) ? "a socket"
	                                        : "a device");
}

/* All of a file that is so large; -1, also if it ends early. */
static int read_all(int fd, char *text, size_t bytes, struct failure *failure)
{
	for (size_t at = 0; at < bytes;) {
		ssize_t got = read(fd, text + at, bytes - at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return fail_errno(failure, errno);
		if (got == 0)
			return fail(failure, FAILURE_TRUNCATED, "was cut while it was read");
		at += (size_t)got;
	}
	return 0;
}

/* The text of an open file, as it was at one moment, and what tells it from another. */
static int read_text(int fd, char **ret_text, struct identity *ret_identity,
                     struct failure *failure)
{
	struct identity before, after;
	struct stat status;
	char *text;

	if (fstat(fd, &status) < 0)
		return fail_errno(failure, errno);
	if (check_kind(&status, failure) < 0)
		return -1;
	before = identity_of(&status);
	if (before.bytes > DECODE_MAX_LIST_BYTES)
		return fail(failure, FAILURE_OVERSIZED, "larger than %u MiB",
		            DECODE_MAX_LIST_BYTES >> 20);
	text = malloc((size_t)before.bytes + 1);
	if (!text)
		return fail_errno(failure, ENOMEM);
	if (read_all(fd, text, (size_t)before.bytes, failure) < 0) {
		free(text);
		return -1;
	}
	if (fstat(fd, &status) < 0) {
		free(text);
		return fail_errno(failure, errno);
	}
	after = identity_of(&status);
	/* Not by when it changed: being replaced by another changes a file, too. */
	if (before.bytes != after.bytes || !same_time(before.modified, after.modified)) {
		free(text);
		return fail(failure, FAILURE_TRUNCATED,
		            "was written to while it was read; replace it with mv instead");
	}
	*ret_text = text;
	*ret_identity = before;
	return 0;
}

/* Reads the file anew. -1 and a failure: nothing is left of what was read before. */
static int load(struct replay *replay, struct failure *failure)
{
	struct identity identity = {0};
	char *text = NULL;
	int fd, err;

	forget(replay);
	fd = open(replay->file, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return fail_errno(failure, errno);
	err = read_text(fd, &text, &identity, failure);
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
	/* What is no list needs no second reading to be refused again. */
	if (err != -ENOMEM && !is_young(&identity))
		replay->identity = identity;
	return err;
}

/* Sees whether the file is still what was read, and reads it if not. */
static int query(struct replay *replay, struct failure *failure)
{
	struct identity identity;
	struct stat status;

	replay->looked_ms = now_ms();
	if (stat(replay->file, &status) < 0) {
		int error = errno;

		forget(replay);
		return fail_errno(failure, error);
	}
	if (check_kind(&status, failure) < 0) {
		forget(replay);
		return -1;
	}
	identity = identity_of(&status);
	if (!is_same(&identity, &replay->identity))
		return load(replay, failure);
	if (replay->text)
		return 0;
	*failure = replay->failure;
	return -1;
}

static void note(struct replay *replay, char *ret_note, size_t note_bytes)
{
	const struct decode_list *list = &replay->list;

	if (list->count == replay->told_count && list->total_count == replay->told_total)
		return;
	replay->told_count = list->count;
	replay->told_total = list->total_count;
	if (list->total_count == AGENT_ABSENT)
		snprintf(ret_note, note_bytes,
		         "the file holds %zu agents, and does not say how many there are",
		         list->count);
	else if ((size_t)list->total_count != list->count)
		snprintf(ret_note, note_bytes,
		         "the file holds %zu of the %" PRId64 " agents that it says there are",
		         list->count, list->total_count);
}

static int answer(struct replay *replay, bool again, struct fetch *fetch, struct failure *why)
{
	size_t first = (size_t)(fetch->number - 1) * replay->per_page;
	struct page *page;

	if ((again || !replay->text || now_ms() - replay->looked_ms >= replay->ttl_ms) &&
	    query(replay, why) < 0)
		return -1;
	if (decode_list_page(&replay->list, first, replay->per_page, &page, why) < 0)
		return -1;
	note(replay, fetch->note, sizeof(fetch->note));
	page->age_ms = now_ms() - replay->looked_ms;
	page->per_page = replay->per_page;
	/* A part of a list is listed as what it is, and counts as not verified. */
	if (replay->list.total_count == (int64_t)replay->list.count)
		page->total_count = replay->list.total_count;
	fetch->page = page;
	return 0;
}

void replay_answer(struct replay *replay, bool again, struct fetch *fetch)
{
	struct failure *failure = &fetch->failure;
	struct timespec now = now_of(CLOCK_REALTIME);
	struct failure why = {.message = ""};

	*failure = (struct failure){
		.retry_after_ms = -1,
		.at_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec,
	};
	snprintf(failure->url, sizeof(failure->url), "%s", replay->file);
	if (answer(replay, again, fetch, &why) == 0)
		return;
	failure->cause = why.cause;
	failure->remedy = remedy(why.cause);
	snprintf(failure->message, sizeof(failure->message), "%.200s: %.300s", replay->file,
	         why.message);
}
