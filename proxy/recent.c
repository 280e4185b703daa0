#include "proxy/recent.h"

/* Eight bytes of hex are 32 bits; sixteen, folded, keep all 64 of them. */
static uint64_t
digest(struct slice call)
{
	uint64_t a = 0, b = 0;

	if (call.n < 16)
		return 0;
	memcpy(&a, call.p, 8);
	memcpy(&b, call.p + 8, 8);
	return a ^ (b << 7 | b >> 57);
}

void
recent_add(struct recent *r, struct slice call, bool again)
{
	uint64_t id = digest(call);

	r->calls[r->next] = id;
	r->next = (r->next + 1) % RECENT_CALLS;
	if (!again)
		return;
	r->doubled[r->doubled_next] = id;
	r->doubled_next = (r->doubled_next + 1) % RECENT_DOUBLED;
}

static bool
contains(const uint64_t *ids, size_t count, uint64_t id)
{
	for (size_t i = 0; i < count; i++) {
		if (ids[i] == id)
			return true;
	}
	return false;
}

bool
recent_has(const struct recent *r, struct slice call, bool again)
{
	uint64_t id = digest(call);

	if (id == 0)
		return false;
	return again ? contains(r->calls, RECENT_CALLS, id) :
		       contains(r->doubled, RECENT_DOUBLED, id);
}
