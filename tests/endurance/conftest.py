"""Tests of what takes minutes, or ten thousand sockets: like those of
tests/blackbox, with real programs, but run on their own (make endurance)."""

import pathlib
import sys

import pytest

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "blackbox")]

from harness.plugin import pytest_runtest_makereport  # noqa: E402, F401

pytest.register_assert_rewrite("recovering")
