#include "proxy/allow.h"

#include "proxy/http_text.h"

typedef bool match_fn(struct slice entry, struct slice value);

/* Without ":<port>"; an IPv6 address keeps its brackets. */
static struct slice
without_port(struct slice host)
{
	const char *colon = host.n > 0 ? memrchr(host.p, ':', host.n) : NULL;
	const char *bracket = host.n > 0 ? memrchr(host.p, ']', host.n) : NULL;

	if (colon == NULL || colon < bracket)
		return host;
	return slice_of(host.p, (size_t)(colon - host.p));
}

static bool
host_matches(struct slice entry, struct slice host)
{
	return http_same_word(entry, host) ||
	    http_same_word(entry, without_port(host));
}

static bool
origin_matches(struct slice entry, struct slice origin)
{
	if (http_same_word(entry, origin))
		return true;
	if (entry.n < 2 || memcmp(entry.p + entry.n - 2, ":*", 2) != 0)
		return false;
	entry.n -= 2;
	return http_same_word(entry, origin) ||
	    http_same_word(entry, without_port(origin));
}

static bool
matches_any(const char *list, struct slice value, match_fn *matches)
{
	const char *at = list + strspn(list, " ,");

	while (*at != '\0') {
		struct slice entry = slice_of(at, strcspn(at, " ,"));

		if (slice_eq_str(entry, "*") || matches(entry, value))
			return true;
		at += entry.n;
		at += strspn(at, " ,");
	}
	return false;
}

bool
allow_host(const char *list, struct slice host)
{
	return matches_any(list, host, host_matches);
}

bool
allow_origin(const char *list, struct slice origin)
{
	return matches_any(list, origin, origin_matches);
}
