"""/healthz, /readyz, /metrics and the log."""

import re

from harness import Cluster, Proxy, Redis, metrics, request, until


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
        redis.restart()
        until(lambda: proxy.probe("/readyz") == 200, 15, "ready again")


LABEL = r'[a-z_]+="[^"\\\n]*"'
SAMPLE = re.compile(rf"mcp_proxy_[a-z0-9_]+(\{{{LABEL}(,{LABEL})*\}})? -?\d+(\.\d+)?")


def test_metrics_are_prometheus_text(system):
    response = request(system.proxies[0], "GET", "/metrics")
    assert response.status == 200
    assert response.header("Content-Type").startswith("text/plain; version=0.0.4")
    assert response.text.endswith("\n")
    families, types = [], {}
    for line in response.text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in types and kind in ("counter", "gauge")
            types[name] = kind
            families.append(name)
        elif not line.startswith("# HELP "):
            assert SAMPLE.fullmatch(line), line
            name = re.match(r"\w+", line)[0]
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
