/*
 * Read-only questions to a PostgreSQL database, about the tables that the
 * operator listed.
 */
#include <stdlib.h>

#include "common/db.h"
#include "common/utf8.h"
#include "common/xalloc.h"
#include "worker/postgres/job.h"
#include "worker/postgres/policy.h"
#include "worker/runtime/tool.h"

/* What the first two tools are about. */
#define EMPLOYEES "employees"
/* Longer names are cut in messages. */
#define NAME_SHOWN 130
#define RULES_MAX ((size_t)64 << 10)
/*
 * libpq makes room for a whole message once it knows how long it is. Rows are cut
 * by the server to far less than this, but the text of an error may quote a value
 * of any size.
 */
#define MESSAGE_MAX ((size_t)16 << 20)
#define MS_PER_S 1000

struct settings {
	char *url;
	char *tables;
	char *functions;
	unsigned pool;
	unsigned statement_timeout_s;
	unsigned max_rows;
	size_t max_bytes;
};

#define FIELD(name) CONFIG_FIELD(struct settings, name)

static const struct config_option options[] = {
	{ "DATABASE_URL", CONFIG_URL, FIELD(url), NULL, 0, 0, NULL,
	    "PostgreSQL: postgresql://user:password@host[:port]/database"
	    "[?sslmode=verify-full]" },
	{ "POSTGRES_TABLES", CONFIG_STRING, FIELD(tables), EMPLOYEES, 0, 0,
	    NULL,
	    "tables and views that may be read, with commas: name, "
	    "schema.name or schema.*" },
	{ "POSTGRES_FUNCTIONS", CONFIG_STRING, FIELD(functions), NULL, 0, 0,
	    NULL,
	    "functions that queries may call beyond PostgreSQL's own "
	    "harmless ones, with commas: name, schema.name or schema.*" },
	{ "POSTGRES_POOL", CONFIG_UINT, FIELD(pool), "4", 1, 256, NULL,
	    "connections to the database of one worker" },
	{ "POSTGRES_STATEMENT_TIMEOUT", CONFIG_UINT, FIELD(statement_timeout_s),
	    "10", 1, 3600, NULL,
	    "seconds after which the database stops a query" },
	{ "POSTGRES_MAX_ROWS", CONFIG_UINT, FIELD(max_rows), "500", 1, 100000,
	    NULL, "rows of an answer; the rest is left out, and said so" },
	{ "POSTGRES_MAX_BYTES", CONFIG_BYTES, FIELD(max_bytes), "256k", 4096,
	    (size_t)320 << 10, NULL,
	    "bytes of an answer; the rest is left out, and said so" },
	{ .env = NULL },
};

struct postgres {
	struct worker_env *env;
	struct job_limits limits;
	struct db *db;
	char *rules;           /* of all tables */
	char *employees_rules; /* of that one, if it is allowed */
	struct event *failing; /* out of db's callback */
	char *reason;
};

/* Calls ------------------------------------------------------------------ */

static const char *
argument(const cJSON *args, const char *name)
{
	return cJSON_GetStringValue(
	    cJSON_GetObjectItemCaseSensitive(args, name));
}

static void
run_query(struct call *call, const cJSON *args)
{
	const struct postgres *p = call_state(call);

	job_query(p->db, call, &p->limits, p->rules, argument(args, "sql"));
}

static void
run_query_employees(struct call *call, const cJSON *args)
{
	const struct postgres *p = call_state(call);

	job_query(p->db, call, &p->limits, p->employees_rules,
	    argument(args, "query"));
}

static void
run_list_tables(struct call *call, const cJSON *args UNUSED)
{
	const struct postgres *p = call_state(call);

	job_catalog(p->db, call, &p->limits, policy_tables_sql, p->rules, NULL,
	    "no table may be read: POSTGRES_TABLES names none that is there "
	    "and that the role of DATABASE_URL may read");
}

static void
describe(struct call *call, const char *table)
{
	const struct postgres *p = call_state(call);
	struct slice name = utf8_cut(slice_str(table), NAME_SHOWN);
	char *none = xasprintf("%.*s: no such table among those that may be "
			       "read; list_tables names those",
	    SLICE_ARG(name));

	job_catalog(
	    p->db, call, &p->limits, policy_columns_sql, p->rules, table, none);
	free(none);
}

static void
run_describe_table(struct call *call, const cJSON *args)
{
	describe(call, argument(args, "table"));
}

static void
run_get_employee_schema(struct call *call, const cJSON *args UNUSED)
{
	describe(call, EMPLOYEES);
}

/* Life ------------------------------------------------------------------- */

static bool
check(void *settings, struct strbuf *errors)
{
	const struct settings *s = settings;

	return db_check_url(s->url, errors);
}

static char *
rules_of(const struct settings *s, const char *only)
{
	struct strbuf json = STRBUF_INIT(RULES_MAX);
	char *rules;

	policy_rules(&json, s->tables, s->functions, only);
	rules = strbuf_ok(&json) ? xstrdup(strbuf_str(&json)) : NULL;
	strbuf_release(&json);
	return rules;
}

static void
stop(struct worker_env *env)
{
	struct postgres *p = worker_env_state(env);

	db_free(p->db);
	event_free(p->failing);
	free(p->rules);
	free(p->employees_rules);
	free(p->reason);
	free(p);
	worker_env_set_state(env, NULL);
}

/* Ends in stop(): p is gone after it. */
static void
on_failing(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct postgres *p = arg;
	char *reason = p->reason;

	p->reason = NULL;
	worker_env_fail(p->env, reason);
	free(reason);
}

static void
on_first(const char *reason, void *arg)
{
	struct postgres *p = arg;

	if (reason == NULL) {
		worker_env_ready(p->env);
		return;
	}
	p->reason = xasprintf("DATABASE_URL: %s", reason);
	event_active(p->failing, EV_TIMEOUT, 0);
}

static bool
start(struct worker_env *env, struct strbuf *error)
{
	const struct settings *s = worker_env_settings(env);
	struct postgres *p;

	if (s->url == NULL) {
		strbuf_add_str(error, "DATABASE_URL is not set");
		return false;
	}
	p = xcalloc(1, sizeof(*p));
	p->env = env;
	p->limits = (struct job_limits){ s->max_rows, s->max_bytes,
		s->statement_timeout_s };
	p->rules = rules_of(s, NULL);
	p->employees_rules = rules_of(s, EMPLOYEES);
	p->failing = evtimer_new(worker_env_base(env), on_failing, p);
	if (p->failing == NULL)
		abort();
	p->db = db_new(&(struct db_options){
	    .base = worker_env_base(env),
	    .dns = worker_env_dns(env),
	    .url = s->url,
	    .connections = s->pool,
	    .statement_timeout_ms = s->statement_timeout_s * MS_PER_S,
	    .message_max = MESSAGE_MAX,
	    .on_first = on_first,
	    .arg = p,
	});
	worker_env_set_state(env, p);
	if (p->rules == NULL || p->employees_rules == NULL) {
		strbuf_add_str(error, "POSTGRES_TABLES or POSTGRES_FUNCTIONS "
				      "is too long");
		stop(env);
		return false;
	}
	worker_env_wait(env);
	return true;
}

#define STRING(name, says) \
	"{\"type\":\"object\",\"properties\":{\"" name "\":{" \
	"\"type\":\"string\",\"minLength\":1,\"description\":\"" says "\"}}," \
	"\"required\":[\"" name "\"],\"additionalProperties\":false}"
#define OUTPUT \
	"{\"type\":\"object\",\"properties\":{" \
	"\"columns\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}}," \
	"\"rows\":{\"type\":\"array\",\"description\":\"values in the order " \
	"of columns; null, booleans and numbers of up to 15 digits as such, " \
	"the rest as text\",\"items\":{\"type\":\"array\"}}," \
	"\"row_count\":{\"type\":\"integer\"}," \
	"\"truncated\":{\"type\":\"boolean\",\"description\":\"whether rows " \
	"or parts of values were left out\"}}," \
	"\"required\":[\"columns\",\"rows\",\"row_count\",\"truncated\"]}"
#define PROMISES \
	(TOOL_READ_ONLY | TOOL_NOT_DESTRUCTIVE | TOOL_IDEMPOTENT | \
	    TOOL_CLOSED_WORLD)

static const struct tool tools[] = {
	{
	    .name = "query_employees",
	    .title = "Query employees",
	    .description = "Runs one SELECT on the table employees. "
			   "get_employee_schema describes its columns.",
	    .input_schema = STRING("query",
		"one SELECT in PostgreSQL's "
		"SQL that reads the table employees, such as SELECT "
		"department, count(*) FROM employees GROUP BY 1"),
	    .output_schema = OUTPUT,
	    .promises = PROMISES,
	    .run = run_query_employees,
	},
	{
	    .name = "get_employee_schema",
	    .title = "Schema of employees",
	    .description = "Lists the columns of the table employees.",
	    .output_schema = OUTPUT,
	    .promises = PROMISES,
	    .run = run_get_employee_schema,
	},
	{
	    .name = "query",
	    .title = "Query",
	    .description = "Runs one SELECT on the tables that list_tables "
			   "names.",
	    .input_schema = STRING("sql", "one SELECT (or WITH … SELECT, "
					  "VALUES, TABLE) in PostgreSQL's SQL"),
	    .output_schema = OUTPUT,
	    .promises = PROMISES,
	    .run = run_query,
	},
	{
	    .name = "list_tables",
	    .title = "List tables",
	    .description = "Lists the tables and views that may be read.",
	    .output_schema = OUTPUT,
	    .promises = PROMISES,
	    .run = run_list_tables,
	},
	{
	    .name = "describe_table",
	    .title = "Describe table",
	    .description = "Lists a table's columns with types, keys and "
			   "comments.",
	    .input_schema = STRING("table", "name or schema.name, as "
					    "list_tables has it"),
	    .output_schema = OUTPUT,
	    .promises = PROMISES,
	    .run = run_describe_table,
	},
	{ .name = NULL },
};

const struct api api = {
	.name = "postgres",
	.title = "PostgreSQL",
	.instructions = "Read-only SQL on a PostgreSQL database. Start with "
			"list_tables and describe_table. Only SELECT is "
			"allowed, on those tables, with functions that only "
			"compute. Results are cut at a number of rows and "
			"bytes and say so: aggregate in SQL instead of reading "
			"many rows.",
	.tools = tools,
	.options = options,
	.options_size = sizeof(struct settings),
	.check = check,
	.start = start,
	.stop = stop,
};
