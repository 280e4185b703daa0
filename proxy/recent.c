#include "proxy/recent.h"

#include <stdlib.h>

#include "common/xalloc.h"

/* An odd constant with bits all over (2^64 divided by the golden ratio). */
#define MIX 0x9e3779b97f4a7c15u
/* Where a message that is no answer says so, at the latest. */
#define METHOD_WITHIN 64

/*
 * The latest messages; number n is at n & mask, the first is 1. Sizes are powers
 * of two: this is on every message's way.
 */
struct ring {
	uint64_t *digests;
	uint32_t *before;   /* the one before with the same head */
	uint32_t *heads;    /* by digest: the latest; 0: none */
	uint32_t mask;
	uint32_t head_mask;
	uint32_t count;
};

struct recent {
	struct ring firsts;
	struct ring repeats;
};

/* Not against an adversary: who can forge answers need not collide them. */
static uint64_t
mix(uint64_t h, uint64_t word)
{
	h = (h ^ word) * MIX;
	return h ^ h >> 32;
}

static uint64_t
fold(uint64_t h, struct slice s)
{
	uint64_t word;

	for (; s.n >= sizeof(word); s.p += sizeof(word), s.n -= sizeof(word)) {
		memcpy(&word, s.p, sizeof(word));
		h = mix(h, word);
	}
	word = s.n;
	for (size_t i = 0; i < s.n; i++)
		word = word << 8 | (unsigned char)s.p[i];
	return mix(h, word);
}

/* Workers and proxies write "method", or else "id", right after "jsonrpc". */
static bool
is_answer(struct slice payload)
{
	static const char method[] = "\"method\"";
	size_t n = payload.n < METHOD_WITHIN ? payload.n : METHOD_WITHIN;

	return memmem(payload.p, n, method, sizeof(method) - 1) == NULL;
}

uint64_t
recent_digest(struct slice call, struct slice payload)
{
	uint64_t h;

	if (call.n == 0)
		return 0;
	h = fold(1, call);
	if (!is_answer(payload))
		h = fold(h, payload);
	return h != 0 ? h : 1;
}

static void
ring_init(struct ring *r, uint32_t size, uint32_t head_count)
{
	r->mask = size - 1;
	r->head_mask = head_count - 1;
	r->digests = xcalloc(size, sizeof(*r->digests));
	r->before = xcalloc(size, sizeof(*r->before));
	r->heads = xcalloc(head_count, sizeof(*r->heads));
}

static void
ring_release(struct ring *r)
{
	free(r->digests);
	free(r->before);
	free(r->heads);
}

static void
ring_add(struct ring *r, uint64_t digest)
{
	uint32_t *head = &r->heads[digest & r->head_mask];
	uint32_t n = ++r->count;

	r->digests[n & r->mask] = digest;
	r->before[n & r->mask] = *head;
	*head = n;
}

/*
 * The number of the latest message of that digest, or 0 (for the first is 1).
 * From the latest back, as long as the numbers grow older and their places have
 * not been taken by younger messages.
 */
static uint32_t
ring_find(const struct ring *r, uint64_t digest)
{
	uint32_t n = r->heads[digest & r->head_mask], age = 0;

	while (n != 0 && r->count - n >= age && r->count - n <= r->mask) {
		if (r->digests[n & r->mask] == digest)
			return n;
		age = r->count - n + 1;
		n = r->before[n & r->mask];
	}
	return 0;
}

/* Its place stays a link of its chain. */
static void
ring_forget(struct ring *r, uint64_t digest)
{
	uint32_t n;

	while ((n = ring_find(r, digest)) != 0)
		r->digests[n & r->mask] = 0;
}

struct recent *
recent_new(void)
{
	struct recent *r = xcalloc(1, sizeof(*r));

	ring_init(&r->firsts, RECENT_MESSAGES, RECENT_HEADS);
	ring_init(&r->repeats, RECENT_REPEATS, RECENT_REPEATS);
	return r;
}

void
recent_free(struct recent *r)
{
	if (r == NULL)
		return;
	ring_release(&r->firsts);
	ring_release(&r->repeats);
	free(r);
}

void
recent_add(struct recent *r, uint64_t digest, bool again)
{
	if (digest != 0)
		ring_add(again ? &r->repeats : &r->firsts, digest);
}

void
recent_forget(struct recent *r, uint64_t digest)
{
	if (digest == 0)
		return;
	ring_forget(&r->firsts, digest);
	ring_forget(&r->repeats, digest);
}

bool
recent_has(const struct recent *r, uint64_t digest, bool again)
{
	if (digest == 0)
		return false;
	return ring_find(&r->repeats, digest) != 0 ||
	    (again && ring_find(&r->firsts, digest) != 0);
}
