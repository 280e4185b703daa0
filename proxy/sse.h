/*
 * Server-sent events on an HTTP stream: framing only (WHATWG HTML, "Server-sent
 * events"). One event is one write and one HTTP chunk.
 */
#ifndef MCP_SSE_H
#define MCP_SSE_H

#include "common/compiler.h"
#include "proxy/http.h"

/* Answers a GET with an event stream; as http_stream_open(). */
bool sse_open(struct http_conn *c, const struct http_stream_ops *ops,
    void *arg) MUST_CHECK;
/*
 * The first event of the 2024-11-05 transport: where to POST. The path is
 * relative on purpose: clients refuse or hang on another origin.
 */
void sse_endpoint(struct http_conn *c, const char *path, const char *session,
    unsigned retry_ms);
/* Changes the delay after which the client reconnects; no event by itself. */
void sse_retry(struct http_conn *c, unsigned retry_ms);
/*
 * A JSON-RPC message; line breaks between its tokens become blanks. Returns as
 * http_stream_write(); what else is lost with its stream is of use to nobody.
 */
bool sse_message(struct http_conn *c, struct slice json) MUST_CHECK;
/* A comment, so that neither load balancers nor clients time out. */
void sse_ping(struct http_conn *c);

#endif
