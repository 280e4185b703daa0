/*
 * Several questions to Redis, one end: asks what it is told to ask, hands each
 * reply on, and says when all have come, or when it is too late for the rest.
 *
 * Replies may lead to further questions; the end comes when none is open. What
 * comes after the deadline is dropped, so that whatever the callbacks work on
 * may be freed at the end.
 */
#ifndef MCP_GATHER_H
#define MCP_GATHER_H

#include <event2/event.h>

#include "common/redis.h"

struct gather;

/*
 * reply is no error and not NULL. arg: of gather_new(); target: of the question.
 * May ask further questions.
 */
typedef void gather_reply_cb(struct gather *g, const redisReply *reply,
    void *arg, void *target);
/* Called once. whole: every question was answered, and none with an error. */
typedef void gather_done_cb(bool whole, void *arg);

/* base and redis are borrowed, and must live until the end. */
struct gather *gather_new(struct event_base *base, struct redis *redis,
    unsigned deadline_ms, gather_done_cb *done, void *arg) MUST_CHECK;
/* As redis_send() and redis_eval(); a question that cannot be sent is unanswered. */
void gather_send(struct gather *g, const struct slice *argv, size_t argc,
    gather_reply_cb *cb, void *target);
void gather_eval(struct gather *g, const struct redis_script *script,
    const struct slice *args, size_t argc, size_t key_count,
    gather_reply_cb *cb, void *target);
/*
 * The first questions have been asked: the end may come, maybe at once. The gather
 * is then no longer the caller's; it frees itself.
 */
void gather_start(struct gather *g);

#endif
