"""Clients that name neither their session nor themselves get it back, if it must
be theirs: by user, path, address, User-Agent, revision and request ids."""

import contextlib
import subprocess

import pytest

from harness import (BIN, Cluster, SseClient, SteadyClient, SteadyLoad, clean_environment, ledger,
                     metrics, request, tokens, until)
from recovering import (OFTEN, RECONNECTED, alive, detached, echo, frozen, reopen,
                        text_of)

SECRET = "a secret for tests of reattaching"


@pytest.fixture(scope="module")
def secured():
    with Cluster(workers={"conformance": 1},
                 proxy_env=OFTEN | {"JWT_SECRET_KEY": SECRET, "TRUSTED_HOPS": 1}) as cluster:
        yield cluster


@pytest.fixture
def who(request):
    """A user of this test's own."""
    return tokens.bearer(tokens.hs256(SECRET, request.node.name))


def count_up(session, to, number):
    """Its ids shall be that far."""
    while session.next_id < number:
        assert session.request("ping", to=to)["result"] == {}


def new_key(redis):
    return subprocess.run([BIN / "mcpctl", "key", "create", "*"], capture_output=True, text=True,
                          check=True, env=clean_environment(REDIS_URL=redis.url)).stdout.strip()


def found(system):
    return sum(int(metrics(proxy)["mcp_proxy_sessions_found_total"])
               for proxy in system.proxies if proxy.alive())


def cut_with_a_call_in_flight(system, session, text):
    """Needs frozen workers; returns the call's id."""
    id = session.ask("tools/call", echo(text), to=system.proxies[1])
    session.close()
    return id


def test_the_only_session_is_found_at_once(secured, who):
    with SseClient(secured.proxies[0], headers=who) as before:
        before.initialize()
        with frozen(secured.workers):
            id = cut_with_a_call_in_flight(secured, before, "kept")
            detached(secured, before)
            again = reopen(secured.proxies[1], before, headers=who | RECONNECTED)
        with again:
            assert again.session_id == before.session_id
            assert text_of(again.answer(id)) == "kept"
            assert again.text("conformance_echo", {"text": "on"}, to=secured.proxies[0]) == "on"
            assert again.surprises == []


@pytest.mark.parametrize("path, headers", [
    ("/sse", {"User-Agent": "another/1"}),
    ("/sse", {"X-Forwarded-For": "192.0.2.7"}),
    ("/sse", {"mcp-protocol-version": "2025-06-18"}),
    ("/sse", {"mcp-protocol-version": ""}),
    ("/conformance/sse", {}),
    ("/sse?client=somebody", {}),
])
def test_whoever_looks_different_gets_a_new_session(secured, who, path, headers):
    with SseClient(secured.proxies[0], headers=who) as before:
        before.initialize()
        with frozen(secured.workers):
            cut_with_a_call_in_flight(secured, before, "not yours")
            detached(secured, before)
            stranger = SseClient(secured.proxies[1], path, headers=who | RECONNECTED | headers)
        with stranger:
            assert stranger.session_id != before.session_id
            assert stranger.request("ping")["result"] == {}
            stranger.pump(2)
            assert stranger.surprises == []
    # Its own client finds it still.
    with reopen(secured.proxies[1], before, headers=who | RECONNECTED) as again:
        assert again.session_id == before.session_id


def test_anonymous_clients_are_never_found(secured):
    with SseClient(secured.proxies[0]) as before:
        before.initialize()
        with frozen(secured.workers):
            cut_with_a_call_in_flight(secured, before, "not yours")
            detached(secured, before)
            stranger = SseClient(secured.proxies[1], headers=RECONNECTED)
        with stranger:
            stranger.next_id = before.next_id
            assert stranger.request("ping")["result"] == {}
            stranger.pump(2)
            assert stranger.session_id != before.session_id and stranger.surprises == []


def test_another_user_is_never_found(secured, who):
    with SseClient(secured.proxies[0], headers=who) as before:
        before.initialize()
        before.close()
        detached(secured, before)
        other = tokens.bearer(tokens.hs256(SECRET, "mallory"))
        with SseClient(secured.proxies[0], headers=other | RECONNECTED) as stranger:
            assert stranger.session_id != before.session_id


def test_several_are_told_apart_by_their_first_request(secured, who):
    """Each hears its own answer, whoever speaks first; old and new endpoints lead
    there from every pod."""
    first, second = secured.proxies
    with contextlib.ExitStack() as stack:
        before = [stack.enter_context(SseClient(first, headers=who)) for _ in range(3)]
        for session, number in zip(before, (5, 60, 30)):
            session.initialize()
            count_up(session, second, number)
        with frozen(secured.workers):
            asked = [cut_with_a_call_in_flight(secured, session, f"answer of {n}")
                     for n, session in enumerate(before)]
            detached(secured, *before)
            again = [stack.enter_context(reopen(second, session, headers=who | RECONNECTED))
                     for session in before]
            assert not {session.session_id for session in again} & \
                {session.session_id for session in before}
            count = found(secured)
            for session in again[::-1]:
                assert session.request("ping", to=first)["result"] == {}
        for n, (session, id) in enumerate(zip(again, asked)):
            assert text_of(session.answer(id, 20)) == f"answer of {n}"
        assert found(secured) == count + 3
        for n, session in enumerate(again):
            for to in (first, second):
                assert session.text("conformance_echo", {"text": f"{n}"}, to=to) == f"{n}"
            late = session.next_id
            session.next_id += 1
            session.asked.add(str(late))
            assert request(first, "POST", before[n].endpoint,
                           f'{{"jsonrpc":"2.0","id":{late},"method":"ping"}}',
                           who | {"Content-Type": "application/json"}).status == 202
            assert session.answer(late)["result"] == {}
            assert session.surprises == []


def test_sessions_that_cannot_be_told_apart_stay_where_they_are(secured, who):
    """Same ids: neither client may hear what the other awaits."""
    first, second = secured.proxies
    with contextlib.ExitStack() as stack:
        before = [stack.enter_context(SseClient(first, headers=who)) for _ in range(2)]
        for session in before:
            session.initialize()
        with frozen(secured.workers):
            for n, session in enumerate(before):
                cut_with_a_call_in_flight(secured, session, f"answer of {n}")
            detached(secured, *before)
            again = [stack.enter_context(reopen(second, session, headers=who | RECONNECTED))
                     for session in before]
            for session in again:
                assert session.request("ping", to=first)["result"] == {}
        count = found(secured)
        for n, session in enumerate(again):
            session.pump(3)
            assert len(session.answers) == 1 and session.surprises == []
            assert session.text("conformance_echo", {"text": f"{n}"}, to=first) == f"{n}"
        assert found(secured) == count


def test_a_client_whose_requests_got_lost_is_not_taken_for_another(secured, who):
    """Its next id follows on somebody else's last one."""
    first, second = secured.proxies
    with contextlib.ExitStack() as stack:
        before = [stack.enter_context(SseClient(first, headers=who)) for _ in range(2)]
        for session, number in zip(before, (5, 7)):
            session.initialize()
            count_up(session, second, number)
        with frozen(secured.workers):
            for n, session in enumerate(before):
                cut_with_a_call_in_flight(secured, session, f"answer of {n}")
            detached(secured, *before)
            again = stack.enter_context(reopen(second, before[0], headers=who | RECONNECTED))
            again.next_id = before[1].next_id
            again.asked |= before[1].asked
            assert again.request("ping", to=first)["result"] == {}
        again.pump(4)
        assert len(again.answers) == 1 and again.surprises == []


def test_a_neighbour_that_looks_the_same_is_left_alone(secured, who):
    """Its stream lives: what is cut is found once that is sure, unasked."""
    first, second = secured.proxies
    with SseClient(first, headers=who) as neighbour, SseClient(first, headers=who) as before:
        for session in (neighbour, before):
            session.initialize()
        with frozen(secured.workers):
            id = cut_with_a_call_in_flight(secured, before, "mine")
            detached(secured, before)
            again = reopen(second, before, headers=who | RECONNECTED)
        with again:
            assert text_of(again.answer(id, 20)) == "mine"
            assert again.surprises == []
            assert neighbour.request("ping", to=second)["result"] == {}
            assert neighbour.state == "open" and neighbour.surprises == []


def test_an_adopted_session_outlives_a_flush_and_the_next_cut(secured, who):
    first, second = secured.proxies
    with SseClient(first, headers=who) as neighbour, SseClient(first, headers=who) as before:
        for session in (neighbour, before):
            session.initialize()
        before.close()
        detached(secured, before)
        count = found(secured)
        with reopen(second, before, headers=who | RECONNECTED) as again:
            until(lambda: found(secured) > count, 20, "it is found")
            secured.redis.flush()
            until(lambda: request(first, "POST", again.endpoint,
                                  '{"jsonrpc":"2.0","method":"notifications/x"}',
                                  who | {"Content-Type": "application/json"}).status == 202,
                  20, "its endpoint leads there again")
            assert again.request("ping", to=first)["result"] == {}
            assert again.surprises == [] and again.state == "open"
        detached(secured, before)
        with SseClient(first, f"/sse?session_id={again.session_id}",
                       headers=who | RECONNECTED) as named:
            assert named.session_id == before.session_id


def test_a_killed_pods_session_is_found_without_a_word():
    """Nobody marks it, and its client only waits."""
    with Cluster(proxies=2, workers={"conformance": 1},
                 proxy_env=OFTEN | {"JWT_SECRET_KEY": SECRET}) as system:
        first, second = system.proxies
        who = tokens.bearer(tokens.hs256(SECRET, "waiter"))
        with SseClient(first, headers=who) as before:
            before.initialize()
            with frozen(system.workers):
                id = before.ask("tools/call", echo("late"), to=second)
                first.checked_kill()
                again = reopen(second, before, headers=who | RECONNECTED)
            with again:
                assert text_of(again.answer(id, 40)) == "late"
                assert again.text("conformance_echo", {"text": "on"}) == "on"
                assert again.surprises == []


@pytest.mark.parametrize("keyed", [True, False], ids=["keys", "no keys"])
def test_fifty_clients_of_one_api_key(keyed):
    """One address, calls in flight, their pod killed. With client keys each gets
    its own session and answers; without, never anything that is another's."""
    with Cluster(proxies=2, workers={"conformance": 2}, proxy_env=OFTEN) as system:
        first, second = system.proxies
        who = {"X-API-Key": new_key(system.redis)}
        before = [SseClient(first, f"/sse?client=tenant-{n}" if keyed else "/sse", headers=who)
                  for n in range(50)]
        for n, session in enumerate(before):
            session.initialize()
            session.next_id = 3 + n * n  # some of them close together
        with frozen(system.workers):
            asked = [session.ask("tools/call", echo(f"answer of {n}"), to=second)
                     for n, session in enumerate(before)]
            first.checked_kill()
            after = [reopen(second, session, session.path, who | RECONNECTED)
                     for session in before]
            for session in after:
                assert session.request("ping", to=second)["result"] == {}
        if keyed:
            for n, (old, new, id) in enumerate(zip(before, after, asked)):
                assert new.session_id == old.session_id
                assert text_of(new.answer(id)) == f"answer of {n}"
        else:
            judged(system, after)
        right = sum(text_of(new.answers[str(id)]) == f"answer of {n}"
                    for n, (new, id) in enumerate(zip(after, asked)) if str(id) in new.answers)
        heard = sum(str(id) in new.answers for new, id in zip(after, asked))
        print(f"{right} of 50 clients {'with' if keyed else 'without'} keys got their answer")
        assert right == heard
        for session in after:
            assert session.surprises == []
            assert session.text("conformance_echo", {"text": "on"}, to=second) == "on"
            session.close()


def seeking(system):
    return int(metrics(system.proxies[1])["mcp_proxy_sessions_seeking"])


def judged(system, sessions):
    """All of them are found or have given up, some seconds after the pod's death."""
    def settled():
        for session in sessions:
            session.pump(0)
        return seeking(system) == 0
    until(settled, 60, "nobody looks for a session any more")
    for session in sessions:
        session.pump(0.05)


def test_a_kill_under_load_of_clients_that_name_nothing(tmp_path):
    """Calls may be lost to those that are not found, but nobody hears what is
    another's, and nothing runs twice."""
    book = tmp_path / "ledger"
    book.touch()
    with Cluster(proxies=2, workers={"conformance": 2}, worker_env={"LEDGER_FILE": book},
                 proxy_env=OFTEN | {"JWT_SECRET_KEY": SECRET}) as system:
        who = tokens.bearer(tokens.hs256(SECRET, "many"))
        clients = [SteadyClient(f"client-{n}", alive(system), headers=dict(who),
                                tools=(ledger.ECHO, ledger.APPEND), answer_s=3)
                   for n in range(8)]
        for n, client in enumerate(clients):
            client.next_id = 1000 * n
        with SteadyLoad(clients) as load:
            until(lambda: load.answered() > 200 or load.failed, 30, "calls go on")
            system.proxies[0].checked_kill()
            until(lambda: seeking(system) > 0, 20, "they look for their sessions")
            judged(system, [])
            goal = load.answered() + 50
            until(lambda: load.answered() > goal or load.failed, 60, "calls go on without it")
        for client in clients:
            client.pump(1)
        records = [client.records() for client in clients]
        bad = ledger.violations([call for calls, _ in records for call in calls],
                                [answer for _, heard in records for answer in heard],
                                book.read_text().splitlines())
        assert load.failed == [] and [line for line in bad if not line.startswith("no answer")] == []
        print(f"{len(bad)} of {sum(len(calls) for calls, _ in records)} calls were lost to their "
              f"clients; {found(system)} sessions were found")
        for client in clients:
            assert client.wrong == [] and set(client.statuses) == {200}
            client.close()
