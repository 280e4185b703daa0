"""Threads at work while a test does something else."""

import threading


class Threads:
    """They run within a with block, and end once they see .stopping."""

    def __init__(self, threads):
        self.stopping = threading.Event()
        self.threads = threads

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *exc):
        self.stopping.set()
        for thread in self.threads:
            thread.join()
