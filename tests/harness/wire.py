"""A TCP connection that can be cut as networks are: nothing passes any more, and
nobody is told. Or it is slow."""

import selectors
import socket
import threading
import time

from .process import free_port

BACKLOG = 128


class Wire:
    """Forwards 127.0.0.1:port to a server. `url` is the server's with that port, so
    that it takes a Redis's place in a Proxy's settings. bytes_per_second: what passes
    at most, both ways together; None: any number."""

    def __init__(self, server, bytes_per_second=None):
        self.bytes_per_second = bytes_per_second
        self.target = ("127.0.0.1", server.port)
        self.port = free_port()
        self.url = server.url.replace(f":{server.port}", f":{self.port}")
        self.passes = threading.Event()
        self.passes.set()
        self.ends = []
        self.closing = False

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", self.port), backlog=BACKLOG)
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()
        return self

    def __exit__(self, *exc):
        self.closing = True
        self.passes.set()
        self.thread.join()
        for end in [self.listener, *self.ends]:
            end.close()

    def cut(self):
        self.passes.clear()

    def mend(self):
        self.passes.set()

    def _serve(self):
        with selectors.DefaultSelector() as selector:
            selector.register(self.listener, selectors.EVENT_READ)
            while not self.closing:
                for key, _ in selector.select(0.05):
                    self.passes.wait()
                    if key.fileobj is self.listener:
                        self._accept(selector)
                    else:
                        self._forward(selector, key.fileobj, key.data)
                self.passes.wait()

    def _accept(self, selector):
        client, _ = self.listener.accept()
        server = socket.create_connection(self.target)
        for one, other in ((client, server), (server, client)):
            selector.register(one, selectors.EVENT_READ, other)
            self.ends.append(one)

    def _forward(self, selector, one, other):
        try:
            data = one.recv(65536)
            if data:
                if self.bytes_per_second:
                    time.sleep(len(data) / self.bytes_per_second)
                other.sendall(data)
                return
        except OSError:
            pass
        for end in (one, other):
            if end.fileno() >= 0 and end in {key.fileobj for key in selector.get_map().values()}:
                selector.unregister(end)
            end.close()
