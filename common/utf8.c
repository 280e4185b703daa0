#include "common/utf8.h"

/* RFC 3629, section 4: by the first byte, and the range of the second. */
static const struct {
	unsigned char from, to;
	size_t length;
	unsigned char second_from, second_to;
} forms[] = {
	{ 0x00, 0x7f, 1, 0, 0 },
	{ 0xc2, 0xdf, 2, 0x80, 0xbf },
	{ 0xe0, 0xe0, 3, 0xa0, 0xbf },
	{ 0xe1, 0xec, 3, 0x80, 0xbf },
	{ 0xed, 0xed, 3, 0x80, 0x9f },
	{ 0xee, 0xef, 3, 0x80, 0xbf },
	{ 0xf0, 0xf0, 4, 0x90, 0xbf },
	{ 0xf1, 0xf3, 4, 0x80, 0xbf },
	{ 0xf4, 0xf4, 4, 0x80, 0x8f },
};

static size_t
length_as(size_t form, const unsigned char *p, size_t n)
{
	size_t length = forms[form].length;

	if (length > n)
		return 0;
	if (length > 1 &&
	    (p[1] < forms[form].second_from || p[1] > forms[form].second_to))
		return 0;
	for (size_t i = 2; i < length; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	return length;
}

size_t
utf8_length(const char *p, size_t n)
{
	const unsigned char *u = (const unsigned char *)p;

	if (n == 0)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		if (u[0] >= forms[i].from && u[0] <= forms[i].to)
			return length_as(i, u, n);
	}
	return 0;
}

bool
utf8_ok(struct slice s)
{
	size_t i = 0, length;

	while (i < s.n) {
		length = utf8_length(s.p + i, s.n - i);
		if (length == 0)
			return false;
		i += length;
	}
	return true;
}

struct slice
utf8_cut(struct slice text, size_t max)
{
	if (text.n <= max)
		return text;
	while (max > 0 && ((unsigned char)text.p[max] & 0xc0) == 0x80)
		max--;
	return slice_of(text.p, max);
}
