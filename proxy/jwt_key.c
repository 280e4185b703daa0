#include "proxy/jwt_key.h"

#include <cjson/cJSON.h>
#include <limits.h>
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdlib.h>

#include "common/ident.h"
#include "common/xalloc.h"
#include "proxy/jwk.h"

#define KEYS_MAX 64
/* NIST SP 800-131A; RFC 7518, section 3.3. */
#define RSA_BITS_MIN 2048
/* HS256 needs a key as long as its hash (RFC 7518, section 3.2). */
#define SECRET_MIN 32

static const struct {
	const char *name;
	const char *digest;
	int coordinate;       /* ES*: bytes of r and of s */
	const char *group;    /* ES*: the only curve for it */
} algs[JWT_ALGS] = {
	[JWT_HS256] = { "HS256", "SHA256", 0, NULL },
	[JWT_RS256] = { "RS256", "SHA256", 0, NULL },
	[JWT_RS384] = { "RS384", "SHA384", 0, NULL },
	[JWT_RS512] = { "RS512", "SHA512", 0, NULL },
	[JWT_ES256] = { "ES256", "SHA256", 32, "prime256v1" },
	[JWT_ES384] = { "ES384", "SHA384", 48, "secp384r1" },
	[JWT_ES512] = { "ES512", "SHA512", 66, "secp521r1" },
};

#define ALG_BIT(alg) (1u << (alg))
#define RSA_ALGS (ALG_BIT(JWT_RS256) | ALG_BIT(JWT_RS384) | ALG_BIT(JWT_RS512))

struct key {
	char *kid;            /* NULL: takes any */
	unsigned algs;        /* bits: those it may verify */
	EVP_PKEY *public;     /* NULL: the secret counts */
	char *secret;
	size_t secret_len;
};

struct jwt_keys {
	struct key keys[KEYS_MAX];
	size_t count;
};

enum jwt_alg
jwt_alg_of(struct slice name)
{
	for (unsigned i = 0; i < JWT_ALGS; i++) {
		if (slice_eq_str(name, algs[i].name))
			return (enum jwt_alg)i;
	}
	return JWT_ALGS;
}

/* Keys -------------------------------------------------------------------------- */

struct jwt_keys *
jwt_keys_new(void)
{
	return xcalloc(1, sizeof(struct jwt_keys));
}

static void
release(struct key *k)
{
	free(k->kid);
	EVP_PKEY_free(k->public);
	if (k->secret != NULL)
		OPENSSL_cleanse(k->secret, k->secret_len);
	free(k->secret);
}

void
jwt_keys_free(struct jwt_keys *keys)
{
	if (keys == NULL)
		return;
	for (size_t i = 0; i < keys->count; i++)
		release(&keys->keys[i]);
	free(keys);
}

size_t
jwt_keys_count(const struct jwt_keys *keys)
{
	return keys->count;
}

bool
jwt_keys_add_secret(struct jwt_keys *keys, struct slice secret,
    const char **reason)
{
	if (secret.n < SECRET_MIN)
		*reason = "is shorter than 32 bytes";
	else if (memmem(secret.p, secret.n, "-----BEGIN", 10) != NULL)
		*reason = "is a PEM text: that belongs into JWT_PUBLIC_KEY";
	else if (keys->count == KEYS_MAX)
		*reason = "is one key too many";
	else {
		keys->keys[keys->count++] = (struct key){
			.algs = ALG_BIT(JWT_HS256),
			.secret = xstrdup_slice(secret),
			.secret_len = secret.n,
		};
		return true;
	}
	return false;
}

static unsigned
ec_algs(EVP_PKEY *public)
{
	char group[64];
	size_t n;

	if (EVP_PKEY_get_group_name(public, group, sizeof(group), &n) != 1)
		return 0;
	for (unsigned i = JWT_ES256; i < JWT_ALGS; i++) {
		if (strcmp(group, algs[i].group) == 0)
			return ALG_BIT(i);
	}
	return 0;
}

/* What a key may verify, by its kind; 0 for one that is not to be used. */
static unsigned
algs_for(EVP_PKEY *public)
{
	if (EVP_PKEY_is_a(public, "RSA"))
		return EVP_PKEY_get_bits(public) >= RSA_BITS_MIN ? RSA_ALGS : 0;
	return EVP_PKEY_is_a(public, "EC") ? ec_algs(public) : 0;
}

/* Takes the key over; false when it is of no use. */
static bool
add_public(struct jwt_keys *keys, EVP_PKEY *take_public, const char *kid,
    unsigned allowed)
{
	unsigned usable = algs_for(take_public) & allowed;

	if (usable == 0 || keys->count == KEYS_MAX) {
		EVP_PKEY_free(take_public);
		return false;
	}
	keys->keys[keys->count++] = (struct key){
		.kid = kid != NULL ? xstrdup(kid) : NULL,
		.algs = usable,
		.public = take_public,
	};
	return true;
}

bool
jwt_keys_add_pem(struct jwt_keys *keys, struct slice pem, const char **reason)
{
	BIO *bio = pem.n <= INT_MAX ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
	EVP_PKEY *public = bio == NULL ? NULL :
				PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);

	BIO_free(bio);
	if (public == NULL) {
		*reason = "holds no public key (PEM, BEGIN PUBLIC KEY)";
		return false;
	}
	if (!add_public(keys, public, NULL, ~0u)) {
		*reason = "is neither RSA of 2048 bits or more nor EC on P-256, "
			  "P-384 or P-521";
		return false;
	}
	return true;
}

/* JWK sets ------------------------------------------------------------------------ */

static void
add_jwk(struct jwt_keys *keys, const cJSON *jwk)
{
	const char *use = jwk_text(jwk, "use");
	const char *alg = jwk_text(jwk, "alg");
	unsigned allowed = ~0u;
	EVP_PKEY *public;

	if (use != NULL && strcmp(use, "sig") != 0)
		return;
	if (alg != NULL) {
		enum jwt_alg only = jwt_alg_of(slice_str(alg));

		allowed = only == JWT_ALGS ? 0 : ALG_BIT(only);
	}
	public = jwk_public_key(jwk);
	if (public != NULL)
		(void)add_public(keys, public, jwk_text(jwk, "kid"), allowed);
}

bool
jwt_keys_add_jwks(struct jwt_keys *keys, struct slice json, const char **reason)
{
	cJSON *root = cJSON_ParseWithLength(json.p, json.n);
	const cJSON *set = cJSON_GetObjectItemCaseSensitive(root, "keys");
	size_t before = keys->count;
	const cJSON *jwk;

	*reason = "is no JWK set";
	if (cJSON_IsArray(set)) {
		*reason = "holds no key for RS256 to ES512";
		cJSON_ArrayForEach(jwk, set) {
			add_jwk(keys, jwk);
		}
	}
	cJSON_Delete(root);
	return keys->count > before;
}

/* Verifying ------------------------------------------------------------------------ */

static bool
verify_hmac(const struct key *k, struct slice data, struct slice signature)
{
	unsigned char mac[SHA256_LEN];

	ident_hmac_sha256(mac, slice_of(k->secret, k->secret_len), data);
	return signature.n == sizeof(mac) &&
	    CRYPTO_memcmp(mac, signature.p, sizeof(mac)) == 0;
}

static bool
verify_digest(EVP_PKEY *public, const char *digest, struct slice data,
    const unsigned char *signature, size_t n)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool good = ctx != NULL &&
	    EVP_DigestVerifyInit_ex(ctx, NULL, digest, NULL, NULL, public,
		NULL) == 1 &&
	    EVP_DigestVerify(ctx, signature, n, (const unsigned char *)data.p,
		data.n) == 1;

	EVP_MD_CTX_free(ctx);
	return good;
}

/* A JWS has r and s side by side; OpenSSL wants them in DER. */
static bool
verify_ecdsa(EVP_PKEY *public, enum jwt_alg alg, struct slice data,
    struct slice signature)
{
	const unsigned char *raw = (const unsigned char *)signature.p;
	int size = algs[alg].coordinate;
	ECDSA_SIG *sig;
	BIGNUM *r, *s;
	unsigned char *der = NULL;
	bool good = false;
	int n = 0;

	if (signature.n != 2 * (size_t)size)
		return false;
	sig = ECDSA_SIG_new();
	r = BN_bin2bn(raw, size, NULL);
	s = BN_bin2bn(raw + size, size, NULL);
	if (sig != NULL && ECDSA_SIG_set0(sig, r, s) == 1) {
		n = i2d_ECDSA_SIG(sig, &der);
	} else {
		BN_free(r);
		BN_free(s);
	}
	if (n > 0)
		good = verify_digest(public, algs[alg].digest, data, der,
		    (size_t)n);
	OPENSSL_free(der);
	ECDSA_SIG_free(sig);
	return good;
}

static bool
verify(const struct key *k, enum jwt_alg alg, struct slice data,
    struct slice signature)
{
	if (k->public == NULL)
		return verify_hmac(k, data, signature);
	if (algs[alg].coordinate > 0)
		return verify_ecdsa(k->public, alg, data, signature);
	return verify_digest(k->public, algs[alg].digest, data,
	    (const unsigned char *)signature.p, signature.n);
}

enum jwt_signature
jwt_keys_verify(const struct jwt_keys *keys, enum jwt_alg alg, struct slice kid,
    struct slice data, struct slice signature)
{
	enum jwt_signature result = JWT_SIGNATURE_NO_KEY;

	for (size_t i = 0; i < keys->count; i++) {
		const struct key *k = &keys->keys[i];

		if ((k->algs & ALG_BIT(alg)) == 0 ||
		    (k->kid != NULL && !slice_eq_str(kid, k->kid)))
			continue;
		if (verify(k, alg, data, signature))
			return JWT_SIGNATURE_GOOD;
		result = JWT_SIGNATURE_BAD;
	}
	return result;
}
