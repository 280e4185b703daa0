/*
 * Who sends a request: a JWT's subject, an API key, or an anonymous client.
 *
 * A principal is worked out anew from every request. Its user hash is what the
 * rest of the system knows of it: an HMAC under a server secret of the fields
 * that name the user, each with its length before it, never of token bytes, so
 * that a refreshed token is the same user.
 */
#ifndef MCP_PRINCIPAL_H
#define MCP_PRINCIPAL_H

#include "common/compiler.h"
#include "common/ident.h"

enum principal_kind {
	PRINCIPAL_ANONYMOUS,   /* client address and User-Agent */
	PRINCIPAL_API_KEY,     /* the key's id */
	PRINCIPAL_JWT          /* issuer and subject */
};

#define FINGERPRINT_LEN 32

struct principal {
	enum principal_kind kind;
	char user_hash[SHA256_HEX_LEN + 1];
	/*
	 * Digest of client address and User-Agent: tells apart clients of one
	 * user that look different. Never proof of anything by itself.
	 */
	char fingerprint[FINGERPRINT_LEN + 1];
};

#endif
