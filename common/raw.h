/*
 * Looks into JSON without a tree: slices of values as they are written, so that
 * what is only passed on stays what it was to the byte.
 *
 * The text should be valid JSON (jsonrpc_peek() has seen it). Of other text these
 * functions find less, or nothing, and never look beyond it: so they may also be
 * used on what was cut off.
 */
#ifndef MCP_RAW_H
#define MCP_RAW_H

#include "common/compiler.h"
#include "common/strbuf.h"

/* Where a walk through an object or an array is. */
struct raw_walk {
	const char *p, *end;
};

/* Into an object or an array; false: the value is neither. */
bool raw_enter(struct slice value, struct raw_walk *out) MUST_CHECK;
/* The next member, its name without quotes and as written; false: none. */
bool raw_member(struct raw_walk *w, struct slice *name,
    struct slice *value) MUST_CHECK;
/* The next item of an array; false: none. */
bool raw_item(struct raw_walk *w, struct slice *value) MUST_CHECK;

/* The member of that name; absent, or of no object: p is NULL. */
struct slice raw_find(struct slice object, const char *name);
/* Appends JSON without the blanks between its words: it is one line then. */
void raw_add_line(struct strbuf *sb, struct slice json);
/* Is it that literal ("true")? */
bool raw_is(struct slice value, const char *literal);

#endif
