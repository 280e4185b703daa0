/*
 * Where a request comes from, as far as it can be believed: the client's
 * address and what it calls itself.
 *
 * Each proxy in front appends the address it was called from to
 * X-Forwarded-For. Only the last `hops` entries are by proxies of ours, so the
 * client is the one that many from the right; what stands left of it was sent by
 * the client and may be anything. Without the field, with fewer entries, or with
 * one that is no address, the client is the TCP peer.
 */
#ifndef MCP_CALLER_H
#define MCP_CALLER_H

#include <netinet/in.h>

#include "proxy/http_head.h"

/* Bytes of a User-Agent that count: real ones have less than half as many. */
#define CALLER_AGENT_LEN 1024

struct caller {
	struct in6_addr address;   /* IPv4 as ::ffff:a.b.c.d */
	struct slice user_agent;   /* empty when absent; borrows from the head */
};

/* hops: proxies of ours in front that append to X-Forwarded-For. */
void caller_read(struct caller *out, const struct http_head *head,
    const struct in6_addr *peer, unsigned hops);

/*
 * May the GET come from a client that had a stream before? It says so by the
 * protocol version, which a first GET lacks, or it names what it had: its
 * session, or itself. Such a client stops for good when it is refused.
 */
bool caller_may_return(const struct http_head *head);

#endif
