/*
 * Which calls may begin: those for which there is room in the worker, whose tool
 * and whose user have not as many running as they may, for whose computing there
 * is a thread, on entries that are this worker's beyond doubt (lease.h), before
 * their deadline. The others wait here: those of one tool or user in the order in
 * which they came, and nobody for a cap that is not his. When places become free,
 * those who wait take turns, however many calls each has.
 *
 * The caps are this worker's own. A fleet of n workers runs n times as many.
 */
#ifndef MCP_WORKER_LIMITER_H
#define MCP_WORKER_LIMITER_H

#include <event2/event.h>

#include "worker/runtime/inflight.h"
#include "worker/runtime/lease.h"
#include "worker/runtime/policy.h"
#include "worker/runtime/pool.h"

struct limiter;

struct limiter_options {
	struct event_base *base;
	const struct lease *lease;     /* borrowed; NULL: all entries are ours */
	const struct policy *policy;   /* for the caps of tools */
	unsigned most;                 /* calls in all; 0: no cap */
	unsigned per_user;             /* 0: no cap */
	struct pool *pool;             /* for tools that compute, borrowed */
	unsigned threads;              /* that the pool has */
};

struct limiter *limiter_new(const struct limiter_options *options) MUST_CHECK;
/* Before inflight: calls that wait are inflight's to free. */
void limiter_free(struct limiter *l);

/* The call is prepared: runs it now or later. */
void limiter_take(struct limiter *l, struct call *call);
/* The tool has let go of a call that ran. */
void limiter_released(struct limiter *l, struct call *call);
/* Leases were renewed: looks again at what waits. */
void limiter_wake(struct limiter *l);
/* The call, which waits, is about to end: forgets it. */
void limiter_remove(struct limiter *l, struct call *call);
/* From now on nothing begins: what comes goes back to the queue. */
void limiter_close(struct limiter *l);

#endif
