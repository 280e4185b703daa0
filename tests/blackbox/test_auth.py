"""Whose session is it: principals, and what strangers see."""

import json

import pytest

from harness import Cluster, SseClient, request, session_hash, until

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
