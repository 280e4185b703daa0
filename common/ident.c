#include "common/ident.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/evp.h>
#include <openssl/rand.h>

/* One system-wide reseed check and one AES-CTR run per 256 ids. */
#define POOL_BYTES 4096
#define IDENT_BYTES (IDENT_HEX_LEN / 2)

static _Thread_local struct {
	unsigned char bytes[POOL_BYTES];
	size_t left;
} pool;

static NORETURN void
no_randomness(void)
{
	fputs("no randomness from the system\n", stderr);
	abort();
}

static void
hex(char *out, const unsigned char *bytes, size_t n)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		*out++ = digits[bytes[i] >> 4];
		*out++ = digits[bytes[i] & 15];
	}
	*out = '\0';
}

void
ident_hex(char out[static IDENT_HEX_LEN + 1])
{
	unsigned char *bytes;

	if (pool.left < IDENT_BYTES) {
		if (RAND_bytes(pool.bytes, POOL_BYTES) != 1)
			no_randomness();
		pool.left = POOL_BYTES;
	}
	pool.left -= IDENT_BYTES;
	bytes = pool.bytes + pool.left;
	hex(out, bytes, IDENT_BYTES);
	/* A later read of this memory must not reveal ids that are in use. */
	memset(bytes, 0, IDENT_BYTES);
}

void
ident_sha256_hex(char out[static SHA256_HEX_LEN + 1], struct slice data)
{
	unsigned char digest[EVP_MAX_MD_SIZE];

	if (EVP_Digest(data.p, data.n, digest, NULL, EVP_sha256(), NULL) != 1)
		abort();
	hex(out, digest, SHA256_HEX_LEN / 2);
}
