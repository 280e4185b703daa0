"""The table of docs/BENCHMARKS.md: `make bench`.

    run.py [--smoke] [--write] [--seconds S] [--rounds N] [--only SYSTEM ...]

Measures this project beside the bare path, a bare Redis round trip and the peers
that users would pick instead. Everything runs on this machine, the load
generator included, one system at a time, each freshly started for each run; the
rounds are interleaved, because only ratios inside one round mean something on a
shared machine. Every answer of every run is checked.

--smoke   a short run without the peers, which fails when answers are wrong (not
          when they are slow), and shows that wrong answers would be noticed
--write   puts the table into docs/BENCHMARKS.md; nothing else writes into the tree

The exit code is 1 when an answer was wrong, whatever the speed.
"""

import argparse
import os
import pathlib
import platform
import re
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from harness import ROOT, remove_scratch  # noqa: E402
import measure  # noqa: E402
import packages  # noqa: E402
from results import CONCURRENCIES, Results, table  # noqa: E402
from systems import PEERS, BarePath, BareRedis, Relay  # noqa: E402

DOCUMENT = ROOT / "docs" / "BENCHMARKS.md"
BEGIN, END = "<!-- make bench: begin -->", "<!-- make bench: end -->"
NEW_DOCUMENT = f"# Benchmarks\n\n`make bench BENCH_ARGS=--write` writes what follows.\n\n" \
    f"{BEGIN}\n{END}\n"

FEW_SESSIONS, MANY_SESSIONS = 100, 18000
IDLE_SESSIONS = (1000, MANY_SESSIONS)
OPENED_SESSIONS = 5000
# Calls per second where the number of sessions is what changes: some way below
# what the machine can do, so that no queue builds up.
STEADY_RATE = 4000


# What is run ----------------------------------------------------------------

class Plan:
    """A run of everything asked for."""

    def __init__(self, options):
        self.options = options
        self.results = Results()

    def wants(self, system):
        return not self.options.only or system.name in self.options.only

    def run(self, system, measurement, *args):
        """Measures a freshly started system, if it is asked for."""
        if not self.wants(system):
            return
        with system:
            measurement(self.results, system, *args)

    def calls(self, concurrencies):
        seconds = self.options.seconds
        for c in concurrencies:
            self.run(Relay(), measure.calls, c, seconds)
            self.run(BarePath(), measure.calls, c, seconds)
            self.run(BareRedis(), measure.round_trip, c, seconds)

    def peers(self):
        for peer in PEERS:
            self.run(peer(), measure.calls, 64, self.options.seconds)
            self.run(peer(), measure.idle, IDLE_SESSIONS[0])

    def sessions(self):
        """What sessions cost; one process holds them all."""
        for system in (Relay, BarePath):
            self.run(system(), measure.opens, OPENED_SESSIONS)
        for sessions in IDLE_SESSIONS:
            self.run(Relay(proxies=1), measure.idle, sessions)
        for key, sessions in (("few", FEW_SESSIONS), ("many", MANY_SESSIONS)):
            self.run(Relay(proxies=1), measure.steady, key, sessions, STEADY_RATE,
                     self.options.seconds)

    def faults(self):
        for kind in measure.FAULTS:
            self.run(BarePath(kind, every=500), measure.fault, kind)

    def full(self):
        if any(self.wants(peer) for peer in PEERS):
            packages.install()
        for turn in range(self.options.rounds):
            print(f"round {turn + 1} of {self.options.rounds}", flush=True)
            self.calls(CONCURRENCIES)
            self.run(Relay(appendonly="everysec"), measure.appendonly, self.options.seconds)
            self.peers()
            self.sessions()

    def smoke(self):
        self.calls((1, 64))
        self.run(Relay(), measure.opens, 500)
        self.run(Relay(proxies=1), measure.idle, 500, 1)
        self.faults()


# Where it ran ---------------------------------------------------------------

def first_line(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout or done.stderr).splitlines()[0].strip()


def field(path, pattern):
    found = re.search(pattern, pathlib.Path(path).read_text(), re.M)
    return found.group(1) if found else "?"


def machine():
    memory = int(field("/proc/meminfo", r"^MemTotal:\s+(\d+)")) / (1 << 20)
    return (f"{os.cpu_count()} × {field('/proc/cpuinfo', r'^model name.*: (.*)')}, "
            f"{memory:.0f} GiB, Linux {platform.release().split('-')[0]}, "
            f"{field('/etc/os-release', r'^PRETTY_NAME=.(.*).$')}")


def versions(with_peers):
    redis = re.search(r"v=(\S+)", first_line("redis-server", "--version")).group(1)
    found = [f"mcp-relay {field(ROOT / 'Makefile', r'^VERSION := (.*)')}", f"Redis {redis}",
             first_line(os.environ.get("CC", "gcc"), "--version")]
    if with_peers:
        found.append(f"Node.js {first_line('node', '--version')}")
        found += packages.versions().values()
    return "; ".join(found)


def commands(seconds):
    return (
        f"`loadgen --stream A --stream B --concurrency C --seconds {seconds:g}` (POSTs of a "
        "session on A go to B, and the other way round; 64-byte texts; 1 s of warm-up), "
        f"`loadgen --opens --sessions {OPENED_SESSIONS}`, `loadgen --idle 3 --sessions N`, "
        f"`loadgen --rate {STEADY_RATE} --sessions N`, "
        f"`redis_rtt --concurrency C --seconds {seconds:g}`")


def chapter(plan):
    """The table with all that is needed to read it."""
    options = plan.options
    return "\n".join((
        table(plan.results), "",
        f"Medians of {options.rounds} interleaved rounds with the spread (least–greatest). Two proxies with one "
        "event loop each, one worker, one Redis and the load generator share the machine; "
        "Redis keeps no log unless the row says so. mcp-handler is two processes and Redis, the "
        "TS SDK and FastMCP are one process without Redis; of bare Redis, both ends of the round "
        "trip count as servers. Every answer was checked.", "",
        f"- Machine: {machine()}",
        f"- Versions: {versions(any(plan.wants(peer) for peer in PEERS))}",
        f"- Commands: {commands(options.seconds)}", ""))


def write(text):
    old = DOCUMENT.read_text() if DOCUMENT.exists() else NEW_DOCUMENT
    if BEGIN not in old or END not in old:
        raise SystemExit(f"{DOCUMENT.relative_to(ROOT)} lacks the markers {BEGIN} and {END}")
    head, rest = old.split(BEGIN, 1)
    DOCUMENT.parent.mkdir(exist_ok=True)
    DOCUMENT.write_text(f"{head}{BEGIN}\n{text}\n{END}{rest.split(END, 1)[1]}")
    print(f"wrote {DOCUMENT.relative_to(ROOT)}")


# ----------------------------------------------------------------------------

def parse():
    names = [system.name for system in (Relay, BarePath, BareRedis, *PEERS)]
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--smoke", action="store_true", help="short, without the peers")
    parser.add_argument("--write", action="store_true", help="update docs/BENCHMARKS.md")
    parser.add_argument("--seconds", type=float, help="of each run with calls (4; smoke: 1)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=names, metavar="SYSTEM",
                        help=", ".join(names))
    options = parser.parse_args()
    if options.smoke and options.write:
        parser.error("--smoke is too short to be written down")
    options.rounds = 1 if options.smoke else options.rounds
    options.seconds = options.seconds or (1 if options.smoke else 4)
    return options


def main():
    options = parse()
    plan = Plan(options)
    remove_scratch()
    try:
        if options.smoke:
            plan.smoke()
        else:
            plan.full()
    except (AssertionError, subprocess.SubprocessError, measure.Failure) as failure:
        plan.results.check(False, str(failure))
    plan.results.derive()
    print()
    print(table(plan.results, goals=False) if options.smoke else chapter(plan))
    for wrong in plan.results.wrong:
        print(f"WRONG: {wrong}")
    print(f"bench: {plan.results.passed} passed, {len(plan.results.wrong)} failed")
    if plan.results.wrong:
        return 1
    if options.write:
        write(chapter(plan))
    return 0


if __name__ == "__main__":
    sys.exit(main())
