"""Tools that compute, on threads: the event loop serves everything else meanwhile."""

import json
import signal
import time

import pytest
from queues import BEAT, SID, lines, running

from harness import Worker, until

LONG = 600000  # nothing waits for its end


def running_calls(redis):
    return sum(int(redis.hash(key)["running"]) for key in redis("KEYS", "mcp_worker:*"))


def cancel(redis, id):
    redis("XADD", "mcp_cancel:{conformance}", "*", "session", SID, "request", id)


def threads_of(worker):
    with open(f"/proc/{worker.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("Threads:"))


def test_other_calls_go_on_while_tools_compute(redis, ledger):
    with running(redis, WORKER_THREADS=2, LEDGER_FILE=ledger) as (worker, queue):
        idle = threads_of(worker)
        busy = [queue.put("compute", {"delay_ms": LONG, "nonce": f"{n}"}) for n in range(2)]
        until(lambda: threads_of(worker) >= idle + 2, 5, "they compute")
        for n in range(20):
            assert queue.text("echo", {"text": f"{n}"}, 10) == f"{n}"
        # More of them wait for a thread, and nothing else for them.
        queued = queue.put("compute", {"delay_ms": 1})
        assert queue.text("echo", {"text": "beside"}, 10) == "beside"
        assert len(queue.messages()) == 21
        for id in busy:
            cancel(redis, id)
        until(lambda: sorted(lines(ledger)) == ["0", "1"], 10, "both are told")
        assert queue.answer(queued, 10)["result"]["content"][0]["text"] == "computed"
        until(queue.is_empty, 5, "nothing is left")
        assert len(queue.messages()) == 22
        assert threads_of(worker) <= idle + 3  # one more may be a sanitizer's


def test_worker_without_such_calls_has_no_threads(redis):
    with running(redis) as (worker, queue):
        idle = threads_of(worker)
        assert queue.text("echo", {"text": "x"}) == "x"
        assert threads_of(worker) == idle


def test_entry_of_a_call_that_computes_is_kept(redis):
    settings = {"WORKER_RECLAIM_IDLE": 2}
    with running(redis, **settings) as (_, queue), \
            Worker("conformance", redis, "second", settings):
        id = queue.put("compute", {"delay_ms": 6000})
        until(lambda: redis("XPENDING", queue.key, "workers")[0] == 1, 5, "it runs")

        def answered():
            for entry in redis("XPENDING", queue.key, "workers", "-", "+", 10):
                assert entry[3] == 1, "delivered once"
            return queue.messages()
        until(answered, 20, "the answer")
        assert queue.answer(id)["result"]
        assert [message["attempt"] for message in queue.messages()] == ["1"]


def test_deadline_of_a_call_that_computes(redis, ledger):
    with running(redis, LEDGER_FILE=ledger) as (_, queue):
        id = queue.put("compute", {"delay_ms": LONG, "nonce": "told"},
                       deadline_ms=int(time.time() * 1000) + 1000)
        error = queue.answer(id, 10)["error"]
        assert error["message"] == "the tool did not answer before the call's deadline"
        until(lambda: lines(ledger) == ["told"], 5, "the thread is told")
        until(lambda: running_calls(redis) == 0, BEAT, "it has let go")
        assert len(queue.messages()) == 1


def test_drain_waits_for_what_computes(redis):
    with running(redis, WORKER_THREADS=1) as (worker, queue):
        id = queue.put("compute", {"delay_ms": 1500})
        waiting = queue.put("compute", {"delay_ms": 1})
        until(lambda: redis("XPENDING", queue.key, "workers")[0] == 2, 5, "both are delivered")
        with Worker("conformance", redis, "second"):
            worker.signal(signal.SIGTERM)
            for call in (waiting, id):
                assert queue.answer(call, 20)["result"]
            assert worker.wait(20) == 0
            first = json.loads(queue.messages()[0]["payload"])["id"]
            assert first == waiting, "what had not begun ran elsewhere at once"


@pytest.mark.parametrize("deaf", [False, True])
def test_drain_timeout_ends_what_computes(redis, ledger, deaf):
    settings = {"WORKER_DRAIN_TIMEOUT": 1, "LEDGER_FILE": ledger}
    with running(redis, **settings) as (worker, queue):
        idle = threads_of(worker)
        id = queue.put("compute", {"delay_ms": LONG, "nonce": "told", "deaf": deaf})
        until(lambda: threads_of(worker) > idle, 5, "it computes")
        worker.signal(signal.SIGTERM)
        assert worker.wait(15) == 0
        assert ("process ends while a tool computes" in worker.log_text()) == deaf
        assert lines(ledger) == ([] if deaf else ["told"])
        # It is safe, and went back for others to run.
        (entry,) = redis("XRANGE", queue.key, "-", "+")
        fields = dict(zip(entry[1][::2], entry[1][1::2]))
        assert json.loads(fields["payload"])["id"] == id and fields["attempt"] == "2"
