/*
 * Keys that verify JSON Web Tokens: {kid, algorithm, key}, from a shared secret,
 * a PEM text or a JWK set (RFC 7517).
 *
 * A key knows which algorithms it is for, and no token can make it serve
 * another: a public key never verifies an HMAC, a secret nothing but HS256.
 */
#ifndef MCP_JWT_KEY_H
#define MCP_JWT_KEY_H

#include "common/compiler.h"

enum jwt_alg {
	JWT_HS256,
	JWT_RS256,
	JWT_RS384,
	JWT_RS512,
	JWT_ES256,
	JWT_ES384,
	JWT_ES512,
	JWT_ALGS   /* none of them */
};

/* The algorithm of that name (RFC 7518, section 3.1), or JWT_ALGS. */
enum jwt_alg jwt_alg_of(struct slice name);

/* Keys of one source, in its order. */
struct jwt_keys;

struct jwt_keys *jwt_keys_new(void) MUST_CHECK;
void jwt_keys_free(struct jwt_keys *keys);
size_t jwt_keys_count(const struct jwt_keys *keys);

/*
 * Each adds keys; on failure returns false, adds none and points *reason at a
 * static text.
 */
bool jwt_keys_add_secret(struct jwt_keys *keys, struct slice secret,
    const char **reason) MUST_CHECK;
/* A public key: RSA of 2048 bits or more, or EC on P-256, P-384, P-521. */
bool jwt_keys_add_pem(struct jwt_keys *keys, struct slice pem,
    const char **reason) MUST_CHECK;
/* Keys of a set that are not for signatures, or of other kinds, are skipped. */
bool jwt_keys_add_jwks(struct jwt_keys *keys, struct slice json,
    const char **reason) MUST_CHECK;

enum jwt_signature {
	JWT_SIGNATURE_GOOD,
	JWT_SIGNATURE_BAD,
	JWT_SIGNATURE_NO_KEY   /* none of that kid for that algorithm */
};

/*
 * Verifies signature over data by the key of that kid. A key that has no kid
 * (secret, PEM) takes any; a key that has one takes exactly that one.
 */
enum jwt_signature jwt_keys_verify(const struct jwt_keys *keys,
    enum jwt_alg alg, struct slice kid, struct slice data,
    struct slice signature);

#endif
