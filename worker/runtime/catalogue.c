#include "worker/runtime/catalogue.h"

#include <stdlib.h>

#include <uthash.h>

#include "common/envelope.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "worker/runtime/content.h"

/* A listing that models read: far larger ones no client can use. */
#define CATALOGUE_MAX ((size_t)16 << 20)
/* A line for the log. */
#define ERROR_MAX 1024

struct entry {
	struct catalogue_tool tool;
	UT_hash_handle hh;
};

/* One state of the tools: made as a whole, replaced as a whole. */
struct listing {
	struct entry *by_name;   /* uthash, keyed by tool->name */
	struct strbuf json;
};

struct catalogue {
	const struct api *api;
	const char *name;
	const struct policy *policy;
	struct listing now;      /* empty JSON: none yet */
	char digest[SHA256_HEX_LEN + 1];
};

static const struct {
	const char *hint;
	enum tool_promise promise;
	bool when_promised;
} annotations[] = {
	{ "readOnlyHint", TOOL_READ_ONLY, true },
	{ "destructiveHint", TOOL_NOT_DESTRUCTIVE, false },
	{ "idempotentHint", TOOL_IDEMPOTENT, true },
	{ "openWorldHint", TOOL_CLOSED_WORLD, false },
};

/* Checking --------------------------------------------------------------- */

static const char *
input_schema(const struct tool *tool)
{
	return tool->input_schema ? tool->input_schema :
	    "{\"type\":\"object\",\"additionalProperties\":false}";
}

static bool
refuse(struct strbuf *error, const struct tool *tool, const char *what,
    const char *reason)
{
	strbuf_addf(error, "tool \"%s\": %s: %s", tool->name, what, reason);
	return false;
}

static bool
output_schema_ok(const struct tool *tool, struct strbuf *error)
{
	const char *reason = NULL;
	struct schema *s;

	if (tool->output_schema == NULL || tool->raw)
		return true;
	s = schema_new(tool->output_schema, &reason);
	if (s == NULL)
		return refuse(error, tool, "output_schema", reason);
	schema_free(s);
	return true;
}

static struct entry *
find(const struct listing *l, struct slice name)
{
	struct entry *e;

	HASH_FIND(hh, l->by_name, name.p, name.n, e);
	return e;
}

static bool
add_tool(struct listing *l, const struct tool *tool, struct strbuf *error)
{
	const char *reason = NULL;
	struct schema *input = NULL;
	struct entry *e;

	if (!env_tool_name_ok(slice_str(tool->name)))
		return refuse(error, tool, "name",
		    "not 1 to 128 of A-Za-z0-9_.-");
	if (tool->description == NULL)
		return refuse(error, tool, "description", "missing");
	if ((tool->run == NULL) == (tool->compute == NULL))
		return refuse(error, tool, "run or compute", "not one of them");
	if (find(l, slice_str(tool->name)) != NULL)
		return refuse(error, tool, "name", "taken");
	if (!output_schema_ok(tool, error))
		return false;
	if (!tool->raw)
		input = schema_new(input_schema(tool), &reason);
	if (input == NULL && !tool->raw)
		return refuse(error, tool, "input_schema", reason);
	e = xcalloc(1, sizeof(*e));
	e->tool = (struct catalogue_tool){ tool, input };
	HASH_ADD_KEYPTR(hh, l->by_name, e->tool.tool->name,
	    strlen(e->tool.tool->name), e);
	return true;
}

/* The listing ------------------------------------------------------------ */

/* A schema on one line, its numbers and order as written. */
static void
add_schema(struct strbuf *sb, const char *name, const char *text)
{
	char *line;

	if (text == NULL)
		return;
	line = xstrdup(text);
	cJSON_Minify(line);
	strbuf_addf(sb, ",\"%s\":%s", name, line);
	free(line);
}

static void
add_annotations(struct strbuf *sb, unsigned promises)
{
	const char *between = ",\"annotations\":{";

	for (size_t i = 0; i < ARRAY_LEN(annotations); i++) {
		bool promised = promises & annotations[i].promise;
		bool value = promised == annotations[i].when_promised;

		strbuf_addf(sb, "%s\"%s\":%s", between, annotations[i].hint,
		    value ? "true" : "false");
		between = ",";
	}
	strbuf_add_char(sb, '}');
}

/* What proxies need to know beyond the annotations, which are for clients. */
static void
add_meta(struct strbuf *sb, const struct tool *tool,
    const struct policy *policy)
{
	unsigned timeout_ms = policy_timeout_ms(policy, tool);
	bool overrides = policy_overrides_safe(policy, tool);

	if (timeout_ms == 0 && !overrides)
		return;
	strbuf_add_str(sb, ",\"_meta\":{");
	if (overrides)
		strbuf_addf(sb, "\"%s\":%s", ENV_META_SAFE,
		    policy_safe(policy, tool) ? "true" : "false");
	if (timeout_ms > 0)
		strbuf_addf(sb, "%s\"%s\":%u", overrides ? "," : "",
		    ENV_META_TIMEOUT_MS, timeout_ms);
	strbuf_add_char(sb, '}');
}

static void
list_tool(struct strbuf *sb, const struct tool *tool,
    const struct policy *policy)
{
	strbuf_add_str(sb, "{\"name\":");
	strbuf_add_json(sb, slice_str(tool->name));
	content_member(sb, "title", tool->title);
	content_member(sb, "description", tool->description);
	add_schema(sb, "inputSchema", input_schema(tool));
	add_schema(sb, "outputSchema", tool->output_schema);
	add_annotations(sb, tool->promises);
	add_meta(sb, tool, policy);
	if (tool->more != NULL) {
		strbuf_add_char(sb, ',');
		content_raw(sb, slice_str(tool->more));
	}
	strbuf_add_char(sb, '}');
}

static void
list(const struct catalogue *c, struct strbuf *sb, const struct tool *tools)
{
	strbuf_add_str(sb, "{\"instructions\":");
	strbuf_add_json(sb, slice_str(c->api->instructions));
	strbuf_add_str(sb, ",\"tools\":[");
	for (const struct tool *t = tools; t->name != NULL; t++) {
		if (t != tools)
			strbuf_add_char(sb, ',');
		list_tool(sb, t, c->policy);
	}
	strbuf_add_str(sb, "],\"resources\":[],\"resourceTemplates\":[],"
	    "\"prompts\":[]}");
}

static void
listing_release(struct listing *l)
{
	/* The table goes first; its entries stay linked to each other. */
	struct entry *e = l->by_name, *next;

	HASH_CLEAR(hh, l->by_name);
	for (; e != NULL; e = next) {
		next = e->hh.next;
		schema_free(e->tool.input);
		free(e);
	}
	strbuf_release(&l->json);
}

static bool
listing_fill(const struct catalogue *c, struct listing *l,
    const struct tool *tools, struct strbuf *error)
{
	for (const struct tool *t = tools; t->name != NULL; t++) {
		if (!add_tool(l, t, error))
			return false;
	}
	list(c, &l->json, tools);
	if (!strbuf_ok(&l->json))
		strbuf_add_str(error, "the catalogue is too large");
	return strbuf_ok(&l->json);
}

/* The object ------------------------------------------------------------- */

bool
catalogue_set_tools(struct catalogue *c, const struct tool *tools,
    struct strbuf *error)
{
	struct listing made = { .json = STRBUF_INIT(CATALOGUE_MAX) };

	if (!listing_fill(c, &made, tools, error)) {
		listing_release(&made);
		return false;
	}
	listing_release(&c->now);
	c->now = made;
	ident_sha256_hex(c->digest, strbuf_slice(&c->now.json));
	return true;
}

static bool
fill(struct catalogue *c, struct strbuf *error)
{
	if (!env_api_name_ok(slice_str(c->name))) {
		strbuf_add_str(error, "its name: not lower-case letters, digits "
		    "and hyphens");
		return false;
	}
	return c->api->tools == NULL ||
	    catalogue_set_tools(c, c->api->tools, error);
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
	strbuf_init(&c->now.json, CATALOGUE_MAX);
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
	listing_release(&c->now);
	free(c);
}

bool
catalogue_is_set(const struct catalogue *c)
{
	return c->now.json.n > 0;
}

const struct catalogue_tool *
catalogue_find(const struct catalogue *c, struct slice name)
{
	struct entry *e = find(&c->now, name);

	return e ? &e->tool : NULL;
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
	return strbuf_slice(&c->now.json);
}

const char *
catalogue_digest(const struct catalogue *c)
{
	return c->digest;
}
