#include "tests/unit/support/http_echo.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/strbuf.h"
#include "tests/unit/support/wait.h"

struct http_server *echo_server;
struct sockaddr_storage echo_address;
socklen_t echo_address_len;
metric_value echo_stats[STAT_COUNT];
static uint64_t now_ms;

struct http_conn *held[HELD_MAX];
char held_target[HELD_MAX][64];
unsigned held_count;
unsigned handled;

struct http_conn *stream;
unsigned drained, closed;
char closed_reason[64];
char *big;

/* Handling ---------------------------------------------------------------- */

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

void
open_stream(struct http_conn *c)
{
	stream = c;
	if (!http_stream_open(c, "Content-Type: text/plain\r\n", &stream_ops,
		&stream))
		stream = NULL;
}

void
echo_respond(struct http_conn *c, struct slice body)
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
	echo_respond(c, strbuf_slice(&text));
	strbuf_release(&text);
}

static void
handler(struct http_conn *c, const struct http_request *req, void *arg)
{
	struct slice path = req->head->path;

	ck_assert_ptr_eq(arg, &echo_server);
	handled++;
	if (slice_eq_str(path, "/later"))
		hold(c, req);
	else if (slice_eq_str(path, "/stream"))
		open_stream(c);
	else if (slice_eq_str(path, "/big"))
		echo_respond(c, slice_of(big, BIG));
	else
		echo(c, req);
}

void
answer_held(unsigned i)
{
	echo_respond(held[i], slice_str(held_target[i]));
	http_release(held[i]);
}

/* Fixture ----------------------------------------------------------------- */

void
echo_pass_ms(uint64_t ms)
{
	now_ms += ms;
	clock_fake(now_ms);
	http_server_tick(echo_server);
	turn();
}

void
echo_start(unsigned max_connections)
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
		.arg = &echo_server,
		.stats = echo_stats,
	};

	echo_address = free_address(&echo_address_len);
	echo_server = http_server_new(base, (struct sockaddr *)&echo_address,
	    echo_address_len, &options);
	ck_assert_ptr_nonnull(echo_server);
}

void
echo_setup(void)
{
	wait_setup();
	now_ms = 1000000;
	clock_fake(now_ms);
	big = malloc(BIG);
	for (size_t i = 0; i < BIG; i++)
		big[i] = (char)('a' + i % 23);
	echo_start(1000);
}

void
echo_teardown(void)
{
	http_server_free(echo_server);
	free(big);
	ck_assert_int_eq(metric_get(&echo_stats[STAT_CONNECTIONS]), 0);
	wait_teardown();
}

void
open_client(struct client *c)
{
	client_open(c, &echo_address, echo_address_len, 0);
}

int64_t
echo_stat_of(enum stat which)
{
	return metric_get(&echo_stats[which]);
}
