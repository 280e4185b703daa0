/*
 * What is said on a new Redis connection before it takes commands, and which
 * answers are good enough: AUTH, SELECT, CLIENT SETNAME, ROLE, PING, each where
 * it is needed. Knows nothing of connections.
 */
#ifndef MCP_REDIS_HANDSHAKE_H
#define MCP_REDIS_HANDSHAKE_H

#include "common/redis.h"

struct redis_handshake_step;

/* Room for a step's arguments, which borrow from it and from the options. */
struct redis_handshake_argv {
	struct slice argv[3];
	char number[20];
};

/* The step after this one, NULL for the first; NULL after the last. */
const struct redis_handshake_step *redis_handshake_next(
    const struct redis_handshake_step *step,
    const struct redis_options *opt);
/* Writes the step's command and returns its number of arguments. */
size_t redis_handshake_words(const struct redis_handshake_step *step,
    const struct redis_options *opt, struct redis_handshake_argv *out);
/* False, with a reason in why, when the connection is of no use. */
bool redis_handshake_accept(const struct redis_handshake_step *step,
    const redisReply *reply, char *why, size_t why_size) MUST_CHECK;

#endif
