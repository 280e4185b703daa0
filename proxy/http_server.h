/*
 * The HTTP/1.1 server of one event loop: it listens, reads requests, and hands
 * each complete one to the handler, which answers by http.h.
 *
 * Everything that a client can make the proxy keep has a cap and an age limit.
 * Connections with a time limit stand in lists, one for each state, which are
 * ordered by deadline because all members have the same time to live.
 */
#ifndef MCP_HTTP_SERVER_H
#define MCP_HTTP_SERVER_H

#include <event2/event.h>
#include <sys/socket.h>

#include "proxy/http.h"
#include "proxy/stats.h"

struct http_server;

struct http_options {
	struct http_limits limits;
	unsigned idle_timeout_ms;
	unsigned head_timeout_ms;
	unsigned body_timeout_ms;
	unsigned stuck_timeout_ms;  /* a peer that takes no byte for so long */
	unsigned max_connections;
	http_handler *handler;
	void *arg;
	metric_value *stats;
};

/* Listens on a bound socket of its own (SO_REUSEPORT). NULL: errno says why. */
struct http_server *http_server_new(struct event_base *base,
    const struct sockaddr *addr, socklen_t addr_len,
    const struct http_options *options) MUST_CHECK;
/* Closes every connection; holds of others must have been released. */
void http_server_free(struct http_server *s);
/*
 * Closes the listener, after it has accepted those who waited for that, since
 * they would be reset. Open connections go on.
 */
void http_server_stop_listening(struct http_server *s);
/*
 * From now on every answer closes its connection, also one that is still being
 * sent. Idle connections stay: a request may be on its way on them.
 */
void http_server_wind_down(struct http_server *s);
/* Connections that are open. */
unsigned http_server_connections(const struct http_server *s);
/* Those with a request or an answer on its way; streams and idle ones are not. */
unsigned http_server_busy(const struct http_server *s);
/* Enforces the deadlines; to be called a few times a second. */
void http_server_tick(struct http_server *s);

#endif
