"""The stdio API: an MCP server of Python's standard library alone, bridged."""

import json
import os
import pathlib
import shlex
import signal
import time

import pytest
from bridges import (COMMAND, children_of, exists, lines, result, running, settings, text,
                     tools_of)
from queues import BEAT, SID, Queue

from harness import PATIENCE, Cluster, Redis, Worker, until


@pytest.fixture
def redis():
    with Redis() as server:
        yield server


# What it serves ----------------------------------------------------------------

def test_catalogue_is_the_server_s_own(redis):
    with running(redis) as queue:
        tools = {tool["name"]: tool for tool in tools_of(redis)}
        assert "not a good name" not in tools and "left out" in queue.worker.log_text()
        echo = tools["echo"]
        assert echo["annotations"] == {"readOnlyHint": True, "title": "Safe one"}
        assert echo["_meta"] == {"example/key": [1.5, "é"]} and echo["title"] == "Echo"
        assert echo["inputSchema"] == {"type": "object",
                                       "properties": {"text": {"type": "string"}}}
        assert echo["outputSchema"]["properties"] == {"text": {"type": "string"}}
        assert "annotations" not in tools["append"]
        catalogue = json.loads(redis.hash("mcp_api:{stdio}")["catalogue"])
        assert catalogue["instructions"] == 'Use "echo".\n'


def test_lists_are_read_to_their_end(redis):
    with running(redis, STDIO_ENV="SERVER_MOOD", SERVER_MOOD="pages"):
        assert len(tools_of(redis)) == 29


def test_operator_s_word_is_added(redis):
    with running(redis, UNSAFE_TOOLS="echo", TOOL_TIMEOUTS="whoami=7"):
        tools = {tool["name"]: tool for tool in tools_of(redis)}
        assert tools["echo"]["_meta"] == {"mcp-relay/safe": False, "example/key": [1.5, "é"]}
        assert tools["whoami"]["_meta"] == {"mcp-relay/timeout_ms": 7000}


def test_results_pass_through(redis):
    with running(redis) as queue:
        assert result(queue, "echo", text="그\u2028\n") == {
            "content": [{"type": "text", "text": "그\u2028\n"}],
            "structuredContent": {"text": "그\u2028\n"}}
        assert result(queue, "fail") == {"content": [{"type": "text", "text": "it failed"}],
                                         "isError": True}
        error = queue.answer(queue.put("refuse", {}))["error"]
        assert error == {"code": -32042, "message": "no", "data": {"why": [1.0]}}
        id = queue.put("raw", {})
        queue.answer(id)
        (payload,) = [message["payload"] for message in queue.messages()
                      if json.loads(message["payload"])["id"] == id]
        assert '"later":{"n":1.5,"é":"\u2028","e":100000.0}' in payload


def test_calls_run_at_once_and_spread(redis):
    with running(redis, STDIO_CHILDREN=4) as queue:
        until(lambda: queue.worker.log_text().count("server ready") == 4, 20, "four are ready")
        begun = time.monotonic()
        ids = [queue.put("sleep", {"seconds": 1.5, "file": "x"}) for _ in range(40)]
        pids = set()
        for _ in range(12):
            pids.add(text(queue, "whoami"))
        for id in ids:
            assert queue.answer(id, 20)["result"]["content"][0]["text"] == "slept"
        assert len(pids) > 1
        # One after the other they would take a minute.
        assert time.monotonic() - begun < 20 * PATIENCE
        assert len(children_of(queue.worker.pid)) == 4


def test_calls_wait_for_room(redis):
    with running(redis, STDIO_CHILD_CALLS=1) as queue:
        begun = time.monotonic()
        ids = [queue.put("sleep", {"seconds": 0.5, "file": "x"}) for _ in range(4)]
        for id in ids:
            assert queue.answer(id, 15)["result"]
        assert time.monotonic() - begun > 1.9


def test_server_sees_none_of_our_secrets(redis, tmp_path):
    more = {"STDIO_ENV": "SERVER_NOTE, MISSING", "SERVER_NOTE": "a,b=c", "OTHER": "x",
            "STDIO_DIRECTORY": tmp_path}
    with running(redis, **more) as queue:
        found = json.loads(text(queue, "environment"))
        assert found["environment"]["SERVER_NOTE"] == "a,b=c" and "PATH" in found["environment"]
        assert not {"REDIS_URL", "OTHER", "STDIO_COMMAND"} & set(found["environment"])
        assert pathlib.Path(found["directory"]) == tmp_path
        (line,) = [line for line in queue.worker.log_text().splitlines() if "STDIO_ENV" in line]
        assert "level=warn" in line and "name=MISSING" in line
        (pid,) = children_of(queue.worker.pid)
        assert len(os.listdir(f"/proc/{pid}/fd")) == 3


@pytest.mark.parametrize("words, told", [
    (None, {"sampling": {"tools": {}}, "elicitation": {"form": {}, "url": {}}, "roots": {}}),
    ("elicitation.url, roots", {"elicitation": {"url": {}}, "roots": {}}),
    ("none", {})])
def test_server_is_told_what_clients_can(redis, words, told):
    with running(redis, STDIO_CLIENT_CAPABILITIES=words) as queue:
        client = json.loads(text(queue, "environment"))["client"]
        assert client["capabilities"] == told
        assert client["protocolVersion"] == "2025-11-25"
        assert client["clientInfo"]["name"] == "mcp-relay/stdio"


# While calls run -----------------------------------------------------------------

def test_progress_log_and_names_from_a_client_on():
    with Cluster(workers={"stdio": 1}, worker_env=settings()) as system, \
            system.client(0) as client:
        client.initialize("2025-06-18")
        other = system.other(client)
        answer = client.request("tools/call", {"_meta": {"progressToken": "tok\u00e9\"1"},
                                               "name": "stdio_progress"}, other)
        assert int(answer["result"]["content"][0]["text"]) > 0
        reports = [message["params"] for message in client.notifications
                   if message["method"] == "notifications/progress"]
        assert [report["progress"] for report in reports] == [1, 2.5, 4]
        assert {report["progressToken"] for report in reports} == {"tok\u00e9\"1"}
        assert reports[0]["total"] == 4 and reports[0]["message"] == "at 1"
        client.notifications.clear()
        assert client.text("stdio_log", {}, other) == "debug"
        (message,) = client.notifications
        assert message["params"] == {"level": "warning", "logger": "here", "data": {"n": 1.0}}


def test_resources_and_prompts_from_a_client_on():
    with Cluster(workers={"stdio": 1}, worker_env=settings()) as system, \
            system.client(0) as client:
        client.initialize("2025-06-18")

        def ask(method, **params):
            answer = client.request(method, params, system.other(client))
            return answer.get("result", answer.get("error"))
        resources = ask("resources/list")["resources"]
        assert resources == [
            {"uri": "note://one", "name": "one", "mimeType": "text/plain", "size": 3,
             "_meta": {"k": 1}}, {"uri": "note://two", "name": "two"}]
        assert ask("resources/templates/list")["resourceTemplates"] == [
            {"uriTemplate": "note://by/{id}", "name": "by", "title": "By id"},
            {"uriTemplate": "note://in/{folder*}{?after,first}", "name": "in"}]
        (prompt,) = ask("prompts/list")["prompts"]
        assert prompt == {"name": "stdio_greet", "description": "Greets.",
                          "arguments": [{"name": "who", "required": True}]}
        for uri in ("note://one", "note://by/7", "note://in/a/b", "note://in/a?first=1&after=2"):
            assert ask("resources/read", uri=uri)["contents"] == [
                {"uri": uri, "text": f"note of {uri}", "x": 1.0}]
        (message,) = ask("prompts/get", name="stdio_greet", arguments={"who": "you"})["messages"]
        assert message["content"]["text"] == "greet you"
        for ref, what in (({"type": "ref/prompt", "name": "stdio_greet"}, "greet"),
                          ({"type": "ref/resource", "uri": "note://by/{id}"}, "note://by/{id}")):
            completion = ask("completion/complete", ref=ref,
                             argument={"name": "who", "value": "y"})["completion"]
            assert completion["values"] == [f"{what} y"]


def test_server_asks_the_client_of_its_only_call():
    with Cluster(workers={"stdio": 1}, worker_env=settings(STDIO_CHILD_CALLS=1)) as system, \
            system.client(0) as client:
        client.request("initialize", {"protocolVersion": "2025-06-18",
                                      "capabilities": {"sampling": {}},
                                      "clientInfo": {"name": "x", "version": "1"}})
        id = client.ask("tools/call", {"name": "stdio_sample", "arguments": {}})
        (question,) = client.wait(lambda: [message for message in client.notifications
                                           if message["method"] == "sampling/createMessage"])
        assert question["params"] == {"messages": [], "maxTokens": 7}
        reply = {"role": "assistant", "model": "m", "content": {"type": "text", "text": "hi"}}
        client.post({"jsonrpc": "2.0", "id": question["id"], "result": reply},
                    system.other(client))
        heard = json.loads(client.answer(id)["result"]["content"][0]["text"])
        assert heard["id"] == "ask-0" and heard["result"] == reply


def test_server_is_told_that_nobody_can_be_asked(redis):
    with running(redis) as queue:
        heard = json.loads(text(queue, "sample"))
        assert "cannot be asked" in heard["error"]["message"]
        ids = [queue.put("sample", {}) for _ in range(2)] + [
            queue.put("sleep", {"seconds": 2, "file": "x"})]
        for id in ids[:2]:
            heard = json.loads(queue.answer(id, 15)["result"]["content"][0]["text"])
            assert "asked" in heard["error"]["message"] or "no client" in heard["error"]["message"]
        queue.answer(ids[2], 15)


def test_cancelled_call_reaches_the_server(redis, tmp_path):
    told = tmp_path / "told"
    with running(redis) as queue:
        id = queue.put("sleep", {"seconds": 600, "file": str(told)})
        until(lambda: redis("XPENDING", queue.key, "workers")[0] == 1, 5, "it runs")
        assert text(queue, "whoami")
        redis("XADD", "mcp_cancel:{stdio}", "*", "session", SID, "request", id)
        until(lambda: len(lines(told)) == 1, 10, "the server is told")
        until(queue.is_empty, 5, "the entry is gone")
        assert len(queue.messages()) == 1


def test_deadline_reaches_the_server(redis, tmp_path):
    told = tmp_path / "told"
    with running(redis) as queue:
        id = queue.put("sleep", {"seconds": 600, "file": str(told)},
                       deadline_ms=int(time.time() * 1000) + 1000)
        assert "deadline" in queue.answer(id, 10)["error"]["message"]
        until(lambda: len(lines(told)) == 1, 10, "the server is told")


def test_changed_lists_are_published(redis):
    with running(redis, STDIO_CHILDREN=2) as queue:
        assert text(queue, "change", name="brand_new") == "changed"
        until(lambda: "brand_new" in {tool["name"] for tool in tools_of(redis)}, BEAT,
              "it is listed")
        assert json.loads(redis.hash("mcp_api:{stdio}")["catalogue"])["instructions"]
        assert text(queue, "brand_new", a=1).startswith("brand_new")


def test_lists_that_were_replaced_are_not_kept(redis):
    # What a sanitizer keeps of freed memory is not the worker's.
    with running(redis, ASAN_OPTIONS="quarantine_size_mb=1") as queue:
        waits = queue.put("sleep", {"seconds": 8, "file": "x"})
        before = queue.worker.rss_bytes()
        for n in range(1, 31):
            assert text(queue, "replace", name=f"now_{n}", bytes=1_000_000) == "replaced"
            until(lambda n=n: f"now_{n}" in {tool["name"] for tool in tools_of(redis)}, BEAT,
                  "it is listed")
        assert text(queue, "now_30") == "now_30 {}"
        assert queue.answer(waits, 30)["result"]["content"][0]["text"] == "slept"
        assert queue.worker.rss_bytes() - before < 30e6


# What goes wrong -------------------------------------------------------------------

def test_server_that_dies_with_calls(redis, tmp_path):
    died, written = tmp_path / "died", tmp_path / "written"
    with running(redis) as queue:
        safe = queue.put("sleep", {"seconds": 1.5, "file": "x"})
        unsafe = queue.put("append", {"file": str(written), "line": "once", "seconds": 600})
        until(lambda: lines(written) == ["once"], 10, "both run")
        (pid,) = children_of(queue.worker.pid)
        os.kill(pid, signal.SIGKILL)
        error = queue.answer(unsafe, 10)["error"]
        assert error["code"] == -32002 and "outcome is unknown" in error["message"]
        assert queue.answer(safe, 20)["result"]["content"][0]["text"] == "slept"
        assert lines(written) == ["once"]
        assert queue.worker.starts == 1 and not exists(pid)
        # One that kills its server each time is given up.
        poison = queue.put("die", {"file": str(died)})
        assert queue.answer(poison, 60)["error"]["code"] == -32004
        assert lines(died) == ["died"] * 3
        (letter,) = redis("XRANGE", "mcp_dead:{stdio}", "-", "+")
        fields = dict(zip(letter[1][::2], letter[1][1::2]))
        assert fields["tool"] == "die" and fields["attempts"] == "3"
        assert text(queue, "whoami", 60)
        until(queue.is_empty, 5, "nothing is left")
        assert len(queue.messages()) == 4


def test_server_that_does_not_start_is_said_and_tried_again(redis, tmp_path):
    more = settings(STDIO_ENV="SERVER_MOOD", SERVER_MOOD="flaky", STDIO_DIRECTORY=tmp_path)
    with Worker("stdio", redis, settings=more).start(ready=False) as worker:
        beat = until(lambda: redis("KEYS", "mcp_worker:*"), 5, "the heartbeat")[0]
        until(lambda: redis("HMGET", beat, "state", "error") == [
            "failed", "the server has ended: exit status 3"], BEAT, "it says why")
        assert 'line="Traceback: no such luck"' in worker.log_text()
        assert redis("EXISTS", "mcp_api:{stdio}") == 0
        (tmp_path / "FLAKY").touch()
        assert Queue(redis, "stdio").text("echo", {"text": "x"}, 40) == "x"


@pytest.mark.parametrize("more, words", [
    ({"STDIO_COMMAND": None}, "STDIO_COMMAND is not set"),
    ({"STDIO_COMMAND": "no-such-program --x"}, "no-such-program: No such file or directory"),
    ({"STDIO_DIRECTORY": "/no/such/place"}, "No such file or directory"),
    ({"SERVER_MOOD": "refuses"}, "it has refused initialize"),
    ({"SERVER_MOOD": "silent", "STDIO_START_TIMEOUT": 1}, "it was not ready in time")])
def test_start_failures_are_named(redis, more, words):
    values = settings(STDIO_ENV="SERVER_MOOD", **more)
    with Worker("stdio", redis, settings=values).start(ready=False) as worker:
        until(lambda: words in worker.log_text(), 15, worker.tail)


@pytest.mark.parametrize("command", ["", "'open", "x \\"])
def test_commands_without_sense_are_refused(redis, command):
    worker = Worker("stdio", redis, settings={"STDIO_COMMAND": command or " '' \\"})
    worker.start(ready=False)
    assert worker.wait() == 2 and "STDIO_COMMAND" in worker.log_text()


def test_capabilities_that_are_none_are_refused(redis):
    worker = Worker("stdio", redis, settings=settings(STDIO_CLIENT_CAPABILITIES="roots,dance"))
    worker.start(ready=False)
    assert worker.wait() == 2
    assert "STDIO_CLIENT_CAPABILITIES: dance is no capability" in worker.log_text()


def test_noise_does_no_harm(redis):
    with running(redis, STDIO_ENV="SERVER_MOOD", SERVER_MOOD="noisy",
                 STDIO_MAX_LINE="16k") as queue:
        assert text(queue, "echo", text="x") == "x"
        log = queue.worker.log_text()
        assert "is no message" in log and "too long" in log and "Welcome" not in log


@pytest.mark.parametrize("kind", ["nan", "utf8", "cut", "nothing", "both", "list"])
def test_answer_that_is_none_is_an_error_at_once(redis, kind):
    with running(redis) as queue:
        error = queue.answer(queue.put("broken", {"kind": kind}))["error"]
        assert error["code"] == -32603 and "answer is not" in error["message"]
        assert text(queue, "echo", text="x") == "x"


@pytest.mark.parametrize("mood", ["twice", "strings"])
def test_ids_are_taken_as_clients_take_them(redis, mood):
    with running(redis, STDIO_ENV="SERVER_MOOD", SERVER_MOOD=mood) as queue:
        ids = [queue.put("echo", {"text": f"{n}"}) for n in range(20)]
        for n, id in enumerate(ids):
            assert queue.answer(id)["result"]["content"][0]["text"] == f"{n}"
        until(queue.is_empty, 5, "nothing is left")
        assert len(queue.messages()) == 20


@pytest.mark.parametrize("revision", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
@pytest.mark.parametrize("mood", ["", "batches"])
def test_revisions(redis, revision, mood):
    more = {"STDIO_ENV": "SERVER_PROTOCOL,SERVER_MOOD", "SERVER_PROTOCOL": revision,
            "SERVER_MOOD": mood, "STDIO_START_TIMEOUT": 2}
    if mood == "" or revision == "2025-03-26":
        with running(redis, **more) as queue:
            assert text(queue, "echo", text="x") == "x"
        return
    # Only one of them has batches.
    with Worker("stdio", redis, settings=settings(**more)).start(ready=False) as worker:
        until(lambda: "it was not ready in time" in worker.log_text(), 15, worker.tail)


def test_other_revisions_are_refused(redis):
    more = settings(STDIO_ENV="SERVER_PROTOCOL", SERVER_PROTOCOL="2026-07-28")
    with Worker("stdio", redis, settings=more).start(ready=False) as worker:
        until(lambda: "it speaks another revision of MCP" in worker.log_text(), 15, worker.tail)


def test_server_that_takes_its_time(redis):
    with running(redis, STDIO_ENV="SERVER_MOOD", SERVER_MOOD="slow") as queue:
        assert text(queue, "echo", text="x") == "x"


def test_list_without_an_end_is_none(redis):
    more = settings(STDIO_ENV="SERVER_MOOD", SERVER_MOOD="endless")
    with Worker("stdio", redis, settings=more).start(ready=False) as worker:
        until(lambda: "a list of its has no end" in worker.log_text(), 30, worker.tail)
        assert redis("EXISTS", "mcp_api:{stdio}") == 0


def test_lists_that_change_with_each_reading_are_read_now_and_then(redis):
    begun = time.monotonic()
    with running(redis, STDIO_ENV="SERVER_MOOD", SERVER_MOOD="restless") as queue:
        queue.answer(queue.put("sleep", {"seconds": 3, "file": "x"}), 15)
        read = json.loads(text(queue, "watched"))["listed"]
        assert 2 <= read < 4 + 4 * (time.monotonic() - begun)


def test_babble_is_logged_within_bounds(redis):
    with running(redis) as queue:
        begun = time.monotonic()
        assert text(queue, "babble", lines=50_000, seconds=60) == "babbled"
        assert text(queue, "echo", text="x") == "x"
        told = queue.worker.log_text().count("is no message")
        assert 1 <= told <= 2 + time.monotonic() - begun


def test_answer_that_is_too_long_is_an_error(redis):
    with running(redis, STDIO_MAX_LINE="64k") as queue:
        for _ in range(2):
            error = queue.answer(queue.put("large", {"bytes": 100000}))["error"]
            assert "STDIO_MAX_LINE" in error["message"]
        assert len(text(queue, "large", bytes=60000)) == 60000
    redis.flush()
    with running(redis) as queue:
        error = queue.answer(queue.put("large", {"bytes": 2 << 20}))["error"]
        assert "1 MiB" in error["message"]


def test_server_that_is_stuck_is_started_again(redis):
    with running(redis) as queue:
        (pid,) = children_of(queue.worker.pid)
        id = queue.put("stop_reading", {}, deadline_ms=int(time.time() * 1000) + 1500)
        assert "deadline" in queue.answer(id, 10)["error"]["message"]
        until(lambda: "does not answer any more" in queue.worker.log_text(), 25, "it is noticed")
        assert text(queue, "whoami", 30) != str(pid)
        assert not exists(pid)


def test_standard_error_is_logged_within_bounds(redis):
    with running(redis, STDIO_STDERR_LEVEL="warn") as queue:
        assert text(queue, "say", text="\n".join(["again"] * 500 + ["y" * 5000])) == "said"
        assert text(queue, "say", text="a \"b\"\x1b[31m") == "said"
        log = queue.worker.log_text()
        assert "level=warn" in log and log.count("line=again") < 100
        assert "y" * 2000 not in log and "\x1b" not in log


# The end ----------------------------------------------------------------------------

def test_nothing_is_left_behind(redis, tmp_path):
    spawned = tmp_path / "spawned"
    with running(redis, STDIO_CHILDREN=2) as queue:
        for _ in range(4):
            assert text(queue, "spawn", file=str(spawned)) == "spawned"
        pids = list(children_of(queue.worker.pid)) + [int(pid) for pid in lines(spawned)]
        assert all(exists(pid) for pid in pids) and len(pids) == 6
        last = queue.put("sleep", {"seconds": 1, "file": "x"})
        until(lambda: redis("XPENDING", queue.key, "workers")[0] == 1, 5, "it runs")
        assert queue.worker.stop() == 0
        assert queue.answer(last)["result"]["content"][0]["text"] == "slept"
        until(lambda: not any(exists(pid) for pid in pids), 5, "all have gone")


def test_servers_have_time_to_end(redis, tmp_path):
    with running(redis, STDIO_ENV="SERVER_MOOD", SERVER_MOOD="tidy", STDIO_CHILDREN=2,
                 STDIO_DIRECTORY=tmp_path) as queue:
        until(lambda: queue.worker.log_text().count("server ready") == 2, 20, "both are ready")
        assert queue.worker.stop() == 0
        assert lines(tmp_path / "TIDY") == ["ended"] * 2
        assert queue.worker.log_text().count('how="exit status 0"') == 2


def test_servers_that_do_not_end_are_killed(redis):
    command = "sh -c " + shlex.quote(f"trap '' TERM; {COMMAND}; sleep 600")
    with running(redis, STDIO_COMMAND=command) as queue:
        pids = list(children_of(queue.worker.pid))
        assert queue.worker.stop(30) == 0
        assert not any(exists(pid) for pid in pids)


def test_servers_end_when_their_worker_is_killed(redis):
    with running(redis, STDIO_COMMAND=f"{COMMAND}") as queue:
        pids = list(children_of(queue.worker.pid))
        queue.worker.kill()
        until(lambda: not any(exists(pid) for pid in pids), 10, "they have gone")


def test_no_zombies(redis):
    with running(redis) as queue:
        for _ in range(3):
            id = queue.put("die_unsafe", {})
            assert queue.answer(id, 40)["error"]["code"] == -32002
        assert text(queue, "whoami", 40)
        assert "Z" not in children_of(queue.worker.pid).values()
