#include "common/db_private.h"

#include <stdlib.h>

#include "common/timer.h"
#include "common/xalloc.h"

/* Beyond the server's own statement_timeout: then the server is gone. */
#define GRACE_MS 5000

/* Tasks ------------------------------------------------------------------ */

void
db_task_done(struct db_task *task, const PGresult *failed, const char *reason)
{
	event_free(task->timer);
	task->timer = NULL;
	if (task->conn != NULL)
		task->conn->task = NULL;
	else
		TAILQ_REMOVE(&task->db->waiting, task, link);
	task->done(task, failed, reason);
}

static void
on_task_timer(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct db_task *task = arg;
	struct db_conn *c = task->conn;

	if (c != NULL)
		db_conn_drop(c);
	/* Why is for the log: it names hosts and users. */
	db_task_done(task, NULL,
	    c != NULL ? "the database did not answer in time"
		      : "no connection to the database was free in time");
}

void
db_run(struct db *db, struct db_task *task, uint64_t limit_ms)
{
	uint64_t most = (uint64_t)db->options.statement_timeout_ms + GRACE_MS;
	struct db_conn *c = LIST_FIRST(&db->idle);

	task->db = db;
	task->conn = NULL;
	task->timer = evtimer_new(db->options.base, on_task_timer, task);
	if (task->timer == NULL)
		abort();
	timer_set(task->timer, limit_ms < most ? limit_ms : most);
	TAILQ_INSERT_TAIL(&db->waiting, task, link);
	if (c != NULL)
		db_conn_take_task(c);
}

void
db_cancel(struct db_task *task)
{
	struct db_conn *c = task->conn;

	event_free(task->timer);
	task->timer = NULL;
	if (c == NULL) {
		TAILQ_REMOVE(&task->db->waiting, task, link);
		return;
	}
	c->task = NULL;
	db_conn_drop(c);
}

/* The module itself ------------------------------------------------------ */

void
db_tell_first(struct db *db, const char *reason)
{
	if (db->first_told)
		return;
	db->first_told = true;
	if (db->options.on_first != NULL)
		db->options.on_first(reason, db->options.arg);
}

/*
 * The one host in the URL that has to be looked up by name; NULL when there is
 * none, or several: then libpq knows better.
 */
static char *
host_to_look_up(const char *url)
{
	PQconninfoOption *options = PQconninfoParse(url, NULL);
	const char *name = NULL, *address = NULL;
	char *host = NULL;

	for (PQconninfoOption *o = options; o != NULL && o->keyword; o++) {
		if (strcmp(o->keyword, "host") == 0)
			name = o->val;
		if (strcmp(o->keyword, "hostaddr") == 0)
			address = o->val;
	}
	if (name != NULL && address == NULL && name[0] != '/' &&
	    name[0] != '@' && name[0] != '\0' && strchr(name, ',') == NULL)
		host = xstrdup(name);
	PQconninfoFree(options);
	return host;
}

bool
db_check_url(const char *url, struct strbuf *errors)
{
	PQconninfoOption *parsed;

	if (url == NULL)
		return true;
	/* libpq's own words would show what is in it. */
	parsed = PQconninfoParse(url, NULL);
	if (parsed == NULL)
		strbuf_add_str(errors,
		    "DATABASE_URL: is not of the form "
		    "postgresql://user:password@host:port/database\n");
	PQconninfoFree(parsed);
	return parsed != NULL;
}

struct db *
db_new(const struct db_options *options)
{
	struct db *db = xcalloc(1, sizeof(*db));

	db->options = *options;
	strbuf_init(&db->last_error, 512);
	LIST_INIT(&db->idle);
	TAILQ_INIT(&db->waiting);
	if (options->dns != NULL)
		db->host = host_to_look_up(options->url);
	db->conns = xcalloc(options->connections, sizeof(*db->conns));
	for (unsigned i = 0; i < options->connections; i++)
		db_conn_init(&db->conns[i], db);
	return db;
}

static void
drop(struct db_task *task)
{
	db_cancel(task);
	task->dropped(task);
}

void
db_free(struct db *db)
{
	struct db_task *task;

	if (db == NULL)
		return;
	for (unsigned i = 0; i < db->options.connections; i++) {
		struct db_conn *c = &db->conns[i];

		if (c->task != NULL)
			drop(c->task);
		db_conn_release(c);
	}
	while ((task = TAILQ_FIRST(&db->waiting)) != NULL)
		drop(task);
	free(db->conns);
	free(db->host);
	strbuf_release(&db->last_error);
	free(db);
}
