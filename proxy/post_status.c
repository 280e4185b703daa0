/*
 * What a POST is answered: 202, or an HTTP error whose body is a JSON-RPC error.
 * The answer to an accepted request comes on the session's stream instead.
 */
#include "proxy/post_private.h"

#define RETRY_AFTER "Retry-After: 1\r\n"

struct refusal {
	int status;
	const char *headers;          /* NULL: none */
	int code;                     /* of the JSON-RPC error */
	const char *message;
};

static const struct refusal refusals[] = {
	[POST_NOT_JSON] = { 400, NULL, JSONRPC_PARSE_ERROR, "Parse error" },
	[POST_NOT_JSONRPC] = { 400, NULL, JSONRPC_INVALID_REQUEST,
	    "Invalid Request" },
	[POST_UNKNOWN_SESSION] = { 404, NULL, JSONRPC_INVALID_REQUEST,
	    "Session not found" },
	[POST_CALL_NOT_QUEUED] = { 503, RETRY_AFTER, MCP_ERROR_BUSY,
	    "the call could not be queued" },
	[POST_UNKNOWN_OUTCOME] = { 503, RETRY_AFTER, MCP_ERROR_UNKNOWN_OUTCOME,
	    "Redis was lost while the call was being queued: "
	    "it may have run or not" },
	[POST_WRITES_REFUSED] = { 503, RETRY_AFTER, MCP_ERROR_BUSY,
	    "Redis refuses writes" },
	[POST_REDIS_AWAY] = { 503, RETRY_AFTER, MCP_ERROR_BUSY, "Redis is away" },
	[POST_STOPPING] = { 503, RETRY_AFTER, MCP_ERROR_BUSY,
	    "the server is stopping" },
};

/* Answers the client; the post may live on until its command is answered. */
static void
respond(struct post *p, const struct http_response *response)
{
	struct http_conn *c = p->c;

	p->c = NULL;
	if (c == NULL)
		return;
	http_respond(c, response);
	http_release(c);
}

void
post_accept(struct post *p)
{
	respond(p, &(struct http_response){ .status = 202,
		.type = "text/plain; charset=utf-8", .body = SLICE("Accepted") });
	post_free(p);
}

static void
respond_error(struct post *p, const struct refusal *r)
{
	struct strbuf body = STRBUF_INIT(4096);

	jsonrpc_error(&body, p->msg.id, r->code, r->message);
	if (!strbuf_ok(&body)) {
		/* An id that long has to do without its echo. */
		strbuf_reset(&body);
		jsonrpc_error(&body, SLICE_NONE, r->code, r->message);
	}
	respond(p, &(struct http_response){ .status = r->status,
		.type = "application/json", .headers = r->headers,
		.body = strbuf_slice(&body) });
	strbuf_release(&body);
}

void
post_turn_away(struct post *p, enum post_refusal why)
{
	respond_error(p, &refusals[why]);
}

void
post_refuse(struct post *p, enum post_refusal why)
{
	post_turn_away(p, why);
	post_free(p);
}

/* RFC 6750, section 3.1: the client may get a token with that scope. */
void
post_refuse_forbidden(struct post *p, const struct catalog_item *item)
{
	struct strbuf scope = STRBUF_INIT(1024), headers = STRBUF_INIT(4096);
	struct challenge challenge = { .error = "insufficient_scope",
		.api = slice_str(p->api) };

	strbuf_addf(&scope, "%s:%s", item->api, item->name);
	challenge.scope = strbuf_slice(&scope);
	resource_challenge(&headers, p->all->options.public_url, &p->called,
	    &challenge);
	post_count_one(p, STAT_AUTH_FORBIDDEN);
	respond_error(p, &(struct refusal){ 403, strbuf_str(&headers),
		MCP_ERROR_FORBIDDEN,
		"this is outside the scopes that were granted" });
	strbuf_release(&scope);
	strbuf_release(&headers);
	post_free(p);
}

void
post_refuse_limited(struct post *p, enum limit which, uint64_t wait_ms)
{
	struct limit_refusal refusal = { .text = "" };

	limits_refuse(p->all->options.limits, which, wait_ms, &p->user, NULL,
	    &refusal);
	respond_error(p, &(struct refusal){ 429, refusal.headers, MCP_ERROR_BUSY,
		refusal.text });
	post_free(p);
}
