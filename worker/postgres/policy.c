#include "worker/postgres/policy.h"

/*
 * STABLE or VOLATILE functions of pg_catalog that depend on nothing but their
 * arguments, the clock, the time zone or chance. Not on it, with reasons to keep
 * them out: current_setting and pg_* (the server's inside), to_reg* (which names
 * exist), *_to_xml and ts_stat (run queries, read tables), has_*_privilege,
 * inet_*, version, txid_*, lo_*, setseed, nextval, set_config.
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
	"money,now,numeric,overlaps,pg_typeof,phraseto_tsquery," \
	"plainto_tsquery,quote_literal,quote_nullable,random,row_to_json," \
	"statement_timestamp,time,timeofday,timestamp,timestamptz,timetz," \
	"timezone,to_char,to_date,to_json,to_jsonb,to_number," \
	"to_timestamp,to_tsquery,to_tsvector,transaction_timestamp," \
	"ts_headline,websearch_to_tsquery}'::text[]"

/* Below this all objects are PostgreSQL's own (FirstNormalObjectId). */
#define BUILT_IN "16384"

/* A name that a rule means; n: its schema's row, name and visible: its own. */
#define LISTED(list, name, visible) \
	"EXISTS (SELECT FROM jsonb_array_elements_text(" list ") AS l(r) " \
	"WHERE r = n.nspname || '.' || " name \
	" OR r = n.nspname || '.*' OR (r = " name " AND " visible "))"

/* Made by CREATE EXTENSION, which is the superuser's or a trusted one's. */
#define OF_EXTENSION                                                        \
	"EXISTS (SELECT FROM pg_depend d "                                  \
	"WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid "        \
	"AND d.deptype = 'e')"

/* Where a tool is for one table only. */
#define THE_ONE "(rules.r->>'only' IS NULL OR c.relname = rules.r->>'only')"

/* How a name was written: with a schema, or to be found by the search path. */
#define MEANT \
	"(a.schema = n.nspname OR (a.schema IS NULL " \
	"AND n.nspname = ANY (current_schemas(true))))"

/* clang-format off */
const char policy_check_sql[] =
    "WITH asked AS (SELECT DISTINCT * FROM jsonb_to_recordset($1::jsonb) "
    "AS t(kind text, schema text, name text)), "
    "rules AS (SELECT $2::jsonb AS r), "
    "fn AS (SELECT a.kind, n.nspname, p.proname, p.pronargs, p.proargtypes, "
    "(p.oid < " BUILT_IN " AND n.nspname = 'pg_catalog' "
    "AND (p.provolatile = 'i' OR p.proname = ANY (" HARMLESS "))) "
    "OR (p.provolatile = 'i' AND NOT p.prosecdef AND " OF_EXTENSION ") OR "
    LISTED("rules.r->'functions'", "p.proname",
	"n.nspname = ANY (current_schemas(true))") " AS ok "
    "FROM rules, asked a JOIN pg_proc p ON p.proname = a.name "
    "JOIN pg_namespace n ON n.oid = p.pronamespace "
    "WHERE a.kind IN ('function', 'attribute') AND " MEANT ") "
    /* Tables, views and whatever else stands where a table may. */
    "SELECT 'table', n.nspname || '.' || c.relname "
    "FROM rules, asked a JOIN pg_class c ON c.relname = a.name "
    "JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE a.kind = 'table' AND (a.schema = n.nspname OR "
    "(a.schema IS NULL AND pg_table_is_visible(c.oid))) AND NOT ("
    LISTED("rules.r->'tables'", "c.relname", "pg_table_is_visible(c.oid)")
    " AND " THE_ONE ") "
    "UNION SELECT 'function', nspname || '.' || proname FROM fn "
    "WHERE kind = 'function' AND NOT ok "
    /* x.f calls f(x) only if x is a row. */
    "UNION SELECT 'function', nspname || '.' || proname FROM fn "
    "WHERE kind = 'attribute' AND NOT ok AND pronargs > 0 "
    "AND (SELECT t.typtype IN ('c', 'p') FROM pg_type t "
    "WHERE t.oid = fn.proargtypes[0]) "
    /* These turn names into oids and back: they read the catalogues. */
    "UNION SELECT 'type', n.nspname || '.' || t.typname "
    "FROM asked a JOIN pg_type t ON t.typname = a.name "
    "JOIN pg_namespace n ON n.oid = t.typnamespace "
    "WHERE a.kind = 'type' AND " MEANT " AND (n.nspname = 'pg_catalog' "
    "AND t.typname ~ '^_?reg' AND t.typname !~ '(config|dictionary)$' "
    "OR EXISTS (SELECT FROM pg_cast k JOIN pg_proc p ON p.oid = k.castfunc "
    "WHERE k.casttarget = t.oid AND p.provolatile = 'v')) "
    "UNION SELECT 'operator', n.nspname || '.' || o.oprname "
    "FROM asked a JOIN pg_operator o ON o.oprname = a.name "
    "JOIN pg_namespace n ON n.oid = o.oprnamespace "
    "JOIN pg_proc p ON p.oid = o.oprcode "
    "WHERE a.kind = 'operator' AND " MEANT " AND p.provolatile = 'v'";

/* Relations with rows that the role itself may read, r: the rules. */
#define READABLE                                                            \
	"c.relkind IN ('r', 'v', 'm', 'f', 'p') "                           \
	"AND has_any_column_privilege(c.oid, 'SELECT') AND "                \
	LISTED("rules.r->'tables'", "c.relname",                            \
	    "pg_table_is_visible(c.oid)")

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
		const char *kind, *advice;
	} advices[] = {
		{ "table", "is not among the tables that may be read: "
			   "list_tables names those" },
		{ "function", "may not be called: only functions that compute "
			      "from their arguments may" },
		{ "type", "may not be used: it reads the system catalogues" },
		{ "operator", "may not be used: it may have side effects" },
	};

	for (size_t i = 0; i < ARRAY_LEN(advices); i++) {
		if (strcmp(advices[i].kind, kind) == 0)
			strbuf_addf(
			    to, "%s %s %s", kind, name, advices[i].advice);
	}
}
