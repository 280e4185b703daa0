/*
 * The way of a call through this worker, from its entry to its answer:
 *
 *	dispatch -> limiter -> tool, on a thread of the pool if it computes -> reply
 *
 * and what is looked after meanwhile: the lease on its entry, its deadline, its
 * cancellation, what it says to its client and asks of it. Makes the modules on
 * that way, owns them, and carries the news from one to the other.
 */
#ifndef MCP_WORKER_PIPELINE_H
#define MCP_WORKER_PIPELINE_H

#include <event2/event.h>

#include "common/redis.h"
#include "worker/runtime/arrival.h"
#include "worker/runtime/catalogue.h"
#include "worker/runtime/inflight.h"
#include "worker/runtime/options.h"
#include "worker/runtime/policy.h"
#include "worker/runtime/worker_env.h"

struct pipeline;

struct pipeline_options {
	struct event_base *base;       /* borrowed, like the rest */
	struct redis *commands;
	const struct worker_options *settings;
	const struct policy *policy;
	const struct catalogue *catalogue;
	struct worker_env *env;
	struct slice requests_key;
	struct slice worker;           /* consumer name */
	/* A tool has let go of its call: another may run in its place. */
	void (*on_released)(void *arg);
	/* A call is done: there is room for another. */
	void (*on_done)(void *arg);
	void *arg;
};

struct pipeline *pipeline_new(const struct pipeline_options *options)
    MUST_CHECK;
/*
 * The command connection has called back all of its commands before this, and
 * no tool has a call in hand that it still answers.
 */
void pipeline_free(struct pipeline *p);
/* The calls that are on their way. */
struct inflight *pipeline_inflight(const struct pipeline *p);

/* Begins the call in an entry; see dispatch_entry(). */
void pipeline_begin(struct pipeline *p, const struct arrival *arrival);
/* The command connection became ready. */
void pipeline_on_ready(struct pipeline *p);
/* A few times a second: how exact deadlines are, how soon cancellations work. */
void pipeline_tick(struct pipeline *p);

/* From now on nothing begins: what waits, and what comes, goes back. */
void pipeline_drain(struct pipeline *p);
/* What still runs is told to stop; what may run again, runs elsewhere. */
void pipeline_cut(struct pipeline *p);
/* Hands back at once what goes back to the queue. */
void pipeline_hand_back(struct pipeline *p);
/* Ends the threads; see pool_stop(). */
bool pipeline_stop(struct pipeline *p, unsigned ms) MUST_CHECK;

#endif
