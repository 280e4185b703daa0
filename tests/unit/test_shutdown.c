/* How a worker stops: what each step asks for, and how long it may take. */
#include "worker/runtime/shutdown.h"

#include <check.h>
#include <signal.h>
#include <stdlib.h>

#include "common/log.h"
#include "common/strbuf.h"
#include "tests/unit/support/suite.h"

static struct event_base *base;
static struct shutdown *shut;
static struct strbuf seen = STRBUF_INIT(256);

static void
on_drain(int number, void *arg UNUSED)
{
	strbuf_addf(&seen, "drain %d|", number);
}

static void
on_cut(void *arg UNUSED)
{
	strbuf_add_str(&seen, "cut|");
}

static void
on_leave(void *arg UNUSED)
{
	strbuf_add_str(&seen, "leave|");
}

static void
on_left(void *arg UNUSED)
{
	strbuf_add_str(&seen, "left|");
	event_base_loopbreak(base);
}

static void
start(unsigned drain_timeout_s)
{
	shut = shutdown_new(&(struct shutdown_options){
		.base = base,
		.drain_timeout_s = drain_timeout_s,
		.on_drain = on_drain,
		.on_cut = on_cut,
		.on_leave = on_leave,
		.on_left = on_left,
	});
}

static void
setup(void)
{
	log_setup("test", "test", LOG_LEVEL_ERROR);
	base = event_base_new();
}

static void
teardown(void)
{
	shutdown_free(shut);
	event_base_free(base);
	strbuf_release(&seen);
}

/* Sends the signal, and waits until it has been acted upon. */
static void
stop(int number)
{
	raise(number);
	event_base_loop(base, EVLOOP_ONCE);
}

START_TEST(a_signal_drains_and_the_last_call_leaves)
{
	start(60);
	shutdown_drained(shut);
	ck_assert_int_eq(shutdown_state(shut), SHUTDOWN_SERVING);
	stop(SIGINT);
	ck_assert_int_eq(shutdown_state(shut), SHUTDOWN_DRAINING);
	ck_assert_ptr_null(shutdown_reason(shut));
	shutdown_drained(shut);
	shutdown_drained(shut);
	ck_assert_int_eq(shutdown_state(shut), SHUTDOWN_LEAVING);
	shutdown_left(shut);
	ck_assert_int_eq(shutdown_state(shut), SHUTDOWN_LEFT);
	ck_assert_str_eq(strbuf_str(&seen), "drain 2|leave|left|");
	ck_assert_str_eq(shutdown_reason(shut), "signal");
}
END_TEST

START_TEST(each_step_has_its_time)
{
	start(0);
	raise(SIGTERM);
	event_base_dispatch(base);
	ck_assert_str_eq(strbuf_str(&seen), "drain 15|cut|leave|left|");
	ck_assert_str_eq(shutdown_reason(shut), "drain_timeout");
}
END_TEST

START_TEST(calls_that_were_cut_are_the_time_outs)
{
	start(0);
	stop(SIGTERM);
	event_base_loop(base, EVLOOP_ONCE);
	ck_assert_str_eq(strbuf_str(&seen), "drain 15|cut|");
	shutdown_drained(shut);
	ck_assert_str_eq(shutdown_reason(shut), "drain_timeout");
}
END_TEST

START_TEST(a_second_signal_ends_the_process)
{
	start(60);
	stop(SIGTERM);
	stop(SIGTERM);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("shutdown", setup, teardown);

	tcase_add_test(tc, a_signal_drains_and_the_last_call_leaves);
	tcase_add_test(tc, each_step_has_its_time);
	tcase_add_test(tc, calls_that_were_cut_are_the_time_outs);
	tcase_add_exit_test(tc, a_second_signal_ends_the_process,
	    EXIT_FAILURE);
	return run_cases(tc);
}
