/*
 * One JSON Web Key (RFC 7517, RFC 7518, section 6): a public key out of its
 * numbers.
 */
#ifndef MCP_JWK_H
#define MCP_JWK_H

#include <cjson/cJSON.h>
#include <openssl/evp.h>

#include "common/compiler.h"

/*
 * An RSA key, or an EC key on P-256, P-384 or P-521; NULL when it is of another
 * kind or malformed. The caller frees it.
 */
EVP_PKEY *jwk_public_key(const cJSON *jwk) MUST_CHECK;
/* A member that is a text; NULL when there is none. Borrowed. */
const char *jwk_text(const cJSON *jwk, const char *name);

#endif
