#include "worker/runtime/catalogue.h"

#include <stdlib.h>

#include <uthash.h>

#include "common/envelope.h"
#include "common/log.h"
#include "common/xalloc.h"

/* A listing that models read: far larger ones no client can use. */
#define CATALOGUE_MAX ((size_t)16 << 20)
/* SEP-986 of MCP; also what clients and models accept in practice. */
#define TOOL_NAME_MAX 128

struct entry {
	struct catalogue_tool tool;
	UT_hash_handle hh;
};

struct catalogue {
	const struct api *api;
	struct entry *by_name;   /* uthash, keyed by tool->name */
	struct strbuf json;
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

static bool
name_char_ok(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
}

static bool
name_ok(const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < n; i++) {
		if (!name_char_ok(name[i]))
			return false;
	}
	return n > 0 && n <= TOOL_NAME_MAX;
}

static const char *
input_schema(const struct tool *tool)
{
	return tool->input_schema ? tool->input_schema :
	    "{\"type\":\"object\",\"additionalProperties\":false}";
}

static bool
refuse(const struct tool *tool, const char *what, const char *reason)
{
	log_error("tool refused", LF("tool", tool->name), LF("field", what),
	    LF("reason", reason));
	return false;
}

static bool
output_schema_ok(const struct tool *tool)
{
	const char *reason = NULL;
	struct schema *s;

	if (tool->output_schema == NULL)
		return true;
	s = schema_new(tool->output_schema, &reason);
	if (s == NULL)
		return refuse(tool, "output_schema", reason);
	schema_free(s);
	return true;
}

static bool
add_tool(struct catalogue *c, const struct tool *tool)
{
	const char *reason = NULL;
	struct schema *input;
	struct entry *e;

	if (!name_ok(tool->name))
		return refuse(tool, "name", "not 1 to 128 of A-Za-z0-9_.-");
	if (tool->description == NULL || tool->run == NULL)
		return refuse(tool, "description or run", "missing");
	if (catalogue_find(c, slice_str(tool->name)) != NULL)
		return refuse(tool, "name", "taken");
	if (!output_schema_ok(tool))
		return false;
	input = schema_new(input_schema(tool), &reason);
	if (input == NULL)
		return refuse(tool, "input_schema", reason);
	e = xcalloc(1, sizeof(*e));
	e->tool = (struct catalogue_tool){ tool, input };
	HASH_ADD_KEYPTR(hh, c->by_name, e->tool.tool->name,
	    strlen(e->tool.tool->name), e);
	return true;
}

/* The listing ------------------------------------------------------------ */

static void
add_member(struct strbuf *sb, const char *name, const char *value)
{
	if (value == NULL)
		return;
	strbuf_addf(sb, ",\"%s\":", name);
	strbuf_add_json(sb, slice_str(value));
}

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

static void
list_tool(struct strbuf *sb, const struct tool *tool)
{
	strbuf_add_str(sb, "{\"name\":");
	strbuf_add_json(sb, slice_str(tool->name));
	add_member(sb, "title", tool->title);
	add_member(sb, "description", tool->description);
	add_schema(sb, "inputSchema", input_schema(tool));
	add_schema(sb, "outputSchema", tool->output_schema);
	add_annotations(sb, tool->promises);
	strbuf_add_char(sb, '}');
}

static void
list(struct catalogue *c)
{
	const char *instructions = c->api->instructions;
	struct strbuf *sb = &c->json;

	strbuf_add_str(sb, "{\"instructions\":");
	strbuf_add_json(sb, slice_str(instructions));
	strbuf_add_str(sb, ",\"tools\":[");
	for (const struct tool *t = c->api->tools; t->name != NULL; t++) {
		if (t != c->api->tools)
			strbuf_add_char(sb, ',');
		list_tool(sb, t);
	}
	strbuf_add_str(sb, "],\"resources\":[],\"resourceTemplates\":[],"
	    "\"prompts\":[]}");
}

/* The object ------------------------------------------------------------- */

static bool
fill(struct catalogue *c)
{
	if (!env_api_name_ok(slice_str(c->api->name))) {
		log_error("API refused", LF("api", c->api->name),
		    LF("reason", "name"));
		return false;
	}
	for (const struct tool *t = c->api->tools; t->name != NULL; t++) {
		if (!add_tool(c, t))
			return false;
	}
	list(c);
	if (!strbuf_ok(&c->json)) {
		log_error("API refused", LF("api", c->api->name),
		    LF("reason", "the catalogue is too large"));
		return false;
	}
	return true;
}

struct catalogue *
catalogue_new(const struct api *of)
{
	struct catalogue *c = xcalloc(1, sizeof(*c));

	c->api = of;
	strbuf_init(&c->json, CATALOGUE_MAX);
	if (!fill(c)) {
		catalogue_free(c);
		return NULL;
	}
	ident_sha256_hex(c->digest, strbuf_slice(&c->json));
	return c;
}

void
catalogue_free(struct catalogue *c)
{
	struct entry *e, *next;

	if (c == NULL)
		return;
	/* The table goes first; its entries stay linked to each other. */
	e = c->by_name;
	HASH_CLEAR(hh, c->by_name);
	for (; e != NULL; e = next) {
		next = e->hh.next;
		schema_free(e->tool.input);
		free(e);
	}
	strbuf_release(&c->json);
	free(c);
}

const struct catalogue_tool *
catalogue_find(const struct catalogue *c, struct slice name)
{
	struct entry *e;

	HASH_FIND(hh, c->by_name, name.p, name.n, e);
	return e ? &e->tool : NULL;
}

const struct api *
catalogue_api(const struct catalogue *c)
{
	return c->api;
}

const char *
catalogue_version(const struct catalogue *c)
{
	return c->api->version ? c->api->version : MCP_VERSION;
}

const char *
catalogue_title(const struct catalogue *c)
{
	return c->api->title ? c->api->title : c->api->name;
}

struct slice
catalogue_json(const struct catalogue *c)
{
	return strbuf_slice(&c->json);
}

const char *
catalogue_digest(const struct catalogue *c)
{
	return c->digest;
}
