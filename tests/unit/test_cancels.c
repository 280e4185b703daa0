/* Cancellations, remembered and held against calls, on a real Redis. */
#include "worker/runtime/cancels.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/support/redis_server.h"
#include "tests/unit/support/suite.h"
#include "tests/unit/support/wait.h"
#include "worker/runtime/call.h"

#define KEY "mcp_cancel:{test}"
#define SID "0123456789abcdef0123456789abcdef"

static struct redis *redis;
static struct inflight *inflight;
static struct cancels *cancels;
static unsigned answers;

static void
on_answer(struct call *call, void *arg UNUSED)
{
	ck_assert_uint_eq(call->answer.n, 0);
	answers++;
}

static void
ignore_call(struct call *call UNUSED, void *arg UNUSED)
{
}

static void
ignore(void *arg UNUSED)
{
}

static void
setup(void)
{
	wait_setup();
	server_setup();
	redis = server_connect(NULL);
	answers = 0;
	inflight = inflight_new(&(struct inflight_options){
		.on_answer = on_answer, .on_released = ignore_call,
		.on_done = ignore });
	cancels = cancels_new(redis, inflight, SLICE("test"));
}

static void
teardown(void)
{
	redis_free(redis);
	cancels_free(cancels);
	inflight_free(inflight);
	server_teardown();
	wait_teardown();
}

static void
hear(void)
{
	cancels_tick(cancels);
	WAIT(redis_pending_count(redis) == 0);
}

/* A call whose entry was queued at that time. */
static struct call *
call_at(unsigned ms, const char *id)
{
	char entry[32];
	struct call *call;

	snprintf(entry, sizeof(entry), "%u-0", ms);
	call = inflight_add(inflight, slice_str(entry));
	ck_assert_ptr_nonnull(call);
	ck_assert(call_open(call, &(struct env_request){
	    .session = SLICE(SID) },
	    &(struct jsonrpc_msg){ .id = slice_str(id) }));
	return call;
}

static void
cancel(unsigned ms, const char *session, const char *id)
{
	server_do("XADD " KEY " %u-0 session %s request %s", ms, session, id);
}

START_TEST(what_was_queued_before_is_cancelled)
{
	hear();
	cancel(100, SID, "7");
	hear();
	ck_assert(cancels_has(cancels, call_at(99, "7")));
	ck_assert(cancels_has(cancels, call_at(100, "7")));
	/* The id came again. */
	ck_assert(!cancels_has(cancels, call_at(101, "7")));
	cancel(200, SID, "7");
	hear();
	ck_assert(cancels_has(cancels, call_at(102, "7")));
}
END_TEST

START_TEST(ids_are_compared_as_sent)
{
	cancel(100, SID, "7");
	cancel(101, SID, "\"a\"");
	cancel(102, "ffffffffffffffffffffffffffffffff", "9");
	hear();
	ck_assert(!cancels_has(cancels, call_at(1, "\"7\"")));
	ck_assert(!cancels_has(cancels, call_at(2, "77")));
	ck_assert(cancels_has(cancels, call_at(3, "\"a\"")));
	ck_assert(!cancels_has(cancels, call_at(4, "9")));
}
END_TEST

START_TEST(running_call_is_ended)
{
	struct call *call = call_at(50, "7"), *other = call_at(51, "8");

	call_set_state(call, CALL_WAITING);
	call_set_state(other, CALL_WAITING);
	cancel(100, SID, "7");
	hear();
	ck_assert_uint_eq(answers, 1);
	ck_assert_int_eq(call->state, CALL_ANSWERED);
	ck_assert_int_eq(other->state, CALL_WAITING);
}
END_TEST

START_TEST(many_are_heard_and_the_oldest_forgotten)
{
	for (unsigned i = 1; i <= 3000; i++) {
		char id[16];

		snprintf(id, sizeof(id), "%u", i);
		cancel(i, SID, id);
	}
	hear();
	ck_assert(cancels_has(cancels, call_at(1, "3000")));
	ck_assert(cancels_has(cancels, call_at(2, "1000")));
	ck_assert(!cancels_has(cancels, call_at(3, "900")));
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("cancels", setup, teardown);

	tcase_add_test(tc, what_was_queued_before_is_cancelled);
	tcase_add_test(tc, ids_are_compared_as_sent);
	tcase_add_test(tc, running_call_is_ended);
	tcase_add_test(tc, many_are_heard_and_the_oldest_forgotten);
	return run_cases(tc);
}
