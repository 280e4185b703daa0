/* JSON looked into without a tree. */
#include "common/raw.h"

#include <check.h>

#include "tests/unit/support/suite.h"

#define OBJECT "{ \"a\" : 1.50 , \"b\":{\"x\":[\"}\",{\"a\":2}]},\"c\":" \
	"\"\\\"q\\u00e9\",\"d\":[ ],\"e\":true,\"f\":null}"

START_TEST(members_are_found_as_written)
{
	struct slice o = SLICE(OBJECT);

	ck_assert(raw_is(raw_find(o, "a"), "1.50"));
	ck_assert(raw_is(raw_find(o, "b"), "{\"x\":[\"}\",{\"a\":2}]}"));
	ck_assert(raw_is(raw_find(raw_find(o, "b"), "x"), "[\"}\",{\"a\":2}]"));
	ck_assert(raw_is(raw_find(o, "c"), "\"\\\"q\\u00e9\""));
	ck_assert(raw_is(raw_find(o, "d"), "[ ]"));
	ck_assert(raw_is(raw_find(o, "e"), "true"));
	ck_assert_ptr_null(raw_find(o, "x").p);
	ck_assert_ptr_null(raw_find(raw_find(o, "a"), "x").p);
	ck_assert_ptr_null(raw_find(raw_find(o, "d"), "x").p);
}
END_TEST

START_TEST(items_come_in_order)
{
	struct raw_walk w;
	struct slice item;

	ck_assert(raw_enter(SLICE("[1, \"a,]\" ,{},[2]]"), &w));
	ck_assert(raw_item(&w, &item) && raw_is(item, "1"));
	ck_assert(raw_item(&w, &item) && raw_is(item, "\"a,]\""));
	ck_assert(raw_item(&w, &item) && raw_is(item, "{}"));
	ck_assert(raw_item(&w, &item) && raw_is(item, "[2]"));
	ck_assert(!raw_item(&w, &item));
	ck_assert(!raw_item(&w, &item));
	ck_assert(raw_enter(SLICE("[ ]"), &w) && !raw_item(&w, &item));
	ck_assert(!raw_enter(SLICE("1"), &w));
	ck_assert(!raw_enter(SLICE_NONE, &w));
}
END_TEST

START_TEST(what_is_cut_has_less)
{
	struct slice o = SLICE(OBJECT);

	for (size_t n = 0; n < o.n; n++) {
		struct slice part = slice_of(o.p, n);
		struct slice f = raw_find(part, "f");

		ck_assert(f.p == NULL || raw_is(f, "null"));
		if (n > 20)
			ck_assert(raw_is(raw_find(part, "a"), "1.50"));
	}
}
END_TEST

static const struct {
	const char *json, *line;
} lines[] = {
	{ "", "" },
	{ " \n ", "" },
	{ "1.50", "1.50" },
	{ "{ \"a b\" : [ 1 ,\t2 ],\r\n\"c\":true }\n",
	    "{\"a b\":[1,2],\"c\":true}" },
	{ "[ \"a \\\" b\" , \"c \\\\\" , \"x://d\" ]",
	    "[\"a \\\" b\",\"c \\\\\",\"x://d\"]" },
	{ "[ \"cut", "[\"cut" },
};

START_TEST(blanks_between_words_go)
{
	struct strbuf sb = STRBUF_INIT(256);

	raw_add_line(&sb, slice_str(lines[_i].json));
	ck_assert_str_eq(strbuf_str(&sb), lines[_i].line);
	strbuf_reset(&sb);
	raw_add_line(&sb, slice_of("1\0 2", 4));
	ck_assert(slice_eq(strbuf_slice(&sb), slice_of("1\0002", 3)));
	strbuf_release(&sb);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("raw", NULL, NULL);

	tcase_add_test(tc, members_are_found_as_written);
	tcase_add_test(tc, items_come_in_order);
	tcase_add_test(tc, what_is_cut_has_less);
	tcase_add_loop_test(tc, blanks_between_words_go, 0,
	    (int)ARRAY_LEN(lines));
	return run_cases(tc);
}
