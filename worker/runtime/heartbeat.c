#include "worker/runtime/heartbeat.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/envelope.h"
#include "common/log.h"
#include "common/redis_clock.h"
#include "common/timer.h"
#include "common/xalloc.h"
#include "worker/runtime/counter_report.h"

/* Workers that died leave their place in the list; it is swept after this. */
#define DEAD_KEPT_MS 3600000
/*
 * Without a beat of a worker that has it, a catalogue gives way to another worker's
 * after this, even to that of one which started earlier.
 */
#define STALE_MS 60000

/*
 * Beat. KEYS: worker, workers, api. ARGV: worker, now (ms), its TTL (ms),
 * the list's life (ms), catalogue's digest, its TTL (ms), reclaim idle (ms), how
 * old the catalogue's last beat may be (ms), then the worker's fields. Returns 1 when
 * the catalogue is to be published: none is there, or one that has to give way. An
 * empty digest: there is none yet.
 *
 * A full Redis refuses an HSET that is a script's first write, and the workers and
 * their tools would go with their keys' expiry, while they run. So PEXPIRE is it.
 */
static const struct redis_script beat_script = {
	.name = "worker beat",
	.body =
	"redis.call('PEXPIRE', KEYS[1], ARGV[3])\n"
	"local now = tonumber(ARGV[2])\n"
	"local expiry = string.format('%.0f', now + ARGV[3])\n"
	"redis.call('HSET', KEYS[1], unpack(ARGV, 9))\n"
	"redis.call('PEXPIRE', KEYS[1], ARGV[3])\n"
	"redis.call('ZADD', KEYS[2], expiry, ARGV[1])\n"
	"redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', expiry - ARGV[4])\n"
	"redis.call('PEXPIRE', KEYS[2], ARGV[4])\n"
	"if ARGV[5] == '' then return 0 end\n"
	"local there = redis.call('HMGET', KEYS[3], 'digest', 'since', 'beat_ms')\n"
	"if there[1] == ARGV[5] then\n"
	"	redis.call('HSET', KEYS[3], 'reclaim_idle_ms', ARGV[7],\n"
	"	    'beat_ms', ARGV[2])\n"
	"	redis.call('PEXPIRE', KEYS[3], ARGV[6])\n"
	"	return 0\n"
	"end\n"
	"local mine = redis.call('HGET', KEYS[1], 'started_ms')\n"
	"if there[1] and tonumber(there[2] or 0) > tonumber(mine) and\n"
	"    tonumber(there[3] or 0) >= now - ARGV[8] then\n"
	"	return 0\n"
	"end\n"
	"return 1\n",
};

/* Publish. KEYS: api. ARGV: TTL (ms), then the fields. */
static const struct redis_script publish_script = {
	.name = "catalogue publish",
	.body =
	"redis.call('DEL', KEYS[1])\n"
	"redis.call('HSET', KEYS[1], unpack(ARGV, 2))\n"
	"return redis.call('PEXPIRE', KEYS[1], ARGV[1])\n",
};

/*
 * Leave. KEYS: worker, workers, api, requests. ARGV: worker, now (ms), group,
 * how long the last worker's catalogue stays (ms, 0: it goes). A consumer that still
 * has entries stays: deleting it would lose them.
 */
static const struct redis_script leave_script = {
	.name = "worker leave",
	.body =
	"redis.call('DEL', KEYS[1])\n"
	"redis.call('ZREM', KEYS[2], ARGV[1])\n"
	"local pending = redis.pcall('XPENDING', KEYS[4], ARGV[3],\n"
	"    '-', '+', 1, ARGV[1])\n"
	"if not pending.err and #pending == 0 then\n"
	"	redis.pcall('XGROUP', 'DELCONSUMER', KEYS[4], ARGV[3], ARGV[1])\n"
	"end\n"
	"if redis.call('ZCOUNT', KEYS[2], '(' .. ARGV[2], '+inf') > 0 then\n"
	"	return 0\n"
	"end\n"
	"return redis.call('PEXPIRE', KEYS[3], ARGV[4])\n",
};

#define KEYS_MAX 4
#define ARGS_MAX (KEYS_MAX + 31)
#define NUMBERS_MAX 12

/* The keys and arguments of a script, with room for what they spell. */
struct args {
	struct slice argv[ARGS_MAX];
	size_t n;
	struct env_keybuf keys[KEYS_MAX];
	char numbers[NUMBERS_MAX][20];
	size_t number_count;
};

struct heartbeat {
	struct heartbeat_options options;
	struct event *timer;
	struct counter_report *counters;
	struct slice api;
	uint64_t started_ms;   /* monotonic */
	bool draining;
	bool leaving;
};

/* Arguments -------------------------------------------------------------- */

static void
add(struct args *a, struct slice s)
{
	a->argv[a->n++] = s;
}

static void
add_number(struct args *a, uint64_t v)
{
	char *text = a->numbers[a->number_count++];

	add(a, slice_of(text, u64_decimal(text, v)));
}

static void
add_field(struct args *a, const char *name, const char *value)
{
	add(a, slice_str(name));
	add(a, slice_str(value));
}

static void
add_number_field(struct args *a, const char *name, uint64_t v)
{
	add(a, slice_str(name));
	add_number(a, v);
}

/* By the clock that all workers of the API have: whose catalogue is the latest? */
static uint64_t
started_ms(const struct heartbeat *h)
{
	return clock_shared_ms() - (clock_mono_ms() - h->started_ms);
}

/* The worker's own key comes first where it is used, so n is its place. */
static void
add_worker_key(const struct heartbeat *h, struct args *a)
{
	add(a, env_worker_key(&a->keys[a->n], h->api,
	    slice_str(h->options.worker)));
}

static void
add_key(const struct heartbeat *h, struct args *a, enum env_key kind)
{
	add(a, env_key(&a->keys[a->n], kind, h->api));
}

/* While workers live it must outlast what puts one of them back. */
static uint64_t
catalogue_ttl_ms(const struct heartbeat *h)
{
	uint64_t ttl_ms = h->options.catalogue_ttl_ms;

	return ttl_ms > STALE_MS ? ttl_ms : STALE_MS;
}

/* The list of APIs ------------------------------------------------------- */

static void
on_listed(struct redis *redis UNUSED, const redisReply *reply, void *arg)
{
	const struct heartbeat *h = arg;

	if (reply != NULL && reply->type == REDIS_REPLY_ERROR)
		log_warn("API not listed", LF_S("api", h->api),
		    LF("reason", reply->str));
}

/*
 * Its key has another slot than the scripts' keys: a command of its own. The last
 * worker leaves the API on the list, for calls may be in its queue: the proxies
 * look after these, and take the API off.
 */
static void
list_api(struct heartbeat *h)
{
	const struct slice argv[] = { SLICE("SADD"), SLICE(ENV_APIS_KEY),
		h->api };

	if (!redis_send(h->options.commands, argv, ARRAY_LEN(argv), on_listed,
	    h))
		log_warn("API not listed", LF_S("api", h->api));
}

/* Publishing ------------------------------------------------------------- */

static void
on_published(struct redis *redis UNUSED, const redisReply *reply, void *arg)
{
	struct heartbeat *h = arg;

	if (reply == NULL)
		return;
	if (reply->type == REDIS_REPLY_ERROR) {
		log_error("catalogue not published", LF_S("api", h->api),
		    LF_S("reason", slice_of(reply->str, (size_t)reply->len)));
		return;
	}
	log_info("catalogue published", LF_S("api", h->api),
	    LF("digest", catalogue_digest(h->options.catalogue)));
	h->options.on_published(h->options.arg);
}

static void
publish(struct heartbeat *h)
{
	const struct catalogue *catalogue = h->options.catalogue;
	struct args a = { .n = 0 };

	add_key(h, &a, ENV_API);
	add_number(&a, catalogue_ttl_ms(h));
	add_field(&a, "name", catalogue_name(catalogue));
	add_field(&a, "title", catalogue_title(catalogue));
	add_field(&a, "version", catalogue_version(catalogue));
	add_field(&a, "digest", catalogue_digest(catalogue));
	add_number_field(&a, "since", started_ms(h));
	add_number_field(&a, "beat_ms", clock_shared_ms());
	add_number_field(&a, "reclaim_idle_ms", h->options.reclaim_idle_ms);
	add(&a, SLICE("catalogue"));
	add(&a, catalogue_json(catalogue));
	if (!redis_eval(h->options.commands, &publish_script, a.argv, a.n, 1,
	    on_published, h))
		log_warn("catalogue not sent", LF_S("api", h->api));
}

/* Beating ---------------------------------------------------------------- */

static void
on_beat(struct redis *redis UNUSED, const redisReply *reply, void *arg)
{
	struct heartbeat *h = arg;

	if (reply == NULL)
		return;
	if (reply->type == REDIS_REPLY_ERROR)
		log_error("heartbeat refused",
		    LF_S("reason", slice_of(reply->str, (size_t)reply->len)),
		    LF("remedy", redis_refusal_remedy(reply)));
	else if (reply->type == REDIS_REPLY_INTEGER && reply->integer == 1 &&
	    !h->leaving)
		publish(h);
}

static void
add_worker_fields(const struct heartbeat *h, struct args *a)
{
	const struct inflight_totals *totals =
	    inflight_totals(h->options.inflight);

	add_field(a, "version", catalogue_version(h->options.catalogue));
	add_field(a, "pod", h->options.pod);
	add_number_field(a, "started_ms", started_ms(h));
	add_number_field(a, "in_flight", inflight_count(h->options.inflight));
	add_number_field(a, "running", inflight_held(h->options.inflight));
	add_number_field(a, "concurrency", h->options.concurrency);
	add_number_field(a, "done", totals->done);
	add_number_field(a, "failed", totals->failed);
	add_field(a, "draining", h->draining ? "1" : "0");
	add_field(a, "state", worker_env_state_name(h->options.env));
	add_field(a, "error", worker_env_error(h->options.env));
}

static void
beat(struct heartbeat *h)
{
	struct args a = { .n = 0 };

	add_worker_key(h, &a);
	add_key(h, &a, ENV_WORKERS);
	add_key(h, &a, ENV_API);
	add(&a, slice_str(h->options.worker));
	add_number(&a, clock_shared_ms());
	add_number(&a, ENV_HEARTBEAT_TTL_MS);
	add_number(&a, DEAD_KEPT_MS);
	add(&a, slice_str(worker_env_is_up(h->options.env) ?
	    catalogue_digest(h->options.catalogue) : ""));
	add_number(&a, catalogue_ttl_ms(h));
	add_number(&a, h->options.reclaim_idle_ms);
	add_number(&a, STALE_MS);
	add_worker_fields(h, &a);
	if (!redis_eval(h->options.commands, &beat_script, a.argv, a.n, 3,
	    on_beat, h))
		log_warn("heartbeat not sent", LF_S("api", h->api));
	counter_report_send(h->counters);
	if (worker_env_is_up(h->options.env))
		list_api(h);
}

void
heartbeat_beat(struct heartbeat *h)
{
	if (redis_is_ready(h->options.commands)) {
		redis_clock_ask(h->options.commands);
		beat(h);
	}
	timer_set(h->timer, ENV_HEARTBEAT_EVERY_MS);
}

static void
on_timer(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	heartbeat_beat(arg);
}

void
heartbeat_set_draining(struct heartbeat *h)
{
	h->draining = true;
	heartbeat_beat(h);
}

/* Leaving ---------------------------------------------------------------- */

static void
on_withdrawn(struct redis *redis UNUSED, const redisReply *reply, void *arg)
{
	struct heartbeat *h = arg;

	if (reply != NULL && reply->type == REDIS_REPLY_ERROR)
		log_error("leave refused",
		    LF_S("reason", slice_of(reply->str, (size_t)reply->len)));
	h->options.on_left(h->options.arg);
}

void
heartbeat_leave(struct heartbeat *h)
{
	struct args a = { .n = 0 };

	h->leaving = true;
	event_del(h->timer);
	counter_report_send(h->counters);
	add_worker_key(h, &a);
	add_key(h, &a, ENV_WORKERS);
	add_key(h, &a, ENV_API);
	add_key(h, &a, ENV_REQUESTS);
	add(&a, slice_str(h->options.worker));
	add_number(&a, clock_shared_ms());
	add(&a, SLICE(ENV_GROUP));
	add_number(&a, h->options.catalogue_ttl_ms);
	if (!redis_eval(h->options.commands, &leave_script, a.argv, a.n, 4,
	    on_withdrawn, h))
		h->options.on_left(h->options.arg);
}

/* The object ------------------------------------------------------------- */

struct heartbeat *
heartbeat_new(const struct heartbeat_options *options)
{
	struct heartbeat *h = xcalloc(1, sizeof(*h));

	h->options = *options;
	h->api = slice_str(catalogue_name(options->catalogue));
	h->started_ms = clock_mono_ms();
	h->counters = counter_report_new(options->commands, h->api,
	    inflight_totals(options->inflight)->counters);
	h->timer = evtimer_new(options->base, on_timer, h);
	if (h->timer == NULL)
		abort();
	return h;
}

void
heartbeat_free(struct heartbeat *h)
{
	if (h == NULL)
		return;
	event_free(h->timer);
	counter_report_free(h->counters);
	free(h);
}
