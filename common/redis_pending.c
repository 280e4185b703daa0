#include "common/redis_pending.h"

#include <stdlib.h>

#include "common/xalloc.h"

#define FIRST_CAP 64

void
redis_pending_release(struct redis_pending *q)
{
	free(q->ring);
	*q = (struct redis_pending){ 0 };
}

/* A new ring, because the old one's two ends meet somewhere in its middle. */
static void
grow(struct redis_pending *q)
{
	size_t cap = q->cap ? 2 * q->cap : FIRST_CAP;
	struct redis_call *ring = xcalloc(cap, sizeof(*ring));

	for (size_t i = 0; i < q->count; i++)
		ring[i] = q->ring[(q->head + i) & (q->cap - 1)];
	free(q->ring);
	q->ring = ring;
	q->cap = cap;
	q->head = 0;
}

void
redis_pending_push(struct redis_pending *q, struct redis_call call)
{
	if (q->count == q->cap)
		grow(q);
	q->ring[(q->head + q->count) & (q->cap - 1)] = call;
	q->count++;
}

bool
redis_pending_pop(struct redis_pending *q, struct redis_call *out)
{
	if (q->count == 0)
		return false;
	*out = q->ring[q->head];
	q->head = (q->head + 1) & (q->cap - 1);
	q->count--;
	return true;
}

const struct redis_call *
redis_pending_head(const struct redis_pending *q)
{
	return q->count > 0 ? &q->ring[q->head] : NULL;
}
