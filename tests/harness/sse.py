"""A legacy HTTP+SSE client of MCP (revision 2024-11-05), on raw sockets.

It has no thread: the stream is read by whoever waits for something. One thread
per client may use it; any number of clients may run side by side.
"""

import dataclasses
import json
import re
import time

from .rawhttp import Chunks, RawHttp, Response, address_of, readable
from .wait import PATIENCE

REVISIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")


@dataclasses.dataclass
class Event:
    event: str
    data: str
    id: str
    retry: str
    at: float  # time.monotonic() when it was complete

    def json(self):
        return json.loads(self.data)


class EventParser:
    """Bytes in, events out (WHATWG, server-sent events, section 9.2.6)."""

    def __init__(self):
        self.buffer = b""
        self.comments = []
        self._clear()

    def _clear(self):
        self.fields = {}
        self.data = []

    def feed(self, data):
        self.buffer += data.replace(b"\r\n", b"\n")
        *lines, self.buffer = self.buffer.split(b"\n")
        events = [self._line(line.decode()) for line in lines]
        return [event for event in events if event]

    def _line(self, line):
        if line.startswith(":"):
            self.comments.append(line)
            return None
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "data":
                self.data.append(value)
            else:
                self.fields[name] = value
            return None
        fields, data = self.fields, self.data
        self._clear()
        if not data:
            return None  # a delay to reconnect, perhaps, but no event
        return Event(fields.get("event", "message"), "\n".join(data), fields.get("id"),
                     fields.get("retry"), time.monotonic())


def key_of(message_id):
    return json.dumps(message_id)


class SseClient:
    """A session: a stream to `server`, POSTs to any server.

    with SseClient(proxy_a) as client:
        client.initialize()
        client.call("add", {"a": 1, "b": 2}, to=proxy_b)

    state is "open", "ended" (the last chunk came, then the close) or "cut".
    Every message that comes is kept: events in order, answers by id. An answer
    that comes twice, or to an id never asked, is in `surprises`.
    """

    def __init__(self, server, path="/sse", headers=None, timeout=15.0,
                 receive_buffer=None):
        self.server = server
        self.path = path
        self.headers = headers or {}
        self.timeout = timeout
        self.events, self.answers, self.surprises, self.notifications = [], {}, [], []
        self.asked = set()
        self.next_id = 0
        self.state = "open"
        self.posts = {}
        self.connection = RawHttp(server, timeout, receive_buffer)
        lines = [f"GET {path} HTTP/1.1", f"Host: {address_of(server)[0]}",
                 "Accept: text/event-stream"]
        lines += [f"{key}: {value}" for key, value in self.headers.items()]
        self.connection.send("\r\n".join(lines + ["", ""]))
        self.response: Response = self.connection.head()
        self.parser, self.chunks = EventParser(), Chunks()
        self.endpoint = self.session_id = None
        if self.response.status != 200:
            raise ConnectionError(f"GET {path} answered {self.response.status}")
        first = self.wait(lambda: self.events and self.events[0])
        assert first.event == "endpoint", first
        self.endpoint = first.data
        self.session_id = re.search(r"session_id=([0-9a-f]+)", first.data).group(1)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        """Drops the stream and the POST connections."""
        self.connection.close()
        self.drop_posts()

    def drop_posts(self):
        """Closes the POST connections: the next POST makes a new one."""
        for connection in self.posts.values():
            connection.close()
        self.posts = {}

    def fileno(self):
        return self.connection.sock.fileno()

    # The stream -----------------------------------------------------------

    def pump(self, seconds=0.0):
        """Takes in what arrives within the time; at once when something did."""
        if self.state != "open":
            return
        if not self.connection.pending and not readable(self.connection.sock, seconds):
            return
        data = self.connection.receive()
        if not data:
            self.state = "ended" if self.chunks.ended else "cut"
            return
        for event in self.parser.feed(self.chunks.feed(data)):
            self.events.append(event)
            if event.event == "message":
                self._message(event.json())

    def wait(self, condition, seconds=None, what="the awaited event"):
        """Reads the stream until condition() is true and returns its value."""
        deadline = time.monotonic() + (seconds or self.timeout) * PATIENCE
        while True:
            value = condition()
            if value:
                return value
            left = deadline - time.monotonic()
            if self.state != "open" or left <= 0:
                raise AssertionError(f"no {what}: stream is {self.state} after "
                                     f"{len(self.events)} events")
            self.pump(left)

    def wait_closed(self, seconds=None):
        """Reads until the stream is over and returns its state."""
        self.wait(lambda: self.state != "open", seconds, "end of the stream")
        return self.state

    @property
    def pings(self):
        return len(self.parser.comments)

    def _message(self, message):
        if "method" in message:
            self.notifications.append(message)
            return
        key = key_of(message.get("id"))
        if key in self.answers or key not in self.asked:
            self.surprises.append(message)
        self.answers.setdefault(key, message)

    # POSTs ----------------------------------------------------------------

    def post_text(self, text, to=None, endpoint=None):
        """POSTs these bytes on a kept-alive connection; returns the Response."""
        body = text if isinstance(text, bytes) else text.encode()
        connection = self._post_connection(address_of(to or self.server))
        head = [f"POST {endpoint or self.endpoint} HTTP/1.1", "Host: localhost",
                "Content-Type: application/json", f"Content-Length: {len(body)}"]
        head += [f"{key}: {value}" for key, value in self.headers.items()]
        connection.send("\r\n".join(head + ["", ""]).encode() + body)
        return connection.response()

    def post(self, message, to=None):
        """POSTs a message (a dictionary); returns the Response."""
        return self.post_text(json.dumps(message), to)

    def _post_connection(self, address):
        connection = self.posts.get(address)
        if connection is None or connection.closed():
            if connection is not None:
                connection.close()
            connection = self.posts[address] = RawHttp(address, self.timeout)
        return connection

    # JSON-RPC -------------------------------------------------------------

    def ask(self, method, params=None, to=None, id=None):
        """POSTs a request, checks the 202 and returns its id."""
        if id is None:
            id = self.next_id
            self.next_id += 1
        self.asked.add(key_of(id))
        message = {"jsonrpc": "2.0", "id": id, "method": method}
        if params is not None:
            message["params"] = params
        response = self.post(message, to)
        assert response.status == 202, f"POST answered {response.status} {response.body!r}"
        return id

    def answer(self, id, seconds=None):
        """Waits for the answer to that id: the whole message."""
        key = key_of(id)
        return self.wait(lambda: self.answers.get(key), seconds, f"answer to {key}")

    def request(self, method, params=None, to=None, id=None, seconds=None):
        """A request and its answer."""
        return self.answer(self.ask(method, params, to, id), seconds)

    def notify(self, method, params=None, to=None):
        message = {"jsonrpc": "2.0", "method": method}
        if params is not None:
            message["params"] = params
        response = self.post(message, to)
        assert response.status == 202, f"POST answered {response.status} {response.body!r}"

    def initialize(self, revision="2024-11-05", to=None):
        """The opening exchange; returns the result of initialize."""
        answer = self.request("initialize", {
            "protocolVersion": revision, "capabilities": {},
            "clientInfo": {"name": "harness", "version": "1"}}, to)
        self.notify("notifications/initialized", to=to)
        return answer["result"]

    def tools(self, to=None):
        """All tools by name, over as many pages as there are."""
        found, params = {}, {}
        while True:
            result = self.request("tools/list", params, to)["result"]
            found |= {tool["name"]: tool for tool in result["tools"]}
            if "nextCursor" not in result:
                return found
            params = {"cursor": result["nextCursor"]}

    def call(self, tool, arguments, to=None, seconds=None):
        """tools/call; returns the result (of an error: raises RuntimeError)."""
        answer = self.request("tools/call", {"name": tool, "arguments": arguments}, to,
                              seconds=seconds)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["result"]

    def text(self, tool, arguments, to=None, seconds=None):
        """tools/call; returns the text of its only content."""
        content = self.call(tool, arguments, to, seconds)["content"]
        assert [part["type"] for part in content] == ["text"], content
        return content[0]["text"]
