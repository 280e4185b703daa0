/*
 * How a worker stops: the signals that ask for it, the time each step may take,
 * and how far it has come. What the steps do is the owner's business.
 *
 *	SERVING --signal--> DRAINING --no call left, or time out--> LEAVING --> LEFT
 *
 * The first SIGTERM or SIGINT drains, a second one ends the process with 1.
 */
#ifndef MCP_WORKER_SHUTDOWN_H
#define MCP_WORKER_SHUTDOWN_H

#include <event2/event.h>

#include "common/compiler.h"

/* What the last words to a Redis that does not answer may take. */
#define SHUTDOWN_LEAVE_SECONDS 2

struct shutdown;

enum shutdown_state {
	SHUTDOWN_SERVING,    /* reads and runs calls */
	SHUTDOWN_DRAINING,   /* reads nothing new, finishes what runs */
	SHUTDOWN_LEAVING,    /* withdraws from Redis */
	SHUTDOWN_LEFT        /* nothing is left to do */
};

struct shutdown_options {
	struct event_base *base;    /* borrowed */
	unsigned drain_timeout_s;
	/* Asked to stop, by that signal: take nothing new. */
	void (*on_drain)(int number, void *arg);
	/* Draining took too long: end what runs, in SHUTDOWN_LEAVE_SECONDS. */
	void (*on_cut)(void *arg);
	/* Withdraw, in SHUTDOWN_LEAVE_SECONDS; then shutdown_left(). */
	void (*on_leave)(void *arg);
	/* Withdrawn, or out of time. */
	void (*on_left)(void *arg);
	void *arg;
};

/* Listens to the signals from now on. */
struct shutdown *shutdown_new(const struct shutdown_options *options)
    MUST_CHECK;
void shutdown_free(struct shutdown *s);

enum shutdown_state shutdown_state(const struct shutdown *s);
/* Why the worker left, for its last log line; NULL before it leaves. */
const char *shutdown_reason(const struct shutdown *s);

/* No call is left: leaves, if that is what was waited for. */
void shutdown_drained(struct shutdown *s);
/* Redis has been told. */
void shutdown_left(struct shutdown *s);

#endif
