/* Answers without an end: streams. */
#include <check.h>
#include <stdlib.h>

#include "tests/unit/support/http_echo.h"
#include "tests/unit/support/suite.h"
#include "tests/unit/support/wait.h"

static bool
try_write(const char *text)
{
	size_t n = strlen(text);
	struct iovec parts[3] = {
		{ (char *)text, 1 },
		{ (char *)text + 1, 0 },
		{ (char *)text + 1, n - 1 },
	};

	return http_stream_write(stream, parts, 3, n);
}

static void
write_text(const char *text)
{
	ck_assert(try_write(text));
}

static void
write_big(void)
{
	struct iovec part = { big, BIG };

	ck_assert(http_stream_write(stream, &part, 1, BIG));
}

static void
open_stream_client(struct client *c, const char *request, int receive_bytes)
{
	client_open(c, &echo_address, echo_address_len, receive_bytes);
	client_say(c, request);
	WAIT(client_has(c, "\r\n\r\n"));
	ck_assert_ptr_nonnull(stream);
}

/* Without the head; what came of the stream so far. */
static const char *
stream_bytes(const struct client *c)
{
	return strstr(c->in.p, "\r\n\r\n") + 4;
}

static size_t
stream_len(const struct client *c)
{
	return c->in.n - (size_t)(stream_bytes(c) - c->in.p);
}

START_TEST(a_stream_is_chunked)
{
	struct client c;

	open_stream_client(&c, GET("/stream"), 0);
	ck_assert(client_has(&c, "HTTP/1.1 200 OK\r\n"));
	ck_assert(client_has(&c, "Content-Type: text/plain\r\n"));
	ck_assert(client_has(&c, "Transfer-Encoding: chunked\r\n"));
	ck_assert(!client_has(&c, "Content-Length"));
	ck_assert_str_eq(stream_bytes(&c), "");
	write_text("0123456789abcdef");
	write_text("x");
	WAIT(client_has(&c, "\r\nx\r\n"));
	ck_assert_str_eq(stream_bytes(&c),
	    "10\r\n0123456789abcdef\r\n1\r\nx\r\n");
	http_stream_end(stream, "enough");
	WAIT(c.eof);
	ck_assert_str_eq(stream_bytes(&c),
	    "10\r\n0123456789abcdef\r\n1\r\nx\r\n0\r\n\r\n");
	client_close(&c);
	WAIT(http_server_connections(echo_server) == 0);
	turn();
	ck_assert_uint_eq(closed, 0);
}
END_TEST

START_TEST(a_stream_for_http_1_0_ends_with_its_connection)
{
	struct client c;

	open_stream_client(&c,
	    "GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 0);
	ck_assert(!client_has(&c, "Transfer-Encoding"));
	ck_assert(client_has(&c, "Connection: close\r\n"));
	write_text("hello");
	write_text("world");
	http_stream_end(stream, "enough");
	WAIT(c.eof);
	ck_assert_str_eq(stream_bytes(&c), "helloworld");
	client_close(&c);
}
END_TEST

START_TEST(what_a_client_says_on_a_stream_is_dropped)
{
	struct client c;

	open_stream_client(&c, GET("/stream") GET("/pipelined"), 0);
	for (unsigned i = 0; i < 20; i++)
		client_send(&c, big, BIG);
	client_say(&c, GET("/late"));
	write_text("still here");
	WAIT(client_has(&c, "still here"));
	ck_assert_uint_eq(handled, 1);
	client_close(&c);
	WAIT(closed == 1);
	ck_assert_str_eq(closed_reason, "client_closed");
}
END_TEST

START_TEST(a_stream_after_a_request_that_was_kept_in_parts)
{
	struct client c;

	client_open(&c, &echo_address, echo_address_len, 0);
	client_say(&c, "GET /str");
	turn();
	client_say(&c, "eam HTTP/1.1\r\nHost: h\r\n\r\n" GET("/behind"));
	WAIT(stream != NULL);
	write_text("hello");
	WAIT(client_has(&c, "5\r\nhello\r\n"));
	ck_assert_uint_eq(handled, 1);
	client_close(&c);
	WAIT(closed == 1);
}
END_TEST

START_TEST(a_stream_does_not_time_out)
{
	struct client c;

	open_stream_client(&c, GET("/stream"), 0);
	echo_pass_ms(10 * IDLE_MS);
	write_text("hello");
	WAIT(client_has(&c, "hello"));
	client_close(&c);
	WAIT(closed == 1);
}
END_TEST

START_TEST(a_stream_ends_once_when_the_client_closes_it)
{
	struct client c;

	open_stream_client(&c, GET("/stream"), 0);
	client_finish(&c);
	WAIT(closed == 1);
	ck_assert_str_eq(closed_reason, "client_closed");
	WAIT(c.eof);
	client_close(&c);
	turn();
	ck_assert_uint_eq(closed, 1);
}
END_TEST

START_TEST(a_stream_ends_once_when_the_client_resets_it)
{
	struct client c;

	open_stream_client(&c, GET("/stream"), 0);
	client_abort(&c);
	WAIT(closed == 1);
	ck_assert_str_eq(closed_reason, "connection_reset");
	turn();
	ck_assert_uint_eq(closed, 1);
}
END_TEST

/* The user's own call must not call him back. */
START_TEST(a_failed_write_is_told_on_a_later_turn)
{
	struct client c;
	bool taken = true;

	open_stream_client(&c, GET("/stream"), 0);
	client_abort(&c);
	for (unsigned i = 0; i < 10; i++)
		taken = try_write("to nobody");
	ck_assert(!taken);
	ck_assert_uint_eq(closed, 0);
	WAIT(closed == 1);
	turn();
	ck_assert_uint_eq(closed, 1);
}
END_TEST

START_TEST(nobody_is_told_of_a_stream_that_he_let_go)
{
	struct client c;

	open_stream_client(&c, GET("/stream"), 0);
	client_abort(&c);
	while (try_write("to nobody"))
		;
	http_stream_end(stream, "enough");
	WAIT(http_server_connections(echo_server) == 0);
	turn();
	ck_assert_uint_eq(closed, 0);
}
END_TEST

START_TEST(drained_is_called_when_all_was_taken)
{
	struct client c;

	open_stream_client(&c, GET("/stream"), 4096);
	write_text("small");
	turn();
	ck_assert_uint_eq(drained, 0);
	ck_assert_uint_eq(http_stream_unsent(stream), 0);
	client_pause(&c);
	write_big();
	turn();
	ck_assert_uint_gt(http_stream_unsent(stream), 0);
	ck_assert_uint_eq(drained, 0);
	client_resume(&c);
	WAIT(drained == 1);
	ck_assert_uint_eq(http_stream_unsent(stream), 0);
	write_text("last");
	WAIT(client_has(&c, "\r\n4\r\nlast\r\n"));
	ck_assert_uint_eq(drained, 1);
	client_close(&c);
	WAIT(closed == 1);
}
END_TEST

/* 768 KiB are c0000 in hex; the text's chunk came before. */
START_TEST(a_stream_ended_mid_output_arrives_whole)
{
	static const char before[] = "5\r\nhello\r\nc0000\r\n";
	size_t whole = sizeof(before) - 1 + BIG + strlen("\r\n0\r\n\r\n");
	struct client c;

	open_stream_client(&c, GET("/stream"), 4096);
	client_pause(&c);
	write_text("hello");
	write_big();
	ck_assert_uint_gt(http_stream_unsent(stream), 0);
	http_stream_end(stream, "enough");
	echo_pass_ms(LINGER_MS + 1);
	client_resume(&c);
	WAIT(c.eof || c.reset);
	ck_assert(!c.reset);
	ck_assert_uint_eq(stream_len(&c), whole);
	ck_assert_mem_eq(stream_bytes(&c), before, sizeof(before) - 1);
	ck_assert_mem_eq(stream_bytes(&c) + sizeof(before) - 1, big, BIG);
	ck_assert_mem_eq(stream_bytes(&c) + whole - 7, "\r\n0\r\n\r\n", 7);
	client_close(&c);
	turn();
	ck_assert_uint_eq(closed, 0);
	ck_assert_uint_eq(drained, 0);
}
END_TEST

START_TEST(a_stream_that_nobody_reads_is_dropped)
{
	struct client c;

	open_stream_client(&c, GET("/stream"), 4096);
	client_pause(&c);
	write_big();
	turn();
	echo_pass_ms(STUCK_MS - 1);
	ck_assert_uint_eq(closed, 0);
	echo_pass_ms(1);
	WAIT(closed == 1);
	ck_assert_str_eq(closed_reason, "slow_client");
	ck_assert_int_eq(echo_stat_of(STAT_CLOSED_SLOW), 1);
	client_close(&c);
}
END_TEST

START_TEST(a_slow_reader_is_not_dropped)
{
	struct client c;
	unsigned rests = 0;

	open_stream_client(&c, GET("/stream"), 4096);
	client_pause(&c);
	write_big();
	while (http_stream_unsent(stream) > 0) {
		size_t before = http_stream_unsent(stream);

		client_resume(&c);
		WAIT(http_stream_unsent(stream) < before);
		client_pause(&c);
		echo_pass_ms(STUCK_MS - 1);
		ck_assert_uint_eq(closed, 0);
		rests++;
	}
	ck_assert_uint_gt(rests, 2);
	client_close(&c);
	WAIT(closed == 1);
}
END_TEST

START_TEST(a_stream_ended_for_a_stuck_reader_is_dropped_too)
{
	struct client c;

	open_stream_client(&c, GET("/stream"), 4096);
	client_pause(&c);
	write_big();
	http_stream_end(stream, "enough");
	turn();
	echo_pass_ms(STUCK_MS);
	WAIT(http_server_connections(echo_server) == 0);
	client_close(&c);
}
END_TEST

START_TEST(a_stream_may_be_opened_later)
{
	struct client c;

	client_open(&c, &echo_address, echo_address_len, 0);
	client_say(&c, GET("/later"));
	WAIT(held_count == 1);
	open_stream(held[0]);
	http_release(held[0]);
	ck_assert_ptr_nonnull(stream);
	write_text("late");
	WAIT(client_has(&c, "4\r\nlate\r\n"));
	client_close(&c);
	WAIT(closed == 1);
}
END_TEST

START_TEST(a_stream_for_a_client_that_left_is_not_opened)
{
	struct client c;

	client_open(&c, &echo_address, echo_address_len, 0);
	client_say(&c, GET("/later"));
	WAIT(held_count == 1);
	client_abort(&c);
	WAIT(http_server_connections(echo_server) == 0);
	open_stream(held[0]);
	ck_assert_ptr_null(stream);
	http_release(held[0]);
	turn();
	ck_assert_uint_eq(closed, 0);
}
END_TEST

START_TEST(freeing_the_server_closes_streams)
{
	struct client c;

	open_stream_client(&c, GET("/stream"), 0);
	http_server_free(echo_server);
	ck_assert_uint_eq(closed, 1);
	ck_assert_str_eq(closed_reason, "shutdown");
	echo_start(10);
	client_close(&c);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("http_stream", echo_setup, echo_teardown);

	tcase_add_test(tc, a_stream_is_chunked);
	tcase_add_test(tc, a_stream_for_http_1_0_ends_with_its_connection);
	tcase_add_test(tc, what_a_client_says_on_a_stream_is_dropped);
	tcase_add_test(tc, a_stream_after_a_request_that_was_kept_in_parts);
	tcase_add_test(tc, a_stream_does_not_time_out);
	tcase_add_test(tc, a_stream_ends_once_when_the_client_closes_it);
	tcase_add_test(tc, a_stream_ends_once_when_the_client_resets_it);
	tcase_add_test(tc, a_failed_write_is_told_on_a_later_turn);
	tcase_add_test(tc, nobody_is_told_of_a_stream_that_he_let_go);
	tcase_add_test(tc, drained_is_called_when_all_was_taken);
	tcase_add_test(tc, a_stream_ended_mid_output_arrives_whole);
	tcase_add_test(tc, a_stream_that_nobody_reads_is_dropped);
	tcase_add_test(tc, a_slow_reader_is_not_dropped);
	tcase_add_test(tc, a_stream_ended_for_a_stuck_reader_is_dropped_too);
	tcase_add_test(tc, a_stream_may_be_opened_later);
	tcase_add_test(tc, a_stream_for_a_client_that_left_is_not_opened);
	tcase_add_test(tc, freeing_the_server_closes_streams);
	return run_cases(tc);
}
