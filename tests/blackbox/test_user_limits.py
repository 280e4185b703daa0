"""What one user or one address may do at most, over two proxies of two loops each."""

import concurrent.futures
import contextlib
import json
import time
import types

import pytest

from harness import Chunks, Cluster, Proxy, RawHttp, Redis, SseClient, metrics, request, until

PROTOCOL = {"MCP-Protocol-Version": "2025-03-26"}


def limited(system, name):
    """How many requests all proxies have refused for that limit."""
    return sum(metrics(proxy).get(f'mcp_proxy_limited_total{{limit="{name}"}}', 0)
               for proxy in system.proxies)


def as_user(name):
    return {"User-Agent": name}


def ping(session, id, proxy, **headers):
    body = json.dumps({"jsonrpc": "2.0", "id": id, "method": "ping"})
    return request(proxy, "POST", session.endpoint, body,
                   {"Content-Type": "application/json", **session.headers, **headers})


def over_limit(session, proxy, id):
    """The answer to a ping, if it is a refusal."""
    answer = ping(session, id, proxy)
    return answer if answer.status == 429 else None


def refused(response, name):
    """A 429 that says which limit it is, and when to come back."""
    assert response.status == 429
    assert int(response.header("Retry-After")) >= 1
    assert name in response.text
    return True


# Rates --------------------------------------------------------------------

RATE, BURST = 20, 64


@pytest.fixture(scope="module")
def rated():
    with Cluster(workers={"conformance": 1},
                 proxy_env={"USER_RATE": RATE, "USER_BURST": BURST}) as cluster:
        yield cluster
        cluster.assert_no_restart()


def flood(session, proxy, count):
    """POSTs that many pings over one connection; the statuses."""
    return [session_status(session, proxy, n, connection)
            for connection in [RawHttp(proxy)] for n in range(count)]


def session_status(session, proxy, id, connection):
    body = json.dumps({"jsonrpc": "2.0", "id": f"{proxy.name}{id}", "method": "ping"}).encode()
    head = [f"POST {session.endpoint} HTTP/1.1", "Host: localhost",
            "Content-Type: application/json", f"Content-Length: {len(body)}"]
    head += [f"{key}: {value}" for key, value in session.headers.items()]
    connection.send("\r\n".join([*head, "", ""]).encode() + body)
    return connection.response().status


def test_ten_times_the_bucket_in_parallel_passes_once(rated):
    """Over four event loops at once: burst + rate * time, and what loops let pass on credit."""
    with SseClient(rated.proxies[0], headers=as_user("flood")) as session, \
            concurrent.futures.ThreadPoolExecutor(16) as pool:
        began = time.monotonic()
        floods = [pool.submit(flood, session, rated.proxies[n % 2], 10 * BURST // 16)
                  for n in range(16)]
        statuses = [status for one in floods for status in one.result()]
        seconds = time.monotonic() - began
        passed = statuses.count(202)
        loops, credit = 4, BURST // 16
        print(f"{passed} of {len(statuses)} passed in {seconds:.2f} s")
        assert set(statuses) == {202, 429}
        assert BURST <= passed <= BURST + RATE * (seconds + 1) + loops * credit
        assert limited(rated, "user_rate") >= statuses.count(429)


def test_another_user_is_not_held_up(rated):
    with SseClient(rated.proxies[0], headers=as_user("greedy")) as greedy, \
            SseClient(rated.proxies[0], headers=as_user("modest")) as modest:
        statuses = flood(greedy, rated.proxies[1], 4 * BURST)
        assert 429 in statuses
        assert modest.request("ping", to=rated.proxies[1])["result"] == {}
        assert modest.text("conformance_echo", {"text": "x"}, to=rated.proxies[1]) == "x"


def test_a_refusal_names_the_limit_and_ends(rated):
    """The JSON-RPC error carries the id; after Retry-After the user may go on."""
    with SseClient(rated.proxies[0], headers=as_user("patient")) as session:
        for proxy in rated.proxies:
            flood(session, proxy, 2 * BURST)
        answer = until(lambda: over_limit(session, rated.proxies[1], 17), 10, "a refusal")
        assert refused(answer, "user_rate")
        error = json.loads(answer.body)
        assert error["id"] == 17 and f"{RATE} messages a second" in error["error"]["message"]
        until(lambda: ping(session, 18, rated.proxies[1]).status == 202, 10, "let in again")


def test_a_user_at_the_limit_may_cancel_and_answer(rated):
    with SseClient(rated.proxies[0], headers=as_user("cancels")) as session:
        assert 429 in flood(session, rated.proxies[0], 3 * BURST)
        session.notify("notifications/cancelled", {"requestId": "x"}, to=rated.proxies[0])
        assert session.post({"jsonrpc": "2.0", "id": 1, "result": {}}).status == 202


def test_a_reconnecting_get_is_never_refused_for_rates(rated):
    with SseClient(rated.proxies[0], headers=as_user("returns")) as session:
        assert 429 in flood(session, rated.proxies[0], 3 * BURST)
        with SseClient(rated.proxies[1], headers={**as_user("returns"), **PROTOCOL}) as again:
            assert again.session_id


def test_refusals_are_logged_once_a_minute_and_user():
    with Redis() as redis, Proxy(redis, threads=1, settings={"USER_RATE": 1}) as proxy, \
            SseClient(proxy) as session:
        assert flood(session, proxy, 20).count(429) >= 10
        lines = [line for line in proxy.log_text().splitlines() if "limit reached" in line]
        assert len(lines) == 1 and "limit=user_rate" in lines[0]


def test_a_light_user_costs_no_command_per_call():
    """Far below its rate, a user's messages are reported many at a time."""
    with Cluster(proxies=1, threads=1, workers={}, proxy_env={
            "USER_RATE": 1000, "USER_BURST": 1600}) as system, \
            SseClient(system.proxies[0]) as session:
        flood(session, system.proxies[0], 500)
        assert system.redis.command_calls()["evalsha"] < 100


def test_buckets_hold_no_address_and_go_by_themselves(rated):
    keys = [key for key in rated.redis("KEYS", "mcp_limit:*")]
    assert all(len(key) == len("mcp_limit:{}") + 64 for key in keys)
    assert all(0 < rated.redis("PTTL", key) < 60_000 for key in keys)


# Addresses ----------------------------------------------------------------

def from_address(address):
    return {"X-Forwarded-For": address}


@pytest.fixture(scope="module")
def addressed():
    settings = {"IP_RATE": 5, "IP_BURST": 16, "TRUSTED_HOPS": 1}
    with Redis() as redis, Proxy(redis, "pod-a", 2, settings) as first, \
            Proxy(redis, "pod-b", 2, settings) as second:
        yield types.SimpleNamespace(redis=redis, proxies=[first, second])


def test_one_address_is_one_bucket_whoever_uses_it(addressed):
    """Fleet-wide, before it is known who it is; others are not held up."""
    statuses = []
    for n in range(120):
        body = json.dumps({"jsonrpc": "2.0", "id": n, "method": "ping"})
        answer = request(addressed.proxies[n % 2], "POST", "/messages/?session_id=" + "0" * 32,
                         body, {"Content-Type": "application/json",
                                **from_address("203.0.113.7"), **as_user(f"user-{n}")})
        statuses.append(answer.status)
        if answer.status == 429:
            assert refused(answer, "ip_rate")
    assert set(statuses) == {404, 429} and statuses.count(429) > 20
    answer = request(addressed.proxies[0], "GET", "/sse", None, from_address("203.0.113.7"))
    assert refused(answer, "ip_rate")
    with SseClient(addressed.proxies[0], headers=from_address("203.0.113.8")) as session:
        assert session.request("ping", to=addressed.proxies[1])["result"] == {}
    assert limited(addressed, "ip_rate") > 20
    assert "203.0.113" not in "".join(addressed.redis("KEYS", "*"))


def test_an_ipv6_network_is_one_address(addressed):
    statuses = [request(addressed.proxies[n % 2], "POST", "/messages/", "{}",
                        from_address(f"2001:db8:1:2::{n:x}")).status for n in range(1, 100)]
    assert 429 in statuses
    assert request(addressed.proxies[0], "POST", "/messages/", "{}",
                   from_address("2001:db8:1:3::1")).status != 429


def test_returning_streams_are_free_of_the_rate_of_addresses(addressed):
    """A reconnect storm from behind one NAT: not one 429."""
    here = from_address("203.0.113.9")
    with contextlib.ExitStack() as stack:
        for n in range(60):
            signs = [PROTOCOL, {"Mcp-Client-Id": f"c{n}"}, {"Mcp-Session-Id": f"{n:032x}"}][n % 3]
            session = stack.enter_context(
                SseClient(addressed.proxies[n % 2], headers={**here, **signs}))
            assert session.session_id


# Streams and sessions -----------------------------------------------------

STREAMS = 4


@pytest.fixture(scope="module")
def counted():
    with Cluster(proxies=3, workers={"conformance": 1},
                 proxy_env={"USER_MAX_STREAMS": STREAMS}) as cluster:
        yield cluster


def open_streams(stack, proxies, count, headers, path="/sse"):
    return [stack.enter_context(SseClient(proxies[n % len(proxies)], path, headers=headers))
            for n in range(count)]


def may_open(proxy, headers, path="/sse"):
    """Whether a new stream is let in; it is closed again."""
    try:
        with SseClient(proxy, path, headers=headers):
            return True
    except ConnectionError:
        return False


def test_streams_of_a_user_are_counted_over_all_proxies(counted):
    user = as_user("streams")
    with contextlib.ExitStack() as stack:
        streams = open_streams(stack, counted.proxies, STREAMS, user)
        for proxy in counted.proxies:
            assert refused(request(proxy, "GET", "/sse", None, user), "user_streams")
        with SseClient(counted.proxies[0], headers=as_user("somebody else")) as other:
            assert other.request("ping")["result"] == {}
        streams[0].close()
        until(lambda: may_open(counted.proxies[1], user), 10, "room for another stream")
        for session in streams[1:]:
            assert session.request("ping", to=counted.proxies[2])["result"] == {}
    until(lambda: not counted.redis("KEYS", "mcp_user_streams:*"), 10, "counts gone")


def test_streams_opened_at_once_pass_no_limit(counted):
    user = as_user("at once")
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(RawHttp(counted.proxies[n % 3])) for n in range(30)]
        for sock in sockets:
            sock.send(b"GET /sse HTTP/1.1\r\nHost: x\r\nUser-Agent: at once\r\n\r\n")
        heads = []
        for sock in sockets:
            data = b""
            while b"\r\n\r\n" not in data:
                data += sock.receive()
            heads.append(data.split(b" ")[1])
        assert set(heads) == {b"200", b"429"} and 0 < heads.count(b"200") <= STREAMS
        assert not may_open(counted.proxies[0], user) or heads.count(b"200") < STREAMS


def test_a_client_that_reconnects_is_not_refused_and_not_unlimited(counted):
    """Up to twice the limit; beyond, a stream that ends and says when to return."""
    user = as_user("reconnects")
    with contextlib.ExitStack() as stack:
        open_streams(stack, counted.proxies, STREAMS, user)
        assert refused(request(counted.proxies[0], "GET", "/sse", None, user), "user_streams")
        open_streams(stack, counted.proxies, STREAMS, {**user, **PROTOCOL})
        with RawHttp(counted.proxies[0]) as connection:
            connection.send("GET /sse HTTP/1.1\r\nHost: x\r\nUser-Agent: reconnects\r\n"
                            "MCP-Protocol-Version: 2025-03-26\r\n\r\n")
            answer, chunks = connection.head(), Chunks()
            assert answer.status == 200 and answer.header("Content-Type") == "text/event-stream"
            name, delay = chunks.feed(connection.rest(10)).split()
            assert name == b"retry:" and 10_000 <= int(delay) <= 20_000 and chunks.ended


def test_a_client_key_counts_as_reconnecting_only_if_it_leads_somewhere(counted):
    user = as_user("keyed")
    with contextlib.ExitStack() as stack:
        streams = open_streams(stack, counted.proxies, STREAMS - 1, user)
        keyed = stack.enter_context(
            SseClient(counted.proxies[0], "/sse?client=mine", headers=user))
        assert refused(request(counted.proxies[1], "GET", "/sse?client=another", None, user),
                       "user_streams")
        again = stack.enter_context(
            SseClient(counted.proxies[1], "/sse?client=mine", headers=user))
        assert again.session_id == keyed.session_id
        assert streams[0].request("ping")["result"] == {}


def test_streams_of_a_killed_pod_stop_counting(counted):
    """Clients that reconnect are let in at once, new ones when it is known to be dead."""
    user, victim = as_user("orphan"), counted.proxies[2]
    with contextlib.ExitStack() as stack:
        open_streams(stack, [victim], STREAMS, user)
        victim.kill()
        open_streams(stack, counted.proxies[:2], STREAMS, {**user, **PROTOCOL})
        assert refused(request(counted.proxies[0], "GET", "/sse", None, user), "user_streams")
    until(lambda: may_open(counted.proxies[0], user), 30, "the dead pod's streams forgotten")
    victim.start()


def test_a_reconnect_storm_meets_no_limit():
    """All streams of a user at the limit cut at once, with rates that allow almost nothing."""
    count = 300
    with Redis() as redis, contextlib.ExitStack() as stack:
        settings = {"USER_MAX_STREAMS": count, "USER_MAX_SESSIONS": count, "USER_RATE": 1,
                    "USER_BURST": 1, "IP_RATE": 1, "IP_BURST": 2 * count}
        victim, left = (stack.enter_context(Proxy(redis, name, 2, settings))
                        for name in ("pod-a", "pod-b"))
        open_streams(stack, [victim], count, as_user("storm"))
        victim.kill()
        began = time.monotonic()
        back = open_streams(stack, [left], count, {**as_user("storm"), **PROTOCOL})
        print(f"{count} streams were back in {time.monotonic() - began:.1f} s")
        assert all(session.session_id for session in back)
        assert metrics(left)["mcp_proxy_streams_deferred_total"] == 0


def test_counts_come_back_after_a_flush(counted):
    user = as_user("flushed")
    with contextlib.ExitStack() as stack:
        open_streams(stack, counted.proxies[:2], STREAMS, user)
        until(lambda: counted.redis("ZCARD", "mcp_pods") >= 6, 10, "heartbeats")
        counted.redis.flush()
        until(lambda: not may_open(counted.proxies[0], user), 20, "streams counted again")


def test_sessions_that_wait_for_their_client_count():
    user = as_user("waits")
    with Cluster(workers={"conformance": 1}, proxy_env={
            "USER_MAX_SESSIONS": 3, "SESSION_REUSE_WINDOW": 6}) as system:
        for n in range(3):
            with SseClient(system.proxies[n % 2], headers=user) as session:
                session.initialize()
        until(lambda: request(system.proxies[1], "GET", "/sse", None, user).status == 429, 10,
              "three sessions that wait")
        assert refused(request(system.proxies[0], "GET", "/sse", None, user), "user_sessions")
        with SseClient(system.proxies[0], f"/sse?session_id={session.session_id}",
                       headers=user) as again:
            assert again.session_id == session.session_id
        with SseClient(system.proxies[0], headers={**user, **PROTOCOL}) as returning:
            assert returning.session_id
        until(lambda: may_open(system.proxies[0], user), 30, "the waiting ones gone")


# Calls --------------------------------------------------------------------

def test_calls_in_flight_of_a_user():
    """Queued or running, by whatever proxy and loop they came; others are not held up."""
    with Cluster(workers={"conformance": 1, "calculator": 1},
                 proxy_env={"USER_MAX_CALLS": 3}) as system, contextlib.ExitStack() as stack:
        sessions = [stack.enter_context(SseClient(proxy)) for proxy in system.proxies]
        asked, answers = [], []
        for n in range(12):
            session, to = sessions[n % 2], system.proxies[n // 2 % 2]
            answer = session.post({"jsonrpc": "2.0", "id": f"s{n}", "method": "tools/call",
                                   "params": {"name": "conformance_sleep",
                                              "arguments": {"delay_ms": 3000}}}, to)
            answers.append(answer)
            if answer.status == 202:
                session.asked.add(json.dumps(f"s{n}"))
                asked.append((session, f"s{n}"))
            session.drop_posts()
        assert [answer.status for answer in answers].count(202) == 3
        assert refused(answers[-1], "user_calls")
        assert json.loads(answers[-1].body)["id"] == "s11"
        assert sessions[0].text("calculator_add", {"a": 1, "b": 1}) == "2"
        with SseClient(system.proxies[0], headers=as_user("other")) as other:
            assert other.text("conformance_echo", {"text": "x"}) == "x"
        for session, id in asked:
            assert "result" in session.answer(id)
        for _ in range(8):
            assert sessions[1].text("conformance_echo", {"text": "y"},
                                    to=system.proxies[0]) == "y"
        assert limited(system, "user_calls") == 9


def test_a_cancelled_call_does_not_count():
    with Cluster(workers={"conformance": 1}, proxy_env={"USER_MAX_CALLS": 2}) as system, \
            system.client() as session:
        asked = [session.ask("tools/call", {"name": "conformance_sleep",
                                            "arguments": {"delay_ms": 5000}}) for _ in range(2)]
        session.notify("notifications/cancelled", {"requestId": asked[0]})
        until(lambda: system.redis("XLEN", "mcp_requests:{conformance}") < 2, 10, "cancelled")
        assert session.text("conformance_echo", {"text": "x"}) == "x"
