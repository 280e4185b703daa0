/*
 * Dead letters: calls that were given up, with all their fields and the reason,
 * in the stream mcp_dead:{<api>} for an operator to look at.
 */
#ifndef MCP_WORKER_DEAD_H
#define MCP_WORKER_DEAD_H

#include "common/redis.h"
#include "worker/runtime/arrival.h"

struct dead {
	struct redis *commands;   /* borrowed */
	struct slice key;         /* of the stream, borrowed */
};

/*
 * Sends the entry there. Redis takes it before the entry's end, which this worker
 * sends later on the same connection. Dying in between, the letter comes twice.
 */
void dead_add(const struct dead *d, const struct arrival *arrival,
    unsigned attempts, const char *reason);

#endif
