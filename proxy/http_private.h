/*
 * What the parts of the HTTP server share. Nobody else includes it.
 *
 *	http_server.c    listens, accepts, keeps the deadlines
 *	http_request.c   bytes become requests
 *	http_stream.c    answers without a known end
 *	http_response.c  answers
 *	http_conn.c      a connection's states, its end, what its socket reports
 *
 * Each uses those below it. Only news goes up: what the socket brought, that an
 * answer is out and the next request may be served, that a connection has ended.
 */
#ifndef MCP_HTTP_PRIVATE_H
#define MCP_HTTP_PRIVATE_H

#include <sys/queue.h>
#include <time.h>

#include "common/strbuf.h"
#include "proxy/conn.h"
#include "proxy/http.h"
#include "proxy/http_server.h"

enum http_state {
	HTTP_IDLE,
	HTTP_HEAD_PART,
	HTTP_BODY_PART,
	HTTP_LINGER,
	HTTP_TIMED_STATES,  /* those above live in server->lists[] */
	HTTP_BUSY = HTTP_TIMED_STATES,
	HTTP_STREAM,
	HTTP_LAST,
	HTTP_DEAD,
	HTTP_STATES
};

struct evconnlistener;
struct http_body;

struct http_conn {
	struct conn conn;  /* conn's callbacks recover us from it */
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
	bool processing;               /* http_request.c serves what came */
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
	unsigned in_state[HTTP_STATES];  /* how many connections */
	unsigned connections;            /* that are not dead */
	bool draining;
	struct strbuf head;          /* scratch for response heads */
	time_t date_second;
	char date[40];
};

/* http_server.c */

/* Accepts or not, as the number of connections and the last failure have it. */
void http_server_update_listener(struct http_server *s);

/* http_conn.c */

extern const struct conn_ops http_conn_ops;

/* Takes over an accepted socket, and counts it. */
void http_conn_open(struct http_server *s, int take_fd,
    const struct sockaddr *peer);
struct http_conn *http_conn_of(struct conn *conn);
/* The only writer of c->state: moves the connection between the lists. */
void http_conn_set_state(struct http_conn *c, enum http_state state);
/*
 * The end of a connection, for whatever reason. Its stream's user hears of it
 * on the next turn, so that nobody is called back from within his own call.
 */
void http_conn_kill(struct http_conn *c, const char *reason);
/*
 * Half-closes and waits for the peer's FIN: closing at once with unread input
 * would send a reset, which may overtake the answer.
 */
void http_conn_linger(struct http_conn *c);
/* Frees those that are dead and that nobody holds. */
void http_conn_reap(struct http_server *s);

/* Is nothing more to be answered? What comes then is read and dropped. */
static inline bool
http_conn_has_said_all(const struct http_conn *c)
{
	return c->state == HTTP_STREAM || c->state == HTTP_LAST ||
	    c->state == HTTP_LINGER || c->state == HTTP_DEAD;
}

/* http_request.c */

/*
 * Serves the requests that waited in the connection, followed by the n bytes at
 * p. In the common case nothing waited, and a whole request is served from p
 * without copying a byte.
 */
void http_request_feed(struct http_conn *c, const char *p, size_t n);
/* Forgets the bytes that waited, and the body that was being read. */
void http_request_drop(struct http_conn *c);

/* http_response.c */

/* Refuses a request before it is whole: answers and closes. */
void http_refuse(struct http_conn *c, int status);
/* Adds to http_responses_total. */
void http_count_response(struct http_server *s, int status);
/* Starts a response head in the server's scratch buffer. */
struct strbuf *http_begin_head(struct http_conn *c, int status);
void http_add_field(struct strbuf *head, const char *name, const char *value);

/* http_stream.c */

/* Tells the stream's user, if there is one, that it drained or has ended. */
void http_stream_drained(struct http_conn *c);
void http_stream_closed(struct http_conn *c);

#endif
