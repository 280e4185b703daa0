"""What tests of lost streams and pods share."""

import contextlib
import time

from harness import Cluster, SseClient, SteadyClient, until
from harness.ledger import APPEND, ECHO

# A client is hit by many kills in a row here, faster than in real life.
OFTEN = {"SESSION_RECOVERY_MAX": 1000, "SSE_RETRY_MS": 600}
RECONNECTED = {"mcp-protocol-version": "2024-11-05"}


def alive(system):
    """The proxies that a load balancer would choose from."""
    return lambda: [proxy for proxy in system.proxies if proxy.alive()] or system.proxies


def keyed(system, count, path="/sse"):
    return [SteadyClient(f"client-{n}", alive(system), f"{path}?client=key-{n}",
                         tools=(ECHO, APPEND)) for n in range(count)]


def echo(text):
    return {"name": "conformance_echo", "arguments": {"text": text}}


def reopen(proxy, before, path="/sse", headers=None):
    """The same client once more, on that proxy: ids count on."""
    session = SseClient(proxy, path, headers=headers)
    session.asked, session.next_id = set(before.asked), before.next_id
    return session


def text_of(answer):
    return answer["result"]["content"][0]["text"]


def settle(clients):
    """Lets each client wait for what it is still owed."""
    for client in clients:
        for id in client.unanswered():
            client.wait(id)


@contextlib.contextmanager
def frozen(workers):
    for worker in workers:
        worker.freeze()
    try:
        yield
    finally:
        for worker in workers:
            worker.thaw()


def detached(system, *sessions):
    for session in sessions:
        until(lambda session=session: system.redis.hash(
            f"mcp_session:{{{session.session_id}}}").get("state") == "detached",
              10, "the session waits for its client")


def check_a_frozen_pod(seconds):
    """It sleeps past its heartbeat's life, with answers in its inbox; when it wakes
    it writes nothing into sessions that moved on."""
    with Cluster(proxies=2, workers={"conformance": 2}, proxy_env=OFTEN) as system:
        first, second = system.proxies
        stale = [SseClient(first, f"/sse?client=sleeper-{n}") for n in range(10)]
        left = [SseClient(first, f"/sse?client=waiter-{n}") for n in range(5)]
        for session in stale + left:
            session.initialize()
        first.freeze()
        asked = [session.ask("tools/call", echo(f"moved {n}"), to=second)
                 for n, session in enumerate(stale)]
        waiting = [session.ask("tools/call", echo(f"waits {n}"), to=second)
                   for n, session in enumerate(left)]
        events = [len(session.events) for session in stale]
        moved = [reopen(second, session, session.path, RECONNECTED) for session in stale]
        for n, (session, id) in enumerate(zip(moved, asked)):
            assert text_of(session.answer(id)) == f"moved {n}"
        asleep = time.monotonic()
        pod = system.redis.hash(f"mcp_transport:{{{left[0].session_id}}}")["pod"]
        until(lambda: not system.redis("EXISTS", f"mcp_pod:{{{pod}}}"), 30, "it is held for dead")
        until(lambda: time.monotonic() - asleep > seconds, seconds + 10, "it slept long enough")
        first.thaw()
        for session in stale + left:
            session.wait_closed(15)
        assert [len(session.events) for session in stale] == events
        # Those that did not move hear their answer once, after they reconnect.
        for n, (session, id) in enumerate(zip(left, waiting)):
            with reopen(second, session, session.path, RECONNECTED) as again:
                assert again.session_id == session.session_id
                if str(id) not in session.answers:
                    assert text_of(again.answer(id)) == f"waits {n}"
        for session in moved:
            assert session.text("conformance_echo", {"text": "on"}, to=first) == "on"
            assert session.surprises == []
            session.close()
