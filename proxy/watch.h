/*
 * Tells workers which resources clients have subscribed to, for APIs that have to
 * ask somebody else to be told of changes: the members of mcp_watched:{<api>}, each
 * with the time until which somebody is sure to listen. Who listens says so again
 * before; nobody takes them out, for a loop knows its own sessions alone.
 */
#ifndef MCP_WATCH_H
#define MCP_WATCH_H

#include "common/redis.h"

/*
 * Somebody listens to n resources of that API for so long. Without Redis nothing
 * is said. Beyond ENV_WATCHED_MAX of an API's, what is there stays.
 */
void watch_resources(struct redis *commands, struct slice api,
    const struct slice *uris, size_t n, uint64_t life_ms);

#endif
