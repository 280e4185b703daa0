/*
 * Reads HTTP/1.1 responses as bytes arrive: bodies with a Content-Length,
 * chunked ones, and those that end with the connection.
 *
 *	while ((step = http_reader_next(&r, &in, &body)) == HTTP_READER_BODY)
 *		use(body);
 */
#ifndef BENCH_HTTP_READER_H
#define BENCH_HTTP_READER_H

#include "common/compiler.h"
#include "common/strbuf.h"

enum http_reader_state {
	HTTP_READER_STATUS_LINE,
	HTTP_READER_FIELDS,
	HTTP_READER_LENGTH,      /* left bytes of the body to come */
	HTTP_READER_UNTIL_CLOSE,
	HTTP_READER_CHUNK_SIZE,
	HTTP_READER_CHUNK,       /* left bytes of the chunk to come */
	HTTP_READER_CHUNK_END,   /* the CRLF behind a chunk */
	HTTP_READER_TRAILERS
};

enum http_reader_step {
	HTTP_READER_MORE,  /* all bytes are used; feed more */
	HTTP_READER_BODY,  /* *body is a stretch of the body; call again */
	HTTP_READER_END,   /* the response is complete; the next may follow */
	HTTP_READER_BAD    /* not HTTP: close the connection */
};

struct http_reader {
	enum http_reader_state state;
	int status;         /* of the response being read, or read last */
	bool close;         /* the server will close the connection after it */
	bool chunked;
	bool has_length;
	uint64_t left;
	struct strbuf line; /* a line that is not complete yet */
};

void http_reader_init(struct http_reader *r);
void http_reader_release(struct http_reader *r);
/* Advances in past the bytes used; slices in *body borrow from in. */
enum http_reader_step http_reader_next(struct http_reader *r,
    struct slice *in, struct slice *body) MUST_CHECK;

#endif
