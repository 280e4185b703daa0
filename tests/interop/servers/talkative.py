"""An MCP server that asks and tells: the Python SDK, standard input and output.

Its tools ask the client for what clients can be asked for; resources can be subscribed to,
arguments are completed, and lists change.
"""

import json

from mcp import types
from mcp.server.fastmcp import Context, FastMCP
from mcp.server.fastmcp.exceptions import ResourceError
from mcp.shared.exceptions import McpError, UrlElicitationRequiredError
from pydantic import BaseModel

mcp = FastMCP("talkative", instructions="Talk.")
server = mcp._mcp_server  # what FastMCP has no words for
watched = set()
level = "info"


class Guest(BaseModel):
    name: str
    seats: int = 2


def plain(model):
    return json.dumps(model.model_dump(mode="json", by_alias=True, exclude_none=True),
                      ensure_ascii=False, sort_keys=True)


@mcp.tool()
async def sample(prompt: str, ctx: Context) -> str:
    """Asks the client's model."""
    text = types.TextContent(type="text", text=prompt)
    return plain(await ctx.session.create_message(
        [types.SamplingMessage(role="user", content=text)], max_tokens=7, temperature=0.5,
        system_prompt="그", stop_sequences=["\n"]))


@mcp.tool()
async def sample_with_tools(ctx: Context) -> str:
    """Asks the client's model, which may use a tool."""
    text = types.TextContent(type="text", text="look")
    return plain(await ctx.session.create_message(
        [types.SamplingMessage(role="user", content=text)], max_tokens=7,
        tools=[types.Tool(name="look", inputSchema={"type": "object"})],
        tool_choice=types.ToolChoice(mode="auto")))


@mcp.tool()
async def invite(ctx: Context) -> str:
    """Asks the user by a form."""
    answer = await ctx.elicit("Who comes?", Guest)
    return plain(answer)


@mcp.tool()
async def sign_in(ctx: Context) -> str:
    """Sends the user to a URL, and says when it is done."""
    answer = await ctx.elicit_url("Sign in", "https://example.com/in?a=1", "e-1")
    await ctx.session.send_elicit_complete("e-1")
    return plain(answer)


@mcp.tool()
async def sign_in_first() -> str:
    """Cannot go on before the user was at a URL."""
    raise UrlElicitationRequiredError([types.ElicitRequestURLParams(
        mode="url", message="Sign in", url="https://example.com/in", elicitationId="e-2")])


@mcp.tool()
async def look(ctx: Context) -> str:
    """Asks for the client's roots."""
    return plain(await ctx.session.list_roots())


@mcp.tool()
async def log(ctx: Context) -> str:
    """Logs at each level, as far as the client wants to hear it."""
    names = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
    for name in names[names.index(level):]:
        await ctx.session.send_log_message(name, {"at": name, "n": 1.5}, "talk")
    return level


@mcp.tool()
async def touch(ctx: Context) -> str:
    """Changes what can be watched."""
    for uri in sorted(watched):
        await ctx.session.send_resource_updated(types.AnyUrl(uri))
    return "touched"


@mcp.tool()
async def fail(code: int) -> str:
    """Fails as JSON-RPC does, not as a tool."""
    raise McpError(types.ErrorData(code=code, message="no", data={"why": [1.5]}))


@mcp.resource("talk://watched")
def changing() -> str:
    return "changes"


@mcp.resource("talk://{name}/said")
def said(name: str) -> str:
    if name == "nobody":
        raise ResourceError("nobody said anything")
    return f"{name} said"


@mcp.prompt()
def greet(name: str) -> str:
    """Greets."""
    return f"Hello, {name}"


@mcp.completion()
async def complete(ref, argument, context):
    names = [name for name in ("Ada", "Alan", "Grace") if name.startswith(argument.value)]
    return types.Completion(values=names, total=len(names), hasMore=False)


@server.subscribe_resource()
async def subscribe(uri):
    watched.add(str(uri))


@server.unsubscribe_resource()
async def unsubscribe(uri):
    watched.discard(str(uri))


@server.set_logging_level()
async def set_level(to):
    global level
    level = to


def capabilities(*args, of=server.get_capabilities):
    """The SDK says that resources cannot be subscribed to, whatever there is."""
    result = of(*args)
    result.resources.subscribe = True
    return result


server.get_capabilities = capabilities

if __name__ == "__main__":
    mcp.run()
