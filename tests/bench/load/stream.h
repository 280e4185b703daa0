/*
 * The client's end of one event stream: GET, then events until it closes.
 */
#ifndef BENCH_STREAM_H
#define BENCH_STREAM_H

#include "tests/bench/lib/http_reader.h"
#include "tests/bench/lib/io.h"
#include "tests/bench/lib/net.h"
#include "tests/bench/lib/sse_reader.h"
#include "tests/bench/load/errors.h"

struct stream;

struct stream_handler {
	void (*event)(struct stream *s, const struct sse_event *event);
	/* It broke; it is closed by now. Not called after stream_close(). */
	void (*broken)(struct stream *s, enum load_error why);
};

/* Embedded in its owner, which container_of() finds. */
struct stream {
	struct io io;
	struct io_loop *loop;
	const struct stream_handler *handler;
	const struct net_addr *to;  /* borrowed */
	const char *path;           /* borrowed */
	struct http_reader http;
	struct sse_reader sse;
};

/* False: no connection could even be begun. */
bool stream_open(struct stream *s, struct io_loop *loop,
    const struct stream_handler *handler, const struct net_addr *to,
    const char *path, unsigned source) MUST_CHECK;
void stream_close(struct stream *s);

#endif
