"""One long call, with the progress that the worker reports: long_call.py URL v1|v2 DELAY_MS"""

import asyncio
import sys
import time

from mcp import ClientSession
from mcp.client.sse import sse_client


async def main(url, delay_ms):
    reports = []

    async def on_progress(progress, total, message):
        reports.append(progress)

    async with sse_client(f"{url}/sse") as (read, write):
        async with ClientSession(read, write) as client:
            await client.initialize()
            began = time.monotonic()
            result = await client.call_tool("conformance_sleep", {"delay_ms": delay_ms},
                                            progress_callback=on_progress)
            took = time.monotonic() - began
    assert result.content[0].text == "slept"
    assert took * 1000 >= delay_ms, took
    assert len(reports) >= 2 and reports == sorted(set(reports)), reports
    print(f"answered after {took:.1f} s and {len(reports)} reports")


asyncio.run(main(sys.argv[1], int(sys.argv[3])))
