/* Who still has calls queued or running, asked of a real Redis. */
#include "proxy/survey.h"

#include <check.h>
#include <stdlib.h>

#include "common/clock.h"
#include "tests/unit/support/redis_server.h"
#include "tests/unit/support/suite.h"
#include "tests/unit/support/wait.h"

#define POD "pod-a.0.1f"

static struct redis *commands;
static struct catalog *catalog;
static struct survey *survey;

/* What the survey at hand has told. */
static struct strbuf told = STRBUF_INIT(1 << 20);
static unsigned calls, ends;
static bool was_whole;

static void
setup(void)
{
	wait_setup();
	server_setup();
	commands = server_connect(NULL);
	catalog = catalog_new(commands, 10);
	survey = survey_new(commands, catalog, SLICE(POD));
	calls = ends = 0;
}

static void
teardown(void)
{
	redis_free(commands);
	survey_free(survey);
	catalog_free(catalog);
	strbuf_release(&told);
	server_teardown();
	wait_teardown();
}

static void
publish(const char *api)
{
	server_do("SADD mcp_apis %s", api);
	server_do("HSET mcp_api:{%s} digest d catalogue {\"tools\":[]}", api);
	clock_fake(clock_mono_ms() + 1000);
	catalog_tick(catalog);
	WAIT(redis_pending_count(commands) == 0);
}

static void
queue(const char *api, const char *session, const char *call, const char *pod)
{
	server_do("XADD mcp_requests:{%s} * session %s call %s method tools/call "
		  "reply_to %s payload P-%s", api, session, call, pod, call);
}

static void
on_call(const struct survey_call *call, void *arg)
{
	ck_assert_ptr_eq(arg, &survey);
	strbuf_addf(&told, "%.*s/%.*s/%.*s ", SLICE_ARG(call->session),
	    SLICE_ARG(call->call), SLICE_ARG(call->payload));
	calls++;
}

static void
on_done(bool whole, void *arg)
{
	ck_assert_ptr_eq(arg, &survey);
	was_whole = whole;
	ends++;
}

static bool
begin(void)
{
	return survey_begin(survey, on_call, on_done, &survey);
}

/* A whole survey; returns what it told. */
static const char *
ask(void)
{
	strbuf_reset(&told);
	calls = ends = 0;
	ck_assert(begin());
	WAIT(ends > 0);
	turn();
	ck_assert_uint_eq(ends, 1);
	return strbuf_str(&told);
}

START_TEST(without_apis_it_is_over_at_once)
{
	ck_assert(begin());
	ck_assert_uint_eq(ends, 1);
	ck_assert(was_whole);
}
END_TEST

START_TEST(calls_of_this_loop_are_told)
{
	publish("calc");
	queue("calc", "s1", "c1", POD);
	queue("calc", "s2", "c2", "pod-b.0.1f");
	queue("calc", "s2", "c3", POD "2");
	queue("calc", "s3", "c4", POD);
	ck_assert_str_eq(ask(), "s1/c1/P-c1 s3/c4/P-c4 ");
	ck_assert(was_whole);
}
END_TEST

/* A call that a worker has begun is pending, and still in the stream. */
START_TEST(running_calls_count_and_answered_ones_do_not)
{
	publish("calc");
	queue("calc", "s1", "c1", POD);
	server_do("XGROUP CREATE mcp_requests:{calc} workers 0");
	server_do("XREADGROUP GROUP workers w COUNT 9 STREAMS "
		  "mcp_requests:{calc} >");
	ck_assert_str_eq(ask(), "s1/c1/P-c1 ");
	server_do("XTRIM mcp_requests:{calc} MAXLEN 0");
	ck_assert_str_eq(ask(), "");
	ck_assert(was_whole);
}
END_TEST

START_TEST(every_api_is_asked)
{
	publish("a");
	publish("b");
	publish("none");
	queue("a", "s", "c1", POD);
	queue("b", "s", "c2", POD);
	ask();
	ck_assert_uint_eq(calls, 2);
	ck_assert_ptr_nonnull(strstr(told.p, "s/c1/P-c1 "));
	ck_assert_ptr_nonnull(strstr(told.p, "s/c2/P-c2 "));
	ck_assert(was_whole);
}
END_TEST

/* More entries than one script looks at, each found once. */
START_TEST(a_long_queue_is_read_in_parts)
{
	publish("calc");
	server_do("EVAL %s 1 mcp_requests:{calc} " POD,
	    "for i = 1, 2500 do redis.call('XADD', KEYS[1], '*', 'session', 's',"
	    " 'call', 'c' .. i, 'reply_to', i % 2 == 0 and ARGV[1] or 'other',"
	    " 'payload', 'p') end");
	ask();
	ck_assert_uint_eq(calls, 1250);
	ck_assert(was_whole);
	ck_assert_int_eq(strncmp(told.p, "s/c2/p s/c4/p ", 14), 0);
	ck_assert_ptr_nonnull(strstr(told.p, "s/c2498/p s/c2500/p "));
}
END_TEST

START_TEST(entries_that_are_no_calls_are_passed_over)
{
	publish("calc");
	server_do("XADD mcp_requests:{calc} * reply_to " POD " session s call c");
	server_do("XADD mcp_requests:{calc} * reply_to " POD " call c payload p");
	server_do("XADD mcp_requests:{calc} * session s call c payload p");
	queue("calc", "s", "good", POD);
	ck_assert_str_eq(ask(), "s/good/P-good ");
	ck_assert(was_whole);
}
END_TEST

START_TEST(an_error_makes_it_incomplete_but_not_the_others)
{
	publish("bad");
	publish("calc");
	server_do("SET mcp_requests:{bad} x");
	queue("calc", "s", "c", POD);
	ck_assert_str_eq(ask(), "s/c/P-c ");
	ck_assert(!was_whole);
}
END_TEST

START_TEST(one_at_a_time)
{
	publish("calc");
	ck_assert(begin());
	ck_assert(!begin());
	WAIT(ends == 1);
	ck_assert(begin());
	WAIT(ends == 2);
}
END_TEST

START_TEST(without_redis_nothing_is_called)
{
	publish("calc");
	server_freeze();
	ck_assert(begin());
	server_thaw_and_cut();
	WAIT(ends == 1);
	ck_assert(!was_whole);
	ck_assert(!redis_is_ready(commands));
	ck_assert(!begin());
	WAIT(redis_is_ready(commands));
	ck_assert_str_eq(ask(), "");
	ck_assert(was_whole);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("survey", setup, teardown);

	tcase_add_test(tc, without_apis_it_is_over_at_once);
	tcase_add_test(tc, calls_of_this_loop_are_told);
	tcase_add_test(tc, running_calls_count_and_answered_ones_do_not);
	tcase_add_test(tc, every_api_is_asked);
	tcase_add_test(tc, a_long_queue_is_read_in_parts);
	tcase_add_test(tc, entries_that_are_no_calls_are_passed_over);
	tcase_add_test(tc, an_error_makes_it_incomplete_but_not_the_others);
	tcase_add_test(tc, one_at_a_time);
	tcase_add_test(tc, without_redis_nothing_is_called);
	return run_cases(tc);
}
