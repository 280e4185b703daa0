"""Runs tests and counts them: run_tests.py {unit,blackbox,endurance,fuzz}...

unit        the Check programs in $OUT/tests/unit
blackbox    pytest on tests/blackbox, against the programs in $BIN
endurance   pytest on tests/endurance, likewise, with what the tests print
fuzz        each target in $OUT for FUZZ_SECONDS on a copy of its corpus

The last line is "N passed, N failed". Exit code 1 when anything failed, or when
there was nothing to run. PYTEST_ARGS adds arguments (e.g. "-k redis -x").
TEST_JOBS black-box files run at a time (3: they mostly wait; 0: all in one
process, whose output pytest's -s lets through).
"""

import concurrent.futures
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import xml.etree.ElementTree

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from harness import ROOT, remove_scratch  # noqa: E402

OUT = ROOT / os.environ.get("OUT", "build/release")
UNIT_SECONDS = 300
# So many failures may be the machine's: they are run once more, and named.
AGAIN_MAX = 3
ALONE = threading.Lock()
SUMMARY = re.compile(r"^\d+%: Checks: (\d+), Failures: (\d+), Errors: (\d+)$", re.M)


def run(argv, seconds, env=None):
    """Exit code and output; the code is "timeout" when it took too long.

    The child has its own process group, so that what it started ends with it.
    """
    with subprocess.Popen(argv, cwd=ROOT, env=env, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", start_new_session=True) as child:
        try:
            output, _ = child.communicate(timeout=seconds)
            return child.returncode, output
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            return "timeout", child.communicate()[0]


def report(name, passed, failed, output=""):
    print(f"{'FAIL' if failed else 'ok  '} {name}: {passed} passed, {failed} failed", flush=True)
    if failed:
        print(output.rstrip()[-20000:], flush=True)
    return passed, failed


def add(results):
    return tuple(sum(column) for column in zip((0, 0), *results))


# Unit ---------------------------------------------------------------------

def run_checks(program):
    """(passed, failed, output) of a Check program; a crash counts as a failure."""
    code, output = run([program], UNIT_SECONDS)
    counts = SUMMARY.findall(output)
    checks, failures, errors = (sum(int(row[i]) for row in counts) for i in range(3))
    failed = failures + errors
    if code != 0 and failed == 0 or checks == 0:
        failed += 1  # it crashed, or tested nothing
        output += f"\n{program.name} ended with {code} after {checks} checks"
    return checks - failures - errors, failed, output


def run_unit_program(program):
    """What fails once and passes when run alone counts as passed, and is named."""
    first = run_checks(program)
    if not 0 < first[1] <= AGAIN_MAX:
        return report(program.name, *first)
    with ALONE:
        again = run_checks(program)
    if again[1]:
        return report(program.name, *first)
    print(f"FLAKY {program.name}: failed once, passed when run again\n{first[2][-2000:]}")
    return report(program.name, *again)


def unit():
    programs = sorted(path for path in (OUT / "tests/unit").glob("test_*")
                      if path.is_file() and os.access(path, os.X_OK) and not path.suffix)
    sources = {path.stem for path in (ROOT / "tests/unit").glob("test_*.c")}
    programs = [program for program in programs if program.name in sources]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return add(pool.map(run_unit_program, programs))


# Black box ----------------------------------------------------------------

def run_pytest(folder, result, *extra):
    """Runs it; returns (passed, names of failed tests), or None without a result."""
    result.parent.mkdir(parents=True, exist_ok=True)
    result.unlink(missing_ok=True)
    argv = ["/usr/bin/python3", "-m", "pytest", f"tests/{folder}", "-o",
            f"cache_dir={result.parent.resolve() / 'pytest_cache'}",
            f"--junitxml={result}", "--durations=10", *extra]
    code = subprocess.run(argv, cwd=ROOT, check=False,
                          env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}).returncode
    if not result.exists():
        print(f"pytest ended with {code} and no result")
        return None
    cases = list(xml.etree.ElementTree.parse(result).iter("testcase"))
    failed = [f"{case.get('classname')}.{case.get('name')}" for case in cases
              if case.find("failure") is not None or case.find("error") is not None]
    skipped = sum(case.find("skipped") is not None for case in cases)
    if code != 0 and not failed:
        failed = [f"pytest itself, which ended with {code}"]
    return len(cases) - len(failed) - skipped, failed


def blackbox():
    """A test that fails once and passes when run alone counts as passed, and is named."""
    jobs = ["-n", os.environ.get("TEST_JOBS", "3"), "--dist", "loadfile"]
    done = run_pytest("blackbox", OUT / "blackbox.xml", *jobs,
                      *shlex.split(os.environ.get("PYTEST_ARGS", "")))
    if done is None:
        return 0, 1
    passed, failed = done
    if not 0 < len(failed) <= AGAIN_MAX:
        return passed, len(failed)
    again = run_pytest("blackbox", OUT / "blackbox-again.xml", "--last-failed")
    if again is None or again[1] or again[0] < len(failed):
        return passed, len(failed)
    for name in failed:
        print(f"FLAKY {name}: failed once, passed when run again")
    return passed + len(failed), 0


def endurance():
    done = run_pytest("endurance", OUT / "endurance.xml", "-s",
                      *shlex.split(os.environ.get("PYTEST_ARGS", "")))
    return (0, 1) if done is None else (done[0], len(done[1]))


# Fuzz ---------------------------------------------------------------------

def fuzz_corpus(name):
    """A copy of the target's corpus; the tree's own is never written to."""
    copy = OUT / "corpus" / name
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir(parents=True)
    for folder in (name, name.removeprefix("fuzz_")):
        source = ROOT / "tests/fuzz/corpus" / folder
        if source.is_dir():
            shutil.copytree(source, copy, dirs_exist_ok=True)
            break
    return copy


def run_fuzz_target(target):
    seconds = int(os.environ.get("FUZZ_SECONDS", "20"))
    corpus = fuzz_corpus(target.name)
    seeds = sum(1 for path in corpus.iterdir() if path.is_file())
    argv = [target, f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048",
            "-print_final_stats=1", f"-artifact_prefix={OUT}/crash-{target.name}-"]
    for stem in (target.name, target.name.removeprefix("fuzz_")):
        dictionary = ROOT / "tests/fuzz" / f"{stem}.dict"
        if dictionary.exists():
            argv.append(f"-dict={dictionary}")
            break
    code, output = run([*argv, corpus], seconds + 120)
    ran = re.search(r"stat::number_of_executed_units: *(\d+)", output)
    name = f"{target.name} ({seeds} seeds, {ran[1] if ran else 0} runs)"
    ok = code == 0 and ran and int(ran[1]) > 0
    return report(name, int(bool(ok)), int(not ok), output)


def fuzz():
    sources = {path.stem for path in (ROOT / "tests/fuzz").glob("fuzz_*.c")}
    targets = sorted(path for path in OUT.glob("fuzz_*") if path.name in sources)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return add(pool.map(run_fuzz_target, targets))


KINDS = {"unit": unit, "blackbox": blackbox, "endurance": endurance, "fuzz": fuzz}


def main():
    kinds = sys.argv[1:]
    if not kinds or any(kind not in KINDS for kind in kinds):
        sys.exit(__doc__)
    if "blackbox" in kinds:
        remove_scratch()
    empty, total = 0, (0, 0)
    for kind in kinds:
        counts = KINDS[kind]()
        if counts == (0, 0):
            print(f"FAIL {kind}: nothing to run", flush=True)
            empty += 1
        total = add([total, counts])
    passed, failed = total[0], total[1] + empty
    print(f"{passed} passed, {failed} failed", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
