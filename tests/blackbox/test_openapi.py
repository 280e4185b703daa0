"""The openapi API: descriptions and overlays against a server that records every byte."""

import base64
import contextlib
import json
import re
import subprocess
import urllib.request

import pytest
from queues import Queue, run_at_once

from harness import (BIN, PATIENCE, ROOT, Proxy, Redis, RestServer, SseClient, Worker,
                     clean_environment, until, work_directory)
from harness.tokens import bearer, hs256

SPECS = ROOT / "tests/specs"
PROGRAM = BIN / "mcp-worker-openapi"
ACCEPT = "Accept: application/json, */*;q=0.5\r\n"


@pytest.fixture
def redis():
    """For a worker of the test's own: it shares no queue with another."""
    with Redis() as server:
        yield server


@pytest.fixture(scope="module")
def server():
    with RestServer() as rest:
        yield rest


def overlay(text, **files):
    """A file with that overlay, and others beside it."""
    directory = work_directory("overlay")
    for name, content in files.items():
        (directory / name).write_text(content)
    path = directory / "overlay.yaml"
    path.write_text(text)
    return path


@contextlib.contextmanager
def running(redis, spec, path, api="openapi", **settings):
    values = {"OPENAPI_SPEC": SPECS / spec if "://" not in spec else spec,
              "OPENAPI_OVERLAY": path, "LOG_LEVEL": "debug", **settings}
    redis.flush()
    with Worker(api, redis, settings=values, program="openapi") as worker:
        until(lambda: redis("EXISTS", f"mcp_api:{{{api}}}"), 10,
              lambda: f"the catalogue is published\n{worker.tail()}")
        queue = Queue(redis, api)
        queue.worker = worker
        yield queue


def tools(queue):
    catalogue = json.loads(queue.redis.hash(f"mcp_api:{{{queue.api}}}")["catalogue"])
    return {tool["name"]: tool for tool in catalogue["tools"]}


def result(queue, tool, arguments, seconds=10):
    return queue.answer(queue.put(tool, arguments), seconds)["result"]


def sent(queue, server, tool, arguments):
    """The bytes of the one request that a call makes."""
    before = len(server.requests())
    answer = result(queue, tool, arguments)
    assert "isError" not in answer, answer
    (request,) = server.requests()[before:]
    return request


def failure(queue, tool, arguments):
    answer = result(queue, tool, arguments)
    assert answer["isError"] is True, answer
    return answer["content"][0]["text"]


def request(line, *fields, body=""):
    """A request's bytes as the server prints them."""
    head = "".join(f"{field}\r\n" for field in fields)
    return f"{line} HTTP/1.1\r\n{ACCEPT}{head}\r\n{body}"


def with_body(line, kind, body, *fields):
    size = len(body.encode("latin-1"))
    return request(line, *fields, f"Content-Type: {kind}", f"Content-Length: {size}", body=body)


def with_json(line, value):
    return with_body(line, "application/json",
                     json.dumps(value, separators=(",", ":"), ensure_ascii=False)
                     .encode().decode("latin-1"))


# Petstore ------------------------------------------------------------------

PET = {"category": {"name": "dog"}, "name": "멍멍이", "photoUrls": ["a/b"],
       "tags": [{"id": 9007199254740991, "name": "x"}], "status": "sold"}
USER = {"username": "kim", "email": "k@example.com", "userStatus": 1}
PETSTORE = [
    ("addPet", PET, with_json("POST /v2/pet", PET)),
    ("updatePet", PET, with_json("PUT /v2/pet", PET)),
    ("findPetsByStatus", {"status": ["available", "sold"]},
     request("GET /v2/pet/findByStatus?status=available&status=sold")),
    ("findPetsByTags", {"tags": ["a b", "c,d"]},
     request("GET /v2/pet/findByTags?tags=a%20b,c%2Cd")),
    ("getPetById", {"petId": 7}, request("GET /v2/pet/7")),
    ("updatePetWithForm", {"petId": 7, "name": "a&b=c", "status": "é"},
     with_body("POST /v2/pet/7", "application/x-www-form-urlencoded",
               "name=a%26b%3Dc&status=%C3%A9")),
    ("updatePetWithForm", {"petId": 7},
     request("POST /v2/pet/7", "Content-Length: 0")),
    ("deletePet", {"petId": 7, "api_key": "k"}, request("DELETE /v2/pet/7", "api_key: k")),
    ("getInventory", {}, request("GET /v2/store/inventory")),
    ("placeOrder", {"petId": 1, "complete": True},
     with_json("POST /v2/store/order", {"petId": 1, "complete": True})),
    ("getOrderById", {"orderId": 3}, request("GET /v2/store/order/3")),
    ("deleteOrder", {"orderId": 3}, request("DELETE /v2/store/order/3")),
    ("createUser", USER, with_json("POST /v2/user", USER)),
    ("createUsersWithArrayInput", {"body": [USER, {}]},
     with_json("POST /v2/user/createWithArray", [USER, {}])),
    ("createUsersWithListInput", {"body": []}, with_json("POST /v2/user/createWithList", [])),
    ("loginUser", {"username": "kim", "password": "p&q /?#"},
     request("GET /v2/user/login?username=kim&password=p%26q%20%2F%3F%23")),
    ("logoutUser", {}, request("GET /v2/user/logout")),
    ("getUserByName", {"username": "../a/b"}, request("GET /v2/user/..%2Fa%2Fb")),
    # Its path's name and its body's collide: the body is an argument of its own.
    ("updateUser", {"username": "kim", "body": USER}, with_json("PUT /v2/user/kim", USER)),
    ("deleteUser", {"username": "김"}, request("DELETE /v2/user/%EA%B9%80")),
]
DESCRIPTIONS = ["petstore-2.0.json", "petstore-2.0.yaml", "petstore-3.0.json",
                "petstore-3.1.yaml"]


@pytest.mark.parametrize("spec", DESCRIPTIONS)
def test_petstore_whole(redis, server, spec):
    path = overlay(f"server: {server.url}/v2/\nexpose: [{{path: '*'}}]")
    with running(redis, spec, path) as queue:
        listed = tools(queue)
        assert set(listed) == {row[0] for row in PETSTORE} | {"uploadFile"}
        for tool, arguments, wanted in PETSTORE:
            assert sent(queue, server, tool, arguments) == wanted, tool
        check_upload(sent(queue, server, "uploadFile", {
            "petId": 1, "additionalMetadata": "m",
            "file": "data:image/png;base64," + base64.b64encode(b"\x89PNG\0").decode()}))
        check_schemas(listed)


def check_upload(raw):
    head, _, body = raw.partition("\r\n\r\n")
    boundary = re.search(r"\r\nContent-Type: multipart/form-data; boundary=(\w{32})\r\n", head)[1]
    assert body == (
        f"--{boundary}\r\nContent-Disposition: form-data; name=\"additionalMetadata\"\r\n\r\n"
        f"m\r\n--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; "
        "filename=\"file\"\r\nContent-Type: image/png\r\n\r\n\x89PNG\0\r\n"
        f"--{boundary}--\r\n")


def check_schemas(listed):
    schema = listed["addPet"]["inputSchema"]
    assert list(schema["properties"]) == ["category", "name", "photoUrls", "tags", "status",
                                          "weight"]  # id is readOnly
    assert schema["required"] == ["name", "photoUrls"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["weight"] == {"type": ["number", "null"], "exclusiveMinimum": 0}
    assert schema["properties"]["category"]["properties"]["name"] == {"type": "string"}
    order = listed["getOrderById"]["inputSchema"]["properties"]["orderId"]
    assert order == {"type": "integer", "format": "int64", "minimum": 1, "maximum": 10}
    hints = {name: [key for key, value in listed[name]["annotations"].items() if value]
             for name in ("getPetById", "addPet", "updatePet", "deletePet")}
    assert hints == {"getPetById": ["readOnlyHint", "idempotentHint", "openWorldHint"],
                     "addPet": ["destructiveHint", "openWorldHint"],
                     "updatePet": ["destructiveHint", "idempotentHint", "openWorldHint"],
                     "deletePet": ["destructiveHint", "idempotentHint", "openWorldHint"]}


# Values --------------------------------------------------------------------

ARRAY, OBJECT = ["blue", "black"], {"R": 100, "G": "a b"}


@pytest.fixture(scope="module")
def styles(server):
    path = overlay(f"server: {server.url}\nexpose: [{{path: '*'}}]")
    with Redis() as redis, running(redis, "styles.yaml", path) as queue:
        yield queue


def path_arguments(value):
    return {name: value for name in ("simple", "simple_x", "label", "label_x", "matrix",
                                     "matrix_x")}


@pytest.mark.parametrize("value, path", [
    ("a/b;c", "a%2Fb%3Bc/a%2Fb%3Bc/.a%2Fb%3Bc/.a%2Fb%3Bc/;matrix=a%2Fb%3Bc/;matrix_x=a%2Fb%3Bc"),
    (ARRAY, "blue,black/blue,black/.blue,black/.blue.black/;matrix=blue,black/"
            ";matrix_x=blue;matrix_x=black"),
    (OBJECT, "R,100,G,a%20b/R=100,G=a%20b/.R,100,G,a%20b/.R=100.G=a%20b/;matrix=R,100,G,a%20b/"
             ";R=100;G=a%20b"),
    (True, "true/true/.true/.true/;matrix=true/;matrix_x=true"),
    (1e15, "1000000000000000/1000000000000000/.1000000000000000/.1000000000000000/"
           ";matrix=1000000000000000/;matrix_x=1000000000000000"),
    (0.1, "0.1/0.1/.0.1/.0.1/;matrix=0.1/;matrix_x=0.1")])
def test_path_styles(styles, server, value, path):
    assert sent(styles, server, "paths", path_arguments(value)) == request(f"GET /path/{path}")


@pytest.mark.parametrize("value", ["", ".", "..", None, []])
def test_paths_cannot_lead_elsewhere(styles, server, value):
    before = len(server.requests())
    text = failure(styles, "paths", {**path_arguments("x"), "simple": value})
    assert "must not be" in text
    assert len(server.requests()) == before


QUERIES = [
    ({"form": ARRAY}, "form=blue&form=black"), ({"form": OBJECT}, "R=100&G=a%20b"),
    ({"form": ""}, "form="), ({"list": ARRAY}, "list=blue,black"),
    ({"list": OBJECT}, "list=R,100,G,a%20b"), ({"space": ARRAY}, "space=blue%20black"),
    ({"pipe": ARRAY}, "pipe=blue%7Cblack"),
    ({"deep": OBJECT}, "deep%5BR%5D=100&deep%5BG%5D=a%20b"),
    ({"deep": {"a": {"b": [1, {"c": 2}]}}}, "deep%5Ba%5D%5Bb%5D%5B0%5D=1&"
                                            "deep%5Ba%5D%5Bb%5D%5B1%5D%5Bc%5D=2"),
    ({"filter_x_": "1&form=2#x"}, "filter%5Bx%5D=1%26form%3D2%23x"),
    ({"free": "a/b?c&d=e+f"}, "free=a/b?c%26d%3De%2Bf"),
    ({"json": {"a": [1, "ä"]}}, "json=%7B%22a%22%3A%5B1%2C%22%C3%A4%22%5D%7D"),
    ({"form": None, "list": []}, ""), ({"form": False}, "form=false")]


@pytest.mark.parametrize("arguments, query", QUERIES)
def test_query_styles(styles, server, arguments, query):
    line = "GET /query" + ("?" + query if query else "")
    assert sent(styles, server, "queries", arguments) == request(line)


def test_headers_and_cookies(styles, server):
    listed = tools(styles)["queries"]["inputSchema"]["properties"]
    assert "Authorization" not in listed and "Host" not in listed
    assert "form_cookie" in listed  # the query has that name too
    raw = sent(styles, server, "queries", {"X-List": ARRAY, "X-Pairs": OBJECT,
                                           "form_cookie": "a; b=c"})
    assert raw == request("GET /query", "X-List: blue,black", "X-Pairs: R=100,G=a b",
                          "Cookie: form=a%3B%20b%3Dc")
    assert sent(styles, server, "queries", {"X-List": ""}) == request("GET /query", "X-List:")
    for value in ["a\r\nX-Evil: 1", "a\nb", "a\u0001"]:
        assert "X-List: must not hold line ends" in failure(styles, "queries", {"X-List": value})


def test_bodies(styles, server):
    assert sent(styles, server, "collision", {"id": "p", "id_query": "q", "body": {"id": "b"}}) \
        == with_json("POST /same/p?id=q", {"id": "b"})
    assert sent(styles, server, "form", {"a": "x y", "list": [1, 2],
                                         "address": {"city": {"zip": "1"}}}) == \
        with_body("POST /form", "application/x-www-form-urlencoded",
                  "a=x%20y&list=1&list=2&address%5Bcity%5D%5Bzip%5D=1")
    assert sent(styles, server, "raw", {"body": "plain ü"}) == \
        with_body("PUT /raw", "text/plain", "plain ü".encode().decode("latin-1"))
    assert sent(styles, server, "form", {}) == request("POST /form", "Content-Length: 0")
    assert "base64" in failure(styles, "raw", {"body": "data:x/y;base64,%%%%"})


def test_what_has_no_names_is_no_form(styles, server):
    """A list where an object must be is the model's mistake, and not the worker's end."""
    before = len(server.requests())
    for tool in ("anyForm", "anyParts"):
        for value in ([1], "x", 7, None, [{}]):
            assert "body: must be an object" in failure(styles, tool, {"body": value})
    assert server.requests()[before:] == []


def test_parts(styles, server):
    raw = sent(styles, server, "parts", {
        "text": "--x\r\n", "data": {"a": 1}, "files": ["one", "two"], "csv": "a,b"})
    head, _, body = raw.partition("\r\n\r\n")
    boundary = re.search(r"boundary=(\w+)", head)[1]
    parts = body.removesuffix(f"--{boundary}--\r\n").split(f"--{boundary}\r\n")[1:]
    name = 'Content-Disposition: form-data; name='
    file = "\r\nContent-Type: application/octet-stream\r\n\r\n"
    assert parts == [
        f'{name}"text"\r\n\r\n--x\r\n\r\n',
        f'{name}"data"\r\nContent-Type: application/json\r\n\r\n{{"a":1}}\r\n',
        f'{name}"files"; filename="files"{file}one\r\n',
        f'{name}"files"; filename="files"{file}two\r\n',
        f'{name}"csv"\r\nContent-Type: text/csv\r\n\r\na,b\r\n']


# Numbers -------------------------------------------------------------------

NUMBERS = """
server: {url}
expose: [{{path: '*'}}]
tools:
  everywhere:
    parameters:
      version: {{fixed: 1.0}}
      owner: {{fixed: 9007199254740993}}
      list: {{default: [1.50, 9007199254740993]}}
  json: {{parameters: {{owner: {{fixed: {{id: 9007199254740993, v: 2.10}}}}}}}}
  answer: {{response: {{select: [id, sum, rows.id]}}}}
"""
ID = "1234567890123456789"


@pytest.fixture(scope="module")
def numbers(server):
    """A client, and what it reads: the worker behind a proxy, all that a number passes."""
    path = overlay(NUMBERS.format(url=server.url))
    with Redis() as redis, running(redis, "numbers.yaml", path), Proxy(redis) as proxy, \
            SseClient(proxy) as client:
        until(lambda: "openapi_json" in client.tools(), 10, "the tools are listed")
        yield client


def written(client, tool, arguments):
    """The answer to a call whose arguments are that text."""
    id, client.next_id = client.next_id, client.next_id + 1
    client.asked.add(str(id))
    assert client.post_text(
        f'{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":'
        f'{{"name":"openapi_{tool}","arguments":{arguments}}}}}').status == 202
    return client.answer(id)["result"]


NUMBERS_SENT = [
    ("everywhere", f'{{"id":{ID},"price":1.50,"list":[0.10,{ID}],"deep":{{"a":{ID}}},'
     f'"json":{{"a":[{ID},2.0e-7]}},"X-Id":-{ID},"c":{ID}}}',
     request(f"GET /n/{ID}?price=1.50&list=0.10&list={ID}&deep%5Ba%5D={ID}&"
             f"json=%7B%22a%22%3A%5B{ID}%2C2.0e-7%5D%7D&version=1.0&owner=9007199254740993",
             f"X-Id: -{ID}", f"Cookie: c={ID}")),
    # Some models write whole numbers so; an id in a path is none with a fraction.
    ("everywhere", '{"id":5.0,"price":1e3}',
     request("GET /n/5?price=1000&version=1.0&owner=9007199254740993")),
    ("everywhere", '{"id":-9223372036854775808}',
     request("GET /n/-9223372036854775808?version=1.0&owner=9007199254740993")),
    ("json", f'{{"id":7,"a":[{ID},1.50,{{"x":-0.0100}}],"b":{{"n":{ID}}}}}',
     with_body("POST /n/7", "application/json",
               f'{{"a":[{ID},1.50,{{"x":-0.0100}}],"b":{{"n":{ID}}},'
               '"owner":{"id":9007199254740993,"v":2.10}}')),
    ("form", f'{{"a":1.50,"b":[{ID},2.5E+1]}}',
     with_body("POST /form", "application/x-www-form-urlencoded", f"a=1.50&b={ID}&b=25")),
]


@pytest.mark.parametrize("tool, arguments, wanted", NUMBERS_SENT)
def test_numbers_arrive_to_the_digit(numbers, server, tool, arguments, wanted):
    before = len(server.requests())
    assert "isError" not in written(numbers, tool, arguments)
    assert server.requests()[before:] == [wanted]


def test_numbers_arrive_in_parts(numbers, server):
    before = len(server.requests())
    assert "isError" not in written(numbers, "parts", f'{{"a":1.50,"b":{{"id":{ID}}}}}')
    (raw,) = server.requests()[before:]
    assert '; name="a"\r\n\r\n1.50\r\n' in raw
    assert f'Content-Type: application/json\r\n\r\n{{"id":{ID}}}\r\n' in raw


@pytest.mark.parametrize("arguments, words", [
    ('{"id":9223372036854775808}', "id: must be at most 9223372036854775807"),
    ('{"id":-9223372036854775809}', "id: must be at least -9223372036854775808"),
    ('{"id":9007199254740993.5}', "id: expected integer, got number"),
    ('{"id":1,"price":0.0999999999999999999999}', "price: must be at least 0.10"),
    ('{"id":1,"price":1.505}', "price: must be a multiple of 0.01"),
    ('{"id":1,"level":9007199254740994}',
     "level: must be one of 9007199254740993, 9007199254740995"),
    ('{"id":1e999}', "id: number is out of range"),
    (f'{{"id":0.{"1" * 400}}}', "id: expected integer, got number"),
    (f'{{"id":{"1" * 300}}}', "id: must be at most 9223372036854775807"),
    (f'{{"id":{"1" * 2000}}}', "id: number is out of range"),
    (f'{{"id":1,"price":0.{"1" * 2000}}}', "price: number is out of range")])
def test_numbers_are_held_against_the_schema_as_written(numbers, server, arguments, words):
    before = len(server.requests())
    answer = written(numbers, "everywhere", arguments)
    assert answer["isError"] is True and words in answer["content"][0]["text"]
    assert server.requests()[before:] == []


def test_numbers_of_schemas_and_answers_are_as_written(numbers):
    (answer,) = written(numbers, "answer", '{"kind":"numbers"}')["content"]
    assert answer["text"] == '{"id":1234567890123456789,"sum":1.50,"rows":[{"id":9007199254740993}]}'
    kind = numbers.tools()["openapi_answer"]["inputSchema"]["properties"]["kind"]
    assert kind == {"description": "It ends in \\", "type": "string", "pattern": "//  a|^"}
    listed = numbers.events[-1].data
    for text in ['"minimum":-9223372036854775808,"maximum":9223372036854775807',
                 '"default":1.50,"minimum":0.10', '"default":[1.50,9007199254740993]',
                 '"enum":[9007199254740993,9007199254740995]']:
        assert text in listed


# Answers -------------------------------------------------------------------

def test_answers(styles):
    def text(kind):
        answer = result(styles, "answer", {"kind": kind})
        assert "isError" not in answer
        return answer["content"][0]["text"]

    assert json.loads(text("json"))["issues"][1]["fields"]["summary"] == "둘"
    assert text("text") == "plain\n"
    assert text("notjson") == "<html>"
    assert text("empty") == "HTTP 204, without content"
    assert text("bytes") == "HTTP 200, 6 bytes of application/pdf that are no text: not shown"
    large = text("large")
    assert large.startswith("é" * 51200 + "\n[cut: 102400 of 200000 bytes")
    (picture,) = result(styles, "answer", {"kind": "png"})["content"]
    assert picture["type"] == "image" and picture["mimeType"] == "image/png"
    assert base64.b64decode(picture["data"]).startswith(b"\x89PNG")


@pytest.mark.parametrize("kind, words", [
    ("missing", ["HTTP 404: not found", '{"message":"No such thing"}']),
    ("busy", ["HTTP 429", "try again in 17 s"]), ("denied", ["HTTP 401", "operator", "who?"]),
    ("redirect", ["HTTP 302", "not followed", "169.254.169.254"]), ("down", ["HTTP 503"])])
def test_errors(styles, server, kind, words):
    text = failure(styles, "answer", {"kind": kind})
    for word in words:
        assert word in text
    assert "api_key" not in text


def test_timeouts_are_the_overlays(redis, server):
    path = overlay(f"server: {server.url}\nexpose: [{{operation: answer}}]\n"
                   "tools: {answer: {timeout: 1}}")
    with running(redis, "styles.yaml", path) as queue:
        assert "no answer in time" in failure(queue, "answer", {"kind": "stuck"})


def test_error_bodies_are_trimmed(styles):
    text = failure(styles, "answer", {"kind": "long"})
    assert len(text) < 2300 and "[cut: 2048 of 9000 bytes" in text


def test_only_what_is_safe_is_sent_again(redis, server):
    with RestServer() as fresh:
        path = overlay(f"server: {fresh.url}\nexpose: [{{path: '/answer/*'}}]")
        with running(redis, "styles.yaml", path) as queue:
            assert "503" in failure(queue, "change", {"kind": "flaky"})
            assert len(fresh.requests()) == 1
    with RestServer() as fresh:
        path = overlay(f"server: {fresh.url}\nexpose: [{{path: '/answer/*'}}]")
        with running(redis, "styles.yaml", path) as queue:
            assert "isError" not in result(queue, "answer", {"kind": "flaky"})
            assert len(fresh.requests()) == 2


# Overlays ------------------------------------------------------------------

FULL = """
server: {url}
expose:
  - operation: [answer, chan*, queries]
  - {{tag: nothing-has-it, method: GET}}
hide:
  - {{path: /query, method: post}}
defaults:
  timeout: 20
  parameters:
    free: {{hidden: true}}
tools:
  answer:
    name: get_issues
    title: Issues
    description: Says what there is.
    annotations: {{open_world: false}}
    parameters: {{kind: {{fixed: json}}}}
    response: {{select: [total, "issues[].key", issues.fields.status.name], max_bytes: 40}}
    timeout: 7
  POST /answer/{{kind}}:
    annotations: {{read_only: true, idempotent: true, destructive: false}}
    idempotency_header: Idempotency-Key
    parameters:
      kind: {{name: what, description: What to change, default: text}}
  queries:
    parameters: {{form: {{required: true}}, list: {{fixed: [1, 2]}}}}
"""


def test_overlay(redis, server):
    path = overlay(FULL.format(url=server.url))
    with running(redis, "styles.yaml", path) as queue:
        listed = tools(queue)
        assert set(listed) == {"get_issues", "change", "queries"}
        one = listed["get_issues"]
        assert (one["title"], one["description"]) == ("Issues", "Says what there is.")
        assert one["inputSchema"]["properties"] == {}
        assert one["annotations"]["openWorldHint"] is False
        assert one["_meta"] == {"mcp-relay/timeout_ms": 7000}
        change = listed["change"]
        assert change["annotations"] == {"readOnlyHint": True, "destructiveHint": False,
                                         "idempotentHint": True, "openWorldHint": True}
        assert change["inputSchema"]["properties"] == {
            "what": {"type": "string", "description": "What to change", "default": "text"}}
        assert listed["queries"]["_meta"] == {"mcp-relay/timeout_ms": 20000}
        assert "free" not in listed["queries"]["inputSchema"]["properties"]
        assert listed["queries"]["inputSchema"]["required"] == ["form"]
        text = result(queue, "get_issues", {})["content"][0]["text"]
        whole = ('{"total":2,"issues":[{"key":"A-1","fields":{"status":{"name":"open"}}},'
                 '{"key":"A-2","fields":{"status":null}}]}')
        assert text.startswith(whole[:40] + f"\n[cut: 40 of {len(whole)} bytes")
        raw = sent(queue, server, "change", {"what": "json"})
        key = re.search(r"\r\nIdempotency-Key: (\S+)\r\n", raw)[1]
        assert raw == request("POST /answer/json", f"Idempotency-Key: {key}", "Content-Length: 0")
        assert sent(queue, server, "queries", {"form": "1"}) == \
            request("GET /query?form=1&list=1,2")
        assert "rule matches no operation" in queue.worker.log_text()


# Who we are ----------------------------------------------------------------

SECRET = "s3cret-Value/+="
AUTH = """
server: {url}
expose: [{{path: "/answer/*"}}]
auth:
  - {{type: header, name: X-Key, prefix: "Key ", secret_file: key}}
  - {{type: query, name: api key, secret_file: key}}
"""


def test_secrets_go_upstream_and_nowhere_else(redis, server):
    path = overlay(AUTH.format(url=server.url).replace("api key", "api_key"), key=SECRET + "\n")
    with running(redis, "styles.yaml", path) as queue:
        query = "api_key=s3cret-Value%2F%2B%3D"
        assert sent(queue, server, "answer", {"kind": "json"}) == \
            request(f"GET /answer/json?{query}", f"X-Key: Key {SECRET}")
        # A new secret is seen without a restart.
        (path.parent / "key").write_text("other")
        until(lambda: "X-Key: Key other\r\n" in sent(queue, server, "answer", {"kind": "json"}),
              10, "the new secret is sent")
        # One that cannot be read is not used, and said once.
        (path.parent / "key").write_text("two\nlines\n")
        until(lambda: "X-Key: Key other\r\n" in sent(queue, server, "answer", {"kind": "json"})
              and "secret not read anew" in queue.worker.log_text(), 10, "it is said")
        assert SECRET not in failure(queue, "answer", {"kind": "denied"})
        assert SECRET not in queue.worker.log_text()
        assert "s3cret" not in json.dumps(queue.redis.hash("mcp_api:{openapi}"))


def test_what_the_operator_sets_is_not_the_models(redis, server):
    text = f"server: {server.url}\nexpose: [{{operation: [deletePet, loginUser]}}]\n" \
        "headers: {X-Version: '2'}\n" \
        "auth: [{type: header, name: API_KEY, secret_file: key}," \
        " {type: query, name: password, secret_file: key}]"
    with running(redis, "petstore-3.0.json", overlay(text, key="k")) as queue:
        listed = tools(queue)
        assert list(listed["deletePet"]["inputSchema"]["properties"]) == ["petId"]
        assert listed["loginUser"]["inputSchema"]["required"] == ["username"]
        assert sent(queue, server, "deletePet", {"petId": 1}) == \
            request("DELETE /pet/1?password=k", "X-Version: 2", "API_KEY: k")
        assert sent(queue, server, "loginUser", {"username": "a"}) == \
            request("GET /user/login?username=a&password=k", "X-Version: 2", "API_KEY: k")


def test_basic(redis, server):
    text = f"server: {server.url}\nexpose: [{{path: '/answer/*'}}]\n" \
        "auth: [{type: basic, user: 'me@example.com', secret_file: key}]"
    with running(redis, "styles.yaml", overlay(text, key="pa:ss")) as queue:
        value = base64.b64encode(b"me@example.com:pa:ss").decode()
        assert sent(queue, server, "answer", {"kind": "json"}) == \
            request("GET /answer/json", f"Authorization: Basic {value}")


TOKENS = """
server: {url}
expose: [{{path: "/answer/*"}}, {{path: /query}}]
auth:
  - {{type: client_credentials, token_url: "{url}/token", client_id: "id:1", secret_file: key,
      scopes: [read, "write:all"]{more}}}
"""


def test_client_credentials(redis):
    with RestServer() as server:
        path = overlay(TOKENS.format(url=server.url, more=""), key=SECRET)
        with running(redis, "styles.yaml", path) as queue:
            ids = [queue.put("answer", {"kind": "guarded"}) for _ in range(20)]
            for id in ids:
                text = queue.answer(id)["result"]["content"][0]["text"]
                assert json.loads(text) == {"token": "token-1"}
            basic = base64.b64encode(b"id%3A1:s3cret-Value%2F%2B%3D").decode()
            (asked,) = [one for one in server.requests() if one.startswith("POST /token")]
            body = "grant_type=client_credentials&scope=read%20write%3Aall"
            assert asked == "POST /token HTTP/1.1\r\nAccept: application/json\r\n" \
                "Content-Type: application/x-www-form-urlencoded\r\n" \
                f"Authorization: Basic {basic}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
            # Refused once: a new one is asked for, and the call goes again.
            urllib.request.urlopen(f"{server.url}/revoke", timeout=10).close()
            text = result(queue, "answer", {"kind": "guarded"})["content"][0]["text"]
            assert json.loads(text) == {"token": "token-2"}
            # Refused for good: an answer, and no loop.
            before = len(server.requests())
            assert "HTTP 401" in failure(queue, "answer", {"kind": "denied"})
            assert len(server.requests()) - before <= 3
            assert "token-1" not in queue.worker.log_text()
            assert SECRET not in queue.worker.log_text()


def test_client_credentials_in_the_body(redis):
    with RestServer() as server:
        path = overlay(TOKENS.format(url=server.url, more=", client_in_body: true"), key="k&")
        with running(redis, "styles.yaml", path) as queue:
            assert "isError" not in result(queue, "answer", {"kind": "guarded"})
            (asked,) = [one for one in server.requests() if one.startswith("POST /token")]
            assert asked.endswith("&client_id=id%3A1&client_secret=k%26")
            assert "Authorization" not in asked


def test_tokens_that_expire_at_once_are_used_all_the_same(redis):
    with RestServer() as server:
        path = overlay(TOKENS.format(url=server.url, more="").replace("/token", "/brief/token"),
                       key="k")
        with running(redis, "styles.yaml", path) as queue:
            assert "isError" not in result(queue, "answer", {"kind": "guarded"})
            assert len(server.requests()) == 2


def test_token_server_away(redis, server):
    text = TOKENS.format(url=server.url, more="").replace(f"{server.url}/token",
                                                          "http://127.0.0.1:1/token")
    with running(redis, "styles.yaml", overlay(text, key="k")) as queue:
        assert "token server was not reached" in failure(queue, "answer", {"kind": "json"})


FORWARD = """
server: {url}
expose: [{{path: "/answer/*"}}]
auth: [{{type: forward, name: X-Team}}, {{type: forward, name: X-Secret}}]
"""


def test_forwarded_headers_are_those_that_proxy_and_overlay_name(redis, server):
    path = overlay(FORWARD.format(url=server.url))
    with running(redis, "styles.yaml", path), \
            Proxy(redis, settings={"FORWARD_HEADERS": "x-team, X-Unused"}) as proxy:
        headers = {"X-Team": "blue; x=1", "X-Secret": "no", "X-Unused": "no", "Cookie": "a=b"}
        for given, wanted in [(headers, ["X-Team: blue; x=1"]), ({}, [])]:
            with SseClient(proxy, headers=given) as client:
                until(lambda: "openapi_answer" in client.tools(), 10, "the tool is listed")
                before = len(server.requests())
                client.text("openapi_answer", {"kind": "json"})
                assert server.requests()[before:] == [request("GET /answer/json", *wanted)]


def test_a_clients_token_ends_at_the_proxy(redis, server):
    """It lets its user in; upstream there is the worker's own credential, and no trace of it."""
    path = overlay(AUTH.format(url=server.url).replace("api key", "api_key"), key=SECRET)
    secret = "0123456789abcdef" * 4
    token = hs256(secret)
    with running(redis, "styles.yaml", path) as queue, Proxy(redis, settings={
            "AUTH_ANONYMOUS": "false", "JWT_SECRET_KEY": secret,
            "FORWARD_HEADERS": "X-Team"}) as proxy:
        with SseClient(proxy, headers={**bearer(token), "Cookie": f"t={token}"}) as client:
            until(lambda: "openapi_answer" in client.tools(), 10, "the tool is listed")
            before = len(server.requests())
            client.text("openapi_answer", {"kind": "json"})
            assert server.requests()[before:] == [
                request("GET /answer/json?api_key=s3cret-Value%2F%2B%3D", f"X-Key: Key {SECRET}")]
            assert token not in queue.worker.log_text()


def test_credentials_are_not_forwarded():
    done = subprocess.run([BIN / "mcp-proxy"], text=True, capture_output=True, check=False,
                          env=clean_environment(FORWARD_HEADERS="X-Team, Authorization"),
                          timeout=10 * PATIENCE, cwd=work_directory("forward"))
    assert done.returncode == 2
    assert 'FORWARD_HEADERS: "Authorization" is not' in done.stderr


# Where it comes from -------------------------------------------------------

def test_description_from_a_url(redis, server):
    path = overlay(f"server: {server.url}\nexpose: [{{path: '*'}}]")
    url = f"{server.url}/description/petstore-3.1.yaml"
    with running(redis, url, path, api="pets", API_NAME="pets") as queue:
        assert sent(queue, server, "getPetById", {"petId": 1}) == request("GET /pet/1")


def test_a_description_does_not_open_private_networks(redis, server):
    spec = work_directory("spec") / "spec.yaml"
    path = overlay("expose: [{path: '*'}]")
    spec.write_text(f"openapi: 3.0.0\nservers: [{{url: '{server.url}'}}]\n"
                    "paths: {/a: {get: {operationId: a}}, /b: {get: {operationId: b}, "
                    "servers: [{url: 'https://{open}.example'}]}}")
    with running(redis, str(spec), path) as queue:
        assert set(tools(queue)) == {"a"}
        assert "in no network of UPSTREAM_NETWORKS" in failure(queue, "a", {})
    with running(redis, str(spec), path, UPSTREAM_NETWORKS="127.0.0.1") as queue:
        assert sent(queue, server, "a", {}) == request("GET /a")


def test_two_replicas(redis, server):
    path = overlay(f"server: {server.url}\nexpose: [{{path: '*'}}]")
    with running(redis, "petstore-3.0.json", path) as queue:
        other = Worker("openapi", redis, "second", settings={
            "OPENAPI_SPEC": SPECS / "petstore-3.0.json", "OPENAPI_OVERLAY": path})
        with other:
            ids = [queue.put("getPetById", {"petId": n}) for n in range(200)]
            for id in ids:
                assert "isError" not in queue.answer(id)["result"]


def test_stop_with_requests_on_their_way(redis, server):
    path = overlay(f"server: {server.url}\nexpose: [{{operation: slow}}]")
    with running(redis, str(slow_spec()), path, WORKER_DRAIN_TIMEOUT=0) as queue:
        queue.put("slow", {})
        until(lambda: any("/slow" in one for one in server.requests()), 5, "it is on its way")
        assert queue.worker.stop() == 0


def slow_spec():
    directory = work_directory("spec")
    path = directory / "slow.yaml"
    path.write_text("openapi: 3.0.0\npaths: {/slow: {get: {operationId: slow}}}")
    return path


def test_a_thousand_at_once(redis):
    """1,000 upstream calls of a second each on one worker process."""
    with RestServer() as server:
        path = overlay(f"server: {server.url}\nexpose: [{{operation: slow}}]")
        with running(redis, str(slow_spec()), path, LOG_LEVEL="warn", WORKER_BATCH=1024,
                     WORKER_CONCURRENCY=1024) as queue:
            result(queue, "slow", {})
            seconds, peak = run_at_once(queue, [queue.fields("slow", {}) for _ in range(1000)])
            good = [one for one in queue.messages() if "isError" not in one["payload"]]
            print(f"{len(good)} answers in {seconds:.2f} s, {peak / 1e6:.0f} MB")
            assert len(good) == 1001
            assert seconds < 20 * PATIENCE
            if PATIENCE == 1:  # not under sanitizers
                assert peak < 100e6


# --check and what is wrong --------------------------------------------------

def check(spec, path=None, **settings):
    values = {"OPENAPI_SPEC": SPECS / spec if "://" not in str(spec) else spec,
              "OPENAPI_OVERLAY": path, **settings}
    done = subprocess.run([PROGRAM, "--check"], env=clean_environment(**values), text=True,
                          capture_output=True, check=False, timeout=60 * PATIENCE,
                          cwd=work_directory("check"))
    return done.returncode, done.stdout + done.stderr


ODD = ["templateWithoutParameter: path parameter missing is not described",
       "brokenReference: its body: the reference #/components/schemas/Nowhere leads nowhere",
       "brokenDeep: the reference #/components/schemas/Nowhere leads nowhere",
       "xmlOnly: no body that can be made: application/xml", "passwd",
       "https://example.com/paths.yaml is another document", "leads in a circle",
       "GET /broken/nothing: it is not described by an object"]


def test_odd_description_is_served_without_what_is_broken(redis, server):
    path = overlay("expose: [{path: '*'}]")
    status, text = check("odd.yaml", path)
    assert status == 0 and "skipped: 8" in text
    for words in ODD:
        assert words in text
    assert "server: https://first.example/api\n" in text
    assert "server: https://third.example\n" in text
    with running(redis, "odd.yaml",
                 overlay(f"server: {server.url}\nexpose: [{{path: '*'}}]")) as queue:
        listed = tools(queue)
        assert set(listed) == {
            "createNode", "get_nodes_id_children", "inFile", "create_node", "create_node_2",
            "anOperationWhoseNameIsMuchLongerThanAnyClientOr_1bff5227"}
        assert all(len(name) <= 56 for name in listed)
        node = listed["createNode"]["inputSchema"]
        assert node["required"] == ["name"] and "id" not in node["properties"]
        cut = node["properties"]["children"]["items"]
        assert "(cut here: see #/components/schemas/Node)" in json.dumps(cut)
        assert "oneOf" in json.dumps(node) and "discriminator" not in json.dumps(node)
        # What fits two alternatives of a oneOf goes upstream; what fits none does not.
        both = {"name": "n", "owner": {"user": "u", "nodes": {"name": "m"}}}
        assert json.dumps(both["owner"]["nodes"], separators=(",", ":")) in \
            sent(queue, server, "createNode", both)
        answer = queue.answer(queue.put("createNode", {"name": "n", "owner": {"nodes": 1}}))
        assert "owner" in answer["result"]["content"][0]["text"]
        assert answer["result"]["isError"] is True
        assert listed["inFile"]["inputSchema"]["properties"]["limit"] == {
            "type": "integer", "minimum": 1, "maximum": 100}
        assert sent(queue, server, "get_nodes_id_children", {"id": "1"}) == \
            request("GET /nodes/1/children")


def test_check_says_what_would_be_served():
    status, text = check("petstore-3.0.json", overlay("expose: [{tag: store, method: get}]"))
    assert status == 0
    assert "server: https://petstore.example/v2\n" in text
    assert "tools: 2\n" in text and "getInventory" in text and "getOrderById" in text
    assert re.search(r"tokens of the listing: about \d+ ", text)
    assert "not exposed: 18" in text
    assert "asks for credentials (api_key)" in text


def test_check_without_an_overlay_shows_what_there_is():
    status, text = check("petstore-2.0.yaml")
    assert status == 1 and "no operation is exposed" in text and "tools: 20" in text


@pytest.mark.parametrize("text, words", [
    ("expose: [{path: '*'}]\nexpsoe: 1", ":2: unknown key \"expsoe\" of an overlay; known: server"),
    ("expose:\n  - operation: a\n    tags: b", ":3: unknown key \"tags\" of a rule"),
    ("expose: [{}]", "a rule without a condition"),
    ("expose: [{operation: [1]}]", ":1: operation: must be a string"),
    ("expose: {path: x}", "must be a list of rules"),
    ("tools:\n  getPetById:\n    nmae: x", ":3: unknown key \"nmae\" of a tool"),
    ("tools:\n  a: {timeout: -1}", ":2: timeout: must be a number from 1"),
    ("tools:\n  a: {response: {max_bytes: big}}", "must be a size in bytes"),
    ("tools:\n  a: {annotations: {read_only: maybe}}", "must be true or false"),
    ("tools:\n  a: {parameters: {x: {fixed: 1, hidden: true}}}", "fixed and hidden"),
    ("server: ftp://x", "must be an http:// or https:// URL"),
    ("auth: [{type: header, secret_file: x}]", "auth of type header needs name"),
    ("tools: {a: {timeout: soon}}", ":1: timeout: must be a number from 1 to 86400"),
    ("tools: {a: {response: {select: 5}}}", ":1: select: must be a string"),
    ("auth: [{type: magic}]", "must be header, query, basic, client_credentials or forward"),
    ("auth: [{type: header, name: \"a: b\", secret_file: x}]", "parameter's name"),
    ("headers: {Host: a}", ":1: headers: \"Host\" is no header that can be set"),
    ("headers: {a b: c}", "is no header"), ("headers: {a: \"b\\nc\"}", "control characters"),
    ("a: 1\na: 2", ":2: "), ("[1, 2", "overlay.yaml:"), ("", "it is empty"),
    ("server: &a [*a]", "an alias"), ("just text", "an overlay must be an object")])
def test_mistakes_in_overlays_are_told_with_their_line(text, words):
    status, printed = check("petstore-3.0.json", overlay(text))
    assert status == 1 and words in printed, printed
    assert "overlay.yaml:" in printed


@pytest.mark.parametrize("text, words", [
    ("expose: [{operation: getPetByld}]", "the rule matches no operation"),
    ("expose: [{path: '*'}]\ntools: {nobody: {name: x}}", 'no exposed operation is called "nobody"'),
    ("expose: [{path: '*'}]\ntools: {getPetById: {parameters: {pid: {name: x}}}}",
     'no tool has the parameter "pid"'),
    ("expose: [{path: '*'}]\ndefaults: {parameters: {nothing: {hidden: true}}}",
     'no tool has the parameter "nothing"'),
    ("expose: [{operation: [getPetById, getPetByld]}]",
     'overlay.yaml:1: the rule matches no operation called "getPetByld"'),
    ("expose: [{tag: [store, stores], method: [get, patch]}]",
     'overlay.yaml:1: the rule matches no operation with the tag "stores"'),
    ("expose: [{path: [/pet/*, /pets/*]}]",
     'overlay.yaml:1: the rule matches no operation with the path "/pets/*"'),
    ("expose: [{operation: getPetById}]\nhide: [{path: '*'}]", "no operation became a tool"),
    ("hide: [{operation: getPetById}]", "no operation became a tool")])
def test_what_concerns_nothing_is_a_problem(text, words):
    status, printed = check("petstore-3.0.json", overlay(text))
    assert status == 1 and words in printed, printed


def test_parameters_that_cannot_be_hidden_or_renamed_skip_the_tool():
    text = "expose: [{tag: user}]\ntools:\n" \
        "  loginUser: {parameters: {username: {hidden: true}}}\n" \
        "  updateUser: {parameters: {username: {name: body}}}"
    status, printed = check("petstore-3.0.json", overlay(text))
    assert status == 0 and "skipped: 2" in printed
    assert "username is required: it cannot be hidden" in printed
    assert 'username cannot be called "body"' in printed


@pytest.mark.parametrize("spec, words", [
    ("nothing.yaml", "No such file"), ("parts/common.yaml", "no description of OpenAPI"),
    ("../servers/rest.py", "rest.py")])
def test_what_is_no_description_is_told(spec, words):
    status, text = check(spec, overlay("expose: [{path: '*'}]"))
    assert status == 1 and words in text


def test_check_of_a_url(server):
    path = overlay("expose: [{path: '*'}]")
    assert check(f"{server.url}/description/petstore-2.0.json", path)[0] == 0
    status, text = check(f"{server.url}/answer/missing", path)
    assert status == 1 and "answered 404" in text
    status, text = check(f"{server.url}/description/petstore-2.0.json", path,
                         OPENAPI_MAX_SPEC="1k")
    assert status == 1 and "larger than 1024 bytes" in text


@pytest.mark.parametrize("settings, words", [
    ({}, "OPENAPI_SPEC is not set"), ({"OPENAPI_SPEC": "x"}, "OPENAPI_OVERLAY is not set"),
    ({"OPENAPI_SPEC": "http://127.0.0.1:1/x", "OPENAPI_OVERLAY": "OVERLAY"}, "127.0.0.1"),
    ({"OPENAPI_SPEC": "x", "OPENAPI_OVERLAY": "OVERLAY"}, "No such file")])
def test_a_worker_that_cannot_start_its_api_says_why(redis, settings, words):
    path = overlay("expose: [{path: '*'}]")
    values = {key: path if value == "OVERLAY" else value for key, value in settings.items()}
    with Worker("openapi", redis, settings=values) as worker:
        until(lambda: words in worker.log_text(), 10, worker.tail)


def test_a_missing_secret_stops_the_start(redis, server):
    path = overlay(AUTH.format(url=server.url).replace("api key", "api_key"))
    with Worker("openapi", redis, settings={"OPENAPI_SPEC": SPECS / "styles.yaml",
                                            "OPENAPI_OVERLAY": path}) as worker:
        until(lambda: "key: No such file" in worker.log_text(), 10, worker.tail)


# What docs/apis shows -------------------------------------------------------

EXAMPLES = [("jira", 6), ("confluence", 5), ("weather", 1)]


@pytest.mark.parametrize("name, count", EXAMPLES)
def test_documented_overlays_are_right(name, count):
    status, text = check(f"{name}-excerpt.yaml", ROOT / f"docs/apis/overlays/{name}.yaml")
    assert status == 0, text
    assert f"tools: {count}\n" in text and "skipped: 0\n" in text


def test_the_guides_own_example_is_right():
    guide = (ROOT / "docs/apis/openapi.md").read_text()
    text = re.search(r"```yaml\n(.*?)```", guide, re.S)[1]
    status, printed = check("petstore-3.0.json", overlay(text))
    assert status == 0 and "tools: 4\n" in printed, printed


def example(name, server):
    """That overlay, against our server."""
    text = (ROOT / f"docs/apis/overlays/{name}.yaml").read_text()
    text = re.sub(r"^server: https://[^/\n]*", f"server: {server.url}", text, flags=re.M)
    if "server:" not in text:
        text += f"server: {server.url}\n"
    return overlay(text, **{f"{name}-token": "token"})


def test_documented_jira(redis, server):
    auth = "Authorization: Basic " + base64.b64encode(b"robot@example.com:token").decode()
    with running(redis, "jira-excerpt.yaml", example("jira", server), api="jira",
                 API_NAME="jira") as queue:
        assert sent(queue, server, "search_issues", {"jql": "project = A"}) == request(
            "GET /rest/api/3/search/jql?jql=project%20%3D%20A&fields=summary&fields=status&"
            "fields=assignee&fields=priority&fields=updated", auth)
        body = '{"transition":{"id":"31"}}'
        assert sent(queue, server, "move_issue", {"issue": "A-1", "transition": {"id": "31"}}) \
            == request("POST /rest/api/3/issue/A-1/transitions", "Content-Type: application/json",
                       auth, f"Content-Length: {len(body)}", body=body)


def test_documented_weather(redis, server):
    with running(redis, "weather-excerpt.yaml", example("weather", server)) as queue:
        raw = sent(queue, server, "get_forecast", {"latitude": "37.57", "longitude": "126.98"})
        assert raw.startswith("GET /v1/forecast?latitude=37.57&longitude=126.98&daily=weather_code,"
                              "temperature_2m_max,")
        assert "&timezone=auto" in raw and "hourly" not in raw
