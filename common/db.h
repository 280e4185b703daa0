/*
 * A pool of connections to PostgreSQL on the event loop, and the transactions
 * that run on them, one at a time on each.
 *
 * A transaction has a statement_timeout. It is READ ONLY and rolled back at its
 * end, whatever happened, unless its task says that it writes; then it is
 * committed if every statement went well. A connection that is lost comes back by
 * itself, with a pause that grows. A transaction that nobody waits for any more
 * costs its connection: the server notices (client_connection_check_interval) and
 * stops the query. Each connection is given up like that once a second at most: then
 * it takes that long to come back.
 */
#ifndef MCP_DB_H
#define MCP_DB_H

#include <event2/dns.h>
#include <event2/event.h>
#include <postgresql/libpq-fe.h>
#include <sys/queue.h>

#include "common/compiler.h"
#include "common/strbuf.h"

struct db;
struct db_conn;

struct db_options {
	struct event_base *base;
	struct evdns_base *dns; /* NULL: libpq looks names up, and blocks */
	const char *url;        /* borrowed */
	unsigned connections;
	unsigned statement_timeout_ms;
	/*
	 * Bytes by which libpq may make the process grow at once; 0: any. Only
	 * for programs of one thread: see ration.h.
	 */
	size_t message_max;
	/* The first attempt to connect ended; reason NULL: well. May be NULL. */
	void (*on_first)(const char *reason, void *arg);
	void *arg;
};

/* Is it a URL that libpq understands, or NULL? Else says so in *errors. */
bool db_check_url(const char *url, struct strbuf *errors) MUST_CHECK;

struct db *db_new(const struct db_options *options) MUST_CHECK;
/* Transactions are dropped(): their done() is not called. */
void db_free(struct db *db);

enum db_verdict {
	DB_MORE,  /* go on */
	DB_ENOUGH /* the rest of the result is not wanted */
};

/*
 * A transaction. Embedded in what needs one; it must live until done(), or until
 * db_cancel().
 */
struct db_task {
	/*
	 * Sends the next statement with one of libpq's PQsend functions.
	 * Returns false when there is none left.
	 */
	bool (*next)(struct db_task *task, PGconn *pg);
	/* A result or, in single-row mode, a row; borrowed. Errors are not. */
	enum db_verdict (*on_result)(
	    struct db_task *task, const PGresult *result);
	/* Rolled back or committed. failed: the result that ended it; reason: what else. */
	void (*done)(
	    struct db_task *task, const PGresult *failed, const char *reason);
	/* db_free() took it along. */
	void (*dropped)(struct db_task *task);
	bool writes;

	/* db's own */
	TAILQ_ENTRY(db_task) link;
	struct db *db;
	struct db_conn *conn; /* NULL: in the queue */
	struct event *timer;
};

/* limit_ms: all of it, waiting for a connection included. */
void db_run(struct db *db, struct db_task *task, uint64_t limit_ms);
/* Ends it without done() and dropped(). */
void db_cancel(struct db_task *task);

#endif
