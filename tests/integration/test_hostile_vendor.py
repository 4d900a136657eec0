"""What a vendor with a login of its own cannot do to the others: nothing that the broker has acknowledged to them is lost or doubled, and
their receipts are theirs. Broker and plugin have the settings of deploy/."""
import json
import pathlib
import re

import pytest
from harness import messages
from harness.guarded import GuardedBroker
from harness.hostile import KINDS, PASSWORD, County, end_sessions, meanwhile, now_ms
from harness.process import wait_until
from harness.site import Site, county_of
from harness.wire import PINGREQ, PINGRESP, Gone, Wire, packet


@pytest.fixture(scope="module")
def county(cluster, logs):
    with county_of(County, GuardedBroker, cluster, logs / "test_hostile_vendor") as county:
        yield county


# ---- sessions

def test_nobody_ends_the_hub_s_sessions(county):
    """What waits for a hub that is away stays there, whatever client ids another login asks for."""
    acme = county.client("acme")
    county.hub.stop()
    wanted = county.publish(acme, 50)
    let_in = end_sessions(county, county.hub_ids())
    county.hub.start()
    county.check_stored("acme", wanted)
    assert let_in == []


def test_nobody_ends_another_vendor_s_session(county):
    """Receipts that wait for a vendor that is away stay its own."""
    client_id = county.broker.client_id("acme")
    with county.wire() as acme:
        assert acme.connect(client_id, "acme", PASSWORD, clean=False, session_expiry=3600) == 0
        assert acme.subscribe("cityhub/v1/gas/acme/receipt") == [1]
        county.hub.stop()
        record = {"device_code": "waits", "observed_at_ms": now_ms(), "pressure_kpa": 2.0}
        assert acme.publish("cityhub/v1/gas/acme/telemetry", messages.json_bytes([record]), correlation_data="waits") < 0x80
    county.hub.start()
    wait_until(lambda: county.database.value("SELECT count(*) FROM onemap.outbox WHERE payload LIKE '%%waits%%' AND sent_at IS NOT NULL"), 30,
               "the receipt is at the broker")
    let_in = end_sessions(county, [client_id, "acme"])
    with county.wire() as acme:
        assert acme.connect(client_id, "acme", PASSWORD, clean=False, session_expiry=0) == 0
        assert acme.session_present
        named = None
        while named != "waits":  # one of a message before it may have been on its way
            topic, payload = acme.message()
            assert topic == "cityhub/v1/gas/acme/receipt"
            named = json.loads(payload)["receipts"][0]["message"]
    assert let_in == []


def test_a_login_has_client_ids_of_its_own(county):
    """Any number of connections under names that begin with the login's, or under none; no name of another's."""
    ours = [county.wire() for _ in range(5)]
    for wire, name in zip(ours, ("evil", "evil.1", "evil-gateway-1", "", "")):
        assert wire.connect(name, "evil", PASSWORD) == 0, f"client id {name!r} is not let in"
    for name in ("evil2", "evil_1", "Evil", "evil-", "evil-" + "x" * 200, "acme", "acme.1", "acme-1", "auto-1", "hub", " evil-1", "/evil"):
        for version in (4, 5):
            with county.wire(version) as wire:
                assert wire.connect(name, "evil", PASSWORD) != 0, f"client id {name!r} is let in"
    for wire in ours:
        wire.send(packet(PINGREQ, 0, b""))
        assert wire.read()[0] == PINGRESP, "one has ended the other"
        wire.close()


def test_who_is_refused_is_seen(county):
    """A wrong password and a client id of another's stand at their vendor; of logins that are nobody's only how many; who got in at none."""
    def refused():
        return dict((row[0], row[1:]) for row in county.database.query("SELECT login, refused, reason, client_id, address FROM onemap.login_refusal"))
    for number, (login, name, password) in enumerate([("acme", "acme-7", "wrong"), ("acme", "acme-8", ""), ("evil", "acme-1", PASSWORD), ("a secret", "x", "x"), ("stranger", "", "y"),
                                                      ("beta", "beta-1", PASSWORD), ("hub", "hub", "wrong")]):
        with county.wire(4 + number % 2) as wire:
            assert (wire.connect(name, login, password) == 0) == (login == "beta")
    told = wait_until(lambda: {"acme", "evil", ""} <= set(rows := refused()) and rows["acme"][2] == "acme-8" and rows["evil"][2] == "acme-1" and rows, 30,
                      "the database has who was refused")
    assert set(told) == {"acme", "evil", ""} and told["acme"] == (2, "password", "acme-8", "127.0.0.1") and told["evil"][1] == "client_id" and told[""][0] >= 2


def test_nobody_takes_a_share(county):
    """Two lanes share the subscription to gas; whoever joins them, by whatever name, gets nothing that is theirs."""
    acme = county.client("acme")
    granted = {}
    wires = []
    for share in county.shares() + ["other"]:
        for version in (4, 5):
            wire = county.evil(version)
            wires.append(wire)
            for filter in ("cityhub/v1/gas/+/telemetry", "cityhub/#", "#", "+/+/gas/+/+", "cityhub/v1/gas/acme/telemetry"):
                granted[(share, version, filter)] = wire.subscribe(f"$share/{share}/{filter}")[0]
    wanted = county.publish(acme, 60)
    county.check_stored("acme", wanted)
    for wire in wires:
        wire.close()
    assert {reason for reason in granted.values() if reason < 0x80} == set(), "a shared subscription is granted"


def test_what_is_none_of_its_business(county):
    """Subscriptions to anything but own receipts, and messages on any topic that is not its own, by both versions."""
    for version in (4, 5):
        with county.evil(version) as evil:
            for filter in ("#", "+/#", "/#", "cityhub/#", "cityhub/v1/gas/acme/receipt", "cityhub/v1/+/+/receipt", "cityhub/v1/dust/+/+",
                           "cityhub/v1/dust/evil/telemetry", "cityhub/v1/dust/evil/#", "$SYS/#", "$SYS/broker/clients/total",
                           "$CONTROL/#", "$SHARE/x/#", "$queue/cityhub/#", "x" * 60000):
                assert evil.subscribe(filter)[0] >= 0x80, f"a subscription to {filter[:60]} is granted"
            assert [evil.subscribe("cityhub/v1/dust/evil/receipt", "cityhub/v1/+/evil/receipt")] == [[1, 1]]
    with county.evil() as evil:
        for topic in (*(f"cityhub/v1/gas/acme/{kind}" for kind in KINDS), *(f"cityhub/v1/gas/evil/{kind}" for kind in KINDS),
                      "cityhub/v1/dust/evil/receipt", "cityhub/v1/gas/acme/receipt", "cityhub/v1/dust/evil/x", "cityhub/v1/dust/evil",
                      "cityhub/v1/dust/evil/telemetry/x", "cityhub", "/", "x", "$SYS/x", "$SYS/broker/connection/x/state",
                      "$CONTROL/dynamic-security/v1", "$share/test/cityhub/v1/gas/acme/telemetry"):
            for retain in (False, True):
                assert evil.publish(topic, b"{}", retain=retain) >= 0x80, f"a message on {topic} is taken"
            assert evil.publish(topic, b"") >= 0x80
        assert evil.publish("cityhub/v1/dust/evil/telemetry") < 0x80


def test_quarantine_is_filled_by_nobody_without_the_right(county):
    def count():
        return county.database.value("SELECT count(*) FROM onemap.quarantine WHERE subsystem <> 'dust'")
    before = count()
    with county.evil() as evil:
        for subsystem in ("gas", "water", "heating", "enforcement"):
            for kind in KINDS:
                evil.publish(f"cityhub/v1/{subsystem}/evil/{kind}", b"x" * 100_000)
    beta = county.client("beta")
    county.check_stored("beta", county.publish(beta, 5))
    assert count() == before


# ---- retained messages

def test_retained_messages_undo_nothing(county):
    """A retained value, then a correction: after restarts the correction stands. Deleting a retained message does nothing bad."""
    moment, database = now_ms() - 60_000, county.database
    with county.wire() as acme:
        assert acme.connect(county.broker.client_id("acme"), "acme", PASSWORD) == 0
        topic = "cityhub/v1/gas/acme/telemetry"

        def value():
            return database.value("SELECT pressure_kpa FROM onemap.gas WHERE device_code = 'retained'")

        def rows():
            return database.query("SELECT (SELECT count(*) FROM onemap.observation_revision), (SELECT count(*) FROM onemap.quarantine"
                                  " WHERE vendor = 'acme'), (SELECT count(*) FROM onemap.outbox WHERE topic LIKE '%%acme%%')")[0]
        for number, retain in ((10.0, True), (12.0, False)):
            record = {"device_code": "retained", "observed_at_ms": moment, "pressure_kpa": number}
            assert acme.publish(topic, messages.json_bytes([record]), retain=retain) < 0x80
            wait_until(lambda: value() == number, 30, "the value is stored")
        assert acme.publish("cityhub/v1/gas/acme/inventory", b"junk", retain=True) < 0x80
        wait_until(lambda: rows()[1] == 1, 30, "the junk is in quarantine")
        before = rows()
        for _ in range(2):
            county.hub.restart()
            beta = county.client("beta")
            county.check_stored("beta", county.publish(beta, 3))
        assert value() == 12.0
        assert rows() == before, "(revisions, quarantined messages, receipts) grow with each restart"
        for kind in ("telemetry", "inventory"):
            assert acme.publish(f"cityhub/v1/gas/acme/{kind}", b"", retain=True) < 0x80
        county.check_stored("beta", county.publish(county.client("beta"), 3))
        assert value() == 12.0


# ---- a broker that ends, and one that reads its files again

def test_sessions_keep_their_messages_when_files_are_read_again(county):
    """The broker has come back, nobody else has: a vendor is let in (the broker reads its files again), others publish."""
    client_id = county.broker.client_id("acme")
    with county.wire() as acme:
        assert acme.connect(client_id, "acme", PASSWORD, clean=False, session_expiry=3600) == 0
        assert acme.subscribe("cityhub/v1/gas/acme/receipt") == [1]
    county.hub.stop()
    county.broker.restart()
    county.broker.reload()
    beta = county.client("beta")
    county.broker.reload()
    wanted = county.publish(beta, 40)
    county.broker.reload()
    wanted |= county.publish(beta, 40)
    county.hub.start()
    county.check_stored("beta", wanted)
    # And a receipt for a vendor that has not come back is kept for it.
    county.database.query("INSERT INTO onemap.outbox (topic, payload) VALUES ('cityhub/v1/gas/acme/receipt', '{\"receipts\": []}')")
    wait_until(lambda: county.database.value("SELECT count(*) FROM onemap.outbox WHERE sent_at IS NULL") == 0, 30, "it is sent")
    with county.wire() as acme:
        assert acme.connect(client_id, "acme", PASSWORD, clean=False, session_expiry=0) == 0
        assert acme.message() == ("cityhub/v1/gas/acme/receipt", b'{"receipts": []}')


def test_a_vendor_that_is_back_before_the_hub(cluster, work_folder):
    """A broker that dies soon after the hub has come for the first time: what a vendor publishes before the hub is back is kept.
    (One lane: mosquitto does not save shared subscriptions.)"""
    database = cluster.clone()
    broker = GuardedBroker(work_folder / "mosquitto.log")
    site = Site(database, broker, work_folder)
    try:
        broker.start()
        hub = site.hub(broker.hub_settings(), start=False)
        secret = work_folder / "password"
        secret.write_text(PASSWORD + "\n")
        hub.run("vendor", "add", "--subsystem", "gas", "--vendor", "acme", "--password-file", secret)
        hub.start()
        wait_until(lambda: (broker.folder / "mosquitto.db").exists(), 10, "the broker has saved its sessions")
        hub.kill()
        broker.kill()
        broker.start()
        client = site.client("gas", "acme", register=False, username="acme", password=PASSWORD)
        start = now_ms() - 3_600_000
        for number in range(300):
            client.publish("telemetry", [{"device_code": "back", "observed_at_ms": start + number, "pressure_kpa": 2.0}])
        hub.start()
        wait_until(lambda: database.value("SELECT count(*) FROM onemap.gas WHERE device_code = 'back'") == 300, 30,
                   "all of the 300 acknowledged records are stored")
    finally:
        site.close()
        broker.close()
        cluster.start()
        cluster.drop(database)


def test_memory_that_runs_out_promises_nothing(cluster, work_folder):
    """With the hub away and the broker's memory full nothing more is acknowledged; what was is kept, and then it goes on."""
    database = cluster.clone()
    broker = GuardedBroker(work_folder / "mosquitto.log", more_settings="plugin_opt_memory_mib 48\n")
    site = Site(database, broker, work_folder)
    try:
        broker.start()
        hub = site.hub(broker.hub_settings(), start=False)
        secret = work_folder / "password"
        secret.write_text(PASSWORD + "\n")
        hub.run("vendor", "add", "--subsystem", "gas", "--vendor", "acme", "--password-file", secret)
        hub.start()
        hub.stop()
        start, acknowledged, refused = now_ms() - 3_600_000, 0, False
        pad = "x" * 900_000  # a field that nobody knows
        for number in range(200):
            record = [{"device_code": "full", "observed_at_ms": start + number, "pressure_kpa": 2.0, "pad": pad}]
            try:
                with Wire(broker.host, broker.vendor_port) as acme:
                    assert acme.connect("acme.1", "acme", PASSWORD) == 0
                    for _ in range(3):
                        if acme.publish("cityhub/v1/gas/acme/telemetry", messages.json_bytes(record)) < 0x80:
                            acknowledged = number + 1
            except Gone:
                refused = True
                break
        assert refused and 5 < acknowledged < 60, f"{acknowledged} messages of a megabyte were taken three times each"
        large_pages = pathlib.Path("/sys/kernel/mm/transparent_hugepage/enabled")
        if large_pages.exists() and "[never]" not in large_pages.read_text():
            maps = pathlib.Path(f"/proc/{broker.process.pid}/smaps_rollup").read_text()
            assert int(re.search(r"^AnonHugePages: +(\d+) kB", maps, re.M)[1]) > 16 << 10, "what waits is in large pages"
        hub.start()
        wait_until(lambda: database.value("SELECT count(*) FROM onemap.gas WHERE device_code = 'full'") >= acknowledged, 60,
                   "all acknowledged records are stored")

        def taken():
            with Wire(broker.host, broker.vendor_port) as acme:
                assert acme.connect("acme.1", "acme", PASSWORD) == 0
                return acme.publish("cityhub/v1/gas/acme/telemetry", messages.json_bytes(
                    [{"device_code": "after", "observed_at_ms": now_ms(), "pressure_kpa": 2.0}])) < 0x80
        wait_until(taken, 30, "vendors may publish again")
    finally:
        site.close()
        broker.close()
        cluster.start()
        cluster.drop(database)


# ---- everything at once, while others publish

@pytest.mark.slow
def test_others_publish_meanwhile(county):
    """Figures are printed and not judged here: the machine is shared with other tests; tests/bench/hostile is for them."""
    others, lines, problems = meanwhile(county)
    print("\n".join(lines))
    strangers = county.database.query("SELECT vendor, subsystem, count(*) FROM onemap.quarantine WHERE subsystem <> 'dust'"
                                      " AND code <> 'malformed' OR payload LIKE 'will%%' AND vendor <> 'evil' GROUP BY 1, 2")
    assert strangers == [], "nothing of evil's is under another's name"
    assert county.hub.get("/readyz").status_code == 200
    assert problems == []


def test_receipts_are_kept_for_a_bounded_number_of_sessions(county):
    """Each session that subscribes keeps its receipts, for two weeks: a login has 1,000 of them a day, and one that is known goes on."""
    reasons = []
    for number in range(1010):
        with county.wire() as wire:
            assert wire.connect(f"evil-flood-{number}", "evil", PASSWORD) == 0
            reasons.append(wire.subscribe("cityhub/v1/dust/evil/receipt")[0])
    assert reasons.count(1) <= 1000 and reasons[-1] >= 0x80
    with county.wire() as wire:
        assert wire.connect("evil-flood-0", "evil", PASSWORD) == 0
        assert wire.subscribe("cityhub/v1/dust/evil/receipt") == [1]
