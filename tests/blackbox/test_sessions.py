"""What is known of sessions: users' records and indexes, mcpctl session."""

import subprocess

import pytest

from harness import BIN, Cluster, SseClient, clean_environment, metrics, until


def mcpctl(system, *words):
    return subprocess.run([BIN / "mcpctl", *words], capture_output=True, text=True, timeout=20,
                          env=clean_environment(REDIS_URL=system.redis.url), check=False)


def user_of(system, client):
    return system.redis("HGET", f"mcp_session:{{{client.session_id}}}", "user")


def shown(system, client):
    """mcpctl session show, as a dictionary; empty while there is no record."""
    done = mcpctl(system, "session", "show", client.session_id)
    return {line.split(None, 1)[0]: line[19:].strip() for line in done.stdout.splitlines()}


def index(system, user):
    return system.redis("ZRANGE", f"mcp_user_index:{{{user}}}", 0, -1)


@pytest.fixture(scope="module")
def small():
    settings = {"SESSION_REUSE_WINDOW": "600"}
    with Cluster(workers={"calculator": 1}, proxy_env=settings) as cluster:
        yield cluster


def test_a_session_is_on_record_from_its_endpoint_on(small):
    with small.client(0, path="/calculator/sse") as client:
        user = user_of(small, client)
        until(lambda: client.session_id in index(small, user), 10, "it is listed")
        record = until(lambda: shown(small, client), 10, "it is on record")
        assert record["user"] == user and record["user_kind"] == "anonymous"
        assert record["api"] == "calculator" and record["transport"] == "sse"
        assert record["pod"].startswith("pod-a.") and record["detached_ms"] == "never"


@pytest.mark.parametrize("to", [0, 1])
def test_initialize_tells_the_owner_who_its_client_is(small, to):
    with small.client(0) as client:
        answer = client.request("initialize", {
            "protocolVersion": "2025-06-18", "capabilities": {},
            "clientInfo": {"name": f"tester-{to}", "version": "1.2.3"}}, to=small.proxies[to])
        assert answer["result"]["protocolVersion"] == "2025-06-18"
        until(lambda: shown(small, client).get("client") == f"tester-{to}", 10, "it is known")
        record = shown(small, client)
        assert record["client_version"] == "1.2.3" and record["protocol"] == "2025-06-18"
        # The client hears of none of this.
        assert client.surprises == [] and client.notifications == []


def test_a_session_keeps_its_record_when_its_client_comes_back(small):
    path = "/sse?client=comes-back"
    with SseClient(small.proxies[0], path) as client:
        client.initialize()
        for n in range(3):
            assert client.text("calculator_add", {"a": n, "b": 1}) == str(n + 1)
        before = until(lambda: shown(small, client), 10)
    waiting = until(lambda: shown(small, client).get("detached_ms", "never") != "never" and
                    shown(small, client), 10, "it waits")
    assert waiting["messages"] == "4"
    with SseClient(small.proxies[1], path) as again:
        assert again.session_id == client.session_id
        assert again.text("calculator_add", {"a": 1, "b": 1}) == "2"
        record = until(lambda: shown(small, again).get("pod", "").startswith("pod-b.") and
                       shown(small, again), 10, "its new owner is on record")
        assert record["created_ms"] == before["created_ms"]
        assert record["client"] == before["client"] and record["reattaches"] == "1"
        assert record["recoveries"] == "0" and record["detached_ms"] == "never"


def test_a_session_that_ends_is_listed_no_more():
    settings = {"SESSION_UNUSED_TTL": "2", "SSE_PING_INTERVAL": "1"}
    with Cluster(proxies=1, threads=1, workers={"calculator": 1}, proxy_env=settings) as system, \
            system.client(0) as client:
        user = user_of(system, client)
        until(lambda: client.session_id in index(system, user), 10, "it is listed")
        client.wait_closed(20)
        until(lambda: client.session_id not in index(system, user), 10, "it is listed no more")
        assert system.redis("EXISTS", f"mcp_user_session:{{{user}}}:{client.session_id}") == 0


def test_what_nobody_came_back_for_is_cleared_away():
    with Cluster(workers={"calculator": 1},
                 proxy_env={"SESSION_REUSE_WINDOW": "1"}) as system, system.client(0) as stays:
        user = user_of(system, stays)
        with system.client(1) as gone:
            gone.initialize()
            until(lambda: {gone.session_id, stays.session_id} <= set(index(system, user)), 10,
                  "they are listed")
        key = f"mcp_user_session:{{{user}}}:{gone.session_id}"
        until(lambda: not system.redis("EXISTS", key), 10, "its record has expired")
        assert gone.session_id in index(system, user)
        # Its turn would come within ten minutes.
        system.redis("ZADD", "mcp_users", 1, user)
        until(lambda: index(system, user) == [stays.session_id], 20, "it is listed no more")
        assert metrics_sum(system, "mcp_proxy_cleaned_sessions_total") >= 1


def metrics_sum(system, name):
    return sum(metrics(proxy)[name] for proxy in system.proxies)


def test_records_come_back_after_a_flush(small):
    with small.client(0) as client:
        client.initialize()
        user = user_of(small, client)
        until(lambda: shown(small, client).get("client"), 10, "it is on record")
        small.redis.flush()
        until(lambda: client.session_id in (index(small, user) or []), 20, "it is listed again")
        until(lambda: shown(small, client).get("client"), 20, "it is on record again")
    small.wait_catalogue()


def test_mcpctl_lists_a_users_sessions(small):
    with small.client(0) as one, small.client(1, path="/calculator/sse") as two:
        user = user_of(small, one)
        assert user_of(small, two) == user
        for client in (one, two):
            until(lambda: client.session_id in index(small, user), 10, "it is listed")
        rows = mcpctl(small, "session", "list", user).stdout.splitlines()[1:]
        states = {row.split()[0]: row.split()[1] for row in rows}
        assert states[one.session_id] == states[two.session_id] == "open"


@pytest.mark.parametrize("words, status", [
    (("session", "show", "f" * 32), 1), (("session", "show", "xyz"), 2),
    (("session", "list", "xyz"), 2), (("session", "show"), 2)])
def test_mcpctl_says_what_is_wrong(small, words, status):
    done = mcpctl(small, *words)
    assert done.returncode == status and done.stderr.startswith("mcpctl: ")
