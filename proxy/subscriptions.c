#include "proxy/subscriptions.h"

#include <stdlib.h>

#include "common/xalloc.h"

bool
subscriptions_uri_ok(struct slice uri)
{
	return uri.n > 0 && uri.n <= SUBSCRIPTION_URI_MAX &&
	    memchr(uri.p, '\n', uri.n) == NULL;
}

/* Where the URI stands, from the line break before it; NULL: nowhere. */
static char *
find(char *text, struct slice uri)
{
	char line[SUBSCRIPTION_URI_MAX + 2];

	if (text == NULL || !subscriptions_uri_ok(uri))
		return NULL;
	line[0] = '\n';
	memcpy(line + 1, uri.p, uri.n);
	line[uri.n + 1] = '\n';
	return memmem(text, strlen(text), line, uri.n + 2);
}

bool
subscriptions_have(const char *text, struct slice uri)
{
	return find((char *)text, uri) != NULL;
}

bool
subscriptions_next(const char **at, struct slice *uri)
{
	const char *end = *at != NULL ? strchr(*at + 1, '\n') : NULL;

	if (end == NULL)
		return false;
	*uri = slice_of(*at + 1, (size_t)(end - *at - 1));
	*at = end;
	return true;
}

bool
subscriptions_add(char **text, struct slice uri)
{
	size_t n = *text != NULL ? strlen(*text) : 1;

	if (subscriptions_have(*text, uri))
		return true;
	if (!subscriptions_uri_ok(uri) ||
	    n + uri.n + 1 > SUBSCRIPTIONS_MAX)
		return false;
	*text = xrealloc(*text, n + uri.n + 2);
	(*text)[0] = '\n';
	memcpy(*text + n, uri.p, uri.n);
	memcpy(*text + n + uri.n, "\n", 2);
	return true;
}

void
subscriptions_remove(char **text, struct slice uri)
{
	char *at = find(*text, uri);

	if (at == NULL)
		return;
	memmove(at, at + uri.n + 1, strlen(at + uri.n + 1) + 1);
	if ((*text)[1] != '\0')
		return;
	free(*text);
	*text = NULL;
}
