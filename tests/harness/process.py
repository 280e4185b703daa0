"""Child processes that cannot outlive this program, ports, work directories."""

import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile

from .wait import PATIENCE

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = ROOT / os.environ.get("BIN", "bin")
SCRATCH = ROOT / "build" / "scratch" / str(os.getpid())

# What a sanitizer writes when it found something.
SANITIZER = re.compile(
    r"ERROR: (Address|Leak|Thread)Sanitizer|runtime error:|AddressSanitizer:DEADLYSIGNAL")

_port_locks = {}


def free_port():
    """A TCP port that nothing listens on and no other harness was given.

    Ports come from below the ephemeral range, so that outgoing connections do
    not take them. An abstract Unix socket, held as long as this process lives,
    reserves the number: proxies bind with SO_REUSEPORT, and two runs on one port
    would share it without an error.
    """
    for port in random.sample(range(15000, 32000), 2000):
        lock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        probe = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            lock.bind(f"\0mcp-relay-port-{port}")
            probe.bind(("127.0.0.1", port))
        except OSError:
            lock.close()
            continue
        finally:
            probe.close()
        _port_locks[port] = lock
        return port
    raise RuntimeError("no free port")


def port_is_free(port):
    """Whether this process could listen on that port of every address."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            return False
    return True


def work_directory(name):
    """A fresh directory below build/scratch/<our pid>; a later run removes it."""
    SCRATCH.mkdir(parents=True, exist_ok=True)
    return pathlib.Path(tempfile.mkdtemp(prefix=f"{name}-", dir=SCRATCH))


def clean_environment(**settings):
    """PATH and the like plus the given settings; None leaves one out.

    Nothing else of the caller's environment reaches a program under test.
    """
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS")
    env = {key: os.environ[key] for key in kept if key in os.environ}
    env["PATH"] = env.get("PATH", "/usr/bin:/bin") + ":/usr/sbin"  # haproxy's place
    env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
    env.update({key: str(value) for key, value in settings.items() if value is not None})
    return env


class Process:
    """A child in its own process group, with its output in a log file.

    The kernel kills it when this program ends, however it ends: start it from
    the main thread, because the kernel goes by the thread that forked.
    """

    running = []

    def __init__(self, name, argv, directory=None, env=None, nofile=None):
        self.name = name
        self.argv = [str(word) for word in argv]
        self.directory = directory or work_directory(name)
        self.env = env if env is not None else clean_environment()
        self.nofile = nofile
        self.log = pathlib.Path(self.directory) / f"{name}.log"
        self.child = None
        self.starts = 0

    def __enter__(self):
        try:
            if self.child is None:
                self.start()
        except BaseException:
            if self.child is not None:
                self.kill()
            raise
        return self

    def __exit__(self, *exc):
        if self.alive():
            self.stop()

    def start(self):
        """Starts it without waiting for anything."""
        wrap = ["setpriv", "--pdeathsig", "KILL", "--"]
        if self.nofile:
            wrap += ["prlimit", f"--nofile={self.nofile}:{self.nofile}", "--"]
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(
                wrap + self.argv, cwd=self.directory, env=self.env, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True)
        self.starts += 1
        Process.running.append(self)
        return self

    @property
    def pid(self):
        return self.child.pid

    @property
    def returncode(self):
        return self.child.poll()

    def alive(self):
        return self.child is not None and self.child.poll() is None

    def signal(self, number):
        self.child.send_signal(number)

    def freeze(self):
        self.signal(signal.SIGSTOP)

    def thaw(self):
        self.signal(signal.SIGCONT)

    def _gone(self):
        if self in Process.running:
            Process.running.remove(self)

    def kill(self):
        """kill -9, and waits for it to be gone."""
        if self.alive():
            self.child.kill()
        self.child.wait()
        self._gone()

    def wait(self, seconds=15):
        """Its exit code, within the deadline."""
        try:
            code = self.child.wait(seconds * PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"{self.name} still runs after {seconds:g} s\n{self.tail()}") from None
        self._gone()
        return code

    def stop(self, seconds=15):
        """SIGTERM, then its exit code; kills it when it does not end."""
        if self.alive():
            self.signal(signal.SIGTERM)
        try:
            return self.wait(seconds)
        finally:
            self.kill()

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def tail(self, lines=12):
        """The last lines of its log, under a heading."""
        last = self.log_text().splitlines()[-lines:]
        return "\n".join([f"--- end of {self.log.relative_to(ROOT)}:"] + last)

    def sanitizer_report(self):
        """The sanitizers' text when there is any, else None."""
        text = self.log_text()
        found = SANITIZER.search(text)
        return text[max(0, found.start() - 200):][:6000] if found else None

    def rss_bytes(self):
        """Resident memory."""
        pages = pathlib.Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def peak_bytes(self):
        """The most resident memory that it ever had."""
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"^VmHWM:\s+(\d+) kB", status, re.M)[1]) * 1024

    def state(self):
        """The kernel's letter for it: T when it is stopped."""
        stat = pathlib.Path(f"/proc/{self.pid}/stat").read_text()
        return stat.rsplit(")", 1)[1].split()[0]

    def cpu_seconds(self):
        """User and system time so far."""
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def open_files(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))


def remove_scratch():
    """Removes the work directories of programs that are no longer there."""
    for directory in SCRATCH.parent.glob("*"):
        if not pathlib.Path("/proc", directory.name).exists():
            shutil.rmtree(directory, ignore_errors=True)


def tails():
    """The ends of the logs of all processes that run now."""
    return "\n".join(process.tail() for process in Process.running)
