#include "proxy/catalog_private.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
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
tell(const struct catalog *c, const struct api *api, unsigned changes)
{
	if (changes != 0 && c->news.on_change != NULL)
		c->news.on_change(slice_str(api->name), changes, c->news.arg);
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
	tell(c, api, lists_free(c, api));
	api->digest[0] = '\0';
}

static int
by_name(const void *a, const void *b)
{
	const struct api *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

bool
catalog_is_builtin(const struct catalog *c, struct slice name)
{
	return c->builtin != NULL && slice_eq_str(name, c->builtin->name);
}

static struct api *
add_api(struct catalog *c, struct slice name)
{
	struct api *api;

	if (!env_api_name_ok(name) || c->api_count == APIS_MAX ||
	    catalog_is_builtin(c, name))
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

/* Loading --------------------------------------------------------------------- */

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
	cJSON *root;
	struct published from = { .text = text };

	if (digest.n > SHA256_HEX_LEN)
		return;
	root = text.n <= CATALOGUE_MAX ?
	    cJSON_ParseWithLength(text.p, text.n) : NULL;
	from.root = root;
	if (lists_are_ok(&from)) {
		unsigned changes = lists_load(c, api, &from);

		note_digest(api->digest, digest);
		api->refused[0] = '\0';
		tell(c, api, changes);
	} else {
		refuse(api, digest);
	}
	cJSON_Delete(root);
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

/* Resources whose contents have changed. ---------------------------------------- */

/* Does a later entry name it, too? */
static bool
comes_again(const redisReply *entries, size_t i, struct slice uri)
{
	struct env_entry entry;

	while (env_entry_at(entries, ++i, &entry)) {
		if (entry.fields != NULL &&
		    slice_eq(env_field(entry.fields, ENV_FIELD_URI), uri))
			return true;
	}
	return false;
}

/*
 * Each resource once: all workers of an API may tell of the same change, and who
 * reads it now sees the last of several.
 */
static void
on_changes(struct redis *r, const redisReply *reply, void *arg)
{
	struct query *q = arg;
	struct catalog *c = q->catalog;
	struct env_entry entry;
	struct slice uri;

	(void)r;
	for (size_t i = 0; env_entry_at(reply, i, &entry); i++) {
		uri = entry.fields != NULL ?
		    env_field(entry.fields, ENV_FIELD_URI) : SLICE_NONE;
		if (uri.n > 0 && c->news.on_resource != NULL &&
		    !comes_again(reply, i, uri))
			c->news.on_resource(slice_str(q->api), uri,
			    c->news.arg);
	}
	answered(c, reply != NULL);
	free(q);
}

/* What is there at first is no news, and nobody has subscribed yet. */
static void
look_for_changes(struct catalog *c, struct api *api, struct slice latest)
{
	char from[CHANGED_MAX + 2];
	struct env_keybuf keybuf;
	struct slice argv[] = { SLICE("XRANGE"),
		env_key(&keybuf, ENV_CHANGES, slice_str(api->name)),
		SLICE_NONE, SLICE("+"), SLICE("COUNT"),
		SLICE(ENV_CHANGES_MAX) };

	if (latest.n == 0 && api->changed[0] == '\0')
		latest = SLICE("0-0");
	if (latest.n == 0 || latest.n > CHANGED_MAX ||
	    slice_eq_str(latest, api->changed))
		return;
	if (api->changed[0] != '\0') {
		argv[2] = slice_of(from, (size_t)snprintf(from, sizeof(from),
		    "(%s", api->changed));
		ask(c, api->name, argv, ARRAY_LEN(argv), on_changes);
	}
	memcpy(api->changed, latest.p, latest.n);
	api->changed[latest.n] = '\0';
}

static void
ask_catalogue(struct catalog *c, struct api *api)
{
	struct env_keybuf keybuf;
	const struct slice argv[] = { SLICE("HMGET"),
		env_key(&keybuf, ENV_API, slice_str(api->name)),
		SLICE("digest"), SLICE("catalogue") };

	ask(c, api->name, argv, ARRAY_LEN(argv), on_catalogue);
}

/* The API's record: the catalogue's digest, the latest change. */
static void
on_record(struct redis *r, const redisReply *reply, void *arg)
{
	struct query *q = arg;
	struct catalog *c = q->catalog;
	struct api *api = find_api(c, slice_str(q->api));
	struct slice digest = SLICE_NONE, changed = SLICE_NONE;
	bool ok = reply != NULL && reply->type == REDIS_REPLY_ARRAY &&
	    reply->elements == 2;

	(void)r;
	if (ok) {
		digest = redis_slice(reply->element[0]);
		changed = redis_slice(reply->element[1]);
	}
	if (api != NULL && ok && digest.n == 0) {
		withdraw(c, api);
	} else if (api != NULL && ok) {
		if (!slice_eq_str(digest, api->digest) &&
		    !slice_eq_str(digest, api->refused))
			ask_catalogue(c, api);
		look_for_changes(c, api, changed);
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
	struct slice record[] = { SLICE("HMGET"),
		env_key(&keybuf[0], ENV_API, slice_str(name)),
		SLICE("digest"), SLICE(ENV_FIELD_CHANGED) };
	struct slice length[] = { SLICE("XLEN"),
		env_key(&keybuf[1], ENV_REQUESTS, slice_str(name)) };

	ask(c, name, record, ARRAY_LEN(record), on_record);
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
 * Has our heartbeat vanished, once it was there? Or, if it stands, have we just written it anew, and
 * been told so before this answer? Those to the questions behind it come later.
 */
static void
on_probed(struct redis *r, const redisReply *reply, void *arg)
{
	struct catalog *c = arg;
	bool gone = pod_has_beaten(c->self) && reply != NULL &&
	    reply->type == REDIS_REPLY_INTEGER && reply->integer == 0;

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

	return catalog_is_builtin(c, name) ||
	    (api != NULL && api->digest[0] != '\0');
}

const char *
catalog_instructions(const struct catalog *c, struct slice name)
{
	const struct api *api = find_api(c, name);

	return api != NULL ? api->instructions : NULL;
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
catalog_set_news(struct catalog *c, const struct catalog_news *news)
{
	c->news = *news;
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
		lists_free(c, c->apis[i]);
		free(c->apis[i]);
	}
	free(c->apis);
	if (c->builtin != NULL)
		lists_free(c, c->builtin);
	free(c->builtin);
	free(c);
}
