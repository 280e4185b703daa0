/*
 * Answers on their way to Redis.
 *
 * All answers of one turn of the event loop go out in one flush: an XADD per
 * pod (many answers each), then one XDEL and one XACK for all their entries,
 * pipelined on the command connection. So Redis takes an answer before it
 * forgets the call, and a worker that dies in between leaves the entry behind
 * rather than a client without an answer. Between the last two it leaves a
 * pending id without an entry, which whoever reclaims it removes.
 *
 * An answer goes out only while its entry is this worker's beyond doubt; else it
 * waits for lease.h to find out.
 *
 * A call stays in memory until Redis confirmed all of it. What was sent on a
 * connection that broke goes again, marked as attempt 2, for the proxy to drop
 * if it has it. What Redis refused (full, loading) goes again after a pause;
 * its entry is gone by then, so that it depends on this process alone: the price
 * of one flush instead of two.
 * There is no age limit: an entry forgotten here, but not by Redis, would be
 * read again and run twice. The number is bounded by what consume.h reads.
 */
#ifndef MCP_WORKER_REPLY_H
#define MCP_WORKER_REPLY_H

#include <event2/event.h>

#include "common/redis.h"
#include "worker/runtime/inflight.h"
#include "worker/runtime/lease.h"

struct reply;

struct reply_options {
	struct event_base *base;
	struct redis *commands;      /* the command connection, borrowed */
	struct inflight *inflight;
	struct lease *lease;
	struct slice requests_key;   /* of the API's stream, borrowed */
	size_t max_calls;            /* in one flush */
};

struct reply *reply_new(const struct reply_options *options) MUST_CHECK;
/* The command connection has called back all of its commands before this. */
void reply_free(struct reply *r);

/* The call is CALL_ANSWERED: queues it for this turn's flush. */
void reply_add(struct reply *r, struct call *call);
/* The call, queued here, is about to end without an answer of ours. */
void reply_remove(struct reply *r, struct call *call);
/* The command connection is ready, or leases were renewed: sends what waits. */
void reply_wake(struct reply *r);

#endif
