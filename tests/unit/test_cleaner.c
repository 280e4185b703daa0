/* Users' indexes and the clearing away, in a real Redis. */
#include "proxy/cleaner.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/envelope.h"
#include "common/ident.h"
#include "proxy/user_index.h"
#include "tests/unit/support/redis_server.h"
#include "tests/unit/support/suite.h"
#include "tests/unit/support/wait.h"

#define POD "pod-a.0.abcd"
#define USER "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define INDEX "mcp_user_index:{" USER "}"
#define TTL_MS 60000
#define REQUESTS "mcp_requests:{calc}"

static struct redis *commands;
static struct catalog *catalog;
static struct cleaner *cleaner;
static struct user_index *users;
static metric_value stats[STAT_COUNT];

static void
setup(void)
{
	struct cleaner_options options;

	wait_setup();
	server_setup();
	commands = server_connect(NULL);
	catalog = catalog_new(commands, 10);
	users = user_index_new(commands);
	options = (struct cleaner_options){ SLICE(POD), commands, catalog, 0,
		stats };
	cleaner = cleaner_new(&options);
	clock_fake(clock_wall_ms());
}

static void
teardown(void)
{
	redis_free(commands);
	cleaner_free(cleaner);
	user_index_free(users);
	catalog_free(catalog);
	clock_fake(0);
	server_teardown();
	wait_teardown();
}

static void
settle(void)
{
	WAIT(redis_pending_count(commands) == 0);
}

static void
pass_ms(uint64_t ms)
{
	clock_fake(clock_wall_ms() + ms);
}

/* Ticks often enough for the lock, and for one look after it. */
static void
clean(void)
{
	for (unsigned i = 0; i < 3; i++) {
		pass_ms(5000);
		cleaner_tick(cleaner);
		settle();
	}
}

static struct slice
sid_of(char buf[static SID_LEN + 1], unsigned i)
{
	snprintf(buf, SID_LEN + 1, "%032x", i);
	return slice_of(buf, SID_LEN);
}

static void
put(unsigned i, uint64_t epoch)
{
	struct user_session record = { .epoch = epoch,
		.seen_ms = clock_wall_ms() + i };
	char sid[SID_LEN + 1];

	ck_assert(user_index_put(users, SLICE(USER), sid_of(sid, i), &record,
	    TTL_MS));
	settle();
}

static long long
listed(unsigned i)
{
	char sid[SID_LEN + 1];

	sid_of(sid, i);
	return server_int("ZCOUNT " INDEX " -inf +inf") > 0 &&
	    server_text("ZSCORE " INDEX " %s", sid)[0] != '\0';
}

static void
remove_record(unsigned i)
{
	char sid[SID_LEN + 1];

	sid_of(sid, i);
	server_do("DEL mcp_user_session:{" USER "}:%s", sid);
}

/* As if the cleaner had last been there long ago. */
static void
make_due(void)
{
	user_index_tick(users);
	settle();
	server_do("ZADD " ENV_USERS_KEY " 1 " USER);
}

/* The index ------------------------------------------------------------------ */

START_TEST(a_record_is_listed_and_lives_as_long_as_its_session)
{
	put(1, 1);
	user_index_tick(users);
	settle();
	ck_assert(listed(1));
	ck_assert_int_gt(server_int("PTTL " INDEX), 0);
	ck_assert_int_eq(server_int("ZCARD " ENV_USERS_KEY), 1);
	ck_assert_int_gt(server_int("PTTL mcp_user_session:{" USER
	    "}:00000000000000000000000000000001"), 0);
}
END_TEST

static void
drop(uint64_t epoch)
{
	char sid[SID_LEN + 1];

	user_index_drop(users, SLICE(USER), sid_of(sid, 1), epoch);
	settle();
}

START_TEST(an_owner_that_was_replaced_writes_nothing)
{
	put(1, 300);
	put(1, 299);
	drop(299);
	ck_assert(listed(1));
	put(1, 301);
	drop(300);
	ck_assert(listed(1));
	drop(301);
	ck_assert(!listed(1));
	ck_assert_int_eq(server_int("EXISTS mcp_user_session:{" USER
	    "}:00000000000000000000000000000001"), 0);
}
END_TEST

/* What is not a record is replaced like one of nobody. */
START_TEST(a_damaged_record_is_replaced)
{
	server_do("SET mcp_user_session:{" USER
		  "}:00000000000000000000000000000001 x");
	put(1, 1);
	ck_assert_int_gt(server_int("STRLEN mcp_user_session:{" USER
	    "}:00000000000000000000000000000001"), 1);
}
END_TEST

/* Cleaning ------------------------------------------------------------------- */

START_TEST(members_without_a_session_go)
{
	for (unsigned i = 0; i < 250; i++)
		put(i, 1);
	for (unsigned i = 0; i < 250; i++) {
		if (i % 3 != 0)
			remove_record(i);
	}
	make_due();
	clean();
	for (unsigned i = 0; i < 250; i++)
		ck_assert_int_eq(listed(i), i % 3 == 0);
	ck_assert_int_eq(metric_get(&stats[STAT_CLEANED_SESSIONS]), 166);
	/* Due again, but not now. */
	ck_assert_int_gt(strtoll(server_text("ZSCORE " ENV_USERS_KEY " " USER),
	    NULL, 10), (long long)clock_wall_ms());
}
END_TEST

START_TEST(a_user_without_sessions_is_forgotten)
{
	put(1, 1);
	make_due();
	remove_record(1);
	clean();
	ck_assert_int_eq(server_int("ZCARD " ENV_USERS_KEY), 0);
	ck_assert_int_eq(server_int("EXISTS " INDEX), 0);
}
END_TEST

START_TEST(one_that_is_not_due_is_left_alone)
{
	put(1, 1);
	put(2, 1);
	user_index_tick(users);
	remove_record(1);
	clean();
	ck_assert(listed(1));
}
END_TEST

START_TEST(only_who_has_the_lock_cleans)
{
	put(1, 1);
	make_due();
	remove_record(1);
	server_do("SET " ENV_CLEANER_KEY " another-pod");
	clean();
	ck_assert(listed(1));
	server_do("DEL " ENV_CLEANER_KEY);
	clean();
	ck_assert(!listed(1));
	ck_assert_str_eq(server_text("GET " ENV_CLEANER_KEY), POD);
}
END_TEST

/* Consumers ------------------------------------------------------------------ */

static long long
consumers(void)
{
	return (long long)server_count("XINFO CONSUMERS " REQUESTS " "
	    ENV_GROUP);
}

START_TEST(consumers_of_dead_workers_go)
{
	server_do("SADD " ENV_APIS_KEY " calc");
	server_do("XGROUP CREATE " REQUESTS " " ENV_GROUP " 0 MKSTREAM");
	server_do("XGROUP CREATECONSUMER " REQUESTS " " ENV_GROUP " dead");
	server_do("XGROUP CREATECONSUMER " REQUESTS " " ENV_GROUP " alive");
	server_do("XADD " REQUESTS " * a b");
	server_do("XREADGROUP GROUP " ENV_GROUP " owes COUNT 1 STREAMS "
	    REQUESTS " >");
	server_do("ZADD mcp_workers:{calc} %llu alive",
	    (unsigned long long)clock_wall_ms() + 3600000);
	server_do("ZADD mcp_workers:{calc} 1 dead");
	ck_assert_int_eq(consumers(), 3);
	clock_fake(clock_wall_ms() + 1000);
	catalog_tick(catalog);
	settle();
	pass_ms(60000);
	clean();
	ck_assert_int_eq(consumers(), 2);
	ck_assert_int_eq(metric_get(&stats[STAT_CLEANED_CONSUMERS]), 1);
	ck_assert_int_eq(server_int("XGROUP DELCONSUMER " REQUESTS " "
	    ENV_GROUP " dead"), 0);
	ck_assert_int_eq(server_int("XGROUP DELCONSUMER " REQUESTS " "
	    ENV_GROUP " owes"), 1);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("cleaner", setup, teardown);

	tcase_add_test(tc, a_record_is_listed_and_lives_as_long_as_its_session);
	tcase_add_test(tc, an_owner_that_was_replaced_writes_nothing);
	tcase_add_test(tc, a_damaged_record_is_replaced);
	tcase_add_test(tc, members_without_a_session_go);
	tcase_add_test(tc, a_user_without_sessions_is_forgotten);
	tcase_add_test(tc, one_that_is_not_due_is_left_alone);
	tcase_add_test(tc, only_who_has_the_lock_cleans);
	tcase_add_test(tc, consumers_of_dead_workers_go);
	return run_cases(tc);
}
