"""Workers that are killed, paused or stopped while calls run: every accepted call gets
exactly one answer, and what must not run twice does not.

KILLS is how many kills the run under load takes (20; `make soak`: 500).
"""

import collections
import contextlib
import json
import os
import random
import threading
import time

import pytest
from queues import BEAT, Queue, lines, running

from harness import PATIENCE, Cluster, Worker, metrics, percentile, until

KILLS = int(os.environ.get("KILLS", "20"))
IDLE = 2          # WORKER_RECLAIM_IDLE of these tests, seconds
UNKNOWN, GAVE_UP, TIMEOUT = -32002, -32004, -32001


def settings(ledger):
    return {"WORKER_RECLAIM_IDLE": IDLE, "LEDGER_FILE": ledger}


def pending(redis, queue):
    return redis("XPENDING", queue.key, "workers")[0]


def second(redis, ledger):
    return Worker("conformance", redis, "second", settings(ledger))


# One worker lost -----------------------------------------------------------

def test_safe_call_of_a_killed_worker_runs_again(redis, ledger):
    with running(redis, **settings(ledger)) as (worker, queue):
        id = queue.put("ledger_contains", {"nonce": "x", "delay_ms": 800})
        until(lambda: pending(redis, queue) == 1, 5, "it runs")
        with second(redis, ledger):
            worker.kill()
            assert queue.answer(id, IDLE + 2)["result"]["content"][0]["text"] == "no"
            (message,) = queue.messages()
            assert message["attempt"] == "2"
            until(queue.is_empty, 5, "the entry is gone")
            until(lambda: len(queue.consumers()) == 1, 5, "the dead consumer is gone")


def test_unsafe_call_of_a_killed_worker_is_answered(redis, ledger):
    with running(redis, **settings(ledger)) as (worker, queue):
        id = queue.put("ledger_append", {"nonce": "once", "delay_ms": 60000})
        until(lambda: pending(redis, queue) == 1, 5, "it runs")
        with second(redis, ledger):
            worker.kill()
            error = queue.answer(id, IDLE + 2)["error"]
            assert error["code"] == UNKNOWN and "outcome is unknown" in error["message"]
            until(queue.is_empty, 5, "the entry is gone")
        assert lines(ledger) == []


def test_idempotency_key_and_attempt_survive(redis, ledger):
    """A worker that never reads what it was given: its calls were delivered once."""
    with running(redis, **settings(ledger)) as (worker, queue):
        worker.freeze()
        id = queue.put("identity", {})
        until(lambda: pending(redis, queue) == 1, 5, "Redis gave it away")
        with second(redis, ledger):
            text = queue.answer(id, IDLE + 3)["result"]["content"][0]["text"]
            assert text == f"{id:032x} 2"
        worker.thaw()


def test_worker_that_starts_later_takes_over(redis, ledger):
    with running(redis, **settings(ledger)) as (worker, queue):
        id = queue.put("ledger_contains", {"nonce": "x", "delay_ms": 1000})
        until(lambda: pending(redis, queue) == 1, 5, "it runs")
        worker.kill()
        worker.start()
        assert queue.answer(id, IDLE + 3)["result"]


# A worker paused -----------------------------------------------------------

def test_paused_worker_gives_no_second_answer(redis, ledger):
    with running(redis, **settings(ledger)) as (worker, queue):
        safe = queue.put("ledger_contains", {"nonce": "x", "delay_ms": 1000})
        unsafe = queue.put("ledger_append", {"nonce": "once", "delay_ms": 1000})
        stubborn = queue.put("stubborn", {"delay_ms": 1000})
        told = queue.put("sleep", {"nonce": "told", "delay_ms": 60000})
        until(lambda: pending(redis, queue) == 4, 5, "they run")
        with second(redis, ledger):
            worker.freeze()
            assert queue.answer(safe, IDLE + 4)["result"]
            assert queue.answer(stubborn, IDLE + 4)["result"]
            assert queue.answer(unsafe, IDLE + 4)["error"]["code"] == UNKNOWN
            before = len(queue.messages())
            worker.thaw()
            # It notices, ends what it can, and serves on.
            until(lambda: "call is another worker's" in worker.log_text(), 5, "it notices")
            until(lambda: lines(ledger).count("told") == 1, 5, "it tells the tool")
            beat = next(key for key in redis("KEYS", "mcp_worker:*") if "conformance-1" in key)
            until(lambda: redis.hash(beat)["running"] == "0", BEAT, "it is free again")
            assert len(queue.messages()) == before == 3
            assert lines(ledger).count("once") <= 1
            cancel_id = told
            redis("XADD", "mcp_cancel:{conformance}", "*", "session",
                  queue.messages()[0]["session"], "request", cancel_id)
            until(queue.is_empty, 5, "nothing is left")


def test_paused_worker_runs_nothing_that_it_lost(redis, ledger):
    """Redis gave it calls while it was stopped; they are others' when it wakes."""
    with running(redis, **settings(ledger)) as (worker, queue):
        assert queue.text("echo", {"text": "x"}) == "x"
        until(queue.is_empty, 5, "idle")
        worker.freeze()
        id = queue.put("ledger_append", {"nonce": "lost"})
        until(lambda: pending(redis, queue) == 1, 5, "Redis gave it away")
        with second(redis, ledger):
            assert queue.answer(id, IDLE + 3)["error"]["code"] == UNKNOWN
            worker.thaw()
            assert queue.text("echo", {"text": "y"}) == "y"
            until(lambda: "call is another worker's" in worker.log_text(), 5, "it notices")
        assert lines(ledger) == [] and len(queue.messages()) == 3


def test_paused_worker_alone_goes_on(redis, ledger):
    with running(redis, **settings(ledger)) as (worker, queue):
        id = queue.put("ledger_append", {"nonce": "once", "delay_ms": 500})
        until(lambda: pending(redis, queue) == 1, 5, "it runs")
        worker.freeze()
        (entry,) = redis("XPENDING", queue.key, "workers", "-", "+", 1)
        until(lambda: redis("XPENDING", queue.key, "workers", "IDLE", IDLE * 1000 + 500, "-", "+",
                            1), 10, "it has rested")
        worker.thaw()
        assert queue.answer(id)["result"]["content"][0]["text"] == "appended"
        until(queue.is_empty, 5, "the entry is gone")
        assert lines(ledger) == ["once"] and len(queue.messages()) == 1


# Poison ----------------------------------------------------------------------

class Keeper:
    """Starts workers again when they end, as an orchestrator does."""

    def __init__(self, workers):
        self.workers = workers
        self.stopping = False
        self.restarts = 0

    def tend(self):
        for worker in self.workers:
            if not worker.alive():
                worker.start(ready=False)
                self.restarts += 1


def test_poison_is_given_up(redis, ledger):
    calls, poisons = 60, 3
    with running(redis, **settings(ledger)) as (worker, queue), \
            second(redis, ledger) as other:
        keeper = Keeper([worker, other])
        bad, good = [], []
        for n in range(calls):
            good.append(queue.put("ledger_contains", {"nonce": "x", "delay_ms": 20}))
            if n % (calls // poisons) == 5:
                bad.append(queue.put("poison", {}))

        def answered():
            keeper.tend()
            return len(queue.messages()) >= calls + poisons
        until(answered, 3 * (IDLE + 3) * poisons, lambda: f"{len(queue.messages())} answers")
        for id in bad:
            assert queue.answer(id)["error"]["code"] == GAVE_UP
        for id in good:
            assert "result" in queue.answer(id), id
        until(queue.is_empty, 5, "nothing is left")
        letters = [dict(zip(fields[::2], fields[1::2]))
                   for _, fields in redis("XRANGE", "mcp_dead:{conformance}", "-", "+")]
        assert [letter["tool"] for letter in letters] == ["poison"] * poisons
        assert {letter["attempts"] for letter in letters} == {"3"}
        assert all(letter["reason"] and letter["last_worker"] for letter in letters)
        # One kill may come upon several of them, but three are needed for each.
        assert 3 <= keeper.restarts <= 3 * poisons
        keeper.tend()


# Kills under load --------------------------------------------------------------

class Caller(threading.Thread):
    """One session that calls a safe and an unsafe tool in turn until it is told to stop."""

    def __init__(self, system, number, stopping):
        super().__init__(name=f"caller-{number}")
        self.client = system.client(number % len(system.proxies), timeout=30)
        self.system, self.number, self.stopping = system, number, stopping
        self.outcomes = collections.Counter()
        self.waits = []
        self.wrong = []
        self.unsafe = {}    # nonce: outcome

    def run(self):
        count = 0
        try:
            while not self.stopping.is_set():
                self.call(count)
                count += 1
        except Exception as error:  # a thread's end must not go unseen
            self.wrong.append(f"caller {self.number}: {error!r}")

    def call(self, count):
        safe = count % 2 == 0
        nonce = f"{self.number}-{count}"
        tool = "ledger_contains" if safe else "ledger_append"
        target = self.system.proxies[(self.number + count) % len(self.system.proxies)]
        begun = time.monotonic()
        answer = self.client.request(
            "tools/call", {"name": f"conformance_{tool}",
                           "arguments": {"nonce": nonce, "delay_ms": random.choice([0, 5, 60])}},
            to=target, seconds=40)
        self.waits.append(time.monotonic() - begun)
        outcome = "result" if "result" in answer else answer["error"]["code"]
        self.outcomes[tool, outcome] += 1
        if safe and outcome != "result" or outcome not in ("result", UNKNOWN):
            self.wrong.append(f"{tool} {nonce}: {answer}")
        if not safe:
            self.unsafe[nonce] = outcome


def victim_of(system, workers):
    """A worker that holds no call which lost a worker before.

    Whoever loses three is given up, as promised: kills several times a second would
    come upon some call thrice, poison or not.
    """
    entries = system.redis("XPENDING", "mcp_requests:{conformance}", "workers", "-", "+", 10000)
    spared = {entry[1].split(".")[0] for entry in entries if entry[3] > 1}
    free = [worker for worker in workers if worker.name not in spared]
    return random.choice(free) if free else None


def test_worker_kills_under_load(ledger):
    stopping = threading.Event()
    workers = {"conformance": 4, "calculator": 1}
    with Cluster(workers=workers, worker_env=settings(ledger)) as system:
        callers = [Caller(system, n, stopping) for n in range(24)]
        victims = [worker for worker in system.workers if worker.api == "conformance"]
        for caller in callers:
            caller.start()
        try:
            for _ in range(KILLS):
                total = sum(sum(caller.outcomes.values()) for caller in callers)
                until(lambda: sum(sum(c.outcomes.values()) for c in callers) > total + 50, 30,
                      "the load goes on")
                victim = until(lambda: victim_of(system, victims), 30, "a victim")
                victim.kill()
                victim.start()
        finally:
            stopping.set()
            for caller in callers:
                caller.join()
        assert [wrong for caller in callers for wrong in caller.wrong] == []
        until(lambda: system.redis("XLEN", "mcp_requests:{conformance}") == 0, IDLE + 5,
              "nothing is left")
        # A late or second answer would be a surprise: give it the time to come.
        assert system.redis("XLEN", "mcp_expired:{conformance}") == 0
        for caller in callers:
            caller.client.text("conformance_echo", {"text": "last"})
            assert caller.client.surprises == []
        check_ledger(callers, lines(ledger))
        waits = sorted(wait for caller in callers for wait in caller.waits)
        outcomes = sum((caller.outcomes for caller in callers), collections.Counter())
        late = sum(wait > IDLE + 2 for wait in waits)
        print(f"{KILLS} kills, {len(waits)} calls, outcomes {dict(outcomes)}, "
              f"p99 {percentile(waits, 0.99):.3f} s, longest {waits[-1]:.2f} s, "
              f"{late} after more than {IDLE + 2} s")
        assert outcomes["ledger_append", UNKNOWN] > 0, "no kill hit a call"
        assert waits[-1] < (IDLE + 2) * PATIENCE + 0.5 or KILLS > 20
        for caller in callers:
            caller.client.close()


def check_ledger(callers, written):
    """No nonce twice; what was answered ran; what did not run was not answered."""
    twice = [nonce for nonce, n in collections.Counter(written).items() if n > 1]
    assert twice == []
    ran = set(written)
    for caller in callers:
        for nonce, outcome in caller.unsafe.items():
            assert outcome == UNKNOWN or nonce in ran, nonce
    known = {nonce for caller in callers for nonce in caller.unsafe}
    assert ran <= known


# No worker at all ----------------------------------------------------------------

def stopped_workers(system, api):
    return [worker for worker in system.workers if worker.api == api]


@pytest.mark.parametrize("how", ["stopped", "frozen", "killed"])
def test_calls_without_a_worker_end_by_their_deadline(ledger, how):
    cluster = Cluster(worker_env=settings(ledger), proxy_env={"CALL_TIMEOUT": 4},
                      workers={"conformance": 1, "calculator": 1})
    with cluster as system, system.client(0) as client:
        (worker,) = stopped_workers(system, "conformance")
        if how == "frozen":
            worker.freeze()
        else:
            # Killed, its catalogue stays; stopped last, it takes that along, so queue first.
            worker.kill()
        begun = time.monotonic()
        ids = [client.ask("tools/call", {"name": "conformance_echo", "arguments": {"text": "x"}},
                          to=system.proxies[n % 2]) for n in range(3)]
        assert client.text("calculator_add", {"a": 1, "b": 2}) == "3"
        if how == "stopped":
            worker.start()
            worker.freeze()
            ids += [client.ask("tools/call", {"name": "conformance_echo",
                                              "arguments": {"text": "x"}})]
        for id in ids[:3]:
            answer = client.answer(id, 4 + IDLE + 3)
            if how == "stopped" and "result" in answer:
                continue
            assert answer["error"]["code"] == TIMEOUT, answer
            assert "no worker" in answer["error"]["message"]
        assert time.monotonic() - begun < (4 + IDLE + 3) * PATIENCE
        assert client.text("calculator_add", {"a": 2, "b": 2}) == "4"
        worker.thaw() if worker.alive() else worker.start()
        assert client.text("conformance_echo", {"text": "back"}, seconds=BEAT) == "back"
        until(lambda: system.redis("XLEN", "mcp_requests:{conformance}") == 0, 10, "empty")
        assert client.surprises == []


@pytest.mark.parametrize("workers", [1, 2])
def test_calls_of_a_frozen_worker_end_by_their_deadline(ledger, workers):
    """Long before others may take them over, and with one answer when it goes on."""
    cluster = Cluster(worker_env=settings(ledger) | {"WORKER_RECLAIM_IDLE": 60},
                      proxy_env={"CALL_TIMEOUT": 3}, workers={"conformance": workers})
    with cluster as system, system.client(0) as client, contextlib.ExitStack() as at_end:
        queue = Queue(system.redis, "conformance")
        ids = [client.ask("tools/call", {"name": f"conformance_{tool}", "arguments": arguments})
               for tool, arguments in (("sleep", {"delay_ms": 4000}),
                                       ("stubborn", {"delay_ms": 4000}),
                                       ("ledger_append", {"nonce": "n", "delay_ms": 8000}))]
        until(lambda: pending(system.redis, queue) == len(ids), 5, "they run")
        at_end.callback(system.workers[0].thaw)
        system.workers[0].freeze()
        errors = [client.answer(id, 3 + 3)["error"] for id in ids]
        assert [error["code"] for error in errors] == [TIMEOUT] * len(ids)
        assert workers > 1 or all("no worker" in error["message"] for error in errors)
        assert queue.is_empty()
        expired = 'mcp_api_calls_expired_total{api="conformance"}'
        until(lambda: workers > 1 or metrics(system.proxies[1])[expired] == len(ids), 5, "counted")
        system.workers[0].thaw()
        assert client.text("conformance_echo", {"text": "back"}, seconds=BEAT) == "back"
        assert client.surprises == []


def latencies(client, system, count=150):
    """Of calls of another API one after the other, over both proxies; sorted."""
    found = []
    for n in range(count):
        begun = time.monotonic()
        assert client.text("calculator_add", {"a": n, "b": 1}, to=system.proxies[n % 2]) \
            == str(n + 1)
        found.append(time.monotonic() - begun)
    return sorted(found)


def test_short_deadline_behind_many_long_ones(ledger):
    cluster = Cluster(worker_env=settings(ledger), workers={"conformance": 1})
    with cluster as system:
        system.workers[0].kill()
        queue = Queue(system.redis, "conformance")
        now = int(time.time() * 1000)
        for deadline in [now + 600000] * 3000 + [now]:
            queue.put("echo", {"text": "x"}, deadline_ms=deadline)
        assert queue.answer(queue.sent, 10)["error"]["code"] == TIMEOUT
        assert system.redis("XLEN", queue.key) == 3000


def test_wedged_api_leaves_others_alone(ledger):
    """A tool that stops its process, and a queue behind it that nobody serves."""
    cluster = Cluster(worker_env=settings(ledger), proxy_env={"CALL_TIMEOUT": 5},
                      workers={"conformance": 1, "calculator": 1})
    with cluster as system, system.client(0) as wedged, system.client(1) as client, \
            contextlib.ExitStack() as at_end:
        (worker,) = stopped_workers(system, "conformance")
        at_end.callback(worker.thaw)
        before = latencies(client, system)
        begun = time.monotonic()
        ids = [wedged.ask("tools/call", {"name": "conformance_wedge", "arguments": {}})]
        until(lambda: worker.state() == "T", 5, "its process has stopped")
        ids += [wedged.ask("tools/call", {"name": "conformance_echo", "arguments": {"text": "x"}})
                for _ in range(200)]
        during = latencies(client, system)
        for id in ids:
            error = wedged.answer(id, 5 + IDLE + 3)["error"]
            assert error["code"] == TIMEOUT and "no worker" in error["message"]
        print(f"answered after {time.monotonic() - begun:.1f} s, with a deadline of 5 s")
        print(f"median {percentile(before, 0.5) * 1000:.2f} ms, with a wedged API beside it "
              f"{percentile(during, 0.5) * 1000:.2f} ms")
        assert percentile(during, 0.5) < 3 * percentile(before, 0.5) + 0.02
        worker.thaw()
        assert wedged.text("conformance_echo", {"text": "back"}, seconds=BEAT) == "back"
        until(lambda: system.redis("XLEN", "mcp_requests:{conformance}") == 0, 10, "empty")
        assert wedged.surprises == [] and client.surprises == []


def test_queue_of_an_api_that_left_is_answered_and_forgotten(ledger):
    with Cluster(workers={"conformance": 1, "calculator": 1}, proxy_env={"CALL_TIMEOUT": 3},
                 worker_env={**settings(ledger), "WORKER_CATALOGUE_TTL": 0}) as system, \
            system.client(0) as client:
        (worker,) = stopped_workers(system, "conformance")
        queue = Queue(system.redis, "conformance")
        id = client.ask("tools/call", {"name": "conformance_sleep",
                                       "arguments": {"delay_ms": 100}})
        client.answer(id)
        assert worker.stop() == 0
        queue.put("echo", {"text": "x"}, session=client.session_id, call="c" * 32,
                  reply_to=system.redis.hash(f"mcp_transport:{{{client.session_id}}}")["pod"],
                  deadline_ms=int(time.time() * 1000) + 1000,
                  payload=json.dumps({"jsonrpc": "2.0", "id": 77, "method": "tools/call"}))
        client.asked.add("77")
        error = client.answer(77, 6)["error"]
        assert error["code"] == TIMEOUT
        until(lambda: system.redis("SMEMBERS", "mcp_apis") == ["calculator"], 10, "off the list")
        assert system.redis("EXISTS", "mcp_janitor:{conformance}", "mcp_expired:{conformance}") == 0
        worker.start()
        assert worker.alive()


def test_workers_started_later_drain_the_queue(ledger):
    with Cluster(workers={"conformance": 1, "calculator": 1},
                 worker_env=settings(ledger)) as system, system.client(0) as client:
        (worker,) = stopped_workers(system, "conformance")
        worker.kill()
        ids = [client.ask("tools/call", {"name": "conformance_ledger_append",
                                         "arguments": {"nonce": f"{n}"}}) for n in range(50)]
        worker.start()
        for id in ids:
            assert client.answer(id, 10)["result"]
        assert sorted(lines(ledger)) == sorted(f"{n}" for n in range(50))


# Cancelling, from the client on ------------------------------------------------------

def test_client_cancels_running_and_queued_calls(ledger):
    with Cluster(workers={"conformance": 1, "calculator": 1},
                 worker_env=settings(ledger)) as system, system.client(0) as client:
        (worker,) = stopped_workers(system, "conformance")
        other = system.other(client)
        id = client.ask("tools/call", {"name": "conformance_sleep",
                                       "arguments": {"delay_ms": 60000, "nonce": "told"}})
        client.notify("notifications/cancelled", {"requestId": id, "reason": "enough"}, to=other)
        until(lambda: lines(ledger) == ["told"], 5, "the tool is told")
        worker.kill()
        queued = client.ask("tools/call", {"name": "conformance_ledger_append",
                                           "arguments": {"nonce": "skipped"}})
        client.notify("notifications/cancelled", {"requestId": queued}, to=other)
        worker.start()
        assert client.text("conformance_echo", {"text": "on"}, seconds=10) == "on"
        until(lambda: system.redis("XLEN", "mcp_requests:{conformance}") == 0, 5, "empty")
        assert lines(ledger) == ["told"]
        assert str(id) not in client.answers and str(queued) not in client.answers
