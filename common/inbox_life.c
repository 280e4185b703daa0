#include "common/inbox_life.h"

#include "common/clock.h"
#include "common/envelope.h"

/*
 * An inbox must not expire and be made anew between two renewals: much less than
 * ENV_INBOX_TTL_MS.
 */
#define RENEW_EVERY_MS 60000

/* FNV-1a: names of pods differ in their last characters, mostly. */
static uint64_t
digest_of(struct slice key)
{
	uint64_t h = 14695981039346656037u;

	for (size_t i = 0; i < key.n; i++)
		h = (h ^ (unsigned char)key.p[i]) * 1099511628211u;
	return h;
}

void
inbox_lives_renew(struct inbox_lives *lives, struct redis *commands,
    struct slice key)
{
	struct slice argv[] = { SLICE("PEXPIRE"), key, SLICE(ENV_INBOX_TTL_MS) };
	uint64_t digest = digest_of(key), now = clock_mono_ms();
	size_t at = digest % INBOX_LIVES;

	if (lives->places[at].digest == digest &&
	    now - lives->places[at].renewed_ms < RENEW_EVERY_MS)
		return;
	if (!redis_send(commands, argv, ARRAY_LEN(argv), NULL, NULL))
		return;
	lives->places[at].digest = digest;
	lives->places[at].renewed_ms = now;
}
