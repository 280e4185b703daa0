/*
 * Messages of one event loop to the inboxes of other loops and pods.
 *
 * What arises for one pod within one turn of the event loop goes out as one
 * entry, so that at load the cost of an XADD is shared.
 */
#ifndef MCP_OUTBOX_H
#define MCP_OUTBOX_H

#include "common/envelope.h"
#include "common/redis.h"

struct outbox;

enum outbox_result {
	OUTBOX_SENT,      /* in the pod's inbox */
	OUTBOX_REFUSED,   /* Redis refused it; *error says why */
	OUTBOX_IN_DOUBT   /* the connection broke: it may be there or not */
};

/* Called once per message that outbox_send() took; NULL: nobody asks. */
typedef void outbox_cb(enum outbox_result result, const char *error, void *arg);

/* commands is borrowed and must be freed (or broken) before the outbox. */
struct outbox *outbox_new(struct event_base *base,
    struct redis *commands) MUST_CHECK;
void outbox_free(struct outbox *o);

/*
 * Queues a copy of message for the inbox of pod. False, and no callback, when
 * Redis is away or the message is too large for an entry.
 */
bool outbox_send(struct outbox *o, struct slice pod,
    const struct env_message *message, outbox_cb *cb, void *arg) MUST_CHECK;

#endif
