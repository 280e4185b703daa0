/*
 * What of an answer the model gets to see: a list of paths, and everything else
 * is left out.
 *
 *	key                    a member
 *	fields.status.name     a member of a member
 *	issues.key             of each element, where issues is a list; issues[].key
 *	                       is the same
 *	items.*.id             of each member, whatever its name
 *	a\.b                   a member whose name has a dot
 *
 * What is left keeps its shape.
 */
#ifndef MCP_OPENAPI_PROJECTION_H
#define MCP_OPENAPI_PROJECTION_H

#include "worker/openapi/node.h"

struct projection;

/* paths: NULL-ended; NULL: everything, which is NULL. */
struct projection *projection_new(const char *const *paths) MUST_CHECK;
void projection_free(struct projection *p);
/*
 * Appends what it selects of the value, as JSON on one line; numbers as they
 * were. NULL selects everything.
 */
void projection_write(
    const struct projection *p, const struct node *value, struct strbuf *sb);

#endif
