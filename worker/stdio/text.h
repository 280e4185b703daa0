/*
 * What a string of JSON says, as a text in C.
 */
#ifndef MCP_STDIO_TEXT_H
#define MCP_STDIO_TEXT_H

#include "common/compiler.h"

/*
 * The text of a string as raw.h found it, with a NUL at its end, to be freed;
 * NULL: the value is no string.
 */
char *text_copy(struct slice value) MUST_CHECK;

#endif
