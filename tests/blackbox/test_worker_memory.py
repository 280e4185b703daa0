"""Calls whose arguments are a thousand times what others have: they share a budget."""

import json
import signal
import time

import pytest
from queues import SID, running

from harness import PATIENCE, Redis, Worker, until

# As a tree some thirty times as much.
VALUES = 450_000


@pytest.fixture
def redis():
    with Redis(appendonly="no") as server:
        yield server


def put_heavy(queue, tool, arguments, **changes):
    params = {"name": tool, "arguments": arguments, "ballast": [0] * VALUES}
    request = {"jsonrpc": "2.0", "id": queue.sent + 1, "method": "tools/call", "params": params}
    return queue.put(tool, arguments, **changes,
                     payload=json.dumps(request, separators=(",", ":")))


def pending(queue):
    return queue.redis("XPENDING", queue.key, "workers")[0]


def test_many_large_calls_at_once_do_not_add_up(redis):
    with running(redis) as (worker, queue):
        worker.freeze()
        ids = [put_heavy(queue, "sleep", {"delay_ms": 1}) for _ in range(40)]
        worker.thaw()
        for id in ids:
            assert queue.answer(id, 60)["result"]
        print(f"{worker.peak_bytes() / 1e6:.0f} MB")
        if PATIENCE == 1:  # not under sanitizers
            assert worker.peak_bytes() < 400e6


def test_small_calls_do_not_wait_for_large_ones(redis):
    with running(redis) as (_, queue):
        slow = put_heavy(queue, "sleep", {"delay_ms": 60000})
        behind = put_heavy(queue, "echo", {"text": "behind"})
        until(lambda: pending(queue) == 2, 10, "both are read")
        assert queue.text("echo", {"text": "small"}) == "small"
        assert len(queue.messages()) == 1
        redis("XADD", "mcp_cancel:{conformance}", "*", "session", SID, "request", slow)
        assert queue.answer(behind, 10)["result"]["content"][0]["text"] == "behind"


def test_large_call_that_waits_ends_like_others(redis):
    """By its deadline, by being cancelled, or elsewhere when its worker stops."""
    with running(redis) as (worker, queue):
        slow = put_heavy(queue, "sleep", {"delay_ms": 3000})
        soon = int((time.time() + 1) * 1000)
        late = put_heavy(queue, "echo", {"text": "late"}, deadline_ms=soon)
        cancelled = put_heavy(queue, "ledger_append", {"nonce": "never"})
        moved = put_heavy(queue, "ledger_append", {"nonce": "once"})
        until(lambda: pending(queue) == 4, 10, "all are read")
        error = queue.answer(late)["error"]
        assert error["message"] == "deadline passed before the call began"
        redis("XADD", "mcp_cancel:{conformance}", "*", "session", SID, "request", cancelled)
        until(lambda: pending(queue) == 2, 5, "it is gone")
        with Worker("conformance", redis, "second"):
            worker.signal(signal.SIGTERM)
            assert queue.answer(moved, 5)["result"]
            assert queue.answer(slow, 10)["result"]
            assert worker.wait() == 0
        assert queue.is_empty() and len(queue.messages()) == 3


def test_large_arguments_are_told_what_is_wrong(redis):
    with running(redis) as (_, queue):
        slow = put_heavy(queue, "sleep", {"delay_ms": 500})
        wrong = put_heavy(queue, "echo", {"text": 1})
        unknown = put_heavy(queue, "nothing", {})
        assert queue.answer(unknown, 10)["error"]["message"] == "Unknown tool: nothing"
        assert "text: expected string" in json.dumps(queue.answer(wrong, 10))
        assert queue.answer(slow, 10)["result"]
