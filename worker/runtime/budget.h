/*
 * Memory for calls' arguments. As a tree they take up to some forty times the bytes
 * of a request, and a worker runs hundreds of calls at once: without a bound one
 * client with a few large requests would have it killed for its memory.
 *
 * So the trees of those that run or wait for a cap have a budget together. A call
 * for which nothing is left waits here, unparsed, until others have ended, in the
 * order of arrival. Small calls, nearly all, are not counted and never wait; what is
 * larger than the whole budget gets it alone.
 */
#ifndef MCP_WORKER_BUDGET_H
#define MCP_WORKER_BUDGET_H

#include <event2/event.h>

#include "common/compiler.h"

struct call;
struct budget;

struct budget_options {
	struct event_base *base;
	size_t most;              /* bytes */
	/* The call has waited, and is charged for now: on no list any more. */
	void (*on_room)(struct call *call, void *arg);
	void *arg;
};

struct budget *budget_new(const struct budget_options *options) MUST_CHECK;
/* Before inflight, whose the calls are. */
void budget_free(struct budget *b);

/*
 * Charges a call that will take so many bytes. False: it has to wait, see
 * budget_wait(). NULL for b: there is no bound.
 */
bool budget_take(struct budget *b, struct call *call, size_t bytes) MUST_CHECK;
/* The call, refused above, waits its turn as CALL_WAITING. */
void budget_wait(struct budget *b, struct call *call);
/* It is about to end otherwise. */
void budget_remove(struct budget *b, struct call *call);
/* The arguments of a call that was charged are about to be freed. */
void budget_release(struct budget *b, struct call *call);

#endif
