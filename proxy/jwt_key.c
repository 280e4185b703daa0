#include "proxy/jwt_key.h"

#include <cjson/cJSON.h>
#include <limits.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <stdlib.h>

#include "common/ident.h"
#include "common/xalloc.h"

#define KEYS_MAX 64
/* NIST SP 800-131A; RFC 7518, section 3.3. */
#define RSA_BITS_MIN 2048
/* HS256 needs a key as long as its hash (RFC 7518, section 3.2). */
#define SECRET_MIN 32
/* The longest number in a JWK: a modulus of 16384 bits. */
#define NUMBER_MAX 2048

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

/* base64url --------------------------------------------------------------------- */

static int
sextet(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '-' ? 62 : c == '_' ? 63 : -1;
}

long
base64url_decode(unsigned char *out, struct slice text)
{
	unsigned bits = 0;
	uint32_t held = 0;
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++) {
		int value = sextet(text.p[i]);

		if (value < 0)
			return -1;
		held = held << 6 | (uint32_t)value;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			out[n++] = (unsigned char)(held >> bits);
			held &= (1u << bits) - 1;
		}
	}
	/* A lone character, or bits that another text would decode to as well. */
	if (bits >= 6 || held != 0)
		return -1;
	return (long)n;
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

static const char *
text_member(const cJSON *object, const char *name)
{
	return cJSON_GetStringValue(
	    cJSON_GetObjectItemCaseSensitive(object, name));
}

/* A base64url number of a JWK; 0 when it is missing or malformed. */
static size_t
number_member(const cJSON *jwk, const char *name,
    unsigned char out[static NUMBER_MAX])
{
	struct slice text = slice_str(text_member(jwk, name));
	long n = text.n / 4 * 3 + 3 <= NUMBER_MAX ?
	    base64url_decode(out, text) : -1;

	return n > 0 ? (size_t)n : 0;
}

static EVP_PKEY *
from_params(const char *type, OSSL_PARAM_BLD *build)
{
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *key = NULL;

	if (params == NULL || ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	return key;
}

static EVP_PKEY *
rsa_of(const cJSON *jwk)
{
	unsigned char n[NUMBER_MAX], e[NUMBER_MAX];
	size_t n_len = number_member(jwk, "n", n);
	size_t e_len = number_member(jwk, "e", e);
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	BIGNUM *modulus = BN_bin2bn(n, (int)n_len, NULL);
	BIGNUM *exponent = BN_bin2bn(e, (int)e_len, NULL);
	EVP_PKEY *key = NULL;

	if (n_len > 0 && e_len > 0 && build != NULL && modulus != NULL &&
	    exponent != NULL &&
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, modulus) &&
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, exponent))
		key = from_params("RSA", build);
	BN_free(modulus);
	BN_free(exponent);
	OSSL_PARAM_BLD_free(build);
	return key;
}

static const struct {
	const char *crv;
	enum jwt_alg alg;
} curves[] = {
	{ "P-256", JWT_ES256 },
	{ "P-384", JWT_ES384 },
	{ "P-521", JWT_ES512 },
};

static EVP_PKEY *
ec_on(const cJSON *jwk, enum jwt_alg alg)
{
	unsigned char x[NUMBER_MAX], y[NUMBER_MAX], point[1 + 2 * 66] = { 4 };
	size_t size = (size_t)algs[alg].coordinate;
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	EVP_PKEY *key = NULL;

	if (build != NULL && number_member(jwk, "x", x) == size &&
	    number_member(jwk, "y", y) == size) {
		memcpy(point + 1, x, size);
		memcpy(point + 1 + size, y, size);
		if (OSSL_PARAM_BLD_push_utf8_string(build,
			OSSL_PKEY_PARAM_GROUP_NAME, algs[alg].group, 0) &&
		    OSSL_PARAM_BLD_push_octet_string(build,
			OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * size))
			key = from_params("EC", build);
	}
	OSSL_PARAM_BLD_free(build);
	return key;
}

static EVP_PKEY *
ec_of(const cJSON *jwk)
{
	struct slice crv = slice_str(text_member(jwk, "crv"));

	for (size_t i = 0; i < ARRAY_LEN(curves); i++) {
		if (slice_eq_str(crv, curves[i].crv))
			return ec_on(jwk, curves[i].alg);
	}
	return NULL;
}

static void
add_jwk(struct jwt_keys *keys, const cJSON *jwk)
{
	struct slice kty = slice_str(text_member(jwk, "kty"));
	const char *use = text_member(jwk, "use");
	const char *alg = text_member(jwk, "alg");
	unsigned allowed = ~0u;
	EVP_PKEY *public = NULL;

	if (use != NULL && strcmp(use, "sig") != 0)
		return;
	if (alg != NULL) {
		enum jwt_alg only = jwt_alg_of(slice_str(alg));

		allowed = only == JWT_ALGS ? 0 : ALG_BIT(only);
	}
	if (slice_eq_str(kty, "RSA"))
		public = rsa_of(jwk);
	else if (slice_eq_str(kty, "EC"))
		public = ec_of(jwk);
	if (public != NULL)
		(void)add_public(keys, public, text_member(jwk, "kid"), allowed);
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
