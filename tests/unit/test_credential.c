/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "api/http/credential.h"

#define LENGTH(array) (sizeof(array) / sizeof(*(array)))

/* The payload is {"sub":"u","exp":1770000000}. */
#define JWT "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1IiwiZXhwIjoxNzcwMDAwMDAwfQ.c2ln"

static char directory[] = "/tmp/fleetfs-credential-XXXXXX";
static char file[128]; /* the token's, in directory */

/* Each test has an empty $HOME, and no token in the environment. */
static int set_up(void **state)
{
	(void)state;
	strcpy(directory + strlen(directory) - 6, "XXXXXX");
	if (!mkdtemp(directory))
		return -1;
	snprintf(file, sizeof(file), "%s/token", directory);
	unsetenv("CREDENTIALS_DIRECTORY");
	unsetenv("FLEETFS_TOKEN");
	unsetenv("CYBERUN_KEY");
	unsetenv("XDG_CONFIG_HOME");
	return setenv("HOME", directory, 1);
}

static int tear_down(void **state)
{
	char command[160];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	return system(command);
}

static void write_bytes(const char *path, const char *text, size_t bytes, mode_t mode)
{
	int fd;

	chmod(path, 0600); /* it may exist and be read-only, which stops all users but root */
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, bytes), bytes);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void write_file(const char *path, const char *text)
{
	write_bytes(path, text, strlen(text), 0600);
}

/* Replaces the file by rename(), as tools that rotate secrets do. */
static void replace_file(const char *text)
{
	char other[160];

	snprintf(other, sizeof(other), "%s.new", file);
	write_file(other, text);
	assert_int_equal(rename(other, file), 0);
}

static struct credential *new_credential(const char *token_file, const char *team)
{
	struct credential *credential = NULL;
	struct failure why;

	if (credential_new(token_file, team, &credential, &why) < 0)
		fail_msg("%s", why.message);
	return credential;
}

static void assert_rejected(const char *token_file, const char *team, int error, const char *reason)
{
	struct credential *credential = NULL;
	struct failure why;

	assert_int_equal(credential_new(token_file, team, &credential, &why), error);
	assert_null(credential);
	assert_int_equal(why.cause, FAILURE_CREDENTIAL);
	if (!strstr(why.message, reason))
		fail_msg("%s", why.message);
	assert_null(strstr(why.message, "secret"));
}

static void test_the_prefix_of_a_token_decides_its_kind(void **state)
{
	static const struct {
		const char *token, *team, *kind, *sent;
		int64_t expiry;
	} rows[] = {
		{"sk-secret", "t", "integration key (sk-)", NULL, 0},
		{"dk-secret", "t", "device key (dk-)", NULL, 0},
		{"dk-secret", NULL, "device key (dk-)", NULL, 0},
		{"opaque", "team_01HX-y", "token", "team_01HX-y", 0},
		{"opaque", NULL, "token", NULL, 0},
		{"opaque", "", "token", NULL, 0},
		{JWT, "t", "JWT", "t", 1770000000},
		{"eyJ", "t", "JWT", "t", 0},
		{"eyJ.eyJ.x", "t", "JWT", "t", 0},
		{"eyJ.!!!.x", "t", "JWT", "t", 0},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct credential *credential;

		write_file(file, rows[i].token);
		credential = new_credential(file, rows[i].team);
		assert_string_equal(credential_token(credential), rows[i].token);
		assert_string_equal(credential_kind_name(credential), rows[i].kind);
		assert_string_equal(credential_source(credential), file);
		assert_int_equal(credential_expiry(credential), rows[i].expiry);
		if (rows[i].sent)
			assert_string_equal(credential_team(credential), rows[i].sent);
		else
			assert_null(credential_team(credential));
		credential_free(credential);
	}
	credential_free(NULL);
}

/* A JWT with a payload of more than 8 KiB is accepted, but its expiry is not known. */
static void test_the_expiry_of_a_long_jwt_is_not_known(void **state)
{
	static char token[60000] = "eyJ.";
	struct credential *credential;

	(void)state;
	memset(token + 4, 'A', sizeof(token) - 5);
	write_file(file, token);
	credential = new_credential(file, "t");
	assert_int_equal(credential_expiry(credential), 0);
	credential_free(credential);
}

static void test_content(void **state)
{
	static const struct {
		const char *text;
		const char *reason; /* NULL: accepted */
	} rows[] = {
		{"sk-secret", NULL},
		{"sk-secret\n", NULL},
		{"sk-!~", NULL},
		{"sk-secret\r\n", "CRLF"},
		{"sk-secret\r", "CRLF"},
		{"sk-secret\n\n", "more than one line"},
		{"sk-secret\nsk-secret\n", "more than one line"},
		{"\nsk-secret", "more than one line"},
		{"sk-secret ", "space or tab at offset 9"},
		{"sk secret", "space or tab at offset 2"},
		{"sk-secret\t", "space or tab at offset 9"},
		{"sk-\x7f", "byte 0x7f"},
		{"\xef\xbb\xbfsk-secret", "byte order mark"},
		{"\xff\xfes", "byte order mark"},
		{"\"sk-secret\"\n", "quotation marks"},
		{"'sk-secret'", "quotation marks"},
		{"sk-'secret", NULL},
		{"\"", "quotation marks"},
		{"sk-secret\"", "quotation marks"},
		{"`sk-secret", "quotation marks"},
		{"FLEETFS_TOKEN=sk-secret\n", "begins with 'FLEETFS_TOKEN='"},
		{"CYBERUN_KEY=", "begins with 'CYBERUN_KEY='"},
		{"CYBERUN_KEY", NULL},
		{"c2VjcmV0Cg==", NULL},
		{"", "is empty"},
		{"\n", "is empty"},
		{"ak-secret", "an agent's own key (ak-), which cannot read the API"},
		{JWT, "set team or CYBERUN_TEAM_ID"},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		write_file(file, rows[i].text);
		if (rows[i].reason)
			assert_rejected(file, NULL, -EINVAL, rows[i].reason);
		else
			credential_free(new_credential(file, NULL));
	}
	write_bytes(file, "sk-\0secret", 10, 0600);
	assert_rejected(file, NULL, -EINVAL, "byte 0x00 at offset 3");
}

static void test_a_team_with_other_characters_is_rejected(void **state)
{
	static const char *const bad[] = {"a b", "a\r\nX-Evil: 1", "a/b", "\xc3\xa9", "a:b"};

	(void)state;
	write_file(file, "opaque");
	for (size_t i = 0; i < LENGTH(bad); i++)
		assert_rejected(file, bad[i], -EINVAL, "team");
}

static void test_a_file_that_is_open_to_others_is_rejected(void **state)
{
	static const mode_t fine[] = {0600, 0400, 0700};
	static const mode_t open_to_others[] = {0644, 0640, 0604, 0620, 0602, 0610, 0601};

	(void)state;
	for (size_t i = 0; i < LENGTH(fine); i++) {
		write_bytes(file, "sk-x", 4, fine[i]);
		credential_free(new_credential(file, NULL));
		unlink(file); /* only root could write it again */
	}
	for (size_t i = 0; i < LENGTH(open_to_others); i++) {
		char reason[200];

		write_bytes(file, "sk-secret", 9, open_to_others[i]);
		snprintf(reason, sizeof(reason), "(mode %04o): chmod 600 %s",
		         (unsigned int)open_to_others[i], file);
		assert_rejected(file, NULL, -EACCES, reason);
	}
}

static void test_a_file_of_another_user_is_rejected(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		print_message("# skipped: needs root\n");
		return;
	}
	write_file(file, "sk-secret");
	assert_int_equal(chown(file, 12345, 0), 0);
	assert_rejected(file, NULL, -EACCES, "another user (uid 12345)");
}

static void test_a_symlink_is_followed(void **state)
{
	char link[160];

	(void)state;
	snprintf(link, sizeof(link), "%s/link", directory);
	assert_int_equal(symlink(file, link), 0);
	assert_rejected(link, NULL, -ENOENT, "No such file");
	write_bytes(file, "sk-secret", 9, 0600);
	credential_free(new_credential(link, NULL));
	write_bytes(file, "sk-secret", 9, 0644);
	assert_rejected(link, NULL, -EACCES, "chmod 600");
}

static void test_a_large_or_special_file_is_rejected(void **state)
{
	static char large[(1u << 20)];
	char fifo[160];

	(void)state;
	memset(large, 's', sizeof(large));
	write_bytes(file, large, sizeof(large), 0600);
	assert_rejected(file, NULL, -EFBIG, "is it the right file?");
	write_bytes(file, large, 65537, 0600);
	assert_rejected(file, NULL, -EFBIG, "larger than 65536");
	write_bytes(file, large, 65536, 0600);
	credential_free(new_credential(file, NULL));
	assert_rejected(directory, NULL, -EISDIR, "is a directory");
	assert_rejected("/dev/null", NULL, -EINVAL, "no regular file");
	/* Opening must not wait for a writer. */
	snprintf(fifo, sizeof(fifo), "%s/fifo", directory);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_rejected(fifo, NULL, -EINVAL, "no regular file");
	assert_rejected("/nonexistent/token", NULL, -ENOENT, "No such file");
}

static void assert_source(const char *token_file, const char *source)
{
	struct credential *credential = new_credential(token_file, NULL);

	assert_string_equal(credential_source(credential), source);
	credential_free(credential);
}

static void test_the_first_source_that_exists_is_used(void **state)
{
	char path[200], reason[300];

	(void)state;
	snprintf(reason, sizeof(reason), "no token: put one into %s/.config/fleetfs/token (mode",
	         directory);
	assert_rejected(NULL, NULL, -ENOENT, reason);

	snprintf(path, sizeof(path), "%s/.config", directory);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/.config/fleetfs", directory);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/.config/fleetfs/token", directory);
	write_file(path, "sk-home");
	assert_source(NULL, path);
	setenv("CYBERUN_KEY", "sk-cyberun", 1);
	assert_source(NULL, "$CYBERUN_KEY");
	setenv("FLEETFS_TOKEN", "sk-fleetfs", 1);
	assert_source(NULL, "$FLEETFS_TOKEN");
	/* $CREDENTIALS_DIRECTORY without a fleetfs.token is skipped. */
	setenv("CREDENTIALS_DIRECTORY", directory, 1);
	assert_source(NULL, "$FLEETFS_TOKEN");
	/* In $CREDENTIALS_DIRECTORY any mode is accepted. */
	snprintf(path, sizeof(path), "%s/fleetfs.token", directory);
	write_bytes(path, "sk-systemd", 10, 0444);
	assert_source(NULL, path);
	write_file(file, "sk-file");
	assert_source(file, file);

	/* The first source that exists is used, even if it is faulty. */
	write_file(path, "");
	assert_rejected(NULL, NULL, -EINVAL, "is empty");
	unlink(path);
	setenv("FLEETFS_TOKEN", "sk secret", 1);
	assert_rejected(NULL, NULL, -EINVAL, "$FLEETFS_TOKEN has a space");
	setenv("FLEETFS_TOKEN", "\n", 1);
	assert_rejected(NULL, NULL, -EINVAL, "$FLEETFS_TOKEN is empty");
	setenv("FLEETFS_TOKEN", "", 1);
	assert_source(NULL, "$CYBERUN_KEY");
	unlink(file);
	assert_rejected(file, NULL, -ENOENT, file);
}

static void test_a_relative_path_survives_a_chdir(void **state)
{
	struct credential *credential;
	struct failure why = {.message = ""};
	char *before = get_current_dir_name();

	(void)state;
	assert_int_equal(chdir(directory), 0);
	write_file("token", "sk-one");
	credential = new_credential("token", NULL);
	assert_int_equal(chdir("/"), 0);
	replace_file("sk-two");
	assert_true(credential_refresh(credential, false, &why));
	assert_string_equal(credential_source(credential), file);
	credential_free(credential);
	assert_int_equal(chdir(before), 0);
	free(before);
}

/* The message names the working directory, not memory. */
static void test_a_relative_path_in_a_removed_directory_is_rejected(void **state)
{
	char *before = get_current_dir_name();
	char removed[160];

	(void)state;
	snprintf(removed, sizeof(removed), "%s/removed", directory);
	assert_int_equal(mkdir(removed, 0700), 0);
	assert_int_equal(chdir(removed), 0);
	assert_int_equal(rmdir(removed), 0);
	assert_rejected("token", NULL, -ENOENT, "the working directory is not known: No such file");
	assert_int_equal(chdir(before), 0);
	free(before);
}

static void bind_socket(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(strlen(path) < sizeof(address.sun_path));
	memcpy(address.sun_path, path, strlen(path));
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
}

static void test_a_changed_file_is_read_again(void **state)
{
	struct credential *credential;
	struct failure why = {.message = ""};

	(void)state;
	write_file(file, "sk-one");
	credential = new_credential(file, NULL);
	assert_false(credential_refresh(credential, false, &why));
	assert_false(credential_refresh(credential, true, &why));

	replace_file("sk-two");
	assert_true(credential_refresh(credential, false, &why));
	assert_string_equal(credential_token(credential), "sk-two");
	assert_false(credential_refresh(credential, false, &why));
	/* Another file with the same token. */
	replace_file("sk-two");
	assert_false(credential_refresh(credential, false, &why));
	/* Written in place, with a token of another kind. */
	write_file(file, "opaque-now");
	assert_true(credential_refresh(credential, false, &why));
	assert_string_equal(credential_kind_name(credential), "token");
	assert_string_equal(why.message, "");

	/* A file that is not acceptable is reported once, and again if forced. */
	assert_int_equal(chmod(file, 0644), 0);
	assert_false(credential_refresh(credential, false, &why));
	assert_non_null(strstr(why.message, "chmod 600"));
	assert_int_equal(why.cause, FAILURE_CREDENTIAL);
	why.message[0] = '\0';
	assert_false(credential_refresh(credential, false, &why));
	assert_string_equal(why.message, "");
	assert_false(credential_refresh(credential, true, &why));
	assert_non_null(strstr(why.message, "chmod 600"));

	replace_file("ak-secret");
	assert_false(credential_refresh(credential, false, &why));
	assert_non_null(strstr(why.message, "ak-"));
	replace_file(JWT);
	assert_false(credential_refresh(credential, false, &why));
	assert_non_null(strstr(why.message, "team"));

	/* A socket exists, but cannot be opened, like a file that this user may not read. */
	unlink(file);
	bind_socket(file);
	assert_false(credential_refresh(credential, false, &why));
	assert_non_null(strstr(why.message, "No such device or address"));
	why.message[0] = '\0';
	assert_false(credential_refresh(credential, false, &why));
	assert_string_equal(why.message, "");

	unlink(file);
	assert_false(credential_refresh(credential, false, &why));
	assert_non_null(strstr(why.message, "No such file"));
	why.message[0] = '\0';
	assert_false(credential_refresh(credential, false, &why));
	assert_string_equal(why.message, "");
	assert_string_equal(credential_token(credential), "opaque-now");

	write_file(file, "sk-back");
	assert_true(credential_refresh(credential, false, &why));
	credential_free(credential);
}

static void test_a_token_from_the_environment_never_changes(void **state)
{
	struct credential *credential;
	struct failure why = {.message = ""};

	(void)state;
	setenv("FLEETFS_TOKEN", "sk-one", 1);
	credential = new_credential(NULL, NULL);
	setenv("FLEETFS_TOKEN", "sk-two", 1);
	assert_false(credential_refresh(credential, true, &why));
	assert_string_equal(credential_token(credential), "sk-one");
	assert_string_equal(why.message, "");
	credential_free(credential);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_the_prefix_of_a_token_decides_its_kind),
		TEST(test_the_expiry_of_a_long_jwt_is_not_known),
		TEST(test_content),
		TEST(test_a_team_with_other_characters_is_rejected),
		TEST(test_a_file_that_is_open_to_others_is_rejected),
		TEST(test_a_file_of_another_user_is_rejected),
		TEST(test_a_symlink_is_followed),
		TEST(test_a_large_or_special_file_is_rejected),
		TEST(test_the_first_source_that_exists_is_used),
		TEST(test_a_changed_file_is_read_again),
		TEST(test_a_relative_path_survives_a_chdir),
		TEST(test_a_relative_path_in_a_removed_directory_is_rejected),
		TEST(test_a_token_from_the_environment_never_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
