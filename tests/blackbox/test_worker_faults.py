"""A Redis that is full, or loses its data, while a worker's calls run."""

import contextlib
import signal

from queues import BEAT, name_of, running

from harness import until

IDLE = 2          # WORKER_RECLAIM_IDLE of these tests, seconds


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


def test_running_call_outlives_a_flush(redis):
    """Its entry is gone and the group made anew, but nobody else can have answered."""
    with running(redis, WORKER_RECLAIM_IDLE=IDLE) as (_, queue):
        id = queue.put("sleep", {"delay_ms": (IDLE + 1) * 1000})
        until(lambda: pending(redis, queue) == 1, 5, "it runs")
        redis.flush()
        assert queue.answer(id, BEAT)["result"]["content"][0]["text"] == "slept"
        assert queue.text("echo", {"text": "after"}, BEAT) == "after"
        assert len(queue.messages()) == 2
