"""What a hostile model may try on the postgres API, as the superuser and as a plain role."""

import json
import time

import pytest
from employees import DATABASE, SECRET, ask, failure, rows, running

from harness import PATIENCE, Postgres, Redis

# What owners of a database have lying around, and should not have to think of.
TRAPS = """
CREATE FUNCTION matches(text, text) RETURNS text STABLE SECURITY DEFINER
  LANGUAGE sql AS 'SELECT secret FROM secrets';
CREATE OPERATOR #?# (LEFTARG = text, RIGHTARG = text, FUNCTION = matches);
CREATE TYPE box3 AS (side int);
CREATE FUNCTION box3(text) RETURNS box3 STABLE SECURITY DEFINER
  LANGUAGE sql AS 'SELECT row(1)::box3 FROM secrets';
CREATE CAST (text AS box3) WITH FUNCTION box3(text);
CREATE FUNCTION describe(box3) RETURNS text STABLE SECURITY DEFINER
  LANGUAGE sql AS 'SELECT secret FROM secrets';
CREATE CAST (box3 AS text) WITH FUNCTION describe(box3);
CREATE FUNCTION same(box3, int) RETURNS boolean SECURITY DEFINER
  LANGUAGE sql AS 'SELECT true FROM secrets';
CREATE OPERATOR = (LEFTARG = box3, RIGHTARG = int, FUNCTION = same);
CREATE FUNCTION same(box3, json) RETURNS boolean SECURITY DEFINER
  LANGUAGE sql AS 'SELECT true FROM secrets';
CREATE OPERATOR ==> (LEFTARG = box3, RIGHTARG = json, FUNCTION = same);
CREATE DOMAIN employee AS employees;
CREATE FUNCTION promote(employee) RETURNS text SECURITY DEFINER
  LANGUAGE sql AS 'SELECT secret FROM secrets';
CREATE FUNCTION reveal(int) RETURNS text SECURITY DEFINER
  LANGUAGE sql AS 'SELECT secret FROM secrets';
CREATE FUNCTION reveal_more(int[], int DEFAULT 1) RETURNS text SECURITY DEFINER
  LANGUAGE sql AS 'SELECT secret FROM secrets';
CREATE FUNCTION reveal_all(VARIADIC int[]) RETURNS text SECURITY DEFINER
  LANGUAGE sql AS 'SELECT secret FROM secrets';
CREATE AGGREGATE worst(int) (SFUNC = boom, STYPE = int);
CREATE TYPE secret_range AS RANGE (SUBTYPE = int);
CREATE DOMAIN classes AS regclass;
CREATE TABLE payroll (id int, secret text) PARTITION BY RANGE (id);
CREATE TABLE payroll_1 PARTITION OF payroll FOR VALUES FROM (0) TO (10);
CREATE TABLE secrets_too () INHERITS (secrets);
CREATE MATERIALIZED VIEW kept AS SELECT secret FROM secrets;
CREATE EXTENSION postgres_fdw;
CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw;
CREATE FOREIGN TABLE far (secret text) SERVER elsewhere;
CREATE INDEX secrets_index ON secrets (secret);
CREATE EXTENSION tablefunc; CREATE EXTENSION xml2; CREATE EXTENSION hstore;
CREATE EXTENSION pageinspect; CREATE EXTENSION lo; CREATE EXTENSION adminpack;
GRANT SELECT ON staff, wide TO reader;
GRANT USAGE ON SCHEMA hr TO reader;
GRANT SELECT ON ALL TABLES IN SCHEMA hr TO reader;
"""


@pytest.fixture(scope="module")
def postgres():
    with Postgres() as server:
        server.sql(DATABASE)
        server.sql(TRAPS)
        yield server


@pytest.fixture(scope="module", params=["postgres", "reader"])
def queue(postgres, request):
    with Redis() as redis, running(redis, postgres, POSTGRES_STATEMENT_TIMEOUT=2,
                                   DATABASE_URL=postgres.url_as(request.param)) as it:
        yield it


# What must be refused, and a word of why.
HOSTILE = [
    # Other tables, however they are reached.
    ("SELECT * FROM secrets", "public.secrets"),
    ("SELECT * FROM public.\"secrets\"", "public.secrets"),
    ("SELECT * FROM U&\"\\0073ecrets\"", "public.secrets"),
    ("TABLE secrets", "public.secrets"),
    ("SELECT * FROM ONLY (secrets)", "public.secrets"),
    ("SELECT name FROM employees UNION SELECT secret FROM secrets", "public.secrets"),
    ("SELECT (SELECT secret FROM secrets) FROM employees", "public.secrets"),
    ("SELECT 1 WHERE EXISTS (TABLE secrets)", "public.secrets"),
    ("WITH secrets AS (SELECT * FROM secrets) SELECT * FROM secrets", "public.secrets"),
    ("SELECT * FROM employees, LATERAL (SELECT * FROM secrets s) x", "public.secrets"),
    ("SELECT * FROM employees ORDER BY (SELECT secret FROM secrets)", "public.secrets"),
    ("SELECT/**/*/**/FROM/**/secrets", "public.secrets"),
    ("SELECT * FROM leaky", "public.leaky"),
    ("SELECT last_value FROM counter", "public.counter"),
    ("SELECT * FROM pg_catalog.pg_authid", "pg_catalog.pg_authid"),
    ("SELECT * FROM pg_stat_activity", "pg_catalog.pg_stat_activity"),
    ("SELECT * FROM information_schema.tables", "information_schema.tables"),
    ("SELECT rolpassword FROM pg_shadow, employees", "pg_shadow"),
    # Functions that read elsewhere.
    ("SELECT pg_read_file('/etc/passwd')", "pg_read_file"),
    ("SELECT pg_catalog.pg_ls_dir('/')", "pg_ls_dir"),
    ("SELECT \"pg_read_binary_file\"('/etc/passwd')", "pg_read_binary_file"),
    ("SELECT * FROM pg_ls_logdir()", "pg_ls_logdir"),
    ("SELECT query_to_xml('SELECT * FROM secrets', true, false, '')", "query_to_xml"),
    ("SELECT table_to_xml('secrets', true, false, '')", "table_to_xml"),
    ("SELECT * FROM ts_stat('SELECT to_tsvector(secret) FROM secrets')", "ts_stat"),
    ("SELECT * FROM dblink('dbname=postgres', 'SELECT secret FROM secrets') t(s text)", "dblink"),
    ("SELECT leak()", "public.leak"), ("SELECT lying('x')", "public.lying"),
    ("SELECT 1 FROM employees WHERE name = lying(name)", "public.lying"),
    ("SELECT current_setting('data_directory')", "current_setting"),
    ("SELECT 'secrets'::regclass::oid", "regclass"), ("SELECT regclass('secrets')", "regclass"),
    ("SELECT has_table_privilege('secrets', 'SELECT')", "has_table_privilege"),
    ("SELECT lo_get(1)", "lo_get"), ("SELECT pg_get_viewdef(1)", "pg_get_viewdef"),
    # Functions with effects.
    ("SELECT pg_sleep(60)", "pg_sleep"), ("SELECT set_config('role', 'postgres', false)",
                                          "set_config"),
    ("SELECT nextval('counter')", "nextval"), ("SELECT setval('counter', 9)", "setval"),
    ("SELECT lo_export(1, '/tmp/pwned')", "lo_export"), ("SELECT lo_import('/etc/passwd')",
                                                         "lo_import"),
    ("SELECT pg_terminate_backend(1)", "pg_terminate_backend"),
    ("SELECT pg_advisory_lock(1)", "pg_advisory_lock"), ("SELECT pg_notify('a', 'b')",
                                                         "pg_notify"),
    ("SELECT pg_reload_conf()", "pg_reload_conf"),
    ("SELECT e.launch FROM employees e", "public.launch"),
    ("SELECT (e).launch FROM employees e", "public.launch"),
    ("SELECT launch(e) FROM employees e", "public.launch"),
    ("SELECT 1 ===> 2", "operator"), ("SELECT 1 OPERATOR(public.===>) 2", "operator"),
    ("SELECT dblink_exec('dbname=postgres', 'DELETE FROM employees')", "dblink_exec"),
    # Writes.
    ("INSERT INTO employees VALUES (1)", "INSERT"), ("DELETE FROM employees", "DELETE"),
    ("UPDATE employees SET salary = 0 RETURNING *", "UPDATE"), ("TRUNCATE employees", "TRUNCATE"),
    ("MERGE INTO employees e USING employees f ON false WHEN MATCHED THEN DELETE", "MERGE"),
    ("WITH d AS (DELETE FROM employees RETURNING *) SELECT * FROM d", "DELETE"),
    ("SELECT * FROM (INSERT INTO written VALUES ('x') RETURNING *) x", "syntax"),
    ("SELECT * INTO pwned FROM employees", "INTO"), ("CREATE TABLE pwned AS SELECT 1", "CREATE"),
    ("SELECT * FROM employees FOR UPDATE", "lock"), ("DROP TABLE employees", "DROP"),
    ("ALTER TABLE employees ADD x int", "ALTER"), ("GRANT ALL ON secrets TO PUBLIC", "GRANT"),
    # Other commands, several at once, ways out of a wrapping.
    ("COPY employees TO '/tmp/pwned'", "COPY"), ("COPY written FROM PROGRAM 'id'", "COPY"),
    ("DO $$BEGIN DELETE FROM employees; END$$", "DO"), ("CALL wreck()", "CALL"),
    ("PREPARE x AS DELETE FROM employees", "PREPARE"), ("EXECUTE x", "EXECUTE"),
    ("SET ROLE postgres", "SET"), ("RESET ALL", "SET"), ("SHOW data_directory", "SHOW"),
    ("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE", "SET"),
    ("LISTEN x", "LISTEN"), ("NOTIFY x", "NOTIFY"), ("LOCK TABLE employees", "LOCK"),
    ("BEGIN", "transaction"), ("COMMIT", "transaction"), ("ROLLBACK; DELETE FROM employees",
                                                         "2 statements"),
    ("SELECT 1; DELETE FROM employees", "2 statements"), ("EXPLAIN ANALYZE DELETE FROM employees",
                                                         "EXPLAIN"),
    ("SELECT 1) q; DELETE FROM employees; --", "syntax"), ("SELECT 1) UNION (SELECT 2", "syntax"),
    ("SELECT 1 /*", "unterminated"), ("SELECT $1::int", "parameters"), ("", "at least 1"),
    (" ; ; -- nothing", "empty"), ("DECLARE c CURSOR FOR SELECT 1", "DECLARE"),
    ("SELECT * FROM employees TABLESAMPLE system (1)", "not allowed"),
    ("SELECT xmlelement(name a)", "not allowed"), ("VACUUM", "VACUUM"), ("LOAD 'x'", "LOAD"),
    ("SELECT " + "(" * 3000 + "1" + ")" * 3000, None), ("SELECT 1" + "+1" * 15000, "deep"),
    ("SELECT 1" + " " * 40000, "longer than"),
    # x.f and (x).f call f(x), whatever x is.
    ("SELECT x.pg_read_file FROM concat('/etc/passwd') AS x", "pg_read_file"),
    ("SELECT concat.pg_read_file FROM concat('/etc/passwd')", "pg_read_file"),
    ("SELECT coalesce.pg_read_file FROM coalesce('/etc/passwd'::text)", "pg_read_file"),
    ("SELECT \"current_user\".pg_read_file FROM current_user", "pg_read_file"),
    ("SELECT text.pg_read_file FROM CAST('/etc/passwd' AS text)", "pg_read_file"),
    ("SELECT 파일.pg_read_file FROM concat('/etc/passwd') AS 파일", "pg_read_file"),
    ("SELECT x.pg_read_file FROM ROWS FROM (concat('/etc/passwd')) AS x", "pg_read_file"),
    ("SELECT (SELECT x.pg_read_file FROM concat('/etc/passwd') x) FROM employees x",
     "pg_read_file"),
    ("SELECT x.pg_read_file FROM employees e, LATERAL concat('/etc/passwd', e.notes) x",
     "pg_read_file"),
    ("SELECT ('/etc/passwd'::text).pg_read_file", "pg_read_file"),
    ("SELECT (concat('/etc/passwd')).pg_read_file", "pg_read_file"),
    ("SELECT (x).pg_read_file FROM concat('/etc/passwd') x", "pg_read_file"),
    ("SELECT (ARRAY['/etc/passwd'])[1].pg_read_file", None),
    ("SELECT ((ARRAY['/etc/passwd'])[1]).pg_read_file", "pg_read_file"),
    ("SELECT x.pg_ls_dir FROM concat('/') x", "pg_ls_dir"),
    ("SELECT x.lo_import FROM concat('/etc/passwd') x", "lo_import"),
    ("SELECT x.current_setting FROM concat('data_directory') x", "current_setting"),
    ("SELECT x.pg_sleep FROM generate_series(60.0, 60.0) x", "pg_sleep"),
    ("SELECT x.pg_terminate_backend FROM generate_series(1, 9999) x", "pg_terminate_backend"),
    ("SELECT x.pg_advisory_lock FROM generate_series(1::bigint, 9) x", "pg_advisory_lock"),
    ("SELECT (1).reveal", "public.reveal"), ("SELECT (id).reveal FROM employees", "public.reveal"),
    ("SELECT (ARRAY[1]).reveal_more", "public.reveal_more"),
    ("SELECT (1).reveal_all", "public.reveal_all"),
    ("SELECT e.promote FROM employees e", "public.promote"),
    ("SELECT ('16384'::text).regproc", "regproc"),
    ("SELECT ('(1,x)'::text).secrets", "public.secrets"),
    # Everywhere in a statement that an expression may stand.
    ("VALUES (pg_read_file('/etc/passwd'))", "pg_read_file"),
    ("SELECT 1 LIMIT length(pg_read_file('/etc/passwd'))", "pg_read_file"),
    ("SELECT 1 OFFSET length(pg_read_file('/etc/passwd'))", "pg_read_file"),
    ("SELECT 1 ORDER BY pg_read_file('/etc/passwd')", "pg_read_file"),
    ("SELECT count(*) FILTER (WHERE pg_read_file('/etc/passwd') <> '')", "pg_read_file"),
    ("SELECT string_agg('x', ',' ORDER BY pg_read_file('/etc/passwd'))", "pg_read_file"),
    ("SELECT sum(1) OVER (ORDER BY pg_read_file('/etc/passwd'))", "pg_read_file"),
    ("SELECT sum(1) OVER w WINDOW w AS (PARTITION BY pg_read_file('/etc/passwd'))",
     "pg_read_file"),
    ("SELECT count(*) FROM employees GROUP BY CUBE (pg_read_file('/etc/passwd'))",
     "pg_read_file"),
    ("SELECT DISTINCT ON (pg_read_file('/etc/passwd')) 1", "pg_read_file"),
    ("SELECT CASE WHEN pg_read_file('/etc/passwd') = 'x' THEN 1 END", "pg_read_file"),
    ("SELECT (ARRAY[1, 2])[length(pg_read_file('/etc/passwd'))]", "pg_read_file"),
    ("SELECT pg_read_file(filename => '/etc/passwd')", "pg_read_file"),
    ("SELECT format('%s', VARIADIC ARRAY[pg_read_file('/etc/passwd')])", "pg_read_file"),
    ("SELECT U&\"!0070g_read_file\" UESCAPE '!' ('/etc/passwd')", "pg_read_file"),
    ("SELECT pg_read_file('/etc/passwd') COLLATE \"C\"", "pg_read_file"),
    ("SELECT 1 WHERE 1 IN (SELECT length(secret) FROM secrets)", "public.secrets"),
    ("SELECT 1 FROM employees e JOIN secrets s USING (id)", "public.secrets"),
    ("SELECT 1 FROM employees NATURAL JOIN secrets", "public.secrets"),
    ("SELECT 1 FROM employees CROSS JOIN LATERAL (TABLE secrets) x", "public.secrets"),
    ("SELECT name FROM employees EXCEPT ALL (SELECT secret FROM secrets)", "public.secrets"),
    ("WITH RECURSIVE t AS (SELECT secret FROM secrets UNION ALL SELECT secret FROM t) TABLE t",
     "public.secrets"),
    ("WITH employees AS (SELECT 1) SELECT * FROM public.secrets", "public.secrets"),
    ("SELECT * FROM postgres.public.secrets", "public.secrets"),
    # Other relations, and what the server knows about tables.
    ("SELECT * FROM payroll", "public.payroll"), ("SELECT * FROM payroll_1", "public.payroll_1"),
    ("SELECT * FROM secrets_too", "public.secrets_too"), ("SELECT * FROM kept", "public.kept"),
    ("SELECT * FROM far", "public.far"), ("SELECT * FROM secrets_index", "secrets_index"),
    ("SELECT * FROM pg_stats", "pg_stats"), ("SELECT * FROM pg_statistic", "pg_statistic"),
    ("SELECT * FROM pg_largeobject", "pg_largeobject"), ("SELECT * FROM pg_settings",
                                                         "pg_settings"),
    ("SELECT * FROM pg_hba_file_rules", "pg_hba_file_rules"),
    ("SELECT * FROM pg_prepared_statements", "pg_prepared_statements"),
    ("SELECT * FROM pg_temp.secrets", "does not exist"),
    ("SELECT (NULL::secrets).*", "public.secrets"), ("SELECT '{}'::secrets[]", "public.secrets"),
    ("SELECT '{}'::_secrets", "public._secrets"), ("SELECT CAST(NULL AS pg_authid)", "pg_authid"),
    ("SELECT * FROM json_populate_record(NULL::secrets, '{}')", "public.secrets"),
    ("SELECT * FROM jsonb_to_record('{}') AS x(a public.secrets)", "public.secrets"),
    # Names that turn into oids, and back.
    ("SELECT jsonb_populate_record(NULL::pg_am, '{\"amhandler\": \"leak\"}')", "pg_am"),
    ("SELECT 'secrets'::classes", "public.classes"), ("SELECT '{secrets}'::regclass[]",
                                                      "regclass"),
    ("SELECT * FROM jsonb_to_record('{\"a\": \"secrets\"}') AS x(a regclass)", "regclass"),
    ("SELECT coalesce(CASE WHEN false THEN pg_typeof(1) END, '16400')", "pg_typeof"),
    ("SELECT regclasssend('secrets')", "regclasssend"), ("SELECT regrolesend('postgres')",
                                                         "regrolesend"),
    ("SELECT pg_partition_root('payroll_1')", "pg_partition_root"),
    ("SELECT coalesce(pg_partition_root('payroll_1'), '16400')", "pg_partition_root"),
    ("SELECT regclassin('secrets')", "regclassin"), ("SELECT array_in('{x}', 2205, -1)",
                                                     "array_in"),
    ("SELECT makeaclitem(10, 10, 'SELECT', false)", "makeaclitem"),
    ("SELECT acldefault('r', 10)", "acldefault"), ("SELECT '=r/postgres'::aclitem", "aclitem"),
    # What operators and casts of one's own call.
    ("SELECT 'a' #?# 'b'", "public.#?#"), ("SELECT 'a' OPERATOR(public.#?#) 'b'", "public.#?#"),
    ("SELECT '(1)' ==> '{}'", "public.==>"), ("SELECT '(1)'::box3 = 1", "public.box3"),
    ("SELECT 1 WHERE 'a' #?# ANY (ARRAY['b']) IS NULL", "public.#?#"),
    ("SELECT 'a'::text::box3", "public.box3"), ("SELECT box3('a')", "public.box3"),
    ("SELECT (row(1)::box3)::text", "public.box3"), ("SELECT worst(1)", "public.worst"),
    ("SELECT CASE row(1)::box3 WHEN 1 THEN 2 END", "public.box3"),
    ("SELECT secret_range(1, 2)", "public.secret_range"),
    # Functions that run queries, or reach out of the query.
    ("SELECT cursor_to_xml('c', 1, true, true, '')", "cursor_to_xml"),
    ("SELECT database_to_xml(true, true, '')", "database_to_xml"),
    ("SELECT query_to_xmlschema('TABLE secrets', true, true, '')", "query_to_xmlschema"),
    ("SELECT ts_rewrite('a'::tsquery, 'SELECT secret::tsquery, secret::tsquery FROM secrets')",
     "ts_rewrite"),
    ("SELECT * FROM crosstab('SELECT * FROM secrets') AS t(a int, b text)", "crosstab"),
    ("SELECT * FROM xpath_table('id', 'secret', 'secrets', '/', 'true') AS t(id int)",
     "xpath_table"),
    ("SELECT get_raw_page('secrets', 0)", "get_raw_page"),
    ("SELECT pg_file_write('/tmp/pwned', 'x', false)", "pg_file_write"),
    ("SELECT * FROM ROWS FROM (generate_series(1, 2), pg_ls_dir('/')) x", "pg_ls_dir"),
    ("SELECT * FROM pg_ls_waldir() WITH ORDINALITY", "pg_ls_waldir"),
    ("SELECT set_config('statement_timeout', '0', true)", "set_config"),
    ("SELECT txid_current()", "txid_current"), ("SELECT pg_export_snapshot()",
                                                "pg_export_snapshot"),
    ("SELECT pg_stat_reset()", "pg_stat_reset"), ("SELECT pg_switch_wal()", "pg_switch_wal"),
    ("SELECT pg_cancel_backend(1)", "pg_cancel_backend"), ("SELECT setseed(0.1)", "setseed"),
    ("SELECT pg_logical_emit_message(false, 'a', 'b')", "pg_logical_emit_message"),
    ("SELECT pg_try_advisory_xact_lock_shared(1)", "pg_try_advisory_xact_lock_shared"),
    ("SELECT postgres_fdw_disconnect_all()", "postgres_fdw_disconnect_all"),
    ("SELECT lo_from_bytea(0, 'x')", "lo_from_bytea"), ("SELECT lo_creat(-1)", "lo_creat"),
    ("SELECT xml '<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><a>&x;</a>' "
     "IS DOCUMENT", "not allowed"),
    ("SELECT * FROM xmltable('/a' PASSING '<a/>' COLUMNS b text)", "not allowed"),
    # Commands, and words that look like the end of one.
    ("SET LOCAL statement_timeout = 0", "SET"), ("SET SESSION AUTHORIZATION reader", "SET"),
    ("DISCARD ALL", "DISCARD"), ("FETCH ALL FROM c", "FETCH"), ("CHECKPOINT", "CHECKPOINT"),
    ("SAVEPOINT x", "transaction"), ("PREPARE TRANSACTION 'x'", "transaction"),
    ("CREATE TEMP TABLE x (y int)", "CREATE"), ("EXPLAIN SELECT * FROM secrets", "EXPLAIN"),
    ("CREATE RULE x AS ON SELECT TO employees DO INSTEAD SELECT 1", "RULE"),
    ("CREATE FUNCTION x() RETURNS int LANGUAGE sql AS 'SELECT 1'", "FUNCTION"),
    ("COMMENT ON TABLE employees IS 'x'", "COMMENT"), ("REFRESH MATERIALIZED VIEW kept",
                                                       "REFRESH"),
    ("WITH x AS (SELECT 1), y AS (INSERT INTO written VALUES ('x') RETURNING *) TABLE x",
     "INSERT"),
    ("WITH x AS MATERIALIZED (UPDATE employees SET salary = 1 RETURNING *) TABLE x", "UPDATE"),
    ("SELECT * FROM (SELECT * FROM employees FOR NO KEY UPDATE) x", "lock"),
    ("SELECT 1 /* /* nested */ */ ; DROP TABLE employees", "2 statements"),
    ("SELECT $x$ $y$ $x$; DROP TABLE employees; --$x$", "2 statements"),
    ("SELECT '\\'; DROP TABLE employees; --'", "2 statements"),
    # Much work for little text.
    ("SELECT xpath('count(//*[count(//*) > count(//*)])', "
     "('<a>' || repeat('<b/>', 1000000) || '</a>')::xml)", "xpath"),
    ("SELECT xpath_exists('/a', '<a/>')", "xpath_exists"),
    ("SELECT xpath_string('<a/>', '/a')", "xpath_string"),
    ("SELECT xmlexists('/a' PASSING '<a/>')", "xmlexists"),
    ("SELECT length(repeat('x', 1000000000))", None), ("SELECT 2 ^ 1e9::numeric > 0", None),
    ("SELECT count(*) FROM generate_series(1, 1e12::bigint)", "too long"),
    ("SELECT regexp_replace(repeat('a', 100000), '(a|aa)+(a*)*(\\1)+$', 'x')", None),
    ("SELECT count(*) FROM employees a, employees b, employees c, employees d", "too long"),
]
# These only compute, if a lot: they may succeed.
COMPUTING = ("length(repeat(", "regexp_replace(repeat(", "2 ^ ", "(" * 3000)


def fingerprint(postgres):
    """All that a query could have changed."""
    return postgres.sql("""
        SELECT count(*), md5(string_agg(e::text, '|' ORDER BY id)) FROM employees e;
        SELECT count(*) FROM written; SELECT last_value, is_called FROM counter;
        SELECT count(*), md5(string_agg(relname, '|' ORDER BY oid)) FROM pg_class;
        SELECT count(*) FROM pg_largeobject_metadata;
        SELECT md5(string_agg(relacl::text, '|' ORDER BY oid)) FROM pg_class;
        SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'""")


def test_hostile_queries_neither_write_nor_read_elsewhere(queue, postgres):
    before = fingerprint(postgres)
    for sql, word in HOSTILE:
        began = time.monotonic()
        answer = ask(queue, sql)
        if word is None and "isError" not in answer:
            assert any(part in sql for part in COMPUTING), sql
            continue
        text = answer["content"][0]["text"]
        assert answer.get("isError") is True, f"{sql[:80]}: {text[:300]}"
        assert word is None or word in text, f"{sql[:80]}: {text}"
        assert SECRET not in json.dumps(answer) and len(text) < 1000
        assert time.monotonic() - began < 20 * PATIENCE, sql[:80]
    assert len(HOSTILE) >= 40
    assert fingerprint(postgres) == before
    assert queue.worker.starts == 1 and queue.worker.alive()
    assert rows(queue, "SELECT count(*) FROM employees") == [[1000]]


def test_hostile_queries_through_query_employees(queue, postgres):
    before = fingerprint(postgres)
    for sql, _ in HOSTILE:
        answer = ask(queue, sql, "query_employees")
        assert answer.get("isError") or any(part in sql for part in COMPUTING), sql[:80]
        assert SECRET not in json.dumps(answer)
    assert fingerprint(postgres) == before


HARMLESS = [
    ("SELECT e.name, e.department AS text FROM employees e WHERE e.id = 1", [["직원 1", "R&D"]]),
    ("SELECT x.x, (row(1, 2)).f1 IS NULL FROM generate_series(1, 1) x", None),
    ("SELECT (e).name FROM employees e WHERE id = 1", [["직원 1"]]),
    ("SELECT (NULL::employees).name, NULL::staff", [[None, None]]),
    ("SELECT s.name FROM generate_series(1, 1) n JOIN staff s ON s.id = n.n", [["직원 1"]]),
    ("SELECT to_tsvector('english', 'cats') @@ 'cat'", [[True]]),
    ("SELECT count(*) FROM employees WHERE id IN (SELECT employee_id FROM hr.reviews)", [[100]]),
]


@pytest.mark.parametrize("sql, expected", HARMLESS)
def test_what_looks_alike_is_allowed(queue, sql, expected):
    answer = ask(queue, sql)
    if expected is None:
        assert "may not" not in answer["content"][0]["text"]
    else:
        assert rows(queue, sql) == expected


LONG = "이름" * 11  # 66 bytes in UTF-8, which libpg_query cuts to 63


def test_names_that_another_encoding_reads_otherwise(postgres):
    postgres.sql("CREATE DATABASE korean ENCODING 'EUC_KR' LOCALE 'C' TEMPLATE template0;"
                 "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0;")
    url = postgres.url.removesuffix("/postgres")
    postgres.sql(f"""\\connect korean
        SET client_encoding = UTF8;
        CREATE TABLE "{LONG}" AS SELECT '{SECRET}' AS secret;
        CREATE TABLE 사원 AS SELECT 1 AS 번호""")
    postgres.sql(f"""\\connect latin
        SET client_encoding = UTF8;
        CREATE TABLE "élèves" AS SELECT '{SECRET}' AS secret;
        CREATE TABLE eleves AS SELECT 1 AS é""")
    with Redis() as redis:
        with running(redis, postgres, DATABASE_URL=f"{url}/korean",
                     POSTGRES_TABLES="사원") as queue:
            assert rows(queue, "SELECT e.번호 FROM 사원 e") == [[1]]
            assert "UTF-8" in failure(queue, f"SELECT * FROM {LONG}")
        with running(redis, postgres, DATABASE_URL=f"{url}/latin",
                     POSTGRES_TABLES="eleves") as queue:
            assert rows(queue, "SELECT é FROM eleves") == [[1]]
            assert "UTF-8" in failure(queue, "SELECT * FROM ÉLÈVES")
            assert "UTF-8" in failure(queue, 'SELECT * FROM "élèves"')
