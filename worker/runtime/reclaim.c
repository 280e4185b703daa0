#include "worker/runtime/reclaim.h"

#include <stdlib.h>

#include <event2/util.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/timer.h"
#include "common/xalloc.h"

/* A dead worker's calls are noticed this long after their rest, at most. */
#define PERIOD_MAX_MS 1000

/*
 * KEYS: requests. ARGV: group, consumer, rest time (ms), entries wanted, attempts
 * at most, last chances wanted (0 or 1). Takes what the header says, of those that
 * have never been taken over one in sixteen: so poison among few comes alone,
 * and many take few looks. Returns how many wait for their last chance, then for
 * each that was taken {entry, deliveries, consumer}, this one not counted. The
 * consumer that has nothing left is forgotten.
 */
static const struct redis_script take_script = {
	.name = "reclaim",
	.body =
	"local key, group, me = KEYS[1], ARGV[1], ARGV[2]\n"
	"local wanted, attempts = tonumber(ARGV[4]), tonumber(ARGV[5])\n"
	"local over, last, rest, owners = {}, {}, {}, {}\n"
	"for _, p in ipairs(redis.call('XPENDING', key, group,\n"
	"    'IDLE', ARGV[3], '-', '+', 4 * wanted)) do\n"
	"	local kind = p[4] >= attempts and over or\n"
	"	    p[4] == attempts - 1 and last or rest\n"
	"	if p[2] ~= me then kind[#kind + 1] = p end\n"
	"end\n"
	"local from, most = rest, math.ceil(#rest / 16)\n"
	"if #over > 0 then from, most = over, wanted\n"
	"elseif #last > 0 then from, most = last, tonumber(ARGV[6]) end\n"
	"local out = { #last }\n"
	"for i = 1, math.min(#from, most, wanted) do\n"
	"	local p = from[i]\n"
	"	local e = redis.call('XCLAIM', key, group, me, ARGV[3], p[1])[1]\n"
	"	if e then out[#out + 1] = { e, p[4], p[2] } end\n"
	"	if from == last then out[1] = out[1] - 1 end\n"
	"	owners[p[2]] = true\n"
	"end\n"
	"for owner in pairs(owners) do\n"
	"	if #redis.call('XPENDING', key, group, '-', '+', 1, owner) == 0\n"
	"	then\n"
	"		redis.call('XGROUP', 'DELCONSUMER', key, group, owner)\n"
	"	end\n"
	"end\n"
	"return out\n",
};

struct reclaim {
	struct reclaim_options options;
	struct event *timer;
	uint64_t not_before_ms;   /* monotonic */
	uint64_t sent_ms;         /* of the script on its way; 0: none is */
	bool connected_before;
	bool refused;             /* Redis takes no writes, as far as we know */
	bool stopped;
};

/* {entry, deliveries, whose}, this delivery not counted. False: not so. */
static bool
read_item(const struct reclaim *r, const redisReply *item, struct arrival *out)
{
	if (!arrival_read(item, out) || item->elements != 3)
		return false;
	out->held_ms = r->sent_ms;
	out->last_worker = redis_slice(item->element[2]);
	out->deliveries++;
	return true;
}

static void
on_taken(struct redis *redis UNUSED, const redisReply *reply, void *arg)
{
	struct reclaim *r = arg;
	struct arrival arrival;

	if (redis_is_error(reply, "NOGROUP"))
		r->options.on_ungrouped(r->options.arg);
	else if (redis_is_put_off(reply))
		r->refused = true;
	else if (reply != NULL && reply->type == REDIS_REPLY_ERROR)
		log_error("reclaim refused", LF("reason", reply->str));
	if (reply == NULL || reply->type != REDIS_REPLY_ARRAY ||
	    reply->elements == 0) {
		r->sent_ms = 0;
		return;
	}
	for (size_t i = 1; i < reply->elements; i++) {
		if (!read_item(r, reply->element[i], &arrival))
			continue;
		log_warn("entry taken over", LF_S("entry", arrival.entry.id),
		    LF_S("from", arrival.last_worker),
		    LF_N("deliveries", arrival.deliveries));
		r->options.on_entry(&arrival, r->options.arg);
	}
	r->sent_ms = 0;
	r->options.on_looked(reply->element[0]->integer > 0, r->options.arg);
	if (reply->elements > 1)
		reclaim_hurry(r);
}

static void
take(struct reclaim *r)
{
	struct reclaim_appetite wanted = r->options.appetite(r->options.arg);
	char idle[20], count[20], attempts[20];
	const struct slice args[] = { r->options.requests_key, SLICE(ENV_GROUP),
		r->options.worker,
		slice_of(idle, u64_decimal(idle, r->options.idle_ms)),
		slice_of(count, u64_decimal(count, wanted.count)),
		slice_of(attempts, u64_decimal(attempts, RECLAIM_ATTEMPTS_MAX)),
		wanted.last_chance ? SLICE("1") : SLICE("0") };

	if (wanted.count == 0)
		return;
	r->sent_ms = clock_mono_ms();
	if (!redis_eval(r->options.commands, &take_script, args,
	    ARRAY_LEN(args), 1, on_taken, r))
		r->sent_ms = 0;
}

static void
on_probed(struct redis *redis UNUSED, const redisReply *reply, void *arg)
{
	struct reclaim *r = arg;

	r->sent_ms = 0;
	if (reply == NULL || reply->type == REDIS_REPLY_ERROR)
		return;
	r->refused = false;
	r->not_before_ms = clock_mono_ms() + r->options.idle_ms;
}

/* Does Redis take writes again? One that changes nothing. */
static void
probe(struct reclaim *r)
{
	const struct slice argv[] = { SLICE("XACK"), r->options.requests_key,
		SLICE(ENV_GROUP), SLICE("0-0") };

	r->sent_ms = clock_mono_ms();
	if (!redis_send(r->options.commands, argv, ARRAY_LEN(argv), on_probed,
	    r))
		r->sent_ms = 0;
}

/* Between three and four quarters of the longest: workers drift apart. */
static void
schedule(struct reclaim *r)
{
	unsigned random, most = r->options.idle_ms / 4;

	if (most > PERIOD_MAX_MS)
		most = PERIOD_MAX_MS;
	evutil_secure_rng_get_bytes(&random, sizeof(random));
	timer_set(r->timer, most - random % (most / 4));
}

static void
on_timer(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct reclaim *r = arg;

	if (r->stopped)
		return;
	if (r->sent_ms == 0 && redis_is_ready(r->options.commands) &&
	    clock_mono_ms() >= r->not_before_ms)
		(r->refused ? probe : take)(r);
	schedule(r);
}

struct reclaim *
reclaim_new(const struct reclaim_options *options)
{
	struct reclaim *r = xcalloc(1, sizeof(*r));

	r->options = *options;
	r->timer = evtimer_new(options->base, on_timer, r);
	if (r->timer == NULL)
		abort();
	return r;
}

void
reclaim_free(struct reclaim *r)
{
	if (r == NULL)
		return;
	event_free(r->timer);
	free(r);
}

void
reclaim_on_ready(struct reclaim *r)
{
	if (r->stopped)
		return;
	if (r->connected_before)
		r->not_before_ms = clock_mono_ms() + r->options.idle_ms;
	r->connected_before = true;
	schedule(r);
}

void
reclaim_hurry(struct reclaim *r)
{
	if (!r->stopped && r->sent_ms == 0)
		event_active(r->timer, EV_TIMEOUT, 0);
}

void
reclaim_stop(struct reclaim *r)
{
	r->stopped = true;
	event_del(r->timer);
}
