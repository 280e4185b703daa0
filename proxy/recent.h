/*
 * The calls answered last on this loop, to tell a repeated answer from a first
 * one. Only answers that are marked as possible repeats are looked up among all
 * of them, so the long linear search is rare; adding is one store.
 */
#ifndef MCP_RECENT_H
#define MCP_RECENT_H

#include "common/compiler.h"

/*
 * An answer can come again within the seconds that a worker or Redis needs to
 * come back; at 25,000 calls a second over several loops this covers the calls
 * that were on their way then (a few hundred) many times over.
 */
#define RECENT_CALLS 4096

/* Calls that were answered by a possible repeat: their first may still come. */
#define RECENT_DOUBLED 64

struct recent {
	uint64_t calls[RECENT_CALLS];
	unsigned next;
	uint64_t doubled[RECENT_DOUBLED];
	unsigned doubled_next;
};

/*
 * Notes that a call was answered; again: by an answer marked as a possible
 * repeat. Call ids are 128 random bits in hex: half of them tell calls apart.
 */
void recent_add(struct recent *r, struct slice call, bool again);
/*
 * Was this call answered? A possible repeat is held against all recent calls, a
 * first answer only against those that a repeat has answered already.
 */
bool recent_has(const struct recent *r, struct slice call, bool again);

#endif
