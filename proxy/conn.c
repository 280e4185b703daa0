#include "proxy/conn.h"

#include <errno.h>
#include <event2/buffer.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/xalloc.h"

/* One read takes at most this much, so that one peer cannot hold the loop. */
#define READ_SIZE (64 * 1024)
/*
 * The kernel's share of what a stuck client may cost. Without it the send buffer
 * of one connection grows to tcp_wmem's maximum, 4 MiB by default. The kernel
 * doubles the value for its own bookkeeping.
 */
#define SEND_BUFFER (128 * 1024)

static void on_event(evutil_socket_t fd, short what, void *arg);

void
conn_group_init(struct conn_group *g, struct event_base *base,
    const struct conn_ops *ops)
{
	g->base = base;
	g->ops = ops;
	g->read_size = READ_SIZE;
	g->read_buffer = xmalloc(g->read_size);
	TAILQ_INIT(&g->blocked);
}

void
conn_group_release(struct conn_group *g)
{
	free(g->read_buffer);
	g->read_buffer = NULL;
}

static void
set_interest(struct conn *c, short interest)
{
	if (c->fd < 0 || c->interest == interest)
		return;
	if (c->interest != 0)
		event_del(&c->event);
	c->interest = interest;
	if (interest == 0)
		return;
	event_assign(&c->event, c->group->base, c->fd, (short)(interest | EV_PERSIST),
	    on_event, c);
	event_add(&c->event, NULL);
}

void
conn_open(struct conn *c, struct conn_group *g, int take_fd)
{
	int on = 1, size = SEND_BUFFER;

	*c = (struct conn){ .group = g, .fd = take_fd };
	setsockopt(take_fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(take_fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	set_interest(c, EV_READ);
}

static void
unblock(struct conn *c)
{
	if (c->out == NULL)
		return;
	evbuffer_free(c->out);
	c->out = NULL;
	TAILQ_REMOVE(&c->group->blocked, c, blocked_entry);
}

/* Keeps the list ordered by time: whoever made progress goes to its end. */
static void
note_progress(struct conn *c)
{
	c->blocked_since_ms = clock_mono_ms();
	TAILQ_REMOVE(&c->group->blocked, c, blocked_entry);
	TAILQ_INSERT_TAIL(&c->group->blocked, c, blocked_entry);
}

void
conn_close(struct conn *c)
{
	if (c->fd < 0)
		return;
	set_interest(c, 0);
	unblock(c);
	close(c->fd);
	c->fd = -1;
}

void
conn_shutdown_write(struct conn *c)
{
	if (c->fd >= 0)
		shutdown(c->fd, SHUT_WR);
}

/* The bytes that the kernel took, 0 when it takes none now, -1 when broken. */
static ssize_t
send_now(struct conn *c, struct iovec *iov, int iovcnt)
{
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = (size_t)iovcnt };
	ssize_t n = sendmsg(c->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOBUFS))
		return 0;
	return n;
}

static bool
keep_rest(struct conn *c, struct iovec *iov, int iovcnt, size_t sent)
{
	if (c->out == NULL) {
		c->out = evbuffer_new();
		if (c->out == NULL)
			return false;
		c->blocked_since_ms = clock_mono_ms();
		TAILQ_INSERT_TAIL(&c->group->blocked, c, blocked_entry);
	}
	for (int i = 0; i < iovcnt; i++) {
		size_t skip = sent < iov[i].iov_len ? sent : iov[i].iov_len;

		sent -= skip;
		if (evbuffer_add(c->out, (char *)iov[i].iov_base + skip,
			iov[i].iov_len - skip) < 0)
			return false;
	}
	set_interest(c, (short)(c->interest | EV_WRITE));
	return true;
}

bool
conn_write(struct conn *c, struct iovec *iov, int iovcnt)
{
	size_t total = 0;
	ssize_t sent = 0;

	if (c->fd < 0)
		return false;
	for (int i = 0; i < iovcnt; i++)
		total += iov[i].iov_len;
	if (c->out == NULL)
		sent = send_now(c, iov, iovcnt);
	if (sent < 0)
		return false;
	if ((size_t)sent == total)
		return true;
	return keep_rest(c, iov, iovcnt, (size_t)sent);
}

size_t
conn_unsent(const struct conn *c)
{
	return c->out ? evbuffer_get_length(c->out) : 0;
}

void
conn_pause(struct conn *c)
{
	set_interest(c, (short)(c->interest & ~EV_READ));
}

void
conn_resume(struct conn *c)
{
	set_interest(c, (short)(c->interest | EV_READ));
}

static void
on_readable(struct conn *c)
{
	struct conn_group *g = c->group;
	ssize_t n = recv(c->fd, g->read_buffer, g->read_size, MSG_DONTWAIT);

	if (n > 0) {
		g->ops->data(c, g->read_buffer, (size_t)n);
	} else if (n == 0) {
		conn_pause(c);
		g->ops->eof(c);
	} else if (errno != EAGAIN && errno != EINTR) {
		g->ops->failed(c, errno);
	}
}

static void
on_writable(struct conn *c)
{
	int n = evbuffer_write(c->out, c->fd);

	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		c->group->ops->failed(c, errno);
		return;
	}
	if (n > 0)
		note_progress(c);
	if (evbuffer_get_length(c->out) > 0)
		return;
	unblock(c);
	set_interest(c, (short)(c->interest & ~EV_WRITE));
	c->group->ops->drained(c);
}

static void
on_event(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd;
	if ((what & EV_WRITE) && c->out != NULL)
		on_writable(c);
	if (c->fd >= 0 && (what & EV_READ) && (c->interest & EV_READ))
		on_readable(c);
}

struct conn *
conn_group_stuck(struct conn_group *g, uint64_t since_ms)
{
	struct conn *c = TAILQ_FIRST(&g->blocked);

	return c != NULL && c->blocked_since_ms <= since_ms ? c : NULL;
}
