"""/healthz, /readyz, /metrics and the log."""

import re

from harness import Cluster, Proxy, RawHttp, Redis, metrics, request, until


def test_health_and_readiness(system):
    for proxy in system.proxies:
        for path in ("/healthz", "/readyz"):
            response = request(proxy, "GET", path)
            assert response.status == 200
            assert response.header("Content-Type").startswith("text/plain")


def test_not_ready_without_redis_but_healthy():
    with Redis() as redis, Proxy(redis) as proxy:
        redis.kill()
        until(lambda: proxy.probe("/readyz") == 503, 15, "not ready")
        assert proxy.probe("/healthz") == 200
        # Or each rollout would look like an outage to whoever alerts on errors.
        assert metrics(proxy)['mcp_proxy_http_responses_total{class="5xx"}'] == 0
        redis.restart()
        until(lambda: proxy.probe("/readyz") == 200, 15, "ready again")


LABEL = r'[a-z_]+="[^"\\\n]*"'
SAMPLE = re.compile(rf"mcp_(proxy|api)_[a-z0-9_]+(\{{{LABEL}(,{LABEL})*\}})? -?\d+(\.\d+)?")


def test_metrics_are_prometheus_text(system):
    response = request(system.proxies[0], "GET", "/metrics")
    assert response.status == 200
    assert response.header("Content-Type").startswith("text/plain; version=0.0.4")
    assert response.text.endswith("\n")
    families, types = [], {}
    for line in response.text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in types and kind in ("counter", "gauge", "histogram")
            types[name] = kind
            families.append(name)
        elif not line.startswith("# HELP "):
            assert SAMPLE.fullmatch(line), line
            name = re.match(r"\w+", line)[0]
            if types[families[-1]] == "histogram":
                name = re.sub("_(bucket|sum|count)$", "", name)
            assert name == families[-1], "samples of one family stand together"
            assert types[name] != "counter" or name.endswith("_total"), name


def test_counters_count():
    """Some counter goes up by exactly the calls; gauges follow the streams."""
    with Cluster(workers={"conformance": 1}, proxies=1) as system:
        proxy = system.proxies[0]
        until(lambda: sum(value for name, value in metrics(proxy).items() if "streams" in name
                          and not name.endswith("_total")) == 0, 5, "no stream left")
        before = metrics(proxy)
        with system.client() as session:
            for n in range(7):
                session.text("conformance_echo", {"text": f"{n}"})
            after = metrics(proxy)
            grown = {name: after[name] - before.get(name, 0) for name in after}
            print({name: value for name, value in grown.items() if value})
            assert any(value == 7 for name, value in grown.items() if "call" in name), grown
            assert any(value == 1 for name, value in grown.items() if "streams" in name), grown


def samples_of_api(scraped, **labels):
    """{name: value} of the conformance API's samples with these labels, of one scrape."""
    wanted = {"api": "conformance", **labels}
    found = {}
    for sample, value in scraped.items():
        name, _, rest = sample.partition("{")
        if name.startswith("mcp_api_") and dict(re.findall(r'(\w+)="([^"]*)"', rest)) == wanted:
            found[name.removeprefix("mcp_api_")] = value
    return found


def api_metrics(proxy, **labels):
    return samples_of_api(metrics(proxy), **labels)


def ended(scraped, outcome):
    return samples_of_api(scraped, outcome=outcome).get("calls_total")


def test_apis_count_what_became_of_calls():
    """Every proxy says the same of an API, whoever its calls came through."""
    with Cluster(workers={"conformance": 2}) as system, system.client() as session:
        session.text("conformance_echo", {"text": "ok"})
        assert session.call("conformance_test_error_handling", {})["isError"]
        assert "error" in session.request("resources/read", {"uri": "test://nothing-there"})
        session.call("conformance_echo", {"text": 7})
        assert session.request("tools/call", {"name": "conformance_brief", "arguments": {
            "delay_ms": 60000}})["error"]["code"] == -32001
        for proxy in system.proxies:
            def counted():
                scraped = metrics(proxy)
                return scraped if (ended(scraped, "ok"), ended(scraped, "tool_error"),
                                   ended(scraped, "timeout")) == (1, 2, 1) else None
            # One scrape: each event loop has what it read of late, so the next may lag behind.
            scraped = until(counted, 15, lambda: f"counted: {metrics(proxy)}")
            assert ended(scraped, "given_up") == ended(scraped, "unknown") == 0
            now = samples_of_api(scraped)
            assert now["call_duration_seconds_count"] == 4 + ended(scraped, "refused")
            assert 1 <= now["call_duration_seconds_sum"] < 60
            within = [samples_of_api(scraped, le=bound)["call_duration_seconds_bucket"]
                      for bound in ("0.01", "0.5", "60", "+Inf")]
            assert within == sorted(within) and within[-1] == now["call_duration_seconds_count"]
            assert now["worker_starts_total"] == 2
            assert samples_of_api(scraped, state="up")["workers"] == 2
            assert now["concurrency"] == 2 * 256


def test_apis_show_what_waits_and_what_was_lost():
    """A queue that nobody works on, then calls whose workers are killed."""
    with Cluster(workers={"conformance": 1}, proxies=1,
                 worker_env={"WORKER_RECLAIM_IDLE": 2, "WORKER_DRAIN_TIMEOUT": 0}) as system, system.client() as session:
        proxy, worker = system.proxies[0], system.workers[0]
        session.text("conformance_echo", {"text": "ok"})
        session.ask("tools/call", {"name": "conformance_sleep",
                                   "arguments": {"delay_ms": 50000}})
        until(lambda: api_metrics(proxy)["queue_length"] == 1
              and api_metrics(proxy)["queue_oldest_age_seconds"] >= 1
              and api_metrics(proxy)["calls_running"] == 1, 15, "it is seen, and its age")
        worker.kill()
        worker.start()
        until(lambda: api_metrics(proxy)["calls_repeated_total"] == 1, 30, "begun again")
        assert api_metrics(proxy)["worker_starts_total"] == 2


def test_without_redis_nothing_is_said_of_apis():
    """Rather nothing than zeros; the proxy's own metrics stay."""
    with Cluster(workers={"conformance": 1}, proxies=1) as system:
        proxy = system.proxies[0]
        until(lambda: api_metrics(proxy), 10, "the API is known")
        system.redis.kill()
        until(lambda: metrics(proxy)["mcp_proxy_redis_ready_loops"] == 0
              and not api_metrics(proxy), 10, "only its own metrics are left")
        system.redis.restart()
        until(lambda: api_metrics(proxy), 20, "known again")


def test_a_stuck_redis_does_not_keep_metrics():
    """Nor does a scraper that leaves before they come."""
    with Cluster(workers={"conformance": 1}, proxies=1, threads=1) as system:
        proxy = system.proxies[0]
        until(lambda: api_metrics(proxy), 10, "the API is known")
        scrape = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"

        def impatient():
            """Who asks first waits for Redis, and may be the one that leaves."""
            with RawHttp(proxy) as scraper:
                scraper.send(scrape)
            return not api_metrics(proxy)

        system.redis.freeze()
        try:
            until(impatient, 15, "only its own metrics")
            assert metrics(proxy)["mcp_proxy_connections"] >= 1
        finally:
            system.redis.thaw()
        until(lambda: api_metrics(proxy), 20, "known again")


def test_log_lines_are_structured_and_keep_secrets():
    with Cluster(workers={"conformance": 1}, proxies=1,
                 proxy_env={"LOG_LEVEL": "debug"}) as system:
        proxy = system.proxies[0]
        with system.client() as session:
            session.text("conformance_echo", {"text": "a-secret-payload"})
            sid = session.session_id
        until(lambda: f"session={sid[:8]} reason=" in proxy.log_text(), 5,
              "end of the stream in the log")
        text = proxy.log_text()
        assert "a-secret-payload" not in text
        assert sid not in text and sid[:8] in text
        for line in text.splitlines():
            assert re.match(r'ts=\S+Z level=\w+ program=\S+ pod=\S+ msg=("|\S)', line), line
