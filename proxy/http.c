#include "proxy/http.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <event2/listener.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/strbuf.h"
#include "common/xalloc.h"
#include "proxy/conn.h"

#define LINGER_MS 2000
#define BACKLOG 4096
/* How long accepting rests after the process ran out of files. */
#define ACCEPT_REST_MS 250
/* Waiting bytes of answers that a client does not read, before it is closed. */
#define UNSENT_MAX (1024 * 1024)
#define RESPONSE_HEAD_MAX 1024
#define PAUSE_LOG_EVERY_MS 10000
/* Parts of a stream's chunk; what one event needs. */
#define CHUNK_PARTS_MAX 6
/* One read may bring pipelined bytes behind a largest request. */
#define IN_SLACK (64 * 1024)

enum http_state {
	HTTP_IDLE,
	HTTP_HEAD_PART,
	HTTP_BODY_PART,
	HTTP_LINGER,
	HTTP_TIMED_STATES,  /* those above live in server->lists[] */
	HTTP_BUSY = HTTP_TIMED_STATES,
	HTTP_STREAM,
	HTTP_LAST,
	HTTP_DEAD
};

struct http_conn {
	struct conn conn;  /* first: conn callbacks recover us from it */
	struct http_server *server;
	TAILQ_ENTRY(http_conn) entry;  /* of the state's list */
	uint64_t state_since_ms;
	struct strbuf in;              /* bytes of requests not answered yet */
	size_t scanned;                /* of in, by http_head_length() */
	struct http_body *body;        /* while in HTTP_BODY_PART */
	const struct http_stream_ops *stream_ops;
	void *stream_arg;
	const char *reason;            /* why it ended */
	struct in6_addr peer;
	unsigned holds;
	uint8_t state;
	bool chunked;                  /* of the response stream */
	bool close_after;              /* the response at hand is the last */
	bool http10;
	bool bodiless;                 /* it answers a HEAD */
	bool eof;
	bool processing;
};

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

TAILQ_HEAD(http_list, http_conn);

struct http_server {
	struct http_options options;
	struct conn_group group;
	struct evconnlistener *listener;
	struct http_list lists[HTTP_TIMED_STATES];
	struct http_list others;     /* busy, streaming, sending the last */
	struct http_list dead;
	struct event *reaper;        /* frees the dead on the next turn */
	uint64_t accept_again_ms;    /* 0: accepting */
	uint64_t pause_logged_ms;    /* when a pause was last logged; 0: never */
	unsigned connections;
	unsigned busy;
	bool draining;
	struct strbuf head;          /* scratch for response heads */
	time_t date_second;
	char date[40];
};

static void process(struct http_conn *c, const char *p, size_t n);

/* States ---------------------------------------------------------------- */

static struct http_list *
list_of(struct http_server *s, enum http_state state)
{
	if (state < HTTP_TIMED_STATES)
		return &s->lists[state];
	return state == HTTP_DEAD ? &s->dead : &s->others;
}

/* The only writer of c->state: moves the connection between the lists. */
static void
set_state(struct http_conn *c, enum http_state state)
{
	struct http_server *s = c->server;

	if (c->state == state)
		return;
	s->busy += (state == HTTP_BUSY) - (c->state == HTTP_BUSY);
	TAILQ_REMOVE(list_of(s, c->state), c, entry);
	TAILQ_INSERT_TAIL(list_of(s, state), c, entry);
	c->state = state;
	c->state_since_ms = clock_mono_ms();
}

static void
free_body(struct http_conn *c)
{
	if (c->body == NULL)
		return;
	strbuf_release(&c->body->decoded);
	free(c->body);
	c->body = NULL;
}

static void
update_listener(struct http_server *s)
{
	if (s->listener == NULL)
		return;
	if (s->accept_again_ms == 0 &&
	    s->connections < s->options.max_connections)
		evconnlistener_enable(s->listener);
	else
		evconnlistener_disable(s->listener);
}

static void
reap(evutil_socket_t fd, short what, void *arg)
{
	struct http_server *s = arg;
	struct http_conn *c, *next;

	(void)fd;
	(void)what;
	for (c = TAILQ_FIRST(&s->dead); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (c->stream_ops != NULL) {
			const struct http_stream_ops *ops = c->stream_ops;

			c->stream_ops = NULL;
			ops->closed(c, c->reason, c->stream_arg);
		}
		if (c->holds > 0)
			continue;
		TAILQ_REMOVE(&s->dead, c, entry);
		free(c);
	}
}

/*
 * The end of a connection, for whatever reason. Its stream's user hears of it
 * on the next turn, so that nobody is called back from within his own call.
 */
static void
kill_conn(struct http_conn *c, const char *reason)
{
	struct http_server *s = c->server;

	if (c->state == HTTP_DEAD)
		return;
	c->reason = reason;
	conn_close(&c->conn);
	strbuf_release(&c->in);
	free_body(c);
	set_state(c, HTTP_DEAD);
	s->connections--;
	stat_add(s->options.stats, STAT_CONNECTIONS, -1);
	log_debug("connection closed", LF("reason", reason));
	update_listener(s);
	event_active(s->reaper, EV_TIMEOUT, 0);
}

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

void
http_peer(const struct http_conn *c, char buf[static INET6_ADDRSTRLEN])
{
	if (IN6_IS_ADDR_V4MAPPED(&c->peer))
		inet_ntop(AF_INET, &c->peer.s6_addr[12], buf, INET6_ADDRSTRLEN);
	else
		inet_ntop(AF_INET6, &c->peer, buf, INET6_ADDRSTRLEN);
}

const struct in6_addr *
http_peer_address(const struct http_conn *c)
{
	return &c->peer;
}

/* Responses ------------------------------------------------------------- */

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

static void
count_response(struct http_server *s, int status)
{
	static const enum stat by_class[] = { STAT_RESPONSES_2XX,
		STAT_RESPONSES_2XX, STAT_RESPONSES_2XX, STAT_RESPONSES_2XX,
		STAT_RESPONSES_4XX, STAT_RESPONSES_5XX };

	stat_add(s->options.stats, by_class[status / 100], 1);
}

/*
 * Half-closes and waits for the peer's FIN: closing at once with unread input
 * would send a reset, which may overtake the answer.
 */
static void
linger(struct http_conn *c)
{
	strbuf_release(&c->in);
	free_body(c);
	if (conn_unsent(&c->conn) > 0) {
		set_state(c, HTTP_LAST);
	} else if (c->eof) {
		kill_conn(c, "done");
	} else {
		set_state(c, HTTP_LINGER);
		conn_shutdown_write(&c->conn);
	}
	if (!c->eof)
		conn_resume(&c->conn);
}

/* Starts a response head in the server's scratch buffer. */
static struct strbuf *
begin_head(struct http_conn *c, int status)
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

static void
add_field(struct strbuf *head, const char *name, const char *value)
{
	strbuf_add_str(head, name);
	strbuf_add_str(head, ": ");
	strbuf_add_str(head, value);
	strbuf_add_str(head, "\r\n");
}

static void
write_response(struct http_conn *c, const struct http_response *r)
{
	struct strbuf *head = begin_head(c, r->status);
	struct iovec iov[2];

	strbuf_add_str(head, "Content-Length: ");
	strbuf_add_u64(head, r->body.n);
	strbuf_add_str(head, "\r\n");
	if (r->type != NULL)
		add_field(head, "Content-Type", r->type);
	if (c->close_after)
		add_field(head, "Connection", "close");
	else if (c->http10)
		add_field(head, "Connection", "keep-alive");
	if (r->headers != NULL)
		strbuf_add_str(head, r->headers);
	strbuf_add_str(head, "\r\n");
	iov[0] = (struct iovec){ head->p, head->n };
	iov[1] = (struct iovec){ (char *)r->body.p, r->body.n };
	if (!strbuf_ok(head) || !conn_write(&c->conn, iov, c->bodiless ? 1 : 2))
		kill_conn(c, "write_failed");
	else if (conn_unsent(&c->conn) > UNSENT_MAX)
		kill_conn(c, "unread_answers");
}

void
http_respond(struct http_conn *c, const struct http_response *response)
{
	struct http_server *s = c->server;

	if (c->state != HTTP_BUSY)
		return;
	count_response(s, response->status);
	if (s->draining)
		c->close_after = true;
	write_response(c, response);
	if (c->state != HTTP_BUSY)
		return;
	if (c->close_after || c->eof) {
		linger(c);
		return;
	}
	set_state(c, HTTP_IDLE);
	/* The caller's frame may be process() itself, which then goes on. */
	if (!c->processing && c->in.n > 0)
		process(c, NULL, 0);
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

/* A request that is refused before it is whole: answer and close. */
static void
refuse(struct http_conn *c, int status)
{
	free_body(c);
	set_state(c, HTTP_BUSY);
	c->close_after = true;
	c->bodiless = false;
	log_debug("request refused", LF_N("status", status));
	http_respond_status(c, status, NULL, NULL);
}

/* Requests -------------------------------------------------------------- */

static void
dispatch(struct http_conn *c, const struct http_head *head,
    struct slice head_bytes, struct slice body)
{
	struct http_server *s = c->server;
	struct http_request req = { head, head_bytes, body };

	set_state(c, HTTP_BUSY);
	c->close_after = !head->keep_alive;
	c->http10 = head->minor == 0;
	c->bodiless = head->method == HTTP_HEAD;
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
	set_state(c, HTTP_BODY_PART);
	if (head->expect_continue && !conn_write(&c->conn, &go, 1))
		kill_conn(c, "write_failed");
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

	set_state(c, HTTP_HEAD_PART);
	len = http_head_length(p, n, &c->scanned, limits);
	if (len == 0)
		return 0;
	c->scanned = 0;
	status = len < 0 ? -len :
	    http_head_parse(p, (size_t)len, limits, &head);
	if (status != 0) {
		refuse(c, status);
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
		    n - b->decoded_to, &c->server->options.limits, &used, &data);
		strbuf_add_slice(&b->decoded, data);
		b->decoded_to += used;
		if (used == 0)
			break;
	}
	if (rc < 0 || !strbuf_ok(&b->decoded)) {
		refuse(c, rc < 0 ? -rc : 413);
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
	if (c->state != HTTP_BODY_PART)
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
		kill_conn(c, "out_of_memory");
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

/* Is nothing more to be answered? What comes then is read and dropped. */
static bool
has_said_all(const struct http_conn *c)
{
	return c->state == HTTP_STREAM || c->state == HTTP_LAST ||
	    c->state == HTTP_LINGER || c->state == HTTP_DEAD;
}

/* After a turn's requests: read on, or wait for the handler with input off. */
static void
settle(struct http_conn *c)
{
	if (has_said_all(c))
		return;
	if (c->in.n == 0)
		strbuf_release(&c->in);
	if (c->state == HTTP_BUSY && c->in.n > 0)
		conn_pause(&c->conn);
	else if (c->eof && c->state != HTTP_BUSY)
		kill_conn(c, "client_closed");
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
		body_began = used == 0 && c->state == HTTP_BODY_PART &&
		    !c->body->looked_at;
		if (body_began)
			c->body->looked_at = true;
		else if (used == 0)
			break;
		at += used;
	}
	return at;
}

/*
 * Serves the requests in c->in followed by the n bytes at p. In the common case
 * c->in is empty and a whole request is served from p without copying a byte.
 */
static void
process(struct http_conn *c, const char *p, size_t n)
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
	if (has_said_all(c))
		strbuf_release(&c->in);
	else if (keep(c, p, n))
		drop_decoded(c);
	c->processing = false;
	settle(c);
}

/* Connection events ------------------------------------------------------ */

static struct http_conn *
http_of(struct conn *c)
{
	return container_of(c, struct http_conn, conn);
}

static void
on_data(struct conn *conn, const char *p, size_t n)
{
	struct http_conn *c = http_of(conn);

	/* A client has nothing to say on a stream, nor after the last answer. */
	if (!has_said_all(c))
		process(c, p, n);
}

static void
on_eof(struct conn *conn)
{
	struct http_conn *c = http_of(conn);

	c->eof = true;
	if (c->state == HTTP_BUSY || c->state == HTTP_LAST)
		return;
	if (c->state == HTTP_STREAM || conn_unsent(conn) == 0)
		kill_conn(c, "client_closed");
	else
		linger(c);
}

static void
on_drained(struct conn *conn)
{
	struct http_conn *c = http_of(conn);

	if (c->state == HTTP_LAST)
		linger(c);
	else if (c->state == HTTP_STREAM && c->stream_ops != NULL)
		c->stream_ops->drained(c, c->stream_arg);
}

static void
on_failed(struct conn *conn, int error)
{
	log_debug("socket failed", LF("error", strerror(error)));
	kill_conn(http_of(conn), "connection_reset");
}

static const struct conn_ops conn_ops = {
	.data = on_data,
	.eof = on_eof,
	.drained = on_drained,
	.failed = on_failed,
};

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
	struct http_conn *c = xcalloc(1, sizeof(*c));

	(void)listener;
	(void)len;
	c->server = s;
	strbuf_init(&c->in, 2 * (s->options.limits.head_bytes +
				    s->options.limits.body_bytes) + IN_SLACK);
	set_peer(c, addr);
	c->state = HTTP_IDLE;
	c->state_since_ms = clock_mono_ms();
	TAILQ_INSERT_TAIL(&s->lists[HTTP_IDLE], c, entry);
	s->connections++;
	stat_add(s->options.stats, STAT_CONNECTIONS, 1);
	stat_add(s->options.stats, STAT_CONNECTIONS_ACCEPTED, 1);
	conn_open(&c->conn, &s->group, fd);
	if (s->connections < s->options.max_connections)
		return;
	stat_add(s->options.stats, STAT_CONNECTIONS_PAUSED, 1);
	warn_of_pause(s, "connection limit reached");
	update_listener(s);
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
	update_listener(s);
}

/* Streams ---------------------------------------------------------------- */

bool
http_stream_open(struct http_conn *c, const char *headers,
    const struct http_stream_ops *ops, void *arg)
{
	struct strbuf *head;
	struct iovec iov;

	if (c->state != HTTP_BUSY)
		return false;
	count_response(c->server, 200);
	c->chunked = !c->http10;
	head = begin_head(c, 200);
	strbuf_add_str(head, headers);
	if (c->chunked)
		add_field(head, "Transfer-Encoding", "chunked");
	else
		add_field(head, "Connection", "close");
	strbuf_add_str(head, "\r\n");
	iov = (struct iovec){ head->p, head->n };
	if (!strbuf_ok(head) || !conn_write(&c->conn, &iov, 1))
		kill_conn(c, "write_failed");
	if (c->state != HTTP_BUSY)
		return false;
	set_state(c, HTTP_STREAM);
	strbuf_release(&c->in);
	c->stream_ops = ops;
	c->stream_arg = arg;
	if (c->eof)
		kill_conn(c, "client_closed");
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

void
http_stream_write(struct http_conn *c, const struct iovec *parts, int n,
    size_t total)
{
	char size[20];
	struct iovec iov[CHUNK_PARTS_MAX + 2];
	int at = 0;

	if (c->state != HTTP_STREAM)
		return;
	if (c->chunked)
		iov[at++] = (struct iovec){ size, chunk_size_line(size, total) };
	assert(n <= CHUNK_PARTS_MAX);
	for (int i = 0; i < n; i++)
		iov[at++] = parts[i];
	if (c->chunked)
		iov[at++] = (struct iovec){ (char *)"\r\n", 2 };
	if (!conn_write(&c->conn, iov, at))
		kill_conn(c, "write_failed");
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
		kill_conn(c, "write_failed");
	else
		linger(c);
}

/* The server -------------------------------------------------------------- */

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
	conn_group_init(&s->group, base, &conn_ops);
	s->reaper = event_new(base, -1, 0, reap, s);
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
		kill_conn(TAILQ_FIRST(list), reason);
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
		reap(-1, 0, s);
		event_free(s->reaper);
	}
	conn_group_release(&s->group);
	strbuf_release(&s->head);
	free(s);
	errno = saved;
}

void
http_server_stop_listening(struct http_server *s)
{
	if (s->listener != NULL)
		evconnlistener_free(s->listener);
	s->listener = NULL;
}

void
http_server_wind_down(struct http_server *s)
{
	s->draining = true;
}

void
http_server_drain(struct http_server *s)
{
	struct http_conn *c;

	http_server_wind_down(s);
	while ((c = TAILQ_FIRST(&s->lists[HTTP_IDLE])) != NULL) {
		if (conn_unsent(&c->conn) > 0)
			linger(c);
		else
			kill_conn(c, "drain");
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
	return s->busy;
}

static void
expire(struct http_server *s, enum http_state state, unsigned ttl_ms)
{
	uint64_t now = clock_mono_ms();
	struct http_conn *c;

	while ((c = TAILQ_FIRST(&s->lists[state])) != NULL &&
	    now - c->state_since_ms >= ttl_ms) {
		if (state == HTTP_HEAD_PART || state == HTTP_BODY_PART) {
			stat_add(s->options.stats, STAT_CLOSED_TIMEOUT, 1);
			refuse(c, 408);
		} else {
			kill_conn(c, "timeout");
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
		kill_conn(http_of(conn), "slow_client");
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
		update_listener(s);
	}
}
