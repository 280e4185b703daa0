/*
 * A JSON Schema, compiled for checking arguments.
 *
 * Understood: type (a name or a list), required, properties,
 * additionalProperties (false or a schema), enum, const, minimum, maximum,
 * exclusiveMinimum, exclusiveMaximum, minLength, maxLength (characters, not
 * bytes), items. Other keywords are for the model to read; they are not checked.
 *
 * Numbers are compared as they are written, not as doubles, where the value's
 * tree has its texts (number.h).
 */
#ifndef MCP_WORKER_SCHEMA_H
#define MCP_WORKER_SCHEMA_H

#include <cjson/cJSON.h>

#include "common/compiler.h"
#include "common/strbuf.h"

struct schema;

/*
 * Compiles a schema; NULL and a static *reason when it is not one. It keeps
 * copies: text need not live on.
 */
struct schema *schema_new(const char *text, const char **reason) MUST_CHECK;
void schema_free(struct schema *s);
/* Does it say that values are objects, as MCP wants it of tools? */
bool schema_is_of_objects(const struct schema *s) MUST_CHECK;

/*
 * Holds a value against the schema. Returns true when it fits; else appends
 * what is wrong, "; " between problems and each naming its field, as in
 * "a: required number is missing; point.x: expected number, got string".
 */
bool schema_check(const struct schema *s, const cJSON *value,
    struct strbuf *problems) MUST_CHECK;

#endif
