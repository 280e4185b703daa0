/*
 * Splits an event stream's bytes into events (WHATWG HTML, section 9.2), with
 * lines that end in LF or CRLF. Comments and events without data are skipped.
 */
#ifndef BENCH_SSE_READER_H
#define BENCH_SSE_READER_H

#include "common/compiler.h"
#include "common/strbuf.h"

struct sse_event {
	struct slice name;  /* "message" when the stream names none */
	struct slice data;  /* several data lines joined by LF */
};

struct sse_reader {
	struct strbuf text;  /* starts with the first event not handed out */
	size_t used;         /* bytes of it that were handed out */
	size_t scanned;      /* bytes of it known to hold whole lines, no end */
};

void sse_reader_init(struct sse_reader *r);
void sse_reader_release(struct sse_reader *r);
/* False when one event grows past 4 MiB. */
bool sse_reader_add(struct sse_reader *r, struct slice bytes) MUST_CHECK;
/* The next whole event; its slices live until the next call on r. */
bool sse_reader_next(struct sse_reader *r, struct sse_event *out) MUST_CHECK;

#endif
