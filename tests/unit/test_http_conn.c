/* Connections: how they end, by the client, by a deadline, by a refusal. */
#include <check.h>

#include "tests/unit/support/http_echo.h"
#include "tests/unit/support/suite.h"
#include "tests/unit/support/wait.h"

/* Clients that close their half ------------------------------------------- */

START_TEST(a_half_closed_client_gets_all_its_answers)
{
	struct client c;

	open_client(&c);
	client_say(&c, GET("/a") GET("/b"));
	client_finish(&c);
	client_expect(&c, 200, "1 /a ");
	client_expect(&c, 200, "1 /b ");
	WAIT(c.eof);
	client_close(&c);
}
END_TEST

START_TEST(a_half_closed_client_gets_an_answer_that_comes_later)
{
	struct client c;

	open_client(&c);
	client_say(&c, GET("/later"));
	WAIT(held_count == 1);
	client_finish(&c);
	turn();
	ck_assert_uint_eq(http_server_connections(echo_server), 1);
	answer_held(0);
	client_expect(&c, 200, "/later");
	WAIT(c.eof);
	client_close(&c);
}
END_TEST

START_TEST(a_half_closed_client_gets_what_it_pipelined_behind)
{
	struct client c;

	open_client(&c);
	client_say(&c, GET("/later") GET("/b") GET("/c"));
	client_finish(&c);
	WAIT(held_count == 1);
	turn();
	answer_held(0);
	client_expect(&c, 200, "/later");
	client_expect(&c, 200, "1 /b ");
	client_expect(&c, 200, "1 /c ");
	WAIT(c.eof);
	client_close(&c);
}
END_TEST

/* It reads late: most of the answer waits in the server when its FIN comes. */
START_TEST(a_half_closed_client_gets_a_large_answer_whole)
{
	struct client c;
	struct answer a;

	client_open(&c, &echo_address, echo_address_len, 4096);
	client_pause(&c);
	client_say(&c, GET("/big"));
	WAIT(handled == 1);
	client_finish(&c);
	turn();
	client_resume(&c);
	WAIT(client_take(&c, &a, false) || c.eof || c.reset);
	ck_assert_uint_eq(a.body.n, BIG);
	ck_assert_mem_eq(a.body.p, big, BIG);
	answer_release(&a);
	WAIT(c.eof);
	client_close(&c);
}
END_TEST

START_TEST(half_a_request_and_a_fin_end_the_connection)
{
	struct client c;

	open_client(&c);
	client_say(&c, POST("/x", "10", "hal"));
	turn();
	client_finish(&c);
	WAIT(c.eof);
	ck_assert_uint_eq(c.in.n, 0);
	ck_assert_uint_eq(handled, 0);
	client_close(&c);
}
END_TEST

/* Deadlines --------------------------------------------------------------- */

/* Requests that stay incomplete, and how long they may. */
static const struct {
	const char *text;
	uint64_t patience_ms;
	int status;           /* 0: closed without a word */
} unfinished[] = {
	{ "", IDLE_MS, 0 },
	{ "G", HEAD_MS, 408 },
	{ "GET / HTTP/1.1\r\nHost: h\r\n", HEAD_MS, 408 },
	{ POST("/x", "10", ""), BODY_MS, 408 },
	{ POST("/x", "10", "123456789"), BODY_MS, 408 },
	{ POST_CHUNKED("/x", ""), BODY_MS, 408 },
	{ POST_CHUNKED("/x", "2\r\nab\r\n"), BODY_MS, 408 },
	{ GET("/x"), IDLE_MS, 0 },
	{ GET("/x") "G", HEAD_MS, 408 },
};

START_TEST(an_unfinished_request_times_out)
{
	struct client c;

	open_client(&c);
	WAIT(http_server_connections(echo_server) == 1);
	client_say(&c, unfinished[_i].text);
	turn();
	if (strncmp(unfinished[_i].text, GET("/x"), strlen(GET("/x"))) == 0)
		client_expect(&c, 200, NULL);
	echo_pass_ms(unfinished[_i].patience_ms - 1);
	ck_assert(!c.eof);
	ck_assert_uint_eq(c.in.n, 0);
	echo_pass_ms(1);
	if (unfinished[_i].status != 0)
		client_expect(&c, unfinished[_i].status, NULL);
	WAIT(c.eof);
	ck_assert_uint_eq(c.in.n, 0);
	client_close(&c);
	WAIT(http_server_connections(echo_server) == 0);
}
END_TEST

START_TEST(single_bytes_do_not_buy_time)
{
	static const char head[] = "GET /slow HTTP/1.1\r\nHost: h\r\nX: ";
	struct client c;

	open_client(&c);
	client_say(&c, head);
	turn();
	for (unsigned i = 0; i < 9; i++) {
		echo_pass_ms(HEAD_MS / 10);
		client_say(&c, "x");
		turn();
		ck_assert_uint_eq(c.in.n, 0);
	}
	echo_pass_ms(HEAD_MS / 10);
	client_expect(&c, 408, NULL);
	WAIT(c.eof);
	client_close(&c);
}
END_TEST

START_TEST(the_body_has_its_own_time)
{
	struct client c;

	open_client(&c);
	client_say(&c, "POST /x HTTP/1.1\r\nHost: h\r\n");
	turn();
	echo_pass_ms(HEAD_MS - 1);
	client_say(&c, "Content-Length: 2\r\n\r\n");
	turn();
	echo_pass_ms(BODY_MS - 1);
	client_say(&c, "ok");
	client_expect(&c, 200, "3 /x ok");
	echo_pass_ms(IDLE_MS - 1);
	ck_assert(!c.eof);
	echo_pass_ms(1);
	WAIT(c.eof);
	client_close(&c);
}
END_TEST

START_TEST(a_handler_may_take_any_time)
{
	struct client c;

	open_client(&c);
	client_say(&c, GET("/later"));
	WAIT(held_count == 1);
	echo_pass_ms(10 * IDLE_MS);
	answer_held(0);
	client_expect(&c, 200, "/later");
	client_close(&c);
}
END_TEST

START_TEST(a_client_that_never_closes_is_closed_after_its_last_answer)
{
	struct client c;

	open_client(&c);
	client_say(&c, GET_CLOSE("/x"));
	client_expect(&c, 200, "1 /x ");
	WAIT(c.eof);
	ck_assert_uint_eq(http_server_connections(echo_server), 1);
	echo_pass_ms(LINGER_MS);
	ck_assert_uint_eq(http_server_connections(echo_server), 0);
	client_close(&c);
}
END_TEST

/* It takes its time, but takes bytes: the two seconds are for the FIN alone. */
START_TEST(a_last_answer_is_given_the_time_to_arrive)
{
	struct client c;
	struct answer a;

	client_open(&c, &echo_address, echo_address_len, 4096);
	client_pause(&c);
	client_say(&c, GET_CLOSE("/big"));
	WAIT(handled == 1);
	echo_pass_ms(LINGER_MS);
	echo_pass_ms(LINGER_MS);
	client_resume(&c);
	WAIT(client_take(&c, &a, false) || c.eof || c.reset);
	ck_assert_uint_eq(a.body.n, BIG);
	answer_release(&a);
	WAIT(c.eof);
	client_close(&c);
}
END_TEST

/* Refusals ---------------------------------------------------------------- */

START_TEST(a_refused_client_that_goes_on_sending_reads_why)
{
	struct client c;

	open_client(&c);
	client_say(&c, "GET / HTTP/1.1\r\nHost : h\r\n\r\n");
	for (unsigned i = 0; i < 20; i++)
		client_send(&c, big, BIG / 10);
	client_expect(&c, 400, NULL);
	client_send(&c, big, BIG);
	WAIT(c.eof);
	ck_assert(!c.reset);
	ck_assert_uint_eq(handled, 0);
	client_close(&c);
	WAIT(http_server_connections(echo_server) == 0);
}
END_TEST

static const struct {
	const char *text;
	int status;
} refusals[] = {
	{ "GET / HTTP/1.1\r\n\r\n", 400 },
	{ POST("/x", "65537", ""), 413 },
	{ POST_CHUNKED("/x", "10001\r\n"), 413 },
	{ POST_CHUNKED("/x", "1;x=y\r\na"), 400 },
	{ POST_CHUNKED("/x", "2\r\nab\r\nzz\r\n"), 400 },
	{ "BREW / HTTP/1.1\r\nHost: h\r\n\r\n", 501 },
	{ "GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505 },
};

START_TEST(a_refusal_ends_the_connection)
{
	struct client c;

	open_client(&c);
	client_say(&c, refusals[_i].text);
	client_say(&c, GET("/smuggled"));
	client_expect(&c, refusals[_i].status, NULL);
	WAIT(c.eof);
	ck_assert_uint_eq(c.in.n, 0);
	ck_assert_uint_eq(handled, 0);
	client_close(&c);
}
END_TEST

START_TEST(a_refusal_comes_after_the_answers_before_it)
{
	struct client c;

	open_client(&c);
	client_say(&c, GET("/later") "GARBAGE\r\n\r\n" GET("/smuggled"));
	WAIT(held_count == 1);
	turn();
	answer_held(0);
	client_expect(&c, 200, "/later");
	client_expect(&c, 400, NULL);
	WAIT(c.eof);
	ck_assert_uint_eq(handled, 1);
	client_close(&c);
}
END_TEST

/* Clients that do not read ------------------------------------------------ */

START_TEST(a_stuck_reader_is_dropped)
{
	struct client c;

	client_open(&c, &echo_address, echo_address_len, 4096);
	client_pause(&c);
	client_say(&c, GET("/big"));
	WAIT(handled == 1);
	echo_pass_ms(STUCK_MS - 1);
	ck_assert_uint_eq(http_server_connections(echo_server), 1);
	echo_pass_ms(1);
	ck_assert_uint_eq(http_server_connections(echo_server), 0);
	ck_assert_int_eq(echo_stat_of(STAT_CLOSED_SLOW), 1);
	client_close(&c);
}
END_TEST

START_TEST(answers_that_nobody_reads_are_bounded)
{
	struct client c;

	client_open(&c, &echo_address, echo_address_len, 4096);
	client_pause(&c);
	client_say(&c, GET("/big") GET("/big") GET("/big") GET("/big"));
	WAIT(http_server_connections(echo_server) == 0);
	ck_assert_uint_le(handled, 3);
	client_close(&c);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("http_conn", echo_setup, echo_teardown);

	tcase_add_test(tc, a_half_closed_client_gets_all_its_answers);
	tcase_add_test(tc,
	    a_half_closed_client_gets_an_answer_that_comes_later);
	tcase_add_test(tc, a_half_closed_client_gets_what_it_pipelined_behind);
	tcase_add_test(tc, a_half_closed_client_gets_a_large_answer_whole);
	tcase_add_test(tc, half_a_request_and_a_fin_end_the_connection);
	tcase_add_loop_test(tc, an_unfinished_request_times_out, 0,
	    (int)ARRAY_LEN(unfinished));
	tcase_add_test(tc, single_bytes_do_not_buy_time);
	tcase_add_test(tc, the_body_has_its_own_time);
	tcase_add_test(tc, a_handler_may_take_any_time);
	tcase_add_test(tc,
	    a_client_that_never_closes_is_closed_after_its_last_answer);
	tcase_add_test(tc, a_last_answer_is_given_the_time_to_arrive);
	tcase_add_test(tc, a_refused_client_that_goes_on_sending_reads_why);
	tcase_add_loop_test(tc, a_refusal_ends_the_connection, 0,
	    (int)ARRAY_LEN(refusals));
	tcase_add_test(tc, a_refusal_comes_after_the_answers_before_it);
	tcase_add_test(tc, a_stuck_reader_is_dropped);
	tcase_add_test(tc, answers_that_nobody_reads_are_bounded);
	return run_cases(tc);
}
