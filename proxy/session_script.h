/*
 * What the proxy writes about a session's ownership, each one atomic script on
 * the one slot of the session's keys.
 *
 * mcp_transport holds, beside pod and epoch, fresh: the epoch of the stream whose
 * client last sent initialize. What belongs to calls of streams before that one
 * is no longer awaited by anybody.
 */
#ifndef MCP_SESSION_SCRIPT_H
#define MCP_SESSION_SCRIPT_H

#include "common/envelope.h"
#include "common/redis.h"

struct session_claim {
	struct slice sid;
	struct slice pod;
	struct slice api;
	struct slice protocol;
	struct slice user;      /* hash of the user whose session it is */
	struct slice user_kind; /* "anonymous", "key", "jwt" */
	uint64_t known_epoch;   /* 0: claim anew; else: rewrite under that epoch */
	uint64_t fresh;         /* rewriting: as last known */
	struct slice can;       /* rewriting: client_traits.h; empty: not known */
	struct slice level;
	struct slice subscribed; /* see subscriptions.h */
	uint64_t now_ms;        /* wall clock */
	uint64_t ttl_ms;        /* of the records */
	uint64_t log_ttl_ms;    /* of the event log; longer than ttl_ms */
};

/*
 * Makes pod the owner of a new session. The reply is the session's epoch, or 0
 * when a later owner than known_epoch exists. Returns as redis_eval().
 */
bool session_claim_send(struct redis *r, const struct session_claim *claim,
    redis_cb *cb, void *arg) MUST_CHECK;

struct session_reattach {
	struct session_claim claim;   /* known_epoch and fresh are not looked at */
	uint64_t expected_epoch;      /* of the owner that has been told */
	uint64_t window_ms;           /* how long ago it may have been detached */
	uint64_t recoveries_max;      /* unplanned ones per window */
};

struct session_reattached {
	uint64_t epoch;
	uint64_t fresh;
	struct slice pod;             /* the owner before */
	bool detached;                /* which had let it go in order */
	struct slice protocol;
	struct slice former;          /* it and those before, a blank behind each */
	struct slice given_up;        /* calls answered with an error: 32 hex each */
	struct slice can;             /* see client_traits.h */
	struct slice level;
	struct slice subscribed;      /* see subscriptions.h */
};

/*
 * Makes pod the owner of a session that another stream had, at once and whoever
 * has it. Returns as redis_eval().
 */
bool session_reattach_send(struct redis *r, const struct session_reattach *want,
    redis_cb *cb, void *arg) MUST_CHECK;
/*
 * Reads the reply, from which *out borrows. 0; -ENOENT: no such session, not
 * this user's, not reattachable any more; -EAGAIN: another epoch than expected,
 * whose owner has not been told; -EIO: no reply that makes sense.
 */
int session_reattach_read(const redisReply *reply,
    struct session_reattached *out) MUST_CHECK;

struct session_detach {
	struct slice sid;
	uint64_t epoch;
	uint64_t now_ms;
	uint64_t ttl_ms;              /* how long it may be reattached */
	uint64_t log_ttl_ms;
	bool planned;                 /* the server wished it: no recovery */
	uint64_t last;                /* highest id answered plus one; 0: leave */
};

/* The stream is gone; the session waits for its client. Only under epoch. */
bool session_detach_send(struct redis *r, const struct session_detach *detach,
    redis_cb *cb, void *arg) MUST_CHECK;

/* Pushes the expiry of all three keys out. False: Redis is away. */
bool session_refresh_send(struct redis *r, struct slice sid, uint64_t ttl_ms,
    uint64_t log_ttl_ms, uint64_t now_ms) MUST_CHECK;

/* Notes the highest JSON-RPC id that was answered on it, plus one. */
void session_note_last_send(struct redis *r, struct slice sid, uint64_t epoch,
    uint64_t last);

/*
 * A session that turned out to be another one: what is posted to it, or on its
 * way to it, belongs there from now on, as of that epoch.
 */
struct session_alias {
	struct slice sid;
	struct slice target;
	uint64_t epoch;               /* of the stream that has the target */
	struct slice pod;
	struct slice api;
	struct slice user;
	uint64_t now_ms;
	uint64_t ttl_ms;
};

void session_alias_send(struct redis *r, const struct session_alias *alias);

/* Removes the session if epoch still owns it; without Redis it expires. */
void session_release_send(struct redis *r, struct slice sid, uint64_t epoch);

/*
 * Asks who owns the session. The reply is read by session_proof_read(): true when
 * epoch does, or when there is no record (Redis lost it); *fresh is then set if
 * it is known. Returns as redis_send().
 */
bool session_proof_send(struct redis *r, struct slice sid, redis_cb *cb,
    void *arg) MUST_CHECK;
bool session_proof_read(const redisReply *reply, uint64_t epoch,
    uint64_t *fresh) MUST_CHECK;

#endif
