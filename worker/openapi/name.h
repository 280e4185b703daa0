/*
 * Names of tools: from the operationId, or else the method and path. At most
 * NAME_MAX_BYTES of A-Za-z0-9_-, and the same every time for the same description.
 */
#ifndef MCP_OPENAPI_NAME_H
#define MCP_OPENAPI_NAME_H

#include "worker/openapi/operation.h"

#define NAME_MAX_BYTES 56

/* wanted: the overlay's; NULL: none. */
const char *name_of(struct arena *arena, const struct operation *op,
    const char *wanted) MUST_CHECK;
/* The n-th (from 2) of several operations with that name. */
const char *name_numbered(
    struct arena *arena, const char *name, unsigned n) MUST_CHECK;

#endif
