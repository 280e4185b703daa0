/* Telling a repeated answer from a first one. */
#include "proxy/recent.h"

#include <check.h>
#include <stdio.h>

#include "tests/unit/support/suite.h"

static struct recent *recent;
static char text[33];

static void
setup(void)
{
	recent = recent_new();
}

static void
teardown(void)
{
	recent_free(recent);
}

/* The id of the n-th call; like random ones, ids differ in their first half. */
static struct slice
call(unsigned n)
{
	snprintf(text, sizeof(text), "%08x%08x%016x", n * 2654435761u, n, 0);
	return slice_str(text);
}

static uint64_t
answer(unsigned n)
{
	return recent_digest(call(n), SLICE("{\"result\":{}}"));
}

START_TEST(a_repeat_is_known)
{
	recent_add(recent, answer(1), false);
	ck_assert(recent_has(recent, answer(1), true));
	ck_assert(!recent_has(recent, answer(2), true));
}
END_TEST

/* Several messages of one call follow each other: that is no repeat. */
START_TEST(a_first_answer_is_not_held_against_a_first)
{
	recent_add(recent, answer(1), false);
	ck_assert(!recent_has(recent, answer(1), false));
}
END_TEST

START_TEST(what_is_forgotten_is_no_repeat)
{
	for (unsigned n = 1; n <= 100000; n++)
		recent_add(recent, answer(n), n % 100 == 0);
	recent_forget(recent, answer(50));
	recent_forget(recent, answer(99900));
	recent_forget(recent, answer(200000));
	recent_forget(recent, 0);
	for (unsigned n = 97000; n <= 100000; n++)
		ck_assert_int_eq(recent_has(recent, answer(n), true), n != 99900);
	ck_assert(!recent_has(recent, answer(50), true));
	ck_assert(recent_has(recent, answer(51), true));
}
END_TEST

START_TEST(a_first_answer_behind_its_repeat_is_known)
{
	recent_add(recent, answer(1), true);
	ck_assert(recent_has(recent, answer(1), false));
	ck_assert(recent_has(recent, answer(1), true));
}
END_TEST

START_TEST(nothing_is_known_at_first)
{
	for (unsigned i = 0; i < 100; i++) {
		ck_assert(!recent_has(recent, answer(i), true));
		ck_assert(!recent_has(recent, answer(i), false));
	}
}
END_TEST

START_TEST(the_last_ones_are_remembered)
{
	for (unsigned i = 0; i <= RECENT_MESSAGES; i++)
		recent_add(recent, answer(i), false);
	ck_assert(!recent_has(recent, answer(0), true));
	for (unsigned i = 1; i <= RECENT_MESSAGES; i++)
		ck_assert(recent_has(recent, answer(i), true));
}
END_TEST

START_TEST(the_last_repeats_are_remembered)
{
	for (unsigned i = 0; i <= RECENT_REPEATS; i++)
		recent_add(recent, answer(i), true);
	ck_assert(!recent_has(recent, answer(0), false));
	for (unsigned i = 1; i <= RECENT_REPEATS; i++)
		ck_assert(recent_has(recent, answer(i), false));
}
END_TEST

START_TEST(first_answers_do_not_push_repeats_out)
{
	recent_add(recent, answer(0), true);
	for (unsigned i = 1; i <= 2 * RECENT_MESSAGES; i++)
		recent_add(recent, answer(i), false);
	ck_assert(recent_has(recent, answer(0), true));
	ck_assert(!recent_has(recent, answer(1), true));
}
END_TEST

#define PROGRESS(rest)                                                     \
	SLICE("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\"," \
	      "\"params\":" rest)

/* Progress, then the answer: all of one call. */
START_TEST(messages_of_one_call_are_told_apart)
{
	uint64_t progress = recent_digest(call(1), PROGRESS("1}"));

	recent_add(recent, progress, false);
	ck_assert(recent_has(recent, progress, true));
	ck_assert(!recent_has(recent, answer(1), true));
	ck_assert(!recent_has(recent,
	    recent_digest(call(1), PROGRESS("2}")), true));
	ck_assert(!recent_has(recent,
	    recent_digest(call(1), PROGRESS("1")), true));
	ck_assert(!recent_has(recent,
	    recent_digest(call(2), PROGRESS("1}")), true));
}
END_TEST

/* Two attempts of a call may answer it differently. */
START_TEST(answers_of_one_call_are_the_same)
{
	recent_add(recent, answer(1), false);
	ck_assert(recent_has(recent,
	    recent_digest(call(1), SLICE("{\"error\":{}}")), true));
	ck_assert(!recent_has(recent,
	    recent_digest(call(2), SLICE("{\"error\":{}}")), true));
}
END_TEST

/* Messages that belong to no call. */
START_TEST(no_call_is_never_a_repeat)
{
	uint64_t none = recent_digest(SLICE(""), SLICE("{}"));

	recent_add(recent, none, true);
	ck_assert(!recent_has(recent, none, true));
	ck_assert(!recent_has(recent, none, false));
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("recent", setup, teardown);

	tcase_add_test(tc, a_repeat_is_known);
	tcase_add_test(tc, a_first_answer_is_not_held_against_a_first);
	tcase_add_test(tc, what_is_forgotten_is_no_repeat);
	tcase_add_test(tc, a_first_answer_behind_its_repeat_is_known);
	tcase_add_test(tc, nothing_is_known_at_first);
	tcase_add_test(tc, the_last_ones_are_remembered);
	tcase_add_test(tc, the_last_repeats_are_remembered);
	tcase_add_test(tc, first_answers_do_not_push_repeats_out);
	tcase_add_test(tc, messages_of_one_call_are_told_apart);
	tcase_add_test(tc, answers_of_one_call_are_the_same);
	tcase_add_test(tc, no_call_is_never_a_repeat);
	return run_cases(tc);
}
