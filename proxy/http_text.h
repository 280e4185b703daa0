/*
 * The text that HTTP messages are made of: classes of bytes, words whose case
 * does not matter, lists. What the readers of heads, queries and chunked bodies
 * share. Letters are ASCII's: the C library's functions would ask the locale.
 */
#ifndef MCP_HTTP_TEXT_H
#define MCP_HTTP_TEXT_H

#include "common/compiler.h"

enum {
	CC_TOKEN = 1 << 0,  /* tchar: methods, field names, list members */
	CC_TARGET = 1 << 1, /* request target; see http_text.c */
	CC_VALUE = 1 << 2,  /* field value: HTAB, SP, VCHAR, obs-text */
	CC_NAME = 1 << 3,   /* host name or IPv4 address */
	CC_IPV6 = 1 << 4,   /* between the brackets of an IPv6 address */
	CC_DIGIT = 1 << 5,
	CC_HEX = 1 << 6,
	CC_CONTROL = 1 << 7 /* never within a line; HTAB is not among them */
};

extern const unsigned char http_byte_class[256];

static inline bool
http_is_class(char c, unsigned class)
{
	return (http_byte_class[(unsigned char)c] & class) != 0;
}

/* How many of the n bytes at p, from the first on, belong to the class. */
static inline size_t
http_span_of(const char *p, size_t n, unsigned class)
{
	size_t i = 0;

	while (i < n && http_is_class(p[i], class))
		i++;
	return i;
}

/* Is there a byte, and none outside the class? */
static inline bool
http_all_of(struct slice s, unsigned class)
{
	return s.n > 0 && http_span_of(s.p, s.n, class) == s.n;
}

/* Are the n letters the same, whatever their case? */
bool http_same_letters(const char *a, const char *b, size_t n);

/* Are the words? */
static inline bool
http_same_word(struct slice a, struct slice b)
{
	return a.n == b.n && http_same_letters(a.p, b.p, a.n);
}

/* Of a byte in CC_HEX. */
unsigned http_hex_value(char c);
/*
 * Takes what stands before the separator, or all that is left, off *rest.
 * False when nothing is left; *part is not written then.
 */
bool http_next_part(struct slice *rest, char separator, struct slice *part);

#endif
