"""A load of calls at a fixed rate, through all proxies of a system, while something else is
done to it: poison.py and isolation.py compare what it says of the latencies."""

import json
import subprocess

import packages

SESSIONS = 64


class Load:
    """The load generator on the system, until it is done."""

    def __init__(self, system, tool, rate, seconds):
        argv = [packages.bench_program("loadgen"), "--tool", tool, "--sessions", SESSIONS,
                "--rate", rate, "--seconds", seconds]
        for proxy in system.proxies:
            argv += ["--stream", proxy.url]
        self.child = subprocess.Popen([str(word) for word in argv], stdout=subprocess.PIPE,
                                      text=True)

    def ended(self):
        return self.child.poll() is not None

    def report(self):
        """What it printed, and whether every answer came and was right."""
        out = self.child.communicate()[0]
        return json.loads(out), self.child.returncode == 0


def show(name, report):
    print(f"{name:<17} {report['verified']:>8,} calls   p50 {report['p50_ms']:9.2f} ms   "
          f"p99 {report['p99_ms']:9.2f} ms   longest {report['max_ms']:9.2f} ms", flush=True)
