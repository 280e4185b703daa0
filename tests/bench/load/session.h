/*
 * A client's session and the lanes that carry its calls.
 *
 * A session is one event stream with what is awaited on it. A lane is a call in
 * flight: a POST, its 202, and the answer on the session's stream, in whatever
 * order the last two come. A lane keeps one POST connection per target.
 *
 *	closed loop: a lane that is done is given its next call at once
 *	open loop:   lanes wait in the free list for the next call that is due
 */
#ifndef BENCH_SESSION_H
#define BENCH_SESSION_H

#include "tests/bench/load/errors.h"
#include "tests/bench/load/options.h"
#include "tests/bench/load/post.h"
#include "tests/bench/load/stream.h"

struct load;
struct lane;

enum session_state {
	SESSION_NEW,
	SESSION_OPENING,       /* GET is under way */
	SESSION_OPEN,          /* has its endpoint */
	SESSION_READY,         /* initialized */
	SESSION_DEAD
};

struct session {
	struct stream stream;
	struct load *load;
	enum session_state state;
	unsigned index;
	unsigned in_flight;    /* length of calls */
	struct lane *calls;    /* awaited on this stream */
	char *endpoint;        /* path that POSTs go to, owned */
	uint64_t next_id;
};

enum lane_job {
	LANE_IDLE,
	LANE_INITIALIZE,
	LANE_INITIALIZED,      /* the notification: no answer is awaited */
	LANE_CALL
};

struct lane {
	struct load *load;
	struct lane *next_call; /* in the session's list */
	struct session *session;
	struct post *posts;     /* one per target, owned */
	enum lane_job job;
	uint64_t id;
	uint64_t started_us;    /* in open loop: when it was due */
	uint64_t answered_us;
	bool accepted;          /* 2xx has come */
	bool answered;          /* the right answer has come */
	bool counted;           /* sent while measuring */
};

void session_init(struct session *s, struct load *load, unsigned index);
void session_open(struct session *s);
void session_release(struct session *s);

void lane_init(struct lane *lane, struct load *load);
void lane_release(struct lane *lane);
/* Sends a request of that kind on the session; the lane must be idle. */
void lane_start(struct lane *lane, struct session *s, enum lane_job job,
    uint64_t started_us);
/* Gives up what it waits for, counting it as missing. */
void lane_expire(struct lane *lane);

#endif
