/*
 * Which session is it? The judgement, without any I/O, for a stream whose client
 * named no session but may have had one before: an authenticated client that
 * reconnects, told by nothing but its looks (user, path, client address,
 * User-Agent, protocol revision) from others that may look the same.
 *
 * What it must never do is give one client what another awaits. A client of the
 * SDKs counts its request ids up, so that they tell clients apart: the first id on
 * the new stream follows the last one of the client's own session. The rule is
 * kept where it proves something, and whatever leaves a doubt is a new session.
 */
#ifndef MCP_ALIKE_H
#define MCP_ALIKE_H

#include "common/envelope.h"

/* Sessions that look the same: with more of them nothing is looked for. */
#define ALIKE_MAX 64
/*
 * So many requests a client may have under way, which reach nobody or somebody
 * later: its ids may be ahead of what is known of its session.
 */
#define ALIKE_UNDER_WAY 8

enum alike_state {
	ALIKE_IN_USE,      /* its pod lives and holds its stream */
	ALIKE_UNCERTAIN,   /* nothing heard of its pod since the stream came */
	ALIKE_WAITING      /* it waits for its client, or its pod is dead */
};

/* A session that looks like the stream's client. Numbers of ids: the id plus one. */
struct alike {
	enum alike_state state;
	uint64_t last;           /* highest id that was answered; 0: none known */
	uint64_t awaited_low;    /* lowest and highest id accepted, but not handed */
	uint64_t awaited_high;   /* over; 0: none */
	char sid[SID_LEN + 1];
	char pod[POD_NAME_MAX + 1];
};

enum alike_verdict {
	ALIKE_NONE,        /* a new session */
	ALIKE_FOUND,
	ALIKE_ASK_LATER,   /* it turns on pods that are neither dead nor heard of */
	ALIKE_ASK_ID,      /* several: the first request will tell */
	ALIKE_ASK_AWAITED  /* several: awaited_low and _high are needed */
};

/*
 * Judges without knowing what is awaited. first: the lowest id posted on the
 * stream, plus one; 0: nothing yet. *found is set on ALIKE_FOUND.
 */
enum alike_verdict alike_judge(const struct alike *all, size_t count,
    uint64_t first, const struct alike **found);
/* Judges several by their ids: ALIKE_FOUND or ALIKE_NONE. */
enum alike_verdict alike_judge_ids(const struct alike *all, size_t count,
    uint64_t first, const struct alike **found);

/*
 * The id of a response as this project's programs write it, plus one; 0: another
 * message, or an id that is no number.
 */
uint64_t alike_answer_id(struct slice payload);

#endif
