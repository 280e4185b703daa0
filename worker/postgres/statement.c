#include "worker/postgres/statement.h"

#include <ctype.h>
#include <stdlib.h>

#include <cjson/cJSON.h>
#include <pg_query.h>

#include "common/utf8.h"

/* Room for the names of the longest statement: each byte may be one. */
#define NAMES_MAX (64 * STATEMENT_MAX)

/* Of the parser's own words. */
#define MESSAGE_MAX 300

struct reading {
	struct strbuf *names;
	struct strbuf *problem;
};

/* Looks at one node (or field); false: *problem is set. */
typedef bool (*look_fn)(struct reading *r, const cJSON *value);

static const cJSON *
get(const cJSON *object, const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(object, name);
}

/* Names ------------------------------------------------------------------ */

static void
add_name(
    struct reading *r, const char *kind, const char *schema, const char *name)
{
	struct strbuf *sb = r->names;

	strbuf_addf(
	    sb, "%s{\"kind\":\"%s\",\"schema\":", sb->n > 1 ? "," : "", kind);
	if (schema != NULL)
		strbuf_add_json(sb, slice_str(schema));
	else
		strbuf_add_str(sb, "null");
	strbuf_add_str(sb, ",\"name\":");
	strbuf_add_json(sb, slice_str(name));
	strbuf_add_char(sb, '}');
}

/* The text of a {"String":{"sval":…}}, or NULL. */
static const char *
string_of(const cJSON *node)
{
	const cJSON *string = get(node, "String");

	if (string == NULL)
		return NULL;
	node = get(string, "sval");
	return node != NULL ? cJSON_GetStringValue(node) : "";
}

/* The last two of a list of Strings: [database.][schema.]name. */
static void
add_qualified(struct reading *r, const char *kind, const cJSON *list)
{
	const char *schema = NULL, *name = NULL;
	const cJSON *one;

	cJSON_ArrayForEach(one, list)
	{
		const char *s = string_of(one);

		if (s == NULL)
			continue;
		schema = name;
		name = s;
	}
	if (name != NULL)
		add_name(r, kind, schema, name);
}

static bool
look_at_relation(struct reading *r, const cJSON *value)
{
	const char *name = cJSON_GetStringValue(get(value, "relname"));

	if (name != NULL)
		add_name(r, "table",
		    cJSON_GetStringValue(get(value, "schemaname")), name);
	return true;
}

/* f(x) may also be a cast to a type f. */
static bool
look_at_call(struct reading *r, const cJSON *value)
{
	add_qualified(r, "function", get(value, "funcname"));
	add_qualified(r, "type", get(value, "funcname"));
	return true;
}

static bool
look_at_type(struct reading *r, const cJSON *value)
{
	add_qualified(r, "type", get(value, "names"));
	return true;
}

static bool
look_at_expression(struct reading *r, const cJSON *value)
{
	add_qualified(r, "operator", get(value, "name"));
	return true;
}

static bool
look_at_sublink(struct reading *r, const cJSON *value)
{
	const char *type = cJSON_GetStringValue(get(value, "subLinkType"));

	add_qualified(r, "operator", get(value, "operName"));
	/* x IN (SELECT …) */
	if (type != NULL && strcmp(type, "ANY_SUBLINK") == 0)
		add_name(r, "operator", NULL, "=");
	return true;
}

static bool
look_at_sort(struct reading *r, const cJSON *value)
{
	add_qualified(r, "operator", get(value, "useOp"));
	return true;
}

/* x.f is a column, or f(x) where x stands for a row, or a function's value. */
static bool
look_at_column(struct reading *r, const cJSON *value)
{
	const cJSON *fields = get(value, "fields");
	int n = cJSON_GetArraySize(fields);
	const char *last = string_of(cJSON_GetArrayItem(fields, n - 1));

	if (n > 1 && last != NULL)
		add_name(r, "attribute",
		    string_of(cJSON_GetArrayItem(fields, n - 2)), last);
	return true;
}

/* (x).f is a field, or f(x), whatever x is. */
static bool
look_at_indirection(struct reading *r, const cJSON *value)
{
	const cJSON *one;

	cJSON_ArrayForEach(one, get(value, "indirection"))
	{
		const char *name = string_of(one);

		if (name != NULL)
			add_name(r, "field", NULL, name);
	}
	return true;
}

static bool
is_ascii(const char *s)
{
	for (; *s != '\0'; s++) {
		if ((unsigned char)*s >= 0x80)
			return false;
	}
	return true;
}

/*
 * What a function in FROM is called by: "" without an alias, since its name may
 * then come from anywhere, and for what servers may fold in their own ways.
 */
static bool
look_at_range_function(struct reading *r, const cJSON *value)
{
	const char *name =
	    cJSON_GetStringValue(get(get(value, "alias"), "aliasname"));

	if (name == NULL || !is_ascii(name))
		name = "";
	add_name(r, "alias", NULL, name);
	return true;
}

/* These compare by a "=" that is not written. */
static bool
look_at_case(struct reading *r, const cJSON *value)
{
	if (get(value, "arg") != NULL)
		add_name(r, "operator", NULL, "=");
	return true;
}

static bool
look_at_join(struct reading *r, const cJSON *value)
{
	if (get(value, "usingClause") != NULL ||
	    get(value, "isNatural") != NULL)
		add_name(r, "operator", NULL, "=");
	return true;
}

/* "VariableSetStmt" as "SET", "InsertStmt" as "INSERT". */
static void
add_command(struct strbuf *sb, const char *node)
{
	static const struct {
		const char *node, *command;
	} odd[] = {
		{ "AlterTableStmt", "ALTER" },
		{ "CreateStmt", "CREATE" },
		{ "CreateTableAsStmt", "CREATE TABLE AS" },
		{ "DeclareCursorStmt", "DECLARE" },
		{ "TransactionStmt", "transaction control" },
		{ "VariableSetStmt", "SET" },
		{ "VariableShowStmt", "SHOW" },
	};

	for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
		if (strcmp(odd[i].node, node) == 0) {
			strbuf_add_str(sb, odd[i].command);
			return;
		}
	}
	for (; *node != '\0' && strcmp(node, "Stmt") != 0; node++)
		strbuf_add_char(sb, (char)toupper((unsigned char)*node));
}

/* What is refused -------------------------------------------------------- */

static bool
refuse_into(struct reading *r, const cJSON *value UNUSED)
{
	strbuf_add_str(r->problem, "SELECT INTO writes a table: only reading "
				   "is allowed");
	return false;
}

static bool
refuse_locking(struct reading *r, const cJSON *value UNUSED)
{
	strbuf_add_str(r->problem, "FOR UPDATE and FOR SHARE lock rows: only "
				   "reading is allowed");
	return false;
}

static bool
refuse_parameter(struct reading *r, const cJSON *value UNUSED)
{
	strbuf_add_str(r->problem, "parameters such as $1 have no value here: "
				   "write the value itself");
	return false;
}

/*
 * The nodes that a query may be made of (keys with a capital), and fields that
 * need a look. What is not here and has a capital is refused.
 */
static const struct {
	const char *key;
	look_fn look;
} known[] = {
	{ "A_ArrayExpr", NULL },
	{ "A_Const", NULL },
	{ "A_Expr", look_at_expression },
	{ "A_Indices", NULL },
	{ "A_Indirection", look_at_indirection },
	{ "A_Star", NULL },
	{ "Alias", NULL },
	{ "BitString", NULL },
	{ "BoolExpr", NULL },
	{ "Boolean", NULL },
	{ "BooleanTest", NULL },
	{ "CaseExpr", look_at_case },
	{ "CaseWhen", NULL },
	{ "CoalesceExpr", NULL },
	{ "CollateClause", NULL },
	{ "ColumnDef", NULL },
	{ "ColumnRef", look_at_column },
	{ "CommonTableExpr", NULL },
	{ "Float", NULL },
	{ "FuncCall", look_at_call },
	{ "GroupingFunc", NULL },
	{ "GroupingSet", NULL },
	{ "Integer", NULL },
	{ "JoinExpr", look_at_join },
	{ "List", NULL },
	{ "MinMaxExpr", NULL },
	{ "NamedArgExpr", NULL },
	{ "NullTest", NULL },
	{ "ParamRef", refuse_parameter },
	{ "RangeFunction", look_at_range_function },
	{ "RangeSubselect", NULL },
	{ "RangeVar", look_at_relation },
	{ "ResTarget", NULL },
	{ "RowExpr", NULL },
	{ "SQLValueFunction", NULL },
	{ "SelectStmt", NULL },
	{ "SortBy", look_at_sort },
	{ "String", NULL },
	{ "SubLink", look_at_sublink },
	{ "TypeCast", NULL },
	{ "TypeName", look_at_type },
	{ "WindowDef", NULL },
	{ "intoClause", refuse_into },
	{ "lockingClause", refuse_locking },
	{ "typeName", look_at_type },
};

static int
compare_key(const void *key, const void *row)
{
	return strcmp(key, *(const char *const *)row);
}

static bool
look(struct reading *r, const cJSON *value)
{
	const char *key = value->string;
	size_t i;
	const char *const *row;

	if (key == NULL)
		return true;
	row = bsearch(
	    key, known, ARRAY_LEN(known), sizeof(known[0]), compare_key);
	if (row != NULL) {
		i = (size_t)((const char *)row - (const char *)known) /
		    sizeof(known[0]);
		return known[i].look == NULL || known[i].look(r, value);
	}
	if (!isupper((unsigned char)key[0]))
		return true;
	if (strstr(key, "Stmt") != NULL)
		add_command(r->problem, key);
	else
		strbuf_add_str(r->problem, key);
	strbuf_add_str(r->problem, " is not allowed in a query: only plain "
				   "SELECT is");
	return false;
}

/* Depth first; cJSON has bounded the depth when it parsed. */
static bool
walk(struct reading *r, const cJSON *value)
{
	const cJSON *child;

	if (!look(r, value))
		return false;
	cJSON_ArrayForEach(child, value)
	{
		if (!walk(r, child))
			return false;
	}
	return true;
}

/* Statements ------------------------------------------------------------- */

static bool
read_tree(struct reading *r, const cJSON *statements)
{
	const cJSON *node = get(cJSON_GetArrayItem(statements, 0), "stmt");
	int n = cJSON_GetArraySize(statements);

	node = node != NULL ? node->child : NULL;
	if (n == 0 || node == NULL || node->string == NULL) {
		strbuf_add_str(r->problem, "the query is empty: write one "
					   "SELECT");
	} else if (n > 1) {
		strbuf_addf(r->problem,
		    "%d statements: only one SELECT at a "
		    "time is allowed",
		    n);
	} else if (strcmp(node->string, "SelectStmt") != 0) {
		add_command(r->problem, node->string);
		strbuf_add_str(r->problem,
		    " is not allowed: only SELECT is "
		    "(also WITH … SELECT, VALUES, TABLE)");
	} else {
		return walk(r, node);
	}
	return false;
}

/* Where a statement is in sql: libpg_query leaves out what is 0. */
static struct slice
text_of(const char *sql, const cJSON *statement)
{
	const cJSON *at = get(statement, "stmt_location");
	const cJSON *length = get(statement, "stmt_len");
	size_t n = strlen(sql), from = at ? (size_t)at->valuedouble : 0;

	if (from > n)
		from = n;
	n -= from;
	if (length != NULL && (size_t)length->valuedouble < n)
		n = (size_t)length->valuedouble;
	return slice_of(sql + from, n);
}

static void
report_syntax(const PgQueryError *error, struct strbuf *problem)
{
	/* It quotes what it stumbled over, however long that is. */
	strbuf_add_slice(
	    problem, utf8_cut(slice_str(error->message), MESSAGE_MAX));
	if (error->cursorpos > 0)
		strbuf_addf(problem, " (at character %d)", error->cursorpos);
}

static bool
read_parsed(
    const char *sql, const char *json, struct strbuf *text, struct reading *r)
{
	cJSON *root = cJSON_Parse(json);
	const cJSON *statements = get(root, "stmts");
	bool ok = false;

	if (root == NULL)
		strbuf_add_str(r->problem, "the query is nested too deeply");
	else
		ok = read_tree(r, statements);
	if (ok)
		strbuf_add_slice(
		    text, text_of(sql, cJSON_GetArrayItem(statements, 0)));
	cJSON_Delete(root);
	return ok;
}

bool
statement_read(const char *sql, struct strbuf *text, struct strbuf *names,
    struct strbuf *problem)
{
	struct reading r = { .names = names, .problem = problem };
	PgQueryParseResult parsed;
	bool ok = false;

	if (strlen(sql) > STATEMENT_MAX) {
		strbuf_addf(problem, "the query is longer than %zu bytes",
		    STATEMENT_MAX);
		return false;
	}
	names->max = NAMES_MAX;
	strbuf_add_char(names, '[');
	parsed = pg_query_parse(sql);
	if (parsed.error != NULL)
		report_syntax(parsed.error, problem);
	else
		ok = read_parsed(sql, parsed.parse_tree, text, &r);
	pg_query_free_parse_result(parsed);
	strbuf_add_char(names, ']');
	if (ok && (!strbuf_ok(text) || !strbuf_ok(names))) {
		strbuf_add_str(problem, "the query is too large");
		ok = false;
	}
	return ok;
}
