"""MCP over the HTTP+SSE transport of revision 2024-11-05, as clients need it."""

import json
import re
import time

import pytest

from harness import ALL_TOOLS, REVISIONS, Cluster, RawHttp, SseClient, request, session_hash, until


# The stream ---------------------------------------------------------------

def test_stream_headers_and_endpoint(system, client):
    response = client.response
    assert response.status == 200
    assert response.header("Content-Type").split(";")[0] == "text/event-stream"
    assert response.header("Cache-Control") == "no-cache, no-transform"
    assert response.header("X-Accel-Buffering") == "no"
    assert response.header("Transfer-Encoding") == "chunked"
    assert response.header("Content-Length") is None
    assert re.fullmatch(r"/messages/\?session_id=[0-9a-f]{32}", client.endpoint)
    assert client.events[0].retry == "3000"


@pytest.mark.parametrize("accept", ["text/event-stream", "*/*",
                                    "application/json, text/event-stream"])
def test_accept_values_of_real_clients(system, accept):
    with SseClient(system.proxies[0], headers={"Accept": accept}) as session:
        assert session.endpoint


def test_one_endpoint_event_and_no_ids(client, other):
    client.initialize()
    client.initialize(to=other)
    client.text("calculator_add", {"a": 1, "b": 2}, to=other)
    assert [event.event for event in client.events].count("endpoint") == 1
    assert [event.id for event in client.events if event.id is not None] == []
    assert {event.event for event in client.events[1:]} == {"message"}


def test_messages_are_one_line(client, other):
    client.asked.add("1")
    response = client.post_text('{"jsonrpc":"2.0",\r\n "id":1,\n "method":"ping"\n}', to=other)
    assert response.status == 202
    client.answer(1)
    assert "\n" not in client.events[-1].data


def test_pings():
    with Cluster(workers={}, proxies=1, proxy_env={"SSE_PING_INTERVAL": "1"}) as system:
        with system.client() as client:
            client.wait(lambda: client.pings >= 2, 10, "two pings")
            assert set(client.parser.comments) == {": ping"}
            assert len(client.events) == 1


def test_a_closed_stream_is_noticed(system, client):
    client.initialize()
    assert session_hash(system.redis, client)
    client.close()
    transport = f"mcp_transport:{{{client.session_id}}}"

    def detached():
        record = system.redis.hash(transport)
        return not record or "detached" in " ".join(record) or system.redis("TTL", transport) > 0
    until(detached, 5, lambda: f"detached: {system.redis.hash(transport)}")


# Requests that need no tool -----------------------------------------------

@pytest.mark.parametrize("revision", REVISIONS)
def test_initialize_negotiates_every_revision(client, other, revision):
    result = client.initialize(revision, to=other)
    assert result["protocolVersion"] == revision
    assert "tools" in result["capabilities"]
    assert result["serverInfo"]["name"] and result["serverInfo"]["version"]


@pytest.mark.parametrize("revision", ["1999-01-01", "2026-07-28", "x", ""])
def test_initialize_with_an_unknown_revision_offers_the_latest(client, other, revision):
    assert client.initialize(revision, to=other)["protocolVersion"] == REVISIONS[-1]


def test_initialize_is_recorded(system, client, other):
    client.initialize("2025-06-18", to=other)
    record = until(lambda: session_hash(system.redis, client), 5, "session record")
    until(lambda: session_hash(system.redis, client).get("protocol") == "2025-06-18", 5,
          lambda: f"protocol in {session_hash(system.redis, client)}")
    assert record


def test_second_initialize_is_legal(client, other):
    assert client.initialize("2024-11-05")["protocolVersion"] == "2024-11-05"
    assert client.initialize("2025-03-26", to=other)["protocolVersion"] == "2025-03-26"
    assert client.text("calculator_add", {"a": 1, "b": 2}) == "3"


def test_methods_work_without_initialize(client, other):
    assert "calculator_add" in client.tools(to=other)
    assert client.text("calculator_multiply", {"a": 6, "b": 7}, to=other) == "42"


@pytest.mark.parametrize("raw", ["0", '"x"', "9223372036854775808", "1e2", "-1", '"0"', '"\\u00e9"',
                                 '""', "1.50", '"a\\/b"'])
@pytest.mark.parametrize("method", ["ping", "tools/call", "no/such"])
def test_ids_come_back_byte_for_byte(client, other, raw, method):
    client.asked.add(json.dumps(json.loads(raw)))
    params = ""
    if method == "tools/call":
        params = ',"params":{"name":"conformance_echo","arguments":{"text":"x"}}'
    message = f'{{"jsonrpc":"2.0","id":{raw},"method":"{method}"{params}}}'
    assert client.post_text(message, to=other).status == 202
    client.answer(json.loads(raw))
    data = client.events[-1].data
    assert re.search(r'"id":' + re.escape(raw) + r"[,}]", data), data


def escaped(text):
    """As JSON, each character by its number: as legal as any other way to write it."""
    return '"' + "".join(f"\\u{ord(char):04x}" for char in text) + '"'


def php(text):
    """As PHP's json_encode() writes it."""
    return json.dumps(text).replace("/", "\\/")


@pytest.mark.parametrize("write", [escaped, php])
def test_strings_may_be_written_with_escapes(client, other, write):
    for id, method, params in [
            (1, "initialize", {"protocolVersion": "2025-03-26", "capabilities": {},
                               "clientInfo": {"name": "a/b", "version": "1"}}),
            (2, "tools/list", {}),
            (3, "tools/call", {"name": "conformance_echo", "arguments": {"text": "a/b"},
                               "_meta": {"com.example/key": 1}})]:
        client.asked.add(str(id))
        text = json.dumps({"method": method, "params": params, "jsonrpc": "2.0"})
        text = re.sub(r'"[^"]*"', lambda found: write(json.loads(found[0])), text)
        assert client.post_text(f'{{"id":{id},{text[1:]}', to=other).status == 202
        assert "result" in client.answer(id), client.answers
    assert client.answers["1"]["result"]["protocolVersion"] == "2025-03-26"
    assert client.answers["3"]["result"]["content"][0]["text"] == "a/b"


@pytest.mark.parametrize("name", ['"conformance_echo\\u0000"', '"' + "\\/" * 2000 + '"',
                                  '"' + "x" * 5000 + '"', '"' + "\xe9" * 500 + '"', "7"])
def test_names_that_no_tool_can_have(client, other, name):
    client.asked.add("1")
    assert client.post_text('{"jsonrpc":"2.0","id":1,"method":"tools\\/call","params":'
                            f'{{"name":{name}}}}}', to=other).status == 202
    assert client.answer(1)["error"]["code"] == -32602
    assert "params.name" in client.answer(1)["error"]["message"]


def test_ping(client, other):
    assert client.request("ping", to=other)["result"] == {}


@pytest.mark.parametrize("method", ["no/such", "server/discover", "x"])
def test_unknown_methods_are_answered_at_once(client, other, method):
    began = time.monotonic()
    answer = client.request(method, to=other)
    assert answer["error"]["code"] == -32601
    assert time.monotonic() - began < 1


def test_notifications_are_accepted_and_not_answered(client, other):
    for method in ("notifications/initialized", "notifications/cancelled", "notifications/x"):
        client.notify(method, {}, to=other)
    client.request("ping", to=other)
    assert [event.event for event in client.events] == ["endpoint", "message"]


def test_responses_of_clients_are_accepted(client, other):
    assert client.post({"jsonrpc": "2.0", "id": 5, "result": {}}, to=other).status == 202


def test_tools_list_describes_the_tools(client, other):
    tools = client.tools(to=other)
    assert set(tools) == ALL_TOOLS
    schema = tools["calculator_add"]["inputSchema"]
    assert schema["type"] == "object"
    assert set(schema["required"]) == {"a", "b"}
    assert schema["properties"]["a"]["type"] == "number"
    assert tools["calculator_add"]["description"]
    assert tools["calculator_add"]["annotations"]["readOnlyHint"] is True


def test_tools_list_pages():
    with Cluster(proxies=2, workers={"calculator": 1, "conformance": 1},
                 proxy_env={"LIST_PAGE_SIZE": "2"}) as system, system.client() as client:
        first = client.request("tools/list")["result"]
        assert len(first["tools"]) == 2 and first["nextCursor"]
        tools = client.tools(to=system.proxies[1])
        assert set(tools) == ALL_TOOLS


@pytest.mark.parametrize("cursor", ["no such cursor", "", 7, None, "-1", "99999999999999999999"])
def test_tools_list_with_a_wrong_cursor(client, other, cursor):
    answer = client.request("tools/list", {"cursor": cursor}, to=other)
    if cursor is None or cursor == "":
        assert "result" in answer or answer["error"]["code"] == -32602
    else:
        assert answer["error"]["code"] == -32602, answer


# What POSTs answer --------------------------------------------------------

PING = '{"jsonrpc":"2.0","id":1,"method":"ping"}'


def test_accepted_answers_202(client, other):
    response = client.post_text(PING, to=other)
    assert (response.status, response.text.strip()) == (202, "Accepted")


@pytest.mark.parametrize("target", [
    "/messages/?session_id={}", "/messages/?sessionId={}", "/messages/?x=1&session_id={}"])
def test_ways_to_name_the_session(system, client, other, target):
    target = target.format(client.session_id)
    assert request(other, "POST", target, PING).status == 202


def test_dashed_session_id(client, other):
    sid = client.session_id
    dashed = "-".join([sid[:8], sid[8:12], sid[12:16], sid[16:20], sid[20:]])
    assert request(other, "POST", f"/messages/?session_id={dashed}", PING).status == 202


@pytest.mark.parametrize("query, statuses", [
    ("", {400}), ("?", {400}), ("?session_id=", {400, 404}), ("?session_id=" + "0" * 32, {404}),
    ("?session_id=zz", {400, 404}), ("?session_id=" + "g" * 32, {400, 404}),
    ("?session_id=" + "0" * 31, {400, 404}), ("?session_id=" + "0" * 33, {400, 404}),
    ("?session_id=" + "0" * 1000, {400, 404}), ("?session_id=%00" + "0" * 31, {400, 404}),
    ("?session_id=" + "0" * 32 + "&session_id=" + "1" * 32, {400, 404})])
def test_sessions_that_do_not_exist(system, query, statuses):
    for proxy in system.proxies:
        assert request(proxy, "POST", "/messages/" + query, PING).status in statuses


@pytest.mark.parametrize("body", [
    "", "x", "{", PING + "x", PING + PING, PING[:-1], "[" * 100 + "]" * 100,
    '{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}', b'{"jsonrpc":"2.0","\xff":1}',
    '{"jsonrpc":"2.0","id":1,"method":"\\ud800"}',
    '{"jsonrpc":"2.0","id":01,"method":"ping"}', '{"jsonrpc":"2.0","id":1,"method":"ping",}',
    "null", "1", '"x"', "{}", "[]", "[" + PING + "]", '{"jsonrpc":"1.0","id":1,"method":"ping"}',
    '{"jsonrpc":"2.0","id":null,"method":"ping"}', '{"jsonrpc":"2.0","id":{},"method":"ping"}',
    '{"jsonrpc":"2.0","id":1,"method":1}', '{"id":1,"method":"ping"}'])
def test_what_is_not_a_message_answers_400(client, other, body):
    response = client.post_text(body, to=other)
    assert response.status == 400, response
    assert client.request("ping", to=other, id="after")["result"] == {}
    assert client.surprises == []


@pytest.mark.parametrize("kind, status", [
    ("application/json", 202), ("application/json; charset=utf-8", 202), ("Application/JSON", 202),
    ("text/plain", 415), ("application/x-www-form-urlencoded", 415), ("application/jsonx", 415),
    ("", 415), (None, 415)])
def test_content_types(client, other, kind, status):
    response = request(other, "POST", client.endpoint, PING, {"Content-Type": kind})
    assert response.status in ({400, 415} if status == 415 else {status})


def test_body_over_the_limit_answers_413(client, other):
    text = '{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":"' + "x" * (1 << 20) + '"}}'
    assert request(other, "POST", client.endpoint, text).status == 413
    chunked = f"{len(text):x}\r\n{text}\r\n0\r\n\r\n"
    with RawHttp(other) as connection:
        connection.send(f"POST {client.endpoint} HTTP/1.1\r\nHost: x\r\n"
                        "Content-Type: application/json\r\n"
                        f"Transfer-Encoding: chunked\r\n\r\n{chunked}")
        assert connection.response().status == 413
        assert connection.rest() == b""


@pytest.mark.parametrize("method, target, allow", [
    ("POST", "/sse", "GET"), ("DELETE", "/sse", "GET"), ("PUT", "/sse", "GET"),
    ("GET", "/messages/", "POST"), ("DELETE", "/messages/", "POST"), ("POST", "/healthz", "GET")])
def test_wrong_method_answers_405_with_allow(system, method, target, allow):
    body = PING if method in ("POST", "PUT") else None
    response = request(system.proxies[0], method, target, body)
    assert response.status == 405
    assert allow in [word.strip() for word in response.header("Allow").split(",")]


@pytest.mark.parametrize("target", [
    "/", "/sse/", "/sse/.well-known/oauth-protected-resource", "/ssex", "/SSE", "/messagesx",
    "/%73se", "/../sse", "//sse"])
def test_unknown_paths_answer_404(system, target):
    assert request(system.proxies[0], "GET", target).status == 404


def test_post_without_a_length_answers_411(client, other):
    with RawHttp(other) as connection:
        connection.send(f"POST {client.endpoint} HTTP/1.1\r\nHost: x\r\n"
                        "Content-Type: application/json\r\n\r\n")
        assert connection.response().status == 411
