#include "common/json_text.h"

#include <endian.h>

/*
 * UTF-8 sequences by their lead byte (RFC 3629, section 4): the second byte's
 * range is what keeps out overlong forms, surrogates and code points past
 * U+10FFFF. Lead bytes without a row have length 0.
 */
static const struct {
	unsigned char length, low, high;
} utf8[256] = {
	[0xc2 ... 0xdf] = { 2, 0x80, 0xbf },
	[0xe0] = { 3, 0xa0, 0xbf },
	[0xe1 ... 0xec] = { 3, 0x80, 0xbf },
	[0xed] = { 3, 0x80, 0x9f },
	[0xee ... 0xef] = { 3, 0x80, 0xbf },
	[0xf0] = { 4, 0x90, 0xbf },
	[0xf1 ... 0xf3] = { 4, 0x80, 0xbf },
	[0xf4] = { 4, 0x80, 0x8f },
};

/* The same byte eight times. */
#define EIGHT(byte) (UINT64_C(0x0101010101010101) * (byte))

/*
 * Marks the bytes of w that a string cannot just run over (quote, backslash,
 * control characters, non-ASCII) in their top bits. A borrow may mark bytes
 * above a marked one falsely: the lowest mark is exact.
 */
static inline uint64_t
special_bytes(uint64_t w)
{
	uint64_t quote = (w ^ EIGHT('"')) - EIGHT(1);
	uint64_t backslash = (w ^ EIGHT('\\')) - EIGHT(1);
	uint64_t control = w - EIGHT(0x20);

	return (quote | backslash | control | w) & EIGHT(0x80);
}

static inline bool
is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

static inline const unsigned char *
skip_plain(const unsigned char *p, const unsigned char *end)
{
	for (; end - p >= 8; p += 8) {
		uint64_t word, marks;

		memcpy(&word, p, sizeof(word));
		marks = special_bytes(le64toh(word));
		if (marks != 0)
			return p + __builtin_ctzll(marks) / 8;
	}
	while (p < end && is_plain(*p))
		p++;
	return p;
}

/* These two return where they end, or NULL for what is not allowed. */
static inline const unsigned char *
skip_utf8(const unsigned char *p, const unsigned char *end)
{
	do {
		unsigned length = utf8[*p].length;

		if (length == 0 || (size_t)(end - p) < length ||
		    p[1] < utf8[*p].low || p[1] > utf8[*p].high)
			return NULL;
		for (unsigned i = 2; i < length; i++)
			if ((p[i] & 0xc0) != 0x80)
				return NULL;
		p += length;
	} while (p < end && *p >= 0x80);
	return p;
}

static int
hex_value(unsigned char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Reads "uXXXX"; returns the UTF-16 code unit, or -1. */
static int
unicode_escape(const unsigned char *p, const unsigned char *end)
{
	int unit = 0;

	if (end - p < 5 || *p != 'u')
		return -1;
	for (int i = 1; i <= 4; i++) {
		int digit = hex_value(p[i]);

		if (digit < 0)
			return -1;
		unit = unit << 4 | digit;
	}
	return unit;
}

/* p is behind the backslash. */
static const unsigned char *
skip_escape(const unsigned char *p, const unsigned char *end)
{
	static const char simple[] = { '"', '\\', '/', 'b', 'f', 'n', 'r',
		't' };
	int unit;

	if (p < end && memchr(simple, *p, sizeof(simple)) != NULL)
		return p + 1;
	unit = unicode_escape(p, end);
	if (unit < 0 || (unit & 0xfc00) == 0xdc00)
		return NULL;
	p += 5;
	if ((unit & 0xfc00) != 0xd800)
		return p;
	/* A high surrogate means something only with a low one behind it. */
	if (p == end || *p != '\\')
		return NULL;
	unit = unicode_escape(p + 1, end);
	return unit >= 0 && (unit & 0xfc00) == 0xdc00 ? p + 6 : NULL;
}

const unsigned char *
json_string_end(const unsigned char *p, const unsigned char *end, bool *escaped)
{
	*escaped = false;
	for (;;) {
		p = skip_plain(p, end);
		if (p == end)
			return NULL;
		if (*p == '"')
			return p + 1;
		if (*p == '\\') {
			*escaped = true;
			p = skip_escape(p + 1, end);
		} else {
			p = skip_utf8(p, end);
		}
		if (p == NULL)
			return NULL;
	}
}

/* Unescaping ---------------------------------------------------------------- */

/* Writes the code point as UTF-8; returns its length, 1 to 4. */
static size_t
put_utf8(unsigned char out[static 4], uint32_t c)
{
	/* What the first byte of a sequence of so many says besides its bits. */
	static const unsigned char lead[] = { 0, 0x00, 0xc0, 0xe0, 0xf0 };
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

	for (size_t i = n - 1; i > 0; i--, c >>= 6)
		out[i] = (unsigned char)(0x80 | (c & 0x3f));
	out[0] = (unsigned char)(lead[n] | c);
	return n;
}

/* Takes the "uXXXX" at *p, and the low surrogate behind a high one. */
static uint32_t
take_code_point(const unsigned char **p, const unsigned char *end)
{
	uint32_t high = (uint32_t)unicode_escape(*p, end), low;

	*p += 5;
	if ((high & 0xfc00) != 0xd800)
		return high;
	low = (uint32_t)unicode_escape(*p + 1, end);
	*p += 6;
	return 0x10000 + ((high & 0x3ff) << 10 | (low & 0x3ff));
}

/* Takes what stands behind a backslash. */
static uint32_t
take_escaped(const unsigned char **p, const unsigned char *end)
{
	static const unsigned char meant[256] = {
		['"'] = '"', ['\\'] = '\\', ['/'] = '/', ['b'] = '\b',
		['f'] = '\f', ['n'] = '\n', ['r'] = '\r', ['t'] = '\t',
	};

	if (**p == 'u')
		return take_code_point(p, end);
	return meant[*(*p)++];
}

ssize_t
json_unescape(struct slice text, char *buf, size_t size)
{
	const unsigned char *p = (const unsigned char *)text.p;
	const unsigned char *end = p + text.n;
	size_t n = 0;

	while (p < end) {
		unsigned char bytes[4] = { *p++ };
		size_t length = 1;

		if (bytes[0] == '\\') {
			uint32_t c = take_escaped(&p, end);

			if (c == 0)
				return -1;
			length = put_utf8(bytes, c);
		}
		if (size - n < length)
			return -1;
		memcpy(buf + n, bytes, length);
		n += length;
	}
	return (ssize_t)n;
}

/* Numbers ------------------------------------------------------------------- */

/* Behind at least one digit, or NULL. */
static const unsigned char *
skip_digits(const unsigned char *p, const unsigned char *end)
{
	const unsigned char *from = p;

	while (p < end && *p >= '0' && *p <= '9')
		p++;
	return p > from ? p : NULL;
}

/* Behind what follows an "e". */
static const unsigned char *
skip_exponent(const unsigned char *p, const unsigned char *end)
{
	if (p < end && (*p == '+' || *p == '-'))
		p++;
	return skip_digits(p, end);
}

const unsigned char *
json_number_end(const unsigned char *p, const unsigned char *end)
{
	if (*p == '-')
		p++;
	p = p < end && *p == '0' ? p + 1 : skip_digits(p, end);
	if (p != NULL && p < end && *p == '.')
		p = skip_digits(p + 1, end);
	if (p != NULL && p < end && (*p == 'e' || *p == 'E'))
		p = skip_exponent(p + 1, end);
	return p;
}
