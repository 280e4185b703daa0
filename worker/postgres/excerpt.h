/*
 * The beginning of a text whose length somebody else chooses, for messages.
 */
#ifndef MCP_POSTGRES_EXCERPT_H
#define MCP_POSTGRES_EXCERPT_H

#include "common/compiler.h"

/* At most max bytes of UTF-8 text, up to a character's end. Borrowed. */
static inline struct slice
excerpt(const char *text, size_t max)
{
	size_t n = strnlen(text, max);

	while (
	    n > 0 && text[n] != '\0' && ((unsigned char)text[n] & 0xc0) == 0x80)
		n--;
	return slice_of(text, n);
}

#endif
