/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_SIM_SERVER_H
#define FLEETFS_SIM_SERVER_H

/*
 * The HTTP server: requests in, and each to the API or the control surface.
 *
 * libmicrohttpd runs the threads. Each of its calls takes the simulator's lock once.
 */

#include "tests/sim/sim.h"

/* Listens on 127.0.0.1, *port 0 meaning any, and tells the port in *port. NULL: it cannot. */
struct MHD_Daemon *server_start(struct sim *sim, uint16_t *port, unsigned int threads);

/* Lets go all that waits, without an answer, and ends every connection. Without the lock. */
void server_stop(struct sim *sim, struct MHD_Daemon *daemon);

#endif
