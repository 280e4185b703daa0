/*
 * Time, with a seam for tests.
 *
 * Durations and timeouts use the monotonic clock, suspensions included. Only what
 * other processes read uses a wall clock: what they compare with their own (deadlines
 * of calls, when workers count as dead) Redis's, the rest ("since" fields) this
 * machine's.
 */
#ifndef MCP_CLOCK_H
#define MCP_CLOCK_H

#include "common/compiler.h"

uint64_t clock_mono_ms(void);
uint64_t clock_mono_us(void);
uint64_t clock_wall_ms(void);

/*
 * Redis's wall clock, so that calls end in time wherever they run and whatever the
 * clocks there say. Until it is known (redis_clock.h), this machine's.
 */
uint64_t clock_shared_ms(void);
/* It was that time when clock_mono_ms() was the other. */
void clock_share(uint64_t shared_ms, uint64_t mono_ms);

/* Tests only: freezes all clocks at ms until the next call; 0 thaws them. */
void clock_fake(uint64_t ms);

#endif
