/*
 * API keys in PostgreSQL, by libpq's blocking way: nobody waits but the operator.
 */
#include <postgresql/libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/mcpctl/key_store.h"

#define CONNECT_SECONDS "5"

const char ctl_keys_schema[] =
    "CREATE TABLE IF NOT EXISTS mcp_api_keys (\n"
    "\tid text PRIMARY KEY CHECK (id ~ '^[0-9a-z]{16}$'),\n"
    "\tsha256 text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),\n"
    "\tscopes text NOT NULL,\n"
    "\tname text NOT NULL DEFAULT '',\n"
    "\tcreated_at timestamptz NOT NULL DEFAULT now(),\n"
    "\tseen_at timestamptz\n"
    ");";

/* libpq's words may quote the URL's parts, never its password. */
static PGconn *
connect_database(const struct ctl *ctl)
{
	const char *const keys[] = { "dbname", "connect_timeout",
		"fallback_application_name", "client_encoding", NULL };
	const char *const values[] = { ctl_database_url(ctl), CONNECT_SECONDS,
		"mcpctl", "UTF8", NULL };
	PGconn *pg = PQconnectdbParams(keys, values, 1);

	if (pg != NULL && PQstatus(pg) == CONNECTION_OK)
		return pg;
	fprintf(stderr, "mcpctl: PostgreSQL: %s",
	    pg != NULL ? PQerrorMessage(pg) : "out of memory\n");
	PQfinish(pg);
	return NULL;
}

static void
ignore_notice(void *arg, const char *message)
{
	(void)arg;
	(void)message;
}

/* NULL: it went wrong, which has been said. */
static PGresult *
query(struct ctl *ctl, PGconn **pg, const char *sql, int count,
    const char *const *values)
{
	PGresult *result;
	ExecStatusType status;

	if (*pg == NULL)
		*pg = connect_database(ctl);
	if (*pg == NULL)
		return NULL;
	PQsetNoticeProcessor(*pg, ignore_notice, NULL);
	result = PQexecParams(*pg, sql, count, NULL, values, NULL, NULL, 0);
	status = PQresultStatus(result);
	if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
		return result;
	fprintf(stderr, "mcpctl: PostgreSQL: %s", PQerrorMessage(*pg));
	PQclear(result);
	return NULL;
}

static bool
run(struct ctl *ctl, PGconn **pg, const char *sql, int count,
    const char *const *values, bool *any)
{
	PGresult *result = query(ctl, pg, sql, count, values);

	if (result != NULL && any != NULL)
		*any = strcmp(PQcmdTuples(result), "0") != 0;
	PQclear(result);
	return result != NULL;
}

/* A role that may not create tables will do once the table is there. */
static bool
has_table(struct ctl *ctl, PGconn **pg)
{
	PGresult *result = query(ctl, pg,
	    "SELECT to_regclass('mcp_api_keys') IS NOT NULL", 0, NULL);
	bool has = result != NULL && strcmp(PQgetvalue(result, 0, 0), "t") == 0;

	PQclear(result);
	return has;
}

static bool
add(struct ctl *ctl, const struct ctl_key *key)
{
	const char *const values[] = { key->id, key->sha256, key->scopes,
		key->name };
	PGconn *pg = NULL;
	bool ok;

	ok = (has_table(ctl, &pg) || (pg != NULL &&
	    run(ctl, &pg, ctl_keys_schema, 0, NULL, NULL))) &&
	    run(ctl, &pg, "INSERT INTO mcp_api_keys (id, sha256, scopes, name) "
		"VALUES ($1, $2, $3, $4)", ARRAY_LEN(values), values, NULL);
	PQfinish(pg);
	return ok;
}

static uint64_t
number(const PGresult *result, int row, int column)
{
	return strtoull(PQgetvalue(result, row, column), NULL, 10);
}

static bool
each(struct ctl *ctl, void (*cb)(const struct ctl_key *key))
{
	PGconn *pg = NULL;
	PGresult *result = query(ctl, &pg,
	    "SELECT id, scopes, name, "
	    "(extract(epoch FROM created_at) * 1000)::bigint, "
	    "coalesce((extract(epoch FROM seen_at) * 1000)::bigint, 0) "
	    "FROM mcp_api_keys ORDER BY created_at, id", 0, NULL);

	for (int row = 0; result != NULL && row < PQntuples(result); row++) {
		struct ctl_key key = { .id = PQgetvalue(result, row, 0),
			.sha256 = "",
			.scopes = PQgetvalue(result, row, 1),
			.name = PQgetvalue(result, row, 2),
			.created_ms = number(result, row, 3),
			.seen_ms = number(result, row, 4) };

		cb(&key);
	}
	PQclear(result);
	PQfinish(pg);
	return result != NULL;
}

static bool
remove_key(struct ctl *ctl, const char *id, bool *existed)
{
	PGconn *pg = NULL;
	bool ok = run(ctl, &pg, "DELETE FROM mcp_api_keys WHERE id = $1", 1, &id,
	    existed);

	PQfinish(pg);
	return ok;
}

const struct ctl_key_store ctl_keys_in_postgres = { add, each, remove_key };
