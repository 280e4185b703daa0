/*
 * Requests by which a client says something of its session that must be known
 * wherever the session's calls arrive: what it can do (initialize) and what it
 * wants to hear of (logging/setLevel, resources/subscribe and unsubscribe).
 *
 * It goes into the session's record, for pods that look the session up; as a note
 * beside the request's answer, to the pod that holds the stream, so that who has the
 * answer can rely on it; and a level before that to all others, for they may have
 * looked the session up before. A pod that does not get it acts on what it knows for
 * DIRECTORY_TTL_MS at most.
 */
#ifndef MCP_DECLARATION_H
#define MCP_DECLARATION_H

#include "common/client_traits.h"
#include "common/jsonrpc.h"
#include "common/redis.h"

/* As in struct env_message: a verb, a blank, the rest. */
#define DECLARATION_NOTE_MAX 4096

struct declaration {
	struct slice sid;
	uint64_t epoch;                 /* of the client's stream */
	const struct jsonrpc_msg *msg;
};

/* Is the request one of these, and in order? Others change nothing. */
bool declaration_is(const struct jsonrpc_msg *msg);
/*
 * Writes it into the session's record; the answer must wait for the reply.
 * Returns as redis_eval().
 */
bool declaration_send(struct redis *commands, const struct declaration *d,
    redis_cb *cb, void *arg) MUST_CHECK;
/*
 * Is it to be told to all pods? Not what an initialize says: nobody has looked a
 * session up that has just begun, and when a pod was lost many sessions that have not
 * may say it again at once. Nor subscriptions: who holds the stream has them.
 */
bool declaration_is_told(const struct declaration *d) MUST_CHECK;
/* Appends the note. */
void declaration_note(const struct declaration *d, struct strbuf *out);
/* Applies such a note to what is known of the client. */
void declaration_apply(struct slice note, struct client_traits *client);

/* Who the client is, from initialize's note; false for other notes. */
struct declaration_client {
	struct slice protocol;          /* negotiated */
	struct slice name, version;
};
bool declaration_client(struct slice note,
    struct declaration_client *out) MUST_CHECK;
/* Is the note of a subscription, or (*on false) of its end? */
bool declaration_subscribes(struct slice note, struct slice *uri,
    bool *on) MUST_CHECK;

/* Reads what initialize says. */
struct client_traits declaration_traits(struct slice params);
/* Reads logging/setLevel's; false when there is no such level. */
bool declaration_level(struct slice params, enum client_level *out) MUST_CHECK;

#endif
