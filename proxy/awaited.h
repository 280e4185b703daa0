/*
 * What clients of certain sessions still await: the ids of requests that were
 * accepted and not handed over, read from where the promise keeps them: request
 * streams, pods' inboxes, event logs, in the order in which a call goes through
 * them, so that one on its way is seen in one of them at least.
 */
#ifndef MCP_AWAITED_H
#define MCP_AWAITED_H

#include "common/redis.h"
#include "proxy/alike.h"
#include "proxy/catalog.h"

/* whole: everything was read, and awaited_low and _high are set. */
typedef void awaited_cb(bool whole, void *arg);

/*
 * Fills in awaited_low and awaited_high of all[0..count), which must stay until
 * cb is called, once. False: Redis is away, and cb is not called.
 */
bool awaited_read(struct redis *commands, const struct catalog *catalog,
    struct alike *all, size_t count, awaited_cb *cb, void *arg) MUST_CHECK;

#endif
