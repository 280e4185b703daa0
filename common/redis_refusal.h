/*
 * What an error reply says of Redis itself, beside the command that it answers:
 * the one place that knows the first words of such errors.
 *
 * None of these commands was run, but for REDIS_NOT_REFUSED.
 */
#ifndef MCP_REDIS_REFUSAL_H
#define MCP_REDIS_REFUSAL_H

#include <hiredis/hiredis.h>

#include "common/compiler.h"

enum redis_refusal {
	REDIS_NOT_REFUSED,   /* no error, or one that concerns the command */
	/*
	 * It takes no writes from anybody for as long as it lasts: its memory is
	 * full, or its disk does not keep what it is told.
	 */
	REDIS_REFUSES_ALL,
	/*
	 * The same, or nothing at all; but it may be a master that has been given
	 * up, and others go on with the one in its place.
	 */
	REDIS_REFUSES_HERE,
	/* It cannot be worked with now (redis_is_unfit()): the connection ends. */
	REDIS_UNFIT,
	/* Us alone: it does not know who we are, or does not let us do it. */
	REDIS_REFUSES_US
};

enum redis_refusal redis_refusal(const redisReply *reply);
/* For operators: what to look after; "" without a refusal. */
const char *redis_refusal_remedy(const redisReply *reply);
/*
 * Does a server answer like that which cannot be worked with now (loading, or a
 * replica since a failover)? The command was not run, and the connection ends.
 */
bool redis_is_unfit(const redisReply *reply);
/* Was it refused for a reason that passes, so that it is worth another try? */
bool redis_is_put_off(const redisReply *reply);

#endif
