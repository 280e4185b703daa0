"""What the tests of every folder want of pytest: import the hook in conftest.py."""

import resource

import pytest

from .process import tails

# Tests open thousands of sockets, and the programs inherit the limit.
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows the ends of the logs of what runs at that moment."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        report.sections.append(("programs", tails()))
