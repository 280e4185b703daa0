"""The virustotal API against a local server that speaks VirusTotal's shapes."""

import base64
import contextlib
import json
import socket
import subprocess
import sys
import time

import pytest
from queues import Queue, run_at_once

from harness import (BIN, PATIENCE, ROOT, Cluster, Process, Redis, Worker, clean_environment,
                     free_port, until, work_directory)

KEY = "k" * 60 + "SECRET"


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class VirusTotal(Process):
    """tests/servers/virustotal.py on a free port."""

    def __init__(self, nofile=None):
        self.port = free_port()
        super().__init__("virustotal-server", [
            sys.executable, ROOT / "tests/servers/virustotal.py", self.port, KEY], nofile=nofile)

    def __enter__(self):
        super().__enter__()
        until(lambda: listens(self.port), 10, "the server listens")
        return self

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def lines(self):
        return [json.loads(line) for line in self.log_text().splitlines()
                if line.startswith("{")]

    def requests(self, part=""):
        return [line for line in self.lines() if part in line.get("path", "")]

    def closed(self):
        """Paths of the requests whose client left before the answer."""
        return [line["closed"] for line in self.lines() if "closed" in line]


PROXY = """
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend tls
    bind 127.0.0.1:{port} ssl crt {pem} alpn h2,http/1.1
    http-request set-header x-version %[fc_http_major]
    http-request set-header x-connection %[src_port]
    default_backend plain
backend plain
    server one 127.0.0.1:{server}
"""


class TlsServer(Process):
    """haproxy with TLS and HTTP/2 in front of a VirusTotal, for "localhost"."""

    def __init__(self, server):
        self.port = free_port()
        directory = work_directory("tls")
        self.ca = directory / "cert.pem"
        pem = directory / "both.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                        "-keyout", pem, "-out", self.ca], check=True, capture_output=True)
        pem.write_bytes(pem.read_bytes() + self.ca.read_bytes())
        config = directory / "haproxy.cfg"
        config.write_text(PROXY.format(port=self.port, pem=pem, server=server.port))
        super().__init__("tls", ["haproxy", "-db", "-f", config], directory)

    def __enter__(self):
        super().__enter__()
        until(lambda: listens(self.port), 10, self.tail)
        return self

    @property
    def url(self):
        return f"https://localhost:{self.port}"


@pytest.fixture(scope="module")
def server():
    with VirusTotal() as virustotal:
        yield virustotal


@contextlib.contextmanager
def running(redis, server, **settings):
    values = {"VIRUSTOTAL_API_KEY": KEY, "VIRUSTOTAL_URL": server.url, "LOG_LEVEL": "debug",
              **settings}
    redis.flush()
    with Worker("virustotal", redis, settings=values) as worker:
        until(lambda: redis("EXISTS", "mcp_api:{virustotal}"), 5, "the catalogue is published")
        queue = Queue(redis, "virustotal")
        queue.worker = worker
        yield queue


@pytest.fixture(scope="module")
def queue(server):
    with Redis() as redis, running(redis, server) as it:
        yield it


def result(queue, tool, argument, seconds=10):
    (name,) = ARGUMENTS[tool]
    return queue.answer(queue.put(tool, {name: argument}), seconds)["result"]


ARGUMENTS = {"get_ip_report": ["ip_address"], "get_domain_report": ["domain"],
             "get_file_report": ["hash"], "get_url_report": ["url"]}


def failure(queue, tool, argument, seconds=10):
    answer = result(queue, tool, argument, seconds)
    assert answer["isError"] is True, answer
    assert KEY not in json.dumps(answer)
    return answer["content"][0]["text"]


def test_catalogue(queue):
    tools = json.loads(queue.redis.hash("mcp_api:{virustotal}")["catalogue"])["tools"]
    assert [tool["name"] for tool in tools] == list(ARGUMENTS)
    for tool in tools:
        assert tool["annotations"] == {"readOnlyHint": True, "destructiveHint": False,
                                       "idempotentHint": True, "openWorldHint": True}
        assert tool["inputSchema"]["required"] == ARGUMENTS[tool["name"]]
        assert "verdict" in tool["outputSchema"]["properties"]


def test_ip_report(queue, server):
    answer = result(queue, "get_ip_report", "8.8.8.8")
    report = answer["structuredContent"]
    assert (report["id"], report["type"], report["verdict"]) == ("8.8.8.8", "ip_address",
                                                                "harmless")
    assert report["stats"] == {"harmless": 60, "undetected": 12, "malicious": 0,
                               "suspicious": 0, "timeout": 0}
    assert report["details"] == {"as_owner": "Example Net", "asn": 64500, "network": "8.8.8.0/24",
                                 "country": "KR"}
    assert report["detections"] == [] and report["reputation"] == 7
    assert report["link"] == "https://www.virustotal.com/gui/ip-address/8.8.8.8"
    text = answer["content"][0]["text"]
    assert "harmless" in text and "Example Net" in text and "left out" not in text
    request = server.requests("/8.8.8.8")[-1]
    assert request["method"] == "GET" and request["headers"]["x-apikey"] == KEY
    assert request["path"] == "/api/v3/ip_addresses/8.8.8.8"


def test_malicious_address(queue):
    report = result(queue, "get_ip_report", "198.51.100.6")["structuredContent"]
    assert report["verdict"] == "malicious"
    assert [one["category"] for one in report["detections"]] == ["malicious"] * 3 + ["suspicious"]
    assert report["detections"][0]["result"] == "malware"
    assert result(queue, "get_ip_report", "2001:4860:4860::8888")["structuredContent"]["id"] == \
        "2001:4860:4860::8888"


def test_domain_report(queue, server):
    report = result(queue, "get_domain_report", "WWW.Google.com")["structuredContent"]
    assert report["details"]["registrar"] == "Example Registrar"
    assert len(report["details"]["last_dns_records"]) == 20
    assert server.requests("/domains/")[-1]["path"] == "/api/v3/domains/www.google.com"


@pytest.mark.parametrize("digits", [32, 40, 64])
def test_file_report(queue, server, digits):
    answer = result(queue, "get_file_report", "Ab" * (digits // 2))
    assert answer["structuredContent"]["details"]["meaningful_name"] == 'tool "x".exe'
    assert server.requests("/files/")[-1]["path"].endswith("/" + "ab" * (digits // 2))


def test_url_report(queue, server):
    url = "https://example.com/~a?b=c&d=>>>???"
    report = result(queue, "get_url_report", url)["structuredContent"]
    assert report["details"]["url"] == url and report["details"]["title"] == "제목"
    id = base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")
    assert server.requests("/urls/")[-1]["path"] == f"/api/v3/urls/{id}"


REFUSED = [
    ("get_ip_report", ["8.8.8", "8.8.8.8/24", "8.8.8.8/../../x", "999.1.1.1", "example.com",
                       "8.8.8.8\r\nX: y", "::1%lo"]),
    ("get_domain_report", ["localhost", "http://example.com", "example.com/x", "a..b", "-a.com",
                           "x" * 64 + ".com", "1.2.3.4", "예제.com", "a.com?x", "a b.com", "."]),
    ("get_file_report", ["abc", "g" * 32, "a" * 33, "a" * 64 + "/x", "../x"]),
    ("get_url_report", ["example.com", "ftp://example.com", "https://", "http://a b",
                        "javascript:x", "http://a\nb"])]


@pytest.mark.parametrize("tool, arguments", REFUSED)
def test_wrong_arguments_are_named_and_not_sent(queue, server, tool, arguments):
    before = len(server.requests())
    for argument in arguments:
        text = failure(queue, tool, argument)
        assert text.startswith(f"{ARGUMENTS[tool][0]}: must be "), argument
    assert len(server.requests()) == before


ERRORS = [
    ("quota.example", ["quota", "429", "QuotaExceededError", "try again"]),
    ("busy.example", ["too many requests", "429", "try again in 17 s"]),
    ("forbidden.example", ["403", "may not"]), ("invalid.example", ["400", "Bad domain"]),
    ("html.example", ["not a report"]), ("nodata.example", ["not a report"]),
    ("cut.example", ["not a report"]), ("binary.example", ["not a report"]),
    ("early.example", ["no report on it yet", "NotAvailableYet"]),
    ("soon.example", ["quota", "try again in a minute"]),
    ("never.example", ["quota", "try again in 4294967295 s"]),
    ("page.example", ["may not do that (HTTP 403)"]), ("wordy.example", ["ForbiddenError: 한한"]),
    ("garbled.example", ["may not do that (HTTP 403)"]),
    ("redirect.example", ["302"]), ("huge.example", ["larger than", "UPSTREAM_MAX_BODY"]),
    ("transient.example", ["503", "not available"]), ("deadline.example", ["504", "too long"])]


@pytest.mark.parametrize("domain, words", ERRORS)
def test_errors_say_what_to_do(queue, server, domain, words):
    text = failure(queue, "get_domain_report", domain)
    for word in words:
        assert word in text
    tries = 3 if domain in ("transient.example", "deadline.example") else 1
    assert len(server.requests(f"/{domain}")) == tries
    result(queue, "get_ip_report", "8.8.4.4")  # it did not count as an outage for long


def test_spellings_of_one_subject_are_one_path(queue, server):
    for tool, argument, path in [
            ("get_ip_report", "2001:0DB8:0:0::0001", "ip_addresses/2001:db8::1"),
            ("get_ip_report", "::FFFF:8.8.8.8", "ip_addresses/::ffff:8.8.8.8"),
            ("get_domain_report", "XN--9T4B11YI5A.Example.", "domains/xn--9t4b11yi5a.example")]:
        result(queue, tool, argument)
        assert server.requests()[-1]["path"] == f"/api/v3/{path}"


def test_what_has_not_been_analysed(queue):
    answer = result(queue, "get_domain_report", "fresh.example")
    assert answer["structuredContent"]["verdict"] == "unknown"
    assert answer["structuredContent"]["detections"] == []
    assert "no engine has analysed it yet" in answer["content"][0]["text"]


def test_shapes_that_nobody_promised(queue):
    report = result(queue, "get_domain_report", "odd.example")["structuredContent"]
    assert (report["verdict"], report["tags"], report["reputation"]) == ("unknown", [], 0)


def test_long_lists_are_cut_at_once(queue):
    began = time.monotonic()
    report = result(queue, "get_domain_report", "many.example", 30)["structuredContent"]
    assert len(report["tags"]) == len(report["details"]["last_dns_records"]) == 20
    assert time.monotonic() - began < 10 * PATIENCE


def test_what_is_compressed(queue):
    assert result(queue, "get_domain_report", "zipped.example")["structuredContent"]["stats"][
        "harmless"] == 60
    before = queue.worker.rss_bytes()
    for domain in ("bomb.example", "nested.example"):
        assert "UPSTREAM_MAX_BODY" in failure(queue, "get_domain_report", domain)
    if PATIENCE == 1:  # not under sanitizers
        assert queue.worker.rss_bytes() < before + 30e6


def test_unknown(queue):
    for tool, argument in [("get_ip_report", "203.0.113.9"), ("get_file_report", "0" * 64)]:
        assert "no report" in failure(queue, tool, argument)


def test_failures_that_pass_are_tried_again(queue, server):
    for domain, tries in [("flaky.example", 3), ("reset.example", 2)]:
        assert result(queue, "get_domain_report", domain)["structuredContent"]["id"] == domain
        assert len(server.requests(f"/{domain}")) == tries
    assert "try again in 3600 s" in failure(queue, "get_domain_report", "later.example")
    assert len(server.requests("/later.example")) == 1


def test_the_key_is_never_logged(queue):
    failure(queue, "get_domain_report", "quota.example")
    assert KEY not in queue.worker.log_text()
    assert "SECRET" not in json.dumps(queue.redis.hash("mcp_api:{virustotal}"))


def test_connections_are_reused(redis):
    with VirusTotal() as server, running(redis, server) as queue:
        for number in range(50):
            result(queue, "get_ip_report", f"8.8.4.{number}")
        assert len(server.requests()) == 50
        # Of its open files, one or two are connections to the server.
        assert queue.worker.open_files() < 30


LOCAL = "127.0.0.0/8, ::1"


def test_requests_share_an_http2_connection(redis):
    with VirusTotal() as server, TlsServer(server) as tls, running(
            redis, tls, UPSTREAM_CA=tls.ca, UPSTREAM_NETWORKS=LOCAL) as queue:
        ids = [queue.put("get_domain_report", {"domain": f"slow.n{n}.example"})
               for n in range(60)]
        for id in ids:
            assert "isError" not in queue.answer(id, 15)["result"]
        headers = [request["headers"] for request in server.requests()]
        assert {header["x-version"] for header in headers} == {"2"}
        assert len({header["x-connection"] for header in headers}) == 1


def test_a_certificate_of_somebody_else_is_refused(redis):
    with VirusTotal() as server, TlsServer(server) as tls:
        with running(redis, tls, UPSTREAM_NETWORKS=LOCAL) as queue:
            assert "certificate" in failure(queue, "get_ip_report", "8.8.8.8")
        address = f"https://127.0.0.1:{tls.port}"
        with running(redis, tls, UPSTREAM_CA=tls.ca, VIRUSTOTAL_URL=address) as queue:
            text = failure(queue, "get_ip_report", "8.8.8.8")
            assert "not reached" in text and "127.0.0.1" in text
        assert server.requests() == []


def test_time_runs_out(redis, server):
    with running(redis, server, UPSTREAM_TIMEOUT=1) as queue:
        began = time.monotonic()
        assert "no answer in time" in failure(queue, "get_domain_report", "stuck.example")
        assert time.monotonic() - began < 3 * PATIENCE


def test_wrong_key(redis, server):
    with running(redis, server, VIRUSTOTAL_API_KEY="wrong") as queue:
        text = failure(queue, "get_ip_report", "8.8.8.8")
        assert "VIRUSTOTAL_API_KEY" in text and "401" in text


def test_server_away_opens_the_breaker_and_its_return_closes_it(redis):
    with VirusTotal() as server, running(redis, server) as queue:
        server.kill()
        texts = [failure(queue, "get_ip_report", "8.8.8.8", 20) for _ in range(6)]
        assert "not reached" in texts[0]
        assert "not asked for now" in texts[-1]
        server.start()
        until(lambda: "isError" not in result(queue, "get_ip_report", "8.8.8.8"), 15,
              "the breaker closes")


def test_names_that_resolve_to_private_addresses_are_refused(redis, server):
    url = server.url.replace("127.0.0.1", "localhost")
    with running(redis, server, VIRUSTOTAL_URL=url) as queue:
        text = failure(queue, "get_ip_report", "8.8.8.8")
        assert "UPSTREAM_NETWORKS" in text
    before = len(server.requests())
    with running(redis, server, VIRUSTOTAL_URL=url, UPSTREAM_NETWORKS=LOCAL) as queue:
        assert "isError" not in result(queue, "get_ip_report", "8.8.8.8")
    assert len(server.requests()) == before + 1


def test_without_a_key_it_says_so(redis, server):
    with Worker("virustotal", redis, settings={"VIRUSTOTAL_URL": server.url}) as worker:
        until(lambda: "VIRUSTOTAL_API_KEY is not set" in worker.log_text(), 5, "it says why")


def test_client_cancels(server):
    """From an MCP client on: the request upstream ends, the connection with it."""
    settings = {"VIRUSTOTAL_API_KEY": KEY, "VIRUSTOTAL_URL": server.url}
    with Cluster(workers={"virustotal": 1}, worker_env=settings) as system, \
            system.client(0) as client:
        id = client.ask("tools/call", {"name": "virustotal_get_domain_report",
                                       "arguments": {"domain": "stuck.cancel.example"}})
        path = "/api/v3/domains/stuck.cancel.example"
        until(lambda: server.requests(path), 5, "the request is on its way")
        assert path not in server.closed()
        client.notify("notifications/cancelled", {"requestId": id}, to=system.other(client))
        until(lambda: path in server.closed(), 5, "the upstream sees it close")
        report = client.call("virustotal_get_ip_report", {"ip_address": "8.8.8.8"})
        assert "isError" not in report
        until(lambda: system.redis("XLEN", "mcp_requests:{virustotal}") == 0, 5, "empty")
        assert str(id) not in client.answers and client.surprises == []
        assert len(server.requests(path)) == 1


def test_stop_with_requests_on_their_way(redis, server):
    with running(redis, server, WORKER_DRAIN_TIMEOUT=0) as queue:
        queue.put("get_domain_report", {"domain": "stuck.example"})
        until(lambda: server.requests("/stuck.example"), 5, "the request is on its way")
        assert queue.worker.stop() == 0


def test_a_thousand_at_once(redis):
    """1,000 upstream calls of a second each on one worker process."""
    with VirusTotal() as server, running(redis, server, LOG_LEVEL="warn",
                                         **CONCURRENCY) as queue:
        result(queue, "get_ip_report", "8.8.8.8")
        seconds, peak = run_at_once(queue, [
            queue.fields("get_domain_report", {"domain": f"slow.n{n}.example"})
            for n in range(1000)])
        payloads = [json.loads(message["payload"]) for message in queue.messages()]
        good = [one for one in payloads if "isError" not in one["result"]]
        print(f"{len(good)} answers in {seconds:.2f} s, {peak / 1e6:.0f} MB")
        assert len(good) == 1001
        assert max(one["active"] for one in server.requests()) >= 900
        assert seconds < 20 * PATIENCE  # on a machine with other work
        if PATIENCE == 1:  # not under sanitizers
            assert peak < 100e6


CONCURRENCY = {"WORKER_BATCH": 1024, "WORKER_CONCURRENCY": 1024}


def test_wrong_address_is_told_without_its_password():
    values = {"VIRUSTOTAL_API_KEY": KEY, "VIRUSTOTAL_URL": "https://user:hidden@vt.example"}
    done = subprocess.run([BIN / "mcp-worker-virustotal", "--check"], text=True, timeout=60,
                          env=clean_environment(**values), capture_output=True, check=False)
    assert done.returncode != 0 and "VIRUSTOTAL_URL" in done.stderr
    assert "hidden" not in done.stdout + done.stderr
