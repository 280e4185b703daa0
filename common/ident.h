/*
 * Random ids and hashes.
 */
#ifndef MCP_IDENT_H
#define MCP_IDENT_H

#include "common/compiler.h"

#define IDENT_HEX_LEN 32   /* 128 bits */
#define SHA256_LEN 32
#define SHA256_HEX_LEN 64

/*
 * 128 random bits as lower-case hex with a NUL, from OpenSSL's CSPRNG by way of
 * a buffer per thread. Aborts when there is no randomness to be had: an id that
 * can be guessed is worse than a restart. Not for use after fork() without exec.
 */
void ident_hex(char out[static IDENT_HEX_LEN + 1]);
/* Both abort when OpenSSL has no SHA-256. */
void ident_sha256(unsigned char out[static SHA256_LEN], struct slice data);
void ident_hmac_sha256(unsigned char out[static SHA256_LEN], struct slice key,
    struct slice data);
/* SHA-256 as lower-case hex with a NUL. */
void ident_sha256_hex(char out[static SHA256_HEX_LEN + 1],
    struct slice data);

/* Writes 2 n lower-case digits and a NUL. */
void hex_encode(char *out, const unsigned char *bytes, size_t n);
/* Reads exactly n bytes from text; false when it is not 2 n hex digits. */
bool hex_decode(unsigned char *out, size_t n, struct slice text) MUST_CHECK;

#endif
