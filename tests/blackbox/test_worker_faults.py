"""A Redis that is full, or loses its data or connections, while a worker's calls run."""

import contextlib
import signal
import time

from queues import BEAT, lines, name_of, running

from harness import until
from harness.wire import Wire

IDLE = 2          # WORKER_RECLAIM_IDLE of these tests, seconds
UNKNOWN = -32002


@contextlib.contextmanager
def full(redis):
    """Redis takes nothing that could need memory."""
    redis("CONFIG", "SET", "maxmemory", "1")
    try:
        yield
    finally:
        redis("CONFIG", "SET", "maxmemory", "0")


def pending(redis, queue):
    return redis("XPENDING", queue.key, "workers")[0]


def test_answer_outlives_a_redis_that_is_full_for_long(redis):
    """Refused again and again, and the lease on the entry that is gone runs out."""
    with running(redis, WORKER_RECLAIM_IDLE=IDLE) as (worker, queue):
        worker.freeze()
        id = queue.put("echo", {"text": "x"})
        with full(redis):
            worker.thaw()
            until(lambda: worker.log_text().count("command=XADD") >= IDLE + 2, 15, "refusals")
        assert queue.answer(id)["result"]["content"][0]["text"] == "x"
        assert len(queue.messages()) == 1


def test_full_redis_is_read_from(redis):
    """On a new connection too: what is read makes it emptier."""
    with running(redis) as (worker, queue):
        worker.freeze()
        id = queue.put("echo", {"text": "x"})
        with full(redis):
            redis("CLIENT", "KILL", "TYPE", "normal")
            worker.thaw()
            until(queue.is_empty, BEAT, "the call was read and run")
        assert queue.answer(id)["result"]["content"][0]["text"] == "x"


def test_worker_of_a_full_redis_is_alive(redis):
    with running(redis) as (worker, queue), full(redis):
        name = name_of(queue)
        for _ in range(2):
            beat = redis("ZSCORE", "mcp_workers:{conformance}", name)
            until(lambda: redis("ZSCORE", "mcp_workers:{conformance}", name) != beat, BEAT,
                  "a heartbeat")
            assert redis("PTTL", f"mcp_worker:{{conformance}}:{name}") > 10000
            assert redis("PTTL", "mcp_api:{conformance}") > 50000
        assert worker.stop() == 0


def test_full_redis_takes_back_what_has_not_begun(redis):
    settings = {"WORKER_USER_CONCURRENCY": 1, "WORKER_DRAIN_TIMEOUT": 20}
    with running(redis, **settings) as (worker, queue):
        for _ in range(3):
            queue.put("sleep", {"delay_ms": 60000}, user="anna")
        until(lambda: pending(redis, queue) == 3, 5, "one runs, two wait")
        with full(redis):
            worker.signal(signal.SIGTERM)
            until(lambda: pending(redis, queue) == 1, 5, "two went back")
            assert redis("XLEN", queue.key) == 3
        worker.signal(signal.SIGTERM)
        assert worker.wait() == 1


def test_large_calls_come_over_a_slow_network(redis):
    """More than it carries in the time that a read has: smaller reads get through."""
    count, large = 24, "x" * (1 << 20)
    with Wire(redis, bytes_per_second=2500000) as wire, \
            running(redis, REDIS_URL=wire.url) as (worker, queue):
        worker.freeze()
        late = int(time.time() * 1000) + 600000
        ids = [queue.put("sleep", {"delay_ms": 1, "nonce": large}, deadline_ms=late)
               for _ in range(count)]
        worker.thaw()
        for id in ids:
            assert queue.answer(id, 90)["result"]
        assert "timeout" in worker.log_text(), "no read took too long"


def test_running_call_outlives_a_flush(redis):
    """Its entry is gone and the group made anew, but nobody else can have answered."""
    with running(redis, WORKER_RECLAIM_IDLE=IDLE) as (_, queue):
        id = queue.put("sleep", {"delay_ms": (IDLE + 1) * 1000})
        until(lambda: pending(redis, queue) == 1, 5, "it runs")
        redis.flush()
        assert queue.answer(id, BEAT)["result"]["content"][0]["text"] == "slept"
        assert queue.text("echo", {"text": "after"}, BEAT) == "after"
        assert len(queue.messages()) == 2


def lost_takeover(redis, queue, tool, arguments):
    """A call of a dead worker, given to the live one by a reply that never arrives."""
    name = name_of(queue)
    ids = redis.client.pipeline([
        ("MULTI",),
        ("XADD", queue.key, "*", *queue.fields(tool, arguments)),
        ("XREADGROUP", "GROUP", "workers", "dead", "STREAMS", queue.key, ">"),
        ("EXEC",)])[-1]
    redis("XCLAIM", queue.key, "workers", name, 0, ids[0])
    return queue.sent


def connections(redis, blocked):
    """Ids of the worker's connections, that on which it reads or the other."""
    clients = [dict(word.split("=", 1) for word in line.split())
               for line in redis("CLIENT", "LIST").splitlines()]
    return [each["id"] for each in clients
            if each["name"].startswith("conformance") and ("b" in each["flags"]) == blocked]


def test_takeover_whose_reply_is_lost_runs_nothing_twice(redis, ledger):
    with running(redis, LEDGER_FILE=ledger) as (_, queue):
        assert queue.text("echo", {"text": "x"}) == "x"
        id = lost_takeover(redis, queue, "ledger_append", {"nonce": "twice"})
        redis("CLIENT", "KILL", "TYPE", "normal")
        assert queue.answer(id, BEAT)["error"]["code"] == UNKNOWN
        assert lines(ledger) == []


def test_takeover_lost_with_its_connection_alone(redis, ledger):
    with running(redis, LEDGER_FILE=ledger) as (_, queue):
        # What it looks at after connecting is over by then.
        until(lambda: redis.command_calls().get("xreadgroup", 0) >= 4, BEAT, "it reads on")
        until(lambda: connections(redis, blocked=True), 5, "it waits for entries")
        id = lost_takeover(redis, queue, "ledger_contains", {"nonce": "x"})
        for connection in connections(redis, blocked=False):
            redis("CLIENT", "KILL", "ID", connection)
        assert queue.answer(id, BEAT)["result"]
        until(queue.is_empty, 5, "the entry is gone")
