/*
 * The decoder of chunked bodies. However the input is split, it gives the body,
 * the end and the verdict of a plain decoder that sees all of it at once.
 */
#include <stdio.h>
#include <stdlib.h>

#include "proxy/http_chunked.h"
#include "tests/fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BODY_MAX 300

struct decoded {
	int verdict;
	size_t used, n;
	char body[BODY_MAX];
};

/* Does the text at *at begin with what? 1 yes, 0 too short to say, -400 no. */
static int
literal(const char *p, size_t n, size_t *at, const char *what)
{
	for (; *what != '\0'; what++, (*at)++) {
		if (*at == n)
			return 0;
		if (p[*at] != *what)
			return -400;
	}
	return 1;
}

/* The size line at *at: 1, 0 or -400 as above. */
static int
reference_size(const char *p, size_t n, size_t *at, uint64_t *size)
{
	static const char digits[] = "00112233445566778899aAbBcCdDeEfF";
	size_t from = *at;
	const char *digit;

	*size = 0;
	while (*at < n && (digit = memchr(digits, p[*at], sizeof(digits) - 1)) != NULL) {
		*size = *size * 16 + (uint64_t)(digit - digits) / 2;
		if (++*at - from > 16)
			return -400;
	}
	if (*at == n)
		return 0;
	return *at == from ? -400 : literal(p, n, at, "\r\n");
}

/* The chunk at d->used: 1 when it was whole and not the last. */
static int
reference_chunk(const char *p, size_t n, struct decoded *d, uint64_t *size)
{
	int rc = reference_size(p, n, &d->used, size);
	size_t here;

	if (rc != 1)
		return rc;
	if (*size > BODY_MAX - d->n)
		return -413;
	here = n - d->used < *size ? n - d->used : (size_t)*size;
	memcpy(d->body + d->n, p + d->used, here);
	d->n += here;
	d->used += here;
	return here == *size ? literal(p, n, &d->used, "\r\n") : 0;
}

static void
reference(const char *p, size_t n, struct decoded *d)
{
	uint64_t size = 1;

	d->used = d->n = 0;
	do
		d->verdict = reference_chunk(p, n, d, &size);
	while (d->verdict == 1 && size > 0);
}

/* Feeds one piece, all of it unless the body ends or is refused within. */
static void
feed(struct http_chunked *c, const char *p, size_t n, struct decoded *d)
{
	size_t at = 0;

	while (at < n && d->verdict == 0) {
		struct slice data;
		size_t used;

		d->verdict = http_chunked_feed(c, p + at, n - at, BODY_MAX, &used, &data);
		if (d->verdict < 0)
			return;
		MUST(used > 0 && used <= n - at);
		MUST(data.n <= BODY_MAX - d->n);
		if (data.n > 0) {
			MUST(data.p >= p + at && data.p + data.n <= p + at + used);
			memcpy(d->body + d->n, data.p, data.n);
		}
		d->n += data.n;
		at += used;
		MUST(c->total == d->n);
	}
	d->used += at;
}

/* Pieces of up to most bytes, of lengths drawn from *seed when that is given. */
static void
decode(const char *p, size_t n, size_t most, uint64_t *seed, struct decoded *d)
{
	struct http_chunked c = { 0 };
	size_t at = 0;

	d->verdict = 0;
	d->used = d->n = 0;
	while (at < n && d->verdict == 0) {
		size_t piece = most;

		if (seed != NULL) {
			*seed = *seed * 6364136223846793005U + 1442695040888963407U;
			piece = 1 + (size_t)(*seed >> 33) % most;
		}
		if (piece > n - at)
			piece = n - at;
		feed(&c, p + at, piece, d);
		at += piece;
	}
}

static void
must_equal(const struct decoded *got, const struct decoded *want)
{
	MUST(got->verdict == want->verdict);
	if (want->verdict < 0)
		return;
	MUST(got->used == want->used);
	MUST(got->n == want->n && memcmp(got->body, want->body, want->n) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *p = (const char *)data;
	uint64_t seed = size;
	struct decoded want, got;

	for (size_t i = 0; i < size; i++)
		seed = seed * 31 + data[i];
	reference(p, size, &want);
	decode(p, size, size + 1, NULL, &got);
	must_equal(&got, &want);
	decode(p, size, 1, NULL, &got);
	must_equal(&got, &want);
	for (size_t most = 2; most <= 64; most *= 2) {
		decode(p, size, most, &seed, &got);
		must_equal(&got, &want);
	}
	return 0;
}
