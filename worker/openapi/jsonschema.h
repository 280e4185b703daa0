/*
 * Schemas of descriptions as JSON Schemas that MCP clients understand.
 *
 * References are written out where they stand; one that leads back into what it
 * is part of, or deeper than anybody reads, is cut with a description that says
 * so. Of Swagger 2.0 and OpenAPI 3.0, nullable becomes a type, a boolean
 * exclusiveMinimum the number. allOf, oneOf and anyOf stay; discriminator, xml,
 * examples and extensions go, as do properties that only answers have (readOnly).
 */
#ifndef MCP_OPENAPI_JSONSCHEMA_H
#define MCP_OPENAPI_JSONSCHEMA_H

#include "worker/openapi/operation.h"

/*
 * Appends a tool's input schema: an object with the arguments of the operation.
 * False and the reason when a reference leads nowhere, or it is too large however
 * much is cut.
 */
bool jsonschema_input(struct spec *s, const struct operation *op,
    struct strbuf *sb, struct strbuf *error) MUST_CHECK;

#endif
