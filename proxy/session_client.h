/*
 * What a session's client has said of itself, noted in the session's record for
 * whoever owns the session later.
 */
#ifndef MCP_SESSION_CLIENT_H
#define MCP_SESSION_CLIENT_H

#include "common/redis.h"

struct session_client {
	struct slice sid;
	uint64_t epoch;               /* of the client's stream */
	const char *protocol;         /* negotiated */
	struct slice name;
	struct slice version;
	struct slice can;             /* see client_traits.h */
};

/*
 * Notes what initialize told about the client. Sent on a stream of a later
 * epoch than the last initialize it also drops what earlier clients of the
 * session awaited, so that its answer must wait for the reply. Returns as
 * redis_eval().
 */
bool session_client_send(struct redis *r, const struct session_client *client,
    redis_cb *cb, void *arg) MUST_CHECK;

/* Notes what logging/setLevel wants. Returns as redis_eval(). */
bool session_level_send(struct redis *r, struct slice sid, struct slice level,
    redis_cb *cb, void *arg) MUST_CHECK;

/*
 * Notes a subscription, or its end. The reply is SESSION_TOO_MANY when there is
 * no room for more. Returns as redis_eval().
 */
#define SESSION_TOO_MANY (-1)
bool session_subscribe_send(struct redis *r, struct slice sid, struct slice uri,
    bool on, redis_cb *cb, void *arg) MUST_CHECK;

#endif
