"""The postgres API on a real server, as the role that may do most: the superuser."""

import json
import shutil
import subprocess
import time

import pytest
from employees import DATABASE, ask, call, failure, rows, running

from harness import PATIENCE, Cluster, Postgres, Redis, Worker, until


@pytest.fixture(scope="module")
def postgres():
    with Postgres() as server:
        server.sql(DATABASE)
        yield server


@pytest.fixture(scope="module")
def queue(postgres):
    with Redis() as redis, running(redis, postgres, POSTGRES_STATEMENT_TIMEOUT=2) as it:
        yield it


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


def test_every_row_of_the_text_is_a_line(queue):
    text = ask(queue, "SELECT E'a\\nb\\tc' AS \"x\ny\"")["content"][0]["text"]
    assert text.splitlines() == ["x\\ny", "a\\nb\\tc", "(1 row)"]


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


def test_cancelled_queries_do_not_pile_up_in_the_server(redis, postgres):
    """Each leaves a process behind that works on for a second."""
    with running(redis, postgres, POSTGRES_POOL=1) as queue:
        began = time.monotonic()
        for _ in range(6):
            queue.answer(queue.put(
                "query", {"sql": "SELECT count(*) FROM generate_series(1, 1e10::bigint) n"},
                deadline_ms=int(time.time() * 1000) + 300), 10)
        connected = queue.worker.log_text().count('msg="database connected"')
        assert connected <= 2 + (time.monotonic() - began)
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
    # A call waits for a connection 5 s longer than for its query.
    with running(redis, postgres, POSTGRES_STATEMENT_TIMEOUT=2) as queue:
        assert rows(queue, "SELECT 1") == [[1]]
        postgres.stop()
        try:
            text = failure(queue, "SELECT 1")
        finally:
            postgres.start()
        assert "database" in text and "127.0.0.1" not in text
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


def test_a_connection_lost_in_a_query_is_an_error(redis, postgres):
    active = ("FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%) lost%' "
              "AND pid <> pg_backend_pid()")
    with running(redis, postgres, POSTGRES_POOL=1) as queue:
        sql = "SELECT count(*) FROM generate_series(1, 1e11::bigint) lost"
        id = queue.put("query", {"sql": sql})
        until(lambda: postgres.sql(f"SELECT count(*) {active}") == "1", 10, "the query runs")
        postgres.sql(f"SELECT pg_terminate_backend(pid) {active}")
        result = queue.answer(id, 10)["result"]
        assert result["isError"] and "connection to the database was lost" in json.dumps(result)
        assert rows(queue, "SELECT 1") == [[1]]


@pytest.fixture
def certificate(postgres):
    """The server speaks TLS with it, as "localhost"."""
    files = {"cert": postgres.data / "own.crt", "key": postgres.data / "own.key"}
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                    "-keyout", files["key"], "-out", files["cert"]],
                   check=True, capture_output=True)
    files["key"].chmod(0o600)
    for file in files.values():
        shutil.chown(file, postgres.data.owner())
    for name, file in files.items():
        postgres.sql(f"ALTER SYSTEM SET ssl_{name}_file = '{file}'")
    postgres.sql("ALTER SYSTEM SET ssl = on")
    postgres.sql("SELECT pg_reload_conf()")
    until(lambda: postgres.sql("SHOW ssl") == "on", 10, "the server speaks TLS")
    yield files["cert"]
    postgres.sql("ALTER SYSTEM RESET ssl")
    postgres.sql("SELECT pg_reload_conf()")


def test_tls_verifies_the_name(redis, postgres, certificate):
    query = f"?sslmode=verify-full&sslrootcert={certificate}"
    url = postgres.url.replace("127.0.0.1", "localhost") + query
    with running(redis, postgres, DATABASE_URL=url) as queue:
        assert rows(queue, "SELECT 1") == [[1]]
        assert postgres.sql(
            "SELECT bool_or(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) "
            "WHERE application_name = 'mcp-relay'") == "t"
    with Worker("postgres", redis, settings={"DATABASE_URL": postgres.url + query}) as worker:
        until(lambda: "does not match host name" in worker.log_text(), 10, "it refuses")


def test_stop_with_queries_running(redis, postgres):
    with running(redis, postgres, WORKER_DRAIN_TIMEOUT=0) as queue:
        queue.put("query", {"sql": "SELECT count(*) FROM generate_series(1, 1e10::bigint) n"})
        running_sql = ("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' "
                       "AND query LIKE '%FROM generate_series%' AND pid <> pg_backend_pid()")
        until(lambda: postgres.sql(running_sql) == "1", 10, "it runs")
        assert queue.worker.stop() == 0
        until(lambda: postgres.sql(running_sql) == "0", 10, "the server noticed")
