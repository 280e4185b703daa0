/*
 * Texts of others: whether they are UTF-8, and keeping them up to a size, since a
 * cut in the middle of a character would make whatever they are put into (JSON,
 * mostly) invalid.
 */
#ifndef MCP_UTF8_H
#define MCP_UTF8_H

#include "common/compiler.h"

/*
 * The bytes of the UTF-8 character at p (RFC 3629), of which at most n may be
 * read; 0: there is none.
 */
size_t utf8_length(const char *p, size_t n);
/* Whether all of it is UTF-8. */
bool utf8_ok(struct slice s);
/* The first max bytes of valid UTF-8 at most, whole characters alone. */
struct slice utf8_cut(struct slice text, size_t max);

#endif
