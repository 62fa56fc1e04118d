/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_TESTS_UNIT_SERVER_H
#define FLEETFS_TESTS_UNIT_SERVER_H

/*
 * An HTTP server on 127.0.0.1 that follows a script: it sends the nth step in response to the nth
 * request, byte for byte, valid or not. The last step serves all further requests. Each connection
 * has its own thread, so steps may be slow.
 */

#include <stdbool.h>
#include <stddef.h>

struct server_step {
	const char *text; /* sent first */
	const char
		*repeat; /* if not NULL: sent after text until the client closes the connection */
	int delay_ms;    /* before anything is sent */
	bool stall;      /* then sends nothing more, and keeps the connection open */
	bool close;      /* then closes the connection */
	bool reset;      /* then closes the connection by a reset */
};

struct server;

/* Starts a server. The steps are not copied. Aborts on failure. */
struct server *server_new(const struct server_step *steps, size_t step_count);

/* Ends all connections and frees the server. */
void server_free(struct server *server);

unsigned int server_port(const struct server *server);

/* Return how many requests and connections there were, and how many requests at the same time. */
unsigned int server_requests(struct server *server);
unsigned int server_connections(struct server *server);
unsigned int server_most_at_once(struct server *server);

/* Copies the request line and headers of the nth request, from 0. */
void server_request(struct server *server, unsigned int number, char *ret, size_t room);

#endif
