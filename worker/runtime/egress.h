/*
 * Where requests to upstream systems may go: an allow-list of host names, and a
 * second look at the address that a name turned out to have.
 *
 * A name on the list is trusted to be called, not to tell where: by DNS alone it
 * could point into the cluster (a metadata service, Redis, another pod). So an
 * address must be public, or in a network that the operator has named. A host
 * that is itself an address names its own network.
 */
#ifndef MCP_WORKER_EGRESS_H
#define MCP_WORKER_EGRESS_H

#include <sys/socket.h>

#include "common/compiler.h"
#include "common/strbuf.h"

struct egress;

struct egress *egress_new(void) MUST_CHECK;
void egress_free(struct egress *e);

/*
 * Adds hosts, separated by commas: names, "*.example.com" for all names below
 * one, or addresses (IPv6 with or without brackets). False and the reason in
 * *error for what is none; NULL and "" are no hosts.
 */
bool egress_add_hosts(
    struct egress *e, const char *list, struct strbuf *error) MUST_CHECK;
/*
 * The same for hosts that somebody else than the operator named: an address among
 * them names no network, it must be public or in one that is there.
 */
bool egress_add_foreign_hosts(
    struct egress *e, const char *list, struct strbuf *error) MUST_CHECK;
/* Adds networks, separated by commas: "10.0.0.0/8", "fd00::/8", "127.0.0.1". */
bool egress_add_networks(
    struct egress *e, const char *list, struct strbuf *error) MUST_CHECK;

/* Whether that host, as a URL has it, is on the list. Case does not matter. */
bool egress_host_ok(const struct egress *e, const char *host);
/* Whether a name on the list may have that address. */
bool egress_address_ok(const struct egress *e, const struct sockaddr *address);

#endif
