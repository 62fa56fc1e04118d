/* SPDX-License-Identifier: MIT */
#ifndef FLEETFS_TESTS_UNIT_SERVER_H
#define FLEETFS_TESTS_UNIT_SERVER_H

/*
 * An HTTP server on 127.0.0.1 that answers the nth request by the nth step of a script, byte for
 * byte, right or wrong; the last step serves all further ones. Each connection has a thread, so
 * that steps may take their time. For one test program: it is included, not linked.
 */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SERVER_MOST 128 /* connections, and requests that are kept */

struct server_step {
	const char *text;   /* sent first */
	const char *repeat; /* then this for ever, until the client has enough */
	int delay_ms;       /* before anything is sent */
	bool stall;         /* then nothing more, but the connection stays */
	bool close;         /* then the connection is closed */
	bool reset;         /* … by a reset */
};

struct server {
	const struct server_step *steps;
	size_t step_count;
	int listener;
	int stop[2]; /* a pipe; readable: the end */
	pthread_t thread;

	pthread_mutex_t lock; /* guards what follows */
	pthread_t threads[SERVER_MOST];
	unsigned int connections;
	char kept[SERVER_MOST][1024];
	unsigned int requests;
	unsigned int at_once;
	unsigned int most_at_once;
};

struct server_connection {
	struct server *server;
	int fd;
};

/* False at the server's end. */
static bool server_wait(struct server *server, int fd, int timeout_ms)
{
	struct pollfd ready[] = {
		{.fd = server->stop[0], .events = POLLIN},
		{.fd = fd, .events = POLLIN},
	};

	poll(ready, fd < 0 ? 1 : 2, timeout_ms);
	return !ready[0].revents;
}

/* Reads a request's head; false when there is none. */
static bool server_read(struct server *server, int fd, char *head, size_t room)
{
	size_t bytes = 0;

	head[0] = '\0';
	while (!strstr(head, "\r\n\r\n")) {
		ssize_t got;

		if (!server_wait(server, fd, -1))
			return false;
		got = recv(fd, head + bytes, room - 1 - bytes, 0);
		if (got <= 0)
			return false;
		bytes += (size_t)got;
		head[bytes] = '\0';
	}
	return true;
}

/* Whether the connection stays. */
static bool server_answer(struct server *server, int fd, const struct server_step *step)
{
	const struct linger reset = {.l_onoff = 1, .l_linger = 0};

	if (send(fd, step->text, strlen(step->text), MSG_NOSIGNAL) < 0)
		return false;
	while (step->repeat && server_wait(server, -1, 0))
		if (send(fd, step->repeat, strlen(step->repeat), MSG_NOSIGNAL) < 0)
			return false;
	if (step->stall)
		server_wait(server, -1, -1);
	if (step->reset)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	return !step->close && !step->reset;
}

static void *server_serve(void *data)
{
	struct server_connection *connection = data;
	struct server *server = connection->server;
	int fd = connection->fd;
	char head[1024];
	bool stays = true;

	free(connection);
	while (stays && server_read(server, fd, head, sizeof(head))) {
		unsigned int number;

		pthread_mutex_lock(&server->lock);
		number = server->requests++;
		if (number < SERVER_MOST)
			strcpy(server->kept[number], head);
		if (++server->at_once > server->most_at_once)
			server->most_at_once = server->at_once;
		pthread_mutex_unlock(&server->lock);

		if (number >= server->step_count)
			number = (unsigned int)server->step_count - 1;
		server_wait(server, -1, server->steps[number].delay_ms);
		/* Before the answer, or else the client's next request may be quicker. */
		pthread_mutex_lock(&server->lock);
		server->at_once--;
		pthread_mutex_unlock(&server->lock);
		stays = server_answer(server, fd, &server->steps[number]);
	}
	close(fd);
	return NULL;
}

static void *server_listen(void *data)
{
	struct server *server = data;

	while (server_wait(server, server->listener, -1)) {
		struct server_connection *connection = malloc(sizeof(*connection));

		connection->server = server;
		connection->fd = accept(server->listener, NULL, NULL);
		if (connection->fd < 0 || server->connections == SERVER_MOST) {
			free(connection);
			break;
		}
		pthread_mutex_lock(&server->lock);
		pthread_create(&server->threads[server->connections++], NULL, server_serve,
		               connection);
		pthread_mutex_unlock(&server->lock);
	}
	return NULL;
}

static unsigned int server_port(const struct server *server)
{
	struct sockaddr_in address = {0};
	socklen_t bytes = sizeof(address);

	getsockname(server->listener, (struct sockaddr *)&address, &bytes);
	return ntohs(address.sin_port);
}

/* The steps are not copied. */
static struct server *server_new(const struct server_step *steps, size_t step_count)
{
	struct server *server = calloc(1, sizeof(*server));
	struct sockaddr_in address = {.sin_family = AF_INET};

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	server->steps = steps;
	server->step_count = step_count;
	server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pthread_mutex_init(&server->lock, NULL);
	if (pipe(server->stop) < 0 ||
	    bind(server->listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(server->listener, SERVER_MOST) < 0 ||
	    pthread_create(&server->thread, NULL, server_listen, server) != 0)
		abort();
	return server;
}

static void server_free(struct server *server)
{
	close(server->stop[1]);
	pthread_join(server->thread, NULL);
	for (unsigned int i = 0; i < server->connections; i++)
		pthread_join(server->threads[i], NULL);
	close(server->listener);
	close(server->stop[0]);
	pthread_mutex_destroy(&server->lock);
	free(server);
}

static unsigned int server_count(struct server *server, const unsigned int *which)
{
	unsigned int count;

	pthread_mutex_lock(&server->lock);
	count = *which;
	pthread_mutex_unlock(&server->lock);
	return count;
}

static unsigned int server_requests(struct server *server)
{
	return server_count(server, &server->requests);
}

static unsigned int server_connections(struct server *server)
{
	return server_count(server, &server->connections);
}

static unsigned int server_most_at_once(struct server *server)
{
	return server_count(server, &server->most_at_once);
}

/* The head of the nth request, from 0. */
static void server_request(struct server *server, unsigned int number, char *ret, size_t room)
{
	pthread_mutex_lock(&server->lock);
	snprintf(ret, room, "%s", server->kept[number]);
	pthread_mutex_unlock(&server->lock);
}

#endif
