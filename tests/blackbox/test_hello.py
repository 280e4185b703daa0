"""What an API's author does first, and what careless ones are told.

HACKING.md's API of one file is built and called as it is printed there.
"""

import os
import pathlib
import re
import subprocess

import pytest

from harness import ROOT, Cluster, Worker, clean_environment, until

# What HACKING.md promises of it.
LINES_MAX = 40


def source():
    text = (ROOT / "HACKING.md").read_text()
    (code,) = re.findall(r"^```c\n(.*?)^```$", text, re.M | re.S)
    return code


def build(directory, name, code, defines=""):
    """A program of one file, as the Makefile builds the others."""
    variant = pathlib.Path(os.environ.get("OUT", "build/release")).name
    flags, libraries = subprocess.run(
        ["make", "-s", "--no-print-directory", f"VARIANT={variant}", "print-build"], cwd=ROOT,
        capture_output=True, text=True, check=True, env=clean_environment()).stdout.splitlines()
    (directory / f"{name}.c").write_text(code)
    program = directory / f"mcp-worker-{name}"
    done = subprocess.run(f"{flags} {defines} -Werror {directory}/{name}.c {libraries} "
                          f"-o {program}",
                          shell=True, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return program


class Built(Worker):
    def __init__(self, api, redis, program):
        super().__init__(api, redis)
        self.argv = [str(program)]


def opened(system, proxy, path):
    """A stream of one API alone; None from a loop that does not know it yet."""
    try:
        return system.client(proxy, path=path)
    except ConnectionError:
        return None


def test_it_is_short():
    assert len(source().splitlines()) <= LINES_MAX


def test_it_does_what_it_says(tmp_path):
    program = build(tmp_path, "hello", source())
    with Cluster(workers={}) as system, Built("hello", system.redis, program), \
            system.client(0, path="/sse") as client:
        tool = until(lambda: client.tools().get("hello_greet"), 10, "its tool is listed")
        assert (tool["title"], tool["description"]) == ("Greet", "Says a name back.")
        other = system.proxies[1]
        # Each event loop learns of it by itself.
        until(lambda: "result" in client.request(
            "tools/call", {"name": "hello_greet", "arguments": {"name": "x"}}, other), 10,
            "the other pod knows it too")
        assert client.text("hello_greet", {"name": "Ada"}, other) == "Ada"
        wrong = client.call("hello_greet", {}, other)
        assert wrong["isError"] and "name" in wrong["content"][0]["text"]
        with until(lambda: opened(system, 1, "/hello/sse"), 10, "a stream of its own") as own:
            until(lambda: "result" in own.request(
                "tools/call", {"name": "greet", "arguments": {"name": "x"}}), 10, "known here")
            assert own.text("greet", {"name": "Grace"}) == "Grace"


CARELESS = ROOT / "tests" / "apis" / "careless.c"
# What tools do wrong, and what the client is told of it.
WRONGS = {
    "misfit": "n: expected integer, got string",
    "silent": "there is no structured content",
    "computed": "n: required integer is missing",
    "broken": "its answer is not JSON",
    "broken_block": "its answer is not JSON",
    "broken_result": "its answer is not JSON",
    "large": "larger than 1 MiB",
    "unanswered": "ended without an answer",
    "threaded": "did not answer before the call's deadline",
}


@pytest.fixture(name="careless", scope="module")
def careless_program(tmp_path_factory):
    return build(tmp_path_factory.mktemp("careless"), "careless", CARELESS.read_text())


def told(answer):
    """The text of an error, a tool's or JSON-RPC's."""
    if "error" in answer:
        return answer["error"]["message"]
    assert answer["result"]["isError"], answer
    return answer["result"]["content"][0]["text"]


def test_careless_tools_are_told(careless):
    """In the answer, which stays an answer, and in the log, with the tool's name."""
    with Cluster(workers={}, proxies=1, threads=1) as system, \
            Built("careless", system.redis, careless) as worker:
        client = until(lambda: opened(system, 0, "/careless/sse"), 10, "a stream")
        with client:
            client.initialize("2025-06-18")
            for tool, wrong in WRONGS.items():
                answer = client.request("tools/call", {"name": tool, "arguments": {}})
                assert wrong in told(answer), (tool, answer)
                assert any(f"tool={tool}" in line and "level=error" in line
                           for line in worker.log_text().splitlines()), tool
            assert told(client.request("tools/call", {"name": "failing", "arguments": {}})) \
                == "no seven today"
            for tool in ["exact", "uncut"]:
                assert client.text(tool, {}) == tool
            before = len(client.events)
            assert client.text("broken_log", {}) == "logged"
            assert len(client.events) == before + 1, "nothing unreadable was sent"
            assert worker.log_text().count("message is not strict JSON") == 2
            assert 'msg="call used on a thread"' in worker.log_text()
            assert client.text("twice", {}) == "one"
            assert 'msg="second answer refused"' in worker.log_text()
            assert client.text("blocking", {}) == "slept"
            assert 'msg="tool blocked the event loop" tool=blocking' in worker.log_text()
        with system.client(path="/careless/sse") as client:
            client.request("initialize", {
                "protocolVersion": "2025-06-18", "capabilities": {"roots": {}},
                "clientInfo": {"name": "test", "version": "1"}})
            assert client.text("broken_ask", {}) == "params are not strict JSON"


def run(program, *arguments, **environment):
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False,
                          timeout=60, env=clean_environment(**environment))


def test_check_lists_what_an_api_offers(careless):
    done = run(careless, "--check")
    assert done.returncode == 0, done
    assert done.stdout.splitlines()[:2] == ["tool\tmisfit", "tool\tsilent"]


def test_settings_for_tools_that_are_none_are_told(careless):
    done = run(careless, "--check", SAFE_TOOLS="silent,slient", TOOL_TIMEOUTS="misfit=3,fitmis=3")
    assert done.returncode == 0
    told = [line for line in done.stderr.splitlines() if "names no tool of this API" in line]
    assert len(told) == 2, done
    assert any("setting=SAFE_TOOLS tool=slient" in line for line in told)
    assert any("setting=TOOL_TIMEOUTS tool=fitmis" in line for line in told)


def test_check_says_what_is_wrong(tmp_path):
    code = CARELESS.read_text().replace('.name = "silent"', '.name = "misfit"')
    done = run(build(tmp_path, "careless", code), "--check")
    assert done.returncode == 1
    assert 'reason="tool \\"misfit\\": name: taken"' in done.stderr, done


def test_settings_must_fit_their_struct(tmp_path):
    """What would be written beyond it is refused before anything is loaded."""
    done = run(build(tmp_path, "careless", CARELESS.read_text(), "-DFORGETFUL"))
    assert done.returncode == 1
    assert "CARELESS_MOOD: its field lies outside of options_size" in done.stderr, done


@pytest.mark.parametrize("row, words", [
    ('{ "LOG_LEVEL", CONFIG_STRING, 0, NULL, 0, 0, NULL, "level" }',
     "LOG_LEVEL: the name is taken"),
    ('{ "CARELESS_MOOD", CONFIG_STRING, 0, NULL, 0, 0, NULL, "again" }',
     "CARELESS_MOOD: the name is taken"),
    ('{ "CARELESS_WAY", CONFIG_ENUM, 0, NULL, 0, 0, NULL, "how" }', "it has no choices"),
    ('{ "CARELESS_WAY", CONFIG_UINT, 0, NULL, 0, 0, NULL, NULL }', "it has no help")])
def test_rows_of_settings_must_be_whole(tmp_path, row, words):
    code = CARELESS.read_text().replace("\t{ .env = NULL },", f"\t{row},\n\t{{ .env = NULL }},")
    done = run(build(tmp_path, "careless", code), "--print-config")
    assert done.returncode == 1 and words in done.stderr, done
