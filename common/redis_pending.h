/*
 * The commands of one Redis connection that wait for their answers, in order.
 *
 * A ring that doubles as it fills and is given back when the connection ends;
 * its owner limits how many it holds.
 */
#ifndef MCP_REDIS_PENDING_H
#define MCP_REDIS_PENDING_H

#include "common/redis.h"

struct redis_call {
	redis_cb *cb;        /* may be NULL */
	void *arg;
	uint64_t sent_ms;    /* monotonic */
};

struct redis_pending {
	struct redis_call *ring;
	size_t cap;          /* 0 or a power of two */
	size_t head;         /* index of the oldest */
	size_t count;
};

void redis_pending_release(struct redis_pending *q);
void redis_pending_push(struct redis_pending *q, struct redis_call call);
/* Takes the oldest; false when there is none. */
bool redis_pending_pop(struct redis_pending *q,
    struct redis_call *out) MUST_CHECK;
/* The oldest, or NULL. Valid until the next push. */
const struct redis_call *redis_pending_head(const struct redis_pending *q);

#endif
