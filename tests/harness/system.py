"""The programs of this project, the load balancer, and a whole system of them."""

import contextlib
import re
import string

from .process import BIN, ROOT, Process, clean_environment, free_port, work_directory
from .rawhttp import request
from .redis import Redis
from .sse import SseClient
from .wait import until

TEMPLATES = ROOT / "tests" / "local"

# As /sse lists them: /<api>/sse gives the same ones without the API's name.
TOOLS = {
    "calculator": {f"calculator_{name}" for name in ("add", "subtract", "multiply", "divide")},
    "conformance": {f"conformance_{name}" for name in (
        "echo", "ledger_append", "ledger_contains", "sleep", "stubborn", "pair", "brief",
        "identity", "poison", "wedge", "compute",
        "test_simple_text", "test_image_content", "test_audio_content", "test_embedded_resource",
        "test_multiple_content_types", "test_resource_link", "test_error_handling", "test_raw",
        "test_tool_with_logging", "test_tool_with_progress", "test_reconnection", "test_flood",
        "test_sampling", "test_elicitation", "test_elicitation_sep1034_defaults",
        "test_elicitation_sep1330_enums", "test_elicitation_url", "test_roots",
        "test_touch", "test_change_lists",
        "json_schema_2020_12_tool")},
    # The proxy's own: they have the same names everywhere.
    "session": {"health_check", "get_user_sessions", "get_session_analytics", "list_all_tools"},
}
ALL_TOOLS = set().union(*TOOLS.values())


def template(name, **values):
    """A file of tests/local with its ${names} filled in."""
    return string.Template((TEMPLATES / name).read_text()).substitute(values)


class Program(Process):
    """One of ours: must end with exit code 0 and without a sanitizer's report."""

    def stop(self, seconds=20):
        code = super().stop(seconds)
        report = self.sanitizer_report()
        assert report is None, f"{self.name}: {report}"
        assert code == 0, f"{self.name} ended with {code}\n{self.tail()}"
        return code

    def checked_kill(self):
        """kill -9 at the end of a test; still no sanitizer's report."""
        self.kill()
        report = self.sanitizer_report()
        assert report is None, f"{self.name}: {report}"


class Proxy(Program):
    """bin/mcp-proxy on a free port. settings: more of its environment."""

    def __init__(self, redis, name="pod-a", threads=2, settings=None, nofile=None,
                 directory=None, port=None):
        self.host, self.port = "127.0.0.1", port or free_port()
        self.url = f"http://{self.host}:{self.port}"
        values = {
            "POD_NAME": name, "MCP_SERVER_HOST": self.host, "MCP_SERVER_PORT": self.port,
            "PROXY_THREADS": threads, "REDIS_URL": redis.url, "DRAIN_DELAY": 0}
        values.update(settings or {})
        super().__init__(name, [BIN / "mcp-proxy"], directory, clean_environment(**values),
                         nofile)

    def start(self, ready=True):
        """Starts it and waits for /readyz to answer 200."""
        super().start()
        if ready:
            until(self.is_ready, 10, lambda: f"/readyz of {self.name} answers 200\n{self.tail()}")
        return self

    def is_ready(self):
        assert self.alive(), f"{self.name} ended with {self.returncode}\n{self.tail()}"
        return self.probe("/readyz") == 200

    def probe(self, path):
        """The status of a GET, or None when nobody answers."""
        try:
            return request(self, "GET", path, timeout=2).status
        except (OSError, EOFError):
            return None


class Worker(Program):
    """bin/mcp-worker-<program> (the API's name); ready when its heartbeat is in Redis."""

    def __init__(self, api, redis, name=None, settings=None, directory=None, program=None):
        self.api, self.redis = api, redis
        name = name or f"{api}-1"
        values = {"POD_NAME": name, "REDIS_URL": redis.url}
        values.update(settings or {})
        super().__init__(name, [BIN / f"mcp-worker-{program or api}"], directory,
                         clean_environment(**values))

    def start(self, ready=True):
        before = self._known() if ready else None
        super().start()
        if ready:
            until(lambda: self._joined(before), 10,
                  lambda: f"heartbeat of {self.name}\n{self.tail()}")
        return self

    def _known(self):
        return set(self.redis("ZRANGE", f"mcp_workers:{{{self.api}}}", 0, -1))

    def _joined(self, before):
        assert self.alive(), f"{self.name} ended with {self.returncode}\n{self.tail()}"
        return any(worker not in before and worker.startswith(self.name)
                   for worker in self._known())


class LoadBalancer(Process):
    """haproxy, round robin without stickiness, with an ALB's idle timeout."""

    def __init__(self, servers, directory=None, port=None, name="haproxy"):
        directory = directory or work_directory(name)
        self.host, self.port = "127.0.0.1", port or free_port()
        self.url = f"http://{self.host}:{self.port}"
        lines = [f"\tserver {server.name} {server.host}:{server.port} check" for server in servers]
        config = directory / "haproxy.cfg"
        config.write_text(template("haproxy.cfg", port=self.port, servers="\n".join(lines)))
        super().__init__(name, ["haproxy", "-db", "-f", config], directory)

    def start(self):
        """Starts it and waits until it reaches a server."""
        super().start()
        until(self._answers, 10, lambda: f"haproxy reaches a proxy\n{self.tail()}")
        return self

    def _answers(self):
        assert self.alive(), f"haproxy ended\n{self.tail()}"
        try:
            return request(self, "GET", "/readyz", timeout=2).status == 200
        except (OSError, EOFError):
            return False


class Cluster:
    """Redis, proxies and workers; with balancer=True also a load balancer.

    with Cluster() as system:
        with system.client(0) as client:
            client.text("calculator_add", {"a": 1, "b": 2}, to=system.proxies[1])

    proxies: how many, `threads` event loops each. workers: {api: how many}.
    proxy_env, worker_env: more settings for all of them. redis: an existing
    server to use instead of one of its own, which keeps what `appendonly` says
    (None, "everysec", "always"). On leaving, every program is
    stopped in order and must end cleanly.
    """

    def __init__(self, proxies=2, threads=2, workers=None, proxy_env=None, worker_env=None,
                 balancer=False, redis=None, appendonly=None, directory=None,
                 balancer_port=None):
        if workers is None:
            workers = {"calculator": 2, "conformance": 2}
        directory = directory or work_directory("system")
        self.directory = directory
        self.threads = threads
        self.own_redis = redis is None
        (directory / "redis").mkdir(exist_ok=True)
        self.redis = redis or Redis(appendonly, directory / "redis")
        self.proxies = [
            Proxy(self.redis, f"pod-{letter}", threads, proxy_env, directory=directory)
            for letter in string.ascii_lowercase[:proxies]]
        self.workers = [
            Worker(api, self.redis, f"{api}-{n + 1}", worker_env, directory)
            for api, count in workers.items() for n in range(count)]
        self.balancer = None
        if balancer:
            self.balancer = LoadBalancer(self.proxies, directory, balancer_port)
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            if self.own_redis:
                stack.enter_context(self.redis)
            for program in self.workers + self.proxies:
                stack.enter_context(program)
            if self.balancer:
                stack.enter_context(self.balancer)
            self.wait_catalogue()
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *exc):
        return self.stack.__exit__(*exc)

    def wait_catalogue(self, seconds=10):
        """Waits until every proxy lists the tools of every worker's API.

        Each event loop reads the catalogues for itself, and a connection belongs
        to one: so each proxy is asked over several.
        """
        apis = {worker.api for worker in self.workers}
        wanted = set().union(*(TOOLS.get(api, set()) for api in apis))
        for proxy in self.proxies:
            with SseClient(proxy) as client:
                for _ in range(4 * self.threads):
                    until(lambda: wanted <= set(client.tools()), seconds,
                          lambda: f"{proxy.name} lists {sorted(wanted)}")
                    client.drop_posts()

    def client(self, proxy=0, **options):
        """An SseClient whose stream is on that proxy (an index)."""
        return SseClient(self.proxies[proxy], **options)

    def other(self, client):
        """A proxy that does not hold the client's stream."""
        return next(proxy for proxy in self.proxies if proxy is not client.server)

    def programs(self):
        return [*self.proxies, *self.workers]

    def assert_no_restart(self):
        """Every program that was started still runs, and was started once."""
        for program in self.programs():
            assert program.alive(), f"{program.name} ended\n{program.tail()}"
            assert program.starts == 1, f"{program.name} started {program.starts} times"


def session_hash(redis, client):
    """The session's record in Redis."""
    return redis.hash(f"mcp_session:{{{client.session_id}}}")


def loop_of(redis, client):
    """Name of the pod and loop that owns the client's stream."""
    return redis.hash(f"mcp_transport:{{{client.session_id}}}").get("pod", "")


def plain_pod(name):
    """A pod's name without what its loop and start added."""
    return re.split(r"[.:/~]", name)[0]
