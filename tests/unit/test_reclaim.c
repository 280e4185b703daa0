/* Taking over what other workers left to rest, on a real Redis. */
#include "worker/runtime/reclaim.h"

#include <check.h>
#include <stdio.h>

#include "tests/unit/support/redis_server.h"
#include "tests/unit/support/suite.h"
#include "tests/unit/support/wait.h"

#define KEY "mcp_requests:{test}"
#define IDLE_MS 400

static struct redis *redis;
static struct reclaim *reclaim;
static struct reclaim_appetite wanted;
static unsigned asked, taken, looked, most, ungrouped, deliveries;
static bool waiting;
static char last_worker[64];

static struct reclaim_appetite
appetite(void *arg UNUSED)
{
	asked++;
	return wanted;
}

static void
on_entry(const struct arrival *arrival, void *arg UNUSED)
{
	taken++;
	deliveries = arrival->deliveries;
	snprintf(last_worker, sizeof(last_worker), "%.*s",
	    SLICE_ARG(arrival->last_worker));
	ck_assert(slice_eq_str(env_field(arrival->entry.fields, "call"), "c"));
	ck_assert_uint_gt(arrival->held_ms, 0);
}

static void
on_looked(bool any, void *arg UNUSED)
{
	static unsigned before;

	if (looked++ == 0)
		before = 0;
	if (taken - before > most)
		most = taken - before;
	before = taken;
	waiting = any;
}

static void
on_ungrouped(void *arg UNUSED)
{
	ungrouped++;
}

static void
setup(void)
{
	wait_setup();
	server_setup();
	server_do("XGROUP CREATE " KEY " workers 0 MKSTREAM");
	redis = server_connect(NULL);
	asked = taken = looked = most = ungrouped = deliveries = 0;
	wanted = (struct reclaim_appetite){ .count = 10, .last_chance = true };
	reclaim = reclaim_new(&(struct reclaim_options){ .base = base,
		.commands = redis, .requests_key = SLICE(KEY),
		.worker = SLICE("me"), .idle_ms = IDLE_MS,
		.appetite = appetite, .on_entry = on_entry,
		.on_looked = on_looked,
		.on_ungrouped = on_ungrouped });
}

static void
teardown(void)
{
	redis_free(redis);
	reclaim_free(reclaim);
	server_teardown();
	wait_teardown();
}

/* Entries that consumer was given that often, and that have rested since. */
static void
give(const char *consumer, unsigned n, unsigned times)
{
	for (unsigned i = 0; i < n; i++) {
		server_do("XADD " KEY " * call c");
		server_do("XREADGROUP GROUP workers %s STREAMS " KEY " >",
		    consumer);
	}
	for (unsigned i = 1; i < times; i++)
		server_do("XREADGROUP GROUP workers %s STREAMS " KEY " 0",
		    consumer);
}

static size_t
pending(const char *consumer)
{
	return server_count("XPENDING " KEY " workers - + 99 %s", consumer);
}

START_TEST(takes_what_has_rested)
{
	give("dead", 3, 1);
	reclaim_on_ready(reclaim);
	WAIT(asked > 0);
	ck_assert_uint_eq(taken, 0);
	WAIT(taken == 3);
	ck_assert_uint_eq(deliveries, 2);
	ck_assert_str_eq(last_worker, "dead");
	ck_assert_uint_eq(pending("me"), 3);
	/* It had nothing else. */
	ck_assert_uint_eq(server_count("XINFO CONSUMERS " KEY " workers"), 1);
}
END_TEST

START_TEST(leaves_its_own)
{
	give("me", 2, 1);
	give("dead", 1, 1);
	reclaim_on_ready(reclaim);
	WAIT(taken == 1);
	asked = 0;
	WAIT(asked == 3);
	ck_assert_uint_eq(taken, 1);
}
END_TEST

START_TEST(takes_a_few_at_a_time)
{
	give("dead", 40, 1);
	wanted.count = 64;
	reclaim_on_ready(reclaim);
	WAIT(taken == 40);
	ck_assert_uint_le(most, 3);
	ck_assert_uint_eq(pending("me"), 40);
}
END_TEST

START_TEST(takes_no_more_than_wanted)
{
	give("dead", 5, RECLAIM_ATTEMPTS_MAX);
	wanted.count = 2;
	reclaim_on_ready(reclaim);
	WAIT(taken == 5);
	ck_assert_uint_eq(most, 2);
	give("dead", 5, 1);
	wanted.count = 0;
	asked = 0;
	WAIT(asked == 5);
	ck_assert_uint_eq(taken, 5);
}
END_TEST

START_TEST(last_chances_come_singly)
{
	give("dead", 3, RECLAIM_ATTEMPTS_MAX - 1);
	wanted.last_chance = false;
	reclaim_on_ready(reclaim);
	WAIT(looked > 0 && waiting);
	ck_assert_uint_eq(taken, 0);
	wanted.last_chance = true;
	reclaim_hurry(reclaim);
	WAIT(taken == 3);
	ck_assert_uint_eq(deliveries, RECLAIM_ATTEMPTS_MAX);
	ck_assert_uint_eq(most, 1);
	looked = 0;
	WAIT(looked > 0 && !waiting);
}
END_TEST

START_TEST(others_wait_for_last_chances)
{
	give("dead", 1, 1);
	give("late", 1, RECLAIM_ATTEMPTS_MAX - 1);
	wanted.last_chance = false;
	reclaim_on_ready(reclaim);
	WAIT(looked > 0 && waiting);
	looked = 0;
	WAIT(looked == 2);
	ck_assert_uint_eq(taken, 0);
	wanted.last_chance = true;
	WAIT(taken == 2);
	ck_assert_uint_eq(deliveries, 2);
}
END_TEST

START_TEST(those_to_be_given_up_come_first)
{
	give("dead", 1, 1);
	give("late", 1, RECLAIM_ATTEMPTS_MAX - 1);
	give("gone", 3, RECLAIM_ATTEMPTS_MAX);
	wanted.last_chance = false;
	reclaim_on_ready(reclaim);
	WAIT(taken == 3);
	ck_assert_uint_eq(most, 3);
	ck_assert_uint_eq(deliveries, RECLAIM_ATTEMPTS_MAX + 1);
	looked = 0;
	WAIT(looked == 2);
	ck_assert_uint_eq(taken, 3);
}
END_TEST

START_TEST(waits_after_a_lost_connection)
{
	give("slow", 1, 1);
	reclaim_on_ready(reclaim);
	WAIT(asked > 0);
	/* All connections were lost: its owner renews it within the time. */
	reclaim_on_ready(reclaim);
	asked = 0;
	WAIT(asked > 0 || server_count("XPENDING " KEY
	    " workers IDLE %d - + 9", IDLE_MS + IDLE_MS / 2) > 0);
	ck_assert_uint_eq(taken, 0);
	WAIT(taken == 1);
}
END_TEST

START_TEST(waits_after_writes_were_refused)
{
	give("slow", 1, 1);
	server_do("CONFIG SET min-replicas-to-write 1");
	reclaim_on_ready(reclaim);
	WAIT(redis_is_refusing(redis));
	WAIT(server_count("XPENDING " KEY " workers IDLE %d - + 9",
	    2 * IDLE_MS) > 0);
	server_do("CONFIG SET min-replicas-to-write 0");
	/* Its owner renews it within the time. */
	asked = 0;
	WAIT(asked > 0 || server_count("XPENDING " KEY
	    " workers IDLE %d - + 9", 2 * IDLE_MS + IDLE_MS / 2) > 0);
	ck_assert_uint_eq(taken, 0);
	WAIT(taken == 1);
}
END_TEST

START_TEST(says_that_the_group_is_gone)
{
	server_do("XGROUP DESTROY " KEY " workers");
	reclaim_on_ready(reclaim);
	WAIT(ungrouped > 0);
}
END_TEST

START_TEST(stops)
{
	reclaim_on_ready(reclaim);
	reclaim_stop(reclaim);
	reclaim_on_ready(reclaim);
	reclaim_hurry(reclaim);
	give("dead", 1, 1);
	WAIT(server_count("XPENDING " KEY " workers IDLE %d - + 9",
	    2 * IDLE_MS) > 0);
	ck_assert_uint_eq(asked + taken, 0);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("reclaim", setup, teardown);

	tcase_add_test(tc, takes_what_has_rested);
	tcase_add_test(tc, leaves_its_own);
	tcase_add_test(tc, takes_a_few_at_a_time);
	tcase_add_test(tc, takes_no_more_than_wanted);
	tcase_add_test(tc, last_chances_come_singly);
	tcase_add_test(tc, others_wait_for_last_chances);
	tcase_add_test(tc, those_to_be_given_up_come_first);
	tcase_add_test(tc, waits_after_a_lost_connection);
	tcase_add_test(tc, waits_after_writes_were_refused);
	tcase_add_test(tc, says_that_the_group_is_gone);
	tcase_add_test(tc, stops);
	return run_cases(tc);
}
