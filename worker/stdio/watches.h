/*
 * The resources whose changes servers are asked to tell of: resources/subscribe to
 * each server that can, for each resource that clients have subscribed to.
 *
 * A server is asked for one at a time, and for the next when it has answered: so
 * what it has not answered is bounded, and one that never does is left in peace.
 * What changed before a server was asked, nobody tells of: so a resource counts as
 * changed once a server watches it, if clients have subscribed to it meanwhile or
 * the server is one that was started again.
 */
#ifndef MCP_STDIO_WATCHES_H
#define MCP_STDIO_WATCHES_H

#include "worker/stdio/server.h"

/* What proxies let clients subscribe to; of longer ones nobody is told. */
#define WATCHES_URI_MAX 2048

struct watches;

/* Of that many servers; on_change hears of what counts as changed. */
struct watches *watches_new(unsigned servers,
    void (*on_change)(const char *uri, void *arg), void *arg) MUST_CHECK;
/* The servers are freed before. */
void watches_free(struct watches *w);

/* All that clients have subscribed to, in place of those before. */
void watches_want(struct watches *w, const char *const *uris, size_t n);
/* The server of that number, from 0 on, is open; NULL: it is lost. */
void watches_server(struct watches *w, unsigned number, struct server *s);
/* Has somebody subscribed to it, or to what it is a part of (common/uri.h)? */
bool watches_concern(const struct watches *w, const char *uri);

#endif
