#include "common/redis_private.h"

#include <sys/socket.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/resp.h"
#include "common/resp_reader.h"
#include "common/timer.h"

/* A larger output buffer is given back after it was flushed. */
#define KEEP_OUTPUT_BYTES ((size_t)256 << 10)

/* What libevent takes from a socket at a time. */
#define BUFFEREVENT_READ_BYTES 4096
/* Then the connection lets others have their turn: half a megabyte. */
#define READS_PER_TURN 64

/* Output ---------------------------------------------------------------- */

static size_t
unsent_bytes(const struct redis *r)
{
	return r->out.n + evbuffer_get_length(bufferevent_get_output(r->bev));
}

/*
 * Plain connections are written to at once: through the bufferevent each flush
 * would cost two epoll_ctl(2), a turn of the loop and a copy. It gets what the
 * kernel did not take, and any error: it will run into the same one.
 */
static size_t
write_directly(struct redis *r)
{
	ssize_t n;

	if (r->opt.url->tls ||
	    evbuffer_get_length(bufferevent_get_output(r->bev)) > 0)
		return 0;
	n = send(bufferevent_getfd(r->bev), r->out.p, r->out.n, MSG_NOSIGNAL);
	return n > 0 ? (size_t)n : 0;
}

void
redis_flush(struct redis *r)
{
	size_t n;

	if (r->bev == NULL || r->out.n == 0)
		return;
	n = write_directly(r);
	if (n < r->out.n)
		bufferevent_write(r->bev, r->out.p + n, r->out.n - n);
	if (r->out.cap > KEEP_OUTPUT_BYTES)
		strbuf_release(&r->out);
	else
		strbuf_reset(&r->out);
}

void
redis_on_flush(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	redis_flush(arg);
}

bool
redis_queue(struct redis *r, const struct slice *argv, size_t argc, redis_cb *cb,
    void *arg)
{
	char *to = strbuf_reserve(&r->out, resp_command_bound(argv, argc));

	if (to == NULL) {
		r->out.failed = false;
		return false;
	}
	/*
	 * At this event's priority, behind all that are active already: their
	 * commands go out with this one.
	 */
	if (r->out.n == 0)
		event_active(r->flush, EV_TIMEOUT, 0);
	if (r->pending.count == 0 && r->state == REDIS_READY &&
	    !evtimer_pending(r->timer, NULL))
		timer_set(r->timer, r->opt.command_timeout_ms);
	r->out.n = (size_t)(resp_command_write(to, argv, argc) - r->out.p);
	redis_pending_push(&r->pending,
	    (struct redis_call){ cb, arg, clock_mono_ms() });
	r->commands++;
	return true;
}

bool
redis_send(struct redis *r, const struct slice *argv, size_t argc,
    redis_cb *cb, void *arg)
{
	if (r->state != REDIS_READY || r->pending.count >= r->opt.max_pending ||
	    unsent_bytes(r) + resp_command_bound(argv, argc) >
	    r->opt.max_output_bytes)
		return false;
	return redis_queue(r, argv, argc, cb, arg);
}

/* Input ----------------------------------------------------------------- */

static void
answer(struct redis *r, const struct redis_call *call, const redisReply *reply)
{
	r->answering = true;
	call->cb(r, reply, call->arg);
	r->answering = false;
}

void
redis_fail_pending(struct redis *r)
{
	struct redis_pending lost = r->pending;
	struct redis_call call;

	r->pending = (struct redis_pending){ 0 };
	while (redis_pending_pop(&lost, &call)) {
		if (call.cb != NULL)
			answer(r, &call, NULL);
	}
	redis_pending_release(&lost);
}

/*
 * A failing command of which nobody wants to hear; at most a line a second. What
 * is refused to all commands alike, the heartbeat says.
 */
static void
log_error_reply(struct redis *r, const redisReply *reply)
{
	uint64_t now = clock_mono_ms();

	if (!redis_is_error(reply, "") || redis_is_put_off(reply) ||
	    now - r->error_logged_ms < 1000)
		return;
	r->error_logged_ms = now;
	log_warn("redis command failed", LF("name", r->opt.client_name),
	    LF_S("error", slice_of(reply->str, reply->len)));
}

/* Before the answer is dealt with: who is refused looks at this. */
static void
note_refusal(struct redis *r, const redisReply *reply)
{
	enum redis_refusal kind = redis_refusal(reply);

	if (kind == REDIS_REFUSES_ALL || kind == REDIS_REFUSES_HERE)
		r->refused_ms = clock_mono_ms();
	else if (kind == REDIS_UNFIT)
		redis_doom(r, "server unfit: %s", reply->str);
}

static void
dispatch(struct redis *r, const redisReply *reply)
{
	struct redis_call call;

	if (!redis_pending_pop(&r->pending, &call)) {
		redis_doom(r, "not understood: an answer to nothing");
		return;
	}
	if (reply->type == REDIS_REPLY_ERROR)
		note_refusal(r, reply);
	if (call.cb != NULL)
		answer(r, &call, reply);
	else
		log_error_reply(r, reply);
}

/* False when the connection came to its end. */
static bool
take_replies(struct redis *r)
{
	const redisReply *reply;
	const char *error;

	while (r->reason[0] == '\0' &&
	    (reply = resp_reader_next(r->reader)) != NULL)
		dispatch(r, reply);
	error = resp_reader_error(r->reader);
	if (error != NULL)
		redis_doom(r, "not understood: %s", error);
	if (r->reason[0] == '\0')
		return true;
	redis_lose(r, r->reason);
	return false;
}

/* Feeds n bytes. False when the connection came to its end. */
static bool
take_bytes(struct redis *r, const char *p, size_t n)
{
	resp_reader_feed(r->reader, p, n);
	return take_replies(r);
}

/*
 * A bufferevent reads 4 KiB a turn of the loop, with an ioctl(2) each; an answer
 * of 64 entries would take ten turns. Plain connections read the rest at once,
 * up to a bound. What ends the connection, the bufferevent will find as well.
 */
static void
read_directly(struct redis *r)
{
	char bytes[RESP_FEED_BYTES];

	for (unsigned i = 0; i < READS_PER_TURN; i++) {
		ssize_t n = recv(bufferevent_getfd(r->bev), bytes, sizeof(bytes), 0);

		if (n <= 0 || !take_bytes(r, bytes, (size_t)n) ||
		    (size_t)n < sizeof(bytes))
			return;
	}
}

void
redis_on_read(struct bufferevent *bev, void *arg)
{
	struct redis *r = arg;
	struct evbuffer *input = bufferevent_get_input(bev);
	bool more = evbuffer_get_length(input) >= BUFFEREVENT_READ_BYTES;
	struct evbuffer_iovec chunk;

	while (evbuffer_peek(input, -1, NULL, &chunk, 1) > 0) {
		size_t n = chunk.iov_len;

		if (n > RESP_FEED_BYTES)
			n = RESP_FEED_BYTES;
		if (!take_bytes(r, chunk.iov_base, n))
			return;
		evbuffer_drain(input, n);
	}
	if (more && !r->opt.url->tls)
		read_directly(r);
}

bool
redis_is_error(const redisReply *reply, const char *prefix)
{
	return reply != NULL && reply->type == REDIS_REPLY_ERROR &&
	    strncmp(reply->str, prefix, strlen(prefix)) == 0;
}

struct slice
redis_slice(const redisReply *reply)
{
	if (reply == NULL || (reply->type != REDIS_REPLY_STRING &&
	    reply->type != REDIS_REPLY_STATUS))
		return SLICE_NONE;
	return slice_of(reply->str, reply->len);
}
