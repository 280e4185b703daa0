/*
 * Finds values in JSON text without a tree: enough to check an answer for what
 * it says, whatever the order of its members and its blanks.
 *
 * Values are raw slices of the text. This is no validator: text that is not JSON
 * yields "not found" or a slice of it, never a read past its end.
 */
#ifndef BENCH_JSON_H
#define BENCH_JSON_H

#include "common/compiler.h"

/* A member of an object by its exact, unescaped name. */
bool json_member(struct slice object, const char *name,
    struct slice *value) MUST_CHECK;
/* The first element of an array. */
bool json_first(struct slice array, struct slice *value) MUST_CHECK;
/* What stands between a string's quotes, escapes untouched. */
bool json_string(struct slice value, struct slice *text) MUST_CHECK;

#endif
