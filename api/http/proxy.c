/* SPDX-License-Identifier: MIT */
#include "api/http/proxy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define REMEDY(variable) "check the proxy that " variable " names, or exempt the host with no_proxy"

static const struct {
	const char *name;
	const char *remedy;
} variables[] = {
	{"http_proxy", REMEDY("http_proxy")},   {"https_proxy", REMEDY("https_proxy")},
	{"HTTPS_PROXY", REMEDY("HTTPS_PROXY")}, {"all_proxy", REMEDY("all_proxy")},
	{"ALL_PROXY", REMEDY("ALL_PROXY")},
};

#define VARIABLES (sizeof(variables) / sizeof(*variables))

/* Copies a proxy's URL, [scheme://][user[:password]@]host[:port], without the user and anything
 * after the port. A password may contain an '@' that is not encoded, so the last one counts. */
static void copy_without_user(const char *url, char *ret_url, size_t room)
{
	const char *scheme = strstr(url, "://");
	const char *user = scheme ? scheme + 3 : url;
	const char *at = strrchr(user, '@');
	const char *host = at ? at + 1 : user;

	snprintf(ret_url, room, "%.*s%.*s", (int)(user - url), url, (int)strcspn(host, "/?#"),
	         host);
}

/* Sets *ret_index to the index of the variable with this name. */
static bool proxy_find_variable(const char *name, uint8_t *ret_index)
{
	for (size_t i = 0; i < VARIABLES; i++)
		if (strcmp(variables[i].name, name) == 0) {
			*ret_index = (uint8_t)i;
			return true;
		}
	return false;
}

/* curl also reports no_proxy in this way, whether or not it applies to the host. It reports the
 * variable of a proxy only if the request goes through that proxy. */
void proxy_read(const char *message, size_t bytes, struct proxy *ret_proxy)
{
	static const char begin[] = "Uses proxy env variable ";
	char text[2048], *name, *value, *end;
	struct proxy proxy = {0};

	if (bytes <= strlen(begin) || bytes >= sizeof(text) ||
	    memcmp(message, begin, strlen(begin)) != 0)
		return;
	memcpy(text, message, bytes);
	text[bytes] = '\0';
	name = text + strlen(begin);
	value = strstr(name, " == '");
	end = strrchr(name, '\'');
	if (value && end > value + 4) {
		*value = *end = '\0';
		copy_without_user(value + 5, proxy.url, sizeof(proxy.url));
		if (proxy_find_variable(name, &proxy.variable))
			*ret_proxy = proxy;
	}
	explicit_bzero(text, sizeof(text));
}

const char *proxy_remedy(const struct proxy *proxy)
{
	if (!*proxy->url)
		return REMEDY("https_proxy, http_proxy or all_proxy");
	return variables[proxy->variable].remedy;
}

bool proxy_is_socks(const struct proxy *proxy)
{
	return strncasecmp(proxy->url, "socks", 5) == 0;
}

bool proxy_is_https(const struct proxy *proxy)
{
	return strncasecmp(proxy->url, "https:", 6) == 0;
}

void proxy_add_secrets(struct redact *redact)
{
	for (size_t i = 0; i < VARIABLES; i++)
		redact_add_proxy(redact, getenv(variables[i].name));
}
