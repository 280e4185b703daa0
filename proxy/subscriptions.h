/*
 * The resources that a session has subscribed to: their URIs, each between two
 * line breaks, in one text. So it stands in the session's record too, and a
 * session without any costs a pointer.
 */
#ifndef MCP_SUBSCRIPTIONS_H
#define MCP_SUBSCRIPTIONS_H

#include "common/compiler.h"

/* Of one URI, and of a session's all together; as a Lua number too. */
#define SUBSCRIPTION_URI_MAX 2048
#define SUBSCRIPTIONS_MAX 32768
#define SUBSCRIPTIONS_MAX_TEXT "32768"

/* Can it be subscribed to? It is no line break's, and not too long. */
bool subscriptions_uri_ok(struct slice uri);
/* *text is owned by the caller, NULL when there are none. */
bool subscriptions_have(const char *text, struct slice uri);
/* The first, and then the one behind it: *at begins as text; false: no more. */
bool subscriptions_next(const char **at, struct slice *uri) MUST_CHECK;
/* False: there are too many. */
bool subscriptions_add(char **text, struct slice uri);
void subscriptions_remove(char **text, struct slice uri);

#endif
