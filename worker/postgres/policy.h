/*
 * What queries may use: the tables that the operator listed, and functions that
 * only compute. The database resolves the names; nothing is guessed from text.
 *
 * A function is allowed if all functions that its name may mean are: IMMUTABLE
 * ones of PostgreSQL's own or of an extension (citext adds a max, say), those of a
 * list of STABLE and VOLATILE ones that show nothing but their arguments or the
 * time, and what the operator listed; none that takes or gives a type whose text
 * is a catalogue's (regclass, say), or that no timeout ends (xpath). Operators and casts are judged by their
 * functions. So what reads files, settings, catalogues or other tables, writes,
 * waits, locks or calls out is refused.
 */
#ifndef MCP_POSTGRES_POLICY_H
#define MCP_POSTGRES_POLICY_H

#include "common/compiler.h"
#include "common/strbuf.h"

/*
 * A query for what is wrong with the names in $1 (statement.h's JSON) under the
 * rules in $2: rows of kind and name; none: all are allowed.
 */
extern const char policy_check_sql[];
/* Rows about the tables that rules in $1 allow. */
extern const char policy_tables_sql[];
/* Rows about the columns of the table $2 ([schema.]name), if $1 allows it. */
extern const char policy_columns_sql[];

/*
 * Appends rules as JSON: {"tables":[…],"functions":[…],"only":…}. The lists are names
 * separated by commas, "schema.name", "name" (found by the search path) or
 * "schema.*"; NULL: none. only: of these tables the ones of that name, NULL: all.
 */
void policy_rules(struct strbuf *json, const char *tables,
    const char *functions, const char *only);
/* Appends what the check's row means, and what to do. */
void policy_problem(struct strbuf *to, const char *kind, const char *name);

#endif
