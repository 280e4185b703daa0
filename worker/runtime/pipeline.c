#include "worker/runtime/pipeline.h"

#include <stdlib.h>

#include "common/xalloc.h"
#include "worker/runtime/ask.h"
#include "worker/runtime/budget.h"
#include "worker/runtime/call.h"
#include "worker/runtime/cancels.h"
#include "worker/runtime/dead.h"
#include "worker/runtime/dispatch.h"
#include "worker/runtime/lease.h"
#include "worker/runtime/limiter.h"
#include "worker/runtime/pool.h"
#include "worker/runtime/reply.h"
#include "worker/runtime/talk.h"

/* For arguments: a container of 256 MiB bears it. */
#define BUDGET_BYTES ((size_t)64 << 20)

struct pipeline {
	struct pipeline_options options;
	struct env_keybuf dead_key;
	struct inflight *inflight;
	struct asks *asks;
	struct talk *talk;
	struct lease *lease;
	struct pool *pool;
	struct limiter *limiter;
	struct budget *budget;
	struct cancels *cancels;
	struct dead dead;
	struct dispatch dispatch;
	struct reply *reply;
};

/* News from the modules -------------------------------------------------- */

static void
on_answer(struct call *call, void *arg)
{
	struct pipeline *p = arg;

	reply_add(p->reply, call);
}

/* The lists that a call may be on while somebody else ends it. */
static void
on_ending(struct call *call, void *arg)
{
	struct pipeline *p = arg;

	if (call->state == CALL_WAITING && call->unparsed)
		budget_remove(p->budget, call);
	else if (call->state == CALL_WAITING)
		limiter_remove(p->limiter, call);
	else if (call->state == CALL_ANSWERED)
		reply_remove(p->reply, call);
}

static void
on_released(struct call *call, void *arg)
{
	struct pipeline *p = arg;

	limiter_released(p->limiter, call);
	p->options.on_released(p->options.arg);
}

static void
on_freed(struct call *call, void *arg)
{
	struct pipeline *p = arg;

	budget_release(p->budget, call);
}

static void
on_room(struct call *call, void *arg)
{
	struct pipeline *p = arg;

	dispatch_resume(&p->dispatch, call);
}

static void
on_done(void *arg)
{
	struct pipeline *p = arg;

	p->options.on_done(p->options.arg);
}

static void
on_kept(void *arg)
{
	struct pipeline *p = arg;

	limiter_wake(p->limiter);
	reply_wake(p->reply);
}

static void
on_lost(struct call *call, void *arg UNUSED)
{
	call_lose(call);
}

/* Making ----------------------------------------------------------------- */

static struct slice
api_name(const struct pipeline *p)
{
	return slice_str(catalogue_name(p->options.catalogue));
}

/* The calls, and what keeps them this worker's. */
static void
make_calls(struct pipeline *p)
{
	const struct pipeline_options *o = &p->options;

	p->inflight = inflight_new(&(struct inflight_options){
		.env = o->env,
		.on_answer = on_answer,
		.on_ending = on_ending,
		.on_released = on_released,
		.on_freed = on_freed,
		.on_done = on_done,
		.arg = p,
	});
	p->lease = lease_new(&(struct lease_options){
		.commands = o->commands,
		.inflight = p->inflight,
		.requests_key = o->requests_key,
		.worker = o->worker,
		.reclaim_idle_ms = worker_options_reclaim_idle_ms(o->settings),
		.on_kept = on_kept,
		.on_lost = on_lost,
		.arg = p,
	});
}

/* What calls and their clients say to each other before the answer. */
static void
make_talk(struct pipeline *p)
{
	const struct pipeline_options *o = &p->options;

	p->asks = asks_new(o->base, o->commands, api_name(p));
	p->talk = talk_new(&(struct talk_options){
		.commands = o->commands,
		.lease = p->lease,
		.asks = p->asks,
		.progress_ms = o->settings->progress_interval_s * 1000,
	});
	inflight_set_talk(p->inflight, p->talk);
	p->cancels = cancels_new(o->commands, p->inflight, api_name(p));
}

/* Where calls wait and run, and where their answers leave. */
static void
make_stations(struct pipeline *p)
{
	const struct pipeline_options *o = &p->options;
	const struct worker_options *settings = o->settings;

	p->pool = pool_new(o->base, settings->threads);
	p->limiter = limiter_new(&(struct limiter_options){
		.base = o->base,
		.lease = p->lease,
		.policy = o->policy,
		.most = settings->concurrency,
		.per_user = settings->user_concurrency,
		.pool = p->pool,
		.threads = settings->threads,
	});
	p->budget = budget_new(&(struct budget_options){ .base = o->base,
		.most = BUDGET_BYTES, .on_room = on_room, .arg = p });
	p->reply = reply_new(&(struct reply_options){
		.base = o->base,
		.commands = o->commands,
		.inflight = p->inflight,
		.lease = p->lease,
		.requests_key = o->requests_key,
		.max_calls = 2 * (size_t)settings->batch,
	});
}

static void
make_dispatch(struct pipeline *p)
{
	p->dead = (struct dead){ p->options.commands,
		env_key(&p->dead_key, ENV_DEAD, api_name(p)) };
	p->dispatch = (struct dispatch){
		.catalogue = p->options.catalogue,
		.inflight = p->inflight,
		.limiter = p->limiter,
		.budget = p->budget,
		.policy = p->options.policy,
		.cancels = p->cancels,
		.dead = &p->dead,
	};
}

struct pipeline *
pipeline_new(const struct pipeline_options *options)
{
	struct pipeline *p = xcalloc(1, sizeof(*p));

	p->options = *options;
	make_calls(p);
	make_talk(p);
	make_stations(p);
	make_dispatch(p);
	return p;
}

void
pipeline_free(struct pipeline *p)
{
	if (p == NULL)
		return;
	reply_free(p->reply);
	limiter_free(p->limiter);
	budget_free(p->budget);
	pool_free(p->pool);
	lease_free(p->lease);
	cancels_free(p->cancels);
	inflight_free(p->inflight);
	talk_free(p->talk);
	asks_free(p->asks);
	free(p);
}

struct inflight *
pipeline_inflight(const struct pipeline *p)
{
	return p->inflight;
}

/* Serving ------------------------------------------------------------------ */

void
pipeline_begin(struct pipeline *p, const struct arrival *arrival)
{
	dispatch_entry(&p->dispatch, arrival);
}

void
pipeline_on_ready(struct pipeline *p)
{
	/* First, so that it is known before the first calls are read. */
	cancels_tick(p->cancels);
	lease_tick(p->lease);
	reply_wake(p->reply);
}

static void
look_at_call(struct call *call, void *arg UNUSED)
{
	talk_tick(call);
	if ((call->state == CALL_WAITING || call->state == CALL_RUNNING) &&
	    call_is_late(call))
		call_expire(call);
}

void
pipeline_tick(struct pipeline *p)
{
	inflight_each(p->inflight, look_at_call, NULL);
	asks_tick(p->asks);
	lease_tick(p->lease);
	cancels_tick(p->cancels);
}

/* Stopping ----------------------------------------------------------------- */

static void
return_call(struct call *call, void *arg UNUSED)
{
	if (call->state == CALL_WAITING || call->state == CALL_RUNNING)
		call_return(call);
}

static void
return_waiting(struct call *call, void *arg UNUSED)
{
	if (call->state == CALL_WAITING)
		call_return(call);
}

void
pipeline_drain(struct pipeline *p)
{
	limiter_close(p->limiter);
	inflight_each(p->inflight, return_waiting, NULL);
	lease_tick(p->lease);
}

void
pipeline_cut(struct pipeline *p)
{
	inflight_each(p->inflight, return_call, NULL);
	lease_tick(p->lease);
}

void
pipeline_hand_back(struct pipeline *p)
{
	lease_tick(p->lease);
}

bool
pipeline_stop(struct pipeline *p, unsigned ms)
{
	return pool_stop(p->pool, ms);
}
