/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_API_MODEL_CLOCK_H
#define FLEETFS_API_MODEL_CLOCK_H

/*
 * The clocks of the system. CLOCK_REALTIME is the wall clock, since 1970. The age of data is
 * measured with CLOCK_BOOTTIME. That clock also counts the time during which the machine is
 * suspended, and it does not change when the wall clock is set. Any thread.
 */

#include <stdint.h>
#include <time.h>

/* Returns the time of a clock in ns. The system must support the clock: errors are not checked. */
int64_t clock_ns(clockid_t clock);

#endif
