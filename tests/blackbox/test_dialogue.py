"""What tools answer, tell and ask while they run; and what clients answer them."""

import base64
import json

import pytest

from harness import Cluster, SseClient, until
from recovering import RECONNECTED, detached, reopen, text_of

NAME = "conformance_test_"
PNG = ("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5E"
       "rkJggg==")
IMAGE = {"type": "image", "data": PNG, "mimeType": "image/png"}
EVERYTHING = {"sampling": {}, "elicitation": {"form": {}, "url": {}}, "roots": {}}


def initialize(client, capabilities=None, to=None):
    result = client.request("initialize", {
        "protocolVersion": "2025-11-25", "capabilities": capabilities or {},
        "clientInfo": {"name": "test", "version": "1"}}, to)
    client.notify("notifications/initialized", to=to)
    return result["result"]


def call(client, tool, arguments=None, to=None, meta=None):
    """A tools/call that is only sent; returns its id."""
    params = {"name": NAME + tool, "arguments": arguments or {}}
    if meta is not None:
        params["_meta"] = meta
    return client.ask("tools/call", params, to)


def result(client, tool, arguments=None, to=None, meta=None):
    return client.answer(call(client, tool, arguments, to, meta))["result"]


def asked(client, method):
    """The request that a tool sends the client, once it has come."""
    def find():
        return next((m for m in client.notifications if m.get("method") == method and "id" in m),
                    None)
    return client.wait(find, what=method)


def answer(client, request, to=None, **outcome):
    response = client.post({"jsonrpc": "2.0", "id": request["id"], **outcome}, to)
    assert response.status == 202


# Content -----------------------------------------------------------------------------


@pytest.mark.parametrize(("tool", "content"), [
    ("simple_text", [
        {"type": "text", "text": "This is a simple text response for testing."}]),
    ("image_content", [IMAGE]),
    ("embedded_resource", [
        {"type": "resource", "resource": {
            "uri": "test://embedded-resource", "mimeType": "text/plain",
            "text": "This is an embedded resource content."}}]),
    ("multiple_content_types", [
        {"type": "text", "text": "Multiple content types test:"}, IMAGE,
        {"type": "resource", "resource": {
            "uri": "test://mixed-content-resource", "mimeType": "application/json",
            "text": '{"test":"data","value":123}'}}]),
])
def test_content(client, other, tool, content):
    assert result(client, tool, to=other) == {"content": content}


def test_sound(client, other):
    (block,) = result(client, "audio_content", to=other)["content"]
    assert (block["type"], block["mimeType"]) == ("audio", "audio/wav")
    assert base64.b64decode(block["data"], validate=True)[:4] == b"RIFF"


def test_link_raw_block_and_structure(client, other):
    assert result(client, "resource_link", to=other) == {
        "content": [
            {"type": "resource_link", "uri": "test://static-text", "name": "static-text",
             "mimeType": "text/plain"},
            {"type": "text", "text": "as it is", "annotations": {"audience": ["user"]}}],
        "structuredContent": {"links": 1}}


def test_tool_error(client, other):
    assert result(client, "error_handling", to=other) == {
        "content": [{"type": "text",
                     "text": "This tool intentionally returns an error for testing"}],
        "isError": True}


def test_raw_params_pass_through_untouched(client, other):
    text = ('{"jsonrpc":"2.0","id":"raw","method":"tools/call","params":{"name":"%sraw",'
            '"arguments":{"n":12345678901234567890.10,"nul":"\\u0000"}}}' % NAME)
    client.asked.add('"raw"')
    assert client.post_text(text, other).status == 202
    client.answer("raw")
    (event,) = [e for e in client.events if '"raw"' in e.data]
    assert '"n":12345678901234567890.10,"nul":"\\u0000"' in event.data
    assert "result" in event.json()


def test_listing_carries_what_the_author_adds(client):
    (tool,) = [t for t in client.request("tools/list")["result"]["tools"]
               if t["name"] == NAME + "raw"]
    assert tool["icons"] == [{"src": "https://example.com/i.png"}]


def test_schema_reaches_the_client_untouched(client):
    (tool,) = [t for t in client.request("tools/list")["result"]["tools"]
               if t["name"] == "conformance_json_schema_2020_12_tool"]
    schema = tool["inputSchema"]
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$defs"]["address"]["$anchor"] == "addressDef"
    assert schema["properties"]["address"] == {"$ref": "#/$defs/address"}
    assert schema["allOf"] == [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}]
    assert schema["then"] == {"required": ["phone"]} and schema["else"] == {"required": ["email"]}
    assert schema["additionalProperties"] is False


# Progress ---------------------------------------------------------------------------------


@pytest.mark.parametrize("token", ["a \"token\" \u2713", 0, 9007199254740993, "7"])
def test_progress_comes_in_order_before_the_result(client, other, token):
    id = call(client, "tool_with_progress", to=other, meta={"progressToken": token})
    client.answer(id)
    messages = [e.json() for e in client.events if e.event == "message"]
    assert [m.get("method") for m in messages] == 3 * ["notifications/progress"] + [None]
    assert [m["params"] for m in messages[:3]] == [
        {"progressToken": token, "progress": done, "total": 100, "message": "step"}
        for done in (0, 50, 100)]


def test_no_progress_unasked(client, other):
    client.answer(call(client, "tool_with_progress", to=other))
    assert client.notifications == []


def test_progress_by_itself_while_a_tool_is_silent():
    with Cluster(proxies=2, workers={"conformance": 1},
                 worker_env={"WORKER_PROGRESS_INTERVAL": 1}) as system, \
            system.client(0) as client:
        id = client.ask("tools/call", {
            "name": "conformance_sleep", "arguments": {"delay_ms": 3500},
            "_meta": {"progressToken": "t"}}, system.proxies[1])
        client.answer(id)
        steps = [m["params"] for m in client.notifications]
        assert len(steps) >= 2
        assert all(step["progressToken"] == "t" for step in steps)
        values = [step["progress"] for step in steps]
        assert values == sorted(set(values))
        assert client.events[-1].json()["id"] == id


# Log messages --------------------------------------------------------------------------------


def logs(client):
    return [m["params"] for m in client.notifications if m["method"] == "notifications/message"]


STEPS = [{"level": "info", "data": data} for data in (
    "Tool execution started", "Tool processing data", "Tool execution completed")]


def test_log_messages_at_the_default_level(client, other):
    client.answer(call(client, "tool_with_logging", to=other))
    assert logs(client) == STEPS


@pytest.mark.parametrize(("level", "wanted"), [("debug", 6), ("info", 3), ("warning", 0)])
def test_log_level_is_the_session_s(system, client, other, level, wanted):
    """Set at one loop of a pod, it holds at once for calls that come in at any."""
    initialize(client, to=other)
    for to in (other, client.server) * 8:  # All loops have looked the session up.
        client.answer(call(client, "tool_with_logging", to=to))
    assert client.request("logging/setLevel", {"level": level}, other)["result"] == {}
    for to in (other, client.server) * 8:
        client.notifications.clear()
        client.answer(call(client, "tool_with_logging", to=to))
        assert len(logs(client)) == wanted


def test_unknown_log_level_is_refused(client):
    reply = client.request("logging/setLevel", {"level": "loud"})
    assert reply["error"]["code"] == -32602


def test_a_flood_of_messages_is_cut(client, other):
    client.answer(call(client, "flood", to=other))
    assert 32 <= len(logs(client)) < 200
    assert [m["data"] for m in logs(client)][:3] == ["0", "1", "2"]


# Closing the stream ------------------------------------------------------------------------------

RECONNECTION = ("Reconnection test completed successfully. If you received this, the client "
                "properly reconnected after stream closure.")


def test_a_call_closes_its_stream_and_is_answered_on_the_next(system, other):
    """Another call of the session, on its way all the while, is none the worse for it."""
    path = "/sse?client=closes-its-stream"
    with SseClient(system.proxies[0], path) as before:
        initialize(before, to=other)
        slow = before.ask("tools/call", {"name": "conformance_sleep",
                                         "arguments": {"delay_ms": 500}}, other)
        id = call(before, "reconnection", to=other)
        before.wait_closed()
        assert before.state == "ended"
        with reopen(other, before, path, RECONNECTED) as again:
            assert again.session_id == before.session_id
            texts = {text_of(again.answer(one)) for one in (id, slow)}
            assert RECONNECTION in texts and len(texts) == 2
            assert again.surprises == []


def test_a_stream_whose_client_might_not_find_back_stays(client, other):
    initialize(client)
    assert text_of(client.answer(call(client, "reconnection", to=other))) == RECONNECTION
    assert client.state == "open"


def test_a_call_does_not_close_a_later_stream(system):
    path, proxy = "/sse?client=keeps-its-stream", system.proxies[0]
    with SseClient(proxy, path) as before:
        initialize(before)
    detached(system, before)
    with reopen(proxy, before, path, RECONNECTED) as again:
        assert again.session_id == before.session_id
        again.request("ping")

        def close_as(stream):
            pod = system.redis.hash(f"mcp_transport:{{{again.session_id}}}")["pod"]
            system.redis("XADD", f"mcp_replies:{{{pod}}}", "*", "call", "close_stream",
                         "session", again.session_id, "attempt", "1",
                         "payload", f"{'0' * 28}{stream:04x}")
        close_as(1)
        assert again.text("conformance_echo", {"text": "still here"}) == "still here"
        close_as(2)
        again.wait_closed()
        assert again.state == "ended"


# Asking ------------------------------------------------------------------------------------------


def test_sampling_answered_through_the_other_pod(system, client, other):
    initialize(client, EVERYTHING, other)
    id = call(client, "sampling", {"prompt": "say \"hi\""}, other)
    request = asked(client, "sampling/createMessage")
    assert request["params"] == {
        "messages": [{"role": "user", "content": {"type": "text", "text": "say \"hi\""}}],
        "maxTokens": 100}
    answer(client, request, other, result={
        "role": "assistant", "model": "m", "content": {"type": "text", "text": "hi"}})
    text = client.answer(id)["result"]["content"][0]["text"]
    assert text.startswith("LLM response: ")
    assert json.loads(text.removeprefix("LLM response: "))["content"]["text"] == "hi"


@pytest.mark.parametrize("action", ["accept", "decline", "cancel"])
def test_elicitation_by_form(client, other, action):
    initialize(client, EVERYTHING, other)
    id = call(client, "elicitation", {"message": "Your name?"}, other)
    request = asked(client, "elicitation/create")
    assert request["params"] == {
        "mode": "form", "message": "Your name?", "requestedSchema": {
            "type": "object", "required": ["response"], "properties": {
                "response": {"type": "string", "description": "User's response"}}}}
    answer(client, request, client.server, result={"action": action})
    text = client.answer(id)["result"]["content"][0]["text"]
    assert text == 'User response: {"action": "%s"}' % action


def test_elicitation_schemas(client, other):
    initialize(client, {"elicitation": {}})
    id = call(client, "elicitation_sep1034_defaults", to=other)
    request = asked(client, "elicitation/create")
    schema = request["params"]["requestedSchema"]
    assert {name: prop["default"] for name, prop in schema["properties"].items()} == {
        "name": "John Doe", "age": 30, "score": 95.5, "status": "active", "verified": True}
    answer(client, request, other, result={"action": "decline"})
    client.answer(id)
    client.notifications.clear()
    id = call(client, "elicitation_sep1330_enums", to=other)
    request = asked(client, "elicitation/create")
    schema = request["params"]["requestedSchema"]["properties"]
    assert schema["untitledSingle"]["enum"] == ["option1", "option2", "option3"]
    assert schema["titledSingle"]["oneOf"][0] == {"const": "value1", "title": "First Option"}
    assert schema["legacyEnum"]["enumNames"][2] == "Option Three"
    assert schema["untitledMulti"]["items"]["enum"] == ["option1", "option2", "option3"]
    assert schema["titledMulti"]["items"]["anyOf"][2] == {
        "const": "value3", "title": "Third Choice"}
    answer(client, request, other, result={"action": "decline"})
    client.answer(id)


def test_elicitation_by_url(client, other):
    initialize(client, EVERYTHING, other)
    id = call(client, "elicitation_url", to=other)
    request = asked(client, "elicitation/create")
    assert request["params"]["mode"] == "url"
    assert request["params"]["elicitationId"] == "e-1"
    answer(client, request, other, result={"action": "accept"})
    assert "accept" in client.answer(id)["result"]["content"][0]["text"]


def test_roots(client, other):
    initialize(client, EVERYTHING, other)
    id = call(client, "roots", to=other)
    request = asked(client, "roots/list")
    assert "params" not in request
    answer(client, request, other, result={"roots": [{"uri": "file:///x"}]})
    assert "file:///x" in client.answer(id)["result"]["content"][0]["text"]


def test_the_client_s_error_reaches_the_tool(client, other):
    initialize(client, EVERYTHING, other)
    id = call(client, "sampling", {"prompt": "x"}, other)
    answer(client, asked(client, "sampling/createMessage"), other,
           error={"code": -1, "message": "User rejected sampling request"})
    assert client.answer(id)["result"] == {
        "content": [{"type": "text",
                     "text": "LLM response: User rejected sampling request (-1)"}],
        "isError": True}


@pytest.mark.parametrize(("capabilities", "tool", "reason"), [
    ({}, "sampling", "the client does not support sampling"),
    ({"sampling": {}}, "roots", "the client does not list roots"),
    ({"elicitation": {"url": {}}}, "elicitation",
     "the client does not support elicitation by forms"),
    ({"elicitation": {}}, "elicitation_url", "the client does not support elicitation by URLs"),
    (None, "sampling", "the client does not support sampling")])
def test_what_the_client_cannot_is_said_at_once(client, other, capabilities, tool, reason):
    """None: it has not even said initialize."""
    if capabilities is not None:
        initialize(client, capabilities, other)
    arguments = {"sampling": {"prompt": "x"}, "elicitation": {"message": "x"}}.get(tool)
    assert result(client, tool, arguments, other) == {
        "content": [{"type": "text", "text": reason}], "isError": True}
    assert client.notifications == []


def test_capabilities_follow_the_session_to_another_pod(system):
    """The new owner has them from the session's record."""
    path = "/sse?client=dialogue"
    with system.client(0, path=path) as first:
        initialize(first, EVERYTHING, system.proxies[1])
        first.request("logging/setLevel", {"level": "error"})
    with system.client(1, path=path) as second:
        assert second.session_id == first.session_id
        id = call(second, "sampling", {"prompt": "x"}, system.proxies[1])
        answer(second, asked(second, "sampling/createMessage"), system.proxies[0],
               result={"content": {}})
        assert "result" in second.answer(id)

        second.answer(call(second, "tool_with_logging", to=system.proxies[1]))
        assert logs(second) == []


def test_nobody_answers_for_another_session(system, client, other):
    """Neither with the other's id, nor with one that nobody has."""
    initialize(client, EVERYTHING, other)
    id = call(client, "sampling", {"prompt": "x"}, other)
    request = asked(client, "sampling/createMessage")
    with system.client(1) as stranger:
        initialize(stranger, EVERYTHING)
        for guess in (request["id"], request["id"][:-1] + "0", "conformance.", 7, "x"):
            answer(stranger, {"id": guess}, result={"content": "forged"})
            answer(stranger, {"id": guess}, other, result={"content": "forged"})
        # Had the worker taken one of these, it would have done so by the time
        # that it has dealt with a request of the stranger's own.
        own = call(stranger, "sampling", {"prompt": "y"})
        answer(stranger, asked(stranger, "sampling/createMessage"), result={"content": "own"})
        assert "own" in stranger.answer(own)["result"]["content"][0]["text"]
    answer(client, request, other, result={"content": "mine"})
    assert "mine" in client.answer(id)["result"]["content"][0]["text"]


def test_a_second_answer_changes_nothing(client, other):
    initialize(client, EVERYTHING, other)
    id = call(client, "sampling", {"prompt": "x"}, other)
    request = asked(client, "sampling/createMessage")
    for pod in (other, client.server, other):
        answer(client, request, pod, result={"content": "again"})
    client.answer(id)
    assert result(client, "simple_text", to=other)
    assert client.surprises == []


def test_cancelling_the_call_ends_what_it_asks(system, client, other):
    initialize(client, EVERYTHING, other)
    id = call(client, "sampling", {"prompt": "x"}, other)
    request = asked(client, "sampling/createMessage")
    client.notify("notifications/cancelled", {"requestId": id}, other)
    client.wait(lambda: any(
        m["method"] == "notifications/cancelled" and m["params"]["requestId"] == request["id"]
        for m in client.notifications), what="notice that nobody waits")
    answer(client, request, other, result={"content": "late"})
    assert result(client, "simple_text", to=other)
    assert str(id) not in client.answers
    until(lambda: system.redis("XLEN", "mcp_requests:{conformance}") == 0, 10, "the call is gone")


def test_a_client_that_does_not_answer(tmp_path):
    """The call's deadline ends the wait, and the client is told."""
    with Cluster(workers={"conformance": 1},
                 worker_env={"TOOL_TIMEOUTS": "test_sampling=1"}) as system, \
            system.client(0) as client:
        initialize(client, EVERYTHING)
        id = call(client, "sampling", {"prompt": "x"}, system.proxies[1])
        request = asked(client, "sampling/createMessage")
        assert client.answer(id)["error"]["code"] == -32001
        client.wait(lambda: any(
            m["method"] == "notifications/cancelled" and
            m["params"]["requestId"] == request["id"] for m in client.notifications),
            what="notice that nobody waits")
