/*
 * The three keys of a session, which share a slot: its record, its ownership, its
 * event log, in this order.
 */
#ifndef MCP_SESSION_KEYS_H
#define MCP_SESSION_KEYS_H

#include "common/envelope.h"

#define SESSION_KEYS 3

struct session_keys {
	struct env_keybuf buf[SESSION_KEYS];
	struct slice key[SESSION_KEYS];   /* borrow buf */
};

void session_keys(struct session_keys *k, struct slice sid);

#endif
