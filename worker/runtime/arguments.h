/*
 * What an author's function gets: a request's params as a tree, and in it the
 * arguments, each method's in its own way.
 */
#ifndef MCP_WORKER_ARGUMENTS_H
#define MCP_WORKER_ARGUMENTS_H

#include <cjson/cJSON.h>

#include "worker/runtime/catalogue.h"

/*
 * Could a tree of that JSON hold less than the client sent? cJSON ends a string
 * at an escaped NUL.
 */
bool arguments_hold_nul(struct slice json);
/*
 * Bytes that the tree of that JSON takes, and the text itself: at most, but for what
 * the allocator adds.
 */
size_t arguments_weight(struct slice json);
/*
 * The tree, or NULL when it is none; the caller's to delete. Its numbers are
 * exact, see number.h.
 */
cJSON *arguments_parse(struct slice json) MUST_CHECK;

/*
 * The arguments in params, made when the client left them out; NULL: params are
 * not what the method wants.
 */
typedef const cJSON *arguments_fn(cJSON *params,
    const struct catalogue_offer *offer);

arguments_fn arguments_given;       /* tools/call, prompts/get */
arguments_fn arguments_of_uri;      /* resources/read */
arguments_fn arguments_of_completion;

#endif
