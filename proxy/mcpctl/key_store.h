/*
 * Where mcpctl keeps API keys: what proxy/key_store.h reads.
 */
#ifndef MCP_CTL_KEY_STORE_H
#define MCP_CTL_KEY_STORE_H

#include "proxy/mcpctl/ctl.h"

/* A key as it is stored. All borrowed; times are 0 when there is none. */
struct ctl_key {
	const char *id;
	const char *sha256;   /* in hex */
	const char *scopes;
	const char *name;
	uint64_t created_ms;
	uint64_t seen_ms;
};

/* These return false when they could not, and have said why. */
struct ctl_key_store {
	/* The time is now. */
	bool (*add)(struct ctl *ctl, const struct ctl_key *key);
	bool (*each)(struct ctl *ctl, void (*cb)(const struct ctl_key *key));
	bool (*remove)(struct ctl *ctl, const char *id, bool *existed);
};

extern const struct ctl_key_store ctl_keys_in_redis;
extern const struct ctl_key_store ctl_keys_in_postgres;

/* The SQL that makes the table in PostgreSQL. */
extern const char ctl_keys_schema[];

#endif
