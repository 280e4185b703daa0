#include <stdlib.h>

#include "common/utf8.h"
#include "worker/openapi/reader.h"

struct json {
	struct reading *reading;
	struct builder *builder;
	char *p, *end;
	unsigned line;
};

static bool
fail(struct json *j, const char *what)
{
	j->reading->line = j->line;
	if (j->reading->error->n == 0)
		strbuf_add_str(j->reading->error, what);
	return false;
}

static void
skip_blanks(struct json *j)
{
	for (; j->p < j->end; j->p++) {
		if (*j->p == '\n')
			j->line++;
		else if (*j->p != ' ' && *j->p != '\t' && *j->p != '\r')
			break;
	}
}

static bool
next_is(struct json *j, char c)
{
	if (j->p == j->end || *j->p != c)
		return false;
	j->p++;
	return true;
}

/* Strings ---------------------------------------------------------------- */

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Four hex digits at p; -1: there are none. */
static int32_t
hex4(const char *p, const char *end)
{
	int32_t v = 0;

	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		if (hex_digit(p[i]) < 0)
			return -1;
		v = v * 16 + hex_digit(p[i]);
	}
	return v;
}

static char *
put_utf8(char *to, uint32_t c)
{
	if (c < 0x80) {
		*to++ = (char)c;
	} else if (c < 0x800) {
		*to++ = (char)(0xc0 | c >> 6);
		*to++ = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		*to++ = (char)(0xe0 | c >> 12);
		*to++ = (char)(0x80 | (c >> 6 & 0x3f));
		*to++ = (char)(0x80 | (c & 0x3f));
	} else {
		*to++ = (char)(0xf0 | c >> 18);
		*to++ = (char)(0x80 | (c >> 12 & 0x3f));
		*to++ = (char)(0x80 | (c >> 6 & 0x3f));
		*to++ = (char)(0x80 | (c & 0x3f));
	}
	return to;
}

/* \uXXXX, and the one after it where two make one character. */
static char *
read_unicode(struct json *j, char *to)
{
	int32_t c = hex4(j->p, j->end), low;

	if (c < 0 || (c >= 0xdc00 && c <= 0xdfff))
		return NULL;
	j->p += 4;
	if (c < 0xd800 || c > 0xdbff)
		return put_utf8(to, (uint32_t)c);
	if (j->end - j->p < 6 || j->p[0] != '\\' || j->p[1] != 'u')
		return NULL;
	low = hex4(j->p + 2, j->end);
	if (low < 0xdc00 || low > 0xdfff)
		return NULL;
	j->p += 6;
	return put_utf8(to,
	    0x10000 + (((uint32_t)c & 0x3ff) << 10 | ((uint32_t)low & 0x3ff)));
}

/* What stands behind a backslash; NULL: nothing that JSON knows. */
static char *
read_escape(struct json *j, char *to)
{
	static const char from[] = "\"\\/bfnrt", means[] = "\"\\/\b\f\n\r\t";
	const char *at;

	if (j->p == j->end || *j->p == '\0')
		return NULL;
	if (*j->p == 'u') {
		j->p++;
		return read_unicode(j, to);
	}
	at = strchr(from, *j->p);
	if (at == NULL)
		return NULL;
	j->p++;
	*to++ = means[at - from];
	return to;
}

/* Behind the opening quote; what is read is never longer than what it was. */
static bool
read_string(struct json *j, struct slice *out)
{
	char *from = j->p, *to = j->p;

	while (j->p < j->end && *j->p != '"') {
		unsigned char c = (unsigned char)*j->p;

		if (c < 0x20)
			return fail(j, "a control character in a string");
		if (c == '\\') {
			j->p++;
			to = read_escape(j, to);
			if (to == NULL)
				return fail(j, "an escape that is none");
		} else {
			*to++ = *j->p++;
		}
	}
	if (!next_is(j, '"'))
		return fail(j, "a string without its end");
	*out = slice_of(from, (size_t)(to - from));
	return true;
}

/* Numbers and words ------------------------------------------------------ */

static bool
skip_digits(struct json *j)
{
	char *from = j->p;

	while (j->p < j->end && *j->p >= '0' && *j->p <= '9')
		j->p++;
	return j->p > from;
}

static bool
skip_number(struct json *j)
{
	next_is(j, '-');
	if (!next_is(j, '0') && !skip_digits(j))
		return false;
	if (next_is(j, '.') && !skip_digits(j))
		return false;
	if (next_is(j, 'e') || next_is(j, 'E')) {
		if (!next_is(j, '+'))
			next_is(j, '-');
		return skip_digits(j);
	}
	return true;
}

static bool
read_number(struct json *j)
{
	char *from = j->p;

	if (!skip_number(j))
		return fail(j, "neither JSON nor the start of a value");
	builder_add(j->builder, (struct node){ .p = from,
				    .n = (uint32_t)(j->p - from),
				    .line = j->line,
				    .type = NODE_NUMBER });
	return true;
}

static bool
read_word(struct json *j)
{
	static const struct {
		struct slice word;
		enum node_type type;
		uint32_t n;
	} words[] = {
		{ { "true", 4 }, NODE_BOOL, 1 },
		{ { "false", 5 }, NODE_BOOL, 0 },
		{ { "null", 4 }, NODE_NULL, 0 },
	};

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		size_t n = words[i].word.n;

		if ((size_t)(j->end - j->p) < n ||
		    memcmp(j->p, words[i].word.p, n) != 0)
			continue;
		j->p += n;
		builder_add(j->builder, (struct node){ .n = words[i].n,
					    .line = j->line,
					    .type = words[i].type });
		return true;
	}
	return read_number(j);
}

/* Values ----------------------------------------------------------------- */

static bool
read_string_value(struct json *j)
{
	struct slice text = SLICE_NONE;
	unsigned line = j->line;

	if (!read_string(j, &text))
		return false;
	builder_add(j->builder, (struct node){ .p = text.p,
				    .n = (uint32_t)text.n,
				    .line = line,
				    .type = NODE_STRING });
	return true;
}

static bool
read_name(struct json *j)
{
	struct slice name = SLICE_NONE;

	skip_blanks(j);
	if (!next_is(j, '"'))
		return fail(j, "expected a name in quotes");
	if (!read_string(j, &name))
		return false;
	skip_blanks(j);
	if (!next_is(j, ':'))
		return fail(j, "expected : behind a name");
	builder_name(j->builder, name);
	return true;
}

static bool
close_one(struct json *j)
{
	struct member twice;

	(void)builder_close(j->builder, &twice);
	if (twice.p == NULL || !j->reading->unique)
		return true;
	strbuf_addf(j->reading->error, "\"%.*s\" is given twice",
	    SLICE_ARG(member_name(&twice)));
	j->line = twice.value.line;
	return fail(j, "");
}

static bool read_value(struct json *j);

static bool
read_members(struct json *j, enum node_type type, char closing)
{
	if (builder_depth(j->builder) == READER_DEPTH_MAX)
		return fail(j, "nested too deeply");
	builder_open(j->builder, type, j->line);
	skip_blanks(j);
	if (next_is(j, closing))
		return close_one(j);
	do {
		if (type == NODE_OBJECT && !read_name(j))
			return false;
		if (!read_value(j))
			return false;
		skip_blanks(j);
	} while (next_is(j, ','));
	if (!next_is(j, closing))
		return fail(j, "expected , or the end of a list or object");
	return close_one(j);
}

static bool
read_value(struct json *j)
{
	skip_blanks(j);
	if (next_is(j, '{'))
		return read_members(j, NODE_OBJECT, '}');
	if (next_is(j, '['))
		return read_members(j, NODE_ARRAY, ']');
	if (next_is(j, '"'))
		return read_string_value(j);
	return read_word(j);
}

/* The module itself ------------------------------------------------------ */

static bool
check_utf8(struct json *j)
{
	size_t length;

	for (char *p = j->p; p < j->end; p += length) {
		length = utf8_length(p, (size_t)(j->end - p));
		if (length == 0)
			return fail(j, "not UTF-8");
		if (*p == '\n')
			j->line++;
	}
	j->line = 1;
	return true;
}

bool
json_read(struct reading *r, char *text, size_t n, struct node *root)
{
	struct json j = { .reading = r, .p = text, .end = text + n, .line = 1 };
	bool ok;

	if (n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		j.p += 3;
	j.builder = builder_new(r->arena);
	ok = check_utf8(&j) && read_value(&j);
	skip_blanks(&j);
	if (ok && j.p != j.end)
		ok = fail(&j, "something behind the end");
	ok = ok && builder_done(j.builder, root);
	builder_free(j.builder);
	return ok;
}
