"""A database of generated employees, and a postgres worker that is asked about it."""

import contextlib

from queues import Queue

from harness import Worker, until

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


@contextlib.contextmanager
def running(redis, postgres, **settings):
    values = {"DATABASE_URL": postgres.url, "POSTGRES_TABLES": TABLES, **settings}
    redis.flush()
    with Worker("postgres", redis, settings=values) as worker:
        until(lambda: redis("EXISTS", "mcp_api:{postgres}"), 10, worker.tail)
        queue = Queue(redis, "postgres")
        queue.worker = worker
        yield queue


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
