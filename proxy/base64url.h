/*
 * base64url without padding, as tokens and keys use it (RFC 7515, section 2).
 */
#ifndef MCP_BASE64URL_H
#define MCP_BASE64URL_H

#include "common/compiler.h"

/*
 * Decodes into out, which has room for text.n * 3 / 4 bytes. Returns the length,
 * or -1 when the text is not canonical.
 */
long base64url_decode(unsigned char *out, struct slice text) MUST_CHECK;

#endif
