/*
 * One accepted TCP connection: bytes in, bytes out, nothing about HTTP.
 *
 * It turns readiness events into four calls on its user (struct conn_ops).
 * Bytes are read into a buffer that all connections of a loop share and handed
 * over at once, so an idle connection holds no buffer. Writing tries the socket
 * first; only what the kernel does not take is copied into an output buffer,
 * which exists only while it holds something.
 *
 * Bare events instead of a bufferevent: HACKING.md gives the measured reason.
 *
 * Lifetime: embedded by its user. conn_close() is final and may be called from
 * within any of the callbacks; the memory must stay until the next turn of the
 * event loop.
 */
#ifndef MCP_CONN_H
#define MCP_CONN_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <sys/queue.h>
#include <sys/uio.h>

#include "common/compiler.h"

struct evbuffer;
struct conn;

struct conn_ops {
	/* n > 0 bytes; they are gone when the call returns. */
	void (*data)(struct conn *c, const char *p, size_t n);
	/* The peer will send no more. Reading has been paused. */
	void (*eof)(struct conn *c);
	/* The output buffer was not empty and now is. */
	void (*drained)(struct conn *c);
	/* Reset, or another error of the socket: the user calls conn_close(). */
	void (*failed)(struct conn *c, int error);
};

TAILQ_HEAD(conn_list, conn);

/* What the connections of one loop share. */
struct conn_group {
	struct event_base *base;
	const struct conn_ops *ops;
	char *read_buffer;
	size_t read_size;
	struct conn_list blocked;  /* those with unsent bytes, oldest first */
};

struct conn {
	struct event event;
	struct conn_group *group;
	struct evbuffer *out;        /* NULL: nothing waits to be sent */
	uint64_t blocked_since_ms;   /* when the socket last took a byte */
	TAILQ_ENTRY(conn) blocked_entry;
	int fd;                      /* -1 once closed */
	short interest;              /* EV_READ, EV_WRITE as registered */
};

void conn_group_init(struct conn_group *g, struct event_base *base,
    const struct conn_ops *ops);
void conn_group_release(struct conn_group *g);

/* Takes over a non-blocking socket and starts reading. */
void conn_open(struct conn *c, struct conn_group *g, int take_fd);
/* Closes the socket and forgets unsent bytes. A second call does nothing. */
void conn_close(struct conn *c);
/* Sends a FIN after what was written; reading goes on. */
void conn_shutdown_write(struct conn *c);

/*
 * Sends the bytes of iov, or keeps a copy of what the socket does not take now.
 * Returns false when the socket is broken or memory is short (the user then
 * closes it); the bytes waiting are bounded by the user, see conn_unsent().
 */
bool conn_write(struct conn *c, struct iovec *iov, int iovcnt) MUST_CHECK;
/* Bytes written but not taken by the kernel yet. */
size_t conn_unsent(const struct conn *c);

void conn_pause(struct conn *c);
void conn_resume(struct conn *c);

/*
 * The connection that has waited longest for its peer to take a byte, if that
 * is since_ms or longer ago; NULL when there is none.
 */
struct conn *conn_group_stuck(struct conn_group *g, uint64_t since_ms);

#endif
