"""Python SDK in both directions: what tools tell and ask while they run.

The only argument is the server's base URL. Exit 0: all as it should be.
"""

import asyncio
import sys
import traceback

from mcp import ClientSession, types
from mcp.client.sse import sse_client
from pydantic import AnyUrl

queued = 0
logs = []


async def on_sampling(context, params):
    return types.CreateMessageResult(
        role="assistant", model="none",
        content=types.TextContent(type="text", text=f"heard {params.messages[0].content.text}"))


async def on_elicitation(context, params):
    return types.ElicitResult(action="accept", content={"response": "forty-two"})


async def on_roots(context):
    return types.ListRootsResult(roots=[types.Root(uri="file:///work", name="work")])


async def on_log(params):
    logs.append(params.data)


async def text(client, name, arguments=None, **options):
    global queued
    queued += 1
    result = await client.call_tool(f"conformance_test_{name}", arguments or {}, **options)
    assert not result.isError, result
    return result.content[0].text


async def check(client):
    global queued
    assert "heard a prompt" in await text(client, "sampling", {"prompt": "a prompt"})
    assert "forty-two" in await text(client, "elicitation", {"message": "how many?"})
    assert "file:///work" in await text(client, "roots")
    reports = []

    async def on_progress(progress, total, message):
        reports.append((progress, total))

    await text(client, "tool_with_progress", progress_callback=on_progress)
    assert reports == [(0, 100), (50, 100), (100, 100)], reports
    await client.set_logging_level("info")
    await text(client, "tool_with_logging")
    assert logs == ["Tool execution started", "Tool processing data",
                    "Tool execution completed"], logs
    queued += 3
    read = await client.read_resource(AnyUrl("test://template/7/data"))
    assert '"id":"7"' in read.contents[0].text
    prompt = await client.get_prompt("conformance_test_simple_prompt")
    assert prompt.messages[0].content.text == "This is a simple prompt for testing."
    done = await client.complete(
        types.ResourceTemplateReference(type="ref/resource", uri="test://template/{id}/data"),
        {"name": "id", "value": "14"})
    assert done.completion.values[0] == "14"


async def main(url):
    async with sse_client(f"{url}/sse") as (read, write):
        async with ClientSession(
                read, write, sampling_callback=on_sampling, elicitation_callback=on_elicitation,
                list_roots_callback=on_roots, logging_callback=on_log) as client:
            await client.initialize()
            await check(client)
    print(f"{queued} calls answered")


try:
    asyncio.run(main(sys.argv[1]))
except BaseException as error:  # noqa: BLE001 - whatever it is, it is to be seen
    traceback.print_exc()
    print(f"FAILED: {error!r}")
    sys.exit(1)
