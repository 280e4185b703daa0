"""A REST server that records every byte of what it is sent (tests/servers/rest.py)."""

import json
import re
import socket
import sys

from .process import ROOT, Process, free_port
from .wait import until

# Fields that the connection has, not the API: their values differ from run to run.
OURS = ("host", "user-agent", "accept-encoding")


class RestServer(Process):
    """tests/servers/rest.py on a free port."""

    def __init__(self):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        super().__init__("rest-server", [
            sys.executable, ROOT / "tests/servers/rest.py", self.port])

    def __enter__(self):
        super().__enter__()
        until(self._listens, 10, "the server listens")
        return self

    def _listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def requests(self):
        """Every request's bytes: the head without OURS, and the body."""
        lines = [json.loads(line) for line in self.log_text().splitlines()
                 if line.startswith("{")]
        return [self._plain(line["head"]) + line["body"] for line in lines]

    def _plain(self, head):
        lines = head.split("\r\n")
        names = [line.partition(":")[0].lower() for line in lines[1:] if line]
        assert len(names) == len(set(names)), head  # no field twice
        assert f"Host: 127.0.0.1:{self.port}" in lines, head
        return "\r\n".join(line for line in lines
                           if not re.match(rf"({'|'.join(OURS)}):", line, re.I))
