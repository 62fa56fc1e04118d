/* SPDX-License-Identifier: MIT */
/* The end of an own mount. /dev/null stands for the connection to the kernel, and nothing is
 * mounted. */
#include "fs/fuse/own_mount.h"

#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <errno.h>
#include <sys/mman.h>

#include "fs/fuse/mountinfo.h"
#include "tests/unit/allocation.h"

/* Returns a session whose connection is a descriptor of /dev/null. */
static struct fuse_session *session_on_null(void)
{
	static const char *const names[] = {"fleetfs", NULL};
	static const struct fuse_lowlevel_ops operations;
	struct fuse_args args = FUSE_ARGS_INIT(1, (char **)(uintptr_t)names);
	struct fuse_session *session =
		fuse_session_new(&args, &operations, sizeof(operations), NULL);
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	char path[32]; /* libfuse uses a descriptor that is named in this way as the connection */

	fuse_opt_free_args(&args);
	assert_non_null(session);
	assert_true(fd >= 0);
	snprintf(path, sizeof(path), "/dev/fd/%d", fd);
	assert_int_equal(fuse_session_mount(session, path), 0);
	assert_int_equal(fuse_session_fd(session), fd);
	return session;
}

/* Whether a descriptor leads to /dev/null. */
static int leads_to_null(int fd)
{
	char name[32], target[32] = "";

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	return readlink(name, target, sizeof(target) - 1) > 0 && strcmp(target, "/dev/null") == 0;
}

static void test_connection_without_a_pipe_is_closed_once(void **state)
{
	struct fuse_session *session = session_on_null();
	struct own_mount mount = {
		.id = INT_MAX, /* the mount is gone */
		.device = "0:0",
		.mountinfo_fd = mountinfo_open(),
		.hangup_fd = -1,
		.device_copy_fd = -1,
	};
	int fd = fuse_session_fd(session), files[16];
	char why[256];

	assert_true(mount.mountinfo_fd >= 0);
	assert_int_equal(own_mount_remove(&mount, session, why, sizeof(why)), 0);
	assert_false(leads_to_null(fd));
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		files[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
		assert_true(files[i] >= 0 && files[i] != fd);
	}
	fuse_session_destroy(session);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		assert_int_equal(close(files[i]), 0);
	(void)state;
}

/* Ends a mount that is gone already, while a bind mount of it is left. */
static void end_with_a_bind_mount_left(void)
{
	static const char list[] = "20 1 0:999 / /other rw - fuse.fleetfs source rw\n";
	struct fuse_session *session = session_on_null();
	struct own_mount mount = {
		.id = INT_MAX,
		.path = "/own",
		.device = "0:999",
		.mountinfo_fd = memfd_create("mountinfo", MFD_CLOEXEC),
		.hangup_fd = -1,
		.device_copy_fd = -1,
	};
	char why[256] = "";
	int err;

	assert_int_equal(write(mount.mountinfo_fd, list, strlen(list)), strlen(list));
	err = own_mount_remove(&mount, session, why, sizeof(why));
	assert_true(err < 0);
	if (err != -EEXIST || !strstr(why, "is left at /other"))
		allocation_expect_failed();
	assert_true(*why);
	fuse_session_destroy(session);
}

static void test_bind_mount_that_is_left_is_reported_also_without_memory(void **state)
{
	allocation_fail_each(end_with_a_bind_mount_left, 4);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_connection_without_a_pipe_is_closed_once),
		cmocka_unit_test(test_bind_mount_that_is_left_is_reported_also_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
