#include "common/redis.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <strings.h>

#include "common/xalloc.h"

#define DEFAULT_PORT 6379
#define PORT_MAX 65535
/* A server has 16 databases unless told otherwise; nobody asks for more. */
#define DB_MAX 65535
/* RFC 1035, section 2.3.4, as text. */
#define HOST_BYTES_MAX 253

static const struct scheme {
	struct slice prefix;
	bool tls;
} schemes[] = {
	{ { "redis://", 8 }, false },
	{ { "rediss://", 9 }, true },
};

static void
advance(struct slice *s, size_t n)
{
	s->p += n;
	s->n -= n;
}

/* Takes what stands before the first byte of stops (or the end) out of *s. */
static struct slice
take_until(struct slice *s, const char *stops)
{
	struct slice head = *s;

	for (head.n = 0; head.n < s->n; head.n++) {
		if (strchr(stops, head.p[head.n]) != NULL)
			break;
	}
	advance(s, head.n);
	return head;
}

/* Decimal digits only, at most max; false for an empty slice too. */
static bool
read_number(struct slice s, unsigned max, unsigned *out)
{
	unsigned v = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		v = v * 10 + (unsigned)(s.p[i] - '0');
		if (v > max)
			return false;
	}
	*out = v;
	return s.n > 0;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that "%xx" at the start of s stands for; 0 when it is none. */
static char
percent_byte(struct slice s)
{
	int hi = s.n >= 3 ? hex_digit(s.p[1]) : -1;
	int lo = s.n >= 3 ? hex_digit(s.p[2]) : -1;

	if (hi < 0 || lo < 0)
		return '\0';
	return (char)(unsigned char)(hi * 16 + lo);
}

/* A new string, or NULL for a bad escape or a NUL. */
static char *
percent_decode(struct slice s)
{
	char *text = xmalloc(s.n + 1);
	size_t n = 0;

	while (s.n > 0) {
		char c = *s.p;
		size_t took = 1;

		if (c == '%') {
			c = percent_byte(s);
			took = 3;
		}
		if (c == '\0') {
			free(text);
			return NULL;
		}
		text[n++] = c;
		advance(&s, took);
	}
	text[n] = '\0';
	return text;
}

/* [user]:password; both empty means none. Returns a reason or NULL. */
static const char *
read_credentials(struct slice s, struct redis_url *url)
{
	struct slice user = take_until(&s, ":");

	if (s.n == 0)
		return "there is no ':' between user and password";
	advance(&s, 1);
	if (user.n == 0 && s.n == 0)
		return NULL;
	url->password = percent_decode(s);
	if (user.n > 0)
		url->user = percent_decode(user);
	if (url->password == NULL || (user.n > 0 && url->user == NULL))
		return "user or password has a '%' that is not an escape";
	return NULL;
}

static bool
is_ipv6(struct slice s)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr address;

	if (s.n >= sizeof(text))
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	return inet_pton(AF_INET6, text, &address) == 1;
}

static bool
is_host_name(struct slice s)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\0' || strchr(allowed, s.p[i]) == NULL)
			return false;
	}
	return s.n > 0 && s.n <= HOST_BYTES_MAX;
}

/* Moves *s behind the host. Returns a reason or NULL. */
static const char *
read_host(struct slice *s, struct redis_url *url)
{
	struct slice host;

	if (s->n > 0 && s->p[0] == '[') {
		advance(s, 1);
		host = take_until(s, "]");
		if (s->n == 0 || !is_ipv6(host))
			return "what stands in [] is not an IPv6 address";
		advance(s, 1);
	} else {
		host = take_until(s, ":");
		if (!is_host_name(host))
			return "the host name is missing or has a character "
			    "that none can have";
	}
	url->host = xstrdup_slice(host);
	return NULL;
}

/* [[user]:password@]host[:port]. Returns a reason or NULL. */
static const char *
read_authority(struct slice s, struct redis_url *url)
{
	const char *at = memrchr(s.p, '@', s.n);
	const char *reason;

	if (at != NULL) {
		size_t n = (size_t)(at - s.p);

		reason = read_credentials(slice_of(s.p, n), url);
		if (reason != NULL)
			return reason;
		advance(&s, n + 1);
	}
	reason = read_host(&s, url);
	if (reason != NULL || s.n == 0)
		return reason;
	if (s.p[0] != ':' ||
	    !read_number(slice_of(s.p + 1, s.n - 1), PORT_MAX, &url->port) ||
	    url->port == 0)
		return "the port is not a number from 1 to 65535 (in a "
		    "password, write / : @ % as %2F %3A %40 %25)";
	return NULL;
}

/* "", "/" or "/<db>". Returns a reason or NULL. */
static const char *
read_path(struct slice s, struct redis_url *url)
{
	if (s.n > 1 &&
	    !read_number(slice_of(s.p + 1, s.n - 1), DB_MAX, &url->db))
		return "the database after '/' is not a number";
	return NULL;
}

static const char *
read_url(struct slice s, struct redis_url *url)
{
	const char *reason;
	struct slice authority;

	for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
		struct slice prefix = schemes[i].prefix;

		if (s.n < prefix.n || strncasecmp(s.p, prefix.p, prefix.n) != 0)
			continue;
		advance(&s, prefix.n);
		url->tls = schemes[i].tls;
		authority = take_until(&s, "/?#");
		if (s.n > 0 && s.p[0] != '/')
			return "a query or fragment has no meaning here";
		reason = read_authority(authority, url);
		return reason != NULL ? reason : read_path(s, url);
	}
	return "it does not start with redis:// or rediss://";
}

bool
redis_url_parse(const char *text, struct redis_url *out, const char **reason)
{
	struct redis_url url = { .port = DEFAULT_PORT };
	const char *why = read_url(slice_str(text), &url);

	if (why != NULL) {
		redis_url_release(&url);
		*reason = why;
		return false;
	}
	*out = url;
	return true;
}

void
redis_url_release(struct redis_url *url)
{
	free(url->host);
	free(url->user);
	free(url->password);
	*url = (struct redis_url){ 0 };
}
