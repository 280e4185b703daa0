/* The HTTP server over real sockets, with a frozen clock for its deadlines. */
#include "proxy/http_server.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/unit/support/client.h"
#include "tests/unit/support/suite.h"
#include "tests/unit/support/wait.h"

#define IDLE_MS 75000
#define HEAD_MS 10000
#define BODY_MS 30000
#define STUCK_MS 30000
#define LINGER_MS 2000       /* http_server.c's */
#define BODY_MAX (64 * 1024)
#define BIG ((size_t)768 * 1024)

static struct http_server *server;
static struct sockaddr_storage address;
static socklen_t address_len;
static metric_value stats[STAT_COUNT];
static uint64_t now_ms;

/* What the handler did ---------------------------------------------------- */

#define HELD_MAX 8

static struct http_conn *held[HELD_MAX];
static char held_target[HELD_MAX][64];
static unsigned held_count;
static unsigned handled;

static struct http_conn *stream;
static unsigned drained, closed;
static char closed_reason[64];
static char *big;

static void
on_drained(struct http_conn *c, void *arg)
{
	ck_assert_ptr_eq(c, stream);
	ck_assert_ptr_eq(arg, &stream);
	drained++;
}

static void
on_closed(struct http_conn *c, const char *reason, void *arg)
{
	ck_assert_ptr_eq(c, stream);
	ck_assert_ptr_eq(arg, &stream);
	snprintf(closed_reason, sizeof(closed_reason), "%s", reason);
	stream = NULL;
	closed++;
}

static const struct http_stream_ops stream_ops = {
	.drained = on_drained,
	.closed = on_closed,
};

static void
hold(struct http_conn *c, const struct http_request *req)
{
	ck_assert_uint_lt(held_count, HELD_MAX);
	http_hold(c);
	snprintf(held_target[held_count], sizeof(held_target[0]), "%.*s%s%.*s",
	    SLICE_ARG(req->head->path), req->head->query.n > 0 ? "?" : "",
	    SLICE_ARG(req->head->query));
	held[held_count++] = c;
}

static void
open_stream(struct http_conn *c)
{
	stream = c;
	if (!http_stream_open(c, "Content-Type: text/plain\r\n", &stream_ops,
		&stream))
		stream = NULL;
}

static void
respond(struct http_conn *c, struct slice body)
{
	http_respond(c, &(struct http_response){ .status = 200,
		.type = "text/plain", .body = body });
}

/* "<method> <target> <body>" */
static void
echo(struct http_conn *c, const struct http_request *req)
{
	struct strbuf text = STRBUF_INIT(2 * BODY_MAX);

	strbuf_addf(&text, "%d %.*s%s%.*s ", req->head->method,
	    SLICE_ARG(req->head->path), req->head->query.n > 0 ? "?" : "",
	    SLICE_ARG(req->head->query));
	strbuf_add_slice(&text, req->body);
	respond(c, strbuf_slice(&text));
	strbuf_release(&text);
}

static void
handler(struct http_conn *c, const struct http_request *req, void *arg)
{
	struct slice path = req->head->path;

	ck_assert_ptr_eq(arg, &server);
	handled++;
	if (slice_eq_str(path, "/later"))
		hold(c, req);
	else if (slice_eq_str(path, "/stream"))
		open_stream(c);
	else if (slice_eq_str(path, "/big"))
		respond(c, slice_of(big, BIG));
	else
		echo(c, req);
}

/* Answers the i-th held request with its target. */
static void
answer_held(unsigned i)
{
	respond(held[i], slice_str(held_target[i]));
	http_release(held[i]);
}

/* Fixture ----------------------------------------------------------------- */

static void
pass_ms(uint64_t ms)
{
	now_ms += ms;
	clock_fake(now_ms);
	http_server_tick(server);
	turn();
}

static void
start(unsigned max_connections)
{
	struct http_options options = {
		.limits = { .head_bytes = 4096, .uri_bytes = 1024,
		    .body_bytes = BODY_MAX },
		.idle_timeout_ms = IDLE_MS,
		.head_timeout_ms = HEAD_MS,
		.body_timeout_ms = BODY_MS,
		.stuck_timeout_ms = STUCK_MS,
		.max_connections = max_connections,
		.handler = handler,
		.arg = &server,
		.stats = stats,
	};

	address = free_address(&address_len);
	server = http_server_new(base, (struct sockaddr *)&address, address_len,
	    &options);
	ck_assert_ptr_nonnull(server);
}

static void
setup(void)
{
	wait_setup();
	now_ms = 1000000;
	clock_fake(now_ms);
	big = malloc(BIG);
	for (size_t i = 0; i < BIG; i++)
		big[i] = (char)('a' + i % 23);
	start(1000);
}

static void
teardown(void)
{
	http_server_free(server);
	free(big);
	ck_assert_int_eq(metric_get(&stats[STAT_CONNECTIONS]), 0);
	wait_teardown();
}

static void
open_client(struct client *c)
{
	client_open(c, &address, address_len, 0);
}

static int64_t
stat_of(enum stat which)
{
	return metric_get(&stats[which]);
}

#define GET(target) "GET " target " HTTP/1.1\r\nHost: h\r\n\r\n"
#define GET_CLOSE(target)                                                      \
	"GET " target " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
#define POST(target, length, body)                                             \
	"POST " target " HTTP/1.1\r\nHost: h\r\nContent-Length: " length       \
	"\r\n\r\n" body
#define POST_CHUNKED(target, body)                                             \
	"POST " target " HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked"    \
	"\r\n\r\n" body

/* Requests and answers ---------------------------------------------------- */

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
	ck_assert_int_eq(stat_of(STAT_CONNECTIONS_ACCEPTED), 1);
	ck_assert_int_eq(stat_of(STAT_REQUESTS), 100);
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
	ck_assert_uint_eq(http_server_busy(server), 1);
	answer_held(0);
	client_expect(&c, 200, "/later");
	client_expect(&c, 200, "1 /b ");
	WAIT(held_count == 2);
	ck_assert_uint_eq(handled, 3);
	answer_held(1);
	client_expect(&c, 200, "/later?2");
	client_expect(&c, 200, "1 /d ");
	ck_assert_uint_eq(http_server_busy(server), 0);
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
	WAIT(http_server_connections(server) == 0);
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
	respond(held[0], SLICE("once"));
	respond(held[0], SLICE("twice"));
	client_expect(&c, 200, "once");
	WAIT(c.eof);
	client_close(&c);
	WAIT(http_server_connections(server) == 0);
	turn();
	respond(held[0], SLICE("thrice"));
	http_release(held[0]);
}
END_TEST

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
	ck_assert_uint_eq(http_server_connections(server), 1);
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

	client_open(&c, &address, address_len, 4096);
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
	WAIT(http_server_connections(server) == 1);
	client_say(&c, unfinished[_i].text);
	turn();
	if (strncmp(unfinished[_i].text, GET("/x"), strlen(GET("/x"))) == 0)
		client_expect(&c, 200, NULL);
	pass_ms(unfinished[_i].patience_ms - 1);
	ck_assert(!c.eof);
	ck_assert_uint_eq(c.in.n, 0);
	pass_ms(1);
	if (unfinished[_i].status != 0)
		client_expect(&c, unfinished[_i].status, NULL);
	WAIT(c.eof);
	ck_assert_uint_eq(c.in.n, 0);
	client_close(&c);
	WAIT(http_server_connections(server) == 0);
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
		pass_ms(HEAD_MS / 10);
		client_say(&c, "x");
		turn();
		ck_assert_uint_eq(c.in.n, 0);
	}
	pass_ms(HEAD_MS / 10);
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
	pass_ms(HEAD_MS - 1);
	client_say(&c, "Content-Length: 2\r\n\r\n");
	turn();
	pass_ms(BODY_MS - 1);
	client_say(&c, "ok");
	client_expect(&c, 200, "3 /x ok");
	pass_ms(IDLE_MS - 1);
	ck_assert(!c.eof);
	pass_ms(1);
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
	pass_ms(10 * IDLE_MS);
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
	ck_assert_uint_eq(http_server_connections(server), 1);
	pass_ms(LINGER_MS);
	ck_assert_uint_eq(http_server_connections(server), 0);
	client_close(&c);
}
END_TEST

/* It takes its time, but takes bytes: the two seconds are for the FIN alone. */
START_TEST(a_last_answer_is_given_the_time_to_arrive)
{
	struct client c;
	struct answer a;

	client_open(&c, &address, address_len, 4096);
	client_pause(&c);
	client_say(&c, GET_CLOSE("/big"));
	WAIT(handled == 1);
	pass_ms(LINGER_MS);
	pass_ms(LINGER_MS);
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
	WAIT(http_server_connections(server) == 0);
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

	client_open(&c, &address, address_len, 4096);
	client_pause(&c);
	client_say(&c, GET("/big"));
	WAIT(handled == 1);
	pass_ms(STUCK_MS - 1);
	ck_assert_uint_eq(http_server_connections(server), 1);
	pass_ms(1);
	ck_assert_uint_eq(http_server_connections(server), 0);
	ck_assert_int_eq(stat_of(STAT_CLOSED_SLOW), 1);
	client_close(&c);
}
END_TEST

START_TEST(answers_that_nobody_reads_are_bounded)
{
	struct client c;

	client_open(&c, &address, address_len, 4096);
	client_pause(&c);
	client_say(&c, GET("/big") GET("/big") GET("/big") GET("/big"));
	WAIT(http_server_connections(server) == 0);
	ck_assert_uint_le(handled, 3);
	client_close(&c);
}
END_TEST

/* Connections ------------------------------------------------------------- */

START_TEST(accepting_pauses_at_the_limit_and_resumes)
{
	struct client c[6];

	http_server_free(server);
	start(3);
	for (unsigned i = 0; i < ARRAY_LEN(c); i++) {
		open_client(&c[i]);
		client_say(&c[i], GET("/x"));
	}
	for (unsigned i = 0; i < 3; i++)
		client_expect(&c[i], 200, "1 /x ");
	turn();
	ck_assert_uint_eq(http_server_connections(server), 3);
	ck_assert_int_eq(stat_of(STAT_CONNECTIONS_ACCEPTED), 3);
	ck_assert_int_ge(stat_of(STAT_CONNECTIONS_PAUSED), 1);
	for (unsigned i = 3; i < ARRAY_LEN(c); i++)
		ck_assert_uint_eq(c[i].in.n, 0);
	client_close(&c[0]);
	client_expect(&c[3], 200, "1 /x ");
	turn();
	ck_assert_uint_eq(http_server_connections(server), 3);
	client_close(&c[1]);
	client_close(&c[2]);
	client_expect(&c[4], 200, "1 /x ");
	client_expect(&c[5], 200, "1 /x ");
	for (unsigned i = 3; i < ARRAY_LEN(c); i++)
		client_close(&c[i]);
}
END_TEST

START_TEST(who_waits_to_be_accepted_is_served_when_listening_ends)
{
	struct client c[4];

	http_server_free(server);
	start(1);
	for (unsigned i = 0; i < ARRAY_LEN(c); i++)
		open_client(&c[i]);
	WAIT(http_server_connections(server) == 1);
	http_server_stop_listening(server);
	for (unsigned i = 0; i < ARRAY_LEN(c); i++) {
		client_say(&c[i], GET("/x"));
		client_expect(&c[i], 200, "1 /x ");
		ck_assert(!c[i].reset);
		client_close(&c[i]);
	}
}
END_TEST

START_TEST(a_taken_port_is_refused)
{
	struct http_options options = { .max_connections = 1, .stats = stats };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_storage taken = free_address(&address_len);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&taken, address_len), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	ck_assert_ptr_null(http_server_new(base, (struct sockaddr *)&taken,
	    address_len, &options));
	close(fd);
}
END_TEST

START_TEST(winding_down_answers_and_closes)
{
	struct client idle, busy, half;
	struct answer a;

	open_client(&idle);
	open_client(&busy);
	open_client(&half);
	client_say(&idle, GET("/x"));
	client_expect(&idle, 200, "1 /x ");
	client_say(&busy, GET("/later"));
	client_say(&half, POST("/x", "2", "o"));
	WAIT(held_count == 1);
	turn();
	ck_assert_uint_eq(http_server_busy(server), 2);
	http_server_wind_down(server);
	answer_held(0);
	WAIT(client_take(&busy, &a, false));
	ck_assert_ptr_nonnull(strstr(a.head.p, "Connection: close\r\n"));
	answer_release(&a);
	WAIT(busy.eof);
	client_say(&half, "k");
	client_expect(&half, 200, "3 /x ok");
	WAIT(half.eof);
	client_close(&busy);
	client_close(&half);
	WAIT(http_server_busy(server) == 0);
	ck_assert_uint_eq(http_server_connections(server), 1);
	client_say(&idle, GET("/y"));
	client_expect(&idle, 200, "1 /y ");
	WAIT(idle.eof);
	client_close(&idle);
	WAIT(http_server_connections(server) == 0);
}
END_TEST

START_TEST(winding_down_lets_an_answer_arrive)
{
	struct client c;
	struct answer a;

	client_open(&c, &address, address_len, 4096);
	client_pause(&c);
	client_say(&c, GET("/big"));
	WAIT(handled == 1);
	http_server_wind_down(server);
	turn();
	client_resume(&c);
	WAIT(client_take(&c, &a, false) || c.eof || c.reset);
	ck_assert_uint_eq(a.body.n, BIG);
	answer_release(&a);
	WAIT(c.eof);
	client_close(&c);
}
END_TEST

/* Streams ----------------------------------------------------------------- */

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
	client_open(c, &address, address_len, receive_bytes);
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
	WAIT(http_server_connections(server) == 0);
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

	client_open(&c, &address, address_len, 0);
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
	pass_ms(10 * IDLE_MS);
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
	WAIT(http_server_connections(server) == 0);
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
	pass_ms(LINGER_MS + 1);
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
	pass_ms(STUCK_MS - 1);
	ck_assert_uint_eq(closed, 0);
	pass_ms(1);
	WAIT(closed == 1);
	ck_assert_str_eq(closed_reason, "slow_client");
	ck_assert_int_eq(stat_of(STAT_CLOSED_SLOW), 1);
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
		pass_ms(STUCK_MS - 1);
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
	pass_ms(STUCK_MS);
	WAIT(http_server_connections(server) == 0);
	client_close(&c);
}
END_TEST

START_TEST(a_stream_may_be_opened_later)
{
	struct client c;

	client_open(&c, &address, address_len, 0);
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

	client_open(&c, &address, address_len, 0);
	client_say(&c, GET("/later"));
	WAIT(held_count == 1);
	client_abort(&c);
	WAIT(http_server_connections(server) == 0);
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
	http_server_free(server);
	ck_assert_uint_eq(closed, 1);
	ck_assert_str_eq(closed_reason, "shutdown");
	start(10);
	client_close(&c);
}
END_TEST

/* Suite ------------------------------------------------------------------- */

static void
add_requests(TCase *tc)
{
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
	tcase_add_test(tc, a_half_closed_client_gets_all_its_answers);
	tcase_add_test(tc,
	    a_half_closed_client_gets_an_answer_that_comes_later);
	tcase_add_test(tc, a_half_closed_client_gets_what_it_pipelined_behind);
	tcase_add_test(tc, a_half_closed_client_gets_a_large_answer_whole);
	tcase_add_test(tc, half_a_request_and_a_fin_end_the_connection);
}

static void
add_limits(TCase *tc)
{
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
	tcase_add_test(tc, accepting_pauses_at_the_limit_and_resumes);
	tcase_add_test(tc,
	    who_waits_to_be_accepted_is_served_when_listening_ends);
	tcase_add_test(tc, a_taken_port_is_refused);
	tcase_add_test(tc, winding_down_answers_and_closes);
	tcase_add_test(tc, winding_down_lets_an_answer_arrive);
}

static void
add_streams(TCase *tc)
{
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
}

int
main(void)
{
	TCase *requests = new_case("requests", setup, teardown);
	TCase *limits = new_case("limits", setup, teardown);
	TCase *streams = new_case("streams", setup, teardown);

	add_requests(requests);
	add_limits(limits);
	add_streams(streams);
	return run_cases(requests, limits, streams);
}
