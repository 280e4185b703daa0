#include "common/api_key.h"

#include <stdio.h>

#include <openssl/crypto.h>

static bool
is_word(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z')))
			return false;
	}
	return s.n > 0;
}

bool
api_key_id_ok(struct slice id)
{
	return id.n == API_KEY_ID_LEN && is_word(id);
}

void
api_key_make(char out[static API_KEY_LEN + 1])
{
	char id[IDENT_HEX_LEN + 1], secret[2][IDENT_HEX_LEN + 1];

	ident_hex(id);
	ident_hex(secret[0]);
	ident_hex(secret[1]);
	snprintf(out, API_KEY_LEN + 1, "sk-%.*s-%s%s", API_KEY_ID_LEN, id,
	    secret[0], secret[1]);
	OPENSSL_cleanse(secret, sizeof(secret));
}

struct slice
api_key_id(struct slice key)
{
	struct slice id, secret;

	if (key.n != API_KEY_LEN || memcmp(key.p, "sk-", 3) != 0 ||
	    key.p[3 + API_KEY_ID_LEN] != '-')
		return SLICE_NONE;
	id = slice_of(key.p + 3, API_KEY_ID_LEN);
	secret = slice_of(id.p + id.n + 1, API_KEY_SECRET_LEN);
	return is_word(id) && is_word(secret) ? id : SLICE_NONE;
}
