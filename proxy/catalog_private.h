/*
 * What catalog.c (which APIs there are, read from Redis) and catalog_lists.c (what
 * each of them offers) share. Nobody else includes it.
 */
#ifndef MCP_CATALOG_PRIVATE_H
#define MCP_CATALOG_PRIVATE_H

#include <cjson/cJSON.h>
#include <uthash.h>

#include "common/ident.h"
#include "proxy/catalog.h"

/* Two decimal 64-bit numbers and a dash. */
#define CHANGED_MAX 41

/* An item, with its JSON under both of its names. All strings are owned. */
struct listed {
	UT_hash_handle hh;          /* of catalog->by_name, by full_name */
	struct catalog_item item;
	char *name;                 /* bare, or a URI */
	char *full_name;            /* <api>_<name>, or bare of a builtin one */
	char *title;                /* NULL: it has none */
	char *description;
	char *bare_json;
	char *full_json;            /* of tools and prompts; else bare_json */
};

struct list {
	struct listed *items;
	size_t count;
	uint64_t digest;            /* of all their JSON */
};

struct api {
	char name[API_NAME_MAX + 1];
	char digest[SHA256_HEX_LEN + 1];  /* empty: not published (any more) */
	char refused[SHA256_HEX_LEN + 1]; /* digest of one that is malformed */
	char changed[CHANGED_MAX + 1];    /* the latest change that is known */
	struct list lists[CATALOG_KINDS];
	char *instructions;         /* for models; NULL: none */
	bool completes;
	uint64_t queue_length;
	bool seen;                  /* by the reading at hand */
};

struct catalog {
	struct redis *commands;
	unsigned page_size;
	struct catalog_news news;
	struct api **apis;          /* ordered by name */
	size_t api_count;
	struct api *builtin;        /* NULL, or the API that the proxy serves */
	struct listed *by_name[CATALOG_KINDS];
	struct pod *self;           /* borrowed, or NULL */
	uint64_t asked_ms;
	uint64_t lost_ms;           /* when data was last found lost; 0: never */
	unsigned waiting;           /* replies of the reading at hand */
	bool failed;                /* one of them did not come */
	bool loaded;
};

/* catalog.c */

/* Does the proxy itself serve the API of that name? */
bool catalog_is_builtin(const struct catalog *c, struct slice api);

/* catalog_lists.c */

/* A catalogue: the tree, and the text that it was parsed from. */
struct published {
	const cJSON *root;
	struct slice text;
};

/* Is it a catalogue? It is taken as a whole, or not at all. */
bool lists_are_ok(const struct published *from);
/*
 * Puts what is in it in place of what the API had; says which kinds differ.
 * Clients get the items as the worker wrote them, to the digit, but for their
 * names; without blanks between the words, which would break an event's lines.
 */
unsigned lists_load(struct catalog *c, struct api *api,
    const struct published *from);
/* Empties the lists; says which were not empty. */
unsigned lists_free(struct catalog *c, struct api *api);

#endif
