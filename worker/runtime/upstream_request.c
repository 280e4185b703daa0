#include "worker/runtime/upstream_private.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/timer.h"
#include "common/xalloc.h"

#define CONNECT_TIMEOUT_MS 10000L
#define USER_AGENT "mcp-relay/" MCP_VERSION

/* While it runs ---------------------------------------------------------- */

/* After DNS: the address decides, before a byte is sent to it. */
static curl_socket_t
open_socket(void *arg, curlsocktype purpose UNUSED, struct curl_sockaddr *to)
{
	struct upstream_transfer *t = arg;

	if (!egress_address_ok(t->upstream->egress, &to->addr)) {
		t->address_refused = true;
		errno = EACCES;
		return CURL_SOCKET_BAD;
	}
	t->address_taken = true;
	return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

static size_t
take_header(char *p UNUSED, size_t size, size_t count, void *arg)
{
	struct upstream_transfer *t = arg;

	t->header_bytes += size * count;
	return t->header_bytes <= HEADERS_MAX ? size * count : 0;
}

static size_t
take_body(char *p, size_t size, size_t count, void *arg)
{
	struct upstream_transfer *t = arg;

	strbuf_add(&t->body, p, size * count);
	return strbuf_ok(&t->body) ? size * count : 0;
}

/* libcurl's options ------------------------------------------------------ */

/* An option that libcurl refuses is a bug of ours, or no memory. */
#define SET(t, option, value) \
	do { \
		if (curl_easy_setopt((t)->easy, (option), (value)) != \
		    CURLE_OK) \
			abort(); \
	} while (0)

static void
set_body(struct upstream_transfer *t, const struct upstream_request *request)
{
	bool get = strcmp(request->method, "GET") == 0;
	bool head = strcmp(request->method, "HEAD") == 0;

	t->idempotent = request->idempotent || get || head;
	if (request->body.p != NULL) {
		SET(t, CURLOPT_POSTFIELDSIZE_LARGE,
		    (curl_off_t)request->body.n);
		SET(t, CURLOPT_COPYPOSTFIELDS, request->body.p);
	}
	if (head)
		SET(t, CURLOPT_NOBODY, 1L);
	else if (!get || request->body.p != NULL)
		SET(t, CURLOPT_CUSTOMREQUEST, request->method);
}

static void
set_headers(struct upstream_transfer *t, const char *const *headers)
{
	/* Else libcurl would ask before it sends a large body, and wait. */
	t->headers = curl_slist_append(NULL, "Expect:");
	for (; headers != NULL && *headers != NULL; headers++) {
		struct curl_slist *more =
		    curl_slist_append(t->headers, *headers);

		if (more == NULL)
			abort();
		t->headers = more;
	}
	SET(t, CURLOPT_HTTPHEADER, t->headers);
}

static void
set_transport(struct upstream_transfer *t)
{
	const struct upstream_settings *s = t->upstream->settings;

	SET(t, CURLOPT_PROTOCOLS_STR, "http,https");
	SET(t, CURLOPT_PROXY, "");
	SET(t, CURLOPT_NOSIGNAL, 1L);
	SET(t, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	SET(t, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	SET(t, CURLOPT_ACCEPT_ENCODING, "");
	SET(t, CURLOPT_USERAGENT, USER_AGENT);
	SET(t, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	SET(t, CURLOPT_OPENSOCKETDATA, t);
	if (s->ca_file != NULL)
		SET(t, CURLOPT_CAINFO, s->ca_file);
}

static void
set_request(struct upstream_transfer *t, const struct upstream_request *request)
{
	SET(t, CURLOPT_URL, request->url);
	SET(t, CURLOPT_PRIVATE, t);
	SET(t, CURLOPT_ERRORBUFFER, t->reason);
	SET(t, CURLOPT_HEADERFUNCTION, take_header);
	SET(t, CURLOPT_HEADERDATA, t);
	SET(t, CURLOPT_WRITEFUNCTION, take_body);
	SET(t, CURLOPT_WRITEDATA, t);
	/* Wait to see whether a first connection is HTTP/2 and can be shared. */
	if (strncmp(request->url, "https:", 6) == 0)
		SET(t, CURLOPT_PIPEWAIT, 1L);
	set_transport(t);
	set_body(t, request);
	set_headers(t, request->headers);
}

/* What may be sent, and where to ----------------------------------------- */

static char *
url_part(CURLU *url, CURLUPart part)
{
	char *text = NULL;

	if (curl_url_get(url, part, &text, CURLU_DEFAULT_PORT) != CURLUE_OK)
		return NULL;
	return text;
}

/* The host in small letters, since case makes no other host of it. */
static char *
url_host(CURLU *url)
{
	char *host = url_part(url, CURLUPART_HOST);

	for (char *p = host; p != NULL && *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	return host;
}

/* Fills in host and name, or what is wrong with the URL. */
static void
look_at_url(struct upstream_transfer *t, CURLU *url)
{
	char *scheme = url_part(url, CURLUPART_SCHEME);
	char *host = url_host(url);
	char *port = url_part(url, CURLUPART_PORT);
	char *user = url_part(url, CURLUPART_USER);
	char *password = url_part(url, CURLUPART_PASSWORD);

	if (scheme == NULL || host == NULL || port == NULL || user != NULL ||
	    password != NULL) {
		t->name = xstrdup("upstream");
		t->failed = xstrdup("upstream: the URL is not valid");
	} else if (!egress_host_ok(t->upstream->egress, host)) {
		t->name = xstrdup(host);
		t->failed =
		    xasprintf("%s: the host is not on the allow-list", host);
	} else {
		char *origin = xasprintf("%s://%s:%s", scheme, host, port);

		t->name = xstrdup(host);
		t->host = upstream_find_host(t->upstream, origin);
		free(origin);
	}
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	curl_free(user);
	curl_free(password);
}

static void
read_url(struct upstream_transfer *t, const char *text)
{
	CURLU *url = curl_url();

	if (url == NULL)
		abort();
	/* A URL that it refuses has no parts. */
	(void)curl_url_set(url, CURLUPART_URL, text, 0);
	look_at_url(t, url);
	curl_url_cleanup(url);
}

/* RFC 9110, section 5.6.2. */
static bool
is_token(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (!isalnum(c) &&
		    (c == '\0' || strchr("!#$%&'*+-.^_`|~", c) == NULL))
			return false;
	}
	return s.n > 0;
}

/* libcurl sends what it is given, a line end and another header included. */
static bool
is_header(const char *line)
{
	size_t n = strcspn(line, ":");

	/* "Name;" is libcurl's way to write an empty value. */
	if (n > 0 && line[n] == '\0' && line[n - 1] == ';')
		n--;
	if (!is_token(slice_of(line, n)))
		return false;
	for (const char *p = line; *p != '\0'; p++) {
		if (((unsigned char)*p < ' ' && *p != '\t') || *p == 0x7f)
			return false;
	}
	return true;
}

static bool
is_sendable(const struct upstream_request *request)
{
	const char *const *header = request->headers;

	for (; header != NULL && *header != NULL; header++) {
		if (!is_header(*header))
			return false;
	}
	return is_token(slice_str(request->method));
}

/* Sending ---------------------------------------------------------------- */

struct upstream_transfer *
upstream_send(struct upstream *u, const struct upstream_request *request)
{
	struct upstream_transfer *t = xcalloc(1, sizeof(*t));
	uint64_t timeout = (uint64_t)u->settings->timeout_s * MS_PER_S;

	if (request->timeout_ms != 0 && request->timeout_ms < timeout)
		timeout = request->timeout_ms;
	t->upstream = u;
	t->done = request->done;
	t->dropped = request->dropped;
	t->arg = request->arg;
	t->end_ms = clock_mono_ms() + timeout;
	t->easy = curl_easy_init();
	t->timer = evtimer_new(u->base, upstream_on_timer, t);
	if (t->easy == NULL || t->timer == NULL)
		abort();
	strbuf_init(&t->body, u->settings->max_body);
	LIST_INSERT_HEAD(&u->transfers, t, link);
	read_url(t, request->url);
	if (t->failed == NULL && !is_sendable(request))
		t->failed = xasprintf("%s: the request has a method or a "
				      "header that HTTP does not have",
		    t->name);
	if (t->failed == NULL)
		set_request(t, request);
	timer_set(t->timer, 0);
	return t;
}

char *
upstream_url_host(const char *text)
{
	CURLU *url = curl_url();
	char *part, *host = NULL;

	if (url == NULL)
		abort();
	if (curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK) {
		part = url_part(url, CURLUPART_HOST);
		host = part != NULL ? xstrdup(part) : NULL;
		curl_free(part);
	}
	curl_url_cleanup(url);
	return host;
}
