"""A call of 150 s through a load balancer that drops what is silent for 60 s.

TypeScript SDK v1 and v2 and the Python SDK, each with its defaults (TypeScript
gives a request 60 s from the last progress on), call a tool that says nothing
while it runs. The worker's own progress reports keep the calls alive.

    long_call.py [--seconds n]
"""

import argparse
import pathlib
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import run  # noqa: E402
from harness import Cluster, clean_environment  # noqa: E402

CLIENTS = (("TypeScript SDK v1", run.NPM, "v1"), ("TypeScript SDK v2", run.NPM, "v2"),
           ("Python SDK", run.PYPI, "v1"))
# Beyond the call itself, on however busy a machine.
GRACE_S = 90


def start(url, pins, version, seconds):
    program, script = run.node(), "long_call.mjs"
    if pins in run.VENVS:
        program, script = run.VENVS[pins] / "bin" / "python", "long_call.py"
    return subprocess.Popen(
        [program, run.WORK / "clients" / script, url, version, str(seconds * 1000)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=clean_environment(LANG="C.UTF-8", NO_PROXY="127.0.0.1"))


def passed(title, process, seconds):
    try:
        output, _ = process.communicate(timeout=seconds + GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        output, _ = process.communicate()
    ok = process.returncode == 0
    print(f"{'ok' if ok else 'FAILED':<8}{title:<20}{output.strip()[-1000:]}", flush=True)
    return ok


def main():
    parser = argparse.ArgumentParser(description="A long call with real clients.")
    parser.add_argument("--seconds", type=int, default=150)
    seconds = parser.parse_args().seconds
    run.install()
    directory = run.WORK / "long-call"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    with Cluster(workers={"conformance": 1}, balancer=True, directory=directory,
                 worker_env={"TOOL_TIMEOUTS": f"sleep={seconds + 60}"}) as system:
        processes = [start(system.balancer.url, pins, version, seconds)
                     for _, pins, version in CLIENTS]
        verdicts = [passed(title, process, seconds)
                    for (title, _, _), process in zip(CLIENTS, processes)]
        system.assert_no_restart()
    failed = verdicts.count(False)
    print(f"{len(verdicts) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
