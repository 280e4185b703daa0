/* The circuit breaker: when it opens, tries, closes. */
#include "worker/runtime/breaker.h"

#include <check.h>
#include <stdlib.h>

#include "tests/unit/support/suite.h"

#define T0 ((uint64_t)1000000)

static void
fail_times(struct breaker *b, int n, uint64_t now)
{
	for (int i = 0; i < n; i++) {
		ck_assert(breaker_admit(b, now));
		breaker_failed(b, now);
	}
}

START_TEST(test_opens_after_failures_in_a_row)
{
	struct breaker b = { .state = BREAKER_CLOSED };

	fail_times(&b, BREAKER_FAILURES - 1, T0);
	breaker_succeeded(&b);
	fail_times(&b, BREAKER_FAILURES - 1, T0);
	ck_assert_int_eq(b.state, BREAKER_CLOSED);
	ck_assert_uint_eq(breaker_wait_s(&b, T0), 0);
	fail_times(&b, 1, T0);
	ck_assert_int_eq(b.state, BREAKER_OPEN);
	ck_assert(!breaker_admit(&b, T0 + BREAKER_PAUSE_MS - 1));
	ck_assert_uint_eq(breaker_wait_s(&b, T0), 2);
	ck_assert_uint_eq(breaker_wait_s(&b, T0 + 1), 2);
	ck_assert_uint_eq(breaker_wait_s(&b, T0 + BREAKER_PAUSE_MS), 0);
}
END_TEST

START_TEST(test_one_trial_decides)
{
	struct breaker b = { .state = BREAKER_CLOSED };
	uint64_t now = T0;

	fail_times(&b, BREAKER_FAILURES, now);
	now += BREAKER_PAUSE_MS;
	ck_assert(breaker_admit(&b, now));
	ck_assert_int_eq(b.state, BREAKER_TRIAL);
	ck_assert(!breaker_admit(&b, now));
	breaker_failed(&b, now);
	ck_assert(!breaker_admit(&b, now + BREAKER_PAUSE_MS));
	now += 2 * BREAKER_PAUSE_MS;
	ck_assert(breaker_admit(&b, now));
	breaker_succeeded(&b);
	ck_assert_int_eq(b.state, BREAKER_CLOSED);
	ck_assert(breaker_admit(&b, now) && breaker_admit(&b, now));
}
END_TEST

START_TEST(test_pause_grows_up_to_its_cap)
{
	struct breaker b = { .state = BREAKER_CLOSED };
	uint64_t now = T0;

	fail_times(&b, BREAKER_FAILURES, now);
	for (int i = 0; i < 20; i++) {
		now = b.until_ms;
		ck_assert(breaker_admit(&b, now));
		breaker_failed(&b, now);
	}
	ck_assert_uint_eq(b.until_ms - now, BREAKER_PAUSE_MAX_MS);
}
END_TEST

/* What was let through before it opened ends later: no second opening. */
START_TEST(test_late_failures_do_not_count)
{
	struct breaker b = { .state = BREAKER_CLOSED };

	fail_times(&b, BREAKER_FAILURES, T0);
	breaker_failed(&b, T0 + 500);
	ck_assert_uint_eq(b.until_ms, T0 + BREAKER_PAUSE_MS);
	breaker_succeeded(&b);
	ck_assert(breaker_admit(&b, T0 + 501));
}
END_TEST

START_TEST(test_a_trial_that_tells_nothing)
{
	struct breaker b = { .state = BREAKER_CLOSED };
	uint64_t now = T0 + BREAKER_PAUSE_MS;

	fail_times(&b, BREAKER_FAILURES, T0);
	ck_assert(breaker_admit(&b, now));
	breaker_gave_up(&b, now);
	ck_assert(breaker_admit(&b, now));
	/* It is never heard of again: another one may go, later. */
	ck_assert(!breaker_admit(&b, now + BREAKER_PAUSE_MAX_MS - 1));
	ck_assert(breaker_admit(&b, now + BREAKER_PAUSE_MAX_MS));
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("all", NULL, NULL);

	tcase_add_test(tc, test_opens_after_failures_in_a_row);
	tcase_add_test(tc, test_one_trial_decides);
	tcase_add_test(tc, test_pause_grows_up_to_its_cap);
	tcase_add_test(tc, test_late_failures_do_not_count);
	tcase_add_test(tc, test_a_trial_that_tells_nothing);
	return run_cases(tc);
}
