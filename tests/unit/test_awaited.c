/* What sessions' clients await, read from a real Redis. */
#include "proxy/awaited.h"

#include <check.h>

#include "tests/unit/support/redis_server.h"
#include "tests/unit/support/suite.h"
#include "tests/unit/support/wait.h"

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define C "cccccccccccccccccccccccccccccccc"
#define ENTRIES_MAX 2000  /* awaited.c's */

static struct redis *commands;
static struct catalog *catalog;
static struct alike all[2];
static unsigned told;
static bool told_whole;

static void
setup(void)
{
	wait_setup();
	server_setup();
	commands = server_connect(NULL);
	catalog = catalog_new(commands, 100);
	server_do("HSET mcp_api:{calc} digest 1 catalogue {\"tools\":[]}");
	server_do("SADD mcp_apis calc");
	catalog_tick(catalog);
	WAIT(catalog_has_api(catalog, SLICE("calc")));
	memset(all, 0, sizeof(all));
	memcpy(all[0].sid, A, SID_LEN);
	memcpy(all[1].sid, B, SID_LEN);
	memcpy(all[0].pod, "pod-a", 5);
	memcpy(all[1].pod, "pod-b", 5);
	told = 0;
}

static void
teardown(void)
{
	redis_free(commands);
	catalog_free(catalog);
	server_teardown();
	wait_teardown();
}

static void
on_read(bool whole, void *arg)
{
	ck_assert_ptr_eq(arg, &all);
	told_whole = whole;
	told++;
}

static bool
read_all(void)
{
	ck_assert(awaited_read(commands, catalog, all, ARRAY_LEN(all), on_read,
	    &all));
	WAIT(told > 0);
	ck_assert_uint_eq(told, 1);
	return told_whole;
}

static void
put(const char *key, const char *session, const char *payload)
{
	server_do("XADD %s * call x session %s payload %s", key, session,
	    payload);
}

static void
check(const struct alike *a, uint64_t low, uint64_t high)
{
	ck_assert_uint_eq(a->awaited_low, low);
	ck_assert_uint_eq(a->awaited_high, high);
}

START_TEST(nothing_is_awaited)
{
	all[0].awaited_low = all[0].awaited_high = 7;
	ck_assert(read_all());
	check(&all[0], 0, 0);
	check(&all[1], 0, 0);
}
END_TEST

START_TEST(all_places_are_read)
{
	put("mcp_requests:{calc}", A, "{\"id\":5,\"method\":\"tools/call\"}");
	put("mcp_replies:{pod-a}", A, "{\"id\":4,\"result\":{\"id\":99}}");
	put("mcp_events:{" A "}", A, "{\"id\":3,\"error\":{}}");
	put("mcp_replies:{pod-b}", B, "{\"id\":0,\"result\":{}}");
	server_do("XADD mcp_events:{%s} 9-0 owner pod-b", B);
	ck_assert(read_all());
	check(&all[0], 4, 6);
	check(&all[1], 1, 1);
}
END_TEST

START_TEST(messages_of_one_entry_are_told_apart)
{
	server_do("XADD mcp_replies:{pod-a} * call x session %s payload %s "
		  "call y session %s payload %s call z session %s payload %s",
	    A, "{\"id\":1,\"result\":1}", C, "{\"id\":50,\"result\":1}", B,
	    "{\"id\":2,\"result\":1}");
	ck_assert(read_all());
	check(&all[0], 2, 2);
	check(&all[1], 3, 3);
}
END_TEST

START_TEST(only_numbers_of_the_clients_requests_count)
{
	/* Strings and nulls; what the server asks; what is no request. */
	put("mcp_requests:{calc}", A, "{\"id\":\"7\",\"method\":\"x\"}");
	put("mcp_requests:{calc}", A, "{\"id\":null,\"method\":\"x\"}");
	put("mcp_requests:{calc}", A, "{\"id\":1.5,\"method\":\"x\"}");
	put("mcp_requests:{calc}", A, "{\"id\":1e300,\"method\":\"x\"}");
	put("mcp_replies:{pod-a}", A, "{\"id\":8,\"method\":\"sampling\"}");
	put("mcp_replies:{pod-a}", A, "{\"method\":\"notifications/x\"}");
	ck_assert(read_all());
	check(&all[0], 0, 0);
}
END_TEST

START_TEST(what_cannot_be_read_is_said)
{
	put("mcp_replies:{pod-a}", A, "{\"id\":");
	ck_assert(!read_all());
}
END_TEST

START_TEST(a_stream_that_is_too_long_is_said)
{
	server_do("EVAL %s 1 mcp_requests:{calc} %d",
	    "for i = 1, ARGV[1] do redis.call('XADD', KEYS[1], '*', 'session', "
	    "'x') end", ENTRIES_MAX);
	ck_assert(!read_all());
}
END_TEST

START_TEST(redis_may_be_away)
{
	server_cut_connections();
	WAIT(!redis_is_ready(commands));
	ck_assert(!awaited_read(commands, catalog, all, ARRAY_LEN(all), on_read,
	    &all));
	ck_assert_uint_eq(told, 0);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("awaited", setup, teardown);

	tcase_add_test(tc, nothing_is_awaited);
	tcase_add_test(tc, all_places_are_read);
	tcase_add_test(tc, messages_of_one_entry_are_told_apart);
	tcase_add_test(tc, only_numbers_of_the_clients_requests_count);
	tcase_add_test(tc, what_cannot_be_read_is_said);
	tcase_add_test(tc, a_stream_that_is_too_long_is_said);
	tcase_add_test(tc, redis_may_be_away);
	return run_cases(tc);
}
