/*
 * Time, with a seam for tests.
 *
 * Durations and timeouts use the monotonic clock, suspensions included. Only what other processes
 * read (deadlines in request entries, "since" fields) uses the wall clock.
 */
#ifndef MCP_CLOCK_H
#define MCP_CLOCK_H

#include "common/compiler.h"

uint64_t clock_mono_ms(void);
uint64_t clock_mono_us(void);
uint64_t clock_wall_ms(void);

/* Tests only: freezes both clocks at ms until the next call; 0 thaws them. */
void clock_fake(uint64_t ms);

#endif
