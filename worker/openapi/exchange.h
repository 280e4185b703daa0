/*
 * One call of a tool: the request is made of its arguments, gets its
 * credentials (for which a token may be needed first), is sent, and answered; a
 * second time, once, if the upstream refused the token.
 */
#ifndef MCP_OPENAPI_EXCHANGE_H
#define MCP_OPENAPI_EXCHANGE_H

#include "worker/openapi/auth.h"
#include "worker/openapi/toolbox.h"

/* All that are on their way. */
struct exchanges;

/* All are borrowed. */
struct exchanges *exchanges_new(struct upstream *upstream, struct auth *auth,
    const struct overlay_headers *headers) MUST_CHECK;
/* Ends those on their way; their calls are not touched. */
void exchanges_free(struct exchanges *e);
/* Runs the call of a tool whose data is a binding. */
void exchanges_run(struct exchanges *e, struct call *call, const cJSON *args);

#endif
