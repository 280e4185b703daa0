#include "worker/runtime/breaker.h"

#define MS_PER_S 1000

bool
breaker_admit(struct breaker *b, uint64_t now_ms)
{
	if (b->state == BREAKER_CLOSED)
		return true;
	if (now_ms < b->until_ms)
		return false;
	b->state = BREAKER_TRIAL;
	b->until_ms = now_ms + BREAKER_PAUSE_MAX_MS;
	return true;
}

void
breaker_succeeded(struct breaker *b)
{
	*b = (struct breaker){ .state = BREAKER_CLOSED };
}

static void
open_breaker(struct breaker *b, uint64_t now_ms)
{
	unsigned pause = b->pause_ms == 0 ? BREAKER_PAUSE_MS : 2 * b->pause_ms;

	if (pause > BREAKER_PAUSE_MAX_MS)
		pause = BREAKER_PAUSE_MAX_MS;
	b->pause_ms = pause;
	b->state = BREAKER_OPEN;
	b->until_ms = now_ms + pause;
}

void
breaker_failed(struct breaker *b, uint64_t now_ms)
{
	/* While open, those end that were let through before. */
	if (b->state == BREAKER_OPEN)
		return;
	b->failures++;
	if (b->state == BREAKER_TRIAL || b->failures >= BREAKER_FAILURES)
		open_breaker(b, now_ms);
}

void
breaker_gave_up(struct breaker *b, uint64_t now_ms)
{
	/* The next may try at once. */
	if (b->state == BREAKER_TRIAL) {
		b->state = BREAKER_OPEN;
		b->until_ms = now_ms;
	}
}

unsigned
breaker_wait_s(const struct breaker *b, uint64_t now_ms)
{
	if (b->state == BREAKER_CLOSED || b->until_ms <= now_ms)
		return 0;
	return (unsigned)((b->until_ms - now_ms + MS_PER_S - 1) / MS_PER_S);
}
