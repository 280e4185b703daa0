#include "proxy/http_private.h"

#include <assert.h>

/* Parts of a stream's chunk; what one event needs. */
#define CHUNK_PARTS_MAX 6

bool
http_stream_open(struct http_conn *c, const char *headers,
    const struct http_stream_ops *ops, void *arg)
{
	struct strbuf *head;
	struct iovec iov;

	if (c->state != HTTP_BUSY)
		return false;
	c->chunked = !c->http10;
	http_count_response(c->server, 200);
	head = http_begin_head(c, 200);
	strbuf_add_str(head, headers);
	if (c->chunked)
		http_add_field(head, "Transfer-Encoding", "chunked");
	else
		http_add_field(head, "Connection", "close");
	strbuf_add_str(head, "\r\n");
	iov = (struct iovec){ head->p, head->n };
	if (!strbuf_ok(head) || !conn_write(&c->conn, &iov, 1))
		http_conn_kill(c, "write_failed");
	if (c->state != HTTP_BUSY)
		return false;
	http_conn_set_state(c, HTTP_STREAM);
	http_request_drop(c);
	c->stream_ops = ops;
	c->stream_arg = arg;
	if (c->eof)
		http_conn_kill(c, "client_closed");
	else
		conn_resume(&c->conn);
	return true;
}

/* A chunk's size line; returns its length. */
static size_t
chunk_size_line(char line[static 20], size_t total)
{
	static const char digits[] = "0123456789abcdef";
	size_t n = 1;

	for (size_t rest = total >> 4; rest > 0; rest >>= 4)
		n++;
	for (size_t i = n; i > 0; i--, total >>= 4)
		line[i - 1] = digits[total & 15];
	memcpy(line + n, "\r\n", 2);
	return n + 2;
}

bool
http_stream_write(struct http_conn *c, const struct iovec *parts, int n,
    size_t total)
{
	char size[20];
	struct iovec iov[CHUNK_PARTS_MAX + 2];
	int at = 0;

	if (c->state != HTTP_STREAM)
		return false;
	if (c->chunked)
		iov[at++] = (struct iovec){ size, chunk_size_line(size, total) };
	assert(n <= CHUNK_PARTS_MAX);
	for (int i = 0; i < n; i++)
		iov[at++] = parts[i];
	if (c->chunked)
		iov[at++] = (struct iovec){ (char *)"\r\n", 2 };
	if (conn_write(&c->conn, iov, at))
		return true;
	http_conn_kill(c, "write_failed");
	return false;
}

size_t
http_stream_unsent(const struct http_conn *c)
{
	return conn_unsent(&c->conn);
}

void
http_stream_end(struct http_conn *c, const char *reason)
{
	struct iovec last = { (char *)"0\r\n\r\n", 5 };

	c->stream_ops = NULL;
	if (c->state != HTTP_STREAM)
		return;
	c->reason = reason;
	if (c->chunked && !conn_write(&c->conn, &last, 1))
		http_conn_kill(c, "write_failed");
	else
		http_conn_linger(c);
}

void
http_stream_drained(struct http_conn *c)
{
	if (c->stream_ops != NULL)
		c->stream_ops->drained(c, c->stream_arg);
}

void
http_stream_closed(struct http_conn *c)
{
	const struct http_stream_ops *ops = c->stream_ops;

	c->stream_ops = NULL;
	if (ops != NULL)
		ops->closed(c, c->reason, c->stream_arg);
}
