/*
 * What a session is owed while it cannot be written to: its event log in Redis,
 * and the calls that were given up. Each change is one atomic script, under the
 * epoch that its author knows.
 */
#ifndef MCP_SESSION_OWED_H
#define MCP_SESSION_OWED_H

#include "common/envelope.h"
#include "common/redis.h"

enum session_append {
	SESSION_APPENDED,             /* or it was in the log already */
	SESSION_APPEND_GONE,          /* no session, nobody awaits it, or no room */
	SESSION_APPEND_MOVED          /* another epoch: look up anew */
};

/* Puts a message into the log of a session that has no stream now. */
bool session_append_send(struct redis *r, const struct env_message *message,
    uint64_t epoch, redis_cb *cb, void *arg) MUST_CHECK;
enum session_append session_append_read(const redisReply *reply);

/*
 * Trims the event log below the id from, and fetches the next count entries. The
 * reply is an array, the epoch of the last initialize's stream (may be empty) and
 * the entries; or 0, with the log untouched, when epoch does not own the
 * session any more. Returns as redis_eval().
 */
bool session_fetch_send(struct redis *r, struct slice sid, uint64_t epoch,
    struct slice from, uint64_t count, redis_cb *cb, void *arg) MUST_CHECK;

/* Adds a call to those that were answered with an error by a stopping owner. */
void session_give_up_send(struct redis *r, struct slice sid, uint64_t epoch,
    struct slice call);

#endif
