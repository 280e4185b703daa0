/* All pods as one loop sees them, from the index in a real Redis. */
#include "proxy/fleet.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "tests/unit/support/redis_server.h"
#include "tests/unit/support/suite.h"
#include "tests/unit/support/wait.h"

/* fleet.c's */
#define READ_EVERY_MS 1000
#define READ_GAP_MS 3000

static struct redis *commands;
static struct fleet *fleet;
static char dead[256];

static void
setup(void)
{
	wait_setup();
	server_setup();
	clock_fake(1000000);
	commands = server_connect(NULL);
	fleet = fleet_new(commands);
	dead[0] = '\0';
}

static void
teardown(void)
{
	redis_free(commands);
	fleet_free(fleet);
	server_teardown();
	wait_teardown();
}

/* Lets time pass, and reads the index at its end. */
static void
look_after(unsigned ms)
{
	clock_fake(clock_mono_ms() + ms);
	fleet_tick(fleet);
	WAIT(redis_pending_count(commands) == 0);
}

static void
look(void)
{
	look_after(READ_EVERY_MS);
}

/* Reads the index for as long. */
static void
look_for(unsigned ms)
{
	for (unsigned passed = 0; passed < ms; passed += READ_EVERY_MS)
		look();
}

static const struct fleet_pod *
find(const char *name)
{
	return fleet_find(fleet, slice_str(name));
}

static void
beat(const char *name, const char *score)
{
	server_do("ZADD mcp_pods %s %s", score, name);
}

START_TEST(a_pod_is_known_once_it_was_read)
{
	beat("pod-a", "100");
	ck_assert_ptr_null(find("pod-a"));
	look();
	ck_assert_ptr_nonnull(find("pod-a"));
	ck_assert_str_eq(find("pod-a")->name, "pod-a");
	ck_assert_uint_eq(find("pod-a")->moves, 0);
	ck_assert(!find("pod-a")->left);
	ck_assert_ptr_null(find("pod-b"));
	ck_assert_ptr_null(find(""));
}
END_TEST

START_TEST(a_pod_that_beats_is_not_silent)
{
	const struct fleet_pod *pod;

	beat("pod-a", "100");
	look();
	pod = find("pod-a");
	look_after(3000);
	ck_assert_uint_eq(fleet_silent_ms(pod), 3000);
	beat("pod-a", "101");
	look();
	ck_assert_ptr_eq(find("pod-a"), pod);
	ck_assert_uint_eq(fleet_silent_ms(pod), 0);
	ck_assert_uint_eq(pod->moves, 1);
}
END_TEST

/* What counts is that a score moves, not which wall clock it came from. */
START_TEST(a_wall_clock_says_nothing)
{
	beat("behind", "1");
	beat("ahead", "99999999999999");
	look();
	ck_assert(!fleet_is_dead(find("behind")));
	look_for(ENV_HEARTBEAT_TTL_MS - READ_EVERY_MS);
	ck_assert(!fleet_is_dead(find("behind")));
	ck_assert(!fleet_is_dead(find("ahead")));
	beat("behind", "2");
	look();
	ck_assert(!fleet_is_dead(find("behind")));
	ck_assert(fleet_is_dead(find("ahead")));
}
END_TEST

START_TEST(a_pod_that_stops_in_order_has_left_at_once)
{
	beat("pod-a", "100");
	look();
	beat("pod-a", "0");
	look();
	ck_assert(find("pod-a")->left);
	ck_assert(fleet_is_dead(find("pod-a")));
	ck_assert_uint_eq(fleet_silent_ms(find("pod-a")), 0);
	/* The same name again is another life. */
	beat("pod-a", "200");
	look();
	ck_assert(!fleet_is_dead(find("pod-a")));
}
END_TEST

static void
note_dead(const struct fleet_pod *pod, void *arg)
{
	size_t n = strlen(dead);

	ck_assert_ptr_eq(arg, &fleet);
	ck_assert_int_lt(snprintf(dead + n, sizeof(dead) - n, "%s ", pod->name),
	    sizeof(dead) - n);
	fleet_remove(fleet, slice_str(pod->name));
}

START_TEST(the_dead_are_told_and_may_be_removed_then)
{
	beat("a", "0");
	beat("b", "100");
	beat("c", "0");
	look();
	fleet_each_dead(fleet, note_dead, &fleet);
	ck_assert_str_eq(dead, "a c ");
	ck_assert_ptr_null(find("a"));
	ck_assert_ptr_nonnull(find("b"));
	WAIT(redis_pending_count(commands) == 0);
	ck_assert_int_eq(server_int("ZCARD mcp_pods"), 1);
	look();
	ck_assert_ptr_null(find("a"));
	dead[0] = '\0';
	fleet_each_dead(fleet, note_dead, &fleet);
	ck_assert_str_eq(dead, "");
}
END_TEST

START_TEST(who_is_not_in_the_index_is_forgotten)
{
	beat("a", "100");
	beat("b", "100");
	look();
	server_do("ZREM mcp_pods a");
	look();
	ck_assert_ptr_null(find("a"));
	ck_assert_ptr_nonnull(find("b"));
}
END_TEST

START_TEST(it_reads_once_a_second)
{
	uint64_t before;

	look();
	before = redis_commands_sent(commands);
	for (unsigned i = 0; i < 9; i++)
		look_after(READ_EVERY_MS / 10);
	ck_assert_uint_eq(redis_commands_sent(commands), before);
	look_after(READ_EVERY_MS / 10);
	ck_assert_uint_eq(redis_commands_sent(commands), before + 1);
}
END_TEST

START_TEST(one_reading_at_a_time)
{
	uint64_t before;

	look();
	before = redis_commands_sent(commands);
	for (unsigned i = 0; i < 3; i++) {
		clock_fake(clock_mono_ms() + READ_EVERY_MS);
		fleet_tick(fleet);
	}
	ck_assert_uint_eq(redis_commands_sent(commands), before + 1);
}
END_TEST

START_TEST(what_is_known_stays_while_there_is_no_answer)
{
	beat("a", "100");
	look();
	server_do("DEL mcp_pods");
	server_do("SET mcp_pods x");
	look();
	ck_assert_ptr_nonnull(find("a"));
	server_freeze();
	clock_fake(clock_mono_ms() + READ_EVERY_MS);
	fleet_tick(fleet);
	server_thaw_and_cut();
	WAIT(redis_pending_count(commands) == 0);
	ck_assert_ptr_nonnull(find("a"));
}
END_TEST

/* Pods come back to a Redis that was away one by one: none is dead for it. */
START_TEST(what_nobody_could_hear_is_no_silence)
{
	beat("a", "100");
	look();
	look_after(ENV_HEARTBEAT_TTL_MS);
	ck_assert(!fleet_is_dead(find("a")));
	look_for(ENV_HEARTBEAT_TTL_MS - READ_GAP_MS - READ_EVERY_MS);
	ck_assert(!fleet_is_dead(find("a")));
	look();
	ck_assert(fleet_is_dead(find("a")));
}
END_TEST

START_TEST(who_cannot_beat_is_not_silent)
{
	beat("a", "100");
	look();
	for (unsigned i = 0; i < 30; i++) {
		fleet_excuse(fleet);
		look();
	}
	ck_assert_uint_eq(fleet_silent_ms(find("a")), 0);
	look();
	ck_assert_uint_eq(fleet_silent_ms(find("a")), READ_EVERY_MS);
}
END_TEST

START_TEST(names_that_no_pod_has_are_passed_over)
{
	char name[POD_NAME_MAX + 2] = "";

	memset(name, 'p', POD_NAME_MAX);
	beat(name, "100");
	name[POD_NAME_MAX] = 'p';
	beat(name, "100");
	server_do("ZADD mcp_pods 100 %b", "", (size_t)0);
	look();
	ck_assert_ptr_null(find(name));
	name[POD_NAME_MAX] = '\0';
	ck_assert_ptr_nonnull(find(name));
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("fleet", setup, teardown);

	tcase_add_test(tc, a_pod_is_known_once_it_was_read);
	tcase_add_test(tc, a_pod_that_beats_is_not_silent);
	tcase_add_test(tc, a_wall_clock_says_nothing);
	tcase_add_test(tc, a_pod_that_stops_in_order_has_left_at_once);
	tcase_add_test(tc, the_dead_are_told_and_may_be_removed_then);
	tcase_add_test(tc, who_is_not_in_the_index_is_forgotten);
	tcase_add_test(tc, it_reads_once_a_second);
	tcase_add_test(tc, one_reading_at_a_time);
	tcase_add_test(tc, what_is_known_stays_while_there_is_no_answer);
	tcase_add_test(tc, what_nobody_could_hear_is_no_silence);
	tcase_add_test(tc, who_cannot_beat_is_not_silent);
	tcase_add_test(tc, names_that_no_pod_has_are_passed_over);
	return run_cases(tc);
}
