#include "proxy/key_store.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/db.h"
#include "common/log.h"
#include "common/strbuf.h"
#include "common/xalloc.h"

/* One is enough: questions that come meanwhile go together in the next. */
#define CONNECTIONS 1
#define STATEMENT_TIMEOUT_MS 3000
/* A request that needs an answer should hear that there is none. */
#define PATIENCE_MS 3000
#define IDS_MAX 1024
#define SEEN_EVERY_MS 10000
#define LOG_EVERY_MS 10000
#define UNDEFINED_TABLE "42P01"

static const char look_up_sql[] =
    "SELECT id, sha256, scopes FROM mcp_api_keys WHERE id = ANY ($1::text[])";
/* A row that another loop has just brought up to date need not be written. */
static const char seen_sql[] =
    "UPDATE mcp_api_keys SET seen_at = now() WHERE id = ANY ($1::text[]) "
    "AND (seen_at IS NULL OR seen_at < now() - interval '10 seconds')";

struct id {
	char text[API_KEY_ID_LEN];
	bool answered;
};

struct ids {
	unsigned count;
	struct id id[IDS_MAX];
};

/* A statement about many ids, in a transaction of its own. */
struct errand {
	struct db_task task;
	struct postgres_store *from;
	const char *sql;
	struct ids ids;
	bool sent;
	bool busy;
};

struct postgres_store {
	struct key_store store;
	struct db *db;
	struct errand look_up;
	struct errand note;       /* that keys were seen */
	struct ids asked;         /* for the next look-up */
	struct ids seen;          /* for the next note */
	uint64_t noted_ms;
	uint64_t logged_ms;
};

static void look_up_next(struct postgres_store *s);

/* Ids ------------------------------------------------------------------------- */

static struct id *
find(struct ids *ids, const char *text)
{
	for (unsigned i = 0; i < ids->count; i++) {
		if (memcmp(ids->id[i].text, text, API_KEY_ID_LEN) == 0)
			return &ids->id[i];
	}
	return NULL;
}

/* False when there are too many. */
static bool
add(struct ids *ids, const char *text)
{
	struct id *id;

	if (ids->count == IDS_MAX)
		return false;
	id = &ids->id[ids->count++];
	memcpy(id->text, text, API_KEY_ID_LEN);
	id->answered = false;
	return true;
}

/* As PostgreSQL writes an array: ids are letters and digits (api_key_id_ok). */
static void
write_array(struct strbuf *to, const struct ids *ids)
{
	for (unsigned i = 0; i < ids->count; i++) {
		strbuf_add_char(to, i == 0 ? '{' : ',');
		strbuf_add(to, ids->id[i].text, API_KEY_ID_LEN);
	}
	strbuf_add_char(to, '}');
}

/* Errands --------------------------------------------------------------------- */

static bool
send_statement(struct db_task *task, PGconn *pg)
{
	struct errand *e = (struct errand *)task;
	struct strbuf array = STRBUF_INIT(IDS_MAX * (API_KEY_ID_LEN + 1) + 2);
	const char *values[1];

	if (e->sent)
		return false;
	e->sent = true;
	write_array(&array, &e->ids);
	values[0] = strbuf_str(&array);
	/* What cannot be sent breaks the connection, which is noticed. */
	(void)PQsendQueryParams(pg, e->sql, 1, NULL, values, NULL, NULL, 0);
	strbuf_release(&array);
	return true;
}

static void
log_problem(struct postgres_store *s, const char *what, const PGresult *failed,
    const char *reason)
{
	uint64_t now = clock_mono_ms();

	if (s->logged_ms != 0 && now - s->logged_ms < LOG_EVERY_MS)
		return;
	s->logged_ms = now;
	if (failed != NULL)
		reason = PQresultErrorField(failed, PG_DIAG_MESSAGE_PRIMARY);
	log_warn(what, LF("error", reason != NULL ? reason : "unknown"));
}

static void
start(struct postgres_store *s, struct errand *e, struct ids *waiting)
{
	if (e->busy || waiting->count == 0)
		return;
	e->ids = *waiting;
	waiting->count = 0;
	e->sent = false;
	e->busy = true;
	db_run(s->db, &e->task, PATIENCE_MS);
}

static void
on_dropped(struct db_task *task)
{
	(void)task;
}

static struct slice
cell(const PGresult *result, int row, int column)
{
	return slice_of(PQgetvalue(result, row, column),
	    (size_t)PQgetlength(result, row, column));
}

/* Looking up ------------------------------------------------------------------ */

static void
answer(struct postgres_store *s, struct id *id, enum key_answer what,
    const struct key_record *record)
{
	id->answered = true;
	s->store.cb(id->text, what, record, s->store.arg);
}

static enum db_verdict
on_rows(struct db_task *task, const PGresult *result)
{
	struct errand *e = (struct errand *)task;
	struct key_record record;

	for (int row = 0; row < PQntuples(result); row++) {
		struct slice text = cell(result, row, 0);
		struct id *id = text.n == API_KEY_ID_LEN ?
		    find(&e->ids, text.p) : NULL;

		if (id == NULL || id->answered)
			continue;
		record = (struct key_record){ cell(result, row, 1),
			cell(result, row, 2) };
		(void)!add(&e->from->seen, id->text);
		answer(e->from, id, KEY_FOUND, &record);
	}
	return DB_MORE;
}

/* Without the table there is no key yet: mcpctl makes it with the first one. */
static bool
is_undefined_table(const PGresult *failed)
{
	const char *state = failed != NULL ?
	    PQresultErrorField(failed, PG_DIAG_SQLSTATE) : NULL;

	return state != NULL && strcmp(state, UNDEFINED_TABLE) == 0;
}

static void
on_looked_up(struct db_task *task, const PGresult *failed, const char *reason)
{
	struct errand *e = (struct errand *)task;
	struct postgres_store *s = e->from;
	bool bad = failed != NULL || reason != NULL;
	enum key_answer rest = bad && !is_undefined_table(failed) ?
	    KEY_UNAVAILABLE : KEY_NONE;

	if (bad)
		log_problem(s, "API keys cannot be read", failed, reason);
	e->busy = false;
	for (unsigned i = 0; i < e->ids.count; i++) {
		if (!e->ids.id[i].answered)
			answer(s, &e->ids.id[i], rest, NULL);
	}
	look_up_next(s);
}

static void
look_up_next(struct postgres_store *s)
{
	start(s, &s->look_up, &s->asked);
}

static bool
look_up(struct key_store *store, const char id[static API_KEY_ID_LEN])
{
	struct postgres_store *s = (struct postgres_store *)store;

	if (!add(&s->asked, id))
		return false;
	look_up_next(s);
	return true;
}

/* Noting ---------------------------------------------------------------------- */

static enum db_verdict
on_nothing(struct db_task *task, const PGresult *result)
{
	(void)task;
	(void)result;
	return DB_MORE;
}

/* A role that may only read is fine: then nobody knows when keys were seen. */
static void
on_noted(struct db_task *task, const PGresult *failed, const char *reason)
{
	struct errand *e = (struct errand *)task;

	e->busy = false;
	if (failed != NULL || reason != NULL)
		log_problem(e->from, "use of API keys is not noted", failed,
		    reason);
}

static void
tick(struct key_store *store)
{
	struct postgres_store *s = (struct postgres_store *)store;
	uint64_t now = clock_mono_ms();

	if (now - s->noted_ms < SEEN_EVERY_MS)
		return;
	s->noted_ms = now;
	start(s, &s->note, &s->seen);
}

/* The store ------------------------------------------------------------------- */

static void
free_store(struct key_store *store)
{
	struct postgres_store *s = (struct postgres_store *)store;

	db_free(s->db);
	free(s);
}

static void
make_errand(struct postgres_store *s, struct errand *e, const char *sql)
{
	e->from = s;
	e->sql = sql;
	e->task.next = send_statement;
	e->task.dropped = on_dropped;
}

struct key_store *
key_store_postgres(struct event_base *base, struct evdns_base *dns,
    const char *url)
{
	static const struct key_store_ops ops = { .look_up = look_up,
		.tick = tick, .free = free_store };
	struct postgres_store *s = xcalloc(1, sizeof(*s));

	s->store.ops = &ops;
	make_errand(s, &s->look_up, look_up_sql);
	s->look_up.task.on_result = on_rows;
	s->look_up.task.done = on_looked_up;
	make_errand(s, &s->note, seen_sql);
	s->note.task.on_result = on_nothing;
	s->note.task.done = on_noted;
	s->note.task.writes = true;
	s->db = db_new(&(struct db_options){
	    .base = base,
	    .dns = dns,
	    .url = url,
	    .connections = CONNECTIONS,
	    .statement_timeout_ms = STATEMENT_TIMEOUT_MS,
	});
	return &s->store;
}
