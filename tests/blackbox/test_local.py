"""tests/local/run.py, which is `make run`."""

import os
import pathlib
import re
import signal
import subprocess
import time

import pytest

from harness import PATIENCE, ROOT, SseClient, request, until

RUN = ["/usr/bin/python3", "tests/local/run.py", "--name"]


def processes_in(directory):
    """Ids of the processes whose working directory is below that one."""
    found = []
    for proc in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            cwd = os.readlink(proc / "cwd")
            state = (proc / "stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            continue
        if cwd.startswith(str(directory)) and state != "Z":
            found.append(int(proc.name))
    return found


def start(name):
    return subprocess.Popen([*RUN, name], cwd=ROOT, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True)


def read_until(child, pattern):
    """Its output up to the line that matches."""
    seen = ""
    for line in child.stdout:
        seen += line
        if re.search(pattern, line):
            return seen
    raise AssertionError(f"ended without {pattern}:\n{seen}")


def test_once():
    began = time.monotonic()
    done = subprocess.run([*RUN, "run-once", "--once"], cwd=ROOT, text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=60 * PATIENCE)
    assert done.returncode == 0, done.stdout
    assert time.monotonic() - began < 15 * PATIENCE
    assert re.search(r"Up in (\d+\.\d) s", done.stdout)
    assert float(re.search(r"Up in (\d+\.\d) s", done.stdout)[1]) < 10 * PATIENCE
    assert re.search(r"GET /sse -> endpoint +pod-[ab] holds the stream +\d+\.\d ms", done.stdout)
    assert re.search(r"pod-[ab] took it, not the holder +\d+\.\d ms", done.stdout)
    assert re.search(r"run +\S*calculator-[12]\S* answered it", done.stdout), done.stdout
    assert '"mcpServers"' in done.stdout and "mcp-remote" in done.stdout
    assert processes_in(ROOT / "build/run-once") == []


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 0), (signal.SIGTERM, 0),
                                          (signal.SIGKILL, -9)])
def test_serves_until_stopped_and_leaves_nothing(number, code):
    name = f"run-{number}"
    child = start(name)
    try:
        output = read_until(child, "^Serving on ")
        host, port = re.search(r"Serving on http://([\d.]+):(\d+)/sse", output).groups()
        assert request((host, int(port)), "GET", "/readyz").status == 200
        assert len(processes_in(ROOT / "build" / name)) == 6
        child.send_signal(number)
        assert child.wait(30 * PATIENCE) == code, child.stdout.read()
    finally:
        child.kill()
    until(lambda: processes_in(ROOT / "build" / name) == [], 10, "no process is left")


def test_starts_again_what_was_killed():
    child = start("run-killed")
    try:
        output = read_until(child, "^Serving on ")
        url = re.search(r"Serving on http://([\d.]+):(\d+)/sse", output)
        for name in ("pod-a", "calculator-2"):
            victim = int(re.search(rf"kill -9 (\d+) +# {name}\n", output)[1])
            os.kill(victim, signal.SIGKILL)
            read_until(child, f"^{name} was ended by SIGKILL; starting it again")
            assert victim not in processes_in(ROOT / "build/run-killed")
        until(lambda: len(processes_in(ROOT / "build/run-killed")) == 6, 10, "six programs again")
        with SseClient((url[1], int(url[2]))) as client:
            client.initialize()
            assert client.text("calculator_add", {"a": 2, "b": 3}) == "5"
        child.terminate()
        assert child.wait(30 * PATIENCE) == 0, child.stdout.read()
    finally:
        child.kill()


def test_second_run_in_one_directory_is_refused():
    child = start("run-twice")
    try:
        read_until(child, "^Serving on ")
        again = subprocess.run([*RUN, "run-twice", "--once"], cwd=ROOT, text=True, check=False,
                               capture_output=True, timeout=30)
        assert again.returncode == 1 and "run-twice" in again.stderr
        assert len(processes_in(ROOT / "build/run-twice")) == 6
        child.terminate()
        assert child.wait(30 * PATIENCE) == 0
    finally:
        child.kill()
