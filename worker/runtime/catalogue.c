#include "worker/runtime/catalogue.h"

#include <ctype.h>
#include <stdlib.h>

#include <uthash.h>

#include "common/envelope.h"
#include "common/jsonrpc.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "worker/runtime/listing.h"

/* A listing that models read: far larger ones no client can use. */
#define CATALOGUE_MAX ((size_t)16 << 20)
/* A line for the log. */
#define ERROR_MAX 1024

struct entry {
	struct catalogue_offer offer;
	UT_hash_handle hh;       /* by its key, which the API's table has */
};

/*
 * One state of what the API has: made as a whole, replaced as a whole, there until
 * the last call of it has ended.
 */
struct listing {
	unsigned refs;                       /* the catalogue's, its calls' */
	struct entry *by_key[OFFER_KINDS];   /* uthash */
	struct strbuf json;
	void (*release)(void *arg);          /* see struct offers */
	void *release_arg;
};

struct catalogue {
	const struct api *api;
	const char *name;
	const struct policy *policy;
	struct listing *now;     /* NULL: none yet */
	char *instructions;      /* in place of the API's own; NULL: none */
	char digest[SHA256_HEX_LEN + 1];
};

/* Checking --------------------------------------------------------------- */

static const char *const kind_names[OFFER_KINDS] = {
	[OFFER_TOOL] = "tool",
	[OFFER_RESOURCE] = "resource",
	[OFFER_TEMPLATE] = "resource template",
	[OFFER_PROMPT] = "prompt",
};

/* What tells those of a kind apart. */
static const char *const key_names[OFFER_KINDS] = {
	[OFFER_TOOL] = "name",
	[OFFER_RESOURCE] = "uri",
	[OFFER_TEMPLATE] = "uri_template",
	[OFFER_PROMPT] = "name",
};

static bool
refuse(struct strbuf *error, const struct catalogue_offer *offer,
    const char *what, const char *reason)
{
	strbuf_addf(error, "%s \"%s\": %s: %s", kind_names[offer->kind],
	    offer->tool.name, what, reason);
	return false;
}

static struct entry *
find(const struct listing *l, enum offer_kind kind, struct slice key)
{
	struct entry *e;

	HASH_FIND(hh, l->by_key[kind], key.p, key.n, e);
	return e;
}

/* NULL text: there is none. */
static bool
compile(const struct catalogue_offer *offer, const char *what, const char *text,
    struct schema **out, struct strbuf *error)
{
	const char *reason = NULL;

	if (text == NULL)
		return true;
	*out = schema_new(text, &reason);
	if (*out == NULL)
		return refuse(error, offer, what, reason);
	if (schema_is_of_objects(*out))
		return true;
	return refuse(error, offer, what, "its type is not \"object\"");
}

static void
entry_free(struct entry *e)
{
	schema_free(e->offer.input);
	schema_free(e->offer.output);
	free(e);
}

/* Adds an offer with its schemas; NULL: anything will do. */
static bool
add(struct listing *l, const struct catalogue_offer *offer, const char *input,
    const char *output, struct strbuf *error)
{
	const char *key = offer->tool.name;
	struct entry *e;

	if (find(l, offer->kind, slice_str(key)) != NULL)
		return refuse(error, offer, key_names[offer->kind],
		    "taken");
	e = xcalloc(1, sizeof(*e));
	e->offer = *offer;
	e->offer.listing = l;
	if (!compile(offer, "input_schema", input, &e->offer.input, error) ||
	    !compile(offer, "output_schema", output, &e->offer.output, error)) {
		entry_free(e);
		return false;
	}
	if (e->offer.input != NULL && offer->tool.may_overlap)
		schema_let_overlap(e->offer.input);
	HASH_ADD_KEYPTR(hh, l->by_key[offer->kind], key, strlen(key), e);
	return true;
}

static bool
add_tool(struct listing *l, const struct tool *tool, struct strbuf *error)
{
	const struct catalogue_offer offer = { .kind = OFFER_TOOL,
		.tool = *tool, .item = tool };

	if (!env_tool_name_ok(slice_str(tool->name)))
		return refuse(error, &offer, "name",
		    "not 1 to 128 of A-Za-z0-9_.-");
	if (tool->description == NULL && !tool->raw)
		return refuse(error, &offer, "description", "missing");
	if (tool->run == NULL && tool->compute == NULL)
		return refuse(error, &offer, "run or compute", "missing");
	if (tool->run != NULL && tool->compute != NULL)
		return refuse(error, &offer, "run or compute",
		    "both, one is needed");
	if (tool->raw)
		return add(l, &offer, NULL, NULL, error);
	return add(l, &offer, listing_input_schema(tool), tool->output_schema,
	    error);
}

/* What stands in for those that are no tools; name is the key. */
static struct tool
stand_in(const char *name, void (*run)(struct call *call, const cJSON *args),
    const void *data, bool raw)
{
	return (struct tool){ .name = name, .promises = TOOL_READ_ONLY |
	    TOOL_IDEMPOTENT, .run = run, .data = data, .raw = raw };
}

/* RFC 3986, section 3.1: what follows, clients find out; some then list nothing. */
static bool
is_absolute(const char *uri)
{
	size_t n = strspn(uri, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789+-.");

	return isalpha((unsigned char)uri[0]) && uri[n] == ':';
}

static bool
add_resource(struct listing *l, const struct resource *r, struct strbuf *error)
{
	const struct catalogue_offer offer = { .kind = OFFER_RESOURCE,
		.tool = stand_in(r->uri, r->read, r->data, r->raw),
		.item = r, .mime_type = r->mime_type };

	if (r->name == NULL || r->read == NULL)
		return refuse(error, &offer, r->name ? "read" : "name",
		    "missing");
	if (!r->raw && !is_absolute(r->uri))
		return refuse(error, &offer, "uri", "has no scheme");
	return add(l, &offer, NULL, NULL, error);
}

static bool
add_template(struct listing *l, const struct resource_template *t,
    struct strbuf *error)
{
	const struct catalogue_offer offer = { .kind = OFFER_TEMPLATE,
		.tool = stand_in(t->uri_template, t->read, t->data, t->raw),
		.complete = t->complete, .item = t,
		.mime_type = t->mime_type };

	if (t->name == NULL || t->read == NULL)
		return refuse(error, &offer, t->name ? "read" : "name",
		    "missing");
	if (!t->raw && !uri_template_ok(t->uri_template))
		return refuse(error, &offer, "uri_template", "not understood");
	return add(l, &offer, NULL, NULL, error);
}

/* Strings, some of which must be there. */
static void
argument_schema(const struct prompt *p, struct strbuf *out)
{
	const struct prompt_argument *a;
	const char *comma = "";

	strbuf_add_str(out, "{\"type\":\"object\",\"properties\":{");
	for (a = p->arguments; a && a->name; a++, comma = ",") {
		strbuf_add_str(out, comma);
		strbuf_add_json(out, slice_str(a->name));
		strbuf_add_str(out, ":{\"type\":\"string\"}");
	}
	strbuf_add_str(out, "},\"required\":[");
	comma = "";
	for (a = p->arguments; a && a->name; a++) {
		if (!a->required)
			continue;
		strbuf_add_str(out, comma);
		strbuf_add_json(out, slice_str(a->name));
		comma = ",";
	}
	strbuf_add_str(out, "]}");
}

static bool
add_prompt(struct listing *l, const struct prompt *p, struct strbuf *error)
{
	const struct catalogue_offer offer = { .kind = OFFER_PROMPT,
		.tool = stand_in(p->name, p->get, p->data, p->raw),
		.complete = p->complete, .item = p };
	struct strbuf schema = STRBUF_INIT(CATALOGUE_MAX);
	bool ok;

	if (!env_tool_name_ok(slice_str(p->name)))
		return refuse(error, &offer, "name",
		    "not 1 to 128 of A-Za-z0-9_.-");
	if (p->get == NULL)
		return refuse(error, &offer, "get", "missing");
	argument_schema(p, &schema);
	ok = add(l, &offer, p->raw ? NULL : strbuf_str(&schema), NULL, error);
	strbuf_release(&schema);
	return ok;
}

static bool
add_all(struct listing *l, const struct offers *o, struct strbuf *error)
{
	bool ok = true;

	for (const struct tool *t = o->tools; ok && t && t->name; t++)
		ok = add_tool(l, t, error);
	for (const struct resource *r = o->resources; ok && r && r->uri; r++)
		ok = add_resource(l, r, error);
	for (const struct resource_template *t = o->templates;
	    ok && t && t->uri_template; t++)
		ok = add_template(l, t, error);
	for (const struct prompt *p = o->prompts; ok && p && p->name; p++)
		ok = add_prompt(l, p, error);
	return ok;
}

/* The listing ------------------------------------------------------------ */

static void
free_entries(struct entry **table)
{
	/* The table goes first; its entries stay linked to each other. */
	struct entry *e = *table, *next;

	HASH_CLEAR(hh, *table);
	for (; e != NULL; e = next) {
		next = e->hh.next;
		entry_free(e);
	}
}

static struct listing *
listing_new(void)
{
	struct listing *l = xcalloc(1, sizeof(*l));

	l->refs = 1;
	strbuf_init(&l->json, CATALOGUE_MAX);
	return l;
}

struct listing *
catalogue_hold(const struct catalogue_offer *offer)
{
	offer->listing->refs++;
	return offer->listing;
}

/* Keys are the API's: the tables go before its rows do. */
void
catalogue_let_go(struct listing *l)
{
	if (l == NULL || --l->refs > 0)
		return;
	for (size_t kind = 0; kind < OFFER_KINDS; kind++)
		free_entries(&l->by_key[kind]);
	strbuf_release(&l->json);
	if (l->release != NULL)
		l->release(l->release_arg);
	free(l);
}

/* The API's own JSON is in it: schemas have been read, the rest has not. */
static bool
is_json(struct slice listing)
{
	struct strbuf message = STRBUF_INIT(listing.n + 256);
	struct jsonrpc_msg msg;
	bool ok;

	jsonrpc_result_open(&message, SLICE("0"));
	strbuf_add_slice(&message, listing);
	strbuf_add_char(&message, '}');
	ok = strbuf_ok(&message) &&
	    jsonrpc_peek(message.p, message.n, &msg) == 0;
	strbuf_release(&message);
	return ok;
}

/* Of tools one by one, since a message without a name helps nobody. */
static const char *
unreadable_tool(const struct catalogue *c, const struct tool *tools)
{
	const char *name = NULL;

	for (const struct tool *t = tools; !name && t && t->name; t++) {
		const struct tool alone[] = { *t, { .name = NULL } };
		struct strbuf json = STRBUF_INIT(CATALOGUE_MAX);

		listing_write(&json, NULL, &(struct offers){ .tools = alone },
		    c->policy);
		if (!is_json(strbuf_slice(&json)))
			name = t->name;
		strbuf_release(&json);
	}
	return name;
}

static void
tell_unreadable(const struct catalogue *c, const struct offers *offers,
    struct strbuf *error)
{
	const char *tool = unreadable_tool(c, offers->tools);

	if (tool != NULL)
		strbuf_addf(error, "tool \"%s\": ", tool);
	strbuf_add_str(error, "the listing is not strict JSON: a schema, one of "
	    "the members more, listing, meta, or a text that is not UTF-8");
}

static bool
listing_fill(const struct catalogue *c, struct listing *l,
    const struct offers *offers, struct strbuf *error)
{
	if (!add_all(l, offers, error))
		return false;
	listing_write(&l->json, c->instructions != NULL ? c->instructions :
	    c->api->instructions, offers, c->policy);
	if (!strbuf_ok(&l->json))
		strbuf_add_str(error, "the catalogue is too large");
	else if (!is_json(strbuf_slice(&l->json)))
		tell_unreadable(c, offers, error);
	return error->n == 0;
}

/* The object ------------------------------------------------------------- */

bool
catalogue_set(struct catalogue *c, const struct offers *offers,
    struct strbuf *error)
{
	struct listing *made = listing_new();

	if (!listing_fill(c, made, offers, error)) {
		catalogue_let_go(made);
		return false;
	}
	policy_warn_unknown(c->policy, offers->tools);
	made->release = offers->release;
	made->release_arg = offers->release_arg;
	catalogue_let_go(c->now);
	c->now = made;
	ident_sha256_hex(c->digest, strbuf_slice(&made->json));
	return true;
}

static bool
fill(struct catalogue *c, struct strbuf *error)
{
	const struct offers own = { .tools = c->api->tools,
		.resources = c->api->resources,
		.templates = c->api->templates, .prompts = c->api->prompts };

	if (!env_api_name_ok(slice_str(c->name))) {
		strbuf_add_str(error, "its name: not lower-case letters, digits "
		    "and hyphens");
		return false;
	}
	if (strcmp(c->name, ENV_PROXY_API) == 0) {
		strbuf_add_str(error, "its name: the proxies' own");
		return false;
	}
	if (own.tools == NULL && own.resources == NULL &&
	    own.templates == NULL && own.prompts == NULL)
		return true;
	return catalogue_set(c, &own, error);
}

struct catalogue *
catalogue_new(const struct api *of, const char *name,
    const struct policy *policy)
{
	struct catalogue *c = xcalloc(1, sizeof(*c));
	struct strbuf error = STRBUF_INIT(ERROR_MAX);

	c->api = of;
	c->name = name;
	c->policy = policy;
	if (!fill(c, &error)) {
		log_error("API refused", LF("api", name),
		    LF("reason", strbuf_str(&error)));
		catalogue_free(c);
		c = NULL;
	}
	strbuf_release(&error);
	return c;
}

void
catalogue_free(struct catalogue *c)
{
	if (c == NULL)
		return;
	catalogue_let_go(c->now);
	free(c->instructions);
	free(c);
}

void
catalogue_set_instructions(struct catalogue *c, const char *text)
{
	free(c->instructions);
	c->instructions = xstrdup(text);
}

bool
catalogue_is_set(const struct catalogue *c)
{
	return c->now != NULL;
}

const struct catalogue_offer *
catalogue_find(const struct catalogue *c, enum offer_kind kind,
    struct slice key)
{
	struct entry *e = c->now != NULL ? find(c->now, kind, key) : NULL;

	return e ? &e->offer : NULL;
}

/* A raw one is its owner's to take apart. */
static bool
matches(const struct catalogue_offer *offer, struct slice uri,
    struct uri_variable variables[static URI_VARIABLES_MAX], size_t *count)
{
	return offer->tool.raw ?
	    uri_template_covers(offer->tool.name, uri) :
	    uri_template_match(offer->tool.name, uri, variables, count);
}

const struct catalogue_offer *
catalogue_match(const struct catalogue *c, struct slice uri,
    struct uri_variable variables[static URI_VARIABLES_MAX], size_t *count)
{
	const struct entry *e = c->now != NULL ?
	    c->now->by_key[OFFER_TEMPLATE] : NULL;

	*count = 0;
	for (; e != NULL; e = e->hh.next) {
		if (matches(&e->offer, uri, variables, count))
			return &e->offer;
	}
	return NULL;
}

const char *
catalogue_name(const struct catalogue *c)
{
	return c->name;
}

const char *
catalogue_version(const struct catalogue *c)
{
	return c->api->version ? c->api->version : MCP_VERSION;
}

const char *
catalogue_title(const struct catalogue *c)
{
	return c->api->title ? c->api->title : c->name;
}

struct slice
catalogue_json(const struct catalogue *c)
{
	return c->now != NULL ? strbuf_slice(&c->now->json) : SLICE_NONE;
}

const char *
catalogue_digest(const struct catalogue *c)
{
	return c->digest;
}
