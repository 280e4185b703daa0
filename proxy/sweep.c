#include "proxy/sweep_private.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "proxy/lock.h"

/* XRANGEs per inbox and tick. */
#define READS_PER_TICK 32
/* Dead inboxes are looked at this often: late answers trickle in. */
#define SWEEP_EVERY_MS 1000
/* The right to sweep an inbox, in Redis, and when it is asked for again. */
#define LOCK_TTL_MS 10000
#define LOCK_EVERY_MS 5000
/* Once a pod has been dead for so long, no worker can still answer to it. */
#define KEEP_MS (15 * 60 * 1000)
/* The first beat that is seen may be from before the pod's death. */
#define BEATS_ALIVE 2
/* A watch that saw neither a beat nor a death: the pod is in no index. */
#define WATCH_MAX_MS 60000

/* Lifetime ---------------------------------------------------------------- */

void
sweep_rewind(struct sweep *s)
{
	memcpy(s->cursor, "-", sizeof("-"));
}

static struct sweep *
find(struct sweeps *all, struct slice pod)
{
	struct sweep *s = NULL;

	HASH_FIND(hh, all->table, pod.p, pod.n, s);
	return s;
}

static struct sweep *
sweep_new(struct sweeps *all, struct slice pod, enum sweep_state state)
{
	struct sweep *s = xcalloc(1, sizeof(*s));

	s->all = all;
	s->commands = all->options.commands;
	s->state = state;
	s->refs = 1;
	s->began_ms = clock_mono_ms();
	memcpy(s->pod, pod.p, pod.n);
	s->key = env_key(&s->keybuf, ENV_REPLIES, slice_str(s->pod));
	sweep_rewind(s);
	HASH_ADD(hh, all->table, pod, pod.n, s);
	return s;
}

void
sweep_unref(struct sweep *s)
{
	if (--s->refs > 0)
		return;
	sweep_forget(s);
	free(s);
}

static void
end(struct sweep *s)
{
	HASH_DEL(s->all->table, s);
	s->state = SWEEP_OVER;
	sweep_unref(s);
}

/* One sweeper per inbox --------------------------------------------------------- */

static void
on_locked(struct redis *r, const redisReply *reply, void *arg)
{
	struct sweep *s = arg;

	(void)r;
	s->locking = false;
	if (s->state == SWEEP_SWEEPING) {
		if (lock_read(reply))
			s->locked_ms = s->asked_ms;
		else
			end(s);
	}
	sweep_unref(s);
}

static void
lock(struct sweep *s)
{
	const struct sweep_options *o = &s->all->options;
	struct env_keybuf keybuf;
	struct slice key = env_key(&keybuf, ENV_SWEEP, slice_str(s->pod));
	uint64_t now = clock_mono_ms();

	if (s->locking || !lock_send(o->commands, key, o->pod, LOCK_TTL_MS,
		on_locked, s))
		return;
	s->locking = true;
	s->asked_ms = now;
	s->refs++;
}

/*
 * Nothing can come for it any more: its place in the index goes. Its inbox is
 * left to expire, for who adds to one that is not there makes it anew.
 */
static void
bury(struct sweep *s)
{
	const struct sweep_options *o = &s->all->options;
	struct env_keybuf keybuf;
	struct slice unlock[] = { SLICE("DEL"),
		env_key(&keybuf, ENV_SWEEP, slice_str(s->pod)) };
	struct slice expire[] = { SLICE("PEXPIRE"), s->key,
		SLICE(ENV_INBOX_TTL_MS) };

	log_info("dead pod's inbox left to expire", LF("dead", s->pod));
	(void)!redis_send(o->commands, expire, ARRAY_LEN(expire), NULL, NULL);
	(void)!redis_send(o->commands, unlock, ARRAY_LEN(unlock), NULL, NULL);
	fleet_remove(o->fleet, slice_str(s->pod));
	end(s);
}

/* Ticking ------------------------------------------------------------------------ */

/* Somebody sweeps a dead pod: everybody tries, the lock lets one. */
static void
begin_sweep(const struct fleet_pod *pod, void *arg)
{
	struct sweeps *all = arg;
	struct slice name = slice_str(pod->name);
	struct sweep *s = find(all, name);

	if (slice_eq(name, all->options.pod) || !redis_is_ready(all->options.commands))
		return;
	if (s == NULL)
		s = sweep_new(all, name, SWEEP_SWEEPING);
	if (s->state == SWEEP_SWEEPING &&
	    clock_mono_ms() - s->locked_ms >= LOCK_EVERY_MS)
		lock(s);
}

static void
tick_sweep(struct sweep *s, const struct fleet_pod *pod, uint64_t now)
{
	if (pod == NULL || !fleet_is_dead(pod)) {
		end(s);
		return;
	}
	if (s->locked_ms == 0 || now - s->locked_ms >= LOCK_TTL_MS ||
	    now - s->read_ms < SWEEP_EVERY_MS)
		return;
	if (fleet_silent_ms(pod) >= KEEP_MS)
		bury(s);
	else
		sweep_read(s);
}

/*
 * A dead pod's inbox is swept by somebody now, us perhaps. What came until here
 * the watch has read; what the sweeper passes on to us is marked.
 */
static void
tick_watch(struct sweep *s, const struct fleet_pod *pod, uint64_t now)
{
	bool beats = pod != NULL && !pod->left &&
	    pod->moves >= s->moves + BEATS_ALIVE;
	bool dead = pod != NULL && fleet_is_dead(pod) &&
	    now - s->began_ms >= SWEEP_EVERY_MS;

	if (beats || dead || now - s->began_ms >= WATCH_MAX_MS)
		end(s);
	else
		sweep_read(s);
}

void
sweeps_tick(struct sweeps *all)
{
	uint64_t now = clock_mono_ms();
	struct sweep *s, *next;

	if (!all->leaving && now - all->looked_ms >= SWEEP_EVERY_MS) {
		all->looked_ms = now;
		fleet_each_dead(all->options.fleet, begin_sweep, all);
	}
	for (s = all->table; s != NULL; s = next) {
		const struct fleet_pod *pod = fleet_find(all->options.fleet,
		    slice_str(s->pod));

		next = s->hh.next;
		s->reads_left = READS_PER_TICK;
		if (s->state == SWEEP_SWEEPING)
			tick_sweep(s, pod, now);
		else
			tick_watch(s, pod, now);
	}
}

void
sweeps_watch(struct sweeps *all, struct slice pod)
{
	const struct fleet_pod *known = fleet_find(all->options.fleet, pod);
	struct sweep *s;

	if (pod.n == 0 || pod.n > POD_NAME_MAX || slice_eq(pod, all->options.pod))
		return;
	s = find(all, pod);
	if (s == NULL)
		s = sweep_new(all, pod, SWEEP_WATCHING);
	s->began_ms = clock_mono_ms();
	s->moves = known != NULL ? known->moves : 0;
	sweep_rewind(s);
	s->reads_left = READS_PER_TICK;
	sweep_read(s);
}

/* What it has begun to pass on, the next one finds once more, and marks it too. */
static void
hand_on(struct sweep *s)
{
	const struct sweep_options *o = &s->all->options;
	struct env_keybuf keybuf;

	lock_drop(o->commands, env_key(&keybuf, ENV_SWEEP, slice_str(s->pod)),
	    o->pod);
	end(s);
}

void
sweeps_leave(struct sweeps *all)
{
	struct sweep *s, *next;

	all->leaving = true;
	for (s = all->table; s != NULL; s = next) {
		next = s->hh.next;
		if (s->state == SWEEP_SWEEPING)
			hand_on(s);
	}
}

/* The sweeps ---------------------------------------------------------------------- */

struct sweeps *
sweeps_new(const struct sweep_options *options)
{
	struct sweeps *all = xcalloc(1, sizeof(*all));

	all->options = *options;
	return all;
}

void
sweeps_free(struct sweeps *all)
{
	struct sweep *s, *next;

	for (s = all->table; s != NULL; s = next) {
		next = s->hh.next;
		s->commands = NULL;
		end(s);
	}
	free(all);
}
