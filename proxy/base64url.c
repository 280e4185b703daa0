#include "proxy/base64url.h"

static int
sextet(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '-' ? 62 : c == '_' ? 63 : -1;
}

long
base64url_decode(unsigned char *out, struct slice text)
{
	unsigned bits = 0;
	uint32_t held = 0;
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++) {
		int value = sextet(text.p[i]);

		if (value < 0)
			return -1;
		held = held << 6 | (uint32_t)value;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			out[n++] = (unsigned char)(held >> bits);
			held &= (1u << bits) - 1;
		}
	}
	/* A lone character, or bits that another text would decode to as well. */
	if (bits >= 6 || held != 0)
		return -1;
	return (long)n;
}
