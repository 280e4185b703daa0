"""FastMCP: Client over SSETransport."""

from contextlib import asynccontextmanager

from fastmcp import Client
from fastmcp.client.transports import SSETransport

from scenario import Answer, run

# A lost answer fails the run instead of hanging it.
TIMEOUT_S = 60


class Session:
    def __init__(self, client):
        self.client = client

    async def list(self):
        return [tool.name for tool in await self.client.list_tools()]

    async def call(self, name, args):
        result = await self.client.call_tool(name, args, raise_on_error=False)
        return Answer.of(result.content, result.is_error, result.structured_content)


@asynccontextmanager
async def open_session(url):
    async with Client(SSETransport(url), timeout=TIMEOUT_S) as client:
        yield Session(client)


run(open_session)
