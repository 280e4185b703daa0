"""Load that goes on while a test breaks something, and its bookkeeping."""

import threading

from harness import SseClient, Threads


class Load(Threads):
    """Sessions that call echo again and again, each POST to the next server.

    with Load(system, sessions=16) as load:
        … break something …
    load.check()
    """

    def __init__(self, system, sessions=16, servers=None):
        super().__init__([threading.Thread(target=self._run, args=(n,), name=f"load-{n}")
                          for n in range(sessions)])
        self.system = system
        self.servers = servers or system.proxies
        self.sessions = [system.client(n % len(system.proxies), timeout=30)
                         for n in range(sessions)]
        self.refused = {}
        self.wrong = []
        self.accepted = 0
        self.answered = [0] * sessions
        self.lock = threading.Lock()

    def total(self):
        return sum(self.answered)

    def _run(self, number):
        session: SseClient = self.sessions[number]
        count = 0
        try:
            while not self.stopping.is_set():
                self._call(session, number, count)
                count += 1
        except Exception as error:  # a thread's end must not go unseen
            with self.lock:
                self.wrong.append(f"session {number} call {count}: {error!r}")

    def _call(self, session, number, count):
        text = f"session {number} call {count}"
        id = session.next_id
        session.next_id += 1
        session.asked.add(str(id))
        response = session.post(
            {"jsonrpc": "2.0", "id": id, "method": "tools/call",
             "params": {"name": "conformance_echo", "arguments": {"text": text}}},
            to=self.servers[(number + count) % len(self.servers)])
        with self.lock:
            if response.status != 202:
                self.refused[response.status] = self.refused.get(response.status, 0) + 1
                return
            self.accepted += 1
        answer = session.answer(id, 30)
        if answer.get("result", {}).get("content", [{}])[0].get("text") != text:
            with self.lock:
                self.wrong.append(f"{text}: {answer}")
        self.answered[number] += 1

    def check(self, refused=()):
        """Every accepted call was answered right and once; streams are open.

        refused: the statuses that a POST may have got instead of 202.
        """
        assert self.wrong == []
        assert set(self.refused) <= set(refused), self.refused
        assert self.total() == self.accepted > 0
        for session in self.sessions:
            session.pump(0)
            assert session.state == "open"
            assert session.surprises == []
            session.close()
