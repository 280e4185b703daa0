/* The part of an overlay that says how requests are authenticated. */
#ifndef MCP_OPENAPI_AUTH_FIELDS_H
#define MCP_OPENAPI_AUTH_FIELDS_H

#include "worker/openapi/fields.h"

/* A string that can stand in a header: const char **. */
bool auth_fields_visible(struct fields *f, const struct node *node, void *to);
/* Reads the list; to is overlay's auth. */
bool auth_fields_read(struct fields *f, const struct node *node, void *to);

#endif
