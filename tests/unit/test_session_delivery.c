/* Messages to clients that take them, and who may write them. */
#include <check.h>

#include "common/clock.h"
#include "tests/unit/support/one_session.h"
#include "tests/unit/support/redis_server.h"
#include "tests/unit/support/suite.h"
#include "tests/unit/support/wait.h"

/* session_delivery.c's: how long the inbox carries a session's proof on. */
#define PROOF_CARRIED_MS 60000

START_TEST(a_message_arrives_as_one_event)
{
	open_session(0);
	deliver(1, "1", 20);
	WAIT(count_got() == 1);
	ck_assert_ptr_nonnull(strstr(events(),
	    "\n\nevent: message\ndata: {\"id\":1,\"pad\":\"pqrst\"}\n\n"));
	check_told(1);
	ck_assert_int_eq(stat_of(STAT_EVENTS), 1);
}
END_TEST

START_TEST(messages_arrive_in_order)
{
	open_session(0);
	for (unsigned i = 1; i <= 500; i++)
		deliver(i, "1", i);
	WAIT(told_count == 500);
	WAIT(count_got() == 500);
	check_got(500);
	check_told(500);
}
END_TEST

START_TEST(nothing_is_written_before_redis_confirms_the_owner)
{
	open_session(0);
	outlive_proof();
	server_freeze();
	for (unsigned i = 1; i <= 3; i++)
		deliver(i, "1", 0);
	turn();
	turn();
	ck_assert_uint_eq(count_got(), 0);
	ck_assert_uint_eq(told_count, 0);
	server_thaw();
	WAIT(count_got() == 3);
	check_got(3);
	check_told(3);
}
END_TEST

START_TEST(a_confirmed_owner_writes_at_once_for_a_while)
{
	uint64_t before;

	open_session(0);
	outlive_proof();
	deliver(1, "1", 0);
	WAIT(told[1] == 1);
	before = redis_commands_sent(commands);
	pass_ms(PROOF_FRESH_MS);
	for (unsigned i = 2; i <= 10; i++)
		deliver(i, "1", 0);
	ck_assert_uint_eq(told_count, 10);
	ck_assert_uint_eq(redis_commands_sent(commands), before);
	pass_ms(1);
	deliver(11, "1", 0);
	ck_assert_uint_eq(told_count, 10);
	ck_assert_uint_eq(redis_commands_sent(commands), before + 1);
	WAIT(count_got() == 11);
	check_got(11);
	check_told(11);
}
END_TEST

START_TEST(a_repeated_answer_is_dropped)
{
	open_session(0);
	deliver(1, "1", 0);
	WAIT(told[1] == 1);
	deliver(1, "2", 0);
	WAIT(told[1] == 2);
	deliver(2, "2", 0);
	WAIT(told[2] == 1);
	WAIT(count_got() == 2);
	check_got(2);
	ck_assert_int_eq(stat_of(STAT_EVENTS_REPEATED), 1);
}
END_TEST

/* Both are asked for before either has been handed over. */
START_TEST(a_repeated_answer_is_dropped_however_soon_it_comes)
{
	open_session(0);
	outlive_proof();
	deliver(1, "1", 0);
	deliver(1, "2", 0);
	WAIT(told[1] == 2);
	deliver(2, "1", 0);
	WAIT(told[2] == 1);
	WAIT(count_got() >= 2);
	check_got(2);
}
END_TEST

/* The same call may have several messages: progress before its answer. */
START_TEST(messages_of_one_call_are_not_repeats)
{
	open_session(0);
	deliver(1, "1", 0);
	WAIT(told[1] == 1);
	deliver(1, "1", 0);
	WAIT(told[1] == 2);
	WAIT(count_got() == 2);
	ck_assert_int_eq(stat_of(STAT_EVENTS_REPEATED), 0);
}
END_TEST

START_TEST(what_is_on_its_way_when_the_client_leaves_is_passed_on)
{
	open_session(0);
	outlive_proof();
	server_freeze();
	deliver(1, "1", 0);
	deliver(2, "1", 0);
	client_finish(&client);
	WAIT(client.eof);
	server_thaw();
	WAIT(told_count == 2);
	check_told(2);
	ck_assert_uint_eq(strays, 2);
}
END_TEST

START_TEST(what_waits_at_the_end_is_told)
{
	open_session(0);
	outlive_proof();
	server_freeze();
	deliver(1, "1", 0);
	ck_assert_uint_eq(told_count, 0);
	sessions_end_all(sessions, "shutdown");
	ck_assert_uint_eq(strays, 1);
	redis_free(commands);
	sessions_free(sessions);
	sessions = NULL;
	check_told(1);
	server_thaw();
	make_sessions(100000);
}
END_TEST

/* Hands over another message as soon as this one's fate is told. */
static void
on_told_deliver_another(void *arg)
{
	on_told(arg);
	deliver(3, "1", 0);
}

START_TEST(a_message_does_not_overtake_those_before_it)
{
	open_session(0);
	outlive_proof();
	deliver_to(1, "1", 0, on_told_deliver_another);
	deliver(2, "1", 0);
	WAIT(count_got() >= 3);
	check_got(3);
	check_told(3);
}
END_TEST

/* Proofs by the inbox ------------------------------------------------------ */

/* The next message is written without a question, or not. */
static void
check_asks(unsigned id, bool asks)
{
	uint64_t before = redis_commands_sent(commands);

	deliver(id, "1", 0);
	ck_assert_uint_eq(redis_commands_sent(commands) - before, asks);
	WAIT(told[id] == 1);
}

START_TEST(an_inbox_that_was_read_proves_ownership)
{
	open_session(0);
	deliver(1, "1", 0);
	inbox.unbroken_ms = 1;
	pass_ms(30000);
	inbox.complete_ms = clock_mono_ms() - PROOF_FRESH_MS;
	check_asks(2, false);
	inbox.complete_ms--;
	check_asks(3, true);
	WAIT(count_got() == 3);
	check_got(3);
}
END_TEST

START_TEST(an_inbox_that_was_read_anew_proves_nothing_at_first)
{
	open_session(0);
	deliver(1, "1", 0);
	pass_ms(10000);
	inbox.unbroken_ms = inbox.complete_ms = clock_mono_ms();
	check_asks(2, true);
	pass_ms(10000);
	inbox.complete_ms = clock_mono_ms();
	check_asks(3, false);
}
END_TEST

START_TEST(redis_is_asked_now_and_then_all_the_same)
{
	open_session(0);
	deliver(1, "1", 0);
	inbox.unbroken_ms = 1;
	pass_ms(PROOF_CARRIED_MS + 1000);
	inbox.complete_ms = clock_mono_ms();
	check_asks(2, true);
	check_asks(3, false);
}
END_TEST

/* Fencing ----------------------------------------------------------------- */

START_TEST(a_replaced_owner_writes_nothing)
{
	open_session(0);
	outlive_proof();
	take_over();
	deliver(1, "2", 0);
	check_given_up(1);
	ck_assert_uint_eq(count_got(), 0);
	ck_assert_str_eq(stray_attempt, "2");
}
END_TEST

START_TEST(a_replaced_owner_passes_on_all_that_was_on_its_way)
{
	open_session(0);
	outlive_proof();
	take_over();
	for (unsigned i = 1; i <= 5; i++)
		deliver(i, "1", 0);
	WAIT(told_count == 5);
	ck_assert_uint_eq(strays, 5);
	check_told(5);
	WAIT(ended_in_order());
	ck_assert_uint_eq(count_got(), 0);
	ck_assert_int_eq(stat_of(STAT_SESSIONS_FENCED), 1);
}
END_TEST

/* What waits for Redis meanwhile belongs to the next owner as well. */
START_TEST(an_owner_that_is_told_to_yield_passes_on_what_waits)
{
	open_session(0);
	outlive_proof();
	server_cut_connections();
	WAIT(!redis_is_ready(commands));
	deliver(1, "1", 0);
	sessions_yield(sessions, slice_str(sid()), 1);
	ck_assert_ptr_nonnull(the_session());
	sessions_yield(sessions, slice_str(sid()), 2);
	ck_assert_ptr_null(the_session());
	WAIT(strays == 1);
	WAIT(ended_in_order());
	check_told(1);
	ck_assert_uint_eq(count_got(), 0);
	WAIT(redis_pending_count(commands) == 0);
	ck_assert_int_eq(server_int("EXISTS mcp_transport:{%s}", sid()), 1);
}
END_TEST

/* It had the proof in its socket, but stood still before it could use it. */
START_TEST(an_owner_that_slept_asks_again)
{
	open_session(0);
	outlive_proof();
	deliver(1, "1", 0);
	redis_flush(commands);
	server_do("PING");
	server_do("PING");
	take_over();
	pass_ms(PROOF_FRESH_MS + 1);
	check_given_up(1);
	ck_assert_uint_eq(count_got(), 0);
}
END_TEST

/* Redis that goes away ---------------------------------------------------- */

START_TEST(messages_on_their_way_survive_a_lost_connection)
{
	open_session(0);
	outlive_proof();
	server_freeze();
	for (unsigned i = 1; i <= 50; i++)
		deliver(i, "1", 0);
	redis_flush(commands);
	server_thaw_and_cut();
	WAIT(told_count == 50);
	WAIT(count_got() >= 50);
	check_got(50);
	check_told(50);
}
END_TEST

START_TEST(messages_that_come_while_redis_is_away_wait)
{
	open_session(0);
	outlive_proof();
	server_cut_connections();
	WAIT(!redis_is_ready(commands));
	deliver(1, "1", 0);
	deliver(2, "1", 0);
	WAIT(told_count == 2);
	WAIT(count_got() >= 2);
	check_got(2);
	check_told(2);
}
END_TEST

START_TEST(messages_survive_an_empty_redis)
{
	open_session(0);
	outlive_proof();
	server_freeze();
	deliver(1, "1", 0);
	redis_flush(commands);
	server_restart();
	WAIT(told_count == 1);
	WAIT(count_got() == 1);
	check_told(1);
	ck_assert_uint_eq(strays, 0);
}
END_TEST

/* Its connection is up, but takes one command at a time. */
START_TEST(messages_refused_by_a_busy_connection_are_tried_again)
{
	free_sessions();
	make_sessions(1);
	make_http();
	open_session(0);
	outlive_proof();
	WAIT(redis_pending_count(commands) == 0);
	for (unsigned i = 1; i <= 5; i++)
		deliver(i, "1", 0);
	for (unsigned i = 0; i < 20; i++) {
		WAIT(redis_pending_count(commands) == 0);
		sessions_tick(sessions);
	}
	WAIT(told_count == 5);
	WAIT(count_got() == 5);
	check_told(5);
}
END_TEST

/* No more than an answer that does not come is it a sign of another owner. */
START_TEST(an_error_is_no_proof_against_the_owner)
{
	open_session(0);
	outlive_proof();
	server_do("RENAME mcp_transport:{%s} aside", sid());
	server_do("SET mcp_transport:{%s} text", sid());
	deliver(1, "1", 0);
	WAIT(redis_pending_count(commands) == 0);
	ck_assert_uint_eq(strays, 0);
	ck_assert_ptr_nonnull(the_session());
	server_do("RENAME aside mcp_transport:{%s}", sid());
	sessions_tick(sessions);
	WAIT(told[1] == 1);
	WAIT(count_got() == 1);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("session delivery", one_session_setup,
	    one_session_teardown);

	tcase_add_test(tc, a_message_arrives_as_one_event);
	tcase_add_test(tc, messages_arrive_in_order);
	tcase_add_test(tc, nothing_is_written_before_redis_confirms_the_owner);
	tcase_add_test(tc, a_confirmed_owner_writes_at_once_for_a_while);
	tcase_add_test(tc, a_repeated_answer_is_dropped);
	tcase_add_test(tc, a_repeated_answer_is_dropped_however_soon_it_comes);
	tcase_add_test(tc, messages_of_one_call_are_not_repeats);
	tcase_add_test(tc, what_is_on_its_way_when_the_client_leaves_is_passed_on);
	tcase_add_test(tc, what_waits_at_the_end_is_told);
	tcase_add_test(tc, a_message_does_not_overtake_those_before_it);
	tcase_add_test(tc, an_inbox_that_was_read_proves_ownership);
	tcase_add_test(tc, an_inbox_that_was_read_anew_proves_nothing_at_first);
	tcase_add_test(tc, redis_is_asked_now_and_then_all_the_same);
	tcase_add_test(tc, a_replaced_owner_writes_nothing);
	tcase_add_test(tc, a_replaced_owner_passes_on_all_that_was_on_its_way);
	tcase_add_test(tc, an_owner_that_is_told_to_yield_passes_on_what_waits);
	tcase_add_test(tc, an_owner_that_slept_asks_again);
	tcase_add_test(tc, messages_on_their_way_survive_a_lost_connection);
	tcase_add_test(tc, messages_that_come_while_redis_is_away_wait);
	tcase_add_test(tc, messages_survive_an_empty_redis);
	tcase_add_test(tc,
	    messages_refused_by_a_busy_connection_are_tried_again);
	tcase_add_test(tc, an_error_is_no_proof_against_the_owner);
	return run_cases(tc);
}
