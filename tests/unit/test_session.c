/* Sessions without messages: how they end, and what keeps them alive. */
#include <check.h>

#include "tests/unit/support/one_session.h"
#include "tests/unit/support/redis_server.h"
#include "tests/unit/support/suite.h"
#include "tests/unit/support/wait.h"

START_TEST(a_session_waits_for_its_client)
{
	open_session(0);
	deliver(1, "1", 0);
	WAIT(told[1] == 1);
	client_finish(&client);
	WAIT(strcmp(record_state(), "detached") == 0);
	ck_assert_int_le(server_int("PTTL mcp_session:{%s}", sid()), WINDOW_MS);
	ck_assert_int_le(server_int("PTTL mcp_transport:{%s}", sid()), WINDOW_MS);
	ck_assert_int_gt(server_int("PTTL mcp_events:{%s}", sid()), WINDOW_MS);
	ck_assert_str_eq(server_text("HGET mcp_session:{%s} planned", sid()),
	    "0");
	ck_assert_ptr_null(the_session());
	ck_assert_uint_eq(sessions_count(sessions), 0);
	ck_assert_int_eq(stat_of(STAT_STREAMS), 0);
}
END_TEST

/* Probes, mostly: nobody will come back for them. */
START_TEST(an_unused_session_does_not_wait_long)
{
	open_session(0);
	client_finish(&client);
	WAIT(strcmp(record_state(), "detached") == 0);
	ck_assert_int_le(server_int("PTTL mcp_session:{%s}", sid()), UNUSED_MS);
}
END_TEST

START_TEST(records_of_another_owner_are_left_alone)
{
	open_session(0);
	take_over();
	client_finish(&client);
	WAIT(stat_of(STAT_STREAMS) == 0);
	WAIT(redis_pending_count(commands) == 0);
	ck_assert_int_eq(server_int("EXISTS mcp_session:{%s} "
	    "mcp_transport:{%s} mcp_events:{%s}", sid(), sid(), sid()), 3);
}
END_TEST

START_TEST(ending_all_ends_streams_in_order)
{
	open_session(0);
	sessions_end_all(sessions, "shutdown");
	WAIT(ended_in_order());
	WAIT(strcmp(record_state(), "detached") == 0);
	ck_assert_str_eq(server_text("HGET mcp_session:{%s} planned", sid()),
	    "1");
}
END_TEST

START_TEST(an_unused_stream_is_closed)
{
	open_session(0);
	pass_ms(UNUSED_MS - PING_MS);
	sessions_tick(sessions);
	turn();
	ck_assert(!client.eof);
	pass_ms(PING_MS);
	sessions_tick(sessions);
	WAIT(ended_in_order());
	ck_assert_int_eq(stat_of(STAT_SESSIONS_UNUSED), 1);
}
END_TEST

START_TEST(a_used_stream_is_not_closed)
{
	open_session(0);
	deliver(1, "1", 0);
	WAIT(told[1] == 1);
	pass_ms(10 * UNUSED_MS);
	sessions_tick(sessions);
	turn();
	ck_assert(!client.eof);
	ck_assert_ptr_nonnull(the_session());
}
END_TEST

/* Only a client that reconnects sends its protocol version with the GET. */
START_TEST(a_stream_that_came_back_is_not_closed)
{
	wanted.protocol = SLICE("2025-06-18");
	open_session(0);
	pass_ms(10 * UNUSED_MS);
	sessions_tick(sessions);
	turn();
	ck_assert(!client.eof);
}
END_TEST

START_TEST(streams_are_pinged)
{
	open_session(0);
	deliver(1, "1", 0);
	WAIT(told[1] == 1);
	pass_ms(PING_MS / 2);
	sessions_tick(sessions);
	turn();
	ck_assert(!has_event(": ping\n\n"));
	for (unsigned i = 1; i <= 3; i++) {
		pass_ms(PING_MS);
		sessions_tick(sessions);
		WAIT(client_count(&client, "8\r\n: ping\n\n\r\n") == i);
	}
}
END_TEST

START_TEST(records_are_refreshed)
{
	wanted.protocol = SLICE("2025-06-18");
	open_session(0);
	server_do("PEXPIRE mcp_session:{%s} 100000", sid());
	server_do("PEXPIRE mcp_transport:{%s} 100000", sid());
	server_do("PEXPIRE mcp_events:{%s} 100000", sid());
	pass_ms(TTL_MS / 4);
	sessions_tick(sessions);
	WAIT(server_int("PTTL mcp_events:{%s}", sid()) > TTL_MS);
	ck_assert_int_gt(server_int("PTTL mcp_session:{%s}", sid()), 100000);
	ck_assert_int_gt(server_int("PTTL mcp_transport:{%s}", sid()), 100000);
	ck_assert_int_gt(server_int("PTTL mcp_events:{%s}", sid()),
	    server_int("PTTL mcp_transport:{%s}", sid()));
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("session", one_session_setup,
	    one_session_teardown);

	tcase_add_test(tc, a_session_waits_for_its_client);
	tcase_add_test(tc, an_unused_session_does_not_wait_long);
	tcase_add_test(tc, records_of_another_owner_are_left_alone);
	tcase_add_test(tc, ending_all_ends_streams_in_order);
	tcase_add_test(tc, an_unused_stream_is_closed);
	tcase_add_test(tc, a_used_stream_is_not_closed);
	tcase_add_test(tc, a_stream_that_came_back_is_not_closed);
	tcase_add_test(tc, streams_are_pinged);
	tcase_add_test(tc, records_are_refreshed);
	return run_cases(tc);
}
