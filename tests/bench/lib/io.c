#include "tests/bench/lib/io.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/lib/net.h"

#define EVENTS_PER_TURN 512

void
io_loop_init(struct io_loop *loop)
{
	loop->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epfd < 0)
		die("epoll_create1");
}

void
io_open(struct io_loop *loop, struct io *io, int take_fd, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = io };

	io->fd = take_fd;
	if (epoll_ctl(loop->epfd, EPOLL_CTL_ADD, take_fd, &ev) < 0)
		die("epoll_ctl");
}

void
io_want(struct io_loop *loop, struct io *io, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = io };

	if (epoll_ctl(loop->epfd, EPOLL_CTL_MOD, io->fd, &ev) < 0)
		die("epoll_ctl");
}

void
io_close(struct io *io)
{
	if (io->fd >= 0)
		close(io->fd);
	io->fd = -1;
}

bool
io_turn(struct io_loop *loop, int64_t timeout_us)
{
	struct epoll_event events[EVENTS_PER_TURN];
	struct timespec ts = { .tv_sec = timeout_us / 1000000,
		.tv_nsec = timeout_us % 1000000 * 1000 };
	int n = epoll_pwait2(loop->epfd, events, EVENTS_PER_TURN,
	    timeout_us < 0 ? NULL : &ts, NULL);

	if (n < 0 && errno != EINTR)
		die("epoll_pwait2");
	for (int i = 0; i < n; i++) {
		struct io *io = events[i].data.ptr;

		if (io->fd >= 0)
			io->on_ready(io, events[i].events);
	}
	return n > 0;
}
