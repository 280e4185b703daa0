/* Scripts: known, forgotten, broken. */
#include <check.h>
#include <string.h>

#include "tests/unit/support/redis_link.h"
#include "tests/unit/support/wait.h"

static const struct redis_script add_script = {
	"add", "return redis.call('INCRBY', KEYS[1], ARGV[1])"
};

START_TEST(a_forgotten_script_is_sent_again)
{
	struct link c;
	struct slice args[] = { SLICE("{k}\r\n\0"), SLICE("5") };
	struct answer a = { 0 };

	RUN_PEER(PLAIN);
	link_connect(&c, "redis://127.0.0.1:%u");
	for (unsigned i = 1; i <= 6; i++) {
		if (i % 2 == 0)
			ASK(&c, "SCRIPT", "FLUSH");
		a = (struct answer){ 0 };
		ck_assert(redis_eval(c.r, &add_script, args, ARRAY_LEN(args), 1,
		    note_answer, &a));
		WAIT(a.calls > 0);
		ck_assert_int_eq(a.type, REDIS_REPLY_INTEGER);
		ck_assert_int_eq(a.integer, 5 * i);
	}
	ck_assert_uint_eq(a.calls, 1);
	link_free(&c);
}
END_TEST

START_TEST(a_known_script_costs_one_command)
{
	struct link c;
	struct slice args[] = { SLICE("k"), SLICE("1") };
	struct answer a = { 0 };
	uint64_t before;

	RUN_PEER(PLAIN);
	link_connect(&c, "redis://127.0.0.1:%u");
	before = redis_commands_sent(c.r);
	for (unsigned i = 1; i <= 10; i++) {
		ck_assert(redis_eval(c.r, &add_script, args, ARRAY_LEN(args), 1,
		    note_answer, &a));
		WAIT(a.calls == i);
	}
	ck_assert_uint_eq(redis_commands_sent(c.r) - before, 11);
	ck_assert_int_eq(a.integer, 10);
	link_free(&c);
}
END_TEST

START_TEST(a_script_that_fails_answers_once)
{
	static const struct redis_script broken = { "broken", "return nil +" };
	struct link c;
	struct answer a = { 0 };

	RUN_PEER(PLAIN);
	link_connect(&c, "redis://127.0.0.1:%u");
	ck_assert(redis_eval(c.r, &broken, NULL, 0, 0, note_answer, &a));
	ck_assert(redis_eval(c.r, &broken, NULL, 0, 0, NULL, NULL));
	WAIT(redis_pending_count(c.r) == 0);
	ck_assert_uint_eq(a.calls, 1);
	ck_assert_int_eq(a.type, REDIS_REPLY_ERROR);
	ck_assert_ptr_nonnull(strstr(a.text, "compiling"));
	ck_assert(logged("msg=\"redis command failed\"") ||
	    logged("msg=\"redis script failed\""));
	link_free(&c);
}
END_TEST

static void
add_tests(TCase *tc)
{
	tcase_add_test(tc, a_forgotten_script_is_sent_again);
	tcase_add_test(tc, a_known_script_costs_one_command);
	tcase_add_test(tc, a_script_that_fails_answers_once);
}

int
main(void)
{
	return run_link_cases("redis_script", NULL, add_tests);
}
