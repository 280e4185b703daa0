/*
 * API keys: sk-<id>-<secret>. The id may be shown; the secret is shown once, to
 * the person whom the key is for. Only the SHA-256 of the whole key is stored.
 */
#ifndef MCP_API_KEY_H
#define MCP_API_KEY_H

#include "common/compiler.h"
#include "common/ident.h"

#define API_KEY_ID_LEN 16                       /* hex: 64 bits */
#define API_KEY_SECRET_LEN (2 * IDENT_HEX_LEN)  /* hex: 256 bits */
#define API_KEY_LEN (3 + API_KEY_ID_LEN + 1 + API_KEY_SECRET_LEN)

/* A new key, NUL-terminated. */
void api_key_make(char out[static API_KEY_LEN + 1]);
/* The id in a key of the right form, or SLICE_NONE. */
struct slice api_key_id(struct slice key);
/* API_KEY_ID_LEN lower-case letters and digits. */
bool api_key_id_ok(struct slice id);

#endif
