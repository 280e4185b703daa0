/*
 * Addresses, sockets and a way out when they fail.
 */
#ifndef BENCH_NET_H
#define BENCH_NET_H

#include <netinet/in.h>

#include "common/compiler.h"

/* Where a server listens; "host" is what the Host field carries. */
struct net_addr {
	struct sockaddr_in in;
	char host[32];
};

/* Prints what failed, with errno's text, and exits with status 2. */
NORETURN void die(const char *what);

/* "http://127.0.0.1:8080", "127.0.0.1:6379" or "localhost:80". */
bool net_addr_parse(const char *text, struct net_addr *out) MUST_CHECK;
/*
 * A non-blocking connection under way, with TCP_NODELAY, from 127.0.0.<source>
 * (0: the kernel chooses): a source address has only some 28,000 ports towards
 * one listener. -1 on failure.
 */
int net_connect(const struct net_addr *to, unsigned source) MUST_CHECK;
/* A non-blocking listener on a free port of 127.0.0.1, written to *port. */
int net_listen(unsigned *port) MUST_CHECK;
/* Non-blocking, with TCP_NODELAY; -1 when none waits. */
int net_accept(int listener) MUST_CHECK;
/* Raises RLIMIT_NOFILE to n, or as far as this user may. */
void net_allow_files(unsigned long n);

#endif
