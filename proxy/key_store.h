/*
 * Where API keys stand: in Redis, or in PostgreSQL. By id; what stands there is
 * the SHA-256 of a key and its scopes, never a key.
 *
 * mcpctl writes both (proxy/mcpctl/key.c). That a key was seen is written from
 * here, about every ten seconds of use.
 */
#ifndef MCP_KEY_STORE_H
#define MCP_KEY_STORE_H

#include <event2/dns.h>

#include "common/api_key.h"
#include "common/redis.h"

enum key_answer {
	KEY_FOUND,
	KEY_NONE,
	KEY_UNAVAILABLE   /* the store does not answer, or not sensibly */
};

struct key_record {
	struct slice sha256;   /* in hex */
	struct slice scopes;
};

struct key_store;

/* What became of a look-up. The record is gone when this returns. */
typedef void key_store_cb(const char id[static API_KEY_ID_LEN],
    enum key_answer answer, const struct key_record *record, void *arg);

struct key_store_ops {
	/* Returns false, and does not call back, when that cannot be asked now. */
	bool (*look_up)(struct key_store *store,
	    const char id[static API_KEY_ID_LEN]);
	void (*tick)(struct key_store *store);   /* NULL: nothing to be done */
	void (*free)(struct key_store *store);
};

/* The common part, with which each kind of store begins. */
struct key_store {
	const struct key_store_ops *ops;
	key_store_cb *cb;
	void *arg;
};

/* All are borrowed. Free it after Redis: no question may be on its way. */
struct key_store *key_store_redis(struct redis *commands) MUST_CHECK;
/* Questions are dropped when it is freed. */
struct key_store *key_store_postgres(struct event_base *base,
    struct evdns_base *dns, const char *url) MUST_CHECK;

#endif
