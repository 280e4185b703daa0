/* Which session a client must be: what proves it, and what leaves a doubt. */
#include "proxy/alike.h"

#include <check.h>

#include "tests/unit/support/suite.h"

#define MANY 4

static struct alike all[MANY];
static size_t count;
static const struct alike *found;

static void
setup(void)
{
	memset(all, 0, sizeof(all));
	count = 0;
	found = NULL;
}

static struct alike *
add(enum alike_state state, uint64_t last)
{
	all[count].state = state;
	all[count].last = last;
	return &all[count++];
}

/* Ids in these tests are "plus one" all through, as in the struct. */
static struct alike *
add_owed(uint64_t last, uint64_t low, uint64_t high)
{
	struct alike *a = add(ALIKE_WAITING, last);

	a->awaited_low = low;
	a->awaited_high = high;
	return a;
}

static enum alike_verdict
judge(uint64_t first)
{
	return alike_judge(all, count, first, &found);
}

static enum alike_verdict
judge_ids(uint64_t first)
{
	return alike_judge_ids(all, count, first, &found);
}

START_TEST(nobody_waits)
{
	ck_assert_int_eq(judge(0), ALIKE_NONE);
	add(ALIKE_IN_USE, 3);
	ck_assert_int_eq(judge(0), ALIKE_NONE);
	ck_assert_int_eq(judge(4), ALIKE_NONE);
}
END_TEST

START_TEST(the_only_one_that_waits)
{
	const struct alike *a = add(ALIKE_WAITING, 3);

	add(ALIKE_IN_USE, 3);
	ck_assert_int_eq(judge(0), ALIKE_FOUND);
	ck_assert_ptr_eq(found, a);
	found = NULL;
	/* Its client spoke already: an id after all that were used. */
	ck_assert_int_eq(judge(4), ALIKE_FOUND);
	ck_assert_ptr_eq(found, a);
}
END_TEST

START_TEST(the_only_one_has_used_that_id)
{
	add(ALIKE_WAITING, 3);
	ck_assert_int_eq(judge(3), ALIKE_NONE);
	ck_assert_int_eq(judge(1), ALIKE_NONE);
}
END_TEST

START_TEST(an_uncertain_one_makes_it_wait)
{
	add(ALIKE_WAITING, 3);
	add(ALIKE_UNCERTAIN, 9);
	ck_assert_int_eq(judge(0), ALIKE_ASK_LATER);
	ck_assert_int_eq(judge(4), ALIKE_ASK_LATER);
}
END_TEST

START_TEST(several_need_an_id_and_what_is_awaited)
{
	add(ALIKE_WAITING, 3);
	add(ALIKE_WAITING, 9);
	ck_assert_int_eq(judge(0), ALIKE_ASK_ID);
	ck_assert_int_eq(judge(4), ALIKE_ASK_AWAITED);
}
END_TEST

START_TEST(several_are_told_apart_by_the_id_before)
{
	const struct alike *a = add(ALIKE_WAITING, 3);
	const struct alike *b = add(ALIKE_WAITING, 9);

	add(ALIKE_IN_USE, 5);
	ck_assert_int_eq(judge_ids(4), ALIKE_FOUND);
	ck_assert_ptr_eq(found, a);
	ck_assert_int_eq(judge_ids(10), ALIKE_FOUND);
	ck_assert_ptr_eq(found, b);
	ck_assert_int_eq(judge_ids(6), ALIKE_NONE);
	ck_assert_int_eq(judge_ids(5), ALIKE_NONE);
	ck_assert_int_eq(judge_ids(1), ALIKE_NONE);
}
END_TEST

START_TEST(what_is_awaited_counts_as_used)
{
	const struct alike *a = add_owed(3, 4, 6);

	add(ALIKE_WAITING, 99);
	ck_assert_int_eq(judge_ids(4), ALIKE_NONE);
	ck_assert_int_eq(judge_ids(7), ALIKE_FOUND);
	ck_assert_ptr_eq(found, a);
}
END_TEST

START_TEST(two_with_the_same_ids_are_nobodys)
{
	add(ALIKE_WAITING, 3);
	add(ALIKE_WAITING, 3);
	ck_assert_int_eq(judge_ids(4), ALIKE_NONE);
}
END_TEST

/* A client whose last requests reached nobody may follow on another's ids. */
START_TEST(a_near_one_may_be_the_clients_own)
{
	struct alike *a = add_owed(20, 18, 20);

	add(ALIKE_WAITING, 18 - ALIKE_UNDER_WAY);
	ck_assert_int_eq(judge_ids(21), ALIKE_NONE);
	/* Nothing is awaited: no harm in it. */
	a->awaited_low = a->awaited_high = 0;
	ck_assert_int_eq(judge_ids(21), ALIKE_FOUND);
	ck_assert_ptr_eq(found, a);
}
END_TEST

START_TEST(a_far_one_is_not_the_clients_own)
{
	const struct alike *a = add_owed(20, 18, 20);

	add(ALIKE_WAITING, 18 - ALIKE_UNDER_WAY - 1);
	/* Nor is one that is further, whatever it is owed. */
	add_owed(30, 5, 30);
	ck_assert_int_eq(judge_ids(21), ALIKE_FOUND);
	ck_assert_ptr_eq(found, a);
}
END_TEST

START_TEST(ids_of_answers)
{
	static const struct {
		const char *payload;
		uint64_t id;
	} cases[] = {
		{ "{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":{}}", 1 },
		{ "{\"jsonrpc\":\"2.0\",\"id\":41,\"error\":{\"code\":1}}", 42 },
		{ "{\"jsonrpc\":\"2.0\",\"id\":\"41\",\"result\":{}}", 0 },
		{ "{\"jsonrpc\":\"2.0\",\"id\":4.1,\"result\":{}}", 0 },
		{ "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{}}", 0 },
		{ "{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"ping\"}", 0 },
		{ "{\"jsonrpc\":\"2.0\",\"method\":\"x\"}", 0 },
		{ "{\"jsonrpc\":\"2.0\",\"id\":18446744073709551615,\"result\":1}", 0 },
		{ "{\"jsonrpc\":\"2.0\",\"id\":99999999999999999999,\"result\":1}", 0 },
		{ "{\"jsonrpc\":\"2.0\",\"id\":5", 0 },
		{ "{\"jsonrpc\":\"2.0\",\"id\":", 0 },
		{ "", 0 },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		ck_assert_uint_eq(alike_answer_id(slice_str(cases[i].payload)),
		    cases[i].id);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("alike", setup, NULL);

	tcase_add_test(tc, nobody_waits);
	tcase_add_test(tc, the_only_one_that_waits);
	tcase_add_test(tc, the_only_one_has_used_that_id);
	tcase_add_test(tc, an_uncertain_one_makes_it_wait);
	tcase_add_test(tc, several_need_an_id_and_what_is_awaited);
	tcase_add_test(tc, several_are_told_apart_by_the_id_before);
	tcase_add_test(tc, what_is_awaited_counts_as_used);
	tcase_add_test(tc, two_with_the_same_ids_are_nobodys);
	tcase_add_test(tc, a_near_one_may_be_the_clients_own);
	tcase_add_test(tc, a_far_one_is_not_the_clients_own);
	tcase_add_test(tc, ids_of_answers);
	return run_cases(tc);
}
