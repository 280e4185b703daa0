"""Opens many sessions at once and lets them go, with one thread and epoll."""

import select
import socket
import struct
import time

from harness import PATIENCE

IN_FLIGHT = 256
RESET = struct.pack("ii", 1, 0)   # close() resets: no TIME_WAIT, ports go round


class Opener:
    """open(targets) opens a stream per (server, path, headers), waits for each
    one's endpoint, and closes it again unless there are still `keep` to keep."""

    def __init__(self, keep=0):
        self.poll = select.epoll()
        self.waiting = {}
        self.kept = []
        self.keep = keep

    def open(self, targets, seconds=120):
        deadline = time.monotonic() + seconds * PATIENCE
        targets = iter(targets)
        more = True
        while more or self.waiting:
            while more and len(self.waiting) < IN_FLIGHT:
                target = next(targets, None)
                more = target is not None
                if more:
                    self._start(*target)
            assert time.monotonic() < deadline, f"{len(self.waiting)} streams did not open"
            for fd, _ in self.poll.poll(1):
                self._read(fd)

    def _start(self, server, path, headers):
        sock = socket.socket()
        # Each source address has its own ports.
        sock.bind((f"127.0.0.{2 + len(self.kept) // 10000}", 0))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        sock.connect((server.host, server.port))
        lines = [f"GET {path} HTTP/1.1", "Host: localhost", "Accept: text/event-stream",
                 *(f"{name}: {value}" for name, value in headers.items())]
        sock.sendall("\r\n".join([*lines, "", ""]).encode())
        sock.setblocking(False)
        self.waiting[sock.fileno()] = [sock, b""]
        self.poll.register(sock, select.EPOLLIN)

    def _read(self, fd):
        entry = self.waiting[fd]
        data = entry[0].recv(4096)
        assert data, f"a stream ended before its endpoint: {entry[1]!r}"
        entry[1] += data
        if b"event: endpoint" not in entry[1]:
            assert entry[1].startswith(b"HTTP/1.1 200 "), entry[1]
            return
        del self.waiting[fd]
        self.poll.unregister(fd)
        if len(self.kept) < self.keep:
            self.kept.append(entry[0])
        else:
            entry[0].close()

    def close(self):
        for sock in [*self.kept, *(entry[0] for entry in self.waiting.values())]:
            sock.close()
        self.poll.close()
