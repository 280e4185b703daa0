#include "common/ident.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <pthread.h>

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

void
hex_encode(char *out, const unsigned char *bytes, size_t n)
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
	hex_encode(out, bytes, IDENT_BYTES);
	/* A later read of this memory must not reveal ids that are in use. */
	memset(bytes, 0, IDENT_BYTES);
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool
hex_decode(unsigned char *out, size_t n, struct slice text)
{
	if (text.n != 2 * n)
		return false;
	for (size_t i = 0; i < n; i++) {
		int high = hex_digit(text.p[2 * i]);
		int low = hex_digit(text.p[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		out[i] = (unsigned char)(high << 4 | low);
	}
	return true;
}

/*
 * Fetched once: EVP_sha256() would look the algorithm up among OpenSSL's
 * providers for each digest, which costs more than the digest. The context is
 * each thread's own, and freed with it.
 */
static struct {
	pthread_once_t once;
	pthread_key_t ctx;
	EVP_MD *md;
} sha256 = { .once = PTHREAD_ONCE_INIT };

static NORETURN void
no_sha256(void)
{
	fputs("no SHA-256 from OpenSSL\n", stderr);
	abort();
}

static void
free_ctx(void *ctx)
{
	EVP_MD_CTX_free(ctx);
}

static void
sha256_setup(void)
{
	sha256.md = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (sha256.md == NULL || pthread_key_create(&sha256.ctx, free_ctx) != 0)
		no_sha256();
}

static EVP_MD_CTX *
sha256_ctx(void)
{
	EVP_MD_CTX *ctx;

	pthread_once(&sha256.once, sha256_setup);
	ctx = pthread_getspecific(sha256.ctx);
	if (ctx != NULL)
		return ctx;
	ctx = EVP_MD_CTX_new();
	if (ctx == NULL || pthread_setspecific(sha256.ctx, ctx) != 0)
		no_sha256();
	return ctx;
}

void
ident_sha256(unsigned char out[static SHA256_LEN], struct slice data)
{
	EVP_MD_CTX *ctx = sha256_ctx();

	if (EVP_DigestInit_ex2(ctx, sha256.md, NULL) != 1 ||
	    EVP_DigestUpdate(ctx, data.p, data.n) != 1 ||
	    EVP_DigestFinal_ex(ctx, out, NULL) != 1)
		no_sha256();
}

void
ident_hmac_sha256(unsigned char out[static SHA256_LEN], struct slice key,
    struct slice data)
{
	if (HMAC(EVP_sha256(), key.p, (int)key.n,
		(const unsigned char *)data.p, data.n, out, NULL) == NULL)
		no_sha256();
}

void
ident_sha256_hex(char out[static SHA256_HEX_LEN + 1], struct slice data)
{
	unsigned char digest[SHA256_LEN];

	ident_sha256(digest, data);
	hex_encode(out, digest, sizeof(digest));
}
