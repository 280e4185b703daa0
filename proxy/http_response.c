#include "proxy/http_private.h"

#include <stdio.h>

#include "common/clock.h"
#include "common/log.h"
#include "proxy/http_status.h"

/* Waiting bytes of answers that a client does not read, before it is closed. */
#define UNSENT_MAX (1024 * 1024)

/* The Date field's value (RFC 9110, section 6.6.1), made once a second. */
static const char *
date_of(struct http_server *s)
{
	time_t now = (time_t)(clock_wall_ms() / 1000);
	struct tm tm;

	if (now != s->date_second) {
		gmtime_r(&now, &tm);
		strftime(s->date, sizeof(s->date), "%a, %d %b %Y %H:%M:%S GMT",
		    &tm);
		s->date_second = now;
	}
	return s->date;
}

void
http_count_response(struct http_server *s, int status)
{
	static const enum stat by_class[] = { STAT_RESPONSES_2XX,
		STAT_RESPONSES_2XX, STAT_RESPONSES_2XX, STAT_RESPONSES_2XX,
		STAT_RESPONSES_4XX, STAT_RESPONSES_5XX };

	stat_add(s->options.stats, by_class[status / 100], 1);
}

struct strbuf *
http_begin_head(struct http_conn *c, int status)
{
	struct strbuf *head = &c->server->head;

	strbuf_reset(head);
	strbuf_add_str(head, "HTTP/1.1 ");
	strbuf_add_u64(head, (uint64_t)status);
	strbuf_add_char(head, ' ');
	strbuf_add_str(head, http_status_text(status));
	strbuf_add_str(head, "\r\nDate: ");
	strbuf_add_str(head, date_of(c->server));
	strbuf_add_str(head, "\r\n");
	return head;
}

void
http_add_field(struct strbuf *head, const char *name, const char *value)
{
	strbuf_add_str(head, name);
	strbuf_add_str(head, ": ");
	strbuf_add_str(head, value);
	strbuf_add_str(head, "\r\n");
}

static void
write_response(struct http_conn *c, const struct http_response *r)
{
	struct strbuf *head = http_begin_head(c, r->status);
	struct iovec iov[2];

	if (!r->is_probe)
		http_count_response(c->server, r->status);
	strbuf_add_str(head, "Content-Length: ");
	strbuf_add_u64(head, r->body.n);
	strbuf_add_str(head, "\r\n");
	if (r->type != NULL)
		http_add_field(head, "Content-Type", r->type);
	if (c->close_after)
		http_add_field(head, "Connection", "close");
	else if (c->http10)
		http_add_field(head, "Connection", "keep-alive");
	if (r->headers != NULL)
		strbuf_add_str(head, r->headers);
	strbuf_add_str(head, "\r\n");
	iov[0] = (struct iovec){ head->p, head->n };
	iov[1] = (struct iovec){ (char *)r->body.p, r->body.n };
	if (!strbuf_ok(head) || !conn_write(&c->conn, iov, c->bodiless ? 1 : 2))
		http_conn_kill(c, "write_failed");
	else if (conn_unsent(&c->conn) > UNSENT_MAX)
		http_conn_kill(c, "unread_answers");
}

void
http_respond(struct http_conn *c, const struct http_response *response)
{
	struct http_server *s = c->server;

	if (c->state != HTTP_BUSY)
		return;
	if (s->draining)
		c->close_after = true;
	write_response(c, response);
	if (c->state != HTTP_BUSY)
		return;
	if (c->close_after || c->eof) {
		http_conn_linger(c);
		return;
	}
	http_conn_set_state(c, HTTP_IDLE);
	/* http_request_feed() may have called us: it goes on by itself. */
	if (!c->processing && c->in.n > 0)
		http_request_feed(c, NULL, 0);
	else if (!c->processing)
		conn_resume(&c->conn);
}

void
http_respond_status(struct http_conn *c, int status, const char *headers,
    const char *detail)
{
	char body[256];
	int n = snprintf(body, sizeof(body), "%s%s%s\n", http_status_text(status),
	    detail ? ": " : "", detail ? detail : "");

	if (n >= (int)sizeof(body))
		n = sizeof(body) - 1;
	http_respond(c, &(struct http_response){ .status = status,
		.type = "text/plain; charset=utf-8", .headers = headers,
		.body = slice_of(body, (size_t)n) });
}

void
http_refuse(struct http_conn *c, int status)
{
	http_conn_set_state(c, HTTP_BUSY);
	c->close_after = true;
	log_debug("request refused", LF_N("status", status));
	http_respond_status(c, status, NULL, NULL);
}
