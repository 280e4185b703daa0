#include "common/db.h"

#include <netdb.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/ration.h"
#include "common/strbuf.h"
#include "common/timer.h"
#include "common/xalloc.h"

#define CONNECT_TIMEOUT_MS 10000
#define BACKOFF_MIN_MS 200
#define BACKOFF_MAX_MS 15000
/*
 * A connection that a task was taken from leaves a server process that works on
 * until it looks for its client. So it is made anew at most once in that time, and
 * who cancels many queries cannot have more than two processes for each.
 */
#define DROP_INTERVAL_MS 1000
/* Beyond the server's own statement_timeout: then the server is gone. */
#define GRACE_MS 5000
/*
 * Settings of each connection, of those that the server knows. It looks for a
 * client that has gone every second. Text is sent as libpg_query reads it.
 */
static const char setup_sql[] =
    "SELECT set_config(name, value, false) FROM (VALUES "
    "('client_connection_check_interval', '1000'), "
    "('idle_in_transaction_session_timeout', '60000'), "
    "('default_transaction_read_only', 'on'), "
    "('standard_conforming_strings', 'on'), "
    "('bytea_output', 'hex'), "
    "('client_encoding', 'UTF8')) AS v(name, value) "
    "WHERE name IN (SELECT name FROM pg_settings)";

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

static void conn_open(struct db_conn *c);
static void on_io(evutil_socket_t fd, short what, void *arg);

static void
conn_set_state(struct db_conn *c, enum conn_state state)
{
	static const char *const names[] = {
		[CONN_DOWN] = "down",
		[CONN_RESOLVING] = "resolving",
		[CONN_CONNECTING] = "connecting",
		[CONN_SETUP] = "setup",
		[CONN_IDLE] = "idle",
		[CONN_BEGIN] = "begin",
		[CONN_TASK] = "task",
		[CONN_ENDING] = "ending",
	};

	log_debug("database connection state", LF("from", names[c->state]),
	    LF("to", names[state]));
	if (c->state == CONN_IDLE)
		LIST_REMOVE(c, idle_link);
	if (state == CONN_IDLE)
		LIST_INSERT_HEAD(&c->db->idle, c, idle_link);
	c->state = state;
}

/* Waits for these events on the connection's socket, which may have changed. */
static void
conn_watch(struct db_conn *c, short events)
{
	evutil_socket_t fd = PQsocket(c->pg);

	events |= EV_PERSIST;
	if (c->io != NULL && c->fd == fd && c->events == events)
		return;
	if (c->io != NULL)
		event_free(c->io);
	c->fd = fd;
	c->events = events;
	c->io = event_new(c->db->options.base, fd, events, on_io, c);
	if (c->io == NULL || event_add(c->io, NULL) != 0)
		abort();
}

/* The end of tasks ------------------------------------------------------- */

static void
task_done(struct db_task *task, const PGresult *failed, const char *reason)
{
	event_free(task->timer);
	task->timer = NULL;
	if (task->conn != NULL)
		task->conn->task = NULL;
	else
		TAILQ_REMOVE(&task->db->waiting, task, link);
	task->done(task, failed, reason);
}

/* Losing and getting connections ----------------------------------------- */

static void
tell_first(struct db *db, const char *reason)
{
	if (db->first_told)
		return;
	db->first_told = true;
	if (db->options.on_first != NULL)
		db->options.on_first(reason, db->options.arg);
}

/* Closes it; what it did for a task is lost. */
static void
conn_close(struct db_conn *c)
{
	if (c->io != NULL)
		event_free(c->io);
	c->io = NULL;
	event_del(c->timer);
	if (c->lookup != NULL)
		evdns_getaddrinfo_cancel(c->lookup);
	c->lookup = NULL;
	PQclear(c->failed);
	c->failed = NULL;
	c->statement_failed = false;
	PQfinish(c->pg);
	c->pg = NULL;
	conn_set_state(c, CONN_DOWN);
}

/* Between half of it and all of it. */
static unsigned
jittered(unsigned ms)
{
	uint16_t v = 0;

	if (RAND_bytes((unsigned char *)&v, sizeof(v)) != 1)
		return ms;
	return ms / 2 + v % (ms / 2 + 1);
}

static void
conn_retry(struct db_conn *c)
{
	conn_close(c);
	timer_set(c->timer, jittered(c->backoff_ms));
	c->backoff_ms *= 2;
	if (c->backoff_ms > BACKOFF_MAX_MS)
		c->backoff_ms = BACKOFF_MAX_MS;
}

/* For a task's sake only: it comes back, at once if that is not often. */
static void
conn_drop(struct db_conn *c)
{
	uint64_t now = clock_mono_ms(), pause = 0;

	if (c->dropped_ms != 0 && now < c->dropped_ms + DROP_INTERVAL_MS)
		pause = c->dropped_ms + DROP_INTERVAL_MS - now;
	c->dropped_ms = now + pause;
	conn_close(c);
	timer_set(c->timer, pause);
}

/* The connection is of no use any more. reason may be libpq's own memory. */
static void
conn_lost(struct db_conn *c, const char *reason)
{
	struct db *db = c->db;
	struct db_task *task = c->task;

	strbuf_reset(&db->last_error);
	strbuf_add(&db->last_error, reason, strcspn(reason, "\n"));
	log_warn("database connection lost",
	    LF("reason", strbuf_str(&db->last_error)),
	    LF_N("retry_ms", c->backoff_ms));
	conn_retry(c);
	if (task != NULL)
		task_done(task, NULL,
		    "the connection to the database was lost, or a value or "
		    "an error was too large to take: try again, with less");
	tell_first(db, strbuf_str(&db->last_error));
}

static void
conn_send(struct db_conn *c, int sent)
{
	bool bad = !sent || PQstatus(c->pg) == CONNECTION_BAD;
	int unsent = bad ? -1 : PQflush(c->pg);

	if (unsent < 0)
		conn_lost(c, PQerrorMessage(c->pg));
	else
		conn_watch(c, EV_READ | (unsent > 0 ? EV_WRITE : 0));
}

/* Transactions ----------------------------------------------------------- */

static void
conn_begin(struct db_conn *c)
{
	char sql[128];

	conn_set_state(c, CONN_BEGIN);
	snprintf(sql, sizeof(sql), "BEGIN %s; SET LOCAL statement_timeout = %u",
	    c->task->writes ? "READ WRITE" : "READ ONLY",
	    c->db->options.statement_timeout_ms);
	conn_send(c, PQsendQuery(c->pg, sql));
}

static void
conn_end_transaction(struct db_conn *c)
{
	bool commit = c->task->writes && !c->statement_failed;

	conn_set_state(c, CONN_ENDING);
	conn_send(c, PQsendQuery(c->pg, commit ? "COMMIT" : "ROLLBACK"));
}

static void
conn_take_task(struct db_conn *c)
{
	struct db_task *task = TAILQ_FIRST(&c->db->waiting);

	conn_set_state(c, CONN_IDLE);
	conn_watch(c, EV_READ);
	if (task == NULL)
		return;
	TAILQ_REMOVE(&c->db->waiting, task, link);
	task->conn = c;
	c->task = task;
	conn_begin(c);
}

static void
conn_next(struct db_conn *c)
{
	if (c->statement_failed || !c->task->next(c->task, c->pg)) {
		conn_end_transaction(c);
		return;
	}
	conn_set_state(c, CONN_TASK);
	conn_send(c, 1);
}

static void
conn_finish_task(struct db_conn *c)
{
	struct db_task *task = c->task;
	PGresult *failed = c->failed;

	c->failed = NULL;
	c->statement_failed = false;
	task_done(task, failed, NULL);
	PQclear(failed);
	conn_take_task(c);
}

static void
conn_ready(struct db_conn *c)
{
	const char *encoding = PQparameterStatus(c->pg, "server_encoding");

	if (c->statement_failed) {
		conn_lost(c, PQresultErrorMessage(c->failed));
		return;
	}
	if (encoding != NULL && strcmp(encoding, "SQL_ASCII") == 0) {
		conn_lost(c, "the database's encoding is SQL_ASCII: what it "
			     "holds cannot be told as UTF-8");
		return;
	}
	event_del(c->timer);
	c->backoff_ms = BACKOFF_MIN_MS;
	log_info("database connected", LF("host", PQhost(c->pg)),
	    LF("database", PQdb(c->pg)), LF("user", PQuser(c->pg)),
	    LF_N("server_version", PQserverVersion(c->pg)));
	conn_take_task(c);
	tell_first(c->db, NULL);
}

/* All results of a statement are read. */
static void
statement_ended(struct db_conn *c)
{
	switch (c->state) {
	case CONN_SETUP:
		conn_ready(c);
		break;
	case CONN_BEGIN:
	case CONN_TASK:
		conn_next(c);
		break;
	case CONN_ENDING:
		conn_finish_task(c);
		break;
	case CONN_DOWN:
	case CONN_RESOLVING:
	case CONN_CONNECTING:
	case CONN_IDLE:
		break;
	}
}

/* Takes over the result. False: the connection was given up. */
static bool
take_result(struct db_conn *c, PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);
	enum db_verdict verdict = DB_MORE;
	struct db_task *task = c->task;

	if (status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE) {
		c->statement_failed = true;
		if (c->failed == NULL) {
			c->failed = result;
			return true;
		}
	} else if (c->state == CONN_TASK) {
		verdict = task->on_result(task, result);
	}
	PQclear(result);
	if (verdict == DB_MORE)
		return true;
	/* The server is sending: it notices at once. */
	conn_close(c);
	timer_set(c->timer, 0);
	task_done(task, NULL, NULL);
	return false;
}

/* Reads what is there, within the ration. False: the connection is of no use. */
static bool
conn_consume(struct db_conn *c)
{
	struct ration ration;
	int ok;

	ration_begin(&ration, c->db->options.message_max);
	ok = PQconsumeInput(c->pg);
	ration_end(&ration);
	return ok == 1;
}

/* Whether the rest of a result is still to come; parses what has come. */
static bool
conn_is_busy(struct db_conn *c)
{
	struct ration ration;
	int busy;

	ration_begin(&ration, c->db->options.message_max);
	busy = PQisBusy(c->pg);
	ration_end(&ration);
	return busy == 1;
}

static void
conn_read(struct db_conn *c)
{
	if (!conn_consume(c)) {
		conn_lost(c, PQerrorMessage(c->pg));
		return;
	}
	while (c->pg != NULL && c->state > CONN_CONNECTING &&
	       c->state != CONN_IDLE && !conn_is_busy(c)) {
		PGresult *result = PQgetResult(c->pg);

		if (result == NULL)
			statement_ended(c);
		else if (!take_result(c, result))
			return;
	}
}

/* Connecting ------------------------------------------------------------- */

static void
conn_setup(struct db_conn *c)
{
	PQsetnonblocking(c->pg, 1);
	conn_set_state(c, CONN_SETUP);
	conn_send(c, PQsendQuery(c->pg, setup_sql));
}

static void
conn_poll(struct db_conn *c)
{
	/* libpq may go on with another socket that has the same number. */
	event_free(c->io);
	c->io = NULL;
	switch (PQconnectPoll(c->pg)) {
	case PGRES_POLLING_READING:
		conn_watch(c, EV_READ);
		break;
	case PGRES_POLLING_WRITING:
		conn_watch(c, EV_WRITE);
		break;
	case PGRES_POLLING_OK:
		conn_setup(c);
		break;
	case PGRES_POLLING_FAILED:
	case PGRES_POLLING_ACTIVE:
		conn_lost(c, PQerrorMessage(c->pg));
		break;
	}
}

static void
ignore_notice(void *arg UNUSED, const char *message UNUSED)
{
}

/*
 * Lists of the host's addresses, and of its name as often; NULL: libpq looks it
 * up by itself.
 */
static void
conn_connect(struct db_conn *c, const char *addresses, const char *names)
{
	const char *const keys[] = { "dbname", "client_encoding",
		"fallback_application_name", addresses ? "hostaddr" : NULL,
		"host", NULL };
	const char *const values[] = { c->db->options.url, "UTF8", "mcp-relay",
		addresses, names, NULL };

	conn_set_state(c, CONN_CONNECTING);
	timer_set(c->timer, CONNECT_TIMEOUT_MS);
	c->pg = PQconnectStartParams(keys, values, 1);
	if (c->pg == NULL)
		abort();
	PQsetNoticeProcessor(c->pg, ignore_notice, NULL);
	if (PQstatus(c->pg) == CONNECTION_BAD)
		conn_lost(c, PQerrorMessage(c->pg));
	else
		conn_watch(c, EV_WRITE);
}

static void
on_resolved(int error, struct evutil_addrinfo *found, void *arg)
{
	struct db_conn *c = arg;
	struct strbuf addresses = STRBUF_INIT(4096);
	struct strbuf names = STRBUF_INIT(4096);
	char address[NI_MAXHOST];

	if (error == EVUTIL_EAI_CANCEL)
		return;
	c->lookup = NULL;
	for (struct evutil_addrinfo *ai = found; ai != NULL; ai = ai->ai_next) {
		if (getnameinfo(ai->ai_addr, (socklen_t)ai->ai_addrlen, address,
			sizeof(address), NULL, 0, NI_NUMERICHOST) != 0)
			continue;
		strbuf_addf(
		    &addresses, "%s%s", addresses.n > 0 ? "," : "", address);
		strbuf_addf(
		    &names, "%s%s", names.n > 0 ? "," : "", c->db->host);
	}
	if (addresses.n > 0 && strbuf_ok(&addresses) && strbuf_ok(&names))
		conn_connect(c, strbuf_str(&addresses), strbuf_str(&names));
	else
		conn_lost(c, "the host of DATABASE_URL was not found");
	strbuf_release(&addresses);
	strbuf_release(&names);
	if (found != NULL)
		evutil_freeaddrinfo(found);
}

static void
conn_open(struct db_conn *c)
{
	const struct evutil_addrinfo hints = { .ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM };
	struct evdns_getaddrinfo_request *lookup;

	if (c->db->host == NULL) {
		conn_connect(c, NULL, NULL);
		return;
	}
	conn_set_state(c, CONN_RESOLVING);
	/* NULL when it called back already. */
	lookup = evdns_getaddrinfo(
	    c->db->options.dns, c->db->host, NULL, &hints, on_resolved, c);
	if (lookup != NULL)
		c->lookup = lookup;
}

/* Events ----------------------------------------------------------------- */

static void
on_io(evutil_socket_t fd UNUSED, short what, void *arg)
{
	struct db_conn *c = arg;

	if (c->state == CONN_CONNECTING) {
		conn_poll(c);
		return;
	}
	if (what & EV_WRITE)
		conn_send(c, 1);
	if (c->pg != NULL && c->state != CONN_CONNECTING && (what & EV_READ))
		conn_read(c);
}

static void
on_conn_timer(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct db_conn *c = arg;

	if (c->state == CONN_DOWN)
		conn_open(c);
	else
		conn_lost(c, "no connection to the database in time");
}

static void
on_task_timer(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct db_task *task = arg;
	struct db_conn *c = task->conn;

	if (c != NULL)
		conn_drop(c);
	/* Why is for the log: it names hosts and users. */
	task_done(task, NULL,
	    c != NULL ? "the database did not answer in time"
		      : "no connection to the database was free in time");
}

/* The module itself ------------------------------------------------------ */

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
		conn_take_task(c);
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
	conn_drop(c);
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
	for (unsigned i = 0; i < options->connections; i++) {
		struct db_conn *c = &db->conns[i];

		c->db = db;
		c->backoff_ms = BACKOFF_MIN_MS;
		c->timer = evtimer_new(options->base, on_conn_timer, c);
		if (c->timer == NULL)
			abort();
		timer_set(c->timer, 0);
	}
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
		conn_close(c);
		event_free(c->timer);
	}
	while ((task = TAILQ_FIRST(&db->waiting)) != NULL)
		drop(task);
	free(db->conns);
	free(db->host);
	strbuf_release(&db->last_error);
	free(db);
}
