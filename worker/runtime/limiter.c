#include "worker/runtime/limiter.h"

#include <stdlib.h>

#include <uthash.h>

#include "common/clock.h"
#include "common/xalloc.h"
#include "worker/runtime/call.h"

/* Of a tool's name or a user's hash; longer ones share what they begin with. */
#define NAME_MAX_BYTES 160

/* How many calls of a tool, or of a user, run at the moment. */
struct use {
	UT_hash_handle hh;
	unsigned running;
	size_t n;
	char name[];
};

struct limiter {
	struct limiter_options options;
	struct call_list waiting;
	struct use *by_name;      /* uthash; only what has a cap and runs */
	struct event *wake;       /* at the end of this turn */
	unsigned running;
	bool closed;
};

enum which {
	USE_TOOL,
	USE_USER,
	USE_THREADS,   /* all tools that compute */
	USES
};
_Static_assert(USES == ARRAY_LEN(((struct call *)0)->uses),
    "a place for each in the call");

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

static struct use *
find_use(const struct limiter *l, const char *name, size_t n)
{
	struct use *u;

	HASH_FIND(hh, l->by_name, name, n, u);
	return u;
}

static bool
has_room(const struct limiter *l, const struct call *call, enum which which)
{
	unsigned cap = cap_of(l, call, which);
	char name[NAME_MAX_BYTES];
	const struct use *u;

	if (cap == 0)
		return true;
	u = find_use(l, name, use_name(name, call, which));
	return u == NULL || u->running < cap;
}

static void
count_in(struct limiter *l, struct call *call, enum which which)
{
	char name[NAME_MAX_BYTES];
	struct use *u;
	size_t n;

	call->uses[which] = NULL;
	if (cap_of(l, call, which) == 0)
		return;
	n = use_name(name, call, which);
	u = find_use(l, name, n);
	if (u == NULL) {
		u = xcalloc(1, sizeof(*u) + n);
		memcpy(u->name, name, n);
		u->n = n;
		HASH_ADD_KEYPTR(hh, l->by_name, u->name, u->n, u);
	}
	u->running++;
	call->uses[which] = u;
}

static void
count_out(struct limiter *l, struct call *call, enum which which)
{
	struct use *u = call->uses[which];

	call->uses[which] = NULL;
	/* Being there, it is in the table, which analyzers cannot know. */
	if (u == NULL || --u->running > 0 || l->by_name == NULL)
		return;
	HASH_DEL(l->by_name, u);
	free(u);
}

/* Beginning ------------------------------------------------------------------- */

static bool
may_begin(const struct limiter *l, const struct call *call)
{
	if (l->options.most != 0 && l->running >= l->options.most)
		return false;
	if (l->options.lease != NULL &&
	    !lease_is_fresh(l->options.lease, call, clock_mono_ms()))
		return false;
	for (enum which which = 0; which < USES; which++) {
		if (!has_room(l, call, which))
			return false;
	}
	return true;
}

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

void
limiter_take(struct limiter *l, struct call *call)
{
	if (l->closed) {
		call_return(call);
	} else if (may_begin(l, call)) {
		begin(l, call);
	} else {
		call_set_state(call, CALL_WAITING);
		STAILQ_INSERT_TAIL(&l->waiting, call, link);
	}
}

/* Each once: those that may still not begin keep their order. */
static void
on_wake(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct limiter *l = arg;
	struct call_list again = STAILQ_HEAD_INITIALIZER(again);
	struct call *call;

	STAILQ_CONCAT(&again, &l->waiting);
	while ((call = STAILQ_FIRST(&again)) != NULL) {
		STAILQ_REMOVE_HEAD(&again, link);
		if (may_begin(l, call))
			begin(l, call);
		else
			STAILQ_INSERT_TAIL(&l->waiting, call, link);
	}
}

void
limiter_wake(struct limiter *l)
{
	if (!STAILQ_EMPTY(&l->waiting))
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
limiter_remove(struct limiter *l, struct call *call)
{
	STAILQ_REMOVE(&l->waiting, call, call, link);
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
	STAILQ_INIT(&l->waiting);
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
