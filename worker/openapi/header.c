#include "worker/openapi/header.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* Set by others: OpenAPI says so of the first three, HTTP of the rest. */
static const char *const not_ours[] = { "Accept", "Content-Type",
	"Authorization", "Host", "Content-Length", "Transfer-Encoding",
	"Connection", "Keep-Alive", "TE", "Trailer", "Upgrade", "Expect",
	"Proxy-Authorization", "Proxy-Connection", "Cookie" };

bool
header_is_reserved(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(not_ours); i++) {
		if (strcasecmp(not_ours[i], name) == 0)
			return true;
	}
	return false;
}

bool
header_name_ok(const char *text)
{
	if (*text == '\0')
		return false;
	for (; *text != '\0'; text++) {
		if (!isalnum((unsigned char)*text) &&
		    strchr("!#$%&'*+-.^_`|~", *text) == NULL)
			return false;
	}
	return true;
}
