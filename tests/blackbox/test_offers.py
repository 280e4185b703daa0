"""Resources, templates, prompts, completion; subscriptions and lists that change."""

import pytest

from harness import Cluster, until
from test_dialogue import IMAGE, PNG, initialize, result

SHARED, OWN = "/sse", "/conformance/sse"


def lists(client, method, member, to=None):
    """A whole list, page after page."""
    found, params = [], {}
    while True:
        page = client.request(method, params, to)["result"]
        found += page[member]
        if "nextCursor" not in page:
            return found
        params = {"cursor": page["nextCursor"]}


def notices(client, method):
    return [m for m in client.notifications if m["method"] == method]


@pytest.fixture(params=[SHARED, OWN])
def session(system, request):
    with system.client(0, path=request.param) as client:
        client.prompt = "conformance_test_" if request.param == SHARED else "test_"
        yield client


# Lists ----------------------------------------------------------------------------------


def test_capabilities_tell_what_there_is(system):
    with system.client(0) as client:
        assert initialize(client)["capabilities"] == {
            "tools": {"listChanged": True}, "logging": {},
            "resources": {"subscribe": True, "listChanged": True},
            "prompts": {"listChanged": True}, "completions": {}}
        assert "instructions" not in initialize(client)
    with system.client(0, path="/calculator/sse") as client:
        answer = initialize(client)
        assert answer["capabilities"] == {"tools": {"listChanged": True}, "logging": {}}
        assert answer["instructions"] == "Arithmetic on two numbers, as IEEE 754 doubles."


def test_resources_are_listed(session, other):
    resources = {r["uri"]: r for r in lists(session, "resources/list", "resources", other)}
    assert resources["test://static-text"] == {
        "uri": "test://static-text", "name": "Static Text Resource",
        "description": "A static text resource for testing", "mimeType": "text/plain"}
    assert set(resources) >= {"test://static-binary", "test://watched-resource"}


def test_templates_are_listed(session, other):
    assert lists(session, "resources/templates/list", "resourceTemplates", other) == [{
        "uriTemplate": "test://template/{id}/data", "name": "Dynamic Resource Template",
        "description": "A resource template with parameter substitution",
        "mimeType": "application/json"}]


def test_prompts_are_listed(session, other):
    prompts = {p["name"]: p for p in lists(session, "prompts/list", "prompts", other)}
    assert prompts[session.prompt + "simple_prompt"] == {
        "name": session.prompt + "simple_prompt",
        "description": "A simple prompt without arguments"}
    assert prompts[session.prompt + "prompt_with_arguments"]["arguments"] == [
        {"name": "arg1", "description": "First test argument", "required": True},
        {"name": "arg2", "description": "Second test argument", "required": True}]


def test_an_api_without_any_has_empty_lists(system):
    with system.client(0, path="/calculator/sse") as client:
        for method, member in (("resources/list", "resources"), ("prompts/list", "prompts"),
                               ("resources/templates/list", "resourceTemplates")):
            assert client.request(method)["result"] == {member: []}


def test_pages_and_scopes_hold_for_all_lists():
    with Cluster(proxies=1, workers={"conformance": 1}, proxy_env={"LIST_PAGE_SIZE": 2}) as system:
        with system.client(0) as client:
            first = client.request("resources/list")["result"]
            assert len(first["resources"]) == 2 and first["nextCursor"]
            uris = [r["uri"] for r in lists(client, "resources/list", "resources")]
            assert len(uris) == len(set(uris)) == 5
            assert len(lists(client, "prompts/list", "prompts")) == 5
            for method in ("resources/list", "prompts/list", "resources/templates/list"):
                reply = client.request(method, {"cursor": "elsewhere"})
                assert reply["error"]["code"] == -32602


# Reading ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("uri", "contents"), [
    ("test://static-text", [{"mimeType": "text/plain",
                             "text": "This is the content of the static text resource."}]),
    ("test://static-binary", [{"mimeType": "image/png", "blob": PNG}]),
    ("test://watched-resource", [{"mimeType": "text/plain", "text": "Watched resource content"}]),
    ("test://template/123/data", [{
        "mimeType": "application/json",
        "text": '{"id":"123","templateTest":true,"data":"Data for ID: 123"}'}]),
    ("test://template/%22x%22/data", [{
        "mimeType": "application/json",
        "text": '{"id":"\\"x\\"","templateTest":true,"data":"Data for ID: \\"x\\""}'}]),
    ("test://parts", [{"mimeType": "text/plain", "text": "first"},
                      {"uri": "test://parts/2", "mimeType": "text/html", "text": "second"}]),
])
def test_resources_are_read(session, other, uri, contents):
    assert session.request("resources/read", {"uri": uri}, other)["result"] == {
        "contents": [{"uri": uri, **part} for part in contents]}


@pytest.mark.parametrize(("params", "code"), [
    ({"uri": "test://nowhere"}, -32002), ({"uri": "test://template//data"}, -32002),
    ({"uri": "test://template/a/b/data"}, -32002), ({"uri": "test://gone"}, -32002),
    ({}, -32602), ({"uri": 7}, -32602), (None, -32602)])
def test_what_cannot_be_read(session, other, params, code):
    assert session.request("resources/read", params, other)["error"]["code"] == code


# Prompts ---------------------------------------------------------------------------------


def test_prompts(session, other):
    def get(name, arguments=None):
        params = {"name": session.prompt + name}
        if arguments is not None:
            params["arguments"] = arguments
        return session.request("prompts/get", params, other)["result"]

    def user(content):
        return {"role": "user", "content": content}

    assert get("simple_prompt") == {
        "description": "A simple prompt without arguments",
        "messages": [user({"type": "text", "text": "This is a simple prompt for testing."})]}
    assert get("prompt_with_arguments", {"arg1": "a", "arg2": "b"})["messages"] == [
        user({"type": "text", "text": "Prompt with arguments: arg1='a', arg2='b'"})]
    assert get("prompt_with_embedded_resource", {"resourceUri": "test://x"})["messages"] == [
        user({"type": "resource", "resource": {
            "uri": "test://x", "mimeType": "text/plain",
            "text": "Embedded resource content for testing."}}),
        user({"type": "text", "text": "Please process the embedded resource above."})]
    assert get("prompt_with_image")["messages"] == [
        user(IMAGE), {"role": "assistant", "content": {
            "type": "text", "text": "Please analyze the image above."}}]


@pytest.mark.parametrize(("name", "arguments", "code", "says"), [
    ("nothing", {}, -32602, "Unknown prompt"),
    ("prompt_with_arguments", {"arg1": "a"}, -32602, "arg2"),
    ("prompt_with_arguments", {"arg1": "a", "arg2": 2}, -32602, "arg2"),
    ("failing_prompt", {}, -32603, "no such luck")])
def test_what_prompts_refuse(session, other, name, arguments, code, says):
    error = session.request("prompts/get", {
        "name": session.prompt + name, "arguments": arguments}, other)["error"]
    assert error["code"] == code and says in error["message"]


# Completion ------------------------------------------------------------------------------


def complete(client, ref, value, to=None):
    return client.request("completion/complete", {
        "ref": ref, "argument": {"name": "id", "value": value}}, to)


def test_completion(session, other):
    template = {"type": "ref/resource", "uri": "test://template/{id}/data"}
    prompt = {"type": "ref/prompt", "name": session.prompt + "prompt_with_arguments"}
    assert complete(session, template, "14", other)["result"] == {"completion": {
        "values": ["14"] + [str(n) for n in range(140, 150)], "total": 11, "hasMore": False}}
    many = complete(session, template, "", other)["result"]["completion"]
    assert (len(many["values"]), many["total"], many["hasMore"]) == (100, 150, True)
    assert complete(session, prompt, "x", other)["result"] == {
        "completion": {"values": [], "total": 0, "hasMore": False}}


@pytest.mark.parametrize("ref", [
    {"type": "ref/prompt", "name": "nothing"}, {"type": "ref/resource", "uri": "test://static-text"},
    {"type": "ref/tool", "name": "echo"}, {}, 7])
def test_what_cannot_be_completed(session, other, ref):
    assert complete(session, ref, "x", other)["error"]["code"] == -32602


def test_completion_needs_an_argument(session):
    reply = session.request("completion/complete", {
        "ref": {"type": "ref/resource", "uri": "test://template/{id}/data"}})
    assert reply["error"]["code"] == -32602


# Subscriptions ---------------------------------------------------------------------------

WATCHED = {"uri": "test://watched-resource"}
UPDATED = "notifications/resources/updated"


def test_subscribers_hear_of_changes_and_others_do_not(system):
    with system.client(0) as first, system.client(1) as second, system.client(0) as third:
        for client, to in ((first, 1), (second, 0), (third, 1)):
            initialize(client)
            assert client.request("resources/subscribe", WATCHED,
                                  system.proxies[to])["result"] == {}
        assert third.request("resources/unsubscribe", WATCHED,
                             system.proxies[1])["result"] == {}
        assert result(third, "touch")
        for client in (first, second):
            client.wait(lambda c=client: notices(c, UPDATED), what="update")
            assert notices(client, UPDATED) == [
                {"jsonrpc": "2.0", "method": UPDATED, "params": WATCHED}]
        third.request("ping")
        assert notices(third, UPDATED) == []


def test_subscriptions_follow_the_session(system):
    path = "/sse?client=subscriber"
    with system.client(0, path=path) as first:
        initialize(first)
        first.request("resources/subscribe", WATCHED, system.proxies[1])
    with system.client(1, path=path) as second:
        assert second.session_id == first.session_id
        second.request("ping")
        assert result(second, "touch")
        second.wait(lambda: notices(second, UPDATED), what="update")


def test_initialize_begins_without_subscriptions(client, other):
    initialize(client)
    client.request("resources/subscribe", WATCHED, other)
    assert result(client, "touch")
    client.wait(lambda: notices(client, UPDATED), what="update")
    initialize(client, to=other)
    client.notifications.clear()
    later = {"uri": "test://later"}
    client.request("resources/subscribe", later, other)
    assert result(client, "touch")
    assert result(client, "touch", {"uri": "test://later"})
    # Changes come in order: by this one, the one before would be here.
    client.wait(lambda: notices(client, UPDATED), what="update")
    assert [m["params"] for m in notices(client, UPDATED)] == [later]


def test_subscriptions_are_bounded(client, other):
    initialize(client)
    for n in range(30):
        reply = client.request("resources/subscribe", {"uri": f"test://{n:02}" + 1990 * "x"}, other)
        if "error" in reply:
            break
    assert n > 10 and "too many" in reply["error"]["message"]
    # One that is there already, and one less, are in order.
    first = {"uri": "test://00" + 1990 * "x"}
    assert client.request("resources/subscribe", first, other)["result"] == {}
    assert client.request("resources/unsubscribe", first, other)["result"] == {}
    assert client.request("resources/subscribe", {"uri": "test://new"}, other)["result"] == {}


@pytest.mark.parametrize("params", [{}, {"uri": 7}, {"uri": ""}, {"uri": 3000 * "x"}, None])
def test_what_cannot_be_subscribed_to(client, params):
    assert client.request("resources/subscribe", params)["error"]["code"] == -32602


# Lists that change ------------------------------------------------------------------------


def test_sessions_hear_of_lists_that_change():
    with Cluster(workers={"calculator": 1, "conformance": 1}) as system, \
            system.client(0) as shared, system.client(1, path="/conformance/sse") as own, \
            system.client(0, path="/calculator/sse") as stranger, \
            system.client(1) as mute:
        for client in (shared, own, stranger):
            initialize(client)
        assert result(shared, "change_lists", {"fewer": True})
        for client in (shared, own):
            for kind in ("prompts", "resources"):
                method = f"notifications/{kind}/list_changed"
                client.wait(lambda c=client, m=method: notices(c, m), what=method)
            assert client.request("prompts/list")["result"] == {"prompts": []}
            assert notices(client, "notifications/tools/list_changed") == []
        # What was listed is what can be used.
        until(lambda: "error" in shared.request(
            "prompts/get", {"name": "conformance_test_simple_prompt"}), 10, "it is gone")
        assert result(shared, "change_lists", {"fewer": False})
        own.wait(lambda: len(notices(own, "notifications/prompts/list_changed")) == 2,
                 what="the second change")
        assert len(own.request("prompts/list")["result"]["prompts"]) == 5
        for client in (stranger, mute):
            client.request("ping")
            assert client.notifications == []


def test_sessions_hear_of_an_api_that_leaves():
    """Its tools, resources and prompts go, one notice for each list."""
    with Cluster(workers={"calculator": 1, "conformance": 1},
                 worker_env={"WORKER_CATALOGUE_TTL": 0}) as system, \
            system.client(0) as client:
        initialize(client)
        system.workers[1].stop()
        for kind in ("tools", "resources", "prompts"):
            method = f"notifications/{kind}/list_changed"
            client.wait(lambda m=method: notices(client, m), what=method)
        assert not any(name.startswith("conformance_") for name in client.tools())
