/*
 * A lock that one event loop of all pods holds at a time: a key in Redis with the
 * holder's name, which expires unless it is renewed.
 */
#ifndef MCP_LOCK_H
#define MCP_LOCK_H

#include "common/redis.h"

/*
 * Takes the lock, or renews it, for ttl_ms. Returns as redis_eval(); the holder
 * counts its time from when it called this.
 */
bool lock_send(struct redis *r, struct slice key, struct slice holder,
    uint64_t ttl_ms, redis_cb *cb, void *arg) MUST_CHECK;
/* Lets go of it, if it is the holder's, after what was sent before. */
void lock_drop(struct redis *r, struct slice key, struct slice holder);
/* Is it ours? */
bool lock_read(const redisReply *reply) MUST_CHECK;

#endif
