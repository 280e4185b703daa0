/*
 * A result on its way to a model: the same rows as a text table and as JSON,
 * within caps, with a mark where something was left out.
 */
#ifndef MCP_POSTGRES_TABLE_H
#define MCP_POSTGRES_TABLE_H

#include <postgresql/libpq-fe.h>

#include "common/compiler.h"
#include "common/strbuf.h"

struct table {
	struct strbuf text;    /* columns, then a line for each row */
	struct strbuf rows;    /* [..],[..] */
	struct strbuf columns; /* "a","b" */
	struct strbuf text_row, json_row;
	unsigned max_rows;
	size_t max_bytes;  /* of text and rows together */
	size_t cell_chars; /* longer values are cut; 0: never */
	unsigned n_rows;
	size_t skipped_bytes; /* of rows that came after the cap */
	bool cut_rows, cut_bytes, cut_cells;
};

void table_init(struct table *t, unsigned max_rows, size_t max_bytes);
void table_release(struct table *t);

/* The columns, from a result or a description; names as they come. */
void table_columns(struct table *t, const PGresult *result);
/*
 * Adds a row whose values are text; types decides how values become JSON: the
 * description of the query, or NULL for result itself.
 */
void table_row(
    struct table *t, const PGresult *result, int row, const PGresult *types);
/*
 * Ends the text with how many rows there are and what was left out, and writes
 * {"columns","rows","row_count","truncated"} to *json.
 */
void table_end(struct table *t, struct strbuf *json);

#endif
