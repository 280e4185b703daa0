"""Redis going away, coming back, losing everything, hanging."""

import concurrent.futures
import re
import time

import pytest

from harness import PATIENCE, Cluster, Proxy, SseClient, request, until
from load import Load


def test_killed_and_restarted_under_load():
    with Cluster(appendonly="always") as system:
        with Load(system) as load:
            for _ in range(3):
                until(lambda goal=load.total() + 200: load.total() > goal or load.wrong, 20,
                      "calls go on")
                system.redis.kill()
                system.redis.restart()
            until(lambda goal=load.total() + 200: load.total() > goal or load.wrong, 20,
                  "calls go on")
        print(f"{load.accepted} accepted, refused: {load.refused}")
        load.check(refused={503})
        system.assert_no_restart()


def call_of(id, text):
    return {"jsonrpc": "2.0", "id": id, "method": "tools/call",
            "params": {"name": "conformance_echo", "arguments": {"text": text}}}


def test_post_waits_for_redis_and_succeeds():
    with Cluster(workers={"conformance": 1}, appendonly="always") as system, \
            system.client(0) as session, concurrent.futures.ThreadPoolExecutor(1) as pool:
        session.initialize()
        system.redis.kill()
        session.asked.add("7")
        posting = pool.submit(session.post, call_of(7, "patience"), system.other(session))
        with pytest.raises(concurrent.futures.TimeoutError):
            posting.result(1)  # no answer while Redis is away
        system.redis.restart()
        assert posting.result(10 * PATIENCE).status == 202
        assert session.answer(7)["result"]["content"][0]["text"] == "patience"


@pytest.fixture
def hasty():
    """Waits one second for Redis."""
    with Cluster(workers={"conformance": 1}, proxy_env={"REDIS_WAIT_TIMEOUT": "1"},
                 appendonly="always") as system:
        yield system


@pytest.mark.parametrize("how", ["kill", "freeze"])
def test_post_answers_503_when_redis_stays_away(hasty, how):
    with hasty.client(0) as session:
        session.initialize()
        getattr(hasty.redis, how)()
        began = time.monotonic()
        response = session.post(call_of(7, "x"), to=hasty.other(session))
        took = time.monotonic() - began
        assert response.status == 503
        assert response.header("Retry-After") is not None
        assert 0.5 < took < 12
        session.pump(0)
        assert session.state == "open"
        if how == "kill":
            hasty.redis.restart()
        else:
            hasty.redis.thaw()
        session.asked.add("7")  # with a frozen Redis its fate was unknown
        until(lambda: session.post({"jsonrpc": "2.0", "method": "notifications/x"}).status == 202,
              15, "accepted again")
        until(lambda: all(proxy.probe("/readyz") == 200 for proxy in hasty.proxies), 15,
              "both reach Redis again")
        assert session.text("conformance_echo", {"text": "back"}, to=hasty.other(session)) == "back"
        hasty.assert_no_restart()


def test_ping_needs_no_redis_on_the_pod_that_holds_the_stream(hasty):
    """What needs no tool is answered from what the pod knows, or refused."""
    with hasty.client(0) as session:
        session.initialize()
        hasty.redis.kill()
        assert session.post({"jsonrpc": "2.0", "id": 9, "method": "ping"}).status in (202, 503)
        assert all(proxy.probe("/healthz") == 200 for proxy in hasty.proxies)
        hasty.redis.restart()


def test_away_for_longer_than_a_pod_may_be_silent():
    """When it is back, streams have the time that a heartbeat takes."""
    with Cluster(workers={"conformance": 1}, appendonly="always") as system, \
            system.client(0) as session, system.client(1) as idle:
        system.redis.kill()
        gone = time.monotonic()
        until(lambda: [each.pump(0.1) for each in (session, idle)]
              and time.monotonic() - gone > 12, 15, "it stays away")
        system.redis.restart()
        for each in session, idle:
            assert each.text("conformance_echo", {"text": "on"}, seconds=10) == "on"
            assert each.state == "open" and each.surprises == []


def test_full_for_longer_than_a_pod_may_be_silent():
    """Pods and workers stay alive to each other, streams open; answers come when they can."""
    with Cluster() as system, system.client(0) as session, system.client(1) as idle:
        id = session.ask("tools/call", {"name": "conformance_sleep",
                                        "arguments": {"delay_ms": 2000}})
        until(lambda: system.redis("XLEN", "mcp_requests:{conformance}") == 1, 5, "it is queued")
        system.redis("CONFIG", "SET", "maxmemory", "1")
        since = int(time.time() * 1000)
        for pod in system.redis("KEYS", "mcp_pod:*"):
            until(lambda key=pod: int(system.redis("HGET", key, "seen_ms")) > since + 13000, 30,
                  "heartbeats")
        system.redis("CONFIG", "SET", "maxmemory", "0")
        assert "result" in session.answer(id, 10)
        for each in session, idle:
            assert each.text("conformance_echo", {"text": "on"}, seconds=10) == "on"
        assert "reason=isolated" not in "".join(proxy.log_text() for proxy in system.proxies)


@pytest.mark.parametrize("word", ["MISCONF", "NOREPLICAS"])
def test_refusing_writes_for_longer_than_a_pod_may_be_silent(word):
    """Nobody can take anything: streams stay, who comes waits, what runs is answered then."""
    with Cluster(workers={"conformance": 2}) as system, system.client(0) as session, \
            concurrent.futures.ThreadPoolExecutor(1) as pool:
        known = system.client(1, path="/sse?client=k")
        known.close()
        ids = [session.ask("tools/call", {"name": "conformance_sleep",
                                          "arguments": {"delay_ms": 1000}}) for _ in range(8)]
        until(lambda: system.redis("XPENDING", "mcp_requests:{conformance}", "workers")[0] == 8
              and system.redis("HGET", f"mcp_session:{{{known.session_id}}}", "state")
              == "detached", 5, "they run, and a client has gone")
        with system.redis.refusing(word):
            began = time.monotonic()
            back = pool.submit(SseClient, system.proxies[0], "/sse?client=k", timeout=60)
            until(lambda: session.pump(0.1) or time.monotonic() - began > 16, 20, "it lasts")
            for server in system.proxies:
                refused = session.post(call_of(99, "x"), to=server)
                assert refused.status == 503 and int(refused.header("Retry-After")) > 0
            assert not session.answers and session.state == "open" and not back.done()
            assert all(proxy.probe("/readyz") == 200
                       and request(proxy, "GET", "/metrics").body.count(b"refusing_loops 2") == 1
                       for proxy in system.proxies)
        with back.result(20) as again:
            assert again.session_id == known.session_id
            assert again.text("conformance_echo", {"text": "on"}, seconds=10) == "on"
        for id in ids:
            assert "result" in session.answer(id, 15)
        assert session.text("conformance_echo", {"text": "on"}, seconds=10) == "on"
        assert session.surprises == []
        logs = "".join(program.log_text() for program in system.proxies + system.workers)
        assert f'error="{word}' in logs and "remedy=" in logs
        assert "entry taken over" not in logs and "reason=isolated" not in logs
        assert logs.count('"heartbeat refused"') < 20 and logs.count("leases not renewed") < 10


def test_pod_that_may_not_write_any_more_is_left():
    """Refused to it alone: others may take its sessions, and clients go to them."""
    with Cluster(workers={"conformance": 1}) as system:
        system.redis("ACL", "SETUSER", "second", "on", ">x", "+@all", "~*", "&*")
        url = system.redis.url.replace("//", "//second:x@")
        with Proxy(system.redis, "pod-second", settings={"REDIS_URL": url},
                   directory=system.directory) as second:
            session = SseClient(second, path="/sse?client=k")
            assert session.text("conformance_echo", {"text": "on"}) == "on"
            system.redis("ACL", "SETUSER", "second", "-evalsha", "-eval")
            session.wait_closed(20)
            until(lambda: second.probe("/readyz") == 503, 5, "it is not ready")
            assert "reason=isolated" in second.log_text() and "remedy=" in second.log_text()
            with system.client(0, path="/sse?client=k") as again:
                assert again.session_id == session.session_id
                system.redis("ACL", "SETUSER", "second", "+@all")
                until(second.is_ready, 10, "it may write again")
                assert again.text("conformance_echo", {"text": "on"}, to=second) == "on"
            session.close()


def test_flushed():
    with Cluster() as system:
        sessions = [system.client(n % 2) for n in range(8)]
        for session in sessions:
            session.initialize()
            assert session.text("calculator_add", {"a": 1, "b": 2}, to=system.other(session)) == "3"
        system.redis.flush()

        def works(session):
            id = session.next_id
            session.next_id += 1
            session.asked.add(str(id))
            response = session.post(call_of(id, "again"), to=system.other(session))
            return response.status == 202 and session.answer(id).get("result")
        for session in sessions:
            result = until(lambda one=session: works(one), 20, "the session works again")
            assert result["content"][0]["text"] == "again"
            assert session.surprises == []
        with SseClient(system.proxies[1]) as fresh:
            sum_of = {"name": "calculator_add", "arguments": {"a": 20, "b": 22}}
            answer = fresh.request("tools/call", sum_of, to=system.proxies[0])
            assert answer["result"]["structuredContent"] == {"result": 42}
        system.assert_no_restart()


def test_apis_stay_known_to_a_flushed_redis():
    """Their workers publish anew with the next heartbeat; calls wait for that."""
    with Cluster(workers={"conformance": 1}) as system, system.client(0) as session:
        session.initialize()
        tools = set(session.tools())
        system.redis.flush()
        deadline = time.monotonic() + 20 * PATIENCE
        while not system.redis("EXISTS", "mcp_api:{conformance}"):
            assert time.monotonic() < deadline
            assert set(session.tools()) == tools
        assert session.text("conformance_echo", {"text": "back"}) == "back"
        system.assert_no_restart()


def test_lost_consumer_group_and_scripts_heal():
    with Cluster(workers={"conformance": 2}) as system, system.client(0) as session:
        other = system.other(session)
        assert session.text("conformance_echo", {"text": "1"}, to=other) == "1"
        system.redis("XGROUP", "DESTROY", "mcp_requests:{conformance}", "workers")
        assert session.text("conformance_echo", {"text": "2"}, to=other) == "2"
        system.redis("SCRIPT", "FLUSH")
        assert session.text("conformance_echo", {"text": "3"}, to=other) == "3"
        with SseClient(other) as fresh:
            assert fresh.text("conformance_echo", {"text": "4"}, to=session.server) == "4"
        for kind in ("normal", "pubsub"):
            system.redis("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
        assert session.text("conformance_echo", {"text": "5"}, to=other) == "5"
        assert session.surprises == []
        system.assert_no_restart()


def test_started_before_redis():
    """Programs wait for Redis instead of ending."""
    with Cluster(workers={"conformance": 1}, proxies=1) as system:
        system.redis.kill()
        proxy, worker = system.proxies[0], system.workers[0]
        proxy.stop()
        worker.stop()
        proxy.start(ready=False)
        worker.start(ready=False)
        until(lambda: proxy.probe("/healthz") == 200, 10, "alive without Redis")
        assert proxy.probe("/readyz") == 503
        system.redis.restart()
        until(proxy.is_ready, 10, "ready with Redis")
        system.wait_catalogue()
        with system.client() as session:
            assert session.text("conformance_echo", {"text": "hello"}) == "hello"


def test_few_redis_commands_for_each_call(system):
    """Batches: at 64 calls in flight at most four commands a call."""
    with Load(system, sessions=64) as load:
        until(lambda: load.total() > 200, 30, "warm")
        calls, before = load.total(), sum(system.redis.command_calls().values())
        until(lambda: load.total() - calls > 2000, 60, "2,000 calls")
        after, done = sum(system.redis.command_calls().values()), load.total() - calls
    load.check()
    print(f"{(after - before) / done:.2f} Redis commands for each call")
    assert (after - before) / done < 8  # Python's clients leave the batches half empty


# Keys without an expiry, and who keeps or removes them.
LASTING = re.compile(
    r"mcp_apis$"                # the janitors: APIs without workers and calls leave it
    r"|mcp_pods$"               # sweepers: dead pods leave it
    r"|mcp_requests:\{[^}]*\}$" # the janitors: with their API
    r"|mcp_user_secret$|mcp_api_key")  # operators


def lasting_keys(redis):
    """Keys that neither expire nor belong to anybody."""
    return {key for key in redis("KEYS", "*")
            if redis("PTTL", key) == -1 and not LASTING.match(key)}


def test_every_key_expires_or_has_an_owner():
    with Cluster(workers={"conformance": 1}, proxy_env={"CALL_TIMEOUT": "2"}) as system:
        with system.client(0) as session, \
                system.client(1, path="/sse?client=k") as other:
            assert session.text("conformance_echo", {"text": "1"}) == "1"
            assert other.text("conformance_echo", {"text": "2"}, to=system.proxies[0]) == "2"
            session.post({"jsonrpc": "2.0", "method": "notifications/cancelled",
                          "params": {"requestId": 999}}, to=system.proxies[1])
            until(lambda: system.redis("EXISTS", "mcp_cancel:{conformance}"), 5, "cancelled")
            system.workers[0].kill()
            # Nobody takes this one in time: a proxy answers it.
            assert "error" in session.request("tools/call", {
                "name": "conformance_echo", "arguments": {"text": "late"}})
            until(lambda: not lasting_keys(system.redis), 10,
                  lambda: f"no key stays for ever: {lasting_keys(system.redis)}")
        system.workers.clear()


def test_nothing_stays_of_an_api_that_was_removed():
    with Cluster(workers={"conformance": 1}, worker_env={"WORKER_CATALOGUE_TTL": 0}) as system, \
            system.client(0) as session:
        assert session.text("conformance_echo", {"text": "1"}) == "1"
        worker = system.workers[0]
        worker.stop()
        until(lambda: not system.redis("EXISTS", "mcp_requests:{conformance}", "mcp_apis"), 20,
              lambda: f"no queue is left: {system.redis('KEYS', '*')}")
        worker.start()
        system.wait_catalogue()
        assert session.text("conformance_echo", {"text": "2"}) == "2"
