/*
 * Takes over the entries that other workers have left to rest: they died, or were
 * stopped for so long that they count as dead (lease.h).
 *
 * Every worker looks, about every second, busy or idle, at no agreed time: the
 * first one takes. What may be run again is not decided here (dispatch.h), but
 * two things are known only here: how often the entry has been delivered, and to
 * whom last.
 *
 * What comes beside poison (a call that kills its worker) must not suffer for it
 * without end. So one look takes entries of one kind only: those that are only to
 * be given up, all at once; else a single one that gets its last chance, which
 * its worker runs by itself; else a few of the others, and the next few in a
 * moment, when these have been answered or run on.
 *
 * After Redis was away its entries have all rested, or after it took no writes for a
 * while. So that their owners can renew them first, nothing is taken for the rest time
 * after a connection came back, or writes are taken again.
 */
#ifndef MCP_WORKER_RECLAIM_H
#define MCP_WORKER_RECLAIM_H

#include <event2/event.h>

#include "common/redis.h"
#include "worker/runtime/arrival.h"

struct reclaim;

/* Runs of one call, over all workers, before it is given up. */
#define RECLAIM_ATTEMPTS_MAX 3

/* How many entries are wanted now, and of what kind. */
struct reclaim_appetite {
	unsigned count;     /* 0: none */
	/* May one that gets its last chance begin here now? */
	bool last_chance;
};

struct reclaim_options {
	struct event_base *base;     /* borrowed, like the rest */
	struct redis *commands;
	struct slice requests_key;
	struct slice worker;         /* consumer name */
	unsigned idle_ms;
	struct reclaim_appetite (*appetite)(void *arg);
	arrival_cb *on_entry;
	/*
	 * After each look: whether any is left that waits for a last chance.
	 * Nothing but what is to be given up is taken until it has it.
	 */
	void (*on_looked)(bool waiting, void *arg);
	/* The group is gone. */
	void (*on_ungrouped)(void *arg);
	void *arg;
};

struct reclaim *reclaim_new(const struct reclaim_options *options) MUST_CHECK;
/* The command connection has called back all of its commands before this. */
void reclaim_free(struct reclaim *r);
/* The command connection became ready. */
void reclaim_on_ready(struct reclaim *r);
/* The appetite has grown: looks now. */
void reclaim_hurry(struct reclaim *r);
/* For good. */
void reclaim_stop(struct reclaim *r);

#endif
