/* SPDX-License-Identifier: MIT */
#include "fs/program/source.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "api/model/environment.h"
#include "api/model/host.h"

#define HOST_BYTES   256
#define SOURCE_BYTES 1024

#define SOURCE_TEXT_BYTES 112 /* of a buffer for source_describe() */

/* Parses HOST[:PORT]. HOST is a name, an IPv4 address or, in brackets, an IPv6 address. Returns
 * false if it is not valid. */
static bool source_parse_authority(const char *authority, size_t length,
                                   char ret_host[static HOST_BYTES])
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

/*
 * Returns the fault of a base URL, as the end of a sentence ("has no valid host"), or NULL. Static.
 * *ret_plain: it is plain http to a host that is not loopback. Set only if there is no fault.
 */
static const char *source_url_fault(const char *url, bool *ret_plain)
{
	char host[HOST_BYTES];
	size_t http = strncasecmp(url, "http://", 7) == 0 ? 7 : 0;
	size_t scheme = strncasecmp(url, "https://", 8) == 0 ? 8 : http;
	size_t length = strcspn(url + scheme, "/?#");
	const char *path;

	if (memchr(url + scheme, '@', length))
		return "must not contain a user or password";
	if (scheme == 0)
		return "is not an http or https URL";
	if (strlen(url) > SOURCE_BYTES)
		return "is longer than 1024 bytes";
	for (const char *c = url; *c; c++) {
		if (*c <= ' ' || *c > '~' || strchr("\"<>\\^`{|}", *c))
			return "contains a character that is not allowed in a URL";
	}
	if (strpbrk(url, "?#"))
		return "contains '?' or '#': give the base URL alone";
	if (!source_parse_authority(url + scheme, length, host))
		return "has no valid host";
	path = strrchr(url + scheme + length, '/');
	if (path && strcmp(path, "/agents") == 0)
		return "ends in /agents: leave that out";
	*ret_plain = http > 0 && !host_is_loopback(host);
	return NULL;
}

/* Whether a source begins with `scheme:`. To give a file whose name begins so, the user writes
 * `./NAME`. */
static bool source_has_scheme(const char *source, const char *scheme)
{
	size_t length = strlen(scheme);

	return strncasecmp(source, scheme, length) == 0 && source[length] == ':';
}

bool source_is_https(const char *source)
{
	return source_has_scheme(source, "https");
}

void source_title(const char *source, char *ret_title, size_t title_bytes)
{
	const char *authority = source_is_file(source) ? NULL : strstr(source, "://");

	if (authority)
		snprintf(ret_title, title_bytes, "%.*s", (int)strcspn(authority + 3, "/"),
		         authority + 3);
	else
		snprintf(ret_title, title_bytes, "%s", strrchr(source, '/') + 1);
}

/* Whether SOURCE as the user gave it names a file: file:…, or a word that does not look like a
 * URL. */
static bool source_names_file(const char *source)
{
	const char *colon = strchr(source, ':');
	size_t first = strcspn(source, "/"); /* length of the first component */

	if (source_has_scheme(source, "file"))
		return true;
	if (!*source || source_has_scheme(source, "http") || source_has_scheme(source, "https"))
		return false;
	/* A URL of another scheme and user:password@host count as URLs, not as files: the checks of
	 * a URL reject them, and their messages do not show the password. */
	if (!colon || colon > source + first)
		return true;
	return strncmp(colon, "://", 3) != 0 &&
	       !memchr(colon, '@', first - (size_t)(colon - source));
}

/*
 * Writes a source for a message: at most 100 bytes; of a URL neither its query nor its fragment,
 * which may contain a token; and nothing at all if it may contain a password.
 */
static void source_describe(const char *source, char ret_text[static SOURCE_TEXT_BYTES])
{
	bool url = source_has_scheme(source, "file") || !source_names_file(source);
	size_t length = url ? strcspn(source, "?#") : strlen(source);

	if (url && strchr(source, '@'))
		snprintf(ret_text, SOURCE_TEXT_BYTES, "…");
	else if (source[length])
		snprintf(ret_text, SOURCE_TEXT_BYTES, "%.*s%c…", (int)(length < 100 ? length : 100),
		         source, source[length]);
	else
		snprintf(ret_text, SOURCE_TEXT_BYTES, "%.100s", source);
}

/* Returns the value of a hex digit, or -1. */
static int source_hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, tolower((unsigned char)c)) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* Decodes %XX in place. Returns false for a % without two hex digits, and for %00. */
static bool source_decode_percents(char *path)
{
	char *to = path;

	for (const char *at = path; *at; at++) {
		int high, low;

		if (*at != '%') {
			*to++ = *at;
			continue;
		}
		high = source_hex_digit(at[1]);
		low = high >= 0 ? source_hex_digit(at[2]) : -1;
		if (low < 0 || high + low == 0)
			return false;
		*to++ = (char)(16 * high + low);
		at += 2;
	}
	*to = '\0';
	return true;
}

/* Returns the absolute path of a source that names a file, to be freed. On failure returns NULL;
 * then *ret_fault is the fault, as the end of a sentence, or NULL if errno has the error. */
static char *source_path(const char *source, const char **ret_fault)
{
	static const char local[] = "//localhost/";
	char *path;

	*ret_fault = environment_is_tilde(source) ? ENVIRONMENT_TILDE_FAULT : NULL;
	if (*ret_fault)
		return NULL;
	if (!source_has_scheme(source, "file"))
		return environment_absolute(source);
	source += strlen("file:");
	if (strncmp(source, "///", 3) == 0)
		source += 2;
	else if (strncasecmp(source, local, strlen(local)) == 0)
		source += strlen(local) - 1;
	if (source[0] != '/' || source[1] == '/')
		*ret_fault = "is not a file on this machine: write file:///PATH, or the path alone";
	else if (strpbrk(source, "?#"))
		*ret_fault = "contains '?' or '#': write %3F or %23 in a file URL";
	if (*ret_fault)
		return NULL;
	path = strdup(source);
	if (path && !source_decode_percents(path)) {
		free(path);
		*ret_fault = "has %00, or a '%' without two hex digits after it: write %25 for "
			     "'%' in a file URL";
		return NULL;
	}
	return path;
}

static int source_parse_file(const char *given, char **ret_source, char *ret_why, size_t why_bytes)
{
	const char *fault;
	char shown[SOURCE_TEXT_BYTES];
	char *path = source_path(given, &fault);
	int err = fault ? -EINVAL : -errno;

	if (path) {
		*ret_source = path;
		return 0;
	}
	source_describe(given, shown);
	snprintf(ret_why, why_bytes, fault ? "source '%s' %s" : "source '%s': %s", shown,
	         fault ? fault : strerror(-err));
	return err;
}

static int source_parse_url(const char *given, bool allow_http, char **ret_source, char *ret_why,
                            size_t why_bytes)
{
	size_t length = strlen(given);
	const char *fault;
	bool plain = false;
	char shown[SOURCE_TEXT_BYTES];
	char *url;

	while (length > 0 && given[length - 1] == '/')
		length--;
	url = strndup(given, length);
	if (!url) {
		snprintf(ret_why, why_bytes, "out of memory");
		return -ENOMEM;
	}
	fault = source_url_fault(url, &plain);
	if (!fault && (!plain || allow_http)) {
		*ret_source = url;
		return 0;
	}
	source_describe(url, shown);
	if (fault)
		snprintf(ret_why, why_bytes, "source '%s' %s", shown, fault);
	else
		snprintf(ret_why, why_bytes,
		         "source '%s': plain http would show the token to everyone on the way: "
		         "use https, or give --allow_http to permit that",
		         shown);
	free(url);
	return fault ? -EINVAL : -EPERM;
}

int source_parse(const char *given, bool allow_http, char **ret_source, char *ret_why,
                 size_t why_bytes)
{
	return source_names_file(given)
	               ? source_parse_file(given, ret_source, ret_why, why_bytes)
	               : source_parse_url(given, allow_http, ret_source, ret_why, why_bytes);
}
