#include "proxy/alike.h"

/* The highest id that the session's client is known to have used, plus one. */
static uint64_t
highest(const struct alike *a)
{
	return a->awaited_high > a->last ? a->awaited_high : a->last;
}

enum alike_verdict
alike_judge(const struct alike *all, size_t count, uint64_t first,
    const struct alike **found)
{
	const struct alike *only = NULL;
	size_t waiting = 0;

	for (size_t i = 0; i < count; i++) {
		if (all[i].state == ALIKE_UNCERTAIN)
			return ALIKE_ASK_LATER;
		if (all[i].state == ALIKE_WAITING) {
			only = &all[i];
			waiting++;
		}
	}
	if (waiting == 0)
		return ALIKE_NONE;
	if (waiting > 1)
		return first == 0 ? ALIKE_ASK_ID : ALIKE_ASK_AWAITED;
	/* Ids count up: one that has been used is another client's. */
	if (first != 0 && highest(only) >= first)
		return ALIKE_NONE;
	*found = only;
	return ALIKE_FOUND;
}

/* The one whose last request is the one before the first here. */
static const struct alike *
follows(const struct alike *all, size_t count, uint64_t first)
{
	const struct alike *found = NULL;

	for (size_t i = 0; i < count; i++) {
		if (all[i].state != ALIKE_WAITING || highest(&all[i]) + 1 != first)
			continue;
		if (found != NULL)
			return NULL;
		found = &all[i];
	}
	return found;
}

/*
 * The client may be another's whose latest requests reached nobody. That does
 * harm only if it may await what this session is owed.
 */
static bool
may_be_taken_for(const struct alike *a, const struct alike *other,
    uint64_t first)
{
	return other != a && other->state == ALIKE_WAITING &&
	    highest(other) < first && a->awaited_low != 0 &&
	    highest(other) + ALIKE_UNDER_WAY >= a->awaited_low;
}

enum alike_verdict
alike_judge_ids(const struct alike *all, size_t count, uint64_t first,
    const struct alike **found)
{
	const struct alike *a = follows(all, count, first);

	if (a == NULL)
		return ALIKE_NONE;
	for (size_t i = 0; i < count; i++) {
		if (may_be_taken_for(a, &all[i], first))
			return ALIKE_NONE;
	}
	*found = a;
	return ALIKE_FOUND;
}

uint64_t
alike_answer_id(struct slice payload)
{
	static const char head[] = "{\"jsonrpc\":\"2.0\",\"id\":";
	size_t n = sizeof(head) - 1, digits = 0;
	struct slice rest;
	uint64_t id;

	if (payload.n <= n || memcmp(payload.p, head, n) != 0)
		return 0;
	rest = slice_of(payload.p + n, payload.n - n);
	while (digits < rest.n && rest.p[digits] >= '0' && rest.p[digits] <= '9')
		digits++;
	if (!env_number(slice_of(rest.p, digits), &id) || id == UINT64_MAX)
		return 0;
	rest = slice_of(rest.p + digits, rest.n - digits);
	return rest.n > 9 && (memcmp(rest.p, ",\"result\"", 9) == 0 ||
				 memcmp(rest.p, ",\"error\":", 9) == 0) ? id + 1 : 0;
}
