/* Memory for calls' arguments: who gets it, and who waits. */
#include "worker/runtime/budget.h"

#include <check.h>
#include <stdio.h>

#include "common/log.h"
#include "tests/unit/support/suite.h"
#include "tests/unit/support/wait.h"
#include "worker/runtime/arguments.h"
#include "worker/runtime/call.h"

#define MOST ((size_t)1000000)

static struct inflight *inflight;
static struct budget *budget;
static unsigned seq, admitted;

static void
on_answer(struct call *call UNUSED, void *arg UNUSED)
{
}

static void
on_ending(struct call *call, void *arg UNUSED)
{
	if (call->unparsed)
		budget_remove(budget, call);
}

static void
on_freed(struct call *call, void *arg UNUSED)
{
	budget_release(budget, call);
}

static void
on_done(void *arg UNUSED)
{
}

/* As dispatch does. */
static void
on_room(struct call *call, void *arg UNUSED)
{
	ck_assert(call->charged && !call->unparsed);
	call_set_state(call, CALL_OPENED);
	admitted = (unsigned)call->key.ms;
}

static void
set_up(void)
{
	wait_setup();
	log_setup("test", "test", LOG_LEVEL_ERROR);
	inflight = inflight_new(&(struct inflight_options){
		.on_answer = on_answer, .on_ending = on_ending,
		.on_released = on_answer, .on_freed = on_freed,
		.on_done = on_done });
	budget = budget_new(&(struct budget_options){
		.base = base, .most = MOST, .on_room = on_room });
	seq = admitted = 0;
}

static void
tear_down(void)
{
	budget_free(budget);
	inflight_free(inflight);
	wait_teardown();
}

/* A call of so many bytes, that has what it needs or waits. */
static struct call *
come(size_t bytes)
{
	char id[24];
	struct call *call;

	snprintf(id, sizeof(id), "%u-0", ++seq);
	call = inflight_add(inflight, slice_str(id));
	if (!budget_take(budget, call, bytes))
		budget_wait(budget, call);
	return call;
}

static void
end(struct call *call)
{
	call_drop(call);
	inflight_done(inflight, call);
}

START_TEST(small_calls_never_wait)
{
	come(MOST);
	for (unsigned i = 0; i < 1000; i++)
		ck_assert(!come(4096)->unparsed);
}
END_TEST

START_TEST(others_wait_their_turn)
{
	struct call *first = come(MOST - 1), *second = come(MOST / 2);
	struct call *third = come(MOST / 2), *fourth = come(MOST / 2);

	ck_assert(first->charged && !first->unparsed);
	ck_assert(second->unparsed && second->state == CALL_WAITING);
	end(first);
	WAIT(admitted == 3);
	ck_assert(second->charged && third->charged && !fourth->charged);
	end(third);
	WAIT(admitted == 4);
}
END_TEST

START_TEST(nobody_overtakes)
{
	struct call *first = come(MOST - 100000);

	ck_assert(come(MOST / 2)->unparsed);
	ck_assert(come(50000)->unparsed);
	end(first);
	WAIT(admitted == 3);
}
END_TEST

START_TEST(more_than_there_is_comes_alone)
{
	struct call *first = come(2 * MOST), *second = come(20000);
	struct call *third = come(2 * MOST);

	ck_assert(first->charged && second->unparsed && third->unparsed);
	end(first);
	WAIT(admitted == 2);
	ck_assert(third->unparsed);
	end(second);
	WAIT(admitted == 3);
}
END_TEST

START_TEST(who_leaves_makes_way)
{
	struct call *first = come(MOST / 2), *second = come(MOST);

	ck_assert(come(MOST / 4)->unparsed);
	call_cancel(second);
	WAIT(admitted == 3);
	inflight_done(inflight, second);
	/* It had nothing to give back. */
	ck_assert(come(MOST / 4)->charged);
	ck_assert(come(20000)->unparsed);
	end(first);
	WAIT(admitted == 5);
}
END_TEST

START_TEST(weight_counts_values_outside_of_strings)
{
	size_t one = arguments_weight(SLICE("0")) - 1;

	ck_assert_uint_ge(one, sizeof(cJSON));
	ck_assert_uint_eq(arguments_weight(SLICE("[0,0,0]")), 7 + 4 * one);
	ck_assert_uint_eq(arguments_weight(SLICE("{\"a\":[],\"b\":1}")),
	    14 + 4 * one);
	ck_assert_uint_eq(arguments_weight(SLICE("\",[{,\\\",\\\\\"")),
	    11 + one);
	ck_assert_uint_eq(arguments_weight(SLICE_NONE), one);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("budget", set_up, tear_down);

	tcase_add_test(tc, small_calls_never_wait);
	tcase_add_test(tc, others_wait_their_turn);
	tcase_add_test(tc, nobody_overtakes);
	tcase_add_test(tc, more_than_there_is_comes_alone);
	tcase_add_test(tc, who_leaves_makes_way);
	tcase_add_test(tc, weight_counts_values_outside_of_strings);
	return run_cases(tc);
}
