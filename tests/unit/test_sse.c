/* Events as they stand on the wire, over a real HTTP stream. */
#include "proxy/sse.h"

#include <check.h>
#include <stdlib.h>

#include "tests/unit/support/client.h"
#include "tests/unit/support/serve.h"
#include "tests/unit/support/suite.h"
#include "tests/unit/support/wait.h"

static struct http_server *server;
static struct http_conn *stream;
static metric_value stats[STAT_COUNT];
static struct client client;
static struct sockaddr_storage address;
static socklen_t address_len;

static void
on_drained(struct http_conn *c UNUSED, void *arg UNUSED)
{
}

static void
on_closed(struct http_conn *c UNUSED, const char *reason UNUSED,
    void *arg UNUSED)
{
	stream = NULL;
}

static const struct http_stream_ops ops = {
	.drained = on_drained,
	.closed = on_closed,
};

static void
on_request(struct http_conn *c, const struct http_request *req UNUSED,
    void *arg UNUSED)
{
	ck_assert(sse_open(c, &ops, NULL));
	stream = c;
}

static void
setup(void)
{
	wait_setup();
	server = serve(on_request, NULL, stats, &address, &address_len);
	client_open(&client, &address, address_len, 0);
	client_say(&client, "GET / HTTP/1.0\r\n\r\n");
	WAIT(client_has(&client, "\r\n\r\n"));
}

static void
teardown(void)
{
	client_close(&client);
	http_server_free(server);
	wait_teardown();
}

/* What came behind the head, once the stream has ended (it is not chunked). */
static const char *
events(void)
{
	http_stream_end(stream, "enough");
	WAIT(client.eof);
	return strstr(client.in.p, "\r\n\r\n") + 4;
}

START_TEST(an_event_stream_is_neither_cached_nor_buffered)
{
	ck_assert(client_has(&client, "HTTP/1.1 200 OK\r\n"));
	ck_assert(client_has(&client,
	    "\r\nContent-Type: text/event-stream\r\n"));
	ck_assert(client_has(&client,
	    "\r\nCache-Control: no-cache, no-transform\r\n"));
	ck_assert(client_has(&client, "\r\nX-Accel-Buffering: no\r\n"));
	ck_assert_str_eq(events(), "");
}
END_TEST

START_TEST(the_endpoint_is_relative)
{
	sse_endpoint(stream, "/calc/messages/", "0123", 3000);
	ck_assert_str_eq(events(), "event: endpoint\n"
	    "data: /calc/messages/?session_id=0123\nretry: 3000\n\n");
}
END_TEST

START_TEST(a_message_is_one_line)
{
	ck_assert(sse_message(stream, SLICE("{\"a\":1}")));
	ck_assert(sse_message(stream, SLICE("{\"b\":2}")));
	ck_assert_str_eq(events(), "event: message\ndata: {\"a\":1}\n\n"
	    "event: message\ndata: {\"b\":2}\n\n");
}
END_TEST

/* Between tokens a line break means no more than a blank. */
START_TEST(line_breaks_become_blanks)
{
	ck_assert(sse_message(stream, SLICE("{\r\n\"a\":\r1\n}\n")));
	ck_assert_str_eq(events(),
	    "event: message\ndata: {  \"a\": 1 } \n\n");
}
END_TEST

START_TEST(a_broken_stream_takes_no_message)
{
	client_abort(&client);
	client_open(&client, &address, address_len, 0);
	ck_assert(!sse_message(stream, SLICE("{}")));
	/* Nor does one that is known to be broken. */
	ck_assert(!sse_message(stream, SLICE("{}")));
	WAIT(stream == NULL);
}
END_TEST

START_TEST(a_ping_is_a_comment)
{
	sse_ping(stream);
	ck_assert_str_eq(events(), ": ping\n\n");
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("sse", setup, teardown);

	tcase_add_test(tc, an_event_stream_is_neither_cached_nor_buffered);
	tcase_add_test(tc, the_endpoint_is_relative);
	tcase_add_test(tc, a_message_is_one_line);
	tcase_add_test(tc, line_breaks_become_blanks);
	tcase_add_test(tc, a_broken_stream_takes_no_message);
	tcase_add_test(tc, a_ping_is_a_comment);
	return run_cases(tc);
}
