#include "worker/runtime/lease.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "worker/runtime/call.h"

/* Entries per script: a fraction of a millisecond of Redis's time. */
#define BATCH_MAX 256
/* Fixed arguments: key, group, consumer; then id and number of each entry. */
#define ARGC_FIXED 3
#define ARGC_MAX (ARGC_FIXED + 2 * BATCH_MAX)

/*
 * Keep. KEYS: requests. ARGV: group, consumer, then per entry its id and how
 * often it was delivered (a look at it with XREADGROUP would count as well).
 * Returns per entry 1: kept, 0: another's, -1: pending no more.
 */
static const struct redis_script keep_script = {
	.name = "lease keep",
	.body =
	"local out = {}\n"
	"for i = 3, #ARGV, 2 do\n"
	"	local id = ARGV[i]\n"
	"	local p = redis.call('XPENDING', KEYS[1], ARGV[1], id, id, 1)[1]\n"
	"	if not p then\n"
	"		out[#out + 1] = -1\n"
	"	elseif p[2] ~= ARGV[2] then\n"
	"		out[#out + 1] = 0\n"
	"	else\n"
	"		redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, id,\n"
	"		    'RETRYCOUNT', ARGV[i + 1], 'JUSTID')\n"
	"		out[#out + 1] = 1\n"
	"	end\n"
	"end\n"
	"return out\n",
};

/*
 * Give back. KEYS: requests. ARGV: group, consumer, then per entry its id and the
 * attempt that its successor is. An entry that is another's is left alone. A full
 * Redis refuses the XADD if it is a script's first write; so it is not, and nothing
 * is lost by it: each XADD is followed by the XDEL of as much.
 */
static const struct redis_script return_script = {
	.name = "lease return",
	.body =
	"for i = 3, #ARGV, 2 do\n"
	"	local id = ARGV[i]\n"
	"	local p = redis.call('XPENDING', KEYS[1], ARGV[1], id, id, 1)[1]\n"
	"	if p and p[2] == ARGV[2] then\n"
	"		redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, id, 'JUSTID')\n"
	"		local e = redis.call('XRANGE', KEYS[1], id, id)[1]\n"
	"		for j = 1, e and #e[2] or 0, 2 do\n"
	"			if e[2][j] == 'attempt' then\n"
	"				e[2][j + 1] = ARGV[i + 1]\n"
	"			end\n"
	"		end\n"
	"		if e then\n"
	"			redis.call('XADD', KEYS[1], '*', unpack(e[2]))\n"
	"		end\n"
	"		redis.call('XDEL', KEYS[1], id)\n"
	"		redis.call('XACK', KEYS[1], ARGV[1], id)\n"
	"	end\n"
	"end\n"
	"return redis.status_reply('OK')\n",
};

enum kept {
	KEPT_GONE = -1,
	KEPT_BY_OTHER = 0,
	KEPT_BY_US = 1
};

struct lease {
	struct lease_options options;
	struct slice argv[ARGC_MAX];
};

/*
 * A script on its way. It knows calls by their entries: until it is back a call
 * may be done and its memory another call's.
 */
struct batch {
	struct lease *lease;
	uint64_t sent_ms;
	bool returning;              /* which of the scripts */
	size_t n;
	struct call_key keys[BATCH_MAX];
	char numbers[BATCH_MAX][20];
};

/* What is due ------------------------------------------------------------- */

static uint64_t
age(const struct call *call, uint64_t now)
{
	return now > call->lease_ms ? now - call->lease_ms : 0;
}

/* Its deadline has passed, and the entry has not been renewed since. */
static bool
has_run_out(const struct call *call, uint64_t now)
{
	uint64_t shared = clock_shared_ms();

	return call->deadline_ms != 0 && shared > call->deadline_ms &&
	    age(call, now) > shared - call->deadline_ms;
}

bool
lease_is_fresh(const struct lease *l, const struct call *call, uint64_t now)
{
	return call->entry_gone ||
	    age(call, now) < l->options.reclaim_idle_ms / 2;
}

bool
lease_may_answer(const struct lease *l, const struct call *call, uint64_t now)
{
	return lease_is_fresh(l, call, now) &&
	    (call->entry_gone || !has_run_out(call, now));
}

/* What has been sent to Redis is decided there. */
static bool
is_due(const struct lease *l, const struct call *call, uint64_t now)
{
	switch (call->state) {
	case CALL_OPENED:
	case CALL_WAITING:
	case CALL_RUNNING:
	case CALL_ANSWERED:
		return !call->entry_gone &&
		    (age(call, now) >= l->options.reclaim_idle_ms / 4 ||
			has_run_out(call, now));
	case CALL_SENT:
	case CALL_RETURNING:
	case CALL_ABANDONED:
		break;
	}
	return false;
}

/* Replies ----------------------------------------------------------------- */

/*
 * An entry that is pending no more, and not by us: did Redis lose it, so that the
 * answer is still ours to give? Not if it had rested for so long that another may
 * have taken it and answered. If an answer of ours was on its way when a connection
 * broke, it may be there, or not.
 */
static bool
is_ours_to_answer(const struct lease *l, const struct call *call)
{
	return call->in_doubt ||
	    age(call, clock_mono_ms()) < l->options.reclaim_idle_ms;
}

static void
settle(struct lease *l, struct call *call, enum kept kept, uint64_t sent_ms)
{
	call->renewing = false;
	/* Since the script ran, the answer went out: it knows better. */
	if (call->state == CALL_SENT)
		return;
	if (kept == KEPT_BY_US) {
		call->lease_ms = sent_ms;
	} else if (kept == KEPT_GONE && is_ours_to_answer(l, call)) {
		call->entry_gone = true;
		/* Should it have been answered after all, the proxy drops this. */
		call->repeated = true;
	} else {
		log_warn("call is another worker's", LF_S("call", call->call),
		    LF_S("entry", call->entry));
		l->options.on_lost(call, l->options.arg);
	}
}

/* The group is gone, and with it everybody's right to the entry. */
static void
settle_ungrouped(struct call *call)
{
	call->renewing = false;
	call->entry_gone = true;
}

static void
settle_all(struct batch *b, const redisReply *reply)
{
	struct lease *l = b->lease;
	bool ungrouped = redis_is_error(reply, "NOGROUP");

	for (size_t i = 0; i < b->n; i++) {
		struct call *call = inflight_find(l->options.inflight,
		    &b->keys[i]);

		if (call == NULL)
			continue;
		if (ungrouped)
			settle_ungrouped(call);
		else if (reply != NULL && reply->type == REDIS_REPLY_ARRAY &&
		    i < reply->elements)
			settle(l, call,
			    (enum kept)reply->element[i]->integer, b->sent_ms);
		else
			call->renewing = false;
	}
}

/* Each tick tries again: what Redis puts off is not said each time. */
static void
log_refusal(const char *message, const redisReply *reply)
{
	log_at(redis_is_put_off(reply) ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR,
	    message, LF("reason", reply->str));
}

/* Refused, nothing is known that was not: a tick asks again, not whoever waits. */
static void
on_kept(struct redis *redis UNUSED, const redisReply *reply, void *arg)
{
	struct batch *b = arg;
	struct lease *l = b->lease;
	bool refused = reply != NULL && reply->type == REDIS_REPLY_ERROR &&
	    !redis_is_error(reply, "NOGROUP");

	if (refused)
		log_refusal("leases not renewed", reply);
	settle_all(b, reply);
	free(b);
	if (reply != NULL && !refused)
		l->options.on_kept(l->options.arg);
}

static void
on_returned(struct redis *redis UNUSED, const redisReply *reply, void *arg)
{
	struct batch *b = arg;
	bool done = reply != NULL && (reply->type != REDIS_REPLY_ERROR ||
	    redis_is_error(reply, "NOGROUP"));

	if (reply != NULL && reply->type == REDIS_REPLY_ERROR)
		log_refusal("calls not given back", reply);
	for (size_t i = 0; i < b->n; i++) {
		struct call *call = inflight_find(b->lease->options.inflight,
		    &b->keys[i]);

		if (call == NULL)
			continue;
		call->renewing = false;
		if (done)
			inflight_forget(b->lease->options.inflight, call);
	}
	free(b);
}

/* Sending ------------------------------------------------------------------ */

struct gathering {
	struct batch *batch;
	struct lease *lease;
	bool full;
};

static void
gather(struct call *call, void *arg)
{
	struct gathering *g = arg;
	struct batch *b = g->batch;
	bool due = b->returning ? call->state == CALL_RETURNING :
	    is_due(g->lease, call, b->sent_ms);
	unsigned number = b->returning ? call->attempt : call->deliveries;
	size_t at = ARGC_FIXED + 2 * b->n;

	if (!due || call->renewing)
		return;
	if (b->n == BATCH_MAX) {
		g->full = true;
		return;
	}
	b->keys[b->n] = call->key;
	g->lease->argv[at] = call->entry;
	g->lease->argv[at + 1] = slice_of(b->numbers[b->n],
	    u64_decimal(b->numbers[b->n], number));
	b->n++;
}

static bool
send_batch(struct lease *l, struct batch *b)
{
	l->argv[0] = l->options.requests_key;
	l->argv[1] = SLICE(ENV_GROUP);
	l->argv[2] = l->options.worker;
	return b->n > 0 && redis_eval(l->options.commands,
	    b->returning ? &return_script : &keep_script, l->argv,
	    ARGC_FIXED + 2 * b->n, 1, b->returning ? on_returned : on_kept, b);
}

/* Returns true when there is more than one batch holds. */
static bool
send_due(struct lease *l, bool returning)
{
	struct batch *b = xmalloc(sizeof(*b));
	struct gathering g = { .batch = b, .lease = l };

	b->lease = l;
	b->sent_ms = clock_mono_ms();
	b->returning = returning;
	b->n = 0;
	inflight_each(l->options.inflight, gather, &g);
	if (!send_batch(l, b)) {
		free(b);
		return false;
	}
	for (size_t i = 0; i < b->n; i++)
		inflight_find(l->options.inflight, &b->keys[i])->renewing = true;
	return g.full;
}

void
lease_tick(struct lease *l)
{
	if (!redis_is_ready(l->options.commands) ||
	    inflight_count(l->options.inflight) == 0)
		return;
	while (send_due(l, false))
		;
	while (send_due(l, true))
		;
}

/* The object ----------------------------------------------------------------- */

struct lease *
lease_new(const struct lease_options *options)
{
	struct lease *l = xcalloc(1, sizeof(*l));

	l->options = *options;
	return l;
}

void
lease_free(struct lease *l)
{
	free(l);
}
