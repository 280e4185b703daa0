/*
 * Token buckets that all event loops of a fleet share, without a command to Redis
 * for each token.
 *
 * A bucket holds burst tokens and gains rate of them a second; it stands in Redis
 * (mcp_limit:{<subject>}) and goes when it would be full. A loop lets a subject
 * pass on credit, and reports what was used many at a time. When a report says
 * that less than half of the bucket is left, the loop asks first: for many tokens
 * at once, which it must use within a second. What was passed on credit is taken
 * from the bucket in any case, below zero if need be.
 *
 * So a subject far below its rate never waits, one above it gets
 * burst + rate * t, and all loops together overdraw a bucket by at most a
 * sixteenth of burst each, which is paid back. A loop without Redis lets
 * everything pass: what the limit protects is not reached without Redis either.
 *
 * At most METER_SUBJECTS_MAX subjects are remembered; the one seen longest ago
 * goes for a new one.
 */
#ifndef MCP_METER_H
#define MCP_METER_H

#include "common/ident.h"
#include "common/redis.h"

#define METER_SUBJECT_LEN SHA256_LEN
#define METER_SUBJECTS_MAX 16384

struct meter;

struct meter_options {
	struct redis *commands;   /* borrowed */
	unsigned rate;            /* tokens a second, at least 1 */
	unsigned burst;           /* tokens, at least 1 */
	/* The subject's name in Redis: SHA256_HEX_LEN characters and a NUL. */
	void (*name)(const unsigned char subject[static METER_SUBJECT_LEN],
	    char out[static SHA256_HEX_LEN + 1], void *arg);
	/* Something has come from Redis: ask again for those who wait. */
	void (*on_answer)(void *arg);
	void *arg;
};

enum meter_result {
	METER_PASS,
	METER_WAIT,      /* on_answer() will be called: take again */
	METER_REFUSED
};

struct meter *meter_new(const struct meter_options *options) MUST_CHECK;
/* After Redis: no question may be on its way. */
void meter_free(struct meter *m);
/* Takes one token. REFUSED: *wait_ms says when one is there again. */
enum meter_result meter_take(struct meter *m,
    const unsigned char subject[static METER_SUBJECT_LEN],
    uint64_t *wait_ms) MUST_CHECK;

#endif
