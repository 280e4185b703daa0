/*
 * What a client must be able to do, by its own word, to be sent a request
 * (common/client_traits.h).
 */
#ifndef MCP_WORKER_ASK_NEEDS_H
#define MCP_WORKER_ASK_NEEDS_H

#include "common/client_traits.h"

/*
 * NULL: a client that can do that (enum client_can, or-ed) may be sent the request;
 * else why not, for whoever wanted to. params: one JSON object, or empty. MCP,
 * "Sampling" and "Elicitation": what a client has not declared it is not sent.
 */
const char *ask_why_not(unsigned can, const char *method,
    struct slice params) MUST_CHECK;

#endif
