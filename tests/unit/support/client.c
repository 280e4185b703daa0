#include "tests/unit/support/client.h"

#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "tests/unit/support/port.h"
#include "tests/unit/support/wait.h"

#define IN_MAX ((size_t)64 << 20)

struct sockaddr_storage
free_address(socklen_t *len)
{
	struct sockaddr_storage ss = { 0 };
	struct sockaddr_in *sin = (struct sockaddr_in *)&ss;

	sin->sin_family = AF_INET;
	sin->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	sin->sin_port = htons((uint16_t)free_port());
	*len = sizeof(*sin);
	return ss;
}

static void
on_readable(evutil_socket_t fd, short what UNUSED, void *arg)
{
	struct client *c = arg;
	char bytes[65536];
	ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);

	if (n > 0) {
		strbuf_add(&c->in, bytes, (size_t)n);
		ck_assert(strbuf_ok(&c->in));
		return;
	}
	if (n < 0 && errno == EAGAIN)
		return;
	c->eof = n == 0;
	c->reset = n < 0;
	event_del(c->readable);
}

void
client_open(struct client *c, const struct sockaddr_storage *server,
    socklen_t len, int receive_bytes)
{
	*c = (struct client){ .fd = socket(AF_INET, SOCK_STREAM, 0) };
	strbuf_init(&c->in, IN_MAX);
	if (receive_bytes > 0)
		setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes,
		    sizeof(receive_bytes));
	/* The listener's backlog takes it, so this does not block. */
	ck_assert_int_eq(connect(c->fd, (const struct sockaddr *)server, len),
	    0);
	evutil_make_socket_nonblocking(c->fd);
	c->readable = event_new(base, c->fd, EV_READ | EV_PERSIST, on_readable,
	    c);
	event_add(c->readable, NULL);
}

void
client_close(struct client *c)
{
	event_free(c->readable);
	close(c->fd);
	strbuf_release(&c->in);
}

void
client_abort(struct client *c)
{
	struct linger now = { .l_onoff = 1 };

	setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	client_close(c);
}

void
client_send(struct client *c, const void *p, size_t n)
{
	const char *at = p;

	wait_start();
	while (n > 0) {
		ssize_t sent = send(c->fd, at, n, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent < 0) {
			ck_assert_msg(errno == EAGAIN, "send: %s",
			    strerror(errno));
			wait_turn("room in the client's socket");
			continue;
		}
		at += sent;
		n -= (size_t)sent;
	}
}

void
client_say(struct client *c, const char *text)
{
	client_send(c, text, strlen(text));
}

void
client_finish(struct client *c)
{
	ck_assert_int_eq(shutdown(c->fd, SHUT_WR), 0);
}

void
client_pause(struct client *c)
{
	event_del(c->readable);
}

void
client_resume(struct client *c)
{
	event_add(c->readable, NULL);
}

bool
client_has(const struct client *c, const char *text)
{
	return strstr(strbuf_str(&c->in), text) != NULL;
}

unsigned
client_count(const struct client *c, const char *text)
{
	unsigned count = 0;

	for (const char *p = strbuf_str(&c->in); (p = strstr(p, text)) != NULL;
	    p += strlen(text))
		count++;
	return count;
}

static size_t
content_length(const struct answer *a)
{
	static const char field[] = "\r\nContent-Length: ";
	const char *p = strcasestr(strbuf_str(&a->head), field);

	ck_assert_ptr_nonnull(p);
	return strtoul(p + sizeof(field) - 1, NULL, 10);
}

static void
take_head(struct client *c, struct answer *a, size_t n)
{
	strbuf_init(&a->head, IN_MAX);
	strbuf_init(&a->body, IN_MAX);
	strbuf_add(&a->head, c->in.p, n);
	ck_assert_msg(strncmp(a->head.p, "HTTP/1.1 ", 9) == 0,
	    "not the start of an answer: %s", a->head.p);
	a->status = (int)strtol(a->head.p + 9, NULL, 10);
}

bool
client_take(struct client *c, struct answer *out, bool bodiless)
{
	const char *end = strstr(strbuf_str(&c->in), "\r\n\r\n");
	size_t head, body;

	if (end == NULL)
		return false;
	head = (size_t)(end - c->in.p) + 4;
	take_head(c, out, head);
	body = bodiless || out->status < 200 ? 0 : content_length(out);
	if (c->in.n < head + body) {
		answer_release(out);
		return false;
	}
	strbuf_add(&out->body, c->in.p + head, body);
	strbuf_drain(&c->in, head + body);
	return true;
}

void
answer_release(struct answer *a)
{
	strbuf_release(&a->head);
	strbuf_release(&a->body);
}

void
client_expect(struct client *c, int status, const char *body)
{
	struct answer a;

	WAIT(client_take(c, &a, false));
	ck_assert_int_eq(a.status, status);
	if (body != NULL)
		ck_assert_str_eq(strbuf_str(&a.body), body);
	answer_release(&a);
}
