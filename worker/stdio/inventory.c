#include "worker/stdio/inventory.h"

#include <stdlib.h>

#include <uthash.h>

#include "common/envelope.h"
#include "common/log.h"
#include "common/raw.h"
#include "common/xalloc.h"
#include "worker/stdio/text.h"

/* Of one kind; what a catalogue may be in all is the runtime's to say. */
#define ITEMS_MAX_BYTES ((size_t)8 << 20)
/* A list that goes on beyond that has no end. */
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
	const struct inventory_runs *runs;
	inventory_fn *fn;
	void *arg;
};

/* A key that a row has. */
struct taken {
	UT_hash_handle hh;
	const char *key;
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

/* Kept until the inventory is freed; NULL stays NULL. */
static const char *
keep(struct inventory *l, char *take_text)
{
	if (take_text == NULL)
		return NULL;
	/* Full whenever their number is a power of two. */
	if ((l->text_count & (l->text_count - 1)) == 0)
		l->texts = xrealloc(l->texts, (l->text_count == 0 ? 1 :
		    2 * l->text_count) * sizeof(*l->texts));
	l->texts[l->text_count++] = take_text;
	return take_text;
}

static bool
is_one_of(struct slice name, const char *const *names)
{
	for (; *names != NULL; names++) {
		if (slice_eq_str(name, *names))
			return true;
	}
	return false;
}

/* All members but those, as written and without braces; NULL: none. */
static const char *
members_but(struct inventory *l, struct slice item, const char *const *those)
{
	struct strbuf sb = STRBUF_INIT(ITEMS_MAX_BYTES);
	struct slice name, value;
	struct raw_walk w;
	const char *text;

	if (raw_enter(item, &w)) {
		while (raw_member(&w, &name, &value)) {
			if (is_one_of(name, those))
				continue;
			strbuf_addf(&sb, "%s\"", sb.n > 0 ? "," : "");
			strbuf_add_slice(&sb, name);
			strbuf_add_str(&sb, "\":");
			strbuf_add_slice(&sb, value);
		}
	}
	text = keep(l, sb.n > 0 ? xstrdup(strbuf_str(&sb)) : NULL);
	strbuf_release(&sb);
	return text;
}

/* What is between an object's braces; NULL: nothing. */
static const char *
inside(struct inventory *l, struct slice object)
{
	if (object.n <= 2 || object.p[0] != '{')
		return NULL;
	return keep(l, xstrdup_slice(slice_of(object.p + 1, object.n - 2)));
}

static const char *
text_of(struct inventory *l, struct slice item, const char *member)
{
	return keep(l, text_copy(raw_find(item, member)));
}

/* Rows ------------------------------------------------------------------------------ */

/* Fills a zeroed row; false: the item is not fit to be listed. */
typedef bool fill_fn(struct inventory *l, const struct inventory_runs *runs,
    void *row, struct slice item);

/* The runtime adds to _meta, so that it goes apart. */
static bool
fill_tool(struct inventory *l, const struct inventory_runs *runs, void *row,
    struct slice item)
{
	static const char *const apart[] = { "name", "_meta", NULL };
	struct tool *tool = row;

	tool->name = text_of(l, item, "name");
	tool->listing = members_but(l, item, apart);
	tool->meta = inside(l, raw_find(item, "_meta"));
	tool->promises = promises_of(raw_find(item, "annotations"));
	tool->raw = true;
	tool->run = runs->tool;
	return tool->name != NULL && tool->listing != NULL &&
	    env_tool_name_ok(slice_str(tool->name));
}

static bool
fill_resource(struct inventory *l, const struct inventory_runs *runs,
    void *row, struct slice item)
{
	static const char *const apart[] = { "uri", "name", NULL };
	struct resource *r = row;

	r->uri = text_of(l, item, "uri");
	r->name = text_of(l, item, "name");
	r->more = members_but(l, item, apart);
	r->raw = true;
	r->read = runs->read;
	return r->uri != NULL && r->name != NULL;
}

static bool
fill_template(struct inventory *l, const struct inventory_runs *runs,
    void *row, struct slice item)
{
	static const char *const apart[] = { "uriTemplate", "name", NULL };
	struct resource_template *t = row;

	t->uri_template = text_of(l, item, "uriTemplate");
	t->name = text_of(l, item, "name");
	t->more = members_but(l, item, apart);
	t->raw = true;
	t->read = runs->read;
	t->complete = runs->complete;
	return t->uri_template != NULL && t->name != NULL;
}

static bool
fill_prompt(struct inventory *l, const struct inventory_runs *runs, void *row,
    struct slice item)
{
	static const char *const apart[] = { "name", NULL };
	struct prompt *p = row;

	p->name = text_of(l, item, "name");
	p->more = members_but(l, item, apart);
	p->raw = true;
	p->get = runs->get;
	p->complete = runs->complete;
	return p->name != NULL && env_tool_name_ok(slice_str(p->name));
}

/* Each row begins with its key, a NULL key ends them. */
static const struct {
	size_t size;
	fill_fn *fill;
} shapes[] = {
	[INVENTORY_TOOLS] = { sizeof(struct tool), fill_tool },
	[INVENTORY_RESOURCES] = { sizeof(struct resource), fill_resource },
	[INVENTORY_TEMPLATES] = { sizeof(struct resource_template),
	    fill_template },
	[INVENTORY_PROMPTS] = { sizeof(struct prompt), fill_prompt },
};
_Static_assert(offsetof(struct tool, name) == 0 &&
    offsetof(struct resource, uri) == 0 &&
    offsetof(struct resource_template, uri_template) == 0 &&
    offsetof(struct prompt, name) == 0, "keys come first");

static const char *
key_of(const void *row)
{
	return *(const char *const *)row;
}

/* False: another row has it. */
static bool
take_key(struct taken **all, const char *key)
{
	struct taken *taken;

	HASH_FIND_STR(*all, key, taken);
	if (taken != NULL)
		return false;
	taken = xcalloc(1, sizeof(*taken));
	taken->key = key;
	HASH_ADD_KEYPTR(hh, *all, key, strlen(key), taken);
	return true;
}

/* The table goes first; what is in it stays linked. */
static void
forget_keys(struct taken **all)
{
	struct taken *taken = *all, *next;

	HASH_CLEAR(hh, *all);
	for (; taken != NULL; taken = next) {
		next = taken->hh.next;
		free(taken);
	}
}

static size_t
count_items(struct slice items)
{
	struct raw_walk w;
	struct slice item;
	size_t n = 0;

	if (!raw_enter(items, &w))
		return 0;
	while (raw_item(&w, &item))
		n++;
	return n;
}

static void *
make_rows(struct inventory *l, unsigned kind, const struct inventory_runs *runs)
{
	const struct slice items = strbuf_slice(&l->items[kind]);
	size_t size = shapes[kind].size;
	char *rows = xcalloc(count_items(items) + 1, size), *row = rows;
	struct taken *keys = NULL;
	struct slice item;
	struct raw_walk w;

	if (!raw_enter(items, &w))
		return rows;
	while (raw_item(&w, &item)) {
		if (shapes[kind].fill(l, runs, row, item) &&
		    take_key(&keys, key_of(row))) {
			row += size;
			continue;
		}
		log_warn("item of the server's lists left out",
		    LF("list", kinds[kind].member),
		    LF("name", key_of(row) != NULL ? key_of(row) : ""),
		    LF("reason", "it has no name, one that is not fit, or "
		    "another's"));
		memset(row, 0, size);
	}
	forget_keys(&keys);
	return rows;
}

static void
release(void *arg)
{
	inventory_free(arg);
}

static void
make_offers(struct inventory *l, const struct inventory_runs *runs)
{
	for (unsigned i = 0; i < INVENTORY_KINDS; i++)
		l->rows[i] = make_rows(l, i, runs);
	l->offers = (struct offers){
		.tools = l->rows[INVENTORY_TOOLS],
		.resources = l->rows[INVENTORY_RESOURCES],
		.templates = l->rows[INVENTORY_TEMPLATES],
		.prompts = l->rows[INVENTORY_PROMPTS],
		.release = release,
		.release_arg = l,
	};
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
	for (unsigned i = 0; i < INVENTORY_KINDS; i++)
		free(l->rows[i]);
	while (l->text_count > 0)
		free(l->texts[--l->text_count]);
	free(l->texts);
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
	struct inventory_runs runs = *r->runs;

	if ((server_can(r->server) & SERVER_COMPLETIONS) == 0)
		runs.complete = NULL;
	if (why != NULL) {
		inventory_free(l);
		l = NULL;
	} else {
		for (unsigned i = 0; i < INVENTORY_KINDS; i++)
			strbuf_add_char(&l->items[i], ']');
		make_offers(l, &runs);
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

/* NULL, or why the page is of no use. Its items are the inventory's then. */
static const char *
take_page(struct reading *r, const struct server_answer *answer)
{
	if (answer->too_long)
		return "a page of its lists is longer than STDIO_MAX_LINE";
	if (answer->error.n > 0 && kinds[r->kind].optional)
		return NULL;
	if (answer->result.n == 0)
		return "it does not say what it offers";
	if (!add_items(&r->inventory->items[r->kind],
	    raw_find(answer->result, kinds[r->kind].member)))
		return "a list of its is none, or too long";
	return NULL;
}

static void
on_page(const struct server_answer *answer, void *arg)
{
	struct reading *r = arg;
	struct slice cursor = raw_find(answer->result, "nextCursor");
	const char *why;

	if (answer->dropped) {
		drop_reading(r);
		return;
	}
	why = take_page(r, answer);
	if (why != NULL)
		end_reading(r, why);
	else if (cursor.n == 0 || cursor.p[0] != '"')
		next_kind(r);
	else if (++r->page < PAGES_MAX)
		read_page(r, cursor);
	else
		end_reading(r, "a list of its has no end");
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
inventory_read(struct server *s, const struct inventory_runs *runs,
    inventory_fn *fn, void *arg)
{
	struct reading *r = xcalloc(1, sizeof(*r));

	*r = (struct reading){ .server = s, .runs = runs, .fn = fn, .arg = arg,
		.inventory = inventory_new(server_instructions(s)) };
	read_kind(r);
}
