#include "common/redis_clock.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/envelope.h"
#include "common/log.h"
#include "common/xalloc.h"

/* An answer that took longer says too little. */
#define ANSWER_MAX_MS 1000
/* A difference that an operator should know of. */
#define DIFFERENCE_MS 5000

/* By how much this machine's clock is ahead, as logged last. */
static _Atomic int64_t logged_ms;

static void
log_difference(void)
{
	int64_t ahead_ms = (int64_t)(clock_wall_ms() - clock_shared_ms());

	if (llabs(ahead_ms - atomic_load(&logged_ms)) < DIFFERENCE_MS)
		return;
	atomic_store(&logged_ms, ahead_ms);
	log_warn("clock differs from Redis's", LF_N("ahead_ms", ahead_ms));
}

/* Seconds, then microseconds. */
static bool
read_time(const redisReply *reply, uint64_t *ms)
{
	uint64_t s, us;

	if (reply == NULL || reply->type != REDIS_REPLY_ARRAY ||
	    reply->elements != 2 ||
	    !env_number(redis_slice(reply->element[0]), &s) ||
	    !env_number(redis_slice(reply->element[1]), &us))
		return false;
	*ms = s * 1000 + us / 1000;
	return true;
}

/* It was that time between our question and its answer: in the middle, say. */
static void
on_time(struct redis *redis UNUSED, const redisReply *reply, void *arg)
{
	uint64_t *take_asked_ms = arg, asked_ms = *take_asked_ms;
	uint64_t took_ms = clock_mono_ms() - asked_ms, ms;

	free(take_asked_ms);
	if (!read_time(reply, &ms) || took_ms > ANSWER_MAX_MS)
		return;
	clock_share(ms, asked_ms + took_ms / 2);
	log_difference();
}

void
redis_clock_ask(struct redis *r)
{
	const struct slice argv[] = { SLICE("TIME") };
	uint64_t *asked_ms = xmalloc(sizeof(*asked_ms));

	*asked_ms = clock_mono_ms();
	if (!redis_send(r, argv, ARRAY_LEN(argv), on_time, asked_ms))
		free(asked_ms);
}
