/* SPDX-License-Identifier: MIT */
#include "api/http/connection.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "api/http/client.h"
#include "api/model/clock.h"

static int64_t connection_now_us(void)
{
	return clock_ns(CLOCK_MONOTONIC) / 1000;
}

int64_t connection_elapsed_us(const struct connection *connection)
{
	return connection_now_us() - connection->began_us;
}

/* Reads "SSL connection using TLSv1.3 / TLS_AES_256_GCM_SHA384". */
static void connection_read_tls_version(struct connection *connection, const char *message,
                                        size_t bytes)
{
	static const char begin[] = "SSL connection using ";
	const size_t skip = sizeof(begin) - 1;
	size_t length = 0;

	if (bytes <= skip || memcmp(message, begin, skip) != 0)
		return;
	message += skip;
	bytes -= skip;
	while (length < bytes && length + 1 < sizeof(connection->tls_version) &&
	       !strchr(" /\n", message[length])) /* also ends at a NUL */
		length++;
	memcpy(connection->tls_version, message, length);
	connection->tls_version[length] = '\0';
}

/* Reads curl's verbose messages. The headers with the token pass here, too, and are ignored.
 * Measured: 1 us for a request of 60 us. */
static int connection_on_message(CURL *easy, curl_infotype type, char *message, size_t bytes,
                                 void *user)
{
	struct connection *connection = user;

	(void)easy;
	if (type == CURLINFO_SSL_DATA_OUT && connection->tls_us == 0)
		connection->tls_us = connection_now_us();
	if (type == CURLINFO_TEXT) {
		connection_read_tls_version(connection, message, bytes);
		proxy_read(message, bytes, &connection->proxy);
		/* "TLSv1.3 (IN), TLS handshake, Request CERT (13):" */
		connection->asks_certificate |= memmem(message, bytes, "Request CERT", 12) != NULL;
		/* Depends on curl's version: "using HTTP/2", "h2h3 [:method: GET]", "[HTTP/2] [1]
		 * OPENED stream". */
		connection->http2 |=
			memmem(message, bytes, "HTTP/2", 6) || memmem(message, bytes, "h2h3 ", 5);
	}
	return 0;
}

static void connection_note_address(struct connection *connection, const struct sockaddr *address)
{
	char host[INET6_ADDRSTRLEN] = "";
	in_port_t port;

	if (address->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)address;

		inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
		port = in->sin_port;
	} else if (address->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)address;

		inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
		port = in6->sin6_port;
	} else {
		return;
	}
	snprintf(connection->address, sizeof(connection->address), "%s port %u", host, ntohs(port));
}

/* Checks the files of CAs that the TLS library opens for a connection. The settings name the CAs
 * for the API. For an https proxy, curl uses the CAs of the system. */
static bool connection_check_cas(struct connection *connection)
{
	const struct request_settings *settings = connection->settings;
	const char *bundle, *directory;

	if (settings->tls &&
	    !ca_files_check(settings->ca_bundle, settings->ca_directories, &connection->ca_fault))
		return false;
	if (!proxy_is_https(&connection->proxy))
		return true;
	client_system_ca(&bundle, &directory);
	return ca_files_check(bundle, directory, &connection->ca_fault);
}

/*
 * Makes the socket of a new connection, as curl would. Notes its address, which curl 8.10 to 8.20
 * only reports after the TLS handshake. Checks the files of CAs, which are read for each
 * connection.
 *
 * TCP_USER_TIMEOUT makes the kernel give up a connection whose data is not acknowledged for
 * connect_timeout. Then curl retries on a new connection. So a silent connection delays a reader by
 * connect_timeout, and not by its whole timeout.
 */
static curl_socket_t connection_on_socket(void *user, curlsocktype purpose,
                                          struct curl_sockaddr *address)
{
	struct connection *connection = user;
	unsigned int timeout_ms = (unsigned int)connection->settings->connect_timeout_ms;
	int fd;

	(void)purpose;
	if (!connection_check_cas(connection))
		return CURL_SOCKET_BAD;
	fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
	if (fd < 0)
		return CURL_SOCKET_BAD;
	connection->dialed = true;
	connection->established = false;
	connection->asks_certificate = false;
	connection_note_address(connection, &address->addr);
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms));
	return fd;
}

/* curl calls this before it resolves the name of a host that it has not resolved recently. */
static int connection_on_resolve(void *resolver, void *reserved, void *user)
{
	struct connection *connection = user;

	(void)resolver;
	(void)reserved;
	connection->dialed = true;
	return 0;
}

/*
 * curl calls this when it has a connection and before it sends the request. If a connection of the
 * pool ends without a response, curl sends the request again on the next one, up to five times. If
 * the first connection went silent, the others may have, too, so every retry gets a new one.
 *
 * TCP_USER_TIMEOUT ends a silent connection after connect_timeout. So a retry after at least half
 * of that means that the connection went silent; one that the server closed ends at once.
 */
static int connection_on_established(void *user, char *address, char *local_address, int port,
                                     int local_port)
{
	struct connection *connection = user;
	int64_t now_us = connection_now_us();

	(void)address;
	(void)local_address;
	(void)port;
	(void)local_port;
	curl_easy_setopt(connection->easy, CURLOPT_FRESH_CONNECT, 1L);
	if (connection->sent_us &&
	    now_us - connection->sent_us >= connection->settings->connect_timeout_ms * INT64_C(500))
		connection->lost_silent = true;
	connection->sent_us = now_us;
	connection->established = true;
	return CURL_PREREQFUNC_OK;
}

void connection_attach(struct connection *connection, CURL *easy,
                       const struct request_settings *settings)
{
	*connection = (struct connection){
		.easy = easy, .settings = settings, .began_us = connection_now_us()};
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, connection_on_socket);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, connection);
	curl_easy_setopt(easy, CURLOPT_RESOLVER_START_FUNCTION, connection_on_resolve);
	curl_easy_setopt(easy, CURLOPT_RESOLVER_START_DATA, connection);
	curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, connection_on_established);
	curl_easy_setopt(easy, CURLOPT_PREREQDATA, connection);
	curl_easy_setopt(easy, CURLOPT_DEBUGFUNCTION, connection_on_message);
	curl_easy_setopt(easy, CURLOPT_DEBUGDATA, connection);
	curl_easy_setopt(easy, CURLOPT_VERBOSE, 1L);
}
