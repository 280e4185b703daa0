/*
 * What servers say while calls run, and to which of the calls it belongs: progress
 * by its token; log messages and requests only when there is but one call.
 */
#ifndef MCP_STDIO_DIALOGUE_H
#define MCP_STDIO_DIALOGUE_H

#include "worker/stdio/passage.h"

/* params: of the notification. */
void dialogue_progress(const struct passages *of, struct slice params);
/* One that is no call's goes to our own log at debug. */
void dialogue_log(const struct passages *of, unsigned child,
    struct slice params);
/* The user has done what a URL asked for: to the call's client, if it goes on. */
void dialogue_completed(const struct passages *of, struct slice params);
/* The server has lost interest in a request of its own, says this. */
void dialogue_withdraw(const struct passages *of, struct slice params);
/* Asks the call's client; the server has an answer in any case. */
void dialogue_ask(struct server *s, struct passages *of,
    const struct jsonrpc_msg *msg);
/* The call ends: what its client has not answered is answered with an error. */
void dialogue_end(struct passage *p);

#endif
