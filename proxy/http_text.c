#include "proxy/http_text.h"

/* Classes that bytes have together. */
enum {
	CC_TEXT = CC_TARGET | CC_VALUE,
	CC_TTEXT = CC_TOKEN | CC_TEXT,
	CC_ALPHA = CC_TTEXT | CC_NAME
};

/*
 * A target may hold what URL serialisers leave as it is in a query, which is
 * RFC 3986 and [ ] ^ ` { | }. Refused: the fragment's '#', the backslash, which
 * some readers take for a slash, and quotes and angle brackets, which end up in
 * other people's logs and pages.
 */
const unsigned char http_byte_class[256] = {
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

static unsigned char
lower(char c)
{
	unsigned char u = (unsigned char)c;

	return u >= 'A' && u <= 'Z' ? u | 0x20 : u;
}

bool
http_same_letters(const char *a, const char *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (lower(a[i]) != lower(b[i]))
			return false;
	return true;
}

unsigned
http_hex_value(char c)
{
	return http_is_class(c, CC_DIGIT) ? (unsigned)(c - '0') :
					    lower(c) - 'a' + 10U;
}

bool
http_next_part(struct slice *rest, char separator, struct slice *part)
{
	const char *stop;

	if (rest->n == 0)
		return false;
	stop = memchr(rest->p, separator, rest->n);
	*part = slice_of(rest->p,
	    stop != NULL ? (size_t)(stop - rest->p) : rest->n);
	*rest = stop != NULL ? slice_of(stop + 1, rest->n - part->n - 1) :
			       SLICE_NONE;
	return true;
}
