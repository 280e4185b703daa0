"""Real MCP clients against the whole system: `make interop`.

Starts redis-server, two proxies of two loops, two workers of each API and
haproxy in front, round robin and without cookies. Each client then connects
through haproxy, lists the tools, calls them, gets errors, and makes its calls
in series and at once, on /sse and on /calculator/sse; clients/scenario.mjs and
clients/scenario.py hold the steps and check each answer. At last the proxies'
own counters must show that each took its share of the calls. The two "dialogue"
clients try the other direction: what tools tell and ask while they run, and what
there is besides tools.

    run.py [--url http://host:port] [client ...]

With --url the clients go to a system that runs already, such as that of
`make run` with a conformance worker; nothing is then known of its proxies.
Packages come from npm and PyPI, once for the versions in package.json and the
requirements files. Everything is written below build/interop.
"""

import argparse
import contextlib
import dataclasses
import hashlib
import importlib.util
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from harness import ROOT, Cluster, Process, clean_environment, metrics  # noqa: E402

WORK = ROOT / "build" / "interop"
MODULES = WORK / "node_modules"

# Files that pin packages, and what is made of each.
NPM = HERE / "package.json"
PYPI = HERE / "requirements.txt"
PYPI_V2 = HERE / "requirements-v2.txt"
VENVS = {PYPI: WORK / "venv", PYPI_V2: WORK / "venv-v2"}

# The slowest, one process per call, takes the better part of a minute on two
# idle cores.
CLIENT_DEADLINE_S = 480
# Of the calls, each of two proxies takes about half. Clients that open a
# session per call send in a fixed rhythm, which tips the scales somewhat.
LEAST_SHARE = 0.1


@dataclasses.dataclass(frozen=True)
class Client:
    """A row of the table below: a script, the package that it tries and where
    that is pinned, and what the script wants to know besides the URL."""

    name: str
    pins: pathlib.Path
    package: str
    script: str
    argument: str = ""

    def command(self, url):
        program = VENVS[self.pins] / "bin" / "python" if self.pins in VENVS else node()
        script = WORK / "clients" / self.script
        return [program, script, url, *filter(None, [self.argument])]

    def title(self):
        """Its name and the pinned version."""
        pin = rf'^(?:\s*"{self.package}": "|{self.package}==)([^"\s]+)'
        return f"{self.name} {re.search(pin, self.pins.read_text(), re.M).group(1)}"


CLIENTS = (
    Client("ts-sdk-v1", NPM, "@modelcontextprotocol/sdk", "ts-sdk-v1.mjs"),
    Client("ts-sdk-v2", NPM, "@modelcontextprotocol/client", "ts-sdk-v2.mjs"),
    Client("ts-sdk-v2-auto", NPM, "@modelcontextprotocol/client", "ts-sdk-v2.mjs", "auto"),
    Client("inspector", NPM, "@modelcontextprotocol/inspector", "inspector.mjs"),
    Client("mcp-remote", NPM, "mcp-remote", "bridge.mjs", "mcp-remote"),
    Client("supergateway", NPM, "supergateway", "bridge.mjs", "supergateway"),
    Client("ai-sdk", NPM, "@ai-sdk/mcp", "ai-sdk.mjs"),
    Client("python-sdk", PYPI, "mcp", "python_sdk.py"),
    Client("python-sdk-v2", PYPI_V2, "mcp", "python_sdk_v2.py"),
    Client("ts-dialogue", NPM, "@modelcontextprotocol/sdk", "dialogue.mjs"),
    Client("python-dialogue", PYPI, "mcp", "dialogue.py"),
    Client("fastmcp", PYPI, "fastmcp", "fastmcp_client.py"),
)


# Packages -------------------------------------------------------------------

def install_tools():
    """npm and venv, from Debian's packages, where the machine has none."""
    commands = all(shutil.which(command) for command in ("node", "npm"))
    if not commands or not importlib.util.find_spec("ensurepip"):
        subprocess.run([ROOT / ".ci" / "deps", "bench"], check=True)


@contextlib.contextmanager
def once(pins, product):
    """Yields whether `product` is to be made anew, because the file `pins` is
    not what it was made from; remembers that once the body has passed."""
    stamp = WORK / f"{product.name}.stamp"
    wanted = hashlib.sha256(pins.read_bytes()).hexdigest()
    if product.exists() and stamp.exists() and stamp.read_text() == wanted:
        yield False
        return
    stamp.unlink(missing_ok=True)
    shutil.rmtree(product, ignore_errors=True)
    print(f"installing the packages of {pins.relative_to(ROOT)}", flush=True)
    yield True
    stamp.write_text(wanted)


def install_node_packages():
    with once(NPM, MODULES) as missing:
        if missing:
            shutil.copy(NPM, WORK)
            subprocess.run(
                ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund",
                 "--ignore-scripts", "--loglevel=error"],
                cwd=WORK, check=True, stdout=subprocess.DEVNULL)


def install_python_packages(pins, venv):
    with once(pins, venv) as missing:
        if missing:
            subprocess.run([sys.executable, "-m", "venv", venv], check=True)
            subprocess.run([venv / "bin" / "python", "-m", "pip", "install", "--quiet",
                            "--disable-pip-version-check", "--requirement", pins], check=True)


def install():
    WORK.mkdir(parents=True, exist_ok=True)
    install_tools()
    install_node_packages()
    for pins, venv in VENVS.items():
        install_python_packages(pins, venv)
    copy_clients()


def copy_clients():
    """Scripts find their packages by walking up from where they are."""
    shutil.rmtree(WORK / "clients", ignore_errors=True)
    shutil.copytree(HERE / "clients", WORK / "clients")


def node():
    """The Node.js of node_modules, or the machine's on other processors."""
    packaged = sorted(MODULES.glob("node-linux-*/bin/node"))
    return packaged[0] if packaged else shutil.which("node")


# One client -----------------------------------------------------------------

class Failure(Exception):
    """Why a client did not pass."""


def run_client(client, url):
    """Runs it to its end; how many of its calls were answered right."""
    home = WORK / "home"
    home.mkdir(exist_ok=True)
    env = clean_environment(HOME=home, LANG="C.UTF-8", NO_PROXY="127.0.0.1")
    logs = WORK / "logs"
    logs.mkdir(exist_ok=True)
    process = Process(client.name, client.command(url), logs, env)
    process.start()
    try:
        code = process.wait(CLIENT_DEADLINE_S)
    except AssertionError:
        raise Failure(f"not done within {CLIENT_DEADLINE_S} s") from None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # it and what it started
        process.kill()
    text = process.log_text()
    done = re.search(r"^(\d+) calls answered$", text, re.M)
    if code != 0 or not done:
        reasons = re.findall(r"^FAILED: (.*)", text, re.M)
        raise Failure(reasons[-1] if reasons else f"exit code {code}")
    return int(done.group(1))


def calls_taken(proxies):
    """Tool calls that each proxy took in and queued since it started."""
    try:
        return [int(metrics(proxy)["mcp_proxy_calls_total"]) for proxy in proxies]
    except (OSError, EOFError) as error:
        raise Failure(f"a proxy's /metrics does not answer: {error}") from None


def check_spread(taken, answered):
    """Each call was queued once, and every proxy took its share of them."""
    if sum(taken) != answered:
        raise Failure(f"{answered} calls answered, but the proxies queued {taken}")
    if min(taken) < LEAST_SHARE * answered:
        raise Failure(f"calls were not spread over the proxies: {taken}")


def try_client(client, url, proxies):
    """What there is to say about its run; raises Failure."""
    began = time.monotonic()
    before = calls_taken(proxies)
    answered = run_client(client, url)
    text = f"{answered} calls in {time.monotonic() - began:.1f} s"
    if not proxies:
        return text
    taken = [end - start for start, end in zip(before, calls_taken(proxies))]
    check_spread(taken, answered)
    shares = (f"{proxy.name} {count}" for proxy, count in zip(proxies, taken))
    return f"{text}, taken by {', '.join(shares)}"


def report(verdict, title, text):
    print(f"{verdict:<8}{title:<28}{text}", flush=True)


def show_end(log):
    print(f"        see {log.relative_to(ROOT)}, which ends:")
    for line in log.read_text(errors="replace").splitlines()[-8:]:
        print(f"        | {line[:200]}")


def passes(client, url, proxies):
    """Runs it and prints its line; whether it passed."""
    title = client.title()
    log = WORK / "logs" / f"{client.name}.log"
    log.unlink(missing_ok=True)
    try:
        report("ok", title, try_client(client, url, proxies))
        return True
    except Failure as failure:
        report("FAILED", title, str(failure))
    if log.exists():
        show_end(log)
    return False


# All of them ----------------------------------------------------------------

def chosen(names):
    known = {client.name: client for client in CLIENTS}
    unknown = [name for name in names if name not in known]
    if unknown:
        sys.exit(f"no client {', '.join(unknown)}; there are {', '.join(known)}")
    return [known[name] for name in names] or CLIENTS


def run_on_own_system(clients, verdicts):
    """Appends a verdict for each client, and one more when the system itself
    did not start, did not stay up or did not end as it should."""
    directory = WORK / "system"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    try:
        with Cluster(proxies=2, threads=2, balancer=True, directory=directory) as system:
            for client in clients:
                verdicts.append(passes(client, system.balancer.url, system.proxies))
            system.assert_no_restart()
    except AssertionError as error:
        report("FAILED", "the system itself", str(error))
        verdicts.append(False)


def main():
    parser = argparse.ArgumentParser(description="Runs real MCP clients against the system.")
    parser.add_argument("--url", help="a system that runs already")
    parser.add_argument("clients", nargs="*", help="which; all when none is named")
    args = parser.parse_args()
    clients = chosen(args.clients)
    install()
    verdicts = []
    if args.url:
        verdicts += [passes(client, args.url, []) for client in clients]
    else:
        run_on_own_system(clients, verdicts)
    failed = verdicts.count(False)
    print(f"{len(verdicts) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
