/* What a client's answer says. Whole dialogues: tests/blackbox/test_dialogue.py. */
#include "worker/runtime/ask.h"

#include <stdlib.h>

#include "tests/unit/support/suite.h"

#define RESPONSE(rest) "{\"jsonrpc\":\"2.0\",\"id\":\"a.b\"," rest "}"

static const struct {
	const char *payload;
	const char *json;      /* NULL: no response at all */
	int error;
	const char *message;
} answers[] = {
	{ RESPONSE("\"result\":{\"a\":1}"), "{\"a\":1}", 0, NULL },
	{ RESPONSE("\"result\":{ }"), "{ }", 0, NULL },
	{ RESPONSE("\"error\":{\"code\":-1,\"message\":\"no\"}"),
	    "{\"code\":-1,\"message\":\"no\"}", -1, "no" },
	{ RESPONSE("\"error\":{\"code\":0}"), "{\"code\":0}", -32603,
	    "the client failed" },
	{ RESPONSE("\"error\":{\"message\":7}"), "{\"message\":7}", -32603,
	    "the client failed" },
	{ RESPONSE("\"result\":7"), "", -32603,
	    "the client's answer is not an object" },
	{ RESPONSE("\"result\":null"), "", -32603,
	    "the client's answer is not an object" },
	{ RESPONSE("\"error\":[]"), "", -32603,
	    "the client's answer is not an object" },
	{ RESPONSE("\"result\":{},\"error\":{}"), NULL, 0, NULL },
	{ RESPONSE("\"method\":\"ping\""), NULL, 0, NULL },
	{ "{\"jsonrpc\":\"2.0\",\"result\":{}}", NULL, 0, NULL },
	{ RESPONSE("\"result\":{\"a\":1"), NULL, 0, NULL },
	{ "", NULL, 0, NULL },
};

START_TEST(answers_are_read)
{
	struct call_answer got;
	cJSON *tree = NULL;
	bool ok = ask_read_answer(slice_str(answers[_i].payload), &got, &tree);

	ck_assert_int_eq(ok, answers[_i].json != NULL);
	if (!ok)
		return;
	ck_assert(slice_eq_str(got.json, answers[_i].json));
	ck_assert_int_eq(got.error, answers[_i].error);
	ck_assert_int_eq(got.result != NULL, answers[_i].error == 0);
	if (answers[_i].message != NULL)
		ck_assert_str_eq(got.message, answers[_i].message);
	cJSON_Delete(tree);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("ask", NULL, NULL);

	tcase_add_loop_test(tc, answers_are_read, 0, ARRAY_LEN(answers));
	return run_cases(tc);
}
