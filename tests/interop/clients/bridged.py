"""A FastMCP server directly and through the bridge: bridged.py URL SERVER.

The same FastMCP client on both, and what they see must be equal: tools with schemas and
annotations, results, structured content, errors, progress. Then calls at once, which must
be run by four processes.
"""

import asyncio
import sys
import time

from fastmcp import Client
from fastmcp.client.transports import PythonStdioTransport, SSETransport

CALLS = [
    ("add", {"a": 0.1, "b": 0.2}), ("add", {"a": 1e300, "b": 1}), ("add", {"a": 1}),
    ("add", {"a": "x", "b": 2}), ("get_weather", {"city": "서울", "days": 3}),
    ("get_weather", {"city": "a\"b\\c\n\u2028\U0001f600"}), ("get_weather", {"city": "", "days": 0}),
    ("count", {"to": 3}), ("fail", {"reason": "그래서"}), ("fail", {})]
AT_ONCE, SECONDS, PROCESSES = 8, 1.0, 4


def plain(model):
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


async def view(client):
    """All that a client sees of the server."""
    tools = {tool.name: plain(tool) for tool in await client.list_tools()}
    results = []
    for name, arguments in CALLS:
        progress = []

        async def note(done, total, message, into=progress):
            into.append((done, total, message))
        result = await client.call_tool_mcp(name, arguments, progress_handler=note)
        results.append((name, arguments, plain(result), progress))
    return {"tools": tools, "results": results,
            "instructions": client.initialize_result.instructions}


async def processes(client):
    """Which processes ran calls at once, and how long they took."""
    begun = time.monotonic()
    results = await asyncio.gather(*(client.call_tool("work", {"seconds": SECONDS})
                                     for _ in range(AT_ONCE)))
    return {result.data for result in results}, time.monotonic() - begun


def compare(direct, bridged):
    for part in direct:
        if direct[part] == bridged[part]:
            continue
        pairs = zip(direct[part], bridged[part]) if part == "results" else \
            [(direct[part], bridged[part])]
        for one, other in pairs:
            if one != other:
                sys.exit(f"FAILED: {part}\n  directly  {one}\n  bridged   {other}")


async def main(url, server):
    async with Client(PythonStdioTransport(server, python_cmd=sys.executable)) as client:
        direct = await view(client)
    async with Client(SSETransport(url), timeout=60) as client:
        compare(direct, await view(client))
        print(f"{len(direct['tools'])} tools and {len(CALLS)} results are the same")
        pids, seconds = await processes(client)
    if len(pids) != PROCESSES:
        sys.exit(f"FAILED: {AT_ONCE} calls at once were run by {len(pids)} processes")
    print(f"{AT_ONCE} calls of {SECONDS:g} s at once: {len(pids)} processes, {seconds:.1f} s")


asyncio.run(main(*sys.argv[1:]))
