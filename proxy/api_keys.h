/*
 * Whose API key is it: keys as they stand in their store, remembered for a few
 * seconds.
 *
 * What is remembered is the digest and the scopes of a key id, never a key. A
 * key that was revoked is refused at the latest API_KEYS_STALE_MS later. While
 * the store does not answer, keys that it knew are believed for outage_ms from
 * its last word on them; others wait for it.
 */
#ifndef MCP_API_KEYS_H
#define MCP_API_KEYS_H

#include "proxy/key_store.h"
#include "proxy/tokens.h"

/* Looked up again in the background from this age on, ... */
#define API_KEYS_FRESH_MS 10000
/* ... and, while the store answers, not believed any more from this one. */
#define API_KEYS_STALE_MS 20000
/* An id that does not exist, or one that just came into being. */
#define API_KEYS_UNKNOWN_MS 2000
#define API_KEYS_REMEMBERED_MAX 8192

struct api_keys;

/*
 * Takes over the store. on_answer: look again at who waits; it and the
 * principals are borrowed.
 */
struct api_keys *api_keys_new(struct key_store *take_store,
    const struct principals *principals, unsigned outage_ms,
    void (*on_answer)(void *arg), void *arg) MUST_CHECK;
/* After Redis: no question may be on its way. */
void api_keys_free(struct api_keys *k);
/* A few times a second. */
void api_keys_tick(struct api_keys *k);
/* The secret of user hashes has changed. */
void api_keys_forget(struct api_keys *k);

enum identity_result api_keys_check(struct api_keys *k, struct slice key,
    struct identity *out);

#endif
