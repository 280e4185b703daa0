#include "tests/bench/load/stream.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#define READ_BYTES 65536

static void on_ready(struct io *io, uint32_t events);

bool
stream_open(struct stream *s, struct io_loop *loop,
    const struct stream_handler *handler, const struct net_addr *to,
    const char *path, unsigned source)
{
	int fd = net_connect(to, source);

	*s = (struct stream){ .io = { -1, on_ready }, .loop = loop,
		.handler = handler, .to = to, .path = path };
	http_reader_init(&s->http);
	sse_reader_init(&s->sse);
	if (fd < 0)
		return false;
	io_open(loop, &s->io, fd, EPOLLOUT);
	return true;
}

void
stream_close(struct stream *s)
{
	io_close(&s->io);
	http_reader_release(&s->http);
	sse_reader_release(&s->sse);
}

static void
fail(struct stream *s, enum load_error why)
{
	stream_close(s);
	s->handler->broken(s, why);
}

/*
 * The connection stands: asks for the stream. A GET this short is never split.
 * Behind a load balancer a client has one address, whatever ours are.
 */
static void
ask(struct stream *s)
{
	char request[512];
	int n = snprintf(request, sizeof(request),
	    "GET %s HTTP/1.1\r\nHost: %s\r\nAccept: text/event-stream\r\n"
	    "X-Forwarded-For: 127.0.0.1\r\n\r\n",
	    s->path, s->to->host);

	if (send(s->io.fd, request, (size_t)n, MSG_NOSIGNAL) != n) {
		fail(s, LOAD_CONNECT);
		return;
	}
	io_want(s->loop, &s->io, EPOLLIN);
}

static bool
take_events(struct stream *s, struct slice body)
{
	struct sse_event event;

	if (!sse_reader_add(&s->sse, body))
		return false;
	while (s->io.fd >= 0 && sse_reader_next(&s->sse, &event))
		s->handler->event(s, &event);
	return true;
}

static void
take_bytes(struct stream *s, struct slice in)
{
	enum http_reader_step step;
	struct slice body;

	while (s->io.fd >= 0 &&
	    (step = http_reader_next(&s->http, &in, &body)) != HTTP_READER_MORE) {
		if (step == HTTP_READER_END)
			fail(s, LOAD_STREAM_CLOSED);
		else if (step == HTTP_READER_BAD)
			fail(s, LOAD_BAD_HTTP);
		else if (s->http.status != 200)
			fail(s, LOAD_STREAM_STATUS);
		else if (!take_events(s, body))
			fail(s, LOAD_BAD_MESSAGE);
	}
}

static void
on_ready(struct io *io, uint32_t events)
{
	static char buf[READ_BYTES];
	struct stream *s = container_of(io, struct stream, io);
	ssize_t n;

	if (events & EPOLLOUT) {
		ask(s);
		return;
	}
	n = recv(io->fd, buf, sizeof(buf), 0);
	if (n > 0)
		take_bytes(s, slice_of(buf, (size_t)n));
	else if (n == 0 || errno != EAGAIN)
		fail(s, s->http.status == 0 ? LOAD_CONNECT : LOAD_STREAM_CLOSED);
}
