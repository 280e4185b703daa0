/* Redis commands of NUL-terminated words, as tests write them. */
#ifndef TESTS_SUPPORT_WORDS_H
#define TESTS_SUPPORT_WORDS_H

#include "common/redis.h"

/* redis_send_words(r, cb, arg, "SREM", key, member): as redis_send(). */
#define redis_send_words(r, cb, arg, ...)                                      \
	redis_send_list((r), (const char *const[]){ __VA_ARGS__, NULL },       \
	    (cb), (arg))
/* Up to 32 words, ended by NULL. */
bool redis_send_list(struct redis *r, const char *const *words, redis_cb *cb,
    void *arg) MUST_CHECK;

#endif
