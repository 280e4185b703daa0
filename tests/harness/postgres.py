"""A PostgreSQL server of our own, from Debian's package, on a free port."""

import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

from .process import Process, clean_environment, free_port
from .wait import until

SETTINGS = {"fsync": "off", "listen_addresses": "127.0.0.1", "unix_socket_directories": "",
            "max_connections": "50", "shared_buffers": "32MB"}


def programs():
    """Where initdb and postgres are: of the newest version."""
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"),
                   key=lambda path: int(path.parts[4]))
    assert found, "PostgreSQL is not installed"
    return found[-1].parent


def as_plain_user():
    """A prefix that runs a program as postgres: initdb refuses to run as root."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups",
            "--pdeathsig", "KILL", "--"]


class Postgres(Process):
    """Trusts all local connections; superuser "postgres", database "postgres"."""

    def __init__(self):
        self.port = free_port()
        # Not below build/: the plain user may not be able to go there.
        self.data = pathlib.Path(tempfile.mkdtemp(prefix="mcp-relay-postgres-"))
        if os.geteuid() == 0:
            shutil.chown(self.data, "postgres", "postgres")
        settings = [f"--{name}={value}" for name, value in SETTINGS.items()]
        super().__init__("postgres", [*as_plain_user(), programs() / "postgres", "-D", self.data,
                                      f"--port={self.port}", *settings])

    def __enter__(self):
        try:
            subprocess.run([*as_plain_user(), programs() / "initdb", "--no-sync", "-U", "postgres",
                            "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-D", self.data],
                           check=True, capture_output=True, cwd="/", env=clean_environment())
            return super().__enter__()
        except BaseException:
            shutil.rmtree(self.data, ignore_errors=True)
            raise

    def __exit__(self, *exc):
        super().__exit__(*exc)
        shutil.rmtree(self.data, ignore_errors=True)

    def start(self):
        super().start()
        until(self.answers, 20, lambda: f"PostgreSQL answers\n{self.tail()}")
        return self

    def answers(self):
        return subprocess.run(["psql", self.url, "-c", "SELECT 1"], capture_output=True,
                              check=False, env=clean_environment()).returncode == 0

    def stop(self, seconds=15):
        """A fast shutdown: clients are disconnected."""
        if self.alive():
            self.signal(signal.SIGINT)
        try:
            return self.wait(seconds)
        finally:
            self.kill()

    @property
    def url(self):
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def url_as(self, role):
        return self.url.replace("postgres@", f"{role}@")

    def sql(self, text):
        """Runs it as superuser; what it prints, unaligned."""
        done = subprocess.run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", self.url], input=text,
                              text=True, capture_output=True, check=False,
                              env=clean_environment())
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()
