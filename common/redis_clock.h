/*
 * How this process knows Redis's wall clock (clock_shared_ms() of clock.h).
 */
#ifndef MCP_REDIS_CLOCK_H
#define MCP_REDIS_CLOCK_H

#include "common/redis.h"

/*
 * Asks Redis for its time; every few seconds, for clocks are set. Without an answer
 * in good time what was known stays known.
 */
void redis_clock_ask(struct redis *r);

#endif
