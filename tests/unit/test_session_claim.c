/* Claiming sessions for streams, and their records, with Redis or without. */
#include <check.h>
#include <stdio.h>

#include "tests/unit/support/one_session.h"
#include "tests/unit/support/redis_server.h"
#include "tests/unit/support/suite.h"
#include "tests/unit/support/wait.h"
#include "tests/unit/support/words.h"

/* session.c's. */
#define CLAIM_PATIENCE_MS 30000

START_TEST(a_stream_begins_with_its_endpoint)
{
	char expected[128];

	open_session(0);
	snprintf(expected, sizeof(expected),
	    "event: endpoint\ndata: /messages/?session_id=%s\nretry: 1234\n\n",
	    sid());
	ck_assert_str_eq(events(), expected);
	ck_assert_ptr_nonnull(strstr(client.in.p,
	    "Content-Type: text/event-stream\r\n"));
	ck_assert_str_eq(session_api(the_session()), "");
	ck_assert_uint_eq(sessions_count(sessions), 1);
	ck_assert_int_eq(stat_of(STAT_STREAMS), 1);
}
END_TEST

START_TEST(the_endpoint_of_an_api_is_below_it)
{
	wanted.api = SLICE("calc");
	open_session(0);
	ck_assert(has_event("data: /calc/messages/?session_id="));
	ck_assert_str_eq(session_api(the_session()), "calc");
	ck_assert_str_eq(server_text("HGET mcp_session:{%s} api", sid()),
	    "calc");
}
END_TEST

START_TEST(a_claim_leaves_its_records)
{
	wanted.protocol = SLICE("2025-06-18");
	open_session(0);
	ck_assert_str_eq(server_text("HGET mcp_transport:{%s} pod", sid()),
	    POD);
	ck_assert_str_eq(server_text("HGET mcp_transport:{%s} epoch", sid()),
	    "1");
	ck_assert_str_eq(server_text("HGET mcp_session:{%s} protocol", sid()),
	    "2025-06-18");
	ck_assert_str_eq(server_text("HGET mcp_session:{%s} state", sid()),
	    "live");
	ck_assert_str_eq(server_text("HGET mcp_session:{%s} user", sid()),
	    USER_HEX);
	ck_assert_str_eq(server_text("HGET mcp_session:{%s} user_kind", sid()),
	    "key");
	ck_assert_mem_eq(session_user(the_session()), who.user.bytes, SHA256_LEN);
	ck_assert_int_eq(log_len(), 1);
	ck_assert_int_gt(server_int("PTTL mcp_transport:{%s}", sid()),
	    TTL_MS - 60000);
	ck_assert_int_gt(server_int("PTTL mcp_events:{%s}", sid()), TTL_MS);
}
END_TEST

START_TEST(an_unused_session_has_short_lived_records)
{
	open_session(0);
	ck_assert_int_le(server_int("PTTL mcp_session:{%s}", sid()),
	    2 * UNUSED_MS);
	ck_assert_int_le(server_int("PTTL mcp_transport:{%s}", sid()),
	    2 * UNUSED_MS);
	ck_assert_int_gt(server_int("PTTL mcp_events:{%s}", sid()),
	    2 * UNUSED_MS);
	deliver(1, "1", 0);
	WAIT(redis_pending_count(commands) == 0);
	ck_assert_int_gt(server_int("PTTL mcp_session:{%s}", sid()),
	    TTL_MS - 60000);
	ck_assert_int_gt(server_int("PTTL mcp_transport:{%s}", sid()),
	    TTL_MS - 60000);
}
END_TEST

START_TEST(the_endpoint_waits_for_the_claim)
{
	server_freeze();
	get_stream(0);
	WAIT(client_has(&client, "\r\n\r\n"));
	turn();
	ck_assert_str_eq(events(), "");
	ck_assert_uint_eq(sessions_count(sessions), 0);
	server_thaw();
	WAIT(has_event("endpoint"));
	ck_assert_uint_eq(sessions_count(sessions), 1);
}
END_TEST

START_TEST(a_stream_opened_without_redis_is_claimed_later)
{
	server_cut_connections();
	WAIT(!redis_is_ready(commands));
	get_stream(0);
	WAIT(has_event("endpoint"));
	deliver(1, "1", 0);
	WAIT(told[1] == 1);
	WAIT(count_got() == 1);
}
END_TEST

START_TEST(a_claim_lost_with_its_connection_is_repeated)
{
	server_freeze();
	get_stream(0);
	WAIT(client_has(&client, "\r\n\r\n"));
	redis_flush(commands);
	server_thaw_and_cut();
	WAIT(has_event("endpoint"));
	deliver(1, "1", 0);
	WAIT(count_got() == 1);
	check_told(1);
}
END_TEST

START_TEST(a_stream_does_not_wait_for_redis_for_ever)
{
	server_freeze();
	get_stream(0);
	WAIT(client_has(&client, "\r\n\r\n"));
	pass_ms(CLAIM_PATIENCE_MS);
	sessions_tick(sessions);
	WAIT(ended_in_order());
	ck_assert_int_eq(stat_of(STAT_STREAMS), 0);
	server_thaw();
}
END_TEST

/* The answer to its claim is still on its way when the client has left. */
START_TEST(a_client_may_leave_before_the_claim)
{
	server_freeze();
	get_stream(0);
	WAIT(client_has(&client, "\r\n\r\n"));
	client_finish(&client);
	WAIT(client.eof);
	server_thaw();
	WAIT(redis_pending_count(commands) == 0);
	ck_assert_int_eq(stat_of(STAT_STREAMS), 0);
}
END_TEST

START_TEST(a_claim_waits_for_a_failover)
{
	server_do("REPLICAOF 127.0.0.1 1");
	get_stream(0);
	WAIT(!redis_is_ready(commands));
	server_do("REPLICAOF NO ONE");
	WAIT(has_event("endpoint"));
	ck_assert_str_eq(server_text("HGET mcp_transport:{%s} epoch", sid()),
	    "1");
}
END_TEST

/* Elsewhere it would be refused as well. */
START_TEST(a_claim_waits_for_a_redis_that_takes_writes)
{
	uint64_t sent;

	server_do("CONFIG SET maxmemory 1");
	get_stream(0);
	WAIT(client_has(&client, "\r\n\r\n"));
	WAIT(redis_is_refusing(commands));
	sent = redis_commands_sent(commands);
	for (unsigned i = 0; i < 100; i++)
		sessions_tick(sessions);
	ck_assert_uint_lt(redis_commands_sent(commands), sent + 10);
	server_do("CONFIG SET maxmemory 0");
	pass_ms(2000);
	sessions_tick(sessions);
	WAIT(has_event("endpoint"));
	ck_assert_str_eq(server_text("HGET mcp_transport:{%s} epoch", sid()),
	    "1");
}
END_TEST

START_TEST(a_refused_claim_ends_the_stream)
{
	server_do("ACL SETUSER default -evalsha");
	get_stream(0);
	WAIT(ended_in_order());
	ck_assert_str_eq(events(), "");
	server_do("ACL SETUSER default +evalsha");
}
END_TEST

START_TEST(a_claim_refused_by_a_busy_connection_is_tried_again)
{
	free_sessions();
	make_sessions(1);
	make_http();
	ck_assert(redis_send_words(commands, NULL, NULL, "PING", NULL));
	get_stream(0);
	WAIT(client_has(&client, "\r\n\r\n"));
	WAIT(redis_pending_count(commands) == 0);
	sessions_tick(sessions);
	WAIT(has_event("endpoint"));
}
END_TEST

START_TEST(records_are_written_anew_when_redis_lost_them)
{
	wanted.api = SLICE("calc");
	open_session(0);
	server_do("FLUSHALL");
	sessions_rebuild(sessions);
	sessions_tick(sessions);
	WAIT(server_int("EXISTS mcp_session:{%s} mcp_transport:{%s} "
			"mcp_events:{%s}", sid(), sid(), sid()) == 3);
	ck_assert_str_eq(server_text("HGET mcp_transport:{%s} epoch", sid()),
	    "1");
	ck_assert_str_eq(server_text("HGET mcp_transport:{%s} pod", sid()),
	    POD);
	ck_assert_str_eq(server_text("HGET mcp_session:{%s} api", sid()),
	    "calc");
	ck_assert_str_eq(server_text("HGET mcp_session:{%s} user", sid()),
	    USER_HEX);
	ck_assert_int_eq(client_count(&client, "endpoint"), 1);
	deliver(1, "1", 0);
	WAIT(count_got() == 1);
	/* Once is enough. */
	server_do("DEL mcp_transport:{%s}", sid());
	sessions_tick(sessions);
	WAIT(redis_pending_count(commands) == 0);
	ck_assert_int_eq(server_int("EXISTS mcp_transport:{%s}", sid()), 0);
}
END_TEST

/* Redis goes away before the records have reached it, and comes back. */
START_TEST(records_on_their_way_to_a_lost_redis_are_written_again)
{
	open_session(0);
	server_do("FLUSHALL");
	sessions_rebuild(sessions);
	server_freeze();
	sessions_tick(sessions);
	redis_flush(commands);
	server_restart();
	WAIT(redis_is_ready(commands));
	sessions_tick(sessions);
	WAIT(server_int("EXISTS mcp_transport:{%s}", sid()) == 1);
}
END_TEST

START_TEST(a_later_owner_ends_the_rebuilding_of_an_earlier)
{
	open_session(0);
	take_over();
	sessions_rebuild(sessions);
	sessions_tick(sessions);
	WAIT(ended_in_order());
	ck_assert_str_eq(server_text("HGET mcp_transport:{%s} pod", sid()),
	    "pod-b");
	ck_assert_int_eq(stat_of(STAT_SESSIONS_FENCED), 1);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("session claim", one_session_setup,
	    one_session_teardown);

	tcase_add_test(tc, a_stream_begins_with_its_endpoint);
	tcase_add_test(tc, the_endpoint_of_an_api_is_below_it);
	tcase_add_test(tc, a_claim_leaves_its_records);
	tcase_add_test(tc, an_unused_session_has_short_lived_records);
	tcase_add_test(tc, the_endpoint_waits_for_the_claim);
	tcase_add_test(tc, a_stream_opened_without_redis_is_claimed_later);
	tcase_add_test(tc, a_claim_lost_with_its_connection_is_repeated);
	tcase_add_test(tc, a_stream_does_not_wait_for_redis_for_ever);
	tcase_add_test(tc, a_client_may_leave_before_the_claim);
	tcase_add_test(tc, a_claim_waits_for_a_failover);
	tcase_add_test(tc, a_claim_waits_for_a_redis_that_takes_writes);
	tcase_add_test(tc, a_refused_claim_ends_the_stream);
	tcase_add_test(tc, a_claim_refused_by_a_busy_connection_is_tried_again);
	tcase_add_test(tc, records_are_written_anew_when_redis_lost_them);
	tcase_add_test(tc,
	    records_on_their_way_to_a_lost_redis_are_written_again);
	tcase_add_test(tc, a_later_owner_ends_the_rebuilding_of_an_earlier);
	return run_cases(tc);
}
