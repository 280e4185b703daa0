/* Which URIs are parts of which. */
#include "common/uri.h"

#include <stdlib.h>

#include "tests/unit/support/suite.h"

static const struct {
	const char *uri, *whole;
	bool is_part;
} parts[] = {
	{ "a://b/c", "a://b", true },
	{ "a://b/c", "a://b/", true },
	{ "a://b?c", "a://b", true },
	{ "a://b#c", "a://b", true },
	{ "a://b/c?d#e", "a://b", true },
	{ "a://b", "a://", true },
	{ "a://bc", "a://b", false },
	{ "a://b", "a://b", false },
	{ "a://b", "a://b/", false },
	{ "a://b", "a://b/c", false },
	{ "a://c/b", "a://b", false },
	{ "a://b", "", false },
	{ "", "", false },
};

START_TEST(a_part_goes_on_behind_the_whole)
{
	ck_assert_int_eq(uri_is_part(slice_str(parts[_i].uri),
	    slice_str(parts[_i].whole)), parts[_i].is_part);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("uri", NULL, NULL);

	tcase_add_loop_test(tc, a_part_goes_on_behind_the_whole, 0,
	    ARRAY_LEN(parts));
	return run_cases(tc);
}
