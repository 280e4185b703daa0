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

/* Those that are taken. */
struct names;

struct names *names_new(void) MUST_CHECK;
void names_free(struct names *names);
/*
 * Takes the name, or where it is taken the first that is free of those that end
 * in _2, _3, … . It lies in arena, which must outlive names.
 */
const char *names_take(
    struct names *names, struct arena *arena, const char *name) MUST_CHECK;

#endif
