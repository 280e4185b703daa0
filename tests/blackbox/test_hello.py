"""HACKING.md's API of one file: what it says is built and called."""

import os
import pathlib
import re
import subprocess

from harness import ROOT, Cluster, Worker, clean_environment, until

# What HACKING.md promises of it.
LINES_MAX = 40


def source():
    text = (ROOT / "HACKING.md").read_text()
    (code,) = re.findall(r"^```c\n(.*?)^```$", text, re.M | re.S)
    return code


def build(directory):
    """A program of that one file, as the Makefile builds the others."""
    variant = pathlib.Path(os.environ.get("OUT", "build/release")).name
    flags, libraries = subprocess.run(
        ["make", "-s", "--no-print-directory", f"VARIANT={variant}", "print-build"], cwd=ROOT,
        capture_output=True, text=True, check=True, env=clean_environment()).stdout.splitlines()
    (directory / "hello.c").write_text(source())
    program = directory / "mcp-worker-hello"
    done = subprocess.run(f"{flags} -Werror {directory}/hello.c {libraries} -o {program}",
                          shell=True, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return program


class Hello(Worker):
    def __init__(self, redis, program):
        super().__init__("hello", redis)
        self.argv = [str(program)]


def opened(system):
    """A stream of that API alone; None from a loop that does not know it yet."""
    try:
        return system.client(1, path="/hello/sse")
    except ConnectionError:
        return None


def test_it_is_short():
    assert len(source().splitlines()) <= LINES_MAX


def test_it_does_what_it_says(tmp_path):
    program = build(tmp_path)
    with Cluster(workers={}) as system, Hello(system.redis, program), \
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
        with until(lambda: opened(system), 10, "a stream of its own") as own:
            until(lambda: "result" in own.request(
                "tools/call", {"name": "greet", "arguments": {"name": "x"}}), 10, "known here")
            assert own.text("greet", {"name": "Grace"}) == "Grace"
