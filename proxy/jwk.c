#include "proxy/jwk.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>

#include "proxy/base64url.h"

/* The longest number: a modulus of 16384 bits. */
#define NUMBER_MAX 2048
#define COORDINATE_MAX 66

const char *
jwk_text(const cJSON *jwk, const char *name)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(jwk, name));
}

/* A base64url number; 0 when it is missing or malformed. */
static size_t
number_member(const cJSON *jwk, const char *name,
    unsigned char out[static NUMBER_MAX])
{
	struct slice text = slice_str(jwk_text(jwk, name));
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

static const struct curve {
	const char *crv;
	const char *group;    /* as OpenSSL calls it */
	size_t coordinate;    /* bytes */
} curves[] = {
	{ "P-256", "prime256v1", 32 },
	{ "P-384", "secp384r1", 48 },
	{ "P-521", "secp521r1", COORDINATE_MAX },
};

static EVP_PKEY *
ec_on(const cJSON *jwk, const struct curve *curve)
{
	unsigned char x[NUMBER_MAX], y[NUMBER_MAX];
	unsigned char point[1 + 2 * COORDINATE_MAX] = { 4 };
	size_t size = curve->coordinate;
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	EVP_PKEY *key = NULL;

	if (build != NULL && number_member(jwk, "x", x) == size &&
	    number_member(jwk, "y", y) == size) {
		memcpy(point + 1, x, size);
		memcpy(point + 1 + size, y, size);
		if (OSSL_PARAM_BLD_push_utf8_string(build,
			OSSL_PKEY_PARAM_GROUP_NAME, curve->group, 0) &&
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
	struct slice crv = slice_str(jwk_text(jwk, "crv"));

	for (size_t i = 0; i < ARRAY_LEN(curves); i++) {
		if (slice_eq_str(crv, curves[i].crv))
			return ec_on(jwk, &curves[i]);
	}
	return NULL;
}

EVP_PKEY *
jwk_public_key(const cJSON *jwk)
{
	struct slice kty = slice_str(jwk_text(jwk, "kty"));

	if (slice_eq_str(kty, "RSA"))
		return rsa_of(jwk);
	return slice_eq_str(kty, "EC") ? ec_of(jwk) : NULL;
}
