/*
 * Timers of libevent in this project's unit of time.
 */
#ifndef MCP_TIMER_H
#define MCP_TIMER_H

#include <event2/event.h>

#include "common/compiler.h"

/* Fires ms milliseconds from now, and not when it was to fire before. */
void timer_set(struct event *timer, uint64_t ms);

#endif
