/*
 * What sessions are told of by themselves: lists that have changed, resources
 * that they have subscribed to.
 *
 * That a list has changed goes straight to the streams of the sessions that serve
 * the API and whose client has said initialize, some of them per tick: all of
 * them will ask for the list. It is not kept for those without a stream, and needs
 * no proof of ownership: told twice, or by a pod that has just been replaced, it
 * is as true. While messages wait before it, it waits too. Nobody is told before
 * all loops have read the change: the client's question may land on any of them,
 * and what an old list says would stay with the client for good.
 *
 * Workers are told what sessions have subscribed to when they do, when they are
 * taken over, when lists of resources change, and each time that their records are
 * made to live longer.
 */
#include "proxy/session_private.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/uri.h"
#include "proxy/catalog.h"
#include "proxy/declaration.h"
#include "proxy/sse.h"
#include "proxy/subscriptions.h"
#include "proxy/watch.h"

/* Sessions told of changed lists per tick, of which there are four a second. */
#define TOLD_PER_TICK 1000
/* Within this all loops have read a change, of which each reads once a second. */
#define SETTLED_MS 2500
/* Of one session's subscriptions, so many are told to workers. */
#define WATCHED_MAX 256

static const struct {
	enum catalog_change change;
	struct slice message;
} lists[] = {
	{ CATALOG_TOOLS_CHANGED, SLICE("{\"jsonrpc\":\"2.0\",\"method\":"
	    "\"notifications/tools/list_changed\"}") },
	{ CATALOG_RESOURCES_CHANGED, SLICE("{\"jsonrpc\":\"2.0\",\"method\":"
	    "\"notifications/resources/list_changed\"}") },
	{ CATALOG_PROMPTS_CHANGED, SLICE("{\"jsonrpc\":\"2.0\",\"method\":"
	    "\"notifications/prompts/list_changed\"}") },
};

static bool
serves(const struct session *s, struct slice api)
{
	return s->api[0] == '\0' || slice_eq_str(api, s->api);
}

/* To each API that has some of them, until the refresh after the next. */
static void
watch(const struct session *s, const struct slice *uris, size_t n)
{
	const struct catalog *c = s->all->catalog;
	struct slice its[WATCHED_MAX], api;
	const char *name;
	size_t count;

	for (size_t i = 0; c != NULL &&
	    (name = catalog_api_name(c, i)) != NULL; i++) {
		api = slice_str(name);
		count = 0;
		for (size_t j = 0; j < n && serves(s, api); j++) {
			if (catalog_find_uri(c, api, NULL, uris[j]) != NULL)
				its[count++] = uris[j];
		}
		watch_resources(s->all->options.commands, api, its, count,
		    session_ttl_ms(s) / 2);
	}
}

void
session_watch(struct session *s)
{
	struct slice uris[WATCHED_MAX];
	const char *at = s->subscribed;
	size_t n = 0;

	while (n < WATCHED_MAX && subscriptions_next(&at, &uris[n]))
		n++;
	watch(s, uris, n);
}

void
session_note(struct session *s, struct slice note)
{
	struct declaration_client client;
	struct slice uri;
	bool on;

	if (!declaration_subscribes(note, &uri, &on))
		declaration_apply(note, &s->client_traits);
	else if (!on)
		subscriptions_remove(&s->subscribed, uri);
	else if (subscriptions_add(&s->subscribed, uri))
		watch(s, &uri, 1);
	/* A client that begins anew has subscribed to nothing. */
	if (declaration_client(note, &client)) {
		free(s->subscribed);
		s->subscribed = NULL;
	}
}

void
sessions_list_changed(struct sessions *all, struct slice api, unsigned changes)
{
	struct session *s;

	TAILQ_FOREACH(s, &all->lists[SESSION_LIVE], link) {
		if ((s->client_traits.can & CLIENT_INITIALIZED) == 0 ||
		    !serves(s, api))
			continue;
		s->changes |= (uint8_t)changes;
		all->has_news = true;
	}
	all->news_due_ms = clock_mono_ms() + SETTLED_MS;
}

static void
tell_of_lists(struct session *s)
{
	unsigned changes = s->changes;

	s->changes = 0;
	/* Its resources may be of an API that was not there before. */
	if ((changes & CATALOG_RESOURCES_CHANGED) != 0)
		session_watch(s);
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		/* A stream that breaks has nothing to lose by it. */
		if ((changes & lists[i].change) != 0)
			(void)!sse_message(s->stream, lists[i].message);
	}
}

void
session_news_tick(struct sessions *all)
{
	unsigned left = TOLD_PER_TICK;
	struct session *s, *next;

	if (!all->has_news || clock_mono_ms() < all->news_due_ms)
		return;
	all->has_news = false;
	for (s = TAILQ_FIRST(&all->lists[SESSION_LIVE]); s != NULL; s = next) {
		next = TAILQ_NEXT(s, link);
		if (s->changes == 0)
			continue;
		if (left == 0 || s->backlog != NULL ||
		    http_stream_unsent(s->stream) > 0) {
			all->has_news = true;
			continue;
		}
		left--;
		tell_of_lists(s);
	}
}

static void
on_told(void *arg)
{
	(void)arg;
}

/*
 * As what the session is told of a change: as that URI, if it has subscribed to it
 * or to one that it is a part of; empty: it is not told. A part that is offered by
 * itself may be more than the client may read: it hears of the whole instead. A
 * whole that the API does not offer, nobody has looked at whether he may.
 */
static struct slice
told_as(const struct session *s, struct slice api, struct slice uri)
{
	const struct catalog *c = s->all->catalog;
	const struct catalog_item *item, *its;
	const char *at = s->subscribed;
	struct slice whole;

	if (subscriptions_have(s->subscribed, uri))
		return uri;
	while (c != NULL && subscriptions_next(&at, &whole)) {
		item = uri_is_part(uri, whole) ?
		    catalog_find_uri(c, api, NULL, whole) : NULL;
		if (item == NULL)
			continue;
		its = catalog_find_uri(c, api, NULL, uri);
		return its == NULL || its == item ? uri : whole;
	}
	return SLICE_NONE;
}

static void
add_update(struct strbuf *out, struct slice uri)
{
	strbuf_reset(out);
	strbuf_add_str(out, "{\"jsonrpc\":\"2.0\",\"method\":"
	    "\"notifications/resources/updated\",\"params\":{\"uri\":");
	strbuf_add_json(out, uri);
	strbuf_add_str(out, "}}");
}

/* A delivery ends no session but its own, if any. */
void
sessions_resource_changed(struct sessions *all, struct slice api,
    struct slice uri)
{
	struct strbuf payload = STRBUF_INIT(4 * SUBSCRIPTION_URI_MAX);
	struct env_message message = { .attempt = SLICE("1") };
	struct session *s, *next;
	struct slice as;

	for (s = TAILQ_FIRST(&all->lists[SESSION_LIVE]); s != NULL; s = next) {
		next = TAILQ_NEXT(s, link);
		as = s->subscribed != NULL && serves(s, api) ?
		    told_as(s, api, uri) : SLICE_NONE;
		if (as.n == 0)
			continue;
		add_update(&payload, as);
		if (!strbuf_ok(&payload))
			continue;
		message.session = session_sid(s);
		message.payload = strbuf_slice(&payload);
		session_deliver(s, &message, on_told, NULL);
	}
	strbuf_release(&payload);
}
