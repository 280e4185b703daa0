#include "worker/postgres/policy.h"

/*
 * STABLE or VOLATILE functions of pg_catalog that depend on nothing but their
 * arguments, the clock, the time zone or chance. Not on it, with reasons to keep
 * them out: current_setting and pg_* (the server's inside), to_reg* and pg_typeof
 * (which names exist; a regtype brings its input with it), *_to_xml and ts_stat
 * (run queries, read tables), has_*_privilege, inet_*, version, txid_*, lo_*, setseed, nextval, set_config.
 */
#define HARMLESS \
	"'{age,array_to_json,array_to_string,clock_timestamp,concat," \
	"concat_ws,convert,convert_from,convert_to,current_database," \
	"current_schema,date,date_part,date_trunc,enum_first,enum_last," \
	"enum_range,extract,format,gen_random_uuid,generate_series," \
	"json_agg,json_build_array,json_build_object,json_object_agg," \
	"json_populate_record,json_populate_recordset,json_to_record," \
	"json_to_recordset,json_to_tsvector,jsonb_agg,jsonb_build_array," \
	"jsonb_build_object,jsonb_object_agg,jsonb_path_exists_tz," \
	"jsonb_path_match_tz,jsonb_path_query_array_tz," \
	"jsonb_path_query_first_tz,jsonb_path_query_tz," \
	"jsonb_populate_record,jsonb_populate_recordset,jsonb_to_record," \
	"jsonb_to_recordset,jsonb_to_tsvector,length,make_timestamptz," \
	"money,now,numeric,overlaps,phraseto_tsquery," \
	"plainto_tsquery,quote_literal,quote_nullable,random,row_to_json," \
	"statement_timestamp,time,timeofday,timestamp,timestamptz,timetz," \
	"timezone,to_char,to_date,to_json,to_jsonb,to_number," \
	"to_timestamp,to_tsquery,to_tsvector,transaction_timestamp," \
	"ts_headline,websearch_to_tsquery}'::text[]"

/*
 * libxml2 evaluates XPath without ever looking whether statement_timeout has
 * passed or the client is gone: one short query would take a processor for hours.
 */
#define ENDLESS "'^(xpath|xmlexists)'"

/* Below this all objects are PostgreSQL's own (FirstNormalObjectId). */
#define BUILT_IN "16384"

/* A name that a rule means; n: its schema's row, name and visible: its own. */
#define LISTED(list, name, visible) \
	"EXISTS (SELECT FROM jsonb_array_elements_text(" list ") AS l(r) " \
	"WHERE r = n.nspname || '.' || " name \
	" OR r = n.nspname || '.*' OR (r = " name " AND " visible "))"

#define LISTED_TABLE \
	LISTED("rules.r->'tables'", "c.relname", "pg_table_is_visible(c.oid)")

/* How a name was written: with a schema, or to be found by the search path. */
#define MEANT \
	"(a.schema = n.nspname OR (a.schema IS NULL " \
	"AND n.nspname = ANY (current_schemas(true))))"

/* Where a tool is for one table only. */
#define THE_ONE "(rules.r->>'only' IS NULL OR c.relname = rules.r->>'only')"

/* clang-format off */
/*
 * The names in the query. Of type name: the server cuts them as it cuts the
 * query's own.
 */
#define RAW \
    "raw AS (SELECT DISTINCT * FROM jsonb_to_recordset($1::jsonb) " \
    "AS t(kind text, schema name, name name)), " \
    "rules AS (SELECT $2::jsonb AS r)"

/*
 * And what they may be: x.f and (x).f call a function or a cast of any type, unless
 * x is known to be a row; then they call one that takes rows ('attribute').
 */
#define ASKED \
    "asked AS (SELECT kind, schema, name FROM raw " \
    "WHERE kind NOT IN ('alias', 'attribute', 'field') " \
    "UNION SELECT k.kind, NULL, raw.name " \
    "FROM raw, (VALUES ('field'), ('type')) AS k(kind) " \
    "WHERE raw.kind = 'field' OR (raw.kind = 'attribute' AND EXISTS " \
    "(SELECT FROM raw f WHERE f.kind = 'alias' " \
    "AND f.name IN (raw.schema, ''))) " \
    "UNION SELECT kind, NULL, name FROM raw WHERE kind = 'attribute')"

/* Types whose text is looked up in the catalogues: names become oids and back. */
#define INSIDE \
    "inside AS (SELECT t.oid FROM pg_type t JOIN pg_namespace n " \
    "ON n.oid = t.typnamespace WHERE n.nspname = 'pg_catalog' " \
    "AND t.typname ~ '^_?(reg|aclitem)' " \
    "AND t.typname !~ '(config|dictionary)$')"

/*
 * Functions and what may be done with them: called by name; or behind an operator
 * or a cast, which PostgreSQL and extensions have harmless STABLE ones of.
 */
#define FN \
    "fn AS NOT MATERIALIZED (SELECT p.oid, n.nspname, p.proname, p.pronargs, " \
    "p.pronargdefaults, p.proargtypes, f.listed OR (((p.oid < " BUILT_IN " " \
    "AND n.nspname = 'pg_catalog' AND (p.provolatile = 'i' " \
    "OR p.proname = ANY (" HARMLESS "))) " \
    "OR (p.provolatile = 'i' AND f.trusted)) " \
    "AND p.proname !~ " ENDLESS " AND NOT EXISTS (SELECT FROM inside i WHERE i.oid = p.prorettype " \
    "OR i.oid = ANY (coalesce(p.proallargtypes, p.proargtypes::oid[])))) " \
    "AS callable, " \
    "(p.oid < " BUILT_IN " AND p.provolatile <> 'v') " \
    "OR (p.provolatile <> 'v' AND f.trusted) OR f.listed AS usable " \
    "FROM rules, pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace, " \
    /* CREATE EXTENSION is the superuser's, or the extension is a trusted one. */ \
    "LATERAL (SELECT NOT p.prosecdef AND EXISTS (SELECT FROM pg_depend d " \
    "WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid " \
    "AND d.deptype = 'e') AS trusted, " \
    LISTED("rules.r->'functions'", "p.proname", \
	"n.nspname = ANY (current_schemas(true))") " AS listed) f)"

/* Tables, views and whatever else stands where a table may. */
#define BAD_TABLES \
    "SELECT 'table', n.nspname || '.' || c.relname " \
    "FROM rules, asked a JOIN pg_class c ON c.relname = a.name " \
    "JOIN pg_namespace n ON n.oid = c.relnamespace " \
    "WHERE a.kind = 'table' AND (a.schema = n.nspname OR " \
    "(a.schema IS NULL AND pg_table_is_visible(c.oid))) " \
    "AND NOT (" LISTED_TABLE " AND " THE_ONE ")"

#define BAD_FUNCTIONS \
    "SELECT 'function', n.nspname || '.' || fn.proname " \
    "FROM asked a JOIN fn ON fn.proname = a.name " \
    "JOIN pg_namespace n ON n.nspname = fn.nspname " \
    "WHERE NOT fn.callable AND " MEANT " AND (a.kind = 'function' " \
    "OR (a.kind IN ('field', 'attribute') AND fn.pronargs > 0 " \
    "AND fn.pronargs - fn.pronargdefaults <= 1 " \
    "AND (a.kind = 'field' OR EXISTS (SELECT FROM pg_type t " \
    "WHERE t.oid = fn.proargtypes[0] AND (t.typtype IN ('c', 'd', 'p') " \
    /* A row may become that by a cast that nobody wrote. */ \
    "OR EXISTS (SELECT FROM pg_cast k JOIN pg_type s ON s.oid = k.castsource " \
    "WHERE k.casttarget = t.oid AND s.typtype = 'c'))))))"

#define BAD_TYPES \
    "SELECT CASE WHEN e.inside THEN 'inside' " \
    "WHEN e.hidden THEN 'row type' ELSE 'calls' END, " \
    "n.nspname || '.' || t.typname " \
    "FROM rules, asked a JOIN pg_type t ON t.typname = a.name " \
    "JOIN pg_namespace n ON n.oid = t.typnamespace, LATERAL (SELECT " \
    /* Itself, of an array's elements, below a domain. */ \
    "EXISTS (SELECT FROM inside i " \
    "WHERE i.oid IN (t.oid, t.typelem, t.typbasetype)) AS inside, " \
    "EXISTS (SELECT FROM pg_type o JOIN pg_class c ON c.oid = o.typrelid " \
    "JOIN pg_namespace n ON n.oid = c.relnamespace " \
    "WHERE o.oid IN (t.oid, t.typelem, t.typbasetype) AND c.relkind <> 'c' " \
    "AND NOT (" LISTED_TABLE " AND " THE_ONE ")) AS hidden, " \
    /* Of two types at least one is not PostgreSQL's: refuse that one. */ \
    "EXISTS (SELECT FROM pg_cast k JOIN fn ON fn.oid = k.castfunc " \
    "WHERE NOT fn.usable AND (k.casttarget = t.oid AND (t.oid >= " BUILT_IN \
    " OR k.castsource < " BUILT_IN ") OR k.castsource = t.oid " \
    "AND t.oid >= " BUILT_IN ")) OR (t.oid >= " BUILT_IN " AND EXISTS " \
    "(SELECT FROM pg_operator o JOIN fn ON fn.oid = o.oprcode " \
    "WHERE NOT fn.usable AND t.oid IN (o.oprleft, o.oprright))) AS calls) e " \
    "WHERE a.kind = 'type' AND " MEANT " AND (e.inside OR e.hidden OR e.calls)"

/*
 * One for a type of somebody's own hides behind PostgreSQL's of the same name,
 * unless the type is named (and then refused) or is a column's: literals become
 * the type of the other operand, or text.
 */
#define BAD_OPERATORS \
    "SELECT 'operator', n.nspname || '.' || o.oprname " \
    "FROM asked a JOIN pg_operator o ON o.oprname = a.name " \
    "JOIN pg_namespace n ON n.oid = o.oprnamespace " \
    "JOIN fn ON fn.oid = o.oprcode " \
    "WHERE a.kind = 'operator' AND NOT fn.usable AND " MEANT \
    " AND NOT (greatest(o.oprleft, o.oprright) >= " BUILT_IN " AND EXISTS " \
    "(SELECT FROM pg_operator b WHERE b.oprname = o.oprname " \
    "AND b.oid < " BUILT_IN " AND b.oprleft = b.oprright AND b.oprleft = " \
    "CASE WHEN o.oprleft > 0 AND o.oprleft < " BUILT_IN " THEN o.oprleft " \
    "WHEN o.oprright > 0 AND o.oprright < " BUILT_IN " THEN o.oprright " \
    "ELSE 'text'::regtype END))"

/*
 * Outside UTF-8, libpg_query and the server may read other names out of the same
 * letters: it does not know which are capitals, nor where a long one is cut.
 */
#define BAD_NAMES \
    "SELECT 'name', raw.name::text FROM raw, pg_database d, " \
    "LATERAL (SELECT octet_length(convert_to(raw.name::text, 'UTF8'))) AS b(n) " \
    "WHERE d.datname = current_database() " \
    "AND pg_encoding_to_char(d.encoding) <> 'UTF8' " \
    "AND b.n <> length(raw.name::text) " \
    "AND (b.n >= 60 OR pg_encoding_max_length(d.encoding) = 1)"

const char policy_check_sql[] =
    "WITH " RAW ", " ASKED ", " INSIDE ", " FN " "
    BAD_TABLES " UNION " BAD_FUNCTIONS " UNION " BAD_TYPES
    " UNION " BAD_OPERATORS " UNION " BAD_NAMES;

/* Relations with rows that the role itself may read, r: the rules. */
#define READABLE                                                            \
	"c.relkind IN ('r', 'v', 'm', 'f', 'p') "                           \
	"AND has_any_column_privilege(c.oid, 'SELECT') AND " LISTED_TABLE

const char policy_tables_sql[] =
    "WITH rules AS (SELECT $1::jsonb AS r) "
    "SELECT n.nspname AS schema, c.relname AS table, "
    "CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' "
    "WHEN 'f' THEN 'foreign table' ELSE 'table' END AS kind, "
    "CASE WHEN c.reltuples >= 0 THEN c.reltuples::bigint END "
    "AS estimated_rows, obj_description(c.oid, 'pg_class') AS description "
    "FROM rules, pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE " READABLE " ORDER BY 1, 2";

const char policy_columns_sql[] =
    "WITH rules AS (SELECT $1::jsonb AS r) "
    "SELECT t.attname AS column, format_type(t.atttypid, t.atttypmod) "
    "AS type, NOT t.attnotnull AS nullable, "
    "pg_get_expr(d.adbin, d.adrelid) AS default, "
    "(SELECT string_agg(CASE k.contype WHEN 'p' THEN 'primary key' "
    "WHEN 'u' THEN 'unique' ELSE 'references ' || "
    "k.confrelid::regclass::text END, ', ' ORDER BY k.contype) "
    "FROM pg_constraint k WHERE k.conrelid = c.oid "
    "AND k.contype IN ('p', 'u', 'f') AND t.attnum = ANY (k.conkey)) "
    "AS key, col_description(c.oid, t.attnum) AS description "
    "FROM rules, pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "JOIN pg_attribute t ON t.attrelid = c.oid AND t.attnum > 0 "
    "AND NOT t.attisdropped AND has_column_privilege(c.oid, t.attnum, "
    "'SELECT') LEFT JOIN pg_attrdef d ON d.adrelid = c.oid "
    "AND d.adnum = t.attnum "
    "WHERE ($2 = n.nspname || '.' || c.relname OR ($2 = c.relname "
    "AND pg_table_is_visible(c.oid))) AND " READABLE " ORDER BY t.attnum";
/* clang-format on */

/* A JSON array of what stands between commas. */
static void
add_list(struct strbuf *json, const char *list)
{
	bool first = true;

	strbuf_add_char(json, '[');
	while (list != NULL && *list != '\0') {
		const char *name = list + strspn(list, " \t");
		size_t n = strcspn(name, ", \t");

		if (n > 0) {
			if (!first)
				strbuf_add_char(json, ',');
			strbuf_add_json(json, slice_of(name, n));
			first = false;
		}
		list = name + n;
		list += strspn(list, ", \t");
	}
	strbuf_add_char(json, ']');
}

void
policy_rules(struct strbuf *json, const char *tables, const char *functions,
    const char *only)
{
	strbuf_add_str(json, "{\"tables\":");
	add_list(json, tables);
	strbuf_add_str(json, ",\"functions\":");
	add_list(json, functions);
	if (only != NULL) {
		strbuf_add_str(json, ",\"only\":");
		strbuf_add_json(json, slice_str(only));
	}
	strbuf_add_char(json, '}');
}

void
policy_problem(struct strbuf *to, const char *kind, const char *name)
{
	static const struct {
		const char *kind, *is, *advice;
	} problems[] = {
		{ "table", "table",
		    "is not among the tables that may be "
		    "read: list_tables names those" },
		{ "function", "function",
		    "may not be called: only functions "
		    "that compute from their arguments "
		    "may" },
		{ "inside", "type",
		    "may not be used: it reads the system "
		    "catalogues" },
		{ "row type", "type",
		    "may not be used: it is the row of a "
		    "table that may not be read" },
		{ "calls", "type",
		    "may not be used: a cast or an operator of "
		    "it calls a function that may not be "
		    "called" },
		{ "operator", "operator",
		    "may not be used: its function may "
		    "not be called" },
		{ "name", "name",
		    "cannot be checked in this database, which "
		    "is not in UTF-8" },
	};

	for (size_t i = 0; i < ARRAY_LEN(problems); i++) {
		if (strcmp(problems[i].kind, kind) == 0)
			strbuf_addf(to, "%s %s %s", problems[i].is, name,
			    problems[i].advice);
	}
}
