"""The official conformance suite on the fixtures of the conformance worker: a part of
`make interop`.

The suite speaks Streamable HTTP only, and the system HTTP+SSE: clients/streamable.mjs stands
between them. So what is held to the suite here is what servers say, not how: tools, resources,
prompts, completion, sampling, elicitation, logging, progress. What concerns the transport is the
bridge's own and left out.
"""

import re
import subprocess
import sys

import run
from harness import Cluster, Process, clean_environment, until, work_directory

SECONDS = 120
# Scenarios of the transport.
LEFT_OUT = {"dns-rebinding-protection", "server-session-lifecycle", "server-sse-multiple-streams",
            "server-sse-polling"}
# A pinned version's directory, and how it is asked for all of its scenarios.
SUITES = {
    "@modelcontextprotocol/conformance": ["--suite", "all"],
    "conformance-next": ["--requirements", "2025-11-25"],
}
VERDICT = re.compile(r"^[✓✗] ([a-z0-9-]+): (\d+) passed, (\d+) failed$", re.M)


def version(package):
    text = (run.MODULES / package / "package.json").read_text()
    return re.search(r'"version": "([^"]+)"', text).group(1)


def scenarios(package, url, env):
    """What the suite said of each scenario: name, checks passed, checks failed."""
    done = subprocess.run([run.node(), run.MODULES / package / "dist" / "index.js", "server",
                           "--url", url, *SUITES[package]], cwd=work_directory("official"), env=env,
                          capture_output=True, text=True, check=False, timeout=SECONDS)
    found = [(name, int(good), int(bad)) for name, good, bad in VERDICT.findall(done.stdout)]
    found = [scenario for scenario in found if scenario[0] not in LEFT_OUT]
    if any(bad for _, _, bad in found) or not found:
        print(done.stdout, done.stderr, sep="\n")
    return found


def try_suite(package, url, env):
    """(scenarios that passed, scenarios that did not)."""
    found = scenarios(package, url, env)
    bad = [name for name, good, bad in found if bad or not good]
    print(f"{'FAIL' if bad or not found else 'ok  '} official suite {version(package)}: "
          f"{sum(good for _, good, _ in found)} checks of {len(found)} scenarios passed"
          + "".join(f", not {name}" for name in bad))
    return len(found) - len(bad), len(bad) + (not found)


def main():
    run.WORK.mkdir(parents=True, exist_ok=True)
    run.install_tools()
    run.install_node_packages()
    run.copy_clients()
    directory = work_directory("bridge")
    env = clean_environment(HOME=directory, LANG="C.UTF-8", NO_PROXY="127.0.0.1,localhost")
    with Cluster(workers={"conformance": 1}, balancer=True) as system:
        command = [run.node(), run.WORK / "clients" / "streamable.mjs",
                   f"{system.balancer.url}/conformance/sse"]
        with Process("streamable", command, directory, env).start() as bridge:
            listening = until(lambda: re.search(r"^listening on (\S+)$", bridge.log_text(), re.M),
                              30, bridge.tail)
            counts = [try_suite(package, listening.group(1), env) for package in SUITES]
    passed, failed = (sum(column) for column in zip(*counts))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
