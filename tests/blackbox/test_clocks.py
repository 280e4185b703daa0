"""Machines whose clocks differ: deadlines of calls go by Redis's, everywhere."""

import glob
import os
import time

import pytest
from queues import BEAT, Queue

from harness import Cluster, Worker, until

TIMEOUT = -32001
SKEWS = pytest.mark.parametrize("seconds", [-120, 120])


def skew(program, seconds):
    """Lets the program, once it starts, see a wall clock that is ahead by so much."""
    (library,) = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
    # It comes before a sanitizer's own, which minds.
    options = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
    program.env.update(LD_PRELOAD=library, FAKETIME=f"{seconds:+d}s", DONT_FAKE_MONOTONIC="1",
                       ASAN_OPTIONS=options.lstrip(":"))
    return program


def now_ms():
    return int(time.time() * 1000)


def heartbeat(redis):
    """The only worker's fields, and when it counts as dead."""
    (name, until_ms) = redis("ZRANGE", "mcp_workers:{conformance}", 0, -1, "WITHSCORES")
    return redis.hash(f"mcp_worker:{{conformance}}:{name}"), int(until_ms)


@SKEWS
def test_worker_with_another_clock(redis, seconds):
    with skew(Worker("conformance", redis), seconds) as worker:
        until(lambda: "clock differs" in worker.log_text(), 5, "it notices")
        queue = Queue(redis, "conformance")
        late = queue.put("sleep", {"delay_ms": 60000}, deadline_ms=now_ms() + 1000)
        good = queue.put("echo", {"text": "x"}, deadline_ms=now_ms() + 60000)
        assert queue.answer(good)["result"]
        assert queue.answer(late, BEAT)["error"]["code"] == TIMEOUT
        until(lambda: abs(heartbeat(redis)[1] - now_ms()) < 60000, BEAT, "a heartbeat")
        assert abs(int(heartbeat(redis)[0]["started_ms"]) - now_ms()) < 60000


@SKEWS
def test_proxy_with_another_clock(seconds):
    cluster = Cluster(proxies=1, workers={"conformance": 1}, proxy_env={"CALL_TIMEOUT": 3})
    skew(cluster.proxies[0], seconds)
    with cluster as system, system.client(0) as client:
        (proxy,), (worker,) = system.proxies, system.workers
        until(lambda: "clock differs" in proxy.log_text(), BEAT, "it notices")
        assert client.text("conformance_echo", {"text": "x"}) == "x"
        answer = client.request("tools/call", {"name": "conformance_sleep",
                                               "arguments": {"delay_ms": 60000}}, seconds=20)
        assert answer["error"]["code"] == TIMEOUT
        # So do the calls that no worker takes.
        worker.freeze()
        answer = client.request("tools/call", {"name": "conformance_echo",
                                               "arguments": {"text": "y"}}, seconds=30)
        assert answer["error"]["code"] == TIMEOUT and "no worker" in answer["error"]["message"]
        worker.thaw()
