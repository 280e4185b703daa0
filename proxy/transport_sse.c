#include "proxy/transport_sse.h"

#include <ctype.h>
#include <errno.h>
#include <strings.h>

#include "proxy/http_query.h"

#define UUID_LEN 36
/* Longer ones in the query are no keys; in the field, the head's limit counts. */
#define CLIENT_KEY_MAX 256

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

static int read_sid(const char *text, size_t n, char sid[static SID_LEN]);

/*
 * A GET with a session id that is none is still answered with a stream: clients
 * that reconnect give up for good on anything else.
 */
static struct slice
named_session(const struct http_head *head, char sid[static SID_LEN])
{
	struct slice field = http_head_field(head, "mcp-session-id");

	if (transport_sse_sid(head->query, sid) == 0 ||
	    (field.n > 0 && read_sid(field.p, field.n, sid) == 0))
		return slice_of(sid, SID_LEN);
	return SLICE_NONE;
}

/* What the client calls itself: ?client=<key> or Mcp-Client-Id. */
static struct slice
client_key(const struct http_head *head, char buf[static CLIENT_KEY_MAX + 1])
{
	int n = http_query_param(head->query, "client", buf, CLIENT_KEY_MAX + 1);

	return n > 0 ? slice_of(buf, (size_t)n) :
		       http_head_field(head, "mcp-client-id");
}

/* What a GET asks for; it borrows from the request and from buf. */
struct wish {
	char sid[SID_LEN];
	char client[CLIENT_KEY_MAX + 1];
	struct session_request wanted;
};

static void
read_wish(struct wish *w, const struct http_head *head,
    const struct principal *who, struct slice api)
{
	w->wanted = (struct session_request){
		.api = api,
		.named = named_session(head, w->sid),
		.client_key = client_key(head, w->client),
		.protocol = http_head_field(head, "mcp-protocol-version"),
		.who = who,
	};
}

static void
open_stream(struct http_conn *c, const struct http_request *req,
    const struct principal *who, struct slice api, void *arg)
{
	struct transport_sse *t = arg;
	struct wish wish;

	read_wish(&wish, req->head, who, api);
	session_open(t->sessions, c, &wish.wanted);
}

void
transport_sse_get(struct transport_sse *t, struct http_conn *c,
    const struct http_request *req, const struct principal *who,
    struct slice api)
{
	struct wish wish;
	struct session_request *wanted = &wish.wanted;
	char digest[IDENT_HEX_LEN + 1];
	struct quota_visit visit = { .c = c, .req = req, .who = who,
		.api = api };

	read_wish(&wish, req->head, who, api);
	if (!accepts_event_stream(req->head)) {
		http_respond_status(c, 406, NULL,
		    "this path serves text/event-stream");
		return;
	}
	/*
	 * A client that reconnects gives up for good on any other status than
	 * 200, and an API may be away for the seconds of a rollout.
	 */
	if (api.n > 0 && wanted->protocol.p == NULL &&
	    catalog_is_loaded(t->catalog) && !catalog_has_api(t->catalog, api)) {
		http_respond_status(c, 404, NULL, "no such API");
		return;
	}
	visit.returns = wanted->protocol.p != NULL || wanted->named.n > 0;
	if (wanted->client_key.n > 0) {
		session_client_digest(digest, api, wanted->client_key);
		visit.client_digest = slice_of(digest, IDENT_HEX_LEN);
	}
	quota_admit(t->quota, &visit, open_stream, t);
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

/* Which of the session's streams gave out this endpoint: the first has none. */
static uint64_t
stream_epoch(struct slice query)
{
	char text[24];
	int n = http_query_param(query, "attach", text, sizeof(text));
	uint64_t epoch;

	return n > 0 && env_number(slice_of(text, (size_t)n), &epoch) ? epoch : 1;
}

void
transport_sse_post(struct transport_sse *t, struct http_conn *c,
    const struct http_request *req, const struct principal *who,
    struct slice api)
{
	char sid[SID_LEN];
	int error = transport_sse_sid(req->head->query, sid);
	struct post_target to = { slice_of(sid, SID_LEN), api,
		stream_epoch(req->head->query) };

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
		post_take(t->posts, c, req, who, &to);
}
