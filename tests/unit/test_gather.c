/* Several questions to a real Redis, one end. */
#include "proxy/gather.h"

#include <check.h>
#include <stdlib.h>

#include "common/clock.h"
#include "tests/unit/support/redis_server.h"
#include "tests/unit/support/suite.h"
#include "tests/unit/support/wait.h"

#define LONG_MS 30000
#define SHORT_MS 50

static struct redis *commands;
static struct gather *gather;
static unsigned replies, ends;
static bool was_whole;

static void
on_done(bool whole, void *arg)
{
	ck_assert_ptr_eq(arg, &gather);
	ends++;
	was_whole = whole;
}

static void
setup(void)
{
	wait_setup();
	server_setup();
	commands = server_connect(NULL);
	replies = ends = 0;
	was_whole = false;
}

static void
teardown(void)
{
	redis_free(commands);
	ck_assert_uint_le(ends, 1);
	server_teardown();
	wait_teardown();
}

static void
begin(unsigned deadline_ms)
{
	gather = gather_new(base, commands, deadline_ms, on_done, &gather);
}

static void
on_reply(struct gather *g, const redisReply *reply, void *arg, void *target)
{
	ck_assert_ptr_eq(g, gather);
	ck_assert_ptr_eq(arg, &gather);
	ck_assert_int_eq(reply->type, REDIS_REPLY_STRING);
	ck_assert_ptr_eq(target, &replies);
	ck_assert_uint_eq(ends, 0);
	replies++;
}

static void
ask(const char *text)
{
	struct slice echo[] = { SLICE("ECHO"), slice_str(text) };

	gather_send(gather, echo, ARRAY_LEN(echo), on_reply, &replies);
}

START_TEST(the_end_comes_after_all_replies)
{
	begin(LONG_MS);
	for (unsigned i = 0; i < 5; i++)
		ask("x");
	gather_start(gather);
	ck_assert_uint_eq(ends, 0);
	WAIT(ends == 1);
	ck_assert_uint_eq(replies, 5);
	ck_assert(was_whole);
}
END_TEST

START_TEST(without_a_question_the_end_comes_at_once)
{
	begin(LONG_MS);
	gather_start(gather);
	ck_assert_uint_eq(ends, 1);
	ck_assert(was_whole);
}
END_TEST

static void
on_first(struct gather *g, const redisReply *reply, void *arg, void *target)
{
	on_reply(g, reply, arg, target);
	ask("a further one");
}

START_TEST(replies_lead_to_further_questions)
{
	struct slice echo[] = { SLICE("ECHO"), SLICE("x") };

	begin(LONG_MS);
	gather_send(gather, echo, ARRAY_LEN(echo), on_first, &replies);
	gather_start(gather);
	WAIT(ends == 1);
	ck_assert_uint_eq(replies, 2);
	ck_assert(was_whole);
}
END_TEST

START_TEST(an_error_is_no_reply)
{
	struct slice wrong[] = { SLICE("NOSUCHCOMMAND") };

	begin(LONG_MS);
	gather_send(gather, wrong, ARRAY_LEN(wrong), on_reply, &replies);
	ask("x");
	gather_start(gather);
	WAIT(ends == 1);
	ck_assert_uint_eq(replies, 1);
	ck_assert(!was_whole);
}
END_TEST

static const struct redis_script script = {
	"test", "return KEYS[1] .. ARGV[1]"
};

START_TEST(a_script_is_a_question_too)
{
	struct slice args[] = { SLICE("a"), SLICE("b") };

	begin(LONG_MS);
	gather_eval(gather, &script, args, ARRAY_LEN(args), 1, on_reply,
	    &replies);
	gather_start(gather);
	WAIT(ends == 1);
	ck_assert_uint_eq(replies, 1);
	ck_assert(was_whole);
}
END_TEST

/* What comes too late is dropped: its target may be gone. */
START_TEST(the_deadline_is_kept)
{
	server_freeze();
	begin(SHORT_MS);
	ask("x");
	gather_start(gather);
	WAIT(ends == 1);
	ck_assert(!was_whole);
	server_thaw();
	WAIT(redis_pending_count(commands) == 0);
	ck_assert_uint_eq(replies, 0);
	ck_assert_uint_eq(ends, 1);
}
END_TEST

START_TEST(a_lost_connection_ends_it)
{
	server_freeze();
	begin(LONG_MS);
	ask("x");
	gather_start(gather);
	server_thaw_and_cut();
	WAIT(ends == 1);
	ck_assert_uint_eq(replies, 0);
	ck_assert(!was_whole);
}
END_TEST

START_TEST(nothing_is_asked_while_redis_is_away)
{
	server_freeze();
	server_thaw_and_cut();
	WAIT(!redis_is_ready(commands));
	begin(LONG_MS);
	ask("x");
	gather_start(gather);
	ck_assert_uint_eq(ends, 1);
	ck_assert(!was_whole);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("gather", setup, teardown);

	tcase_add_test(tc, the_end_comes_after_all_replies);
	tcase_add_test(tc, without_a_question_the_end_comes_at_once);
	tcase_add_test(tc, replies_lead_to_further_questions);
	tcase_add_test(tc, an_error_is_no_reply);
	tcase_add_test(tc, a_script_is_a_question_too);
	tcase_add_test(tc, the_deadline_is_kept);
	tcase_add_test(tc, a_lost_connection_ends_it);
	tcase_add_test(tc, nothing_is_asked_while_redis_is_away);
	return run_cases(tc);
}
