/* SPDX-License-Identifier: MIT */
#include "api/http/request.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <xxhash.h>

#include "api/http/diagnose.h"
#include "api/http/split.h"
#include "api/json/decode.h"

#define MAX_WORDS_BYTES   (64u << 10) /* of a body that is no page, but may say why */
#define FIRST_BODY_BYTES  (64u << 10)
#define KEPT_BODY_BYTES   (1u << 20) /* a buffer that grew beyond it is not kept */
#define CONNECTION_LIFE_S 600        /* so that a change in DNS is followed */
#define URL_FORMAT        "%s/agents?current_page=%u&per_page=%u"

static bool is_loopback(const char *host)
{
	size_t bytes = strlen(host);
	struct in_addr address;

	if (strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0)
		return true;
	if (bytes > 10 && strcasecmp(host + bytes - 10, ".localhost") == 0)
		return true;
	return inet_pton(AF_INET, host, &address) == 1 && ntohl(address.s_addr) >> 24 == 127;
}

static bool has_part(CURLU *url, CURLUPart which)
{
	char *part = NULL;
	bool has = curl_url_get(url, which, &part, 0) == CURLUE_OK;

	curl_free(part);
	return has;
}

/* 0, with the base in curl's own memory, or -EINVAL. */
static int read_base(CURLU *url, const char *base, struct request_settings *settings)
{
	char *scheme = NULL;
	char *host = NULL;
	char *whole = NULL;
	int result = -EINVAL;

	if (curl_url_set(url, CURLUPART_URL, base, 0) == CURLUE_OK &&
	    !has_part(url, CURLUPART_QUERY) && !has_part(url, CURLUPART_FRAGMENT) &&
	    curl_url_set(url, CURLUPART_USER, NULL, 0) == CURLUE_OK &&
	    curl_url_set(url, CURLUPART_PASSWORD, NULL, 0) == CURLUE_OK &&
	    curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
	    curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
	    curl_url_get(url, CURLUPART_URL, &whole, 0) == CURLUE_OK &&
	    (strcmp(scheme, "https") == 0 || strcmp(scheme, "http") == 0)) {
		for (size_t end = strlen(whole); end > 0 && whole[end - 1] == '/'; end--)
			whole[end - 1] = '\0';
		settings->base = whole;
		settings->direct = is_loopback(host);
		settings->tls = strcmp(scheme, "https") == 0;
		whole = NULL;
		result = 0;
	}
	curl_free(scheme);
	curl_free(host);
	curl_free(whole);
	return result;
}

int request_settings_init(struct request_settings *ret_settings, const struct client_config *config)
{
	struct request_settings settings = {
		.ttl_ms = config->ttl_ms,
		.stale_ms = config->stale_ms,
		.timeout_ms = config->timeout_ms,
		.connect_timeout_ms = config->connect_timeout_ms,
		.per_page = config->per_page,
		.diagnostics = config->diagnostics,
		.ca_exclusive = config->ca_exclusive,
	};
	CURLU *url = curl_url();
	int result;

	if (!url)
		return -ENOMEM;
	result = read_base(url, config->base, &settings);
	curl_url_cleanup(url);
	if (result == 0 && config->cacert && !(settings.cacert = strdup(config->cacert)))
		result = -ENOMEM;
	if (result == 0 && config->ca_dirs && !(settings.ca_dirs = strdup(config->ca_dirs)))
		result = -ENOMEM;
	if (result == 0)
		*ret_settings = settings;
	else
		request_settings_done(&settings);
	return result;
}

void request_settings_done(struct request_settings *settings)
{
	curl_free(settings->base);
	free(settings->cacert);
	free(settings->ca_dirs);
}

static bool make_room(struct request *request, size_t bytes)
{
	size_t room = request->body_room ? request->body_room : FIRST_BODY_BYTES;
	char *grown;

	while (room < bytes)
		room *= 2;
	if (room == request->body_room)
		return true;
	grown = realloc(request->body, room);
	if (!grown)
		return false;
	request->body = grown;
	request->body_room = room;
	return true;
}

/* Less than `bytes` returned makes curl end the request. What arrives here is decompressed, so that
 * no compressed or endless body gets by the ceiling, as it would by CURLOPT_MAXFILESIZE. */
static size_t on_body(char *data, size_t one, size_t bytes, void *user)
{
	struct request *request = user;
	size_t left;
	long status = 0;

	(void)one;
	curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
	left = (status == 200 ? DECODE_MAX_BYTES : MAX_WORDS_BYTES) - request->body_bytes;
	if (bytes > left) {
		request->stop = REQUEST_STOP_BODY;
		bytes = left;
	}
	if (!make_room(request, request->body_bytes + bytes)) {
		request->stop = REQUEST_STOP_MEMORY;
		return 0;
	}
	memcpy(request->body + request->body_bytes, data, bytes);
	request->body_bytes += bytes;
	return request->stop ? 0 : bytes;
}

/* Counts over all header lines, those of any number of 1xx answers and the trailers included. */
static size_t on_header(char *data, size_t one, size_t bytes, void *user)
{
	struct request *request = user;

	(void)one;
	request->header_bytes += bytes;
	headers_line(&request->answer_headers, data, bytes);
	if (request->header_bytes <= REQUEST_MAX_HEADER_BYTES)
		return bytes;
	request->stop = REQUEST_STOP_HEADERS;
	return 0;
}

static int64_t monotonic_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

static void read_tls_version(struct request *request, const char *data, size_t bytes)
{
	static const char begin[] = "SSL connection using ";
	const size_t skip = sizeof(begin) - 1;
	size_t length = 0;

	if (bytes <= skip || memcmp(data, begin, skip) != 0)
		return;
	data += skip;
	bytes -= skip;
	while (length < bytes && length + 1 < sizeof(request->tls_version) &&
	       !strchr(" /\n", data[length])) /* which finds a NUL, too */
		length++;
	memcpy(request->tls_version, data, length);
	request->tls_version[length] = '\0';
}

/*
 * Reads curl's verbose messages. Only they contain the TLS version, the time at which TLS began (so
 * TCP was connected), and, before curl 8.7, the proxy in use. The headers with the token pass here,
 * too, and are ignored. Measured: 1 us for a request of 60 us.
 */
static int on_words(CURL *easy, curl_infotype kind, char *data, size_t bytes, void *user)
{
	struct request *request = user;

	(void)easy;
	if (kind == CURLINFO_SSL_DATA_OUT && request->tls_us == 0)
		request->tls_us = monotonic_us();
	if (kind == CURLINFO_TEXT) {
		read_tls_version(request, data, bytes);
		proxy_read(data, bytes, &request->proxy);
		/* Depends on curl's version: "using HTTP/2", "h2h3 [:method: GET]", "[HTTP/2] [1]
		 * OPENED stream". */
		request->http2 |=
			memmem(data, bytes, "HTTP/2", 6) || memmem(data, bytes, "h2h3 ", 5);
	}
	return 0;
}

/* Sets the CAs to trust. Debian's curl has a default directory of CAs, and trusts it in addition to
 * the bundle unless CURLOPT_CAPATH is set to NULL. */
static CURLcode request_trust(CURL *easy, const struct request_settings *settings)
{
	CURLcode code = CURLE_OK;

	if (settings->cacert)
		code = curl_easy_setopt(easy, CURLOPT_CAINFO, settings->cacert);
	if (code == CURLE_OK && (settings->ca_exclusive || settings->ca_dirs))
		code = curl_easy_setopt(easy, CURLOPT_CAPATH, settings->ca_dirs);
	return code;
}

static void note_address(struct request *request, const struct sockaddr *address)
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
	snprintf(request->address, sizeof(request->address), "%s port %u", host, ntohs(port));
}

/* Whether the CA bundle may be opened. The TLS library would wait for ever for a writer if a FIFO
 * has replaced the bundle since the start. A bundle that is missing is left for curl to report. */
static bool request_may_open_bundle(const struct request_settings *settings)
{
	struct stat status;

	return !settings->tls || !settings->cacert || stat(settings->cacert, &status) < 0 ||
	       S_ISREG(status.st_mode);
}

/*
 * Makes the socket of a new connection, as curl would. Notes its address, which curl 8.10 to 8.20
 * only reports after the TLS handshake. Checks the CA bundle, which is read for each connection.
 *
 * TCP_USER_TIMEOUT makes the kernel give up a connection whose data is not acknowledged for
 * connect_timeout. So a connection that went silent costs a reader that long and a retry on a new
 * connection, but not all of its timeout.
 */
static curl_socket_t on_socket(void *user, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct request *request = user;
	unsigned int patience_ms = (unsigned int)request->settings->connect_timeout_ms;
	int fd;

	(void)purpose;
	if (!request_may_open_bundle(request->settings)) {
		request->stop = REQUEST_STOP_BUNDLE;
		return CURL_SOCKET_BAD;
	}
	fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
	if (fd < 0)
		return CURL_SOCKET_BAD;
	request->dialed = true;
	request->connected = false;
	note_address(request, &address->addr);
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience_ms, sizeof(patience_ms));
	return fd;
}

/* curl calls this before it resolves the name of a host that it has not resolved recently. */
static int on_resolve(void *resolver, void *reserved, void *user)
{
	struct request *request = user;

	(void)resolver;
	(void)reserved;
	request->dialed = true;
	return 0;
}

/*
 * curl calls this when it has a connection and before it sends the request. If a connection of the
 * pool ends without a response, curl sends the request again on the next one, up to five times. If
 * the first connection went silent, the others may have, too, so every further try gets a new one.
 *
 * TCP_USER_TIMEOUT ends a silent connection after connect_timeout. So a further try after at least
 * half of that means that the connection went silent; one that the server closed ends at once.
 */
static int on_connected(void *user, char *address, char *local_address, int port, int local_port)
{
	struct request *request = user;
	int64_t now_us = monotonic_us();

	(void)address;
	(void)local_address;
	(void)port;
	(void)local_port;
	curl_easy_setopt(request->easy, CURLOPT_FRESH_CONNECT, 1L);
	if (request->sent_us &&
	    now_us - request->sent_us >= request->settings->connect_timeout_ms * INT64_C(500))
		request->lost_silent = true;
	request->sent_us = now_us;
	request->connected = true;
	return CURL_PREREQFUNC_OK;
}

/* With what is the same for all requests. */
static CURL *new_handle(struct request *request, const struct request_settings *settings)
{
	CURL *easy = curl_easy_init();

	if (!easy)
		return NULL;
	curl_easy_setopt(easy, CURLOPT_PRIVATE, request);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, request->error);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, request);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, request);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_socket);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, request);
	curl_easy_setopt(easy, CURLOPT_RESOLVER_START_FUNCTION, on_resolve);
	curl_easy_setopt(easy, CURLOPT_RESOLVER_START_DATA, request);
	curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_connected);
	curl_easy_setopt(easy, CURLOPT_PREREQDATA, request);
	curl_easy_setopt(easy, CURLOPT_DEBUGFUNCTION, on_words);
	curl_easy_setopt(easy, CURLOPT_DEBUGDATA, request);
	curl_easy_setopt(easy, CURLOPT_VERBOSE, 1L);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "fleetfs/" FLEETFS_VERSION);
	/* curl also decodes a coding that was not asked for. Measured with zstd and a window of 128
	 * MiB: 9 MiB of memory, since on_body() stops it after 8 MiB. */
	curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(easy, CURLOPT_MAXLIFETIME_CONN, (long)CONNECTION_LIFE_S);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)settings->timeout_ms);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)settings->connect_timeout_ms);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	/* Without it curl_multi_perform() waits for a resolver that does not answer: 9 s instead of
	 * 1 s. */
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);

	if (settings->diagnostics)
		curl_easy_setopt(easy, CURLOPT_CERTINFO, 1L);

	/* The token goes to the one host it is for, verified, or nowhere: no redirect (on which
	 * curl would send X-Team-ID along), no other protocol, no credentials from elsewhere, no
	 * headers of ours to a proxy. */
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	/* Each new connection reads the CA bundle, which curl would keep for 24 hours, and verifies
	 * the certificate, which a resumed TLS session would not. So a CA that was removed from the
	 * bundle is no longer trusted. Measured with OpenSSL 3.0 and the 145 CAs of Debian 12: a
	 * connection takes 17 ms of processor time instead of 1 ms. With the system's CAs it takes
	 * that anyway, because curl does not cache a directory of CAs. Resuming would save 0.3 ms.
	 */
	curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, 0L);
	curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
	curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(easy, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
	curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	/* curl copies these strings, which fails without memory. The request must not be sent
	 * without them. The strings set above are either not copied or not essential. */
	if ((settings->direct && curl_easy_setopt(easy, CURLOPT_PROXY, "") != CURLE_OK) ||
	    request_trust(easy, settings) != CURLE_OK) {
		curl_easy_cleanup(easy);
		return NULL;
	}
	return easy;
}

/* A handle serves one request: up to 8.1.0, curl goes on with a header of the answer before, which
 * it has freed, when the first line of an answer begins with a space. Headers hold the token. */
static void drop_handle(struct request *request)
{
	curl_easy_cleanup(request->easy);
	request->easy = NULL;
	for (struct curl_slist *line = request->headers; line; line = line->next)
		explicit_bzero(line->data, strlen(line->data));
	curl_slist_free_all(request->headers);
	request->headers = NULL;
}

__attribute__((format(printf, 2, 3))) static int add_header(struct request *request,
                                                            const char *format, ...)
{
	struct curl_slist *longer = NULL;
	va_list args;
	char *line;
	int bytes;

	va_start(args, format);
	bytes = vasprintf(&line, format, args);
	va_end(args);
	if (bytes < 0)
		return -ENOMEM;
	longer = curl_slist_append(request->headers, line);
	explicit_bzero(line, (size_t)bytes);
	free(line);
	if (!longer)
		return -ENOMEM;
	request->headers = longer;
	return 0;
}

/* What a cache on the way may answer with: nothing older than the ttl, unless the API fails. In
 * whole seconds, as it has to be. */
static int add_cache_control(struct request *request, const struct request_settings *settings,
                             const struct fetch *fetch)
{
	int64_t ttl_s = settings->ttl_ms / 1000, stale_s = settings->stale_ms / 1000;

	if (fetch->no_cache)
		return add_header(request, "Cache-Control: no-cache");
	if (stale_s == 0)
		return add_header(request, "Cache-Control: max-age=%" PRId64, ttl_s);
	return add_header(request, "Cache-Control: max-age=%" PRId64 ", stale-if-error=%" PRId64,
	                  ttl_s, stale_s);
}

/* Each request has a list of its own, since curl reads it again when it repeats one on another
 * connection, and the token may have changed by then. */
static int set_headers(struct request *request, const struct request_settings *settings,
                       const struct fetch *fetch, const struct credential *credential)
{
	const struct validator *condition = &fetch->condition;
	const char *team = credential_team(credential);

	if (add_header(request, "Authorization: Bearer %s", credential_token(credential)) < 0 ||
	    add_header(request, "Accept: application/json") < 0 ||
	    add_cache_control(request, settings, fetch) < 0 ||
	    (team && add_header(request, "X-Team-ID: %s", team) < 0) ||
	    (*condition->etag && add_header(request, "If-None-Match: %s", condition->etag) < 0) ||
	    (*condition->last_modified &&
	     add_header(request, "If-Modified-Since: %s", condition->last_modified) < 0))
		return -ENOMEM;
	curl_easy_setopt(request->easy, CURLOPT_HTTPHEADER, request->headers);
	request->conditional = validator_is_there(condition);
	request->lacks_team = credential_lacks_team(credential);
	request->sends_team = team;
	return 0;
}

int request_prepare(struct request *request, const struct request_settings *settings,
                    const struct fetch *fetch, const struct credential *credential, CURLSH *share)
{
	const struct split_part part = split_part(fetch, settings->per_page);
	CURLcode code;
	char *url;

	drop_handle(request);
	request->easy = share ? new_handle(request, settings) : NULL;
	request->share = share;
	if (!request->easy || curl_easy_setopt(request->easy, CURLOPT_SHARE, share) != CURLE_OK ||
	    set_headers(request, settings, fetch, credential) < 0)
		return -ENOMEM;
	if (asprintf(&url, URL_FORMAT, settings->base, part.number, part.size) < 0)
		return -ENOMEM;
	code = curl_easy_setopt(request->easy, CURLOPT_URL, url);
	free(url);
	if (code != CURLE_OK)
		return -ENOMEM;
	request->body_bytes = 0;
	request->header_bytes = 0;
	headers_begin(&request->answer_headers);
	request->stop = REQUEST_STOP_NONE;
	request->error[0] = '\0';
	request->tls_version[0] = '\0';
	request->address[0] = '\0';
	request->proxy = (struct proxy){0};
	request->settings = settings;
	request->began_us = monotonic_us();
	request->tls_us = 0;
	request->sent_us = 0;
	request->dialed = false;
	request->connected = false;
	request->lost_silent = false;
	request->http2 = false;
	return 0;
}

static void begin_failure(const struct request_settings *settings, struct fetch *fetch)
{
	const struct split_part part = split_part(fetch, settings->per_page);
	struct failure *failure = &fetch->failure;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	*failure = (struct failure){
		.retry_after_ms = -1,
		.at_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec,
	};
	snprintf(failure->url, sizeof(failure->url), URL_FORMAT, settings->base, part.number,
	         part.size);
}

void request_no_memory(const struct request_settings *settings, struct fetch *fetch)
{
	begin_failure(settings, fetch);
	diagnose_say(&fetch->failure, FAILURE_MEMORY, "out of memory");
}

/* As of now, so that it takes in whatever was done with the answer. */
static struct headers_age age_of(const struct request *request, const struct failure *failure)
{
	curl_off_t sent_us = 0;

	/* Before that it was not under way. */
	curl_easy_getinfo(request->easy, CURLINFO_PRETRANSFER_TIME_T, &sent_us);
	return headers_age(&request->answer_headers, failure->at_ns / 1000000,
	                   (monotonic_us() - request->began_us - sent_us) / 1000 + 1);
}

/* The page of an answer that is none of the failures: 0, or -errno and why. */
static int read_page(const struct request *request, long status, struct page **ret_page,
                     struct failure *failure)
{
	if (status != 304)
		return decode_page(request->body, request->body_bytes, ret_page, failure);
	*ret_page = calloc(1, sizeof(struct page));
	if (!*ret_page) {
		diagnose_say(failure, FAILURE_MEMORY, "out of memory");
		return -ENOMEM;
	}
	(*ret_page)->unchanged = true;
	(*ret_page)->total_count = AGENT_ABSENT;
	(*ret_page)->per_page = AGENT_ABSENT;
	return 0;
}

static void take_page(const struct request *request, const struct request_settings *settings,
                      long status, struct fetch *fetch)
{
	struct failure *failure = &fetch->failure;
	int64_t least_ms = age_of(request, failure).least_ms;
	bool old = diagnose_age(settings, least_ms, failure);

	if ((old && least_ms >= settings->ttl_ms + settings->stale_ms) ||
	    read_page(request, status, &fetch->page, failure) < 0)
		return;
	headers_validator(&request->answer_headers, &fetch->page->validator);
	fetch->page->age_ms = age_of(request, failure).most_ms;
	fetch->page->old = old;
}

/* Notes whether smaller parts of the page are worth asking for: not if the API ignores the page
 * size or sends no page at all. A cache or gateway that sends 413 instead of the page shows
 * neither. */
static void request_note_size(const struct request *request, long status, struct split_part part,
                              struct fetch *fetch)
{
	fetch->divisible = status == 413;
	fetch->cut_hash = 0;
	if (status != 200 || request->stop != REQUEST_STOP_BODY)
		return;
	fetch->divisible = decode_is_cut_page(request->body, request->body_bytes, part.size);
	fetch->cut_hash = XXH3_64bits(request->body, request->body_bytes);
}

void request_finish(struct request *request, const struct request_settings *settings, CURLcode code,
                    struct fetch *fetch)
{
	struct failure *failure = &fetch->failure;
	curl_off_t body_bytes = 0;
	long header_bytes = 0;
	long status = 0;

	begin_failure(settings, fetch);
	curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(request->easy, CURLINFO_SIZE_DOWNLOAD_T, &body_bytes);
	curl_easy_getinfo(request->easy, CURLINFO_HEADER_SIZE, &header_bytes);
	fetch->bytes += (uint64_t)body_bytes + (uint64_t)header_bytes;
	failure->http_status = (uint16_t)status;
	diagnose_trace(request, settings, &fetch->trace);

	if (!diagnose_failure(request, settings, code, status, &fetch->trace, failure))
		take_page(request, settings, status, fetch);
	request_note_size(request, status, split_part(fetch, settings->per_page), fetch);

	drop_handle(request);
	if (request->body_room > KEPT_BODY_BYTES) {
		free(request->body);
		request->body = NULL;
		request->body_room = 0;
	}
}

void request_done(struct request *request)
{
	drop_handle(request);
	free(request->body);
	*request = (struct request){0};
}
