"""The stdio API before tests/servers/mcp_stdio.py, as tests see it."""

import contextlib
import json
import os
import pathlib
import sys

from queues import Queue

from harness import ROOT, Worker, until

COMMAND = f"{sys.executable} {ROOT / 'tests/servers/mcp_stdio.py'}"


def settings(**more):
    return {"STDIO_COMMAND": COMMAND, "LOG_LEVEL": "debug", "WORKER_RECLAIM_IDLE": 2, **more}


@contextlib.contextmanager
def running(redis, **more):
    with Worker("stdio", redis, settings=settings(**more)) as worker:
        until(lambda: redis("EXISTS", "mcp_api:{stdio}"), 15, worker.tail)
        queue = Queue(redis, "stdio")
        queue.worker = worker
        yield queue


def result(queue, tool, seconds=15, **arguments):
    return queue.answer(queue.put(tool, arguments), seconds)["result"]


def text(queue, tool, seconds=15, **arguments):
    return result(queue, tool, seconds, **arguments)["content"][0]["text"]


def tools_of(redis):
    return json.loads(redis.hash("mcp_api:{stdio}")["catalogue"])["tools"]


def children_of(pid):
    """Processes whose parent it is, zombies included: pid and state."""
    found = {}
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found[int(path.parent.name)] = fields[0]
    return found


def exists(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    return state != "Z"


def lines(path):
    return path.read_text().splitlines() if path.exists() else []
