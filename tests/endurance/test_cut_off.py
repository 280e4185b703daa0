"""A pod that sleeps a minute, and one that the network cuts off from Redis."""

import contextlib
import time

from harness import PATIENCE, Cluster, Proxy, SseClient, request, until
from harness.wire import Wire
from recovering import OFTEN, RECONNECTED, check_a_frozen_pod, echo, frozen, reopen, text_of

CLOSED_WITHIN_S = 15


def test_frozen_pod_writes_nothing_after_a_minute():
    check_a_frozen_pod(60)


def test_pod_cut_off_from_redis_lets_its_clients_go():
    """Nothing passes between them, and nobody is told. Its streams end in time, its
    sessions move with their answers, and once it hears again it writes nothing."""
    with contextlib.ExitStack() as stack:
        system = stack.enter_context(Cluster(proxies=1, workers={"conformance": 1},
                                             proxy_env=OFTEN))
        wire = stack.enter_context(Wire(system.redis))
        second = system.proxies[0]
        first = stack.enter_context(Proxy(wire, "pod-cut", settings=OFTEN,
                                          directory=system.directory))
        sessions = [SseClient(first, f"/sse?client=cut-{n}") for n in range(20)]
        for session in sessions:
            session.initialize()
        with frozen(system.workers):
            asked = [session.ask("tools/call", echo(f"answer of {n}"), to=second)
                     for n, session in enumerate(sessions)]
            wire.cut()
            began = time.monotonic()
        # Some are back before their old pod has let them go.
        early = [reopen(second, session, session.path, RECONNECTED) for session in sessions[:10]]
        for n, session in enumerate(early):
            assert text_of(session.answer(asked[n], 20)) == f"answer of {n}"
        for session in sessions:
            session.wait_closed(CLOSED_WITHIN_S + 5)
        seconds = time.monotonic() - began
        print(f"all {len(sessions)} streams ended within {seconds:.1f} s")
        assert seconds <= CLOSED_WITHIN_S * PATIENCE
        late = [reopen(second, session, session.path, RECONNECTED) for session in sessions[10:]]
        for n, session in enumerate(late, 10):
            if str(asked[n]) not in sessions[n].answers:
                assert text_of(session.answer(asked[n], 40)) == f"answer of {n}"
        wire.mend()
        until(first.is_ready, 30, "it serves again")
        for session in early + late:
            to = (first, second)[session is early[0]]
            assert session.text("conformance_echo", {"text": "on"}, to=to) == "on"
            assert session.surprises == [] and session.state == "open"
            assert len(session.answers) <= 2
        assert request(first, "GET", "/healthz").status == 200
        for session in early + late:
            session.close()
