"""Python SDK: ClientSession over sse_client."""

from contextlib import asynccontextmanager
from datetime import timedelta

from mcp import ClientSession
from mcp.client.sse import sse_client

from scenario import Answer, run

# A lost answer fails the run instead of hanging it.
TIMEOUT = timedelta(seconds=60)


class Session:
    def __init__(self, client):
        self.client = client

    async def list(self):
        names, cursor = [], None
        while True:
            page = await self.client.list_tools(cursor)
            names += [tool.name for tool in page.tools]
            cursor = page.nextCursor
            if not cursor:
                return names

    async def call(self, name, args):
        result = await self.client.call_tool(name, args)
        return Answer.of(result.content, result.isError, result.structuredContent)


@asynccontextmanager
async def open_session(url):
    async with sse_client(url) as (read, write):
        async with ClientSession(read, write, read_timeout_seconds=TIMEOUT) as client:
            await client.initialize()
            yield Session(client)


run(open_session)
