/* Messages to clients that do not take them: buffers, breaks, the event log. */
#include <check.h>
#include <stdio.h>

#include "tests/unit/support/one_session.h"
#include "tests/unit/support/redis_server.h"
#include "tests/unit/support/suite.h"
#include "tests/unit/support/wait.h"

/* Streams that break ------------------------------------------------------- */

/* Resets the connection; another takes its place, for what comes after. */
static void
break_stream(void)
{
	client_abort(&client);
	client_open(&client, &address, address_len, 0);
}

START_TEST(what_the_socket_did_not_take_is_passed_on)
{
	struct session *s;

	open_session(0);
	s = the_session();
	break_stream();
	/* Nobody has heard of it yet. */
	deliver_on(s, 1, "1", 0, on_told);
	deliver_on(s, 2, "1", 0, on_told);
	ck_assert_uint_eq(told_count, 0);
	WAIT(strays == 2);
	check_told(2);
	ck_assert_uint_eq(last_stray, 2);
}
END_TEST

/* Fills the kernel's buffers, until some of a message stays with us. */
static unsigned
fill(void)
{
	unsigned id = 0;

	open_session(4096);
	client_pause(&client);
	do {
		ck_assert_uint_lt(id, 1000);
		deliver(++id, "1", 2000);
		WAIT(redis_pending_count(commands) == 0);
	} while (told[id] == 1);
	ck_assert_uint_eq(told_count, id - 1);
	return id;
}

START_TEST(what_has_not_left_the_buffer_is_passed_on)
{
	unsigned id = fill();
	char before[SID_LEN + 1];

	memcpy(before, sid(), sizeof(before));
	break_stream();
	WAIT(strays == 1);
	check_told(id);
	ck_assert_uint_eq(last_stray, id);
	WAIT(strcmp(server_text("HGET mcp_session:{%s} state", before),
		 "detached") == 0);
	/* When it comes back, it is not taken for a repeat. */
	client_say(&client, "GET /sse HTTP/1.1\r\nHost: h\r\n\r\n");
	WAIT(has_event("endpoint"));
	deliver(id, "2", 2000);
	WAIT(count_got() == 1);
}
END_TEST

START_TEST(what_leaves_the_buffer_in_time_costs_no_log)
{
	unsigned id = fill();

	client_resume(&client);
	WAIT(told[id] == 1);
	check_told(id);
	WAIT(count_got() == id);
	check_got(id);
	ck_assert_int_eq(log_len(), 1);
	ck_assert_int_eq(stat_of(STAT_EVENTS_LAGGED), 0);
}
END_TEST

/* Its inbox entry must not wait for a client. */
START_TEST(what_stays_in_the_buffer_goes_to_the_log)
{
	unsigned id = fill();
	char before[SID_LEN + 1];

	memcpy(before, sid(), sizeof(before));
	pass_ms(1000);
	sessions_tick(sessions);
	WAIT(told[id] == 1);
	check_told(id);
	ck_assert_int_eq(log_len(), 2);
	break_stream();
	WAIT(strcmp(server_text("HGET mcp_session:{%s} state", before),
		 "detached") == 0);
	ck_assert_uint_eq(strays, 0);
	ck_assert_int_eq(server_int("XLEN mcp_events:{%s}", before), 2);
}
END_TEST

START_TEST(what_went_to_the_log_from_the_buffer_comes_once)
{
	unsigned id = fill();

	pass_ms(1000);
	sessions_tick(sessions);
	deliver(++id, "1", 100);
	WAIT(told_count == id);
	client_resume(&client);
	WAIT(log_len() == 0);
	WAIT(count_got() >= id);
	deliver(++id, "1", 100);
	WAIT(count_got() >= id);
	check_got(id);
	check_told(id);
}
END_TEST

/* A Redis that is full is no reason to drop a client that may yet read. */
START_TEST(what_is_in_the_buffer_outlives_a_full_redis)
{
	unsigned id = fill();

	server_do("CONFIG SET maxmemory 1");
	pass_ms(1000);
	sessions_tick(sessions);
	WAIT(redis_pending_count(commands) == 0);
	ck_assert_ptr_nonnull(the_session());
	ck_assert_uint_eq(told_count, id - 1);
	server_do("CONFIG SET maxmemory 0");
	client_resume(&client);
	WAIT(told_count == id);
	WAIT(count_got() == id);
	check_got(id);
}
END_TEST

/* What was fetched, but had not left the buffer, is still owed. */
START_TEST(what_was_fetched_is_in_the_log_until_it_has_left)
{
	unsigned id = make_lag(30);
	long long written;
	char before[SID_LEN + 1];

	memcpy(before, sid(), sizeof(before));
	client_resume(&client);
	WAIT(count_got() > id - 31 + 2);
	client_pause(&client);
	/* Sooner or later the kernel takes no more, and something stays here. */
	WAIT(redis_pending_count(commands) == 0 &&
	    log_len() > id - stat_of(STAT_EVENTS));
	written = stat_of(STAT_EVENTS);
	ck_assert_int_lt(written, id);
	break_stream();
	WAIT(strcmp(server_text("HGET mcp_session:{%s} state", before),
		 "detached") == 0);
	ck_assert_int_gt(server_int("XLEN mcp_events:{%s}", before),
	    id - written);
}
END_TEST

/* Redis was asked to keep it, and has no room; but now nobody needs that. */
START_TEST(what_drained_meanwhile_needs_no_room_in_redis)
{
	unsigned id = fill();

	server_do("CONFIG SET maxmemory 1");
	server_freeze();
	pass_ms(1000);
	sessions_tick(sessions);
	client_resume(&client);
	WAIT(count_got() == id);
	deliver(++id, "1", 0);
	server_thaw();
	WAIT(told_count == id);
	WAIT(count_got() == id);
	server_do("CONFIG SET maxmemory 0");
	check_got(id);
	check_told(id);
}
END_TEST

/* Its answer comes while another one is on its way behind it. */
START_TEST(what_redis_had_no_room_for_is_sent_again_alone)
{
	unsigned id = fill();
	size_t pending;

	server_do("CONFIG SET maxmemory 1");
	pass_ms(1000);
	sessions_tick(sessions);
	redis_flush(commands);
	server_do("PING");
	server_do("PING");
	server_freeze();
	deliver(++id, "1", 0);
	pending = redis_pending_count(commands);
	WAIT(redis_pending_count(commands) < pending);
	deliver(++id, "1", 0);
	server_thaw();
	WAIT(the_session() == NULL);
	WAIT(told_count == id);
	WAIT(redis_pending_count(commands) == 0);
	server_do("CONFIG SET maxmemory 0");
	check_told(id);
}
END_TEST

/* Slow clients ------------------------------------------------------------ */

START_TEST(what_a_slow_client_cannot_take_waits_in_redis)
{
	unsigned id = make_lag(20);

	/* With the owner's mark, and what waits in the output buffer. */
	ck_assert_int_gt(log_len(), 1 + 21);
	client_resume(&client);
	WAIT(count_got() >= id);
	check_got(id);
	check_told(id);
	WAIT(log_len() == 0);
	deliver(id + 1, "1", 0);
	WAIT(count_got() > id);
	check_got(id + 1);
	ck_assert_int_eq(stat_of(STAT_EVENTS_LAGGED), 21);
}
END_TEST

START_TEST(a_slow_client_is_not_pinged)
{
	make_lag(0);
	pass_ms(PING_MS);
	sessions_tick(sessions);
	client_resume(&client);
	WAIT(log_len() == 0);
	ck_assert(!has_event(": ping"));
}
END_TEST

START_TEST(a_client_that_never_reads_is_dropped)
{
	unsigned id = make_lag(0);

	while (the_session() != NULL) {
		ck_assert_uint_lt(id, 1000);
		deliver(++id, "1", LAG_BYTES);
		WAIT(told[id] == 1);
	}
	ck_assert_int_le(stat_of(STAT_EVENTS_LAGGED) * LAG_BYTES,
	    1024 * 1024 + 2 * LAG_BYTES);
	WAIT(strcmp(record_state(), "detached") == 0);
	ck_assert_int_gt(log_len(), 1);
	check_told(id);
}
END_TEST

/* Small ones: here the count is what runs out. */
START_TEST(a_log_of_many_events_is_too_long)
{
	unsigned id = make_lag(0);

	while (the_session() != NULL) {
		ck_assert_uint_lt(id, 1000);
		deliver(++id, "1", 0);
		WAIT(told[id] == 1);
	}
	ck_assert_int_ge(stat_of(STAT_EVENTS_LAGGED), 256);
	ck_assert_int_le(stat_of(STAT_EVENTS_LAGGED), 257);
}
END_TEST

/* It lagged once, but reads as fast as ever many messages come. */
START_TEST(a_client_that_keeps_up_again_is_not_dropped)
{
	unsigned first = make_lag(0), id = first;

	client_resume(&client);
	while (id < first + 1000) {
		ck_assert_ptr_nonnull(the_session());
		deliver(++id, "1", 100);
		WAIT(id - (unsigned)stat_of(STAT_EVENTS) <= 50 || client.eof);
	}
	WAIT(count_got() >= id || client.eof);
	check_got(id);
	check_told(id);
}
END_TEST

START_TEST(a_slow_client_gets_each_message_once_though_redis_was_lost)
{
	unsigned id = make_lag(10);

	server_freeze();
	for (unsigned i = 0; i < 10; i++)
		deliver(++id, "1", LAG_BYTES);
	redis_flush(commands);
	server_thaw_and_cut();
	WAIT(!redis_is_ready(commands));
	client_resume(&client);
	WAIT(told_count == id);
	WAIT(count_got() >= id);
	WAIT(log_len() == 0);
	check_got(id);
	check_told(id);
}
END_TEST

/* Nobody hears of it when the trimming fails. */
START_TEST(a_slow_client_gets_each_message_once_though_redis_did_not_trim)
{
	unsigned id = make_lag(20);

	server_do("ACL SETUSER default -xtrim");
	client_resume(&client);
	WAIT(count_got() >= id - 21);
	/* A tick does not repeat what has not failed yet. */
	WAIT(redis_pending_count(commands) == 0);
	ck_assert_uint_eq(count_got(), id - 21);
	server_do("ACL SETUSER default +xtrim");
	pass_ms(PING_MS);
	sessions_tick(sessions);
	WAIT(count_got() >= id);
	WAIT(log_len() == 0);
	check_got(id);
}
END_TEST

START_TEST(a_fetch_that_failed_is_repeated)
{
	unsigned id = make_lag(5);

	server_do("ACL SETUSER default -xrange");
	client_resume(&client);
	WAIT(count_got() == id - 6);
	WAIT(redis_pending_count(commands) == 0);
	server_do("ACL SETUSER default +xrange");
	pass_ms(PING_MS);
	sessions_tick(sessions);
	WAIT(count_got() >= id);
	check_got(id);
}
END_TEST

START_TEST(a_full_redis_ends_a_lagging_session)
{
	unsigned id = make_lag(0);

	server_do("CONFIG SET maxmemory 1");
	deliver(id + 1, "1", 0);
	WAIT(told_count == id + 1);
	ck_assert_ptr_null(the_session());
	client_resume(&client);
	WAIT(client.eof);
	server_do("CONFIG SET maxmemory 0");
	check_told(id + 1);
}
END_TEST

START_TEST(a_slow_client_may_leave)
{
	unsigned id = make_lag(3);

	server_freeze();
	deliver(id + 1, "1", 0);
	client_finish(&client);
	WAIT(stat_of(STAT_STREAMS) == 0);
	server_thaw();
	WAIT(told_count == id + 1);
	WAIT(strcmp(record_state(), "detached") == 0);
}
END_TEST

/* Fencing ----------------------------------------------------------------- */

START_TEST(a_replaced_owner_logs_nothing)
{
	unsigned id = make_lag(2);
	long long before;

	server_do("XADD mcp_events:{%s} 2-0 owner pod-b", sid());
	server_do("HSET mcp_transport:{%s} pod pod-b epoch 2", sid());
	before = log_len();
	deliver(id + 1, "1", 0);
	WAIT(strays == 1);
	client_resume(&client);
	check_given_up(id + 1);
	ck_assert_int_eq(log_len(), before);
}
END_TEST

/* The log belongs to the next owner then, who has promised it to the client. */
START_TEST(a_replaced_owner_takes_nothing_from_the_log)
{
	unsigned id = make_lag(5);
	long long before;
	size_t got;

	take_over();
	before = log_len();
	client_resume(&client);
	WAIT(client.eof || count_got() == id);
	got = count_got();
	ck_assert(ended_in_order());
	ck_assert_uint_eq(got, id - 6);
	ck_assert_int_eq(log_len(), before);
	ck_assert_int_eq(stat_of(STAT_SESSIONS_FENCED), 1);
}
END_TEST

/* Redis that goes away ---------------------------------------------------- */

START_TEST(a_lag_survives_the_loss_of_its_log)
{
	unsigned id = make_lag(5);

	server_do("FLUSHALL");
	sessions_rebuild(sessions);
	sessions_tick(sessions);
	WAIT(redis_pending_count(commands) == 0);
	client_resume(&client);
	WAIT(count_got() == id - 6);
	deliver(id + 1, "1", 0);
	WAIT(count_got() == id - 5);
	ck_assert(has_event("\"id\":1,"));
}
END_TEST

/*
 * Its ids are those of events that were handed over: of these it is trimmed, but
 * not of what came to it while Redis was being asked.
 */
START_TEST(what_goes_to_a_log_that_begins_anew_is_kept)
{
	unsigned id = make_lag(5);
	char last[32];

	server_do("FLUSHALL");
	sessions_rebuild(sessions);
	sessions_tick(sessions);
	WAIT(redis_pending_count(commands) == 0);
	server_freeze();
	deliver(id + 1, "1", 0);
	client_resume(&client);
	WAIT(count_got() == id - 6);
	server_thaw();
	WAIT(told[id + 1] == 1);
	WAIT(count_got() == id - 5);
	snprintf(last, sizeof(last), "\"id\":%u,", id + 1);
	ck_assert(has_event(last));
	WAIT(log_len() == 0);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("session log", one_session_setup,
	    one_session_teardown);

	tcase_add_test(tc, what_the_socket_did_not_take_is_passed_on);
	tcase_add_test(tc, what_has_not_left_the_buffer_is_passed_on);
	tcase_add_test(tc, what_leaves_the_buffer_in_time_costs_no_log);
	tcase_add_test(tc, what_stays_in_the_buffer_goes_to_the_log);
	tcase_add_test(tc, what_went_to_the_log_from_the_buffer_comes_once);
	tcase_add_test(tc, what_is_in_the_buffer_outlives_a_full_redis);
	tcase_add_test(tc, what_was_fetched_is_in_the_log_until_it_has_left);
	tcase_add_test(tc, what_drained_meanwhile_needs_no_room_in_redis);
	tcase_add_test(tc, what_redis_had_no_room_for_is_sent_again_alone);
	tcase_add_test(tc, what_a_slow_client_cannot_take_waits_in_redis);
	tcase_add_test(tc, a_slow_client_is_not_pinged);
	tcase_add_test(tc, a_client_that_never_reads_is_dropped);
	tcase_add_test(tc, a_log_of_many_events_is_too_long);
	tcase_add_test(tc, a_client_that_keeps_up_again_is_not_dropped);
	tcase_add_test(tc,
	    a_slow_client_gets_each_message_once_though_redis_was_lost);
	tcase_add_test(tc,
	    a_slow_client_gets_each_message_once_though_redis_did_not_trim);
	tcase_add_test(tc, a_fetch_that_failed_is_repeated);
	tcase_add_test(tc, a_full_redis_ends_a_lagging_session);
	tcase_add_test(tc, a_slow_client_may_leave);
	tcase_add_test(tc, a_replaced_owner_logs_nothing);
	tcase_add_test(tc, a_replaced_owner_takes_nothing_from_the_log);
	tcase_add_test(tc, a_lag_survives_the_loss_of_its_log);
	tcase_add_test(tc, what_goes_to_a_log_that_begins_anew_is_kept);
	return run_cases(tc);
}
