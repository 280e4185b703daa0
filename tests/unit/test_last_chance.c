/* Who may begin beside whom, among calls that have lost workers. */
#include "worker/runtime/last_chance.h"

#include <check.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/log.h"
#include "tests/unit/support/suite.h"
#include "worker/runtime/call.h"
#include "worker/runtime/reclaim.h"

#define NOW_MS 1000000

static struct inflight *inflight;
static struct last_chance chance;
static unsigned seq;

static void
on_answer(struct call *call UNUSED, void *arg UNUSED)
{
}

static void
on_done(void *arg UNUSED)
{
}

static void
set_up(void)
{
	log_setup("test", "test", LOG_LEVEL_ERROR);
	clock_fake(NOW_MS);
	inflight = inflight_new(&(struct inflight_options){
		.on_answer = on_answer, .on_released = on_answer,
		.on_done = on_done });
	chance = (struct last_chance){ .inflight = inflight };
	seq = 0;
}

static void
tear_down(void)
{
	inflight_free(inflight);
	clock_fake(0);
}

/* A call that runs, taken over with that many deliveries. */
static struct call *
take_over(unsigned deliveries)
{
	char id[24];
	struct call *call;

	snprintf(id, sizeof(id), "%u-0", ++seq);
	call = inflight_add(inflight, slice_str(id));
	call->deliveries = deliveries;
	call_hold(call);
	if (deliveries > 1)
		last_chance_note(&chance, deliveries);
	return call;
}

static void
end(struct call *call)
{
	call_drop(call);
	inflight_done(inflight, call);
}

START_TEST(it_has_the_worker_to_itself_while_it_is_young)
{
	struct call *call;

	ck_assert(last_chance_may_begin(&chance));
	ck_assert(!last_chance_is_quiet(&chance));
	take_over(1);
	ck_assert(last_chance_may_begin(&chance));
	call = take_over(RECLAIM_ATTEMPTS_MAX);
	ck_assert(last_chance_is_quiet(&chance));
	ck_assert(!last_chance_may_begin(&chance));
	ck_assert(!last_chance_ended(&chance));
	end(call);
	ck_assert(!last_chance_is_quiet(&chance));
	ck_assert(last_chance_ended(&chance));
	ck_assert(!last_chance_ended(&chance));
	ck_assert(last_chance_may_begin(&chance));
}
END_TEST

START_TEST(one_that_runs_on_is_trusted)
{
	take_over(RECLAIM_ATTEMPTS_MAX);
	clock_fake(NOW_MS + LAST_CHANCE_QUIET_MS);
	ck_assert(!last_chance_is_quiet(&chance));
	ck_assert(last_chance_may_begin(&chance));
	ck_assert(last_chance_ended(&chance));
	take_over(RECLAIM_ATTEMPTS_MAX);
	ck_assert(last_chance_is_quiet(&chance));
}
END_TEST

START_TEST(it_waits_for_other_suspects)
{
	struct call *call = take_over(2);

	ck_assert(!last_chance_is_quiet(&chance));
	ck_assert(!last_chance_may_begin(&chance));
	end(call);
	ck_assert(last_chance_may_begin(&chance));
	take_over(2);
	ck_assert(!last_chance_may_begin(&chance));
	clock_fake(NOW_MS + LAST_CHANCE_QUIET_MS);
	ck_assert(last_chance_may_begin(&chance));
}
END_TEST

START_TEST(way_is_made_for_one_that_waits)
{
	ck_assert(!last_chance_waits(&chance, false));
	ck_assert(!last_chance_makes_way(&chance));
	ck_assert(last_chance_waits(&chance, true));
	ck_assert(last_chance_makes_way(&chance));
	/* Another worker took it. */
	ck_assert(!last_chance_waits(&chance, false));
	ck_assert(!last_chance_makes_way(&chance));
	/* Not for ever, if it cannot be had. */
	ck_assert(last_chance_waits(&chance, true));
	clock_fake(NOW_MS + LAST_CHANCE_QUIET_MS);
	ck_assert(!last_chance_makes_way(&chance));
	/* Nor for a second one while the first is young. */
	take_over(RECLAIM_ATTEMPTS_MAX);
	ck_assert(!last_chance_waits(&chance, true));
	ck_assert(!last_chance_makes_way(&chance));
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("last_chance", set_up, tear_down);

	tcase_add_test(tc, it_has_the_worker_to_itself_while_it_is_young);
	tcase_add_test(tc, one_that_runs_on_is_trusted);
	tcase_add_test(tc, it_waits_for_other_suspects);
	tcase_add_test(tc, way_is_made_for_one_that_waits);
	return run_cases(tc);
}
