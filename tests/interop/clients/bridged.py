"""An MCP server directly and through the bridge: bridged.py URL SERVER SCRIPT.

A client of the Python SDK on both, and what it sees must be equal: lists, results, errors,
progress, log messages, what the server asks, what it says by itself. SCRIPT says what to do,
as JSON. With "work" among the tools also calls at once, which must be run by four processes.
"""

import asyncio
import json
import sys
import time

from mcp import ClientSession, McpError, StdioServerParameters, types
from mcp.client.sse import sse_client
from mcp.client.stdio import stdio_client
from pydantic import AnyUrl

AT_ONCE, SECONDS, PROCESSES = 8, 1.0, 4
DEADLINE_S = 60
WITH_TOOLS = types.SamplingCapability(tools=types.SamplingToolsCapability())


def plain(model):
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


class Client:
    """A session, and what it was asked and told."""

    def __init__(self):
        self.session, self.heard = None, []

    def note(self, kind, model):
        params = plain(model)
        params.pop("_meta", None)
        self.heard.append((kind, params))

    async def on_sampling(self, context, params):
        self.note("sampling", params)
        return types.CreateMessageResult(
            role="assistant", model="none", stopReason="endTurn",
            content=types.TextContent(type="text", text="heard"))

    async def on_elicitation(self, context, params):
        self.note("elicitation", params)
        if params.mode == "url":
            return types.ElicitResult(action="accept")
        return types.ElicitResult(action="accept", content={"name": "Ada", "seats": 3})

    async def on_roots(self, context):
        self.heard.append(("roots", None))
        return types.ListRootsResult(roots=[types.Root(uri="file:///work", name="work")])

    async def on_message(self, message):
        """Notifications; progress goes to its call."""
        if isinstance(message, types.ServerNotification):
            of = message.root
            if not isinstance(of, types.ProgressNotification):
                self.note(of.method, of.params)

    async def run(self, streams, use):
        async with streams as (read, write), ClientSession(
                read, write, sampling_callback=self.on_sampling, sampling_capabilities=WITH_TOOLS,
                elicitation_callback=self.on_elicitation, list_roots_callback=self.on_roots,
                message_handler=self.on_message) as self.session:
            return await use(self, await self.session.initialize())

    async def outcome(self, request):
        """The result or the error of a request, and what was heard until then."""
        before = len(self.heard)
        try:
            result = plain(await request)
        except McpError as error:
            result = plain(error.error)
        return result, self.heard[before:]

    async def call(self, tool, arguments):
        progress = []

        async def note(done, total, message):
            progress.append((done, total, message))
        return (*await self.outcome(self.session.call_tool(
            tool, arguments, progress_callback=note)), progress)

    async def listed(self, what, of):
        found, cursor = [], None
        while True:
            page = await getattr(self.session, f"list_{what}")(cursor)
            found += [plain(item) for item in getattr(page, of)]
            cursor = page.nextCursor
            if not cursor:
                return {json.dumps(item, sort_keys=True) for item in found}

    async def watch(self, uri, tool):
        """Hears of a change; once at least, for the bridge may say too much."""
        def updates():
            return {json.dumps(params) for kind, params in self.heard if "updated" in kind}
        await self.session.subscribe_resource(AnyUrl(uri))
        await self.session.call_tool(tool)
        async with asyncio.timeout(DEADLINE_S):
            while not updates():
                await asyncio.sleep(0.02)
        await self.session.unsubscribe_resource(AnyUrl(uri))
        return updates()


def reference(ref):
    kind = types.PromptReference if ref["type"] == "ref/prompt" else \
        types.ResourceTemplateReference
    return kind(**ref)


async def view(client, introduced, script):
    """All that a client sees of the server, part by part."""
    session, can = client.session, introduced.capabilities
    yield "instructions", introduced.instructions
    if can.logging:
        await session.set_logging_level("debug")
    yield "tools", await client.listed("tools", "tools")
    yield "resources", await client.listed("resources", "resources")
    yield "templates", await client.listed("resource_templates", "resourceTemplates")
    yield "prompts", await client.listed("prompts", "prompts")
    for name, arguments in script["calls"]:
        yield f"{name} {arguments}", await client.call(name, arguments)
    for uri in script["reads"]:
        yield uri, await client.outcome(session.read_resource(AnyUrl(uri)))
    for name, arguments in script["prompts"]:
        yield f"{name} {arguments}", await client.outcome(session.get_prompt(name, arguments))
    for ref, argument in script["completions"]:
        yield f"{ref} {argument}", await client.outcome(
            session.complete(reference(ref), argument))
    if "watches" in script:
        yield "updates", await client.watch(*script["watches"])


async def processes(client):
    """Which processes ran calls at once, and how long they took."""
    begun = time.monotonic()
    results = await asyncio.gather(*(client.session.call_tool("work", {"seconds": SECONDS})
                                     for _ in range(AT_ONCE)))
    return {result.content[0].text for result in results}, time.monotonic() - begun


async def main(url, server, path):
    with open(path, encoding="utf-8") as file:
        script = json.load(file)

    async def look(client, introduced):
        return [part async for part in view(client, introduced, script)]

    async def look_and_work(client, introduced):
        seen = await look(client, introduced)
        works = "work" in str(seen[1])
        return seen, await processes(client) if works else None
    command = StdioServerParameters(command=sys.executable, args=[server])
    direct = await Client().run(stdio_client(command), look)
    bridged, worked = await Client().run(sse_client(url), look_and_work)
    for (what, one), (_, other) in zip(direct, bridged, strict=True):
        if one != other:
            sys.exit(f"FAILED: {what}\n  directly  {one}\n  bridged   {other}")
    print(f"{len(direct)} parts are the same")
    if worked and len(worked[0]) != PROCESSES:
        sys.exit(f"FAILED: {AT_ONCE} calls at once were run by {len(worked[0])} processes")
    if worked:
        print(f"{AT_ONCE} calls of {SECONDS:g} s at once: {PROCESSES} processes, {worked[1]:.1f} s")


asyncio.run(main(*sys.argv[1:]))
