"""The postgres API on a real server, as the role that may do most: the superuser."""

import contextlib
import json
import time

import pytest

from harness import PATIENCE, Cluster, Postgres, Redis, Worker, until
from test_worker import Queue

SECRET = "TOP-SECRET-7f3a"

DATABASE = f"""
CREATE SCHEMA hr;
CREATE TABLE employees (id int PRIMARY KEY, name text NOT NULL, department text NOT NULL,
  salary numeric(10, 2) NOT NULL, hired date NOT NULL, manager_id int REFERENCES employees,
  active boolean NOT NULL DEFAULT true, notes text);
COMMENT ON TABLE employees IS 'Everybody who works here';
COMMENT ON COLUMN employees.salary IS 'KRW 1,000 a year';
INSERT INTO employees SELECT n, '직원 ' || n, (ARRAY['Sales', 'R&D', 'HR', 'IT'])[1 + n % 4],
  30000 + n % 50 * 1000, date '2010-01-01' + n, CASE WHEN n > 10 THEN 1 + n % 10 END,
  n % 7 <> 0, CASE WHEN n % 100 = 0 THEN E'line 1\\nline "2"' END FROM generate_series(1, 1000) n;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TABLE hr.reviews (employee_id int REFERENCES employees, score int, felt mood);
INSERT INTO hr.reviews SELECT n, n % 5, 'ok' FROM generate_series(1, 100) n;
CREATE TABLE secrets (id int, secret text);
INSERT INTO secrets VALUES (1, '{SECRET}');
CREATE TABLE written (what text);
CREATE SEQUENCE counter;
CREATE VIEW staff AS SELECT id, name FROM employees;
CREATE VIEW leaky AS SELECT secret FROM secrets;
CREATE FUNCTION leak() RETURNS text STABLE SECURITY DEFINER
  LANGUAGE sql AS 'SELECT secret FROM secrets';
CREATE FUNCTION lying(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS
  $$BEGIN RETURN (SELECT secret FROM secrets); END$$;
CREATE FUNCTION launch(employees) RETURNS text LANGUAGE plpgsql AS
  $$BEGIN INSERT INTO written VALUES ('launch'); RETURN 'launched'; END$$;
CREATE FUNCTION boom(int, int) RETURNS int LANGUAGE plpgsql AS
  $$BEGIN PERFORM pg_sleep(60); RETURN 1; END$$;
CREATE OPERATOR ===> (LEFTARG = int, RIGHTARG = int, FUNCTION = boom);
CREATE FUNCTION twice(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 2 * $1';
CREATE PROCEDURE wreck() LANGUAGE sql AS 'DELETE FROM employees';
CREATE TABLE wide AS SELECT repeat('가', 200000) AS text, n FROM generate_series(1, 3) n;
CREATE EXTENSION dblink;
CREATE EXTENSION pg_trgm;
CREATE EXTENSION citext;
CREATE ROLE reader LOGIN;
GRANT SELECT ON employees TO reader;
REVOKE TEMP ON DATABASE postgres FROM PUBLIC;
"""

TABLES = "employees, staff, hr.*, wide"


@pytest.fixture(scope="module")
def postgres():
    with Postgres() as server:
        server.sql(DATABASE)
        yield server


@contextlib.contextmanager
def running(redis, postgres, **settings):
    values = {"DATABASE_URL": postgres.url, "POSTGRES_TABLES": TABLES, **settings}
    redis.flush()
    with Worker("postgres", redis, settings=values) as worker:
        until(lambda: redis("EXISTS", "mcp_api:{postgres}"), 10, worker.tail)
        queue = Queue(redis, "postgres")
        queue.worker = worker
        yield queue


@pytest.fixture(scope="module")
def queue(postgres):
    with Redis() as redis, running(redis, postgres, POSTGRES_STATEMENT_TIMEOUT=2) as it:
        yield it


def ask(queue, sql, tool="query", seconds=15):
    name = "query" if tool == "query_employees" else "sql"
    return queue.answer(queue.put(tool, {name: sql}), seconds)["result"]


def rows(queue, sql, tool="query"):
    answer = ask(queue, sql, tool)
    assert "isError" not in answer, answer["content"][0]["text"]
    return answer["structuredContent"]["rows"]


def failure(queue, sql, tool="query"):
    answer = ask(queue, sql, tool)
    assert answer.get("isError") is True, answer
    return answer["content"][0]["text"]


def call(queue, tool, **arguments):
    return queue.answer(queue.put(tool, arguments), 15)["result"]


def test_catalogue(queue):
    tools = json.loads(queue.redis.hash("mcp_api:{postgres}")["catalogue"])["tools"]
    assert [tool["name"] for tool in tools] == [
        "query_employees", "get_employee_schema", "query", "list_tables", "describe_table"]
    for tool in tools:
        assert tool["annotations"] == {"readOnlyHint": True, "destructiveHint": False,
                                       "idempotentHint": True, "openWorldHint": False}
        assert tool["outputSchema"]["required"] == ["columns", "rows", "row_count", "truncated"]


def test_query_employees(queue):
    answer = ask(queue, "SELECT id, name, salary, active, manager_id, hired, notes FROM employees "
                 "WHERE id IN (7, 100) ORDER BY id", "query_employees")
    assert answer["structuredContent"] == {
        "columns": ["id", "name", "salary", "active", "manager_id", "hired", "notes"],
        "rows": [[7, "직원 7", 37000.00, False, None, "2010-01-08", None],
                 [100, "직원 100", 30000.00, True, 1, "2010-04-11", 'line 1\nline "2"']],
        "row_count": 2, "truncated": False}
    assert answer["content"][0]["text"].splitlines() == [
        "id | name | salary | active | manager_id | hired | notes",
        "7 | 직원 7 | 37000.00 | false | NULL | 2010-01-08 | NULL",
        '100 | 직원 100 | 30000.00 | true | 1 | 2010-04-11 | line 1\\nline "2"', "(2 rows)"]


def test_query_employees_reads_no_other_table(queue):
    text = failure(queue, "SELECT * FROM hr.reviews", "query_employees")
    assert "hr.reviews" in text
    assert rows(queue, "SELECT count(*) FROM hr.reviews") == [[100]]


def test_schemas(queue):
    schema = call(queue, "get_employee_schema")["structuredContent"]
    assert schema == call(queue, "describe_table", table="employees")["structuredContent"]
    assert schema["columns"] == ["column", "type", "nullable", "default", "key", "description"]
    assert schema["rows"][0] == ["id", "integer", False, None, "primary key", None]
    assert ["salary", "numeric(10,2)", False, None, None, "KRW 1,000 a year"] in schema["rows"]
    assert ["active", "boolean", False, "true", None, None] in schema["rows"]
    assert ["manager_id", "integer", True, None, "references employees", None] in schema["rows"]
    reviews = call(queue, "describe_table", table="hr.reviews")["structuredContent"]
    assert [row[0] for row in reviews["rows"]] == ["employee_id", "score", "felt"]


@pytest.mark.parametrize("table", ["secrets", "pg_catalog.pg_authid", "public.secrets", "x'y",
                                   "employees; DROP TABLE employees"])
def test_no_description_of_other_tables(queue, table):
    answer = call(queue, "describe_table", table=table)
    assert answer["isError"] and "list_tables" in answer["content"][0]["text"]


def test_list_tables(queue):
    found = call(queue, "list_tables")["structuredContent"]["rows"]
    assert [row[:3] for row in found] == [
        ["hr", "reviews", "table"], ["public", "employees", "table"],
        ["public", "staff", "view"], ["public", "wide", "table"]]
    assert found[1][4] == "Everybody who works here"


GOOD = [
    ("SELECT 1", [[1]]), ("select 1;", [[1]]), ("SELECT 1 ; -- done", [[1]]),
    ("SELECT 'a;b', $$c;d$$ -- x", [["a;b", "c;d"]]), ("VALUES (1, 'a'), (2, NULL)",
                                                       [[1, "a"], [2, None]]),
    ("SELECT id, id FROM employees WHERE id = 3", [[3, 3]]),
    ("TABLE staff ORDER BY id LIMIT 1", [[1, "직원 1"]]),
    ("WITH t AS (SELECT * FROM employees) SELECT count(*) FROM t", [[1000]]),
    ("WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 5) "
     "SELECT sum(n) FROM t", [[15]]),
    ("SELECT department, round(avg(salary)), count(*) FILTER (WHERE active) FROM employees e "
     "GROUP BY ROLLUP (department) HAVING count(*) > 300", [[None, 54500, 858]]),
    ("SELECT e.name, m.name FROM public.employees e JOIN employees m ON m.id = e.manager_id "
     "WHERE e.id = 25", [["직원 25", "직원 6"]]),
    ("SELECT name, rank() OVER (PARTITION BY department ORDER BY salary DESC, id) FROM employees "
     "ORDER BY 2, 1 LIMIT 1", [["직원 48", 1]]),
    ("SELECT extract(year FROM hired), to_char(hired, 'YYYY-MM'), date_trunc('year', hired)::date "
     "FROM employees WHERE id = 1", [[2010, "2010-01", "2010-01-01"]]),
    ("SELECT now() > date '2020-01-01' AND random() < 2", [[True]]),
    ("SELECT felt = 'ok'::mood FROM hr.reviews LIMIT 1", [[True]]),
    ("SELECT jsonb_build_object('a', 1) ->> 'a', array_agg(n) FROM generate_series(1, 3) n",
     [["1", "{1,2,3}"]]),
    ("SELECT count(*) FROM employees WHERE name ILIKE '%1' AND id % 2 = 1", [[100]]),
    ("SELECT string_agg(department, ',' ORDER BY department) FROM (SELECT DISTINCT department "
     "FROM employees) d", [["HR,IT,R&D,Sales"]]),
    ("SELECT 9007199254740993, 1e400::numeric > 0, 'NaN'::float8, 0.5, '1'::text",
     [["9007199254740993", True, "NaN", 0.5, "1"]]),
    ("SELECT CASE WHEN 1 = ANY (ARRAY[1, 2]) THEN coalesce(NULL, 'x') END, (1, 'a')",
     [["x", "(1,a)"]]),
    ("SELECT max(name), replace('abc', 'b', 'x') FROM employees WHERE id < 3",
     [["직원 2", "axc"]]),  # citext has its own
    ("SELECT similarity('abc', 'abc')", [[1]]),
    ("SELECT", None),
]


@pytest.mark.parametrize("sql, expected", GOOD)
def test_what_is_allowed(queue, sql, expected):
    if expected is None:
        assert "no columns" in failure(queue, sql)
    else:
        assert rows(queue, sql) == expected


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
]


def fingerprint(postgres):
    """All that a query could have changed."""
    return postgres.sql("""
        SELECT count(*), md5(string_agg(e::text, '|' ORDER BY id)) FROM employees e;
        SELECT count(*) FROM written; SELECT last_value, is_called FROM counter;
        SELECT count(*), md5(string_agg(relname, '|' ORDER BY oid)) FROM pg_class;
        SELECT count(*) FROM pg_largeobject_metadata;
        SELECT md5(string_agg(relacl::text, '|' ORDER BY oid)) FROM pg_class;
        SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'""")


def test_hostile_queries_neither_write_nor_read_elsewhere(queue, postgres, tmp_path):
    before = fingerprint(postgres)
    for sql, word in HOSTILE:
        began = time.monotonic()
        answer = ask(queue, sql)
        if word is None and "isError" not in answer:
            assert answer["structuredContent"]["rows"] == [[1]]  # deep, but harmless
            continue
        text = answer["content"][0]["text"]
        assert answer.get("isError") is True, f"{sql[:80]}: {text[:300]}"
        assert word is None or word in text, f"{sql[:80]}: {text}"
        assert SECRET not in json.dumps(answer) and len(text) < 1000
        assert time.monotonic() - began < 2 * PATIENCE, sql[:80]
    assert len(HOSTILE) >= 40
    assert fingerprint(postgres) == before
    assert queue.worker.starts == 1 and queue.worker.alive()
    assert rows(queue, "SELECT count(*) FROM employees") == [[1000]]


def test_hostile_queries_through_query_employees(queue, postgres):
    before = fingerprint(postgres)
    for sql, _ in HOSTILE:
        answer = ask(queue, sql, "query_employees")
        assert answer.get("isError") or answer["structuredContent"]["rows"] == [[1]], sql[:80]
        assert SECRET not in json.dumps(answer)
    assert fingerprint(postgres) == before


def test_errors_are_the_database_s_own(queue):
    assert 'column "salry" does not exist' in failure(queue, "SELECT salry FROM employees")
    assert "employees.salary" in failure(queue, "SELECT salry FROM employees")
    assert "describe_table" in failure(queue, "SELECT salry FROM employees")
    assert "list_tables" in failure(queue, "SELECT * FROM nowhere")
    assert "at character 13" in failure(queue, "SELECT FROM FROM employees")
    assert "syntax error" in failure(queue, "SELEC 1")
    assert "division by zero" in failure(queue, "SELECT 1 / (id - id) FROM employees")
    assert "function nosuch(integer) does not exist" in failure(queue, "SELECT nosuch(1)")


def test_long_errors_are_cut(queue):
    for sql in ["SELECT repeat('가', 2000)::int", "SELECT '" + "가" * 5000 + "' '" + "x" * 9000,
                "SELECT repeat('x', 9000000)::int"]:
        text = failure(queue, sql)
        assert 20 < len(text) < 1500, text
    answer = call(queue, "describe_table", table="가" * 500)
    assert answer["isError"] and "list_tables" in answer["content"][0]["text"]


def test_deadline_stops_the_query(redis, postgres):
    with running(redis, postgres, POSTGRES_STATEMENT_TIMEOUT=60) as queue:
        sql = "SELECT count(*) FROM generate_series(1, 1e10::bigint) deadline"
        id = queue.put("query", {"sql": sql}, deadline_ms=int(time.time() * 1000) + 1000)
        answer = queue.answer(id, 5)
        assert "error" in answer or answer["result"]["isError"]
        left = ("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' "
                "AND query LIKE '%) deadline%' AND pid <> pg_backend_pid()")
        until(lambda: postgres.sql(left) == "0", 10, "the server noticed")
        assert rows(queue, "SELECT 1") == [[1]]


def test_client_cancels(postgres):
    """From an MCP client on: the server stops the query and keeps the connection."""
    settings = {"DATABASE_URL": postgres.url, "POSTGRES_POOL": 1,
                "POSTGRES_STATEMENT_TIMEOUT": 600}
    active = ("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' "
              "AND query LIKE '%) cancelled%' AND pid <> pg_backend_pid()")
    with Cluster(workers={"postgres": 1}, worker_env=settings) as system, \
            system.client(0) as client:
        sql = "SELECT count(*) FROM generate_series(1, 1e11::bigint) cancelled"
        id = client.ask("tools/call", {"name": "postgres_query", "arguments": {"sql": sql}})
        until(lambda: postgres.sql(active) == "1", 10, "the query runs")
        client.notify("notifications/cancelled", {"requestId": id}, to=system.other(client))
        until(lambda: postgres.sql(active) == "0", 10, "the server has stopped it")
        answer = client.call("postgres_query", {"sql": "SELECT 1"})
        assert answer["structuredContent"]["rows"] == [[1]]
        until(lambda: system.redis("XLEN", "mcp_requests:{postgres}") == 0, 5, "empty")
        assert str(id) not in client.answers and client.surprises == []


def test_statement_timeout(queue):
    began = time.monotonic()
    text = failure(queue, "SELECT count(*) FROM generate_series(1, 1e10::bigint) n")
    assert "too long" in text and "POSTGRES_STATEMENT_TIMEOUT: 2 s" in text
    assert time.monotonic() - began < 5 * PATIENCE


def test_rows_are_cut_with_a_mark(queue):
    answer = ask(queue, "SELECT id FROM employees ORDER BY id")
    assert answer["structuredContent"]["row_count"] == 500
    assert answer["structuredContent"]["truncated"] is True
    assert answer["structuredContent"]["rows"][-1] == [500]
    text = answer["content"][0]["text"]
    assert "TRUNCATED" in text and "POSTGRES_MAX_ROWS" in text
    exact = ask(queue, "SELECT id FROM employees LIMIT 500")["structuredContent"]
    assert exact["row_count"] == 500 and exact["truncated"] is False


def test_bytes_are_cut_with_a_mark(queue):
    answer = ask(queue, "SELECT repeat('x', 1000), n FROM generate_series(1, 500) n")
    assert 100 < answer["structuredContent"]["row_count"] < 200
    assert answer["structuredContent"]["truncated"] is True
    assert "POSTGRES_MAX_BYTES" in answer["content"][0]["text"]
    assert len(json.dumps(answer, ensure_ascii=False)) < 300000


def test_values_are_cut_with_a_mark(queue):
    answer = ask(queue, "SELECT text, n FROM wide LIMIT 1")
    value = answer["structuredContent"]["rows"][0][0]
    assert value.endswith("가 …[cut]") and len(value) == 256 * 1024 // 16 + len(" …[cut]")
    assert answer["structuredContent"]["truncated"] is True
    assert "TRUNCATED" in answer["content"][0]["text"]
    huge = ask(queue, "SELECT repeat('가', 10000000)")
    assert huge["structuredContent"]["truncated"] is True


MEMORY_CAP = 50e6


def test_ten_million_rows_stay_under_the_cap(queue):
    before = queue.worker.rss_bytes()
    peak = 0
    for sql in ["SELECT * FROM generate_series(1, 10000000) n",
                "SELECT generate_series(1, 10000000), repeat('x', 100)",
                "SELECT n, repeat('x', 100000) FROM generate_series(1, 10000000) n",
                "SELECT a.* FROM employees a, employees b, employees c LIMIT 10000000",
                # Its error would quote the whole value.
                "SELECT repeat('x', 100000000)::int"]:
        id = queue.put("query", {"sql": sql})

        def answered():
            nonlocal peak
            peak = max(peak, queue.worker.rss_bytes())
            return [one for one in map(json.loads, (m["payload"] for m in queue.messages()))
                    if one["id"] == id]
        result = until(answered, 15, sql)[0]["result"]
        if "::int" in sql:
            assert result["isError"] is True
        else:
            assert result["structuredContent"]["truncated"], sql
    print(f"{before / 1e6:.1f} MB before, {peak / 1e6:.1f} MB at most")
    if PATIENCE == 1:  # not under sanitizers
        assert peak < MEMORY_CAP


def test_many_at_once_share_the_pool(queue, postgres):
    ids = [queue.put("query", {"sql": f"SELECT {n}, count(*) FROM employees"}) for n in range(200)]
    for n, id in enumerate(ids):
        assert queue.answer(id, 20)["result"]["structuredContent"]["rows"] == [[n, 1000]]
    assert int(postgres.sql("SELECT count(*) FROM pg_stat_activity "
                            "WHERE application_name = 'mcp-relay'")) == 4
    assert postgres.sql("SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in%'") == "0"


def test_a_role_with_least_privileges(redis, postgres):
    with running(redis, postgres, DATABASE_URL=postgres.url_as("reader"),
                 POSTGRES_TABLES="employees, secrets") as queue:
        assert rows(queue, "SELECT count(*) FROM employees") == [[1000]]
        text = failure(queue, "SELECT * FROM secrets")
        assert "permission denied" in text and "DATABASE_URL" in text
        tables = call(queue, "list_tables")["structuredContent"]["rows"]
        assert [row[1] for row in tables] == ["employees"]


def test_functions_can_be_allowed(redis, postgres):
    url = postgres.url.replace("127.0.0.1", "localhost")  # looked up on the event loop
    with running(redis, postgres, DATABASE_URL=url,
                 POSTGRES_FUNCTIONS="twice, public.show_limit") as queue:
        assert rows(queue, "SELECT twice(21), show_limit()") == [[42, 0.3]]
        assert "public.leak" in failure(queue, "SELECT leak()")


def test_database_restart_heals(redis, postgres):
    with running(redis, postgres) as queue:
        assert rows(queue, "SELECT 1") == [[1]]
        postgres.stop()
        text = failure(queue, "SELECT 1")
        assert "database" in text
        postgres.start()
        until(lambda: "isError" not in ask(queue, "SELECT 1"), 30, "the pool is back")
        assert queue.worker.alive() and queue.worker.starts == 1


def test_worker_waits_for_its_database(redis, postgres):
    url = f"postgresql://postgres:hidden-password@127.0.0.1:{postgres.port}/nowhere"
    with Worker("postgres", redis, settings={"DATABASE_URL": url}) as worker:
        until(lambda: '"nowhere" does not exist' in worker.log_text().replace("\\", ""), 10,
              "it says why")
        assert "hidden-password" not in worker.log_text()
        postgres.sql("CREATE DATABASE nowhere")
        until(lambda: redis("EXISTS", "mcp_api:{postgres}"), 30, "it serves")
    with Worker("postgres", redis) as worker:
        until(lambda: "DATABASE_URL is not set" in worker.log_text(), 10, "it says why")


def test_stop_with_queries_running(redis, postgres):
    with running(redis, postgres, WORKER_DRAIN_TIMEOUT=0) as queue:
        queue.put("query", {"sql": "SELECT count(*) FROM generate_series(1, 1e10::bigint) n"})
        running_sql = ("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' "
                       "AND query LIKE '%FROM generate_series%' AND pid <> pg_backend_pid()")
        until(lambda: postgres.sql(running_sql) == "1", 10, "it runs")
        assert queue.worker.stop() == 0
        until(lambda: postgres.sql(running_sql) == "0", 10, "the server noticed")
