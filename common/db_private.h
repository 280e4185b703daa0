/*
 * What db.c (the pool, and what waits for a connection), db_conn.c (a connection:
 * how it is made, lost and made again) and db_transaction.c (what runs on it) share.
 * Nobody else includes it.
 */
#ifndef MCP_DB_PRIVATE_H
#define MCP_DB_PRIVATE_H

#include <stdlib.h>

#include "common/db.h"

enum conn_state {
	CONN_DOWN,       /* its timer: until the next attempt */
	CONN_RESOLVING,  /* the host's name is looked up */
	CONN_CONNECTING, /* its timer: until it is given up */
	CONN_SETUP,
	CONN_IDLE,  /* db's idle list */
	CONN_BEGIN, /* from here on it has a task */
	CONN_TASK,
	CONN_ENDING /* ROLLBACK, or COMMIT */
};

struct db_conn {
	LIST_ENTRY(db_conn) idle_link;
	struct db *db;
	enum conn_state state;
	PGconn *pg;
	struct event *io; /* on fd, for what it waits for */
	evutil_socket_t fd;
	short events;
	struct event *timer;
	struct evdns_getaddrinfo_request *lookup;
	unsigned backoff_ms;
	uint64_t dropped_ms; /* monotonic; 0: never */
	struct db_task *task;
	PGresult *failed; /* what the task will be told */
	bool statement_failed;
};

struct db {
	struct db_options options;
	char *host; /* to look up; NULL: libpq does */
	bool first_told;
	struct strbuf last_error;
	struct db_conn *conns;
	LIST_HEAD(, db_conn) idle;
	TAILQ_HEAD(, db_task) waiting;
};

/* db.c */

/* Takes it out of its connection or the queue, and calls its done(). */
void db_task_done(
    struct db_task *task, const PGresult *failed, const char *reason);
/* The first of them is what on_first() is told. */
void db_tell_first(struct db *db, const char *reason);

/* db_conn.c */

/* In db's memory, zeroed; it begins to connect on the loop's next turn. */
void db_conn_init(struct db_conn *c, struct db *db);
void db_conn_release(struct db_conn *c);
void db_conn_set_state(struct db_conn *c, enum conn_state state);
/* Waits for these events on the connection's socket, which may have changed. */
void db_conn_watch(struct db_conn *c, short events);
/* After a PQsend function that returned sent. */
void db_conn_send(struct db_conn *c, int sent);
/* Its settings are made. */
void db_conn_ready(struct db_conn *c);
/* Closes it; what it did for a task is lost. */
void db_conn_close(struct db_conn *c);
/* For a task's sake only: it comes back, at once if that is not often. */
void db_conn_drop(struct db_conn *c);
/* The connection is of no use any more. reason may be libpq's own memory. */
void db_conn_lost(struct db_conn *c, const char *reason);

/* db_transaction.c */

/* It is free: begins with the first task that waits, or waits for one. */
void db_conn_take_task(struct db_conn *c);
/* Reads what is there, and goes on with what it means. */
void db_conn_read(struct db_conn *c);

#endif
