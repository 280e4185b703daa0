/*
 * A request and its answer, as the one who answers sees them.
 *
 * http_server.h hands each whole request to the handler. It answers at once,
 * later (http_hold()), or with a stream that stays open (http_stream_open()).
 * Requests of one connection are answered in order; while one is being answered
 * the next ones wait in the socket.
 *
 * States of a connection:
 *
 *	HTTP_IDLE       -> no byte of a request yet        (idle_timeout_ms)
 *	HTTP_HEAD_PART  -> part of a head                  (head_timeout_ms, 408)
 *	HTTP_BODY_PART  -> head read, part of the body     (body_timeout_ms, 408)
 *	HTTP_BUSY       -> the handler has the request
 *	HTTP_STREAM     -> a response without end
 *	HTTP_LAST       -> last answer written, but not yet taken by the socket
 *	HTTP_LINGER     -> last answer sent, waits for the peer's FIN, so that a
 *	                   reset does not destroy the answer on its way (2 s)
 *	HTTP_DEAD       -> closed; freed on the next turn of the loop, or when
 *	                   the last http_release() comes
 */
#ifndef MCP_HTTP_H
#define MCP_HTTP_H

#include <netinet/in.h>
#include <sys/uio.h>

#include "common/compiler.h"
#include "proxy/http_head.h"

struct http_conn;

struct http_request {
	const struct http_head *head;
	struct slice head_bytes;   /* what head was parsed from */
	struct slice body;
};

/*
 * Called for each complete request. The request's bytes are gone when it
 * returns, and when it has answered. It must answer with http_respond() or
 * http_stream_open(), now or later; to answer later it takes a hold first.
 */
typedef void http_handler(struct http_conn *c, const struct http_request *req,
    void *arg);

/* Keeps the struct (not the socket) until http_release(). */
void http_hold(struct http_conn *c);
void http_release(struct http_conn *c);
/* The client's address, IPv4 as ::ffff:a.b.c.d; borrowed from the connection. */
const struct in6_addr *http_peer_address(const struct http_conn *c);

struct http_response {
	int status;
	const char *type;      /* Content-Type; NULL: none */
	const char *headers;   /* further fields, each ending in CRLF; or NULL */
	struct slice body;
	bool is_probe;         /* of the balancer's: not in the counters */
};

/* Answers the request at hand. On a dead connection it does nothing. */
void http_respond(struct http_conn *c, const struct http_response *response);
/* A plain-text answer that says what the status means. */
void http_respond_status(struct http_conn *c, int status, const char *headers,
    const char *detail);

/* A user of a stream: told when output drained and, once, when it has ended. */
struct http_stream_ops {
	void (*drained)(struct http_conn *c, void *arg);
	void (*closed)(struct http_conn *c, const char *reason, void *arg);
};

/*
 * Starts a response without a known end (chunked, or until close for HTTP/1.0).
 * headers: fields each ending in CRLF. Input that follows is read and dropped.
 * Returns false when the connection died meanwhile; closed() is then not called.
 */
bool http_stream_open(struct http_conn *c, const char *headers,
    const struct http_stream_ops *ops, void *arg) MUST_CHECK;
/*
 * Sends one chunk of the n parts (at most 6), which add up to total bytes (> 0).
 * True when the bytes were taken, by the socket or by the output buffer: see
 * http_stream_unsent(). A failed write ends the stream; closed() comes on a later
 * turn of the loop.
 */
bool http_stream_write(struct http_conn *c, const struct iovec *parts, int n,
    size_t total) MUST_CHECK;
/* Bytes that the client has not taken yet. */
size_t http_stream_unsent(const struct http_conn *c);
/*
 * Ends it on a chunk boundary with the last chunk. closed() is not called
 * again: the user lets go of the connection with this.
 */
void http_stream_end(struct http_conn *c, const char *reason);

#endif
