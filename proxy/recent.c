#include "proxy/recent.h"

/* An odd constant with bits all over (2^64 divided by the golden ratio). */
#define MIX 0x9e3779b97f4a7c15u
/* Where a message that is no answer says so, at the latest. */
#define METHOD_WITHIN 64

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
remember(struct recent *r, uint64_t digest)
{
	uint32_t *head = &r->heads[digest % RECENT_HEADS];
	uint32_t n = ++r->count;

	r->digests[n % RECENT_MESSAGES] = digest;
	r->before[n % RECENT_MESSAGES] = *head;
	*head = n;
}

/*
 * The number of the latest message of that digest, or 0 (for the first is 1).
 * From the latest back, as long as the numbers grow older and their places have
 * not been taken by younger messages.
 */
static uint32_t
number_of(const struct recent *r, uint64_t digest)
{
	uint32_t n = r->heads[digest % RECENT_HEADS], age = 0;

	while (n != 0 && r->count - n >= age && r->count - n < RECENT_MESSAGES) {
		if (r->digests[n % RECENT_MESSAGES] == digest)
			return n;
		age = r->count - n + 1;
		n = r->before[n % RECENT_MESSAGES];
	}
	return 0;
}

static bool
remembers(const struct recent *r, uint64_t digest)
{
	return number_of(r, digest) != 0;
}

void
recent_add(struct recent *r, uint64_t digest, bool again)
{
	if (digest == 0)
		return;
	if (!again) {
		remember(r, digest);
		return;
	}
	r->repeats[r->repeats_next] = digest;
	r->repeats_next = (r->repeats_next + 1) % RECENT_REPEATS;
}

/* Its place stays a link of its chain. */
void
recent_forget(struct recent *r, uint64_t digest)
{
	uint32_t n;

	if (digest == 0)
		return;
	while ((n = number_of(r, digest)) != 0)
		r->digests[n % RECENT_MESSAGES] = 0;
	for (unsigned i = 0; i < RECENT_REPEATS; i++) {
		if (r->repeats[i] == digest)
			r->repeats[i] = 0;
	}
}

/* Is it among the latest count repeats? */
static bool
was_repeated(const struct recent *r, uint64_t digest, unsigned count)
{
	unsigned at = r->repeats_next;

	while (count-- > 0) {
		at = (at + RECENT_REPEATS - 1) % RECENT_REPEATS;
		if (r->repeats[at] == digest)
			return true;
	}
	return false;
}

bool
recent_has(const struct recent *r, uint64_t digest, bool again)
{
	if (digest == 0)
		return false;
	return again ? remembers(r, digest) ||
		was_repeated(r, digest, RECENT_REPEATS) :
		       was_repeated(r, digest, RECENT_OVERTAKEN);
}
