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

int
main(void)
{
	TCase *tc = new_case("raw", NULL, NULL);

	tcase_add_test(tc, members_are_found_as_written);
	tcase_add_test(tc, items_come_in_order);
	tcase_add_test(tc, what_is_cut_has_less);
	return run_cases(tc);
}
