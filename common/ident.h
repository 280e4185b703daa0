/*
 * Random ids and hashes.
 */
#ifndef MCP_IDENT_H
#define MCP_IDENT_H

#include "common/compiler.h"

#define IDENT_HEX_LEN 32   /* 128 bits */
#define SHA256_HEX_LEN 64

/*
 * 128 random bits as lower-case hex with a NUL, from OpenSSL's CSPRNG by way of
 * a buffer per thread. Aborts when there is no randomness to be had: an id that
 * can be guessed is worse than a restart. Not for use after fork() without exec.
 */
void ident_hex(char out[static IDENT_HEX_LEN + 1]);
/* SHA-256 as lower-case hex with a NUL. */
void ident_sha256_hex(char out[static SHA256_HEX_LEN + 1],
    struct slice data);

#endif
