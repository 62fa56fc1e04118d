/* SPDX-License-Identifier: MIT */
#include "tests/unit/client_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct client_config client_fixture_config;

static char token_file[40];

int client_fixture_set_up(void **state)
{
	int fd;

	(void)state;
	client_fixture_config = (struct client_config){
		.ttl_ms = 10000,
		.stale_ms = 300000,
		.timeout_ms = 20000,
		.connect_timeout_ms = 500,
		.per_page = 100,
		.max_connections = 3,
	};
	strcpy(token_file, "/tmp/fleetfs-client-XXXXXX");
	fd = mkstemp(token_file);
	if (fd < 0)
		return -1;
	close(fd);
	client_fixture_write_token("sk-secret");
	return 0;
}

int client_fixture_tear_down(void **state)
{
	(void)state;
	unlink(token_file); /* a test may have removed it */
	return 0;
}

const char *client_fixture_token_file(void)
{
	return token_file;
}

void client_fixture_write_token(const char *token)
{
	int fd = open(token_file, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, token, strlen(token)), strlen(token));
	close(fd);
}

struct client *client_fixture_new_at(const char *base, const char *team)
{
	struct client_config config = client_fixture_config;
	struct credential *credential;
	struct failure failure;
	struct client *client;

	config.base = base;
	if (credential_new(token_file, team, &credential, &failure) < 0)
		fail_msg("%s", failure.message);
	assert_int_equal(client_new(&config, credential, &client), 0);
	return client;
}

struct client *client_fixture_new(const struct server *server)
{
	char base[64];

	snprintf(base, sizeof(base), "http://127.0.0.1:%u/api/v1", server_port(server));
	return client_fixture_new_at(base, NULL);
}

struct fetch *client_fixture_take(struct client *client)
{
	struct pollfd ready = {.fd = client_fd(client), .events = POLLIN};
	struct fetch *fetch;

	/* Longer than a request may take, also on a busy machine. */
	assert_int_equal(poll(&ready, 1, 30000), 1);
	fetch = client_take(client);
	assert_non_null(fetch);
	return fetch;
}

struct fetch *client_fixture_fetch(struct client *client, unsigned int number)
{
	struct fetch *fetch;

	assert_int_equal(client_request_page(client, number, NULL, false), 0);
	fetch = client_fixture_take(client);
	assert_int_equal(fetch->number, number);
	if (fetch->page && !fetch->page->old)
		assert_int_equal(fetch->failure.message[0], 0);
	else if (!fetch->page)
		assert_true(fetch->failure.message[0] && fetch->failure.at_ns > 0);
	return fetch;
}
