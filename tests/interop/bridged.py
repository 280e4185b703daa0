"""MCP servers behind the stdio API, beside themselves: a part of `make interop`.

Two proxies, haproxy, and for each server four workers with a process of it each; clients of
the Python SDK and of the TypeScript SDK compare what they get through them with what they get
from the server directly.
"""

import contextlib
import re
import sys

import run
from harness import Cluster, Process, Worker, clean_environment, until, work_directory

WORKERS = 4
SURE_CLIENTS = 8
# Servers, each with a script of what to ask it for, and settings of their workers: of eight
# calls at once each of four gets two; a server that asks must know of whom.
SERVERS = {"five-tools": ("five_tools", {"WORKER_CONCURRENCY": 2}),
           "talkative": ("talkative", {"STDIO_CHILD_CALLS": 1})}


def listed(client, api):
    return any(name.startswith(f"{api}_") for name in client.tools())


def serve(stack, system, api, python):
    """Its workers, and every proxy knows of it."""
    script, more = SERVERS[api]
    server = run.HERE / "servers" / f"{script}.py"
    settings = {"API_NAME": api, "STDIO_COMMAND": f"{python} {server}", **more}
    workers = [Worker("stdio", system.redis, f"{api}-{n + 1}", settings).start(ready=False)
               for n in range(WORKERS)]
    for worker in workers:
        stack.enter_context(worker)
    for worker in workers:
        until(lambda w=worker: "server ready" in w.log_text(), 120, worker.tail)
    # Each event loop hears of it by itself; who holds a stream the kernel decides.
    for index in SURE_CLIENTS * list(range(len(system.proxies))):
        with system.client(index) as client:
            until(lambda c=client: listed(c, api), 20, "the proxy lists its tools")
    return server


def compare(title, command, directory):
    env = clean_environment(HOME=directory, LANG="C.UTF-8", NO_PROXY="127.0.0.1")
    client = Process(re.sub(r"\W+", "-", title), command, directory, env)
    client.start()
    passed = client.wait(run.CLIENT_DEADLINE_S) == 0
    # The server's own log is there, too.
    said = re.findall(r"^(?:\d+ (?:parts|calls) .*|FAILED: (?:.*\n?)+)", client.log_text(), re.M)
    run.report("ok" if passed else "FAILED", title, "; ".join(said) or client.tail())
    return passed


def main():
    run.install()
    python = run.VENVS[run.PYPI] / "bin" / "python"
    clients = {"Python SDK": [python, run.WORK / "clients" / "bridged.py"],
               "TypeScript SDK": [run.node(), run.WORK / "clients" / "bridged.mjs", python]}
    directory = work_directory("bridged")
    verdicts = []
    with contextlib.ExitStack() as stack:
        system = stack.enter_context(Cluster(workers={}, balancer=True))
        for api in SERVERS:
            server = serve(stack, system, api, python)
            for name, command in clients.items():
                verdicts.append(compare(f"{api}, {name}", [
                    *command, f"{system.balancer.url}/{api}/sse", server,
                    server.with_suffix(".json")], directory))
    failed = verdicts.count(False)
    print(f"{len(verdicts) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
