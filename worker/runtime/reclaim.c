#include "worker/runtime/reclaim.h"

#include <stdlib.h>

#include <event2/util.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/xalloc.h"

/* A dead worker's calls are noticed this long after their rest, at most. */
#define PERIOD_MAX_MS 1000

/*
 * KEYS: requests. ARGV: group, consumer, rest time (ms), entries wanted, attempts
 * at most, last chances wanted (0 or 1). Entries that are to be given up count as
 * no chance: all of them are wanted. Returns {entry, consumer, deliveries} each,
 * this one not counted. The consumer that has nothing left is forgotten.
 */
static const struct redis_script take_script = {
	.name = "reclaim",
	.body =
	"local key, group, me = KEYS[1], ARGV[1], ARGV[2]\n"
	"local attempts, chances = tonumber(ARGV[5]), tonumber(ARGV[6])\n"
	"local out, owners = {}, {}\n"
	"local wanted = tonumber(ARGV[4])\n"
	"for _, p in ipairs(redis.call('XPENDING', key, group,\n"
	"    'IDLE', ARGV[3], '-', '+', 4 * wanted)) do\n"
	"	local last = p[4] == attempts - 1\n"
	"	if p[2] ~= me and #out < wanted and\n"
	"	    not (last and chances == 0) then\n"
	"		local e = redis.call('XCLAIM', key, group, me, ARGV[3],\n"
	"		    p[1])[1]\n"
	"		if e then out[#out + 1] = { e, p[2], p[4] } end\n"
	"		if e and last then chances = chances - 1 end\n"
	"		owners[p[2]] = true\n"
	"	end\n"
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
	bool stopped;
};

/* A reply's item as an arrival; false: not of that shape. */
static bool
read_item(const struct reclaim *r, const redisReply *item, struct arrival *out)
{
	const redisReply fake = { .type = REDIS_REPLY_ARRAY, .elements = 1,
		.element = item->element };

	if (item->type != REDIS_REPLY_ARRAY || item->elements != 3 ||
	    !env_entry_at(&fake, 0, &out->entry))
		return false;
	out->held_ms = r->sent_ms;
	out->last_worker = redis_slice(item->element[1]);
	out->deliveries = (unsigned)item->element[2]->integer + 1;
	return true;
}

static void
on_taken(struct redis *redis UNUSED, const redisReply *reply, void *arg)
{
	struct reclaim *r = arg;
	struct arrival arrival;

	if (redis_is_error(reply, "NOGROUP"))
		r->options.on_ungrouped(r->options.arg);
	else if (reply != NULL && reply->type == REDIS_REPLY_ERROR)
		log_error("reclaim refused", LF("reason", reply->str));
	for (size_t i = 0; reply != NULL && reply->type == REDIS_REPLY_ARRAY &&
	    i < reply->elements; i++) {
		if (!read_item(r, reply->element[i], &arrival))
			continue;
		log_warn("entry taken over", LF_S("entry", arrival.entry.id),
		    LF_S("from", arrival.last_worker),
		    LF_N("deliveries", arrival.deliveries));
		r->options.on_entry(&arrival, r->options.arg);
	}
	r->sent_ms = 0;
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

/* Between three and four quarters of the longest: workers drift apart. */
static void
schedule(struct reclaim *r)
{
	unsigned random, most = r->options.idle_ms / 4;
	struct timeval pause = { .tv_sec = 0 };

	if (most > PERIOD_MAX_MS)
		most = PERIOD_MAX_MS;
	evutil_secure_rng_get_bytes(&random, sizeof(random));
	pause.tv_usec = (most - random % (most / 4)) * 1000L;
	if (pause.tv_usec >= 1000000) {
		pause.tv_sec = 1;
		pause.tv_usec -= 1000000;
	}
	event_add(r->timer, &pause);
}

static void
on_timer(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct reclaim *r = arg;

	if (r->stopped)
		return;
	if (r->sent_ms == 0 && redis_is_ready(r->options.commands) &&
	    clock_mono_ms() >= r->not_before_ms)
		take(r);
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
