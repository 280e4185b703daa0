/*
 * Takes over the entries that other workers have left to rest: they died, or were
 * stopped for so long that they count as dead (lease.h).
 *
 * Every worker looks, about every second, busy or idle, at no agreed time: the
 * first one takes. What may be run again is not decided here (dispatch.h), but
 * two things are known only here: how often the entry has been delivered, and to
 * whom last.
 *
 * After Redis was away its entries have all rested. So that their owners can renew
 * them first, nothing is taken for the rest time after a connection came back.
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
	/* One on which workers died before, and which gets its last chance. */
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
