#include "worker/runtime/limiter.h"

#include <stdlib.h>

#include <uthash.h>

#include "common/clock.h"
#include "common/xalloc.h"
#include "worker/runtime/call.h"

/* Of a tool's name or a user's hash; longer ones share what they begin with. */
#define NAME_MAX_BYTES 160

enum which {
	USE_TOOL,
	USE_USER,
	USE_THREADS,   /* all tools that compute */
	USES
};
_Static_assert(USES == ARRAY_LEN(((struct call *)0)->uses),
    "a place for each in the call");

/*
 * What has a cap, a tool or a user: how many of its calls run at the moment, and
 * which wait until fewer do. It is there as long as one does either.
 */
struct use {
	UT_hash_handle hh;
	TAILQ_ENTRY(use) link;      /* of limiter->free */
	struct call_list waiting;
	unsigned running;
	enum which which;
	bool is_free;               /* on that list */
	size_t n;
	char name[];
};

/*
 * A call waits on the list of the first thing that stands in its way, so that what
 * ends wakes those alone that it may have stood in the way of.
 */
struct limiter {
	struct limiter_options options;
	struct call_list waiting;   /* for a place in the worker, or their leases */
	TAILQ_HEAD(, use) free;     /* that may run one of those that wait */
	struct use *by_name;        /* uthash */
	struct event *wake;         /* at the end of this turn */
	unsigned running;
	bool closed;
};

/* Caps ---------------------------------------------------------------------- */

static unsigned
cap_of(const struct limiter *l, const struct call *call, enum which which)
{
	if (which == USE_TOOL)
		return policy_max_running(l->options.policy, call->tool);
	if (which == USE_THREADS)
		return call->tool->compute != NULL ? l->options.threads : 0;
	return call->user.n > 0 ? l->options.per_user : 0;
}

static struct slice
used(const struct call *call, enum which which)
{
	switch (which) {
	case USE_TOOL:
		return slice_str(call->tool->name);
	case USE_USER:
		return call->user;
	case USE_THREADS:
	case USES:
		break;
	}
	return SLICE_NONE;
}

/* A letter for which, then the name. */
static size_t
use_name(char to[static NAME_MAX_BYTES], const struct call *call,
    enum which which)
{
	struct slice name = used(call, which);
	size_t n = name.n < NAME_MAX_BYTES - 1 ? name.n : NAME_MAX_BYTES - 1;

	to[0] = "tuc"[which];
	if (n > 0)
		memcpy(to + 1, name.p, n);
	return n + 1;
}

/* NULL: it has no cap, or none of its calls runs or waits. */
static struct use *
find_use(const struct limiter *l, const struct call *call, enum which which)
{
	char name[NAME_MAX_BYTES];
	struct use *u = NULL;

	if (cap_of(l, call, which) > 0)
		HASH_FIND(hh, l->by_name, name, use_name(name, call, which), u);
	return u;
}

static struct use *
make_use(struct limiter *l, const struct call *call, enum which which)
{
	char name[NAME_MAX_BYTES];
	size_t n = use_name(name, call, which);
	struct use *u = xcalloc(1, sizeof(*u) + n);

	u->which = which;
	u->n = n;
	memcpy(u->name, name, n);
	TAILQ_INIT(&u->waiting);
	HASH_ADD_KEYPTR(hh, l->by_name, u->name, u->n, u);
	return u;
}

static void
count_in(struct limiter *l, struct call *call, enum which which)
{
	struct use *u = find_use(l, call, which);

	if (u == NULL && cap_of(l, call, which) > 0)
		u = make_use(l, call, which);
	if (u != NULL)
		u->running++;
	call->uses[which] = u;
}

/* Fewer run than before, or wait: the next may begin, or it is needed no more. */
static void
settle_use(struct limiter *l, struct use *u)
{
	bool waits = !TAILQ_EMPTY(&u->waiting);

	if (waits && !u->is_free)
		TAILQ_INSERT_TAIL(&l->free, u, link);
	else if (!waits && u->is_free)
		TAILQ_REMOVE(&l->free, u, link);
	u->is_free = waits;
	/* Being there, it is in the table, which analyzers cannot know. */
	if (waits || u->running > 0 || l->by_name == NULL)
		return;
	HASH_DEL(l->by_name, u);
	free(u);
}

static void
count_out(struct limiter *l, struct call *call, enum which which)
{
	struct use *u = call->uses[which];

	call->uses[which] = NULL;
	if (u == NULL)
		return;
	u->running--;
	settle_use(l, u);
}

/* Waiting ------------------------------------------------------------------- */

static bool
is_full(const struct limiter *l)
{
	return l->options.most != 0 && l->running >= l->options.most;
}

/*
 * What keeps the call from beginning, so far as caps do. A new call stands behind
 * those that wait already.
 */
static struct use *
obstacle(const struct limiter *l, const struct call *call, bool is_new)
{
	for (enum which which = 0; which < USES; which++) {
		struct use *u = find_use(l, call, which);

		if (u != NULL && (u->running >= cap_of(l, call, which) ||
		    (is_new && !TAILQ_EMPTY(&u->waiting))))
			return u;
	}
	return NULL;
}

static void
wait_for(struct limiter *l, struct call *call, struct use *u)
{
	if (call->state != CALL_WAITING)
		call_set_state(call, CALL_WAITING);
	call->waits_for = u;
	TAILQ_INSERT_TAIL(u ? &u->waiting : &l->waiting, call, link);
}

void
limiter_remove(struct limiter *l, struct call *call)
{
	struct use *u = call->waits_for;

	TAILQ_REMOVE(u ? &u->waiting : &l->waiting, call, link);
	call->waits_for = NULL;
	/* Nobody may have ended who would have woken the next. */
	if (u != NULL)
		settle_use(l, u);
}

/* Beginning ------------------------------------------------------------------- */

static void
begin(struct limiter *l, struct call *call)
{
	for (enum which which = 0; which < USES; which++)
		count_in(l, call, which);
	l->running++;
	if (call->tool->compute != NULL)
		pool_run(l->options.pool, call);
	else
		call_run(call);
}

/* The call, on no list, begins or waits. */
static void
place(struct limiter *l, struct call *call, bool is_new)
{
	struct use *u = obstacle(l, call, is_new);

	if (u != NULL || is_full(l) || (l->options.lease != NULL &&
	    !lease_is_fresh(l->options.lease, call, clock_mono_ms())))
		wait_for(l, call, u);
	else
		begin(l, call);
}

void
limiter_take(struct limiter *l, struct call *call)
{
	if (l->closed)
		call_return(call);
	else
		place(l, call, true);
}

/* One that waits, again. */
static void
retry(struct limiter *l, struct call *call)
{
	if (call_is_late(call)) {
		call_expire(call);
		return;
	}
	limiter_remove(l, call);
	place(l, call, false);
}

/* Each once: those that may still not begin keep their order. */
static void
wake_worker(struct limiter *l)
{
	struct call *call;
	size_t n = 0;

	TAILQ_FOREACH(call, &l->waiting, link)
		n++;
	while (n-- > 0 && !is_full(l) &&
	    (call = TAILQ_FIRST(&l->waiting)) != NULL)
		retry(l, call);
}

/* Taking turns, so that who has many waiting does not keep others from it. */
static void
wake_uses(struct limiter *l)
{
	struct use *u;

	while (!is_full(l) && (u = TAILQ_FIRST(&l->free)) != NULL) {
		struct call *call = TAILQ_FIRST(&u->waiting);
		unsigned cap = cap_of(l, call, u->which);

		TAILQ_REMOVE(&l->free, u, link);
		u->is_free = false;
		/* It is free again when one of those that run has ended. */
		if (cap == 0 || u->running < cap)
			retry(l, call);
	}
}

static void
on_wake(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	wake_worker(arg);
	wake_uses(arg);
}

void
limiter_wake(struct limiter *l)
{
	if (!TAILQ_EMPTY(&l->waiting) || !TAILQ_EMPTY(&l->free))
		event_active(l->wake, EV_TIMEOUT, 0);
}

void
limiter_released(struct limiter *l, struct call *call)
{
	for (enum which which = 0; which < USES; which++)
		count_out(l, call, which);
	l->running--;
	limiter_wake(l);
}

void
limiter_close(struct limiter *l)
{
	l->closed = true;
}

/* The object -------------------------------------------------------------------- */

struct limiter *
limiter_new(const struct limiter_options *options)
{
	struct limiter *l = xcalloc(1, sizeof(*l));

	l->options = *options;
	TAILQ_INIT(&l->waiting);
	TAILQ_INIT(&l->free);
	l->wake = evtimer_new(options->base, on_wake, l);
	if (l->wake == NULL)
		abort();
	return l;
}

void
limiter_free(struct limiter *l)
{
	struct use *u, *next;

	if (l == NULL)
		return;
	u = l->by_name;
	HASH_CLEAR(hh, l->by_name);
	for (; u != NULL; u = next) {
		next = u->hh.next;
		free(u);
	}
	event_free(l->wake);
	free(l);
}
