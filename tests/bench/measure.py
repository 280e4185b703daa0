"""Runs the load generator against a system and takes the figures from it."""

import json
import subprocess

import packages

# What the whole run of a load generator may take beyond its measured time.
GRACE_S = 180
# How many streams the load generator opens at once where opening is measured.
OPEN_WINDOW = 64

# The faults of barepath.c, and what the load generator must call each.
FAULTS = {
    "content": {"wrong_content"},
    "session": {"wrong_session", "missing"},
    "twice": {"duplicate"},
    "drop": {"missing"},
    "id": {"unknown_id", "missing"},
}


class Failure(Exception):
    """A program could not run at all."""


def run_program(name, *options, seconds=0):
    """A load program's report, and whether all answers were right."""
    argv = [str(word) for word in (packages.bench_program(name), *options)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=seconds + GRACE_S,
                          check=False)
    if done.returncode not in (0, 1) or not done.stdout:
        raise Failure(f"{' '.join(argv)}: exit code {done.returncode}: {done.stderr.strip()}")
    return json.loads(done.stdout), done.returncode == 0


def target_options(system):
    options = ["--tool", system.tool]
    for url in system.urls:
        options += ["--stream", url]
    for name, pid in system.pids.items():
        options += ["--pid", f"{name}={pid}"]
    return options


def loadgen(results, system, *options, seconds=0):
    """Runs it against the system; wrong answers are remembered."""
    report, right = run_program("loadgen", *target_options(system), *options, seconds=seconds)
    what = " ".join(str(word) for word in options)
    results.check(right, f"{system.name} {what}: {report['errors']}")
    return report


def server_cpu(report):
    """CPU microseconds per call of all servers, and of Redis alone."""
    each = {name: process["cpu_us_each"] for name, process in report["processes"].items()}
    return (sum(us for name, us in each.items() if name != "loadgen"), each.get("redis", 0.0))


def record(results, system, c, report):
    cpu, redis_cpu = server_cpu(report)
    results.add(system.name, f"rps-{c}", report["rps"])
    results.add(system.name, f"p50-{c}", report["p50_ms"])
    results.add(system.name, f"p99-{c}", report["p99_ms"])
    results.add(system.name, f"cpu-{c}", cpu)
    if system.redis is not None:
        results.add(system.name, f"redis-{c}", redis_cpu)
    print(f"  {system.name:<12} c={c:<4} {report['rps']:>9,.0f}/s  "
          f"p50 {report['p50_ms']:.3f} ms  {cpu:.1f} us", flush=True)


def commands_run(system):
    """Redis commands so far, all but the INFO that asks."""
    counts = system.redis.command_calls()
    return sum(count for name, count in counts.items() if name != "info")


def calls(results, system, c, seconds):
    """Calls in closed loop, each POST to another pod than the stream's."""
    before = commands_run(system) if system.redis else 0
    report = loadgen(results, system, "--concurrency", c, "--seconds", seconds, seconds=seconds)
    record(results, system, c, report)
    if system.redis and report["verified"]:
        results.add(system.name, f"commands-{c}",
                    (commands_run(system) - before) / report["verified"])


def round_trip(results, system, c, seconds):
    """The bare Redis round trip; its two ends are not servers of the system."""
    before = commands_run(system)
    report, right = run_program(
        "redis_rtt", "--redis", f"127.0.0.1:{system.redis.port}", "--concurrency", c,
        "--seconds", seconds, "--redis-pid", system.pids["redis"], seconds=seconds)
    results.check(right, f"{system.name} c={c}: {report['errors']} errors")
    record(results, system, c, report)
    if report["verified"]:
        results.add(system.name, f"commands-{c}",
                    (commands_run(system) - before) / report["verified"])


def appendonly(results, system, seconds):
    """Calls at c=64 where Redis also writes its log."""
    report = loadgen(results, system, "--concurrency", 64, "--seconds", seconds, seconds=seconds)
    results.add(system.name, "rps-64-aof", report["rps"])
    print(f"  {system.name:<12} c=64   {report['rps']:>9,.0f}/s  with AOF everysec", flush=True)


def opens(results, system, sessions):
    """Streams opened per second, from GET to the endpoint event."""
    report = loadgen(results, system, "--opens", "--sessions", sessions, "--open-window",
                     OPEN_WINDOW)
    results.add(system.name, "opens", report["opens_per_s"])
    print(f"  {system.name:<12} {report['opens_per_s']:>9,.0f} sessions opened/s", flush=True)


def front(report):
    """What the process that holds the streams used: all but Redis and worker."""
    return [process for name, process in report["processes"].items()
            if name not in ("redis", "worker", "loadgen")]


def idle(results, system, sessions, hold_s=3):
    """Userland bytes of an initialized session that does nothing, in the only
    process that holds streams."""
    report = loadgen(results, system, "--idle", hold_s, "--sessions", sessions, seconds=hold_s)
    grown = sum(process["uss_bytes_per_session"] for process in front(report)
                if process["uss_grown_kb"] > 0)
    results.add(system.name, f"idle-{sessions}", grown)
    print(f"  {system.name:<12} {grown:>9,.0f} bytes per session of {sessions:,}", flush=True)


def steady(results, system, key, sessions, rate, seconds):
    """The proxy's CPU per call at a fixed rate over that many sessions."""
    report = loadgen(results, system, "--rate", rate, "--sessions", sessions, "--seconds",
                     seconds, seconds=seconds)
    cpu = sum(process["cpu_us_each"] for process in front(report))
    results.add(system.name, key, cpu)
    print(f"  {system.name:<12} {cpu:>9,.1f} us per call, {sessions:,} sessions, "
          f"{report['rps']:,.0f}/s", flush=True)


def fault(results, system, kind):
    """The load generator must notice a worker that answers wrongly."""
    report, right = run_program("loadgen", *target_options(system), "--calls", 3000, "--warmup",
                                0, "--timeout", 2)
    noticed = set(report["errors"]) == FAULTS[kind]
    results.check(not right and noticed, f"fault {kind}: noticed {report['errors']}")
    print(f"  {system.name:<12} wrong on purpose ({kind}): {report['errors']}", flush=True)
