"""What every Python client does, whatever its library.

A client script gives run() one function, open_session(url): an asynchronous
context manager whose value has

	list()            names of all tools, pages followed
	call(name, args)  an Answer; raises on a JSON-RPC error

and run() puts it through the same steps as scenario.mjs does for JavaScript.
The only argument is the server's base URL. Exit 0: all steps passed. The last
line says how many calls were made and answered right.
"""

import asyncio
import re
import sys
import traceback
from dataclasses import dataclass
from typing import Any, Callable

# Anything that a line-based SSE parser may take for a line's end (U+0085,
# U+2028, U+2029), what JSON must escape, and characters of 2, 3 and 4 bytes.
TEXT = (
    "Gr\u00fc\u00dfe, \uc138\uacc4, \u4e16\u754c, \U0001f30d\U0001f469\u200d\U0001f4bb; "
    'quote " backslash \\ slash / newline \n return \r tab \t bell \u0007 '
    "nel \u0085 ls \u2028 ps \u2029 data: x\n\nevent: endpoint\n"
)
# Longer than a socket buffer's first segments and than one HTTP chunk.
LONG_TEXT = "\uac00\ub098\ub2e4 abc \U0001f600 " * 3000

CALCULATOR = ("add", "subtract", "multiply", "divide")
ALL_AT_ONCE = 50


@dataclass
class Answer:
    """The parts of a CallToolResult that the scenario looks at."""

    is_error: bool
    text: str
    structured: Any

    @classmethod
    def of(cls, content, is_error, structured):
        return cls(bool(is_error), "".join(block.text for block in content), structured)


@dataclass
class ToolSet:
    """A path and the names under which it serves the tools."""

    path: str
    calls: int
    prefix: str
    echo: str | None
    absent: tuple[str, ...]

    def calculator(self, name):
        return self.prefix + name


SETS = (
    ToolSet("/sse", 100, "calculator_", "conformance_echo", CALCULATOR),
    ToolSet("/calculator/sse", 20, "", None, ("calculator_add", "conformance_echo", "echo")),
)


class Mismatch(Exception):
    """A step found something else than it should have."""


def check(condition, message):
    if not condition:
        raise Mismatch(message)


class Scenario:
    """The steps, on one open session."""

    def __init__(self, session, tools):
        self.session = session
        self.tools = tools
        self.answered = 0

    async def call(self, name, args):
        answer = await self.session.call(name, args)
        self.answered += 1
        return answer

    async def expect_number(self, tool, a, b, expected):
        answer = await self.call(tool, {"a": a, "b": b})
        what = f"{tool}({a}, {b})"
        check(not answer.is_error, f"{what} is an error: {answer.text}")
        check(float(answer.text) == expected, f'{what} says "{answer.text}"')
        check(
            answer.structured == {"result": expected},
            f"{what} has structuredContent {answer.structured}",
        )

    async def expect_echo(self, text):
        answer = await self.call(self.tools.echo, {"text": text})
        check(not answer.is_error, f"{self.tools.echo} is an error: {answer.text}")
        check(answer.text == text, f"{self.tools.echo} changed its text: {answer.text!r:.200}")

    async def check_list(self):
        names = await self.session.list()
        wanted = [self.tools.calculator(name) for name in CALCULATOR]
        if self.tools.echo:
            wanted.append(self.tools.echo)
        for name in wanted:
            check(name in names, f"no tool {name} in {names}")
        for name in self.tools.absent:
            check(name not in names, f"tool {name} does not belong on {self.tools.path}")
        check(len(set(names)) == len(names), f"a tool twice in {names}")

    async def check_division_by_zero(self):
        tool = self.tools.calculator("divide")
        answer = await self.call(tool, {"a": 1, "b": 0})
        check(answer.is_error, f"{tool}(1, 0) is no error: {answer.text}")
        check("zero" in answer.text.lower(), f"{tool}(1, 0) says {answer.text}")

    async def check_unknown_tool(self):
        """Some libraries raise a JSON-RPC error, some hand on a result with
        isError. Either way it must be about the tool: a timeout is not."""
        tool = self.tools.calculator("no_such_tool")
        try:
            answer = await self.call(tool, {})
            said = answer.text if answer.is_error else f"success: {answer.text}"
        except Exception as error:  # each library has its own class
            said = str(error)
        check(re.search("tool", said, re.I), f"{tool}: {said}")
        check(not re.search("^success|time[d ]*out", said, re.I), f"{tool}: {said}")

    async def numbered_call(self, i):
        """Call number i of a series; operands differ, so that an answer to
        another call never passes for this one's. Halves are exact in binary."""
        a, b = i + 0.5, 1000 + 3 * i
        name = self.tools.calculator
        kinds: list[Callable] = [
            lambda: self.expect_number(name("add"), a, b, a + b),
            lambda: self.expect_number(name("subtract"), a, b, a - b),
            lambda: self.expect_number(name("multiply"), a, b, a * b),
            lambda: self.expect_number(name("divide"), a * 8, 8, a),
        ]
        if self.tools.echo:
            kinds.append(lambda: self.expect_echo(f"{i} {TEXT} {i}"))
        await kinds[i % len(kinds)]()

    async def step(self, what, work):
        await work
        print(f"{self.tools.path}: {what}", flush=True)

    async def run(self):
        await self.step("tools listed", self.check_list())
        add = self.tools.calculator("add")
        await self.step("2 + 3 = 5", self.expect_number(add, 2, 3, 5))
        if self.tools.echo:
            await self.step("unicode echoed", self.expect_echo(TEXT))
            await self.step("long text echoed", self.expect_echo(LONG_TEXT))
        await self.step("division by zero is a tool error", self.check_division_by_zero())
        await self.step("an unknown tool is refused", self.check_unknown_tool())
        half = self.tools.calls // 2
        await self.step(f"{half} calls, 1 at a time", self.one_by_one(range(half)))
        rest = range(half, self.tools.calls)
        await self.step(f"{half} calls, up to {ALL_AT_ONCE} at a time", self.at_once(rest))

    async def one_by_one(self, numbers):
        for i in numbers:
            await self.numbered_call(i)

    async def at_once(self, numbers):
        await asyncio.gather(*(self.numbered_call(i) for i in numbers))


async def run_sets(open_session, base):
    answered = 0
    for tools in SETS:
        async with open_session(base + tools.path) as session:
            scenario = Scenario(session, tools)
            await scenario.run()
            answered += scenario.answered
    return answered


def root_cause(error):
    """The first leaf of nested exception groups: task groups wrap errors."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def run(open_session):
    if len(sys.argv) < 2:
        sys.exit(f"usage: {sys.argv[0]} http://host:port")
    try:
        answered = asyncio.run(run_sets(open_session, sys.argv[1]))
    except Exception as error:
        traceback.print_exc()
        reason = str(root_cause(error)).split("\n", 1)[0]
        print(f"FAILED: {type(root_cause(error)).__name__}: {reason}")
        sys.exit(1)
    print(f"{answered} calls answered")
