/*
 * The strings and numbers of JSON (RFC 8259, sections 6 and 7), read strictly and
 * without allocating: where they end, and what a string with escapes says.
 *
 * A string holds valid UTF-8 (no overlong forms, no surrogates), no raw control
 * character, and of the escapes no lone surrogate.
 */
#ifndef MCP_JSON_TEXT_H
#define MCP_JSON_TEXT_H

#include <sys/types.h>

#include "common/compiler.h"

/*
 * p is behind the opening quote. Returns where the string ends, behind its
 * closing quote, and whether it has escapes; NULL when it is none.
 */
const unsigned char *json_string_end(const unsigned char *p,
    const unsigned char *end, bool *escaped) MUST_CHECK;

/*
 * p is at the first byte, '-' or a digit. Returns where the number ends, NULL
 * when it is none. What follows is the caller's to judge.
 */
const unsigned char *json_number_end(const unsigned char *p,
    const unsigned char *end) MUST_CHECK;

/*
 * Writes what the contents of a string (without its quotes, as json_string_end()
 * found them) say, in UTF-8, into buf, and returns the length; never more than
 * text.n. -1 when that is more than size bytes, or holds U+0000, where readers
 * that think in C strings would see the end.
 */
ssize_t json_unescape(struct slice text, char *buf, size_t size) MUST_CHECK;

#endif
