/*
 * Access tokens by OAuth 2.0 client credentials (RFC 6749, section 4.4): one
 * token for all calls of the worker, asked for when a call needs it, kept until
 * shortly before it expires, given up when the upstream refuses it.
 */
#ifndef MCP_OPENAPI_OAUTH_H
#define MCP_OPENAPI_OAUTH_H

#include "worker/openapi/overlay.h"
#include "worker/openapi/secret.h"
#include "worker/runtime/upstream.h"

struct oauth;
/* Somebody who waits for the token. */
struct oauth_wait;

/* All are borrowed. */
struct oauth *oauth_new(const struct overlay_auth *config,
    struct secret *secret, struct upstream *upstream) MUST_CHECK;
/* Nobody waits any more. */
void oauth_free(struct oauth *o);

/* The token, if there is one that is good for now; borrowed. */
const char *oauth_token(const struct oauth *o);
/*
 * Asks for one; done() is called once, from the event loop, with NULL when
 * oauth_token() has it, else with what went wrong.
 */
struct oauth_wait *oauth_ask(struct oauth *o,
    void (*done)(const char *error, void *arg), void *arg) MUST_CHECK;
void oauth_cancel(struct oauth_wait *w);
/* The upstream refused that token: it is forgotten if it is the current one. */
void oauth_refused(struct oauth *o, const char *token);

#endif
