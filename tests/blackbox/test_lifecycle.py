"""Programs that start and stop while others go on."""

import signal
import time

import pytest

from harness import Cluster, Worker, until
from load import Load


def echo(text):
    return {"name": "conformance_echo", "arguments": {"text": text}}


def test_worker_drains_on_sigterm():
    """Rolling restarts under load: a read that was blocking in Redis when the
    signal came must not take a call along."""
    def go_on(count):
        goal = load.total() + count
        until(lambda: load.total() > goal or load.wrong, 40, "calls go on")

    with Cluster(workers={"conformance": 2}) as system:
        with Load(system) as load:
            for worker in system.workers * 4:
                go_on(200)
                worker.stop()
                go_on(200)
                worker.start()
                if load.wrong:
                    break
        load.check()


def test_catalogue_is_withdrawn_when_the_last_worker_leaves():
    with Cluster(workers={"calculator": 2, "conformance": 1},
                 worker_env={"WORKER_CATALOGUE_TTL": 0}) as system, \
            system.client(0) as session:
        first, second = system.workers[:2]
        first.stop()
        assert "calculator_add" in session.tools()
        assert session.text("calculator_add", {"a": 1, "b": 2}) == "3"
        second.stop()
        for proxy in system.proxies:
            until(lambda to=proxy: "calculator_add" not in session.tools(to=to), 15,
                  f"{proxy.name} lists no add")
        assert "conformance_echo" in session.tools()
        answer = session.request("tools/call", {"name": "calculator_add", "arguments": {}})
        assert "error" in answer or answer["result"]["isError"]
        first.start()
        system.wait_catalogue()
        assert session.text("calculator_add", {"a": 3, "b": 4}) == "7"


def test_tools_of_an_api_that_is_scaled_to_none_stay():
    """Until its time is over, or an operator removes it at once."""
    with Cluster(workers={"calculator": 1, "conformance": 1}) as system, \
            system.client(0) as session:
        worker = system.workers[0]
        assert worker.stop() == 0
        assert "calculator_add" in session.tools(to=system.proxies[1])
        id = session.ask("tools/call", {"name": "calculator_add", "arguments": {"a": 1, "b": 2}})
        until(lambda: system.redis("XLEN", "mcp_requests:{calculator}") == 1, 5, "it waits")
        worker.start()
        assert session.answer(id)["result"]["structuredContent"] == {"result": 3}
        assert worker.stop() == 0
        system.redis("DEL", "mcp_api:{calculator}")
        until(lambda: "calculator_add" not in session.tools(), 15, "it is removed")


def test_worker_killed_while_another_goes_on():
    with Cluster(workers={"conformance": 2}) as system, system.client(0) as session:
        system.workers[0].checked_kill()
        for n in range(50):
            text = f"call {n}"
            assert session.text("conformance_echo", {"text": text}, to=system.proxies[1]) == text


def test_calls_wait_for_a_worker_that_comes_back():
    with Cluster(workers={"conformance": 1}) as system, system.client(0) as session:
        system.workers[0].checked_kill()
        asked = [session.ask("tools/call", echo(f"{n}"), to=system.proxies[1]) for n in range(20)]
        with Worker("conformance", system.redis, "conformance-9"):
            for n, id in enumerate(asked):
                assert session.answer(id)["result"]["content"][0]["text"] == f"{n}"
        assert session.surprises == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_proxy_stops_cleanly_and_ends_its_streams(number):
    with Cluster(workers={"conformance": 1}) as system:
        sessions = [system.client(0) for _ in range(50)]
        for session in sessions:
            assert session.text("conformance_echo", {"text": "x"}, to=system.proxies[1]) == "x"
        proxy = system.proxies[0]
        proxy.signal(number)
        assert proxy.wait(20) == 0
        assert proxy.sanitizer_report() is None
        for session in sessions:
            assert session.wait_closed(5) == "ended"
            assert session.parser.buffer == b"" and session.surprises == []


def test_stopping_proxy_is_not_ready_and_the_other_takes_over():
    with Cluster(workers={"conformance": 1}, balancer=True) as system:
        first, second = system.proxies
        first.signal(signal.SIGTERM)
        assert first.wait(20) == 0
        until(lambda: system.balancer._answers(), 10, "the balancer found the other")
        with system.client(1) as session:
            assert session.text("conformance_echo", {"text": "x"}) == "x"
        assert second.alive()


def test_killed_proxy_does_not_disturb_the_other():
    with Cluster(workers={"conformance": 2}) as system:
        with Load(system, sessions=8, servers=[system.proxies[1]]) as load:
            until(lambda: load.total() > 200, 20, "calls go on")
            held = [session for session in load.sessions if session.server is system.proxies[1]]
            system.proxies[0].checked_kill()
            done = sum(load.answered[1::2])
            until(lambda: sum(load.answered[1::2]) > done + 200, 20, "the other's sessions go on")
        for session in held:
            session.pump(0)
            assert session.state == "open" and session.surprises == []


def test_call_is_not_begun_after_its_deadline():
    with Cluster(workers={"conformance": 1}, proxy_env={"CALL_TIMEOUT": "1"}) as system, \
            system.client(0) as session:
        system.workers[0].checked_kill()
        began = time.monotonic()
        id = session.ask("tools/call", echo("too late"), to=system.proxies[1])
        until(lambda: time.monotonic() > began + 1.5, 10)
        system.workers[0].start()
        answer = session.answer(id)
        assert answer["error"]["message"], answer
        assert session.text("conformance_echo", {"text": "in time"}) == "in time"


def test_full_queue_refuses_calls():
    with Cluster(workers={"conformance": 1}, proxy_env={"QUEUE_MAX": "5"}) as system, \
            system.client(0) as session:
        system.workers[0].checked_kill()
        asked = []

        def refused():
            asked.append(session.ask("tools/call", echo(f"{len(asked)}")))
            session.pump(0.01)
            return any("error" in answer for answer in session.answers.values())
        until(refused, 10, "a call is refused")
        assert system.redis("XLEN", "mcp_requests:{conformance}") >= 5
        assert len(asked) > 5
        system.workers[0].start()
        for n, id in enumerate(asked):
            answer = session.answer(id)
            assert "error" in answer or answer["result"]["content"][0]["text"] == f"{n}"
        until(lambda: "result" in session.request("tools/call", echo("again")), 10, "room again")
