/* SPDX-License-Identifier: MIT */
#include "fs/program/syslog.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

static const struct sockaddr_un syslog_address = {.sun_family = AF_UNIX, .sun_path = _PATH_LOG};

static bool syslog_connect(int fd, const struct sockaddr_un *address)
{
	return connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0;
}

/* Connects the socket after the daemon was restarted. Once mounted, /dev may lead into the own
 * mount, so /dev/log is opened only if the kernel can resolve it from its cache. */
static bool syslog_reconnect(int fd)
{
	static const struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_CACHED};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int path_fd = (int)syscall(SYS_openat2, AT_FDCWD, _PATH_LOG, &how, sizeof(how));
	bool connected;

	if (path_fd < 0 && (errno == ENOSYS || errno == EINVAL || errno == EPERM))
		/* Linux before 5.12, or a seccomp filter */
		return syslog_connect(fd, &syslog_address);
	if (path_fd < 0)
		return false;
	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d", path_fd);
	connected = syslog_connect(fd, &address);
	close(path_fd);
	return connected;
}

int syslog_open(void)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd >= 0)
		(void)syslog_connect(fd, &syslog_address); /* else syslog_send() does it */
	return fd;
}

ssize_t syslog_send(int fd, const char *message, size_t length)
{
	const int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
	ssize_t sent = send(fd, message, length, flags);

	if (sent < 0 && (errno == ECONNREFUSED || errno == ENOTCONN || errno == ECONNRESET) &&
	    syslog_reconnect(fd))
		sent = send(fd, message, length, flags);
	return sent;
}
