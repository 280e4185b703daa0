"""Real TypeScript SDK clients while proxies die and are replaced.

Three proxies behind haproxy, two conformance workers, SDK v1 and v2 clients that
call without a pause. First the proxies are killed -9 in turn, then they are
stopped in order, each after another is ready. Every accepted call must be
answered, right and once (two unchanged repeats in the whole run are allowed
after kills, none after stops), by clients that are never restarted.

    recovery.py [--kills n] [--stops n]
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
from harness import Cluster, clean_environment, percentile, until  # noqa: E402

SESSIONS = 6
# Kills come faster here than the limit for one client foresees.
SETTINGS = {"SESSION_RECOVERY_MAX": 1000000, "SSE_RETRY_MS": 2000, "DRAIN_DELAY": 3,
            "DRAIN_TIMEOUT": 20}
# What resuming should take (p99), and what fails on however busy a machine.
RESUME_GOAL_S = 5
RESUME_LIMIT_S = 30
REPEATS = {"kills": 2, "stops": 0}
# An SDK's own patience with a call, and some more.
END_S = 90


class Clients:
    """One process per SDK version."""

    def __init__(self, url):
        self.processes = {}
        for version in ("v1", "v2"):
            self.processes[version] = subprocess.Popen(
                [run.node(), "--no-warnings", run.WORK / "clients" / "recovery.mjs", url, version, str(SESSIONS)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                env=clean_environment(LANG="C.UTF-8", NO_PROXY="127.0.0.1"))
            assert self.processes[version].stdout.readline() == "running\n"

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


def answered(system):
    """Right now, as the workers' queue shows it: calls taken in by living proxies."""
    return sum(int(value) for proxy in system.proxies if proxy.alive()
               for value in [run.metrics(proxy)["mcp_proxy_calls_total"]])


def calls_go_on(system, what):
    before = answered(system)
    until(lambda: answered(system) > before + 50, 30, f"calls go on {what}")


def kill_in_turn(system, times):
    for n in range(times):
        proxy = system.proxies[n % len(system.proxies)]
        calls_go_on(system, "before a kill")
        proxy.checked_kill()
        # Longer than clients take to come back, so that each kill hits some.
        time.sleep(1)
        proxy.start()
        until(proxy.is_ready, 10, "it is ready again")
        time.sleep(2.5)


def stop_in_turn(system, times):
    """The third proxy waits outside; before each stop a ready one comes in."""
    for n in range(times):
        old, new = system.proxies[n % 3], system.proxies[(n + 2) % 3]
        new.start()
        time.sleep(2.5)  # haproxy's checks
        old.stop(60)
        calls_go_on(system, "after a stop")


def check(kind, accounts):
    ok = True
    for version, account in accounts.items():
        gaps = sorted(account["gaps"])
        bad = account["lost"] + account["wrong"]
        times = [percentile(gaps, share) for share in (.5, .99)]
        good = not bad and account["answered"] > 0 and gaps[-1:] <= [RESUME_LIMIT_S]
        if kind == "stops":
            good = good and account["refused"] == 0
        print(f"{'ok' if good else 'FAILED':<8}{kind} {version}: {account['answered']} calls "
              f"answered, {account['refused']} POSTs not accepted, {len(account['lost'])} lost, "
              f"{len(account['wrong'])} wrong, {account['repeats']} repeats; {len(gaps)} resumes, "
              f"p50 {times[0]:.2f} s, p99 {times[1]:.2f} s"
              f"{'' if times[1] <= RESUME_GOAL_S else ' (OVER THE GOAL)'}", flush=True)
        for line in bad[:10]:
            print(f"        | {line[:200]}")
        ok = ok and good
    repeats = sum(account["repeats"] for account in accounts.values())
    if repeats > REPEATS[kind]:
        print(f"FAILED  {kind}: {repeats} repeats")
        return False
    return ok


def try_out(kind, act, times):
    directory = run.WORK / f"recovery-{kind}"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    with Cluster(proxies=3, threads=2, workers={"conformance": 2}, balancer=True,
                 proxy_env=SETTINGS, directory=directory) as system:
        if kind == "stops":
            system.proxies[2].stop(60)
            time.sleep(2.5)  # haproxy's checks
        clients = Clients(system.balancer.url)
        try:
            act(system, times)
            return check(kind, clients.finish())
        finally:
            clients.kill()


def main():
    parser = argparse.ArgumentParser(description="Kills and stops under real clients.")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--stops", type=int, default=20)
    args = parser.parse_args()
    run.WORK.mkdir(parents=True, exist_ok=True)
    run.install_tools()
    run.install_node_packages()
    shutil.rmtree(run.WORK / "clients", ignore_errors=True)
    shutil.copytree(HERE / "clients", run.WORK / "clients")
    verdicts = [try_out(kind, act, times)
                for kind, act, times in (("kills", kill_in_turn, args.kills),
                                         ("stops", stop_in_turn, args.stops)) if times > 0]
    failed = verdicts.count(False)
    print(f"{len(verdicts) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
