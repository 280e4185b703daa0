"""Samples of figures by system, and the one table made of them."""

import collections
import dataclasses
import statistics
from typing import Callable, Optional

# Columns, in order; the first is this project.
COLUMNS = ("mcp-relay", "bare path", "bare Redis", "mcp-handler", "TS SDK", "FastMCP")
RELAY, BARE, PEER = "mcp-relay", "bare path", "mcp-handler"
CONCURRENCIES = (1, 64, 256)


@dataclasses.dataclass(frozen=True)
class Row:
    """A figure: its key, what it is called, how many decimals it is shown with,
    and the goal for this project with the test of its median."""

    key: str
    title: str
    decimals: int = 0
    goal: str = ""
    reached: Optional[Callable[[float], bool]] = None


ROWS = (
    Row("rps-1", "calls/s, c=1"),
    Row("rps-64", "calls/s, c=64", 0, "≥ 20,000", lambda v: v >= 20000),
    Row("rps-256", "calls/s, c=256", 0, "≥ 25,000", lambda v: v >= 25000),
    Row("rps-64-aof", "calls/s, c=64, AOF everysec"),
    Row("times-peer", "times the calls/s of mcp-handler, c=64", 1, "≥ 10", lambda v: v >= 10),
    Row("p50-1", "p50 ms, c=1", 3),
    Row("p50-64", "p50 ms, c=64", 2),
    Row("p50-256", "p50 ms, c=256", 2),
    Row("p99-1", "p99 ms, c=1", 3),
    Row("p99-64", "p99 ms, c=64", 2),
    Row("p99-256", "p99 ms, c=256", 2),
    Row("times-p50", "p50 at c=1 over the bare path's", 2, "≤ 1.3", lambda v: v <= 1.3),
    Row("cpu-64", "servers' CPU µs per call, c=64", 1),
    Row("cpu-256", "servers' CPU µs per call, c=256", 1),
    Row("redis-64", "of it Redis, c=64", 1),
    Row("redis-256", "of it Redis, c=256", 1),
    Row("added-64", "CPU over the bare path, %, c=64", 0, "≤ 30", lambda v: v <= 30),
    Row("added-256", "CPU over the bare path, %, c=256", 0, "≤ 30", lambda v: v <= 30),
    Row("commands-64", "Redis commands per call, c=64", 2, "≤ 4", lambda v: v <= 4),
    Row("opens", "sessions opened per second", 0, "≥ 5,000", lambda v: v >= 5000),
    Row("idle-1000", "memory per idle session of 1,000, bytes", 0, "≤ 2,048",
        lambda v: v <= 2048),
    Row("idle-18000", "memory per idle session of 18,000, bytes", 0, "≤ 2,048",
        lambda v: v <= 2048),
    Row("few", "proxy CPU µs per call at the same rate, 100 sessions", 1),
    Row("many", "the same with 18,000 sessions", 1),
    Row("times-many", "18,000 sessions over 100", 2, "≤ 1.2", lambda v: v <= 1.2),
)


class Results:
    """Lists of samples, one per round, by system and figure."""

    def __init__(self):
        self.samples = collections.defaultdict(list)
        self.passed, self.wrong = 0, []

    def add(self, system, key, value):
        self.samples[system, key].append(value)

    def check(self, right, what):
        """Counts a run; `what` says what was wrong with it."""
        if right:
            self.passed += 1
        else:
            self.wrong.append(what)

    def ratio(self, key, above, below, change=lambda v: v):
        """A figure of this project made of two others, round by round."""
        pairs = zip(self.samples[above], self.samples[below])
        for a, b in list(pairs):
            if b > 0:
                self.add(RELAY, key, change(a / b))

    def derive(self):
        """Figures that compare: only ratios inside one round count."""
        self.ratio("times-peer", (RELAY, "rps-64"), (PEER, "rps-64"))
        self.ratio("times-p50", (RELAY, "p50-1"), (BARE, "p50-1"))
        self.ratio("times-many", (RELAY, "many"), (RELAY, "few"))
        for c in (64, 256):
            self.ratio(f"added-{c}", (RELAY, f"cpu-{c}"), (BARE, f"cpu-{c}"),
                       lambda v: (v - 1) * 100)

    def has(self, row):
        return any(self.samples.get((system, row.key)) for system in COLUMNS)


def number(value, decimals):
    return f"{value:,.{decimals}f}"


def cell(samples, decimals):
    """The median with the spread of the rounds."""
    if not samples:
        return ""
    middle = number(statistics.median(samples), decimals)
    if len(samples) == 1:
        return middle
    return f"{middle} ({number(min(samples), decimals)}–{number(max(samples), decimals)})"


def verdict(row, samples):
    if row.reached is None or not samples:
        return ""
    return "yes" if row.reached(statistics.median(samples)) else "**no**"


def line(cells):
    return "| " + " | ".join(cells) + " |"


def table(results, goals=True):
    """Markdown. Columns and rows without a sample are left out."""
    rows = [row for row in ROWS if results.has(row)]
    systems = [system for system in COLUMNS
               if any(results.samples.get((system, row.key)) for row in rows)]
    lines = [line(["figure", *systems] + (["goal", "reached"] if goals else [])),
             line(["---"] + ["---:"] * len(systems) + (["---:", "---"] if goals else []))]
    for row in rows:
        cells = [row.title]
        cells += [cell(results.samples.get((system, row.key)), row.decimals)
                  for system in systems]
        if goals:
            cells += [row.goal, verdict(row, results.samples.get((RELAY, row.key)))]
        lines.append(line(cells))
    return "\n".join(lines)
