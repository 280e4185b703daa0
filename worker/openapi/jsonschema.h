/*
 * Schemas of descriptions as JSON Schemas that MCP clients understand.
 *
 * References are written out where they stand; one that leads back into what it
 * is part of, or deeper than anybody reads, is cut with a description that says
 * so. Of Swagger 2.0 and OpenAPI 3.0, nullable becomes a type, a boolean
 * exclusiveMinimum the number; of 3.1, what stands beside a $ref joins it in an allOf.
 * allOf, anyOf and oneOf stay; discriminator, xml, examples and extensions go, as do
 * properties that only answers have (readOnly).
 *
 * The runtime holds calls to what is written here, so it is never stricter than the
 * description: what is not JSON Schema, or would ask for what was left out, goes.
 */
#ifndef MCP_OPENAPI_JSONSCHEMA_H
#define MCP_OPENAPI_JSONSCHEMA_H

#include "worker/openapi/operation.h"

#define JSONSCHEMA_REFS_MAX 16

struct jsonschema {
	struct spec *spec;
	struct strbuf *sb;    /* where it is written */
	struct strbuf *error; /* not empty: a reference leads nowhere */
	unsigned refs_max; /* references within references; the rest is cut */
	/* jsonschema's own, zeros at first */
	unsigned nesting;
	struct place whole; /* the schema of the value as a whole */
	unsigned joined;    /* open allOfs within it */
	unsigned left_out;  /* what was written is less by so many things */
	const struct node
	    *stack[JSONSCHEMA_REFS_MAX]; /* targets that are open */
	unsigned depth;
};

/*
 * Appends a schema. What says has (its description and default; may be NULL)
 * comes before what the schema has.
 */
void jsonschema_write(
    struct jsonschema *w, struct place at, const struct parameter *says);

#endif
