"""What calls that kill their worker cost those beside them: `make poison`.

    poison.py [--poisons N] [--seconds S] [--rate R] [--workers W]

One system; the same load of harmless calls three times, at a fixed rate: by itself; while
workers of another API are killed and started again, which tells what restarts cost on the
machine; and while N poison calls come in evenly over the time, each killing three of the
API's W workers, as many restarts. By default that is one restart a second; with --seconds 60
there are five, more than two cores bear unnoticed. Printed: the latencies of the harmless
calls, and the ratios of their 99th percentiles.

The exit code is 1 when an answer was wrong or missing, or a poison call was not given up
after three attempts; the latencies decide nothing.
"""

import argparse
import pathlib
import sys
import time

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from harness import Cluster, remove_scratch, until  # noqa: E402
from fixed_load import Load, show  # noqa: E402

API, OTHER = "conformance", "calculator"
IDLE_S = 2         # WORKER_RECLAIM_IDLE
GAVE_UP = -32004
ATTEMPTS = 3
GOAL = 1.5


class Keeper:
    """Starts workers again when they end, as an orchestrator does."""

    def __init__(self, workers):
        self.workers, self.restarts = workers, 0

    def tend(self):
        for worker in self.workers:
            if not worker.alive():
                worker.start(ready=False)
                self.restarts += 1


class Poison:
    """Calls that come evenly over the time, from a session of their own."""

    def __init__(self, system, count, seconds):
        self.client, self.count = system.client(0, timeout=60), count
        self.pause, self.begun = seconds / max(count, 1), time.monotonic()
        self.ids = []

    def pump(self):
        due = min(int((time.monotonic() - self.begun) / self.pause) + 1, self.count)
        if len(self.ids) < due:
            self.ids.append(self.client.ask(
                "tools/call", {"name": f"{API}_poison", "arguments": {}}))
        self.client.pump(0.002)

    def answers(self):
        return [self.client.answers[str(id)] for id in self.ids
                if str(id) in self.client.answers]


class Kills:
    """Workers of another API are killed evenly over the time."""

    def __init__(self, system, count, seconds):
        self.workers = [worker for worker in system.workers if worker.api == OTHER]
        self.left, self.pause, self.begun = count, seconds / max(count, 1), time.monotonic()
        self.done = 0

    def pump(self):
        due = min(int((time.monotonic() - self.begun) / self.pause), self.left)
        victim = self.workers[self.done % len(self.workers)]
        if self.done < due and victim.alive():
            victim.kill()
            self.done += 1


def round_of(system, keeper, args, poisons, kills):
    """One load; returns its report, whether it was right, and the poison."""
    load = Load(system, f"{API}_echo", args.rate, args.seconds)
    poison = Poison(system, poisons, args.seconds)
    killer = Kills(system, kills, args.seconds)
    try:
        while not load.ended() or len(poison.answers()) < poisons:
            keeper.tend()
            poison.pump()
            killer.pump()
    finally:
        load.child.kill()
    return (*load.report(), poison)


def letters_of(system):
    return [dict(zip(fields[::2], fields[1::2]))
            for _, fields in system.redis("XRANGE", f"mcp_dead:{{{API}}}", "-", "+")]


def faults(system, args, rounds):
    """What is not as promised, a line each."""
    found = [f"{name}: {report['errors']}" for name, report, right, _ in rounds if not right]
    answers = rounds[-1][3].answers()
    wrong = [answer for answer in answers if answer.get("error", {}).get("code") != GAVE_UP]
    found += [f"poison answered {answer}" for answer in wrong[:5]]
    letters = letters_of(system)
    good = [letter for letter in letters
            if letter["tool"] == "poison" and letter["attempts"] == str(ATTEMPTS)]
    if len(good) != args.poisons or len(letters) != args.poisons:
        found.append(f"{len(letters)} dead letters, {len(good)} of poison after {ATTEMPTS} attempts")
        found += [f"dead letter {letter}" for letter in letters if letter not in good][:5]
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--poisons", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--rate", type=float, default=1000)
    parser.add_argument("--workers", type=int, default=4)
    args = parser.parse_args()
    remove_scratch()
    env = {"WORKER_RECLAIM_IDLE": IDLE_S}
    with Cluster(workers={API: args.workers, OTHER: args.workers}, worker_env=env) as system:
        keeper = Keeper(system.workers)
        rounds = [(name, *round_of(system, keeper, args, poisons, kills))
                  for name, poisons, kills in (("by itself", 0, 0),
                                               ("other API killed", 0, ATTEMPTS * args.poisons),
                                               ("with poison", args.poisons, 0))]
        until(lambda: system.redis("XLEN", f"mcp_requests:{{{API}}}") == 0, 10, "nothing is left")
        keeper.tend()
        found = faults(system, args, rounds)
        for name, report, _, _ in rounds:
            show(name, report)
    clean, killed, poisoned = (report["p99_ms"] for _, report, _, _ in rounds)
    print(f"{args.poisons} poison calls, {keeper.restarts} restarts in two times {args.seconds:g} s: "
          f"p99 is {poisoned / clean:.2f} times what it is by itself (goal: {GOAL}), "
          f"{poisoned / killed:.2f} times what it is beside as many restarts")
    for fault in found:
        print(f"WRONG {fault}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
