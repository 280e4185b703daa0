"""An MCP server as a team has it: FastMCP, five tools, standard input and output."""

import dataclasses
import os
import time

from fastmcp import Context, FastMCP
from fastmcp.exceptions import ToolError

mcp = FastMCP("five-tools", instructions="Five tools.\nUse them.")


@dataclasses.dataclass
class Weather:
    city: str
    celsius: float
    warnings: list[str]


@mcp.tool(annotations={"readOnlyHint": True})
def add(a: float, b: float) -> float:
    """Adds two numbers."""
    return a + b


@mcp.tool(annotations={"readOnlyHint": True, "title": "Weather"}, tags={"weather"})
def get_weather(city: str, days: int = 1) -> list[Weather]:
    """The weather of a city, a day at a time."""
    return [Weather(city, 21.5 + day, ["바람"] * day) for day in range(days)]


@mcp.tool
async def count(to: int, ctx: Context) -> str:
    """Counts, and says how far it is."""
    for number in range(1, to + 1):
        await ctx.report_progress(number, to)
    return f"counted to {to}"


@mcp.tool
def fail(reason: str) -> str:
    """Fails."""
    raise ToolError(reason)


@mcp.tool(annotations={"readOnlyHint": True})
def work(seconds: float) -> int:
    """Blocks its process, and says which it is."""
    time.sleep(seconds)
    return os.getpid()


if __name__ == "__main__":
    mcp.run(show_banner=False)
