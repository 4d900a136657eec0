"""A vendor's books: what it sent under load with junk, duplicates and corrections in it, while hub, database and broker are killed or
stopped at random; and the count from outside by them: every acknowledged record is stored once, every message has one receipt,
every bad one stands in quarantine once, every alarm was opened once.

CITYHUB_KILLS: how many times something is killed; else each test says."""
import collections
import json
import os
import random
import threading
import time

from .process import wait_until

DEVICES = 20
IN_FLIGHT = 150  # messages without their receipt: so the broker's queue stays short, and a hub is soon at the newest


class Books:
    """A vendor that writes down what it sends. Message n is of a kind by n; no two have the same content, which is all that a receipt
    names them by with MQTT 3.1.1."""

    def __init__(self, client, seed, age_s=3600):
        self.client, self.random = client, random.Random(seed)
        self.start_ms = int(time.time() * 1000) - age_s * 1000
        self.sent = {}  # name: (how it was made, MessageInfo)
        self.stored = {}  # (device, time): the value that was sent last
        self.moment = 0
        self.repeatable = []
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def record(self, value=None):
        self.moment += 1
        device = f"d-{self.moment % DEVICES}"
        return {"device_code": device, "observed_at_ms": self.start_ms + self.moment, "pm25_ug_m3": value or float(self.moment % 40)}

    def message(self, number):
        """(kind, payload, what it is)"""
        choice = number % 12
        if choice == 3:
            return "telemetry", f"junk number {number}".encode(), "junk"
        if choice == 5 and self.repeatable:
            return "telemetry", [dict(self.random.choice(self.repeatable))], "duplicate"
        if choice == 7 and self.repeatable:
            record = dict(self.random.choice(self.repeatable))
            record["pm10_ug_m3"] = float(number)  # the first time a new field, then a correction of it
            return "telemetry", [record], "correction"
        if choice == 9:
            bad = self.record()
            bad.pop("observed_at_ms")
            return "telemetry", [self.record(), bad, self.record()], "half"
        if choice == 10:
            return "inventory", [{"device_code": f"d-{number % DEVICES}", "kind": "no such kind", "name": str(number)}], "refused"
        if choice == 11:
            # A level of its own for each: the alarm of one device opens at one moment and ends at the next.
            code = f"alarmed-{number}"
            return "telemetry", [{"device_code": code, "observed_at_ms": self.start_ms + 1, "noise_dba": 115.0},
                                 {"device_code": code, "observed_at_ms": self.start_ms + 2, "noise_dba": 50.0},
                                 {"device_code": code, "observed_at_ms": self.start_ms + 3, "noise_dba": 115.0}], "alarm"
        return "telemetry", [self.record() for _ in range(3)], "good"

    def _run(self):
        number = 0
        while not self.stopping.is_set():
            kind, payload, made = self.message(number)
            data = self.client.encode(kind, payload)
            if made == "duplicate":
                data += b" " * (number // 12)
            info, name = self.client.publish_start(kind, data, message=f"m-{number}")
            self.sent[name] = (made, payload, info)
            if made == "good":
                self.repeatable = (self.repeatable + payload)[-50:]
            number += 1
            while not self.stopping.is_set() and len(self.sent) - len(self.told()) > IN_FLIGHT:
                self.stopping.wait(0.02)
            self.stopping.wait(0.002)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join(30)

    def told(self):
        with self.client.lock:
            return {receipt["message"] for receipt in self.client.receipts}

    def acknowledged(self):
        with self.client.lock:
            done = set(self.client.acknowledged)
        return {name for name, (_, _, info) in list(self.sent.items()) if info.mid in done}


def kill_something(site, cluster, moments, broker_dies):
    hub, broker = site.hubs[0], site.broker
    what = moments.choice(["hub", "hub", "hub", "hub", "database", "broker"])
    if what == "hub":
        hub.kill()
        hub.start(ready=False)
    elif what == "database":
        cluster.stop(moments.choice(["immediate", "kill", "fast"]))
        if moments.random() < 0.5:
            hub.kill()
        cluster.start()
        if not hub.process.running:
            hub.start(ready=False)
    else:
        broker.kill() if broker_dies else broker.stop()
        broker.start()
    return what


def kill_at_random(site, cluster, client, kills, broker_dies, age_s=3600):
    """Kills the site's hub, the database's cluster or the broker under load, and then counts. `client` is a vendor's of dust; its records
    are about `age_s` old. Returns its books."""
    site.database.query("SELECT onemap.alarm_rule_default('dust', 'test_loud', %s)", json.dumps(
        {"name_zh": "试验", "severity": "minor", "source": "a test", "metric": "noise_dba", "above": 110, "clear": 100}))
    hub = site.hubs[0]
    hub.sync_registry()
    kills = int(os.environ.get("CITYHUB_KILLS", kills))
    moments = random.Random(kills)
    killed = collections.Counter()
    with Books(client, 1, age_s) as books:
        for _ in range(kills):
            before = len(books.told())
            wait_until(lambda: len(books.told()) > before + 20, 60, "the load goes on")
            books.stopping.wait(moments.uniform(0, 0.4))
            killed[kill_something(site, cluster, moments, broker_dies)] += 1
        hub.wait_ready()
    print("killed:", dict(killed))
    check_books(site, books)
    assert hub.metric("cityhub_messages_redelivered_total") is not None
    return books


def names_of_receipts(site, vendor):
    return dict(site.database.query("SELECT message, count(*) FROM onemap.receipt WHERE vendor = %s GROUP BY message", vendor))


CONFORMITY = ("SELECT sum(c.messages)::int, sum(c.records)::int, sum(c.taken)::int, sum(c.duplicates)::int, sum(c.merged)::int,"
              " sum(c.revised)::int, sum(c.refused)::int FROM onemap.vendor_conformity c WHERE c.vendor = %s")
FINDINGS = "SELECT f.code, f.field, sum(f.findings)::int FROM onemap.vendor_finding f WHERE f.vendor = %s GROUP BY 1, 2 ORDER BY 1, 2"


def check_conformity(database, vendor):
    """What is counted of a vendor is what its receipts say, each of which was written once with what it tells of: while it is added up,
    and when it is."""
    told = database.query("SELECT count(*)::int, sum(r.accepted + r.duplicates + r.merged + r.revised + r.rejected)::int,"
                          " sum(r.accepted + r.duplicates + r.merged + r.revised)::int, sum(r.duplicates)::int, sum(r.merged)::int,"
                          " sum(r.revised)::int, sum(r.rejected)::int FROM onemap.receipt r WHERE r.vendor = %s", vendor)
    found = database.query("SELECT p->>'code', coalesce(p->>'field', ''), count(*)::int FROM onemap.receipt r,"
                           " jsonb_array_elements(r.problems || r.warnings) p WHERE r.vendor = %s GROUP BY 1, 2 ORDER BY 1, 2", vendor)
    for _ in range(2):
        assert database.query(CONFORMITY, vendor) == told
        assert database.query(FINDINGS, vendor) == found
        database.query("SELECT onemap.conformity_add()")
    print(f"conformity: {told} {found}")


def check_books(site, books):
    """A broker that goes away may have passed on what it had not acknowledged: the vendor's client publishes it again (with the DUP flag,
    which brokers do not look at), as a message of its own to everybody. It has its receipt again, and nothing is stored twice. What was
    published once has one receipt."""
    query, value = site.database.query, site.database.value
    acknowledged = books.acknowledged()
    # Everything that the broker took: the vendor's client sends again what was not acknowledged, so all of it comes in the end.
    wait_until(lambda: books.acknowledged() >= set(books.sent), 120, "every message is acknowledged")
    wait_until(lambda: set(names_of_receipts(site, books.client.vendor)) >= set(books.sent), 120, "every message has its receipt")
    receipts = names_of_receipts(site, books.client.vendor)
    with books.client.lock:
        times_most = {name: 1 + books.client.sent_again[info.mid] for name, (_, _, info) in books.sent.items()}
    doubled = {name: count for name, count in receipts.items() if count > times_most[name]}
    assert not doubled, f"receipts that were written more than once: {doubled}"
    assert len(acknowledged) > 10

    expected = {}
    for made, payload, _ in books.sent.values():
        if isinstance(payload, list) and made not in ("refused",):
            for record in payload:
                if "observed_at_ms" in record:
                    expected[(record["device_code"], record["observed_at_ms"])] = True
    rows = query("SELECT d.code, (extract(epoch FROM o.observed_at) * 1000)::bigint, count(*) FROM onemap.observation o"
                 " JOIN onemap.device d ON d.id = o.device_id WHERE d.vendor = %s GROUP BY 1, 2", books.client.vendor)
    assert {(code, at) for code, at, _ in rows} == set(expected), "records lost or made up"
    assert all(count == 1 for _, _, count in rows)

    values = query("SELECT d.code, (extract(epoch FROM o.observed_at) * 1000)::bigint, o.readings[onemap.metric_ordinal('dust', 'pm25_ug_m3')],"
                   " o.readings[onemap.metric_ordinal('dust', 'pm10_ug_m3')] FROM onemap.observation o"
                   " JOIN onemap.device d ON d.id = o.device_id WHERE d.vendor = %s AND d.code LIKE 'd-%%'", books.client.vendor)
    corrected = collections.defaultdict(list)
    for made, payload, _ in books.sent.values():
        if made == "correction":
            corrected[(payload[0]["device_code"], payload[0]["observed_at_ms"])].append(payload[0]["pm10_ug_m3"])
    for code, at, pm25, pm10 in values:
        assert pm25 == (at - books.start_ms) % 40 and (pm10 is None or pm10 in corrected[(code, at)]), (code, at, pm25, pm10)
    assert {(code, at) for code, at, _, pm10 in values if pm10 is not None} == set(corrected), "corrections lost"
    replaced = dict(((code, at), list(kept)) for code, at, kept in query(
        "SELECT d.code, (extract(epoch FROM v.observed_at) * 1000)::bigint, array_agg(v.readings[onemap.metric_ordinal('dust', 'pm10_ug_m3')])"
        " FROM onemap.observation_revision v JOIN onemap.device d ON d.id = v.device_id WHERE d.vendor = %s GROUP BY 1, 2", books.client.vendor))
    for code, at, _, pm10 in values:
        said = corrected.get((code, at), [])
        assert sorted(replaced.get((code, at), []) + ([pm10] if said else [])) == sorted(said), "each replaced value is kept once"

    bad = {books.client.encode("", payload): name for name, (made, payload, _) in books.sent.items() if made in ("junk", "half", "refused")}
    kept = query("SELECT payload, times FROM onemap.quarantine WHERE vendor = %s", books.client.vendor)
    assert len(kept) == len(bad), f"{len(kept)} rows in quarantine for {len(bad)} bad messages"
    often = {bad[bytes(payload)]: times for payload, times in kept if times > times_most[bad[bytes(payload)]]}
    assert not often, f"in quarantine more often than they were published: {often}"

    alarms = query("SELECT d.code, (extract(epoch FROM a.opened_at) * 1000)::bigint, a.closed_at IS NULL, count(*) FROM onemap.alarm a"
                   " JOIN onemap.device d ON d.id = a.device_id JOIN onemap.alarm_rule r ON r.id = a.rule_id"
                   " WHERE r.key = 'test_loud' AND d.vendor = %s GROUP BY 1, 2, 3", books.client.vendor)
    wanted = set()
    for made, payload, _ in books.sent.values():
        if made == "alarm":
            wanted |= {(payload[0]["device_code"], books.start_ms + 1, False, 1), (payload[0]["device_code"], books.start_ms + 3, True, 1)}
    assert set(alarms) == wanted, sorted(set(alarms) ^ wanted)[:10]

    check_conformity(site.database, books.client.vendor)

    # States: what device_state says is what is stored, and nothing of it is missing.
    wait_until(lambda: value("SELECT count(*) FROM onemap.batch_unstated") == 0, 30, "all batches are stated")
    wrong = query("SELECT d.code, s.observed_at, o.newest FROM onemap.device d JOIN onemap.device_state s ON s.device_id = d.id"
                  " JOIN (SELECT device_id, max(observed_at) AS newest FROM onemap.observation GROUP BY 1) o ON o.device_id = d.id"
                  " WHERE d.vendor = %s AND s.observed_at <> o.newest", books.client.vendor)
    assert wrong == []
    counted = {made: sum(m == made for m, _, _ in books.sent.values()) for made in ("good", "junk", "duplicate", "correction", "half",
                                                                                     "refused", "alarm")}
    print(f"{len(books.sent)} messages {counted}: {len(rows)} records, {len(receipts)} receipts, {len(kept)} in quarantine,"
          f" {len(alarms)} alarms, each once; {sum(times > 1 for times in times_most.values())} messages were published again")
