/*
 * The bare path: what a call costs when nothing is done but carry it from an
 * HTTP POST over Redis streams to a worker and back to an event stream.
 *
 * Two fronts and one worker, as three processes. A front takes any session's
 * POST: the session's id says which pod holds the stream. The HTTP is only what
 * the load generator speaks; nothing is checked, nothing is stored. It is the
 * floor that the proxy is compared with.
 *
 *	barepath --redis 127.0.0.1:6379 [--fault KIND --every N]
 *
 * Prints {"urls": [...], "pids": {...}} and serves until it is ended. A fault
 * (content, session, twice, drop, id) makes each N-th answer wrong, to show
 * that the load generator notices.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/strbuf.h"
#include "common/xalloc.h"
#include "tests/bench/lib/bare.h"
#include "tests/bench/lib/io.h"

#define PODS 2
#define READ_BYTES 65536
#define REQUEST_MAX_BYTES (2u << 20)
#define FILES_MAX 65536
/* Answers to XADD that are still to come; a power of two. */
#define PENDING_MAX 65536
#define SID_LEN 32

static const char stream_head[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    "Cache-Control: no-cache, no-transform\r\nX-Accel-Buffering: no\r\n"
    "Transfer-Encoding: chunked\r\n\r\n";
static const char accepted[] =
    "HTTP/1.1 202 Accepted\r\nContent-Length: 8\r\n\r\nAccepted";
static const char initialize_result[] =
    "{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":{\"protocolVersion\":"
    "\"2025-06-18\",\"capabilities\":{\"tools\":{}},\"serverInfo\":"
    "{\"name\":\"barepath\",\"version\":\"1\"}}}";

struct front;

/* A client's connection: POSTs, or a stream. Kept for reuse when closed. */
struct conn {
	struct io io;
	struct front *front;
	unsigned generation;   /* tells it from earlier users of the same fd */
	struct strbuf in;      /* a request that is not complete yet */
};

/* A connection to Redis: commands, or the blocking read of the inbox. */
struct link {
	struct io io;
	struct front *front;
	redisContext *redis;
	void (*reply)(struct front *front, const redisReply *reply);
};

struct pending {
	int fd;
	unsigned generation;
};

struct front {
	struct io_loop loop;
	struct io listener;
	unsigned pod;
	struct conn **conns;          /* by file descriptor */
	struct link commands;
	struct link inbox;
	char inbox_key[24];
	char inbox_id[32];            /* last entry read */
	struct pending *pending;      /* POSTs whose XADD is not answered yet */
	unsigned pending_from, pending_to;
	struct strbuf out;
};

static void
send_all(struct conn *conn, const void *p, size_t n)
{
	/* A client that does not read is none of the load generator's. */
	if (send(conn->io.fd, p, n, MSG_NOSIGNAL) != (ssize_t)n)
		io_close(&conn->io);
}

static struct conn *
find_conn(struct front *f, unsigned fd, unsigned generation)
{
	struct conn *conn = fd < FILES_MAX ? f->conns[fd] : NULL;

	return conn != NULL && conn->io.fd >= 0 &&
	    conn->generation == generation ? conn : NULL;
}

/* Redis -------------------------------------------------------------------- */

static void
check_reply(const redisReply *reply)
{
	if (reply->type != REDIS_REPLY_ERROR)
		return;
	fprintf(stderr, "barepath: %s\n", reply->str);
	exit(2);
}

static void
on_link_ready(struct io *io, UNUSED uint32_t events)
{
	struct link *link = container_of(io, struct link, io);
	void *reply;

	if (redisBufferRead(link->redis) != REDIS_OK)
		die("Redis");
	while (redisGetReplyFromReader(link->redis, &reply) == REDIS_OK &&
	    reply != NULL) {
		check_reply(reply);
		link->reply(link->front, reply);
		freeReplyObject(reply);
	}
}

static void
link_open(struct link *link, struct front *f, const struct net_addr *redis,
    void (*reply)(struct front *, const redisReply *))
{
	*link = (struct link){ .front = f, .redis = bare_connect(redis),
		.reply = reply, .io.on_ready = on_link_ready };
	io_open(&f->loop, &link->io, link->redis->fd, EPOLLIN);
}

/* An XADD is answered: the request is in Redis, so its POST is accepted. */
static void
on_added(struct front *f, UNUSED const redisReply *reply)
{
	struct pending *p = &f->pending[f->pending_from++ % PENDING_MAX];
	struct conn *conn = find_conn(f, (unsigned)p->fd, p->generation);

	if (conn != NULL)
		send_all(conn, accepted, sizeof(accepted) - 1);
}

/* Session ids are pod, descriptor and generation in hex. */
static struct conn *
find_stream(struct front *f, const char *sid)
{
	unsigned fd, generation;

	if (sscanf(sid + 8, "%8x%8x", &fd, &generation) != 2)
		return NULL;
	return find_conn(f, fd, generation);
}

static void
send_event(struct front *f, struct conn *conn, const char *name, const char *p,
    size_t n)
{
	strbuf_reset(&f->out);
	strbuf_addf(&f->out, "%zx\r\nevent: %s\ndata: ",
	    sizeof("event: \ndata: \n\n") - 1 + strlen(name) + n, name);
	strbuf_add(&f->out, p, n);
	strbuf_add_str(&f->out, "\n\n\r\n");
	send_all(conn, f->out.p, f->out.n);
}

static void
read_inbox(struct front *f)
{
	if (redisAppendCommand(f->inbox.redis,
	    "XREAD COUNT %d BLOCK 0 STREAMS %s %s", BARE_BATCH, f->inbox_key,
	    f->inbox_id) != REDIS_OK)
		die("Redis");
	bare_flush(f->inbox.redis);
}

/* [[key, [[id, [s, session, p, payload, …]], …]]] */
static void
on_inbox(struct front *f, const redisReply *reply)
{
	const redisReply *entries = reply->element[0]->element[1];

	for (size_t i = 0; i < entries->elements; i++) {
		const redisReply *entry = entries->element[i];
		const redisReply *fields = entry->element[1];

		for (size_t j = 3; j < fields->elements; j += 4) {
			struct conn *conn = find_stream(f,
			    fields->element[j - 2]->str);
			const redisReply *payload = fields->element[j];

			if (conn != NULL)
				send_event(f, conn, "message", payload->str,
				    (size_t)payload->len);
		}
		snprintf(f->inbox_id, sizeof(f->inbox_id), "%s",
		    entry->element[0]->str);
	}
	read_inbox(f);
}

/* HTTP --------------------------------------------------------------------- */

static void
open_stream(struct conn *conn)
{
	struct front *f = conn->front;
	char endpoint[80];
	int n = snprintf(endpoint, sizeof(endpoint),
	    "/messages/?session_id=%08x%08x%08x%08x", f->pod,
	    (unsigned)conn->io.fd, conn->generation, 0u);

	send_all(conn, stream_head, sizeof(stream_head) - 1);
	if (conn->io.fd >= 0)
		send_event(f, conn, "endpoint", endpoint, (size_t)n);
}

static void
add(struct front *f, struct conn *conn, const char **argv, const size_t *len,
    int argc)
{
	if (redisAppendCommandArgv(f->commands.redis, argc, argv, len) !=
	    REDIS_OK)
		die("Redis");
	f->pending[f->pending_to++ % PENDING_MAX] =
	    (struct pending){ conn->io.fd, conn->generation };
}

static void
queue_call(struct conn *conn, const char *sid, struct slice body)
{
	const char *argv[] = { "XADD", BARE_REQUESTS, "*", "s", sid, "r",
		sid + 7, "p", body.p };
	const size_t len[] = { 4, sizeof(BARE_REQUESTS) - 1, 1, 1, SID_LEN, 1,
		1, 1, body.n };

	add(conn->front, conn, argv, len, (int)ARRAY_LEN(argv));
}

/* The answer to initialize, for the pod that holds the stream. */
static void
queue_initialized(struct conn *conn, const char *sid)
{
	char key[] = BARE_REPLIES "0";
	const char *argv[] = { "XADD", key, "*", "s", sid, "p",
		initialize_result };
	const size_t len[] = { 4, sizeof(key) - 1, 1, 1, SID_LEN, 1,
		sizeof(initialize_result) - 1 };

	key[sizeof(key) - 2] = sid[7];
	add(conn->front, conn, argv, len, (int)ARRAY_LEN(argv));
}

static bool
holds(struct slice text, const char *mark)
{
	return memmem(text.p, text.n, mark, strlen(mark)) != NULL;
}

static void
take_post(struct conn *conn, struct slice head, struct slice body)
{
	static const char mark[] = "session_id=";
	const char *sid = memmem(head.p, head.n, mark, sizeof(mark) - 1);

	if (sid == NULL) {
		io_close(&conn->io);
		return;
	}
	sid += sizeof(mark) - 1;
	if (holds(body, "\"tools/call\""))
		queue_call(conn, sid, body);
	else if (holds(body, "\"initialize\""))
		queue_initialized(conn, sid);
	else
		send_all(conn, accepted, sizeof(accepted) - 1);
}

/* Takes one whole request; returns its bytes, 0 when more must come. */
static size_t
take_request(struct conn *conn, struct slice in)
{
	static const char length[] = "Content-Length: ";
	const char *end = memmem(in.p, in.n, "\r\n\r\n", 4);
	struct slice head, body = { NULL, 0 };
	const char *field;

	if (end == NULL)
		return 0;
	head = slice_of(in.p, (size_t)(end - in.p) + 4);
	if (in.p[0] == 'G') {
		open_stream(conn);
		return head.n;
	}
	field = memmem(head.p, head.n, length, sizeof(length) - 1);
	if (field != NULL)
		body.n = strtoul(field + sizeof(length) - 1, NULL, 10);
	if (in.n - head.n < body.n)
		return 0;
	body.p = in.p + head.n;
	take_post(conn, head, body);
	return head.n + body.n;
}

static size_t
take_requests(struct conn *conn, struct slice in)
{
	size_t used = 0;
	size_t n;

	while (conn->io.fd >= 0 && used < in.n &&
	    (n = take_request(conn, slice_of(in.p + used, in.n - used))) > 0)
		used += n;
	return used;
}

static void
on_conn_ready(struct io *io, UNUSED uint32_t events)
{
	static char buf[READ_BYTES];
	struct conn *conn = container_of(io, struct conn, io);
	ssize_t n = recv(io->fd, buf, sizeof(buf), 0);
	size_t used;

	if (n <= 0) {
		if (n == 0 || errno != EAGAIN)
			io_close(io);
		return;
	}
	if (conn->in.n == 0) {
		used = take_requests(conn, slice_of(buf, (size_t)n));
		strbuf_add(&conn->in, buf + used, (size_t)n - used);
		return;
	}
	strbuf_add(&conn->in, buf, (size_t)n);
	strbuf_drain(&conn->in, take_requests(conn, strbuf_slice(&conn->in)));
}

static void
on_accept(struct io *io, UNUSED uint32_t events)
{
	struct front *f = container_of(io, struct front, listener);
	int fd;

	while ((fd = net_accept(io->fd)) >= 0) {
		struct conn *conn;

		if (fd >= FILES_MAX)
			die("too many connections");
		if (f->conns[fd] == NULL) {
			f->conns[fd] = xcalloc(1, sizeof(*conn));
			strbuf_init(&f->conns[fd]->in, REQUEST_MAX_BYTES);
		}
		conn = f->conns[fd];
		conn->front = f;
		conn->generation++;
		conn->io.on_ready = on_conn_ready;
		strbuf_release(&conn->in);
		io_open(&f->loop, &conn->io, fd, EPOLLIN);
	}
}

NORETURN static void
serve(unsigned pod, int listener, const struct net_addr *redis)
{
	static struct front f;

	f.pod = pod;
	f.conns = xcalloc(FILES_MAX, sizeof(struct conn *));
	f.pending = xcalloc(PENDING_MAX, sizeof(*f.pending));
	strbuf_init(&f.out, REQUEST_MAX_BYTES);
	snprintf(f.inbox_key, sizeof(f.inbox_key), BARE_REPLIES "%u", pod);
	snprintf(f.inbox_id, sizeof(f.inbox_id), "0-0");
	net_allow_files(FILES_MAX);
	io_loop_init(&f.loop);
	link_open(&f.commands, &f, redis, on_added);
	link_open(&f.inbox, &f, redis, on_inbox);
	read_inbox(&f);
	f.listener.on_ready = on_accept;
	io_open(&f.loop, &f.listener, listener, EPOLLIN);
	for (;;) {
		io_turn(&f.loop, -1);
		/* All of a turn's commands leave with one write. */
		bare_flush(f.commands.redis);
	}
}

/* Set-up ------------------------------------------------------------------- */

NORETURN static void
usage(void)
{
	fprintf(stderr, "usage: barepath --redis HOST:PORT "
	    "[--fault content|session|twice|drop|id --every N]\n");
	exit(2);
}

static void
parse(struct bare_worker *worker, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "redis", required_argument, NULL, 'r' },
		{ "fault", required_argument, NULL, 'f' },
		{ "every", required_argument, NULL, 'e' },
		{ NULL, 0, NULL, 0 },
	};
	bool has_redis = false;
	int c;

	worker->fault_every = 1000;
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'r')
			has_redis = net_addr_parse(optarg, &worker->redis);
		else if (c == 'e')
			worker->fault_every = (unsigned)strtoul(optarg, NULL, 10);
		else if (c != 'f' || !bare_fault_parse(optarg, &worker->fault))
			usage();
	}
	if (!has_redis || worker->fault_every == 0 || optind != argc)
		usage();
}

int
main(int argc, char **argv)
{
	struct bare_worker worker = { .fault = BARE_RIGHT };
	unsigned port[PODS];
	int listener[PODS];
	int pid[PODS];
	int worker_pid;
	redisContext *redis;

	parse(&worker, argc, argv);
	redis = bare_connect(&worker.redis);
	bare_reset(redis);
	redisFree(redis);
	for (unsigned pod = 0; pod < PODS; pod++)
		listener[pod] = net_listen(&port[pod]);
	for (unsigned pod = 0; pod < PODS; pod++) {
		pid[pod] = bare_fork();
		if (pid[pod] == 0)
			serve(pod, listener[pod], &worker.redis);
	}
	worker_pid = bare_worker_fork(&worker);
	printf("{\"urls\":[\"http://127.0.0.1:%u\",\"http://127.0.0.1:%u\"],"
	    "\"pids\":{\"front-a\":%d,\"front-b\":%d,\"worker\":%d}}\n",
	    port[0], port[1], pid[0], pid[1], worker_pid);
	fflush(stdout);
	/* None of them ends by itself: if one does, all shall. */
	waitpid(-1, NULL, 0);
	fprintf(stderr, "barepath: a process ended\n");
	return 2;
}
