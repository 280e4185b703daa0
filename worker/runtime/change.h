/*
 * Tells proxies that what resources hold has changed: entries of the stream
 * mcp_changes:{<api>}, whose latest id stands in the API's record, which proxies
 * look at every second. It is news, not a promise: what is sent before the API's
 * catalogue is published, or as the connection breaks, is lost.
 *
 * A resource that changes over and over is told of once per tick: whoever reads it
 * then sees the last of the changes.
 */
#ifndef MCP_WORKER_CHANGE_H
#define MCP_WORKER_CHANGE_H

#include "common/redis.h"

struct changes;

/* Both are borrowed; api is the API's name. */
struct changes *changes_new(struct redis *commands,
    struct slice api) MUST_CHECK;
void changes_free(struct changes *c);

/* That resource has changed; beyond ENV_CHANGES_MAX at once it is not told. */
void changes_add(struct changes *c, const char *uri);
/* Sends what was added; a few times a second. */
void changes_tick(struct changes *c);

#endif
