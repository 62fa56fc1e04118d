/* SPDX-License-Identifier: MIT */
#include "tests/sim/server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/api.h"
#include "tests/sim/control.h"

#define SERVER_BODY_MAX ((size_t)512 << 20) /* of a request, bytes */
#define SERVER_BACKLOG  1024u
#define SERVER_CLIENTS  4000u

/* One exchange with a client, from its headers to the end of its answer. */
struct exchange {
	struct request request;
	FILE *upload; /* writes body; NULL until there is one */
	char *body;
	size_t body_bytes;
};

static enum MHD_Result receive(struct exchange *exchange, const char *data, size_t *bytes)
{
	if (!exchange->upload)
		exchange->upload = open_memstream(&exchange->body, &exchange->body_bytes);
	if (!exchange->upload || (size_t)ftell(exchange->upload) > SERVER_BODY_MAX ||
	    fwrite(data, 1, *bytes, exchange->upload) != *bytes)
		return MHD_NO;
	*bytes = 0;
	return MHD_YES;
}

/* Called by libmicrohttpd when the headers are there, for each part of the body, at its end, and
 * again when a parked request was let go. */
static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *data,
                              size_t *data_bytes, void **state)
{
	struct sim *sim = context;
	struct exchange *exchange = *state;
	enum MHD_Result result;

	(void)version;
	if (!exchange) {
		exchange = calloc(1, sizeof(*exchange));
		if (!exchange)
			return MHD_NO;
		exchange->request.connection = connection;
		*state = exchange;
		return MHD_YES;
	}
	if (*data_bytes)
		return receive(exchange, data, data_bytes);
	if (exchange->upload)
		fflush(exchange->upload);

	pthread_mutex_lock(&sim->lock);
	if (!strncmp(path, CONTROL_PREFIX, strlen(CONTROL_PREFIX)))
		result = control_answer(sim, connection, method, path,
		                        exchange->body ? exchange->body : "", exchange->body_bytes);
	else
		result = api_answer(sim, &exchange->request, method, path);
	pthread_mutex_unlock(&sim->lock);
	return result;
}

static void end_exchange(void *context, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode code)
{
	struct sim *sim = context;
	struct exchange *exchange = *state;

	(void)connection;
	(void)code;
	if (!exchange)
		return;
	pthread_mutex_lock(&sim->lock);
	gate_ended(sim->gate, &exchange->request);
	pthread_mutex_unlock(&sim->lock);
	if (exchange->upload)
		fclose(exchange->upload);
	free(exchange->body);
	free(exchange);
	*state = NULL;
}

struct MHD_Daemon *server_start(struct sim *sim, uint16_t *port, unsigned int threads)
{
	const struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(*port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	struct MHD_Daemon *daemon;

	/* A pool of one thread is none to libmicrohttpd, which wants 0 then. */
	daemon = MHD_start_daemon(
		MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, handle,
		sim, MHD_OPTION_SOCK_ADDR, (const struct sockaddr *)&address,
		MHD_OPTION_NOTIFY_COMPLETED, end_exchange, (void *)sim, MHD_OPTION_CONNECTION_LIMIT,
		SERVER_CLIENTS, MHD_OPTION_LISTEN_BACKLOG_SIZE, SERVER_BACKLOG,
		MHD_OPTION_THREAD_POOL_SIZE, threads > 1 ? threads : 0u, MHD_OPTION_END);
	if (daemon)
		*port = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
	return daemon;
}

/* libmicrohttpd may not be stopped while a connection is suspended. */
void server_stop(struct sim *sim, struct MHD_Daemon *daemon)
{
	pthread_mutex_lock(&sim->lock);
	sim->closing = true;
	gate_close(sim->gate);
	pthread_mutex_unlock(&sim->lock);
	MHD_stop_daemon(daemon);
}
