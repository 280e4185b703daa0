"""Real TypeScript SDK clients while proxies die and are replaced.

Three proxies behind haproxy, two conformance workers, SDK v1 and v2 clients that
call without a pause, every second call one that must not run twice. First the
proxies are killed -9 in turn, then they are stopped in order, each after another
is ready. Afterwards the ledger oracle (tests/harness/ledger.py) proves from what
clients and workers wrote down that every accepted call ran once and was answered,
by clients that are never restarted; two unchanged repeats in the whole run are
allowed after kills, none after stops.

    recovery.py [--kills n] [--stops n] [--minutes n]
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import time

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import run  # noqa: E402
from harness import Cluster, clean_environment, percentile, request, until  # noqa: E402
from harness import ledger  # noqa: E402

SESSIONS = 6
VERSIONS = ("v1", "v2")
# Kills come faster here than the limit for one client foresees.
SETTINGS = {"SESSION_RECOVERY_MAX": 1000000, "SSE_RETRY_MS": 2000, "DRAIN_DELAY": 3,
            "DRAIN_TIMEOUT": 20}
# What resuming may take (p99) after a kill, from the last answer before it to the
# first one after it. A machine that others use as well gets twice that.
RESUME_GOAL_S = 5
RESUME_LIMIT_S = 10
REPEATS = {"kills": 2, "stops": 0}
# An SDK's own patience with a call, and some more.
END_S = 90


class Clients:
    """One process per SDK version."""

    def __init__(self, url):
        self.processes = {}
        for version in VERSIONS:
            self.processes[version] = subprocess.Popen(
                [run.node(), "--no-warnings", run.WORK / "clients" / "recovery.mjs", url, version, str(SESSIONS)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                env=clean_environment(LANG="C.UTF-8", NO_PROXY="127.0.0.1"))
            assert self.processes[version].stdout.readline() == "running\n"

    def heard(self):
        """How many answers each session has heard by now."""
        counts = {}
        for process in self.processes.values():
            process.stdin.write("?\n")
            process.stdin.flush()
            counts |= json.loads(process.stdout.readline())
        return counts

    def go_on(self, what):
        """Every one of them: each hears answers to more than what was in flight."""
        before = self.heard()

        def further():
            now = self.heard()
            return len(now) == SESSIONS * len(VERSIONS) and \
                all(now[key] > before.get(key, 0) + 2 for key in now)
        until(further, 60, f"all clients go on {what}")

    def finish(self):
        """Their accounts, by version."""
        for process in self.processes.values():
            process.stdin.close()
            process.stdin = None
        accounts = {}
        for version, process in self.processes.items():
            output, _ = process.communicate(timeout=END_S)
            assert process.returncode == 0, f"{version} ended with {process.returncode}"
            accounts[version] = json.loads(output)
        return accounts

    def kill(self):
        for process in self.processes.values():
            process.kill()
            process.wait()


# What is done to them -----------------------------------------------------------

def balances_over(system, proxies):
    """The load balancer has found out which proxies it may use."""
    wanted = sorted(proxy.name for proxy in proxies)

    def used():
        answers = [request(system.balancer, "GET", "/healthz", timeout=10) for _ in range(6)]
        return sorted({answer.header("X-Served-By") for answer in answers}) == wanted
    until(used, 20, f"the load balancer uses {wanted}")


def kill_in_turn(system, clients, times):
    clients.go_on("before the first kill")
    for n in range(times):
        proxy = system.proxies[n % len(system.proxies)]
        proxy.checked_kill()
        balances_over(system, [other for other in system.proxies if other is not proxy])
        clients.go_on("after a kill")
        proxy.start()
        balances_over(system, system.proxies)


def stop_in_turn(system, clients, times):
    """The third proxy waits outside; before each stop a ready one comes in."""
    for n in range(times):
        old, new = system.proxies[n % 3], system.proxies[(n + 2) % 3]
        new.start()
        balances_over(system, [proxy for proxy in system.proxies if proxy.alive()])
        old.stop(60)
        clients.go_on("after a stop")


# What came of it ------------------------------------------------------------------

def fate(status):
    if status is None:
        return ledger.UNKNOWN
    return ledger.ACCEPTED if status == 202 else ledger.REFUSED


def records(account):
    calls = [ledger.Call(call["session"], call["id"], call["tool"], call["nonce"],
                         fate(call.get("status"))) for call in account["calls"]]
    answers = [ledger.Answer(**answer) for answer in account["answers"]]
    asked = {(call.session, call.id) for call in calls}
    # initialize and its kind are no calls; what was never asked is id by id.
    first = min((call.id for call in calls), default=0)
    return calls, [answer for answer in answers
                   if answer.id >= first or (answer.session, answer.id) in asked]


def check(kind, version, account, written):
    calls, answers = records(account)
    mine = [nonce for nonce in written if nonce.startswith(f"{version}-")]
    bad = ledger.violations(calls, answers, mine) + account["failed"]
    bad += [f"a GET was answered {status}" for status in account["gets"] if status != 200]
    fates = [call.fate for call in calls]
    if kind == "stops":
        bad += [f"not accepted: {call}" for call in calls if call.fate != ledger.ACCEPTED]
    gaps = sorted(gap["seconds"] for gap in account["gaps"])
    p99 = percentile(gaps, .99)
    if kind == "kills" and p99 > RESUME_LIMIT_S:
        bad.append(f"resuming took {p99:.2f} s")
    print(f"{'FAILED' if bad else 'ok':<8}{kind} {version}: {len(answers)} answers to "
          f"{fates.count(ledger.ACCEPTED)} accepted calls, {len(fates) - fates.count(ledger.ACCEPTED)} "
          f"not accepted, {len(mine)} run under the ledger, {ledger.repeats(answers)} repeats; "
          f"{len(gaps)} gaps, p50 {percentile(gaps, .5):.2f} s, p99 {p99:.2f} s, "
          f"longest {gaps[-1] if gaps else 0:.2f} s"
          f"{'' if p99 <= RESUME_GOAL_S else ' (OVER THE GOAL)'}", flush=True)
    for line in bad[:10]:
        print(f"        | {line[:200]}")
    for again in account["repeats"][:5]:
        print(f"        | {again['session']} heard the answer to {again['id']} again:")
        print("".join(f"        |   {line}\n" for line in again["trace"][-20:]), end="")
    for gap in [gap for gap in account["gaps"] if gap["seconds"] > RESUME_GOAL_S][:3]:
        print(f"        | {gap['session']} waited {gap['seconds']:.2f} s:")
        print("".join(f"        |   {line}\n" for line in gap["trace"][:60]), end="")
    return not bad and bool(answers), ledger.repeats(answers)


def try_out(kind, act, times):
    directory = run.WORK / f"recovery-{kind}"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    book = directory / "ledger"
    book.touch()
    with Cluster(proxies=3, threads=2, workers={"conformance": 2}, balancer=True,
                 proxy_env=SETTINGS, worker_env={"LEDGER_FILE": book},
                 directory=directory) as system:
        if kind == "stops":
            system.proxies[2].stop(60)
            balances_over(system, system.proxies[:2])
        clients = Clients(system.balancer.url)
        try:
            act(system, clients, times)
            accounts = clients.finish()
        finally:
            clients.kill()
    written = book.read_text().splitlines()
    verdicts = [check(kind, version, account, written) for version, account in accounts.items()]
    again = sum(count for _, count in verdicts)
    if again > REPEATS[kind]:
        print(f"FAILED  {kind}: {again} repeats")
    return all(good for good, _ in verdicts) and again <= REPEATS[kind]


def main():
    parser = argparse.ArgumentParser(description="Kills and stops under real clients.")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--stops", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=0, help="once more, until it took so long")
    args = parser.parse_args()
    run.WORK.mkdir(parents=True, exist_ok=True)
    run.install_tools()
    run.install_node_packages()
    shutil.rmtree(run.WORK / "clients", ignore_errors=True)
    shutil.copytree(HERE / "clients", run.WORK / "clients")
    began, verdicts = time.monotonic(), []
    while not verdicts or time.monotonic() - began < args.minutes * 60:
        verdicts += [try_out(kind, act, times)
                     for kind, act, times in (("kills", kill_in_turn, args.kills),
                                              ("stops", stop_in_turn, args.stops)) if times > 0]
    failed = verdicts.count(False)
    print(f"{len(verdicts) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
