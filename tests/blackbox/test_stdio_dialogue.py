"""What a bridged MCP server asks while calls run: of which client, and what it hears."""

import json
import os
import signal

import pytest
from bridges import children_of, lines, running, settings, text

from harness import Cluster, Redis, until

EVERYTHING = {"sampling": {"tools": {}}, "elicitation": {"form": {}, "url": {}}, "roots": {}}
FORM = {"message": "그래서?", "requestedSchema": {"type": "object", "properties": {
    "n": {"type": "integer", "default": 1.0}}}}
URL = {"mode": "url", "message": "Sign in", "elicitationId": "e-1", "url": "https://example.com/?a"}
SAMPLE = {"messages": [{"role": "user", "content": {"type": "text", "text": "é"}}], "maxTokens": 7,
          "_meta": {"example/k": 1.5}}
SAMPLE_WITH_TOOLS = {**SAMPLE, "toolChoice": {"mode": "auto"}, "tools": [
    {"name": "look", "inputSchema": {"type": "object"}}]}
QUESTIONS = [
    ("elicitation/create", FORM, {"action": "accept", "content": {"n": 2}}),
    ("elicitation/create", FORM, {"action": "decline"}),
    ("elicitation/create", URL, {"action": "accept"}),
    ("elicitation/create", URL, {"action": "cancel"}),
    ("sampling/createMessage", SAMPLE, {"role": "assistant", "model": "m", "content": {
        "type": "text", "text": "hi"}, "stopReason": "endTurn"}),
    ("sampling/createMessage", SAMPLE_WITH_TOOLS, {"role": "assistant", "model": "m", "content": [
        {"type": "tool_use", "id": "1", "name": "look", "input": {"n": 1.5}}],
        "stopReason": "toolUse"}),
    ("roots/list", {}, {"roots": [{"uri": "file:///work", "name": "work"}]})]


@pytest.fixture(scope="module")
def system():
    with Cluster(workers={"stdio": 1},
                 worker_env=settings(STDIO_CHILD_CALLS=1, STDIO_CHILDREN=2)) as started:
        yield started


@pytest.fixture
def client(system):
    with system.client(0, path="/stdio/sse") as opened:
        introduce(opened, EVERYTHING)
        yield opened


def introduce(client, capabilities):
    client.request("initialize", {"protocolVersion": "2025-11-25", "capabilities": capabilities,
                                  "clientInfo": {"name": "x", "version": "1"}})


def call(client, system, tool, **arguments):
    return client.ask("tools/call", {"name": tool, "arguments": arguments}, system.other(client))


def heard(client, method):
    """The first message of that method."""
    def find():
        return next((message for message in client.notifications
                     if message["method"] == method), None)
    return client.wait(find, what=method)


def said(client, id):
    """What the tool says, which is what the server was answered."""
    return json.loads(client.answer(id)["result"]["content"][0]["text"])


@pytest.mark.parametrize("method, params, reply", QUESTIONS)
def test_questions_and_answers_pass_through(system, client, method, params, reply):
    id = call(client, system, "ask", method=method, params=params)
    question = heard(client, method)
    assert question["params"] == params
    client.post({"jsonrpc": "2.0", "id": question["id"], "result": reply}, system.other(client))
    answer = said(client, id)
    assert answer["result"] == reply and answer["id"].startswith("ask-")


def test_the_client_s_error_passes_through(system, client):
    id = call(client, system, "ask", method="elicitation/create", params=FORM)
    error = {"code": -1, "message": "User rejected", "data": {"why": 1.5}}
    client.post({"jsonrpc": "2.0", "id": heard(client, "elicitation/create")["id"],
                 "error": error}, system.other(client))
    assert said(client, id)["error"] == error


@pytest.mark.parametrize("capabilities, method, params, reason", [
    ({}, "elicitation/create", FORM, "the client does not support elicitation by forms"),
    ({"elicitation": {"url": {}}}, "elicitation/create", FORM,
     "the client does not support elicitation by forms"),
    ({"elicitation": {}}, "elicitation/create", URL,
     "the client does not support elicitation by URLs"),
    ({"roots": {}}, "sampling/createMessage", SAMPLE, "the client does not support sampling"),
    ({"sampling": {}}, "sampling/createMessage", SAMPLE_WITH_TOOLS,
     "the client does not support sampling with tools"),
    ({"sampling": {}}, "roots/list", {}, "the client does not list roots")])
def test_what_the_client_cannot_is_said_to_the_server(system, capabilities, method, params,
                                                      reason):
    with system.client(1, path="/stdio/sse") as client:
        introduce(client, capabilities)
        answer = said(client, call(client, system, "ask", method=method, params=params))
        assert answer["error"]["message"] == f"the client cannot be asked: {reason}"
        assert not client.notifications


def test_servers_cannot_ask_for_just_anything(system, client):
    answer = said(client, call(client, system, "ask", method="tools/list"))
    assert answer["error"]["code"] == -32601
    assert said(client, call(client, system, "ask", method="ping"))["result"] == {}
    assert not client.notifications


def test_cancelled_while_it_asks(system, client, tmp_path):
    path = tmp_path / "answer"
    id = call(client, system, "ask", method="elicitation/create", params=FORM, file=str(path))
    question = heard(client, "elicitation/create")
    client.notify("notifications/cancelled", {"requestId": id}, system.other(client))
    # Both ends hear of it: the client, that nobody waits; the server, an error.
    assert heard(client, "notifications/cancelled")["params"]["requestId"] == question["id"]
    (answer,) = until(lambda: lines(path), 10, "the server has an answer")
    assert json.loads(answer)["error"]["message"] == "the call has ended"
    # What the client says all the same reaches nobody.
    client.post({"jsonrpc": "2.0", "id": question["id"], "result": {"action": "accept"}},
                system.other(client))
    for _ in range(4):
        assert client.text("echo", {"text": "x"}) == "x"
    assert lines(path) == [answer] and json.dumps(id) not in client.answers


def test_withdrawn_by_the_server(system, client):
    id = call(client, system, "withdraw", method="elicitation/create", params=URL, seconds=0.5)
    question = heard(client, "elicitation/create")
    assert client.answer(id)["result"]["content"][0]["text"] == "withdrawn"
    ends = [message["params"]["requestId"] for message in client.notifications
            if message["method"] == "notifications/cancelled"]
    assert ends == [question["id"]]


def test_completion_of_a_url_reaches_the_client(system, client):
    id = call(client, system, "complete")
    assert client.answer(id)["result"]["content"][0]["text"] == "completed"
    assert heard(client, "notifications/elicitation/complete")["params"] == {"elicitationId": "e-1"}


def test_asked_outside_any_call(system, client, tmp_path):
    path = tmp_path / "answer"
    id = call(client, system, "ask_later", method="roots/list", file=str(path))
    assert client.answer(id)["result"]["content"][0]["text"] == "later"
    (answer,) = until(lambda: lines(path), 10, "the server has an answer")
    assert "no client to ask" in json.loads(answer)["error"]["message"]
    assert not client.notifications


def test_server_that_dies_while_it_asks():
    with Cluster(workers={"stdio": 1}, worker_env=settings(STDIO_CHILD_CALLS=1)) as system, \
            system.client(0, path="/stdio/sse") as client:
        introduce(client, EVERYTHING)
        (worker,) = system.workers
        for tool in ("ask_unsafe", "ask"):
            client.notifications.clear()
            id = call(client, system, tool, method="roots/list")
            question = heard(client, "roots/list")
            (pid,) = [pid for pid, state in children_of(worker.pid).items() if state != "Z"]
            os.kill(pid, signal.SIGKILL)
            assert heard(client, "notifications/cancelled")["params"]["requestId"] == question["id"]
            if tool == "ask_unsafe":
                assert "unknown" in client.answer(id, 30)["error"]["message"]
        # One that is safe runs again, and asks again.
        client.wait(lambda: [message["method"] for message in client.notifications].count(
            "roots/list") == 2, 60, "the question again")
        client.post({"jsonrpc": "2.0", "id": client.notifications[-1]["id"],
                     "result": {"roots": []}}, system.other(client))
        assert said(client, id)["result"] == {"roots": []}


def test_questions_of_a_server_with_several_calls_reach_nobody():
    with Redis() as redis, running(redis) as queue:
        waits = queue.put("sleep", {"seconds": 3, "file": "x"})
        until(lambda: redis("XPENDING", queue.key, "workers")[0] == 1, 5, "it runs")
        heard_back = json.loads(text(queue, "ask", method="roots/list"))
        assert "STDIO_CHILD_CALLS" in heard_back["error"]["message"]
        assert queue.answer(waits)["result"]
