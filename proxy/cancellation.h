/*
 * A client's notifications/cancelled on its way to the workers.
 *
 * Which worker has the call, and whether one has it yet, no proxy knows; nor, on
 * a path that serves all APIs, which API it belongs to. So every API in question
 * is told, through its stream mcp_cancel:{<api>} that all of its workers read
 * (worker/runtime/cancels.h). Cancelling is rare, and it is a request, not a
 * promise (MCP, "Cancellation"): without Redis it is dropped.
 */
#ifndef MCP_CANCELLATION_H
#define MCP_CANCELLATION_H

#include "common/jsonrpc.h"
#include "common/redis.h"
#include "proxy/catalog.h"

/* Is the message one, and does it name a request? */
bool cancellation_is(const struct jsonrpc_msg *msg);
/*
 * Tells the workers of api, or of all APIs when it is empty, that the session sid
 * has cancelled the request with that raw id. Returns how many APIs were told.
 */
unsigned cancellation_send(struct redis *commands,
    const struct catalog *catalog, struct slice api, struct slice sid,
    struct slice request_id);

#endif
