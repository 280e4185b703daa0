#include "proxy/catalog_private.h"

#include <stdlib.h>

#include "common/jsonrpc.h"
#include "common/log.h"
#include "common/raw.h"
#include "common/uri_template.h"
#include "common/xalloc.h"

/* Of an item that is named by its URI; longer ones are not listed. */
#define URI_MAX 2048

/* How items of a kind stand in a catalogue, and how they are called. */
static const struct {
	const char *list;        /* in the catalogue, and in the result */
	const char *name;        /* the member that names an item */
	bool prefixed;           /* with the API's name, where all are served */
	unsigned change;         /* enum catalog_change */
} kinds[CATALOG_KINDS] = {
	[CATALOG_TOOLS] = { "tools", "name", true, CATALOG_TOOLS_CHANGED },
	[CATALOG_RESOURCES] = { "resources", "uri", false,
	    CATALOG_RESOURCES_CHANGED },
	[CATALOG_TEMPLATES] = { "resourceTemplates", "uriTemplate", false,
	    CATALOG_RESOURCES_CHANGED },
	[CATALOG_PROMPTS] = { "prompts", "name", true,
	    CATALOG_PROMPTS_CHANGED },
};

static const cJSON *
member(const cJSON *object, const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(object, name);
}

/* Texts ----------------------------------------------------------------------- */

/*
 * The text of a member that was found in the object's tree: both have their
 * members in one order, however names are escaped.
 */
static struct slice
text_of(struct slice object, const cJSON *tree, const cJSON *wanted)
{
	const cJSON *at = tree != NULL ? tree->child : NULL;
	struct slice name, value;
	struct raw_walk w;

	if (wanted == NULL || !raw_enter(object, &w))
		return SLICE_NONE;
	for (; raw_member(&w, &name, &value) && at != NULL; at = at->next) {
		if (at == wanted)
			return value;
	}
	return SLICE_NONE;
}

/* The item's line under another name; the rest is as the worker wrote it. */
static char *
renamed(const char *line, const cJSON *json, const char *name)
{
	size_t n = strlen(line);
	struct strbuf sb = STRBUF_INIT(n + 6 * strlen(name) + 2);
	struct slice old =
	    text_of(slice_of(line, n), json, member(json, "name"));
	const char *behind = old.p + old.n;

	strbuf_add(&sb, line, (size_t)(old.p - line));
	strbuf_add_json(&sb, slice_str(name));
	strbuf_add(&sb, behind, (size_t)(line + n - behind));
	/* It stays for as long as the catalogue does: without room for more. */
	return xrealloc(sb.p, sb.n + 1);
}

/* Parsing --------------------------------------------------------------------- */

static bool
hint(const cJSON *annotations, const char *name)
{
	return cJSON_IsTrue(member(annotations, name));
}

/* What the worker decided, or else what the annotations say. */
static bool
is_safe(enum catalog_kind kind, const cJSON *json)
{
	const cJSON *annotations = member(json, "annotations");
	const cJSON *decided = member(member(json, "_meta"), ENV_META_SAFE);

	if (kind != CATALOG_TOOLS)
		return true;
	if (cJSON_IsBool(decided))
		return cJSON_IsTrue(decided);
	return hint(annotations, "readOnlyHint") ||
	    hint(annotations, "idempotentHint");
}

static unsigned
timeout_ms(const cJSON *json)
{
	const cJSON *ms = member(member(json, "_meta"), ENV_META_TIMEOUT_MS);

	if (!cJSON_IsNumber(ms) || ms->valuedouble < 1 ||
	    ms->valuedouble > UINT32_MAX)
		return 0;
	return (unsigned)ms->valuedouble;
}

/* Of two, clients may take the other one. */
static bool
is_named_twice(const cJSON *name)
{
	for (const cJSON *at = name->next; at != NULL; at = at->next) {
		if (strcmp(at->string, name->string) == 0)
			return true;
	}
	return false;
}

static bool
is_item(enum catalog_kind kind, const cJSON *json)
{
	const cJSON *name = member(json, kinds[kind].name);

	if (!cJSON_IsString(name) || is_named_twice(name))
		return false;
	return kinds[kind].prefixed ?
	    env_tool_name_ok(slice_str(name->valuestring)) :
	    name->valuestring[0] != '\0' &&
		strlen(name->valuestring) <= URI_MAX;
}

static void
free_listed(struct listed *t)
{
	if (t->full_json != t->bare_json)
		free(t->full_json);
	free(t->bare_json);
	free(t->name);
	free(t->full_name);
	free(t->title);
	free(t->description);
}

static char *
copy_member(const cJSON *json, const char *name)
{
	const char *text = cJSON_GetStringValue(member(json, name));

	return text != NULL ? xstrdup(text) : NULL;
}

/* The item of that line, unless another API has one of its full name. */
static bool
add_line(struct catalog *c, struct api *api, enum catalog_kind kind,
    const cJSON *json, const char *line)
{
	struct list *list = &api->lists[kind];
	struct listed *t = &list->items[list->count], *other = NULL;

	*t = (struct listed){ .name =
	    xstrdup(member(json, kinds[kind].name)->valuestring) };
	t->full_name = api == c->builtin ? xstrdup(t->name) :
	    xasprintf("%s_%s", api->name, t->name);
	HASH_FIND_STR(c->by_name[kind], t->full_name, other);
	if (other != NULL) {
		free_listed(t);
		return false;
	}
	t->bare_json = xstrdup(line);
	t->full_json = kinds[kind].prefixed ?
	    renamed(line, json, t->full_name) : t->bare_json;
	t->item = (struct catalog_item){ .api = api->name, .name = t->name,
		.safe = is_safe(kind, json), .completes = api->completes,
		.builtin = api == c->builtin,
		.timeout_ms = timeout_ms(json) };
	if (kind == CATALOG_TOOLS) {
		t->title = copy_member(json, "title");
		t->description = copy_member(json, "description");
	}
	list->count++;
	HASH_ADD_KEYPTR(hh, c->by_name[kind], t->full_name,
	    strlen(t->full_name), t);
	return true;
}

/*
 * Its tree is made of its line: that of the whole catalogue, which cJSON may have
 * read leniently, need not be of the same pieces.
 */
static bool
add_item(struct catalog *c, struct api *api, enum catalog_kind kind,
    struct slice text)
{
	struct strbuf line = STRBUF_INIT(text.n);
	cJSON *json = NULL;
	bool added;

	if (jsonrpc_is_json(text)) {
		raw_add_line(&line, text);
		json = cJSON_Parse(strbuf_str(&line));
	}
	added = is_item(kind, json) &&
	    add_line(c, api, kind, json, strbuf_str(&line));
	cJSON_Delete(json);
	strbuf_release(&line);
	return added;
}

/* FNV-1a, to tell whether clients would see a difference. */
static uint64_t
digest_of(const struct list *list)
{
	uint64_t h = 14695981039346656037u;

	for (size_t i = 0; i < list->count; i++) {
		for (const char *p = list->items[i].bare_json; *p != '\0'; p++)
			h = (h ^ (unsigned char)*p) * 1099511628211u;
	}
	return h;
}

static size_t
load_list(struct catalog *c, struct api *api, enum catalog_kind kind,
    const struct published *from)
{
	struct list *list = &api->lists[kind];
	const cJSON *items = member(from->root, kinds[kind].list);
	size_t n = (size_t)cJSON_GetArraySize(items);
	struct slice text = SLICE_NONE;
	struct raw_walk w = { NULL, NULL };

	(void)!raw_enter(text_of(from->text, from->root, items), &w);
	list->items = xcalloc(n, sizeof(*list->items));
	for (size_t i = 0; i < n && raw_item(&w, &text); i++)
		(void)!add_item(c, api, kind, text);
	list->digest = digest_of(list);
	return n - list->count;
}

static unsigned
free_list(struct catalog *c, struct api *api, enum catalog_kind kind)
{
	struct list *list = &api->lists[kind];
	unsigned change = list->count > 0 ? kinds[kind].change : 0;

	for (size_t i = 0; i < list->count; i++) {
		struct listed *t = &list->items[i];

		/* NOLINTNEXTLINE(clang-analyzer-core*): all of them are in it. */
		HASH_DEL(c->by_name[kind], t);
		free_listed(t);
	}
	free(list->items);
	*list = (struct list){ .items = NULL };
	return change;
}

unsigned
lists_free(struct catalog *c, struct api *api)
{
	unsigned changes = 0;

	for (unsigned kind = 0; kind < CATALOG_KINDS; kind++)
		changes |= free_list(c, api, kind);
	free(api->instructions);
	api->instructions = NULL;
	return changes;
}

/* None at all is in order; but none that is one is not. */
bool
lists_are_ok(const struct published *from)
{
	const cJSON *tools = member(from->root, kinds[CATALOG_TOOLS].list);
	const cJSON *tool;

	if (text_of(from->text, from->root, tools).p == NULL)
		return false;
	cJSON_ArrayForEach(tool, tools) {
		if (is_item(CATALOG_TOOLS, tool))
			return true;
	}
	return cJSON_IsArray(tools) && tools->child == NULL;
}

unsigned
lists_load(struct catalog *c, struct api *api, const struct published *from)
{
	const cJSON *root = from->root;
	const cJSON *instructions = member(root, "instructions");
	struct list before[CATALOG_KINDS];
	size_t skipped = 0;
	unsigned changes = 0;

	memcpy(before, api->lists, sizeof(before));
	lists_free(c, api);
	api->completes = cJSON_IsTrue(member(root, "completions"));
	if (cJSON_IsString(instructions) && *instructions->valuestring != '\0')
		api->instructions = xstrdup(instructions->valuestring);
	for (unsigned kind = 0; kind < CATALOG_KINDS; kind++) {
		const struct list *now = &api->lists[kind];

		skipped += load_list(c, api, kind, from);
		if (now->count != before[kind].count ||
		    (now->count > 0 && now->digest != before[kind].digest))
			changes |= kinds[kind].change;
	}
	log_info("catalogue loaded", LF("api", api->name),
	    LF_N("tools", api->lists[CATALOG_TOOLS].count),
	    LF_N("resources", api->lists[CATALOG_RESOURCES].count +
		api->lists[CATALOG_TEMPLATES].count),
	    LF_N("prompts", api->lists[CATALOG_PROMPTS].count),
	    LF_N("skipped", skipped));
	return changes;
}

/* Looking up ------------------------------------------------------------------- */

static bool
is_allowed(const struct scopes *granted, const struct listed *t)
{
	return granted == NULL ||
	    scopes_allow(granted, t->item.api, t->item.name);
}

/* By its full name, or by that of its API and its bare one. */
static struct listed *
find_listed(const struct catalog *c, enum catalog_kind kind, struct slice api,
    struct slice name)
{
	char full[API_NAME_MAX + 1 + URI_MAX];
	struct listed *t = NULL;
	bool builtin = catalog_is_builtin(c, api);
	size_t n = 0;

	if (builtin)
		api = SLICE_NONE;
	if (api.n + 1 + name.n > sizeof(full))
		return NULL;
	if (api.n > 0) {
		memcpy(full, api.p, api.n);
		full[api.n] = '_';
		n = api.n + 1;
	}
	memcpy(full + n, name.p, name.n);
	HASH_FIND(hh, c->by_name[kind], full, n + name.n, t);
	return t != NULL && builtin && !t->item.builtin ? NULL : t;
}

const struct catalog_item *
catalog_find(const struct catalog *c, enum catalog_kind kind, struct slice api,
    struct slice name)
{
	struct listed *t = find_listed(c, kind, api, name);

	return t != NULL ? &t->item : NULL;
}

/* The first API with it that the caller may use. */
static struct listed *
find_first(const struct catalog *c, enum catalog_kind kind, struct slice api,
    const struct scopes *granted, struct slice uri)
{
	for (size_t i = 0; i < c->api_count; i++) {
		struct slice name = slice_str(c->apis[i]->name);
		struct listed *t = api.n == 0 || slice_eq(api, name) ?
		    find_listed(c, kind, name, uri) : NULL;

		if (t != NULL && is_allowed(granted, t))
			return t;
	}
	return NULL;
}

static struct listed *
match_in(const struct api *api, const struct scopes *granted, struct slice uri)
{
	const struct list *list = &api->lists[CATALOG_TEMPLATES];

	for (size_t i = 0; i < list->count; i++) {
		struct listed *t = &list->items[i];

		if (uri_template_covers(t->name, uri) &&
		    is_allowed(granted, t))
			return t;
	}
	return NULL;
}

static struct listed *
match_first(const struct catalog *c, struct slice api,
    const struct scopes *granted, struct slice uri)
{
	struct listed *t = NULL;

	for (size_t i = 0; i < c->api_count && t == NULL; i++) {
		if (api.n == 0 || slice_eq_str(api, c->apis[i]->name))
			t = match_in(c->apis[i], granted, uri);
	}
	return t;
}

const struct catalog_item *
catalog_find_uri(const struct catalog *c, struct slice api,
    const struct scopes *granted, struct slice uri)
{
	struct listed *t = find_first(c, CATALOG_RESOURCES, api, granted, uri);

	if (t == NULL)
		t = match_first(c, api, granted, uri);
	return t != NULL ? &t->item : NULL;
}

const struct catalog_item *
catalog_find_template(const struct catalog *c, struct slice api,
    const struct scopes *granted, struct slice uri_template)
{
	struct listed *t = find_first(c, CATALOG_TEMPLATES, api, granted,
	    uri_template);

	return t != NULL ? &t->item : NULL;
}

bool
catalog_offers(const struct catalog *c, struct slice api,
    enum catalog_kind kind)
{
	for (size_t i = 0; i < c->api_count; i++) {
		if ((api.n == 0 || slice_eq_str(api, c->apis[i]->name)) &&
		    c->apis[i]->lists[kind].count > 0)
			return true;
	}
	return false;
}

bool
catalog_completes(const struct catalog *c, struct slice api)
{
	for (size_t i = 0; i < c->api_count; i++) {
		if ((api.n == 0 || slice_eq_str(api, c->apis[i]->name)) &&
		    c->apis[i]->completes)
			return true;
	}
	return false;
}

static void
each_tool(const struct api *api,
    void (*cb)(const struct catalog_item *tool,
	const struct catalog_words *words, void *arg), void *arg)
{
	const struct list *tools = &api->lists[CATALOG_TOOLS];

	for (size_t i = 0; i < tools->count; i++) {
		const struct listed *t = &tools->items[i];
		const struct catalog_words words = { t->full_name, t->title,
			t->description };

		cb(&t->item, &words, arg);
	}
}

void
catalog_each_tool(const struct catalog *c,
    void (*cb)(const struct catalog_item *tool,
	const struct catalog_words *words, void *arg), void *arg)
{
	for (size_t i = 0; i < c->api_count; i++)
		each_tool(c->apis[i], cb, arg);
	if (c->builtin != NULL)
		each_tool(c->builtin, cb, arg);
}

/* Listing ---------------------------------------------------------------------- */

/* A walk over the items of one page. */
struct page {
	const struct catalog *catalog;
	enum catalog_kind kind;
	struct slice api;
	const struct scopes *granted;
	const struct listed *after;  /* list what follows this one */
	const struct listed *last;   /* listed so far */
	unsigned count;
	bool more;
};

/* Where all APIs are served, a URI is listed once: as it is found. */
static bool
is_listed(const struct page *page, const struct listed *t)
{
	if (!is_allowed(page->granted, t))
		return false;
	return kinds[page->kind].prefixed || page->api.n > 0 ||
	    find_first(page->catalog, page->kind, page->api, page->granted,
		slice_str(t->name)) == t;
}

static void
list_api(struct page *page, const struct api *api, struct strbuf *out)
{
	const struct list *list = &api->lists[page->kind];

	for (size_t i = 0; i < list->count; i++) {
		const struct listed *t = &list->items[i];

		if (page->after != NULL) {
			if (page->after == t)
				page->after = NULL;
			continue;
		}
		if (!is_listed(page, t))
			continue;
		if (page->count == page->catalog->page_size) {
			page->more = true;
			return;
		}
		if (page->count++ > 0)
			strbuf_add_char(out, ',');
		strbuf_add_str(out, page->api.n > 0 ? t->bare_json : t->full_json);
		page->last = t;
	}
}

bool
catalog_list(const struct catalog *c, const struct catalog_query *query,
    struct strbuf *out)
{
	struct page page = { .catalog = c, .kind = query->kind,
		.api = query->api, .granted = query->granted };

	if (query->cursor.n > 0) {
		page.after = find_listed(c, query->kind, SLICE_NONE,
		    query->cursor);
		if (page.after == NULL || (query->api.n > 0 &&
		    !slice_eq_str(query->api, page.after->item.api)))
			return false;
	}
	strbuf_addf(out, "{\"%s\":[", kinds[query->kind].list);
	for (size_t i = 0; i < c->api_count && !page.more; i++) {
		if (query->api.n == 0 ||
		    slice_eq_str(query->api, c->apis[i]->name))
			list_api(&page, c->apis[i], out);
	}
	if (c->builtin != NULL && !page.more && (query->api.n == 0 ||
	    catalog_is_builtin(c, query->api)))
		list_api(&page, c->builtin, out);
	strbuf_add_char(out, ']');
	if (page.more && page.last != NULL) {
		strbuf_add_str(out, ",\"nextCursor\":");
		strbuf_add_json(out, slice_str(page.last->full_name));
	}
	strbuf_add_char(out, '}');
	return true;
}
