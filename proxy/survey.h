/*
 * Which sessions of this loop still have calls queued or running: asked of the
 * request streams themselves, so that nothing is counted on a call's way. Only a
 * loop that wants to end streams asks.
 */
#ifndef MCP_SURVEY_H
#define MCP_SURVEY_H

#include "common/envelope.h"
#include "common/redis.h"
#include "proxy/catalog.h"

struct survey;

/* A call whose answer goes to this loop; the slices are gone on return. */
struct survey_call {
	struct slice session;
	struct slice call;
	struct slice payload;   /* the request */
};

typedef void survey_call_cb(const struct survey_call *call, void *arg);
/* whole: every API answered. */
typedef void survey_done_cb(bool whole, void *arg);

/* pod: this loop's name. All are borrowed. */
struct survey *survey_new(struct redis *commands, const struct catalog *catalog,
    struct slice pod) MUST_CHECK;
/* After Redis. */
void survey_free(struct survey *sv);
/*
 * Asks; cb is called for each call that is found, then done, once. False: one is
 * under way, or Redis is away, and nothing is called.
 */
bool survey_begin(struct survey *sv, survey_call_cb *cb, survey_done_cb *done,
    void *arg) MUST_CHECK;

#endif
