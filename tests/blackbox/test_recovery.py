"""Sessions outlive streams and pods: kills, stops, freezes and flushes."""

import contextlib

import pytest

from harness import (PATIENCE, Cluster, SseClient, SteadyClient, SteadyLoad, percentile, request,
                     session_hash, until)
from harness.ledger import APPEND, ECHO
from recovering import (OFTEN, RECONNECTED, alive, check_a_frozen_pod, echo, keyed, reopen, settle,
                        text_of)


# One client ---------------------------------------------------------------

def test_session_is_found_by_its_id_and_answers_are_kept(system, client):
    session = client
    session.initialize()
    worker = [worker for worker in system.workers if worker.api == "conformance"]
    for one in worker:
        one.freeze()
    try:
        id = session.ask("tools/call", echo("kept"), to=system.proxies[1])
        session.close()
        until(lambda: session_hash(system.redis, session).get("state") == "detached", 5,
              "the session waits")
    finally:
        for one in worker:
            one.thaw()
    until(lambda: system.redis("XLEN", f"mcp_events:{{{session.session_id}}}") > 1, 10,
          "the answer is in the log")
    # A detached session takes POSTs.
    second = session.next_id
    session.next_id += 1
    session.asked.add(str(second))
    assert session.post({"jsonrpc": "2.0", "id": second, "method": "tools/call",
                         "params": echo("late")}).status == 202
    with reopen(system.proxies[1], session,
                f"/sse?session_id={session.session_id}", RECONNECTED) as again:
        assert again.session_id == session.session_id
        assert text_of(again.answer(id)) == "kept"
        assert text_of(again.answer(second)) == "late"
        assert again.text("conformance_echo", {"text": "on"}, to=system.proxies[0]) == "on"
        assert again.surprises == []


@pytest.mark.parametrize("logged", [False, True], ids=["at once", "after a while"])
def test_answer_that_a_client_had_part_of_comes_again(system, logged):
    """More than the kernel takes: the rest is in the proxy when the stream breaks."""
    text = "half" * 180_000
    path = f"/sse?client=half-{logged}"
    with SseClient(system.proxies[0], path, receive_buffer=4096) as session:
        log = f"mcp_events:{{{session.session_id}}}"
        id = session.ask("tools/call", echo(text), to=system.proxies[1])
        until(lambda: system.redis("XLEN", "mcp_requests:{conformance}") == 0, 10, "it has run")
        if logged:
            until(lambda: system.redis("XLEN", log) > 1, 10, "the log has the answer")
    with reopen(system.proxies[1], session, path, RECONNECTED) as again:
        assert again.session_id == session.session_id
        assert text_of(again.answer(id)) == text
        assert again.text("conformance_echo", {"text": "on"}) == "on"
        assert again.surprises == []


@pytest.mark.parametrize("name", ["query", "header", "dashes"])
def test_session_is_taken_over_from_a_living_pod(system, client, name):
    sid = client.session_id
    path, headers = f"/sse?sessionId={sid}", {}
    if name == "header":
        path, headers = "/sse", {"Mcp-Session-Id": sid}
    if name == "dashes":
        path = "/sse?session_id=" + "-".join(
            (sid[:8], sid[8:12], sid[12:16], sid[16:20], sid[20:]))
    with SseClient(system.proxies[1], path, headers=headers) as taker:
        assert taker.session_id == sid
        assert client.wait_closed(5) == "ended"
        assert client.surprises == []
        assert taker.text("conformance_echo", {"text": "mine"}, to=system.proxies[0]) == "mine"
        # The old endpoint still leads there.
        assert request(system.proxies[0], "POST", client.endpoint,
                       '{"jsonrpc":"2.0","method":"notifications/x"}',
                       {"Content-Type": "application/json"}).status == 202


def test_session_is_taken_over_on_the_same_pod(system, client):
    with SseClient(system.proxies[0], f"/sse?session_id={client.session_id}") as taker:
        assert taker.session_id == client.session_id
        assert client.wait_closed(5) == "ended"
        assert taker.text("conformance_echo", {"text": "mine"}, to=system.proxies[1]) == "mine"


def test_session_of_another_path_is_not_found(system, client):
    with SseClient(system.proxies[1],
                   f"/conformance/sse?session_id={client.session_id}") as stranger:
        assert stranger.session_id != client.session_id
    assert client.request("ping")["result"] == {}


def test_foreign_and_unknown_sessions_give_a_new_one(system, client):
    for sid in (client.session_id, "0" * 32, "nonsense", ""):
        with SseClient(system.proxies[1], f"/sse?session_id={sid}",
                       headers={"User-Agent": "stranger/1"}) as stranger:
            assert stranger.session_id not in (sid, client.session_id)
    assert client.request("ping")["result"] == {}
    assert client.state == "open"


def test_two_anonymous_users_behind_one_address(system):
    """Same address, same User-Agent, no key: never each other's session."""
    with contextlib.ExitStack() as stack:
        sessions = [stack.enter_context(system.client(n % 2)) for n in range(6)]
        for session in sessions:
            session.initialize()
        for session in sessions[:3]:
            session.close()
        again = [stack.enter_context(SseClient(system.proxies[n % 2], headers=RECONNECTED))
                 for n in range(3)]
        assert len({session.session_id for session in sessions + again}) == 9


def test_initialize_starts_afresh(system):
    """What the process before awaited does not reach the one that initializes."""
    worker = [worker for worker in system.workers if worker.api == "conformance"]
    with system.client(0, path="/sse?client=restarted") as before:
        before.initialize()
        for one in worker:
            one.freeze()
        try:
            # Ids that the new process will use for initialize and its first call.
            for id in (0, 1, 2):
                before.ask("tools/call", echo(f"stale {id}"), to=system.proxies[1], id=id)
            before.close()
            with SseClient(system.proxies[1], "/sse?client=restarted") as after:
                assert after.session_id == before.session_id
                result = after.initialize(to=system.proxies[0])
                assert result["protocolVersion"] == "2024-11-05"
                for one in worker:
                    one.thaw()
                for n in range(5):
                    assert after.text("conformance_echo", {"text": f"new {n}"},
                                      to=system.proxies[n % 2]) == f"new {n}"
                after.pump(0.5)
                assert after.surprises == []
        finally:
            for one in worker:
                one.thaw()


def test_window_and_recoveries_are_bounded():
    with Cluster(workers={"conformance": 1},
                 proxy_env={"SESSION_REUSE_WINDOW": 3, "SESSION_RECOVERY_MAX": 2}) as system:
        seen = []
        for _ in range(4):
            session = system.client(0, path="/sse?client=restless", headers=RECONNECTED)
            seen.append(session.session_id)
            session.close()
        assert seen[0] == seen[1] == seen[2] != seen[3]
        # After the window a session is gone, for POSTs too.
        with system.client(1) as other:
            until(lambda: request(
                system.proxies[1], "POST", session.endpoint,
                '{"jsonrpc":"2.0","method":"notifications/x"}',
                {"Content-Type": "application/json"}).status == 404, 15, "the session is gone")
            assert other.request("ping")["result"] == {}


# Kills --------------------------------------------------------------------

def test_kills_under_load_with_client_keys(tmp_path):
    book = tmp_path / "ledger"
    book.touch()
    with Cluster(proxies=3, workers={"conformance": 2}, proxy_env=OFTEN,
                 worker_env={"LEDGER_FILE": book}) as system:
        clients = keyed(system, 12)
        with SteadyLoad(clients) as load:
            until(lambda: load.answered() > 200 or load.failed, 30, "calls go on")
            for n in range(9):
                proxy = system.proxies[n % 3]
                proxy.checked_kill()
                goal = load.answered() + 100
                until(lambda goal=goal: load.answered() > goal or load.failed, 40,
                      "calls go on without it")
                proxy.start()
        settle(clients)
        load.check(written=book.read_text().splitlines())
        for client in clients:
            assert len(set(client.sessions)) == 1, client.sessions
            assert set(client.statuses) == {200}
            client.close()
        times = load.resumes()
        print(f"{load.answered()} calls, {len(times)} resumes: p50 {percentile(times, .5):.2f} s, "
              f"p99 {percentile(times, .99):.2f} s")
        assert percentile(times, .99) <= 5 * PATIENCE


def test_kills_without_keys_never_give_a_wrong_answer():
    with Cluster(proxies=3, workers={"conformance": 2}, proxy_env=OFTEN) as system:
        # What was in flight is lost to them: no use to wait for it long.
        clients = [SteadyClient(f"client-{n}", alive(system), answer_s=3) for n in range(8)]
        with SteadyLoad(clients) as load:
            until(lambda: load.answered() > 100 or load.failed, 30, "calls go on")
            for n in range(3):
                system.proxies[n].checked_kill()
                system.proxies[n].start()
        assert [wrong for client in clients for wrong in client.wrong] == []
        assert all(set(client.statuses) == {200} for client in clients)
        assert len({sid for client in clients for sid in client.sessions}) == \
            sum(len(client.sessions) for client in clients)
        for client in clients:
            client.close()


def test_fifty_clients_of_one_address_with_keys():
    """Their pod dies with calls in flight: each gets its own session and answer."""
    with Cluster(proxies=2, workers={"conformance": 2}, proxy_env=OFTEN) as system:
        first, second = system.proxies
        before = [SseClient(first, f"/sse?client=tenant-{n}") for n in range(50)]
        for session in before:
            session.initialize()
        for worker in system.workers:
            worker.freeze()
        asked = [session.ask("tools/call", echo(f"answer of {n}"), to=second)
                 for n, session in enumerate(before)]
        first.checked_kill()
        for worker in system.workers:
            worker.thaw()
        after = [reopen(second, session, session.path, RECONNECTED) for session in before]
        for n, (old, new, id) in enumerate(zip(before, after, asked)):
            assert new.session_id == old.session_id
            assert text_of(new.answer(id)) == f"answer of {n}"
        for session in after:
            session.pump(0.01)
            assert session.surprises == []
            session.close()


def test_dead_pods_inbox_is_swept():
    """Answers that come long after their pod died are kept for the client."""
    with Cluster(proxies=2, workers={"conformance": 1}, proxy_env=OFTEN) as system:
        first, second = system.proxies
        with SseClient(first, "/sse?client=patient") as session:
            session.initialize()
            inbox = f"mcp_replies:{{{system.redis.hash(f'mcp_transport:{{{session.session_id}}}')['pod']}}}"
            system.workers[0].freeze()
            id = session.ask("tools/call", echo("swept"), to=second)
            first.checked_kill()
            system.workers[0].thaw()
            until(lambda: system.redis("XLEN", inbox) == 1, 10, "the answer came to the dead pod")
            until(lambda: system.redis("XLEN", inbox) == 0, 40, "somebody swept it")
            until(lambda: system.redis("XLEN", f"mcp_events:{{{session.session_id}}}") >= 2, 10,
                  "the answer is in the log")
            with reopen(second, session, session.path, RECONNECTED) as again:
                assert text_of(again.answer(id)) == "swept"
                assert again.surprises == []


def test_frozen_pod_writes_nothing_into_sessions_that_moved_on():
    check_a_frozen_pod(20)


def test_flushed_redis_under_500_sessions():
    with Cluster(proxies=2, workers={"conformance": 2}) as system:
        sessions = [SseClient(system.proxies[n % 2], f"/sse?client=key-{n}") for n in range(500)]
        system.redis.flush()
        # Until the workers have published their tools again, calls are refused.
        until(lambda: not system.redis("EXISTS", "mcp_api:{conformance}"), 5, "all is lost")
        until(lambda: system.redis("EXISTS", "mcp_api:{conformance}"), 30, "tools are back")
        for n, session in enumerate(sessions):
            to = system.proxies[(n + 1) % 2]
            if n < 10:
                until(lambda session=session, to=to: "conformance_echo" in session.tools(to=to),
                      10, "the proxy knows them")
            if n % 10 == 0:
                asked = session.request("tools/call", echo(f"{n}"), to=to, seconds=30)
                assert "error" not in asked or "Unknown tool" in asked["error"]["message"]
        for n, session in enumerate(sessions):
            assert session.request("ping", to=system.proxies[n % 2])["result"] == {}
            assert session.state == "open" and session.surprises == []
        # Their keys lead to them again.
        with SseClient(system.proxies[0], "/sse?client=key-1") as again:
            assert again.session_id == sessions[1].session_id
        for session in sessions:
            session.close()


# Stops --------------------------------------------------------------------

def test_rolling_stops_fail_no_call(tmp_path):
    """A new pod is ready before an old one stops, and takes its clients."""
    env = {"SSE_RETRY_MS": 300, "DRAIN_DELAY": 1}
    book = tmp_path / "ledger"
    book.touch()
    with Cluster(proxies=3, workers={"conformance": 2}, proxy_env=env,
                 worker_env={"LEDGER_FILE": book}) as system:
        ready = set(system.proxies)

        def servers():
            return [proxy for proxy in system.proxies if proxy in ready]

        system.proxies[2].stop()
        ready.discard(system.proxies[2])
        clients = [SteadyClient(f"client-{n}", servers, f"/sse?client=key-{n}",
                                tools=(ECHO, APPEND)) for n in range(12)]
        with SteadyLoad(clients) as load:
            until(lambda: load.answered() > 100 or load.failed, 30, "calls go on")
            for n in range(6):
                new, old = system.proxies[(n + 2) % 3], system.proxies[n % 3]
                new.start()
                ready.add(new)
                ready.discard(old)
                old.stop(40)
                goal = load.answered() + 50
                until(lambda goal=goal: load.answered() > goal or load.failed, 30, "calls go on")
        settle(clients)
        load.check(repeats=0, written=book.read_text().splitlines())
        for client in clients:
            assert set(client.statuses) == {200} and client.errors == {}
            assert len(set(client.sessions)) == 1, client.sessions
            assert set(client.calls.values()) == {"accepted"}, client.calls
            client.close()
        times = load.resumes()
        print(f"{load.answered()} calls, {len(times)} planned moves: "
              f"p50 {percentile(times, .5):.2f} s, p99 {percentile(times, .99):.2f} s")


def test_draining_waits_for_the_last_answer():
    with Cluster(proxies=2, workers={"conformance": 1}) as system:
        first, second = system.proxies
        busy, idle = system.client(0), system.client(0)
        for session in (busy, idle):
            session.initialize()
        system.workers[0].freeze()
        id = busy.ask("tools/call", echo("last"), to=second)
        first.signal(15)
        assert idle.wait_closed(10) == "ended"
        busy.pump(1)
        assert busy.state == "open"
        system.workers[0].thaw()
        assert text_of(busy.answer(id)) == "last"
        assert busy.wait_closed(10) == "ended"
        assert first.wait(20) == 0
        for session in (busy, idle):
            assert session.parser.buffer == b"" and session.surprises == []
            assert session.chunks.ended


def test_not_ready_but_serving_before_it_drains():
    with Cluster(proxies=1, workers={"conformance": 1}, proxy_env={"DRAIN_DELAY": 3}) as system:
        proxy = system.proxies[0]
        with system.client(0) as session:
            proxy.signal(15)
            until(lambda: proxy.probe("/readyz") == 503, 2, "it is not ready")
            assert proxy.probe("/healthz") == 200
            assert session.text("conformance_echo", {"text": "still"}) == "still"
            with system.client(0) as late:
                assert late.request("ping")["result"] == {}
                assert late.wait_closed(15) == "ended"
            assert session.wait_closed(15) == "ended"
        assert proxy.wait(20) == 0


def test_drain_timeout_answers_with_errors_once():
    env = {"DRAIN_TIMEOUT": 2}
    with Cluster(proxies=2, workers={"conformance": 1}, proxy_env=env) as system:
        first, second = system.proxies
        with SseClient(first, "/sse?client=unlucky") as session:
            session.initialize()
            system.workers[0].freeze()
            asked = [session.ask("tools/call", echo("never"), to=second) for _ in range(3)]
            asked.append(session.ask("tools/call", echo("never"), to=second, id="text"))
            first.signal(15)
            for id in asked:
                assert session.answer(id, 10)["error"]["code"] == -32002
            assert session.wait_closed(10) == "ended"
            assert first.wait(20) == 0
            with reopen(second, session, session.path, RECONNECTED) as again:
                assert again.session_id == session.session_id
                system.workers[0].thaw()
                assert again.text("conformance_echo", {"text": "now"}) == "now"
                again.pump(3)
                assert again.surprises == [] and set(again.answers) <= {str(again.next_id - 1)}


def test_old_streams_are_rotated():
    env = {"STREAM_MAX_AGE": 2, "SSE_PING_INTERVAL": 1, "SSE_RETRY_MS": 300}
    with Cluster(proxies=2, workers={"conformance": 1}, proxy_env=env) as system:
        client = SteadyClient("old", alive(system), "/sse?client=old").open()
        until(lambda: client.wait(client.call()) and len(client.sessions) >= 3, 30,
              "the stream was rotated twice")
        assert len(set(client.sessions)) == 1 and client.wrong == []
        assert client.unanswered() == [] and client.repeats() == 0
        client.close()
