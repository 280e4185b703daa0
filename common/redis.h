/*
 * A Redis connection on an event base: hiredis's protocol reader over a
 * bufferevent, plain or TLS.
 *
 * Commands go out in order, pipelined, with one write per turn of the event
 * loop; replies come back in order to the callback given with each. When the
 * connection breaks, every outstanding callback is called once with a NULL
 * reply (its outcome is unknown), and the client reconnects by itself with
 * jittered back-off. Nothing is ever sent twice by this module.
 *
 * A command that is not answered within command_timeout_ms ends the connection:
 * on a pipelined connection everything behind it waits too. A connection used
 * for blocking reads is one of its own, with a timeout above its BLOCK time.
 *
 * Single-threaded: one struct belongs to one event base. The program ignores
 * SIGPIPE.
 */
#ifndef MCP_REDIS_H
#define MCP_REDIS_H

#include <event2/dns.h>
#include <event2/event.h>
#include <hiredis/hiredis.h>

#include "common/compiler.h"
#include "common/redis_refusal.h"
#include "common/strbuf.h"

struct redis;

enum redis_state {
	REDIS_IDLE,        /* made, redis_open() not called yet, or closed */
	REDIS_CONNECTING,  /* resolving, TCP, TLS */
	REDIS_HANDSHAKE,   /* AUTH, SELECT, CLIENT SETNAME, ROLE, PING */
	REDIS_READY,       /* takes commands */
	REDIS_BACKOFF      /* waits for the next attempt */
};

/* Parsed REDIS_URL: redis[s]://[[user]:password@]host[:port][/db] */
struct redis_url {
	char *host;        /* brackets of an IPv6 address removed */
	char *user;        /* NULL: none; percent-decoded, like the password */
	char *password;
	unsigned port;
	unsigned db;
	bool tls;
};

/* On failure returns false and a reason that never shows the password. */
bool redis_url_parse(const char *text, struct redis_url *out,
    const char **reason) MUST_CHECK;
void redis_url_release(struct redis_url *url);

/*
 * A Lua script, declared static by its user: redis_eval() sends EVALSHA and,
 * when the server forgot the script, EVAL once.
 */
struct redis_script {
	const char *name;  /* for logs */
	const char *body;
};

struct redis_options {
	const struct redis_url *url;  /* borrowed for the connection's life */
	const char *tls_ca_file;      /* NULL: the system's store */
	const char *client_name;      /* CLIENT SETNAME; borrowed */
	unsigned command_timeout_ms;
	unsigned connect_timeout_ms;
	size_t max_output_bytes;      /* unsent bytes before commands are refused */
	unsigned max_pending;         /* unanswered commands, likewise */
	/* Called on each change to or from REDIS_READY. */
	void (*on_state)(struct redis *r, bool ready, void *arg);
	void *arg;
};

/*
 * reply is NULL when the connection broke or timed out before the answer came:
 * the command may or may not have run. It is owned by this module and freed
 * after the callback. The callback may send commands, not free the connection.
 */
typedef void redis_cb(struct redis *r, const redisReply *reply, void *arg);

/* dns is borrowed; NULL means that the host must be a numeric address. */
struct redis *redis_new(struct event_base *base, struct evdns_base *dns,
    const struct redis_options *options) MUST_CHECK;
/* Starts connecting; from then on it keeps itself connected. */
void redis_open(struct redis *r);
/*
 * Outstanding callbacks get NULL; no callback comes after this returns. What was
 * not flushed is not sent. Not from inside a callback of this connection.
 */
void redis_free(struct redis *r);

bool redis_is_ready(const struct redis *r);
enum redis_state redis_get_state(const struct redis *r);
/*
 * Did the last connection end because nobody answered in time? Otherwise
 * somebody said no: refused it, closed it, answered that it cannot work now.
 */
bool redis_is_silent(const struct redis *r);
/*
 * Has it refused something within the last seconds that it refuses to everybody?
 * While it does, heartbeats keep this up to date.
 */
bool redis_is_refusing(const struct redis *r);

/*
 * Queues one command of argc arguments (copied). Returns false when the
 * connection is not READY or a cap is reached: nothing was sent and the callback
 * will not be called. cb may be NULL: errors in replies are then logged.
 */
bool redis_send(struct redis *r, const struct slice *argv, size_t argc,
    redis_cb *cb, void *arg) MUST_CHECK;
/*
 * Runs a script with key_count keys followed by arguments, argc in all. All keys
 * must share one hash tag. Returns as redis_send().
 */
bool redis_eval(struct redis *r, const struct redis_script *script,
    const struct slice *args, size_t argc, size_t key_count, redis_cb *cb,
    void *arg) MUST_CHECK;

/*
 * Hands what was queued to the kernel now (TLS: to the bufferevent) instead of at
 * the end of this turn of the loop.
 */
void redis_flush(struct redis *r);

/* Unanswered commands: 0 when everything sent has been answered. */
size_t redis_pending_count(const struct redis *r);
/* Commands sent since creation: what "Redis commands per call" counts. */
uint64_t redis_commands_sent(const struct redis *r);
/* True for a reply that is an error whose text starts with prefix. */
bool redis_is_error(const redisReply *reply, const char *prefix);
/* A string reply as a slice; SLICE_NONE for NULL, nil and other types. */
struct slice redis_slice(const redisReply *reply);

#endif
