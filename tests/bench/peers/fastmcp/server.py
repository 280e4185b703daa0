"""FastMCP's SSE server with one echo tool; sessions live in this process.

Prints {"url": ..., "pid": ...} once it listens.
"""

import json
import os
import socket

import uvicorn
from fastmcp import FastMCP
from fastmcp.server.http import create_sse_app

mcp = FastMCP("bench-echo")


@mcp.tool
def echo(text: str) -> str:
    """Returns its text."""
    return text


def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    app = create_sse_app(mcp, message_path="/messages/", sse_path="/sse")
    port = listener.getsockname()[1]
    print(json.dumps({"url": f"http://127.0.0.1:{port}", "pid": os.getpid()}), flush=True)
    config = uvicorn.Config(app, log_level="error", access_log=False, timeout_graceful_shutdown=1)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
