/* Telling a repeated answer from a first one. */
#include "proxy/recent.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

static struct recent *recent;
static char text[33];

static void
setup(void)
{
	recent = calloc(1, sizeof(*recent));
}

static void
teardown(void)
{
	free(recent);
}

/* The id of the n-th call; like random ones, ids differ in their first half. */
static struct slice
call(unsigned n)
{
	snprintf(text, sizeof(text), "%08x%08x%016x", n * 2654435761u, n, 0);
	return slice_str(text);
}

START_TEST(a_repeat_is_known)
{
	recent_add(recent, call(1), false);
	ck_assert(recent_has(recent, call(1), true));
	ck_assert(!recent_has(recent, call(2), true));
}
END_TEST

/* Several messages of one call follow each other: that is no repeat. */
START_TEST(a_first_answer_is_not_held_against_a_first)
{
	recent_add(recent, call(1), false);
	ck_assert(!recent_has(recent, call(1), false));
}
END_TEST

START_TEST(a_first_answer_behind_its_repeat_is_known)
{
	recent_add(recent, call(1), true);
	ck_assert(recent_has(recent, call(1), false));
	ck_assert(recent_has(recent, call(1), true));
}
END_TEST

START_TEST(nothing_is_known_at_first)
{
	for (unsigned i = 0; i < 100; i++) {
		ck_assert(!recent_has(recent, call(i), true));
		ck_assert(!recent_has(recent, call(i), false));
	}
}
END_TEST

START_TEST(the_last_ones_are_remembered)
{
	for (unsigned i = 0; i <= RECENT_CALLS; i++)
		recent_add(recent, call(i), false);
	ck_assert(!recent_has(recent, call(0), true));
	for (unsigned i = 1; i <= RECENT_CALLS; i++)
		ck_assert(recent_has(recent, call(i), true));
}
END_TEST

START_TEST(the_last_repeats_are_remembered)
{
	for (unsigned i = 0; i <= RECENT_DOUBLED; i++)
		recent_add(recent, call(i), true);
	ck_assert(!recent_has(recent, call(0), false));
	for (unsigned i = 1; i <= RECENT_DOUBLED; i++)
		ck_assert(recent_has(recent, call(i), false));
}
END_TEST

/* Messages that belong to no call. */
START_TEST(no_call_is_never_a_repeat)
{
	recent_add(recent, SLICE(""), true);
	recent_add(recent, SLICE("0123"), true);
	ck_assert(!recent_has(recent, SLICE(""), true));
	ck_assert(!recent_has(recent, SLICE(""), false));
	ck_assert(!recent_has(recent, SLICE("0123"), true));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("recent");
	TCase *tc = tcase_create("recent");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_repeat_is_known);
	tcase_add_test(tc, a_first_answer_is_not_held_against_a_first);
	tcase_add_test(tc, a_first_answer_behind_its_repeat_is_known);
	tcase_add_test(tc, nothing_is_known_at_first);
	tcase_add_test(tc, the_last_ones_are_remembered);
	tcase_add_test(tc, the_last_repeats_are_remembered);
	tcase_add_test(tc, no_call_is_never_a_repeat);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
