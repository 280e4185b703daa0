/*
 * A keep-alive connection that carries one POST at a time.
 */
#ifndef BENCH_POST_H
#define BENCH_POST_H

#include "common/strbuf.h"
#include "tests/bench/lib/http_reader.h"
#include "tests/bench/lib/io.h"
#include "tests/bench/lib/net.h"
#include "tests/bench/load/errors.h"

struct post;

/* LOAD_OK: answered with this status. Another POST may be sent from here. */
typedef void post_done(struct post *p, enum load_error error, int status);

struct post {
	struct io io;
	struct io_loop *loop;
	post_done *done;
	void *arg;                  /* the owner's */
	const struct net_addr *to;  /* borrowed */
	struct http_reader http;
	struct strbuf out;          /* the request; sent bytes are counted */
	size_t sent;
	bool busy;
};

void post_init(struct post *p, struct io_loop *loop, const struct net_addr *to,
    post_done *done, void *arg);
/* Closes the connection, forgetting a POST under way. */
void post_abort(struct post *p);
void post_release(struct post *p);
/* Sends body to path, connecting first where there is no connection. */
void post_send(struct post *p, struct slice path, struct slice body);

#endif
