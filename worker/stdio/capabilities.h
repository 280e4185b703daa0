/*
 * What servers are told that their clients can do, when they are started: before
 * any client is known. What a client cannot, a server hears when it asks.
 */
#ifndef MCP_STDIO_CAPABILITIES_H
#define MCP_STDIO_CAPABILITIES_H

#include "common/client_traits.h"

/*
 * Reads words with commas between: sampling, sampling.tools, elicitation (by forms),
 * elicitation.url, roots; or none alone. Sets *can (enum client_can, or-ed); false
 * and why: a word is none of these.
 */
bool capabilities_read(const char *text, unsigned *can,
    struct strbuf *error) MUST_CHECK;
/* Appends them as in initialize (MCP, "Lifecycle"), a JSON object. */
void capabilities_add(struct strbuf *out, unsigned can);

#endif
