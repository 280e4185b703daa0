"""What is measured: each system is a context manager that starts its processes,
says where they listen, and ends them.

    urls   where streams are opened, one per pod; POSTs go to the next one
    pids   {name: pid} of what serves; Redis is called "redis"
    tool   the name of its echo tool, which returns its argument `text`
"""

import contextlib
import json
import resource

from harness import (Process, Proxy, Redis, SseClient, Worker, clean_environment, until,
                     work_directory)
import packages

START_S = 30
# 18,000 streams in one process, and what else it has open.
FILES = 20000


def files_limit():
    """A limit of open files that fits FILES; above the hard limit only root may."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return FILES if hard == resource.RLIM_INFINITY else max(FILES, hard)


class System:
    """Starts the processes of a system in order, and ends them in reverse."""

    name = ""
    tool = "echo"
    redis = None

    def __init__(self):
        self.stack = contextlib.ExitStack()
        self.urls = []
        self.pids = {}

    def __enter__(self):
        with contextlib.ExitStack() as self.stack:
            self.start()
            self.stack = self.stack.pop_all()
        return self

    def __exit__(self, *exc):
        return self.stack.__exit__(*exc)

    def start(self):
        raise NotImplementedError

    def add(self, process, name=None):
        """Starts a process; its CPU and memory are measured."""
        self.stack.enter_context(process)
        self.pids[name or process.name] = process.pid
        return process

    def add_redis(self, appendonly=None):
        self.redis = self.add(Redis(appendonly), "redis")

    def add_announcing(self, name, argv, **settings):
        """Starts a process that prints a JSON object once it serves: that."""
        env = clean_environment(NODE_ENV="production", **settings)
        process = Process(name, argv, work_directory(name), env, files_limit())
        self.stack.enter_context(process)

        def announced():
            assert process.alive(), f"{name} ended\n{process.tail()}"
            lines = [line for line in process.log_text().splitlines() if line.startswith("{")]
            return json.loads(lines[0]) if lines else None

        return until(announced, START_S, lambda: f"{name} serves\n{process.tail()}")

    def add_server(self, name, argv, **settings):
        """The same for a server of one process that prints its url and pid."""
        said = self.add_announcing(name, argv, **settings)
        self.urls.append(said["url"])
        self.pids[name] = said["pid"]


class Relay(System):
    """This project: proxies of one loop each, one worker, Redis."""

    name = "mcp-relay"
    tool = "conformance_echo"

    def __init__(self, proxies=2, appendonly=None):
        super().__init__()
        self.proxies = proxies
        self.appendonly = appendonly

    def start(self):
        self.add_redis(self.appendonly)
        self.add(Worker("conformance", self.redis, "worker"))
        for letter in "abcdefgh"[:self.proxies]:
            proxy = self.add(Proxy(self.redis, f"proxy-{letter}", 1,
                                   {"TRUSTED_HOPS": 1}, nofile=files_limit()))
            self.urls.append(proxy.url)
            self.wait_for_tool(proxy)

    def wait_for_tool(self, proxy):
        with SseClient(proxy) as client:
            until(lambda: self.tool in client.tools(), START_S,
                  lambda: f"{proxy.name} lists {self.tool}\n{proxy.tail()}")


class BarePath(System):
    """The least that carries a call: see barepath.c."""

    name = "bare path"

    def __init__(self, fault=None, every=1000):
        super().__init__()
        self.options = ["--fault", fault, "--every", every] if fault else []

    def start(self):
        self.add_redis()
        said = self.add_announcing("barepath", [
            packages.bench_program("barepath"), "--redis", f"127.0.0.1:{self.redis.port}",
            *self.options])
        self.urls = said["urls"]
        self.pids |= said["pids"]


class BareRedis(System):
    """Only Redis: redis_rtt brings both ends of the round trip."""

    name = "bare Redis"

    def start(self):
        self.add_redis()


class TsSdk(System):
    """The TypeScript SDK's SSE server, one process."""

    name = "TS SDK"

    def start(self):
        self.add_server("ts-sdk", packages.node_command("ts-sdk"))


class McpHandler(System):
    """mcp-handler's SSE over Redis, two processes: the closest peer."""

    name = "mcp-handler"

    def start(self):
        self.add_redis()
        for letter in "ab":
            self.add_server(f"mcp-handler-{letter}", packages.node_command("mcp-handler"),
                            REDIS_URL=self.redis.url)


class FastMcp(System):
    """FastMCP's SSE server, one process."""

    name = "FastMCP"

    def start(self):
        self.add_server("fastmcp", packages.python_command("fastmcp"))


PEERS = (McpHandler, TsSdk, FastMcp)
