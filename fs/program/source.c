/* SPDX-License-Identifier: MIT */
#include "fs/program/source.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "api/model/environment.h"
#include "api/model/host.h"

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
	*ret_plain = http > 0 && !host_is_loopback(host);
	return NULL;
}

/* `scheme:`, which a path may begin with only behind a `./`. */
static bool has_scheme(const char *source, const char *scheme)
{
	size_t length = strlen(scheme);

	return strncasecmp(source, scheme, length) == 0 && source[length] == ':';
}

bool source_is_https(const char *source)
{
	return has_scheme(source, "https");
}

bool source_names_file(const char *source)
{
	const char *colon = strchr(source, ':');
	size_t first = strcspn(source, "/"); /* length of the first part */

	if (has_scheme(source, "file"))
		return true;
	if (!*source || has_scheme(source, "http") || has_scheme(source, "https"))
		return false;
	/* ftp://…, and user:password@host, which is not to be repeated in a message. */
	if (!colon || colon > source + first)
		return true;
	return strncmp(colon, "://", 3) != 0 &&
	       !memchr(colon, '@', first - (size_t)(colon - source));
}

void source_describe(const char *source, char ret_text[static SOURCE_TEXT_BYTES])
{
	bool url = has_scheme(source, "file") || !source_names_file(source);
	size_t length = url ? strcspn(source, "?#") : strlen(source);

	if (url && strchr(source, '@'))
		snprintf(ret_text, SOURCE_TEXT_BYTES, "…");
	else if (source[length])
		snprintf(ret_text, SOURCE_TEXT_BYTES, "%.*s%c…", (int)(length < 100 ? length : 100),
		         source, source[length]);
	else
		snprintf(ret_text, SOURCE_TEXT_BYTES, "%.100s", source);
}

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, tolower((unsigned char)c)) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* In place. False: a % without two digits, or %00. */
static bool decode_percents(char *path)
{
	char *to = path;

	for (const char *at = path; *at; at++) {
		int high, low;

		if (*at != '%') {
			*to++ = *at;
			continue;
		}
		high = hex_digit(at[1]);
		low = high >= 0 ? hex_digit(at[2]) : -1;
		if (low < 0 || high + low == 0)
			return false;
		*to++ = (char)(16 * high + low);
		at += 2;
	}
	*to = '\0';
	return true;
}

char *source_path(const char *source, const char **ret_fault)
{
	static const char local[] = "//localhost/";
	char *path;

	*ret_fault = environment_is_tilde(source) ? ENVIRONMENT_TILDE_FAULT : NULL;
	if (*ret_fault)
		return NULL;
	if (!has_scheme(source, "file"))
		return environment_absolute(source);
	source += strlen("file:");
	if (strncmp(source, "///", 3) == 0)
		source += 2;
	else if (strncasecmp(source, local, strlen(local)) == 0)
		source += strlen(local) - 1;
	if (source[0] != '/' || source[1] == '/')
		*ret_fault = "is no file of this machine: file:///PATH is, or just PATH";
	else if (strpbrk(source, "?#"))
		*ret_fault = "is a file's URL, in which '?' is %3F and '#' is %23";
	if (*ret_fault)
		return NULL;
	path = strdup(source);
	if (path && !decode_percents(path)) {
		free(path);
		*ret_fault = "has a '%' that is not followed by two hex digits";
		return NULL;
	}
	return path;
}
