#include "worker/runtime/last_chance.h"

#include "common/clock.h"
#include "worker/runtime/call.h"
#include "worker/runtime/reclaim.h"

struct search {
	unsigned deliveries;   /* at least */
	bool found;
};

static void
note_call(struct call *call, void *arg)
{
	struct search *s = arg;

	s->found |= call->deliveries >= s->deliveries &&
	    (call->state == CALL_RUNNING || call->state == CALL_WAITING);
}

/* Is there a call, delivered that often or more, which is not done? */
static bool
has_call(const struct last_chance *l, unsigned deliveries)
{
	struct search s = { .deliveries = deliveries };

	inflight_each(l->inflight, note_call, &s);
	return s.found;
}

void
last_chance_note(struct last_chance *l, unsigned deliveries)
{
	uint64_t until = clock_mono_ms() + LAST_CHANCE_QUIET_MS;

	if (deliveries == RECLAIM_ATTEMPTS_MAX)
		l->quiet_until_ms = until;
	else
		l->suspect_until_ms = until;
}

bool
last_chance_is_quiet(const struct last_chance *l)
{
	return clock_mono_ms() < l->quiet_until_ms &&
	    has_call(l, RECLAIM_ATTEMPTS_MAX);
}

bool
last_chance_may_begin(const struct last_chance *l)
{
	bool suspect = clock_mono_ms() < l->suspect_until_ms && has_call(l, 2);

	return !suspect && !last_chance_is_quiet(l);
}

bool
last_chance_waits(struct last_chance *l, bool waiting)
{
	uint64_t now = clock_mono_ms();

	if (!waiting || last_chance_is_quiet(l))
		l->way_until_ms = 0;
	else if (now >= l->way_until_ms)
		l->way_until_ms = now + LAST_CHANCE_QUIET_MS;
	return l->way_until_ms != 0;
}

bool
last_chance_makes_way(const struct last_chance *l)
{
	return clock_mono_ms() < l->way_until_ms;
}

bool
last_chance_ended(struct last_chance *l)
{
	if (l->quiet_until_ms == 0 || last_chance_is_quiet(l))
		return false;
	l->quiet_until_ms = 0;
	return true;
}
