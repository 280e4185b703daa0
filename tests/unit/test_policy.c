/* What the operator decides about single tools. */
#include "worker/runtime/policy.h"

#include <check.h>
#include <stdlib.h>

#include "tests/unit/support/suite.h"

static const struct tool plain = { .name = "plain" };
static const struct tool reads = { .name = "reads",
	.promises = TOOL_READ_ONLY, .timeout_ms = 7, .max_running = 3 };
static const struct tool again = { .name = "again",
	.promises = TOOL_IDEMPOTENT };

static struct strbuf errors = STRBUF_INIT(4096);

static struct policy *
made(const struct policy_options *options)
{
	struct policy *p = policy_new(options, &errors);

	ck_assert_ptr_nonnull(p);
	ck_assert_uint_eq(errors.n, 0);
	return p;
}

START_TEST(test_author_decides)
{
	struct policy *p = made(&(struct policy_options){ .safe_tools = "" });

	ck_assert(!policy_safe(p, &plain));
	ck_assert(policy_safe(p, &reads) && policy_safe(p, &again));
	ck_assert(!policy_overrides_safe(p, &reads));
	ck_assert_uint_eq(policy_max_running(p, &reads), 3);
	ck_assert_uint_eq(policy_timeout_ms(p, &reads), 7);
	ck_assert_uint_eq(policy_max_running(p, &plain), 0);
	ck_assert_uint_eq(policy_timeout_ms(NULL, &plain), 0);
	ck_assert(policy_safe(NULL, &reads));
	policy_free(p);
}
END_TEST

START_TEST(test_operator_decides)
{
	struct policy *p = made(&(struct policy_options){
		.safe_tools = " plain , again", .unsafe_tools = "reads,again,",
		.concurrency = "plain=2, reads = 10", .timeouts = "reads=150" });

	ck_assert(policy_safe(p, &plain) && policy_overrides_safe(p, &plain));
	ck_assert(!policy_safe(p, &reads) && policy_overrides_safe(p, &reads));
	/* Named in both: the careful reading. */
	ck_assert(!policy_safe(p, &again));
	ck_assert_uint_eq(policy_max_running(p, &plain), 2);
	ck_assert_uint_eq(policy_max_running(p, &reads), 10);
	ck_assert_uint_eq(policy_timeout_ms(p, &reads), 150000);
	ck_assert_uint_eq(policy_timeout_ms(p, &plain), 0);
	policy_free(p);
}
END_TEST

static const struct {
	struct policy_options options;
	const char *error;
} wrong[] = {
	{ { .safe_tools = "a=1" },
	    "SAFE_TOOLS: \"a=1\" is not the name of a tool\n" },
	{ { .concurrency = "a" },
	    "TOOL_CONCURRENCY: \"a\" is not <tool>=<number from 1 on>\n" },
	{ { .concurrency = "b=1,a=0" },
	    "TOOL_CONCURRENCY: \"a=0\" is not <tool>=<number from 1 on>\n" },
	{ { .timeouts = "=5" },
	    "TOOL_TIMEOUTS: \"=5\" is not <tool>=<number from 1 on>\n" },
	{ { .timeouts = "a=" },
	    "TOOL_TIMEOUTS: \"a=\" is not <tool>=<number from 1 on>\n" },
	{ { .timeouts = "a=1000001" },
	    "TOOL_TIMEOUTS: \"a=1000001\" is not <tool>=<number from 1 on>\n" },
	{ { .timeouts = "a=-1", .unsafe_tools = "b=" },
	    "UNSAFE_TOOLS: \"b=\" is not the name of a tool\n"
	    "TOOL_TIMEOUTS: \"a=-1\" is not <tool>=<number from 1 on>\n" },
};

START_TEST(test_wrong_setting)
{
	ck_assert_ptr_null(policy_new(&wrong[_i].options, &errors));
	ck_assert_str_eq(strbuf_str(&errors), wrong[_i].error);
	strbuf_release(&errors);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("policy", NULL, NULL);

	tcase_add_test(tc, test_author_decides);
	tcase_add_test(tc, test_operator_decides);
	tcase_add_loop_test(tc, test_wrong_setting, 0, ARRAY_LEN(wrong));
	return run_cases(tc);
}
