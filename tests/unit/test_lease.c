/* The right to entries, on a real Redis: kept, lost, given back. */
#include "worker/runtime/lease.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "tests/unit/support/redis_server.h"
#include "tests/unit/support/suite.h"
#include "tests/unit/support/wait.h"
#include "worker/runtime/call.h"

#define KEY "mcp_requests:{test}"
#define IDLE_MS 8000
#define NOW_MS 1000000

static struct redis *redis;
static struct inflight *inflight;
static struct lease *lease;
static unsigned kept, lost;

static void
on_answer(struct call *call UNUSED, void *arg UNUSED)
{
}

static void
on_released(struct call *call UNUSED, void *arg UNUSED)
{
}

static void
on_done(void *arg UNUSED)
{
}

static void
on_kept(void *arg UNUSED)
{
	kept++;
}

static void
on_lost(struct call *call, void *arg UNUSED)
{
	lost++;
	call_lose(call);
}

static void
setup(void)
{
	wait_setup();
	server_setup();
	server_do("XGROUP CREATE " KEY " workers 0 MKSTREAM");
	redis = server_connect(NULL);
	kept = lost = 0;
	inflight = inflight_new(&(struct inflight_options){
		.on_answer = on_answer, .on_released = on_released,
		.on_done = on_done });
	lease = lease_new(&(struct lease_options){ .commands = redis,
		.inflight = inflight, .requests_key = SLICE(KEY),
		.worker = SLICE("me"), .reclaim_idle_ms = IDLE_MS,
		.on_kept = on_kept, .on_lost = on_lost });
	clock_fake(NOW_MS);
}

static void
teardown(void)
{
	clock_fake(0);
	redis_free(redis);
	lease_free(lease);
	inflight_free(inflight);
	server_teardown();
	wait_teardown();
}

/* A call on the entry "<n>-1", which is that consumer's since NOW_MS. */
static struct call *
call_of(unsigned n, const char *consumer)
{
	char id[32];
	struct call *call;

	snprintf(id, sizeof(id), "%u-1", n);
	server_do("XADD " KEY " %s call c%u attempt 1 payload p", id, n);
	server_do("XREADGROUP GROUP workers %s STREAMS " KEY " >", consumer);
	call = inflight_add(inflight, slice_str(id));
	ck_assert_ptr_nonnull(call);
	ck_assert(call_open(call, &(struct env_request){ .attempt = 1 },
	    &(struct jsonrpc_msg){ .id = SLICE("1") }));
	call->lease_ms = NOW_MS;
	call->deliveries = 1;
	return call;
}

/* Later, with the loop's own time going on while it waits. */
static void
pass(unsigned ms)
{
	clock_fake(clock_mono_ms() + ms);
}

static void
settle(void)
{
	uint64_t now = clock_mono_ms();

	clock_fake(0);
	WAIT(redis_pending_count(redis) == 0);
	clock_fake(now);
}

START_TEST(young_is_fresh_and_costs_nothing)
{
	struct call *call = call_of(1, "me");
	uint64_t sent = redis_commands_sent(redis);

	pass(IDLE_MS / 4 - 1);
	lease_tick(lease);
	ck_assert_uint_eq(redis_commands_sent(redis), sent);
	ck_assert(lease_is_fresh(lease, call, NOW_MS + IDLE_MS / 2 - 1));
	ck_assert(!lease_is_fresh(lease, call, NOW_MS + IDLE_MS / 2));
}
END_TEST

START_TEST(is_renewed_in_time)
{
	struct call *call = call_of(1, "me");

	/* Read back twice meanwhile, which counts as two deliveries. */
	server_do("XREADGROUP GROUP workers me STREAMS " KEY " 0");
	server_do("XREADGROUP GROUP workers me STREAMS " KEY " 0");
	pass(IDLE_MS / 2);
	ck_assert(!lease_is_fresh(lease, call, clock_mono_ms()));
	lease_tick(lease);
	ck_assert(call->renewing);
	settle();
	ck_assert(lease_is_fresh(lease, call, clock_mono_ms()));
	ck_assert(!call->renewing);
	ck_assert_uint_eq(kept, 1);
	ck_assert_uint_eq(server_count("XPENDING " KEY " workers - + 9 me"), 1);
	/* No rest, and one delivery: nobody sees it as tried more often. */
	ck_assert_uint_eq(server_count(
	    "XPENDING " KEY " workers IDLE 4000 - + 9"), 0);
}
END_TEST

/* After the deadline a proxy may answer the call of a worker that does not move. */
START_TEST(ends_at_the_deadline_unless_renewed_since)
{
	struct call *call = call_of(1, "me");

	call->deadline_ms = clock_shared_ms() + 100;
	pass(100);
	ck_assert(lease_may_answer(lease, call, clock_mono_ms()));
	pass(1);
	ck_assert(!lease_may_answer(lease, call, clock_mono_ms()));
	/* It may still tell its client not to answer. */
	ck_assert(lease_is_fresh(lease, call, clock_mono_ms()));
	lease_tick(lease);
	ck_assert(call->renewing);
	settle();
	ck_assert_uint_eq(kept, 1);
	ck_assert(lease_may_answer(lease, call, clock_mono_ms()));
	pass(IDLE_MS / 4 - 1);
	lease_tick(lease);
	ck_assert(!call->renewing);
}
END_TEST

START_TEST(is_lost_to_another)
{
	call_of(1, "me");
	call_of(2, "me");
	server_do("XCLAIM " KEY " workers other 0 1-1");
	server_do("XACK " KEY " workers 2-1");
	pass(IDLE_MS / 4);
	lease_tick(lease);
	settle();
	ck_assert_uint_eq(lost, 2);
	ck_assert_uint_eq(inflight_count(inflight), 0);
	/* It was not taken back. */
	ck_assert_uint_eq(server_count("XPENDING " KEY " workers - + 9 other"),
	    1);
}
END_TEST

START_TEST(answer_in_doubt_goes_again)
{
	struct call *call = call_of(1, "me");

	call->in_doubt = true;
	server_do("XACK " KEY " workers 1-1");
	pass(IDLE_MS);
	lease_tick(lease);
	settle();
	ck_assert_uint_eq(lost, 0);
	ck_assert(lease_is_fresh(lease, call, clock_mono_ms()));
}
END_TEST

START_TEST(lost_queue_leaves_the_calls)
{
	struct call *call = call_of(1, "me");

	server_do("FLUSHALL");
	pass(IDLE_MS);
	lease_tick(lease);
	settle();
	ck_assert_uint_eq(lost, 0);
	ck_assert(lease_is_fresh(lease, call, clock_mono_ms()));
}
END_TEST

/* Whoever waits for it is not told, and would ask again at once. */
START_TEST(refused_leases_are_renewed_later)
{
	struct call *call = call_of(1, "me");

	server_do("CONFIG SET min-replicas-to-write 1");
	pass(IDLE_MS);
	lease_tick(lease);
	settle();
	ck_assert(!lease_is_fresh(lease, call, clock_mono_ms()));
	ck_assert_uint_eq(kept + lost, 0);
	server_do("CONFIG SET min-replicas-to-write 0");
	lease_tick(lease);
	settle();
	ck_assert(lease_is_fresh(lease, call, clock_mono_ms()));
	ck_assert_uint_eq(kept, 1);
}
END_TEST

START_TEST(goes_back_as_a_new_entry)
{
	struct call *call = call_of(1, "me"), *other = call_of(2, "me");

	server_do("XCLAIM " KEY " workers other 0 2-1");
	call->attempt = 2;
	call_return(call);
	call_return(other);
	lease_tick(lease);
	settle();
	ck_assert_uint_eq(inflight_count(inflight), 0);
	/* The new one, and the one that is another's. */
	ck_assert_int_eq(server_int("XLEN " KEY), 2);
	ck_assert_uint_eq(server_count("XRANGE " KEY " 1-1 1-1"), 0);
	ck_assert_uint_eq(server_count("XPENDING " KEY " workers - + 9 me"), 0);
	ck_assert_str_eq(server_text("EVAL %s 0",
	    "local e = redis.call('XREVRANGE', '" KEY "', '+', '-')[1][2] "
	    "return e[2] .. e[4] .. e[6]"), "c12p");
}
END_TEST

START_TEST(many_go_in_batches)
{
	for (unsigned n = 1; n <= 600; n++)
		call_of(n, "me");
	pass(IDLE_MS / 3);
	lease_tick(lease);
	settle();
	ck_assert_uint_eq(kept, 3);
	ck_assert_uint_eq(lost, 0);
	ck_assert_uint_eq(inflight_count(inflight), 600);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("lease", setup, teardown);

	tcase_add_test(tc, young_is_fresh_and_costs_nothing);
	tcase_add_test(tc, is_renewed_in_time);
	tcase_add_test(tc, ends_at_the_deadline_unless_renewed_since);
	tcase_add_test(tc, is_lost_to_another);
	tcase_add_test(tc, answer_in_doubt_goes_again);
	tcase_add_test(tc, lost_queue_leaves_the_calls);
	tcase_add_test(tc, refused_leases_are_renewed_later);
	tcase_add_test(tc, goes_back_as_a_new_entry);
	tcase_add_test(tc, many_go_in_batches);
	return run_cases(tc);
}
