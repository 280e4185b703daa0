#include "worker/runtime/intake.h"

#include <stdlib.h>

#include "common/xalloc.h"
#include "worker/runtime/call.h"
#include "worker/runtime/consume.h"
#include "worker/runtime/last_chance.h"
#include "worker/runtime/reclaim.h"

/* A blocking read: what an idle worker costs, and what a lost peer goes unseen. */
#define BLOCK_MAX_MS 5000

/*
 * Calls that wait for a cap of their tool or user must not keep others from being
 * read, so they may be far more than run. But they are out of reach of workers that
 * start later, and those that are not safe are lost to this worker's death as if
 * they had begun.
 */
#define WAITING_MAX 4096
#define WAITING_MAX_BYTES ((size_t)8 << 20)

struct intake {
	struct intake_options options;
	bool open;                     /* consume was opened, has not stopped */
	struct last_chance last_chance;
	struct consume *consume;
	struct reclaim *reclaim;
};

/* Room -------------------------------------------------------------------- */

static bool
too_many_wait(const struct inflight *inflight)
{
	return inflight_in_state(inflight, CALL_WAITING) >= WAITING_MAX ||
	    inflight_waiting_bytes(inflight) >= WAITING_MAX_BYTES;
}

/*
 * Answers that Redis has not confirmed leave room for a whole batch beside theirs:
 * filling small gaps would cost a read, and later a write, for each.
 */
static unsigned
room(void *arg)
{
	struct intake *i = arg;
	struct inflight *inflight = i->options.inflight;
	unsigned most = i->options.settings->concurrency;
	unsigned held = inflight_held(inflight);
	unsigned sent = inflight_in_state(inflight, CALL_ANSWERED) +
	    inflight_in_state(inflight, CALL_SENT);

	if (sent > i->options.settings->batch || held >= most ||
	    too_many_wait(inflight))
		return 0;
	if (last_chance_makes_way(&i->last_chance) ||
	    last_chance_is_quiet(&i->last_chance))
		return 0;
	return most - held;
}

/*
 * Also without room: what may not run again only needs an answer, and some of the
 * rest can wait here as well as with a dead worker; for more of it another worker
 * may have room.
 */
static struct reclaim_appetite
appetite(void *arg)
{
	struct intake *i = arg;
	const struct worker_options *settings = i->options.settings;
	const struct inflight *inflight = i->options.inflight;
	bool full = too_many_wait(inflight) ||
	    (inflight_held(inflight) >= settings->concurrency &&
	    inflight_in_state(inflight, CALL_WAITING) >= settings->concurrency);

	return (struct reclaim_appetite){
		.count = i->open && !full ? settings->batch : 0,
		.last_chance = !consume_is_reading(i->consume) &&
		    last_chance_may_begin(&i->last_chance),
	};
}

/* News -------------------------------------------------------------------- */

/*
 * What waits for its last chance gets it here once nothing new is being read.
 * Whoever takes it, the others see that none waits any more, and read on.
 */
static void
on_looked(bool waiting, void *arg)
{
	struct intake *i = arg;

	if (!i->open)
		return;
	if (last_chance_waits(&i->last_chance, waiting))
		consume_rest(i->consume);
	else
		consume_wake(i->consume);
}

static void
on_rest(void *arg)
{
	struct intake *i = arg;

	if (last_chance_makes_way(&i->last_chance) &&
	    last_chance_may_begin(&i->last_chance))
		reclaim_hurry(i->reclaim);
}

static void
on_reclaimed(const struct arrival *arrival, void *arg)
{
	struct intake *i = arg;

	last_chance_note(&i->last_chance, arrival->deliveries);
	i->options.on_entry(arrival, i->options.arg);
}

static void
on_consumed(const struct arrival *arrival, void *arg)
{
	struct intake *i = arg;

	i->options.on_entry(arrival, i->options.arg);
}

static void
on_ungrouped(void *arg)
{
	intake_regroup(arg);
}

static void
on_stopped(void *arg)
{
	struct intake *i = arg;

	i->open = false;
	i->options.on_stopped(i->options.arg);
}

/* The object ----------------------------------------------------------------- */

/*
 * A read must come back well before what it brings could count as resting: a
 * quarter of that time, see lease.h.
 */
static unsigned
block_ms(const struct worker_options *settings)
{
	unsigned ms = worker_options_reclaim_idle_ms(settings) / 4;

	return ms < BLOCK_MAX_MS ? ms : BLOCK_MAX_MS;
}

static struct consume *
make_consume(struct intake *i)
{
	const struct intake_options *o = &i->options;

	return consume_new(&(struct consume_options){
		.base = o->base,
		.dns = o->dns,
		.commands = o->commands,
		.redis = o->redis,
		.requests_key = o->requests_key,
		.worker = o->worker,
		.batch = o->settings->batch,
		.block_ms = block_ms(o->settings),
		.room = room,
		.on_rest = on_rest,
		.on_entry = on_consumed,
		.on_stopped = on_stopped,
		.arg = i,
	});
}

static struct reclaim *
make_reclaim(struct intake *i)
{
	const struct intake_options *o = &i->options;

	return reclaim_new(&(struct reclaim_options){
		.base = o->base,
		.commands = o->commands,
		.requests_key = o->requests_key,
		.worker = o->worker,
		.idle_ms = worker_options_reclaim_idle_ms(o->settings),
		.appetite = appetite,
		.on_entry = on_reclaimed,
		.on_looked = on_looked,
		.on_ungrouped = on_ungrouped,
		.arg = i,
	});
}

struct intake *
intake_new(const struct intake_options *options)
{
	struct intake *i = xcalloc(1, sizeof(*i));

	i->options = *options;
	i->last_chance.inflight = options->inflight;
	i->consume = make_consume(i);
	i->reclaim = make_reclaim(i);
	return i;
}

void
intake_free(struct intake *i)
{
	if (i == NULL)
		return;
	consume_free(i->consume);
	reclaim_free(i->reclaim);
	free(i);
}

void
intake_open(struct intake *i)
{
	i->open = true;
	consume_open(i->consume);
}

bool
intake_is_open(const struct intake *i)
{
	return i->open;
}

void
intake_stop(struct intake *i)
{
	reclaim_stop(i->reclaim);
	if (i->open)
		consume_stop(i->consume);
}

void
intake_commands_ready(struct intake *i, bool ready)
{
	if (ready)
		reclaim_on_ready(i->reclaim);
	if (i->open)
		consume_commands_ready(i->consume, ready);
}

void
intake_wake(struct intake *i)
{
	consume_wake(i->consume);
}

void
intake_done(struct intake *i)
{
	if (last_chance_ended(&i->last_chance))
		reclaim_hurry(i->reclaim);
	consume_wake(i->consume);
}

void
intake_regroup(struct intake *i)
{
	consume_regroup(i->consume);
}

void
intake_tick(struct intake *i)
{
	if (i->open)
		consume_wake(i->consume);
}
