/* The clock that machines share. */
#include "common/clock.h"

#include <check.h>

#include "tests/unit/support/suite.h"

#define HOUR_MS 3600000

static uint64_t
distance(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

START_TEST(test_shared_clock_is_ours_at_first)
{
	ck_assert_uint_lt(distance(clock_shared_ms(), clock_wall_ms()), 1000);
}
END_TEST

START_TEST(test_shared_clock_goes_its_own_way)
{
	uint64_t mono = clock_mono_ms(), ahead = clock_wall_ms() + HOUR_MS;

	clock_share(ahead, mono - 500);
	ck_assert_uint_ge(clock_shared_ms(), ahead + 500);
	ck_assert_uint_lt(clock_shared_ms(), ahead + 60000);
	/* Behind the monotonic clock, which counts from the start of the machine. */
	clock_share(1000, mono);
	ck_assert_uint_ge(clock_shared_ms(), 1000);
	ck_assert_uint_lt(clock_shared_ms(), 61000);
}
END_TEST

START_TEST(test_fake_clock_is_all_of_them)
{
	clock_share(clock_wall_ms() + HOUR_MS, clock_mono_ms());
	clock_fake(5);
	ck_assert_uint_eq(clock_shared_ms(), 5);
	clock_fake(0);
	ck_assert_uint_gt(clock_shared_ms(), clock_wall_ms());
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("clock", NULL, NULL);

	tcase_add_test(tc, test_shared_clock_is_ours_at_first);
	tcase_add_test(tc, test_shared_clock_goes_its_own_way);
	tcase_add_test(tc, test_fake_clock_is_all_of_them);
	return run_cases(tc);
}
