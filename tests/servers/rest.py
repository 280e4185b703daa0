"""A local REST server that records every byte of each request.

Run as a program: rest.py PORT. It writes one JSON object a line per request on standard
output: its head and body as they came (latin-1). What it answers goes by the path:
/answer/<kind> as below (/answer/stuck: nothing), /slow after a second, /description/<file> a
file of tests/specs, /token an access token (token-1, token-2, …; /answer/guarded takes any but
those revoked by /revoke), /brief/token one that has expired already, the rest {"ok": true}.
"""

import asyncio
import base64
import json
import pathlib
import re
import sys

SPECS = pathlib.Path(__file__).resolve().parents[1] / "specs"
PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
                       "YPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==")
ISSUES = {"total": 2, "issues": [
    {"key": "A-1", "fields": {"summary": "one", "status": {"name": "open"}, "noise": "x" * 99}},
    {"key": "A-2", "fields": {"summary": "둘", "status": None, "noise": "y"}}]}

# By the last part of the path: status, media type, body, headers.
ANSWERS = {
    "json": (200, "application/json; charset=utf-8", json.dumps(ISSUES), {}),
    "numbers": (200, "application/json",
                '{"id": 1234567890123456789, "sum": 1.50, "rows": [{"id": 9007199254740993}]}', {}),
    "text": (200, "text/plain", "plain\n", {}),
    "notjson": (200, "application/json", "<html>", {}),
    "png": (200, "image/png", PNG, {}),
    "bytes": (200, "application/pdf", b"%PDF\0\xff", {}),
    "empty": (204, None, "", {}),
    "large": (200, "text/plain", "é" * 100000, {}),
    "missing": (404, "application/json", '{"message":"No such thing"}', {}),
    "long": (422, "text/plain", "x" * 9000, {}),
    "busy": (429, "application/json", "{}", {"Retry-After": "17"}),
    "redirect": (302, None, "", {"Location": "http://169.254.169.254/latest?api_key=hidden"}),
    "denied": (401, "text/plain", "who?", {}),
    "down": (503, "text/plain", "down", {}),
}


class Server:
    def __init__(self):
        self.tokens = 0
        self.revoked = set()
        self.failures = 0

    def token(self, seconds):
        self.tokens += 1
        return 200, "application/json", json.dumps(
            {"access_token": f"token-{self.tokens}", "token_type": "Bearer",
             "expires_in": seconds}), {}

    def guarded(self, head):
        found = re.search(r"\r\nAuthorization: Bearer (token-\d+)\r\n", head)
        if not found or found[1] in self.revoked:
            return ANSWERS["denied"]
        return 200, "application/json", json.dumps({"token": found[1]}), {}

    def answer(self, method, path, head):
        name = path.rpartition("/")[2]
        if path in ("/token", "/brief/token"):
            return self.token(0 if path == "/brief/token" else 3600)
        if path == "/revoke":
            self.revoked.add(f"token-{self.tokens}")
        if path == "/answer/guarded":
            return self.guarded(head)
        if path.startswith("/description/"):
            return 200, "text/plain", (SPECS / name).read_bytes(), {}
        if path == "/answer/flaky":
            self.failures += 1
            return ANSWERS["down" if self.failures == 1 else "json"]
        if path.startswith("/answer/") and name in ANSWERS:
            return ANSWERS[name]
        return 200, "application/json", '{"ok": true}', {}

    async def one(self, reader, writer):
        """Answers one request."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        found = re.search(r"\r\ncontent-length: (\d+)\r\n", head, re.I)
        body = await reader.readexactly(int(found[1])) if found else b""
        print(json.dumps({"head": head, "body": body.decode("latin-1")}), flush=True)
        method, target, _ = head.split("\r\n")[0].split(" ")
        path = target.split("?")[0]
        await asyncio.sleep({"/slow": 1, "/answer/stuck": 3600}.get(path, 0))
        status, kind, content, headers = self.answer(method, path, head)
        data = content.encode() if isinstance(content, str) else content
        lines = [f"HTTP/1.1 {status} Status"]
        lines += [f"Content-Type: {kind}"] if kind else []
        lines += [f"Content-Length: {len(data)}"] if status != 204 else []
        lines += [f"{name}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + data)
        await writer.drain()

    async def serve(self, reader, writer):
        try:
            while True:
                await self.one(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def main(port):
    server = await asyncio.start_server(Server().serve, "127.0.0.1", port, backlog=2048,
                                        limit=1 << 20)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
