/*
 * URIs of resources, as they are compared: byte by byte, nothing is normalized.
 */
#ifndef MCP_URI_H
#define MCP_URI_H

#include "common/compiler.h"

/*
 * Is uri a part of whole ("a sub-resource", MCP, "Resources")? It is when it goes
 * on behind it with a path, a query or a fragment; it is no part of itself.
 */
bool uri_is_part(struct slice uri, struct slice whole) MUST_CHECK;

#endif
