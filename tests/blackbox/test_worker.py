"""A worker by itself: calls put into its queue by hand, answers read from inboxes."""

import contextlib
import json
import os
import signal
import time

import pytest
from queues import BEAT, SID, Queue, name_of, running

from harness import PATIENCE, Redis, Worker, until


@pytest.fixture
def redis():
    with Redis(appendonly="always") as server:
        yield server


def test_answer_and_clean_queue(redis):
    with running(redis) as (_, queue):
        assert queue.text("echo", {"text": "hi"}) == "hi"
        until(queue.is_empty, 5, "the entry is gone")
        assert redis("XPENDING", queue.key, "workers")[0] == 0
        (message,) = queue.messages()
        assert (message["call"], message["session"], message["attempt"]) == (f"{1:032x}", SID, "1")


CALCULATIONS = [
    ("add", 2, 3, "5"), ("add", 0.1, 0.2, "0.30000000000000004"), ("add", 1e21, 0, "1e+21"),
    ("add", 0.1, 0.7, "0.7999999999999999"), ("subtract", 2, 3, "-1"), ("subtract", 5, 5, "0"),
    ("multiply", 0, -1, "0"), ("multiply", 1e15, 8, "8000000000000000"),
    ("multiply", 1e-300, 1e-300, "0"), ("divide", 1, 3, "0.3333333333333333"),
    ("divide", 5e-324, 1, "5e-324"), ("divide", 0, 5, "0")]


def test_calculator(redis):
    with running(redis, "calculator") as (_, queue):
        for tool, a, b, text in CALCULATIONS:
            result = queue.answer(queue.put(tool, {"a": a, "b": b}))["result"]
            assert result["content"] == [{"type": "text", "text": text}], (tool, a, b)
            assert result["structuredContent"] == {"result": float(text)}
            assert "isError" not in result


ERRORS = [
    ("divide", {"a": 1, "b": 0}, "division by zero: b must not be 0"),
    ("divide", {"a": 1, "b": -0.0}, "division by zero: b must not be 0"),
    ("multiply", {"a": 1e308, "b": 1e308}, "multiply: the result is too large for a number"),
    ("add", {"b": 1}, "a: required number is missing"),
    ("add", {"a": 1, "b": "2"}, "b: expected number, got string"),
    ("add", {"a": 1, "b": 2, "c": 3}, "c: unknown argument"),
    ("add", {}, "a: required number is missing; b: required number is missing")]


def test_calculator_errors(redis):
    with running(redis, "calculator") as (_, queue):
        for tool, arguments, text in ERRORS:
            result = queue.answer(queue.put(tool, arguments))["result"]
            assert result == {"content": [{"type": "text", "text": text}], "isError": True}


def test_batch_is_answered_with_one_write_per_pod(redis):
    with running(redis) as (worker, queue):
        assert queue.text("echo", {"text": "x"}) == "x"
        until(queue.is_empty, 5, "the queue is empty")
        worker.freeze()
        queue.put_many(640, ["pod-b", "pod-c"])
        before = redis.command_calls()
        worker.thaw()
        until(queue.is_empty, 10, "the queue is empty")
        after = redis.command_calls()
        # The read that was blocked takes the first entry alone, then come 64s.
        for command, most in [("xadd", 22), ("xack", 11), ("xdel", 11)]:
            assert after[command] - before[command] <= most, command
        calls = [message["call"] for pod in ("pod-b", "pod-c") for message in queue.messages(pod)]
        assert len(calls) == len(set(calls)) == 640


def test_large_answers_share_no_entry(redis):
    with running(redis) as (worker, queue):
        worker.freeze()
        texts = [letter * 300000 for letter in "abcd"]
        ids = [queue.put("echo", {"text": text}) for text in texts]
        worker.thaw()
        for id, text in zip(ids, texts):
            assert queue.answer(id)["result"]["content"][0]["text"] == text
        assert redis("XLEN", "mcp_replies:{pod-a}") == 4


def test_deadline_passed(redis):
    with running(redis) as (_, queue):
        id = queue.put("echo", {"text": "x"}, deadline_ms=int(time.time() * 1000) - 1000)
        error = queue.answer(id)["error"]
        assert error == {"code": -32001, "message": "deadline passed before the call began"}
        until(queue.is_empty, 5, "the entry is gone")


def test_malformed_entries_do_no_harm(redis):
    with running(redis) as (_, queue):
        redis("XADD", queue.key, "*", "junk", "1")
        for changes in [
                {"payload": ""}, {"payload": "{"}, {"payload": "[]"}, {"call": "x"},
                {"session": ""}, {"reply_to": ""}, {"deadline_ms": "soon"}, {"method": ""},
                {"payload": b"\xff\xfe"}, {"payload": '{"jsonrpc":"2.0","method":"x"}'},
                {"payload": "[" * 10000}, {"reply_to": "p" * 200}]:
            queue.put("echo", {"text": "x"}, **changes)
        assert queue.text("echo", {"text": "well"}) == "well"
        until(queue.is_empty, 5, "all entries are gone")
        assert redis("XPENDING", queue.key, "workers")[0] == 0


def test_catalogue_and_heartbeat(redis):
    with running(redis, "calculator") as (worker, queue):
        api = redis.hash("mcp_api:{calculator}")
        catalogue = json.loads(api["catalogue"])
        assert api["name"] == "calculator" and len(api["digest"]) == 64
        assert [tool["name"] for tool in catalogue["tools"]] == [
            "add", "subtract", "multiply", "divide"]
        for tool in catalogue["tools"]:
            assert tool["annotations"] == {"readOnlyHint": True, "destructiveHint": False,
                                           "idempotentHint": True, "openWorldHint": False}
            assert tool["inputSchema"]["required"] == ["a", "b"]
            assert tool["outputSchema"]["required"] == ["result"]
        assert 590000 < redis("PTTL", "mcp_api:{calculator}") <= 600000
        assert redis("SMEMBERS", "mcp_apis") == ["calculator"]
        key = f"mcp_worker:{{calculator}}:{name_of(queue)}"
        assert 5000 < redis("PTTL", key) <= 15000
        queue.text("add", {"a": 1, "b": 1})
        until(lambda: redis.hash(key).get("done") == "1", BEAT, "the heartbeat counts the call")
        beat = redis.hash(key)
        assert (beat["pod"], beat["failed"], beat["draining"]) == (worker.name, "0", "0")


def test_start_failure_is_said_and_heals(redis, tmp_path):
    needed, ready = tmp_path / "needed", tmp_path / "ready"
    settings = {"START_NEEDS": needed, "WORKER_READY_FILE": ready}
    ready.touch()  # a worker that was killed left it
    with Worker("conformance", redis, settings=settings).start(ready=False) as worker:
        queue = Queue(redis, "conformance")
        beat = until(lambda: redis("KEYS", "mcp_worker:*"), 5, "the heartbeat")[0]
        assert redis("HMGET", beat, "state", "error") == ["failed", f"{needed} is missing"]
        assert redis("EXISTS", "mcp_api:{conformance}", "mcp_apis") == 0
        assert not ready.exists()
        id = queue.put("echo", {"text": "x"})
        needed.touch()
        assert queue.answer(id, BEAT)["result"]["content"][0]["text"] == "x"
        until(ready.exists, 5, "the ready file")
        assert redis("HMGET", beat, "state", "error") == ["up", ""]
        assert "API does not start" in worker.log_text() and worker.starts == 1
        assert worker.stop() == 0
        assert not ready.exists()


def test_readiness_follows_redis(redis, tmp_path):
    ready = tmp_path / "ready"
    with running(redis, WORKER_READY_FILE=ready):
        until(ready.exists, 5, "the ready file")
        redis.kill()
        until(lambda: not ready.exists(), 5, "no ready file without Redis")
        redis.restart()
        until(ready.exists, BEAT, "the ready file is back")


def test_live_file_is_touched_while_the_loop_turns(redis, tmp_path):
    live = tmp_path / "live"
    with running(redis, WORKER_LIVE_FILE=live):
        for _ in range(2):
            until(lambda: live.exists() and live.stat().st_mtime > 0, 5, "it is touched")
            os.utime(live, (0, 0))
        redis.kill()
        until(lambda: live.stat().st_mtime > 0, 5, "without Redis too: that is no reason to restart")


def test_live_file_that_cannot_be_made_is_told(redis, tmp_path):
    with running(redis, WORKER_LIVE_FILE=tmp_path / "nowhere" / "live") as (worker, queue):
        until(lambda: "live file not touched" in worker.log_text(), 5, "it is told")
        assert queue.text("echo", {"text": "x"}) == "x"


def test_operator_names_the_api(redis):
    with Worker("conformance", redis, settings={"API_NAME": "other"}).start(ready=False):
        queue = Queue(redis, "other")
        assert queue.text("echo", {"text": "x"}, BEAT) == "x"
        assert redis("SMEMBERS", "mcp_apis") == ["other"]


def test_last_worker_withdraws_all(redis):
    with running(redis, WORKER_CATALOGUE_TTL=0) as (worker, queue):
        assert 50000 < redis("PTTL", "mcp_api:{conformance}") <= 60000
        with Worker("conformance", redis, "second") as second:
            assert second.stop() == 0
        assert redis("EXISTS", "mcp_api:{conformance}") == 1
        assert redis("ZCARD", "mcp_workers:{conformance}") == 1
        assert queue.text("echo", {"text": "x"}) == "x"
        assert worker.stop() == 0
        assert redis("EXISTS", "mcp_api:{conformance}", "mcp_workers:{conformance}") == 0
        # Its queue may hold calls: proxies, of which there are none here, look after it.
        assert redis("SMEMBERS", "mcp_apis") == ["conformance"]
        assert queue.consumers() == {}
        assert "reason=signal" in worker.tail()


def test_catalogue_outlives_the_last_worker(redis):
    with running(redis, WORKER_CATALOGUE_TTL=100) as (worker, _):
        redis("PEXPIRE", "mcp_api:{conformance}", 1000000)
        assert worker.stop() == 0
        assert redis("EXISTS", "mcp_workers:{conformance}") == 0
        assert 90000 < redis("PTTL", "mcp_api:{conformance}") <= 100000


def test_queued_calls_wait_for_the_next_worker(redis):
    with running(redis) as (worker, queue):
        worker.stop()
        id = queue.put("echo", {"text": "later"})
        worker.start()
        assert queue.answer(id)["result"]["content"][0]["text"] == "later"


def test_calls_delivered_at_sigterm_are_answered(redis):
    with running(redis) as (worker, queue):
        worker.freeze()
        queue.put_many(200, ["pod-a"])
        worker.signal(signal.SIGTERM)
        worker.thaw()
        assert worker.wait() == 0
        # What it had been given is answered, what it had not is left to others.
        left = redis("XLEN", queue.key)
        assert len(queue.messages()) + left == 200
        assert queue.consumers() == {}
        with running(redis):
            until(queue.is_empty, 5, "another worker does the rest")
        ids = [json.loads(message["payload"])["id"] for message in queue.messages()]
        assert sorted(ids) == list(range(1, 201))


def test_two_workers_share(redis):
    with running(redis) as (_, queue), Worker("conformance", redis, "second"):
        def both_worked():
            queue.put_many(50, ["pod-a"])
            done = [redis("HGET", f"mcp_worker:{{conformance}}:{name}", "done")
                    for name in redis("ZRANGE", "mcp_workers:{conformance}", 0, -1)]
            return len(done) == 2 and all(int(count) > 0 for count in done)
        until(both_worked, BEAT, "both workers ran calls")
        until(queue.is_empty, 5, "the queue is empty")
        calls = [message["call"] for message in queue.messages()]
        assert len(calls) == len(set(calls)) == queue.sent


def test_flushed_redis_heals(redis):
    with running(redis) as (worker, queue):
        assert queue.text("echo", {"text": "before"}) == "before"
        redis.flush()
        until(lambda: redis("EXISTS", "mcp_api:{conformance}", "mcp_apis",
                            "mcp_workers:{conformance}", queue.key) == 4, BEAT, "keys are back")
        assert queue.text("echo", {"text": "after"}, BEAT) == "after"
        redis.flush()
        assert queue.text("echo", {"text": "at once"}, BEAT) == "at once"
        assert worker.starts == 1 and worker.alive()


def test_group_destroyed_heals(redis):
    with running(redis) as (_, queue):
        redis("XGROUP", "DESTROY", queue.key, "workers")
        assert queue.text("echo", {"text": "x"}, BEAT) == "x"


def test_redis_restart_heals(redis):
    with running(redis) as (worker, queue):
        for n in range(3):
            assert queue.text("echo", {"text": f"{n}"}, BEAT) == f"{n}"
            redis.kill()
            redis.restart()
        assert queue.text("echo", {"text": "last"}, BEAT) == "last"
        until(queue.is_empty, BEAT, "the queue is empty")
        assert worker.alive()


def test_worker_starts_before_redis(redis):
    redis.kill()
    worker = Worker("conformance", redis)
    with worker.start(ready=False):
        redis.restart()
        queue = Queue(redis, "conformance")
        assert queue.text("echo", {"text": "x"}, BEAT) == "x"


def test_worker_stops_without_redis(redis):
    with running(redis) as (worker, _):
        redis.kill()
        assert worker.stop(5) == 0


def test_lost_delivery_is_read_again(redis):
    """What Redis delivered on a connection that broke runs after all, once."""
    with running(redis) as (_, queue):
        # Somebody reads in this worker's name, like a reply that never arrives.
        name = name_of(queue)
        assert queue.text("echo", {"text": "x"}) == "x"
        until(queue.is_empty, 5, "the queue is empty")
        # One transaction leaves the worker's blocked read no part in it.
        redis.client.pipeline([
            ("MULTI",),
            ("XADD", queue.key, "*", *queue.fields("echo", {"text": "lost 1"})),
            ("XADD", queue.key, "*", *queue.fields("echo", {"text": "lost 2"})),
            ("XREADGROUP", "GROUP", "workers", name, "STREAMS", queue.key, ">"),
            ("EXEC",)])
        assert queue.consumers()[name] == 2
        redis("CLIENT", "KILL", "TYPE", "normal")
        for id in (2, 3):
            assert queue.answer(id, BEAT)["result"]["content"][0]["text"] == f"lost {id - 1}"
        until(queue.is_empty, BEAT, "the queue is empty")
        assert len(queue.messages()) == 3


def test_broken_connections_repeat_nothing(redis):
    with running(redis) as (_, queue):
        for n in range(20):
            queue.put_many(50, ["pod-a"])
            if n % 4 == 0:
                redis("CLIENT", "KILL", "TYPE", "normal")
        until(queue.is_empty, BEAT, "the queue is empty")
        seen = {}
        for message in queue.messages():
            seen.setdefault(message["call"], []).append(message["attempt"])
        assert len(seen) == 1000
        # An answer comes twice only where its first outcome was unknown, and says so.
        assert all(attempts in (["1"], ["2"], ["1", "2"]) for attempts in seen.values()), seen


def test_answer_with_unknown_outcome_comes_as_attempt_two(redis):
    with running(redis) as (worker, queue):
        worker.freeze()
        queue.put("echo", {"text": "x"})
        redis.freeze()
        worker.thaw()
        try:
            # The write goes to a Redis that does not answer, until the time limit.
            until(lambda: "redis disconnected" in worker.log_text()
                  or "timeout" in worker.log_text(), BEAT, "the worker gives up the connection")
        finally:
            redis.thaw()
        until(lambda: queue.messages() and queue.messages()[-1]["attempt"] == "2", BEAT,
              "the answer is sent again")
        until(queue.is_empty, BEAT, "the queue is empty")
        messages = queue.messages()
        assert [message["attempt"] for message in messages] in (["2"], ["1", "2"])
        assert len({message["payload"] for message in messages}) == 1


def test_answer_that_redis_refuses_waits(redis):
    with running(redis) as (worker, queue):
        worker.freeze()
        id = queue.put("echo", {"text": "x"})
        redis("CONFIG", "SET", "maxmemory", "1")
        worker.thaw()
        until(lambda: "OOM" in worker.log_text(), 5, "Redis refuses the answer")
        assert queue.messages() == []
        redis("CONFIG", "SET", "maxmemory", "0")
        assert queue.answer(id)["result"]["content"][0]["text"] == "x"
        assert [message["attempt"] for message in queue.messages()] == ["1"]


@contextlib.contextmanager
def undeliverable(redis, **settings):
    """A worker with an answer that Redis does not take."""
    with running(redis, **settings) as (worker, queue):
        worker.freeze()
        queue.put("echo", {"text": "x"})
        redis("CONFIG", "SET", "maxmemory", "1")
        worker.thaw()
        until(lambda: "OOM" in worker.log_text(), 5, "Redis refuses the answer")
        yield worker


def test_drain_timeout(redis):
    with undeliverable(redis, WORKER_DRAIN_TIMEOUT=1) as worker:
        began = time.monotonic()
        assert worker.stop() == 0
        assert 0.9 < time.monotonic() - began < 4 * PATIENCE
        assert "reason=drain_timeout" in worker.tail()


def test_second_signal_ends_it_at_once(redis):
    with undeliverable(redis) as worker:
        worker.signal(signal.SIGTERM)
        until(lambda: "worker draining" in worker.log_text(), 5, "it drains")
        worker.signal(signal.SIGINT)
        assert worker.wait(5) == 1


def test_catalogue_of_the_latest_worker_stands(redis):
    with running(redis):
        ours = redis("HGET", "mcp_api:{conformance}", "digest")
        redis("HSET", "mcp_api:{conformance}", "digest", "other", "since", "1")
        until(lambda: redis("HGET", "mcp_api:{conformance}", "digest") == ours, BEAT,
              "an older catalogue is replaced")
        later = int(time.time() * 1000) + 1000000
        redis("HSET", "mcp_api:{conformance}", "digest", "newer", "since", later)
        (name,) = redis("ZRANGE", "mcp_workers:{conformance}", 0, -1)
        beat = redis("ZSCORE", "mcp_workers:{conformance}", name)
        until(lambda: redis("ZSCORE", "mcp_workers:{conformance}", name) != beat, BEAT,
              "a heartbeat later")
        assert redis("HGET", "mcp_api:{conformance}", "digest") == "newer"
        redis("HSET", "mcp_api:{conformance}", "beat_ms", int(time.time() * 1000) - 60001)
        until(lambda: redis("HGET", "mcp_api:{conformance}", "digest") == ours, BEAT,
              "one that no worker has is replaced")
        redis("DEL", "mcp_api:{conformance}")
        until(lambda: redis("HGET", "mcp_api:{conformance}", "digest") == ours, BEAT,
              "an expired one is replaced")
