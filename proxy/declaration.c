#include "proxy/declaration.h"

#include <cjson/cJSON.h>

#include "common/utf8.h"
#include "proxy/mcp.h"
#include "proxy/session_client.h"
#include "proxy/subscriptions.h"

static const struct slice client_is = SLICE("client ");
static const struct slice level_is = SLICE("level ");
static const struct slice subscribe_is = SLICE("subscribe ");
static const struct slice unsubscribe_is = SLICE("unsubscribe ");

/* What a client says of itself is noted up to so many bytes. */
#define CLIENT_TEXT_MAX 256

/* initialize -------------------------------------------------------------------- */

static bool
has(const cJSON *capabilities, const char *name, const char *part)
{
	const cJSON *at = cJSON_GetObjectItemCaseSensitive(capabilities, name);

	if (part != NULL)
		at = cJSON_GetObjectItemCaseSensitive(at, part);
	return cJSON_IsObject(at);
}

/*
 * elicitation without a mode means forms (2025-11-25, "Elicitation": empty for
 * the sake of 2025-06-18).
 */
static const struct {
	const char *name, *part;
	const char *unless;
	enum client_can can;
} capabilities[] = {
	{ "sampling", NULL, NULL, CLIENT_SAMPLING },
	{ "sampling", "tools", NULL, CLIENT_SAMPLING_TOOLS },
	{ "elicitation", NULL, "url", CLIENT_ELICITATION },
	{ "elicitation", "form", NULL, CLIENT_ELICITATION },
	{ "elicitation", "url", NULL, CLIENT_ELICITATION_URL },
	{ "roots", NULL, NULL, CLIENT_ROOTS },
};

struct client_traits
declaration_traits(struct slice params)
{
	struct client_traits t = CLIENT_TRAITS_NONE;
	cJSON *tree = cJSON_ParseWithLength(params.p, params.n);
	const cJSON *said =
	    cJSON_GetObjectItemCaseSensitive(tree, "capabilities");

	t.can = CLIENT_INITIALIZED;
	for (size_t i = 0; i < ARRAY_LEN(capabilities); i++) {
		if (has(said, capabilities[i].name, capabilities[i].part) &&
		    (capabilities[i].unless == NULL ||
			!has(said, capabilities[i].name,
			    capabilities[i].unless)))
			t.can |= (uint8_t)capabilities[i].can;
	}
	cJSON_Delete(tree);
	return t;
}

static bool
send_client(struct redis *commands, const struct declaration *d, redis_cb *cb,
    void *arg)
{
	char can[CLIENT_TRAITS_TEXT_MAX];
	const struct session_client client = {
		.sid = d->sid,
		.epoch = d->epoch,
		.protocol = mcp_negotiate(d->msg->protocol_version),
		.name = d->msg->client_name,
		.version = d->msg->client_version,
		.can = client_traits_text(can,
		    declaration_traits(d->msg->params)),
	};

	return session_client_send(commands, &client, cb, arg);
}

static void
note_client(const struct declaration *d, struct strbuf *out)
{
	char can[CLIENT_TRAITS_TEXT_MAX];

	const struct slice lines[] = {
		client_traits_text(can, declaration_traits(d->msg->params)),
		slice_str(mcp_negotiate(d->msg->protocol_version)),
		d->msg->client_name, d->msg->client_version };

	strbuf_add_slice(out, client_is);
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		if (i > 0)
			strbuf_add_char(out, '\n');
		strbuf_add_slice(out, utf8_cut(lines[i], CLIENT_TEXT_MAX));
	}
}

/* logging/setLevel ----------------------------------------------------------------- */

bool
declaration_level(struct slice params, enum client_level *out)
{
	cJSON *tree = cJSON_ParseWithLength(params.p, params.n);
	const char *name = cJSON_GetStringValue(
	    cJSON_GetObjectItemCaseSensitive(tree, "level"));
	bool ok = client_level_read(slice_str(name), out);

	cJSON_Delete(tree);
	return ok;
}

static struct slice
level_of(const struct jsonrpc_msg *msg)
{
	enum client_level level = LEVEL_DEFAULT;

	(void)!declaration_level(msg->params, &level);
	return slice_str(client_level_name(level));
}

static bool
send_level(struct redis *commands, const struct declaration *d, redis_cb *cb,
    void *arg)
{
	return session_level_send(commands, d->sid, level_of(d->msg), cb, arg);
}

static void
note_level(const struct declaration *d, struct strbuf *out)
{
	strbuf_add_slice(out, level_is);
	strbuf_add_slice(out, level_of(d->msg));
}

/* resources/subscribe and unsubscribe ------------------------------------------------------ */

static bool
is_on(const struct jsonrpc_msg *msg)
{
	return slice_eq(msg->method, SLICE("resources/subscribe"));
}

static bool
send_subscription(struct redis *commands, const struct declaration *d,
    redis_cb *cb, void *arg)
{
	return session_subscribe_send(commands, d->sid, d->msg->uri,
	    is_on(d->msg), cb, arg);
}

static void
note_subscription(const struct declaration *d, struct strbuf *out)
{
	strbuf_add_slice(out, is_on(d->msg) ? subscribe_is : unsubscribe_is);
	strbuf_add_slice(out, d->msg->uri);
}

static bool
is_uri_ok(const struct jsonrpc_msg *msg)
{
	return subscriptions_uri_ok(msg->uri);
}

/* All of them -------------------------------------------------------------------------- */

static bool
is_initialize_ok(const struct jsonrpc_msg *msg)
{
	return msg->protocol_version.p != NULL;
}

static bool
is_level_ok(const struct jsonrpc_msg *msg)
{
	enum client_level level;

	return declaration_level(msg->params, &level);
}

static const struct kind {
	const char *method;
	bool (*is_ok)(const struct jsonrpc_msg *msg);
	bool (*send)(struct redis *commands, const struct declaration *d,
	    redis_cb *cb, void *arg);
	void (*note)(const struct declaration *d, struct strbuf *out);
	bool told;
} kinds[] = {
	{ "initialize", is_initialize_ok, send_client, note_client, false },
	{ "logging/setLevel", is_level_ok, send_level, note_level, true },
	{ "resources/subscribe", is_uri_ok, send_subscription,
	    note_subscription, false },
	{ "resources/unsubscribe", is_uri_ok, send_subscription,
	    note_subscription, false },
};

static const struct kind *
kind_of(const struct jsonrpc_msg *msg)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (slice_eq_str(msg->method, kinds[i].method))
			return &kinds[i];
	}
	return NULL;
}

bool
declaration_is(const struct jsonrpc_msg *msg)
{
	const struct kind *kind = kind_of(msg);

	return kind != NULL && kind->is_ok(msg);
}

bool
declaration_send(struct redis *commands, const struct declaration *d,
    redis_cb *cb, void *arg)
{
	return kind_of(d->msg)->send(commands, d, cb, arg);
}

bool
declaration_is_told(const struct declaration *d)
{
	return kind_of(d->msg)->told;
}

void
declaration_note(const struct declaration *d, struct strbuf *out)
{
	kind_of(d->msg)->note(d, out);
}

static bool
begins_with(struct slice text, struct slice with, struct slice *rest)
{
	if (text.n < with.n || memcmp(text.p, with.p, with.n) != 0)
		return false;
	*rest = slice_of(text.p + with.n, text.n - with.n);
	return true;
}

/* Cuts the first line off. */
static struct slice
next_line(struct slice *rest)
{
	const char *end = rest->n > 0 ? memchr(rest->p, '\n', rest->n) : NULL;
	size_t n = end != NULL ? (size_t)(end - rest->p) : rest->n;
	struct slice line = slice_of(rest->p, n);

	n += end != NULL;
	*rest = slice_of(rest->p + n, rest->n - n);
	return line;
}

bool
declaration_client(struct slice note, struct declaration_client *out)
{
	struct slice rest;

	if (!begins_with(note, client_is, &rest))
		return false;
	(void)next_line(&rest);
	out->protocol = next_line(&rest);
	out->name = next_line(&rest);
	out->version = next_line(&rest);
	return true;
}

void
declaration_apply(struct slice note, struct client_traits *client)
{
	enum client_level level;
	struct slice rest;

	if (begins_with(note, client_is, &rest))
		*client = client_traits_read(next_line(&rest));
	else if (begins_with(note, level_is, &rest) &&
	    client_level_read(rest, &level))
		client->level = (uint8_t)level;
}

bool
declaration_subscribes(struct slice note, struct slice *uri, bool *on)
{
	*on = begins_with(note, subscribe_is, uri);
	return *on || begins_with(note, unsubscribe_is, uri);
}
