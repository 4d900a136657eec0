"""The hub on RabbitMQ with deploy/rabbitmq.conf: MQTT 3.1.1, acknowledgement after commit, vendors' rights, and a broker that is killed
and has forgotten nothing."""
import json
import socket
import time

import pytest
from harness import messages
from harness.books import kill_at_random
from harness.process import wait_until
from harness.rabbitmq import RabbitBroker
from harness.site import Site, county_of
from harness.wire import Gone, Wire

PASSWORD = "a password of twelve bytes or more"


def now_ms():
    return int(time.time() * 1000)


class County:
    """Vendors acme (gas), evil and many (dust), made by `cityhub vendor add`."""

    def __init__(self, database, broker, folder):
        self.database, self.broker, self.secret = database, broker, folder / "password"
        self.site = Site(database, broker, folder)
        settings = broker.hub_settings()
        self.hub = self.site.hub({**settings, "mqtt.vendor_reload_command": None}, start=False)  # rabbitmqctl takes seconds
        self.secret.write_text(PASSWORD + "\n")
        for vendor, subsystem in (("acme", "gas"), ("evil", "dust"), ("many", "dust")):
            self.hub.run("vendor", "add", "--subsystem", subsystem, "--vendor", vendor, "--password-file", self.secret)
        self.hub.write_config(mqtt__vendor_reload_command=settings["mqtt.vendor_reload_command"])
        self.hub.run("vendor", "sync")
        self.hub.start()

    def client(self, subsystem, vendor, **options):
        return self.site.client(subsystem, vendor, register=False, username=vendor, password=PASSWORD, **options)

    def wire(self):
        return Wire(self.broker.host, self.broker.vendor_port, version=4)

    def stored(self, device):
        return {at for at, in self.database.query("SELECT (extract(epoch FROM observed_at) * 1000)::bigint FROM onemap.gas WHERE device_code = %s",
                                                  device)}


@pytest.fixture(scope="module")
def county(cluster, logs):
    with county_of(County, RabbitBroker, cluster, logs / "test_rabbitmq") as county:
        yield county


def test_messages_and_receipts(county):
    client = county.client("gas", "acme", session_expiry_s=3600)
    device = {"device_code": "G-1", "kind": "regulator_station", "name": "调压箱"}
    receipt = client.send("inventory", [device])
    assert (receipt["accepted"], receipt["rejected"]) == (1, 0), receipt
    start = now_ms() - 60_000
    records = [{"device_code": "G-1", "observed_at_ms": start + n, "pressure_kpa": 2.5} for n in range(100)]
    receipt = client.send("telemetry", messages.protobuf("gas", records))
    assert (receipt["kind"], receipt["records"], receipt["accepted"], receipt["rejected"]) == ("telemetry", 100, 100, 0)
    assert client.send("telemetry", messages.protobuf("gas", records[::-1]))["duplicates"] == 100
    receipt = client.send("telemetry", b"junk")
    assert receipt["rejected"] == 1 and receipt["problems"][0]["code"] == "malformed"
    assert county.database.value("SELECT count(*) FROM onemap.quarantine WHERE vendor = 'acme'") == 1
    done = county.hub.run("quarantine", "replay", "--vendor", "acme")
    wait_until(lambda: county.database.value("SELECT sum(times) FROM onemap.quarantine WHERE vendor = 'acme'") == 2, 30,
               f"the replayed message has come back: {done.stdout}")
    assert county.database.value("SELECT count(*) FROM onemap.quarantine WHERE vendor = 'acme' AND replayed_at IS NULL") == 1
    client.disconnect()


def test_replay_undoes_no_correction(county):
    client = county.client("gas", "acme", session_expiry_s=3600)
    moment = now_ms() - 120_000
    read = county.database.query

    def record(value, device="corrected"):
        return {"device_code": device, "observed_at_ms": moment, "pressure_kpa": value}
    first = client.send("telemetry", [record(2.0), record(1.0, device="")])
    assert (first["accepted"], first["rejected"]) == (1, 1)
    assert client.send("telemetry", [record(2.5)])["revised"] == 1
    (number, received_at), = read("SELECT id, received_at FROM onemap.quarantine WHERE vendor = 'acme' ORDER BY id DESC LIMIT 1")
    receipts = len(client.receipts)
    county.hub.run("quarantine", "replay", number)
    wait_until(lambda: len(client.receipts) > receipts, 30, "the receipt of the replay")
    (waiting, topic), = read("SELECT received_at, topic FROM onemap.quarantine WHERE id >= %s AND replayed_at IS NULL", number)
    assert (waiting, topic) == (received_at, "cityhub/v1/gas/acme/telemetry")
    assert read("SELECT pressure_kpa FROM onemap.gas WHERE device_code = 'corrected'") == [(2.5,)]
    client.disconnect()


def test_a_vendor_has_its_rights_and_no_others(county):
    """RabbitMQ ends the connection of whoever tries more."""
    def refused(send):
        with county.wire() as evil:
            assert evil.connect(county.broker.client_id("evil"), "evil", PASSWORD) == 0
            evil.send(send(evil))
            evil.socket.settimeout(5)
            try:
                kind, _, body = evil.read()
            except Gone:
                return True
            except socket.timeout:
                return False
            return kind == 9 and body[-1] >= 0x80
    tries = {f"publish {topic}": (lambda wire, topic=topic: wire.publish_bytes(topic, b"{}")) for topic in (
        "cityhub/v1/gas/acme/telemetry", "cityhub/v1/gas/evil/telemetry", "cityhub/v1/dust/evil/receipt", "cityhub/v1/dust/acme/telemetry",
        "cityhub.v1.gas.acme.telemetry", "x")}
    tries |= {f"subscribe {topic}": (lambda wire, topic=topic: wire.subscribe_bytes(topic)) for topic in (
        "#", "cityhub/#", "cityhub/v1/+/acme/receipt", "cityhub/v1/gas/+/telemetry", "cityhub/v1/+/+/receipt", "+/+/+/evil/receipt")}
    assert [name for name, send in tries.items() if not refused(send)] == []
    with county.wire() as evil:
        assert evil.connect(county.broker.client_id("evil"), "evil", PASSWORD) == 0
        assert evil.subscribe("cityhub/v1/dust/evil/receipt", "cityhub/v1/+/evil/receipt") == [1, 1]
        assert evil.publish("cityhub/v1/dust/evil/telemetry", b"{}") == 0
    assert county.database.value("SELECT count(*) FROM onemap.quarantine WHERE vendor = 'evil' AND subsystem <> 'dust'") == 0


def test_nobody_takes_another_s_session(county):
    """What waits in it is there when its owner comes back; that it may be disconnected meanwhile, docs/deploy.md says."""
    client_id = county.broker.client_id("acme")
    hub_ids = [name for name, in county.database.query("SELECT client_id FROM onemap.lane WHERE subsystem = 'gas'")]
    with county.wire() as acme:
        assert acme.connect(client_id, "acme", PASSWORD, clean=False) == 0
        assert acme.subscribe("cityhub/v1/gas/acme/receipt") == [1]
        acme.disconnect()
    county.hub.stop()
    start = now_ms() - 3_600_000
    with county.wire() as acme:
        assert acme.connect(county.broker.client_id("acme"), "acme", PASSWORD) == 0
        for number in range(20):
            assert acme.publish("cityhub/v1/gas/acme/telemetry", messages.json_bytes(
                [{"device_code": "taken", "observed_at_ms": start + number, "pressure_kpa": 2.0}])) == 0
    for name in (client_id, "acme", *hub_ids):
        for clean in (True, False):
            with county.wire() as evil:
                try:
                    let_in = evil.connect(name, "evil", PASSWORD, clean=clean) == 0
                    if let_in:
                        evil.subscribe("cityhub/v1/dust/evil/receipt")
                except Gone:
                    pass
    county.hub.start()
    wait_until(lambda: county.stored("taken") == {start + number for number in range(20)}, 30, "all acknowledged records are stored")
    with county.wire() as acme:
        assert acme.connect(client_id, "acme", PASSWORD, clean=False) == 0
        topic, payload = acme.message()
        assert topic == "cityhub/v1/gas/acme/receipt" and json.loads(payload)["receipts"][0]["accepted"] == 1


def test_a_right_that_ends(county):
    """A vendor that is connected feels it at once."""
    with county.wire() as evil:
        assert evil.connect(county.broker.client_id("evil"), "evil", PASSWORD) == 0
        assert evil.publish("cityhub/v1/dust/evil/telemetry", b"{}") == 0
        county.hub.run("vendor", "revoke", "--subsystem", "dust", "--vendor", "evil")
        assert evil.gone(), "its connection goes on"
    with county.wire() as evil:
        try:
            assert evil.connect(county.broker.client_id("evil"), "evil", PASSWORD) != 0
        except Gone:
            pass
    assert "say what the database says" in county.hub.run("vendor", "check").stdout


def publish_numbered(client, device, start, numbers):
    infos = [client.publish_start("telemetry", messages.protobuf("gas", [
        {"device_code": device, "observed_at_ms": start + number, "pressure_kpa": float(number % 1000)}]))[0] for number in numbers]
    for info in infos:
        info.wait_for_publish(60)
        assert info.is_published()
    return {start + number for number in numbers}


def test_hub_killed_while_it_stores(county):
    """Acknowledged only after commit, also here: killed five times on the way, it loses nothing, and stores nothing twice."""
    client, start, wanted = county.client("gas", "acme"), now_ms() - 7_200_000, set()
    for turn in range(5):
        wanted |= publish_numbered(client, "killed", start, range(turn * 400, turn * 400 + 400))
        county.hub.kill()
        county.hub.start()
    wait_until(lambda: county.stored("killed") == wanted, 60, "all acknowledged records are stored")
    assert county.database.value("SELECT count(*) FROM onemap.gas WHERE device_code = 'killed'") == len(wanted)


def test_broker_killed_while_the_hub_is_away(county):
    """5,000 messages are acknowledged, and nobody is there to take them; the broker is killed, and comes back before the hub. A vendor
    is back before the hub, too: what it publishes then is kept as well."""
    client, start = county.client("gas", "acme"), now_ms() - 7_200_000
    county.hub.stop()
    wanted = publish_numbered(client, "kept", start, range(5000))
    county.broker.kill()
    county.broker.start()
    wait_until(client.client.is_connected, 60, "the vendor is back")
    wanted |= publish_numbered(client, "kept", start, range(5000, 5200))
    county.hub.start()
    wait_until(lambda: len(county.stored("kept")) == len(wanted) or len(county.stored("kept")) < 0, 60,
               f"all of {len(wanted)} acknowledged records are stored")
    print(f"lost {len(wanted - county.stored('kept'))} of {len(wanted)} acknowledged messages")
    assert county.stored("kept") == wanted


def test_killed_at_random(county, cluster):
    """Hub, database and broker, all by kill -9."""
    kill_at_random(county.site, cluster, county.client("dust", "many", session_expiry_s=3600), kills=6, broker_dies=True)
