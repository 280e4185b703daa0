#include "tests/bench/load/post.h"

#include <errno.h>
#include <sys/socket.h>

#define READ_BYTES 65536
#define REQUEST_MAX_BYTES (4u << 20)

static void on_ready(struct io *io, uint32_t events);

void
post_init(struct post *p, struct io_loop *loop, const struct net_addr *to,
    post_done *done, void *arg)
{
	*p = (struct post){ .io = { -1, on_ready }, .loop = loop, .done = done,
		.arg = arg, .to = to };
	http_reader_init(&p->http);
	strbuf_init(&p->out, REQUEST_MAX_BYTES);
}

void
post_abort(struct post *p)
{
	io_close(&p->io);
	http_reader_release(&p->http);
	http_reader_init(&p->http);
	p->busy = false;
}

void
post_release(struct post *p)
{
	post_abort(p);
	strbuf_release(&p->out);
}

static void
fail(struct post *p, enum load_error why)
{
	bool busy = p->busy;

	post_abort(p);
	/* A server may close an idle connection. */
	if (busy)
		p->done(p, why, 0);
}

static void
compose(struct post *p, struct slice path, struct slice body)
{
	struct strbuf *out = &p->out;

	strbuf_reset(out);
	strbuf_add_str(out, "POST ");
	strbuf_add_slice(out, path);
	strbuf_add_str(out, " HTTP/1.1\r\nHost: ");
	strbuf_add_str(out, p->to->host);
	strbuf_add_str(out, "\r\nContent-Type: application/json\r\n"
	    "Accept: application/json, text/event-stream\r\n"
	    "X-Forwarded-For: 127.0.0.1\r\n"
	    "MCP-Protocol-Version: 2025-06-18\r\nContent-Length: ");
	strbuf_add_u64(out, body.n);
	strbuf_add_str(out, "\r\n\r\n");
	strbuf_add_slice(out, body);
	p->sent = 0;
}

/* True while the connection stands; what does not fit waits for EPOLLOUT. */
static bool
flush(struct post *p)
{
	ssize_t n = send(p->io.fd, p->out.p + p->sent, p->out.n - p->sent,
	    MSG_NOSIGNAL);

	if (n < 0 && errno != EAGAIN) {
		fail(p, LOAD_POST_CLOSED);
		return false;
	}
	p->sent += n > 0 ? (size_t)n : 0;
	return true;
}

void
post_send(struct post *p, struct slice path, struct slice body)
{
	compose(p, path, body);
	p->busy = true;
	if (p->io.fd < 0) {
		int fd = net_connect(p->to, 0);

		if (fd < 0)
			fail(p, LOAD_CONNECT);
		else
			io_open(p->loop, &p->io, fd, EPOLLOUT);
		return;
	}
	if (flush(p) && p->sent < p->out.n)
		io_want(p->loop, &p->io, EPOLLIN | EPOLLOUT);
}

static void
take_bytes(struct post *p, struct slice in)
{
	enum http_reader_step step;
	struct slice body;

	/* What the body says does not matter: the status does. */
	do {
		step = http_reader_next(&p->http, &in, &body);
	} while (step == HTTP_READER_BODY);
	if (step == HTTP_READER_MORE)
		return;
	if (step == HTTP_READER_BAD || in.n > 0 || !p->busy) {
		fail(p, LOAD_BAD_HTTP);
		return;
	}
	p->busy = false;
	if (p->http.close)
		io_close(&p->io);
	p->done(p, LOAD_OK, p->http.status);
}

static void
on_ready(struct io *io, uint32_t events)
{
	static char buf[READ_BYTES];
	struct post *p = container_of(io, struct post, io);
	ssize_t n;

	if (events & EPOLLOUT) {
		if (flush(p) && p->sent == p->out.n)
			io_want(p->loop, io, EPOLLIN);
		return;
	}
	n = recv(io->fd, buf, sizeof(buf), 0);
	if (n > 0)
		take_bytes(p, slice_of(buf, (size_t)n));
	else if (n == 0 || errno != EAGAIN)
		fail(p, LOAD_POST_CLOSED);
}
