#include "worker/stdio/inventory.h"

#include <stdlib.h>

#include "common/log.h"
#include "common/xalloc.h"
#include "worker/stdio/raw.h"

/* Of one kind; what a catalogue may be in all is the runtime's to say. */
#define ITEMS_MAX_BYTES ((size_t)8 << 20)
/* A server whose lists have no end is given up. */
#define PAGES_MAX 1000
#define CURSOR_MAX ((size_t)64 << 10)

static const struct {
	const char *method;
	const char *member;        /* of the result */
	enum server_can needs;
	bool optional;             /* a server may lack the method all the same */
} kinds[] = {
	[INVENTORY_TOOLS] = { "tools/list", "tools", SERVER_TOOLS, false },
	[INVENTORY_RESOURCES] = { "resources/list", "resources",
	    SERVER_RESOURCES, false },
	[INVENTORY_TEMPLATES] = { "resources/templates/list",
	    "resourceTemplates", SERVER_RESOURCES, true },
	[INVENTORY_PROMPTS] = { "prompts/list", "prompts", SERVER_PROMPTS,
	    false },
};

struct reading {
	struct server *server;
	struct inventory *inventory;
	unsigned kind, page;
	void (*run)(struct call *call, const cJSON *args);
	inventory_fn *fn;
	void *arg;
};

/* Tools ---------------------------------------------------------------------------- */

static const struct {
	const char *hint;
	enum tool_promise promise;
	const char *value;
} hints[] = {
	{ "readOnlyHint", TOOL_READ_ONLY, "true" },
	{ "destructiveHint", TOOL_NOT_DESTRUCTIVE, "false" },
	{ "idempotentHint", TOOL_IDEMPOTENT, "true" },
	{ "openWorldHint", TOOL_CLOSED_WORLD, "false" },
};

static unsigned
promises_of(struct slice annotations)
{
	unsigned promises = 0;

	for (size_t i = 0; i < ARRAY_LEN(hints); i++) {
		if (raw_is(raw_find(annotations, hints[i].hint),
		    hints[i].value))
			promises |= hints[i].promise;
	}
	return promises;
}

/* All members but _meta, whose own members go apart: the runtime adds to them. */
static char *
members_of(struct slice item)
{
	struct strbuf sb = STRBUF_INIT(ITEMS_MAX_BYTES);
	struct slice name, value;
	struct raw_walk w;
	char *text;

	if (raw_enter(item, &w)) {
		while (raw_member(&w, &name, &value)) {
			if (slice_eq_str(name, "_meta"))
				continue;
			strbuf_addf(&sb, "%s\"", sb.n > 0 ? "," : "");
			strbuf_add_slice(&sb, name);
			strbuf_add_str(&sb, "\":");
			strbuf_add_slice(&sb, value);
		}
	}
	text = xstrdup(strbuf_str(&sb));
	strbuf_release(&sb);
	return text;
}

/* What is between an object's braces; NULL: nothing. */
static char *
inside(struct slice object)
{
	if (object.n <= 2 || object.p[0] != '{')
		return NULL;
	return xstrdup_slice(slice_of(object.p + 1, object.n - 2));
}

static bool
is_listed(const struct tool *tools, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(tools[i].name, name) == 0)
			return true;
	}
	return false;
}

static bool
fill_tool(const struct inventory *l, struct tool *tool, size_t before,
    struct slice item)
{
	char *name = raw_text(raw_find(item, "name"));

	if (name == NULL || !tool_name_ok(name) ||
	    is_listed(l->tools, before, name)) {
		log_warn("tool of the server left out",
		    LF("tool", name != NULL ? name : ""),
		    LF("reason", "its name is none, not fit or taken"));
		free(name);
		return false;
	}
	tool->name = name;
	tool->listing = members_of(item);
	tool->meta = inside(raw_find(item, "_meta"));
	tool->promises = promises_of(raw_find(item, "annotations"));
	tool->raw = true;
	return true;
}

static void
make_tools(struct inventory *l, void (*run)(struct call *, const cJSON *))
{
	struct raw_walk w;
	struct slice item;
	size_t n = 0;

	l->tools = xcalloc(1, sizeof(*l->tools));
	if (!raw_enter(strbuf_slice(&l->items[INVENTORY_TOOLS]), &w))
		return;
	while (raw_item(&w, &item)) {
		l->tools = xrealloc(l->tools, (n + 2) * sizeof(*l->tools));
		memset(&l->tools[n], 0, 2 * sizeof(*l->tools));
		l->tools[n].run = run;
		if (fill_tool(l, &l->tools[n], n, item))
			n++;
	}
	l->tools[n] = (struct tool){ .name = NULL };
}

/* The object ------------------------------------------------------------------------ */

static struct inventory *
inventory_new(struct slice instructions)
{
	struct inventory *l = xcalloc(1, sizeof(*l));

	for (unsigned i = 0; i < INVENTORY_KINDS; i++) {
		strbuf_init(&l->items[i], ITEMS_MAX_BYTES);
		strbuf_add_char(&l->items[i], '[');
	}
	strbuf_init(&l->instructions, instructions.n);
	strbuf_add_slice(&l->instructions, instructions);
	return l;
}

void
inventory_free(struct inventory *l)
{
	for (unsigned i = 0; i < INVENTORY_KINDS; i++)
		strbuf_release(&l->items[i]);
	strbuf_release(&l->instructions);
	for (struct tool *t = l->tools; t != NULL && t->name != NULL; t++) {
		free((char *)t->name);
		free((char *)t->listing);
		free((char *)t->meta);
	}
	free(l->tools);
	free(l);
}

bool
inventory_equal(const struct inventory *a, const struct inventory *b)
{
	for (unsigned i = 0; i < INVENTORY_KINDS; i++) {
		if (!slice_eq(strbuf_slice(&a->items[i]),
		    strbuf_slice(&b->items[i])))
			return false;
	}
	return slice_eq(strbuf_slice(&a->instructions),
	    strbuf_slice(&b->instructions));
}

/* Reading --------------------------------------------------------------------------- */

static void
drop_reading(struct reading *take_r)
{
	inventory_free(take_r->inventory);
	free(take_r);
}

static void read_page(struct reading *r, struct slice cursor);

static void
end_reading(struct reading *take_r, const char *why)
{
	struct reading *r = take_r;
	struct inventory *l = r->inventory;

	if (why != NULL) {
		inventory_free(l);
		l = NULL;
	} else {
		for (unsigned i = 0; i < INVENTORY_KINDS; i++)
			strbuf_add_char(&l->items[i], ']');
		make_tools(l, r->run);
	}
	r->fn(l, why, r->arg);
	free(r);
}

/* From the kind at hand on, the first that the server has. */
static void
read_kind(struct reading *r)
{
	while (r->kind < INVENTORY_KINDS &&
	    (server_can(r->server) & kinds[r->kind].needs) == 0)
		r->kind++;
	if (r->kind == INVENTORY_KINDS)
		end_reading(r, NULL);
	else
		read_page(r, SLICE_NONE);
}

static bool
add_items(struct strbuf *to, struct slice array)
{
	struct raw_walk w;
	struct slice item;

	if (array.n == 0 || array.p[0] != '[' || !raw_enter(array, &w))
		return false;
	while (raw_item(&w, &item)) {
		if (to->n > 1)
			strbuf_add_char(to, ',');
		strbuf_add_slice(to, item);
	}
	return strbuf_ok(to);
}

static void
next_kind(struct reading *r)
{
	r->kind++;
	r->page = 0;
	read_kind(r);
}

static void
on_page(const struct server_answer *answer, void *arg)
{
	struct reading *r = arg;
	struct slice cursor = raw_find(answer->result, "nextCursor");

	if (answer->dropped)
		drop_reading(r);
	else if (answer->error.n > 0 && kinds[r->kind].optional)
		next_kind(r);
	else if (answer->result.n == 0)
		end_reading(r, answer->too_long ?
		    "a page of its lists is longer than STDIO_MAX_LINE" :
		    "it does not say what it offers");
	else if (!add_items(&r->inventory->items[r->kind],
	    raw_find(answer->result, kinds[r->kind].member)))
		end_reading(r, "a list of its is none, or too long");
	else if (cursor.n > 0 && cursor.p[0] == '"' && ++r->page < PAGES_MAX)
		read_page(r, cursor);
	else
		next_kind(r);
}

static void
read_page(struct reading *r, struct slice cursor)
{
	struct strbuf params = STRBUF_INIT(CURSOR_MAX);

	if (cursor.n > 0) {
		strbuf_add_str(&params, "{\"cursor\":");
		strbuf_add_slice(&params, cursor);
		strbuf_add_char(&params, '}');
	}
	if (!strbuf_ok(&params) || server_ask(r->server, kinds[r->kind].method,
	    strbuf_slice(&params), on_page, r) == 0)
		end_reading(r, "it cannot be asked what it offers");
	strbuf_release(&params);
}

void
inventory_read(struct server *s, void (*run)(struct call *, const cJSON *),
    inventory_fn *fn, void *arg)
{
	struct reading *r = xcalloc(1, sizeof(*r));

	*r = (struct reading){ .server = s, .run = run, .fn = fn, .arg = arg,
		.inventory = inventory_new(server_instructions(s)) };
	read_kind(r);
}
