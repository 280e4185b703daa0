#include "tests/unit/support/token.h"

#include "common/ident.h"

void
to_base64url(struct strbuf *out, const void *data, size_t n)
{
	static const char alphabet[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	const unsigned char *p = data;

	for (size_t i = 0; i < n; i += 3) {
		uint32_t v = (uint32_t)p[i] << 16;

		v |= i + 1 < n ? (uint32_t)p[i + 1] << 8 : 0;
		v |= i + 2 < n ? p[i + 2] : 0;
		strbuf_add_char(out, alphabet[v >> 18]);
		strbuf_add_char(out, alphabet[v >> 12 & 63]);
		if (i + 1 < n)
			strbuf_add_char(out, alphabet[v >> 6 & 63]);
		if (i + 2 < n)
			strbuf_add_char(out, alphabet[v & 63]);
	}
}

void
sign_hmac(struct strbuf *token, const char *key)
{
	unsigned char mac[SHA256_LEN];

	ident_hmac_sha256(mac, slice_str(key), strbuf_slice(token));
	strbuf_add_char(token, '.');
	to_base64url(token, mac, sizeof(mac));
}

struct strbuf
unsigned_token(const char *header, const char *claims)
{
	struct strbuf token = STRBUF_INIT(65536);
	struct strbuf json = STRBUF_INIT(65536);

	strbuf_addf(&json, "{%s}", header);
	to_base64url(&token, json.p, json.n);
	strbuf_reset(&json);
	strbuf_addf(&json, "{%s}", claims);
	strbuf_add_char(&token, '.');
	to_base64url(&token, json.p, json.n);
	strbuf_release(&json);
	return token;
}
