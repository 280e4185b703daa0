#include "proxy/http_private.h"

#include <errno.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/xalloc.h"

#define LINGER_MS 2000
#define BACKLOG 4096
/* How long accepting rests after the process ran out of files. */
#define ACCEPT_REST_MS 250
#define PAUSE_LOG_EVERY_MS 10000
#define RESPONSE_HEAD_MAX 1024

/* Accepting --------------------------------------------------------------- */

void
http_server_update_listener(struct http_server *s)
{
	if (s->listener == NULL)
		return;
	if (s->accept_again_ms == 0 &&
	    s->connections < s->options.max_connections)
		evconnlistener_enable(s->listener);
	else
		evconnlistener_disable(s->listener);
}

/* At the limit each accept pauses anew: one line in a while says it. */
static void
warn_of_pause(struct http_server *s, const char *reason)
{
	uint64_t now = clock_mono_ms();

	if (s->pause_logged_ms != 0 &&
	    now - s->pause_logged_ms < PAUSE_LOG_EVERY_MS)
		return;
	s->pause_logged_ms = now;
	log_warn("accepting paused", LF("reason", reason),
	    LF_N("connections", s->connections));
}

static void
on_accept(struct evconnlistener *listener, evutil_socket_t fd,
    struct sockaddr *addr, int len, void *arg)
{
	struct http_server *s = arg;

	(void)listener;
	(void)len;
	http_conn_open(s, fd, addr);
	if (s->connections < s->options.max_connections)
		return;
	stat_add(s->options.stats, STAT_CONNECTIONS_PAUSED, 1);
	warn_of_pause(s, "connection limit reached");
	http_server_update_listener(s);
}

/*
 * Out of files, or of kernel memory: accept(2) would fail again at once and the
 * loop would spin, so accepting rests.
 */
static void
on_accept_error(struct evconnlistener *listener, void *arg)
{
	struct http_server *s = arg;

	(void)listener;
	warn_of_pause(s, strerror(errno));
	stat_add(s->options.stats, STAT_CONNECTIONS_PAUSED, 1);
	s->accept_again_ms = clock_mono_ms() + ACCEPT_REST_MS;
	http_server_update_listener(s);
}

/* The server -------------------------------------------------------------- */

static void
on_reap(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	http_conn_reap(arg);
}

struct http_server *
http_server_new(struct event_base *base, const struct sockaddr *addr,
    socklen_t addr_len, const struct http_options *options)
{
	struct http_server *s = xcalloc(1, sizeof(*s));

	s->options = *options;
	strbuf_init(&s->head, RESPONSE_HEAD_MAX);
	for (size_t i = 0; i < ARRAY_LEN(s->lists); i++)
		TAILQ_INIT(&s->lists[i]);
	TAILQ_INIT(&s->others);
	TAILQ_INIT(&s->dead);
	conn_group_init(&s->group, base, &http_conn_ops);
	s->reaper = event_new(base, -1, 0, on_reap, s);
	s->listener = evconnlistener_new_bind(base, on_accept, s,
	    LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC |
		LEV_OPT_REUSEABLE | LEV_OPT_REUSEABLE_PORT, BACKLOG, addr,
	    (int)addr_len);
	if (s->listener == NULL) {
		http_server_free(s);
		return NULL;
	}
	evconnlistener_set_error_cb(s->listener, on_accept_error);
	return s;
}

static void
kill_list(struct http_list *list, const char *reason)
{
	while (!TAILQ_EMPTY(list))
		http_conn_kill(TAILQ_FIRST(list), reason);
}

void
http_server_free(struct http_server *s)
{
	int saved = errno;

	http_server_stop_listening(s);
	for (size_t i = 0; i < ARRAY_LEN(s->lists); i++)
		kill_list(&s->lists[i], "shutdown");
	kill_list(&s->others, "shutdown");
	if (s->reaper != NULL) {
		http_conn_reap(s);
		event_free(s->reaper);
	}
	conn_group_release(&s->group);
	strbuf_release(&s->head);
	free(s);
	errno = saved;
}

/* Closing the socket resets whoever still waits to be accepted: none may. */
static void
accept_rest(struct http_server *s)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);
	int listening = evconnlistener_get_fd(s->listener), fd;

	while ((fd = accept4(listening, (struct sockaddr *)&peer, &len,
		    SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		http_conn_open(s, fd, (struct sockaddr *)&peer);
		len = sizeof(peer);
	}
}

void
http_server_stop_listening(struct http_server *s)
{
	if (s->listener == NULL)
		return;
	accept_rest(s);
	evconnlistener_free(s->listener);
	s->listener = NULL;
}

void
http_server_wind_down(struct http_server *s)
{
	struct http_conn *c, *next;

	s->draining = true;
	for (c = TAILQ_FIRST(&s->lists[HTTP_IDLE]); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (conn_unsent(&c->conn) > 0)
			http_conn_linger(c);
	}
}

unsigned
http_server_connections(const struct http_server *s)
{
	return s->connections;
}

unsigned
http_server_busy(const struct http_server *s)
{
	return s->connections - s->in_state[HTTP_IDLE] -
	    s->in_state[HTTP_STREAM];
}

/* Deadlines ---------------------------------------------------------------- */

static void
expire(struct http_server *s, enum http_state state, unsigned ttl_ms)
{
	uint64_t now = clock_mono_ms();
	struct http_conn *c;

	while ((c = TAILQ_FIRST(&s->lists[state])) != NULL &&
	    now - c->state_since_ms >= ttl_ms) {
		if (state == HTTP_HEAD_PART || state == HTTP_BODY_PART) {
			stat_add(s->options.stats, STAT_CLOSED_TIMEOUT, 1);
			http_refuse(c, 408);
		} else {
			http_conn_kill(c, "timeout");
		}
	}
}

static void
drop_stuck(struct http_server *s)
{
	uint64_t now = clock_mono_ms();
	unsigned patience = s->options.stuck_timeout_ms;
	struct conn *conn;

	while (now > patience &&
	    (conn = conn_group_stuck(&s->group, now - patience)) != NULL) {
		stat_add(s->options.stats, STAT_CLOSED_SLOW, 1);
		http_conn_kill(http_conn_of(conn), "slow_client");
	}
}

void
http_server_tick(struct http_server *s)
{
	expire(s, HTTP_IDLE, s->options.idle_timeout_ms);
	expire(s, HTTP_HEAD_PART, s->options.head_timeout_ms);
	expire(s, HTTP_BODY_PART, s->options.body_timeout_ms);
	expire(s, HTTP_LINGER, LINGER_MS);
	drop_stuck(s);
	if (s->accept_again_ms != 0 && clock_mono_ms() >= s->accept_again_ms) {
		s->accept_again_ms = 0;
		http_server_update_listener(s);
	}
}
