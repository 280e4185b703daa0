/*
 * The strict reader of a request's head: bytes in, slices out, no I/O.
 *
 * Anything that two readers could understand differently is refused: the ALB in
 * front and this reader must never disagree on where a request ends (request
 * smuggling). RFC 9112 says what is well-formed; where it lets a recipient
 * repair a message, this one refuses it instead: no empty line before the
 * request line, no bare LF, no folded field, no list of equal Content-Lengths.
 * Of a target's forms the origin form is read, and the absolute form if Host says
 * the same; nothing here is a proxy in HTTP's sense.
 *
 * A caller collects bytes until http_head_length() finds the end of a head,
 * calls http_head_parse() once on exactly those bytes, and then reads the body:
 * content_length bytes, or what http_chunked.h makes of a chunked one.
 * Nothing here allocates, and slices point into the caller's bytes.
 */
#ifndef MCP_HTTP_HEAD_H
#define MCP_HTTP_HEAD_H

#include "common/compiler.h"

#define HTTP_FIELDS_MAX 64

struct http_limits {
	size_t head_bytes; /* request line and fields, with the last CRLF */
	size_t uri_bytes;  /* request target */
	size_t body_bytes; /* decoded body */
};

enum http_method {
	HTTP_GET = 1,
	HTTP_HEAD,
	HTTP_POST,
	HTTP_PUT,
	HTTP_DELETE,
	HTTP_OPTIONS,
	HTTP_PATCH
};

enum http_body_kind {
	HTTP_BODY_NONE, /* neither Content-Length nor Transfer-Encoding */
	HTTP_BODY_LENGTH,
	HTTP_BODY_CHUNKED
};

struct http_field {
	struct slice name;  /* as sent; compare without case */
	struct slice value; /* without surrounding blanks */
};

struct http_head {
	enum http_method method;
	struct slice path;    /* of the target, not percent-decoded; never empty */
	struct slice query;   /* after '?', empty when there is none */
	unsigned minor;       /* 0 or 1, of HTTP/1.x */
	bool keep_alive;      /* what the client wishes, by version and field */
	bool expect_continue; /* the client waits for a 100 before its body */
	enum http_body_kind body;
	uint64_t content_length;
	struct slice host; /* with its port; none only from HTTP/1.0 */
	struct http_field fields[HTTP_FIELDS_MAX];
	unsigned field_count;
};

/*
 * Looks for the end of a head in the n bytes at p. *scanned carries on where an
 * earlier call with fewer of the same bytes stopped (start at 0), so that a
 * client sending one byte at a time costs linear work.
 *
 * Returns the head's length in bytes with its last CRLF, 0 when more bytes are
 * needed, or a negated HTTP status when no further byte can mend it: -400 for a
 * bare CR or LF, a NUL or another control character, an empty first line; -414
 * when the request line alone cannot hold a target within its limit, -431 when
 * head_bytes are not enough. The answer depends on the bytes alone, not on how
 * they arrived.
 */
int http_head_length(
    const char *p, size_t n, size_t *scanned, const struct http_limits *limits) MUST_CHECK;

/*
 * Parses a whole head of exactly n bytes. Returns 0, or the HTTP status that
 * refuses it: 400 malformed or ambiguous, 413 Content-Length over the limit (400
 * past 2^63 - 1, where readers begin to differ), 414 target too long, 417 unknown
 * expectation, 431 too many fields, 501 unknown method or transfer coding, 505
 * version other than 1.0 and 1.1. On a status other than 0, *out is unspecified.
 *
 * Of several faults the earliest line decides; what only the whole head shows
 * comes after: 400, then 501 for the coding, 417, 413.
 */
int http_head_parse(
    const char *p, size_t n, const struct http_limits *limits, struct http_head *out) MUST_CHECK;

/* The value of the first field of that name (any case), or SLICE_NONE. */
struct slice http_head_field(const struct http_head *head, const char *name);
/* How many fields carry that name (any case). */
unsigned http_head_field_count(const struct http_head *head, const char *name);

#endif
