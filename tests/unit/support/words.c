#include "tests/unit/support/words.h"

#include <check.h>

#define WORDS_MAX 32

bool
redis_send_list(struct redis *r, const char *const *words, redis_cb *cb,
    void *arg)
{
	struct slice argv[WORDS_MAX];
	size_t argc = 0;

	for (; words[argc] != NULL; argc++) {
		ck_assert_uint_lt(argc, WORDS_MAX);
		argv[argc] = slice_str(words[argc]);
	}
	return redis_send(r, argv, argc, cb, arg);
}
