/*
 * How many sessions there are, by kind: counted as they come and go, so that
 * nobody ever has to look at them one by one.
 *
 * Each event loop counts the sessions whose streams it holds, in memory, and
 * publishes the counters every POD_BEAT_MS (mcp_census:{<pod>}, gone soon after
 * its pod). A session without a stream has no owner who could count it, and ends
 * by itself at a known time: so it is counted in the hash of that time
 * (mcp_detached:{<ms>}), which expires together with it; a client that comes back
 * takes it out again. What became of sessions is counted by the hour
 * (mcp_history:{<hour>}). Changes to the last two are added up here and sent a few
 * times a second, one command per hash.
 *
 * All pods' hashes added up are the whole. What is not in them: sessions that a
 * dead pod held, from its death until their clients are back.
 *
 * Fields: "sessions:all", "user:<kind>", "api:<name>", "transport:<name>",
 * "client:<name>", "age:<range>"; in the history "opened:all",
 * "reattached:detached", "reattached:owner", "ended:<reason>".
 */
#ifndef MCP_CENSUS_H
#define MCP_CENSUS_H

#include "common/redis.h"
#include "proxy/pod.h"
#include "proxy/tally.h"

#define CENSUS_PUBLISH_MS POD_BEAT_MS
/* Hours that the history goes back, the present one included. */
#define CENSUS_HOURS 24
/* Distinct values that are told apart when hashes are added up. */
#define CENSUS_NAMES_MAX 8192

struct census;

/* What a session counts as. */
struct census_entry {
	struct slice user_kind;
	struct slice api;        /* empty: all APIs */
	struct slice transport;
	struct slice client;     /* empty: not known */
	/*
	 * Minute of its creation since 1970, as census_enter() put it: minutes
	 * ahead of this clock count as the present one.
	 */
	uint32_t born_minute;
};

/* window_ms: how long a session waits for its client at most. */
struct census *census_new(struct redis *commands, struct slice pod,
    uint64_t window_ms) MUST_CHECK;
/* After Redis. */
void census_free(struct census *c);
/* Publishes and sends when it is time; a few times a second. */
void census_tick(struct census *c);
/* This loop is stopping: sends what is left and takes its counters back. */
void census_leave(struct census *c);

/* A session's stream is here; *e is completed. Leaving takes the same *e. */
void census_enter(struct census *c, struct census_entry *e, uint64_t born_ms);
void census_exit(struct census *c, const struct census_entry *e);
/*
 * It waits for its client from detached_ms on; returns the time under which it is
 * counted. That and the time to be given to census_returned(), from wherever.
 */
uint64_t census_detached(struct census *c, const struct census_entry *e,
    uint64_t detached_ms, uint64_t until_ms);
void census_returned(struct census *c, const struct census_entry *e,
    uint64_t detached_ms, uint64_t until_ms);

/* Something for the history: kind and value as above. */
void census_note(struct census *c, const char *kind, const char *value);

/* Adds the fields of such a hash. */
void census_add_reply(struct tally *sum, const redisReply *hash);
uint64_t census_hour(uint64_t wall_ms);

#endif
