/* Numbers of arguments keep their digits, and are compared by them. */
#include "worker/json/number.h"

#include <check.h>
#include <stdlib.h>

#include "tests/unit/support/suite.h"

static cJSON *
parse(const char *json, enum number_form form)
{
	cJSON *tree = cJSON_Parse(json);

	ck_assert_msg(tree != NULL, "%s", json);
	number_keep_all(tree, slice_str(json), form);
	return tree;
}

static void
is_written(const cJSON *number, const char *as)
{
	struct strbuf sb = STRBUF_INIT(128);

	number_write(&sb, number);
	ck_assert_str_eq(strbuf_str(&sb), as);
	strbuf_release(&sb);
}

/* whole: as digits alone, where that is asked for; NULL: the same. */
static const struct {
	const char *json, *whole;
} texts[] = {
	{ "0", NULL },
	{ "-7", NULL },
	{ "999999999999999", NULL },
	{ "9007199254740993", NULL },
	{ "-9223372036854775808", NULL },
	{ "1234567890123456789012345678901234567890", NULL },
	{ "1.50", NULL },
	{ "-0.25", NULL },
	{ "1.5e-7", NULL },
	{ "1e-400", NULL },
	{ "1e300", NULL },
	{ "0.10000000000000000000000000000000000000000000000000000000001",
	    NULL },
	{ "1111111111111111111111111111111111111111111111111111111111111111111",
	    NULL },
	{ "11111111111111111111111111111111111111111111111111111111111111111.0",
	    NULL },
	{ "5.0", "5" },
	{ "-5.00", "-5" },
	{ "0.0", "0" },
	{ "1e3", "1000" },
	{ "1.5E+1", "15" },
	{ "-12345678901234567890.0", "-12345678901234567890" },
	{ "1e21", "1000000000000000000000" },
};

START_TEST(texts_are_kept)
{
	cJSON *n = parse(texts[_i].json, NUMBER_AS_WRITTEN), *copy;

	is_written(n, texts[_i].json);
	copy = cJSON_Duplicate(n, true);
	is_written(copy, texts[_i].json);
	cJSON_Delete(copy);
	cJSON_Delete(n);
	n = parse(texts[_i].json, NUMBER_WHOLE_AS_DIGITS);
	is_written(n, texts[_i].whole ? texts[_i].whole : texts[_i].json);
	cJSON_Delete(n);
}
END_TEST

START_TEST(each_number_has_its_own_text)
{
	cJSON *tree = parse("{ \"1.10\\\"2.20\":true, \"a\":[ 3.30,\"4.40\","
	    "{\"b\":-5.50}],\"a\":null,\"c\":\"\\\\\",\"d\":6.60}",
	    NUMBER_AS_WRITTEN);
	const cJSON *a = cJSON_GetObjectItem(tree, "a");

	is_written(cJSON_GetArrayItem(a, 0), "3.30");
	is_written(cJSON_GetObjectItem(cJSON_GetArrayItem(a, 2), "b"), "-5.50");
	is_written(cJSON_GetObjectItem(tree, "d"), "6.60");
	cJSON_Delete(tree);
}
END_TEST

START_TEST(a_tree_without_texts_has_its_doubles)
{
	cJSON *n = cJSON_Parse("1.50");

	is_written(n, "1.5");
	ck_assert(!number_is_integer(n));
	ck_assert(number_in_range(n));
	cJSON_SetNumberValue(n, 1e15);
	is_written(n, "1000000000000000");
	ck_assert(number_is_integer(n));
	cJSON_Delete(n);
	number_keep_all(NULL, SLICE("1"), NUMBER_AS_WRITTEN);
}
END_TEST

/* In their order; equal ones stand in one row. */
static const char *const ordered[][3] = {
	{ "-9007199254740994" },
	{ "-9007199254740993", "-9007199254740993.0" },
	{ "-12", "-1.2e1" },
	{ "-1.5", "-1.50", "-15e-1" },
	{ "-1e-300" },
	{ "0", "-0.0", "0e999" },
	{ "1e-300", "0.1e-299" },
	{ "0.29999999999999999999" },
	{ "0.3", "3e-1" },
	{ "1", "1.000", "10e-1" },
	{ "1.2" },
	{ "1.23" },
	{ "1.3" },
	{ "12", "1.2e1", "12.0" },
	{ "9007199254740992" },
	{ "9007199254740993", "9007199254740993.000" },
	{ "9007199254740993.0001" },
	{ "1e300" },
};

static void
compare(const char *left, const char *right, int order)
{
	cJSON *a = parse(left, NUMBER_AS_WRITTEN);
	cJSON *b = parse(right, NUMBER_AS_WRITTEN);
	int got = number_compare(a, b);

	ck_assert_msg((got > 0) - (got < 0) == order, "%s, %s: %d", left, right,
	    got);
	cJSON_Delete(a);
	cJSON_Delete(b);
}

START_TEST(numbers_are_ordered)
{
	for (int i = 0; i < 3 && ordered[_i][i] != NULL; i++) {
		for (int row = 0; row < (int)ARRAY_LEN(ordered); row++) {
			for (int k = 0; k < 3 && ordered[row][k] != NULL; k++)
				compare(ordered[_i][i], ordered[row][k],
				    (_i > row) - (_i < row));
		}
	}
}
END_TEST

static const struct {
	const char *json;
	bool integer, in_range;
} kinds[] = {
	{ "1", true, true },
	{ "1.0", true, true },
	{ "10e-1", true, true },
	{ "9007199254740993.5", false, true },
	{ "0e-999", true, true },
	{ "1e999", true, false },
	{ "-1e999", true, false },
	{ "1e-999", false, false },
	{ "1e99999999999999999999", true, false },
};

START_TEST(numbers_are_of_a_kind)
{
	cJSON *n = parse(kinds[_i].json, NUMBER_AS_WRITTEN);

	ck_assert_int_eq(number_is_integer(n), kinds[_i].integer);
	ck_assert_int_eq(number_in_range(n), kinds[_i].in_range);
	cJSON_Delete(n);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("number", NULL, NULL);

	tcase_add_loop_test(tc, texts_are_kept, 0, (int)ARRAY_LEN(texts));
	tcase_add_test(tc, each_number_has_its_own_text);
	tcase_add_test(tc, a_tree_without_texts_has_its_doubles);
	tcase_add_loop_test(tc, numbers_are_ordered, 0,
	    (int)ARRAY_LEN(ordered));
	tcase_add_loop_test(tc, numbers_are_of_a_kind, 0,
	    (int)ARRAY_LEN(kinds));
	return run_cases(tc);
}
