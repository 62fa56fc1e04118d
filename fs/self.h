/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_FS_SELF_H
#define FLEETFS_FS_SELF_H

/*
 * .fleetfs/: what the mount tells about itself. Written from memory whenever somebody looks, never
 * waiting for the network, never with a secret.
 */

#include <stdint.h>

#include "cache/fleet.h"
#include "fs/ca.h"
#include "fs/options.h"
#include "fs/text.h"

struct self {
	const struct options *options;
	struct fleet *fleet;
	const char *mountpoint;   /* its absolute path; NULL: none */
	const char *version;      /* of fleetfs and its libraries, a line each */
	const char *token_kind;   /* "integration key (sk-)"; NULL: none is needed */
	const char *token_source; /* a path or the name of a variable */
	struct ca_system ca;      /* what libcurl trusts by default */
	int64_t token_expiry;     /* seconds since 1970; 0: not known */
	int64_t mounted_ns;       /* wall clock */
	uint64_t http_requests;   /* sent */
	uint64_t http_bytes;      /* received, as on the wire */
	uint64_t operations[9];   /* FUSE requests answered, by enum self_operation */
	uint64_t timeouts;        /* operations that took longer than `timeout` */
	uint64_t interrupts;      /* operations whose reader was interrupted while waiting */
	uint64_t nodes;           /* values and folders that the kernel holds */
};

enum self_operation {
	SELF_LOOKUP,
	SELF_GETATTR,
	SELF_READDIR,
	SELF_READ,
	SELF_READLINK,
	SELF_STATFS,
	SELF_ACCESS,
	SELF_FORGET,
	SELF_OTHER,
};

void self_readme(const struct self *self, struct text *text);
void self_version(const struct self *self, struct text *text);
void self_config(const struct self *self, struct text *text);
void self_health(const struct self *self, struct text *text);
void self_stats(const struct self *self, struct text *text);
void self_last_error(const struct self *self, struct text *text);

#endif
