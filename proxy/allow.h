/*
 * Allow-lists of hosts and origins, as they stand in settings: words that blanks
 * or commas part. Letters' case does not matter; "*" allows all.
 */
#ifndef MCP_ALLOW_H
#define MCP_ALLOW_H

#include "common/compiler.h"

/*
 * host: of the Host field. An entry with a port allows that port, one without
 * allows any.
 */
bool allow_host(const char *list, struct slice host);
/*
 * origin: of the Origin field (RFC 6454), scheme://host[:port]. An entry that
 * ends in ":*" allows any port, also none; others must be equal.
 */
bool allow_origin(const char *list, struct slice origin);

#endif
