/*
 * One event loop for a test, run until something has come true. Nothing here
 * sleeps, and a condition that never comes true fails its test.
 */
#ifndef TESTS_SUPPORT_WAIT_H
#define TESTS_SUPPORT_WAIT_H

#include <event2/event.h>

#include "common/compiler.h"

/* The loop of the test at hand, from wait_setup() to wait_teardown(). */
extern struct event_base *base;

/* For a checked fixture; errors alone are logged. */
void wait_setup(void);
void wait_teardown(void);

/* Handles what is there to be handled, without waiting for more. */
void turn(void);

/* Runs the loop until cond holds. */
#define WAIT(cond)                                                             \
	do {                                                                   \
		wait_start();                                                  \
		while (!(cond))                                                \
			wait_turn(#cond);                                      \
	} while (0)

/* The parts of WAIT(). */
void wait_start(void);
void wait_turn(const char *what);

#endif
