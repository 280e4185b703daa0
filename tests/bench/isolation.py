"""What an API that does not move costs the others: `make isolation`.

    isolation.py [--seconds S] [--rate R] [--lost-rate R]

One system; the same load of calls to one API three times, at a fixed rate: while all is well;
while the workers of another API are frozen (SIGSTOP); while they are gone (kill -9). To that
other API calls go as well, --lost-rate a second, and each must be answered by an error at its
deadline, within what the proxies' janitor needs; in the end its workers start again, and a
call to them is answered. Printed: the latencies of the load, and how late the errors came.

The exit code is 1 when an answer was wrong, missing or more than 3 s late; the latencies
of the load decide nothing.
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
DEADLINE_S = 5         # CALL_TIMEOUT
LATE_S = 3             # what is wrong beyond doubt
TIMEOUT = -32001
SUM = {"name": f"{OTHER}_add", "arguments": {"a": 2, "b": 3}}


class Calls:
    """Calls to the other API that come evenly over the time, from a session of their own."""

    def __init__(self, system, rate, seconds):
        self.client = system.client(0, timeout=60)
        self.count, self.pause = int(rate * seconds), 1 / rate
        self.begun, self.asked, self.took = time.monotonic(), {}, {}

    def pump(self):
        now = time.monotonic()
        due = min(int((now - self.begun) / self.pause) + 1, self.count)
        if len(self.asked) < due:
            self.asked[str(self.client.ask("tools/call", SUM))] = now
        self.client.pump(0.002)
        for id in self.asked.keys() & self.client.answers.keys() - self.took.keys():
            self.took[id] = time.monotonic() - self.asked[id]

    def ended(self):
        return len(self.took) == self.count

    def answers(self):
        return [self.client.answers[id] for id in self.took]


def round_of(system, args):
    """One load, and calls to the other API beside it until all are answered."""
    load = Load(system, f"{API}_echo", args.rate, args.seconds)
    calls = Calls(system, args.lost_rate, args.seconds)
    give_up = time.monotonic() + args.seconds + 30
    try:
        while not (load.ended() and calls.ended()) and time.monotonic() < give_up:
            calls.pump()
    finally:
        load.child.kill()
    return (*load.report(), calls)


def is_sum(answer):
    return "result" in answer


def is_late(answer):
    return answer.get("error", {}).get("code") == TIMEOUT


def faults(name, right, report, calls, wanted):
    """What is not as promised, a line each."""
    found = [] if right else [f"{name}: {report['errors']}"]
    found += [f"{name}: answered {answer}" for answer in calls.answers() if not wanted(answer)][:5]
    if not calls.ended():
        found.append(f"{name}: {len(calls.took)} of {calls.count} calls were answered")
    if max(calls.took.values(), default=0) > DEADLINE_S + LATE_S:
        found.append(f"{name}: an answer after {max(calls.took.values()):.2f} s")
    return found


def freeze(workers):
    for worker in workers:
        worker.freeze()


def kill(workers):
    for worker in workers:
        worker.kill()


def come_back(system, workers):
    for worker in workers:
        worker.start()
    with system.client(0) as client:
        assert client.text(SUM["name"], SUM["arguments"]) == "5"


ROUNDS = (("all is well", lambda workers: None, is_sum),
          ("API frozen", freeze, is_late),
          ("API gone", kill, is_late))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rate", type=float, default=1000)
    parser.add_argument("--lost-rate", type=float, default=20)
    args = parser.parse_args()
    remove_scratch()
    found = []
    with Cluster(workers={API: 2, OTHER: 2}, proxy_env={"CALL_TIMEOUT": DEADLINE_S}) as system:
        others = [worker for worker in system.workers if worker.api == OTHER]
        for name, hurt, wanted in ROUNDS:
            hurt(others)
            report, right, calls = round_of(system, args)
            found += faults(name, right, report, calls, wanted)
            show(name, report)
            print(f"{'':<17} the other API's {calls.count:,} calls were answered after "
                  f"{min(calls.took.values()):.2f} to {max(calls.took.values()):.2f} s, with a "
                  f"deadline of {DEADLINE_S} s", flush=True)
        come_back(system, others)
        until(lambda: system.redis("XLEN", f"mcp_requests:{{{OTHER}}}") == 0, 10, "nothing is left")
    for fault in found:
        print(f"WRONG {fault}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
