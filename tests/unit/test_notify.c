/* SPDX-License-Identifier: MIT */
#include "fs/program/notify.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

/* Opens the socket of a service manager, and sets $NOTIFY_SOCKET. A name that begins with `@` is
 * abstract. */
static int open_manager(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	size_t length = strlen(name);

	assert_true(fd >= 0);
	assert_true(length <= sizeof(address.sun_path));
	memcpy(address.sun_path, name, length);
	if (*name == '@')
		address.sun_path[0] = '\0';
	assert_int_equal(bind(fd, (struct sockaddr *)&address,
	                      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)),
	                 0);
	setenv("NOTIFY_SOCKET", name, 1);
	return fd;
}

static void assert_received(int fd, const char *text)
{
	char got[100] = "";

	assert_int_equal(read(fd, got, sizeof(got) - 1), (ssize_t)strlen(text));
	assert_string_equal(got, text);
}

static void test_states_are_sent_to_path_and_abstract_sockets(void **state)
{
	char directory[] = "/tmp/test-notify-XXXXXX";
	char names[3][120];

	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(names[0], sizeof(names[0]), "%s/socket", directory);
	snprintf(names[1], sizeof(names[1]), "@%s", directory + 1);
	/* The longest address, which has no room for a NUL. */
	memset(names[2], 'x', 108);
	names[2][108] = '\0';
	memcpy(names[2], names[1], strlen(names[1]));
	for (size_t i = 0; i < 3; i++) {
		int fd = open_manager(names[i]), ours = -1;

		assert_int_equal(notify_connect(&ours), 1);
		assert_int_equal(notify_send(ours, "READY=1\nMAINPID=42"), 0);
		assert_received(fd, "READY=1\nMAINPID=42");
		assert_int_equal(notify_send(ours, "STOPPING=1"), 0);
		assert_received(fd, "STOPPING=1");
		close(fd);
		assert_int_equal(notify_send(ours, "STOPPING=1"), -ECONNREFUSED);
		close(ours);
	}
	unlink(names[0]);
	rmdir(directory);
}

static void test_invalid_socket_is_an_error_and_none_is_not(void **state)
{
	char long_name[200];
	int fd = -1;

	(void)state;
	unsetenv("NOTIFY_SOCKET");
	assert_int_equal(notify_connect(&fd), 0);
	setenv("NOTIFY_SOCKET", "", 1);
	assert_int_equal(notify_connect(&fd), 0);
	setenv("NOTIFY_SOCKET", "vsock:2:1234", 1);
	assert_int_equal(notify_connect(&fd), -EINVAL);
	setenv("NOTIFY_SOCKET", "/nonexistent/socket", 1);
	assert_int_equal(notify_connect(&fd), -ENOENT);
	memset(long_name, 'x', sizeof(long_name));
	long_name[0] = '/';
	long_name[109] = '\0';
	setenv("NOTIFY_SOCKET", long_name, 1);
	assert_int_equal(notify_connect(&fd), -ENAMETOOLONG);
	assert_int_equal(fd, -1);
}

static void test_full_queue_is_an_error_without_waiting(void **state)
{
	int fd, ours = -1, result = 0;
	char name[40];

	(void)state;
	snprintf(name, sizeof(name), "@test-notify-%d", (int)getpid());
	fd = open_manager(name);
	assert_int_equal(notify_connect(&ours), 1);
	for (int i = 0; i < 10000 && result == 0; i++)
		result = notify_send(ours, "READY=1");
	assert_int_equal(result, -EAGAIN);
	close(ours);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_states_are_sent_to_path_and_abstract_sockets),
		cmocka_unit_test(test_invalid_socket_is_an_error_and_none_is_not),
		cmocka_unit_test(test_full_queue_is_an_error_without_waiting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
