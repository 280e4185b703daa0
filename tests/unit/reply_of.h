/* Redis replies for tests, read by hiredis from the bytes a server would send. */
#ifndef TESTS_REPLY_OF_H
#define TESTS_REPLY_OF_H

#include <check.h>
#include <hiredis/hiredis.h>

#include "common/strbuf.h"

/* The reply in RESP bytes; the caller frees it with freeReplyObject(). */
static inline redisReply *
reply_of(struct slice resp)
{
	redisReader *reader = redisReaderCreate();
	void *reply = NULL;

	ck_assert_int_eq(redisReaderFeed(reader, resp.p, resp.n), REDIS_OK);
	ck_assert_int_eq(redisReaderGetReply(reader, &reply), REDIS_OK);
	ck_assert_ptr_nonnull(reply);
	redisReaderFree(reader);
	return reply;
}

/* An array of n strings. */
static inline redisReply *
reply_of_strings(const struct slice *strings, size_t n)
{
	struct strbuf sb = STRBUF_INIT((size_t)64 << 20);
	redisReply *reply;

	strbuf_addf(&sb, "*%zu\r\n", n);
	for (size_t i = 0; i < n; i++) {
		strbuf_addf(&sb, "$%zu\r\n", strings[i].n);
		strbuf_add_slice(&sb, strings[i]);
		strbuf_add_str(&sb, "\r\n");
	}
	reply = reply_of(strbuf_slice(&sb));
	strbuf_release(&sb);
	return reply;
}

#endif
