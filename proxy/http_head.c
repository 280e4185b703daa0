#include "proxy/http_head.h"

#include <limits.h>

#include "proxy/http_text.h"

/*
 * A request line is its target and at most this: the longest method we know
 * (7), " HTTP/1.1" with the blank before the target (10) and CRLF (2), the rest
 * for a longer method, which deserves its 501. A target that fits
 * limits->uri_bytes therefore never meets the limit on the line.
 */
#define REQUEST_LINE_SLACK 64

/* Digits of 2^63 - 1, the largest Content-Length that every reader can hold. */
#define LENGTH_DIGITS_MAX 19
#define PORT_DIGITS_MAX 5

static inline size_t
min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* The end of a head -------------------------------------------------------- */

/*
 * Goes on from *at to upto, a CR only together with the byte after it, so that
 * each line behind *at is known to end in CRLF. Returns the head's length, -400,
 * or 0 when upto comes first.
 */
static int
scan_lines(const char *p, size_t upto, size_t *at)
{
	size_t i = *at;

	for (;;) {
		while (i < upto && !http_is_class(p[i], CC_CONTROL))
			i++;
		if (i == upto)
			break;
		if (p[i] != '\r')
			return -400;
		if (i + 1 == upto)
			break;
		if (p[i + 1] != '\n' || i == 0)
			return -400;
		if (p[i - 1] == '\n')
			return (int)(i + 2);
		i += 2;
	}
	*at = i;
	return 0;
}

int
http_head_length(const char *p, size_t n, size_t *scanned, const struct http_limits *limits)
{
	size_t head_max = min_size(limits->head_bytes, INT_MAX);
	size_t line_max = min_size(limits->uri_bytes, INT_MAX) + REQUEST_LINE_SLACK;
	size_t upto = min_size(n, head_max);
	int rc = 0;

	/* The request line's limit is judged once, as the scan passes it. */
	if (*scanned < line_max) {
		rc = scan_lines(p, min_size(upto, line_max), scanned);
		if (rc == 0 && upto >= line_max && memchr(p, '\n', line_max) == NULL)
			return -414;
	}
	if (rc == 0)
		rc = scan_lines(p, upto, scanned);
	if (rc == 0 && n >= head_max)
		return -431;
	return rc;
}

/* The parts of a head ------------------------------------------------------- */

struct reader {
	const char *at, *end; /* what is left of the head */
	const struct http_limits *limits;
	struct http_head *head;
	struct slice authority; /* of a target in absolute form, or none */
	unsigned hosts, lengths, codings, expectations; /* fields seen */
	int coding_refusal; /* status for the transfer coding, 0 = chunked */
	bool asks_close, asks_keep_alive, asks_other;
};

static struct slice
take_run(struct reader *r, unsigned class)
{
	struct slice run = { r->at, http_span_of(r->at, (size_t)(r->end - r->at), class) };

	r->at += run.n;
	return run;
}

static bool
take(struct reader *r, struct slice what)
{
	if ((size_t)(r->end - r->at) < what.n || memcmp(r->at, what.p, what.n) != 0)
		return false;
	r->at += what.n;
	return true;
}

static bool
take_crlf(struct reader *r)
{
	return take(r, SLICE("\r\n"));
}

/* The request line ---------------------------------------------------------- */

static const struct {
	struct slice name;
	enum http_method method;
} methods[] = {
	{ { "POST", 4 }, HTTP_POST },
	{ { "GET", 3 }, HTTP_GET },
	{ { "DELETE", 6 }, HTTP_DELETE },
	{ { "OPTIONS", 7 }, HTTP_OPTIONS },
	{ { "HEAD", 4 }, HTTP_HEAD },
	{ { "PUT", 3 }, HTTP_PUT },
	{ { "PATCH", 5 }, HTTP_PATCH },
};

static bool
find_method(struct slice name, enum http_method *method)
{
	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		if (slice_eq(methods[i].name, name)) {
			*method = methods[i].method;
			return true;
		}
	}
	return false;
}

/* "HTTP/" DIGIT "." DIGIT, in this case only (RFC 9112, section 2.3). */
static int
read_version(struct reader *r)
{
	struct slice major, minor;

	if (!take(r, SLICE("HTTP/")))
		return 400;
	major = take_run(r, CC_DIGIT);
	if (major.n != 1 || !take(r, SLICE(".")))
		return 400;
	minor = take_run(r, CC_DIGIT);
	if (minor.n != 1)
		return 400;
	if (major.p[0] != '1' || minor.p[0] > '1')
		return 505;
	r->head->minor = (unsigned)(minor.p[0] - '0');
	return 0;
}

/*
 * Takes scheme and authority off a target in absolute form. Any server has to
 * read that (RFC 9112, section 3.2.2); who sent it must say the same in Host.
 */
static bool
take_authority(struct slice *target, struct slice *authority)
{
	static const struct slice schemes[] = { SLICE("http://"),
		SLICE("https://") };

	for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
		size_t at = schemes[i].n, end = at;

		if (target->n < at ||
		    !http_same_letters(target->p, schemes[i].p, at))
			continue;
		while (end < target->n && target->p[end] != '/' &&
		    target->p[end] != '?')
			end++;
		*authority = slice_of(target->p + at, end - at);
		*target = slice_of(target->p + end, target->n - end);
		return true;
	}
	return false;
}

static void
split_target(struct http_head *head, struct slice target)
{
	http_next_part(&target, '?', &head->path);
	head->query = target;
	if (head->path.n == 0)
		head->path = SLICE("/");
}

static int
read_request_line(struct reader *r)
{
	struct slice method, target;
	int status;

	method = take_run(r, CC_TOKEN);
	if (method.n == 0 || !take(r, SLICE(" ")))
		return 400;
	target = take_run(r, CC_TARGET);
	if (target.n == 0 || !take(r, SLICE(" ")))
		return 400;
	status = read_version(r);
	if (!take_crlf(r))
		return 400;
	if (status != 0)
		return status;
	if (!find_method(method, &r->head->method))
		return 501;
	if (target.n > r->limits->uri_bytes)
		return 414;
	/* The authority and asterisk forms are for proxies and servers as a
	 * whole. */
	if (target.p[0] != '/' && !take_authority(&target, &r->authority))
		return 400;
	split_target(r->head, target);
	return 0;
}

/* Fields that decide how the message is read -------------------------------- */

static bool
port_ok(struct slice port)
{
	unsigned long value = 0;

	if (port.n > PORT_DIGITS_MAX || !http_all_of(port, CC_DIGIT))
		return false;
	for (size_t i = 0; i < port.n; i++)
		value = value * 10 + (unsigned long)(port.p[i] - '0');
	return value <= 65535;
}

/* The length of the bracketed IPv6 address that s begins with, 0 if none. */
static size_t
ipv6_span(struct slice s)
{
	size_t n = http_span_of(s.p + 1, s.n - 1, CC_IPV6);

	/* The shortest is "::". */
	return n >= 2 && n + 1 < s.n && s.p[n + 1] == ']' ? n + 2 : 0;
}

/* A name or an address, then perhaps ":port" (RFC 9112, section 3.2). */
static bool
host_ok(struct slice s)
{
	size_t n;

	if (s.n == 0)
		return false;
	n = s.p[0] == '[' ? ipv6_span(s) : http_span_of(s.p, s.n, CC_NAME);
	if (n == 0 || n == s.n)
		return n > 0;
	return s.p[n] == ':' && port_ok(slice_of(s.p + n + 1, s.n - n - 1));
}

static int
read_host(struct reader *r, struct slice value)
{
	if (r->hosts++ > 0 || !host_ok(value))
		return 400;
	r->head->host = value;
	return 0;
}

/*
 * Digits and nothing else: no sign, no list, not even of equal lengths. A
 * leading zero goes too, because a reader with strtol's base 0 takes it for
 * octal.
 */
static int
read_content_length(struct reader *r, struct slice value)
{
	uint64_t length = 0;

	if (r->lengths++ > 0 || !http_all_of(value, CC_DIGIT) || value.n > LENGTH_DIGITS_MAX)
		return 400;
	if (value.p[0] == '0' && value.n > 1)
		return 400;
	for (size_t i = 0; i < value.n; i++)
		length = length * 10 + (unsigned)(value.p[i] - '0');
	if (length > INT64_MAX)
		return 400;
	r->head->content_length = length;
	return 0;
}

/*
 * The status for a list of transfer codings, 0 for exactly "chunked". One that
 * has more than chunked, but it last and once, is clear and merely unknown to
 * us; so is one without it.
 */
static int
judge_codings(struct slice list)
{
	struct slice rest = list, coding;
	bool chunked = false;
	unsigned count = 0;

	if (list.n == 0 || list.p[list.n - 1] == ',')
		return 400;
	while (http_next_part(&rest, ',', &coding)) {
		coding = slice_trim(coding);
		if (chunked || !http_all_of(coding, CC_TOKEN))
			return 400;
		chunked = http_same_word(coding, SLICE("chunked"));
		count++;
	}
	return chunked && count == 1 ? 0 : 501;
}

static int
read_transfer_encoding(struct reader *r, struct slice value)
{
	if (r->codings++ > 0)
		return 400;
	r->coding_refusal = judge_codings(value);
	return 0;
}

/* Options other than these two, Upgrade among them, do not concern us. */
static int
read_connection(struct reader *r, struct slice value)
{
	struct slice option;

	while (http_next_part(&value, ',', &option)) {
		option = slice_trim(option);
		if (option.n == 0)
			continue;
		if (!http_all_of(option, CC_TOKEN))
			return 400;
		if (http_same_word(option, SLICE("close")))
			r->asks_close = true;
		else if (http_same_word(option, SLICE("keep-alive")))
			r->asks_keep_alive = true;
	}
	return 0;
}

static int
read_expect(struct reader *r, struct slice value)
{
	if (r->expectations++ > 0 || !http_same_word(value, SLICE("100-continue")))
		r->asks_other = true;
	return 0;
}

/* Each returns 0, or the status that refuses the request at once. */
static const struct {
	struct slice name;
	int (*read)(struct reader *, struct slice value);
} framing_fields[] = {
	{ { "Host", 4 }, read_host },
	{ { "Content-Length", 14 }, read_content_length },
	{ { "Transfer-Encoding", 17 }, read_transfer_encoding },
	{ { "Connection", 10 }, read_connection },
	{ { "Expect", 6 }, read_expect },
};

/* One field line; a folded one fails for its name, which begins with a blank. */
static int
read_field(struct reader *r)
{
	struct http_head *head = r->head;
	struct slice name, value;

	name = take_run(r, CC_TOKEN);
	if (name.n == 0 || !take(r, SLICE(":")))
		return 400;
	value = slice_trim(take_run(r, CC_VALUE));
	if (!take_crlf(r))
		return 400;
	if (head->field_count == HTTP_FIELDS_MAX)
		return 431;
	head->fields[head->field_count++] = (struct http_field){ name, value };
	for (size_t i = 0; i < ARRAY_LEN(framing_fields); i++)
		if (http_same_word(framing_fields[i].name, name))
			return framing_fields[i].read(r, value);
	return 0;
}

/* What the fields mean together --------------------------------------------- */

/* False when the fields do not say where the body ends, or say it twice. */
static bool
settle_body(struct reader *r)
{
	struct http_head *head = r->head;

	if (r->codings > 0 && (r->lengths > 0 || head->minor == 0))
		return false;
	if (r->codings > 0)
		head->body = HTTP_BODY_CHUNKED;
	else if (r->lengths > 0)
		head->body = HTTP_BODY_LENGTH;
	return true;
}

/* RFC 9112, section 3.2: one in 1.1, and what an absolute target says as well. */
static bool
hosts_agree(const struct reader *r)
{
	if (r->authority.p != NULL)
		return r->hosts == 1 &&
		    http_same_word(r->authority, r->head->host);
	return r->hosts == 1 || r->head->minor == 0;
}

/* Ambiguity first: a 400 must not hide behind what we merely cannot serve. */
static int
settle(struct reader *r)
{
	struct http_head *head = r->head;
	bool has_body;

	if (!settle_body(r) || !hosts_agree(r))
		return 400;
	has_body = head->body == HTTP_BODY_CHUNKED || head->content_length > 0;
	if (head->method == HTTP_HEAD && has_body)
		return 400;
	if (r->coding_refusal != 0)
		return r->coding_refusal;
	if (r->asks_other)
		return 417;
	if (head->content_length > r->limits->body_bytes)
		return 413;
	head->keep_alive = !r->asks_close && (head->minor == 1 || r->asks_keep_alive);
	/* RFC 9110, section 10.1.1: not from 1.0, and nothing to wait for. */
	head->expect_continue = r->expectations > 0 && head->minor == 1 && has_body;
	return 0;
}

/* All but the fields' array, whose 2 KiB are read only up to field_count. */
static void
head_init(struct http_head *head)
{
	head->path = SLICE_NONE;
	head->query = SLICE_NONE;
	head->host = SLICE_NONE;
	head->body = HTTP_BODY_NONE;
	head->content_length = 0;
	head->field_count = 0;
}

int
http_head_parse(const char *p, size_t n, const struct http_limits *limits, struct http_head *out)
{
	struct reader r = { .at = p, .end = p + n, .limits = limits, .head = out };
	int status;

	if (n > limits->head_bytes)
		return 431;
	head_init(out);
	status = read_request_line(&r);
	while (status == 0 && !take_crlf(&r))
		status = read_field(&r);
	if (status != 0)
		return status;
	return r.at == r.end ? settle(&r) : 400;
}

struct slice
http_head_field(const struct http_head *head, const char *name)
{
	struct slice wanted = slice_str(name);

	for (unsigned i = 0; i < head->field_count; i++)
		if (http_same_word(head->fields[i].name, wanted))
			return head->fields[i].value;
	return SLICE_NONE;
}

unsigned
http_head_field_count(const struct http_head *head, const char *name)
{
	struct slice wanted = slice_str(name);
	unsigned count = 0;

	for (unsigned i = 0; i < head->field_count; i++)
		count += http_same_word(head->fields[i].name, wanted);
	return count;
}
