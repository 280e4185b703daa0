#include "worker/runtime/listing.h"

#include "common/envelope.h"
#include "common/raw.h"
#include "worker/runtime/content.h"

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

/* What all have ------------------------------------------------------------- */

/* {"<key>":<value>, behind a comma unless it is the list's first. */
static void
open_item(struct strbuf *sb, const char *key, const char *value)
{
	if (sb->n > 0 && sb->p[sb->n - 1] == '}')
		strbuf_add_char(sb, ',');
	strbuf_addf(sb, "{\"%s\":", key);
	strbuf_add_json(sb, slice_str(value));
}

static void
close_item(struct strbuf *sb, const char *more)
{
	if (more != NULL) {
		strbuf_add_char(sb, ',');
		content_raw(sb, slice_str(more));
	}
	strbuf_add_char(sb, '}');
}

/* Tools ---------------------------------------------------------------------- */

const char *
listing_input_schema(const struct tool *tool)
{
	return tool->input_schema ? tool->input_schema :
	    "{\"type\":\"object\",\"additionalProperties\":false}";
}

/* A schema on one line, its numbers and order as written. */
static void
add_schema(struct strbuf *sb, const char *name, const char *text)
{
	if (text == NULL)
		return;
	strbuf_addf(sb, ",\"%s\":", name);
	raw_add_line(sb, slice_str(text));
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

/*
 * The tool's own, and what proxies need to know beyond the annotations, which are
 * for clients.
 */
static void
add_meta(struct strbuf *sb, const struct tool *tool,
    const struct policy *policy)
{
	unsigned timeout_ms = policy_timeout_ms(policy, tool);
	bool overrides = policy_overrides_safe(policy, tool);
	const char *between = "";

	if (timeout_ms == 0 && !overrides && tool->meta == NULL)
		return;
	strbuf_add_str(sb, ",\"_meta\":{");
	if (overrides) {
		strbuf_addf(sb, "\"%s\":%s", ENV_META_SAFE,
		    policy_safe(policy, tool) ? "true" : "false");
		between = ",";
	}
	if (timeout_ms > 0) {
		strbuf_addf(sb, "%s\"%s\":%u", between, ENV_META_TIMEOUT_MS,
		    timeout_ms);
		between = ",";
	}
	if (tool->meta != NULL) {
		strbuf_add_str(sb, between);
		content_raw(sb, slice_str(tool->meta));
	}
	strbuf_add_char(sb, '}');
}

static void
add_members(struct strbuf *sb, const struct tool *tool)
{
	content_member(sb, "title", tool->title);
	content_member(sb, "description", tool->description);
	add_schema(sb, "inputSchema", listing_input_schema(tool));
	add_schema(sb, "outputSchema", tool->output_schema);
	add_annotations(sb, tool->promises);
}

static void
list_tool(struct strbuf *sb, const struct tool *tool,
    const struct policy *policy)
{
	open_item(sb, "name", tool->name);
	if (tool->listing != NULL) {
		strbuf_add_char(sb, ',');
		content_raw(sb, slice_str(tool->listing));
	} else {
		add_members(sb, tool);
	}
	add_meta(sb, tool, policy);
	close_item(sb, tool->more);
}

/* The others ------------------------------------------------------------------ */

static void
list_resource(struct strbuf *sb, const struct resource *r)
{
	open_item(sb, "uri", r->uri);
	content_member(sb, "name", r->name);
	content_member(sb, "title", r->title);
	content_member(sb, "description", r->description);
	content_member(sb, "mimeType", r->mime_type);
	close_item(sb, r->more);
}

static void
list_template(struct strbuf *sb, const struct resource_template *t)
{
	open_item(sb, "uriTemplate", t->uri_template);
	content_member(sb, "name", t->name);
	content_member(sb, "title", t->title);
	content_member(sb, "description", t->description);
	content_member(sb, "mimeType", t->mime_type);
	close_item(sb, t->more);
}

static void
list_argument(struct strbuf *sb, const struct prompt_argument *a)
{
	open_item(sb, "name", a->name);
	content_member(sb, "title", a->title);
	content_member(sb, "description", a->description);
	if (a->required)
		strbuf_add_str(sb, ",\"required\":true");
	close_item(sb, NULL);
}

static void
list_prompt(struct strbuf *sb, const struct prompt *p)
{
	open_item(sb, "name", p->name);
	content_member(sb, "title", p->title);
	content_member(sb, "description", p->description);
	if (p->arguments != NULL) {
		strbuf_add_str(sb, ",\"arguments\":[");
		for (const struct prompt_argument *a = p->arguments;
		    a->name != NULL; a++)
			list_argument(sb, a);
		strbuf_add_char(sb, ']');
	}
	close_item(sb, p->more);
}

static bool
completes(const struct offers *o)
{
	for (const struct prompt *p = o->prompts; p && p->name; p++) {
		if (p->complete != NULL)
			return true;
	}
	for (const struct resource_template *t = o->templates;
	    t && t->uri_template; t++) {
		if (t->complete != NULL)
			return true;
	}
	return false;
}

void
listing_write(struct strbuf *sb, const char *instructions,
    const struct offers *o, const struct policy *policy)
{
	strbuf_add_str(sb, "{\"instructions\":");
	strbuf_add_json(sb, slice_str(instructions));
	strbuf_add_str(sb, ",\"tools\":[");
	for (const struct tool *t = o->tools; t && t->name; t++)
		list_tool(sb, t, policy);
	strbuf_add_str(sb, "],\"resources\":[");
	for (const struct resource *r = o->resources; r && r->uri; r++)
		list_resource(sb, r);
	strbuf_add_str(sb, "],\"resourceTemplates\":[");
	for (const struct resource_template *t = o->templates;
	    t && t->uri_template; t++)
		list_template(sb, t);
	strbuf_add_str(sb, "],\"prompts\":[");
	for (const struct prompt *p = o->prompts; p && p->name; p++)
		list_prompt(sb, p);
	strbuf_addf(sb, "],\"completions\":%s}",
	    completes(o) ? "true" : "false");
}
