/* SPDX-License-Identifier: MIT */
#include "api/http/token.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "api/json/decode.h"

#define MIN_HIDDEN_BYTES  6          /* after the prefix; what is shorter is a word */
#define MAX_PAYLOAD_BYTES (8u << 10) /* of a JWT; no server accepts a header as long as that */

const char *const token_variables[TOKEN_VARIABLES] = {"FLEETFS_TOKEN", "CYBERUN_KEY"};

static const struct {
	const char *prefix;
	const char *name;
	bool team; /* sent with X-Team-ID */
} kinds[TOKEN_KINDS] = {
	[TOKEN_OTHER] = {"", "token", true},
	[TOKEN_JWT] = {"eyJ", "JWT", true},
	[TOKEN_INTEGRATION] = {"sk-", "integration key (sk-)", false},
	[TOKEN_DEVICE] = {"dk-", "device key (dk-)", false},
	[TOKEN_AGENT] = {"ak-", "agent key (ak-)", false},
};

enum token_kind token_kind_of(const char *token)
{
	for (int kind = TOKEN_JWT; kind < TOKEN_KINDS; kind++)
		if (strncmp(token, kinds[kind].prefix, strlen(kinds[kind].prefix)) == 0)
			return (enum token_kind)kind;
	return TOKEN_OTHER;
}

const char *token_kind_name(enum token_kind kind)
{
	return kinds[kind].name;
}

bool token_takes_team(enum token_kind kind)
{
	return kinds[kind].team;
}

/* Returns how many bytes at text, which follows a prefix, can belong to a token (RFC 6750). */
static size_t token_span(const char *text)
{
	return strspn(text,
	              "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.+~/=");
}

void token_hide(char *text)
{
	static const char shown[] = "***";

	for (char *at = text; *at; at++) {
		enum token_kind kind = token_kind_of(at);
		char *secret = at + strlen(kinds[kind].prefix);
		size_t bytes = kind == TOKEN_OTHER ? 0 : token_span(secret);

		if (bytes < MIN_HIDDEN_BYTES || (at > text && isalnum((unsigned char)at[-1])))
			continue;
		memmove(secret + strlen(shown), secret + bytes, strlen(secret + bytes) + 1);
		memcpy(secret, shown, strlen(shown));
		at = secret;
	}
}

/* The value of a base64url digit (RFC 4648, section 5), or -1. */
static int base64url_digit(char c)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	const char *found = c ? strchr(digits, c) : NULL;

	return found ? (int)(found - digits) : -1;
}

/* A JWT is header.payload.signature, each in base64url; the payload is JSON. */
int64_t token_jwt_expiry(const char *jwt)
{
	const char *payload = strchr(jwt, '.');
	char json[MAX_PAYLOAD_BYTES];
	uint32_t bits = 0;
	int count = 0;
	size_t bytes = 0;
	int64_t expiry;

	if (!payload)
		return 0;
	for (payload++; *payload && *payload != '.' && *payload != '='; payload++) {
		int digit = base64url_digit(*payload);

		if (digit < 0 || bytes == sizeof(json)) {
			explicit_bzero(json, bytes);
			return 0;
		}
		bits = bits << 6 | (uint32_t)digit;
		count += 6;
		if (count >= 8) {
			count -= 8;
			json[bytes++] = (char)(bits >> count & 0xff);
		}
	}
	expiry = decode_jwt_expiry(json, bytes);
	explicit_bzero(json, bytes);
	return expiry;
}

static bool is_quote(char c)
{
	return c == '"' || c == '\'' || c == '`';
}

static bool has_byte_order_mark(const char *text, size_t bytes)
{
	return bytes >= 2 && (memcmp(text, "\xef\xbb", 2) == 0 ||
	                      memcmp(text, "\xff\xfe", 2) == 0 || memcmp(text, "\xfe\xff", 2) == 0);
}

/* Returns the variable whose `NAME=` the text begins with, as an environment file does; or NULL. */
static const char *assigned_variable(const char *text, size_t bytes)
{
	for (size_t i = 0; i < TOKEN_VARIABLES; i++) {
		size_t length = strlen(token_variables[i]);

		if (bytes > length && strncmp(text, token_variables[i], length) == 0 &&
		    text[length] == '=')
			return token_variables[i];
	}
	return NULL;
}

/*
 * Rejects a byte order mark, quotation marks and `NAME=` around a token. The API would reject such
 * a token with 401, which does not lead the user to the cause. Returns whether it is free of them.
 */
static bool token_check_wrapping(const char *text, size_t bytes, const char *source,
                                 struct failure *failure)
{
	const char *variable = assigned_variable(text, bytes);

	if (has_byte_order_mark(text, bytes))
		failure_set(failure, FAILURE_CREDENTIAL,
		            "%s begins with a byte order mark: save it as plain text (ASCII)",
		            source);
	else if (bytes > 0 && (is_quote(text[0]) || is_quote(text[bytes - 1])))
		failure_set(failure, FAILURE_CREDENTIAL,
		            "%s has quotation marks around the token: remove them", source);
	else if (variable)
		failure_set(failure, FAILURE_CREDENTIAL,
		            "%s begins with '%s=': remove that, keep only the token", source,
		            variable);
	else
		return true;
	return false;
}

/* Rejects a byte that no token has. The token is copied verbatim into a header, where a line end
 * would begin another header. Returns whether the byte is valid. */
static bool token_check_byte(const char *text, size_t at, size_t bytes, const char *source,
                             struct failure *failure)
{
	unsigned char byte = (unsigned char)text[at];

	if (byte == '\r' && at + 1 == bytes)
		failure_set(failure, FAILURE_CREDENTIAL,
		            "%s ends its line with CRLF, as Windows does: end it with a newline "
		            "alone",
		            source);
	else if (byte == '\n')
		failure_set(failure, FAILURE_CREDENTIAL,
		            "%s has more than one line: keep only the token", source);
	else if (byte == ' ' || byte == '\t')
		failure_set(failure, FAILURE_CREDENTIAL,
		            "%s has a space or tab at offset %zu: keep only the token", source, at);
	else if (byte < 0x21 || byte > 0x7e)
		failure_set(failure, FAILURE_CREDENTIAL,
		            "%s has byte 0x%02x at offset %zu: keep only the token", source, byte,
		            at);
	else
		return true;
	return false;
}

int token_check(const char *text, size_t bytes, const char *source, struct failure *ret_failure)
{
	if (!token_check_wrapping(text, bytes, source, ret_failure))
		return -EINVAL;
	if (bytes == 0) {
		failure_set(ret_failure, FAILURE_CREDENTIAL, "%s is empty: put the token there",
		            source);
		return -EINVAL;
	}
	for (size_t i = 0; i < bytes; i++)
		if (!token_check_byte(text, i, bytes, source, ret_failure))
			return -EINVAL;
	return 0;
}
