"""A redis-server of our own, and a client that speaks RESP2."""

import contextlib
import socket
import threading

from .process import Process, free_port, work_directory
from .rawhttp import readable
from .wait import until


class RedisError(Exception):
    """An error reply."""


class RedisClient:
    """One connection: client("XLEN", key) returns the decoded reply."""

    def __init__(self, port, host="127.0.0.1", timeout=10.0):
        self.address = (host, port)
        self.timeout = timeout
        self.lock = threading.Lock()
        self.sock = None
        self.file = None

    def __call__(self, *words):
        with self.lock:
            if self.sock is None:
                self._connect()
            try:
                self.sock.sendall(self._encode(words))
                return self._read()
            except (OSError, EOFError):
                self.close()
                raise

    def pipeline(self, commands):
        """Sends all the commands at once; errors come back as values."""
        with self.lock:
            if self.sock is None:
                self._connect()
            self.sock.sendall(b"".join(self._encode(words) for words in commands))
            return [self._read(raising=False) for _ in commands]

    def close(self):
        if self.sock is not None:
            self.file.close()
            self.sock.close()
            self.sock = None

    def _connect(self):
        self.sock = socket.create_connection(self.address, self.timeout)
        self.file = self.sock.makefile("rb")

    @staticmethod
    def _encode(words):
        parts = [b"*%d\r\n" % len(words)]
        for word in words:
            data = word if isinstance(word, bytes) else str(word).encode()
            parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
        return b"".join(parts)

    def _read(self, raising=True):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise EOFError("Redis closed the connection")
        kind, rest = line[:1], line[1:-2].decode(errors="backslashreplace")
        if kind == b"+":
            return rest
        if kind == b":":
            return int(rest)
        if kind == b"-":
            if raising:
                raise RedisError(rest)
            return RedisError(rest)
        if kind == b"$":
            if rest == "-1":
                return None
            data = self.file.read(int(rest) + 2)
            return data[:-2].decode(errors="backslashreplace")
        if kind == b"*":
            return None if rest == "-1" else [self._read(False) for _ in range(int(rest))]
        raise RedisError(f"not RESP: {line!r}")


class Redis(Process):
    """A redis-server on a free port, with its data in its own directory.

    appendonly is None (nothing kept), "everysec" or "always"; a restart after
    kill() loads what was kept. It is a callable: redis("PING").
    """

    def __init__(self, appendonly=None, directory=None, name="redis", options=()):
        self.port = free_port()
        self.host = "127.0.0.1"
        self.url = f"redis://127.0.0.1:{self.port}/0"
        directory = directory or work_directory(name)
        argv = ["redis-server", "--port", self.port, "--bind", "127.0.0.1",
                "--dir", directory, "--save", "", "--maxmemory-policy", "noeviction",
                "--appendonly", "yes" if appendonly else "no",
                "--appendfsync", appendonly or "no", "--enable-protected-configs", "yes",
                *options]
        super().__init__(name, argv, directory)
        self.client = RedisClient(self.port)

    def start(self):
        """Starts it and waits until it answers (its data is loaded)."""
        super().start()
        until(self._answers, 10, lambda: f"redis-server answers\n{self.tail()}")
        return self

    def kill(self):
        super().kill()
        self.client.close()

    def restart(self):
        """Starts it again on the same port and data."""
        return self.start()

    def stop(self, seconds=15):
        self.client.close()
        return super().stop(seconds)

    def __call__(self, *words):
        return self.client(*words)

    def flush(self):
        self.client("FLUSHALL")

    @contextlib.contextmanager
    def refusing(self, word):
        """It takes no writes from anybody: OOM, MISCONF or NOREPLICAS."""
        begin, end = {
            "OOM": (("maxmemory", 1), ("maxmemory", 0)),
            "MISCONF": (("dir", "/proc/self", "save", "1000000 1000000"), ("save", "")),
            "NOREPLICAS": (("min-replicas-to-write", 1), ("min-replicas-to-write", 0)),
        }[word]
        self("CONFIG", "SET", *begin)
        if word == "MISCONF":
            self("BGSAVE")
            until(lambda: "rdb_last_bgsave_status:err" in self("INFO", "persistence"), 10,
                  "it cannot save")
        try:
            yield
        finally:
            self("CONFIG", "SET", *end)

    def hash(self, key):
        """HGETALL as a dictionary."""
        flat = self.client("HGETALL", key)
        return dict(zip(flat[::2], flat[1::2]))

    def command_calls(self):
        """How often each command ran: {"xadd": 12, …}."""
        calls = {}
        for line in self.client("INFO", "commandstats").splitlines():
            if line.startswith("cmdstat_"):
                name, _, rest = line[8:].partition(":")
                calls[name] = int(rest.split(",")[0].split("=")[1])
        return calls

    @contextlib.contextmanager
    def monitor(self):
        """MONITOR on a connection of its own; yields a function that returns
        the lines seen so far."""
        sock = socket.create_connection((self.host, self.port), 5)
        seen = bytearray()

        def lines():
            while readable(sock, 0):
                data = sock.recv(1 << 16)
                if not data:
                    break
                seen.extend(data)
            text = seen.decode(errors="backslashreplace")
            return [line[1:] for line in text.split("\r\n")[1:-1]]

        with sock:
            sock.sendall(b"MONITOR\r\n")
            until(lambda: lines() is not None and b"+OK\r\n" in seen, 5, "MONITOR answers")
            yield lines

    def _answers(self):
        try:
            return self.client("PING") == "PONG"
        except (OSError, EOFError, RedisError):
            assert self.alive(), f"redis-server ended\n{self.tail()}"
            return False
