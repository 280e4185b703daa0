/* Requests and their answers, over real sockets, in every order and slicing. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/support/http_echo.h"
#include "tests/unit/support/suite.h"
#include "tests/unit/support/wait.h"

START_TEST(an_answer_is_whole)
{
	struct client c;
	struct answer a;

	open_client(&c);
	client_say(&c, POST("/x?y", "5", "hello"));
	WAIT(client_take(&c, &a, false));
	ck_assert_int_eq(a.status, 200);
	ck_assert_str_eq(a.body.p, "3 /x?y hello");
	ck_assert_ptr_nonnull(strstr(a.head.p, "Content-Type: text/plain\r\n"));
	ck_assert_ptr_nonnull(strstr(a.head.p,
	    "Date: Thu, 01 Jan 1970 00:16:40 GMT\r\n"));
	ck_assert_ptr_null(strstr(a.head.p, "Connection:"));
	answer_release(&a);
	client_close(&c);
}
END_TEST

START_TEST(a_connection_serves_one_request_after_another)
{
	struct client c;

	open_client(&c);
	for (unsigned i = 0; i < 100; i++) {
		client_say(&c, GET("/again"));
		client_expect(&c, 200, "1 /again ");
	}
	ck_assert_int_eq(echo_stat_of(STAT_CONNECTIONS_ACCEPTED), 1);
	ck_assert_int_eq(echo_stat_of(STAT_REQUESTS), 100);
	client_close(&c);
}
END_TEST

/* What the client asks of the connection, and what it is told. */
static const struct {
	const char *request;
	const char *field;    /* NULL: none */
	bool stays;
} wishes[] = {
	{ "GET / HTTP/1.1\r\nHost: h\r\n\r\n", NULL, true },
	{ "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
	    "Connection: close\r\n", false },
	{ "GET / HTTP/1.0\r\n\r\n", "Connection: close\r\n", false },
	{ "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
	    "Connection: keep-alive\r\n", true },
};

START_TEST(a_connection_ends_as_the_client_wishes)
{
	struct client c;
	struct answer a;

	open_client(&c);
	client_say(&c, wishes[_i].request);
	WAIT(client_take(&c, &a, false));
	if (wishes[_i].field != NULL)
		ck_assert_ptr_nonnull(strstr(a.head.p, wishes[_i].field));
	else
		ck_assert_ptr_null(strstr(a.head.p, "Connection:"));
	answer_release(&a);
	if (wishes[_i].stays) {
		client_say(&c, wishes[_i].request);
		client_expect(&c, 200, "1 / ");
	} else {
		WAIT(c.eof);
	}
	client_close(&c);
}
END_TEST

START_TEST(a_head_request_gets_a_head)
{
	struct client c;
	struct answer a;

	open_client(&c);
	client_say(&c, "HEAD /x HTTP/1.1\r\nHost: h\r\n\r\n" GET("/y"));
	WAIT(client_take(&c, &a, true));
	ck_assert_int_eq(a.status, 200);
	ck_assert_ptr_nonnull(strstr(a.head.p, "Content-Length: 5\r\n"));
	answer_release(&a);
	client_expect(&c, 200, "1 /y ");
	client_close(&c);
}
END_TEST

START_TEST(a_client_that_expects_it_is_told_to_go_on)
{
	struct client c;
	struct answer a;

	open_client(&c);
	client_say(&c, "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n"
		       "Expect: 100-continue\r\n\r\n");
	WAIT(client_take(&c, &a, true));
	ck_assert_str_eq(a.head.p, "HTTP/1.1 100 Continue\r\n\r\n");
	answer_release(&a);
	ck_assert_uint_eq(handled, 0);
	client_say(&c, "ok");
	client_expect(&c, 200, "3 /x ok");
	client_close(&c);
}
END_TEST

START_TEST(the_peer_is_known)
{
	struct client c;
	static const unsigned char loopback[16] = { [10] = 0xff, [11] = 0xff,
		[12] = 127, [15] = 1 };

	open_client(&c);
	client_say(&c, GET("/later"));
	WAIT(held_count == 1);
	ck_assert_mem_eq(http_peer_address(held[0])->s6_addr, loopback,
	    sizeof(loopback));
	answer_held(0);
	client_expect(&c, 200, "/later");
	client_close(&c);
}
END_TEST

/* Pipelining -------------------------------------------------------------- */

#define MANY 1000

START_TEST(many_requests_in_one_segment_are_answered_in_order)
{
	struct strbuf text = STRBUF_INIT(1 << 20);
	struct client c;
	char expected[32];

	for (unsigned i = 0; i < MANY; i++)
		strbuf_addf(&text, "GET /%u HTTP/1.1\r\nHost: h\r\n\r\n", i);
	ck_assert_uint_lt(text.n, 64 * 1024);
	open_client(&c);
	client_send(&c, text.p, text.n);
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(expected, sizeof(expected), "1 /%u ", i);
		client_expect(&c, 200, expected);
	}
	ck_assert_uint_eq(handled, MANY);
	strbuf_release(&text);
	client_close(&c);
}
END_TEST

/* Each kind of body, so that the next request starts at the right byte. */
#define MIXED                                                                  \
	POST("/a", "3", "abc") GET("/b") POST_CHUNKED("/c", "2\r\nde\r\n3\r\n" \
	"fgh\r\n0\r\n\r\n") POST("/d", "0", "") POST_CHUNKED("/e",           \
	"0\r\n\r\n") POST("/f", "1", "z") GET("/g")

static void
expect_mixed(struct client *c)
{
	client_expect(c, 200, "3 /a abc");
	client_expect(c, 200, "1 /b ");
	client_expect(c, 200, "3 /c defgh");
	client_expect(c, 200, "3 /d ");
	client_expect(c, 200, "3 /e ");
	client_expect(c, 200, "3 /f z");
	client_expect(c, 200, "1 /g ");
}

START_TEST(pipelined_bodies_of_all_kinds_end_where_they_end)
{
	struct client c;

	open_client(&c);
	client_say(&c, MIXED MIXED MIXED);
	for (unsigned i = 0; i < 3; i++)
		expect_mixed(&c);
	ck_assert_uint_eq(c.in.n, 0);
	client_close(&c);
}
END_TEST

START_TEST(requests_may_be_split_at_every_byte)
{
	static const char text[] = MIXED;
	struct client c;

	open_client(&c);
	for (size_t i = 1; i < sizeof(text) - 1; i++) {
		client_send(&c, text, i);
		turn();
		client_send(&c, text + i, sizeof(text) - 1 - i);
		expect_mixed(&c);
	}
	ck_assert_uint_eq(c.in.n, 0);
	client_close(&c);
}
END_TEST

START_TEST(requests_may_come_byte_by_byte)
{
	static const char text[] = MIXED;
	struct client c;

	open_client(&c);
	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		client_send(&c, text + i, 1);
		turn();
	}
	expect_mixed(&c);
	client_close(&c);
}
END_TEST

START_TEST(a_body_at_the_limit_arrives)
{
	struct client c;
	struct answer a;
	char head[128];

	snprintf(head, sizeof(head), POST("/x", "%d", ""), BODY_MAX);
	open_client(&c);
	client_say(&c, head);
	client_send(&c, big, BODY_MAX);
	WAIT(client_take(&c, &a, false));
	ck_assert_int_eq(a.status, 200);
	ck_assert_uint_eq(a.body.n, 5 + BODY_MAX);
	ck_assert_mem_eq(a.body.p + 5, big, BODY_MAX);
	answer_release(&a);
	client_close(&c);
}
END_TEST

/* The worst case of the coding: five bytes around each one of the body. */
START_TEST(a_body_at_the_limit_may_come_in_chunks_of_one_byte)
{
	struct strbuf text = STRBUF_INIT(1 << 20);
	struct client c;
	struct answer a;

	strbuf_add_str(&text, POST_CHUNKED("/x", ""));
	for (size_t i = 0; i < BODY_MAX; i++) {
		strbuf_add_str(&text, "1\r\n");
		strbuf_add_char(&text, big[i]);
		strbuf_add_str(&text, "\r\n");
	}
	strbuf_add_str(&text, "0\r\n\r\n");
	open_client(&c);
	client_send(&c, text.p, text.n);
	WAIT(client_take(&c, &a, false) || c.eof || c.reset);
	ck_assert(!c.eof && !c.reset);
	ck_assert_int_eq(a.status, 200);
	ck_assert_mem_eq(a.body.p + 5, big, BODY_MAX);
	answer_release(&a);
	strbuf_release(&text);
	client_close(&c);
}
END_TEST

/* Answers that take their time -------------------------------------------- */

START_TEST(the_next_request_waits_for_the_answer_before_it)
{
	struct client c;

	open_client(&c);
	client_say(&c, GET("/later") GET("/b") GET("/later?2") GET("/d"));
	WAIT(held_count == 1);
	turn();
	ck_assert_uint_eq(handled, 1);
	ck_assert_uint_eq(http_server_busy(echo_server), 1);
	answer_held(0);
	client_expect(&c, 200, "/later");
	client_expect(&c, 200, "1 /b ");
	WAIT(held_count == 2);
	ck_assert_uint_eq(handled, 3);
	answer_held(1);
	client_expect(&c, 200, "/later?2");
	client_expect(&c, 200, "1 /d ");
	ck_assert_uint_eq(http_server_busy(echo_server), 0);
	client_close(&c);
}
END_TEST

START_TEST(a_request_may_arrive_while_another_is_being_answered)
{
	struct client c;

	open_client(&c);
	client_say(&c, GET("/later"));
	WAIT(held_count == 1);
	client_say(&c, "POST /b HTTP/1.1\r\nHost: h\r\nContent-Le");
	turn();
	client_say(&c, "ngth: 4\r\n\r\nbo");
	turn();
	answer_held(0);
	client_expect(&c, 200, "/later");
	ck_assert_uint_eq(handled, 1);
	client_say(&c, "dy" GET("/c"));
	client_expect(&c, 200, "3 /b body");
	client_expect(&c, 200, "1 /c ");
	client_close(&c);
}
END_TEST

/* A client may not make the server keep what it sends while it waits. */
START_TEST(what_comes_while_busy_stays_in_the_socket)
{
	struct strbuf flood = STRBUF_INIT(64 << 20);
	struct client c;
	ssize_t n;
	size_t sent = 0;

	strbuf_add_str(&flood, POST("/b", "60000", ""));
	for (unsigned i = 0; i < 60000; i++)
		strbuf_add_char(&flood, 'x');
	open_client(&c);
	client_say(&c, GET("/later"));
	WAIT(held_count == 1);
	do {
		n = send(c.fd, flood.p + sent % flood.n,
		    flood.n - sent % flood.n, MSG_DONTWAIT);
		sent += n > 0 ? (size_t)n : 0;
		turn();
	} while (n > 0 && sent < (64 << 20));
	ck_assert_int_lt(n, 0);
	answer_held(0);
	for (size_t i = 0; i < sent / flood.n; i++)
		client_expect(&c, 200, NULL);
	strbuf_release(&flood);
	client_close(&c);
}
END_TEST

START_TEST(a_client_that_left_is_forgotten_when_it_is_answered)
{
	struct client c;

	open_client(&c);
	client_say(&c, GET("/later"));
	WAIT(held_count == 1);
	client_abort(&c);
	WAIT(http_server_connections(echo_server) == 0);
	answer_held(0);
	turn();
}
END_TEST

START_TEST(a_held_connection_outlives_its_answer)
{
	struct client c;

	open_client(&c);
	client_say(&c, GET_CLOSE("/later"));
	WAIT(held_count == 1);
	echo_respond(held[0], SLICE("once"));
	echo_respond(held[0], SLICE("twice"));
	client_expect(&c, 200, "once");
	WAIT(c.eof);
	client_close(&c);
	WAIT(http_server_connections(echo_server) == 0);
	turn();
	echo_respond(held[0], SLICE("thrice"));
	http_release(held[0]);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("http_request", echo_setup, echo_teardown);

	tcase_add_test(tc, an_answer_is_whole);
	tcase_add_test(tc, a_connection_serves_one_request_after_another);
	tcase_add_loop_test(tc, a_connection_ends_as_the_client_wishes, 0,
	    (int)ARRAY_LEN(wishes));
	tcase_add_test(tc, a_head_request_gets_a_head);
	tcase_add_test(tc, a_client_that_expects_it_is_told_to_go_on);
	tcase_add_test(tc, the_peer_is_known);
	tcase_add_test(tc, many_requests_in_one_segment_are_answered_in_order);
	tcase_add_test(tc, pipelined_bodies_of_all_kinds_end_where_they_end);
	tcase_add_test(tc, requests_may_be_split_at_every_byte);
	tcase_add_test(tc, requests_may_come_byte_by_byte);
	tcase_add_test(tc, a_body_at_the_limit_arrives);
	tcase_add_test(tc, a_body_at_the_limit_may_come_in_chunks_of_one_byte);
	tcase_add_test(tc, the_next_request_waits_for_the_answer_before_it);
	tcase_add_test(tc,
	    a_request_may_arrive_while_another_is_being_answered);
	tcase_add_test(tc, what_comes_while_busy_stays_in_the_socket);
	tcase_add_test(tc, a_client_that_left_is_forgotten_when_it_is_answered);
	tcase_add_test(tc, a_held_connection_outlives_its_answer);
	return run_cases(tc);
}
