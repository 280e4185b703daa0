/*
 * A request that waits for an answer from elsewhere, as a copy of its bytes: those
 * of the connection are gone when the handler returns. The connection is held
 * meanwhile.
 */
#ifndef MCP_KEPT_REQUEST_H
#define MCP_KEPT_REQUEST_H

#include "proxy/http.h"

struct kept_request;

/* api: of its path, empty for all; cut if it is too long to be one. */
struct kept_request *kept_request_new(struct http_conn *c,
    const struct http_request *req, struct slice api) MUST_CHECK;
/* Releases the connection. */
void kept_request_free(struct kept_request *k);

struct http_conn *kept_request_conn(const struct kept_request *k);
struct slice kept_request_api(const struct kept_request *k);
/* Of head and body together. */
size_t kept_request_bytes(const struct kept_request *k);
/*
 * The request again, in *req and *head, which borrow from k. limits: with which
 * it was parsed. False when that does not work any more.
 */
bool kept_request_read(const struct kept_request *k,
    const struct http_limits *limits, struct http_head *head,
    struct http_request *req) MUST_CHECK;

#endif
