"""A FastMCP server behind the stdio API, beside itself: a part of `make interop`.

Two proxies, haproxy, one worker with four processes of servers/five_tools.py; a client of
FastMCP compares what it gets through them with what it gets from the server directly.
"""

import contextlib
import re
import sys

import run
from harness import Cluster, Process, Worker, clean_environment, until, work_directory

API, TOOLS = "five-tools", 5


def listed(proxy_client):
    return sum(name.startswith(f"{API}_") for name in proxy_client.tools())


def main():
    run.WORK.mkdir(parents=True, exist_ok=True)
    run.install_tools()
    run.install_python_packages(run.PYPI, run.VENVS[run.PYPI])
    python = run.VENVS[run.PYPI] / "bin" / "python"
    server = run.HERE / "servers" / "five_tools.py"
    settings = {"API_NAME": API, "STDIO_CHILDREN": 4, "STDIO_CHILD_CALLS": 2,
                "STDIO_COMMAND": f"{python} {server}"}
    directory = work_directory("bridged")
    env = clean_environment(HOME=directory, LANG="C.UTF-8", NO_PROXY="127.0.0.1")
    with contextlib.ExitStack() as stack:
        system = stack.enter_context(Cluster(workers={}, balancer=True))
        worker = Worker("stdio", system.redis, "bridged-1", settings).start(ready=False)
        stack.enter_context(worker)
        until(lambda: worker.log_text().count("server ready") == 4, 60, worker.tail)
        for index in range(len(system.proxies)):
            with system.client(index) as client:
                until(lambda: listed(client) == TOOLS, 10, "the proxy lists its tools")
        client = Process("bridged", [python, run.HERE / "clients" / "bridged.py",
                                     f"{system.balancer.url}/{API}/sse", server], directory, env)
        client.start()
        passed = client.wait(run.CLIENT_DEADLINE_S) == 0
        # The server's own log is there, too.
        print("\n".join(re.findall(r"^(?:\d+ (?:tools|calls) .*|FAILED: (?:.*\n?)+)",
                                   client.log_text(), re.M)))
    print(f"{int(passed)} passed, {int(not passed)} failed")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
