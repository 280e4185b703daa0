/* Streams that are to leave, with a real Redis to ask who has calls. */
#include <check.h>

#include "common/clock.h"
#include "proxy/catalog.h"
#include "proxy/survey.h"
#include "tests/unit/support/one_session.h"
#include "tests/unit/support/redis_server.h"
#include "tests/unit/support/suite.h"
#include "tests/unit/support/wait.h"

#define OTHERS 40
#define STREAMS (1 + OTHERS)
#define MAX_AGE_MS 1000000

static struct catalog *catalog;
static struct survey *survey;
/* Beside the one of one_session.h. */
static struct client others[OTHERS];

static void
setup(void)
{
	one_session_setup();
	free_sessions();
	max_age_ms = MAX_AGE_MS;
	make_sessions(100000);
	make_http();
	server_do("SADD mcp_apis calc");
	server_do("HSET mcp_api:{calc} digest d catalogue {\"tools\":[]}");
	catalog = catalog_new(commands, 10);
	catalog_tick(catalog);
	WAIT(redis_pending_count(commands) == 0);
	survey = survey_new(commands, catalog, SLICE(POD));
	sessions_set_survey(sessions, survey, catalog);
	/* As a client's that reconnects: they need no message to live on. */
	wanted.protocol = SLICE("2025-06-18");
}

static void
teardown(void)
{
	one_session_teardown();
	survey_free(survey);
	catalog_free(catalog);
}

/* Count calls of the session are in the queue. */
static void
queue(unsigned count)
{
	server_do("EVAL %s 1 mcp_requests:{calc} %s %u",
	    "for i = 1, ARGV[2] do redis.call('XADD', KEYS[1], '*', 'session',"
	    " ARGV[1], 'call', 'c' .. i, 'reply_to', '" POD "',"
	    " 'payload', '{\"jsonrpc\":\"2.0\",\"id\":' .. i .. ',"
	    "\"method\":\"tools/call\"}') end", sid(), count);
}

/* Ten seconds go by, more than any delay of one that may leave. */
static void
pass_ten_seconds(void)
{
	for (unsigned i = 0; i < 10; i++) {
		sessions_tick(sessions);
		WAIT(redis_pending_count(commands) == 0);
		pass_ms(1000);
	}
}

static void
open_others(void)
{
	for (size_t i = 0; i < OTHERS; i++) {
		client_open(&others[i], &address, address_len, 0);
		client_say(&others[i], "GET /sse HTTP/1.1\r\nHost: h\r\n\r\n");
	}
	WAIT(sessions_count(sessions) == STREAMS);
}

static void
close_others(void)
{
	for (size_t i = 0; i < OTHERS; i++)
		client_close(&others[i]);
}

/* How many are left once those have gone that are to go at that age. */
static unsigned
left_at(uint64_t opened_ms, uint64_t age_ms)
{
	clock_fake(opened_ms + age_ms);
	pass_ten_seconds();
	return sessions_count(sessions);
}

/* A rollout opens many at once: their clients must not come back at once. */
START_TEST(streams_of_one_age_leave_one_after_another)
{
	uint64_t opened_ms;
	unsigned left;

	open_session(0);
	open_others();
	opened_ms = clock_mono_ms();
	ck_assert_uint_eq(left_at(opened_ms, MAX_AGE_MS / 100 * 80), STREAMS);
	left = left_at(opened_ms, MAX_AGE_MS / 100 * 93);
	ck_assert_uint_gt(left, 0);
	ck_assert_uint_lt(left, STREAMS);
	ck_assert_uint_eq(left_at(opened_ms, MAX_AGE_MS), 0);
	close_others();
}
END_TEST

START_TEST(a_stream_leaves_after_its_last_answer)
{
	open_session(0);
	queue(1);
	sessions_leave(sessions);
	pass_ten_seconds();
	ck_assert_uint_eq(sessions_count(sessions), 1);
	server_do("XTRIM mcp_requests:{calc} MAXLEN 0");
	pass_ten_seconds();
	ck_assert_uint_eq(sessions_count(sessions), 0);
}
END_TEST

/* The first part names the session; ticks go by before the last one comes. */
START_TEST(a_survey_that_takes_its_time_counts_as_one)
{
	uint64_t sent;

	open_session(0);
	queue(1);
	server_do("EVAL %s 1 mcp_requests:{calc}",
	    "for i = 1, 2500 do redis.call('XADD', KEYS[1], '*', 'session', 's',"
	    " 'call', 'c', 'reply_to', 'other', 'payload', 'p') end");
	sent = redis_commands_sent(commands);
	sessions_leave(sessions);
	/* EVALSHA, EVAL, and the second part's EVALSHA. */
	WAIT(redis_commands_sent(commands) == sent + 3);
	server_freeze();
	for (unsigned i = 0; i < 4; i++) {
		pass_ms(1000);
		sessions_tick(sessions);
	}
	server_thaw();
	WAIT(redis_pending_count(commands) == 0);
	pass_ms(100);
	sessions_tick(sessions);
	ck_assert_uint_eq(sessions_count(sessions), 1);
}
END_TEST

START_TEST(giving_up_waits_for_a_survey_that_is_under_way)
{
	open_session(0);
	queue(1);
	sessions_leave(sessions);
	ck_assert_uint_gt(redis_pending_count(commands), 0);
	sessions_give_up(sessions);
	WAIT(redis_pending_count(commands) == 0);
	sessions_tick(sessions);
	WAIT(ended_in_order());
	ck_assert(has_event("the server stops before the answer came"));
	ck_assert_int_eq(stat_of(STAT_CALLS_GIVEN_UP), 1);
}
END_TEST

/* JSON-RPC ids come again: its error would be taken for the present one's. */
START_TEST(a_call_of_the_client_before_is_not_answered)
{
	open_session(0);
	queue(1);
	server_do("HSET mcp_transport:{%s} fresh 3", sid());
	outlive_proof();
	deliver(1, "1", 0);
	WAIT(count_got() == 1);
	server_do("EVAL %s 1 mcp_requests:{calc} %s",
	    "return redis.call('XADD', KEYS[1], '*', 'session', ARGV[1],"
	    " 'call', '00000000000000000000000000000002',"
	    " 'reply_to', '" POD "', 'payload', '{\"jsonrpc\":\"2.0\",\"id\":7,"
	    "\"method\":\"tools/call\"}')", sid());
	sessions_leave(sessions);
	sessions_give_up(sessions);
	WAIT(redis_pending_count(commands) == 0);
	sessions_tick(sessions);
	WAIT(ended_in_order());
	ck_assert_int_eq(stat_of(STAT_CALLS_GIVEN_UP), 1);
	ck_assert(!has_event("\"id\":7"));
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("session drain", setup, teardown);

	tcase_add_test(tc, streams_of_one_age_leave_one_after_another);
	tcase_add_test(tc, a_stream_leaves_after_its_last_answer);
	tcase_add_test(tc, a_survey_that_takes_its_time_counts_as_one);
	tcase_add_test(tc, giving_up_waits_for_a_survey_that_is_under_way);
	tcase_add_test(tc, a_call_of_the_client_before_is_not_answered);
	return run_cases(tc);
}
