"""docs/OPERATIONS.md and docs/alerts.yml: nothing in them that does not exist."""

import re
import shutil
import subprocess

import pytest

from harness import BIN, ROOT, Cluster, clean_environment, metrics, until

GUIDE = (ROOT / "docs" / "OPERATIONS.md").read_text()
README = (ROOT / "README.md").read_text()
RULES = (ROOT / "docs" / "alerts.yml").read_text()
API = "conformance"


@pytest.fixture(name="running", scope="module")
def running_system(tmp_path_factory):
    ledger = tmp_path_factory.mktemp("ledger") / "ledger"
    with Cluster(workers={API: 1}, proxies=1, threads=1,
                 worker_env={"LEDGER_FILE": ledger}) as system:
        system.ledger = ledger
        until(lambda: f'mcp_api_queue_length{{api="{API}"}}' in metrics(system.proxies[0]), 10,
              "the API in /metrics")
        yield system


def test_metrics_exist(running):
    samples = metrics(running.proxies[0])
    names = {sample.partition("{")[0] for sample in samples}
    families = names | {re.sub("_(bucket|sum|count)$", "", name) for name in names}
    for text in (GUIDE, RULES):
        mentioned = set(re.findall(r"\bmcp_(?:api|proxy)_[a-z0-9_]*[a-z0-9]", text))
        assert mentioned and mentioned <= families, mentioned - families
    for name, label in re.findall(r'(mcp_\w+)\{(\w+="\w+")\}', RULES):
        assert any(sample.startswith(name + "{") and label in sample for sample in samples), label
    for name, labels in re.findall(r"`(mcp_\w+)\{([a-z,]+)\}`", GUIDE):
        found = set().union(*(re.findall(r'(\w+)="', sample) for sample in samples
                              if re.match(rf"{name}(_bucket|_count|_sum)?\{{", sample)))
        assert set(labels.split(",")) <= found, name


def test_each_alert_is_explained():
    alerts = re.findall(r"alert: (\w+)", RULES)
    explained = re.findall(r"\*\*(Mcp\w+)\*\*", GUIDE)
    assert len(alerts) == len(set(alerts)) and sorted(alerts) == sorted(explained)


@pytest.mark.skipif(not shutil.which("promtool"), reason="Debian's package prometheus is not here")
@pytest.mark.parametrize("what, file", [("check", "docs/alerts.yml"), ("test", "tests/alerts.yml")])
def test_rules_are_rules_and_fire(what, file):
    done = subprocess.run(["promtool", what, "rules", ROOT / file], capture_output=True,
                          text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def sources(*folders):
    return "".join(path.read_text() for folder in folders for path in ROOT.glob(f"{folder}/*.c"))


def test_log_lines_and_settings_exist():
    text = sources("proxy", "worker/runtime", "common")
    for line in re.findall(r'`msg="([^"]+)"', GUIDE):
        assert f'"{line}' in text, line
    table = GUIDE[GUIDE.index("| reason | why |"):]
    reasons = re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", table, re.M)))
    for reason in reasons:
        assert f'"{reason}"' in text, reason
    settings = (ROOT / ".env.example").read_text()
    for setting in set(re.findall(r"`([A-Z]+_[A-Z_]+)`", GUIDE)):
        assert f"#{setting}=" in settings, setting


def commands(start, page=GUIDE):
    """The commands of the first block behind that heading."""
    block = re.search(r"^```sh\n(.*?)^```$", page[page.index(start):], re.M | re.S)[1]
    return [line.partition(" #")[0].strip() for line in block.splitlines()]


def run(running, command, **names):
    """What it prints, run as an operator would."""
    for name, value in {"calculator": API, **names}.items():
        command = command.replace(f"<{name}>" if name in names else name, value)
    assert "<" not in command, command
    shell = f'redis-cli() {{ command redis-cli -e -p {running.redis.port} "$@"; }}\n{command}'
    done = subprocess.run(
        ["bash", "-c", shell.replace("bin/mcpctl", str(BIN / "mcpctl"))], cwd=ROOT, text=True,
        capture_output=True, check=False, timeout=30,
        env=clean_environment(REDIS_URL=running.redis.url))
    assert done.returncode == 0 and "ERR" not in done.stdout, (command, done)
    return done.stdout


def test_looks_show_something(running):
    """While a call runs each command has something to say."""
    redis = running.redis
    with running.client() as client:
        id = client.ask("tools/call", {"name": f"{API}_sleep", "arguments": {"delay_ms": 50000}})
        until(lambda: redis("XPENDING", f"mcp_requests:{{{API}}}", "workers", "-", "+", 1), 10,
              "it runs")
        names = {"worker": redis("ZRANGE", f"mcp_workers:{{{API}}}", 0, 0)[0],
                 "pod": redis("ZRANGE", "mcp_pods", 0, 0)[0], "session": client.session_id}
        until(lambda: redis.hash(f"mcp_counters:{{{API}}}")
              and redis("KEYS", f"mcp_user_session:*:{client.session_id}"), 10, "on record")
        names["user hash"] = redis.hash(f"mcp_session:{{{client.session_id}}}")["user"]
        for command in commands("## Look closer") + commands("## Look inside", README):
            if "mcp_dead" not in command:
                until(lambda: run(running, command, **names).strip(), 10, command)
        client.notify("notifications/cancelled", {"requestId": id})


def test_full_redis(running):
    """New calls are refused, those that run are answered when there is room."""
    redis, worker = running.redis, running.workers[0]
    with running.client() as client:
        id = client.ask("tools/call", {"name": f"{API}_sleep", "arguments": {"delay_ms": 1000}})
        until(lambda: redis("XPENDING", f"mcp_requests:{{{API}}}", "workers", "-", "+", 1), 10,
              "it runs")
        redis("CONFIG", "SET", "maxmemory", "1")
        try:
            refused = client.post({"jsonrpc": "2.0", "id": 99, "method": "tools/call", "params": {
                "name": f"{API}_echo", "arguments": {"text": "x"}}})
            assert refused.status == 503 and int(refused.header("Retry-After")) > 0
            until(lambda: 'msg="redis refused"' in worker.log_text(), 15, "its answer waits")
        finally:
            redis("CONFIG", "SET", "maxmemory", "0")
        assert "result" in client.answer(id, 30)


def test_dead_letters(running):
    """Looked at, queued once more (and heard of by nobody), deleted."""
    redis, worker = running.redis, running.workers[0]
    dead, queue = f"mcp_dead:{{{API}}}", f"mcp_requests:{{{API}}}"
    look, one, delete = commands("## Dead letters")
    replay = re.search(r'^redis-cli EVAL ".*?<letter>$', GUIDE, re.M | re.S)[0]
    with running.client() as client:
        worker.stop()
        client.ask("tools/call", {"name": f"{API}_ledger_append", "arguments": {"nonce": "once"}})
        (entry,) = until(lambda: redis("XRANGE", queue, "-", "+"), 10, "queued")
        letter = redis("XADD", dead, "*", "reason", "tested", "attempts", 3, "last_worker", "w",
                       "entry", entry[0], *[field for at in range(0, len(entry[1]), 2)
                                            for field in entry[1][at:at + 2]
                                            if entry[1][at] != "attempt"])
        redis("XDEL", queue, entry[0])
        assert "tested" in run(running, look, letter=letter)
        assert "ledger_append" in run(running, one, letter=letter)
        worker.start()
        run(running, replay, letter=letter)
        until(lambda: running.ledger.exists() and running.ledger.read_text() == "once\n", 20,
              "it ran, once")
        until(lambda: redis("XLEN", queue) == 0, 10, "and is done")
        until(lambda: "result" in client.request("tools/call", {
            "name": f"{API}_echo", "arguments": {"text": "still here"}}), 10, "it goes on")
        assert client.surprises == []
        assert run(running, delete, letter=letter).strip() == "1"
        assert redis("XLEN", dead) == 0
