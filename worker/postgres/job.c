#include "worker/postgres/job.h"

#include <stdlib.h>

#include "common/utf8.h"
#include "common/xalloc.h"
#include "worker/postgres/policy.h"
#include "worker/postgres/statement.h"
#include "worker/postgres/table.h"

/* Of what is told about a query that went wrong. */
#define PROBLEM_MAX 4096
/* Of the database's own words: they quote values, however long. */
#define MESSAGE_MAX 1000
/* Names in one message: the first few are enough to mend a query. */
#define PROBLEMS_MAX 10
/* The longest statement, and a line for each of the most columns (1664). */
#define WRAPPED_MAX ((size_t)256 << 10)
/* Values are never cut to less than a name needs. */
#define CELL_CHARS_MIN 64
/* A character's bytes, twice, and as many again for escapes. */
#define BYTES_PER_CHAR 8
/* To read on costs less than a new connection up to here. */
#define SKIP_MAX ((size_t)4 << 20)

struct job {
	struct db_task task;
	struct call *call;
	struct job_limits limits;
	size_t stage;        /* the next one */
	const char *own_sql; /* NULL: a model's query */
	char *rules;
	char *argument;
	char *none;
	struct strbuf statement;
	struct strbuf names;
	struct strbuf problem; /* not empty: the answer */
	unsigned problems;
	PGresult *description;
	struct table table;
};

/* Making and ending ------------------------------------------------------ */

static struct job *
job_new(struct call *call, const struct job_limits *limits, const char *rules)
{
	struct job *job = xcalloc(1, sizeof(*job));

	job->call = call;
	job->limits = *limits;
	job->rules = xstrdup(rules);
	strbuf_init(&job->statement, STATEMENT_MAX);
	strbuf_init(&job->names, STATEMENT_MAX);
	strbuf_init(&job->problem, PROBLEM_MAX);
	table_init(&job->table, limits->max_rows, limits->max_bytes);
	return job;
}

static void
job_free(struct job *job)
{
	PQclear(job->description);
	table_release(&job->table);
	strbuf_release(&job->statement);
	strbuf_release(&job->names);
	strbuf_release(&job->problem);
	free(job->rules);
	free(job->argument);
	free(job->none);
	free(job);
}

/* Errors ----------------------------------------------------------------- */

/* What to do about an error, by its SQLSTATE or the class of it. */
static const struct {
	const char *state, *advice;
} advices[] = {
	{ "57014", "the query took too long: narrow it, or aggregate less" },
	{ "25006", "only reading is allowed" },
	{ "42501", "the role of DATABASE_URL may not do that" },
	{ "42P01", "list_tables names the tables" },
	{ "42703", "describe_table names the columns" },
	{ "42601", "write one SELECT in PostgreSQL's SQL" },
	{ "53", "the database is short of resources: try again later" },
	{ "57", "the database is being restarted: try again later" },
};

static const char *
advice_for(const char *state)
{
	for (size_t i = 0; i < ARRAY_LEN(advices); i++) {
		if (strncmp(
			state, advices[i].state, strlen(advices[i].state)) == 0)
			return advices[i].advice;
	}
	return NULL;
}

static void
add_failure(struct job *job, const PGresult *failed)
{
	const char *state = PQresultErrorField(failed, PG_DIAG_SQLSTATE);
	const char *text = PQresultErrorField(failed, PG_DIAG_MESSAGE_PRIMARY);
	const char *hint = PQresultErrorField(failed, PG_DIAG_MESSAGE_HINT);
	const char *advice = advice_for(state != NULL ? state : "");
	struct strbuf *sb = &job->problem;

	strbuf_add_slice(
	    sb, utf8_cut(slice_str(text != NULL ? text : "the query failed"),
		    MESSAGE_MAX));
	strbuf_addf(sb, " (SQLSTATE %s)", state != NULL ? state : "unknown");
	if (hint != NULL) {
		strbuf_add_str(sb, ". ");
		strbuf_add_slice(sb, utf8_cut(slice_str(hint), MESSAGE_MAX));
	}
	if (advice != NULL)
		strbuf_addf(sb, "; %s", advice);
	if (state != NULL && strcmp(state, "57014") == 0)
		strbuf_addf(sb, " (POSTGRES_STATEMENT_TIMEOUT: %u s)",
		    job->limits.statement_timeout_s);
}

/* Stages ----------------------------------------------------------------- */

static void
send_check(struct job *job, PGconn *pg)
{
	const char *const values[] = { strbuf_str(&job->names), job->rules };

	PQsendQueryParams(pg, policy_check_sql, ARRAY_LEN(values), NULL, values,
	    NULL, NULL, 0);
}

static enum db_verdict
take_check(struct job *job, const PGresult *result)
{
	for (int i = 0; i < PQntuples(result); i++) {
		if (job->problems++ >= PROBLEMS_MAX)
			continue;
		strbuf_add_str(&job->problem, job->problem.n > 0 ? "; " : "");
		policy_problem(&job->problem, PQgetvalue(result, i, 0),
		    PQgetvalue(result, i, 1));
	}
	return DB_MORE;
}

static void
send_prepare(struct job *job, PGconn *pg)
{
	PQsendPrepare(pg, "", strbuf_str(&job->statement), 0, NULL);
}

static void
send_describe(struct job *job UNUSED, PGconn *pg)
{
	PQsendDescribePrepared(pg, "");
}

static enum db_verdict
take_description(struct job *job, const PGresult *result)
{
	job->description = PQcopyResult(result, PG_COPYRES_ATTRS);
	if (job->description == NULL)
		strbuf_add_str(&job->problem, "out of memory");
	else if (PQnfields(result) == 0)
		strbuf_add_str(&job->problem, "the query has no columns");
	else
		table_columns(&job->table, result);
	return DB_MORE;
}

static size_t
cell_chars(const struct job *job, int columns)
{
	size_t chars =
	    job->limits.max_bytes / (BYTES_PER_CHAR * (size_t)columns);

	return chars > CELL_CHARS_MIN ? chars : CELL_CHARS_MIN;
}

/*
 * SELECT left((c1)::text, n), … FROM (statement) AS q(c1, …) LIMIT rows: numbered
 * names, because the query's own may be there twice. One character and one row
 * more than are shown tell whether there are more.
 */
static void
wrap(struct job *job, struct strbuf *sql)
{
	int columns = PQnfields(job->description);

	job->table.cell_chars = cell_chars(job, columns);
	strbuf_add_str(sql, "SELECT ");
	for (int i = 0; i < columns; i++)
		strbuf_addf(sql, "%sleft((c%d)::text, %zu)", i > 0 ? "," : "",
		    i, job->table.cell_chars + 1);
	strbuf_add_str(sql, " FROM (");
	strbuf_add_slice(sql, strbuf_slice(&job->statement));
	/* A comment may be the statement's last words. */
	strbuf_add_str(sql, "\n) AS q(");
	for (int i = 0; i < columns; i++)
		strbuf_addf(sql, "%sc%d", i > 0 ? "," : "", i);
	strbuf_addf(sql, ") LIMIT %u", job->limits.max_rows + 1);
}

static void
send_select(struct job *job, PGconn *pg)
{
	const char *const values[] = { job->rules, job->argument };
	struct strbuf sql = STRBUF_INIT(WRAPPED_MAX);

	if (job->own_sql != NULL) {
		PQsendQueryParams(pg, job->own_sql,
		    job->argument != NULL ? 2 : 1, NULL, values, NULL, NULL, 0);
	} else {
		wrap(job, &sql);
		PQsendQueryParams(
		    pg, strbuf_str(&sql), 0, NULL, NULL, NULL, NULL, 0);
	}
	PQsetSingleRowMode(pg);
	strbuf_release(&sql);
}

static enum db_verdict
take_rows(struct job *job, const PGresult *result)
{
	if (job->table.columns.n == 0)
		table_columns(&job->table, result);
	for (int i = 0; i < PQntuples(result); i++)
		table_row(&job->table, result, i, job->description);
	return job->table.skipped_bytes > SKIP_MAX ? DB_ENOUGH : DB_MORE;
}

static enum db_verdict
take_nothing(struct job *job UNUSED, const PGresult *result UNUSED)
{
	return DB_MORE;
}

/* A model's query goes through all of them, our own through the last. */
static const struct {
	void (*send)(struct job *job, PGconn *pg);
	enum db_verdict (*take)(struct job *job, const PGresult *result);
} stages[] = {
	{ send_check, take_check },
	{ send_prepare, take_nothing },
	{ send_describe, take_description },
	{ send_select, take_rows },
};

static bool
on_next(struct db_task *task, PGconn *pg)
{
	struct job *job = container_of(task, struct job, task);

	if (job->stage == ARRAY_LEN(stages) || job->problem.n > 0)
		return false;
	stages[job->stage++].send(job, pg);
	return true;
}

static enum db_verdict
on_result(struct db_task *task, const PGresult *result)
{
	struct job *job = container_of(task, struct job, task);

	return stages[job->stage - 1].take(job, result);
}

/* The answer ------------------------------------------------------------- */

static void
answer_table(struct job *job)
{
	struct strbuf json = STRBUF_INIT(4 * job->limits.max_bytes);

	table_end(&job->table, &json);
	if (!strbuf_ok(&json) || !strbuf_ok(&job->table.text))
		call_error(job->call, "the names of the columns are too long");
	else
		call_json(job->call, strbuf_slice(&job->table.text),
		    strbuf_slice(&json));
	strbuf_release(&json);
}

static void
on_done(struct db_task *task, const PGresult *failed, const char *reason)
{
	struct job *job = container_of(task, struct job, task);

	if (failed != NULL && job->problem.n == 0)
		add_failure(job, failed);
	else if (reason != NULL && job->problem.n == 0)
		strbuf_add_str(&job->problem, reason);
	if (job->problem.n == 0 && job->none != NULL && job->table.n_rows == 0)
		strbuf_add_str(&job->problem, job->none);
	if (job->problem.n > 0)
		call_error(job->call, "%s", strbuf_str(&job->problem));
	else
		answer_table(job);
	job_free(job);
}

static void
on_dropped(struct db_task *task)
{
	job_free(container_of(task, struct job, task));
}

static void
on_cancel(struct call *call UNUSED, void *arg)
{
	struct job *job = arg;

	db_cancel(&job->task);
	job_free(job);
}

static void
run(struct db *db, struct job *job)
{
	job->task.next = on_next;
	job->task.on_result = on_result;
	job->task.done = on_done;
	job->task.dropped = on_dropped;
	call_on_cancel(job->call, on_cancel, job);
	db_run(db, &job->task, call_left_ms(job->call));
}

void
job_query(struct db *db, struct call *call, const struct job_limits *limits,
    const char *rules, const char *sql)
{
	struct job *job = job_new(call, limits, rules);

	if (statement_read(sql, &job->statement, &job->names, &job->problem)) {
		run(db, job);
		return;
	}
	call_error(call, "%s", strbuf_str(&job->problem));
	job_free(job);
}

void
job_catalog(struct db *db, struct call *call, const struct job_limits *limits,
    const char *sql, const char *rules, const char *argument, const char *none)
{
	struct job *job = job_new(call, limits, rules);

	job->own_sql = sql;
	job->stage = ARRAY_LEN(stages) - 1;
	job->argument = argument ? xstrdup(argument) : NULL;
	job->none = none ? xstrdup(none) : NULL;
	run(db, job);
}
