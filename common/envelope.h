/*
 * The record between proxy and worker, and every Redis key name.
 *
 * This header is all that proxy/ and worker/ share about each other. Entries of
 * streams are flat field/value pairs that an operator can read with redis-cli.
 * Braces in keys are literal: Redis Cluster hash tags, so that keys that one
 * script touches live in one slot.
 */
#ifndef MCP_ENVELOPE_H
#define MCP_ENVELOPE_H

#include <hiredis/hiredis.h>

#include "common/compiler.h"

/* Ids ------------------------------------------------------------------- */

#define SID_LEN 32            /* session id: 128 random bits in hex */
#define CALL_ID_LEN 32        /* call id: see env_call_stamp() */
#define POD_NAME_MAX 80       /* a pod's name with its loop and start suffix */
#define API_NAME_MAX 32       /* [a-z][a-z0-9-]*, see env_api_name_ok() */
#define TOOL_NAME_MAX 128     /* see env_tool_name_ok() */

/*
 * A call id is 112 random bits in hex, then four digits that name the stream
 * whose client sent the call: the session's epoch at that stream's opening,
 * modulo 2^16. Workers echo the id with whatever they send about the call, so
 * that the owner can tell what belongs to an earlier client.
 */
#define CALL_STAMP_LEN 4
/* Writes the last four digits of a call id. */
void env_call_stamp(char call[static CALL_ID_LEN], uint64_t epoch);
/* Is the call of a stream before the one opened with that epoch? */
bool env_call_before(struct slice call, uint64_t epoch);

/* The API that proxies serve themselves: no worker's. */
#define ENV_PROXY_API "session"
/* Lower-case letters, digits and inner hyphens, starting with a letter. */
bool env_api_name_ok(struct slice name);
/*
 * 1 to TOOL_NAME_MAX of A-Z a-z 0-9 _ - . (MCP, "Tool Names"). A worker with
 * another name in its catalogue does not start, and proxies do not list it.
 */
bool env_tool_name_ok(struct slice name);

/* Keys ------------------------------------------------------------------ */

enum env_key {
	ENV_SESSION,      /* mcp_session:{<sid>}, hash */
	ENV_TRANSPORT,    /* mcp_transport:{<sid>}, hash: the ownership record */
	ENV_EVENTS,       /* mcp_events:{<sid>}, stream: what the client is owed */
	ENV_REQUESTS,     /* mcp_requests:{<api>}, stream, group ENV_GROUP */
	ENV_REPLIES,      /* mcp_replies:{<pod>}, stream: a pod's inbox */
	ENV_DEAD,         /* mcp_dead:{<api>}, stream: dead letters */
	ENV_CANCEL,       /* mcp_cancel:{<api>}, stream: calls nobody waits for */
	ENV_CHANGES,      /* mcp_changes:{<api>}, stream with TTL: resources whose
			   * contents have changed */
	ENV_WATCHED,      /* mcp_watched:{<api>}, zset: resources that clients have
			   * subscribed to, by until when (ms) */
	ENV_EXPIRED,      /* mcp_expired:{<api>}, stream: calls that no worker took
			   * in time, until a proxy has answered them */
	ENV_JANITOR,      /* mcp_janitor:{<api>}, hash: which pod looks for these */
	ENV_POD,          /* mcp_pod:{<pod>}, hash with TTL: heartbeat */
	ENV_API,          /* mcp_api:{<api>}, hash: catalogue, version, digest */
	ENV_COUNTERS,     /* mcp_counters:{<api>}, hash: see api_counters.h */
	ENV_WORKERS,      /* mcp_workers:{<api>}, zset: worker by heartbeat expiry */
	ENV_API_KEY,      /* mcp_api_key:{<id>}, hash: digest, scopes, times */
	ENV_TAKEN,        /* mcp_taken:{<pod>}, set: of its inbox, had by others */
	ENV_SWEEP,        /* mcp_sweep:{<pod>}, string with TTL: who sweeps it */
	ENV_LIMIT,        /* mcp_limit:{<subject>}, hash with TTL: a token bucket,
			   * of a user or of the digest of an address */
	ENV_USER_STREAMS, /* mcp_user_streams:{<user hash>}, hash: how many of the
			   * user's streams each pod holds */
	ENV_USER_WAITING, /* mcp_user_waiting:{<user hash>}, zset: the user's
			   * sessions without a stream by when they go (ms) */
	ENV_USER_INDEX,   /* mcp_user_index:{<user hash>}, zset: the user's
			   * sessions by last seen (ms) */
	ENV_CENSUS,       /* mcp_census:{<pod>}, hash with TTL: how many sessions
			   * it holds, by kind */
	ENV_DETACHED,     /* mcp_detached:{<ms>}, hash: how many sessions without
			   * a stream go at that time, by kind */
	ENV_HISTORY       /* mcp_history:{<hour>}, hash: what became of sessions
			   * in that hour since 1970 */
};

#define ENV_KEY_MAX 160

struct env_keybuf {
	char s[ENV_KEY_MAX];
};

/* Spells a key into buf and returns it; id at most 128 bytes. */
struct slice env_key(struct env_keybuf *buf, enum env_key kind,
    struct slice id);
/* mcp_worker:{<api>}:<worker>, hash with TTL: a worker's heartbeat. */
struct slice env_worker_key(struct env_keybuf *buf, struct slice api,
    struct slice worker);
/* mcp_answers:{<api>}:<sid>, stream with TTL: see below. */
struct slice env_answers_key(struct env_keybuf *buf, struct slice api,
    struct slice session);
/* mcp_client:{<user hash>}:<digest>, string: the session of a client key. */
struct slice env_client_key(struct env_keybuf *buf, struct slice user,
    struct slice digest);

/* mcp_user_calls:{<api>}:<user hash>, list: entries of the user's calls. */
struct slice env_user_calls_key(struct env_keybuf *buf, struct slice api,
    struct slice user);

/* mcp_user_session:{<user hash>}:<sid>, string: see common/user_session.h. */
struct slice env_user_session_key(struct env_keybuf *buf, struct slice user,
    struct slice sid);

/*
 * mcp_alike:{<user hash>}:<digest>, zset: sessions whose clients look the same
 * (see proxy/alike.h), by when they expire (ms).
 */
struct slice env_alike_key(struct env_keybuf *buf, struct slice user,
    struct slice digest);

#define ENV_GROUP "workers"          /* consumer group of request streams */
#define ENV_APIS_KEY "mcp_apis"      /* set: APIs with a catalogue or a queue */
#define ENV_PODS_KEY "mcp_pods"      /* zset: pods by heartbeat expiry (ms) */
/*
 * string: the key of user hashes, made by the first proxy when USER_HASH_SECRET
 * is not set. Only proxies may read it.
 */
#define ENV_USER_SECRET_KEY "mcp_user_secret"
#define ENV_API_KEYS_KEY "mcp_api_keys" /* set: ids of the API keys */
/* zset: users with sessions, by when their index is looked through next (ms) */
#define ENV_USERS_KEY "mcp_users"
/* zset: the hashes ENV_DETACHED, by the same time */
#define ENV_DETACHED_KEY "mcp_detached"
#define ENV_CLEANER_KEY "mcp_cleaner"   /* string with TTL: which pod cleans up */

/* Heartbeats: written every third of their life. */
#define ENV_HEARTBEAT_TTL_MS 15000
#define ENV_HEARTBEAT_EVERY_MS 5000

/*
 * How long an entry of a request stream may rest before another than its
 * consumer may take it, where the API's record does not say (the field
 * reclaim_idle_ms, from its workers' settings).
 */
#define ENV_RECLAIM_IDLE_MS 60000

/*
 * What may become of a call; the proxy's own errors (proxy/mcp.h) have other
 * numbers in JSON-RPC's range for implementations.
 */
enum {
	ENV_ERROR_TIMEOUT = -32001,          /* the call's deadline has passed */
	ENV_ERROR_UNKNOWN_OUTCOME = -32002,  /* it may have run, or not */
	ENV_ERROR_GAVE_UP = -32004           /* it went wrong too often */
};

/* A call on its way to a worker ------------------------------------------ */

struct env_request {
	struct slice call;        /* CALL_ID_LEN hex characters */
	struct slice session;     /* sid */
	struct slice user;        /* user hash */
	struct slice scopes;      /* what the user may do, separated by blanks */
	struct slice method;      /* "tools/call", … */
	struct slice tool;        /* bare tool name (prompt name, resource URI) */
	struct slice reply_to;    /* pod whose inbox takes the answer */
	uint64_t deadline_ms;     /* clock_shared_ms(); given up after it; 0: never */
	uint64_t attempt;         /* 1 at first */
	struct slice payload;     /* the JSON-RPC request as the client sent it */
	/* From here on a field that is empty is left out. */
	struct slice traceparent; /* W3C trace context */
	struct slice client;      /* what the client can, see client_traits.h */
	struct slice headers;     /* FORWARD_HEADERS: lines "name: value" */
};

#define ENV_REQUEST_ARGC (3 + 2 * 13)

/* Room for numbers that the argv borrows. */
struct env_request_argv {
	struct slice argv[ENV_REQUEST_ARGC];
	char numbers[2][20];
};

/*
 * Builds XADD <key> * …; it borrows from request, key and itself. Returns its
 * argc, ENV_REQUEST_ARGC at most.
 */
size_t env_request_xadd(struct env_request_argv *out, struct slice key,
    const struct env_request *request);
/*
 * Reads the field array of an entry; slices borrow from it. False: malformed,
 * and *out holds what could be read, so that the caller may be told.
 */
bool env_request_read(const redisReply *fields,
    struct env_request *out) MUST_CHECK;

/*
 * An entry of ENV_CANCEL: the client no longer waits for the request with that id
 * (raw JSON). It concerns calls that were queued before it: ids can come again.
 */
#define ENV_CANCEL_MAX "1000"   /* entries kept, about */
#define ENV_CANCEL_TTL_MS "3600000" /* since the last one */
#define ENV_FIELD_SESSION "session"
#define ENV_FIELD_REQUEST "request"

/*
 * An entry of ENV_CHANGES names a resource. The id of the latest one stands in
 * the API's record.
 */
#define ENV_CHANGES_MAX "1000"          /* entries kept, about */
#define ENV_CHANGES_TTL_MS "60000"      /* since the last one came */
#define ENV_WATCHED_MAX "1000"          /* members of ENV_WATCHED */
#define ENV_FIELD_URI "uri"
#define ENV_FIELD_CHANGED "changed"

/* What a tool's listing says to proxies, in its _meta. */
#define ENV_META_SAFE "mcp-relay/safe"              /* bool: may run again */
#define ENV_META_TIMEOUT_MS "mcp-relay/timeout_ms"  /* number */

/* What a worker asks of a client --------------------------------------------- */

/*
 * The id of such a request is the JSON string "<api>.<ask>": it tells any proxy
 * which API's workers wait for the answer. The answer becomes an entry of the
 * stream ENV_ANSWERS of that API and session; the worker knows its own by the ask,
 * which nobody else can guess, and takes it only from the session that it asked.
 */
#define ENV_ASK_LEN 32
#define ENV_ASK_ID_MAX (2 + API_NAME_MAX + 1 + ENV_ASK_LEN)
/* Writes the id, quotes included; borrows from buf. */
struct slice env_ask_id(char buf[static ENV_ASK_ID_MAX], struct slice api,
    struct slice ask);
/* Reads a raw JSON-RPC id; false when it is none of ours. */
bool env_ask_read(struct slice id, struct slice *api,
    struct slice *ask) MUST_CHECK;
#define ENV_FIELD_ASK "ask"
#define ENV_FIELD_PAYLOAD "payload"
#define ENV_ANSWERS_MAX "32"            /* entries kept, about */
#define ENV_ANSWERS_TTL_MS "60000"      /* since the last one came */

/* Messages on their way to a client's session --------------------------- */

/*
 * One inbox entry holds one or more messages: groups of fields, each starting
 * with "call", so that a worker answers a whole batch with one XADD per pod.
 */
struct env_message {
	struct slice call;     /* the call it belongs to; empty for none */
	struct slice session;
	struct slice attempt;  /* "1", or more when an answer may come again */
	struct slice payload;  /* one-line JSON-RPC message, ready for the client */
	/*
	 * For the pod that has the session's stream, beside the message: what
	 * it says of the session is so from here on (session.h). Mostly empty,
	 * and then left out.
	 */
	struct slice note;
};

/*
 * A message of this call is not for the client: the session's new owner tells
 * the former one to close its stream; the payload is the new epoch.
 */
#define ENV_CALL_TAKEN_OVER "taken_over"
/*
 * Nor is one of this call: the call whose id is the payload asks for the stream
 * that it came by to be closed (tool.h, call_close_stream()).
 */
#define ENV_CALL_CLOSE_STREAM "close_stream"
/*
 * Nor is one of this call: the session's client has declared something of which pods
 * that have looked the session up before must hear; the payload is the note
 * (proxy/declaration.h).
 */
#define ENV_CALL_DECLARED "declared"
/* Is it for the pod alone, and only for the one that it was sent to? */
bool env_call_is_notice(struct slice call);

/*
 * Entries of an inbox, about: a guard against one that nobody reads. A pod reads
 * its inbox all the time, and one that stalls is dead to the others after
 * ENV_HEARTBEAT_TTL_MS; by then even the whole fleet's 25,000 answers a second,
 * each alone in its entry, make 375,000.
 */
#define ENV_INBOX_MAX "500000"
/*
 * How long an inbox outlives the last word of its reader and of those who add to
 * it: longer than anything is answered that was called before the reader died.
 */
#define ENV_INBOX_TTL_MS "3600000"

#define ENV_MESSAGE_ARGC (2 * 5)
/* Groups per entry; keeps an entry well under Redis's listpack and reply sizes. */
#define ENV_MESSAGES_PER_ENTRY 128

/* Writes the field/value pairs of one message; returns how many words. */
size_t env_message_fields(struct slice argv[static ENV_MESSAGE_ARGC],
    const struct env_message *message);

/*
 * Steps through the messages of an entry's field array: start with *at = 0;
 * false at the end. Unknown fields are skipped; a group without a session or a
 * payload is skipped too and counted in *malformed.
 */
bool env_message_next(const redisReply *fields, size_t *at,
    struct env_message *out, unsigned *malformed) MUST_CHECK;

/* Stream replies --------------------------------------------------------- */

/* One entry of a stream: its id and its field array. */
struct env_entry {
	struct slice id;
	const redisReply *fields;  /* NULL: deleted meanwhile */
};

/*
 * The entry list of the only stream in an XREAD/XREADGROUP reply, or NULL when
 * the read timed out or the reply is not of that shape.
 */
const redisReply *env_stream_entries(const redisReply *xread);
/* Entry i of such a list (or of an XRANGE reply). False: malformed. */
bool env_entry_at(const redisReply *entries, size_t i,
    struct env_entry *out) MUST_CHECK;
/* The value of a field in a flat field array (a hash's or an entry's). */
struct slice env_field(const redisReply *fields, const char *name);
/* Reads a decimal number; false when it is none or too large. */
bool env_number(struct slice text, uint64_t *out) MUST_CHECK;

#endif
