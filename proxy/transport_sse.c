#include "proxy/transport_sse.h"

#include <ctype.h>
#include <errno.h>
#include <strings.h>

#define UUID_LEN 36

static bool
accepts_event_stream(const struct http_head *head)
{
	struct slice accept = http_head_field(head, "accept");
	static const char *const good[] = { "text/event-stream", "text/*", "*/*" };

	if (accept.p == NULL)
		return true;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		if (memmem(accept.p, accept.n, good[i], strlen(good[i])) != NULL)
			return true;
	}
	return false;
}

void
transport_sse_get(struct transport_sse *t, struct http_conn *c,
    const struct http_request *req, const struct principal *who,
    struct slice api)
{
	struct session_request wanted = {
		.api = api,
		.protocol = http_head_field(req->head, "mcp-protocol-version"),
		.who = who,
	};

	if (!accepts_event_stream(req->head)) {
		http_respond_status(c, 406, NULL,
		    "this path serves text/event-stream");
		return;
	}
	/*
	 * A client that reconnects gives up for good on any other status than
	 * 200, and an API may be away for the seconds of a rollout.
	 */
	if (api.n > 0 && wanted.protocol.p == NULL &&
	    catalog_is_loaded(t->catalog) && !catalog_has_api(t->catalog, api)) {
		http_respond_status(c, 404, NULL, "no such API");
		return;
	}
	session_open(t->sessions, c, &wanted);
}

/* "application/json", maybe with parameters. */
static bool
is_json(struct slice type)
{
	static const char json[] = "application/json";
	size_t n = sizeof(json) - 1;

	return type.n >= n && strncasecmp(type.p, json, n) == 0 &&
	    (type.n == n || type.p[n] == ';' || type.p[n] == ' ');
}

static bool
is_uuid_dash(size_t at)
{
	return at == 8 || at == 13 || at == 18 || at == 23;
}

static int
read_sid(const char *text, size_t n, char sid[static SID_LEN])
{
	size_t out = 0;

	if (n != SID_LEN && n != UUID_LEN)
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		if (n == UUID_LEN && is_uuid_dash(i)) {
			if (text[i] != '-')
				return -EINVAL;
			continue;
		}
		if (!isxdigit((unsigned char)text[i]))
			return -EINVAL;
		sid[out++] = (char)tolower((unsigned char)text[i]);
	}
	return 0;
}

int
transport_sse_sid(struct slice query, char sid[static SID_LEN])
{
	static const char *const names[] = { "session_id", "sessionId" };
	char text[UUID_LEN + 1];

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		int n = http_query_param(query, names[i], text, sizeof(text));

		if (n >= 0)
			return read_sid(text, (size_t)n, sid);
	}
	if (query.n > 0 && memmem(query.p, query.n, "session", 7) != NULL)
		return -EINVAL;
	return -ENOENT;
}

void
transport_sse_post(struct transport_sse *t, struct http_conn *c,
    const struct http_request *req, const struct principal *who,
    struct slice api)
{
	char sid[SID_LEN];
	int error = transport_sse_sid(req->head->query, sid);

	if (error != 0)
		http_respond_status(c, 400, NULL, error == -ENOENT ?
			"session_id is missing" :
			"session_id must be given once, as 32 hex digits");
	else if (req->head->body == HTTP_BODY_NONE)
		http_respond_status(c, 411, NULL, "a Content-Length is needed");
	else if (!is_json(http_head_field(req->head, "content-type")))
		http_respond_status(c, 415, NULL,
		    "Content-Type must be application/json");
	else
		post_take(t->posts, c, req, who, slice_of(sid, SID_LEN), api);
}
