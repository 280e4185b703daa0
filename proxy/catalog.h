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

struct catalog_tool {
	const char *api;
	const char *name;    /* bare, as the API's worker knows it */
	/* May run again: readOnlyHint or idempotentHint, or the operator says. */
	bool safe;
	bool builtin;        /* the proxy itself runs it: see below */
	unsigned timeout_ms; /* for a call; 0: what every call gets */
};

/* What people read of a tool; titles and descriptions may be NULL. */
struct catalog_words {
	const char *full_name;   /* on paths that serve all APIs */
	const char *title;
	const char *description;
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
/* Asks Redis when it is time; a few times a second. */
void catalog_tick(struct catalog *c);
/* Has it been read at least once? Before that nothing is "unknown". */
bool catalog_is_loaded(const struct catalog *c);

bool catalog_has_api(const struct catalog *c, struct slice api);
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
 * The tool that a client calls by name: "<api>_<tool>" when api is empty, the
 * bare name otherwise. NULL when there is none. Valid until the next turn.
 */
const struct catalog_tool *catalog_find(const struct catalog *c,
    struct slice api, struct slice name);

/* Calls cb with every tool, API by API. */
void catalog_each_tool(const struct catalog *c,
    void (*cb)(const struct catalog_tool *tool,
	const struct catalog_words *words, void *arg), void *arg);

/* Appends the names of the APIs that are published, separated by blanks. */
void catalog_add_names(const struct catalog *c, struct strbuf *out);

/*
 * Appends one page of the tools/list result, {"tools":[…],"nextCursor":…}, of
 * the tools that the scopes allow (NULL: all of them). The cursor names the last tool of the page before; empty starts. False when it
 * names none: the client must start anew.
 */
bool catalog_list_tools(const struct catalog *c, struct slice api,
    const struct scopes *granted, struct slice cursor,
    struct strbuf *out) MUST_CHECK;

#endif
