/* What counts as what, and in which bucket. */
#include "common/api_counters.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/support/suite.h"

static uint64_t counters[API_COUNTERS];

static void
set_up(void)
{
	memset(counters, 0, sizeof(counters));
}

static void
tear_down(void)
{
}

START_TEST(test_a_call_is_in_one_bucket)
{
	unsigned bound = api_bucket_ms[_i];
	uint64_t below = _i > 0 ? api_bucket_ms[_i - 1] + 1 : 0;
	uint64_t in_all = 0;

	api_counters_note(counters, API_CALLS_OK, bound);
	api_counters_note(counters, API_CALLS_TIMEOUT, below);
	ck_assert_uint_eq(counters[API_CALL_LE + _i], 2);
	for (size_t i = 0; i < API_BUCKETS; i++)
		in_all += counters[API_CALL_LE + i];
	ck_assert_uint_eq(in_all, 2);
	ck_assert_uint_eq(counters[API_CALL_MS], bound + below);
	ck_assert_uint_eq(counters[API_CALLS_OK], 1);
	ck_assert_uint_eq(counters[API_CALLS_TIMEOUT], 1);
}
END_TEST

START_TEST(test_a_longer_one_is_in_none)
{
	api_counters_note(counters, API_CALLS_OK,
	    api_bucket_ms[API_BUCKETS - 1] + 1);
	for (size_t i = 0; i < API_BUCKETS; i++)
		ck_assert_uint_eq(counters[API_CALL_LE + i], 0);
	ck_assert_uint_eq(counters[API_CALLS_OK], 1);
}
END_TEST

/* The fields say which bounds the buckets have: a rollout may mix versions. */
START_TEST(test_fields_name_their_bounds)
{
	char field[32];

	for (size_t i = 0; i < API_COUNTERS; i++)
		ck_assert_ptr_nonnull(api_counter_fields[i]);
	snprintf(field, sizeof(field), "le_%u", api_bucket_ms[_i]);
	ck_assert_str_eq(api_counter_fields[API_CALL_LE + _i], field);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("api_counters", set_up, tear_down);

	tcase_add_loop_test(tc, test_a_call_is_in_one_bucket, 0, API_BUCKETS);
	tcase_add_test(tc, test_a_longer_one_is_in_none);
	tcase_add_loop_test(tc, test_fields_name_their_bounds, 0, API_BUCKETS);
	return run_cases(tc);
}
