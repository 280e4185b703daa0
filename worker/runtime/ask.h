/*
 * What calls ask of their clients, and the answers.
 *
 * A request goes out like any message of a call (talk.h), under an id that holds
 * a random part (common/envelope.h). The client POSTs its answer to any pod, which
 * adds it to the stream mcp_answers:{<api>}:<session>. As long as calls of a
 * session wait here, that stream is read: often at first, for a program answers
 * at once, then a few times a second, for a person takes his time. An answer
 * counts when the call that asked is of that very session and still waits.
 *
 * Without calls that wait nothing is read and nothing is kept.
 */
#ifndef MCP_WORKER_ASK_H
#define MCP_WORKER_ASK_H

#include <event2/event.h>

#include "common/redis.h"
#include "worker/runtime/call.h"

struct asks;

/* commands and name, the API's, are borrowed. */
struct asks *asks_new(struct event_base *base, struct redis *commands,
    struct slice name) MUST_CHECK;
/* After the calls; commands has called back all of its commands. */
void asks_free(struct asks *a);
/* Ends what has waited for its time; a few times a second. */
void asks_tick(struct asks *a);

/* The call ends: its client is told that nobody waits for these answers. */
void ask_end_all(struct call *call);

/*
 * Reads what a client has answered. False: it is not a JSON-RPC response. The
 * tree in out->result is the caller's to delete; out->message is in error, and
 * the rest borrows from payload.
 */
bool ask_read_answer(struct slice payload, struct call_answer *out,
    cJSON **tree) MUST_CHECK;

#endif
