"""Nothing that a vendor got a PUBACK for is lost, whatever is killed when: every such record is stored exactly once or is
in quarantine. Each test counts and prints what it counted."""
import random
import threading
import time

import pytest
from harness import messages
from harness.process import wait_until

RECORDS = 20   # in a message
DEVICES = 50
BAD_EVERY = 97  # every so many messages one has a bad record


class Load:
    """Publishes numbered messages of one subsystem from a thread of its own until stop(); knows which have their PUBACK.
    Record number n has observed_at_ms start + n, device n % DEVICES and the value n % 1000."""

    def __init__(self, client, subsystem="dust", metric="pm25_ug_m3", pause_s=0.004):
        self.client, self.subsystem, self.metric, self.pause_s = client, subsystem, metric, pause_s
        self.start_ms = int(time.time() * 1000) - 3_600_000
        self.messages = []  # (number, MessageInfo)
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def records(self, number):
        first = number * RECORDS
        records = [{"device_code": f"device-{n % DEVICES}", "observed_at_ms": self.start_ms + n, self.metric: float(n % 1000)}
                   for n in range(first, first + RECORDS)]
        if number % BAD_EVERY == 0:
            del records[3]["device_code"]
        return records

    def _run(self):
        number = 0
        while not self.stopping.is_set():
            payload = messages.protobuf(self.subsystem, self.records(number))
            info, _ = self.client.publish_start("telemetry", payload, message=f"load-{number}")
            self.messages.append((number, info))
            number += 1
            # Bounded: what has no PUBACK yet waits here, as a vendor's own queue would have it.
            while not self.stopping.is_set() and len(self.messages) - len(self.client.acknowledged) > 500:
                self.stopping.wait(0.01)
            self.stopping.wait(self.pause_s)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join(30)

    def acknowledged(self):
        # Not info.is_published(): it raises for a message that was handed over while the client was not connected.
        with self.client.lock:
            done = set(self.client.acknowledged)
        return [number for number, info in list(self.messages) if info.mid in done]


def check_nothing_lost(site, load, label):
    """Waits until all acknowledged records are there; then no record may be there twice or with a wrong value."""
    acknowledged = load.acknowledged()
    assert len(acknowledged) > 50, f"only {len(acknowledged)} messages were acknowledged: no load, no test"
    good = {load.start_ms + n for number in acknowledged for n in range(number * RECORDS, (number + 1) * RECORDS)
            if not (number % BAD_EVERY == 0 and n == number * RECORDS + 3)}
    bad = {f"load-{number}" for number in acknowledged if number % BAD_EVERY == 0}
    stored = {}

    def all_there():
        rows = site.database.query(
            f"SELECT (extract(epoch FROM observed_at) * 1000)::bigint, count(*), min({load.metric}), max({load.metric}), min(device_code)"
            f" FROM onemap.{load.subsystem} GROUP BY 1")
        stored.clear()
        stored.update({row[0]: row[1:] for row in rows})
        missing = good - stored.keys()
        return not missing or (_ for _ in ()).throw(AssertionError(f"{len(missing)} of {len(good)} records are missing"))
    wait_until(all_there, 90, "every acknowledged record is stored")
    for at, (count, low, high, device) in stored.items():
        n = at - load.start_ms
        assert (count, low, high, device) == (1, n % 1000, n % 1000, f"device-{n % DEVICES}"), (n, count, low, high, device)
    quarantined = site.database.value("SELECT count(DISTINCT payload) FROM onemap.quarantine WHERE code = 'missing_device_code'")
    assert quarantined >= len(bad), f"{quarantined} of {len(bad)} messages with a bad record are in quarantine"
    print(f"{label}: {len(acknowledged)} messages acknowledged, {len(good)} good records stored exactly once, "
          f"{len(bad)} messages with a bad record in quarantine, 0 lost")


@pytest.mark.slow
def test_hub_killed_at_20_random_moments(site, hub, vendor_client):
    client = vendor_client("dust", session_expiry_s=3600)
    moments = random.Random(20)
    with Load(client) as load:
        for _ in range(20):
            before = len(load.acknowledged())
            wait_until(lambda: len(load.acknowledged()) > before + 5, 30, "the load goes on")
            load.stopping.wait(moments.uniform(0, 0.5))
            hub.kill()
            hub.start()
        wait_until(lambda: not load.client.client.want_write(), 30, "the client has sent what it had")
    check_nothing_lost(site, load, "20 kills of the hub")


@pytest.mark.slow
@pytest.mark.parametrize("how", ["fast", "immediate"])
def test_postgres_restarted_under_load(site, hub, vendor_client, cluster, how):
    client = vendor_client("dust", session_expiry_s=3600)
    with Load(client) as load:
        for _ in range(4):
            before = len(load.acknowledged())
            wait_until(lambda: len(load.acknowledged()) > before + 50, 30, "the load goes on")
            cluster.stop(how)
            wait_until(lambda: hub.get("/readyz").status_code == 503, 30, "/readyz says that the database is away")
            cluster.start()
            hub.wait_ready()
    check_nothing_lost(site, load, f"4 restarts of PostgreSQL ({how})")
    assert hub.metric("cityhub_database_losses_total") > 0


@pytest.mark.slow
def test_broker_restarted_under_load(site, hub, vendor_client, broker):
    client = vendor_client("dust", session_expiry_s=3600)
    with Load(client) as load:
        for _ in range(4):
            before = len(load.acknowledged())
            wait_until(lambda: len(load.acknowledged()) > before + 50, 60, "the load goes on")
            broker.restart()
            hub.wait_ready()
        before = len(load.acknowledged())
        wait_until(lambda: len(load.acknowledged()) > before + 20, 60, "the client is connected again")
    check_nothing_lost(site, load, "4 clean restarts of the broker")


def test_hub_away_while_vendors_send(site, hub, vendor_client):
    """The broker keeps what comes while the hub is down, in the session that the hub's first start made."""
    client = vendor_client("gas")
    hub.stop()
    with Load(client, "gas", "pressure_kpa") as load:
        wait_until(lambda: len(load.acknowledged()) > 200, 60, "the broker takes messages without the hub")
    hub.start()
    check_nothing_lost(site, load, "hub away")


def test_sigterm_stores_and_acknowledges_what_was_taken(site, hub, vendor_client):
    client = vendor_client("dust")
    with Load(client) as load:
        for _ in range(3):
            before = len(load.acknowledged())
            wait_until(lambda: len(load.acknowledged()) > before + 50, 30, "the load goes on")
            hub.restart()
    check_nothing_lost(site, load, "3 restarts by SIGTERM")
    duplicates = site.database.value("SELECT coalesce(sum(duplicates), 0) FROM onemap.receipt")
    assert duplicates == 0, f"{duplicates} records came again after a clean stop"
