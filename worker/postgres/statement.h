/*
 * A query as PostgreSQL's own grammar reads it (libpg_query), and the names of
 * all that it would use.
 *
 * Only one SELECT (or VALUES, TABLE, WITH … SELECT) is taken, made of kinds of
 * nodes that are known to read only: a kind that is not listed is refused. What
 * the names stand for is the database's to say; see policy.h.
 */
#ifndef MCP_POSTGRES_STATEMENT_H
#define MCP_POSTGRES_STATEMENT_H

#include "common/compiler.h"
#include "common/strbuf.h"

/*
 * Longer ones are for programs, not for models. The parser recurses: at two
 * bytes a level this much needs less than 8 MiB of stack.
 */
#define STATEMENT_MAX ((size_t)32 << 10)

/*
 * Reads a query. True: *text is the statement alone, without a semicolon, and
 * *names a JSON array of {"kind","schema","name"}, schema null when none was
 * written; kinds are table, function, type, operator, and what may call a function
 * without looking like it: attribute, x.name with x as its schema, and field,
 * (…).name. alias is a name that stands for a function's value in FROM, "" for any
 * name. False: *problem says what is wrong and what is allowed.
 */
bool statement_read(const char *sql, struct strbuf *text, struct strbuf *names,
    struct strbuf *problem) MUST_CHECK;

#endif
