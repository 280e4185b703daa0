/*
 * The requests that clients have cancelled, as all workers of the API hear of them
 * from the stream mcp_cancel:{<api>}.
 *
 * A call may be anywhere by then: queued, here, or with another worker. So each
 * worker remembers the latest cancellations and holds them against each call that
 * begins; what runs here is ended. A request id may come again in its session, so
 * a cancellation concerns only what was queued before it: both are entries of one
 * Redis, whose ids tell the time.
 */
#ifndef MCP_WORKER_CANCELS_H
#define MCP_WORKER_CANCELS_H

#include "common/redis.h"
#include "worker/runtime/inflight.h"

struct cancels;

/* The arguments are borrowed; name is the API's name. */
struct cancels *cancels_new(struct redis *commands, struct inflight *inflight,
    struct slice name) MUST_CHECK;
/* The command connection has called back all of its commands before this. */
void cancels_free(struct cancels *c);
/* Asks for what is new; a few times a second. */
void cancels_tick(struct cancels *c);
/* Has the client cancelled the call with that session and raw request id? */
bool cancels_has(const struct cancels *c, const struct call *call);

#endif
