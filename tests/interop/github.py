"""GitHub's full REST description served by one openapi worker: part of `make interop`.

The description comes from the npm package @octokit/openapi, once, into build/interop. The
worker must have read it and listed its tools in under 2 s, hold less than 200 MB, and make
ten requests of which a local server sees every byte. --check must list all of its operations,
with reasons for those that are skipped.
"""

import json
import pathlib
import re
import subprocess
import sys
import tarfile
import time

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "blackbox")]

from harness import (BIN, ROOT, Redis, RestServer, Worker, clean_environment,  # noqa: E402
                     until, work_directory)
from queues import Queue  # noqa: E402

PACKAGE = "@octokit/openapi@23.0.2"
WORK = ROOT / "build" / "interop"
SPEC = WORK / "api.github.com-23.0.2.json"
SECONDS_MAX, BYTES_MAX = 2, 200e6

# Tool, arguments, and what must arrive: request line, body.
CALLS = [
    ("repos_get", {"owner": "a", "repo": "b"}, "GET /repos/a/b", None),
    ("repos_list-for-user", {"username": "a b", "per_page": 5, "sort": "updated"},
     "GET /users/a%20b/repos?sort=updated&per_page=5", None),
    ("repos_get-content", {"owner": "a", "repo": "b", "path": "docs/x.md", "ref": "main"},
     "GET /repos/a/b/contents/docs%2Fx.md?ref=main", None),
    ("issues_list-for-repo", {"owner": "a", "repo": "b", "labels": "bug,ui", "state": "all"},
     "GET /repos/a/b/issues?state=all&labels=bug%2Cui", None),
    ("issues_create", {"owner": "a", "repo": "b", "title": "T & ü", "labels": ["x"]},
     "POST /repos/a/b/issues", {"title": "T & ü", "labels": ["x"]}),
    ("issues_update", {"owner": "a", "repo": "b", "issue_number": 7, "state": "closed",
                       "milestone": None},
     "PATCH /repos/a/b/issues/7", {"state": "closed", "milestone": None}),
    ("pulls_create", {"owner": "a", "repo": "b", "title": "t", "head": "h", "base": "m"},
     "POST /repos/a/b/pulls", {"title": "t", "head": "h", "base": "m"}),
    ("search_repos", {"q": "tetris language:c", "sort": "stars"},
     "GET /search/repositories?q=tetris%20language%3Ac&sort=stars", None),
    ("users_get-by-username", {"username": "a"}, "GET /users/a", None),
    ("gists_create", {"files": {"a.txt": {"content": "x"}}, "public": True},
     "POST /gists", {"files": {"a.txt": {"content": "x"}}, "public": True}),
]


def fetch():
    """The description, out of the package."""
    if SPEC.exists():
        return
    WORK.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=WORK, check=True,
                          stdout=subprocess.PIPE, text=True)
    archive = WORK / done.stdout.split()[-1]
    with tarfile.open(archive) as tar:
        member = tar.extractfile("package/generated/api.github.com.json")
        part = SPEC.with_suffix(".part")
        part.write_bytes(member.read())
        part.rename(SPEC)
    archive.unlink()


def write_overlay(directory, server):
    """The ten tools; their operationIds have a slash where the names have _."""
    ids = [tool.replace("_", "/", 1) for tool, *_ in CALLS]
    path = directory / "github.yaml"
    path.write_text(f"server: {server.url}\nexpose: [{{operation: {json.dumps(ids)}}}]\n"
                    "auth: [{type: header, name: Authorization, prefix: 'Bearer ', "
                    "secret_file: token}]\n")
    (directory / "token").write_text("secret")
    return path


def expected(line, body):
    fields = ["Accept: application/json, */*;q=0.5"]
    text = ""
    if body is not None:
        text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
        text = text.encode().decode("latin-1")
        fields.append("Content-Type: application/json")
    fields.append("Authorization: Bearer secret")
    if body is not None:
        fields.append(f"Content-Length: {len(text)}")
    return f"{line} HTTP/1.1\r\n" + "".join(f"{field}\r\n" for field in fields) + f"\r\n{text}"


def call_all(queue, server):
    for tool, arguments, line, body in CALLS:
        before = len(server.requests())
        answer = queue.answer(queue.put(tool, arguments))
        assert answer["result"]["content"][0]["text"] == '{"ok":true}', answer
        (request,) = server.requests()[before:]
        assert request == expected(line, body), (tool, request)


def serve(directory):
    with RestServer() as server, Redis() as redis:
        overlay = write_overlay(directory, server)
        worker = Worker("github", redis, program="openapi", settings={
            "API_NAME": "github", "OPENAPI_SPEC": SPEC, "OPENAPI_OVERLAY": overlay})
        began = time.monotonic()
        worker.start(ready=False)
        with worker:
            until(lambda: redis("EXISTS", "mcp_api:{github}"), 30, worker.tail)
            seconds = time.monotonic() - began
            call_all(Queue(redis, "github"), server)
            status = pathlib.Path(f"/proc/{worker.pid}/status").read_text()
            peak, now = (int(re.search(rf"{name}:\s+(\d+)", status)[1]) * 1024
                         for name in ("VmHWM", "VmRSS"))
        print(f"ok   github: started in {seconds:.2f} s, at most {peak / 1e6:.0f} MB, "
              f"{now / 1e6:.0f} MB later; {len(CALLS)} tools called")
        assert seconds < SECONDS_MAX and peak < BYTES_MAX


def check():
    done = subprocess.run([BIN / "mcp-worker-openapi", "--check"], text=True, timeout=60,
                          env=clean_environment(OPENAPI_SPEC=SPEC), capture_output=True,
                          check=False)
    text = done.stdout
    total, tools, skipped = (int(re.search(pattern, text, re.M)[1]) for pattern in (
        r", (\d+) operations$", r"^tools: (\d+)$", r"^skipped: (\d+)$"))
    reasons = text.partition("\nskipped: ")[2].split("\n")[1:skipped + 1]
    assert total > 1000 and tools + skipped == total, text[-2000:]
    assert all(": " in line for line in reasons)
    print(f"ok   github: {tools} of {total} operations can be tools, {skipped} are skipped")


def main():
    fetch()
    check()
    serve(work_directory("github"))


if __name__ == "__main__":
    main()
