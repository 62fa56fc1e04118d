/* SPDX-License-Identifier: MIT */
#include "tests/unit/server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_CONNECTIONS 128 /* and of requests that are kept */

struct server {
	const struct server_step *steps;
	size_t step_count;
	int listener;
	int stop[2]; /* a pipe whose read end is readable once the server must end */
	pthread_t thread;

	pthread_mutex_t lock; /* guards the members below */
	pthread_t threads[MAX_CONNECTIONS];
	unsigned int connections;
	char kept[MAX_CONNECTIONS][1024];
	unsigned int requests;
	unsigned int at_once;
	unsigned int most_at_once;
};

struct server_connection {
	struct server *server;
	int fd;
};

/* Waits until fd is readable, or for the time. Returns false if the server must end. */
static bool server_wait(struct server *server, int fd, int timeout_ms)
{
	struct pollfd ready[] = {
		{.fd = server->stop[0], .events = POLLIN},
		{.fd = fd, .events = POLLIN},
	};

	poll(ready, fd < 0 ? 1 : 2, timeout_ms);
	return !ready[0].revents;
}

/* Reads a request without a body. Returns false at the end of the connection. */
static bool server_read_request(struct server *server, int fd, char *head, size_t room)
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

/* Sends a response. Returns whether the connection stays open. */
static bool server_respond(struct server *server, int fd, const struct server_step *step)
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
	bool open = true;

	free(connection);
	while (open && server_read_request(server, fd, head, sizeof(head))) {
		unsigned int number;

		pthread_mutex_lock(&server->lock);
		number = server->requests++;
		if (number < MAX_CONNECTIONS)
			strcpy(server->kept[number], head);
		if (++server->at_once > server->most_at_once)
			server->most_at_once = server->at_once;
		pthread_mutex_unlock(&server->lock);

		if (number >= server->step_count)
			number = (unsigned int)server->step_count - 1;
		server_wait(server, -1, server->steps[number].delay_ms);
		/* Before the response, since the client may send its next request at once. */
		pthread_mutex_lock(&server->lock);
		server->at_once--;
		pthread_mutex_unlock(&server->lock);
		open = server_respond(server, fd, &server->steps[number]);
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
		if (connection->fd < 0 || server->connections == MAX_CONNECTIONS) {
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

unsigned int server_port(const struct server *server)
{
	struct sockaddr_in address = {0};
	socklen_t bytes = sizeof(address);

	getsockname(server->listener, (struct sockaddr *)&address, &bytes);
	return ntohs(address.sin_port);
}

struct server *server_new(const struct server_step *steps, size_t step_count)
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
	    listen(server->listener, MAX_CONNECTIONS) < 0 ||
	    pthread_create(&server->thread, NULL, server_listen, server) != 0)
		abort();
	return server;
}

void server_free(struct server *server)
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

static unsigned int server_read_count(struct server *server, const unsigned int *which)
{
	unsigned int count;

	pthread_mutex_lock(&server->lock);
	count = *which;
	pthread_mutex_unlock(&server->lock);
	return count;
}

unsigned int server_requests(struct server *server)
{
	return server_read_count(server, &server->requests);
}

unsigned int server_connections(struct server *server)
{
	return server_read_count(server, &server->connections);
}

unsigned int server_most_at_once(struct server *server)
{
	return server_read_count(server, &server->most_at_once);
}

void server_request(struct server *server, unsigned int number, char *ret, size_t room)
{
	pthread_mutex_lock(&server->lock);
	snprintf(ret, room, "%s", server->kept[number]);
	pthread_mutex_unlock(&server->lock);
}
