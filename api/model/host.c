/* SPDX-License-Identifier: MIT */
#include "api/model/host.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool is_loopback_ipv6(const char *host)
{
	size_t length = strlen(host);
	bool brackets = length > 2 && host[0] == '[' && host[length - 1] == ']';
	char address[INET6_ADDRSTRLEN + 1];
	struct in6_addr six;

	snprintf(address, sizeof(address), "%.*s", (int)(brackets ? length - 2 : length),
	         host + brackets);
	return inet_pton(AF_INET6, address, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

bool host_is_loopback(const char *host)
{
	static const char name[] = "localhost";
	size_t length = strlen(host), tail = strlen(name);
	struct in_addr four;

	if (inet_pton(AF_INET, host, &four) == 1)
		return ntohl(four.s_addr) >> 24 == 127;
	if (is_loopback_ipv6(host))
		return true;
	return length >= tail && strcasecmp(host + length - tail, name) == 0 &&
	       (length == tail || (length > tail + 1 && host[length - tail - 1] == '.'));
}
