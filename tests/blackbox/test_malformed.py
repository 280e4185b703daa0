"""Requests that two readers could understand differently: refused, closed, and
what follows them on the connection is never read as a request.

Each case is followed by a smuggled POST to a live session. The right status
comes, then the end of the connection, and the session hears nothing.
"""

import pytest

from harness import RawHttp, request

BODY = '{"jsonrpc":"2.0","id":"smuggled","method":"ping"}'


def head(*fields, line="POST {endpoint} HTTP/1.1", host="Host: localhost\r\n", body=""):
    """A POST with these fields instead of a Content-Length."""
    lines = "".join(f"{field}\r\n" for field in fields)
    return f"{line}\r\n{host}Content-Type: application/json\r\n{lines}\r\n{body}"


def sized(*fields, **rest):
    return head(f"Content-Length: {len(BODY)}", *fields, body=BODY, **rest)


def chunked(body, *fields):
    return head("Transfer-Encoding: chunked", *fields, body=body)


def get(line="GET /healthz HTTP/1.1", host="Host: localhost\r\n", fields=""):
    return f"{line}\r\n{host}{fields}\r\n"


N = len(BODY)
BAD = 400

CASES = [
    # Two ways to say how long the body is.
    ("two lengths that differ", head(f"Content-Length: {N}", "Content-Length: 0", body=BODY), BAD),
    ("two equal lengths", head(f"Content-Length: {N}", f"Content-Length: {N}", body=BODY), BAD),
    ("a list of lengths", head(f"Content-Length: {N}, {N}", body=BODY), BAD),
    ("length and chunked", head(f"Content-Length: {N}", "Transfer-Encoding: chunked",
                                body="0\r\n\r\n"), BAD),
    ("chunked and length", head("Transfer-Encoding: chunked", "Content-Length: 5",
                                body="0\r\n\r\n"), BAD),
    ("chunked in HTTP/1.0", head("Transfer-Encoding: chunked", line="POST {endpoint} HTTP/1.0",
                                 body="0\r\n\r\n"), BAD),
    # Lengths that are not plain digits.
    ("length with a plus", head(f"Content-Length: +{N}", body=BODY), BAD),
    ("length with a minus", head(f"Content-Length: -{N}", body=BODY), BAD),
    ("length in hex", head("Content-Length: 0x10", body=BODY), BAD),
    ("length with a suffix", head(f"Content-Length: {N}a", body=BODY), BAD),
    ("length with a blank inside", head("Content-Length: 4 9", body=BODY), BAD),
    ("length with a dot", head(f"Content-Length: {N}.0", body=BODY), BAD),
    ("length in quotes", head(f'Content-Length: "{N}"', body=BODY), BAD),
    ("length with a leading zero", head(f"Content-Length: 0{N}", body=BODY), BAD),
    ("length with a tab inside", head("Content-Length: 4\t9", body=BODY), BAD),
    ("empty length", head("Content-Length:", body=BODY), BAD),
    ("length beyond 64 bits", head("Content-Length: 18446744073709551665", body=BODY), BAD),
    ("length of 100 digits", head("Content-Length: " + "9" * 100, body=BODY), BAD),
    # Transfer codings other than one plain "chunked".
    ("coding identity", head("Transfer-Encoding: identity", body=BODY), 501),
    ("coding xchunked", head("Transfer-Encoding: xchunked", body=BODY), 501),
    ("coding gzip, chunked", head("Transfer-Encoding: gzip, chunked", body="0\r\n\r\n"), 501),
    ("coding chunked, identity", head("Transfer-Encoding: chunked, identity",
                                      body="0\r\n\r\n"), BAD),
    ("coding chunked twice", head("Transfer-Encoding: chunked", "Transfer-Encoding: chunked",
                                  body="0\r\n\r\n"), BAD),
    ("coding chunked, chunked", head("Transfer-Encoding: chunked, chunked",
                                     body="0\r\n\r\n"), BAD),
    ("coding in quotes", head('Transfer-Encoding: "chunked"', body="0\r\n\r\n"), BAD),
    ("coding with a tab before it", head("Transfer-Encoding: \x0bchunked", body="0\r\n\r\n"), BAD),
    ("coding with a parameter", head("Transfer-Encoding: chunked;x=1", body="0\r\n\r\n"), BAD),
    ("empty coding", head("Transfer-Encoding:", body="0\r\n\r\n"), BAD),
    # Folding, line ends, control characters.
    ("obs-fold", sized("X-A: b\r\n c"), BAD),
    ("obs-fold with a tab", sized("X-A: b\r\n\tc"), BAD),
    ("fold before the first field", sized(host=" x\r\nHost: localhost\r\n"), BAD),
    ("bare LF after the request line", get().replace("\r\n", "\n", 1), BAD),
    ("bare LF after a field", sized("X-A: b\nX-B: c"), BAD),
    ("bare LF everywhere", sized().replace("\r\n", "\n"), BAD),
    ("LF before the last CRLF", "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\n\r\n", BAD),
    ("bare CR in a value", sized("X-A: b\rX-B: c"), BAD),
    ("bare CR as line end", sized("X-A: b\rX-B: c").replace("\r\n", "\r"), BAD),
    ("CR CR LF", sized("X-A: b\r"), BAD),
    ("NUL in a value", sized("X-A: b\0c"), BAD),
    ("NUL in a name", sized("X\0A: b"), BAD),
    ("NUL in the target", get("GET /heal\0thz HTTP/1.1"), BAD),
    ("control character in a value", sized("X-A: b\x01"), BAD),
    ("DEL in a value", sized("X-A: b\x7f"), BAD),
    # Field names.
    ("blank before the colon", sized("X-A : b"), BAD),
    ("tab before the colon", sized("X-A\t: b"), BAD),
    ("blank before the colon of a length", head(f"Content-Length : {N}", body=BODY), BAD),
    ("blank in a name", sized("X A: b"), BAD),
    ("empty name", sized(": b"), BAD),
    ("no colon", sized("X-A"), BAD),
    ("name with a slash", sized("X/A: b"), BAD),
    ("name outside ASCII", sized("X-\xe9: b"), BAD),
    # Host.
    ("no Host", get(host=""), BAD),
    ("two Hosts", get(host="Host: localhost\r\nHost: localhost\r\n"), BAD),
    ("two Hosts that differ", get(host="Host: localhost\r\nHost: evil.example.com\r\n"), BAD),
    ("empty Host", get(host="Host:\r\n"), BAD),
    ("Host with a path", get(host="Host: localhost/x\r\n"), BAD),
    ("Host with a user", get(host="Host: a@localhost\r\n"), BAD),
    ("Host with a list", get(host="Host: a, b\r\n"), BAD),
    ("Host with a blank", get(host="Host: local host\r\n"), BAD),
    ("Host with a port that is none", get(host="Host: localhost:99999\r\n"), BAD),
    # The request line.
    ("empty line before it", "\r\n" + get(), BAD),
    ("CR in the target", get("GET /heal\rthz HTTP/1.1"), BAD),
    ("fragment in the target", get("GET /healthz#x HTTP/1.1"), BAD),
    ("backslash in the target", get("GET \\healthz HTTP/1.1"), BAD),
    ("target outside ASCII", get("GET /\xe9 HTTP/1.1"), BAD),
    ("HTTP/2.0", get("GET /healthz HTTP/2.0"), 505),
    ("HTTP/1.2", get("GET /healthz HTTP/1.2"), 505),
    ("HTTP/0.9", get("GET /healthz HTTP/0.9"), 505),
    ("HTTP/1.10", get("GET /healthz HTTP/1.10"), BAD),
    ("no version", get("GET /healthz"), BAD),
    ("http in small letters", get("GET /healthz http/1.1"), BAD),
    ("two blanks", get("GET  /healthz HTTP/1.1"), BAD),
    ("tab as separator", get("GET\t/healthz\tHTTP/1.1"), BAD),
    ("blank at the end", get("GET /healthz HTTP/1.1 "), BAD),
    ("blank before the method", get(" GET /healthz HTTP/1.1"), BAD),
    ("blank in the target", get("GET /heal thz HTTP/1.1"), BAD),
    ("absolute target", get("GET http://evil.example.com/healthz HTTP/1.1"), BAD),
    ("target without a slash", get("GET healthz HTTP/1.1"), BAD),
    ("CONNECT", get("CONNECT localhost:80 HTTP/1.1"), 501),
    ("unknown method", get("BREW /healthz HTTP/1.1"), 501),
    ("method in small letters", get("get /healthz HTTP/1.1"), 501),
    ("method with a bracket", get("GE[T /healthz HTTP/1.1"), BAD),
    ("TLS hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + "\0" * 40 + "\r\n\r\n", BAD),
    ("HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    # Too much.
    ("target of 3 KiB", get("GET /" + "x" * 3072 + " HTTP/1.1"), 414),
    ("target without an end", "GET /" + "x" * 20_000, 414),
    ("field of 20 KiB", sized("X-A: " + "b" * 20_000), 431),
    ("65 fields", sized(*[f"X-{n}: b" for n in range(65)]), 431),
    ("5000 fields", sized(*[f"X-{n}:" for n in range(5000)]), 431),
    ("body over the limit", head("Content-Length: 1048577", body=BODY), 413),
    # Expectations.
    ("unknown expectation", sized("Expect: 200-maybe"), 417),
    ("two expectations", sized("Expect: 100-continue, x"), 417),
    # Bodies where none belongs.
    ("HEAD with a body", sized(line="HEAD /healthz HTTP/1.1"), BAD),
    # Chunks.
    ("chunk size in C style", chunked(f"0x{N:x}\r\n{BODY}\r\n0\r\n\r\n"), BAD),
    ("chunk size with a plus", chunked(f"+{N:x}\r\n{BODY}\r\n0\r\n\r\n"), BAD),
    ("chunk size with a minus", chunked("-0\r\n\r\n"), BAD),
    ("chunk size with a blank", chunked(f"{N:x} \r\n{BODY}\r\n0\r\n\r\n"), BAD),
    ("chunk size with a blank first", chunked(f" {N:x}\r\n{BODY}\r\n0\r\n\r\n"), BAD),
    ("empty chunk size", chunked(f"\r\n{BODY}\r\n0\r\n\r\n"), BAD),
    ("chunk size in letters", chunked(f"zz\r\n{BODY}\r\n0\r\n\r\n"), BAD),
    ("chunk size beyond 64 bits", chunked("10000000000000031\r\n" + BODY + "\r\n0\r\n\r\n"),
     BAD),
    ("chunk size of 100 zeros", chunked("0" * 100 + f"{N:x}\r\n{BODY}\r\n0\r\n\r\n"), BAD),
    ("chunks larger than the limit", chunked("fffff\r\n" + "x" * 0xfffff + "\r\n2\r\n"), 413),
    ("chunk larger than the limit", chunked("fffffff\r\n" + BODY), 413),
    ("chunk extension", chunked(f"{N:x};x=y\r\n{BODY}\r\n0\r\n\r\n"), BAD),
    ("chunk extension on the last", chunked(f"{N:x}\r\n{BODY}\r\n0;x\r\n\r\n"), BAD),
    ("no CRLF after a chunk", chunked(f"{N:x}\r\n{BODY}0\r\n\r\n"), BAD),
    ("LF after a chunk size", chunked(f"{N:x}\n{BODY}\r\n0\r\n\r\n"), BAD),
    ("LF after a chunk", chunked(f"{N:x}\r\n{BODY}\n0\r\n\r\n"), BAD),
    ("CR only after a chunk size", chunked(f"{N:x}\r{BODY}\r\n0\r\n\r\n"), BAD),
    ("chunk shorter than its data", chunked(f"{N - 1:x}\r\n{BODY}\r\n0\r\n\r\n"), BAD),
    ("trailer", chunked(f"{N:x}\r\n{BODY}\r\n0\r\nX-A: b\r\n\r\n"), BAD),
    ("garbage after the last chunk", chunked(f"{N:x}\r\n{BODY}\r\n0\r\nxx"), BAD),
]


def test_the_table_is_whole():
    names = [name for name, _, _ in CASES]
    assert len(names) == len(set(names)) >= 60


@pytest.fixture(scope="module")
def victim(system):
    """A session that smuggled requests would reach; it hears nothing."""
    with system.client(0) as session:
        yield session


@pytest.mark.parametrize("data, status", [case[1:] for case in CASES],
                         ids=[case[0] for case in CASES])
def test_refused_closed_and_nothing_smuggled(system, victim, data, status):
    proxy = system.proxies[0]
    smuggled = (f"POST {victim.endpoint} HTTP/1.1\r\nHost: localhost\r\n"
                f"Content-Type: application/json\r\nContent-Length: {N}\r\n\r\n{BODY}")
    with RawHttp(proxy) as connection:
        connection.send(data.replace("{endpoint}", victim.endpoint) + smuggled)
        response = connection.response("HEAD" if data.startswith("HEAD") else "POST")
        assert response.status == status
        assert response.header("Connection") == "close"
        assert connection.rest(5) == b""
    assert victim.request("ping")["result"] == {}
    assert victim.surprises == []
    assert request(proxy, "GET", "/healthz").status == 200


@pytest.mark.parametrize("data", [
    b"", b"\r\n", b"G", b"GET /healthz HTTP/1.1\r\nHost: x",
    b"POST /messages/ HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx"])
def test_cut_requests_are_not_answered_as_whole_ones(system, data):
    with RawHttp(system.proxies[0]) as connection:
        rest = connection.send(data).shutdown().rest(5)
    assert rest == b"" or rest.startswith(b"HTTP/1.1 400 ")
