/*
 * One JSON Web Token: is it signed by a key of ours, is it for us, is it still
 * good (RFC 7515, RFC 7519, RFC 8725)?
 *
 * The signature is verified before a claim is looked at. Keys come from the
 * configuration alone: jku, x5u, jwk and the like in a header are ignored, crit
 * is refused, and the header's alg only chooses among what the key is for.
 */
#ifndef MCP_JWT_H
#define MCP_JWT_H

#include "common/strbuf.h"
#include "proxy/jwt_key.h"

#define JWT_MAX 8192          /* bytes of a token that is looked at */
#define JWT_SKEW_S 60         /* how far clocks may be apart */

struct jwt_rules {
	const char *issuer;       /* iss must be it; NULL: any */
	const char *audience;     /* one of aud must be among these words;
				   * NULL: any */
	const char *default_scopes; /* of a token without a scope claim */
};

enum jwt_result {
	JWT_GOOD,
	JWT_BAD_FORM,
	JWT_BAD_ALGORITHM,   /* none, or one that no key is for */
	JWT_UNKNOWN_KEY,     /* no key of that kid (yet) */
	JWT_BAD_SIGNATURE,
	JWT_EXPIRED,         /* or without exp */
	JWT_NOT_YET,
	JWT_BAD_ISSUER,
	JWT_BAD_AUDIENCE,
	JWT_NO_SUBJECT
};

/* A word for logs. */
const char *jwt_result_name(enum jwt_result result);

struct jwt_claims {
	struct strbuf issuer;     /* empty when there is none */
	struct strbuf subject;
	struct strbuf scopes;     /* separated by blanks */
	uint64_t expires_s;       /* exp */
};

void jwt_claims_init(struct jwt_claims *claims);
void jwt_claims_release(struct jwt_claims *claims);

/*
 * sets: the keys, count sets of them (NULL ones are skipped). now_s: wall clock.
 * Fills claims only with JWT_GOOD.
 */
enum jwt_result jwt_verify(struct slice token,
    const struct jwt_keys *const *sets, size_t count,
    const struct jwt_rules *rules, uint64_t now_s,
    struct jwt_claims *claims) MUST_CHECK;

#endif
