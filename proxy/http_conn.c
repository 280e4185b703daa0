#include "proxy/http_private.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/xalloc.h"

/* One read may bring pipelined bytes behind a largest request. */
#define IN_SLACK (64 * 1024)

/* States ---------------------------------------------------------------- */

static struct http_list *
list_of(struct http_server *s, enum http_state state)
{
	if (state < HTTP_TIMED_STATES)
		return &s->lists[state];
	return state == HTTP_DEAD ? &s->dead : &s->others;
}

void
http_conn_set_state(struct http_conn *c, enum http_state state)
{
	struct http_server *s = c->server;

	if (c->state == state)
		return;
	s->in_state[c->state]--;
	s->in_state[state]++;
	TAILQ_REMOVE(list_of(s, c->state), c, entry);
	TAILQ_INSERT_TAIL(list_of(s, state), c, entry);
	c->state = state;
	c->state_since_ms = clock_mono_ms();
}

/* From its opening to its end ------------------------------------------- */

static void
set_peer(struct http_conn *c, const struct sockaddr *addr)
{
	if (addr->sa_family == AF_INET6) {
		c->peer = ((const struct sockaddr_in6 *)(const void *)addr)
			      ->sin6_addr;
	} else if (addr->sa_family == AF_INET) {
		c->peer.s6_addr[10] = c->peer.s6_addr[11] = 0xff;
		memcpy(&c->peer.s6_addr[12],
		    &((const struct sockaddr_in *)(const void *)addr)->sin_addr,
		    4);
	}
}

void
http_conn_open(struct http_server *s, int take_fd, const struct sockaddr *peer)
{
	struct http_conn *c = xcalloc(1, sizeof(*c));

	c->server = s;
	strbuf_init(&c->in, 2 * (s->options.limits.head_bytes +
				    s->options.limits.body_bytes) + IN_SLACK);
	set_peer(c, peer);
	c->state = HTTP_IDLE;
	c->state_since_ms = clock_mono_ms();
	TAILQ_INSERT_TAIL(&s->lists[HTTP_IDLE], c, entry);
	s->in_state[HTTP_IDLE]++;
	s->connections++;
	stat_add(s->options.stats, STAT_CONNECTIONS, 1);
	stat_add(s->options.stats, STAT_CONNECTIONS_ACCEPTED, 1);
	conn_open(&c->conn, &s->group, take_fd);
}

void
http_conn_kill(struct http_conn *c, const char *reason)
{
	struct http_server *s = c->server;

	if (c->state == HTTP_DEAD)
		return;
	c->reason = reason;
	conn_close(&c->conn);
	http_request_drop(c);
	http_conn_set_state(c, HTTP_DEAD);
	s->connections--;
	stat_add(s->options.stats, STAT_CONNECTIONS, -1);
	log_debug("connection closed", LF("reason", reason));
	http_server_update_listener(s);
	event_active(s->reaper, EV_TIMEOUT, 0);
}

void
http_conn_linger(struct http_conn *c)
{
	http_request_drop(c);
	if (conn_unsent(&c->conn) > 0) {
		http_conn_set_state(c, HTTP_LAST);
	} else if (c->eof) {
		http_conn_kill(c, "done");
	} else {
		http_conn_set_state(c, HTTP_LINGER);
		conn_shutdown_write(&c->conn);
	}
	if (!c->eof)
		conn_resume(&c->conn);
}

void
http_conn_reap(struct http_server *s)
{
	struct http_conn *c, *next;

	for (c = TAILQ_FIRST(&s->dead); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		http_stream_closed(c);
		if (c->holds > 0)
			continue;
		TAILQ_REMOVE(&s->dead, c, entry);
		free(c);
	}
}

/* For the handler --------------------------------------------------------- */

void
http_hold(struct http_conn *c)
{
	c->holds++;
}

void
http_release(struct http_conn *c)
{
	c->holds--;
	if (c->holds == 0 && c->state == HTTP_DEAD)
		event_active(c->server->reaper, EV_TIMEOUT, 0);
}

const struct in6_addr *
http_peer_address(const struct http_conn *c)
{
	return &c->peer;
}

/* What the socket reports ------------------------------------------------ */

struct http_conn *
http_conn_of(struct conn *conn)
{
	return container_of(conn, struct http_conn, conn);
}

static void
on_data(struct conn *conn, const char *p, size_t n)
{
	struct http_conn *c = http_conn_of(conn);

	/* A client has nothing to say on a stream, nor after the last answer. */
	if (!http_conn_has_said_all(c))
		http_request_feed(c, p, n);
}

static void
on_eof(struct conn *conn)
{
	struct http_conn *c = http_conn_of(conn);

	c->eof = true;
	if (c->state == HTTP_BUSY || c->state == HTTP_LAST)
		return;
	if (c->state == HTTP_STREAM || conn_unsent(conn) == 0)
		http_conn_kill(c, "client_closed");
	else
		http_conn_linger(c);
}

static void
on_drained(struct conn *conn)
{
	struct http_conn *c = http_conn_of(conn);

	if (c->state == HTTP_LAST)
		http_conn_linger(c);
	else if (c->state == HTTP_STREAM)
		http_stream_drained(c);
}

static void
on_failed(struct conn *conn, int error)
{
	log_debug("socket failed", LF("error", strerror(error)));
	http_conn_kill(http_conn_of(conn), "connection_reset");
}

const struct conn_ops http_conn_ops = {
	.data = on_data,
	.eof = on_eof,
	.drained = on_drained,
	.failed = on_failed,
};
