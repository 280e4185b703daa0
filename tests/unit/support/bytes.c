#include "tests/unit/support/bytes.h"

#include <check.h>
#include <stdlib.h>

char *
exact_copy(const char *p, size_t n)
{
	char *copy = malloc(n > 0 ? n : 1);

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, p, n);
	return copy;
}

const char *
text(struct slice s)
{
	static char texts[4][8192];
	static unsigned next;
	char *t = texts[next++ % 4];

	ck_assert_uint_lt(s.n, sizeof(texts[0]));
	if (s.n > 0)
		memcpy(t, s.p, s.n);
	t[s.n] = '\0';
	return t;
}
