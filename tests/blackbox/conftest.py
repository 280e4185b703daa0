"""Fixtures of the black-box tests: real programs, real Redis, no mocks."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from harness import Cluster, Redis  # noqa: E402
from harness.plugin import pytest_runtest_makereport  # noqa: E402, F401

pytest.register_assert_rewrite("load", "queues", "opener", "recovering")


@pytest.fixture(scope="session")
def system():
    """Two proxies of two loops, two workers of each API; tests leave it whole."""
    with Cluster() as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def shared_system_is_whole(request):
    """No test may make a program of the shared system end."""
    yield
    if "system" in request.fixturenames:
        request.getfixturevalue("system").assert_no_restart()


@pytest.fixture
def client(system):
    """A session whose stream is on the first proxy."""
    with system.client(0) as session:
        yield session


@pytest.fixture
def other(system, client):
    """A proxy that does not hold the client's stream."""
    return system.other(client)


@pytest.fixture
def redis():
    """A server of the test's own: its workers share no queue with another."""
    with Redis() as server:
        yield server


@pytest.fixture
def ledger(tmp_path):
    """A LEDGER_FILE for the conformance worker."""
    return tmp_path / "ledger"
