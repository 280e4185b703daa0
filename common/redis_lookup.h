/*
 * From a host name to one address, asynchronously and cancellable.
 *
 * bufferevent_socket_connect_hostname() would try the first address for ever,
 * and keeps its bufferevent alive until an abandoned lookup ends. This one takes
 * turns over all addresses and can be left at any moment.
 */
#ifndef MCP_REDIS_LOOKUP_H
#define MCP_REDIS_LOOKUP_H

#include <event2/dns.h>
#include <sys/socket.h>

#include "common/compiler.h"

struct redis_lookup;

/* On failure address is NULL and error says why. Both are borrowed. */
typedef void redis_lookup_cb(const struct sockaddr *address, int length,
    const char *error, void *arg);

/*
 * Resolves host: numeric addresses at once, others (also those of /etc/hosts)
 * by dns, which fails when dns is NULL. turn picks among several addresses,
 * modulo their number. *slot is set until cb has been called; cb may be called
 * before this returns.
 */
void redis_lookup_open(struct redis_lookup **slot, struct evdns_base *dns,
    const char *host, unsigned port, unsigned turn, redis_lookup_cb *cb,
    void *arg);
/* No callback comes after this; *slot may be NULL already. */
void redis_lookup_close(struct redis_lookup **slot);

#endif
