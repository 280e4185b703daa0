#include "proxy/http_parse.h"

#include <limits.h>

/*
 * A request line is its target and at most this: the longest method we know
 * (7), " HTTP/1.1" with the blank before the target (10) and CRLF (2), the rest
 * for a longer method, which deserves its 501. A target that fits
 * limits->uri_bytes therefore never meets the limit on the line.
 */
#define REQUEST_LINE_SLACK 64

/* Digits of 2^63 - 1, the largest Content-Length that every reader can hold. */
#define LENGTH_DIGITS_MAX 19
/* Hexadecimal digits of a uint64_t: a chunk size of that many cannot wrap. */
#define CHUNK_DIGITS_MAX 16
#define PORT_DIGITS_MAX 5

/* Classes of bytes ---------------------------------------------------------- */

enum {
	CC_TOKEN = 1 << 0,  /* tchar: methods, field names, list members */
	CC_TARGET = 1 << 1, /* request target; see below */
	CC_VALUE = 1 << 2,  /* field value: HTAB, SP, VCHAR, obs-text */
	CC_NAME = 1 << 3,   /* host name or IPv4 address */
	CC_IPV6 = 1 << 4,   /* between the brackets of an IPv6 address */
	CC_DIGIT = 1 << 5,
	CC_HEX = 1 << 6,
	CC_CONTROL = 1 << 7, /* never within a line; HTAB is not among them */

	CC_TEXT = CC_TARGET | CC_VALUE,
	CC_TTEXT = CC_TOKEN | CC_TEXT,
	CC_ALPHA = CC_TTEXT | CC_NAME,
};

/*
 * A target may hold what URL serialisers leave as it is in a query, which is
 * RFC 3986 and [ ] ^ ` { | }. Refused: the fragment's '#', the backslash, which
 * some readers take for a slash, and quotes and angle brackets, which end up in
 * other people's logs and pages.
 */
static const unsigned char byte_class[256] = {
	[0x00 ... 0x08] = CC_CONTROL,
	['\t'] = CC_VALUE,
	[0x0a ... 0x1f] = CC_CONTROL,
	[' '] = CC_VALUE,
	['!'] = CC_TTEXT,
	['"'] = CC_VALUE,
	['#'] = CC_TOKEN | CC_VALUE,
	['$' ... '\''] = CC_TTEXT,
	['(' ... ')'] = CC_TEXT,
	['*' ... '+'] = CC_TTEXT,
	[','] = CC_TEXT,
	['-'] = CC_TTEXT | CC_NAME,
	['.'] = CC_TTEXT | CC_NAME | CC_IPV6,
	['/'] = CC_TEXT,
	['0' ... '9'] = CC_ALPHA | CC_IPV6 | CC_DIGIT | CC_HEX,
	[':'] = CC_TEXT | CC_IPV6,
	[';'] = CC_TEXT,
	['<'] = CC_VALUE,
	['='] = CC_TEXT,
	['>'] = CC_VALUE,
	['?' ... '@'] = CC_TEXT,
	['A' ... 'F'] = CC_ALPHA | CC_IPV6 | CC_HEX,
	['G' ... 'Z'] = CC_ALPHA,
	['['] = CC_TEXT,
	['\\'] = CC_VALUE,
	[']'] = CC_TEXT,
	['^'] = CC_TTEXT,
	['_'] = CC_TTEXT | CC_NAME,
	['`'] = CC_TTEXT,
	['a' ... 'f'] = CC_ALPHA | CC_IPV6 | CC_HEX,
	['g' ... 'z'] = CC_ALPHA,
	['{'] = CC_TEXT,
	['|'] = CC_TTEXT,
	['}'] = CC_TEXT,
	['~'] = CC_TTEXT,
	[0x7f] = CC_CONTROL,
	[0x80 ... 0xff] = CC_VALUE,
};

static inline bool
is_class(char c, unsigned class)
{
	return (byte_class[(unsigned char)c] & class) != 0;
}

/* How many of the n bytes at p, from the first on, belong to the class. */
static inline size_t
span_of(const char *p, size_t n, unsigned class)
{
	size_t i = 0;

	while (i < n && is_class(p[i], class))
		i++;
	return i;
}

static inline bool
all_of(struct slice s, unsigned class)
{
	return s.n > 0 && span_of(s.p, s.n, class) == s.n;
}

/* Of ASCII letters only: the C library's would ask the locale. */
static inline unsigned char
lower(char c)
{
	unsigned char u = (unsigned char)c;

	return u >= 'A' && u <= 'Z' ? u | 0x20 : u;
}

static bool
same_word(struct slice a, struct slice b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (lower(a.p[i]) != lower(b.p[i]))
			return false;
	return true;
}

/* Of a byte in CC_HEX. */
static unsigned
hex_value(char c)
{
	return is_class(c, CC_DIGIT) ? (unsigned)(c - '0') : lower(c) - 'a' + 10U;
}

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
		while (i < upto && !is_class(p[i], CC_CONTROL))
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
	unsigned hosts, lengths, codings, expectations; /* fields seen */
	int coding_refusal; /* status for the transfer coding, 0 = chunked */
	bool asks_close, asks_keep_alive, asks_other;
};

static struct slice
take_run(struct reader *r, unsigned class)
{
	struct slice run = { r->at, span_of(r->at, (size_t)(r->end - r->at), class) };

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

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static struct slice
trim(struct slice s)
{
	while (s.n > 0 && is_blank(s.p[0])) {
		s.p++;
		s.n--;
	}
	while (s.n > 0 && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

/* Takes what stands before the separator, or all that is left, off *rest. */
static bool
next_part(struct slice *rest, char separator, struct slice *part)
{
	const char *stop;

	if (rest->n == 0)
		return false;
	stop = memchr(rest->p, separator, rest->n);
	*part = slice_of(rest->p, stop != NULL ? (size_t)(stop - rest->p) : rest->n);
	*rest = stop != NULL ? slice_of(stop + 1, rest->n - part->n - 1) : SLICE_NONE;
	return true;
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

static void
split_target(struct http_head *head, struct slice target)
{
	struct slice rest = target;

	head->target = target;
	next_part(&rest, '?', &head->path);
	head->query = rest;
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
	/* The absolute, authority and asterisk forms are for proxies and servers
	 * as a whole: here they could only name a second, other host. */
	if (target.p[0] != '/')
		return 400;
	split_target(r->head, target);
	return 0;
}

/* Fields that decide how the message is read -------------------------------- */

static bool
port_ok(struct slice port)
{
	unsigned long value = 0;

	if (port.n > PORT_DIGITS_MAX || !all_of(port, CC_DIGIT))
		return false;
	for (size_t i = 0; i < port.n; i++)
		value = value * 10 + (unsigned long)(port.p[i] - '0');
	return value <= 65535;
}

/* The length of the bracketed IPv6 address that s begins with, 0 if none. */
static size_t
ipv6_span(struct slice s)
{
	size_t n = span_of(s.p + 1, s.n - 1, CC_IPV6);

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
	n = s.p[0] == '[' ? ipv6_span(s) : span_of(s.p, s.n, CC_NAME);
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

	if (r->lengths++ > 0 || !all_of(value, CC_DIGIT) || value.n > LENGTH_DIGITS_MAX)
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
	while (next_part(&rest, ',', &coding)) {
		coding = trim(coding);
		if (chunked || !all_of(coding, CC_TOKEN))
			return 400;
		chunked = same_word(coding, SLICE("chunked"));
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

	while (next_part(&value, ',', &option)) {
		option = trim(option);
		if (option.n == 0)
			continue;
		if (!all_of(option, CC_TOKEN))
			return 400;
		if (same_word(option, SLICE("close")))
			r->asks_close = true;
		else if (same_word(option, SLICE("keep-alive")))
			r->asks_keep_alive = true;
	}
	return 0;
}

static int
read_expect(struct reader *r, struct slice value)
{
	if (r->expectations++ > 0 || !same_word(value, SLICE("100-continue")))
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
	value = trim(take_run(r, CC_VALUE));
	if (!take_crlf(r))
		return 400;
	if (head->field_count == HTTP_FIELDS_MAX)
		return 431;
	head->fields[head->field_count++] = (struct http_field){ name, value };
	for (size_t i = 0; i < ARRAY_LEN(framing_fields); i++)
		if (same_word(framing_fields[i].name, name))
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

/* Ambiguity first: a 400 must not hide behind what we merely cannot serve. */
static int
settle(struct reader *r)
{
	struct http_head *head = r->head;
	bool has_body;

	if (!settle_body(r) || (r->hosts == 0 && head->minor == 1))
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
		if (same_word(head->fields[i].name, wanted))
			return head->fields[i].value;
	return SLICE_NONE;
}

unsigned
http_head_field_count(const struct http_head *head, const char *name)
{
	struct slice wanted = slice_str(name);
	unsigned count = 0;

	for (unsigned i = 0; i < head->field_count; i++)
		count += same_word(head->fields[i].name, wanted);
	return count;
}

/* Query parameters ---------------------------------------------------------- */

/* Takes one decoded byte off *s, which is not empty; -1 when badly encoded. */
static int
take_decoded(struct slice *s)
{
	char c = s->p[0];
	size_t used = 1;
	int byte = (unsigned char)c;

	if (c == '+') {
		byte = ' ';
	} else if (c == '%') {
		if (s->n < 3 || !is_class(s->p[1], CC_HEX) || !is_class(s->p[2], CC_HEX))
			return -1;
		byte = (int)(hex_value(s->p[1]) << 4 | hex_value(s->p[2]));
		used = 3;
	}
	*s = slice_of(s->p + used, s->n - used);
	return byte;
}

/* Compares decoded, so that "%61=2" cannot be a second, unseen "a". */
static bool
name_matches(struct slice encoded, const char *name)
{
	while (encoded.n > 0 && *name != '\0')
		if (take_decoded(&encoded) != (unsigned char)*name++)
			return false;
	return encoded.n == 0 && *name == '\0';
}

/* Finds the value, still encoded, of the one parameter with that name. */
static bool
find_param(struct slice query, const char *name, struct slice *value)
{
	struct slice pair, key;
	bool found = false;

	while (next_part(&query, '&', &pair)) {
		if (!next_part(&pair, '=', &key) || !name_matches(key, name))
			continue;
		if (found)
			return false;
		found = true;
		*value = pair;
	}
	return found;
}

int
http_query_param(struct slice query, const char *name, char *buf, size_t size)
{
	struct slice value = SLICE_NONE;
	size_t n = 0;

	if (size == 0 || !find_param(query, name, &value))
		return -1;
	while (value.n > 0) {
		int byte = take_decoded(&value);

		if (byte < ' ' || byte == 0x7f || n + 1 == size)
			return -1;
		buf[n++] = (char)byte;
	}
	buf[n] = '\0';
	return (int)n;
}

/* Chunked bodies ------------------------------------------------------------ */

/* What the next byte is to be. A zeroed decoder is at the first size. */
enum chunk_state {
	CHUNK_SIZE, /* a digit of the size, or the CR after it */
	CHUNK_SIZE_LF,
	CHUNK_DATA,
	CHUNK_DATA_CR,
	CHUNK_DATA_LF,
	CHUNK_LAST_CR, /* where a trailer would begin */
	CHUNK_LAST_LF,
	CHUNK_DONE
};

/* A '+', "0x", blank or ';' before an extension is neither digit nor CR. */
static int
chunk_size_byte(struct http_chunked *c, char byte)
{
	if (is_class(byte, CC_HEX)) {
		if (c->digits++ == CHUNK_DIGITS_MAX)
			return -400;
		c->left = c->left << 4 | hex_value(byte);
		return 0;
	}
	if (byte != '\r' || c->digits == 0)
		return -400;
	c->state = CHUNK_SIZE_LF;
	return 0;
}

static int
chunk_size_end(struct http_chunked *c, uint64_t body_max)
{
	/* total never passes the limit, so the difference does not wrap. */
	if (c->left > body_max - c->total)
		return -413;
	c->digits = 0;
	c->state = c->left > 0 ? CHUNK_DATA : CHUNK_LAST_CR;
	return 0;
}

/* One byte between the stretches of data. */
static int
chunk_frame_byte(struct http_chunked *c, char byte, uint64_t body_max)
{
	/* Of the states that take one certain byte, and what follows it. */
	static const struct {
		char byte;
		enum chunk_state next;
	} fixed[] = {
		[CHUNK_DATA_CR] = { '\r', CHUNK_DATA_LF },
		[CHUNK_DATA_LF] = { '\n', CHUNK_SIZE },
		[CHUNK_LAST_CR] = { '\r', CHUNK_LAST_LF },
		[CHUNK_LAST_LF] = { '\n', CHUNK_DONE },
	};

	if (c->state == CHUNK_SIZE)
		return chunk_size_byte(c, byte);
	if (c->state == CHUNK_SIZE_LF)
		return byte == '\n' ? chunk_size_end(c, body_max) : -400;
	if (byte != fixed[c->state].byte)
		return -400;
	c->state = fixed[c->state].next;
	return 0;
}

/* Takes as much of the current chunk as the n bytes at p hold. */
static struct slice
chunk_take_data(struct http_chunked *c, const char *p, size_t n)
{
	struct slice data = { p, c->left < n ? (size_t)c->left : n };

	c->left -= data.n;
	c->total += data.n;
	if (c->left == 0)
		c->state = CHUNK_DATA_CR;
	return data;
}

int
http_chunked_feed(struct http_chunked *c, const char *p, size_t n, const struct http_limits *limits,
    size_t *consumed, struct slice *data)
{
	struct slice taken = SLICE_NONE;
	size_t i = 0;

	while (i < n && c->state != CHUNK_DONE) {
		if (c->state == CHUNK_DATA) {
			if (taken.n > 0)
				break;
			taken = chunk_take_data(c, p + i, n - i);
			i += taken.n;
		} else {
			int rc = chunk_frame_byte(c, p[i], limits->body_bytes);

			if (rc < 0)
				return rc;
			i++;
		}
	}
	*consumed = i;
	*data = taken;
	return c->state == CHUNK_DONE;
}

/* Statuses ------------------------------------------------------------------ */

const char *
http_status_text(int status)
{
	static const struct {
		int status;
		const char *text;
	} texts[] = {
		{ 200, "OK" },
		{ 202, "Accepted" },
		{ 100, "Continue" },
		{ 204, "No Content" },
		{ 400, "Bad Request" },
		{ 401, "Unauthorized" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 406, "Not Acceptable" },
		{ 408, "Request Timeout" },
		{ 411, "Length Required" },
		{ 413, "Content Too Large" },
		{ 414, "URI Too Long" },
		{ 415, "Unsupported Media Type" },
		{ 417, "Expectation Failed" },
		{ 421, "Misdirected Request" },
		{ 429, "Too Many Requests" },
		{ 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" },
		{ 501, "Not Implemented" },
		{ 503, "Service Unavailable" },
		{ 504, "Gateway Timeout" },
		{ 505, "HTTP Version Not Supported" },
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (texts[i].status == status)
			return texts[i].text;
	return "Unknown";
}
