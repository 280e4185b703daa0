/*
 * The sessions of each user: mcp_user_session:{<user>}:<sid> holds what is known
 * of one (common/user_session.h), mcp_user_index:{<user>} lists them by last seen.
 *
 * Written by the loop that owns the session, in batches; of two owners the one
 * with the later epoch is right. A session that ends by itself stays in the list
 * until the cleaner comes by (proxy/cleaner.h), which finds users in mcp_users.
 */
#ifndef MCP_USER_INDEX_H
#define MCP_USER_INDEX_H

#include "common/envelope.h"
#include "common/redis.h"
#include "common/user_session.h"

/* A user's index is looked through so often, about. */
#define USER_INDEX_CLEAN_MS 600000

struct user_index;

struct user_index *user_index_new(struct redis *commands) MUST_CHECK;
/* After Redis. */
void user_index_free(struct user_index *x);
/* Sends what is better sent together; a few times a second. */
void user_index_tick(struct user_index *x);

/* Writes a session's record for ttl_ms. False: Redis is away. */
bool user_index_put(struct user_index *x, struct slice user, struct slice sid,
    const struct user_session *record, uint64_t ttl_ms) MUST_CHECK;
/* The session has ended, unless a later owner than epoch has it. */
void user_index_drop(struct user_index *x, struct slice user, struct slice sid,
    uint64_t epoch);
/* Reads a record: cb gets its bytes, or nil. Returns as redis_send(). */
bool user_index_get(struct user_index *x, struct slice user, struct slice sid,
    redis_cb *cb, void *arg) MUST_CHECK;

#endif
