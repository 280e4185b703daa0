#include "tests/bench/lib/http_reader.h"

#include <stdlib.h>
#include <strings.h>

#define LINE_MAX_BYTES 16384

void
http_reader_init(struct http_reader *r)
{
	*r = (struct http_reader){ .state = HTTP_READER_STATUS_LINE };
	strbuf_init(&r->line, LINE_MAX_BYTES);
}

void
http_reader_release(struct http_reader *r)
{
	strbuf_release(&r->line);
}

static void
advance(struct slice *in, size_t n)
{
	in->p += n;
	in->n -= n;
}

/*
 * Takes a line without its end; false when it is not complete. The line borrows
 * from in, or from r->line (emptied by the caller) when it came in pieces.
 */
static bool
take_line(struct http_reader *r, struct slice *in, struct slice *line)
{
	const char *nl = in->n > 0 ? memchr(in->p, '\n', in->n) : NULL;
	size_t n = nl ? (size_t)(nl - in->p) : in->n;

	if (nl != NULL && r->line.n == 0) {
		*line = slice_of(in->p, n);
	} else {
		strbuf_add(&r->line, in->p, n);
		*line = strbuf_slice(&r->line);
	}
	advance(in, nl ? n + 1 : n);
	if (nl != NULL && line->n > 0 && line->p[line->n - 1] == '\r')
		line->n--;
	return nl != NULL;
}

/* The value of a field when the line is that field, else SLICE_NONE. */
static struct slice
field_value(struct slice line, const char *name)
{
	size_t n = strlen(name);

	if (line.n <= n || line.p[n] != ':' || strncasecmp(line.p, name, n) != 0)
		return SLICE_NONE;
	for (n++; n < line.n && line.p[n] == ' ';)
		n++;
	return slice_of(line.p + n, line.n - n);
}

static bool
value_is(struct slice value, const char *word)
{
	return value.n == strlen(word) &&
	    strncasecmp(value.p, word, value.n) == 0;
}

static bool
read_number(struct slice text, unsigned base, uint64_t *out)
{
	char copy[20];
	char *end;

	if (text.n == 0 || text.n >= sizeof(copy))
		return false;
	memcpy(copy, text.p, text.n);
	copy[text.n] = '\0';
	*out = strtoull(copy, &end, (int)base);
	return end != copy && (*end == '\0' || *end == ';');
}

static bool
read_status(struct http_reader *r, struct slice line)
{
	uint64_t status;

	if (line.n < 12 || memcmp(line.p, "HTTP/1.", 7) != 0 ||
	    !read_number(slice_of(line.p + 9, 3), 10, &status) || status < 100)
		return false;
	r->status = (int)status;
	r->close = line.p[7] == '0';
	r->chunked = r->has_length = false;
	r->left = 0;
	r->state = HTTP_READER_FIELDS;
	return true;
}

/* The end of the head: how does the body end? */
static enum http_reader_step
begin_body(struct http_reader *r)
{
	if (r->status < 200) {
		r->state = HTTP_READER_STATUS_LINE;
		return HTTP_READER_MORE;
	}
	if (r->chunked) {
		r->state = HTTP_READER_CHUNK_SIZE;
		return HTTP_READER_MORE;
	}
	if (r->status == 204 || r->status == 304 ||
	    (r->has_length && r->left == 0)) {
		r->state = HTTP_READER_STATUS_LINE;
		return HTTP_READER_END;
	}
	r->state = r->has_length ? HTTP_READER_LENGTH : HTTP_READER_UNTIL_CLOSE;
	return HTTP_READER_MORE;
}

static enum http_reader_step
read_field(struct http_reader *r, struct slice line)
{
	struct slice value;

	if (line.n == 0)
		return begin_body(r);
	if ((value = field_value(line, "content-length")).p != NULL) {
		r->has_length = true;
		if (!read_number(value, 10, &r->left))
			return HTTP_READER_BAD;
	} else if ((value = field_value(line, "transfer-encoding")).p != NULL) {
		r->chunked = value_is(value, "chunked");
	} else if ((value = field_value(line, "connection")).p != NULL) {
		r->close = value_is(value, "close");
	}
	return HTTP_READER_MORE;
}

static enum http_reader_step
read_chunk_size(struct http_reader *r, struct slice line)
{
	if (!read_number(line, 16, &r->left))
		return HTTP_READER_BAD;
	r->state = r->left > 0 ? HTTP_READER_CHUNK : HTTP_READER_TRAILERS;
	return HTTP_READER_MORE;
}

static enum http_reader_step
read_line(struct http_reader *r, struct slice line)
{
	switch (r->state) {
	case HTTP_READER_STATUS_LINE:
		return read_status(r, line) ? HTTP_READER_MORE : HTTP_READER_BAD;
	case HTTP_READER_FIELDS:
		return read_field(r, line);
	case HTTP_READER_CHUNK_SIZE:
		return read_chunk_size(r, line);
	case HTTP_READER_CHUNK_END:
		r->state = HTTP_READER_CHUNK_SIZE;
		return line.n == 0 ? HTTP_READER_MORE : HTTP_READER_BAD;
	case HTTP_READER_TRAILERS:
		if (line.n > 0)
			return HTTP_READER_MORE;
		r->state = HTTP_READER_STATUS_LINE;
		return HTTP_READER_END;
	case HTTP_READER_LENGTH:
	case HTTP_READER_UNTIL_CLOSE:
	case HTTP_READER_CHUNK:
		break;
	}
	return HTTP_READER_BAD;
}

static bool
in_body(const struct http_reader *r)
{
	return r->state == HTTP_READER_LENGTH || r->state == HTTP_READER_CHUNK ||
	    r->state == HTTP_READER_UNTIL_CLOSE;
}

/* Hands out what there is of the body. Its last stretch is a step before END. */
static enum http_reader_step
take_body(struct http_reader *r, struct slice *in, struct slice *body)
{
	size_t n = in->n;

	if (r->state == HTTP_READER_LENGTH && r->left == 0) {
		r->state = HTTP_READER_STATUS_LINE;
		return HTTP_READER_END;
	}
	if (n == 0)
		return HTTP_READER_MORE;
	if (r->state != HTTP_READER_UNTIL_CLOSE) {
		if (n > r->left)
			n = (size_t)r->left;
		r->left -= n;
	}
	*body = slice_of(in->p, n);
	advance(in, n);
	if (r->state == HTTP_READER_CHUNK && r->left == 0)
		r->state = HTTP_READER_CHUNK_END;
	return HTTP_READER_BODY;
}

enum http_reader_step
http_reader_next(struct http_reader *r, struct slice *in, struct slice *body)
{
	enum http_reader_step step = HTTP_READER_MORE;
	struct slice line;

	while (step == HTTP_READER_MORE && !in_body(r)) {
		if (!take_line(r, in, &line))
			return strbuf_ok(&r->line) ? HTTP_READER_MORE
						   : HTTP_READER_BAD;
		step = read_line(r, line);
		strbuf_reset(&r->line);
	}
	return step == HTTP_READER_MORE ? take_body(r, in, body) : step;
}
