#include "worker/runtime/budget.h"

#include <stdlib.h>

#include "common/xalloc.h"
#include "worker/runtime/call.h"

/* What takes less is not counted: all that may wait for a cap take 64 MiB. */
#define SMALL_BYTES 16384

struct budget {
	struct budget_options options;
	size_t used;
	struct call_list waiting;
	struct event *wake;       /* at the end of this turn */
};

/* Whoever is alone may take more than there is. */
static bool
fits(const struct budget *b, const struct call *call)
{
	return b->used == 0 || (b->used < b->options.most &&
	    call->weight <= b->options.most - b->used);
}

bool
budget_take(struct budget *b, struct call *call, size_t bytes)
{
	if (b == NULL || bytes <= SMALL_BYTES)
		return true;
	call->weight = bytes;
	/* Behind those that wait already. */
	if (!TAILQ_EMPTY(&b->waiting) || !fits(b, call))
		return false;
	call->charged = true;
	b->used += call->weight;
	return true;
}

void
budget_wait(struct budget *b, struct call *call)
{
	call_set_state(call, CALL_WAITING);
	call->unparsed = true;
	TAILQ_INSERT_TAIL(&b->waiting, call, link);
}

static void
wake(struct budget *b)
{
	if (!TAILQ_EMPTY(&b->waiting))
		event_active(b->wake, EV_TIMEOUT, 0);
}

void
budget_remove(struct budget *b, struct call *call)
{
	TAILQ_REMOVE(&b->waiting, call, link);
	call->unparsed = false;
	/* A smaller one behind it may fit. */
	wake(b);
}

void
budget_release(struct budget *b, struct call *call)
{
	b->used -= call->weight;
	call->charged = false;
	wake(b);
}

static void
on_wake(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct budget *b = arg;
	struct call *call;

	while ((call = TAILQ_FIRST(&b->waiting)) != NULL && fits(b, call)) {
		TAILQ_REMOVE(&b->waiting, call, link);
		call->unparsed = false;
		call->charged = true;
		b->used += call->weight;
		b->options.on_room(call, b->options.arg);
	}
}

struct budget *
budget_new(const struct budget_options *options)
{
	struct budget *b = xcalloc(1, sizeof(*b));

	b->options = *options;
	TAILQ_INIT(&b->waiting);
	b->wake = evtimer_new(options->base, on_wake, b);
	if (b->wake == NULL)
		abort();
	return b;
}

void
budget_free(struct budget *b)
{
	if (b == NULL)
		return;
	event_free(b->wake);
	free(b);
}
