#include "common/uri.h"

static bool
parts(char c)
{
	return c == '/' || c == '?' || c == '#';
}

bool
uri_is_part(struct slice uri, struct slice whole)
{
	return whole.n > 0 && uri.n > whole.n &&
	    memcmp(uri.p, whole.p, whole.n) == 0 &&
	    (parts(uri.p[whole.n]) || parts(whole.p[whole.n - 1]));
}
