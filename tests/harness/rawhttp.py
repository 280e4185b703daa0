"""HTTP/1.1 byte for byte: what is sent is exactly what the test wrote."""

import dataclasses
import select
import socket
import time

from .wait import PATIENCE


def readable(sock, seconds):
    """Whether there is something to read, or the end, within the time. Not by
    select(), which ends at 1,024 open files."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(max(seconds, 0) * 1000))


def address_of(server):
    """(host, port) of a Proxy, a LoadBalancer or such a pair itself."""
    return server if isinstance(server, tuple) else (server.host, server.port)


@dataclasses.dataclass
class Response:
    status: int
    reason: str
    version: str
    fields: list
    body: bytes = b""

    def header(self, name, default=None):
        """The value of the only field of that name, in any case."""
        values = [value for key, value in self.fields if key.lower() == name.lower()]
        assert len(values) <= 1, f"{name} sent {len(values)} times"
        return values[0] if values else default

    @property
    def text(self):
        return self.body.decode()


def parse_head(head):
    """Response without a body from the bytes of a head."""
    first, *lines = head.decode("latin-1").split("\r\n")
    version, status, reason = (first.split(" ", 2) + [""])[:3]
    fields = [tuple(part.strip() for part in line.split(":", 1)) for line in lines if line]
    return Response(int(status), reason, version, fields)


class Chunks:
    """Incremental decoder of the chunked coding; strict about its framing."""

    def __init__(self):
        self.buffer = bytearray()
        self.ended = False

    def feed(self, data):
        """Returns the body bytes that `data` completes; whole chunks only."""
        self.buffer += data
        out = bytearray()
        while not self.ended:
            end = self.buffer.find(b"\r\n")
            if end < 0:
                break
            size = int(bytes(self.buffer[:end]), 16)
            if len(self.buffer) < end + 2 + size + 2:
                break
            out += self.buffer[end + 2:end + 2 + size]
            tail = self.buffer[end + 2 + size:end + 4 + size]
            assert tail == b"\r\n", f"chunk ends with {bytes(tail)!r}"
            del self.buffer[:end + 4 + size]
            self.ended = size == 0
        return bytes(out)


class RawHttp:
    """A TCP connection to a server, with helpers that read whole responses."""

    def __init__(self, server, timeout=10.0, receive_buffer=None):
        self.timeout = timeout * PATIENCE
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(self.timeout)
        self.sock.connect(address_of(server))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pending = b""

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.sock.close()

    def send(self, data):
        """Returns self, so that a read can follow. A peer that closed already is
        no error here: the answer tells."""
        try:
            self.sock.sendall(data.encode("latin-1") if isinstance(data, str) else data)
        except (BrokenPipeError, ConnectionResetError):
            pass
        return self

    def shutdown(self):
        """Ends our side of the stream only."""
        self.sock.shutdown(socket.SHUT_WR)
        return self

    def receive(self):
        """More bytes; b"" at the end of the stream, also by a reset."""
        if self.pending:
            data, self.pending = self.pending, b""
            return data
        try:
            return self.sock.recv(1 << 16)
        except ConnectionResetError:
            return b""

    def head(self):
        """The next head, as a Response without a body."""
        data = b""
        while b"\r\n\r\n" not in data:
            more = self.receive()
            if not more:
                raise EOFError(f"closed in a head: {data!r}")
            data += more
        head, _, self.pending = data.partition(b"\r\n\r\n")
        return parse_head(head)

    def response(self, method="GET"):
        """The next whole response (an event stream: its head only)."""
        response = self.head()
        if method == "HEAD" or response.status < 200 or response.status in (204, 304):
            return response
        if response.header("Content-Type", "").startswith("text/event-stream"):
            return response
        if response.header("Transfer-Encoding", "").lower() == "chunked":
            chunks = Chunks()
            while not chunks.ended:
                response.body += chunks.feed(self._more())
            self.pending = bytes(chunks.buffer)
        elif response.header("Content-Length") is not None:
            length = int(response.header("Content-Length"))
            while len(response.body) < length:
                response.body += self._more()
            self.pending = response.body[length:]
            response.body = response.body[:length]
        else:
            response.body = self.rest()
        return response

    def rest(self, seconds=None):
        """Everything until the server closes; TimeoutError when it does not."""
        deadline = time.monotonic() + (seconds * PATIENCE if seconds else self.timeout)
        data = b""
        while True:
            left = deadline - time.monotonic()
            if not self.pending and not readable(self.sock, left):
                raise TimeoutError(f"still open, after {data[-200:]!r}")
            more = self.receive()
            if not more:
                return data
            data += more

    def closed(self):
        """Whether the server has closed and nothing is left to read."""
        if self.pending or not readable(self.sock, 0):
            return False
        self.pending = self.receive()
        return self.pending == b""

    def _more(self):
        data = self.receive()
        if not data:
            raise EOFError("closed in a body")
        return data


def request(server, method, target, body=None, headers=None, timeout=10.0):
    """One request on a connection of its own; headers is a dictionary."""
    fields = {"Host": "localhost", "Connection": "close"}
    if body is not None:
        body = body.encode() if isinstance(body, str) else body
        fields |= {"Content-Type": "application/json", "Content-Length": len(body)}
    fields |= headers or {}
    lines = [f"{key}: {value}" for key, value in fields.items() if value is not None]
    head = "\r\n".join([f"{method} {target} HTTP/1.1", *lines, "", ""])
    with RawHttp(server, timeout) as connection:
        return connection.send(head.encode("latin-1") + (body or b"")).response(method)


def metrics(server):
    """/metrics as {'name{labels}': value}."""
    values = {}
    for line in request(server, "GET", "/metrics").text.splitlines():
        if line and not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            values[name] = float(value)
    return values
