/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_TESTS_UNIT_CLIENT_FIXTURE_H
#define FLEETFS_TESTS_UNIT_CLIENT_FIXTURE_H

/* A client (api/http/client.h) of a scripted server, with a token file of its own. */

#include "api/http/client.h"
#include "tests/unit/server.h"

#define LENGTH(array) (sizeof(array) / sizeof(*(array)))

/* Whole responses, and the end of the headers of one without a body. */
#define OK     "HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n{\"agent_list\":[]}"
#define TAGGED "HTTP/1.1 200 OK\r\nETag: \"7\"\r\nContent-Length: 17\r\n\r\n{\"agent_list\":[]}"
#define EMPTY  "Content-Length: 0\r\n\r\n"

/* A body that is never complete: blanks until the client ends the connection. */
#define BLANKS_64  "                                                                "
#define BLANKS_512 BLANKS_64 BLANKS_64 BLANKS_64 BLANKS_64 BLANKS_64 BLANKS_64 BLANKS_64 BLANKS_64
#define ENDLESS    .text = "HTTP/1.1 200 OK\r\n\r\n", .repeat = BLANKS_512 BLANKS_512

/* The configuration of the next client, except its base. client_fixture_set_up() resets it. */
extern struct client_config client_fixture_config;

/* Set up and tear down a test: the token file contains sk-secret. */
int client_fixture_set_up(void **state);
int client_fixture_tear_down(void **state);

const char *client_fixture_token_file(void);
void client_fixture_write_token(const char *token);

/* Returns a client of a server with the base path /api/v1 and without a team. */
struct client *client_fixture_new(const struct server *server);

/* Returns a client with a base URL and a team, which may be NULL. */
struct client *client_fixture_new_at(const char *base, const char *team);

/* Waits for a result and returns it. */
struct fetch *client_fixture_take(struct client *client);

/* Fetches a page and checks that its result is consistent. */
struct fetch *client_fixture_fetch(struct client *client, unsigned int number);

#define CLIENT_TEST(name) \
	cmocka_unit_test_setup_teardown(name, client_fixture_set_up, client_fixture_tear_down)

#endif
