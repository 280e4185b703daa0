/* Tokens: what is believed, and every known way to cheat. */
#include "proxy/jwt.h"

#include <check.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/ident.h"
#include "proxy/base64url.h"
#include "tests/unit/support/suite.h"
#include "tests/unit/support/token.h"

#define NOW 1800000000u
#define SECRET "0123456789abcdef0123456789abcdef"
#define ISSUER "https://issuer.example"
#define AUDIENCE "https://mcp.example"
#define GOOD_CLAIMS "\"iss\":\"" ISSUER "\",\"sub\":\"alice\",\"aud\":\"" \
	AUDIENCE "\",\"exp\":1800000300"

static EVP_PKEY *rsa, *ec, *other_rsa;
static char rsa_pem[2048], ec_pem[2048];
static const struct jwt_rules rules = { ISSUER, AUDIENCE, "*" };

/* Making tokens ------------------------------------------------------------- */

/* ECDSA: from OpenSSL's DER to the r and s of a JWS. */
static size_t
raw_ecdsa(unsigned char *sig, size_t n)
{
	const unsigned char *p = sig;
	ECDSA_SIG *parsed = d2i_ECDSA_SIG(NULL, &p, (long)n);

	BN_bn2binpad(ECDSA_SIG_get0_r(parsed), sig, 32);
	BN_bn2binpad(ECDSA_SIG_get0_s(parsed), sig + 32, 32);
	ECDSA_SIG_free(parsed);
	return 64;
}

static void
sign_key(struct strbuf *token, EVP_PKEY *key)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char sig[1024];
	size_t n = sizeof(sig);

	ck_assert_int_eq(EVP_DigestSignInit_ex(ctx, NULL, "SHA256", NULL, NULL,
			     key, NULL), 1);
	ck_assert_int_eq(EVP_DigestSign(ctx, sig, &n,
			     (const unsigned char *)token->p, token->n), 1);
	EVP_MD_CTX_free(ctx);
	if (EVP_PKEY_is_a(key, "EC"))
		n = raw_ecdsa(sig, n);
	strbuf_add_char(token, '.');
	to_base64url(token, sig, n);
}

static struct strbuf
hs_token(const char *header, const char *claims)
{
	struct strbuf token = unsigned_token(header, claims);

	sign_hmac(&token, SECRET);
	return token;
}

static struct strbuf
key_token(EVP_PKEY *key, const char *header, const char *claims)
{
	struct strbuf token = unsigned_token(header, claims);

	sign_key(&token, key);
	return token;
}

/* Keys ---------------------------------------------------------------------- */

static void
public_pem(EVP_PKEY *key, char *out, size_t size)
{
	BIO *bio = BIO_new(BIO_s_mem());
	int n;

	ck_assert_int_eq(PEM_write_bio_PUBKEY(bio, key), 1);
	n = BIO_read(bio, out, (int)size - 1);
	ck_assert_int_gt(n, 0);
	out[n] = '\0';
	BIO_free(bio);
}

static void
add_number(struct strbuf *json, EVP_PKEY *key, const char *member,
    const char *param)
{
	unsigned char bytes[1024];
	BIGNUM *number = NULL;
	int n;

	ck_assert_int_eq(EVP_PKEY_get_bn_param(key, param, &number), 1);
	n = EVP_PKEY_is_a(key, "EC") ? BN_bn2binpad(number, bytes, 32) :
				       BN_bn2bin(number, bytes);
	strbuf_addf(json, ",\"%s\":\"", member);
	to_base64url(json, bytes, (size_t)n);
	strbuf_add_char(json, '"');
	BN_free(number);
}

/* {"keys":[RSA of kid "r", EC of kid "e"]}; more: further members. */
static struct strbuf
jwks(const char *more)
{
	struct strbuf json = STRBUF_INIT(65536);

	strbuf_addf(&json, "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\"},"
	    "{\"kty\":\"RSA\",\"kid\":\"r\"%s", more);
	add_number(&json, rsa, "n", OSSL_PKEY_PARAM_RSA_N);
	add_number(&json, rsa, "e", OSSL_PKEY_PARAM_RSA_E);
	strbuf_addf(&json, "},{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"e\"%s",
	    more);
	add_number(&json, ec, "x", OSSL_PKEY_PARAM_EC_PUB_X);
	add_number(&json, ec, "y", OSSL_PKEY_PARAM_EC_PUB_Y);
	strbuf_add_str(&json, "}]}");
	return json;
}

enum source { SECRET_KEY = 1, RSA_PEM = 2, EC_PEM = 4, JWKS = 8 };

static struct jwt_keys *
keys_of(unsigned sources)
{
	struct jwt_keys *keys = jwt_keys_new();
	const char *reason = NULL;

	if (sources & SECRET_KEY)
		ck_assert(jwt_keys_add_secret(keys, SLICE(SECRET), &reason));
	if (sources & RSA_PEM)
		ck_assert(jwt_keys_add_pem(keys, slice_str(rsa_pem), &reason));
	if (sources & EC_PEM)
		ck_assert(jwt_keys_add_pem(keys, slice_str(ec_pem), &reason));
	if (sources & JWKS) {
		struct strbuf json = jwks("");
		size_t before = jwt_keys_count(keys);

		ck_assert(jwt_keys_add_jwks(keys, strbuf_slice(&json),
		    &reason));
		ck_assert_uint_eq(jwt_keys_count(keys), before + 2);
		strbuf_release(&json);
	}
	return keys;
}

static void
setup_keys(void)
{
	rsa = EVP_RSA_gen(2048);
	other_rsa = EVP_RSA_gen(2048);
	ec = EVP_EC_gen("P-256");
	public_pem(rsa, rsa_pem, sizeof(rsa_pem));
	public_pem(ec, ec_pem, sizeof(ec_pem));
}

static void
free_keys(void)
{
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(other_rsa);
	EVP_PKEY_free(ec);
}

/* Verifies and releases the token; with claims when the caller wants them. */
static enum jwt_result
verify_with(unsigned sources, struct strbuf token,
    const struct jwt_rules *with, struct jwt_claims *claims)
{
	struct jwt_keys *keys = keys_of(sources);
	const struct jwt_keys *sets[] = { NULL, keys };
	struct jwt_claims own;
	enum jwt_result result;

	jwt_claims_init(&own);
	ck_assert(strbuf_ok(&token));
	result = jwt_verify(strbuf_slice(&token), sets, ARRAY_LEN(sets), with,
	    NOW, claims != NULL ? claims : &own);
	jwt_claims_release(&own);
	jwt_keys_free(keys);
	strbuf_release(&token);
	return result;
}

static enum jwt_result
verify(unsigned sources, struct strbuf token)
{
	return verify_with(sources, token, &rules, NULL);
}

/* Good tokens ----------------------------------------------------------------- */

START_TEST(test_algorithms)
{
	ck_assert_int_eq(verify(SECRET_KEY, hs_token("\"alg\":\"HS256\"",
	    GOOD_CLAIMS)), JWT_GOOD);
	ck_assert_int_eq(verify(RSA_PEM, key_token(rsa, "\"alg\":\"RS256\"",
	    GOOD_CLAIMS)), JWT_GOOD);
	ck_assert_int_eq(verify(EC_PEM, key_token(ec, "\"alg\":\"ES256\"",
	    GOOD_CLAIMS)), JWT_GOOD);
	/* Side by side. */
	ck_assert_int_eq(verify(SECRET_KEY | RSA_PEM | EC_PEM | JWKS,
	    key_token(ec, "\"alg\":\"ES256\"", GOOD_CLAIMS)), JWT_GOOD);
}
END_TEST

START_TEST(test_jwks)
{
	ck_assert_int_eq(verify(JWKS, key_token(rsa,
	    "\"alg\":\"RS256\",\"kid\":\"r\"", GOOD_CLAIMS)), JWT_GOOD);
	ck_assert_int_eq(verify(JWKS, key_token(ec,
	    "\"alg\":\"ES256\",\"kid\":\"e\"", GOOD_CLAIMS)), JWT_GOOD);
	/* The kid of another key, one that nobody has, or none. */
	ck_assert_int_eq(verify(JWKS, key_token(rsa,
	    "\"alg\":\"RS256\",\"kid\":\"e\"", GOOD_CLAIMS)), JWT_UNKNOWN_KEY);
	ck_assert_int_eq(verify(JWKS, key_token(rsa,
	    "\"alg\":\"RS256\",\"kid\":\"x\"", GOOD_CLAIMS)), JWT_UNKNOWN_KEY);
	ck_assert_int_eq(verify(JWKS, key_token(rsa, "\"alg\":\"RS256\"",
	    GOOD_CLAIMS)), JWT_UNKNOWN_KEY);
}
END_TEST

/* use and alg of a JWK narrow what it is for. */
START_TEST(test_jwks_members)
{
	struct jwt_keys *keys = jwt_keys_new();
	const char *reason = NULL;
	struct strbuf json = jwks(",\"use\":\"enc\"");

	ck_assert(!jwt_keys_add_jwks(keys, strbuf_slice(&json), &reason));
	strbuf_release(&json);
	json = jwks(",\"alg\":\"RS384\"");
	ck_assert(jwt_keys_add_jwks(keys, strbuf_slice(&json), &reason));
	ck_assert_uint_eq(jwt_keys_count(keys), 1);
	ck_assert_int_eq(jwt_keys_verify(keys, JWT_RS256, SLICE("r"),
	    SLICE("x"), SLICE("y")), JWT_SIGNATURE_NO_KEY);
	strbuf_release(&json);
	ck_assert(!jwt_keys_add_jwks(keys, SLICE("{\"keys\":7}"), &reason));
	ck_assert(!jwt_keys_add_jwks(keys, SLICE("not json"), &reason));
	jwt_keys_free(keys);
}
END_TEST

START_TEST(test_claims)
{
	struct jwt_claims claims;

	jwt_claims_init(&claims);
	ck_assert_int_eq(verify_with(SECRET_KEY, hs_token("\"alg\":\"HS256\"",
	    GOOD_CLAIMS ",\"scope\":\"calculator openid\""), &rules, &claims),
	    JWT_GOOD);
	ck_assert_str_eq(strbuf_str(&claims.issuer), ISSUER);
	ck_assert_str_eq(strbuf_str(&claims.subject), "alice");
	ck_assert_str_eq(strbuf_str(&claims.scopes), "calculator openid ");
	ck_assert_uint_eq(claims.expires_s, NOW + 300);
	jwt_claims_release(&claims);

	jwt_claims_init(&claims);
	ck_assert_int_eq(verify_with(SECRET_KEY, hs_token("\"alg\":\"HS256\"",
	    GOOD_CLAIMS ",\"scopes\":[\"a\",7,\"b:c\"]"), &rules, &claims),
	    JWT_GOOD);
	ck_assert_str_eq(strbuf_str(&claims.scopes), "a b:c ");
	jwt_claims_release(&claims);

	/* No claim: what the operator says. An empty one: nothing. */
	jwt_claims_init(&claims);
	ck_assert_int_eq(verify_with(SECRET_KEY, hs_token("\"alg\":\"HS256\"",
	    GOOD_CLAIMS), &rules, &claims), JWT_GOOD);
	ck_assert_str_eq(strbuf_str(&claims.scopes), "*");
	jwt_claims_release(&claims);
	jwt_claims_init(&claims);
	ck_assert_int_eq(verify_with(SECRET_KEY, hs_token("\"alg\":\"HS256\"",
	    GOOD_CLAIMS ",\"scope\":\"\""), &rules, &claims), JWT_GOOD);
	ck_assert_str_eq(strbuf_str(&claims.scopes), " ");
	jwt_claims_release(&claims);
}
END_TEST

/* Claims that decide ------------------------------------------------------------ */

#define WITHOUT_EXP "\"iss\":\"" ISSUER "\",\"sub\":\"a\",\"aud\":\"" AUDIENCE "\""
#define EXP ",\"exp\":1800000300"

static const struct {
	const char *claims;
	enum jwt_result want;
} claim_rows[] = {
	{ WITHOUT_EXP, JWT_EXPIRED },
	{ WITHOUT_EXP ",\"exp\":1799999939", JWT_EXPIRED },
	{ WITHOUT_EXP ",\"exp\":1799999940", JWT_EXPIRED },
	/* Within the 60 s that clocks may be apart. */
	{ WITHOUT_EXP ",\"exp\":1799999941", JWT_GOOD },
	{ WITHOUT_EXP ",\"exp\":1800000000.5", JWT_GOOD },
	{ WITHOUT_EXP ",\"exp\":\"1800000300\"", JWT_EXPIRED },
	{ WITHOUT_EXP ",\"exp\":1e300", JWT_EXPIRED },
	{ WITHOUT_EXP ",\"exp\":-1", JWT_EXPIRED },
	{ WITHOUT_EXP ",\"exp\":null", JWT_EXPIRED },
	{ WITHOUT_EXP EXP ",\"nbf\":1800000060", JWT_GOOD },
	{ WITHOUT_EXP EXP ",\"nbf\":1800000061", JWT_NOT_YET },
	{ WITHOUT_EXP EXP ",\"nbf\":\"0\"", JWT_NOT_YET },
	{ "\"sub\":\"a\",\"aud\":\"" AUDIENCE "\"" EXP, JWT_BAD_ISSUER },
	{ "\"iss\":\"" ISSUER "/\",\"sub\":\"a\",\"aud\":\"" AUDIENCE "\"" EXP,
	    JWT_BAD_ISSUER },
	{ "\"iss\":[\"" ISSUER "\"],\"sub\":\"a\",\"aud\":\"" AUDIENCE "\"" EXP,
	    JWT_BAD_ISSUER },
	{ "\"iss\":\"" ISSUER "\",\"sub\":\"a\"" EXP, JWT_BAD_AUDIENCE },
	{ "\"iss\":\"" ISSUER "\",\"sub\":\"a\",\"aud\":\"x\"" EXP,
	    JWT_BAD_AUDIENCE },
	{ "\"iss\":\"" ISSUER "\",\"sub\":\"a\",\"aud\":\"\"" EXP,
	    JWT_BAD_AUDIENCE },
	{ "\"iss\":\"" ISSUER "\",\"sub\":\"a\",\"aud\":[\"x\",\"y\"]" EXP,
	    JWT_BAD_AUDIENCE },
	{ "\"iss\":\"" ISSUER "\",\"sub\":\"a\",\"aud\":[\"x\",\"" AUDIENCE
	  "\"]" EXP, JWT_GOOD },
	{ "\"iss\":\"" ISSUER "\",\"sub\":\"a\",\"aud\":{\"x\":\"" AUDIENCE
	  "\"}" EXP, JWT_BAD_AUDIENCE },
	{ "\"iss\":\"" ISSUER "\",\"aud\":\"" AUDIENCE "\"" EXP,
	    JWT_NO_SUBJECT },
	{ "\"iss\":\"" ISSUER "\",\"sub\":7,\"aud\":\"" AUDIENCE "\"" EXP,
	    JWT_NO_SUBJECT },
	/* alice by cutting off what follows the NUL, or by saying it twice. */
	{ "\"iss\":\"" ISSUER "\",\"sub\":\"alice\\u0000x\",\"aud\":\"" AUDIENCE
	  "\"" EXP, JWT_BAD_FORM },
	{ GOOD_CLAIMS ",\"sub\":\"bob\"", JWT_BAD_FORM },
};

START_TEST(test_claims_decide)
{
	ck_assert_int_eq(verify(SECRET_KEY, hs_token("\"alg\":\"HS256\"",
	    claim_rows[_i].claims)), claim_rows[_i].want);
}
END_TEST

START_TEST(test_rules_may_be_open)
{
	struct jwt_rules open = { NULL, NULL, NULL };
	struct jwt_rules several = { ISSUER, "a, " AUDIENCE " c", NULL };

	ck_assert_int_eq(verify_with(SECRET_KEY, hs_token("\"alg\":\"HS256\"",
	    "\"sub\":\"a\"" EXP), &open, NULL), JWT_GOOD);
	ck_assert_int_eq(verify_with(SECRET_KEY, hs_token("\"alg\":\"HS256\"",
	    GOOD_CLAIMS), &several, NULL), JWT_GOOD);
}
END_TEST

/* Attacks ------------------------------------------------------------------------- */

START_TEST(test_alg_none)
{
	static const char *const names[] = { "none", "None", "NONE", "" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char header[64];
		struct strbuf token;

		snprintf(header, sizeof(header), "\"alg\":\"%s\"", names[i]);
		token = unsigned_token(header, GOOD_CLAIMS);
		strbuf_add_char(&token, '.');
		ck_assert_int_eq(verify(SECRET_KEY | RSA_PEM, token),
		    JWT_BAD_ALGORITHM);
		ck_assert_int_eq(verify(SECRET_KEY | RSA_PEM,
		    hs_token(header, GOOD_CLAIMS)), JWT_BAD_ALGORITHM);
	}
	/* Nor a signature that is not there. */
	struct strbuf bare = unsigned_token("\"alg\":\"HS256\"", GOOD_CLAIMS);

	strbuf_add_char(&bare, '.');
	ck_assert_int_eq(verify(SECRET_KEY, bare), JWT_BAD_FORM);
}
END_TEST

/* The public key is no secret: with it as HMAC key anybody could sign. */
START_TEST(test_hmac_with_the_public_pem)
{
	struct strbuf token = unsigned_token("\"alg\":\"HS256\"", GOOD_CLAIMS);

	sign_hmac(&token, rsa_pem);
	ck_assert_int_eq(verify(RSA_PEM | JWKS, token), JWT_UNKNOWN_KEY);
	token = unsigned_token("\"alg\":\"HS256\"", GOOD_CLAIMS);
	sign_hmac(&token, rsa_pem);
	ck_assert_int_eq(verify(SECRET_KEY | RSA_PEM, token),
	    JWT_BAD_SIGNATURE);
}
END_TEST

START_TEST(test_a_pem_is_no_secret)
{
	struct jwt_keys *keys = jwt_keys_new();
	const char *reason = NULL;

	ck_assert(!jwt_keys_add_secret(keys, slice_str(rsa_pem), &reason));
	ck_assert(!jwt_keys_add_secret(keys, SLICE("short"), &reason));
	ck_assert(!jwt_keys_add_pem(keys, SLICE("no pem"), &reason));
	ck_assert_uint_eq(jwt_keys_count(keys), 0);
	jwt_keys_free(keys);
}
END_TEST

START_TEST(test_weak_keys_are_refused)
{
	EVP_PKEY *weak = EVP_RSA_gen(1024), *odd = EVP_EC_gen("secp256k1");
	struct jwt_keys *keys = jwt_keys_new();
	const char *reason = NULL;
	char pem[2048];

	public_pem(weak, pem, sizeof(pem));
	ck_assert(!jwt_keys_add_pem(keys, slice_str(pem), &reason));
	public_pem(odd, pem, sizeof(pem));
	ck_assert(!jwt_keys_add_pem(keys, slice_str(pem), &reason));
	jwt_keys_free(keys);
	EVP_PKEY_free(weak);
	EVP_PKEY_free(odd);
}
END_TEST

/* A kid is compared and nothing else: no path, no query, no default. */
START_TEST(test_kid_injection)
{
	static const char *const kids[] = { "../../../../dev/null", "/dev/null",
		"r' OR '1'='1", "r\\u0000", "", "R", "r ", "*",
		"https://evil.example/k" };

	for (size_t i = 0; i < ARRAY_LEN(kids); i++) {
		char header[256];
		struct strbuf token;

		snprintf(header, sizeof(header),
		    "\"alg\":\"HS256\",\"kid\":\"%s\"", kids[i]);
		token = unsigned_token(header, GOOD_CLAIMS);
		sign_hmac(&token, "");
		ck_assert_int_ne(verify(JWKS, token), JWT_GOOD);
		snprintf(header, sizeof(header),
		    "\"alg\":\"RS256\",\"kid\":\"%s\"", kids[i]);
		ck_assert_int_ne(verify(JWKS, key_token(rsa, header,
		    GOOD_CLAIMS)), JWT_GOOD);
	}
	ck_assert_int_eq(verify(SECRET_KEY, hs_token(
	    "\"alg\":\"HS256\",\"kid\":[\"r\"]", GOOD_CLAIMS)), JWT_BAD_FORM);
}
END_TEST

/* Keys that a token brings along are not looked at. */
START_TEST(test_keys_in_the_header)
{
	static const char *const headers[] = {
		"\"alg\":\"RS256\",\"jku\":\"http://127.0.0.1:1/jwks\"",
		"\"alg\":\"RS256\",\"x5u\":\"http://127.0.0.1:1/x\"",
		"\"alg\":\"RS256\",\"jwk\":{\"kty\":\"oct\",\"k\":\"AQAB\"}",
		"\"alg\":\"RS256\",\"x5c\":[\"MIIB\"]",
	};

	for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
		ck_assert_int_eq(verify(RSA_PEM, key_token(other_rsa,
		    headers[i], GOOD_CLAIMS)), JWT_BAD_SIGNATURE);
		/* Ignored, not refused: issuers do send them. */
		ck_assert_int_eq(verify(RSA_PEM, key_token(rsa, headers[i],
		    GOOD_CLAIMS)), JWT_GOOD);
	}
}
END_TEST

START_TEST(test_crit_is_refused)
{
	ck_assert_int_eq(verify(SECRET_KEY, hs_token(
	    "\"alg\":\"HS256\",\"crit\":[\"b64\"],\"b64\":false",
	    GOOD_CLAIMS)), JWT_BAD_FORM);
}
END_TEST

START_TEST(test_header_members_twice)
{
	ck_assert_int_eq(verify(SECRET_KEY, hs_token(
	    "\"alg\":\"HS256\",\"alg\":\"none\"", GOOD_CLAIMS)), JWT_BAD_FORM);
}
END_TEST

START_TEST(test_oversized)
{
	char padding[JWT_MAX];
	struct strbuf claims = STRBUF_INIT(65536), token;

	memset(padding, 'a', sizeof(padding) - 1);
	padding[sizeof(padding) - 1] = '\0';
	strbuf_addf(&claims, GOOD_CLAIMS ",\"pad\":\"%s\"", padding);
	token = hs_token("\"alg\":\"HS256\"", strbuf_str(&claims));
	ck_assert_uint_gt(token.n, JWT_MAX);
	ck_assert_int_eq(verify(SECRET_KEY, token), JWT_BAD_FORM);
	strbuf_release(&claims);
}
END_TEST

/* Changing any character of a good token makes it a bad one. */
START_TEST(test_every_character_counts)
{
	struct strbuf good = hs_token("\"alg\":\"HS256\"", GOOD_CLAIMS);

	for (size_t i = 0; i < good.n; i++) {
		struct strbuf bad = STRBUF_INIT(65536);

		strbuf_add(&bad, good.p, good.n);
		bad.p[i] = bad.p[i] == 'A' ? 'B' : 'A';
		ck_assert_int_ne(verify(SECRET_KEY, bad), JWT_GOOD);
	}
	strbuf_release(&good);
}
END_TEST

START_TEST(test_forms)
{
	static const char *const texts[] = { "", ".", "..", "...", "a.b.c",
		"a", "a.b", "e30.e30.", "e30.e30.AA", "e30.e30.AA.AA.AA",
		"=.=.=", "eyJhbGciOiJIUzI1NiJ9.e30.AB",
		"eyJhbGciOiJIUzI1NiJ9 .e30.AA" };

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct strbuf token = STRBUF_INIT(1024);

		strbuf_add_str(&token, texts[i]);
		ck_assert_int_ne(verify(SECRET_KEY, token), JWT_GOOD);
	}
}
END_TEST

START_TEST(test_wrong_signers)
{
	struct strbuf token = unsigned_token("\"alg\":\"HS256\"", GOOD_CLAIMS);

	sign_hmac(&token, "another secret of at least 32 bytes");
	ck_assert_int_eq(verify(SECRET_KEY, token), JWT_BAD_SIGNATURE);
	ck_assert_int_eq(verify(RSA_PEM, key_token(other_rsa,
	    "\"alg\":\"RS256\"", GOOD_CLAIMS)), JWT_BAD_SIGNATURE);
	/* Signed with SHA-256, said to be SHA-512. */
	ck_assert_int_eq(verify(RSA_PEM, key_token(rsa, "\"alg\":\"RS512\"",
	    GOOD_CLAIMS)), JWT_BAD_SIGNATURE);
	/* ES256 wants 64 bytes, not DER and not RSA's 256. */
	ck_assert_int_eq(verify(EC_PEM, key_token(rsa, "\"alg\":\"ES256\"",
	    GOOD_CLAIMS)), JWT_BAD_SIGNATURE);
}
END_TEST

START_TEST(test_base64url)
{
	static const struct {
		const char *text;
		long want;
	} rows[] = { { "", 0 }, { "A", -1 }, { "AA", 1 }, { "AB", -1 },
		{ "AAA", 2 }, { "AAB", -1 }, { "AAAA", 3 }, { "AA==", -1 },
		{ "A+AA", -1 }, { "A/AA", -1 }, { "-_-_", 3 }, { "AA\n", -1 } };
	unsigned char out[16];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		ck_assert_int_eq(base64url_decode(out, slice_str(rows[i].text)),
		    rows[i].want);
}
END_TEST

int
main(void)
{
	TCase *tc = new_case("jwt", NULL, NULL);

	tcase_add_unchecked_fixture(tc, setup_keys, free_keys);
	tcase_add_test(tc, test_algorithms);
	tcase_add_test(tc, test_jwks);
	tcase_add_test(tc, test_jwks_members);
	tcase_add_test(tc, test_claims);
	tcase_add_loop_test(tc, test_claims_decide, 0, ARRAY_LEN(claim_rows));
	tcase_add_test(tc, test_rules_may_be_open);
	tcase_add_test(tc, test_alg_none);
	tcase_add_test(tc, test_hmac_with_the_public_pem);
	tcase_add_test(tc, test_a_pem_is_no_secret);
	tcase_add_test(tc, test_weak_keys_are_refused);
	tcase_add_test(tc, test_kid_injection);
	tcase_add_test(tc, test_keys_in_the_header);
	tcase_add_test(tc, test_crit_is_refused);
	tcase_add_test(tc, test_header_members_twice);
	tcase_add_test(tc, test_oversized);
	tcase_add_test(tc, test_every_character_counts);
	tcase_add_test(tc, test_forms);
	tcase_add_test(tc, test_wrong_signers);
	tcase_add_test(tc, test_base64url);
	return run_cases(tc);
}
