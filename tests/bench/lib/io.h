/*
 * The least event loop: epoll, level-triggered, one handler per descriptor.
 *
 * The programs here share the machine's cores with what they measure, so there
 * is nothing between them and epoll. A struct io must stay valid memory as long
 * as the loop runs, even when closed: an event for it may still be in the batch
 * (its handler is not called then).
 */
#ifndef BENCH_IO_H
#define BENCH_IO_H

#include <sys/epoll.h>

#include "common/compiler.h"

struct io {
	int fd;  /* -1: closed */
	void (*on_ready)(struct io *io, uint32_t events);
};

struct io_loop {
	int epfd;
};

void io_loop_init(struct io_loop *loop);
/* Takes over fd; events as in epoll_ctl(2). Ends the program on failure. */
void io_open(struct io_loop *loop, struct io *io, int take_fd,
    uint32_t events);
void io_want(struct io_loop *loop, struct io *io, uint32_t events);
/* Closes the descriptor; no-op when it is closed already. */
void io_close(struct io *io);
/* Waits up to timeout_us (-1: for ever) and calls handlers; false when idle. */
bool io_turn(struct io_loop *loop, int64_t timeout_us);

#endif
