"""Ten thousand streams break at once."""

import contextlib
import resource

from harness import Cluster, percentile
from harness.storm import Storm

WANTED = 10000
WITHIN_S = 30
SHARE = .99


def test_streams_cut_at_once_come_back():
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    count = min(WANTED, files - 1000)
    assert count == WANTED, f"{files} open files are too few for this"
    env = {"SESSION_RECOVERY_MAX": 100, "SSE_RETRY_MS": 2000}
    with Cluster(proxies=2, workers={"conformance": 1}, proxy_env=env) as system:
        first, second = system.proxies
        with contextlib.closing(Storm(count, lambda: [first])) as storm:
            assert storm.run_until(lambda: storm.connected() == count, 60), \
                f"{storm.connected()} connected"
            first.checked_kill()
            storm.servers = lambda: [second]
            assert storm.run_until(lambda: all(c.lost_at for c in storm.clients), 10)
            storm.run_until(lambda: storm.connected() == count, 2 * WITHIN_S)
            times = sorted(c.resumed_s for c in storm.clients if c.resumed_s is not None)
            print(f"{len(times)} of {count} streams came back: "
                  f"p50 {percentile(times, .5):.2f} s, p90 {percentile(times, .9):.2f} s, "
                  f"p99 {percentile(times, .99):.2f} s, last {times[-1]:.2f} s; "
                  f"GETs by status: {storm.statuses}")
            assert set(storm.statuses) == {200}
            assert sum(time <= WITHIN_S for time in times) >= SHARE * count
            assert all(c.session == c.first for c in storm.clients if c.session)
