#include "tests/bench/lib/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 4096

void
die(const char *what)
{
	perror(what);
	exit(2);
}

bool
net_addr_parse(const char *text, struct net_addr *out)
{
	char name[16];
	unsigned port;
	int end = 0;

	if (strncmp(text, "http://", 7) == 0)
		text += 7;
	if (sscanf(text, "%15[0-9.a-z]:%u%n", name, &port, &end) != 2 ||
	    text[end] != '\0' || port > UINT16_MAX)
		return false;
	if (strcmp(name, "localhost") == 0)
		snprintf(name, sizeof(name), "127.0.0.1");
	out->in = (struct sockaddr_in){ .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port) };
	snprintf(out->host, sizeof(out->host), "%s:%u", name, port);
	return inet_pton(AF_INET, name, &out->in.sin_addr) == 1;
}

static void
set_option(int fd, int level, int option)
{
	int one = 1;

	if (setsockopt(fd, level, option, &one, sizeof(one)) < 0)
		die("setsockopt");
}

static bool
bind_source(int fd, unsigned source)
{
	struct sockaddr_in from = { .sin_family = AF_INET };

	if (source == 0)
		return true;
	/* The port is chosen at connect(2), when the other end is known. */
	set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT);
	from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + source - 1);
	return bind(fd, (struct sockaddr *)&from, sizeof(from)) == 0;
}

int
net_connect(const struct net_addr *to, unsigned source)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	set_option(fd, IPPROTO_TCP, TCP_NODELAY);
	if (bind_source(fd, source) &&
	    (connect(fd, (const struct sockaddr *)&to->in, sizeof(to->in)) == 0 ||
	    errno == EINPROGRESS))
		return fd;
	close(fd);
	return -1;
}

int
net_listen(unsigned *port)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    listen(fd, BACKLOG) < 0 ||
	    getsockname(fd, (struct sockaddr *)&at, &size) < 0)
		die("listen");
	*port = ntohs(at.sin_port);
	return fd;
}

int
net_accept(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0)
		set_option(fd, IPPROTO_TCP, TCP_NODELAY);
	return fd;
}

void
net_allow_files(unsigned long n)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= n)
		return;
	limit.rlim_cur = n;
	if (limit.rlim_max < n) {
		struct rlimit raised = { n, n };

		/* Only root may; others take what they are allowed. */
		if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
			return;
		limit.rlim_cur = limit.rlim_max;
	}
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		die("setrlimit");
}
