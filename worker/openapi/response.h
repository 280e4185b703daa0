/*
 * What an upstream system answered, as a tool's result: JSON as far as the
 * overlay selects it, text, pictures; errors with what they say; everything else
 * described. Never more bytes than the overlay allows, and what was cut off is
 * said.
 */
#ifndef MCP_OPENAPI_RESPONSE_H
#define MCP_OPENAPI_RESPONSE_H

#include "worker/openapi/toolbox.h"
#include "worker/runtime/upstream.h"

/* Answers the call. */
void response_answer(struct call *call, const struct binding *b,
    const struct upstream_response *response);

/* The rest is for tests. type: the Content-Type, or NULL. */
struct response_body {
	struct slice bytes;
	const char *type;
	int status;
};

/*
 * Appends what the model reads; true: json became a whole result instead (a
 * picture), of which text is empty.
 */
bool response_write(const struct response_body *body,
    const struct projection *projection, size_t max_bytes, struct strbuf *text,
    struct strbuf *result) MUST_CHECK;

#endif
