"""A whole system on this machine: `make run`.

Starts redis-server, two proxies, two calculator workers and haproxy in front of
them, all below build/run; proves with one session that a POST may land on any
pod; prints how to connect, and serves until Ctrl-C. Nothing outlives it.
"""

import argparse
import fcntl
import json
import pathlib
import re
import shutil
import signal
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from harness import (ROOT, Cluster, Process, SseClient, free_port,  # noqa: E402
                     plain_pod, port_is_free, template, until)

PREFERRED_PORT = 9100


class Stop(Exception):
    """Ctrl-C, or the like."""


def on_signal(number, frame):
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)  # one is enough: the rest is orderly
    raise Stop(signal.Signals(number).name)


# The proof ----------------------------------------------------------------

def ms(seconds):
    return f"{seconds * 1000:7.1f} ms"


def row(step, who, took):
    print(f"  {step:<38} {who:<32} {took}")


class Proof:
    """One session through the load balancer, with what Redis saw of it."""

    def __init__(self, system):
        self.system = system
        self.crossed = 0

    def run(self):
        print("\nOne session, each POST wherever the load balancer sends it:\n")
        began = time.monotonic()
        with SseClient(self.system.balancer) as client:
            self.client = client
            self.holder = client.response.header("X-Served-By")
            row("GET /sse -> endpoint", f"{self.holder} holds the stream",
                ms(time.monotonic() - began))
            self._step("initialize", {
                "protocolVersion": "2024-11-05", "capabilities": {},
                "clientInfo": {"name": "make-run", "version": "1"}})
            self._step("tools/list", {})
            while self.crossed == 0:
                self._call("calculator_add", 2, 3, "5")
                self._call("calculator_divide", 1, 8, "0.125")

    def _step(self, method, params):
        taker, answered, answer, _ = self._exchange(method, params)
        self._row_of_post(method, taker)
        row("     answer on the stream", f"{self.holder} wrote it", ms(answered))
        assert "result" in answer, answer

    def _call(self, tool, a, b, expected):
        params = {"name": tool, "arguments": {"a": a, "b": b}}
        with self.system.redis.monitor() as lines:
            taker, answered, answer, asked_at = self._exchange("tools/call", params)
            queued, ran = until(lambda: self._seen(lines()), 5, "the call in Redis")
        text = answer["result"]["content"][0]["text"]
        assert text == expected, answer
        self.crossed += taker != self.holder
        self._row_of_post(f"{tool}({a}, {b})", taker)
        row("     queued in Redis", "mcp_requests:{calculator}", ms(queued - asked_at))
        row("     run", f"{ran[1]} answered it", ms(ran[0] - asked_at))
        row(f"     answer on the stream: {text}", f"{self.holder} wrote it", ms(answered))

    def _row_of_post(self, what, taker):
        crossed = ", not the holder" if taker != self.holder else ""
        row(f"POST {what} -> 202", f"{taker} took it{crossed}", ms(self.accepted))

    def _exchange(self, method, params):
        asked_at, began = time.time(), time.monotonic()
        id = self.client.next_id
        self.client.next_id += 1
        self.client.asked.add(json.dumps(id))
        response = self.client.post(
            {"jsonrpc": "2.0", "id": id, "method": method, "params": params})
        self.accepted = time.monotonic() - began
        assert response.status == 202, response
        answer = self.client.answer(id)
        return (response.header("X-Served-By"), time.monotonic() - began, answer, asked_at)

    def _seen(self, lines):
        """When the call was queued, and when and by whom it was answered."""
        queued = ran = None
        for line in lines:
            stamp, where, command, key = re.match(
                r'([\d.]+) \[\d+ (\S+)\] "(\w+)"(?: "([^"]*)")?', line).groups()
            if command.upper() == "XADD" and key == "mcp_requests:{calculator}":
                queued = float(stamp)
            if command.upper() == "XADD" and key.startswith("mcp_replies:"):
                ran = float(stamp), self._connection(where)
        return (queued, ran) if queued and ran else None

    def _connection(self, address):
        """The name that the program at this address gave its connection."""
        for line in self.system.redis("CLIENT", "LIST").splitlines():
            fields = dict(part.partition("=")[::2] for part in line.split(" "))
            if fields["addr"] == address:
                return plain_pod(fields["name"]) or address
        return address


# What to do with it -------------------------------------------------------

class Supervisor:
    """Keeps the programs running until a signal comes, as a kubelet would.

    One that ends is started again on its port; one that ends over and over is
    given up, and all with it.
    """

    LIMIT, WINDOW = 5, 30.0  # ends within so many seconds

    def __init__(self, system):
        self.ends = {program: [] for program in
                     [system.redis, *system.programs(), system.balancer]}

    def serve(self):
        while True:
            for program in self.ends:
                if not program.alive():
                    self._restart(program)
            time.sleep(0.5)

    def _restart(self, program):
        now = time.monotonic()
        recent = [at for at in self.ends[program] if now - at < self.WINDOW]
        if len(recent) == self.LIMIT:
            sys.exit(f"{program.name} ends again and again\n{program.tail()}")
        self.ends[program] = [*recent, now]
        print(f"{program.name} {self._how(program.wait())}; starting it again", flush=True)
        Process.start(program)

    @staticmethod
    def _how(code):
        if code < 0:
            return f"was ended by {signal.Signals(-code).name}"
        return f"ended with exit code {code}"


def invite_kills(system):
    """What to type to see that a pod may go."""
    print("Pods may go at any time; what ends is started again:")
    for program in system.programs():
        print(f"    kill -9 {program.pid:<8} # {program.name}")


def invite_looks(system):
    """Where its Redis is, and what a further worker needs to join."""
    print("Its Redis and its metrics, and how another API joins it:")
    print(f"    redis-cli -p {system.redis.port} XLEN 'mcp_requests:{{calculator}}'")
    print(f"    curl -s {system.balancer.url}/metrics")
    print(f"    REDIS_URL={system.redis.url} POD_NAME=hello-1 bin/mcp-worker-hello")


def own_directory(name):
    """An empty directory and the lock that keeps a second run out of it."""
    directory = ROOT / "build" / name
    directory.parent.mkdir(exist_ok=True)
    lock = open(directory.parent / f"{name}.lock", "w", encoding="ascii")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"make run: another one is serving from build/{name}")
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    return directory, lock


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--once", action="store_true", help="stop after the proof")
    parser.add_argument("--name", default="run", help="directory below build/ (run)")
    options = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)
    directory, lock = own_directory(options.name)
    port = PREFERRED_PORT if port_is_free(PREFERRED_PORT) else free_port()
    began = time.monotonic()
    print("Starting redis-server, two proxies, two calculator workers and haproxy …", flush=True)
    try:
        with lock, Cluster(workers={"calculator": 2}, balancer=True, balancer_port=port,
                           proxy_env={"TRUSTED_HOPS": 1}, appendonly="everysec",
                           directory=directory) as system:
            up = time.monotonic() - began
            Proof(system).run()
            print(template("settings.txt", url=system.balancer.url + "/sse",
                           base=system.balancer.url))
            print(f"Up in {up:.1f} s; logs are in build/{options.name}.")
            if not options.once:
                invite_kills(system)
                invite_looks(system)
                print(f"Serving on {system.balancer.url}/sse until Ctrl-C.", flush=True)
                Supervisor(system).serve()
    except Stop as stop:
        print(f"\n{stop}: stopped.")


if __name__ == "__main__":
    main()
