/* JSON Web Tokens for tests. */
#ifndef TESTS_SUPPORT_TOKEN_H
#define TESTS_SUPPORT_TOKEN_H

#include "common/strbuf.h"

/* Appends the bytes in base64url, without padding. */
void to_base64url(struct strbuf *out, const void *data, size_t n);
/* Signs header and claims that stand in token, by HS256. */
void sign_hmac(struct strbuf *token, const char *key);
/* The two parts; header and claims are the JSON between the braces. */
struct strbuf unsigned_token(const char *header, const char *claims);

#endif
