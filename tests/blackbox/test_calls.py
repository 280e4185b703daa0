"""Tool calls across pods, and what the calculator says."""

import concurrent.futures
import json
import re

import pytest

from harness import SseClient, loop_of, plain_pod, request

SESSIONS = 64
CALLS = 10_000


def test_call_posted_to_another_pod_is_answered_on_the_stream(system, client, other):
    client.initialize(to=other)
    assert plain_pod(loop_of(system.redis, client)) == client.server.name
    assert client.text("calculator_add", {"a": 2, "b": 3}, to=other) == "5"
    assert client.surprises == []


def calls_of_one_session(system, number, count):
    """Makes `count` calls to the other pod; returns what came that should not."""
    with SseClient(system.proxies[number % 2]) as session:
        other = system.other(session)
        session.initialize(to=other)
        for n in range(count):
            text = f"session {number} call {n}"
            assert session.text("conformance_echo", {"text": text}, to=other) == text
        session.pump(0)
        return session.surprises, len(session.answers)


def test_ten_thousand_calls_each_on_a_pod_without_the_stream(system):
    share = [CALLS // SESSIONS + (n < CALLS % SESSIONS) for n in range(SESSIONS)]
    assert sum(share) == CALLS
    with concurrent.futures.ThreadPoolExecutor(SESSIONS) as pool:
        results = list(pool.map(lambda n: calls_of_one_session(system, n, share[n]),
                                range(SESSIONS)))
    assert [surprises for surprises, _ in results if surprises] == []
    assert sum(answers for _, answers in results) == CALLS + SESSIONS  # and initialize


def test_sessions_are_spread_over_all_loops(system):
    sessions = [system.client(n % 2) for n in range(64)]
    owners = {loop_of(system.redis, session) for session in sessions}
    for session in sessions:
        session.close()
    assert len(owners) == 4, owners


def test_many_calls_in_flight_on_one_session(client, other, system):
    asked = {}
    for n in range(200):
        params = {"name": "conformance_echo", "arguments": {"text": f"n{n}"}}
        asked[client.ask("tools/call", params, to=system.proxies[n % 2])] = f"n{n}"
    for id, text in asked.items():
        assert client.answer(id)["result"]["content"][0]["text"] == text
    assert client.surprises == []


def test_large_text_travels_whole(client, other):
    text = "é\u2028x" * 50_000
    assert client.text("conformance_echo", {"text": text}, to=other) == text


@pytest.mark.parametrize("text", ["", "\x7f\x01\n\r\t\"\\/", "한국어", "\U0001f600", "a\r\n\r\nb",
                                  "data: x\n\nevent: endpoint\n\n"])
def test_any_text_comes_back_as_it_was(client, other, text):
    assert client.text("conformance_echo", {"text": text}, to=other) == text
    assert [event.event for event in client.events].count("endpoint") == 1


def test_nul_in_a_text_is_refused_by_the_worker(client, other):
    """C strings end there: better an error than half a text."""
    result = client.call("conformance_echo", {"text": "a\0b"}, to=other)
    assert result["isError"] is True and "u0000" in result["content"][0]["text"]


@pytest.fixture
def calculator(system):
    """A session of the calculator alone: its tools go by their own names."""
    with system.client(0, path="/calculator/sse") as session:
        yield session


def test_session_of_one_api(system, calculator, client):
    other = system.other(calculator)
    assert set(calculator.tools(to=other)) == {"add", "subtract", "multiply", "divide"}
    assert calculator.endpoint.startswith("/calculator/messages/?session_id=")
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    for path, sid in (("/messages/", calculator.session_id),
                      ("/calculator/messages/", client.session_id),
                      ("/conformance/messages/", calculator.session_id)):
        assert request(other, "POST", f"{path}?session_id={sid}", json.dumps(ping)).status == 404
    answer = calculator.request("tools/call", {"name": "echo", "arguments": {"text": "x"}})
    assert answer["error"]["code"] == -32602


def test_api_without_workers_answers_404(system):
    assert request(system.proxies[0], "GET", "/nosuch/sse").status == 404


@pytest.mark.parametrize("tool, a, b, expected", [
    ("add", 2, 3, 5), ("add", 0.1, 0.2, 0.1 + 0.2), ("subtract", 2, 3, -1),
    ("multiply", -4, 2.5, -10), ("divide", 1, 8, 0.125), ("divide", 1, 3, 1 / 3),
    ("add", 1e308, -1e308, 0), ("multiply", 1e200, 1e100, 1e300)])
def test_calculator(calculator, other, tool, a, b, expected):
    assert float(calculator.text(tool, {"a": a, "b": b}, to=other)) == expected


def test_division_by_zero_is_a_tool_error(calculator, other):
    result = calculator.call("divide", {"a": 1, "b": 0}, to=other)
    assert result["isError"] is True
    assert "zero" in result["content"][0]["text"].lower()


@pytest.mark.parametrize("arguments, field", [
    ({"a": 1}, "b"), ({"b": 1}, "a"), ({"a": "1", "b": 2}, "a"), ({"a": 1, "b": None}, "b"),
    ({"a": 1, "b": [2]}, "b"), ({"a": 1, "b": True}, "b")])
def test_wrong_arguments_name_the_field(calculator, other, arguments, field):
    answer = calculator.request("tools/call", {"name": "add", "arguments": arguments}, to=other)
    if "error" in answer:
        assert answer["error"]["code"] == -32602
        text = answer["error"]["message"]
    else:
        assert answer["result"]["isError"] is True
        text = answer["result"]["content"][0]["text"]
    assert field in re.findall(r"\w+", text), text


def test_unknown_tool_is_an_error(client, other):
    answer = client.request("tools/call", {"name": "no_such_tool", "arguments": {}}, to=other)
    assert answer["error"]["code"] == -32602
    assert "no_such_tool" in answer["error"]["message"]


def test_tool_call_without_a_name_is_an_error(client, other):
    answer = client.request("tools/call", {"arguments": {}}, to=other)
    assert answer["error"]["code"] == -32602


def test_queue_is_empty_when_all_is_answered(system, client, other):
    client.text("calculator_add", {"a": 1, "b": 1}, to=other)
    client.wait(lambda: system.redis("XLEN", "mcp_requests:{calculator}") == 0, 5,
                "empty request stream")
    pending = system.redis("XPENDING", "mcp_requests:{calculator}", "workers")
    assert pending[0] == 0, json.dumps(pending)
