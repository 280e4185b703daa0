"""HTTP/1.1 as load balancers and clients use it."""

import pytest

from harness import RawHttp

PING = b'{"jsonrpc":"2.0","id":"http","method":"ping"}'


def post(target, body=PING, extra=""):
    """The bytes of a POST."""
    head = (f"POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"{extra}Content-Length: {len(body)}\r\n\r\n")
    return head.encode("latin-1") + body


def chunked_head(target, extra=""):
    return (f"POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"{extra}Transfer-Encoding: chunked\r\n\r\n").encode()


@pytest.fixture
def wire(other):
    with RawHttp(other) as connection:
        yield connection


def answered(client, id="http"):
    """The ping that a request carried has arrived, once."""
    client.asked.add(f'"{id}"')
    client.answer(id)
    client.request("ping", id="behind")
    assert client.surprises == []


def test_connection_is_kept_alive(client, wire):
    for _ in range(50):
        assert wire.send(post(client.endpoint)).response().status == 202
    assert not wire.closed()


def test_connection_close_is_honoured(client, wire):
    assert wire.send(post(client.endpoint, extra="Connection: close\r\n")).response().status == 202
    assert wire.rest() == b""


def test_pipelined_requests_are_answered_in_order(client, wire):
    unknown = "/messages/?session_id=" + "0" * 32
    wire.send(post(client.endpoint) + post(unknown) + post(client.endpoint, b"{") +
              post(client.endpoint) + b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert [wire.response().status for _ in range(5)] == [202, 404, 400, 202, 200]
    assert not wire.closed()


def test_many_pipelined_requests(client, wire):
    count = 300
    wire.send(b"".join(post(client.endpoint, PING.replace(b'"http"', b"%d" % n))
                       for n in range(count)))
    client.asked.update(str(n) for n in range(count))
    assert [wire.response().status for _ in range(count)] == [202] * count
    for n in range(count):
        client.answer(n)
    assert client.surprises == []


def test_request_arrives_byte_by_byte(client, wire):
    for n in range(len(post(client.endpoint))):
        wire.send(post(client.endpoint)[n:n + 1])
    assert wire.response().status == 202
    answered(client)


@pytest.mark.parametrize("sizes", [[len(PING)], [1] * len(PING), [7, 13, len(PING) - 20]])
def test_chunked_body(client, wire, sizes):
    wire.send(chunked_head(client.endpoint))
    at = 0
    for size in sizes:
        wire.send(b"%X\r\n%s\r\n" % (size, PING[at:at + size]))
        at += size
    wire.send(b"0\r\n\r\n")
    assert wire.response().status == 202
    assert wire.send(post(client.endpoint, b"{")).response().status == 400
    answered(client)


def test_chunked_body_byte_by_byte_then_pipelined(client, wire):
    data = chunked_head(client.endpoint) + b"2d\r\n%s\r\n0\r\n\r\n" % PING
    assert len(PING) == 0x2d
    for n in range(len(data) - 1):
        wire.send(data[n:n + 1])
    wire.send(data[-1:] + b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert [wire.response().status, wire.response().status] == [202, 200]
    answered(client)


@pytest.mark.parametrize("chunked", [False, True])
def test_expect_100_continue(client, wire, chunked):
    if chunked:
        head, body = chunked_head(client.endpoint, "Expect: 100-continue\r\n"), \
            b"%x\r\n%s\r\n0\r\n\r\n" % (len(PING), PING)
    else:
        data = post(client.endpoint, extra="Expect: 100-continue\r\n")
        head, body = data[:-len(PING)], PING
    assert wire.send(head).response().status == 100
    assert wire.send(body).response().status == 202
    answered(client)


def test_refused_request_gets_no_100_continue(client, wire):
    wire.send(f"POST {client.endpoint} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
              "Content-Length: 99999999\r\nExpect: 100-continue\r\n\r\n")
    assert wire.response().status == 413
    assert wire.rest() == b""


def test_http_1_0(client, wire):
    data = post(client.endpoint).replace(b"HTTP/1.1", b"HTTP/1.0").replace(
        b"Host: localhost\r\n", b"")
    assert wire.send(data).response().status == 202
    assert wire.rest() == b""
    answered(client)


def test_http_1_0_keep_alive(client, wire):
    data = post(client.endpoint, extra="Connection: keep-alive\r\n").replace(
        b"HTTP/1.1", b"HTTP/1.0")
    assert wire.send(data).response().status == 202
    assert wire.send(data).response().status == 202


def test_http_1_0_stream_is_not_chunked(system, wire):
    response = wire.send(b"GET /sse HTTP/1.0\r\n\r\n").head()
    assert response.status == 200
    assert response.header("Transfer-Encoding") is None
    data = wire.pending
    while b"\n\n" not in data.replace(b"\r\n", b"\n"):
        data += wire.sock.recv(4096)
    assert data.startswith(b"event: endpoint")


@pytest.mark.parametrize("target, status", [
    ("/healthz", 200), ("/.well-known/oauth-protected-resource", None), ("/sse", 405),
    ("/messages/", 405), ("/none", 404)])
def test_head_is_answered_like_get_without_a_body(wire, target, status):
    """And what follows on the connection is not taken for its body."""
    get = f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"
    wire.send(get.replace("GET", "HEAD") + "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    head = wire.response("HEAD")
    assert wire.response().body == b"ok\n"
    if status == 405:
        assert head.status == 405 and head.header("Allow")
    else:
        same = wire.send(get).response()
        assert head.status == same.status == (status or same.status)
        assert {k: v for k, v in head.fields if k != "Date"} == \
            {k: v for k, v in same.fields if k != "Date"}


def test_a_refused_head_has_no_body_either(wire):
    wire.send(b"HEAD /healthz HTTP/1.1\r\n\r\n")
    response = wire.response("HEAD")
    assert response.status == 400 and response.header("Content-Length") != "0"
    assert wire.rest(5) == b""


@pytest.mark.parametrize("line, status, allow", [
    ("OPTIONS /healthz", 405, "GET, HEAD"), ("OPTIONS /sse", 405, "GET"),
    ("OPTIONS /messages/", 405, "POST"), ("OPTIONS /none", 404, None), ("OPTIONS *", 400, None)])
def test_options(wire, line, status, allow):
    wire.send(f"{line} HTTP/1.1\r\nHost: localhost\r\n\r\n")
    response = wire.response()
    assert (response.status, response.header("Allow")) == (status, allow)


@pytest.mark.parametrize("target, host, status", [
    ("http://localhost/healthz", "localhost", 200), ("HTTP://LocalHost/healthz", "localhost", 200),
    ("https://localhost:8443/healthz?x=http://a/", "localhost:8443", 200),
    ("http://localhost", "localhost", 404), ("http://other/healthz", "localhost", 400),
    ("http://localhost:80/healthz", "localhost", 400),
    ("http://user@localhost/healthz", "localhost", 400),
    ("http:///healthz", "localhost", 400), ("localhost:80", "localhost", 400),
    ("/%68ealthz", "localhost", 404), ("/healthz%00", "localhost", 404),
    ("/x/../healthz", "localhost", 404)])
def test_forms_of_a_target(wire, target, host, status):
    """RFC 9112, section 3.2; paths are compared as they are, so that a load
    balancer's rules and ours mean the same."""
    wire.send(f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n")
    assert wire.response().status == status


@pytest.mark.parametrize("version, fields, stays", [
    ("1.1", "", True), ("1.1", "Connection: keep-alive\r\n", True),
    ("1.1", "Connection: close\r\n", False), ("1.1", "Connection: Close\r\n", False),
    ("1.1", "Connection: keep-alive, close\r\n", False),
    ("1.1", "Connection: close, keep-alive\r\n", False),
    ("1.1", "Connection: ,te ,\tclose,\r\nTE: trailers\r\n", False),
    ("1.1", "Connection: upgrade\r\nConnection: close\r\n", False),
    ("1.1", "Connection: closed\r\n", True),
    ("1.1", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n", True),
    ("1.0", "", False), ("1.0", "Connection: Keep-Alive\r\n", True),
    ("1.0", "Connection: keep-alive, close\r\n", False)])
def test_who_closes_the_connection(wire, version, fields, stays):
    """RFC 9112, section 9.3."""
    get = f"GET /healthz HTTP/{version}\r\nHost: localhost\r\n{fields}\r\n"
    response = wire.send(get).response()
    assert response.status == 200 and response.version == "HTTP/1.1"
    wanted = "close" if not stays else "keep-alive" if version == "1.0" else None
    assert response.header("Connection") == wanted
    if stays:
        assert wire.send(get).response().status == 200
        assert not wire.closed()
    else:
        assert wire.rest(5) == b""


def test_what_is_pipelined_behind_a_stream_is_never_run(client, wire):
    """Its answer would stand behind the stream's end, which is not to come."""
    wire.send(post(client.endpoint) + b"GET /sse HTTP/1.1\r\nHost: localhost\r\n\r\n" +
              post(client.endpoint, PING.replace(b"http", b"behind a stream")))
    assert wire.response().status == 202
    stream = wire.response()
    assert stream.status == 200 and stream.header("Content-Type") == "text/event-stream"
    wire.send(post(client.endpoint, PING.replace(b"http", b"on a stream")))
    answered(client)
    assert not wire.closed() and b"HTTP/1." not in wire.pending


def test_absurdly_split_pipelining_on_a_get(wire):
    wire.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /hea")
    assert wire.response().status == 200
    wire.send(b"lthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert wire.response().status == 200


def test_half_closed_connection_is_still_answered(client, wire):
    wire.send(post(client.endpoint)).shutdown()
    assert wire.response().status == 202
    assert wire.rest() == b""
    answered(client)


def test_client_that_leaves_at_once_does_no_harm(system, client, other):
    for _ in range(50):
        with RawHttp(other) as connection:
            connection.send(post(client.endpoint))
    client.asked.add('"http"')
    client.answer("http")
    assert client.request("ping", to=other)["result"] == {}
