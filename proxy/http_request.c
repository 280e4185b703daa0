#include "proxy/http_private.h"

#include <stdlib.h>

#include "common/xalloc.h"
#include "proxy/http_chunked.h"

/* What is known of a request whose body is still coming. */
struct http_body {
	size_t head_len;
	uint64_t length;             /* of a body that is not chunked */
	bool chunked;
	bool looked_at;              /* what came with the head has been read */
	size_t decoded_to;           /* bytes from the head's first on */
	struct http_chunked decoder;
	struct strbuf decoded;
};

static void
free_body(struct http_conn *c)
{
	if (c->body == NULL)
		return;
	strbuf_release(&c->body->decoded);
	free(c->body);
	c->body = NULL;
}

void
http_request_drop(struct http_conn *c)
{
	strbuf_release(&c->in);
	free_body(c);
}

static void
dispatch(struct http_conn *c, const struct http_head *head,
    struct slice head_bytes, struct slice body)
{
	struct http_server *s = c->server;
	struct http_request req = { head, head_bytes, body };

	http_conn_set_state(c, HTTP_BUSY);
	c->close_after = !head->keep_alive;
	c->http10 = head->minor == 0;
	stat_add(s->options.stats, STAT_REQUESTS, 1);
	s->options.handler(c, &req, s->options.arg);
}

static void
begin_body(struct http_conn *c, const struct http_head *head, size_t head_len)
{
	struct iovec go = { (char *)"HTTP/1.1 100 Continue\r\n\r\n", 25 };

	c->body = xcalloc(1, sizeof(*c->body));
	c->body->head_len = head_len;
	c->body->length = head->content_length;
	c->body->decoded_to = head_len;
	c->body->chunked = head->body == HTTP_BODY_CHUNKED;
	strbuf_init(&c->body->decoded, c->server->options.limits.body_bytes);
	http_conn_set_state(c, HTTP_BODY_PART);
	if (head->expect_continue && !conn_write(&c->conn, &go, 1))
		http_conn_kill(c, "write_failed");
}

/*
 * Each step below looks at the bytes not yet consumed and returns how many it
 * is done with, or 0 when it needs more. They set the state as they go.
 */
static size_t
step_head(struct http_conn *c, const char *p, size_t n)
{
	const struct http_limits *limits = &c->server->options.limits;
	struct http_head head;
	size_t have;
	int len, status;

	http_conn_set_state(c, HTTP_HEAD_PART);
	/* Also of one that is refused, for whatever reason. */
	c->bodiless = n >= 5 && memcmp(p, "HEAD ", 5) == 0;
	len = http_head_length(p, n, &c->scanned, limits);
	if (len == 0)
		return 0;
	c->scanned = 0;
	status = len < 0 ? -len :
	    http_head_parse(p, (size_t)len, limits, &head);
	if (status != 0) {
		http_refuse(c, status);
		return n;
	}
	have = n - (size_t)len;
	/* NOLINTNEXTLINE(clang-analyzer-core*): with status 0 it was written. */
	if (head.body == HTTP_BODY_NONE ||
	    (head.body == HTTP_BODY_LENGTH && head.content_length <= have)) {
		dispatch(c, &head, slice_of(p, (size_t)len),
		    slice_of(p + len, head.content_length));
		return (size_t)len + head.content_length;
	}
	begin_body(c, &head, (size_t)len);
	return 0;
}

/* The head once more, now that the body is whole: cheaper than keeping it. */
static void
dispatch_with_body(struct http_conn *c, const char *p, struct slice body)
{
	struct http_head head;
	struct http_body *held = c->body;

	c->body = NULL;
	if (http_head_parse(p, held->head_len, &c->server->options.limits,
		&head) == 0)
		dispatch(c, &head, slice_of(p, held->head_len), body);
	strbuf_release(&held->decoded);
	free(held);
}

static size_t
step_sized_body(struct http_conn *c, const char *p, size_t n)
{
	size_t whole = c->body->head_len + c->body->length;

	if (n < whole)
		return 0;
	dispatch_with_body(c, p,
	    slice_of(p + c->body->head_len, c->body->length));
	return whole;
}

static size_t
step_chunked_body(struct http_conn *c, const char *p, size_t n)
{
	struct http_body *b = c->body;
	size_t used;
	struct slice data;
	int rc = 0;

	while (b->decoded_to < n && rc == 0) {
		rc = http_chunked_feed(&b->decoder, p + b->decoded_to,
		    n - b->decoded_to, c->server->options.limits.body_bytes,
		    &used, &data);
		strbuf_add_slice(&b->decoded, data);
		b->decoded_to += used;
		if (used == 0)
			break;
	}
	if (rc < 0 || !strbuf_ok(&b->decoded)) {
		http_refuse(c, rc < 0 ? -rc : 413);
		return n;
	}
	if (rc == 0)
		return 0;
	used = b->decoded_to;
	dispatch_with_body(c, p, strbuf_slice(&b->decoded));
	return used;
}

static size_t
step(struct http_conn *c, const char *p, size_t n)
{
	if (c->body == NULL)
		return step_head(c, p, n);
	return c->body->chunked ? step_chunked_body(c, p, n) :
				  step_sized_body(c, p, n);
}

static bool
may_read(const struct http_conn *c)
{
	return c->state == HTTP_IDLE || c->state == HTTP_HEAD_PART ||
	    c->state == HTTP_BODY_PART;
}

/* Keeps bytes that wait for more, or for the answer before them. */
static bool
keep(struct http_conn *c, const char *p, size_t n)
{
	if (n == 0)
		return true;
	strbuf_add(&c->in, p, n);
	if (!strbuf_ok(&c->in))
		http_conn_kill(c, "out_of_memory");
	return c->state != HTTP_DEAD;
}

/*
 * The bytes of a chunked body that have been decoded give way, so that c->in
 * holds no more of a body in tiny chunks than of any other.
 */
static void
drop_decoded(struct http_conn *c)
{
	struct http_body *b = c->body;

	if (b == NULL || !b->chunked)
		return;
	memmove(c->in.p + b->head_len, c->in.p + b->decoded_to,
	    c->in.n - b->decoded_to);
	c->in.n -= b->decoded_to - b->head_len;
	b->decoded_to = b->head_len;
}

/* After a turn's requests: read on, or wait for the handler with input off. */
static void
settle(struct http_conn *c)
{
	if (http_conn_has_said_all(c))
		return;
	if (c->in.n == 0)
		strbuf_release(&c->in);
	if (c->state == HTTP_BUSY && c->in.n > 0)
		conn_pause(&c->conn);
	else if (c->eof && c->state != HTTP_BUSY)
		http_conn_kill(c, "client_closed");
	else if (!c->eof)
		conn_resume(&c->conn);
}

/* Serves the requests at the front of the bytes; returns what it is done with. */
static size_t
serve(struct http_conn *c, const char *p, size_t n)
{
	size_t at = 0, used;
	bool body_began;

	while (at < n && may_read(c)) {
		used = step(c, p + at, n - at);
		body_began = used == 0 && c->body != NULL &&
		    !c->body->looked_at;
		if (body_began)
			c->body->looked_at = true;
		else if (used == 0)
			break;
		at += used;
	}
	return at;
}

void
http_request_feed(struct http_conn *c, const char *p, size_t n)
{
	size_t used;

	c->processing = true;
	if (c->in.n == 0) {
		used = serve(c, p, n);
		p += used;
		n -= used;
	} else if (keep(c, p, n)) {
		n = 0;
		used = serve(c, c->in.p, c->in.n);
		strbuf_drain(&c->in, used);
	}
	if (http_conn_has_said_all(c))
		strbuf_release(&c->in);
	else if (keep(c, p, n))
		drop_decoded(c);
	c->processing = false;
	settle(c);
}
