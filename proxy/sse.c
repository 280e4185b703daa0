#include "proxy/sse.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/strbuf.h"
#include "common/xalloc.h"

#define ENDPOINT_MAX 512

bool
sse_open(struct http_conn *c, const struct http_stream_ops *ops, void *arg)
{
	return http_stream_open(c,
	    "Content-Type: text/event-stream\r\n"
	    "Cache-Control: no-cache, no-transform\r\n"
	    "X-Accel-Buffering: no\r\n",
	    ops, arg);
}

void
sse_endpoint(struct http_conn *c, const char *path, const char *session,
    unsigned retry_ms)
{
	struct strbuf event = STRBUF_INIT(ENDPOINT_MAX);
	struct iovec iov;

	strbuf_addf(&event,
	    "event: endpoint\ndata: %s?session_id=%s\nretry: %u\n\n", path,
	    session, retry_ms);
	iov = (struct iovec){ event.p, event.n };
	(void)!http_stream_write(c, &iov, 1, event.n);
	strbuf_release(&event);
}

void
sse_retry(struct http_conn *c, unsigned retry_ms)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "retry: %u\n\n", retry_ms);
	struct iovec iov = { text, (size_t)n };

	(void)!http_stream_write(c, &iov, 1, iov.iov_len);
}

static bool
write_message(struct http_conn *c, struct slice json)
{
	static const char before[] = "event: message\ndata: ";
	struct iovec iov[3] = {
		{ (char *)before, sizeof(before) - 1 },
		{ (char *)json.p, json.n },
		{ (char *)"\n\n", 2 },
	};

	return http_stream_write(c, iov, 3, sizeof(before) - 1 + json.n + 2);
}

/*
 * A line break inside valid JSON can only stand between tokens, where a blank
 * means the same; in an event it would end the data line.
 */
static bool
write_flattened(struct http_conn *c, struct slice json)
{
	char *flat = xstrdup_slice(json);
	bool taken;

	for (size_t i = 0; i < json.n; i++) {
		if (flat[i] == '\n' || flat[i] == '\r')
			flat[i] = ' ';
	}
	taken = write_message(c, slice_of(flat, json.n));
	free(flat);
	return taken;
}

bool
sse_message(struct http_conn *c, struct slice json)
{
	if (memchr(json.p, '\n', json.n) || memchr(json.p, '\r', json.n))
		return write_flattened(c, json);
	return write_message(c, json);
}

void
sse_ping(struct http_conn *c)
{
	struct iovec iov = { (char *)": ping\n\n", 8 };

	(void)!http_stream_write(c, &iov, 1, 8);
}
