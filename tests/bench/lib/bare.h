/*
 * What the bare path and the bare Redis round trip share: their keys, and a
 * worker that echoes, with as few Redis commands as can be.
 *
 *	bare_requests       stream, group "workers": fields s (session), r (pod
 *	                    whose inbox takes the answer, one digit), p (payload)
 *	bare_replies:<pod>  stream: fields s, p, s, p, … of one batch's answers
 *
 * This is a yardstick, not a server: no checks, no sessions in Redis, nothing
 * that outlives a fault.
 */
#ifndef BENCH_BARE_H
#define BENCH_BARE_H

#include <hiredis/hiredis.h>

#include "common/compiler.h"
#include "tests/bench/lib/net.h"

#define BARE_PODS_MAX 10
#define BARE_REQUESTS "bare_requests"
#define BARE_REPLIES "bare_replies:"
#define BARE_GROUP "workers"
/* Entries that one read takes. */
#define BARE_BATCH 256

/* What the worker does wrong on purpose, to show that a checker notices. */
enum bare_fault {
	BARE_RIGHT,
	BARE_CONTENT,   /* another text */
	BARE_SESSION,   /* the answer goes to another session */
	BARE_TWICE,     /* the answer comes twice */
	BARE_DROP,      /* it does not come */
	BARE_ID         /* it carries an id that was never sent */
};

struct bare_worker {
	struct net_addr redis;
	enum bare_fault fault;
	unsigned fault_every;  /* each that many answers */
};

/* False when the word names no fault. */
bool bare_fault_parse(const char *word, enum bare_fault *out) MUST_CHECK;
/* Connected, blocking; ends the program when that fails. */
redisContext *bare_connect(const struct net_addr *redis);
/* Empties the streams and makes the group; before any worker runs. */
void bare_reset(redisContext *c);
/* Sends what is queued on a blocking or non-blocking connection. */
void bare_flush(redisContext *c);
/* The next reply of a blocking connection; ends the program on an error. */
redisReply *bare_reply(redisContext *c);
/* Forks a process that works until its parent ends; returns its id. */
int bare_worker_fork(const struct bare_worker *worker);
/* Forks a process that ends with its parent: 0 in the child. */
int bare_fork(void);

#endif
