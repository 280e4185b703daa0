"""Waiting on conditions, never on the clock."""

import os
import re
import time

# Sanitized programs on shared cores are several times slower.
PATIENCE = 4.0 if re.search("asan|tsan", os.environ.get("BIN", "")) else 1.0


def until(condition, seconds=5.0, what=None):
    """Polls condition() until it is true and returns its value.

    Raises AssertionError naming `what` (text, or a function that makes it)
    once `seconds` have passed. The time is stretched under sanitizers.
    """
    deadline = time.monotonic() + seconds * PATIENCE
    pause = 0.002
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            text = what() if callable(what) else what or "condition"
            raise AssertionError(f"not within {seconds:g} s: {text}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)
