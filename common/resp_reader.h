/*
 * RESP2 replies: hiredis's protocol reader, with memory that is bounded and
 * given back at once.
 *
 * Feed bytes as they come, then take replies until there is none:
 *
 *	resp_reader_feed(rr, p, n);
 *	while ((reply = resp_reader_next(rr)) != NULL)
 *		...
 *	if (resp_reader_error(rr) != NULL)
 *		close
 *
 * A reply and all that hangs from it live until the next call on its reader:
 * its nodes come from one arena that is emptied in a stroke, instead of two
 * allocations per node. Never pass one to freeReplyObject().
 */
#ifndef MCP_RESP_READER_H
#define MCP_RESP_READER_H

#include <hiredis/hiredis.h>

#include "common/compiler.h"

/*
 * Most bytes of one reply: what Redis allows for a single string
 * (proto-max-bulk-len), so that no honest reply of ours is refused.
 */
#define RESP_REPLY_MAX_BYTES ((size_t)512 << 20)
/* Most elements of one array, as Redis limits the arrays sent to it. */
#define RESP_ARRAY_MAX ((size_t)1 << 20)

/*
 * Feeding more at a time costs more: the reader moves what is left to the front
 * of its buffer after each 1 KiB of replies taken.
 */
#define RESP_FEED_BYTES ((size_t)8 << 10)

struct resp_reader;

struct resp_reader *resp_reader_new(void) MUST_CHECK;
void resp_reader_free(struct resp_reader *rr);

/* Copies n bytes into the reader. A failure shows in resp_reader_error(). */
void resp_reader_feed(struct resp_reader *rr, const char *p, size_t n);
/* The next complete reply; NULL when more bytes are needed or after an error. */
const redisReply *resp_reader_next(struct resp_reader *rr) MUST_CHECK;
/* Why the bytes are not RESP2 or are too many; NULL while all is well. */
const char *resp_reader_error(const struct resp_reader *rr);

#endif
