/* Inboxes that other pods left behind, in a real Redis. */
#include "proxy/sweep.h"

#include <check.h>
#include <stdio.h>

#include "common/clock.h"
#include "tests/unit/support/redis_server.h"
#include "tests/unit/support/suite.h"
#include "tests/unit/support/wait.h"

#define DEAD "pod-dead.0.x"
#define KEY "mcp_replies:{" DEAD "}"
#define LOCK "mcp_sweep:{" DEAD "}"
#define SID "0123456789abcdef0123456789abcdef"
#define IDS_MAX 1024
/* sweep.c's: once dead for so long, nothing can come for a pod any more. */
#define KEEP_MS (15 * 60 * 1000)
#define TICK_MS 2000

static struct redis *commands;
static struct fleet *fleet;
static struct sweeps *sweeps;
static metric_value stats[STAT_COUNT];

/* What was passed on, by the number in its payload, and whom to tell. */
static unsigned came[IDS_MAX];
static unsigned came_count;
static char last_attempt[8];
static session_done_cb *dones[IDS_MAX];
static void *done_args[IDS_MAX];
static bool tells_at_once = true;
static bool holds_sessions;

static void
pass_on(const struct env_message *m, session_done_cb *done, void *done_arg,
    void *arg)
{
	unsigned id;

	ck_assert_ptr_eq(arg, &sweeps);
	ck_assert_int_eq(sscanf(m->payload.p, "{\"id\":%u}", &id), 1);
	ck_assert_uint_lt(id, IDS_MAX);
	snprintf(last_attempt, sizeof(last_attempt), "%.*s",
	    SLICE_ARG(m->attempt));
	came[id]++;
	came_count++;
	dones[id] = done;
	done_args[id] = done_arg;
	if (tells_at_once)
		done(done_arg);
}

static bool
is_here(struct slice session, void *arg)
{
	ck_assert_ptr_eq(arg, &sweeps);
	ck_assert(slice_eq_str(session, SID));
	return holds_sessions;
}

static void
setup(void)
{
	struct sweep_options options = { .pod = SLICE("pod-a.0.y"),
		.stats = stats, .pass_on = pass_on, .is_here = is_here,
		.arg = &sweeps };

	wait_setup();
	server_setup();
	clock_fake(clock_mono_ms());
	options.commands = commands = server_connect(NULL);
	options.fleet = fleet = fleet_new(commands);
	sweeps = sweeps_new(&options);
}

static void
teardown(void)
{
	redis_free(commands);
	sweeps_free(sweeps);
	fleet_free(fleet);
	server_teardown();
	wait_teardown();
}

/* Two seconds go by, and everybody does what is due. */
static void
tick(void)
{
	clock_fake(clock_mono_ms() + TICK_MS);
	fleet_tick(fleet);
	WAIT(redis_pending_count(commands) == 0);
	sweeps_tick(sweeps);
	WAIT(redis_pending_count(commands) == 0);
}

/* It stopped in order, which makes it dead at once. */
static void
leave(void)
{
	server_do("ZADD mcp_pods 0 " DEAD);
}

/* Puts an entry with messages first to last into the inbox. */
static void
put(unsigned first, unsigned last)
{
	struct strbuf command = STRBUF_INIT(1 << 16);

	strbuf_add_str(&command, "XADD " KEY " *");
	for (unsigned i = first; i <= last; i++)
		strbuf_addf(&command, " call %032u session " SID
		    " attempt 1 payload {\"id\":%u}", i, i);
	server_do(strbuf_str(&command));
	strbuf_release(&command);
}

static long long
left(void)
{
	return server_int("XLEN " KEY);
}

static void
check_came(unsigned last)
{
	for (unsigned i = 1; i <= last; i++)
		ck_assert_msg(came[i] == 1, "%u came %u times", i, came[i]);
	ck_assert_uint_eq(came_count, last);
}

/* Sweeping ---------------------------------------------------------------- */

START_TEST(a_dead_pods_inbox_is_emptied)
{
	leave();
	for (unsigned i = 0; i < 50; i++)
		put(i * 10 + 1, i * 10 + 10);
	for (unsigned i = 0; i < 5; i++)
		tick();
	ck_assert_int_eq(left(), 0);
	check_came(500);
	ck_assert_str_eq(last_attempt, "2");
	ck_assert_str_eq(server_text("GET " LOCK), "pod-a.0.y");
	ck_assert_int_eq(metric_get(&stats[STAT_SWEPT_ENTRIES]), 50);
}
END_TEST

START_TEST(late_answers_are_swept_too)
{
	leave();
	tick();
	tick();
	put(1, 1);
	tick();
	tick();
	check_came(1);
	ck_assert_int_eq(left(), 0);
}
END_TEST

START_TEST(an_entry_stays_until_the_fate_of_all_of_it_is_known)
{
	leave();
	tells_at_once = false;
	put(1, 2);
	tick();
	tick();
	tick();
	check_came(2);
	dones[2](done_args[2]);
	tick();
	ck_assert_int_eq(left(), 1);
	check_came(2);
	dones[1](done_args[1]);
	WAIT(left() == 0);
	tick();
	check_came(2);
}
END_TEST

START_TEST(a_living_pods_inbox_is_left_alone)
{
	put(1, 1);
	for (unsigned i = 0; i < 20; i++) {
		server_do("ZADD mcp_pods %u " DEAD, i + 1);
		tick();
	}
	ck_assert_uint_eq(came_count, 0);
	/* It falls silent. */
	for (unsigned i = 0; i < 10; i++)
		tick();
	check_came(1);
	ck_assert_int_eq(left(), 0);
}
END_TEST

START_TEST(one_pod_sweeps)
{
	server_do("SET " LOCK " pod-b.0.z");
	leave();
	put(1, 1);
	for (unsigned i = 0; i < 5; i++)
		tick();
	ck_assert_uint_eq(came_count, 0);
	ck_assert_int_eq(left(), 1);
	server_do("DEL " LOCK);
	tick();
	tick();
	check_came(1);
}
END_TEST

/* A notice was for the dead; what is malformed is for nobody. */
START_TEST(a_loop_that_stops_leaves_sweeping_to_others)
{
	leave();
	tick();
	ck_assert_str_eq(server_text("GET " LOCK), "pod-a.0.y");
	sweeps_leave(sweeps);
	WAIT(redis_pending_count(commands) == 0);
	ck_assert_int_eq(server_int("EXISTS " LOCK), 0);
	put(1, 3);
	for (unsigned i = 0; i < 5; i++)
		tick();
	ck_assert_int_eq(left(), 1);
	ck_assert_uint_eq(came_count, 0);
	ck_assert_int_eq(server_int("EXISTS " LOCK), 0);
}
END_TEST

START_TEST(somebody_elses_lock_is_left_to_them)
{
	server_do("SET " LOCK " pod-b.0.x");
	leave();
	tick();
	sweeps_leave(sweeps);
	WAIT(redis_pending_count(commands) == 0);
	ck_assert_str_eq(server_text("GET " LOCK), "pod-b.0.x");
}
END_TEST

START_TEST(what_concerns_no_client_is_deleted)
{
	leave();
	server_do("XADD " KEY " * call taken_over session " SID
		  " attempt 1 payload 7");
	server_do("XADD " KEY " * foo bar");
	tick();
	tick();
	ck_assert_uint_eq(came_count, 0);
	ck_assert_int_eq(left(), 0);
}
END_TEST

START_TEST(a_deletion_that_failed_brings_the_entry_again)
{
	leave();
	put(1, 1);
	server_do("ACL SETUSER default -xdel");
	tick();
	tick();
	ck_assert_uint_eq(came_count, 1);
	server_do("ACL SETUSER default +xdel");
	tick();
	tick();
	tick();
	ck_assert_int_eq(left(), 0);
	/* Marked as a repeat, so that whoever has had it drops it. */
	ck_assert_uint_ge(came[1], 2);
}
END_TEST

START_TEST(in_the_end_the_pod_is_forgotten)
{
	leave();
	put(1, 1);
	tick();
	tick();
	for (unsigned i = 0; i < KEEP_MS / TICK_MS + 5; i++)
		tick();
	ck_assert_int_eq(server_int("ZCARD mcp_pods"), 0);
	ck_assert_int_eq(server_int("EXISTS " LOCK), 0);
	ck_assert_int_gt(server_int("PTTL " KEY), 0);
}
END_TEST

/* Watching ---------------------------------------------------------------- */

static void
watch(void)
{
	sweeps_watch(sweeps, SLICE(DEAD));
	WAIT(redis_pending_count(commands) == 0);
}

START_TEST(a_watch_delivers_and_deletes_nothing)
{
	holds_sessions = true;
	put(1, 3);
	watch();
	put(4, 4);
	tick();
	tick();
	check_came(4);
	ck_assert_str_eq(last_attempt, "2");
	ck_assert_int_eq(left(), 2);
	WAIT(server_int("SCARD mcp_taken:{" DEAD "}") == 4);
	ck_assert_int_gt(server_int("PTTL mcp_taken:{" DEAD "}"), 0);
}
END_TEST

START_TEST(a_watch_is_for_our_own_sessions)
{
	put(1, 3);
	watch();
	tick();
	ck_assert_uint_eq(came_count, 0);
	ck_assert_int_eq(left(), 1);
}
END_TEST

START_TEST(what_was_watched_is_not_swept_again)
{
	holds_sessions = true;
	put(1, 2);
	watch();
	WAIT(server_int("SCARD mcp_taken:{" DEAD "}") == 2);
	put(3, 3);
	holds_sessions = false;
	leave();
	for (unsigned i = 0; i < 5; i++)
		tick();
	ck_assert_int_eq(left(), 0);
	check_came(3);
}
END_TEST

START_TEST(a_pod_that_beats_is_watched_no_longer)
{
	holds_sessions = true;
	server_do("ZADD mcp_pods 1 " DEAD);
	tick();
	watch();
	for (unsigned i = 2; i < 6; i++) {
		server_do("ZADD mcp_pods %u " DEAD, i);
		tick();
	}
	put(1, 1);
	tick();
	tick();
	ck_assert_uint_eq(came_count, 0);
	ck_assert_int_eq(left(), 1);
}
END_TEST

START_TEST(our_own_inbox_is_not_watched)
{
	uint64_t before = redis_commands_sent(commands);

	sweeps_watch(sweeps, SLICE("pod-a.0.y"));
	sweeps_watch(sweeps, SLICE(""));
	ck_assert_uint_eq(redis_commands_sent(commands), before);
}
END_TEST

/* The end ------------------------------------------------------------------ */

START_TEST(what_is_told_after_the_end_has_no_effect)
{
	tells_at_once = false;
	holds_sessions = true;
	put(1, 1);
	watch();
	ck_assert_uint_eq(came_count, 1);
	redis_free(commands);
	sweeps_free(sweeps);
	dones[1](done_args[1]);
	commands = server_connect(NULL);
	sweeps = sweeps_new(&(struct sweep_options){ .commands = commands,
		.fleet = fleet });
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("sweep", setup, teardown);

	tcase_add_test(tc, a_dead_pods_inbox_is_emptied);
	tcase_add_test(tc, late_answers_are_swept_too);
	tcase_add_test(tc, an_entry_stays_until_the_fate_of_all_of_it_is_known);
	tcase_add_test(tc, a_living_pods_inbox_is_left_alone);
	tcase_add_test(tc, one_pod_sweeps);
	tcase_add_test(tc, a_loop_that_stops_leaves_sweeping_to_others);
	tcase_add_test(tc, somebody_elses_lock_is_left_to_them);
	tcase_add_test(tc, what_concerns_no_client_is_deleted);
	tcase_add_test(tc, a_deletion_that_failed_brings_the_entry_again);
	tcase_add_test(tc, in_the_end_the_pod_is_forgotten);
	tcase_add_test(tc, a_watch_delivers_and_deletes_nothing);
	tcase_add_test(tc, a_watch_is_for_our_own_sessions);
	tcase_add_test(tc, what_was_watched_is_not_swept_again);
	tcase_add_test(tc, a_pod_that_beats_is_watched_no_longer);
	tcase_add_test(tc, our_own_inbox_is_not_watched);
	tcase_add_test(tc, what_is_told_after_the_end_has_no_effect);
	return run_cases(tc);
}
