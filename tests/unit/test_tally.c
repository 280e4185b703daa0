/* Counters by name. */
#include "proxy/tally.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/support/suite.h"

#define NAMES_MAX 4

static struct tally *t;
static char order[256];

static void
setup(void)
{
	t = tally_new(NAMES_MAX);
	order[0] = '\0';
}

static void
teardown(void)
{
	tally_free(t);
}

static void
note_order(struct slice value, int64_t n, void *arg)
{
	size_t at = strlen(order);

	ck_assert_ptr_eq(arg, &order);
	snprintf(order + at, sizeof(order) - at, "%.*s=%lld ", (int)value.n,
	    value.p, (long long)n);
}

START_TEST(it_counts_by_kind_and_value)
{
	tally_add(t, "api", SLICE("a"), 1);
	tally_add(t, "api", SLICE("a"), 2);
	tally_add(t, "user", SLICE("a"), 5);
	tally_add_name(t, SLICE("api:a"), -1);
	ck_assert_int_eq(tally_get(t, "api:a"), 2);
	ck_assert_int_eq(tally_get(t, "user:a"), 5);
	ck_assert_int_eq(tally_get(t, "api:b"), 0);
	ck_assert_uint_eq(tally_count(t), 2);
}
END_TEST

START_TEST(what_is_back_at_nothing_is_gone)
{
	tally_add(t, "api", SLICE("a"), 2);
	tally_add(t, "api", SLICE("a"), -2);
	tally_add(t, "api", SLICE("b"), 0);
	ck_assert_uint_eq(tally_count(t), 0);
}
END_TEST

START_TEST(the_largest_come_first)
{
	tally_add(t, "api", SLICE("few"), 1);
	tally_add(t, "apis", SLICE("other"), 9);
	tally_add(t, "api", SLICE("many"), 3);
	tally_add(t, "api", SLICE("also"), 1);
	tally_each(t, "api", note_order, &order);
	ck_assert_str_eq(order, "many=3 also=1 few=1 ");
}
END_TEST

START_TEST(further_names_count_together)
{
	char value[2] = "a";

	for (; value[0] <= 'g'; value[0]++)
		tally_add(t, "client", slice_str(value), 1);
	ck_assert_int_eq(tally_get(t, "client:d"), 1);
	ck_assert_int_eq(tally_get(t, "client:e"), 0);
	ck_assert_int_eq(tally_get(t, "client:(other)"), 3);
}
END_TEST

/* Cut between characters: the name goes into JSON again. */
START_TEST(a_long_value_is_cut)
{
	char value[TALLY_NAME_MAX + 1];

	memset(value, 'x', sizeof(value));
	memcpy(value + TALLY_NAME_MAX - 4, "\xc3\xa9", 2);
	tally_add(t, "to", slice_of(value, sizeof(value)), 1);
	tally_each(t, "to", note_order, &order);
	ck_assert_uint_eq(strlen(order), TALLY_NAME_MAX - 4 + strlen("=1 "));
}
END_TEST

START_TEST(names_that_are_none_do_not_count)
{
	char name[TALLY_NAME_MAX + 1] = { 0 };

	tally_add_name(t, SLICE(""), 1);
	tally_add_name(t, slice_of(name, sizeof(name)), 1);
	ck_assert_uint_eq(tally_count(t), 0);
	tally_add_name(t, SLICE("word"), 1);
	ck_assert_int_eq(tally_get(t, "word"), 1);
	tally_clear(t);
	ck_assert_uint_eq(tally_count(t), 0);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("tally", setup, teardown);

	tcase_add_test(tc, it_counts_by_kind_and_value);
	tcase_add_test(tc, what_is_back_at_nothing_is_gone);
	tcase_add_test(tc, the_largest_come_first);
	tcase_add_test(tc, further_names_count_together);
	tcase_add_test(tc, a_long_value_is_cut);
	tcase_add_test(tc, names_that_are_none_do_not_count);
	return run_cases(tc);
}
