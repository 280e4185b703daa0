"""A client that lives on when its stream breaks, as the TypeScript SDK's does.

It GETs the same URL again after the delay that the server asked for, with the
same headers and mcp-protocol-version, takes the new endpoint, sends no
initialize, and its request ids count on. It keeps account of every call, so that
a test can ask what became of each.
"""

import json
import random
import re
import threading
import time

from . import ledger
from .ledger import ACCEPTED, REFUSED, UNKNOWN
from .rawhttp import Chunks, RawHttp, address_of, readable
from .sse import EventParser
from .threads import Threads
from .wait import PATIENCE


class SteadyClient:
    """servers(): the servers that may be tried now, for streams and POSTs."""

    def __init__(self, name, servers, path="/sse", headers=None, tools=(ledger.ECHO,),
                 answer_s=30):
        self.name, self.servers, self.path = name, servers, path
        self.answer_s = answer_s  # how long an answer is waited for
        self.headers = dict(headers or {})
        self.tools = tools   # called in turn
        self.next_id = 0
        self.calls = {}      # id: what became of its POST
        self.texts = {}      # id: the text that its answer has
        self.asked = {}      # id: tool and nonce of a call
        self.heard = []      # every answer to a call, as the ledger oracle wants it
        self.answers = {}    # id: how often it was answered right
        self.wrong = []      # anything that is not as it must be
        self.errors = {}     # id: its JSON-RPC error
        self.statuses = []   # of every GET
        self.sessions = []   # session id of every stream
        self.resumes = []    # seconds from a stream's end to the next endpoint
        self.retry = 1.0
        self.stream = None
        self.broken_at = None
        self.endpoint = None
        self.posts = {}

    # The stream ---------------------------------------------------------------

    def connect(self, seconds=40):
        """Opens the stream on some server and waits for its endpoint."""
        deadline = time.monotonic() + seconds * PATIENCE
        while not self._try_connect(deadline):
            assert time.monotonic() < deadline, f"{self.name} found no server"
            time.sleep(0.05)  # what an EventSource does when it is refused
        if self.broken_at is not None:
            self.resumes.append(time.monotonic() - self.broken_at)
            self.broken_at = None

    def _try_connect(self, deadline):
        server = random.choice(self.servers())
        lines = [f"GET {self.path} HTTP/1.1", "Host: localhost", "Accept: text/event-stream"]
        lines += [f"{key}: {value}" for key, value in self.headers.items()]
        try:
            stream = RawHttp(server, 10)
            stream.send("\r\n".join(lines + ["", ""]))
            status = stream.head().status
        except (OSError, EOFError):
            return False
        self.statuses.append(status)
        if status != 200:
            return False
        self.stream, self.parser, self.chunks = stream, EventParser(), Chunks()
        self.endpoint = None
        while self.endpoint is None and self.stream and time.monotonic() < deadline:
            self._pump(1)
        return self.endpoint is not None

    def reconnect(self):
        """After the delay that the server asked for."""
        if self.broken_at is None:
            self.broken_at = time.monotonic()
        time.sleep(self.retry)  # what an EventSource does
        self.headers["mcp-protocol-version"] = "2024-11-05"
        self.connect()

    def cut(self):
        """Drops the stream from this side."""
        self.stream.close()
        self.stream = None
        self.broken_at = time.monotonic()

    def _pump(self, seconds):
        """Reads what comes within the time; the stream is None once it ended."""
        if not self.stream.pending and not readable(self.stream.sock, seconds):
            return
        try:
            data = self.stream.receive()
        except OSError:
            data = b""
        if not data:
            self.stream.close()
            self.stream = None
            self.broken_at = time.monotonic()
            return
        for line in re.findall(rb"^retry: (\d+)$", data, re.M):
            self.retry = int(line) / 1000
        for event in self.parser.feed(self.chunks.feed(data)):
            self._event(event)

    def _event(self, event):
        if event.event == "endpoint":
            if self.endpoint is not None:
                self.wrong.append(f"{self.name}: a second endpoint on one stream")
            self.endpoint = event.data
            self.sessions.append(re.search(r"session_id=([0-9a-f]{32})", event.data).group(1))
        elif event.event == "message" and event.data:
            self._message(json.loads(event.data))

    def _message(self, message):
        if "method" in message and "id" not in message:
            return  # a notification, such as of changed lists
        id = message.get("id")
        if id in self.asked or id not in self.texts:
            result, error = message.get("result", {}), message.get("error")
            self.heard.append(ledger.Answer(
                self.name, id, None if error else result["content"][0]["text"],
                error["message"] if error else None))
        if id not in self.texts:
            self.wrong.append(f"{self.name}: not asked for: {message}")
        elif "error" in message:
            self.errors[id] = message["error"]
            self.answers[id] = self.answers.get(id, 0) + 1
        elif self.texts[id] is not None and \
                message["result"]["content"][0]["text"] != self.texts[id]:
            self.wrong.append(f"{self.name}: {self.texts[id]!r} answered {message}")
        else:
            self.answers[id] = self.answers.get(id, 0) + 1

    # Calls ----------------------------------------------------------------------

    def post(self, method, params, text=None):
        """POSTs a request to some server; returns its id and notes its fate."""
        id, self.next_id = self.next_id, self.next_id + 1
        self.texts[id] = text
        body = json.dumps({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
        servers = list(self.servers())
        random.shuffle(servers)
        for server in servers:
            try:
                connection = self._post_connection(server)
            except OSError:
                continue
            self.calls[id] = self._send(connection, body)
            return id
        self.calls[id] = REFUSED
        return id

    def _post_connection(self, server):
        address = address_of(server)
        connection = self.posts.pop(address, None)
        if connection is None or connection.closed():
            if connection is not None:
                connection.close()
            connection = RawHttp(address, 10)
        self.posts[address] = connection
        return connection

    def _send(self, connection, body):
        head = [f"POST {self.endpoint} HTTP/1.1", "Host: localhost",
                "Content-Type: application/json", f"Content-Length: {len(body)}"]
        head += [f"{key}: {value}" for key, value in self.headers.items()]
        try:
            connection.send("\r\n".join(head + ["", ""]).encode() + body.encode())
            status = connection.response().status
        except (OSError, EOFError):
            connection.close()
            self.posts = {key: value for key, value in self.posts.items()
                          if value is not connection}
            return UNKNOWN
        if status != 202:
            self.wrong.append(f"{self.name}: POST answered {status}")
            return REFUSED
        return ACCEPTED

    def call(self):
        """POSTs a call with a nonce that no other call has; returns its id."""
        id = self.next_id
        nonce, tool = f"{self.name} call {id}", self.tools[id % len(self.tools)]
        self.asked[id] = tool, nonce
        if tool == ledger.ECHO:
            arguments, text = {"text": nonce}, nonce
        else:
            arguments, text = {"nonce": nonce, "delay_ms": 10}, "appended"
        return self.post("tools/call", {"name": tool, "arguments": arguments}, text)

    def wait(self, id):
        """Until the call is answered, across streams; whether it was."""
        deadline = time.monotonic() + self.answer_s * PATIENCE
        while id not in self.answers and time.monotonic() < deadline:
            if self.stream is None:
                self.reconnect()
            else:
                self._pump(0.25)
        return id in self.answers

    def open(self):
        """Connects and initializes."""
        self.connect()
        id = self.post("initialize", {"protocolVersion": "2024-11-05", "capabilities": {},
                                      "clientInfo": {"name": self.name, "version": "1"}})
        assert self.wait(id), f"{self.name} was not initialized"
        return self

    def pump(self, seconds=0.0):
        if self.stream is not None:
            self._pump(seconds)

    def close(self):
        if self.stream is not None:
            self.stream.close()
        for connection in self.posts.values():
            connection.close()

    # Account ----------------------------------------------------------------------

    def accepted(self):
        return [id for id, fate in self.calls.items() if fate == ACCEPTED]

    def unanswered(self):
        return [id for id in self.accepted() if id not in self.answers]

    def records(self):
        """Its calls and what it heard, for the ledger oracle."""
        return [ledger.Call(self.name, id, tool, nonce, self.calls[id])
                for id, (tool, nonce) in self.asked.items()], self.heard

    def repeats(self):
        return sum(count - 1 for count in self.answers.values())


class SteadyLoad(Threads):
    """Many of them at work, one thread each, with calls in flight all the time."""

    def __init__(self, clients, in_flight=2):
        super().__init__([threading.Thread(target=self._run, args=(client,))
                          for client in clients])
        self.clients, self.in_flight = clients, in_flight
        self.failed = []

    def _run(self, client):
        try:
            client.open()
            while not self.stopping.is_set():
                self._round(client)
        except Exception as error:  # a thread's end must not go unseen
            self.failed.append(f"{client.name}: {error!r}")

    def _round(self, client):
        for id in [client.call() for _ in range(self.in_flight)]:
            if client.calls[id] == ACCEPTED:
                client.wait(id)
            else:
                client.pump(0.05)
                if client.stream is None:
                    client.reconnect()

    def answered(self):
        return sum(len(client.answers) for client in self.clients)

    def resumes(self):
        return sorted(second for client in self.clients for second in client.resumes)

    def check(self, repeats=2, written=None):
        """Every accepted call was answered once, but for so many repeats in all.
        written: the ledger's lines."""
        assert not self.failed, self.failed
        records = [client.records() for client in self.clients]
        answers = [answer for _, heard in records for answer in heard]
        assert ledger.violations([call for calls, _ in records for call in calls], answers,
                                 written) == []
        assert ledger.repeats(answers) <= repeats
        assert [wrong for client in self.clients for wrong in client.wrong] == []
        lost = {client.name: client.unanswered() for client in self.clients
                if client.unanswered()}
        assert lost == {}
        assert sum(client.repeats() for client in self.clients) <= repeats


def percentile(values, share):
    """Of sorted values; 0 when there is none."""
    return values[min(int(len(values) * share), len(values) - 1)] if values else 0.0
