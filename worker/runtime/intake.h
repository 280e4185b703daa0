/*
 * What this worker takes in, and how much: entries that are new (consume.h) and
 * those that others left to rest (reclaim.h), as far as there is room for their
 * calls, and with the way clear for calls that get their last chance
 * (last_chance.h).
 */
#ifndef MCP_WORKER_INTAKE_H
#define MCP_WORKER_INTAKE_H

#include <event2/event.h>

#include "common/redis.h"
#include "worker/runtime/arrival.h"
#include "worker/runtime/inflight.h"
#include "worker/runtime/options.h"

struct intake;

struct intake_options {
	struct event_base *base;       /* borrowed, like the rest */
	struct evdns_base *dns;        /* may be NULL */
	struct redis *commands;
	struct redis_options redis;    /* for the connection that blocks */
	const struct worker_options *settings;
	struct inflight *inflight;
	struct slice requests_key;
	struct slice worker;           /* consumer name */
	/* An entry to run; it may be one that inflight holds. */
	arrival_cb *on_entry;
	/* After intake_stop(), if it was open: nothing is being read any more. */
	void (*on_stopped)(void *arg);
	void *arg;
};

struct intake *intake_new(const struct intake_options *options) MUST_CHECK;
/* The command connection has called back all of its commands before this. */
void intake_free(struct intake *i);

/* Starts connecting and reading. */
void intake_open(struct intake *i);
/* Since intake_open(), and until on_stopped. */
bool intake_is_open(const struct intake *i);
/* Takes nothing new; on_stopped as consume_stop() has it. */
void intake_stop(struct intake *i);

/* The command connection became ready or was lost. */
void intake_commands_ready(struct intake *i, bool ready);
/* There is room for more calls. */
void intake_wake(struct intake *i);
/* A call is done. */
void intake_done(struct intake *i);
/* The group is gone, or may be. */
void intake_regroup(struct intake *i);
/* A few times a second. */
void intake_tick(struct intake *i);

#endif
