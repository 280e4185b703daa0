"""Who connects is served: also while accepting rests, and while a pod stops.

A connection waits in the kernel from its handshake until it is accepted, and is
reset if the listening socket is closed meanwhile. None is, however often
accepting pauses, until a stopping pod has nothing more to do.
"""

import select
import signal
import time

import pytest

from harness import PATIENCE, Cluster, Proxy, RawHttp, Redis, SseClient, until

GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


def asking(proxy, count):
    """Connections that have sent a request; accepted or not."""
    return [RawHttp(proxy).send(GET) for _ in range(count)]


def answers_of(connections, seconds=20):
    """Reads one answer from each, as they come, and closes it: then another may be
    accepted. A reset or an early end is an error; returns the statuses."""
    poll, statuses = select.poll(), []
    by_fd = {connection.sock.fileno(): connection for connection in connections}
    for fd in by_fd:
        poll.register(fd, select.POLLIN)
    deadline = time.monotonic() + seconds * PATIENCE
    while by_fd:
        assert time.monotonic() < deadline, f"{len(by_fd)} of {len(connections)} still wait"
        for fd, _ in poll.poll(100):
            connection = by_fd.pop(fd)
            poll.unregister(fd)
            connection.pending = connection.sock.recv(1 << 16)  # raises on a reset
            statuses.append(connection.response().status)
            connection.close()
    return statuses


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("nofile, settings", [
    (160, {}), (None, {"HTTP_MAX_CONNECTIONS": 16})], ids=["files", "connections"])
def test_pausing_resets_nobody(nofile, settings, threads):
    with Redis() as redis, Proxy(redis, threads=threads, nofile=nofile,
                                 settings=settings) as proxy:
        connections = asking(proxy, 400)
        until(lambda: "accepting paused" in proxy.log_text(), 10, "accepting pauses")
        assert answers_of(connections) == [200] * 400
        assert proxy.probe("/healthz") == 200


def test_who_waited_when_the_pod_was_told_to_stop_is_served():
    with Redis() as redis, Proxy(redis) as proxy:
        proxy.freeze()
        connections = asking(proxy, 200)
        proxy.signal(signal.SIGTERM)
        proxy.thaw()
        assert answers_of(connections) == [200] * 200
        assert proxy.wait(20) == 0


def test_a_draining_pod_serves_who_comes_and_does_not_wait_for_him():
    with Cluster(proxies=2, workers={"conformance": 1}) as system:
        first = system.proxies[0]
        with system.client(0) as busy, system.client(0) as idle:
            busy.initialize()
            system.workers[0].freeze()
            id = busy.ask("tools/call", {"name": "conformance_echo", "arguments": {"text": "x"}})
            first.signal(signal.SIGTERM)
            assert idle.wait_closed(10) == "ended"
            for connection in asking(first, 20):
                response = connection.response()
                assert (response.status, response.header("Connection")) == (200, "close")
                assert connection.rest(5) == b""
            with SseClient(first) as late:
                assert late.request("ping")["result"] == {}
                assert busy.request("ping")["result"] == {}
                assert late.wait_closed(10) == "ended"
            with SseClient(first) as last:
                system.workers[0].thaw()
                assert busy.answer(id)["result"]["content"][0]["text"] == "x"
                assert busy.wait_closed(10) == "ended"
                assert last.wait_closed(10) == "ended"
            assert first.wait(20) == 0


def test_a_client_that_knows_no_other_pod_does_not_hold_up_a_drain():
    """It comes back at once, each time, for as long as the pod listens."""
    with Redis() as redis, Proxy(redis, settings={"DRAIN_TIMEOUT": 3600}) as proxy:
        with SseClient(proxy) as session:
            proxy.signal(signal.SIGTERM)
            assert session.wait_closed(10) == "ended"

        def gone():
            try:
                with SseClient(proxy) as again:
                    assert again.wait_closed(10) == "ended"
            except (OSError, EOFError, AssertionError):
                pass  # refused, or cut with the process's end
            return not proxy.alive()

        until(gone, 20, "the pod has stopped")
        assert proxy.wait(1) == 0
