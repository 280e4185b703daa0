/*
 * The messages handed to clients last on this loop, to tell a repeated one from
 * a first one. Only what is marked as a possible repeat is looked up, so the
 * linear search is rare; adding is one store.
 *
 * What was itself marked so may come yet again, seconds later (from a dead pod's
 * inbox first by whoever took its sessions over, then by whoever sweeps it).
 * Such messages are few; a ring of their own keeps the flood of ordinary
 * answers from pushing them out.
 */
#ifndef MCP_RECENT_H
#define MCP_RECENT_H

#include "common/compiler.h"

/*
 * An answer can come again within the seconds that a worker or Redis needs to
 * come back; at 25,000 calls a second over several loops this covers the calls
 * that were on their way then (a few hundred) many times over.
 */
#define RECENT_MESSAGES 4096

/*
 * A first message is held against so many of the latest repeats only: theirs may
 * have overtaken it by moments, and it is on every call's way.
 */
#define RECENT_OVERTAKEN 64

struct recent_ring {
	uint64_t digests[RECENT_MESSAGES];
	unsigned next;
};

struct recent {
	struct recent_ring firsts;
	struct recent_ring repeats;
};

/*
 * What tells messages apart: the call and the payload, since several messages
 * (progress, then the answer) may belong to one call. 0 without a call id: such
 * a message is never taken for a repeat.
 */
uint64_t recent_digest(struct slice call, struct slice payload);
/* Notes one that was handed over; again: it was marked as a possible repeat. */
void recent_add(struct recent *r, uint64_t digest, bool again);
/*
 * Was it handed over before? A possible repeat is held against all recent
 * messages, a first one only against repeats that may have overtaken it.
 */
bool recent_has(const struct recent *r, uint64_t digest, bool again);

#endif
