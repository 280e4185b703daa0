#include "tests/unit/support/port.h"

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* As in tests/harness/process.py. */
#define FIRST 15000u
#define LAST 31999u
#define TRIES 2000

/* The socket that holds the reservation, or -1. */
static int
reserve(unsigned port)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int n = snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1,
	    "mcp-relay-port-%u", port);
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
	    (size_t)n);

	if (bind(fd, (struct sockaddr *)&name, len) == 0)
		return fd;
	close(fd);
	return -1;
}

static bool
can_bind(unsigned port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok = bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0;

	close(fd);
	return ok;
}

unsigned
free_port(void)
{
	for (unsigned i = 0; i < TRIES; i++) {
		unsigned port;
		int held;

		ck_assert_int_eq(getrandom(&port, sizeof(port), 0),
		    sizeof(port));
		port = FIRST + port % (LAST - FIRST + 1);
		held = reserve(port);
		if (held >= 0 && can_bind(port))
			return port;
		if (held >= 0)
			close(held);
	}
	ck_abort_msg("no free port");
}
