"""Subscriptions to resources of a bridged MCP server: from clients to each of its processes."""

import contextlib
import json
import os
import signal
import time

import pytest
from bridges import children_of, running, settings, text

from harness import PATIENCE, Cluster, Redis, Worker, until

UPDATED = "notifications/resources/updated"
KEY = "mcp_watched:{stdio}"
SOON = 15


@pytest.fixture
def redis():
    with Redis() as server:
        yield server


def watch(redis, *uris, seconds=600):
    for uri in uris:
        redis("ZADD", KEY, int((time.time() + seconds) * 1000), uri)


def looks(queue):
    """What one of the server's processes says is watched."""
    return json.loads(text(queue, "watched"))


def changes(redis):
    return [fields[1] for _, fields in redis("XRANGE", "mcp_changes:{stdio}", "-", "+")]


def heard(client, uri):
    return sum(message["method"] == UPDATED and message["params"] == {"uri": uri}
               for message in client.notifications)


@contextlib.contextmanager
def opened(system, index=0, **options):
    with system.client(index, **options) as client:
        client.initialize("2025-06-18")
        yield client


def subscribe(client, to, uri, what="subscribe"):
    assert client.request(f"resources/{what}", {"uri": uri}, to)["result"] == {}


# From worker to server -----------------------------------------------------------

def test_servers_watch_what_somebody_wants(redis):
    with running(redis, STDIO_CHILDREN=2) as queue:
        until(lambda: queue.worker.log_text().count("server ready") == 2, 20, "both are ready")
        watch(redis, "note://one", "note://by/\"é\n")
        found = {}

        def all_watch(wanted):
            one = looks(queue)
            found[one["pid"]] = sorted(one["watched"])
            return len(found) == 2 and all(each == wanted for each in found.values())
        until(lambda: all_watch(["note://by/\"é\n", "note://one"]), SOON, "both watch both")
        watch(redis, "note://two")
        redis("ZREM", KEY, "note://one")
        until(lambda: all_watch(["note://by/\"é\n", "note://two"]), SOON, "the new ones")
        # Those that nobody has renewed are over, too.
        watch(redis, "note://two", seconds=-1)
        until(lambda: all_watch(["note://by/\"é\n"]), SOON, "what is left")
        assert looks(queue)["unwatched"] == ["note://one", "note://two"]


def test_changes_are_told_of_what_somebody_wants(redis):
    with running(redis) as queue:
        watch(redis, "note://one")
        until(lambda: looks(queue)["watched"] == ["note://one"], SOON, "it is watched")
        redis("DEL", "mcp_changes:{stdio}")
        for uri in ("note://two", "note://one"):
            assert text(queue, "touch", uri=uri) == "touched"
        until(lambda: changes(redis), 5, "it is told")
        assert set(changes(redis)) == {"note://one"}


def test_parts_of_what_somebody_wants_are_told(redis):
    with running(redis) as queue:
        watch(redis, "note://by/7")
        until(lambda: looks(queue)["watched"] == ["note://by/7"], SOON, "it is watched")
        for uri in ("note://by/70", "note://by", "note://by/7/" + "x" * 3000, "note://by/7?line=1",
                    "note://by/7/lines", "note://by/7"):
            assert text(queue, "touch", uri=uri) == "touched"
        until(lambda: "note://by/7" in changes(redis), 5, "it is told")
        assert set(changes(redis)) == {"note://by/7?line=1", "note://by/7/lines", "note://by/7"}


def test_floods_of_changes_are_told_now_and_then(redis):
    with running(redis) as queue:
        watch(redis, "note://one")
        until(lambda: looks(queue)["watched"] == ["note://one"], SOON, "it is watched")
        begun = time.monotonic()
        assert text(queue, "touch", uri="note://one", times=20000, seconds=60) == "touched"
        until(lambda: changes(redis), 5, "it is told")
        assert len(changes(redis)) < 10 + 8 * (time.monotonic() - begun)
    redis.flush()
    # One that is not asked says what it likes.
    with running(redis, STDIO_ENV="SERVER_MOOD", SERVER_MOOD="unwatched") as queue:
        assert text(queue, "touch", uri="note://by/*", times=5000, seconds=60) == "touched"
        until(lambda: "not told of" in queue.worker.log_text() or len(changes(redis)) >= 1000, 10,
              "as many as there may be")
        assert text(queue, "echo", text="x") == "x"


def test_what_was_wanted_late_counts_as_changed(redis):
    with running(redis) as queue:
        watch(redis, "note://two")
        until(lambda: looks(queue)["watched"] == ["note://two"], SOON, "it is watched")
        assert changes(redis) == []
        watch(redis, "note://one")
        # Before the server was asked, it may have changed.
        until(lambda: changes(redis) == ["note://one"], SOON, "it is told")
        (pid,) = children_of(queue.worker.pid)
        os.kill(pid, signal.SIGKILL)
        # So it may with the process that knew of it.
        until(lambda: sorted(changes(redis)) == ["note://one"] * 2 + ["note://two"], 30,
              "it is told again")
        again = looks(queue)
        assert sorted(again["watched"]) == ["note://one", "note://two"] and again["pid"] != pid
    redis.flush()
    watch(redis, "note://one")
    with running(redis) as queue:
        until(lambda: looks(queue)["watched"] == ["note://one"], SOON, "it is watched")
        assert text(queue, "touch", uri="note://one") == "touched"
        until(lambda: changes(redis), 5, "it is told")
        assert changes(redis) == ["note://one"]


def test_a_refusal_ends_nothing(redis):
    with running(redis) as queue:
        watch(redis, "note://missing", "note://two")
        until(lambda: looks(queue)["watched"] == ["note://two"], SOON, "the other is watched")
        (line,) = [line for line in queue.worker.log_text().splitlines() if "refused" in line]
        assert "uri=note://missing" in line and 'reason="no such note"' in line


def test_a_resource_that_ends_servers_is_left_alone(redis):
    with running(redis) as queue:
        watch(redis, "note://one", "note://poison")
        until(lambda: queue.worker.log_text().count("exit status 8") == 3, 60, "it has ended some")
        until(lambda: looks(queue)["watched"] == ["note://one"], 60, "the other is watched")
        queue.answer(queue.put("sleep", {"seconds": 1, "file": "x"}), 15)
        assert queue.worker.log_text().count("exit status 8") == 3


@pytest.mark.parametrize("mood", ["deaf", "unwatched"])
def test_servers_that_cannot_are_left_in_peace(redis, mood):
    with running(redis, STDIO_ENV="SERVER_MOOD", SERVER_MOOD=mood) as queue:
        watch(redis, "note://one", "note://two")
        for n in range(2):
            watch(redis, f"note://by/{n}")
            # Long enough for the worker to have looked.
            queue.answer(queue.put("sleep", {"seconds": 1, "file": "x"}), 15)
            assert looks(queue)["watched"] == []
        assert text(queue, "echo", text="x") == "x" and queue.worker.stop() == 0


def test_as_many_as_may_be(redis):
    with running(redis) as queue:
        watch(redis, *(f"note://by/{n:04}" for n in range(1100)))
        until(lambda: len(looks(queue)["watched"]) == 1000, 60, "a thousand are watched")
        assert len(set(looks(queue)["watched"])) == 1000


# From client to server -------------------------------------------------------------

def test_clients_hear_of_changes_in_any_process(tmp_path):
    path = tmp_path / "watched"
    uri = f"file://{path}"
    more = settings(STDIO_CHILDREN=2, STDIO_ENV="SERVER_FILE", SERVER_FILE=path)
    with Cluster(workers={"stdio": 2}, worker_env=more) as system, \
            opened(system) as first, opened(system, 1) as second, opened(system) as third:
        for client in (first, second):
            subscribe(client, system.other(client), uri)
        subscribe(third, system.proxies[1], "note://one")
        until(lambda: sum(worker.log_text().count("server ready") for worker in system.workers)
              == 4, 20, "four are ready")
        # Each of the four says so, in the moment that it watches.
        for client in (first, second):
            client.wait(lambda c=client: heard(c, uri), SOON, "first word")
        told = 3
        for n in range(told):
            before = heard(first, uri), heard(second, uri)
            path.write_text(f"{n}")
            first.wait(lambda b=before: heard(first, uri) > b[0], SOON, "word of the change")
            second.wait(lambda b=before: heard(second, uri) > b[1], SOON, "word of the change")
        third.request("ping")
        assert heard(third, uri) == 0
        # Four processes have told of each, and once more at the beginning.
        assert heard(first, uri) < 4 * (told + 1)


def test_clients_hear_of_parts():
    with Cluster(workers={"stdio": 1}, worker_env=settings()) as system, \
            opened(system) as client, opened(system, 1, path="/stdio/sse") as other:
        for uri in ("note://one", "note://in/a", "note://"):
            subscribe(client, system.proxies[1], uri)
        until(lambda: sorted(json.loads(other.text("watched", {}))["watched"]) ==
              ["note://in/a", "note://one"], SOON, "what is offered is watched")
        # Nothing is offered of that; of a resource's own parts all are told.
        for uri in ("note://two", "note://one#1", "note://one/by/7"):
            assert text_of(other, "touch", uri=uri) == "touched"
        for uri in ("note://one#1", "note://one/by/7"):
            client.wait(lambda u=uri: heard(client, u), SOON, "word of the change")
        # From the same template, so whoever may read the one may read the other.
        assert text_of(other, "touch", uri="note://in/a/b") == "touched"
        client.wait(lambda: heard(client, "note://in/a/b"), SOON, "word of the change")
        assert heard(client, "note://two") == 0 and not heard(other, "note://one#1")


def test_parts_that_are_offered_by_themselves_are_not_named():
    more = settings(STDIO_ENV="SERVER_MOOD", SERVER_MOOD="nested")
    with Cluster(workers={"stdio": 1}, worker_env=more) as system, opened(system) as client:
        subscribe(client, system.proxies[1], "note://one")
        until(lambda: json.loads(client.text("stdio_watched", {}))["watched"], SOON,
              "it is watched")
        client.notifications.clear()
        assert client.text("stdio_touch", {"uri": "note://one/secret"}) == "touched"
        client.wait(lambda: heard(client, "note://one"), SOON, "word of the change")
        assert not heard(client, "note://one/secret")


def test_subscriptions_stand_in_redis_while_somebody_listens():
    env = {"SESSION_TTL": 60, "SESSION_REUSE_WINDOW": 5}
    with Cluster(workers={"stdio": 1}, worker_env=settings(), proxy_env=env) as system:
        redis = system.redis
        path = "/stdio/sse?client=listener"
        with opened(system, path=path) as client:
            subscribe(client, system.proxies[1], "note://one")
            # Nobody has it, so nobody is asked for it.
            subscribe(client, system.proxies[1], "other://one")
            until(lambda: redis("ZCARD", KEY) == 1, 5, "it is there")
            (_, score) = redis("ZRANGE", KEY, 0, -1, "WITHSCORES")
            assert 20e3 < float(score) - time.time() * 1000 < 40e3
            assert 20e3 < redis("PTTL", KEY) <= 30e3
            # Renewed each quarter of SESSION_TTL.
            until(lambda: float(redis("ZRANGE", KEY, 0, -1, "WITHSCORES")[1]) > float(score), 30,
                  "it is renewed")
            redis.flush()
            until(lambda: redis("ZCARD", KEY) == 1, 20, "it is written anew")
            redis("DEL", KEY)
        with system.client(1, path=path) as client:
            until(lambda: redis("ZRANGE", KEY, 0, -1) == ["note://one"], 5, "who is back says so")
            before = redis("ZRANGE", KEY, 0, -1, "WITHSCORES")
            subscribe(client, system.proxies[0], "note://one", "unsubscribe")
            assert text_of(client, "touch", uri="note://one") == "touched"
            assert heard(client, "note://one") <= 1
        assert redis("ZRANGE", KEY, 0, -1, "WITHSCORES") == before


def text_of(client, tool, **arguments):
    return client.text(tool, arguments)


def test_an_api_that_comes_later_hears_of_it():
    with Cluster(workers={"calculator": 1}) as system, opened(system) as client:
        subscribe(client, system.proxies[1], "note://one")
        assert not system.redis("EXISTS", KEY)
        with Worker("stdio", system.redis, settings=settings()):
            until(lambda: system.redis("ZRANGE", KEY, 0, -1) == ["note://one"], 20, "it is there")
            until(lambda: client.pump() or "stdio_watched" in client.tools(), 10, "it is listed")
            until(lambda: json.loads(client.text("stdio_watched", {}))["watched"], 10,
                  "it is watched")


def test_an_api_has_its_bound():
    with Cluster(workers={"stdio": 1}, worker_env=settings()) as system, \
            contextlib.ExitStack() as stack:
        clients = [stack.enter_context(opened(system, n % 2)) for n in range(5)]
        for client in clients:
            for n in range(260):
                subscribe(client, system.proxies[0], f"note://by/{client.session_id}.{n}")
        until(lambda: system.redis("ZCARD", KEY) == 1000, 15 * PATIENCE, "as many as may be")
        assert clients[0].call("stdio_echo", {"text": "x"})
