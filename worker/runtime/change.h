/*
 * Tells proxies that what a resource holds has changed: an entry of the stream
 * mcp_changes:{<api>}, whose latest id stands in the API's record, which proxies
 * look at every second. It is news, not a promise: without Redis it is lost, and
 * so is what comes before the API's catalogue is published.
 */
#ifndef MCP_WORKER_CHANGE_H
#define MCP_WORKER_CHANGE_H

#include "common/redis.h"

void change_publish(struct redis *commands, struct slice api,
    struct slice uri);

#endif
