/* What a set of scopes allows. */
#include "proxy/scopes.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/strbuf.h"
#include "tests/unit/support/suite.h"

static bool
allows(const char *text, const char *api, const char *tool)
{
	struct scopes *s = scopes_new(slice_str(text));
	bool answer = scopes_allow(s, api, tool);

	scopes_unref(s);
	return answer;
}

START_TEST(test_allow)
{
	static const struct {
		const char *text;
		bool add, divide, echo;   /* calculator:…, conformance:echo */
	} rows[] = {
		{ "*", true, true, true },
		{ "openid * profile", true, true, true },
		{ "calculator", true, true, false },
		{ "calculator:add", true, false, false },
		{ "calculator:add conformance", true, false, true },
		{ "\tcalculator:divide,  conformance:echo ", false, true, true },
		{ "", false, false, false },
		{ "none", false, false, false },
		{ "calc", false, false, false },
		{ "calculators", false, false, false },
		{ "calculator:", false, false, false },
		{ "calculator:*", false, false, false },
		{ "calculator:ad", false, false, false },
		{ "calculator:add2", false, false, false },
		{ "Calculator", false, false, false },
		{ ":add", false, false, false },
		{ "**", false, false, false },
		{ "\"*\"", false, false, false },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		ck_assert_msg(allows(rows[i].text, "calculator", "add") ==
			rows[i].add, "%s", rows[i].text);
		ck_assert_msg(allows(rows[i].text, "calculator", "divide") ==
			rows[i].divide, "%s", rows[i].text);
		ck_assert_msg(allows(rows[i].text, "conformance", "echo") ==
			rows[i].echo, "%s", rows[i].text);
	}
}
END_TEST

START_TEST(test_text_is_normal)
{
	struct scopes *s = scopes_new(SLICE("  a\t b\\c \"d\" e,,f\x01 g "));

	ck_assert(slice_eq_str(scopes_text(s), "a e g"));
	ck_assert(scopes_have(s, SLICE("e")));
	ck_assert(!scopes_have(s, SLICE("b")));
	ck_assert(!scopes_have(s, SLICE("")));
	scopes_unref(s);
	s = scopes_new(SLICE_NONE);
	ck_assert_uint_eq(scopes_text(s).n, 0);
	scopes_unref(s);
}
END_TEST

/* What is too much is not granted; what came before it is. */
START_TEST(test_cap)
{
	struct strbuf text = STRBUF_INIT(65536);
	struct scopes *s;

	strbuf_add_str(&text, "calculator");
	for (int i = 0; i < 1000; i++)
		strbuf_addf(&text, " scope-%d", i);
	strbuf_add_str(&text, " conformance");
	s = scopes_new(strbuf_slice(&text));
	ck_assert_uint_le(scopes_text(s).n, SCOPES_TEXT_MAX);
	ck_assert(scopes_allow(s, "calculator", "add"));
	ck_assert(!scopes_allow(s, "conformance", "echo"));
	scopes_unref(s);
	strbuf_release(&text);
}
END_TEST

START_TEST(test_references)
{
	struct scopes *s = scopes_new(SLICE("a"));

	ck_assert_ptr_eq(scopes_ref(s), s);
	scopes_unref(s);
	ck_assert(scopes_have(s, SLICE("a")));
	scopes_unref(s);
	scopes_unref(NULL);
	ck_assert_ptr_null(scopes_ref(NULL));
	ck_assert(scopes_allow(NULL, "any", "tool"));
	ck_assert(slice_eq_str(scopes_text(NULL), "*"));
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("scopes", NULL, NULL);

	tcase_add_test(tc, test_allow);
	tcase_add_test(tc, test_text_is_normal);
	tcase_add_test(tc, test_cap);
	tcase_add_test(tc, test_references);
	return run_cases(tc);
}
