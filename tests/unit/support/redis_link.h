/*
 * Redis connections under test, and the servers they talk to: each test starts
 * the redis-server that it needs on a free port.
 *
 * Unlike redis_server.h, where Redis is what the code under test stands on, here
 * the connection is what is tested, up to the lines that it logs.
 */
#ifndef TESTS_SUPPORT_REDIS_LINK_H
#define TESTS_SUPPORT_REDIS_LINK_H

#include <check.h>
#include <event2/dns.h>
#include <sys/types.h>

#include "common/redis.h"

/*
 * Runs the tests that add() adds to a case, each with an event loop (wait.h), a
 * resolver, and a log of its own; prepare() (or NULL) makes files before the
 * first. What main() returns.
 */
int run_link_cases(const char *name, void (*prepare)(void),
    void (*add)(TCase *tc));

/* Removed at the end; holds data, certificates, logs and a hosts file. */
extern char temp_dir[];
/* Resolves names by the hosts file: see redis_link.c. */
extern struct evdns_base *dns;

/* Runs a shell command in the temporary directory. */
void shell(const char *command);
/* Has a log line of this test contained that text? */
bool logged(const char *needle);

/* Servers --------------------------------------------------------------- */

#define PEER_ARGS_MAX 32

struct peer {
	pid_t pid;
	unsigned port;
	bool tls;
	const char *args[PEER_ARGS_MAX];
};

/* The test's server, stopped at its end. */
extern struct peer peer;

void peer_start(struct peer *s);
void peer_stop(struct peer *s);
/* Starts the test's server, with further arguments, ended by NULL. */
void peer_run(bool tls, const char *const *args);

#define RUN_PEER(...) \
	peer_run(false, (const char *const[]){ __VA_ARGS__, NULL })
/* For RUN_PEER() where the defaults do. */
#define PLAIN "--loglevel", "warning"

/* Connections ----------------------------------------------------------- */

/* A connection under test with its settings and what happened to it. */
struct link {
	struct redis *r;
	struct redis_url url;
	struct redis_options opt;
	unsigned ready, lost;   /* changes of state */
};

/* url: %u stands for the server's port. */
void link_init(struct link *c, const char *url_format);
void link_open(struct link *c);
void link_free(struct link *c);
/* A ready connection to the server. */
void link_connect(struct link *c, const char *url_format);

/* Answers --------------------------------------------------------------- */

/* What came for one command: the last answer's text, and how often. */
struct answer {
	unsigned calls, nulls;
	int type;
	long long integer;
	size_t elements;
	char text[1024];
};

/* A redis_cb; arg is a struct answer. */
void note_answer(struct redis *r, const redisReply *reply, void *arg);

#define SEND(c, a, ...) \
	ck_assert(redis_send_words((c)->r, note_answer, (a), __VA_ARGS__))

/* Sends a command, waits for its answer and returns it as text. */
#define ASK(c, ...) link_ask((c), (const char *const[]){ __VA_ARGS__, NULL })
const char *link_ask(struct link *c, const char *const *words);

/* Counts the answers of a kind. */
struct tally {
	unsigned answers, nulls, errors;
};

/* A redis_cb; arg is a struct tally. */
void note_tally(struct redis *r, const redisReply *reply, void *arg);

/* What a callback may do when the connection broke. */
struct loss {
	struct tally tally;
	unsigned refused;
	const struct redis_script *script;
};

/*
 * A redis_cb; arg is a struct loss. When the connection broke it tries to send
 * more on it, which must be refused.
 */
void note_loss(struct redis *r, const redisReply *reply, void *arg);

/* Tests of plain and of TLS connections --------------------------------- */

/* A thousand commands are answered in their order. */
void check_order(struct link *c);
/* Every byte value, CR LF included, at a size far above any buffer's. */
void check_large_values(struct link *c);

#endif
