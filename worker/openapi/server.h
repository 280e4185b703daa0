/*
 * Where an operation's requests go: the first server that the operation, its path
 * or the description names, with the defaults of its variables.
 */
#ifndef MCP_OPENAPI_SERVER_H
#define MCP_OPENAPI_SERVER_H

#include "worker/openapi/operation.h"

/*
 * Appends the server's URL without its last slash. base: a URL that text is
 * relative to (RFC 3986, section 5), or a file. False when it is no http:// or
 * https:// URL that requests can begin with: those have no user, query or
 * fragment, and a host that egress.h knows as one.
 */
bool server_resolve(
    const char *text, const char *base, struct strbuf *url) MUST_CHECK;

/* Sets op->server and what it is called in the description. */
void server_map(struct spec *s, struct operation *op, struct arena *arena);

#endif
