#include "proxy/recent.h"

/* An odd constant with bits all over (2^64 divided by the golden ratio). */
#define MIX 0x9e3779b97f4a7c15u

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

uint64_t
recent_digest(struct slice call, struct slice payload)
{
	uint64_t h;

	if (call.n == 0)
		return 0;
	h = fold(fold(1, call), payload);
	return h != 0 ? h : 1;
}

static void
ring_add(struct recent_ring *ring, uint64_t digest)
{
	ring->digests[ring->next] = digest;
	ring->next = (ring->next + 1) % RECENT_MESSAGES;
}

static bool
contains(const uint64_t *digests, size_t count, uint64_t digest)
{
	for (size_t i = 0; i < count; i++) {
		if (digests[i] == digest)
			return true;
	}
	return false;
}

static bool
ring_has(const struct recent_ring *ring, uint64_t digest)
{
	return contains(ring->digests, RECENT_MESSAGES, digest);
}

static bool
ring_has_lately(const struct recent_ring *ring, uint64_t digest)
{
	unsigned newest = ring->next < RECENT_OVERTAKEN ? ring->next :
							  RECENT_OVERTAKEN;

	return contains(ring->digests + ring->next - newest, newest, digest) ||
	    contains(ring->digests + RECENT_MESSAGES -
		(RECENT_OVERTAKEN - newest), RECENT_OVERTAKEN - newest, digest);
}

void
recent_add(struct recent *r, uint64_t digest, bool again)
{
	ring_add(again ? &r->repeats : &r->firsts, digest);
}

bool
recent_has(const struct recent *r, uint64_t digest, bool again)
{
	if (digest == 0)
		return false;
	return again ?
	    ring_has(&r->repeats, digest) || ring_has(&r->firsts, digest) :
	    ring_has_lately(&r->repeats, digest);
}
