/*
 * How a call gets into its API's queue, and how many of one user's may be there.
 *
 * Queued or running calls are the entries of mcp_requests:{<api>}. Where they are
 * limited, the ids of a user's entries are kept beside it, in
 * mcp_user_calls:{<api>}:<user hash>, and looked at when there are as many as
 * allowed: those whose entries are gone are done. So nothing has to be counted
 * down, whatever becomes of calls, workers and proxies, and a call costs one
 * command with a limit as without.
 */
#ifndef MCP_CALLS_H
#define MCP_CALLS_H

#include "common/envelope.h"
#include "common/redis.h"

/*
 * Queues a call of an API; at_most: of its user's in flight, 0 for any number.
 * The reply is the entry's id, or (see calls_is_refused()) none. Returns as
 * redis_send().
 */
bool calls_enqueue(struct redis *r, struct slice api,
    const struct env_request *request, unsigned at_most, redis_cb *cb,
    void *arg) MUST_CHECK;
/* The user has as many calls in flight as allowed: this one is not queued. */
bool calls_is_refused(const redisReply *reply);

#endif
