"""HTTP/1.1 as load balancers and clients use it."""

import pytest

from harness import RawHttp, request

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


def test_head(system):
    response = request(system.proxies[0], "HEAD", "/healthz")
    assert response.status in (200, 405)
    assert response.body == b""


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
