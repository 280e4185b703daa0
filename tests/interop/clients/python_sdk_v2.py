"""Python SDK v2: Client over sse_client, as it comes: it first asks for the
stateless revision by server/discover, and falls back to initialize."""

from contextlib import asynccontextmanager

from mcp import Client
from mcp.client.sse import sse_client

from scenario import Answer, run

# A lost answer fails the run instead of hanging it.
TIMEOUT_S = 60


class Session:
    def __init__(self, client):
        self.client = client

    async def list(self):
        names, cursor = [], None
        while True:
            page = await self.client.list_tools(cursor=cursor)
            names += [tool.name for tool in page.tools]
            cursor = page.next_cursor
            if not cursor:
                return names

    async def call(self, name, args):
        result = await self.client.call_tool(name, args)
        return Answer.of(result.content, result.is_error, result.structured_content)


@asynccontextmanager
async def open_session(url):
    async with Client(sse_client(url), read_timeout_seconds=TIMEOUT_S) as client:
        yield Session(client)


run(open_session)
