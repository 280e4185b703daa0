/*
 * Counters by name, "<kind>:<value>" each ("api:calculator", "user:jwt"), as
 * they stand in the fields of a Redis hash. A counter that is back at 0 is gone.
 *
 * Values may be chosen by clients, so that their number is bounded: what has no
 * place counts as "<kind>:(other)".
 */
#ifndef MCP_TALLY_H
#define MCP_TALLY_H

#include "common/compiler.h"

/* Bytes of a name; a longer value is cut, between characters of UTF-8. */
#define TALLY_NAME_MAX 96

struct tally;

struct tally *tally_new(size_t names_max) MUST_CHECK;
void tally_free(struct tally *t);

void tally_add(struct tally *t, const char *kind, struct slice value,
    int64_t delta);
/* name: kind and value as above, as read from Redis. */
void tally_add_name(struct tally *t, struct slice name, int64_t delta);
int64_t tally_get(const struct tally *t, const char *name);
size_t tally_count(const struct tally *t);
void tally_clear(struct tally *t);

/* Those of a kind, the largest first; of a NULL kind: all of them, unordered. */
typedef void tally_cb(struct slice value, int64_t count, void *arg);
void tally_each(struct tally *t, const char *kind, tally_cb *cb, void *arg);

#endif
