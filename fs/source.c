/* SPDX-License-Identifier: MIT */
#include "fs/source.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HOST_BYTES   256
#define SOURCE_BYTES 1024

/* HOST[:PORT]: a name, an IPv4 address or, in brackets, an IPv6 address. */
static bool parse_authority(const char *authority, size_t length, char ret_host[static HOST_BYTES])
{
	bool bracket = authority[0] == '[';
	const char *host = authority + bracket, *port = host;
	size_t digits;
	struct in6_addr address;

	while (isalnum((unsigned char)*port) || *port == '.' || *port == (bracket ? ':' : '-') ||
	       (*port == '_' && !bracket))
		port++;
	if (port == host || port - host >= HOST_BYTES)
		return false;
	memcpy(ret_host, host, (size_t)(port - host));
	ret_host[port - host] = '\0';
	if (bracket && (*port++ != ']' || inet_pton(AF_INET6, ret_host, &address) != 1))
		return false;
	if (port == authority + length)
		return true;
	digits = strspn(port + 1, "0123456789");
	return *port == ':' && digits > 0 && digits <= 5 &&
	       port + 1 + digits == authority + length && strtoul(port + 1, NULL, 10) <= 65535;
}

/* Whether plain http to it stays on this machine. Nothing that some resolver reads in another way:
 * no 127.1, no 0177.0.0.1 (inet_pton() knows neither), no 127.0.0.1.example. */
static bool is_loopback(const char *host)
{
	static const char name[] = "localhost";
	size_t length = strlen(host), tail = strlen(name);
	struct in6_addr six;
	struct in_addr four;

	if (inet_pton(AF_INET, host, &four) == 1)
		return ntohl(four.s_addr) >> 24 == 127;
	if (inet_pton(AF_INET6, host, &six) == 1)
		return IN6_IS_ADDR_LOOPBACK(&six);
	return length >= tail && strcasecmp(host + length - tail, name) == 0 &&
	       (length == tail || (length > tail + 1 && host[length - tail - 1] == '.'));
}

const char *source_fault(const char *url, bool *ret_plain)
{
	char host[HOST_BYTES];
	size_t http = strncasecmp(url, "http://", 7) == 0 ? 7 : 0;
	size_t scheme = strncasecmp(url, "https://", 8) == 0 ? 8 : http;
	size_t length = strcspn(url + scheme, "/?#");
	const char *path;

	if (memchr(url + scheme, '@', length))
		return "a password does not belong into the source";
	if (scheme == 0)
		return "is not an http or https URL";
	if (strlen(url) > SOURCE_BYTES)
		return "is longer than 1024 bytes";
	for (const char *c = url; *c; c++) {
		if (*c <= ' ' || *c > '~' || strchr("\"<>\\^`{|}", *c))
			return "has a character that belongs in no URL";
	}
	if (strpbrk(url, "?#"))
		return "is a base URL, which ends before '?' and '#'";
	if (!parse_authority(url + scheme, length, host))
		return "has no valid host";
	path = strrchr(url + scheme + length, '/');
	if (path && strcmp(path, "/agents") == 0)
		return "ends in /agents: leave that out";
	*ret_plain = http > 0 && !is_loopback(host);
	return NULL;
}
