/*
 * What the workers offer: the published catalogues of all APIs, as one event
 * loop sees them. Read from Redis every second, parsed only when an API's digest
 * has changed.
 *
 * A catalogue that cannot be read never takes the place of one that could. What a
 * Redis that lost its data no longer knows stays known for two heartbeats of the
 * workers, who then publish it anew; calls queue meanwhile.
 */
#ifndef MCP_CATALOG_H
#define MCP_CATALOG_H

#include "common/envelope.h"
#include "common/redis.h"
#include "common/strbuf.h"
#include "proxy/pod.h"
#include "proxy/scopes.h"

struct catalog;

enum catalog_kind {
	CATALOG_TOOLS,
	CATALOG_RESOURCES,
	CATALOG_TEMPLATES,       /* of resources' URIs */
	CATALOG_PROMPTS
};
#define CATALOG_KINDS (CATALOG_PROMPTS + 1)

struct catalog_item {
	const char *api;
	/* As the API's worker knows it: a bare name, a URI, a URI template. */
	const char *name;
	/*
	 * May run again: what is no tool, and tools with readOnlyHint or
	 * idempotentHint, or where the operator says so.
	 */
	bool safe;
	bool completes;      /* the API completes arguments at all */
	bool builtin;        /* the proxy itself runs it: see below */
	unsigned timeout_ms; /* for a call; 0: what every call gets */
};

/* What people read of a tool; titles and descriptions may be NULL. */
struct catalog_words {
	const char *full_name;   /* on paths that serve all APIs */
	const char *title;
	const char *description;
};

/* Which lists of an API differ from before, or-ed. */
enum catalog_change {
	CATALOG_TOOLS_CHANGED = 1,
	CATALOG_RESOURCES_CHANGED = 2,   /* or templates */
	CATALOG_PROMPTS_CHANGED = 4
};

/* Who wants to know; functions may be NULL. */
struct catalog_news {
	void (*on_change)(struct slice api, unsigned changes, void *arg);
	/* What that resource holds has changed, says the API. */
	void (*on_resource)(struct slice api, struct slice uri, void *arg);
	void *arg;
};

struct catalog *catalog_new(struct redis *commands,
    unsigned page_size) MUST_CHECK;
void catalog_free(struct catalog *c);
/*
 * By this loop's own heartbeat (borrowed) it is known whether something is gone
 * because its workers have left, or because Redis lost its data.
 */
void catalog_set_pod(struct catalog *c, struct pod *self);
/*
 * Adds the one API that no worker publishes; json: as a worker's catalogue. Its
 * tools have their bare names everywhere, and a worker cannot take its name. It is
 * not among those of catalog_each_api() and catalog_api_name(), which have queues.
 */
void catalog_add_builtin(struct catalog *c, const char *name,
    struct slice json);
void catalog_set_news(struct catalog *c, const struct catalog_news *news);
/* Asks Redis when it is time; a few times a second. */
void catalog_tick(struct catalog *c);
/* Has it been read at least once? Before that nothing is "unknown". */
bool catalog_is_loaded(const struct catalog *c);

bool catalog_has_api(const struct catalog *c, struct slice api);
/* How models are to use the API, says its author; NULL: nothing. */
const char *catalog_instructions(const struct catalog *c, struct slice api);
/* Calls cb with the name of each API. */
void catalog_each_api(const struct catalog *c,
    void (*cb)(const char *api, void *arg), void *arg);
/*
 * The APIs that have workers, or had and may have calls queued: name after name,
 * NULL after the last. Valid until the next turn.
 */
const char *catalog_api_name(const struct catalog *c, size_t i);
/* Calls queued and running at the API, as of the last reading. */
uint64_t catalog_queue_length(const struct catalog *c, const char *api);
/*
 * The tool or prompt that a client calls by name: "<api>_<name>" when api is
 * empty, the bare name otherwise. NULL when there is none. Valid until the next
 * turn, like all items.
 */
const struct catalog_item *catalog_find(const struct catalog *c,
    enum catalog_kind kind, struct slice api, struct slice name);
/*
 * The resource with that URI, or the first template that it comes from, of api or
 * (empty) of the first API, in the order of names, whose the caller may read;
 * granted NULL: all of them.
 */
const struct catalog_item *catalog_find_uri(const struct catalog *c,
    struct slice api, const struct scopes *granted, struct slice uri);
/* The template itself, likewise. */
const struct catalog_item *catalog_find_template(const struct catalog *c,
    struct slice api, const struct scopes *granted, struct slice uri_template);

/* Does the API (empty: any) have something of the kind? Complete anything? */
bool catalog_offers(const struct catalog *c, struct slice api,
    enum catalog_kind kind);
bool catalog_completes(const struct catalog *c, struct slice api);

/* Calls cb with every tool, API by API. */
void catalog_each_tool(const struct catalog *c,
    void (*cb)(const struct catalog_item *tool,
	const struct catalog_words *words, void *arg), void *arg);

/* Appends the names of the APIs that are published, separated by blanks. */
void catalog_add_names(const struct catalog *c, struct strbuf *out);

struct catalog_query {
	enum catalog_kind kind;
	struct slice api;              /* empty: all */
	const struct scopes *granted;  /* NULL: nothing is left out */
	struct slice cursor;           /* empty: from the start */
};

/*
 * Appends one page of a list's result, as {"tools":[…],"nextCursor":…}. The
 * cursor names the last item of the page before. False when it names none: the
 * client must start anew.
 */
bool catalog_list(const struct catalog *c, const struct catalog_query *query,
    struct strbuf *out) MUST_CHECK;

#endif
