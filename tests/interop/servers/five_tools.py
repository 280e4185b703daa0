"""An MCP server as a team has it: FastMCP, five tools, standard input and output."""

import base64
import dataclasses
import os
import time

from fastmcp import Context, FastMCP
from fastmcp.exceptions import ToolError
from fastmcp.prompts import Message
from fastmcp.utilities.types import Audio, Image
from mcp.types import EmbeddedResource, ResourceLink, TextResourceContents

mcp = FastMCP("five-tools", instructions="Five tools.\nUse them.")

PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIA"
                       "X8jx0gAAAABJRU5ErkJggg==")


@dataclasses.dataclass
class Weather:
    city: str
    celsius: float
    warnings: list[str]


@mcp.tool(annotations={"readOnlyHint": True})
def add(a: float, b: float) -> float:
    """Adds two numbers."""
    return a + b


@mcp.tool(annotations={"readOnlyHint": True, "title": "Weather"}, tags={"weather"},
          meta={"team/owner": "sky"})
def get_weather(city: str, days: int = 1) -> list[Weather]:
    """The weather of a city, a day at a time."""
    return [Weather(city, 21.5 + day, ["바람"] * day) for day in range(days)]


@mcp.tool
async def count(to: int, ctx: Context) -> str:
    """Counts, says how far it is, and logs what it does."""
    for number in range(1, to + 1):
        await ctx.report_progress(number, to, f"at {number}")
        await ctx.info(f"그 {number}")
    await ctx.debug("done", logger_name="counter", extra={"to": to})
    return f"counted to {to}"


@mcp.tool
def draw(kinds: list[str]) -> list:
    """Whatever a tool may show, or fails."""
    blocks = {
        "text": "a \"text\"\n\u2028",
        "image": Image(data=PNG, format="png"),
        "audio": Audio(data=b"RIFF\0\0\0\0WAVE", format="wav"),
        "embedded": EmbeddedResource(type="resource", resource=TextResourceContents(
            uri="team://notes/1", mimeType="text/plain", text="note")),
        "link": ResourceLink(type="resource_link", uri="team://notes/2", name="two",
                             description="a note"),
    }
    unknown = set(kinds) - set(blocks)
    if unknown:
        raise ToolError(f"cannot draw {', '.join(sorted(unknown))}")
    return [blocks[kind] for kind in kinds]


@mcp.tool(annotations={"readOnlyHint": True})
def work(seconds: float) -> int:
    """Blocks its process, and says which it is."""
    time.sleep(seconds)
    return os.getpid()


@mcp.resource("team://readme", mime_type="text/markdown", description="Read me.")
def readme() -> str:
    return "# Read me\n그래서"


@mcp.resource("team://logo.png", mime_type="image/png", tags={"art"})
def logo() -> bytes:
    return PNG


@mcp.resource("team://notes/{number}", mime_type="application/json", title="Notes")
def note(number: int) -> dict:
    return {"number": number, "half": number / 2}


@mcp.resource("team://docs/{path*}{?lang}")
def page(path: str, lang: str = "en") -> str:
    return f"{path} in {lang}"


@mcp.prompt(title="Review")
def review(code: str, language: str = "C") -> list[Message]:
    """Has code reviewed."""
    return [Message(f"Review this {language}:\n{code}"), Message("Gladly.", role="assistant")]


if __name__ == "__main__":
    mcp.run(show_banner=False)
