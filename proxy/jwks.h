/*
 * A JWK set kept fresh from a file or a URL, off the request path.
 *
 * Read at the start and every JWKS_FRESH_MS. A token with a kid that is not in
 * the set makes it be read again, such tokens all together at most once in
 * JWKS_AGAIN_MS: so a key that has just been rotated in is known at once. When reading
 * fails, the keys read before stay in force.
 */
#ifndef MCP_JWKS_H
#define MCP_JWKS_H

#include <event2/event.h>

#include "proxy/jwt_key.h"

#define JWKS_FRESH_MS (10u * 60 * 1000)
#define JWKS_AGAIN_MS (60u * 1000)
/* After a failure, when there are no keys at all. */
#define JWKS_RETRY_MS 2000

struct jwks;

/*
 * source: a path, http:// or https://; ca_file: see fetch_new(). Both borrowed. on_read is called after each
 * reading, whether it brought keys or not.
 */
struct jwks *jwks_new(struct event_base *base, const char *source,
    const char *ca_file, void (*on_read)(void *arg), void *arg) MUST_CHECK;
void jwks_free(struct jwks *j);
/* Reads again when it is time; a few times a second. */
void jwks_tick(struct jwks *j);

/* NULL: none read yet. Valid until the next reading. */
const struct jwt_keys *jwks_keys(const struct jwks *j);
/*
 * A token names a key that is not there. True: the set is being read, so
 * ask again when on_read is called; false: the key does not exist.
 */
bool jwks_miss(struct jwks *j);

#endif
