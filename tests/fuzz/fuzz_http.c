/*
 * Heads and query parameters. Beyond not crashing, it holds that
 *  - a head is found, or refused, alike however its bytes arrive;
 *  - an accepted one has nothing in it that two readers could take differently,
 *    by a check that shares no code with the reader;
 *  - written out again from its parts, it means the same.
 */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "proxy/http_head.h"
#include "proxy/http_query.h"
#include "proxy/http_status.h"
#include "tests/fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Small enough for the fuzzer to reach each of them. */
static const struct http_limits limits = {
	.head_bytes = 2048,
	.uri_bytes = 128,
	.body_bytes = 65536,
};

static int
length_in_steps(const char *p, size_t n, size_t step)
{
	size_t scanned = 0, had = 0;
	int rc;

	do {
		had = n - had < step ? n : had + step;
		rc = http_head_length(p, had, &scanned, &limits);
		MUST(scanned <= had);
	} while (rc == 0 && had < n);
	return rc;
}

static int
length(const char *p, size_t n)
{
	size_t scanned = 0;
	int rc = http_head_length(p, n, &scanned, &limits);

	MUST(rc == length_in_steps(p, n, 1));
	MUST(rc == length_in_steps(p, n, 7));
	MUST(rc <= (int)limits.head_bytes && rc <= (int)n);
	MUST(rc >= 0 || rc == -400 || rc == -414 || rc == -431);
	return rc;
}

static unsigned
count(const struct http_head *h, const char *name)
{
	unsigned n = 0;

	for (unsigned i = 0; i < h->field_count; i++)
		n += h->fields[i].name.n == strlen(name) &&
		     strncasecmp(h->fields[i].name.p, name, strlen(name)) == 0;
	MUST(n == http_head_field_count(h, name));
	MUST((n > 0) == (http_head_field(h, name).p != NULL));
	return n;
}

/* Each line ends in CRLF, has its colon straight after a name, is not folded. */
static void
check_lines(const char *p, size_t n)
{
	unsigned line = 0;

	for (size_t at = 0; at < n; line++) {
		const char *end = memmem(p + at, n - at, "\r\n", 2);
		const char *colon;
		size_t len;

		MUST(end != NULL);
		len = (size_t)(end - (p + at));
		for (size_t i = at; i < at + len; i++)
			MUST(p[i] == '\t' || (p[i] & 0xe0) != 0);
		MUST((len == 0) == (at + 2 == n));
		colon = memchr(p + at, ':', len);
		if (line > 0 && len > 0) {
			MUST(colon != NULL && colon != p + at);
			for (const char *c = p + at; c < colon; c++)
				MUST(*c > ' ' && *c < 0x7f);
		}
		at += len + 2;
	}
}

static void
check_length(const struct http_head *h)
{
	struct slice value = http_head_field(h, "Content-Length");
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)h->content_length);
	MUST(slice_eq_str(value, text));
	MUST(h->content_length <= limits.body_bytes);
}

static void
check_meaning(const struct http_head *h)
{
	unsigned hosts = count(h, "Host"), lengths = count(h, "Content-Length");
	unsigned codings = count(h, "Transfer-Encoding");

	MUST(h->minor <= 1);
	MUST(hosts == 1 || (hosts == 0 && h->minor == 0));
	MUST(lengths + codings <= 1);
	MUST(codings == 0 || h->minor == 1);
	MUST((h->body == HTTP_BODY_LENGTH) == (lengths == 1));
	MUST((h->body == HTTP_BODY_CHUNKED) == (codings == 1));
	if (lengths == 1)
		check_length(h);
	else
		MUST(h->content_length == 0);
	if (codings == 1) {
		struct slice value = http_head_field(h, "Transfer-Encoding");

		MUST(value.n == 7 && strncasecmp(value.p, "chunked", 7) == 0);
	}
	MUST(h->method != HTTP_HEAD || (codings == 0 && h->content_length == 0));
	MUST(!h->expect_continue || (h->minor == 1 && lengths + codings == 1));
	MUST(h->path.n > 0 && h->path.p[0] == '/');
	MUST(h->path.n + h->query.n <= limits.uri_bytes);
	for (const char *bad = " #\\"; *bad != '\0'; bad++) {
		MUST(memchr(h->path.p, *bad, h->path.n) == NULL);
		MUST(h->query.n == 0 ||
		    memchr(h->query.p, *bad, h->query.n) == NULL);
	}
	MUST(memchr(h->path.p, '?', h->path.n) == NULL);
}

static bool
same_meaning(const struct http_head *a, const struct http_head *b)
{
	for (unsigned i = 0; i < a->field_count && i < b->field_count; i++)
		if (!slice_eq(a->fields[i].name, b->fields[i].name) ||
		    !slice_eq(a->fields[i].value, b->fields[i].value))
			return false;
	return a->method == b->method && slice_eq(a->path, b->path) && slice_eq(a->query, b->query) && a->minor == b->minor &&
	       a->keep_alive == b->keep_alive && a->expect_continue == b->expect_continue &&
	       a->body == b->body && a->content_length == b->content_length &&
	       slice_eq(a->host, b->host) && a->field_count == b->field_count;
}

/* With one blank after each colon a head may grow past the limit, by this much. */
#define REWRITTEN_MAX (4096 + HTTP_FIELDS_MAX)

static size_t
rewrite(const char *p, const struct http_head *h, char out[static REWRITTEN_MAX])
{
	int method = (int)((const char *)memchr(p, ' ', limits.head_bytes) - p);
	size_t n;

	n = (size_t)snprintf(out, REWRITTEN_MAX, "%.*s %.*s%s%.*s HTTP/1.%u\r\n", method, p,
	    SLICE_ARG(h->path), h->query.p != NULL ? "?" : "", SLICE_ARG(h->query), h->minor);
	for (unsigned i = 0; i < h->field_count; i++)
		n += (size_t)snprintf(out + n, REWRITTEN_MAX - n, "%.*s: %.*s\r\n",
		    SLICE_ARG(h->fields[i].name), SLICE_ARG(h->fields[i].value));
	n += (size_t)snprintf(out + n, REWRITTEN_MAX - n, "\r\n");
	return n;
}

static void
check_rewritten(const char *p, const struct http_head *h)
{
	struct http_limits wide = limits;
	struct http_head again;
	char out[REWRITTEN_MAX];
	size_t n = rewrite(p, h, out), scanned = 0;

	wide.head_bytes = REWRITTEN_MAX;
	MUST(http_head_length(out, n, &scanned, &wide) == (int)n);
	MUST(http_head_parse(out, n, &wide, &again) == 0);
	MUST(same_meaning(h, &again));
}

static void
try_head(const char *p, size_t n, bool found)
{
	struct http_head h;
	int status = http_head_parse(p, n, &limits, &h);

	if (status != 0) {
		MUST(strcmp(http_status_text(status), "Unknown") != 0);
		return;
	}
	/* Whatever the parser takes, the scan takes whole. */
	MUST(found || length(p, n) == (int)n);
	check_lines(p, n);
	check_meaning(&h);
	check_rewritten(p, &h);
}

static void
try_query(struct slice query, size_t size)
{
	char buf[64];
	int rc;

	memset(buf, '#', sizeof(buf));
	rc = http_query_param(query, "session_id", buf, size);
	for (size_t i = size; i < sizeof(buf); i++)
		MUST(buf[i] == '#');
	if (rc < 0)
		return;
	MUST((size_t)rc < size && strlen(buf) == (size_t)rc);
	MUST(memmem(query.p, query.n, "_", 1) != NULL || memmem(query.p, query.n, "%", 1) != NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *p = (const char *)data;
	const char *mark = memchr(p, '?', size);
	int len = length(p, size);

	try_head(p, size, false);
	if (len > 0)
		try_head(p, (size_t)len, true);
	if (mark != NULL) {
		struct slice query = slice_of(mark + 1, size - (size_t)(mark + 1 - p));

		try_query(query, 64);
		try_query(query, size % 64);
	}
	return 0;
}
