/*
 * One call's work in the database: a query of a model's, or one of our own, in
 * one transaction, and its answer.
 *
 * A model's query goes through four statements: the check of its names
 * (policy.h), PREPARE, a description of its columns, and the query itself,
 * wrapped so that the server cuts long values and stops after the row cap. So
 * this process never holds more than a row that it did not ask for.
 */
#ifndef MCP_POSTGRES_JOB_H
#define MCP_POSTGRES_JOB_H

#include "common/db.h"
#include "worker/runtime/tool.h"

struct job_limits {
	unsigned max_rows;
	size_t max_bytes;
	unsigned statement_timeout_s;
};

/* Runs a model's query under rules (policy.h's JSON) and answers the call. */
void job_query(struct db *db, struct call *call,
    const struct job_limits *limits, const char *rules, const char *sql);
/*
 * Runs a query of our own with text parameters ($1 is the rules, $2 the
 * argument, which may be NULL). No rows are the error none, unless it is NULL.
 */
void job_catalog(struct db *db, struct call *call,
    const struct job_limits *limits, const char *sql, const char *rules,
    const char *argument, const char *none);

#endif
