/*
 * The lives of other pods' inboxes, as their writers see them.
 *
 * Adding to an inbox makes it, should it not be there: that of a pod that is gone,
 * too, and for ever. So whoever adds to inboxes says now and then that they expire
 * ENV_INBOX_TTL_MS later; a pod says it of its own with each heartbeat.
 */
#ifndef MCP_INBOX_LIFE_H
#define MCP_INBOX_LIFE_H

#include "common/redis.h"

/* More pods than that share places, and are renewed more often than need be. */
#define INBOX_LIVES 256

/* All zero is empty. */
struct inbox_lives {
	struct {
		uint64_t digest;
		uint64_t renewed_ms;
	} places[INBOX_LIVES];
};

/* After an XADD to the inbox key: renews its life if that is due. */
void inbox_lives_renew(struct inbox_lives *lives, struct redis *commands,
    struct slice key);

#endif
