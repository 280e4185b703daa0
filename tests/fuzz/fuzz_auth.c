/*
 * What a stranger may send to be let in. The first byte chooses:
 *
 *	h  fields of a request: credentials, addresses, hosts, tokens
 *	t  a header and claims, a line each, which are signed here: what stands
 *	   behind a good signature is foreign, too
 *	k  a JWK set
 *
 * A token is good only with a signature that an HMAC made here confirms.
 */
#include <stdlib.h>

#include "common/api_key.h"
#include "proxy/allow.h"
#include "proxy/caller.h"
#include "proxy/credential.h"
#include "proxy/jwt.h"
#include "proxy/resource.h"
#include "tests/fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SECRET "0123456789abcdef0123456789abcdef"
#define NOW 1800000000u
#define INPUT_MAX 16000

static const char ec_pem[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEMKBCTNIcKUSDii11ySs3526iDZ8A\n"
    "iTo7Tu6KPAqv7D7gS2XpJFbZiItSs3m9+9Ue6GnvHw/GW2ZZaVtszggXIw==\n"
    "-----END PUBLIC KEY-----\n";

static struct jwt_keys *
keys(void)
{
	static struct jwt_keys *made;
	const char *reason = NULL;

	if (made == NULL) {
		made = jwt_keys_new();
		MUST(jwt_keys_add_secret(made, SLICE(SECRET), &reason));
		MUST(jwt_keys_add_pem(made, slice_str(ec_pem), &reason));
	}
	return made;
}

static void
add_base64url(struct strbuf *out, const unsigned char *p, size_t n)
{
	static const char alphabet[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	uint32_t held = 0;
	unsigned bits = 0;

	for (size_t i = 0; i < n; i++) {
		held = held << 8 | p[i];
		for (bits += 8; bits >= 6; bits -= 6)
			strbuf_add_char(out, alphabet[held >> (bits - 6) & 63]);
	}
	if (bits > 0)
		strbuf_add_char(out, alphabet[held << (6 - bits) & 63]);
}

static void
add_signature(struct strbuf *token)
{
	unsigned char mac[SHA256_LEN];

	ident_hmac_sha256(mac, SLICE(SECRET), strbuf_slice(token));
	strbuf_add_char(token, '.');
	add_base64url(token, mac, sizeof(mac));
}

static void
check_good(struct slice token, const struct jwt_claims *claims)
{
	const char *dot = memrchr(token.p, '.', token.n);
	struct strbuf again = STRBUF_INIT(2 * INPUT_MAX);

	strbuf_add(&again, token.p, (size_t)(dot - token.p));
	add_signature(&again);
	MUST(slice_eq(strbuf_slice(&again), token));
	MUST(token.n <= JWT_MAX && claims->subject.n > 0);
	MUST(claims->expires_s + JWT_SKEW_S >= NOW);
	strbuf_release(&again);
}

static void
try_token(struct slice token)
{
	static const struct jwt_rules rules = { NULL, "a b", "*" };
	const struct jwt_keys *sets[] = { keys() };
	struct jwt_claims claims;

	jwt_claims_init(&claims);
	if (jwt_verify(token, sets, 1, &rules, NOW, &claims) == JWT_GOOD)
		check_good(token, &claims);
	jwt_claims_release(&claims);
}

static void
use_head(const struct http_head *head)
{
	struct in6_addr peer = IN6ADDR_LOOPBACK_INIT;
	struct credential credential;
	struct caller caller;
	struct called called;
	struct strbuf challenge = STRBUF_INIT(8192);
	struct challenge c = { .error = "e", .scope = SLICE("s") };

	for (unsigned hops = 0; hops < 4; hops++)
		caller_read(&caller, head, &peer, hops);
	MUST(caller.user_agent.n <= CALLER_AGENT_LEN);
	credential_read(&credential, head);
	if (credential.kind == CREDENTIAL_TOKEN)
		try_token(credential.value);
	if (api_key_id(credential.value).p != NULL)
		MUST(credential.value.n == API_KEY_LEN);
	(void)allow_host("a.example b:1", head->host);
	(void)allow_origin("http://a:* http://b", http_head_field(head, "origin"));
	called_read(&called, head);
	resource_challenge(&challenge, NULL, &called, &c);
	/* Nothing of the request may end the field and begin another. */
	MUST(strbuf_ok(&challenge));
	MUST(memchr(challenge.p, '\n', challenge.n) ==
	    challenge.p + challenge.n - 1);
	strbuf_release(&challenge);
}

static void
fuzz_head(const char *p, size_t n)
{
	static const struct http_limits limits = { 2 * INPUT_MAX, 2048, 1 };
	struct strbuf text = STRBUF_INIT(2 * INPUT_MAX);
	struct http_head head;
	size_t scanned = 0;
	int length;

	strbuf_add_str(&text, "GET /sse HTTP/1.1\r\nHost: a.example\r\n");
	strbuf_add(&text, p, n);
	strbuf_add_str(&text, "\r\n\r\n");
	length = http_head_length(text.p, text.n, &scanned, &limits);
	if (length > 0 &&
	    http_head_parse(text.p, (size_t)length, &limits, &head) == 0)
		use_head(&head);
	strbuf_release(&text);
}

static void
fuzz_token(const char *p, size_t n)
{
	const char *line = memchr(p, '\n', n);
	size_t header = line != NULL ? (size_t)(line - p) : n;
	struct strbuf token = STRBUF_INIT(4 * INPUT_MAX);

	add_base64url(&token, (const unsigned char *)p, header);
	strbuf_add_char(&token, '.');
	if (line != NULL)
		add_base64url(&token, (const unsigned char *)line + 1,
		    n - header - 1);
	add_signature(&token);
	try_token(strbuf_slice(&token));
	strbuf_release(&token);
}

static void
fuzz_jwks(const char *p, size_t n)
{
	struct jwt_keys *set = jwt_keys_new();
	const char *reason = NULL;

	if (!jwt_keys_add_jwks(set, slice_of(p, n), &reason))
		MUST(reason != NULL && jwt_keys_count(set) == 0);
	for (unsigned alg = 0; alg < JWT_ALGS; alg++)
		MUST(jwt_keys_verify(set, (enum jwt_alg)alg, SLICE("k"),
		    SLICE("data"), SLICE("signature")) != JWT_SIGNATURE_GOOD);
	jwt_keys_free(set);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *p = (const char *)data;

	if (size == 0 || size > INPUT_MAX)
		return 0;
	if (p[0] == 'h')
		fuzz_head(p + 1, size - 1);
	else if (p[0] == 't')
		fuzz_token(p + 1, size - 1);
	else if (p[0] == 'k')
		fuzz_jwks(p + 1, size - 1);
	return 0;
}
