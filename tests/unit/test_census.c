/* The counters of sessions in a real Redis. */
#include "proxy/census.h"

#include <check.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/envelope.h"
#include "tests/unit/support/redis_server.h"
#include "tests/unit/support/suite.h"
#include "tests/unit/support/wait.h"

#define POD "pod-a.0.abcd"
#define HGET "HGET mcp_census:{" POD "} "
#define WINDOW_MS 300000
#define MINUTE_MS 60000ull

static struct redis *commands;
static struct census *census;

static void
setup(void)
{
	wait_setup();
	server_setup();
	commands = server_connect(NULL);
	clock_fake(clock_wall_ms());
	census = census_new(commands, SLICE(POD), WINDOW_MS);
}

static void
teardown(void)
{
	redis_free(commands);
	census_free(census);
	clock_fake(0);
	server_teardown();
	wait_teardown();
}

static void
pass_ms(uint64_t ms)
{
	clock_fake(clock_wall_ms() + ms);
}

/* What is counted by now is in Redis afterwards. */
static void
publish(void)
{
	pass_ms(CENSUS_PUBLISH_MS);
	census_tick(census);
	WAIT(redis_pending_count(commands) == 0);
}

static struct census_entry
entry(const char *kind, const char *api)
{
	return (struct census_entry){ .user_kind = slice_str(kind),
		.api = slice_str(api), .transport = SLICE("sse"),
		.client = SLICE("test") };
}

START_TEST(who_is_here_is_published)
{
	struct census_entry a = entry("jwt", "calc"), b = entry("jwt", ""),
	    c = entry("key", "calc");

	census_enter(census, &a, clock_wall_ms());
	census_enter(census, &b, clock_wall_ms());
	census_enter(census, &c, clock_wall_ms());
	census_exit(census, &c);
	publish();
	ck_assert_str_eq(server_text(HGET "sessions:all"), "2");
	ck_assert_str_eq(server_text(HGET "user:jwt"), "2");
	ck_assert_str_eq(server_text(HGET "user:key"), "");
	ck_assert_str_eq(server_text(HGET "api:calc"), "1");
	ck_assert_str_eq(server_text(HGET "api:(all)"), "1");
	ck_assert_str_eq(server_text(HGET "client:test"), "2");
	ck_assert_int_gt(server_int("PTTL mcp_census:{" POD "}"), 0);
	census_exit(census, &a);
	publish();
	ck_assert_str_eq(server_text(HGET "sessions:all"), "1");
	ck_assert_str_eq(server_text(HGET "api:calc"), "");
	census_exit(census, &b);
	publish();
	ck_assert_int_eq(server_int("EXISTS mcp_census:{" POD "}"), 0);
}
END_TEST

static const struct {
	uint64_t minutes;
	const char *age;
} ages[] = {
	{ 0, "under_1m" },
	{ 1, "1m_to_10m" },
	{ 9, "1m_to_10m" },
	{ 10, "10m_to_1h" },
	{ 59, "10m_to_1h" },
	{ 60, "1h_to_6h" },
	{ 360, "6h_to_24h" },
	{ 1439, "6h_to_24h" },
	{ 1440, "over_24h" },
	{ 100000, "over_24h" },
};

static const char *
age_count(const char *age)
{
	return server_text(HGET "age:%s", age);
}

/* Sessions grow older without anybody touching them, and leave at any age. */
START_TEST(sessions_grow_older)
{
	struct census_entry e = entry("jwt", "calc");
	uint64_t start = clock_wall_ms() / MINUTE_MS * MINUTE_MS;

	clock_fake(start);
	census_enter(census, &e, start);
	clock_fake(start + ages[_i].minutes * MINUTE_MS);
	publish();
	ck_assert_str_eq(age_count(ages[_i].age), "1");
	for (size_t i = 0; i < ARRAY_LEN(ages); i++) {
		if (strcmp(ages[i].age, ages[_i].age) != 0)
			ck_assert_str_eq(age_count(ages[i].age), "");
	}
	census_exit(census, &e);
	publish();
	ck_assert_int_eq(server_int("EXISTS mcp_census:{" POD "}"), 0);
}
END_TEST

START_TEST(one_that_came_back_has_its_age)
{
	struct census_entry e = entry("jwt", "calc");

	clock_fake(clock_wall_ms() / MINUTE_MS * MINUTE_MS + MINUTE_MS);
	census_enter(census, &e, clock_wall_ms() - ages[_i].minutes * MINUTE_MS);
	publish();
	ck_assert_str_eq(age_count(ages[_i].age), "1");
	census_exit(census, &e);
	publish();
	ck_assert_int_eq(server_int("EXISTS mcp_census:{" POD "}"), 0);
}
END_TEST

/* A clock ahead of ours does not make it count for ever. */
START_TEST(one_from_the_future_is_young)
{
	struct census_entry e = entry("jwt", "calc");

	census_enter(census, &e, clock_wall_ms() + 100 * MINUTE_MS);
	publish();
	pass_ms(5 * MINUTE_MS);
	census_exit(census, &e);
	publish();
	ck_assert_int_eq(server_int("EXISTS mcp_census:{" POD "}"), 0);
}
END_TEST

static const char *
waiting(uint64_t until, const char *field)
{
	return server_text("HGET mcp_detached:{%llu} %s",
	    (unsigned long long)until, field);
}

START_TEST(those_that_wait_are_counted_until_they_go)
{
	struct census_entry e = entry("jwt", "calc");
	uint64_t now = clock_wall_ms(), until, other;

	e.born_minute = (uint32_t)(now / MINUTE_MS);
	until = census_detached(census, &e, now, now + WINDOW_MS);
	other = census_detached(census, &e, now, now + WINDOW_MS);
	ck_assert_uint_gt(until, now + WINDOW_MS);
	ck_assert_uint_le(until, now + WINDOW_MS + WINDOW_MS / 32);
	ck_assert_uint_eq(until, other);
	publish();
	ck_assert_str_eq(waiting(until, "sessions:all"), "2");
	ck_assert_str_eq(waiting(until, "api:calc"), "2");
	ck_assert_str_eq(waiting(until, "age:under_1m"), "2");
	ck_assert_int_eq(server_int("ZCARD mcp_detached"), 1);
	ck_assert_int_gt(server_int("PTTL mcp_detached:{%llu}",
	    (unsigned long long)until), WINDOW_MS / 2);
	census_returned(census, &e, now, until);
	publish();
	ck_assert_str_eq(waiting(until, "sessions:all"), "1");
	census_returned(census, &e, now, until);
	publish();
	ck_assert_str_eq(waiting(until, "sessions:all"), "");
	/* Counted out once more than in: nothing is below nothing. */
	census_returned(census, &e, now, until);
	publish();
	ck_assert_str_eq(waiting(until, "sessions:all"), "");
}
END_TEST

START_TEST(the_list_of_times_is_trimmed)
{
	struct census_entry e = entry("jwt", "calc");

	server_do("ZADD mcp_detached 1 1");
	census_detached(census, &e, clock_wall_ms(),
	    clock_wall_ms() + WINDOW_MS);
	publish();
	ck_assert_int_eq(server_int("ZCARD mcp_detached"), 1);
	ck_assert_int_eq(server_int("ZCOUNT mcp_detached 1 1"), 0);
}
END_TEST

static long long
history(const char *field)
{
	return strtoll(server_text("HGET mcp_history:{%llu} %s",
	    (unsigned long long)census_hour(clock_wall_ms()), field), NULL, 10);
}

START_TEST(the_history_adds_up)
{
	census_note(census, "ended", "unused");
	census_note(census, "ended", "unused");
	census_note(census, "opened", "all");
	publish();
	census_note(census, "ended", "unused");
	publish();
	ck_assert_int_eq(history("ended:unused"), 3);
	ck_assert_int_eq(history("opened:all"), 1);
}
END_TEST

/* Until then it is kept here. */
START_TEST(changes_wait_for_redis)
{
	server_freeze();
	server_thaw_and_cut();
	WAIT(!redis_is_ready(commands));
	census_note(census, "opened", "all");
	census_tick(census);
	clock_fake(0);
	WAIT(redis_is_ready(commands));
	clock_fake(clock_wall_ms());
	publish();
	ck_assert_int_eq(history("opened:all"), 1);
}
END_TEST

START_TEST(leaving_takes_the_counters_back)
{
	struct census_entry e = entry("jwt", "calc");

	census_enter(census, &e, clock_wall_ms());
	publish();
	census_exit(census, &e);
	census_note(census, "ended", "shutdown");
	census_leave(census);
	WAIT(redis_pending_count(commands) == 0);
	ck_assert_int_eq(server_int("EXISTS mcp_census:{" POD "}"), 0);
	ck_assert_int_eq(history("ended:shutdown"), 1);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("census", setup, teardown);

	tcase_add_test(tc, who_is_here_is_published);
	tcase_add_loop_test(tc, sessions_grow_older, 0, (int)ARRAY_LEN(ages));
	tcase_add_loop_test(tc, one_that_came_back_has_its_age, 0,
	    (int)ARRAY_LEN(ages));
	tcase_add_test(tc, one_from_the_future_is_young);
	tcase_add_test(tc, those_that_wait_are_counted_until_they_go);
	tcase_add_test(tc, the_list_of_times_is_trimmed);
	tcase_add_test(tc, the_history_adds_up);
	tcase_add_test(tc, changes_wait_for_redis);
	tcase_add_test(tc, leaving_takes_the_counters_back);
	return run_cases(tc);
}
