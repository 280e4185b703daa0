/* Commands out and answers in: order, sizes, caps. */
#include <check.h>
#include <signal.h>
#include <string.h>

#include "common/clock.h"
#include "common/xalloc.h"
#include "tests/unit/support/redis_link.h"
#include "tests/unit/support/wait.h"
#include "tests/unit/support/words.h"

START_TEST(pipelined_answers_come_in_order)
{
	struct link c;

	RUN_PEER(PLAIN);
	link_connect(&c, "redis://127.0.0.1:%u");
	check_order(&c);
	link_free(&c);
}
END_TEST

START_TEST(more_commands_than_max_pending_are_refused)
{
	struct link c;
	struct tally t = { 0 };

	RUN_PEER(PLAIN);
	link_init(&c, "redis://127.0.0.1:%u");
	c.opt.max_pending = 100;
	link_open(&c);
	WAIT(redis_is_ready(c.r));
	for (unsigned i = 0; i < 100; i++)
		ck_assert(redis_send_words(c.r, note_tally, &t, "PING"));
	ck_assert(!redis_send_words(c.r, note_tally, &t, "PING"));
	WAIT(redis_pending_count(c.r) == 0);
	ck_assert_uint_eq(t.answers, 100);
	ck_assert_uint_eq(t.nulls, 0);
	ck_assert(redis_send_words(c.r, note_tally, &t, "PING"));
	link_free(&c);
}
END_TEST

/* Sends values of n bytes until one is refused; returns how many were taken. */
static unsigned
fill(struct link *c, struct tally *t, size_t n)
{
	char *value = xcalloc(n, 1);
	const struct slice argv[] = {
		SLICE("SET"), SLICE("key"), slice_of(value, n)
	};
	unsigned taken = 0;

	while (redis_send(c->r, argv, ARRAY_LEN(argv), note_tally, t))
		taken++;
	free(value);
	return taken;
}

START_TEST(more_output_than_max_output_bytes_is_refused)
{
	struct link c;
	struct tally t = { 0 };
	unsigned taken;

	RUN_PEER(PLAIN);
	link_init(&c, "redis://127.0.0.1:%u");
	c.opt.max_output_bytes = 1 << 20;
	link_open(&c);
	WAIT(redis_is_ready(c.r));
	taken = fill(&c, &t, 100000);
	ck_assert_uint_eq(taken, 10);
	WAIT(redis_pending_count(c.r) == 0);
	ck_assert_uint_eq(t.answers, taken);
	link_free(&c);
}
END_TEST

/* The kernel's buffer is full and the rest waits in the process. */
START_TEST(output_to_a_stopped_server_is_bounded_and_kept)
{
	struct link c;
	struct tally t = { 0 };
	unsigned taken = 0;
	uint64_t end;

	RUN_PEER(PLAIN);
	link_init(&c, "redis://127.0.0.1:%u");
	c.opt.max_output_bytes = 1 << 20;
	link_open(&c);
	WAIT(redis_is_ready(c.r));
	kill(peer.pid, SIGSTOP);
	/* Loopback buffers take some megabytes before writing gets stuck. */
	for (end = clock_mono_ms() + 30000;;) {
		unsigned n = fill(&c, &t, 100000);

		taken += n;
		event_base_loop(base, EVLOOP_NONBLOCK);
		if (n == 0)
			break;
		ck_assert(clock_mono_ms() < end);
	}
	ck_assert_uint_gt(taken, 10);
	kill(peer.pid, SIGCONT);
	WAIT(redis_pending_count(c.r) == 0);
	ck_assert_uint_eq(t.answers, taken);
	ck_assert_uint_eq(t.nulls, 0);
	link_free(&c);
}
END_TEST

START_TEST(large_binary_values_survive)
{
	struct link c;

	RUN_PEER(PLAIN);
	link_connect(&c, "redis://127.0.0.1:%u");
	check_large_values(&c);
	link_free(&c);
}
END_TEST

START_TEST(nothing_is_taken_before_ready)
{
	struct link c;
	struct answer a = { 0 };

	RUN_PEER(PLAIN);
	link_init(&c, "redis://127.0.0.1:%u");
	c.r = redis_new(base, dns, &c.opt);
	ck_assert_int_eq(redis_get_state(c.r), REDIS_IDLE);
	ck_assert(!redis_send_words(c.r, note_answer, &a, "PING"));
	redis_open(c.r);
	redis_open(c.r);
	ck_assert(!redis_send_words(c.r, note_answer, &a, "PING"));
	WAIT(redis_is_ready(c.r));
	ck_assert_uint_eq(c.ready, 1);
	ck_assert_uint_eq(a.calls, 0);
	link_free(&c);
	ck_assert_uint_eq(c.lost, 1);
}
END_TEST

START_TEST(an_unasked_error_is_logged)
{
	struct link c;

	RUN_PEER(PLAIN);
	link_connect(&c, "redis://127.0.0.1:%u");
	ck_assert(redis_send_words(c.r, NULL, NULL, "NOSUCHCOMMAND"));
	WAIT(redis_pending_count(c.r) == 0);
	ck_assert(logged("ERR unknown command"));
	ck_assert(redis_is_ready(c.r));
	link_free(&c);
}
END_TEST

START_TEST(flush_reaches_the_server_without_the_loop)
{
	struct link c, other;
	struct answer a = { 0 };

	RUN_PEER(PLAIN);
	link_connect(&c, "redis://127.0.0.1:%u");
	link_connect(&other, "redis://127.0.0.1:%u");
	SEND(&c, &a, "SET", "k", "v");
	redis_flush(c.r);
	link_free(&c);
	ck_assert_uint_eq(a.nulls, 1);
	WAIT(strcmp(ASK(&other, "GET", "k"), "v") == 0);
	link_free(&other);
}
END_TEST

static void
add_tests(TCase *tc)
{
	tcase_add_test(tc, pipelined_answers_come_in_order);
	tcase_add_test(tc, more_commands_than_max_pending_are_refused);
	tcase_add_test(tc, more_output_than_max_output_bytes_is_refused);
	tcase_add_test(tc, output_to_a_stopped_server_is_bounded_and_kept);
	tcase_add_test(tc, large_binary_values_survive);
	tcase_add_test(tc, nothing_is_taken_before_ready);
	tcase_add_test(tc, an_unasked_error_is_logged);
	tcase_add_test(tc, flush_reaches_the_server_without_the_loop);
}

int
main(void)
{
	return run_link_cases("redis_pipeline", NULL, add_tests);
}
