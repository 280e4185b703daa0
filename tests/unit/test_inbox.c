/* A loop's inbox on a real Redis: entries stay until they are dealt with. */
#include "proxy/inbox.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "tests/unit/support/redis_server.h"
#include "tests/unit/support/suite.h"
#include "tests/unit/support/wait.h"

#define POD "pod-a.0.abcd"
#define KEY "mcp_replies:{" POD "}"
#define SID "0123456789abcdef0123456789abcdef"
#define IDS_MAX 8192
/* inbox.c's: entries not dealt with before reading pauses, entries per read. */
#define OPEN_MAX 1024
#define READ_COUNT 128
#define READ_COUNT_FIRST 16

static struct redis *commands;
static struct inbox *inbox;

/* What came, by the number in the payload. */
static unsigned came[IDS_MAX];
static unsigned came_count;
static struct inbox_entry *entries[IDS_MAX];
static bool deals_at_once;

static void
on_message(const struct env_message *m, struct inbox_entry *entry, void *arg)
{
	unsigned id;

	ck_assert_ptr_eq(arg, &inbox);
	ck_assert(slice_eq_str(m->session, SID));
	ck_assert_int_eq(sscanf(m->payload.p, "{\"id\":%u}", &id), 1);
	ck_assert_uint_lt(id, IDS_MAX);
	came[id]++;
	came_count++;
	entries[id] = entry;
	if (deals_at_once)
		inbox_done(entry);
}

static void
open_inbox(void)
{
	struct redis_options reader = server_options();

	inbox = inbox_new(base, NULL, commands, &reader, SLICE(POD), on_message,
	    &inbox);
	inbox_open(inbox);
	WAIT(inbox_is_ready(inbox));
}

static void
setup(void)
{
	wait_setup();
	server_setup();
	commands = server_connect(NULL);
	open_inbox();
}

static void
teardown(void)
{
	redis_free(commands);
	inbox_free(inbox);
	server_teardown();
	wait_teardown();
}

/* Puts an entry with messages first to last into the inbox. */
static void
put(unsigned first, unsigned last)
{
	struct strbuf command = STRBUF_INIT(1 << 16);

	strbuf_add_str(&command, "XADD " KEY " *");
	for (unsigned i = first; i <= last; i++)
		strbuf_addf(&command, " call %08u%024u session " SID
		    " attempt 1 payload {\"id\":%u}", i, i, i);
	server_do(strbuf_str(&command));
	strbuf_release(&command);
}

static long long
left(void)
{
	return server_int("XLEN " KEY);
}

static void
done(unsigned id)
{
	inbox_done(entries[id]);
	entries[id] = NULL;
}

/* Were messages 1 to last brought, each once? */
static void
check_came(unsigned last)
{
	for (unsigned i = 1; i <= last; i++)
		ck_assert_msg(came[i] == 1, "%u came %u times", i, came[i]);
	ck_assert_uint_eq(came_count, last);
}

/* Cuts both connections, and waits until both are back. */
static void
reconnect(void)
{
	server_cut_connections();
	WAIT(!inbox_is_ready(inbox));
	WAIT(inbox_is_ready(inbox) && redis_is_ready(commands));
}

/* After a refusal deleting rests for a while, which one on its way begins anew. */
static void
rest_over(void)
{
	WAIT(redis_pending_count(commands) == 0);
	clock_fake(clock_mono_ms() + 60000);
	inbox_tick(inbox);
}

START_TEST(an_entry_stays_until_it_is_dealt_with)
{
	put(1, 1);
	WAIT(came_count == 1);
	inbox_tick(inbox);
	turn();
	ck_assert_int_eq(left(), 1);
	done(1);
	WAIT(left() == 0);
	check_came(1);
}
END_TEST

START_TEST(an_entry_stays_until_all_of_it_is_dealt_with)
{
	put(1, 3);
	WAIT(came_count == 3);
	ck_assert_ptr_eq(entries[1], entries[3]);
	done(3);
	done(1);
	inbox_tick(inbox);
	WAIT(redis_pending_count(commands) == 0);
	ck_assert_int_eq(left(), 1);
	done(2);
	WAIT(left() == 0);
	check_came(3);
}
END_TEST

START_TEST(entries_may_be_dealt_with_in_any_order)
{
	for (unsigned i = 1; i <= 3; i++)
		put(i, i);
	WAIT(came_count == 3);
	done(2);
	WAIT(left() == 2);
	ck_assert_uint_eq(server_count("XRANGE " KEY " - +"), 2);
	done(3);
	WAIT(left() == 1);
	done(1);
	WAIT(left() == 0);
}
END_TEST

START_TEST(what_waited_before_the_start_is_read)
{
	redis_free(commands);
	inbox_free(inbox);
	commands = server_connect(NULL);
	put(1, 2);
	put(3, 3);
	deals_at_once = true;
	open_inbox();
	WAIT(left() == 0);
	check_came(3);
}
END_TEST

START_TEST(a_turn_costs_one_deletion)
{
	uint64_t before;

	for (unsigned i = 1; i <= 100; i++)
		put(i, i);
	WAIT(came_count == 100);
	before = redis_commands_sent(commands);
	for (unsigned i = 1; i <= 100; i++)
		done(i);
	WAIT(left() == 0);
	ck_assert_uint_eq(redis_commands_sent(commands) - before, 1);
}
END_TEST

START_TEST(many_messages_come_in_order_and_once)
{
	deals_at_once = true;
	for (unsigned i = 0; i < 60; i++)
		put(i * 100 + 1, i * 100 + 100);
	WAIT(left() == 0);
	check_came(6000);
}
END_TEST

/* Nobody would ever deal with them. */
START_TEST(malformed_messages_are_deleted)
{
	deals_at_once = true;
	server_do("XADD " KEY " * call x");
	server_do("XADD " KEY " * foo bar");
	server_do("XADD " KEY " * call x session " SID " call y session " SID
		  " attempt 1 payload {\"id\":1}");
	WAIT(left() == 0);
	check_came(1);
}
END_TEST

START_TEST(nothing_is_no_entry)
{
	inbox_done(NULL);
}
END_TEST

/* Connections that break -------------------------------------------------- */

START_TEST(a_reconnect_brings_nothing_twice)
{
	put(1, 2);
	put(3, 3);
	WAIT(came_count == 3);
	done(1);
	reconnect();
	put(4, 4);
	WAIT(came[4] == 1);
	check_came(4);
	done(2);
	done(3);
	done(4);
	WAIT(left() == 0);
}
END_TEST

START_TEST(a_reconnect_brings_what_came_meanwhile)
{
	put(1, 1);
	WAIT(came_count == 1);
	server_cut_connections();
	put(2, 2);
	WAIT(!inbox_is_ready(inbox));
	put(3, 3);
	WAIT(came_count == 3);
	check_came(3);
}
END_TEST

START_TEST(what_is_done_while_redis_is_away_is_deleted_later)
{
	put(1, 1);
	put(2, 2);
	WAIT(came_count == 2);
	server_cut_connections();
	WAIT(!redis_is_ready(commands));
	done(1);
	turn();
	WAIT(redis_is_ready(commands) && inbox_is_ready(inbox));
	inbox_tick(inbox);
	WAIT(left() == 1);
	done(2);
	WAIT(left() == 0);
	put(3, 3);
	WAIT(came[3] == 1);
	check_came(3);
}
END_TEST

/* The deletion may have happened or not; the reader looks again meanwhile. */
START_TEST(a_deletion_with_unknown_outcome_is_repeated)
{
	for (unsigned i = 1; i <= 10; i++)
		put(i, i);
	WAIT(came_count == 10);
	server_freeze();
	for (unsigned i = 1; i <= 9; i++)
		done(i);
	turn();
	ck_assert_uint_ge(redis_pending_count(commands), 1);
	server_thaw_and_cut();
	WAIT(!redis_is_ready(commands));
	WAIT(redis_is_ready(commands) && inbox_is_ready(inbox));
	inbox_tick(inbox);
	WAIT(left() == 1);
	done(10);
	WAIT(left() == 0);
	put(11, 11);
	WAIT(came[11] == 1);
	check_came(11);
}
END_TEST

START_TEST(a_deletion_that_did_not_happen_is_repeated)
{
	put(1, 1);
	WAIT(came_count == 1);
	server_do("ACL SETUSER default -xdel");
	done(1);
	WAIT(redis_pending_count(commands) > 0);
	WAIT(redis_pending_count(commands) == 0);
	ck_assert_int_eq(left(), 1);
	reconnect();
	put(2, 2);
	WAIT(came[2] == 1);
	check_came(2);
	server_do("ACL SETUSER default +xdel");
	rest_over();
	WAIT(inbox_undeleted(inbox) == 0);
	ck_assert_int_eq(left(), 1);
}
END_TEST

START_TEST(many_messages_dealt_with_at_once_come_once)
{
	server_do("ACL SETUSER default -xdel");
	deals_at_once = true;
	put(1, 3);
	WAIT(came_count == 3);
	reconnect();
	put(4, 4);
	WAIT(came[4] == 1);
	check_came(4);
	server_do("ACL SETUSER default +xdel");
	rest_over();
	WAIT(left() == 0);
}
END_TEST

/* More than may be in hand: what cannot be deleted does not count. */
START_TEST(a_redis_that_refuses_to_delete_stops_nothing)
{
	uint64_t before;

	deals_at_once = true;
	server_do("ACL SETUSER default -xdel");
	for (unsigned i = 1; i <= 3000; i++)
		put(i, i);
	WAIT(came_count == 3000);
	ck_assert_uint_eq(inbox_undeleted(inbox), 3000);
	/* And it is not asked over and over. */
	WAIT(redis_pending_count(commands) == 0);
	clock_fake(clock_mono_ms());
	before = redis_commands_sent(commands);
	for (unsigned i = 0; i < 20; i++) {
		inbox_tick(inbox);
		turn();
	}
	ck_assert_uint_eq(redis_commands_sent(commands), before);
	reconnect();
	put(3001, 3001);
	WAIT(came[3001] == 1);
	check_came(3001);
	server_do("ACL SETUSER default +xdel");
	rest_over();
	WAIT(inbox_undeleted(inbox) == 0);
	ck_assert_int_eq(left(), 0);
}
END_TEST

START_TEST(an_inbox_that_redis_lost_goes_on)
{
	uint64_t then_ms = clock_wall_ms();

	put(1, 1);
	WAIT(came_count == 1);
	server_do("FLUSHALL");
	done(1);
	/* Ids are times: a later one is higher only when time has passed. */
	WAIT(clock_wall_ms() > then_ms + 100);
	put(2, 2);
	WAIT(came_count == 2);
	done(2);
	WAIT(left() == 0);
	server_restart();
	WAIT(!inbox_is_ready(inbox));
	put(3, 3);
	WAIT(came_count == 3);
	check_came(3);
}
END_TEST

/* A clock that is behind, or the same millisecond: the new stream's ids are low. */
static void
put_low(unsigned id, const char *entry_id)
{
	server_do("XADD " KEY " %s call %032u session " SID
	    " attempt 1 payload {\"id\":%u}", entry_id, id, id);
}

START_TEST(an_id_below_those_read_is_read_after_a_flush)
{
	put(1, 1);
	WAIT(came_count == 1);
	server_do("FLUSHALL");
	put_low(2, "5-1");
	inbox_reread(inbox);
	WAIT(came[2] == 1);
	put_low(3, "5-2");
	WAIT(came[3] == 1);
	done(1);
	done(2);
	done(3);
	WAIT(left() == 0);
	check_came(3);
}
END_TEST

/* The flush is noticed by what is not there to be deleted. */
START_TEST(a_deletion_that_finds_nothing_tells_of_a_flush)
{
	put(1, 1);
	put(2, 2);
	WAIT(came_count == 2);
	server_do("FLUSHALL");
	put_low(3, "5-1");
	done(1);
	WAIT(came[3] == 1);
	done(2);
	done(3);
	WAIT(left() == 0);
	check_came(3);
}
END_TEST

/* What is in our hands under that id is another entry. */
START_TEST(an_id_that_is_given_anew_is_read)
{
	put_low(1, "5-1");
	put_low(2, "5-2");
	WAIT(came_count == 2);
	server_do("FLUSHALL");
	server_do("XADD " KEY " 5-1 call xyz session " SID
	    " attempt 1 payload {\"id\":3}");
	put_low(2, "5-2");
	inbox_reread(inbox);
	WAIT(came[3] == 1);
	put_low(4, "5-3");
	WAIT(came[4] == 1);
	check_came(4);
}
END_TEST

/* Proofs ------------------------------------------------------------------ */

START_TEST(reading_to_the_end_is_noted_as_of_the_question)
{
	const struct inbox_reading *view = inbox_reading(inbox);
	uint64_t now = clock_mono_ms();

	clock_fake(now);
	deals_at_once = true;
	put(1, 1);
	WAIT(came_count == 1);
	ck_assert_uint_le(view->complete_ms, now);
	ck_assert_uint_eq(view->unbroken_ms, view->complete_ms);
	clock_fake(now += 2000);
	put(2, 2);
	WAIT(came_count == 2);
	/* It was asked for before the clock went on. */
	ck_assert_uint_lt(view->complete_ms, now);
	put(3, 3);
	WAIT(came_count == 3);
	ck_assert_uint_eq(view->complete_ms, now);
	ck_assert_uint_lt(view->unbroken_ms, now);
}
END_TEST

START_TEST(a_gap_in_reading_breaks_it)
{
	const struct inbox_reading *view = inbox_reading(inbox);
	uint64_t now = clock_mono_ms();

	deals_at_once = true;
	put(1, 1);
	WAIT(came_count == 1);
	clock_fake(now += 60000);
	put(2, 2);
	put(3, 3);
	WAIT(came_count == 3);
	inbox_tick(inbox);
	put(4, 4);
	WAIT(came_count == 4);
	WAIT(view->complete_ms == now);
	ck_assert_uint_eq(view->unbroken_ms, now);
}
END_TEST

START_TEST(a_lost_connection_breaks_it)
{
	const struct inbox_reading *view = inbox_reading(inbox);

	deals_at_once = true;
	put(1, 1);
	WAIT(came_count == 1 && view->unbroken_ms != UINT64_MAX);
	server_cut_connections();
	WAIT(!inbox_is_ready(inbox));
	ck_assert_uint_eq(view->unbroken_ms, UINT64_MAX);
	WAIT(inbox_is_ready(inbox));
	put(2, 2);
	WAIT(view->unbroken_ms != UINT64_MAX);
}
END_TEST

/* Other pods write their records anew in the meantime. */
START_TEST(after_lost_data_it_is_broken_for_a_while)
{
	const struct inbox_reading *view = inbox_reading(inbox);
	uint64_t now = clock_mono_ms();

	clock_fake(now);
	deals_at_once = true;
	inbox_reread(inbox);
	WAIT(inbox_is_ready(inbox));
	put(1, 1);
	WAIT(came_count == 1 && view->unbroken_ms != UINT64_MAX);
	ck_assert_uint_gt(view->unbroken_ms, now + 10000);
}
END_TEST

START_TEST(a_read_that_failed_is_repeated)
{
	server_do("SET " KEY " text");
	WAIT(inbox_commands_sent(inbox) > 0);
	reconnect();
	inbox_tick(inbox);
	turn();
	server_do("DEL " KEY);
	put(1, 1);
	inbox_tick(inbox);
	WAIT(came_count == 1 || (inbox_tick(inbox), false));
	check_came(1);
}
END_TEST

/* Too much at once -------------------------------------------------------- */

START_TEST(what_cannot_be_dealt_with_waits_in_redis)
{
	for (unsigned i = 1; i <= 3000; i++)
		put(i, i);
	WAIT(came_count > OPEN_MAX);
	for (unsigned i = 0; i < 20; i++) {
		inbox_tick(inbox);
		turn();
	}
	ck_assert_uint_le(came_count, OPEN_MAX + READ_COUNT);
	ck_assert_int_eq(left(), 3000);
	/* From now on no tick is needed to go on. */
	deals_at_once = true;
	for (unsigned i = 1, last = came_count; i <= last; i++)
		done(i);
	WAIT(left() == 0);
	check_came(3000);
}
END_TEST

/* A few are in hand at a time: those of the first read, and what 4 MiB hold. */
START_TEST(what_is_large_waits_in_redis_sooner)
{
	server_do("EVAL %s 1 " KEY,
	    "for i = 1, 100 do redis.call('XADD', KEYS[1], '*', 'call',"
	    " string.format('%%08d%%024d', i, i), 'session', '" SID "',"
	    " 'attempt', '1', 'payload', '{\"id\":' .. i .. ',\"text\":\"' .."
	    " string.rep('x', 524288) .. '\"}') end");
	WAIT(came_count > 0);
	for (unsigned i = 0; i < 20; i++) {
		inbox_tick(inbox);
		turn();
	}
	ck_assert_uint_le(came_count, READ_COUNT_FIRST + 8);
	deals_at_once = true;
	for (unsigned i = 1, last = came_count; i <= last; i++)
		done(i);
	WAIT(left() == 0);
	check_came(100);
}
END_TEST

START_TEST(an_inbox_may_be_freed_with_entries_in_hand)
{
	put(1, 3);
	put(4, 4);
	WAIT(came_count == 4);
	done(1);
	done(4);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("inbox", setup, teardown);

	tcase_add_test(tc, an_entry_stays_until_it_is_dealt_with);
	tcase_add_test(tc, an_entry_stays_until_all_of_it_is_dealt_with);
	tcase_add_test(tc, entries_may_be_dealt_with_in_any_order);
	tcase_add_test(tc, what_waited_before_the_start_is_read);
	tcase_add_test(tc, a_turn_costs_one_deletion);
	tcase_add_test(tc, many_messages_come_in_order_and_once);
	tcase_add_test(tc, malformed_messages_are_deleted);
	tcase_add_test(tc, nothing_is_no_entry);
	tcase_add_test(tc, a_reconnect_brings_nothing_twice);
	tcase_add_test(tc, a_reconnect_brings_what_came_meanwhile);
	tcase_add_test(tc, what_is_done_while_redis_is_away_is_deleted_later);
	tcase_add_test(tc, a_deletion_with_unknown_outcome_is_repeated);
	tcase_add_test(tc, a_deletion_that_did_not_happen_is_repeated);
	tcase_add_test(tc, many_messages_dealt_with_at_once_come_once);
	tcase_add_test(tc, an_inbox_that_redis_lost_goes_on);
	tcase_add_test(tc, a_redis_that_refuses_to_delete_stops_nothing);
	tcase_add_test(tc, an_id_below_those_read_is_read_after_a_flush);
	tcase_add_test(tc, a_deletion_that_finds_nothing_tells_of_a_flush);
	tcase_add_test(tc, an_id_that_is_given_anew_is_read);
	tcase_add_test(tc, reading_to_the_end_is_noted_as_of_the_question);
	tcase_add_test(tc, a_gap_in_reading_breaks_it);
	tcase_add_test(tc, a_lost_connection_breaks_it);
	tcase_add_test(tc, after_lost_data_it_is_broken_for_a_while);
	tcase_add_test(tc, a_read_that_failed_is_repeated);
	tcase_add_test(tc, what_cannot_be_dealt_with_waits_in_redis);
	tcase_add_test(tc, what_is_large_waits_in_redis_sooner);
	tcase_add_test(tc, an_inbox_may_be_freed_with_entries_in_hand);
	return run_cases(tc);
}
