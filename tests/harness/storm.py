"""Very many SSE clients in one process, which do nothing but hold their streams and
reconnect as EventSource does: after the delay that the server asked for."""

import heapq
import random
import re
import selectors
import socket
import time

from .rawhttp import address_of
from .wait import PATIENCE

ENDPOINT = re.compile(rb"session_id=([0-9a-f]{32})[^\n]*\n")
RETRY = re.compile(rb"retry: (\d+)")
OPENING_MAX = 500   # connections being opened at once, for the sake of the backlog


class StormClient:
    def __init__(self, key):
        self.key = key
        self.sock = None
        self.data = b""
        self.session = None     # of the present stream, once its endpoint came
        self.first = None       # of the first stream
        self.retry_s = 1.0
        self.lost_at = None
        self.resumed_s = None   # from the stream's loss to the next endpoint


class Storm:
    """servers(): where a client may be sent now, as a load balancer would."""

    def __init__(self, count, servers):
        self.servers = servers
        self.clients = [StormClient(f"storm-{n}") for n in range(count)]
        self.selector = selectors.EpollSelector()
        self.due = [(0, n) for n in range(count)]
        self.statuses = {}      # of GETs, how often
        self.opening = self.refused = 0

    def connected(self):
        return sum(client.session is not None for client in self.clients)

    def run_until(self, condition, seconds):
        """Lets them live until it holds; whether it did in time."""
        deadline = time.monotonic() + seconds * PATIENCE
        while time.monotonic() < deadline:
            self._connect_due()
            for key, _ in self.selector.select(0.02):
                self._readable(key.data)
            if condition():
                return True
        return False

    def _connect_due(self):
        now = time.monotonic()
        while self.due and self.due[0][0] <= now and self.opening < OPENING_MAX:
            self._connect(heapq.heappop(self.due)[1])

    def _connect(self, n):
        client = self.clients[n]
        try:
            client.sock = socket.create_connection(address_of(random.choice(self.servers())), 10)
        except OSError:
            self.refused += 1
            self._later(n)
            return
        more = "mcp-protocol-version: 2024-11-05\r\n" if client.first else ""
        client.sock.sendall(f"GET /sse?client={client.key} HTTP/1.1\r\nHost: localhost\r\n"
                            f"Accept: text/event-stream\r\n{more}\r\n".encode())
        client.sock.setblocking(False)
        client.data = b""
        self.opening += 1
        self.selector.register(client.sock, selectors.EVENT_READ, n)

    def _later(self, n):
        heapq.heappush(self.due, (time.monotonic() + self.clients[n].retry_s, n))

    def _readable(self, n):
        client = self.clients[n]
        try:
            data = client.sock.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lost(n)
        elif client.session is None:
            client.data += data
            self._opened(client)

    def _lost(self, n):
        client = self.clients[n]
        self.selector.unregister(client.sock)
        client.sock.close()
        self.opening -= client.session is None
        if client.session is not None:
            client.lost_at = time.monotonic()
        client.session = None
        self._later(n)

    def _opened(self, client):
        found = ENDPOINT.search(client.data)
        if not found:
            return
        status = int(client.data.split(b" ", 2)[1])
        self.statuses[status] = self.statuses.get(status, 0) + 1
        retry = RETRY.search(client.data)
        if retry:
            client.retry_s = int(retry[1]) / 1000
        self.opening -= 1
        client.session = found[1].decode()
        client.first = client.first or client.session
        if client.lost_at is not None:
            client.resumed_s = time.monotonic() - client.lost_at

    def close(self):
        for client in self.clients:
            if client.sock is not None:
                client.sock.close()
        self.selector.close()
