/* Names of HTTP header fields. */
#ifndef MCP_OPENAPI_HEADER_H
#define MCP_OPENAPI_HEADER_H

#include "common/compiler.h"

/* Whether it is one (a token, RFC 9110, section 5.6.2); cookies' are the same. */
bool header_name_ok(const char *name);
/* Whether others set it: HTTP itself, or the overlay's auth. */
bool header_is_reserved(const char *name);

#endif
