/*
 * The HTTP+SSE transport of revision 2024-11-05: GET …/sse opens a stream,
 * POST …/messages/?session_id=<sid> sends on it.
 */
#ifndef MCP_TRANSPORT_SSE_H
#define MCP_TRANSPORT_SSE_H

#include "proxy/http.h"
#include "proxy/post.h"
#include "proxy/session.h"

struct transport_sse {
	struct sessions *sessions;      /* all borrowed */
	struct posts *posts;
	const struct catalog *catalog;
	struct quota *quota;            /* NULL: no limits */
};

/*
 * who sends it; api: of the path, empty for all APIs. Both answer the request at
 * hand.
 */
void transport_sse_get(struct transport_sse *t, struct http_conn *c,
    const struct http_request *req, const struct principal *who,
    struct slice api);
void transport_sse_post(struct transport_sse *t, struct http_conn *c,
    const struct http_request *req, const struct principal *who,
    struct slice api);

/*
 * Reads a session id from a query: session_id or sessionId, 32 hex digits or
 * the 36 characters of a UUID; writes the 32 in lower case. Returns 0, -ENOENT
 * when there is none, -EINVAL when it is malformed.
 */
int transport_sse_sid(struct slice query, char sid[static SID_LEN]) MUST_CHECK;

#endif
