/*
 * Who we are to the upstream system: the overlay's auth, put into each request.
 * What MCP clients show the proxy to be let in never comes here; of their other
 * headers those do that both the proxies and the overlay name.
 */
#ifndef MCP_OPENAPI_AUTH_H
#define MCP_OPENAPI_AUTH_H

#include "worker/openapi/oauth.h"
#include "worker/openapi/request.h"
#include "worker/runtime/tool.h"

struct auth;

/*
 * Reads the secrets. NULL and the reason when one is missing. Overlay and
 * upstream are borrowed.
 */
struct auth *auth_new(const struct overlay *overlay, struct upstream *upstream,
    struct strbuf *error) MUST_CHECK;
void auth_free(struct auth *a);

/* The token that a request needs first and that is not there; NULL: none. */
struct oauth *auth_lacks(const struct auth *a);
/*
 * Puts everything into the request, which call asked for. False: a secret that
 * fits no header.
 */
bool auth_add(const struct auth *a, const struct call *call,
    struct request *r) MUST_CHECK;
/* The token that auth_add() would use, NULL without; borrowed. */
const char *auth_token(const struct auth *a);
/* The upstream answered 401 to that token. True: another one may help. */
bool auth_refused(struct auth *a, const char *token) MUST_CHECK;

#endif
