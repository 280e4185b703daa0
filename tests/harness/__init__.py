"""Runs the real programs for tests: redis-server, proxies, workers, haproxy.

Standard library only. Put tests/ on sys.path and import what you need:

    from harness import Cluster

    with Cluster(proxies=2, threads=2, workers={"calculator": 2}) as system:
        with system.client(0) as client:                   # stream on proxy 0
            client.initialize()
            text = client.text("calculator_add", {"a": 1, "b": 2}, to=system.proxies[1])

Cluster(proxies, threads, workers, proxy_env, worker_env, balancer, appendonly)
    All of it: .redis .proxies .workers .balancer, .client(i), .other(client),
    .assert_no_restart().
Redis(appendonly)
    A server of its own: redis("XLEN", key), .hash(key), .flush(), .kill(),
    .restart(), .freeze(), .thaw(), .monitor(), .command_calls(), .url, .port.
Proxy(redis, name, threads, settings, nofile), Worker(api, redis, name, settings)
    .url .host .port, .probe(path); .stop() checks exit code 0 and sanitizers.
Postgres()
    A PostgreSQL server of its own: .url, .url_as(role), .sql(text), .stop(), .start().
LoadBalancer(servers)
    haproxy, round robin, no stickiness, 60 s idle timeout: .url.
SseClient(server, path, headers)
    A legacy HTTP+SSE client: .initialize(), .call(), .text(), .tools(),
    .request(), .ask() and .answer(), .post(), .notify(), .wait(), .pump(),
    .events, .answers, .surprises, .state, .session_id, .endpoint.
RawHttp(server)
    Bytes out, responses in: .send(), .response(), .rest(), .closed().
request(server, method, target, body, headers), metrics(server)
    One request on a connection of its own.
until(condition, seconds, what)
    Polls with a deadline.

Tools carry their API's name on /sse (calculator_add); on /calculator/sse they do
not (add). Programs are found in $BIN (default bin/, below the repository's root). They see
no setting of the caller's environment, die with this process however it ends,
and keep their logs and data below build/scratch. Start them from the main
thread. Deadlines are four times longer when $BIN is an asan build.
"""

from .postgres import Postgres
from .process import (BIN, ROOT, SCRATCH, Process, clean_environment, free_port, port_is_free,
                      remove_scratch, tails, work_directory)
from .rawhttp import Chunks, RawHttp, Response, address_of, metrics, request
from .redis import Redis, RedisClient, RedisError
from .rest import RestServer
from .sse import REVISIONS, Event, EventParser, SseClient
from .steady import ACCEPTED, SteadyClient, SteadyLoad, percentile
from .system import (ALL_TOOLS, TOOLS, Cluster, LoadBalancer, Program, Proxy, Worker, loop_of,
                     plain_pod, session_hash, template)
from .threads import Threads
from .wait import PATIENCE, until

__all__ = [
    "ACCEPTED", "ALL_TOOLS", "SteadyClient", "SteadyLoad", "percentile",
    "BIN", "PATIENCE", "REVISIONS", "ROOT", "SCRATCH", "TOOLS", "Chunks", "Cluster", "Event",
    "EventParser", "LoadBalancer", "Postgres", "Process", "Program", "Proxy", "RawHttp", "Redis",
    "RedisClient", "RedisError", "RestServer", "Response", "SseClient", "Threads", "Worker",
    "address_of", "clean_environment", "free_port", "loop_of", "metrics", "plain_pod",
    "port_is_free", "remove_scratch", "request", "session_hash", "tails", "template", "until",
    "work_directory",
]
