/* Inboxes of others expire when nobody adds to them any more. */
#include "common/inbox_life.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "tests/unit/support/redis_server.h"
#include "tests/unit/support/suite.h"
#include "tests/unit/support/wait.h"

#define KEY "mcp_replies:{pod-a.0.x}"

static struct redis *commands;
static struct inbox_lives lives;

static void
setup(void)
{
	wait_setup();
	server_setup();
	clock_fake(clock_mono_ms());
	commands = server_connect(NULL);
}

static void
teardown(void)
{
	redis_free(commands);
	server_teardown();
	wait_teardown();
}

static void
renew(const char *key)
{
	inbox_lives_renew(&lives, commands, slice_str(key));
	WAIT(redis_pending_count(commands) == 0);
}

START_TEST(an_inbox_that_was_made_by_adding_expires)
{
	server_do("XADD " KEY " * a b");
	ck_assert_int_eq(server_int("PTTL " KEY), -1);
	renew(KEY);
	ck_assert_int_gt(server_int("PTTL " KEY), 3000000);
}
END_TEST

START_TEST(its_life_is_renewed_now_and_then)
{
	uint64_t before;

	server_do("XADD " KEY " * a b");
	renew(KEY);
	server_do("PEXPIRE " KEY " 1000000");
	before = redis_commands_sent(commands);
	for (unsigned i = 0; i < 1000; i++)
		renew(KEY);
	ck_assert_uint_eq(redis_commands_sent(commands), before);
	clock_fake(clock_mono_ms() + 60000);
	renew(KEY);
	ck_assert_int_gt(server_int("PTTL " KEY), 3000000);
}
END_TEST

START_TEST(each_inbox_has_its_own)
{
	char key[64];

	for (unsigned i = 0; i < 1000; i++) {
		snprintf(key, sizeof(key), "mcp_replies:{pod-%u.0.x}", i);
		server_do("XADD %s * a b", key);
		renew(key);
		ck_assert_int_gt(server_int("PTTL %s", key), 0);
	}
}
END_TEST

START_TEST(what_could_not_be_sent_is_sent_next_time)
{
	server_do("XADD " KEY " * a b");
	server_cut_connections();
	WAIT(!redis_is_ready(commands));
	inbox_lives_renew(&lives, commands, SLICE(KEY));
	WAIT(redis_is_ready(commands));
	renew(KEY);
	ck_assert_int_gt(server_int("PTTL " KEY), 0);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("inbox_life", setup, teardown);

	tcase_add_test(tc, an_inbox_that_was_made_by_adding_expires);
	tcase_add_test(tc, its_life_is_renewed_now_and_then);
	tcase_add_test(tc, each_inbox_has_its_own);
	tcase_add_test(tc, what_could_not_be_sent_is_sent_next_time);
	return run_cases(tc);
}
