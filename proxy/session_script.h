/*
 * What the proxy writes about a session's ownership, each one atomic script on
 * the one slot of the session's keys.
 */
#ifndef MCP_SESSION_SCRIPT_H
#define MCP_SESSION_SCRIPT_H

#include "common/redis.h"

struct session_claim {
	struct slice sid;
	struct slice pod;
	struct slice api;
	struct slice protocol;
	struct slice user;      /* hash of the user whose session it is */
	struct slice user_kind; /* "anonymous", "key", "jwt" */
	uint64_t known_epoch;   /* 0: claim anew; else: rewrite under that epoch */
	uint64_t now_ms;        /* wall clock */
	uint64_t ttl_ms;        /* of the records */
	uint64_t log_ttl_ms;    /* of the event log; longer than ttl_ms */
};

/*
 * Makes pod the owner. The reply is the session's epoch, or 0 when a later
 * owner than known_epoch exists. Returns as redis_eval().
 */
bool session_claim_send(struct redis *r, const struct session_claim *claim,
    redis_cb *cb, void *arg) MUST_CHECK;
/* Pushes the expiry of all three keys out. False: Redis is away. */
bool session_refresh_send(struct redis *r, struct slice sid, uint64_t ttl_ms,
    uint64_t log_ttl_ms, uint64_t now_ms) MUST_CHECK;
/*
 * Trims the event log below the id from, and fetches the next count entries. The
 * reply is their array, or 0, with the log untouched, when epoch does not own the
 * session any more. Returns as redis_eval().
 */
bool session_fetch_send(struct redis *r, struct slice sid, uint64_t epoch,
    struct slice from, uint64_t count, redis_cb *cb, void *arg) MUST_CHECK;
/* Notes what initialize told about the client; lost without Redis. */
void session_client_send(struct redis *r, struct slice sid,
    const char *protocol, struct slice name, struct slice version);
/* Removes the session if epoch still owns it; without Redis it expires. */
void session_release_send(struct redis *r, struct slice sid, uint64_t epoch);

#endif
