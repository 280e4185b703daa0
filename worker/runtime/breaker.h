/*
 * A circuit breaker: after failures in a row it refuses for a while, so that an
 * upstream that is down costs nobody a timeout and gets time to recover.
 *
 *	CLOSED --failures in a row--> OPEN --pause--> TRIAL --success--> CLOSED
 *	                               ^________________| failure
 *
 * In TRIAL one request is let through, and the others still refused. The pause
 * doubles with each trial that fails.
 */
#ifndef MCP_WORKER_BREAKER_H
#define MCP_WORKER_BREAKER_H

#include "common/compiler.h"

/* In a row: fewer happen by chance while an upstream is restarted. */
#define BREAKER_FAILURES 8
#define BREAKER_PAUSE_MS 2000
#define BREAKER_PAUSE_MAX_MS 60000

enum breaker_state {
	BREAKER_CLOSED, /* lets all through */
	BREAKER_OPEN,   /* lets none through */
	BREAKER_TRIAL   /* one is on its way */
};

/* Zeroed, it is closed. Embedded by its user; only these functions write it. */
struct breaker {
	enum breaker_state state;
	unsigned failures; /* in a row */
	unsigned pause_ms; /* of the last opening */
	uint64_t until_ms; /* monotonic: OPEN ends; TRIAL is given up */
};

/*
 * Whether a request may go now. True commits the caller to one of the three
 * below; a trial that never ends is given up after BREAKER_PAUSE_MAX_MS.
 */
bool breaker_admit(struct breaker *b, uint64_t now_ms) MUST_CHECK;
/* The upstream answered, whatever it was that is not its own failure. */
void breaker_succeeded(struct breaker *b);
/* It did not, or it answered that it cannot (5xx). */
void breaker_failed(struct breaker *b, uint64_t now_ms);
/* Nothing is known: the request was given up. */
void breaker_gave_up(struct breaker *b, uint64_t now_ms);
/* How long until the next may go, rounded up to seconds; for messages. */
unsigned breaker_wait_s(const struct breaker *b, uint64_t now_ms);

#endif
