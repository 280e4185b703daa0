/*
 * Who sends a request: a JWT's subject, an API key, or an anonymous client.
 *
 * A principal is worked out anew from every request. Its user hash is what the
 * rest of the system knows of it: an HMAC under a server secret of the fields
 * that name the user, each with its length before it, never of token bytes, so
 * that a refreshed token is the same user.
 *
 * The secret is the same for all proxies: USER_HASH_SECRET, or else what the
 * first proxy wrote into Redis. Until it is known nobody has a user hash.
 */
#ifndef MCP_PRINCIPAL_H
#define MCP_PRINCIPAL_H

#include "common/ident.h"
#include "common/redis.h"
#include "proxy/caller.h"
#include "proxy/scopes.h"

enum principal_kind {
	PRINCIPAL_ANONYMOUS,   /* client address and User-Agent */
	PRINCIPAL_API_KEY,     /* the key's id */
	PRINCIPAL_JWT          /* issuer and subject */
};

#define FINGERPRINT_LEN 32

struct user {
	unsigned char bytes[SHA256_LEN];   /* what is kept and compared */
	char hash[SHA256_HEX_LEN + 1];     /* the same in hex, for keys */
};

struct principal {
	enum principal_kind kind;
	struct user user;
	/*
	 * Digest of client address and User-Agent: tells apart clients of one
	 * user that look different. Never proof of anything by itself.
	 */
	char fingerprint[FINGERPRINT_LEN + 1];
	struct scopes *scopes;             /* borrowed; to keep: scopes_ref() */
};

/* "anonymous", "key", "jwt". */
const char *principal_kind_name(enum principal_kind kind);

/* What turns names into user hashes; one per event loop. */
struct principals;

/*
 * secret: USER_HASH_SECRET, NULL to share one through Redis. on_known is called
 * when the secret becomes known or changes. All are borrowed.
 */
struct principals *principals_new(struct redis *commands, const char *secret,
    void (*on_known)(void *arg), void *arg) MUST_CHECK;
void principals_free(struct principals *all);
/* Redis came back, or lost its data: makes sure that it holds the secret. */
void principals_on_ready(struct principals *all);
bool principals_are_known(const struct principals *all);

/*
 * The user that the fields name, of the given kind. A new secret makes new
 * users: who keeps the result forgets it when on_known is called.
 */
void principals_user(const struct principals *all, enum principal_kind kind,
    const struct slice *fields, size_t count, struct user *out);
/*
 * Sets *out to the anonymous principal of that caller. For the other kinds the
 * user and the kind are then replaced; the fingerprint is the same for all. The
 * scopes are left to the caller of this.
 * Cached: costs a comparison for a caller seen lately.
 */
void principals_anonymous(struct principals *all, const struct caller *caller,
    struct principal *out);

#endif
