/*
 * Texts of others that are kept up to a size: a cut in the middle of a character
 * would make whatever they are put into (JSON, mostly) invalid.
 */
#ifndef MCP_UTF8_H
#define MCP_UTF8_H

#include "common/compiler.h"

/* The first max bytes of valid UTF-8 at most, whole characters alone. */
struct slice utf8_cut(struct slice text, size_t max);

#endif
