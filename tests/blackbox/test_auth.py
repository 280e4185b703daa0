"""Whose session is it: principals, and what strangers see."""

import contextlib
import hashlib
import http.server
import itertools
import json
import re
import ssl
import statistics
import subprocess
import threading
import time

import pytest

from harness import (ALL_TOOLS, BIN, TOOLS, Cluster, Proxy, RawHttp, SseClient, clean_environment,
                     metrics, request, session_hash, until, work_directory)
from harness.tokens import Key, b64, bearer, claims_of, hs256, jwks, openssl, unsigned

PING = json.dumps({"jsonrpc": "2.0", "id": 7, "method": "ping"})


def post(server, sid, headers=None, body=PING, path="/messages/"):
    return request(server, "POST", f"{path}?session_id={sid}", body,
                   {"Content-Type": "application/json", **(headers or {})})


def seen(response):
    """All of an answer that a stranger could tell anything from."""
    fields = [field for field in response.fields if field[0].lower() != "date"]
    return response.status, response.reason, fields, response.body


# Anonymous users ----------------------------------------------------------

def test_a_session_carries_its_user(system, client, other):
    record = session_hash(system.redis, client)
    assert len(record["user"]) == 64 and record["user_kind"] == "anonymous"


@pytest.mark.parametrize("pod", [0, 1])
def test_another_user_agent_is_another_user(system, client, pod):
    """The same answer as for a session that nobody has, on either pod."""
    stranger = {"User-Agent": "stranger/1"}
    foreign = post(system.proxies[pod], client.session_id, stranger)
    unknown = post(system.proxies[pod], "0" * 32, stranger)
    assert foreign.status == 404
    assert seen(foreign) == seen(unknown)
    assert client.request("ping")["result"] == {}
    assert client.surprises == []


def test_client_addresses_come_from_trusted_hops_only():
    def at(address):
        return {"X-Forwarded-For": f"198.51.100.1, {address}"}

    with Cluster(workers={}, proxies=1, proxy_env={"TRUSTED_HOPS": 1}) as system:
        proxy = system.proxies[0]
        with SseClient(proxy, headers=at("203.0.113.1")) as session:
            assert post(proxy, session.session_id, at("203.0.113.1")).status == 202
            assert post(proxy, session.session_id, at("203.0.113.2")).status == 404
            assert post(proxy, session.session_id).status == 404
            forged = {"X-Forwarded-For": "203.0.113.1, 203.0.113.2"}
            assert post(proxy, session.session_id, forged).status == 404


def test_an_untrusted_load_balancer_is_named_in_the_log():
    with Cluster(workers={}, proxies=1, threads=1) as system:
        proxy = system.proxies[0]
        assert "TRUSTED_HOPS" not in proxy.log_text()
        for _ in range(3):
            assert post(proxy, "0" * 32, {"X-Forwarded-For": "203.0.113.1"}).status == 404
        assert proxy.log_text().count("TRUSTED_HOPS") == 1


def test_all_proxies_share_the_secret_of_user_hashes(system):
    """Without USER_HASH_SECRET, too: both pods give one user the same hash."""
    hashes = set()
    for proxy in system.proxies:
        with SseClient(proxy) as session:
            hashes.add(session_hash(system.redis, session)["user"])
    assert len(hashes) == 1


def test_the_secret_survives_a_flush():
    with Cluster(workers={}, proxies=2) as system:
        before = system.redis("GET", "mcp_user_secret")
        assert len(before) == 64
        with system.client() as session:
            user = session_hash(system.redis, session)["user"]
            until(lambda: system.redis("ZCARD", "mcp_pods") == 4, 10, "heartbeats")
            system.redis.flush()
            until(lambda: session_hash(system.redis, session), 10, "the record again")
            assert session_hash(system.redis, session)["user"] == user
            assert system.redis("GET", "mcp_user_secret") == before
            assert session.request("ping", to=system.proxies[1])["result"] == {}


def test_a_configured_secret_stays_out_of_redis():
    with Cluster(workers={}, proxies=1,
                 proxy_env={"USER_HASH_SECRET": "x" * 32}) as system:
        with system.client() as session:
            assert session.request("ping")["result"] == {}
        assert system.redis("EXISTS", "mcp_user_secret") == 0


# Tokens and keys ----------------------------------------------------------

SECRET = "a secret that is long enough for HS256"
ISSUER, AUDIENCE = "https://issuer.example", "https://mcp.example"
GOOD = {"iss": ISSUER, "aud": AUDIENCE}


def token(sub="alice", **more):
    return hs256(SECRET, sub, **{**GOOD, **more})


def mcpctl(redis, *arguments):
    done = subprocess.run([BIN / "mcpctl", *arguments], capture_output=True, text=True, check=False,
                          env=clean_environment(REDIS_URL=redis.url), cwd=work_directory("mcpctl"),
                          timeout=20)
    return done


def new_key(redis, *scopes):
    done = mcpctl(redis, "key", "create", *scopes)
    assert done.returncode == 0, done.stderr
    key = done.stdout.strip()
    assert re.fullmatch(r"sk-[0-9a-z]{16}-[0-9a-z]{64}", key)
    return key


@pytest.fixture(scope="module")
def keys():
    directory = work_directory("keys")
    return {name: Key(directory, name, algorithm)
            for name, algorithm in [("rsa", "RS256"), ("ec", "ES256"), ("other", "RS256")]}


@pytest.fixture(scope="module")
def secured(keys):
    """All sources of keys at once, and anonymous users besides."""
    file = work_directory("jwks") / "jwks.json"
    file.write_text(jwks(keys["ec"]))
    with Cluster(proxy_env={
            "JWT_SECRET_KEY": SECRET, "JWT_PUBLIC_KEY": keys["rsa"].public, "JWT_JWKS": file,
            "JWT_ISSUER": ISSUER, "JWT_AUDIENCE": AUDIENCE, "LOG_LEVEL": "debug",
            "PUBLIC_URL": "https://mcp.example/"}) as cluster:
        yield cluster
        cluster.assert_no_restart()


def everything_kept(redis):
    """All of Redis as one text."""
    parts = []
    for key in redis("KEYS", "*"):
        kind = redis("TYPE", key)
        read = {"hash": ["HGETALL", key], "string": ["GET", key], "set": ["SMEMBERS", key],
                "zset": ["ZRANGE", key, 0, -1], "stream": ["XRANGE", key, "-", "+"]}[kind]
        parts.append(f"{key} {redis(*read)}")
    return "\n".join(parts)


def works(system, headers, kind):
    """A session on one pod, a call by way of the other."""
    with SseClient(system.proxies[0], headers=headers) as session:
        session.initialize(to=system.proxies[1])
        assert session_hash(system.redis, session)["user_kind"] == kind
        assert session.text("calculator_add", {"a": 1, "b": 2}, to=system.proxies[1]) == "3"
        return session_hash(system.redis, session)["user"]


def test_each_kind_of_token_works(secured, keys):
    users = {works(secured, bearer(made), "jwt") for made in
             (token(), keys["rsa"].token(**GOOD), keys["ec"].token(**GOOD),
              token(aud=["https://other.example", AUDIENCE]), token(jti="7"))}
    assert len(users) == 1
    assert works(secured, bearer(token("bob")), "jwt") not in users


def test_a_refreshed_token_keeps_the_session(secured, keys):
    first, second = token(jti="1"), keys["ec"].token(**GOOD, lifetime=900)
    with SseClient(secured.proxies[0], headers=bearer(first)) as session:
        session.initialize()
        session.headers = bearer(second)
        for proxy in secured.proxies:
            assert session.text("calculator_add", {"a": 1, "b": 2}, to=proxy) == "3"


def attacks(keys):
    public = keys["rsa"].public.read_bytes()
    good = token()
    head, body, signature = good.split(".")
    return {
        "none": unsigned(claims_of(**GOOD), {"alg": "none"}) + ".",
        "none, signed": hs256(SECRET, **GOOD, header={"alg": "none"}),
        "public PEM as secret": hs256(public, **GOOD),
        "expired": token(lifetime=-61),
        "without exp": token(exp=None),
        "not yet": token(nbf=int(time.time()) + 300),
        "wrong audience": token(aud="https://other.example"),
        "audiences without ours": token(aud=["https://other.example", "x"]),
        "no audience": token(aud=None),
        "wrong issuer": token(iss="https://evil.example"),
        "no subject": token(sub=None),
        "kid of a file": hs256("", **GOOD, header={"kid": "../../../../dev/null"}),
        "kid of another key": keys["other"].token(**GOOD, header={"kid": "ec"}),
        "unknown kid": keys["other"].token(**GOOD, header={"kid": "nobody"}),
        "jku": keys["other"].token(**GOOD, header={"jku": "http://127.0.0.1:1/"}),
        "jwk": keys["other"].token(**GOOD, header={"jwk": keys["other"].jwk()}),
        "x5u": keys["other"].token(**GOOD, header={"x5u": "http://127.0.0.1:1/"}),
        "kid that asks a database": hs256("x", **GOOD, header={"kid": "' UNION SELECT 'x"}),
        "kid that is no text": keys["other"].token(**GOOD, header={"kid": ["ec"]}),
        "kid with a NUL": keys["other"].token(**GOOD, header={"kid": "ec\0"}),
        "long kid": keys["other"].token(**GOOD, header={"kid": "k" * 5000}),
        "EC public PEM as secret": hs256(keys["ec"].public.read_bytes(), **GOOD,
                                         header={"kid": "ec"}),
        "RS256 by the EC key's name": keys["other"].token(**GOOD, header={"kid": "ec",
                                                                          "alg": "RS256"}),
        "crit": hs256(SECRET, **GOOD, header={"crit": ["exp"]}),
        "oversized": token(padding="x" * 8192),
        "wrong secret": hs256("another secret that is long enough", **GOOD),
        "another body": f"{head}.{b64(json.dumps(claims_of('eve', **GOOD)).encode())}.{signature}",
        "no signature": f"{head}.{body}.",
        "no token": "", "no dots": "x", "an API key": "sk-0123456789abcdef-" + "0" * 64,
    }


def test_attacks_are_refused(secured, keys):
    """401 for the stream and for a POST, on a session of the user's own, too."""
    with SseClient(secured.proxies[0], headers=bearer(token())) as session:
        for name, bad in attacks(keys).items():
            for answer in (request(secured.proxies[0], "GET", "/sse", None, bearer(bad)),
                           post(secured.proxies[1], session.session_id, bearer(bad))):
                assert answer.status == 401, (name, answer)
                assert 'error="invalid_token"' in answer.header("WWW-Authenticate"), name
        assert session.request("ping")["result"] == {}


def test_no_token_makes_a_proxy_ask_where_it_says(secured, keys):
    """Neither jku nor x5u, though the key that is there would fit."""
    with Issuer() as evil:
        evil.document = jwks(keys["other"])
        for name in ("jku", "x5u"):
            bad = keys["other"].token(**GOOD, header={name: evil.url})
            for proxy in secured.proxies:
                assert post(proxy, "0" * 32, bearer(bad)).status == 401
        assert evil.asked == 0


def test_the_challenge_names_metadata_and_scope(secured):
    answer = request(secured.proxies[0], "GET", "/sse", None, bearer(token(lifetime=-61)))
    challenge = answer.header("WWW-Authenticate")
    assert challenge.startswith("Bearer ")
    fields = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    assert fields["resource_metadata"] == \
        "https://mcp.example/.well-known/oauth-protected-resource/sse"
    assert set(fields["scope"].split()) == {"calculator", "conformance", "session"}
    assert fields["error_description"] == "expired"
    answer = request(secured.proxies[0], "GET", "/calculator/sse", None, bearer("x"))
    fields = dict(re.findall(r'(\w+)="([^"]*)"', answer.header("WWW-Authenticate")))
    assert fields["scope"] == "calculator"
    assert fields["resource_metadata"].endswith("/oauth-protected-resource/calculator/sse")


@pytest.mark.parametrize("suffix", ["", "/sse", "/mcp", "/calculator/sse"])
def test_metadata(secured, suffix):
    answer = request(secured.proxies[0], "GET", f"/.well-known/oauth-protected-resource{suffix}")
    assert answer.status == 200
    document = json.loads(answer.body)
    assert document == {
        "resource": f"https://mcp.example{suffix}", "authorization_servers": [ISSUER],
        "scopes_supported": ["calculator", "conformance", "session"],
        "bearer_methods_supported": ["header"]}


def test_metadata_without_settings_goes_by_what_the_client_called(system):
    path = "/.well-known/oauth-protected-resource"
    answer = request(system.proxies[0], "GET", f"{path}/sse", None, {"Host": "h.example:81"})
    assert json.loads(answer.body)["resource"] == "http://h.example:81/sse"
    answer = request(system.proxies[0], "GET", path, None,
                     {"Host": "h.example", "X-Forwarded-Proto": "https"})
    assert json.loads(answer.body)["resource"] == "https://h.example"
    assert request(system.proxies[0], "GET", f"{path}/else").status == 404
    assert request(system.proxies[0], "GET", f"{path}x").status == 404
    assert request(system.proxies[0], "POST", path, "{}").status == 405
    assert request(system.proxies[0], "GET", f"/sse{path}").status == 404


@pytest.mark.parametrize("headers, query, status", [
    ({"Authorization": "Bearer {token}", "X-API-Key": "{key}"}, "", 400),
    ({"Authorization": "ApiKey {key}", "X-API-Key": "{key}"}, "", 400),
    ({"Authorization": "Bearer {token}\r\nAuthorization: Bearer {token}"}, "", 400),
    ({}, "?access_token={token}", 400),
    ({"Authorization": "Bearer {token}"}, "?a=b&access_token={token}", 400),
    ({"Authorization": "Basic dTpw"}, "", 401),
    ({"Authorization": "{token}"}, "", 401),
    ({"Authorization": ""}, "", 401),
    ({"X-API-Key": ""}, "", 401),
    ({"Authorization": "bearer  {token}"}, "", 200),
    ({"authorization": "APIKEY {key}"}, "", 200),
    ({"x-api-key": "{key}"}, "", 200)])
def test_one_credential_in_its_place(secured, headers, query, status):
    values = {"token": token(), "key": new_key(secured.redis, "*")}
    headers = {name: value.format(**values) for name, value in headers.items()}
    with RawHttp(secured.proxies[0]) as connection:
        lines = [f"GET /sse{query.format(**values)} HTTP/1.1", "Host: x"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        assert connection.send("\r\n".join(lines + ["", ""])).response().status == status


# API keys -----------------------------------------------------------------

def test_api_keys_live_and_die(secured):
    redis, key = secured.redis, new_key(secured.redis, "--name", "for tests", "calculator")
    key_id = key.split("-")[1]
    user = works(secured, {"X-API-Key": key}, "key")
    assert works(secured, {"Authorization": f"ApiKey {key}"}, "key") == user
    listed = mcpctl(redis, "key", "list").stdout
    line = next(line for line in listed.splitlines() if line.startswith(key_id))
    assert "calculator" in line and "for tests" in line and "never" not in line
    assert key.split("-")[2] not in listed

    wrong = key[:-1] + ("0" if key[-1] != "0" else "1")
    assert request(secured.proxies[0], "GET", "/sse", None, {"X-API-Key": wrong}).status == 401
    with SseClient(secured.proxies[0], headers={"X-API-Key": key}) as session:
        assert post(secured.proxies[1], session.session_id, {"X-API-Key": wrong}).status == 401
        assert mcpctl(redis, "key", "revoke", key_id).returncode == 0
        began = time.monotonic()
        for proxy in secured.proxies:
            until(lambda: post(proxy, session.session_id, {"X-API-Key": key}).status == 401,
                  30, "the key to be refused")
        assert time.monotonic() - began < 30
    assert key_id not in mcpctl(redis, "key", "list").stdout
    assert mcpctl(redis, "key", "revoke", key_id).returncode == 1


@pytest.mark.parametrize("arguments", [
    (), ("key",), ("key", "frob"), ("key", "create"), ("key", "create", "a\"b"),
    ("key", "revoke"), ("key", "revoke", "x"), ("key", "revoke", "*" * 16),
    ("key", "list", "x"), ("--frob",)])
def test_mcpctl_refuses_what_it_does_not_know(system, arguments):
    assert mcpctl(system.redis, *arguments).returncode == 2


@pytest.mark.parametrize("arguments", [("--help",), ("-h",), ("key", "create", "--help"),
                                       ("session", "-h")])
def test_mcpctl_helps_wherever_it_is_asked(system, arguments):
    done = mcpctl(system.redis, *arguments)
    assert done.returncode == 0 and "key create" in done.stdout, done


def test_mcpctl_says_what_it_does_not_know(system):
    assert "no command 'key frob'" in mcpctl(system.redis, "key", "frob").stderr


def test_mcpctl_without_redis():
    done = subprocess.run([BIN / "mcpctl", "key", "list"], capture_output=True, text=True,
                          env=clean_environment(REDIS_URL="redis://127.0.0.1:1"), check=False,
                          cwd=work_directory("mcpctl"), timeout=30)
    assert done.returncode == 1 and "127.0.0.1:1" in done.stderr
    assert mcpctl_help().returncode == 0


def mcpctl_help():
    return subprocess.run([BIN / "mcpctl", "--help"], capture_output=True, text=True, check=False,
                          env=clean_environment(), cwd=work_directory("mcpctl"))


def test_a_key_that_cannot_be_read_now(secured):
    """Waits for Redis, then 503: the key may be good."""
    key = {"X-API-Key": new_key(secured.redis, "*")}
    with Proxy(secured.redis, "waiting", 1, {"REDIS_WAIT_TIMEOUT": "1"}) as proxy:
        secured.redis.freeze()
        try:
            answer = request(proxy, "GET", "/sse", None, key)
        finally:
            secured.redis.thaw()
        assert answer.status == 503 and answer.header("Retry-After")
        assert until(lambda: request(proxy, "GET", "/sse", None, key).status == 200, 10,
                     "the key to be good")


# Strangers ----------------------------------------------------------------

def test_no_user_reaches_another(secured):
    """Two users of each kind, every verb, all of each other's sessions."""
    redis = secured.redis
    users = two_of_each_kind(redis)
    bodies = [
        PING,
        json.dumps({"jsonrpc": "2.0", "id": "x", "method": "tools/list"}),
        json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                    "params": {"name": "calculator_add", "arguments": {"a": 1, "b": 2}}}),
        json.dumps({"jsonrpc": "2.0", "method": "notifications/cancelled",
                    "params": {"requestId": 1}}),
        json.dumps({"jsonrpc": "2.0", "id": 3, "result": {}}), "not json"]
    with contextlib.ExitStack() as stack:
        sessions = {name: stack.enter_context(
            SseClient(secured.proxies[n % 2], headers=headers))
            for n, (name, headers) in enumerate(users.items())}
        hashes = {session_hash(redis, session)["user"] for session in sessions.values()}
        assert len(hashes) == len(users)
        for name, headers in users.items():
            for owner, session in sessions.items():
                if owner == name:
                    continue
                for proxy in secured.proxies:
                    for body in bodies:
                        foreign = post(proxy, session.session_id, headers, body)
                        unknown = post(proxy, "f" * 32, headers, body)
                        assert seen(foreign) == seen(unknown), (name, owner, body)
                        assert foreign.status == (400 if body == "not json" else 404)
        for session in sessions.values():
            assert session.request("ping")["result"] == {}
            assert len(session.events) == 2 and session.surprises == []


def two_of_each_kind(redis):
    """Headers of two users of each kind of identity, by name."""
    return {
        "anonymous 1": {"User-Agent": "one"}, "anonymous 2": {"User-Agent": "two"},
        "key 1": {"X-API-Key": new_key(redis, "*")}, "key 2": {"X-API-Key": new_key(redis, "*")},
        "jwt 1": bearer(token("alice")), "jwt 2": bearer(token("bob"))}


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "GET"])
def test_other_verbs_tell_nothing(secured, method):
    """Of no user's session to no other user, on either pod."""
    users = two_of_each_kind(secured.redis)
    with contextlib.ExitStack() as stack:
        sessions = {name: stack.enter_context(SseClient(secured.proxies[0], headers=headers))
                    for name, headers in users.items()}
        for name, owner in itertools.permutations(users, 2):
            sid = sessions[owner].session_id
            paths = [f"/messages/?session_id={sid}", f"/calculator/messages/?session_id={sid}"]
            if method != "GET":
                paths.append(f"/sse?session_id={sid}")
            for path, proxy in itertools.product(paths, secured.proxies):
                answers = [seen(request(proxy, method, target, None, users[name]))
                           for target in (path, path.replace(sid, "e" * 32))]
                assert answers[0] == answers[1] and answers[0][0] in (404, 405)
        for session in sessions.values():
            assert session.request("ping")["result"] == {}


def test_naming_anothers_session_gives_one_of_ones_own(secured):
    """By id in the query or the field, or by the client key: the owner notices nothing."""
    users = two_of_each_kind(secured.redis)
    with contextlib.ExitStack() as stack:
        sessions = {name: stack.enter_context(
            SseClient(secured.proxies[0], "/sse?client=mine", headers=headers))
            for name, headers in users.items()}
        for name, owner in itertools.permutations(users, 2):
            sid = sessions[owner].session_id
            for path, more in [(f"/sse?session_id={sid}", {}), ("/sse", {"Mcp-Session-Id": sid})]:
                with SseClient(secured.proxies[1], path, headers={
                        **users[name], **more, "MCP-Protocol-Version": "2025-03-26"}) as stranger:
                    assert stranger.session_id != sid
                    assert stranger.request("ping")["result"] == {}
        assert len({session.session_id for session in sessions.values()}) == len(users)
        for session in sessions.values():
            assert session.request("ping", to=secured.proxies[1])["result"] == {}
            assert len(session.events) == 2 and session.surprises == []


@pytest.mark.parametrize("path", ["/sse", "/sse?client=mine"])
def test_lookalikes_never_get_each_others_session(secured, path):
    """Anonymous, one address, one User-Agent: the answer waits for its own client."""
    looks = {"User-Agent": "twin", "MCP-Protocol-Version": "2025-03-26"}
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(SseClient(secured.proxies[0], path, headers=looks))
        first.initialize()
        first.ask("tools/call", {"name": "conformance_sleep", "arguments": {"delay_ms": 500}},
                  id="secret")
        first.close()
        others = [stack.enter_context(SseClient(secured.proxies[n % 2], other, headers=looks))
                  for n, other in enumerate(["/sse", "/sse?client=other", "/sse"])]
        assert len({first.session_id, *(other.session_id for other in others)}) == 4
        until(lambda: secured.redis("XLEN", f"mcp_events:{{{first.session_id}}}") > 1, 10,
              "the answer kept")
        again = stack.enter_context(SseClient(
            secured.proxies[1], f"/sse?session_id={first.session_id}", headers=looks))
        assert again.session_id == first.session_id
        again.asked.add('"secret"')
        assert "result" in again.answer("secret")
        for other in others:
            assert other.request("ping")["result"] == {}
            assert len(other.events) == 2 and other.surprises == []


@pytest.mark.parametrize("kind", ["anonymous 1", "key 1", "jwt 1"])
def test_two_clients_of_one_user_get_their_own_answers(secured, kind):
    """At once, with the same JSON-RPC ids, crosswise over the pods."""
    headers = two_of_each_kind(secured.redis)[kind]
    with SseClient(secured.proxies[0], headers=headers) as one, \
            SseClient(secured.proxies[1], headers=headers) as two:
        for n in range(40):
            for session, text, to in ((one, f"one {n}", 1), (two, f"two {n}", 0)):
                session.ask("tools/call", {"name": "conformance_echo",
                                           "arguments": {"text": text}},
                            to=secured.proxies[to], id=n)
        for n in range(40):
            for session, text in ((one, f"one {n}"), (two, f"two {n}")):
                assert session.answer(n)["result"]["content"][0]["text"] == text
        assert one.surprises == two.surprises == []


def test_a_strangers_answer_takes_as_long_as_a_guess(secured):
    """On the pod that holds the stream and on the other: within a third."""
    strange = bearer(token("bob"))
    with SseClient(secured.proxies[0], headers=bearer(token())) as session:
        for proxy in secured.proxies:
            times = {session.session_id: [], "d" * 32: []}
            with RawHttp(proxy) as connection:
                for _ in range(300):
                    for sid, taken in times.items():
                        lines = [f"POST /messages/?session_id={sid} HTTP/1.1", "Host: x",
                                 "Content-Type: application/json",
                                 f"Content-Length: {len(PING)}",
                                 f"Authorization: {strange['Authorization']}", "", PING]
                        began = time.perf_counter()
                        assert connection.send("\r\n".join(lines)).response().status == 404
                        taken.append(time.perf_counter() - began)
            foreign, guess = (statistics.median(taken) for taken in times.values())
            print(f"{proxy.name}: foreign {foreign * 1e6:.0f} us, guess {guess * 1e6:.0f} us")
            assert 1 / 3 < foreign / guess < 3


# Scopes -------------------------------------------------------------------

def test_scopes_filter_lists_and_calls(secured):
    redis = secured.redis
    narrow = {"X-API-Key": new_key(redis, "calculator:add", "conformance")}
    with SseClient(secured.proxies[0], headers=narrow) as session:
        assert set(session.tools()) == {"calculator_add"} | TOOLS["conformance"]
        assert session.text("calculator_add", {"a": 1, "b": 2}) == "3"
        call = json.dumps({"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": {
            "name": "calculator_divide", "arguments": {"a": 1, "b": 2}}})
        for proxy in secured.proxies:
            answer = post(proxy, session.session_id, narrow, call)
            assert answer.status == 403
            assert answer.header("WWW-Authenticate") == (
                'Bearer error="insufficient_scope", resource_metadata='
                '"https://mcp.example/.well-known/oauth-protected-resource/sse", '
                'scope="calculator:divide"')
            assert json.loads(answer.body)["id"] == 9
        assert session.request("ping")["result"] == {}
    with SseClient(secured.proxies[0], "/calculator/sse", headers=narrow) as session:
        assert set(session.tools()) == {"add"}


def test_who_may_not_read_cannot_subscribe(secured):
    def ask(session, method, uri):
        return post(secured.proxies[1], session.session_id, session.headers, json.dumps({
            "jsonrpc": "2.0", "id": 9, "method": f"resources/{method}", "params": {"uri": uri}}))
    uri = "test://watched-resource"
    with SseClient(secured.proxies[0], headers=bearer(token(scope="calculator"))) as session:
        for method in ("subscribe", "read"):
            answer = ask(session, method, uri)
            assert answer.status == 403
            assert f'scope="conformance:{uri}"' in answer.header("WWW-Authenticate")
        # What is not there is nobody's secret, and an end is always in order.
        assert ask(session, "subscribe", "test://nowhere").status == 202
        assert ask(session, "unsubscribe", uri).status == 202
        session.headers = bearer(token(scope="conformance"))
        assert ask(session, "subscribe", uri).status == 202


@pytest.mark.parametrize("claims, tools", [
    ({"scope": "calculator:add openid"}, {"calculator_add"}),
    ({"scopes": ["conformance"]}, TOOLS["conformance"]),
    ({"scope": ""}, set()),
    ({"scope": "openid calc calculator: calculator:ad"}, set()),
    ({"scope": "session:health_check"}, {"health_check"}),
    ({"scope": "*"}, ALL_TOOLS),
    ({}, ALL_TOOLS)])
def test_scopes_of_tokens(secured, claims, tools):
    with SseClient(secured.proxies[0], headers=bearer(token(**claims))) as session:
        assert set(session.tools()) == tools


def test_scopes_are_those_of_the_request(secured):
    """Not of the request that opened the session: a token may be narrowed."""
    with SseClient(secured.proxies[0], headers=bearer(token())) as session:
        session.headers = bearer(token(scope="calculator:add"))
        assert set(session.tools(to=secured.proxies[1])) == {"calculator_add"}


def test_workers_get_user_and_scopes_and_no_credential(secured):
    """What a queued call says about who made it."""
    made = token(scope="calculator:add  openid")
    workers = [worker for worker in secured.workers if worker.api == "calculator"]
    for worker in workers:
        worker.freeze()
    try:
        with SseClient(secured.proxies[0], headers=bearer(made)) as session:
            user = session_hash(secured.redis, session)["user"]
            asked = session.ask("tools/call", {"name": "calculator_add",
                                               "arguments": {"a": 1, "b": 2}},
                                to=secured.proxies[1])
            (_, fields), = secured.redis("XRANGE", "mcp_requests:{calculator}", "-", "+")
            entry = dict(zip(fields[::2], fields[1::2]))
            assert (entry["user"], entry["scopes"]) == (user, "calculator:add openid")
            assert made not in str(entry)
            for worker in workers:
                worker.thaw()
            assert session.answer(asked)["result"]["content"][0]["text"] == "3"
    finally:
        for worker in workers:
            worker.thaw()


# Who may come at all ------------------------------------------------------

def test_without_anonymous_users(secured, keys):
    with Proxy(secured.redis, "closed", 1, {
            "AUTH_ANONYMOUS": "false", "JWT_PUBLIC_KEY": keys["rsa"].public.read_text(),
            "ALLOWED_ORIGINS": "https://app.example, http://localhost:*",
            "ALLOWED_HOSTS": "mcp.example localhost"}) as proxy:
        good = bearer(keys["rsa"].token())
        answer = request(proxy, "GET", "/sse")
        assert answer.status == 401 and "error" not in answer.header("WWW-Authenticate")
        assert "http://localhost/.well-known/" in answer.header("WWW-Authenticate")
        assert post(proxy, "0" * 32).status == 401
        assert post(proxy, "0" * 32, good).status == 404
        for path in ("/healthz", "/readyz", "/metrics"):
            assert request(proxy, "GET", path, None, {"Host": "10.0.0.1"}).status == 200
        for origin, status in [("https://app.example", 404), ("http://localhost:8080", 404),
                               ("http://localhost", 404), ("HTTPS://APP.EXAMPLE", 404),
                               ("https://evil.example", 403), ("https://app.example.evil", 403),
                               ("http://app.example", 403), ("null", 403), ("", 403),
                               ("http://localhost.evil:80", 403)]:
            answer = post(proxy, "0" * 32, {**good, "Origin": origin})
            assert answer.status == status, origin
        for host, status in [("mcp.example", 404), ("mcp.example:8443", 404),
                             ("MCP.example", 404), ("evil.example", 403),
                             ("mcp.example.evil", 403), ("127.0.0.1", 403)]:
            assert post(proxy, "0" * 32, {**good, "Host": host}).status == status, host


def test_anonymous_users_may_do_what_the_operator_says(secured):
    with Proxy(secured.redis, "narrow", 1, {"ANONYMOUS_SCOPES": "conformance"}) as proxy, \
            SseClient(proxy) as session:
        assert set(until(session.tools, 10, "tools")) == TOOLS["conformance"]


# Keys at a URL --------------------------------------------------------------

class Issuer:
    """A server with a JWK set as it stands at the moment; with https its own CA."""

    def __init__(self, https=False, name="127.0.0.1"):
        self.document, self.asked, self.redirect = "", 0, None
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http{'s' * https}://127.0.0.1:{self.server.server_port}/jwks"
        if https:
            self.ca, chain = certificates(name)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(chain)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                     do_handshake_on_connect=False)

    def _handler(self):
        issuer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            """Answers every GET with the set."""

            def do_GET(self):
                issuer.asked += 1
                self.send_response(302 if issuer.redirect else 200)
                if issuer.redirect:
                    self.send_header("Location", issuer.redirect)
                self.end_headers()
                self.wfile.write(issuer.document.encode())

            def log_message(self, *_):
                pass

        return Handler

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def certificates(name):
    """A CA of its own, and a certificate with key for that address: two files."""
    directory = work_directory("ca")
    ca, ca_key, request_, chain = (directory / part for part in
                                   ("ca.pem", "ca.key", "server.csr", "server.pem"))
    key, extension = directory / "server.key", directory / "extension"
    extension.write_text(f"subjectAltName=IP:{name}\n")
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test CA",
            "-keyout", ca_key, "-out", ca)
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=issuer", "-keyout", key,
            "-out", request_)
    signed = openssl("x509", "-req", "-in", request_, "-CA", ca, "-CAkey", ca_key, "-days", "2",
                     "-CAcreateserial", "-extfile", extension)
    chain.write_bytes(signed + key.read_bytes())
    return ca, chain


def test_keys_of_a_url(secured, keys):
    """The first token waits for the set; unknown kids do not make it be read again."""
    with Issuer() as issuer:
        issuer.document = jwks(keys["rsa"])
        with Proxy(secured.redis, "jwks", 1, {"JWT_JWKS": issuer.url}) as proxy:
            assert post(proxy, "0" * 32, bearer(keys["rsa"].token())).status == 404
            before = issuer.asked
            for _ in range(5):
                assert post(proxy, "0" * 32, bearer(keys["ec"].token())).status == 401
            assert issuer.asked <= before + 1


def test_keys_rotate_at_a_url(secured, keys):
    """A new kid is fetched at once; what left the set is refused from then on."""
    old, new, third = (bearer(keys[name].token()) for name in ("rsa", "ec", "other"))
    with Issuer(https=True) as issuer, Proxy(secured.redis, "rotate", 1, {
            "JWT_JWKS": issuer.url, "JWT_JWKS_CA": issuer.ca}) as proxy:
        issuer.document = jwks(keys["rsa"])
        until(lambda: post(proxy, "0" * 32, old).status == 404, 15, "the set read")
        # The miss that the empty set before may have caused counts, too.
        before = issuer.asked
        issuer.document = jwks(keys["ec"])
        until(lambda: post(proxy, "0" * 32, new).status == 404, 90, "the new key known")
        assert issuer.asked == before + 1
        assert post(proxy, "0" * 32, old).status == 401
        issuer.document = jwks(keys["other"])
        assert post(proxy, "0" * 32, third).status == 401, "read twice within a minute"
        assert post(proxy, "0" * 32, new).status == 404
        assert issuer.asked == before + 1


def test_keys_over_https_need_a_certificate_that_is_good(secured, keys):
    """Of that CA and for that host; and https never becomes http."""
    token_ = bearer(keys["rsa"].token())
    with Issuer(https=True) as issuer, Issuer(https=True, name="127.0.0.2") as elsewhere, \
            Issuer() as plain:
        for one in (issuer, elsewhere, plain):
            one.document = jwks(keys["rsa"])
        for settings in ({"JWT_JWKS": issuer.url},
                         {"JWT_JWKS": issuer.url, "JWT_JWKS_CA": elsewhere.ca},
                         {"JWT_JWKS": elsewhere.url, "JWT_JWKS_CA": elsewhere.ca}):
            with Proxy(secured.redis, "distrusts", 1,
                       {**settings, "REDIS_WAIT_TIMEOUT": 1}) as proxy:
                assert post(proxy, "0" * 32, token_).status == 503
                assert "JWK set not read" in proxy.log_text()
        assert issuer.asked == elsewhere.asked == 0
        issuer.redirect = plain.url
        with Proxy(secured.redis, "redirected", 1, {
                "JWT_JWKS": issuer.url, "JWT_JWKS_CA": issuer.ca,
                "REDIS_WAIT_TIMEOUT": 1}) as proxy:
            assert post(proxy, "0" * 32, token_).status == 503
        assert issuer.asked > 0 and plain.asked == 0


# Secrets ------------------------------------------------------------------

def test_secrets_stay_secret(secured, keys):
    """Not in Redis, not in logs at debug level, not in metrics."""
    redis = secured.redis
    api_key, good, bad = new_key(redis, "*"), token(), keys["other"].token(**GOOD)
    wrong_key = "sk-" + "0" * 16 + "-" + "1" * 64
    sids = []
    for headers in ({"X-API-Key": api_key}, bearer(good)):
        with SseClient(secured.proxies[0], headers=headers) as session:
            session.initialize(to=secured.proxies[1])
            assert session.text("calculator_add", {"a": 1, "b": 2}) == "3"
            sids.append(session.session_id)
            kept = everything_kept(redis)
    for headers in ({"X-API-Key": wrong_key}, bearer(bad)):
        assert request(secured.proxies[0], "GET", "/sse", None, headers).status == 401
    request(secured.proxies[0], "GET", f"/sse?access_token={good}")
    kept += everything_kept(redis)
    until(lambda: sids[-1][:8] in secured.proxies[0].log_text(), 5, "the end in the log")
    logs = "".join(program.log_text() for program in secured.programs())
    texts = logs + "".join(str(metrics(proxy)) for proxy in secured.proxies)
    assert hashlib.sha256(api_key.encode()).hexdigest() in kept
    for secret in (api_key.split("-")[2], wrong_key.split("-")[2], SECRET, good, bad,
                   good.split(".")[2], good.split(".")[1], bad.split(".")[2]):
        assert secret not in kept + texts
    for sid in sids:
        assert sid not in texts
