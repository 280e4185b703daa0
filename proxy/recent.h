/*
 * The calls answered last on this loop, to tell a repeated answer from a first
 * one. Only answers that are marked as possible repeats are looked up, so the
 * linear search is rare; adding is one store.
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

struct recent {
	uint64_t calls[RECENT_CALLS];
	unsigned next;
};

/* Call ids are 128 random bits in hex: their first 16 digits tell them apart. */
void recent_add(struct recent *r, struct slice call);
bool recent_has(const struct recent *r, struct slice call);

#endif
