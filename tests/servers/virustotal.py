"""A local server that speaks VirusTotal's API v3: its paths, shapes, errors.

Run as a program: virustotal.py PORT KEY. It writes one JSON object a line per request on
standard output: method, path, headers, and how many requests were being answered; and one
with "closed" and the path when a client leaves before its answer. Names below .example
choose what happens; see BEHAVIOURS.
"""

import asyncio
import base64
import collections
import functools
import gzip
import json
import re
import sys

ENGINES = {"harmless": 60, "undetected": 12, "malicious": 0, "suspicious": 0}
BAD = {"harmless": 40, "undetected": 20, "malicious": 3, "suspicious": 1}


def results(stats):
    """last_analysis_results that add up to the stats."""
    found = {}
    for category, count in (stats or {}).items():
        for number in range(count):
            engine = f"{category.title()} Engine {number}"
            found[engine] = {"method": "blacklist", "engine_name": engine, "category": category,
                             "result": {"harmless": "clean", "undetected": "unrated",
                                        "malicious": "malware", "suspicious": "spam"}[category]}
    return found


def report(kind, id, stats, **attributes):
    """The body of a 200."""
    return {"data": {
        "id": id, "type": kind,
        "links": {"self": f"https://www.virustotal.com/api/v3/{kind}s/{id}"},
        "attributes": {"last_analysis_stats": {**(stats or {}), "timeout": 0},
                       "last_analysis_results": results(stats), "reputation": 7,
                       "last_analysis_date": 1700000000, "tags": ["tag-1"],
                       "total_votes": {"harmless": 1, "malicious": 0}, **attributes}}}


def error(code, message):
    return {"error": {"code": code, "message": message}}


NOT_FOUND = (404, error("NotFoundError", "not found"), {})


def ip_address(id):
    if id == "203.0.113.9":
        return NOT_FOUND
    bad = BAD if id == "198.51.100.6" else ENGINES
    return 200, report("ip_address", id, bad, as_owner="Example Net", asn=64500,
                       country="KR", network="8.8.8.0/24", whois="left out " * 1000), {}


def domain(id):
    return 200, report("domain", id, ENGINES, registrar="Example Registrar",
                       creation_date=1000000000, categories={"Engine": "search engines"},
                       last_dns_records=[{"type": "A", "ttl": 60, "value": f"192.0.2.{n}"}
                                         for n in range(100)]), {}


def file(id):
    if id.startswith("0000"):
        return NOT_FOUND
    return 200, report("file", "ab" * 32, BAD, meaningful_name='tool "x".exe', size=4711,
                       md5="ab" * 16, sha256="ab" * 32, names=["a.exe", "b.exe"],
                       type_description="Win32 EXE", popular_threat_classification={
                           "suggested_threat_label": "trojan.example"}), {}


def url(id):
    text = base64.urlsafe_b64decode(id + "=" * (-len(id) % 4)).decode()
    return 200, report("url", "cd" * 32, ENGINES, url=text, last_final_url=text,
                       title="제목", last_http_response_code=200), {}


COLLECTIONS = {"ip_addresses": ip_address, "domains": domain, "files": file, "urls": url}

# A domain's first label: status, body, headers, seconds until the answer.
BEHAVIOURS = {
    "quota": (429, error("QuotaExceededError", "Quota exceeded"), {}, 0),
    "busy": (429, error("TooManyRequestsError", "Too many requests"), {"Retry-After": "17"}, 0),
    "forbidden": (403, error("ForbiddenError", "You are not authorized"), {}, 0),
    "invalid": (400, error("InvalidArgumentError", "Bad domain"), {}, 0),
    "transient": (503, error("TransientError", "Transient server error"), {}, 0),
    "later": (503, error("TransientError", "Maintenance"), {"Retry-After": "3600"}, 0),
    "deadline": (504, error("DeadlineExceededError", "Took too long"), {}, 0),
    "html": (200, "<html>It works!</html>", {}, 0),
    "nodata": (200, {"data": []}, {}, 0),
    "cut": (200, json.dumps(report("domain", "cut.example", ENGINES))[:-40], {}, 0),
    "binary": (200, json.dumps(report("domain", "x", ENGINES, registrar="?")).encode()
               .replace(b"?", b"\xff\xfe"), {}, 0),
    "fresh": (200, {"data": {"id": "fresh.example", "type": "domain", "attributes": {
        "last_analysis_stats": dict.fromkeys(ENGINES, 0), "last_analysis_results": {}}}}, {}, 0),
    "many": (200, report("domain", "many.example", ENGINES, tags=[0] * 200000,
                         last_dns_records=[0] * 800000), {}, 0),
    "odd": (200, report("domain", "odd.example", None, tags="x", reputation="y",
                        last_analysis_date=None, categories=7), {}, 0),
    "bomb": (200, gzip.compress(bytes(32 << 20)), {"Content-Encoding": "gzip"}, 0),
    "nested": (200, functools.reduce(lambda data, _: gzip.compress(data), range(3),
                                     bytes(32 << 20)), {"Content-Encoding": "gzip, gzip, gzip"}, 0),
    "zipped": (200, gzip.compress(json.dumps(report("domain", "zipped.example", ENGINES)).encode()),
               {"Content-Encoding": "gzip"}, 0),
    "early": (400, error("NotAvailableYet", "Come back later"), {}, 0),
    "soon": (429, error("QuotaExceededError", "Quota exceeded"), {"Retry-After": "soon"}, 0),
    "never": (429, error("QuotaExceededError", "Quota exceeded"),
              {"Retry-After": "99999999999"}, 0),
    "page": (403, "<html><h1>403 Forbidden</h1>" + "x" * 100000, {}, 0),
    "wordy": (403, error("ForbiddenError", "한" * 5000), {}, 0),
    "garbled": (403, b'{"error":{"code":"ForbiddenError","message":"\xc3("}}', {}, 0),
    "redirect": (302, "", {"Location": "/api/v3/domains/elsewhere.example"}, 0),
    "huge": (200, "x" * (8 << 20), {}, 0),
    "slow": (None, None, {}, 1.0),
    "stuck": (None, None, {}, 3600),
}


async def stays(reader, seconds):
    """Whether the client, which has nothing to say meanwhile, is still there after that."""
    word = asyncio.ensure_future(reader.read(1))
    done, _ = await asyncio.wait({word}, timeout=seconds)
    word.cancel()
    return not done


class Server:
    def __init__(self, key):
        self.key = key
        self.active = 0
        self.seen = collections.Counter()

    def answer(self, path, key):
        """(status, body, headers, delay); status 0 drops the connection."""
        found = re.fullmatch(r"/api/v3/(\w+)/([^/?]+)", path)
        if key != self.key:
            return 401, error("WrongCredentialsError", "Wrong API key"), {}, 0
        if not found or found[1] not in COLLECTIONS:
            return 404, error("NotFoundError", "Resource not found."), {}, 0
        label = found[2].split(".")[0]
        self.seen[found[2]] += 1
        normal = COLLECTIONS[found[1]](found[2]) + (0,)
        if label == "flaky" and self.seen[found[2]] <= 2:
            return BEHAVIOURS["transient"]
        if label == "reset" and self.seen[found[2]] <= 1:
            return 0, "", {}, 0
        if label not in BEHAVIOURS:
            return normal
        status, body, headers, delay = BEHAVIOURS[label]
        return (status, body, headers, delay) if status else normal[:3] + (delay,)

    async def one(self, reader, writer):
        """Answers one request; false when the connection is to end."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ")
        pairs = [line.split(": ", 1) for line in head[1:] if line]
        fields = {name.lower(): value for name, value in pairs}
        self.active += 1
        print(json.dumps({"method": method, "path": path, "headers": fields,
                          "active": self.active}), flush=True)
        try:
            status, body, headers, delay = self.answer(path, fields.get("x-apikey"))
            if delay and not await stays(reader, delay):
                print(json.dumps({"closed": path}), flush=True)
                return False
        finally:
            self.active -= 1
        if status == 0:
            return False
        data = body if isinstance(body, bytes) else (
            body if isinstance(body, str) else json.dumps(body)).encode()
        lines = [f"HTTP/1.1 {status} Status", "Content-Type: application/json",
                 f"Content-Length: {len(data)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + data)
        await writer.drain()
        return True

    async def serve(self, reader, writer):
        try:
            while await self.one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def main(port, key):
    server = await asyncio.start_server(Server(key).serve, "127.0.0.1", port, backlog=2048)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
