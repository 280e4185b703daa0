"""The API "session", which proxies serve themselves."""

import json
import time

import pytest

from harness import ALL_TOOLS, PATIENCE, TOOLS, Cluster, Proxy, SseClient, until
from harness.tokens import bearer, hs256
from opener import Opener

SECRET = "a secret that is long enough for HS256"


def token(sub, scope=None):
    return bearer(hs256(SECRET, sub, **({"scope": scope} if scope is not None else {})))


@pytest.fixture(scope="module")
def house():
    settings = {"JWT_SECRET_KEY": SECRET, "SESSION_REUSE_WINDOW": "900"}
    with Cluster(workers={"calculator": 2, "conformance": 1}, proxy_env=settings) as cluster:
        yield cluster
        cluster.assert_no_restart()


def result(client, tool, arguments=None, to=None):
    answer = client.request("tools/call", {"name": tool, "arguments": arguments or {}}, to)
    return answer["result"]


def told(client, tool, arguments=None, to=None):
    """The structured content, which the text must repeat."""
    said = result(client, tool, arguments, to)
    assert "isError" not in said, said
    assert json.loads(said["content"][0]["text"]) == said["structuredContent"]
    return said["structuredContent"]


def refused(client, tool, arguments):
    said = result(client, tool, arguments)
    assert said["isError"] is True and "structuredContent" not in said
    return said["content"][0]["text"]


# Where the tools are ----------------------------------------------------------


def test_the_tools_have_bare_names_on_both_paths(house):
    with house.client(0) as everything, house.client(1, path="/session/sse") as alone, \
            house.client(0, path="/calculator/sse") as other:
        assert TOOLS["session"] <= set(everything.tools())
        tools = alone.tools(to=house.proxies[0])
        assert set(tools) == TOOLS["session"]
        assert set(other.tools()) == {"add", "subtract", "multiply", "divide"}
        for tool in tools.values():
            assert tool["annotations"]["readOnlyHint"] is True
            assert tool["inputSchema"]["type"] == tool["outputSchema"]["type"] == "object"
            assert tool["title"] and tool["description"]
        answer = other.request("tools/call", {"name": "health_check"})
        assert "Unknown tool" in answer["error"]["message"]
        answer = alone.request("tools/call", {"name": "calculator_add"})
        assert "Unknown tool" in answer["error"]["message"]


@pytest.mark.parametrize("tool", sorted(TOOLS["session"]))
def test_what_comes_has_the_shape_that_was_announced(house, tool):
    with house.client(0) as client:
        schema = client.tools()[tool]["outputSchema"]
        said = told(client, tool, to=house.proxies[1])
        assert set(schema["required"]) <= set(said)
        kinds = {"object": dict, "array": list, "string": str, "integer": int}
        for name, member in schema["properties"].items():
            assert isinstance(said[name], kinds[member["type"]]), name


@pytest.mark.parametrize("tool", sorted(TOOLS["session"]))
def test_arguments_that_are_none_are_named(house, tool):
    with house.client(0) as client:
        assert "unknown argument: nothing" in refused(client, tool, {"nothing": 1})
        answer = client.request("tools/call", {"name": tool, "arguments": [1]})
        assert answer["result"]["isError"] is True


def test_scopes_filter_these_tools_too(house):
    headers = token("filtered", "session:list_all_tools calculator:add")
    with SseClient(house.proxies[0], headers=headers) as client:
        assert set(client.tools()) == {"list_all_tools", "calculator_add"}
        response = client.post({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                                "params": {"name": "health_check"}})
        assert response.status == 403
        assert 'scope="session:health_check"' in response.header("WWW-Authenticate")
        said = told(client, "list_all_tools", to=house.proxies[1])
        assert {api["api"]: [tool["name"] for tool in api["tools"]] for api in said["apis"]} == {
            "calculator": ["add"], "session": ["list_all_tools"]}


def test_list_all_tools_lists_every_api(house):
    with house.client(0, path="/session/sse") as client:
        said = until(lambda: (found := told(client, "list_all_tools"))["total"] ==
                     len(ALL_TOOLS) and found, 10, "all tools")
        assert {tool["name_on_sse"] for api in said["apis"] for tool in api["tools"]} == ALL_TOOLS
        calculator = next(api for api in said["apis"] if api["api"] == "calculator")
        assert calculator["path"] == "/calculator/sse"
        assert {tool["name"] for tool in calculator["tools"]} == {
            "add", "subtract", "multiply", "divide"}
        assert all(tool["description"] for tool in calculator["tools"])


def test_a_worker_cannot_take_the_apis_name(house):
    """What Redis says of an API of that name counts for nothing."""
    house.redis("HSET", "mcp_api:{session}", "digest", "x", "catalogue",
                json.dumps({"tools": [{"name": "evil"}]}))
    house.redis("SADD", "mcp_apis", "session")
    with house.client(0) as client:
        client.text("calculator_add", {"a": 1, "b": 1})
        until(lambda: told(client, "health_check")["pods"], 10, "the pods are known")
        assert "session_evil" not in client.tools()
        assert set(told(client, "list_all_tools")["apis"][-1]) == {"api", "path", "tools"}
    house.redis("SREM", "mcp_apis", "session")
    house.redis("DEL", "mcp_api:{session}")


# health_check ------------------------------------------------------------------


def test_health_check_tells_of_all_parts(house):
    def whole():
        said = told(client, "health_check")
        workers = {api["api"]: len(api["workers"]) for api in said["apis"]}
        return said if len(said["pods"]) == 4 and workers == {
            "calculator": 2, "conformance": 1} else None

    with house.client(0) as client:
        said = until(whole, 10, "all pods and workers")
        assert said["status"] == "ok" and said["problems"] == []
        assert said["redis"]["version"].startswith(("7.", "8."))
        assert said["redis"]["latency_ms"] >= 0 and said["redis"]["used_memory_bytes"] > 0
        assert {pod["pod"].split(".")[0] for pod in said["pods"]} == {"pod-a", "pod-b"}
        assert not any(pod["draining"] for pod in said["pods"])
        calculator = next(api for api in said["apis"] if api["api"] == "calculator")
        assert calculator["queued_or_running"] == calculator["dead_letters"] == 0
        assert all(worker["state"] == "up" for worker in calculator["workers"]), calculator
        until(lambda: told(client, "health_check")["sessions"]["open"] >= 1, 10)


def test_health_check_names_what_is_wrong():
    with Cluster(proxies=1, threads=1, workers={"conformance": 1}) as system, \
            system.client(0) as client:
        system.workers[0].checked_kill()
        client.ask("tools/call", {"name": "conformance_echo", "arguments": {"text": "x"}})
        said = until(lambda: (found := told(client, "health_check"))["status"] == "degraded" and
                     found, 30, "it is noticed")
        assert said["problems"] == ["conformance: no worker"]
        assert said["apis"][0]["queued_or_running"] == 1 and said["apis"][0]["oldest_ms"] > 0


def test_health_check_while_redis_is_frozen():
    """It answers by its deadline with what it knows, and says that this is not all."""
    with Cluster(proxies=1, threads=1, workers={"conformance": 1},
                 proxy_env={"REDIS_WAIT_TIMEOUT": "2"}) as system, system.client(0) as client:
        client.tools()
        client.asked.add("99")
        system.redis.freeze()
        try:
            response = client.post({"jsonrpc": "2.0", "id": 99, "method": "tools/call",
                                    "params": {"name": "health_check"}})
        finally:
            system.redis.thaw()
        # By then the stream may have to wait for Redis as well.
        assert response.status in (202, 503)
        said = client.answer(99)["result"]["structuredContent"]
        assert said["status"] == "degraded"
        assert any(problem.startswith("Redis: ") for problem in said["problems"])
        until(lambda: told(client, "health_check")["status"] == "ok", 20, "all is well again")


# get_user_sessions --------------------------------------------------------------


def own(client):
    return told(client, "get_user_sessions", {"limit": 200})


def test_users_see_their_own_sessions(house):
    with SseClient(house.proxies[0], headers=token("ann")) as one, \
            SseClient(house.proxies[1], "/calculator/sse", headers=token("ann")) as two, \
            SseClient(house.proxies[0], headers=token("bob")) as other:
        one.initialize()
        said = until(lambda: (found := own(one))["total"] == 2 and
                     any(s["client"] == "harness" for s in found["sessions"]) and found, 10)
        shown = {session["session"]: session for session in said["sessions"]}
        assert set(shown) == {one.session_id[:8], two.session_id[:8]}
        mine = shown[one.session_id[:8]]
        assert mine["current"] is True and shown[two.session_id[:8]]["current"] is False
        assert mine["state"] == "open" and mine["user_type"] == "jwt"
        assert mine["client"] == "harness" and mine["api"] == "(all)"
        assert shown[two.session_id[:8]]["api"] == "calculator"
        assert one.session_id not in json.dumps(said) and two.session_id not in json.dumps(said)
        assert until(lambda: own(other)["total"] == 1, 10)
        assert own(other)["user"] != said["user"]


def test_other_users_sessions_need_the_admin_scope(house):
    with SseClient(house.proxies[0], headers=token("carl")) as carl:
        user = until(lambda: (found := own(carl))["total"] == 1 and found["user"], 10)
        for scope in ["session", "*", None, "session:get_user_sessions admin"]:
            with SseClient(house.proxies[0], headers=token("dora", scope)) as dora:
                text = refused(dora, "get_user_sessions", {"user": user})
                assert text == "other users' sessions need the scope session:admin"
        with house.client(0) as nobody:
            assert "session:admin" in refused(nobody, "get_user_sessions", {"user": user})
        with SseClient(house.proxies[1], headers=token("root", "session session:admin")) as root:
            said = told(root, "get_user_sessions", {"user": user})
            assert said["user"] == user
            assert [s["session"] for s in said["sessions"]] == [carl.session_id[:8]]
            assert told(root, "get_user_sessions", {"user": "0" * 64})["sessions"] == []


def test_anonymous_users_are_never_administrators(house):
    """Whatever ANONYMOUS_SCOPES says: that right would be everybody's."""
    with Proxy(house.redis, "pod-c", 1, {"ANONYMOUS_SCOPES": "* session:admin"}) as proxy, \
            SseClient(proxy) as client:
        until(lambda: "get_user_sessions" in client.tools(), 10)
        assert "session:admin" in refused(client, "get_user_sessions", {"user": "0" * 64})


@pytest.mark.parametrize("arguments, name", [
    ({"user": "me"}, "user"), ({"user": 7}, "user"), ({"user": "A" * 64}, "user"),
    ({"limit": 0}, "limit"), ({"limit": 201}, "limit"), ({"limit": 1.5}, "limit"),
    ({"limit": "5"}, "limit")])
def test_wrong_arguments_are_named(house, arguments, name):
    with house.client(0) as client:
        assert refused(client, "get_user_sessions", arguments).startswith(f"{name} must be ")


def test_the_limit_counts(house):
    headers = token("eve")
    sessions = [SseClient(house.proxies[n % 2], headers=headers) for n in range(5)]
    until(lambda: own(sessions[0])["total"] == 5, 10)
    said = told(sessions[0], "get_user_sessions", {"limit": 2})
    assert said["total"] == 5 and len(said["sessions"]) == 2
    for session in sessions:
        session.close()


# get_session_analytics ------------------------------------------------------------


def test_analytics_follow_what_happens():
    settings = {"JWT_SECRET_KEY": SECRET, "SESSION_REUSE_WINDOW": "900"}
    with Cluster(workers={"calculator": 1}, proxy_env=settings) as system:
        watcher = SseClient(system.proxies[0], headers=token("watcher"))

        def when(condition):
            return until(lambda: (said := told(watcher, "get_session_analytics",
                                               to=system.proxies[1])) and
                         condition(said) and said, 20, "the counters follow")

        # Those that the harness opened have ended, and wait for nobody.
        before = when(lambda said: said["sessions"]["open"] == 1)["sessions"]
        keyed = [SseClient(system.proxies[n % 2], f"/calculator/sse?client=c{n}",
                           headers=token(f"user-{n}")) for n in range(6)]
        for client in keyed[:3]:
            client.initialize(to=system.proxies[0])
        said = when(lambda said: said["sessions"]["open"] == 7 and
                    said["by_client"].get("harness") == 3)
        assert said["by_api"]["calculator"] == 6 and said["by_user_type"]["jwt"] == 7
        assert said["sessions"]["waiting_for_their_client"] == before["waiting_for_their_client"]
        assert sum(said["open_by_pod"].values()) == 7
        assert sum(said["by_age"].values()) == said["sessions"]["total"]
        assert said["by_transport"] == {"sse": said["sessions"]["total"]}
        for client in keyed:
            client.close()
        when(lambda said: said["sessions"]["open"] == 1 and
             said["sessions"]["waiting_for_their_client"] ==
             before["waiting_for_their_client"] + 6 and
             said["by_api"]["calculator"] == 6 and said["by_client"].get("harness") == 3)
        back = [SseClient(system.proxies[(n + 1) % 2], f"/calculator/sse?client=c{n}",
                          headers=token(f"user-{n}")) for n in range(4)]
        said = when(lambda said: said["sessions"]["open"] == 5 and
                    said["sessions"]["waiting_for_their_client"] ==
                    before["waiting_for_their_client"] + 2)
        assert said["by_api"]["calculator"] == 6 and said["by_client"]["harness"] == 3
        assert said["last_24_hours"]["reattached"] == 4
        assert said["last_24_hours"]["opened"] >= 7
        assert said["last_24_hours"]["streams_ended"]["client_closed"] >= 6
        for client in [*back, watcher]:
            client.close()


def test_analytics_after_a_pod_was_stopped_and_one_killed():
    settings = {"SESSION_REUSE_WINDOW": "900"}
    with Cluster(proxies=3, threads=1, workers={"calculator": 1}, proxy_env=settings) as system:
        clients = [SseClient(system.proxies[n % 3], f"/calculator/sse?client=k{n}")
                   for n in range(9)]
        for client in clients:
            client.initialize()

        def said():
            return told(watcher, "get_session_analytics")

        with SseClient(system.proxies[0], "/session/sse") as watcher:
            until(lambda: said()["by_api"].get("calculator") == 9, 20)
            system.proxies[1].stop()
            until(lambda: said()["sessions"]["waiting_for_their_client"] >= 3 and
                  said()["by_api"].get("calculator") == 9, 20, "three wait")
            system.proxies[2].checked_kill()
            until(lambda: said()["by_api"].get("calculator") == 6, 60,
                  "a dead pod's counters go with it")
            again = [SseClient(system.proxies[0], f"/calculator/sse?client=k{n}")
                     for n in range(9) if n % 3]
            until(lambda: said()["by_api"].get("calculator") == 9 and
                  sum(said()["open_by_pod"].values()) == 10, 20, "they are back")
            assert said()["last_24_hours"]["recovered"] == 3
            assert said()["last_24_hours"]["reattached"] == 3
            for client in again:
                client.close()


def test_none_of_it_is_a_scan(house):
    """No command of these tools looks at all keys or all sessions."""
    with house.client(0) as client:
        before = house.redis.command_calls()
        for tool in TOOLS["session"]:
            told(client, tool)
        after = house.redis.command_calls()
    for command in ["keys", "scan", "sscan", "hscan", "zscan"]:
        assert after.get(command, 0) == before.get(command, 0), command


# A hundred thousand -----------------------------------------------------------------

SESSIONS = 100_000
KEPT = 4_000
ASKED = 40


def timed(function):
    began = time.monotonic()
    function()
    return time.monotonic() - began


def many(proxies):
    """Whose stream, on which path: a fixed mix that can be counted."""
    users = [token("many-1"), token("many-2"), {}]
    for n in range(SESSIONS):
        # The version makes it a session that reconnecting clients have: one in use. A user's
        # clients do not look the same, or one might get the session that another has left.
        looks = {"User-Agent": f"many/{n}"} if users[n % 3] else {}
        yield (proxies[n % 2], "/calculator/sse" if n % 5 == 0 else "/sse",
               {**users[n % 3], **looks, "mcp-protocol-version": "2025-06-18"})


def difference(after, before):
    return {name: after[name] - before.get(name, 0) for name in after
            if after[name] != before.get(name, 0)}


def test_analytics_of_100_000_sessions(capsys):
    """Exact, at once, and no command holds Redis up."""
    settings = {"JWT_SECRET_KEY": SECRET, "SESSION_REUSE_WINDOW": "3600",
                "SESSION_UNUSED_TTL": "3600"}
    with Cluster(workers={"calculator": 1}, proxy_env=settings) as system, \
            SseClient(system.proxies[0], headers=token("watcher")) as watcher:

        def said():
            return told(watcher, "get_session_analytics")

        # A pod counts its streams now and then: those of the start may be among them still.
        before = until(
            lambda: (found := said())["sessions"]["open"] == 1 and
            found["sessions"]["total"] == found["last_24_hours"]["opened"] and found,
            20, lambda: f"the sessions of the start are counted: {said()}")
        opener = Opener(keep=KEPT)
        opener.open(many(system.proxies), 300)
        after = until(
            lambda: (found := said())["sessions"]["open"] == KEPT + 1 and
            found["sessions"]["total"] - before["sessions"]["total"] == SESSIONS and found,
            60, lambda: f"all are counted: {said()['sessions']}, before {before['sessions']}")
        assert difference(after["by_api"], before["by_api"]) == {
            "calculator": SESSIONS // 5, "(all)": SESSIONS - SESSIONS // 5}
        assert difference(after["by_user_type"], before["by_user_type"]) == {
            "jwt": SESSIONS - SESSIONS // 3, "anonymous": SESSIONS // 3}
        assert difference(after["by_transport"], before["by_transport"]) == {"sse": SESSIONS}
        assert sum(after["by_age"].values()) == after["sessions"]["total"]
        assert after["last_24_hours"]["opened"] - before["last_24_hours"]["opened"] == SESSIONS

        system.redis("CONFIG", "SET", "slowlog-log-slower-than", "10000")
        for _ in range(3):
            system.redis("SLOWLOG", "RESET")
            times = sorted(timed(said) for _ in range(ASKED))
            users = [timed(lambda: own(watcher)) for _ in range(ASKED)]
            slow = system.redis("SLOWLOG", "GET", "10")
            # A neighbour may take the processor from Redis, once.
            if not slow:
                break
        with capsys.disabled():
            print(f"\nget_session_analytics of {after['sessions']['total']} sessions: "
                  f"median {times[ASKED // 2] * 1000:.1f} ms, slowest {times[-1] * 1000:.1f} ms; "
                  f"get_user_sessions: median {sorted(users)[ASKED // 2] * 1000:.1f} ms; "
                  f"commands of more than 10 ms in Redis: {len(slow)}")
        assert slow == []
        assert times[ASKED // 2] < 0.05 * PATIENCE
        opener.close()
