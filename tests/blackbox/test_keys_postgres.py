"""API keys in PostgreSQL: made by mcpctl, looked up by proxies, while it is there and while not."""

import json
import re
import subprocess
import time

import pytest

from harness import (BIN, Postgres, Proxy, Redis, SseClient, clean_environment, metrics, request,
                     until, work_directory)

UNKNOWN = "sk-" + "0" * 16 + "-" + "1" * 64
OUTAGE = 25


def mcpctl(url, *arguments):
    """Without a Redis: keys in PostgreSQL need none."""
    return subprocess.run([BIN / "mcpctl", *arguments], capture_output=True, text=True, check=False,
                          env=clean_environment(DATABASE_URL=url, REDIS_URL="redis://127.0.0.1:1"),
                          cwd=work_directory("mcpctl"), timeout=30)


def new_key(url, *arguments):
    done = mcpctl(url, "key", "create", *arguments)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"sk-[0-9a-z]{16}-[0-9a-z]{64}\n", done.stdout)
    return done.stdout.strip()


def id_of(key):
    return key.split("-")[1]


def status(proxy, key):
    """404 for a good key: it asks for a session that nobody has."""
    return request(proxy, "POST", "/messages/?session_id=" + "0" * 32,
                   json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"}),
                   {"Content-Type": "application/json", "X-API-Key": key}, timeout=20).status


@pytest.fixture(scope="module")
def postgres():
    with Postgres() as server:
        yield server


@pytest.fixture(scope="module")
def redis():
    with Redis() as server:
        yield server


@pytest.fixture(scope="module")
def proxy(postgres, redis):
    settings = {"DATABASE_URL": postgres.url, "API_KEY_OUTAGE": OUTAGE, "REDIS_WAIT_TIMEOUT": 4}
    with Proxy(redis, "pod-a", 2, settings) as started:
        yield started


def test_without_a_table_no_key_is_known(proxy, postgres):
    assert postgres.sql("SELECT to_regclass('mcp_api_keys') IS NULL") == "t"
    assert status(proxy, UNKNOWN) == 401
    assert "mcp_api_keys" in proxy.log_text() and 'store="PostgreSQL' in proxy.log_text()


def test_a_key_is_made_used_listed_and_revoked(proxy, postgres, redis):
    key = new_key(postgres.url, "--name", "it's \"CI\"", "calculator", "conformance:echo")
    with SseClient(proxy, headers={"X-API-Key": key}) as session:
        assert session.request("ping")["result"] == {}
    row = postgres.sql("SELECT id, length(sha256), scopes, name FROM mcp_api_keys")
    assert row == f"{id_of(key)}|64|calculator conformance:echo|it's \"CI\""
    everything = postgres.sql("SELECT * FROM mcp_api_keys") + str(redis("KEYS", "*"))
    assert key.split("-")[2] not in everything + proxy.log_text()
    assert not redis("KEYS", "mcp_api_key*")
    until(lambda: postgres.sql("SELECT count(*) FROM mcp_api_keys WHERE seen_at IS NOT NULL")
          == "1", 30, "the key was seen")
    listed = mcpctl(postgres.url, "key", "list").stdout
    assert id_of(key) in listed and "conformance:echo" in listed and "never" not in listed
    assert mcpctl(postgres.url, "key", "revoke", id_of(key)).returncode == 0
    assert mcpctl(postgres.url, "key", "revoke", id_of(key)).returncode == 1
    until(lambda: status(proxy, key) == 401, 30, "the revoked key refused")


def test_a_wrong_secret_is_refused(proxy, postgres):
    key = new_key(postgres.url, "*")
    assert status(proxy, key) == 404
    assert status(proxy, key[:-1] + ("0" if key[-1] != "0" else "1")) == 401
    assert status(proxy, UNKNOWN) == 401


def test_a_role_that_may_only_read_is_enough(postgres, redis):
    key = new_key(postgres.url, "*")
    postgres.sql("CREATE ROLE reader LOGIN; GRANT SELECT ON mcp_api_keys TO reader;")
    with Proxy(redis, "reader", 1, {"DATABASE_URL": postgres.url_as("reader")}) as proxy:
        assert status(proxy, key) == 404
        until(lambda: "use of API keys is not noted" in proxy.log_text(), 30, "a line about it")
        assert status(proxy, key) == 404
    done = mcpctl(postgres.url_as("reader"), "key", "create", "*")
    assert done.returncode == 1 and "permission denied" in done.stderr


def test_many_keys_at_once_are_one_question(postgres, redis):
    postgres.sql("INSERT INTO mcp_api_keys (id, sha256, scopes) SELECT lpad(n::text, 16, '0'), "
                 "encode(sha256(('sk-' || lpad(n::text, 16, '0') || '-' || repeat('a', 64))::bytea),"
                 " 'hex'), '*' FROM generate_series(1, 300) n")
    with Proxy(redis, "many", 1, {"DATABASE_URL": postgres.url}) as proxy:
        keys = [f"sk-{n:016}-{'a' * 64}" for n in range(1, 301)]
        assert {status(proxy, key) for key in keys} == {404}
        assert metrics(proxy)["mcp_proxy_auth_refused_total"] == 0


def test_an_outage(proxy, postgres):
    """Known keys go on for a while, unknown ones are 503 and not 401; it heals by itself."""
    known, other = new_key(postgres.url, "*"), new_key(postgres.url, "*")
    # Each of the two event loops must have seen it.
    until(lambda: all(status(proxy, known) == 404 for _ in range(12)), 20, "the key known")
    postgres.stop()
    began = time.monotonic()
    assert status(proxy, UNKNOWN) == 503
    assert status(proxy, other) == 503
    assert status(proxy, known) == 404
    assert status(proxy, known[:-4] + "0000") == 401
    until(lambda: status(proxy, known) == 503, 4 * OUTAGE, "the key believed no longer")
    assert time.monotonic() - began > OUTAGE - 12, "given up too soon"
    postgres.start()
    until(lambda: status(proxy, known) == 404, 60, "the key known again")
    until(lambda: status(proxy, UNKNOWN) == 401, 60, "the unknown one refused again")


def test_settings_are_checked(redis):
    done = subprocess.run([BIN / "mcp-proxy"], capture_output=True, text=True, check=False,
                          env=clean_environment(DATABASE_URL="mysql://u:geheim@h/y"),
                          cwd=work_directory("settings"), timeout=20)
    assert done.returncode == 2 and "DATABASE_URL" in done.stderr
    assert "geheim" not in done.stderr
    done = subprocess.run([BIN / "mcp-proxy", "--print-config"], capture_output=True, text=True,
                          env=clean_environment(DATABASE_URL="postgresql://u:geheim@h/y"),
                          cwd=work_directory("settings"), timeout=20, check=False)
    assert "DATABASE_URL=postgresql://" in done.stdout and "geheim" not in done.stdout


def test_the_schema_is_printed(postgres):
    done = mcpctl(postgres.url, "key", "schema")
    assert done.returncode == 0 and "CREATE TABLE IF NOT EXISTS mcp_api_keys" in done.stdout
    postgres.sql(done.stdout)
