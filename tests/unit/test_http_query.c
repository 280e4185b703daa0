#include "proxy/http_query.h"

#include <check.h>
#include <stdlib.h>

#include "tests/unit/support/bytes.h"
#include "tests/unit/support/suite.h"

static const struct {
	const char *query;
	const char *value; /* NULL: -1 */
} params[] = {
	{ "a=1", "1" },
	{ "x=2&a=1&y=3", "1" },
	{ "a=", "" },
	{ "a", "" },
	{ "&&a=1&&", "1" },
	{ "a=b=c", "b=c" },
	{ "a=%41%5a%7e", "AZ~" },
	{ "a=%c3%A9", "\xc3\xa9" },
	{ "a=b+c%20d%2B", "b c d+" },
	{ "%61=1", "1" },
	{ "b=%zz&a=1", "1" },
	{ "%zz=2&a=1", "1" },
	{ "A=2&aa=3&=4&a=1", "1" },
	{ "a=1234567", "1234567" },
	{ "a=%31%32%33%34%35%36%37", "1234567" },
	{ "", NULL },
	{ "b=1", NULL },
	{ "A=1", NULL },
	{ "=a", NULL },
	{ "aa=1", NULL },
	{ "a=12345678", NULL },
	{ "a=%31%32%33%34%35%36%37%38", NULL },
	{ "a=1&a=1", NULL },
	{ "a=1&%61=2", NULL },
	{ "a&a", NULL },
	{ "a=1&b=2&a=", NULL },
	{ "a=%", NULL },
	{ "a=%4", NULL },
	{ "a=%4g", NULL },
	{ "a=%g4", NULL },
	{ "a=%%41", NULL },
	{ "a=%4&b=1", NULL },
	{ "a=%00", NULL },
	{ "a=b%0d%0a", NULL },
	{ "a=%1f", NULL },
	{ "a=%7f", NULL },
};

START_TEST(decodes_a_query_parameter)
{
	const char *want = params[_i].value;
	size_t n = strlen(params[_i].query);
	char *query = exact_copy(params[_i].query, n), buf[8];
	int rc = http_query_param(slice_of(query, n), "a", buf, sizeof(buf));

	ck_assert_msg(
	    rc == (want != NULL ? (int)strlen(want) : -1), "%d for %s", rc, params[_i].query);
	if (want != NULL)
		ck_assert_str_eq(buf, want);
	free(query);
}
END_TEST

START_TEST(keeps_to_the_buffer_of_a_parameter)
{
	char buf[2] = "x", *name = exact_copy("a", 1);

	ck_assert_int_eq(http_query_param(slice_of(name, 1), "ab", buf, 2), -1);
	free(name);
	ck_assert_int_eq(http_query_param(SLICE("a="), "a", buf, 0), -1);
	ck_assert_int_eq(buf[0], 'x');
	ck_assert_int_eq(http_query_param(SLICE("a=1"), "a", buf, 1), -1);
	ck_assert_int_eq(http_query_param(SLICE("a="), "a", buf, 1), 0);
	ck_assert_int_eq(http_query_param(SLICE("a=1"), "a", buf, 2), 1);
	ck_assert_int_eq(http_query_param(SLICE_NONE, "a", buf, 2), -1);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("query", NULL, NULL);

	tcase_add_loop_test(tc, decodes_a_query_parameter, 0, ARRAY_LEN(params));
	tcase_add_test(tc, keeps_to_the_buffer_of_a_parameter);
	return run_cases(tc);
}
