/*
 * Bytes in, lines out. Of a line that is longer than its cap only the beginning and
 * the end are kept.
 */
#ifndef MCP_STDIO_LINES_H
#define MCP_STDIO_LINES_H

#include "common/strbuf.h"

/* Of a line that is too long: from each of its ends, at most. */
#define LINES_END 256

/*
 * A line without its LF or CR LF, borrowed; cut: what is between its first and its
 * last LINES_END bytes is missing. Empty ones are left out.
 */
typedef void lines_fn(struct slice line, bool cut, void *arg);

struct lines {
	size_t max;              /* bytes of a line, at least 2 * LINES_END */
	struct strbuf part;      /* of a line whose end has not come */
	bool cut;                /* the part, see above */
	bool stopped;
};

void lines_init(struct lines *l, size_t max);
void lines_release(struct lines *l);
/* fn may call lines_stop(), but not free l. */
void lines_feed(struct lines *l, struct slice bytes, lines_fn *fn, void *arg);
/* The end: hands on a line without an LF. */
void lines_finish(struct lines *l, lines_fn *fn, void *arg);
/* No more lines, those of the bytes at hand included. */
void lines_stop(struct lines *l);

#endif
