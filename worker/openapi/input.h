/* What a tool takes: one object with the arguments of an operation. */
#ifndef MCP_OPENAPI_INPUT_H
#define MCP_OPENAPI_INPUT_H

#include "worker/openapi/operation.h"

/*
 * Appends its JSON Schema. False and the reason when a reference leads nowhere, or
 * it is too large however much is cut.
 */
bool input_write(struct spec *s, const struct operation *op, struct strbuf *sb,
    struct strbuf *error) MUST_CHECK;

#endif
