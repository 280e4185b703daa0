"""Clients that want too much: slow ones, stuck ones, too many of them."""

import concurrent.futures
import select
import socket
import time

import pytest

from harness import (PATIENCE, Cluster, Proxy, RawHttp, Redis, SseClient, metrics, request,
                     until)

STUCK_STREAMS = 1000
STUCK_BYTES = 4 * 64 * 1024   # fed to each; far more than its socket takes
STUCK_SECONDS = int(20 * PATIENCE)
SLOW_HEADERS = 2000
HEADER_SECONDS = 3
SLOW = 'mcp_proxy_connections_closed_total{reason="slow"}'


def feed(streams, other, calls, text):
    """Calls whose answers nobody reads; returns the statuses that came."""
    statuses = set()
    params = {"name": "conformance_echo", "arguments": {"text": text}}
    for stream in streams:
        for n in range(calls):
            message = {"jsonrpc": "2.0", "id": n, "method": "tools/call", "params": params}
            statuses.add(stream.post(message, to=other).status)
        stream.drop_posts()
    return statuses


def test_a_thousand_streams_that_never_read():
    with Cluster(workers={"conformance": 2},
                 proxy_env={"SSE_STUCK_TIMEOUT": STUCK_SECONDS}) as system:
        holder, other = system.proxies
        files, before = holder.open_files(), holder.rss_bytes()
        streams = [system.client(0, receive_buffer=4096, timeout=60)
                   for _ in range(STUCK_STREAMS)]
        text, calls = "x" * (64 * 1024), STUCK_BYTES // (64 * 1024)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            shares = [streams[n::8] for n in range(8)]
            assert set().union(*pool.map(lambda share: feed(share, other, calls, text),
                                         shares)) == {202}
        until(lambda: system.redis("XLEN", "mcp_requests:{conformance}") == 0, 60, "all calls run")
        peak, open_now = holder.rss_bytes(), holder.open_files()
        per_stream = (peak - before) / STUCK_STREAMS
        print(f"{per_stream / 1024:.0f} KiB of memory for each stuck stream")
        assert open_now - files >= STUCK_STREAMS * 0.9, "dropped before it was measured"
        assert per_stream <= 1 << 20
        with SseClient(holder) as healthy:
            text = "still here"
            assert healthy.text("conformance_echo", {"text": text}, to=other) == text
        until(lambda: metrics(holder)[SLOW] == STUCK_STREAMS, 2 * STUCK_SECONDS,
              lambda: f"{STUCK_STREAMS} streams dropped, not {metrics(holder)[SLOW]}")
        until(lambda: holder.open_files() < files + 50, 5, "their sockets closed")
        for stream in streams:
            stream.close()


def test_what_a_stuck_client_does_not_read_waits_in_redis():
    """Not in the pod, of whose memory each stream has its share."""
    count, calls, loops = 16, 64, 2
    # What a sanitizer keeps of freed memory is not the pod's.
    env = {"ASAN_OPTIONS": "quarantine_size_mb=1", "PROXY_THREADS": loops}
    with Cluster(workers={"conformance": 1}, proxy_env=env) as system:
        holder, other = system.proxies
        before = holder.rss_bytes()
        streams = [system.client(0, receive_buffer=4096) for _ in range(count)]
        assert feed(streams, other, calls, "x" * (64 * 1024)) == {202}
        until(lambda: system.redis("XLEN", "mcp_requests:{conformance}") == 0, 60, "all calls run")
        until(lambda: all(system.redis("XLEN", f"mcp_replies:{{{pod}}}") == 0 for pod in
                          system.redis("ZRANGE", "mcp_pods", 0, -1)), 60, "all answers taken in")
        grown = holder.rss_bytes() - before
        print(f"{grown >> 20} MiB of memory for {count * calls * 64 >> 10} MiB that nobody reads")
        # Of each stream 1 MiB, and for each event loop what it has read and not dealt with.
        assert grown <= (count + loops * 8) << 20
        for stream in streams:
            stream.close()


class SlowHead:
    """A connection whose head comes a byte a second, and never ends."""

    def __init__(self, proxy):
        self.opened = time.monotonic()
        self.sock = RawHttp(proxy).send(b"GET /sse HTTP/1.1\r\nX-A: ").sock
        self.answer = b""
        self.seconds = None  # that it was left open

    def drip(self):
        try:
            self.sock.send(b"x")
        except OSError:
            pass

    def read(self):
        """Returns whether the server has closed it."""
        try:
            data = self.sock.recv(4096)
        except OSError:
            data = b""
        self.answer += data
        if not data:
            self.seconds = time.monotonic() - self.opened
            self.sock.close()
        return not data


def drip(slow, seconds):
    """Drips on all until the server has closed them, or the time is over."""
    poll = select.epoll()
    by_fd = {head.sock.fileno(): head for head in slow}
    for fd in by_fd:
        poll.register(fd, select.EPOLLIN)
    began = next_byte = time.monotonic()
    while by_fd and time.monotonic() < began + seconds:
        if time.monotonic() >= next_byte:
            next_byte += 1
            for head in by_fd.values():
                head.drip()
        for fd, _ in poll.poll(0.1):
            if by_fd[fd].read():
                del by_fd[fd]


def test_two_thousand_slow_headers_are_closed_on_time_while_others_are_served():
    with Cluster(proxies=1, workers={"conformance": 1},
                 proxy_env={"HTTP_HEADER_TIMEOUT": HEADER_SECONDS}) as system, \
            system.client() as session, \
            concurrent.futures.ThreadPoolExecutor(1) as pool:
        proxy = system.proxies[0]
        files = proxy.open_files()
        slow = [SlowHead(proxy) for _ in range(SLOW_HEADERS)]
        dripping = pool.submit(drip, slow, 10 * HEADER_SECONDS * PATIENCE)
        slowest = calls = 0
        while not dripping.done():
            began = time.monotonic()
            assert session.text("conformance_echo", {"text": "hi"}) == "hi"
            slowest = max(slowest, time.monotonic() - began)
            calls += 1
        dripping.result()
        print(f"{calls} calls meanwhile, the slowest took {slowest * 1000:.0f} ms")
        assert {head.answer[:13] for head in slow} == {b"HTTP/1.1 408 "}
        times = [head.seconds for head in slow]
        assert None not in times, f"{times.count(None)} still open"
        assert HEADER_SECONDS <= min(times) <= max(times) < (HEADER_SECONDS + 5) * PATIENCE
        assert calls > 10 and slowest < HEADER_SECONDS * PATIENCE
        until(lambda: proxy.open_files() <= files + 5, 10, "sockets given back")


@pytest.fixture(scope="module")
def quick():
    """A proxy with short patience."""
    with Redis() as redis, Proxy(redis, settings={
            "HTTP_HEADER_TIMEOUT": 1, "HTTP_BODY_TIMEOUT": 1, "HTTP_IDLE_TIMEOUT": 1}) as proxy:
        yield proxy


@pytest.mark.parametrize("data, status", [
    (b"GET / HTTP/1.1\r\nHost:", 408),
    (b"POST /messages/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab", 408),
    (b"POST /messages/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", 408)])
def test_incomplete_requests_answer_408(quick, data, status):
    with RawHttp(quick) as connection:
        assert connection.send(data).response().status == status
        assert connection.rest(5) == b""


def test_idle_connection_is_closed_without_an_answer(quick):
    with RawHttp(quick) as connection:
        assert connection.rest(5) == b""
    with RawHttp(quick) as connection:
        assert connection.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").response().status == 200
        assert connection.rest(5) == b""


def test_stream_outlives_the_timeouts_of_requests(quick):
    with SseClient(quick) as session:
        until(lambda: request(quick, "GET", "/healthz") and
              time.monotonic() - session.events[0].at > 3, 20, "three seconds passed")
        session.pump(0)
        assert session.state == "open"


def test_client_junk_on_a_stream_is_dropped(system):
    proxy = system.proxies[0]
    with system.client(0) as session:
        before = proxy.rss_bytes()
        for _ in range(40):
            session.connection.send(b"x" * (1 << 20))
        assert proxy.rss_bytes() - before < 8 << 20
        session.pump(0)
        if session.state == "open":
            assert session.request("ping")["result"] == {}


def connect_all(proxy, count):
    sockets = []
    for _ in range(count):
        sock = socket.create_connection((proxy.host, proxy.port), 5)
        sockets.append(sock)
    return sockets


@pytest.mark.parametrize("nofile, settings", [
    (128, {}), (None, {"HTTP_MAX_CONNECTIONS": 64})], ids=["files", "connections"])
def test_listener_pauses_at_its_limit_and_recovers(nofile, settings):
    with Redis() as redis, Proxy(redis, threads=1, nofile=nofile, settings=settings) as proxy:
        with SseClient(proxy) as session:
            session.request("ping")  # its connection for POSTs stays
            flood = connect_all(proxy, 400)
            assert session.request("ping")["result"] == {}
            cpu, began = proxy.cpu_seconds(), time.monotonic()
            until(lambda: time.monotonic() > began + 2, 5)
            assert proxy.cpu_seconds() - cpu < 0.5, "spins while it cannot accept"
            assert session.request("ping")["result"] == {}
            for sock in flood:
                sock.close()
            until(lambda: proxy.probe("/healthz") == 200, 15, "accepts again")
            assert session.request("ping")["result"] == {}
