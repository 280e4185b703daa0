#include "common/db_private.h"

#include <netdb.h>
#include <openssl/rand.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/timer.h"

#define CONNECT_TIMEOUT_MS 10000
#define BACKOFF_MIN_MS 200
#define BACKOFF_MAX_MS 15000
/*
 * A connection that a task was taken from leaves a server process that works on
 * until it looks for its client. So it is made anew at most once in that time, and
 * who cancels many queries cannot have more than two processes for each.
 */
#define DROP_INTERVAL_MS 1000

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

static void on_io(evutil_socket_t fd, short what, void *arg);

void
db_conn_set_state(struct db_conn *c, enum conn_state state)
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

void
db_conn_watch(struct db_conn *c, short events)
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

/* Losing it -------------------------------------------------------------- */

void
db_conn_close(struct db_conn *c)
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
	db_conn_set_state(c, CONN_DOWN);
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
	db_conn_close(c);
	timer_set(c->timer, jittered(c->backoff_ms));
	c->backoff_ms *= 2;
	if (c->backoff_ms > BACKOFF_MAX_MS)
		c->backoff_ms = BACKOFF_MAX_MS;
}

void
db_conn_drop(struct db_conn *c)
{
	uint64_t now = clock_mono_ms(), pause = 0;

	if (c->dropped_ms != 0 && now < c->dropped_ms + DROP_INTERVAL_MS)
		pause = c->dropped_ms + DROP_INTERVAL_MS - now;
	c->dropped_ms = now + pause;
	db_conn_close(c);
	timer_set(c->timer, pause);
}

void
db_conn_lost(struct db_conn *c, const char *reason)
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
		db_task_done(task, NULL,
		    "the connection to the database was lost, or a value or "
		    "an error was too large to take: try again, with less");
	db_tell_first(db, strbuf_str(&db->last_error));
}

void
db_conn_send(struct db_conn *c, int sent)
{
	bool bad = !sent || PQstatus(c->pg) == CONNECTION_BAD;
	int unsent = bad ? -1 : PQflush(c->pg);

	if (unsent < 0)
		db_conn_lost(c, PQerrorMessage(c->pg));
	else
		db_conn_watch(c, EV_READ | (unsent > 0 ? EV_WRITE : 0));
}

/* Connecting ------------------------------------------------------------- */

void
db_conn_ready(struct db_conn *c)
{
	const char *encoding = PQparameterStatus(c->pg, "server_encoding");

	if (c->statement_failed) {
		db_conn_lost(c, PQresultErrorMessage(c->failed));
		return;
	}
	if (encoding != NULL && strcmp(encoding, "SQL_ASCII") == 0) {
		db_conn_lost(c, "the database's encoding is SQL_ASCII: what it "
				"holds cannot be told as UTF-8");
		return;
	}
	event_del(c->timer);
	c->backoff_ms = BACKOFF_MIN_MS;
	log_info("database connected", LF("host", PQhost(c->pg)),
	    LF("database", PQdb(c->pg)), LF("user", PQuser(c->pg)),
	    LF_N("server_version", PQserverVersion(c->pg)));
	db_conn_take_task(c);
	db_tell_first(c->db, NULL);
}

static void
conn_setup(struct db_conn *c)
{
	PQsetnonblocking(c->pg, 1);
	db_conn_set_state(c, CONN_SETUP);
	db_conn_send(c, PQsendQuery(c->pg, setup_sql));
}

static void
conn_poll(struct db_conn *c)
{
	/* libpq may go on with another socket that has the same number. */
	event_free(c->io);
	c->io = NULL;
	switch (PQconnectPoll(c->pg)) {
	case PGRES_POLLING_READING:
		db_conn_watch(c, EV_READ);
		break;
	case PGRES_POLLING_WRITING:
		db_conn_watch(c, EV_WRITE);
		break;
	case PGRES_POLLING_OK:
		conn_setup(c);
		break;
	case PGRES_POLLING_FAILED:
	case PGRES_POLLING_ACTIVE:
		db_conn_lost(c, PQerrorMessage(c->pg));
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

	db_conn_set_state(c, CONN_CONNECTING);
	timer_set(c->timer, CONNECT_TIMEOUT_MS);
	c->pg = PQconnectStartParams(keys, values, 1);
	if (c->pg == NULL)
		abort();
	PQsetNoticeProcessor(c->pg, ignore_notice, NULL);
	if (PQstatus(c->pg) == CONNECTION_BAD)
		db_conn_lost(c, PQerrorMessage(c->pg));
	else
		db_conn_watch(c, EV_WRITE);
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
		db_conn_lost(c, "the host of DATABASE_URL was not found");
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
	db_conn_set_state(c, CONN_RESOLVING);
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
		db_conn_send(c, 1);
	if (c->pg != NULL && c->state != CONN_CONNECTING && (what & EV_READ))
		db_conn_read(c);
}

static void
on_conn_timer(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct db_conn *c = arg;

	if (c->state == CONN_DOWN)
		conn_open(c);
	else
		db_conn_lost(c, "no connection to the database in time");
}

/* The module itself ------------------------------------------------------ */

void
db_conn_init(struct db_conn *c, struct db *db)
{
	c->db = db;
	c->backoff_ms = BACKOFF_MIN_MS;
	c->timer = evtimer_new(db->options.base, on_conn_timer, c);
	if (c->timer == NULL)
		abort();
	timer_set(c->timer, 0);
}

void
db_conn_release(struct db_conn *c)
{
	db_conn_close(c);
	event_free(c->timer);
}
