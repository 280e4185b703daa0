"""One API's queue as a test sees it: calls put in by hand, answers read from inboxes."""

import contextlib
import json
import time

from harness import RedisError, Worker, until

SID = "0123456789abcdef" * 2
# Heartbeats come every 5 s, blocking reads last as long.
BEAT = 15


class Queue:
    """One API's queue and its answers, on a Redis of their own."""

    def __init__(self, redis, api):
        self.redis, self.api = redis, api
        self.key = f"mcp_requests:{{{api}}}"
        self.sent = 0

    def fields(self, tool, arguments, **changes):
        self.sent += 1
        request = {"jsonrpc": "2.0", "id": self.sent, "method": "tools/call",
                   "params": {"name": tool, "arguments": arguments}}
        values = {
            "call": f"{self.sent:032x}", "session": SID, "user": "", "method": "tools/call",
            "tool": tool, "reply_to": "pod-a", "deadline_ms": int(time.time() * 1000) + 60000,
            "attempt": 1, "traceparent": "", "payload": json.dumps(request)}
        values.update(changes)
        return [word for pair in values.items() for word in pair]

    def put(self, tool, arguments, **changes):
        """Queues a call; returns its JSON-RPC id."""
        self.redis("XADD", self.key, "*", *self.fields(tool, arguments, **changes))
        return self.sent

    def put_many(self, count, pods):
        replies = self.redis.client.pipeline([
            ("XADD", self.key, "*",
             *self.fields("echo", {"text": f"{n}"}, reply_to=pods[n % len(pods)]))
            for n in range(count)])
        assert not any(isinstance(reply, RedisError) for reply in replies)

    def messages(self, pod="pod-a"):
        """All messages in a pod's inbox, as dictionaries."""
        found = []
        for _, fields in self.redis("XRANGE", f"mcp_replies:{{{pod}}}", "-", "+"):
            for name, value in zip(fields[::2], fields[1::2]):
                if name == "call":
                    found.append({})
                found[-1][name] = value
        return found

    def answer(self, id, seconds=5):
        """The one answer with that id."""
        def mine():
            payloads = [json.loads(message["payload"]) for message in self.messages()]
            return [payload for payload in payloads if payload["id"] == id]
        return until(mine, seconds, f"answer {id}")[0]

    def text(self, tool, arguments, seconds=5):
        return self.answer(self.put(tool, arguments), seconds)["result"]["content"][0]["text"]

    def is_empty(self):
        return self.redis("XLEN", self.key) == 0

    def consumers(self):
        flat = self.redis("XINFO", "CONSUMERS", self.key, "workers")
        return {entry[1]: entry[3] for entry in flat}


@contextlib.contextmanager
def running(redis, api="conformance", **settings):
    with Worker(api, redis, settings=settings) as worker:
        until(lambda: redis("EXISTS", f"mcp_api:{{{api}}}"), 5, "the catalogue is published")
        yield worker, Queue(redis, api)


def run_at_once(queue, fields, seconds=60):
    """Lets the frozen worker find all these calls; the time it took, its peak in bytes."""
    queue.worker.freeze()
    queue.redis.client.pipeline([("XADD", queue.key, "*", *each) for each in fields])
    peak = 0

    def all_run():
        nonlocal peak
        peak = max(peak, queue.worker.rss_bytes())
        return queue.redis("XLEN", queue.key) == 0

    began = time.monotonic()
    queue.worker.thaw()
    until(all_run, seconds, "all calls run")
    return time.monotonic() - began, peak


def name_of(queue):
    """The name that the only worker gave itself."""
    (name,) = queue.redis("ZRANGE", f"mcp_workers:{{{queue.api}}}", 0, -1)
    return name


def lines(ledger):
    """What the conformance worker's ledger tools have written down."""
    return ledger.read_text().splitlines() if ledger.exists() else []
