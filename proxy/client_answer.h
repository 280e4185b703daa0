/*
 * What a client answers to a request that a worker has sent it (sampling,
 * elicitation, roots, ping), on its way back.
 *
 * The request's id names the API whose workers wait (common/envelope.h); the
 * answer goes to the stream of that API and this session, so that a client can
 * neither answer for another one nor fill anything but its own. Whether anybody
 * waits for it the worker knows (worker/runtime/ask.h).
 */
#ifndef MCP_CLIENT_ANSWER_H
#define MCP_CLIENT_ANSWER_H

#include "common/jsonrpc.h"
#include "common/redis.h"
#include "proxy/catalog.h"

/*
 * Is the message an answer to a request that workers of an API may have sent on a
 * session that serves api (empty: all)? Others are nobody's.
 */
bool client_answer_is(const struct catalog *catalog, struct slice api,
    const struct jsonrpc_msg *msg);
/*
 * Hands it on; payload is the whole message. The reply to cb is XADD's. Returns as
 * redis_send().
 */
bool client_answer_send(struct redis *commands, struct slice sid,
    const struct jsonrpc_msg *msg, struct slice payload, redis_cb *cb,
    void *arg) MUST_CHECK;

#endif
