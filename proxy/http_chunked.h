/*
 * The decoder of chunked bodies: incremental, without allocation, as strict as
 * http_head.h. What a chunk extension or a trailer may mean to another reader is
 * nobody's guess here: both are refused.
 */
#ifndef MCP_HTTP_CHUNKED_H
#define MCP_HTTP_CHUNKED_H

#include "common/compiler.h"

/* Decoder of the chunked coding (RFC 9112, section 7.1); zeroed to start. */
struct http_chunked {
	unsigned state;  /* http_chunked.c's enum chunk_state */
	unsigned digits; /* of the size being read, at most 16 */
	uint64_t left;   /* bytes of the current chunk still to come */
	uint64_t total;  /* decoded so far */
};

/*
 * Decodes from the n bytes at p. On return *consumed bytes are done with, and
 * *data is the stretch of them that belongs to the body (maybe empty).
 *
 * Returns 1 when the body has ended (trailers are refused), 0 when it goes on
 * (call again with the rest, if any is left, or with more bytes), or a negated
 * status: -400 malformed, chunk extensions and trailers included, -413 when the
 * decoded body would pass body_max. After that the decoder is of no
 * more use, and *consumed and *data are as they were.
 */
int http_chunked_feed(struct http_chunked *c, const char *p, size_t n,
    size_t body_max, size_t *consumed, struct slice *data) MUST_CHECK;

#endif
