/*
 * The sessions whose streams this event loop holds.
 *
 * A session is claimed in Redis (mcp_session, mcp_transport, mcp_events) under
 * an epoch that only rises. Who claims a session from another pod tells it so in
 * its inbox before anything else (ENV_CALL_TAKEN_OVER), so that every message
 * that the new owner causes comes behind that notice. Against a pod that slept
 * meanwhile, a message goes to the socket only on a fresh proof: within the last
 * second Redis confirmed that the epoch is still ours. A pod that was replaced
 * passes the message on to the owner. Until then the message stays in the inbox
 * entry that it came with.
 *
 * A client that reads too slowly makes its session lag: events then go to the
 * session's event log, under ids that start with the epoch, so that Redis
 * refuses those of a replaced owner too. They are fetched from there when the
 * socket has drained, and trimmed once handed over: what is in the log is owed.
 *
 * States of a session, each a list:
 *
 *	SESSION_CLAIMING -> stream open, claim on its way (or Redis away)
 *	SESSION_LIVE     -> endpoint sent; ordered by the time of the last ping
 *	SESSION_ENDED    -> stream gone; freed when its last command is answered
 */
#ifndef MCP_SESSION_H
#define MCP_SESSION_H

#include "common/client_traits.h"
#include "common/envelope.h"
#include "common/redis.h"
#include "proxy/directory.h"
#include "proxy/fleet.h"
#include "proxy/http.h"
#include "proxy/inbox.h"
#include "proxy/outbox.h"
#include "proxy/principal.h"
#include "proxy/quota.h"
#include "proxy/stats.h"
#include "proxy/survey.h"

struct sessions;
struct session;

/* Who waits for a message's fate: called once, on this loop's thread. */
typedef void session_done_cb(void *arg);

struct session_options {
	struct redis *commands;        /* these three are borrowed */
	struct directory *directory;
	struct outbox *outbox;
	struct quota *quota;           /* is told of streams; may be NULL */
	struct fleet *fleet;           /* borrowed; NULL: none is found by looks */
	struct slice pod;              /* this loop's name, borrowed */
	unsigned ttl_ms;               /* of the records, sliding */
	unsigned unused_ttl_ms;        /* of a stream on which nobody posts */
	unsigned ping_interval_ms;
	unsigned window_ms;            /* how long a session waits for its client */
	unsigned recoveries_max;       /* unplanned reattaches in that time */
	uint64_t max_age_ms;           /* of a stream; 0: no limit */
	unsigned retry_ms;             /* the client's reconnect delay */
	size_t max_buffer;             /* unsent bytes before a session lags */
	const struct inbox_reading *inbox; /* this loop's, borrowed; or NULL */
	metric_value *stats;
	/*
	 * A message for a session that this loop does not own any more. Its
	 * bytes are gone when this returns; done(done_arg) must be called.
	 */
	void (*stray)(const struct env_message *message, session_done_cb *done,
	    void *done_arg, void *arg);
	/*
	 * A session was taken over from pod; in_order: which had let it go, so
	 * that it passes on what still comes to its inbox, as long as it lives.
	 */
	void (*taken_over)(struct slice pod, bool in_order, void *arg);
	void *arg;
};

struct sessions *sessions_new(const struct session_options *options) MUST_CHECK;
/* All streams must have been ended; commands must be broken or freed. */
void sessions_free(struct sessions *all);

/* What a GET says about the session that it wants. */
struct session_request {
	struct slice api;              /* empty: all APIs */
	struct slice protocol;         /* mcp-protocol-version, or empty */
	struct slice named;            /* a session id, or empty */
	struct slice client_key;       /* the client's own name, or empty */
	const struct principal *who;   /* copied: the session is theirs */
};

/*
 * Answers the GET at hand with a stream and claims a session for it: the one
 * that it names, by id or by the client's key, if that is this user's, on this
 * path, and still there; else, for users who say who they are, the one that must
 * be its client's (alike.h), maybe some time later; else a new one. The endpoint event follows as soon as
 * Redis has the claim, whose number per tick is bounded.
 */
void session_open(struct sessions *all, struct http_conn *c,
    const struct session_request *request);

/*
 * The last part of the key that leads a client to its session (env_client_key):
 * a digest of the path's API and of what the client calls itself.
 */
void session_client_digest(char out[static IDENT_HEX_LEN + 1],
    struct slice api, struct slice client_key);

/* The live session of that id, or NULL when this loop does not hold it. */
struct session *sessions_find(struct sessions *all, struct slice sid);
const char *session_api(const struct session *s);
/* What its client has said of itself, see declaration.h. */
struct client_traits session_client(const struct session *s);
/* The user whose session it is: SHA256_LEN bytes. */
const unsigned char *session_user(const struct session *s);

/*
 * Applies the message's note to the session, and hands the message to its client,
 * behind those that were given before; copies it if it must wait. done(arg) is
 * called, maybe at once, when the kernel has all of it, or (lagging) the log. If
 * the session ends before, the message is a stray. Waits for Redis as long as the
 * session lives.
 */
void session_deliver(struct session *s, const struct env_message *message,
    session_done_cb *done, void *arg);

/*
 * Lists of an API have changed (enum catalog_change): tells the sessions that
 * serve it, within some seconds, each kind of list once.
 */
void sessions_list_changed(struct sessions *all, struct slice api,
    unsigned changes);
/*
 * What a resource holds has changed: tells the sessions that subscribed to it, or
 * to one that it is a part of (common/uri.h).
 */
void sessions_resource_changed(struct sessions *all, struct slice api,
    struct slice uri);

/* Another pod has taken the session over under that epoch: closes our stream. */
void sessions_yield(struct sessions *all, struct slice sid, uint64_t epoch);

/*
 * A call asks for the stream that it came by to be closed. It is, in order and as
 * soon as nothing waits to be written, if its client is sure to get the session
 * back: one that names itself. Else, and if the client is on a later stream by
 * now, nothing happens.
 */
void sessions_close_stream(struct sessions *all, struct slice sid,
    struct slice call);

/* Repeats what had to wait: for the command connection to come back, mostly. */
void sessions_on_ready(struct sessions *all);
/* Redis lost its data: writes the records of all live sessions anew. */
void sessions_rebuild(struct sessions *all);
/* Pings, refreshed records, streams never used; a few times a second. */
void sessions_tick(struct sessions *all);
/*
 * What tells busy sessions from idle ones, and which APIs there are; to be set
 * once, borrowed.
 */
void sessions_set_survey(struct sessions *all, struct survey *survey,
    const struct catalog *catalog);
/*
 * Ends the streams in order: the idle ones spread over some seconds, the busy
 * ones after their last answer.
 */
void sessions_leave(struct sessions *all);
/* How many streams are left of those that sessions_leave() found. */
unsigned sessions_to_leave(const struct sessions *all);
/* Answers what is still awaited with an error, then ends the streams. */
void sessions_give_up(struct sessions *all);
/* The loop is leaving: what is counted here is not here any more. */
void sessions_sign_off(struct sessions *all);
/* Ends every stream at once, on an event boundary. */
void sessions_end_all(struct sessions *all, const char *reason);
/* Those that have their endpoint. */
unsigned sessions_count(const struct sessions *all);

#endif
