#include "worker/postgres/table.h"

/* Marks a value that was cut. */
#define CUT_MARK " …[cut]"
/* Digits that every double keeps: longer numbers stay text in JSON. */
#define EXACT_DIGITS 15

/* pg_type's oids, which never change. */
enum {
	TYPE_BOOL = 16,
	TYPE_INT8 = 20,
	TYPE_INT2 = 21,
	TYPE_INT4 = 23,
	TYPE_FLOAT4 = 700,
	TYPE_FLOAT8 = 701,
	TYPE_NUMERIC = 1700
};

void
table_init(struct table *t, unsigned max_rows, size_t max_bytes)
{
	*t = (struct table){ .max_rows = max_rows, .max_bytes = max_bytes };
	/* What is written is counted; these only stop what was not meant. */
	strbuf_init(&t->text, 2 * max_bytes);
	strbuf_init(&t->rows, 2 * max_bytes);
	strbuf_init(&t->columns, max_bytes);
	strbuf_init(&t->text_row, max_bytes);
	strbuf_init(&t->json_row, max_bytes);
}

void
table_release(struct table *t)
{
	strbuf_release(&t->text);
	strbuf_release(&t->rows);
	strbuf_release(&t->columns);
	strbuf_release(&t->text_row);
	strbuf_release(&t->json_row);
}

/* One line a row: what would break it is written as in C. */
static void
add_text_value(struct strbuf *sb, struct slice value)
{
	for (size_t i = 0; i < value.n; i++) {
		char c = value.p[i];

		if (c == '\n')
			strbuf_add_str(sb, "\\n");
		else if (c == '\t')
			strbuf_add_str(sb, "\\t");
		else if ((unsigned char)c >= ' ' && c != 0x7f)
			strbuf_add_char(sb, c);
	}
}

void
table_columns(struct table *t, const PGresult *result)
{
	for (int i = 0; i < PQnfields(result); i++) {
		struct slice name = slice_str(PQfname(result, i));

		strbuf_add_str(&t->text, i > 0 ? " | " : "");
		add_text_value(&t->text, name);
		strbuf_add_str(&t->columns, i > 0 ? "," : "");
		strbuf_add_json(&t->columns, name);
	}
	strbuf_add_char(&t->text, '\n');
}

/* Values ----------------------------------------------------------------- */

/* RFC 8259's number, of so few digits that no reader rounds it. */
static bool
is_plain_number(struct slice s)
{
	size_t i = 0, digits = 0, before;

	if (i < s.n && s.p[i] == '-')
		i++;
	before = i;
	for (; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++)
		digits++;
	if (digits == 0 || (s.p[before] == '0' && digits > 1))
		return false;
	if (i < s.n && s.p[i] == '.') {
		size_t point = ++i;

		for (; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++)
			digits++;
		if (i == point)
			return false;
	}
	return i == s.n && digits <= EXACT_DIGITS;
}

static void
add_json_value(struct strbuf *sb, struct slice value, Oid type, bool whole)
{
	switch (type) {
	case TYPE_BOOL:
		strbuf_add_str(
		    sb, value.n > 0 && value.p[0] == 't' ? "true" : "false");
		return;
	case TYPE_INT2:
	case TYPE_INT4:
	case TYPE_INT8:
	case TYPE_FLOAT4:
	case TYPE_FLOAT8:
	case TYPE_NUMERIC:
		if (whole && is_plain_number(value)) {
			strbuf_add_slice(sb, value);
			return;
		}
		break;
	default:
		break;
	}
	strbuf_add_json(sb, value);
}

/* The first chars characters of UTF-8; all of it if there are no more. */
static struct slice
first_chars(struct slice s, size_t chars)
{
	for (size_t i = 0; i < s.n; i++) {
		if (((unsigned char)s.p[i] & 0xc0) == 0x80)
			continue;
		if (chars-- == 0)
			return slice_of(s.p, i);
	}
	return s;
}

static void
add_value(
    struct table *t, const PGresult *result, int row, int column, Oid type)
{
	struct slice all = slice_of(PQgetvalue(result, row, column),
	    (size_t)PQgetlength(result, row, column));
	struct slice value = all;

	if (PQgetisnull(result, row, column)) {
		strbuf_add_str(&t->text_row, "NULL");
		strbuf_add_str(&t->json_row, "null");
		return;
	}
	if (t->cell_chars > 0)
		value = first_chars(all, t->cell_chars);
	add_text_value(&t->text_row, value);
	if (value.n == all.n) {
		add_json_value(&t->json_row, value, type, true);
		return;
	}
	t->cut_cells = true;
	strbuf_add_str(&t->text_row, CUT_MARK);
	add_json_value(&t->json_row, value, type, false);
	/* Within the string's closing quote. */
	if (t->json_row.n > 0 && strbuf_ok(&t->json_row)) {
		t->json_row.n--;
		strbuf_add_str(&t->json_row, CUT_MARK "\"");
	}
}

/* Rows ------------------------------------------------------------------- */

static void
write_row(
    struct table *t, const PGresult *result, int row, const PGresult *types)
{
	strbuf_reset(&t->text_row);
	strbuf_reset(&t->json_row);
	strbuf_add_str(&t->json_row, t->n_rows > 0 ? ",[" : "[");
	for (int i = 0; i < PQnfields(result); i++) {
		strbuf_add_str(&t->text_row, i > 0 ? " | " : "");
		strbuf_add_str(&t->json_row, i > 0 ? "," : "");
		add_value(t, result, row, i,
		    PQftype(types != NULL ? types : result, i));
	}
	strbuf_add_char(&t->text_row, '\n');
	strbuf_add_char(&t->json_row, ']');
}

static size_t
row_bytes(const PGresult *result, int row)
{
	size_t n = 0;

	for (int i = 0; i < PQnfields(result); i++)
		n += (size_t)PQgetlength(result, row, i);
	return n;
}

void
table_row(
    struct table *t, const PGresult *result, int row, const PGresult *types)
{
	if (t->cut_bytes || t->n_rows >= t->max_rows) {
		t->cut_rows = t->cut_rows || !t->cut_bytes;
		t->skipped_bytes += row_bytes(result, row);
		return;
	}
	write_row(t, result, row, types);
	if (!strbuf_ok(&t->text_row) || !strbuf_ok(&t->json_row) ||
	    t->text.n + t->rows.n + t->text_row.n + t->json_row.n >
		t->max_bytes) {
		t->cut_bytes = true;
		return;
	}
	strbuf_add_slice(&t->text, strbuf_slice(&t->text_row));
	strbuf_add_slice(&t->rows, strbuf_slice(&t->json_row));
	t->n_rows++;
}

void
table_end(struct table *t, struct strbuf *json)
{
	bool truncated = t->cut_rows || t->cut_bytes || t->cut_cells;

	strbuf_addf(
	    &t->text, "(%u row%s)", t->n_rows, t->n_rows == 1 ? "" : "s");
	if (t->cut_rows)
		strbuf_addf(&t->text,
		    "\n[TRUNCATED: these are the first %u "
		    "rows, there are more (POSTGRES_MAX_ROWS). Narrow the "
		    "query or aggregate.]",
		    t->n_rows);
	if (t->cut_bytes)
		strbuf_addf(&t->text,
		    "\n[TRUNCATED: the rows after these would "
		    "pass %zu bytes (POSTGRES_MAX_BYTES). Select fewer "
		    "columns or rows.]",
		    t->max_bytes);
	if (t->cut_cells)
		strbuf_addf(&t->text,
		    "\n[TRUNCATED: values longer than %zu "
		    "characters were cut, see \"" CUT_MARK "\".]",
		    t->cell_chars);
	strbuf_add_str(json, "{\"columns\":[");
	strbuf_add_slice(json, strbuf_slice(&t->columns));
	strbuf_add_str(json, "],\"rows\":[");
	strbuf_add_slice(json, strbuf_slice(&t->rows));
	strbuf_addf(json, "],\"row_count\":%u,\"truncated\":%s}", t->n_rows,
	    truncated ? "true" : "false");
}
