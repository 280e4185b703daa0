#include "tests/unit/support/wait.h"

#include <check.h>
#include <signal.h>
#include <time.h>

#include "common/clock.h"
#include "common/log.h"

/* Ample under sanitizers on a busy machine; nothing waits this long. */
#define DEADLINE_S 30
/* Conditions that no event announces are looked at this often. */
#define LOOK_US 1000

struct event_base *base;
static struct event *look;
static time_t deadline_s;

/* Not common/clock.h, which tests freeze. */
static time_t
now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

static void
on_look(evutil_socket_t fd UNUSED, short what UNUSED, void *arg UNUSED)
{
}

void
wait_setup(void)
{
	struct timeval every = { .tv_usec = LOOK_US };

	signal(SIGPIPE, SIG_IGN);
	log_setup("test", "", LOG_LEVEL_ERROR);
	base = event_base_new();
	look = event_new(base, -1, EV_PERSIST, on_look, NULL);
	event_add(look, &every);
}

void
wait_teardown(void)
{
	clock_fake(0);
	event_free(look);
	event_base_free(base);
}

/* Twice: what the first pass set off is handled by the second. */
void
turn(void)
{
	event_base_loop(base, EVLOOP_NONBLOCK);
	event_base_loop(base, EVLOOP_NONBLOCK);
}

void
wait_start(void)
{
	deadline_s = now_s() + DEADLINE_S;
}

void
wait_turn(const char *what)
{
	ck_assert_msg(now_s() < deadline_s, "never came true: %s", what);
	event_base_loop(base, EVLOOP_ONCE);
}
