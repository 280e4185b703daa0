#include "worker/runtime/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <event2/dns.h>
#include <event2/event.h>

#include "common/clock.h"
#include "common/envelope.h"
#include "common/ident.h"
#include "common/redis.h"
#include "common/xalloc.h"
#include "worker/runtime/ask.h"
#include "worker/runtime/call.h"
#include "worker/runtime/cancels.h"
#include "worker/runtime/catalogue.h"
#include "worker/runtime/change.h"
#include "worker/runtime/consume.h"
#include "worker/runtime/dead.h"
#include "worker/runtime/dispatch.h"
#include "worker/runtime/limiter.h"
#include "worker/runtime/heartbeat.h"
#include "worker/runtime/inflight.h"
#include "worker/runtime/last_chance.h"
#include "worker/runtime/lease.h"
#include "worker/runtime/policy.h"
#include "worker/runtime/pool.h"
#include "worker/runtime/reclaim.h"
#include "worker/runtime/reply.h"
#include "worker/runtime/talk.h"
#include "worker/runtime/worker_env.h"

#define REDIS_TIMEOUT_MS 5000
/* Unsent answers; more of them wait in their calls. */
#define REDIS_OUTPUT_MAX ((size_t)64 << 20)
#define REDIS_PENDING_MAX 4096
/* What the last words to a Redis that does not answer may take. */
#define LEAVE_SECONDS 2
/* How exact deadlines are, and how soon a cancellation is heard of. */
#define TICK_MS 250
/* A blocking read: what an idle worker costs, and what a lost peer goes unseen. */
#define BLOCK_MAX_MS 5000
/*
 * Tells apart what one pod starts one after the other: a consumer's name may not
 * come again while the one before has entries. Among 30 of 16 bits, one start in
 * 2,000 took another's.
 */
#define START_SUFFIX_LEN 8
#define WORKER_NAME_MAX (OPTIONS_POD_MAX + 1 + START_SUFFIX_LEN)

enum worker_state {
	WORKER_SERVING,    /* reads and runs calls */
	WORKER_DRAINING,   /* reads nothing new, finishes what runs */
	WORKER_LEAVING,    /* withdraws from Redis */
	WORKER_LEFT        /* the loop ends */
};

static const int stop_signals[] = { SIGTERM, SIGINT };

struct worker {
	const struct worker_options *options;
	enum worker_state state;
	const char *stop_reason;
	bool reading;                  /* consume was opened, has not stopped */
	bool ready;                    /* the ready file is there */
	bool cut;                      /* draining took too long */
	char name[WORKER_NAME_MAX + 1];
	struct env_keybuf key;
	struct slice requests_key;
	struct env_keybuf dead_key;
	struct redis_url url;

	struct event_base *base;
	struct evdns_base *dns;
	struct event *signals[ARRAY_LEN(stop_signals)];
	struct event *limit;           /* of draining, then of leaving */
	struct event *tick;
	struct redis *commands;

	struct policy *policy;
	struct catalogue *catalogue;
	struct worker_env *env;
	struct inflight *inflight;
	struct asks *asks;
	struct talk *talk;
	struct lease *lease;
	struct pool *pool;
	struct limiter *limiter;
	struct cancels *cancels;
	struct dead dead;
	struct dispatch dispatch;
	struct reply *reply;
	struct consume *consume;
	struct reclaim *reclaim;
	struct last_chance last_chance;
	struct heartbeat *heartbeat;
};

static void
worker_set_state(struct worker *w, enum worker_state state)
{
	static const char *const names[] = {
		[WORKER_SERVING] = "serving",
		[WORKER_DRAINING] = "draining",
		[WORKER_LEAVING] = "leaving",
		[WORKER_LEFT] = "left",
	};

	log_debug("worker state", LF("from", names[w->state]),
	    LF("to", names[state]));
	w->state = state;
}

/* Readiness -------------------------------------------------------------- */

static void
set_ready(struct worker *w, bool ready)
{
	const char *path = w->options->ready_file;
	int fd;

	if (path == NULL || ready == w->ready)
		return;
	if (ready) {
		fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		if (fd < 0)
			log_error("ready file not made", LF("path", path),
			    LF("reason", strerror(errno)));
		else
			close(fd);
	} else if (unlink(path) != 0) {
		log_error("ready file not removed", LF("path", path),
		    LF("reason", strerror(errno)));
	}
	w->ready = ready;
}

/* Reads calls, and Redis is there to read them from. */
static void
update_ready(struct worker *w)
{
	set_ready(w, w->state == WORKER_SERVING && w->reading &&
	    redis_is_ready(w->commands));
}

/* Stopping --------------------------------------------------------------- */

static void
limit_state(struct worker *w, unsigned seconds)
{
	const struct timeval limit = { .tv_sec = seconds };

	event_add(w->limit, &limit);
}

static void
leave(struct worker *w, const char *reason)
{
	w->stop_reason = reason;
	worker_set_state(w, WORKER_LEAVING);
	limit_state(w, LEAVE_SECONDS);
	heartbeat_leave(w->heartbeat);
}

static void
leave_when_drained(struct worker *w)
{
	if (w->state == WORKER_DRAINING && !w->reading &&
	    inflight_count(w->inflight) == 0)
		leave(w, w->cut ? "drain_timeout" : "signal");
}

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

/* What still runs is told to stop; what may run again, runs elsewhere. */
static void
cut(struct worker *w)
{
	w->cut = true;
	limit_state(w, LEAVE_SECONDS);
	inflight_each(w->inflight, return_call, NULL);
	lease_tick(w->lease);
}

static void
left(void *arg)
{
	struct worker *w = arg;

	worker_set_state(w, WORKER_LEFT);
	event_base_loopbreak(w->base);
}

static void
on_limit(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct worker *w = arg;

	if (w->state == WORKER_DRAINING && !w->cut)
		cut(w);
	else if (w->state == WORKER_DRAINING)
		leave(w, "drain_timeout");
	else
		left(w);
}

static void
on_signal(evutil_socket_t number, short what UNUSED, void *arg)
{
	struct worker *w = arg;

	if (w->state != WORKER_SERVING)
		_exit(EXIT_FAILURE);
	log_info("worker draining", LF("signal", strsignal((int)number)),
	    LF_N("in_flight", inflight_count(w->inflight)));
	worker_set_state(w, WORKER_DRAINING);
	update_ready(w);
	limit_state(w, w->options->drain_timeout_s);
	heartbeat_set_draining(w->heartbeat);
	reclaim_stop(w->reclaim);
	limiter_close(w->limiter);
	inflight_each(w->inflight, return_waiting, NULL);
	lease_tick(w->lease);
	if (w->reading)
		consume_stop(w->consume);
	else
		leave_when_drained(w);
}

/* News from the modules -------------------------------------------------- */

static void
on_commands_state(struct redis *redis UNUSED, bool ready, void *arg)
{
	struct worker *w = arg;

	if (w->state == WORKER_LEFT)
		return;
	if (ready && w->state != WORKER_LEAVING)
		heartbeat_beat(w->heartbeat);
	if (ready) {
		/* First, so that it is known before the first calls are read. */
		cancels_tick(w->cancels);
		lease_tick(w->lease);
		reply_wake(w->reply);
		reclaim_on_ready(w->reclaim);
	}
	if (w->reading)
		consume_commands_ready(w->consume, ready);
	update_ready(w);
}

static void
on_entry(const struct arrival *arrival, void *arg)
{
	struct worker *w = arg;

	dispatch_entry(&w->dispatch, arrival);
}

static void
on_reclaimed(const struct arrival *arrival, void *arg)
{
	struct worker *w = arg;

	last_chance_note(&w->last_chance, arrival->deliveries);
	dispatch_entry(&w->dispatch, arrival);
}

static void
on_kept(void *arg)
{
	struct worker *w = arg;

	limiter_wake(w->limiter);
	reply_wake(w->reply);
}

static void
on_lost(struct call *call, void *arg UNUSED)
{
	call_lose(call);
}

/* The lists that a call may be on while somebody else ends it. */
static void
on_ending(struct call *call, void *arg)
{
	struct worker *w = arg;

	if (call->state == CALL_WAITING)
		limiter_remove(w->limiter, call);
	else if (call->state == CALL_ANSWERED)
		reply_remove(w->reply, call);
}

static void
on_released(struct call *call, void *arg)
{
	struct worker *w = arg;

	limiter_released(w->limiter, call);
	if (w->consume != NULL)
		consume_wake(w->consume);
}

static void
on_answer(struct call *call, void *arg)
{
	struct worker *w = arg;

	reply_add(w->reply, call);
}

static void
on_stopped(void *arg)
{
	struct worker *w = arg;

	w->reading = false;
	lease_tick(w->lease);
	leave_when_drained(w);
}

static void
on_published(void *arg)
{
	struct worker *w = arg;

	consume_regroup(w->consume);
}

static void
on_api_change(void *arg)
{
	struct worker *w = arg;

	if (w->state != WORKER_SERVING)
		return;
	if (worker_env_is_up(w->env) && !w->reading) {
		w->reading = true;
		consume_open(w->consume);
	}
	update_ready(w);
	heartbeat_beat(w->heartbeat);
}

static void
on_resource_changed(const char *uri, void *arg)
{
	struct worker *w = arg;

	if (redis_is_ready(w->commands))
		change_publish(w->commands,
		    slice_str(catalogue_name(w->catalogue)), slice_str(uri));
}

/* Room -------------------------------------------------------------------- */

/*
 * Answers that Redis has not confirmed leave room for a whole batch beside theirs:
 * filling small gaps would cost a read, and later a write, for each.
 */
static unsigned
room(void *arg)
{
	struct worker *w = arg;
	unsigned most = w->options->concurrency;
	unsigned held = inflight_held(w->inflight);
	unsigned sent = inflight_in_state(w->inflight, CALL_ANSWERED) +
	    inflight_in_state(w->inflight, CALL_SENT);

	if (sent > w->options->batch || held >= most ||
	    inflight_in_state(w->inflight, CALL_WAITING) >= most)
		return 0;
	if (last_chance_makes_way(&w->last_chance) ||
	    last_chance_is_quiet(&w->last_chance))
		return 0;
	return most - held;
}

/*
 * Also without room: what may not run again only needs an answer, and the rest
 * can wait here as well as with a dead worker.
 */
static struct reclaim_appetite
appetite(void *arg)
{
	struct worker *w = arg;
	bool full = inflight_in_state(w->inflight, CALL_WAITING) >=
	    w->options->concurrency;

	return (struct reclaim_appetite){
		.count = w->reading && !full ? w->options->batch : 0,
		.last_chance = !consume_is_reading(w->consume) &&
		    last_chance_may_begin(&w->last_chance),
	};
}

/*
 * What waits for its last chance gets it here once nothing new is being read.
 * Whoever takes it, the others see that none waits any more, and read on.
 */
static void
on_looked(bool waiting, void *arg)
{
	struct worker *w = arg;

	if (!w->reading)
		return;
	if (last_chance_waits(&w->last_chance, waiting))
		consume_rest(w->consume);
	else
		consume_wake(w->consume);
}

static void
on_rest(void *arg)
{
	struct worker *w = arg;

	if (last_chance_makes_way(&w->last_chance) &&
	    last_chance_may_begin(&w->last_chance))
		reclaim_hurry(w->reclaim);
}

static void
on_done(void *arg)
{
	struct worker *w = arg;

	if (last_chance_ended(&w->last_chance))
		reclaim_hurry(w->reclaim);
	consume_wake(w->consume);
	leave_when_drained(w);
}

/* Ticking ------------------------------------------------------------------ */

static void
look_at_call(struct call *call, void *arg)
{
	const uint64_t *now = arg;

	talk_tick(call);
	if ((call->state == CALL_WAITING || call->state == CALL_RUNNING) &&
	    call->deadline_ms != 0 && *now > call->deadline_ms)
		call_expire(call);
}

static void
on_tick(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct worker *w = arg;
	uint64_t now = clock_wall_ms();

	inflight_each(w->inflight, look_at_call, &now);
	asks_tick(w->asks);
	lease_tick(w->lease);
	cancels_tick(w->cancels);
	if (w->reading)
		consume_wake(w->consume);
}

/* Making ----------------------------------------------------------------- */

static void
set_name(struct worker *w)
{
	char id[IDENT_HEX_LEN + 1];

	ident_hex(id);
	snprintf(w->name, sizeof(w->name), "%s.%.*s",
	    w->options->common.pod_name, START_SUFFIX_LEN, id);
}

static void
make_events(struct worker *w)
{
	w->base = event_base_new();
	if (w->base == NULL)
		abort();
	w->dns = evdns_base_new(w->base, EVDNS_BASE_INITIALIZE_NAMESERVERS |
	    EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	w->limit = evtimer_new(w->base, on_limit, w);
	for (size_t i = 0; i < ARRAY_LEN(stop_signals); i++) {
		w->signals[i] = evsignal_new(w->base, stop_signals[i],
		    on_signal, w);
		if (w->signals[i] == NULL ||
		    event_add(w->signals[i], NULL) != 0)
			abort();
	}
	w->tick = event_new(w->base, -1, EV_PERSIST, on_tick, w);
	if (w->limit == NULL || w->tick == NULL)
		abort();
}

static struct redis_options
redis_options(struct worker *w)
{
	return (struct redis_options){
		.url = &w->url,
		.tls_ca_file = w->options->common.redis_tls_ca,
		.client_name = w->name,
		.command_timeout_ms = REDIS_TIMEOUT_MS,
		.connect_timeout_ms = REDIS_TIMEOUT_MS,
		.max_output_bytes = REDIS_OUTPUT_MAX,
		.max_pending = REDIS_PENDING_MAX,
		.on_state = on_commands_state,
		.arg = w,
	};
}

static unsigned
reclaim_idle_ms(const struct worker *w)
{
	return w->options->reclaim_idle_s * 1000;
}

static void
make_calls(struct worker *w)
{
	w->asks = asks_new(w->base, w->commands,
	    slice_str(catalogue_name(w->catalogue)));
	w->inflight = inflight_new(&(struct inflight_options){
		.env = w->env,
		.on_answer = on_answer,
		.on_ending = on_ending,
		.on_released = on_released,
		.on_done = on_done,
		.arg = w,
	});
	w->lease = lease_new(&(struct lease_options){
		.commands = w->commands,
		.inflight = w->inflight,
		.requests_key = w->requests_key,
		.worker = slice_str(w->name),
		.reclaim_idle_ms = reclaim_idle_ms(w),
		.on_kept = on_kept,
		.on_lost = on_lost,
		.arg = w,
	});
	w->talk = talk_new(&(struct talk_options){
		.commands = w->commands,
		.lease = w->lease,
		.asks = w->asks,
		.progress_ms = w->options->progress_interval_s * 1000,
	});
	inflight_set_talk(w->inflight, w->talk);
	w->pool = pool_new(w->base, w->options->threads);
	w->last_chance = (struct last_chance){ .inflight = w->inflight };
	w->limiter = limiter_new(&(struct limiter_options){
		.base = w->base,
		.lease = w->lease,
		.policy = w->policy,
		.most = w->options->concurrency,
		.per_user = w->options->user_concurrency,
		.pool = w->pool,
		.threads = w->options->threads,
	});
	w->reply = reply_new(&(struct reply_options){
		.base = w->base,
		.commands = w->commands,
		.inflight = w->inflight,
		.lease = w->lease,
		.requests_key = w->requests_key,
		.max_calls = 2 * (size_t)w->options->batch,
	});
}

static void
make_dispatch(struct worker *w)
{
	struct slice name = slice_str(catalogue_name(w->catalogue));

	w->cancels = cancels_new(w->commands, w->inflight, name);
	w->dead = (struct dead){ w->commands,
		env_key(&w->dead_key, ENV_DEAD, name) };
	w->dispatch = (struct dispatch){
		.catalogue = w->catalogue,
		.inflight = w->inflight,
		.limiter = w->limiter,
		.policy = w->policy,
		.cancels = w->cancels,
		.dead = &w->dead,
	};
}

/*
 * A read must come back well before what it brings could count as resting: a
 * quarter of that time, see lease.h.
 */
static void
make_consume(struct worker *w)
{
	unsigned block_ms = reclaim_idle_ms(w) / 4;

	w->consume = consume_new(&(struct consume_options){
		.base = w->base,
		.dns = w->dns,
		.commands = w->commands,
		.redis = redis_options(w),
		.requests_key = w->requests_key,
		.worker = slice_str(w->name),
		.batch = w->options->batch,
		.block_ms = block_ms < BLOCK_MAX_MS ? block_ms : BLOCK_MAX_MS,
		.room = room,
		.on_rest = on_rest,
		.on_entry = on_entry,
		.on_stopped = on_stopped,
		.arg = w,
	});
	w->reclaim = reclaim_new(&(struct reclaim_options){
		.base = w->base,
		.commands = w->commands,
		.requests_key = w->requests_key,
		.worker = slice_str(w->name),
		.idle_ms = reclaim_idle_ms(w),
		.appetite = appetite,
		.on_entry = on_reclaimed,
		.on_looked = on_looked,
		.on_ungrouped = on_published,
		.arg = w,
	});
}

static void
make_heartbeat(struct worker *w)
{
	w->heartbeat = heartbeat_new(&(struct heartbeat_options){
		.base = w->base,
		.commands = w->commands,
		.catalogue = w->catalogue,
		.env = w->env,
		.inflight = w->inflight,
		.worker = w->name,
		.pod = w->options->common.pod_name,
		.reclaim_idle_ms = reclaim_idle_ms(w),
		.on_published = on_published,
		.on_left = left,
		.arg = w,
	});
}

static void
make_env(struct worker *w, const struct api *of, const void *own)
{
	w->env = worker_env_new(&(struct worker_env_options){
		.base = w->base,
		.dns = w->dns,
		.api = of,
		.name = catalogue_name(w->catalogue),
		.settings = own,
		.catalogue = w->catalogue,
		.on_change = on_api_change,
		.on_resource_changed = on_resource_changed,
		.arg = w,
	});
}

static bool
make_policy(struct worker *w)
{
	struct policy_options options = worker_options_policy(w->options);
	struct strbuf errors = STRBUF_INIT(4096);

	w->policy = policy_new(&options, &errors);
	if (w->policy == NULL)
		log_error("settings refused",
		    LF("reason", strbuf_str(&errors)));
	strbuf_release(&errors);
	return w->policy != NULL;
}

struct worker *
worker_new(const struct api *of, const struct worker_options *options,
    const void *own)
{
	struct worker *w = xcalloc(1, sizeof(*w));
	const char *name = options->api_name ? options->api_name : of->name;
	struct redis_options redis;
	const char *reason = NULL;

	w->options = options;
	if (!make_policy(w))
		goto fail;
	w->catalogue = catalogue_new(of, name, w->policy);
	if (w->catalogue == NULL)
		goto fail;
	if (!redis_url_parse(options->common.redis_url, &w->url, &reason)) {
		log_error("REDIS_URL refused", LF("reason", reason));
		goto fail;
	}
	w->requests_key = env_key(&w->key, ENV_REQUESTS, slice_str(name));
	set_name(w);
	make_events(w);
	make_env(w, of, own);
	redis = redis_options(w);
	w->commands = redis_new(w->base, w->dns, &redis);
	if (w->commands == NULL)
		goto fail;
	make_calls(w);
	make_dispatch(w);
	make_consume(w);
	make_heartbeat(w);
	return w;
fail:
	worker_free(w);
	return NULL;
}

void
worker_free(struct worker *w)
{
	if (w == NULL)
		return;
	w->state = WORKER_LEFT;
	if (w->env != NULL)
		worker_env_close(w->env);
	/* Before the rest, so that its commands are called back while all is. */
	redis_free(w->commands);
	consume_free(w->consume);
	reclaim_free(w->reclaim);
	reply_free(w->reply);
	limiter_free(w->limiter);
	pool_free(w->pool);
	lease_free(w->lease);
	cancels_free(w->cancels);
	heartbeat_free(w->heartbeat);
	inflight_free(w->inflight);
	talk_free(w->talk);
	asks_free(w->asks);
	worker_env_free(w->env);
	catalogue_free(w->catalogue);
	policy_free(w->policy);
	for (size_t i = 0; i < ARRAY_LEN(stop_signals); i++) {
		if (w->signals[i] != NULL)
			event_free(w->signals[i]);
	}
	if (w->limit != NULL)
		event_free(w->limit);
	if (w->tick != NULL)
		event_free(w->tick);
	if (w->dns != NULL)
		evdns_base_free(w->dns, 0);
	if (w->base != NULL)
		event_base_free(w->base);
	redis_url_release(&w->url);
	free(w);
}

/* Running ---------------------------------------------------------------- */

bool
worker_run(struct worker *w)
{
	const struct timeval every = { .tv_usec = TICK_MS * 1000 };
	struct inflight_totals totals;

	log_info("worker started",
	    LF("api", catalogue_name(w->catalogue)),
	    LF("worker", w->name),
	    LF("version", catalogue_version(w->catalogue)),
	    LF("redis", w->url.host));
	event_add(w->tick, &every);
	redis_open(w->commands);
	worker_env_open(w->env);
	event_base_dispatch(w->base);
	totals = inflight_totals(w->inflight);
	log_info("worker stopped", LF("reason", w->stop_reason),
	    LF("worker", w->name), LF_N("done", totals.done),
	    LF_N("failed", totals.failed),
	    LF_N("unfinished", inflight_count(w->inflight)));
	return pool_stop(w->pool, LEAVE_SECONDS * 1000);
}
