/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_TREE_STATUS_H
#define FLEETFS_FS_TREE_STATUS_H

/*
 * The status directory, .fleetfs/: files about the mount itself. Their texts are written from
 * memory on each access; they never wait for the network and never contain a secret.
 */

#include <stdint.h>

#include "cache/fleet.h"
#include "fs/tree/text.h"

/* FUSE requests, as `stats` counts them. */
enum status_operation {
	STATUS_LOOKUP,
	STATUS_GETATTR,
	STATUS_READDIR,
	STATUS_READ,
	STATUS_READLINK,
	STATUS_STATFS,
	STATUS_ACCESS,
	STATUS_FORGET,
	STATUS_OTHER,
	STATUS_OPERATIONS
};

/* The states of a mount, as `health` shows them. */
enum status_state { STATUS_OK, STATUS_STALE, STATUS_FAILING, STATUS_STATES };

/* What the files show. Pointers are borrowed. */
struct status {
	struct fleet *fleet;
	const char *name;    /* of the fleet; NULL: it has none */
	const char *title;   /* of fleet.html: the name, the API's host or the file; NULL: none */
	const char *config;  /* the settings in force, a `name: value` line each */
	const char *version; /* of fleetfs and its libraries, a line each */
	const char *token_kind;   /* such as "integration key (sk-)"; NULL: no token is needed */
	const char *token_source; /* a path or the name of an environment variable */
	int64_t token_expiry;     /* seconds since 1970; 0: not known */
	int64_t started_ns;       /* when the process started; wall clock */
	uint64_t http_requests;   /* sent */
	uint64_t http_bytes;      /* received, before decompression */
	uint64_t operations[STATUS_OPERATIONS]; /* FUSE requests handled */
	uint64_t timeouts;                      /* operations that took longer than `timeout` */
	uint64_t interrupts; /* operations whose reader was interrupted while it waited */
	uint64_t nodes;      /* inodes that the kernel holds (fs/fuse/node.h) */
};

/* The word of each state in `health`. */
extern const char *const status_state_words[STATUS_STATES];

/* Returns the state of a mount whose fleet has this health. */
enum status_state status_state(const struct fleet_health *health);

/* Each appends the text of the file with its name: README (also that of the root), version, config,
 * health, stats, last_error and metrics.prom. */
void status_readme(const struct status *status, struct text *text);
void status_version(const struct status *status, struct text *text);
void status_config(const struct status *status, struct text *text);
void status_health(const struct status *status, struct text *text);
void status_stats(const struct status *status, struct text *text);
void status_last_error(const struct status *status, struct text *text);
void status_metrics(const struct status *status, struct text *text);

#endif
