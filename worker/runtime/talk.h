/*
 * What a call says to its client before its answer: the notifications and
 * requests of tool.h. They go to the same inbox as the answer and on the same
 * connection, at once, so that they come before it. They are not kept: what is
 * on its way when Redis goes is lost, and what a call says that may be another
 * worker's by now is not said.
 *
 * A call may say 32 things at once and 10 a second, see talk_may().
 */
#ifndef MCP_WORKER_TALK_H
#define MCP_WORKER_TALK_H

#include "common/redis.h"
#include "worker/runtime/call.h"
#include "worker/runtime/lease.h"

struct talk;

struct talk_options {
	struct redis *commands;      /* the command connection, borrowed */
	const struct lease *lease;   /* borrowed; NULL: all entries are ours */
	struct asks *asks;           /* borrowed */
	unsigned progress_ms;        /* silence before talk_tick(); 0: for ever */
};

struct talk *talk_new(const struct talk_options *options) MUST_CHECK;
void talk_free(struct talk *t);
struct asks *talk_asks(const struct talk *t);

/* For an inflight_each() a few times a second: reports for a silent tool. */
void talk_tick(struct call *call);

/* May the call say one more thing now? If so, it counts as said. */
bool talk_may(struct call *call) MUST_CHECK;
/* Sends a JSON-RPC message to the call's client; false: it is lost. */
bool talk_send(struct call *call, struct slice message);

#endif
