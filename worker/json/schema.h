/*
 * A JSON Schema, compiled for checking arguments.
 *
 * Understood are the assertions and applicators of draft 2020-12, which is MCP's
 * own, and of drafts 4 to 7 what these wrote in another way: items as a list with
 * additionalItems, a boolean exclusiveMinimum, dependencies, definitions, $id
 * "#name", and no siblings of $ref if $schema says so. $ref leads to anything in
 * the schema itself: JSON pointers, anchors, absolute $ids. Lengths are in
 * characters, numbers compared as they are written where the value's tree has their
 * texts (number.h), pattern is what PCRE2 takes for ECMA-262's (schema_pattern.h).
 *
 * What is only annotation (title, format, content...) is for the model to read, and
 * so is what cannot be known here: a $ref to elsewhere or to nothing, a
 * $dynamicRef with more than one end, $recursiveRef, a pattern that is none, or
 * all that would take too long. Nothing is refused for those.
 */
#ifndef MCP_WORKER_SCHEMA_H
#define MCP_WORKER_SCHEMA_H

#include <cjson/cJSON.h>

#include "common/compiler.h"
#include "common/strbuf.h"

struct schema;

/*
 * Compiles a schema; NULL and a static *reason when it is not one: a keyword's
 * value is of the wrong kind. It keeps copies: text need not live on.
 */
struct schema *schema_new(const char *text, const char **reason) MUST_CHECK;
void schema_free(struct schema *s);
/* From now on a value may fit more than one alternative of a oneOf. */
void schema_let_overlap(struct schema *s);
/* Does it say that values are objects, as MCP wants it of tools? */
bool schema_is_of_objects(const struct schema *s) MUST_CHECK;

/*
 * Holds a value against the schema. Returns true when it fits; else appends
 * what is wrong, "; " between problems and each naming its field, as in
 * "a: required number is missing; point.x: expected number, got string". The work
 * is bounded, a tenth of a second or so; what is then left counts as fitting.
 */
bool schema_check(const struct schema *s, const cJSON *value,
    struct strbuf *problems) MUST_CHECK;

#endif
