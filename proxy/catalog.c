#include "proxy/catalog.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <uthash.h>

#include "common/clock.h"
#include "common/ident.h"
#include "common/log.h"
#include "common/xalloc.h"

#define REFRESH_MS 1000
/* APIs and bytes of one catalogue that are believed; the rest is refused. */
#define APIS_MAX 1024
#define CATALOGUE_MAX (16 * 1024 * 1024)
/*
 * How long after a loss of data that is known nothing is withdrawn: workers
 * publish anew with their next heartbeat, or the one after it.
 */
#define KEEP_MS (2 * ENV_HEARTBEAT_EVERY_MS + 1000)

/* A tool, with its JSON under both of its names. All strings are owned. */
struct listed {
	UT_hash_handle hh;          /* of catalog->by_name, by full_name */
	struct catalog_tool tool;
	char *name;                 /* bare */
	char *full_name;            /* <api>_<tool>, or bare of a builtin one */
	char *title;                /* NULL: it has none */
	char *description;
	char *bare_json;
	char *full_json;
};

struct api {
	char name[API_NAME_MAX + 1];
	char digest[SHA256_HEX_LEN + 1];  /* empty: not published (any more) */
	char refused[SHA256_HEX_LEN + 1]; /* digest of one that is malformed */
	struct listed *tools;
	size_t tool_count;
	uint64_t queue_length;
	bool seen;                  /* by the reading at hand */
};

struct catalog {
	struct redis *commands;
	unsigned page_size;
	struct api **apis;          /* ordered by name */
	size_t api_count;
	struct api *builtin;        /* NULL, or the API that the proxy serves */
	struct listed *by_name;
	struct pod *self;           /* borrowed, or NULL */
	uint64_t asked_ms;
	uint64_t lost_ms;           /* when data was last found lost; 0: never */
	unsigned waiting;           /* replies of the reading at hand */
	bool failed;                /* one of them did not come */
	bool loaded;
};

/* A question about one API on its way. */
struct query {
	struct catalog *catalog;
	char api[API_NAME_MAX + 1];
};

/* APIs ---------------------------------------------------------------------- */

static struct api *
find_api(const struct catalog *c, struct slice name)
{
	for (size_t i = 0; i < c->api_count; i++) {
		if (slice_eq_str(name, c->apis[i]->name))
			return c->apis[i];
	}
	return NULL;
}

static void
free_tools(struct catalog *c, struct api *api)
{
	for (size_t i = 0; i < api->tool_count; i++) {
		struct listed *t = &api->tools[i];

		/* NOLINTNEXTLINE(clang-analyzer-core*): all of them are in it. */
		HASH_DEL(c->by_name, t);
		free(t->name);
		free(t->full_name);
		free(t->title);
		free(t->description);
		free(t->bare_json);
		free(t->full_json);
	}
	free(api->tools);
	api->tools = NULL;
	api->tool_count = 0;
}

static bool
is_kept(const struct catalog *c)
{
	return c->lost_ms != 0 && clock_mono_ms() - c->lost_ms < KEEP_MS;
}

static void
withdraw(struct catalog *c, struct api *api)
{
	if (is_kept(c))
		return;
	if (api->digest[0] != '\0')
		log_info("catalogue withdrawn", LF("api", api->name));
	free_tools(c, api);
	api->digest[0] = '\0';
}

static int
by_name(const void *a, const void *b)
{
	const struct api *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static bool
is_builtin(const struct catalog *c, struct slice name)
{
	return c->builtin != NULL && slice_eq_str(name, c->builtin->name);
}

static struct api *
add_api(struct catalog *c, struct slice name)
{
	struct api *api;

	if (!env_api_name_ok(name) || c->api_count == APIS_MAX ||
	    is_builtin(c, name))
		return NULL;
	api = xcalloc(1, sizeof(*api));
	memcpy(api->name, name.p, name.n);
	c->apis = xrealloc(c->apis, (c->api_count + 1) * sizeof(*c->apis));
	c->apis[c->api_count++] = api;
	qsort(c->apis, c->api_count, sizeof(*c->apis), by_name);
	return api;
}

static void
remove_unseen(struct catalog *c)
{
	size_t kept = 0;

	for (size_t i = 0; i < c->api_count; i++) {
		struct api *api = c->apis[i];

		if (api->seen || is_kept(c)) {
			c->apis[kept++] = api;
			continue;
		}
		withdraw(c, api);
		free(api);
	}
	c->api_count = kept;
}

/* Parsing --------------------------------------------------------------------- */

static bool
hint(const cJSON *annotations, const char *name)
{
	return cJSON_IsTrue(
	    cJSON_GetObjectItemCaseSensitive(annotations, name));
}

/* What the worker decided, or else what the annotations say. */
static bool
is_safe(const cJSON *tool)
{
	const cJSON *annotations =
	    cJSON_GetObjectItemCaseSensitive(tool, "annotations");
	const cJSON *decided = cJSON_GetObjectItemCaseSensitive(
	    cJSON_GetObjectItemCaseSensitive(tool, "_meta"), ENV_META_SAFE);

	if (cJSON_IsBool(decided))
		return cJSON_IsTrue(decided);
	return hint(annotations, "readOnlyHint") ||
	    hint(annotations, "idempotentHint");
}

static unsigned
timeout_ms(const cJSON *tool)
{
	const cJSON *ms = cJSON_GetObjectItemCaseSensitive(
	    cJSON_GetObjectItemCaseSensitive(tool, "_meta"),
	    ENV_META_TIMEOUT_MS);

	if (!cJSON_IsNumber(ms) || ms->valuedouble < 1 ||
	    ms->valuedouble > UINT32_MAX)
		return 0;
	return (unsigned)ms->valuedouble;
}

/* The tool's JSON under another name; the rest is as the worker wrote it. */
static char *
renamed_json(cJSON *tool, const char *name)
{
	cJSON_ReplaceItemInObjectCaseSensitive(tool, "name",
	    cJSON_CreateString(name));
	return cJSON_PrintUnformatted(tool);
}

static char *
copy_member(const cJSON *json, const char *name)
{
	const char *text = cJSON_GetStringValue(
	    cJSON_GetObjectItemCaseSensitive(json, name));

	return text != NULL ? xstrdup(text) : NULL;
}

static bool
is_tool(const cJSON *json)
{
	const cJSON *name = cJSON_GetObjectItemCaseSensitive(json, "name");

	return cJSON_IsString(name) &&
	    env_tool_name_ok(slice_str(name->valuestring));
}

static bool
add_tool(struct catalog *c, struct api *api, cJSON *json)
{
	const cJSON *name = cJSON_GetObjectItemCaseSensitive(json, "name");
	struct listed *t = &api->tools[api->tool_count], *other = NULL;

	if (!is_tool(json))
		return false;
	*t = (struct listed){ .name = xstrdup(name->valuestring) };
	t->full_name = api == c->builtin ? xstrdup(t->name) :
	    xasprintf("%s_%s", api->name, t->name);
	HASH_FIND_STR(c->by_name, t->full_name, other);
	if (other == NULL) {
		t->bare_json = cJSON_PrintUnformatted(json);
		t->full_json = renamed_json(json, t->full_name);
	}
	if (t->bare_json == NULL || t->full_json == NULL) {
		free(t->name);
		free(t->full_name);
		free(t->bare_json);
		return false;
	}
	t->tool = (struct catalog_tool){ .api = api->name, .name = t->name,
		.safe = is_safe(json), .builtin = api == c->builtin,
		.timeout_ms = timeout_ms(json) };
	t->title = copy_member(json, "title");
	t->description = copy_member(json, "description");
	api->tool_count++;
	HASH_ADD_KEYPTR(hh, c->by_name, t->full_name, strlen(t->full_name), t);
	return true;
}

/* None at all is in order; but none that is one is not. */
static bool
is_tool_list(const cJSON *tools)
{
	const cJSON *tool;

	cJSON_ArrayForEach(tool, tools) {
		if (is_tool(tool))
			return true;
	}
	return cJSON_IsArray(tools) && tools->child == NULL;
}

/* A document with a list of tools, or NULL; the caller deletes it. */
static cJSON *
parse(struct slice text)
{
	cJSON *root = text.n <= CATALOGUE_MAX ?
	    cJSON_ParseWithLength(text.p, text.n) : NULL;

	if (is_tool_list(cJSON_GetObjectItemCaseSensitive(root, "tools")))
		return root;
	cJSON_Delete(root);
	return NULL;
}

static void
note_digest(char to[static SHA256_HEX_LEN + 1], struct slice digest)
{
	memcpy(to, digest.p, digest.n);
	to[digest.n] = '\0';
}

/* Not read again, and not complained of, until there is another. */
static void
refuse(struct api *api, struct slice digest)
{
	log_error("malformed catalogue", LF("api", api->name),
	    LF("instead", api->digest[0] != '\0' ? "the one before" : "none"));
	note_digest(api->refused, digest);
}

static void
load(struct catalog *c, struct api *api, struct slice digest, struct slice text)
{
	cJSON *root, *tools, *tool;
	size_t skipped = 0;

	if (digest.n > SHA256_HEX_LEN)
		return;
	root = parse(text);
	if (root == NULL) {
		refuse(api, digest);
		return;
	}
	tools = cJSON_GetObjectItemCaseSensitive(root, "tools");
	free_tools(c, api);
	api->tools = xcalloc((size_t)cJSON_GetArraySize(tools),
	    sizeof(*api->tools));
	cJSON_ArrayForEach(tool, tools)
		skipped += !add_tool(c, api, tool);
	cJSON_Delete(root);
	note_digest(api->digest, digest);
	api->refused[0] = '\0';
	log_info("catalogue loaded", LF("api", api->name),
	    LF_N("tools", api->tool_count), LF_N("skipped", skipped));
}

/* Reading --------------------------------------------------------------------- */

static void
answered(struct catalog *c, bool ok)
{
	c->failed |= !ok;
	if (--c->waiting == 0 && !c->failed)
		c->loaded = true;
}

static struct query *
new_query(struct catalog *c, const char *api)
{
	struct query *q = xcalloc(1, sizeof(*q));

	q->catalog = c;
	memcpy(q->api, api, strlen(api));
	return q;
}

/* Sends a question about an API; its reply goes to cb with a struct query. */
static void
ask(struct catalog *c, const char *api, const struct slice *argv, size_t argc,
    redis_cb *cb)
{
	struct query *q = new_query(c, api);

	if (redis_send(c->commands, argv, argc, cb, q)) {
		c->waiting++;
		return;
	}
	c->failed = true;
	free(q);
}

static void
on_catalogue(struct redis *r, const redisReply *reply, void *arg)
{
	struct query *q = arg;
	struct catalog *c = q->catalog;
	struct api *api = find_api(c, slice_str(q->api));

	(void)r;
	if (api != NULL && reply != NULL &&
	    reply->type == REDIS_REPLY_ARRAY && reply->elements == 2) {
		struct slice digest = redis_slice(reply->element[0]);
		struct slice text = redis_slice(reply->element[1]);

		if (digest.n > 0 && text.p != NULL)
			load(c, api, digest, text);
	}
	answered(c, reply != NULL);
	free(q);
}

static void
on_digest(struct redis *r, const redisReply *reply, void *arg)
{
	struct query *q = arg;
	struct catalog *c = q->catalog;
	struct api *api = find_api(c, slice_str(q->api));
	struct env_keybuf keybuf;
	struct slice digest = redis_slice(reply);

	(void)r;
	if (api != NULL && reply != NULL && digest.n == 0) {
		withdraw(c, api);
	} else if (api != NULL && digest.n > 0 &&
	    !slice_eq_str(digest, api->digest) &&
	    !slice_eq_str(digest, api->refused)) {
		struct slice argv[] = { SLICE("HMGET"),
			env_key(&keybuf, ENV_API, slice_str(q->api)),
			SLICE("digest"), SLICE("catalogue") };

		ask(c, q->api, argv, ARRAY_LEN(argv), on_catalogue);
	}
	answered(c, reply != NULL);
	free(q);
}

static void
on_length(struct redis *r, const redisReply *reply, void *arg)
{
	struct query *q = arg;
	struct api *api = find_api(q->catalog, slice_str(q->api));

	(void)r;
	if (api != NULL && reply != NULL && reply->type == REDIS_REPLY_INTEGER)
		api->queue_length = (uint64_t)reply->integer;
	answered(q->catalog, reply != NULL);
	free(q);
}

static void
ask_about(struct catalog *c, const char *name)
{
	struct env_keybuf keybuf[2];
	struct slice digest[] = { SLICE("HGET"),
		env_key(&keybuf[0], ENV_API, slice_str(name)), SLICE("digest") };
	struct slice length[] = { SLICE("XLEN"),
		env_key(&keybuf[1], ENV_REQUESTS, slice_str(name)) };

	ask(c, name, digest, ARRAY_LEN(digest), on_digest);
	ask(c, name, length, ARRAY_LEN(length), on_length);
}

static void
on_apis(struct redis *r, const redisReply *reply, void *arg)
{
	struct catalog *c = arg;
	struct api *api;

	(void)r;
	if (reply == NULL || reply->type != REDIS_REPLY_ARRAY) {
		answered(c, false);
		return;
	}
	for (size_t i = 0; i < c->api_count; i++)
		c->apis[i]->seen = false;
	for (size_t i = 0; i < reply->elements; i++) {
		struct slice name = redis_slice(reply->element[i]);

		api = find_api(c, name);
		if (api == NULL)
			api = add_api(c, name);
		if (api != NULL)
			api->seen = true;
	}
	remove_unseen(c);
	for (size_t i = 0; i < c->api_count; i++)
		ask_about(c, c->apis[i]->name);
	answered(c, true);
}

/*
 * Has our heartbeat vanished? Or, if it stands, have we just written it anew, and
 * been told so before this answer? Those to the questions behind it come later.
 */
static void
on_probed(struct redis *r, const redisReply *reply, void *arg)
{
	struct catalog *c = arg;
	bool gone = reply != NULL && reply->type == REDIS_REPLY_INTEGER &&
	    reply->integer == 0;

	(void)r;
	if ((gone || pod_lost_recently(c->self)) && !is_kept(c))
		c->lost_ms = clock_mono_ms();
	answered(c, reply != NULL);
}

static bool
ask_for_loss(struct catalog *c)
{
	if (c->self == NULL)
		return true;
	if (!pod_probe(c->self, on_probed, c))
		return false;
	c->waiting++;
	return true;
}

void
catalog_tick(struct catalog *c)
{
	struct slice argv[] = { SLICE("SMEMBERS"), SLICE(ENV_APIS_KEY) };
	uint64_t now = clock_mono_ms();

	if (c->waiting > 0 || now - c->asked_ms < REFRESH_MS)
		return;
	c->failed = false;
	if (!ask_for_loss(c) ||
	    !redis_send(c->commands, argv, ARRAY_LEN(argv), on_apis, c))
		return;
	c->asked_ms = now;
	c->waiting++;
}

/* Looking up ------------------------------------------------------------------- */

bool
catalog_is_loaded(const struct catalog *c)
{
	return c->loaded;
}

bool
catalog_has_api(const struct catalog *c, struct slice name)
{
	const struct api *api = find_api(c, name);

	return is_builtin(c, name) || (api != NULL && api->digest[0] != '\0');
}

void
catalog_each_api(const struct catalog *c,
    void (*cb)(const char *api, void *arg), void *arg)
{
	for (size_t i = 0; i < c->api_count; i++)
		cb(c->apis[i]->name, arg);
}

const char *
catalog_api_name(const struct catalog *c, size_t i)
{
	return i < c->api_count ? c->apis[i]->name : NULL;
}

uint64_t
catalog_queue_length(const struct catalog *c, const char *name)
{
	const struct api *api = find_api(c, slice_str(name));

	return api != NULL ? api->queue_length : 0;
}

static struct listed *
find_listed(const struct catalog *c, struct slice api, struct slice name)
{
	char full[API_NAME_MAX + 1 + TOOL_NAME_MAX];
	struct listed *t = NULL;
	bool builtin = is_builtin(c, api);
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
	HASH_FIND(hh, c->by_name, full, n + name.n, t);
	return t != NULL && builtin && !t->tool.builtin ? NULL : t;
}

const struct catalog_tool *
catalog_find(const struct catalog *c, struct slice api, struct slice name)
{
	struct listed *t = find_listed(c, api, name);

	return t != NULL ? &t->tool : NULL;
}

void
catalog_add_names(const struct catalog *c, struct strbuf *out)
{
	bool first = true;

	for (size_t i = 0; i < c->api_count; i++) {
		if (c->apis[i]->digest[0] == '\0')
			continue;
		if (!first)
			strbuf_add_char(out, ' ');
		first = false;
		strbuf_add_str(out, c->apis[i]->name);
	}
	if (c->builtin != NULL) {
		if (!first)
			strbuf_add_char(out, ' ');
		strbuf_add_str(out, c->builtin->name);
	}
}

static void
each_tool(const struct api *api,
    void (*cb)(const struct catalog_tool *tool,
	const struct catalog_words *words, void *arg), void *arg)
{
	for (size_t i = 0; i < api->tool_count; i++) {
		const struct listed *t = &api->tools[i];
		struct catalog_words words = { t->full_name, t->title,
			t->description };

		cb(&t->tool, &words, arg);
	}
}

void
catalog_each_tool(const struct catalog *c,
    void (*cb)(const struct catalog_tool *tool,
	const struct catalog_words *words, void *arg), void *arg)
{
	for (size_t i = 0; i < c->api_count; i++)
		each_tool(c->apis[i], cb, arg);
	if (c->builtin != NULL)
		each_tool(c->builtin, cb, arg);
}

/* Listing ---------------------------------------------------------------------- */

/* A walk over the tools of one page. */
struct page {
	const struct catalog *catalog;
	struct slice api;
	const struct scopes *granted;
	const struct listed *after;  /* list what follows this one */
	const struct listed *last;   /* listed so far */
	unsigned count;
	bool more;
};

static void
list_api(struct page *page, const struct api *api, struct strbuf *out)
{
	for (size_t i = 0; i < api->tool_count; i++) {
		const struct listed *t = &api->tools[i];

		if (page->after != NULL) {
			if (page->after == t)
				page->after = NULL;
			continue;
		}
		if (page->granted != NULL &&
		    !scopes_allow(page->granted, t->tool.api, t->tool.name))
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
catalog_list_tools(const struct catalog *c, struct slice api,
    const struct scopes *granted, struct slice cursor, struct strbuf *out)
{
	struct page page = { .catalog = c, .api = api, .granted = granted };

	if (cursor.n > 0) {
		page.after = find_listed(c, SLICE_NONE, cursor);
		if (page.after == NULL ||
		    (api.n > 0 && !slice_eq_str(api, page.after->tool.api)))
			return false;
	}
	strbuf_add_str(out, "{\"tools\":[");
	for (size_t i = 0; i < c->api_count && !page.more; i++) {
		if (api.n == 0 || slice_eq_str(api, c->apis[i]->name))
			list_api(&page, c->apis[i], out);
	}
	if (c->builtin != NULL && !page.more &&
	    (api.n == 0 || is_builtin(c, api)))
		list_api(&page, c->builtin, out);
	strbuf_add_char(out, ']');
	if (page.more && page.last != NULL) {
		strbuf_add_str(out, ",\"nextCursor\":");
		strbuf_add_json(out, slice_str(page.last->full_name));
	}
	strbuf_add_char(out, '}');
	return true;
}

/* The catalogue ----------------------------------------------------------------- */

struct catalog *
catalog_new(struct redis *commands, unsigned page_size)
{
	struct catalog *c = xcalloc(1, sizeof(*c));

	c->commands = commands;
	c->page_size = page_size;
	return c;
}

void
catalog_set_pod(struct catalog *c, struct pod *self)
{
	c->self = self;
}

void
catalog_add_builtin(struct catalog *c, const char *name, struct slice json)
{
	c->builtin = xcalloc(1, sizeof(*c->builtin));
	memcpy(c->builtin->name, name, strnlen(name, API_NAME_MAX));
	load(c, c->builtin, SLICE("builtin"), json);
}

void
catalog_free(struct catalog *c)
{
	for (size_t i = 0; i < c->api_count; i++) {
		free_tools(c, c->apis[i]);
		free(c->apis[i]);
	}
	free(c->apis);
	if (c->builtin != NULL)
		free_tools(c, c->builtin);
	free(c->builtin);
	free(c);
}
