"""How a worker treats the calls it has: at once, in time, cancelled, given back."""

import json
import signal
import time

import pytest
from queues import BEAT, SID, Queue, lines, running

from harness import PATIENCE, Cluster, Worker, until


def soon_ms(seconds):
    return int((time.time() + seconds) * 1000)


def beat_of(redis):
    """The only worker's heartbeat."""
    (key,) = redis("KEYS", "mcp_worker:*")
    return redis.hash(key)


def cancel(redis, id, session=SID):
    redis("XADD", "mcp_cancel:{conformance}", "*", "session", session, "request", id)


def test_many_calls_at_once(redis):
    with running(redis) as (_, queue):
        begun = time.monotonic()
        ids = [queue.put("sleep", {"delay_ms": 700}) for _ in range(200)]
        for id in ids:
            assert "result" in queue.answer(id, 10)
        # One after the other they would take 140 s.
        assert time.monotonic() - begun < 30


def test_reads_only_as_far_as_there_is_room(redis):
    with running(redis, WORKER_CONCURRENCY=3, WORKER_BATCH=64) as (_, queue):
        for _ in range(8):
            queue.put("sleep", {"delay_ms": 1500})
        until(lambda: redis("XPENDING", queue.key, "workers")[0] == 3, 5, "three run")
        assert queue.text("echo", {"text": "after all"}, 20) == "after all"
        until(queue.is_empty, 10, "all are done")


def test_full_worker_takes_over_what_only_needs_an_answer(redis, ledger):
    settings = {"WORKER_RECLAIM_IDLE": 2, "WORKER_CONCURRENCY": 2, "LEDGER_FILE": ledger}
    with running(redis, **settings) as (worker, queue):
        unsafe = queue.put("ledger_append", {"nonce": "x", "delay_ms": 60000})
        safe = queue.put("ledger_contains", {"nonce": "x", "delay_ms": 500})
        until(lambda: redis("XPENDING", queue.key, "workers")[0] == 2, 5, "they run")
        worker.kill()
        with Worker("conformance", redis, "second", settings):
            for _ in range(2):
                queue.put("sleep", {"delay_ms": 7000})
            assert queue.answer(unsafe, 5)["error"]["code"] == -32002
            assert queue.answer(safe, 15)["result"]


def test_never_more_than_there_is_room_for(redis):
    with running(redis, WORKER_CONCURRENCY=3) as (_, queue):
        for _ in range(9):
            queue.put("sleep", {"delay_ms": 400})
        most = 0

        def done():
            nonlocal most
            most = max(most, redis("XPENDING", queue.key, "workers")[0])
            return queue.is_empty()
        until(done, 10, "all are done")
        # What has been answered may rest until its batch is confirmed.
        assert 3 <= most <= 6


def test_long_call_keeps_its_entry(redis):
    with running(redis, WORKER_RECLAIM_IDLE=2) as (_, queue), \
            Worker("conformance", redis, "second", {"WORKER_RECLAIM_IDLE": 2}):
        id = queue.put("sleep", {"delay_ms": 6000})
        rested = []

        def answered():
            for entry in redis("XPENDING", queue.key, "workers", "-", "+", 10):
                rested.append(entry[2])
                assert entry[3] == 1, "delivered once"
            return queue.messages()
        until(answered, 12, "the answer")
        assert "result" in queue.answer(id)
        assert max(rested) < 2000
        assert len(queue.messages()) == 1


@pytest.mark.parametrize("tool, text", [
    ("sleep", "the tool did not answer before the call's deadline"),
    ("stubborn", "the tool did not answer before the call's deadline")])
def test_running_call_past_its_deadline(redis, ledger, tool, text):
    arguments = {"delay_ms": 3000} | ({"nonce": "told"} if tool == "sleep" else {})
    with running(redis, LEDGER_FILE=ledger) as (worker, queue):
        id = queue.put(tool, arguments, deadline_ms=soon_ms(1))
        assert queue.answer(id)["error"] == {"code": -32001, "message": text}
        assert time.time() * 1000 < soon_ms(0) + 2000
        until(queue.is_empty, 5, "the entry is gone")
        assert lines(ledger) == (["told"] if tool == "sleep" else [])
        # What the stubborn tool says in the end is nobody's answer.
        assert queue.text("echo", {"text": "on"}) == "on"
        until(lambda: beat_of(redis)["running"] == "0", BEAT, "the tool has let go")
        assert len(queue.messages()) == 2 and worker.alive()


def test_waiting_call_past_its_deadline(redis):
    with running(redis) as (_, queue):
        for _ in range(2):
            queue.put("pair", {"delay_ms": 2500})
        id = queue.put("pair", {"delay_ms": 0}, deadline_ms=soon_ms(1))
        assert queue.answer(id)["error"]["message"] == "deadline passed before the call began"
        assert len(queue.messages()) == 1


def test_cancelled_call_is_told_and_not_answered(redis, ledger):
    with running(redis, LEDGER_FILE=ledger) as (_, queue):
        id = queue.put("sleep", {"delay_ms": 60000, "nonce": "told"})
        other = queue.put("sleep", {"delay_ms": 2000})
        until(lambda: redis("XPENDING", queue.key, "workers")[0] == 2, 5, "both run")
        cancel(redis, id)
        until(lambda: lines(ledger) == ["told"], 5, "the tool is told")
        assert queue.answer(other)["result"]
        until(queue.is_empty, 5, "the entries are gone")
        assert len(queue.messages()) == 1


def test_cancelled_call_of_another_session_goes_on(redis):
    with running(redis) as (_, queue):
        id = queue.put("sleep", {"delay_ms": 1500})
        cancel(redis, id, "f" * 32)
        assert queue.answer(id)["result"]


def test_queued_call_is_skipped(redis, ledger):
    queue = Queue(redis, "conformance")
    queue.put("ledger_append", {"nonce": "skipped"})
    cancel(redis, 1)
    # A request id may come again: what is queued later is another call.
    until(lambda: redis("TIME")[0] and soon_ms(0) > int(
        redis("XINFO", "STREAM", "mcp_cancel:{conformance}")[7].split("-")[0]), 5, "a later time")
    queue.sent = 0
    with running(redis, LEDGER_FILE=ledger):
        id = queue.put("ledger_append", {"nonce": "runs"})
        assert queue.answer(id)["result"]["content"][0]["text"] == "appended"
        until(queue.is_empty, 5, "the entries are gone")
        assert lines(ledger) == ["runs"] and len(queue.messages()) == 1


def test_cap_of_a_tool(redis):
    with running(redis, TOOL_CONCURRENCY="sleep=3") as (_, queue):
        begun = time.monotonic()
        ids = [queue.put("pair", {"delay_ms": 500}) for _ in range(6)]
        ids += [queue.put("sleep", {"delay_ms": 500}) for _ in range(6)]
        assert queue.text("echo", {"text": "beside"}) == "beside"
        assert time.monotonic() - begun < 5
        for id in ids:
            assert queue.answer(id, 15)["result"]
        # Six calls, two at once, half a second each.
        assert time.monotonic() - begun > 1.4


def test_cap_of_a_user(redis):
    with running(redis, WORKER_USER_CONCURRENCY=1) as (_, queue):
        begun = time.monotonic()
        slow = [queue.put("sleep", {"delay_ms": 600}, user="a" * 64) for _ in range(3)]
        assert queue.answer(queue.put("echo", {"text": "x"}, user="b" * 64))["result"]
        assert time.monotonic() - begun < 5
        for id in slow:
            assert queue.answer(id, 10)["result"]
        assert time.monotonic() - begun > 1.7


def test_user_at_his_cap_keeps_nobody_from_being_read(redis):
    """He has far more calls than the worker may run; so has a tool."""
    settings = {"WORKER_CONCURRENCY": 4, "WORKER_USER_CONCURRENCY": 1,
                "TOOL_CONCURRENCY": "pair=1", "WORKER_DRAIN_TIMEOUT": 0}
    with running(redis, **settings) as (_, queue):
        for _ in range(50):
            queue.put("sleep", {"delay_ms": 60000}, user="a" * 64)
            queue.put("pair", {"delay_ms": 60000})
        assert queue.answer(queue.put("echo", {"text": "x"}, user="b" * 64))["result"]
        assert len(queue.messages()) == 1


def test_identity_of_a_call(redis):
    with running(redis) as (_, queue):
        assert queue.text("identity", {}) == f"{1:032x} 1"
        assert queue.text("identity", {}) == f"{2:032x} 1"


def test_unstarted_calls_go_to_another_worker_at_once(redis):
    with running(redis) as (worker, queue):
        for _ in range(2):
            queue.put("pair", {"delay_ms": 3000})
        waiting = [queue.put("pair", {"delay_ms": 1}) for _ in range(5)]
        until(lambda: redis("XPENDING", queue.key, "workers")[0] == 7, 5, "all are delivered")
        with Worker("conformance", redis, "second"):
            worker.signal(signal.SIGTERM)
            for id in waiting:
                assert queue.answer(id, 5)["result"]
            assert len(queue.messages()) == 5, "those that run still do"
            assert worker.wait() == 0
            until(queue.is_empty, 5, "all are done")
        assert len(queue.messages()) == 7


def test_drain_timeout_cuts_what_runs(redis, ledger):
    settings = {"WORKER_DRAIN_TIMEOUT": 1, "LEDGER_FILE": ledger}
    with running(redis, **settings) as (worker, queue):
        safe = queue.put("sleep", {"delay_ms": 4000, "nonce": "told"})
        unsafe = queue.put("ledger_append", {"delay_ms": 60000, "nonce": "never"})
        until(lambda: redis("XPENDING", queue.key, "workers")[0] == 2, 5, "both run")
        with Worker("conformance", redis, "second", settings):
            worker.signal(signal.SIGTERM)
            error = queue.answer(unsafe, 5)["error"]
            assert error["code"] == -32002 and "outcome is unknown" in error["message"]
            assert worker.wait() == 0 and "reason=drain_timeout" in worker.tail()
            assert queue.answer(safe, 10)["result"]
            (message,) = [m for m in queue.messages() if json.loads(m["payload"])["id"] == safe]
            assert message["attempt"] == "2"
        assert lines(ledger) == ["told"]


def test_operator_decides_what_is_safe(redis):
    settings = {"SAFE_TOOLS": "ledger_append", "UNSAFE_TOOLS": "echo, sleep",
                "TOOL_TIMEOUTS": "sleep=150"}
    with running(redis, **settings):
        catalogue = json.loads(redis.hash("mcp_api:{conformance}")["catalogue"])
        meta = {tool["name"]: tool.get("_meta") for tool in catalogue["tools"]}
        assert meta["ledger_append"] == {"mcp-relay/safe": True}
        assert meta["echo"] == {"mcp-relay/safe": False}
        assert meta["sleep"] == {"mcp-relay/safe": False, "mcp-relay/timeout_ms": 150000}
        assert meta["brief"] == {"mcp-relay/timeout_ms": 1000}
        assert meta["pair"] is None


@pytest.mark.parametrize("name, value", [
    ("TOOL_CONCURRENCY", "sleep"), ("TOOL_CONCURRENCY", "sleep=0"), ("TOOL_TIMEOUTS", "=5"),
    ("TOOL_TIMEOUTS", "sleep=soon"), ("SAFE_TOOLS", "a=1"), ("WORKER_RECLAIM_IDLE", "1"),
    ("WORKER_CONCURRENCY", "0"), ("API_NAME", "Not good")])
def test_wrong_settings_are_named(redis, name, value):
    worker = Worker("conformance", redis, settings={name: value})
    worker.start(ready=False)
    assert worker.wait() == 2
    assert f"{name}:" in worker.log_text() or f"{name} " in worker.log_text()


def test_tools_have_their_own_time():
    """The operator's word and the author's reach the proxy, which sets the deadline."""
    with Cluster(workers={"conformance": 1}, proxy_env={"CALL_TIMEOUT": 2},
                 worker_env={"TOOL_TIMEOUTS": "sleep=30"}) as system, \
            system.client(0) as client:
        def timed(tool, ms):
            begun = time.monotonic()
            answer = client.request("tools/call", {"name": f"conformance_{tool}",
                                                   "arguments": {"delay_ms": ms}}, seconds=15)
            return answer, time.monotonic() - begun
        answer, seconds = timed("sleep", 3500)
        assert "result" in answer and seconds > 3.4
        for tool, limit in [("brief", 1), ("pair", 2)]:
            answer, seconds = timed(tool, 60000)
            assert answer["error"]["code"] == -32001
            assert limit - 0.1 < seconds < (limit + 1) * PATIENCE
