/*
 * The messages handed to clients last on this loop, to tell a repeated one from
 * a first one. Looking up and adding take the same few steps however many there
 * are.
 */
#ifndef MCP_RECENT_H
#define MCP_RECENT_H

#include "common/compiler.h"

/*
 * A worker that dies between handing over an answer and forgetting its call
 * leaves the call to another one, who answers again once it has rested for
 * WORKER_RECLAIM_IDLE (10 s): at 25,000 calls a second on one loop that is
 * 250,000 calls later. A dead pod's inbox is swept no later. 3 MiB a loop, of
 * which only what has been used is there. Powers of two, all of them.
 */
#define RECENT_MESSAGES (1u << 18)
/* Few, since each is touched soon: an idle loop should not pay for a busy one. */
#define RECENT_HEADS (1u << 14)

/*
 * What was marked as a repeat may come yet again, seconds later (from a dead
 * pod's inbox first by whoever took its sessions over, then by whoever sweeps
 * it). Such messages are few; in a ring of their own the flood of others does not
 * push them out.
 */
#define RECENT_REPEATS 4096

struct recent;

struct recent *recent_new(void) MUST_CHECK;
void recent_free(struct recent *r);

/*
 * What a message is known by; 0, which is never a repeat, for one without a
 * call. An answer is known by its call alone, for two attempts may answer it
 * differently; anything else (progress, say) by its text as well.
 */
uint64_t recent_digest(struct slice call, struct slice payload);
/* Notes that it was handed over; again: marked as a possible repeat. */
void recent_add(struct recent *r, uint64_t digest, bool again);
/* It was not handed over after all: the stream broke. */
void recent_forget(struct recent *r, uint64_t digest);
/*
 * Was it handed over before? A possible repeat is held against all recent
 * messages; a first one only against repeats, which may have overtaken it, since
 * a call may well send the same message twice.
 */
bool recent_has(const struct recent *r, uint64_t digest, bool again);

#endif
