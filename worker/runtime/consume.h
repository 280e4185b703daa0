/*
 * Reads the API's request stream as a member of the consumer group.
 *
 * New entries come by blocking reads on a connection of their own. A reply of
 * such a read may be lost with its connection; the entries in it are then in
 * this consumer's history (delivered, not acknowledged), which is read back
 *
 *  - on the command connection, where answers are acknowledged too: so history
 *    never shows an entry that inflight.h has already forgotten;
 *  - only while no blocking read is on its way: so history never shows an entry
 *    whose first delivery is still to arrive;
 *  - after each connect of either connection, and once more when a blocking
 *    read that Redis may still serve to the lost connection has timed out;
 *  - with the number of deliveries: an entry may also be there because it was
 *    taken over (reclaim.h) and the reply that said so was lost.
 *
 * Entries that inflight.h holds are skipped. The consumer's name is unique to
 * this process, so the history is its own.
 */
#ifndef MCP_WORKER_CONSUME_H
#define MCP_WORKER_CONSUME_H

#include <event2/event.h>

#include "common/redis.h"
#include "worker/runtime/arrival.h"

struct consume;

struct consume_options {
	struct event_base *base;
	struct evdns_base *dns;        /* may be NULL */
	struct redis *commands;        /* the command connection, borrowed */
	struct redis_options redis;    /* for the connection that blocks */
	struct slice requests_key;     /* borrowed */
	struct slice worker;           /* consumer name, borrowed */
	unsigned batch;                /* entries per read, at most */
	unsigned block_ms;             /* a read waits, at most */
	/* For how many new entries there is room. */
	unsigned (*room)(void *arg);
	/* There is none, and nothing new is being read. May be NULL. */
	void (*on_rest)(void *arg);
	/* An entry to run; it may be one that inflight holds. */
	arrival_cb *on_entry;
	/* After consume_stop(): nothing is being read any more. */
	void (*on_stopped)(void *arg);
	void *arg;
};

struct consume *consume_new(const struct consume_options *options) MUST_CHECK;
/* The command connection has called back all of its commands before this. */
void consume_free(struct consume *c);

/* Starts connecting and reading. */
void consume_open(struct consume *c);
/* The command connection became ready or was lost. */
void consume_commands_ready(struct consume *c, bool ready);
/* There is room for more calls. */
void consume_wake(struct consume *c);
/* There is no room any more: ends the read that waits for entries. */
void consume_rest(struct consume *c);
/* Is a read on its way that may bring new entries? */
bool consume_is_reading(const struct consume *c);
/* The group is gone, or may be: makes it before the next read. */
void consume_regroup(struct consume *c);
/*
 * Reads nothing new; what Redis delivered meanwhile is read back once, if the
 * command connection is there to do it. Then on_stopped, maybe at once.
 */
void consume_stop(struct consume *c);

#endif
