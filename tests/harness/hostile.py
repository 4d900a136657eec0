"""A vendor with a login of its own that tries every message of MQTT 3.1.1 and 5 against the others, and the others, who publish
meanwhile and note when their receipts come."""
import json
import multiprocessing
import random
import socket
import threading
import time

import paho.mqtt.client as mqtt

from . import messages
from .guarded import HUB_PASSWORD
from .process import wait_until
from .site import Site
from .wire import (AUTH, CONNECT, DISCONNECT, PINGREQ, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, SUBSCRIBE, UNSUBSCRIBE, Gone, Wire,
                   packet, properties, text, varint)

PASSWORD = "a password of twelve bytes or more"
FOREVER = 0xFFFFFFFF
KINDS = ("telemetry", "inventory", "staff", "work", "case", "interval")


def now_ms():
    return int(time.time() * 1000)


class County:
    """A hub with two lanes for gas, the vendors acme (gas) and beta (water), and evil, who has a right for dust."""

    RIGHTS = {"acme": "gas", "beta": "water", "evil": "dust"}

    def __init__(self, database, broker, folder):
        self.database, self.broker = database, broker
        self.site = Site(database, broker, folder)
        self.hub = self.site.hub({"lane.counts": "gas=2", **broker.hub_settings()}, start=False)
        secret = folder / "password"
        secret.write_text(PASSWORD + "\n")
        for vendor, subsystem in self.RIGHTS.items():
            self.hub.run("vendor", "add", "--subsystem", subsystem, "--vendor", vendor, "--password-file", secret)
        self.hub.start()
        self.numbers = iter(range(1, 10 ** 6))

    def client(self, vendor, **options):
        return self.site.client(self.RIGHTS[vendor], vendor, register=False, username=vendor, password=PASSWORD, **options)

    def wire(self, version=5):
        return Wire(self.broker.host, self.broker.vendor_port, version)

    def evil(self, version=5, **given):
        """Evil, connected by its own right."""
        wire = self.wire(version)
        assert wire.connect(self.broker.client_id("evil"), "evil", PASSWORD, **given) == 0
        return wire

    def hub_ids(self):
        """The client ids of the hub's sessions: those that anybody would guess, and those that nobody can."""
        return [f"test-{subsystem}-1" for subsystem in ("gas", "water")] + [
            client_id for client_id, in self.database.query("SELECT client_id FROM onemap.lane WHERE subsystem IN ('gas', 'water')")]

    def shares(self):
        return ["test", *(f"test-{secret}" for secret, in self.secrets())]

    def secrets(self):
        there = self.database.value("SELECT to_regclass('onemap.broker_identity') IS NOT NULL")
        return self.database.query("SELECT secret FROM onemap.broker_identity") if there else []

    def moments(self, vendor):
        return self.database.query(f"SELECT device_code, (extract(epoch FROM observed_at) * 1000)::bigint FROM onemap.{self.RIGHTS[vendor]}"
                                   " WHERE vendor = %s", vendor)

    def publish(self, client, count):
        """Numbered records, each with its PUBACK; returns what must be stored of them."""
        start, wanted = now_ms() - 3_600_000, set()
        metric = {"gas": "pressure_kpa", "water": "pressure_kpa"}[client.subsystem]
        for number in range(count):
            device = f"n-{next(self.numbers)}"
            client.publish("telemetry", messages.protobuf(client.subsystem, [
                {"device_code": device, "observed_at_ms": start + number, metric: 2.0}]))
            wanted.add((device, start + number))
        return wanted

    def check_stored(self, vendor, wanted):
        wait_until(lambda: wanted <= set(self.moments(vendor)) or missing(wanted, self.moments(vendor)), 60, "all of them are stored")
        stored = self.moments(vendor)
        assert len(stored) == len(set(stored)), "a record is stored twice"


def missing(wanted, stored):
    lost = wanted - set(stored)
    raise AssertionError(f"{len(lost)} of {len(wanted)} acknowledged records are not stored")


def end_sessions(county, ids):
    """Tries to become each of these clients, in every way; returns the attempts that the broker let in."""
    let_in = []
    for client_id in ids:
        for version in (4, 5):
            for clean in (True, False):
                with county.wire(version) as wire:
                    try:
                        reason = wire.connect(client_id, "evil", PASSWORD, clean=clean, **({"session_expiry": 0} if version == 5 else {}))
                    except Gone:
                        reason = 0x80
                    if reason == 0:
                        let_in.append((client_id, version, clean))
    return let_in


# ---- what others do

class Others:
    """acme and beta publish a record every so often, each from a thread of its own, and note when its receipt comes."""

    PAUSE_S = 0.02

    def __init__(self, county):
        self.county, self.stopping = county, threading.Event()
        self.sent, self.arrived, self.wanted = {}, {}, {"acme": set(), "beta": set()}
        self.acknowledged, self.attacked = [], []
        self.clients = {vendor: self._client(vendor) for vendor in self.wanted}
        self.threads = [threading.Thread(target=self._run, args=item, daemon=True) for item in self.clients.items()]

    def _client(self, vendor):
        client = self.county.client(vendor)
        take = client.client.on_message

        def note(*arguments):
            take(*arguments)
            now = time.monotonic()
            for entry in json.loads(arguments[2].payload)["receipts"]:
                self.arrived.setdefault(entry["message"], now)
        client.client.on_message = note
        return client

    def _run(self, vendor, client):
        start, number = now_ms() - 7_200_000, 0
        while not self.stopping.wait(self.PAUSE_S):
            device, name = f"others-{number % 20}", f"{vendor}-{number}"
            payload = messages.protobuf(client.subsystem, [{"device_code": device, "observed_at_ms": start + number, "pressure_kpa": 2.0}])
            self.sent[name] = time.monotonic()
            info, _ = client.publish_start("telemetry", payload, message=name)
            self.acknowledged.append((vendor, (device, start + number), info, name))
            number += 1

    def start(self):
        for thread in self.threads:
            thread.start()
        return self

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(30)

    def worst_s(self, begin, end):
        """The longest time of a publication of that time to its receipt."""
        return max((self.arrived[name] - at for name, at in self.sent.items() if name in self.arrived and begin <= at <= end), default=0)

    def p99_s(self, during):
        """Of the times from a publication to its receipt, of those published while attacked or not."""
        times = sorted(self.arrived[name] - at for name, at in self.sent.items() if name in self.arrived
                       and any(begin <= at <= end for begin, end in self.attacked) == during)
        return times[int(len(times) * 0.99)], len(times)


# ---- what the hostile vendor does

def flood(wire, data, times):
    """Sends the same bytes so often, until the broker ends the connection. Answers stay unread until then."""
    try:
        for _ in range(times):
            wire.send(data)
    except (Gone, socket.timeout):
        pass


def attack_sessions(county):
    assert end_sessions(county, county.hub_ids() + ["acme", "acme.1", "acme-1", "beta-1"]) == []
    for _ in range(100):
        with county.wire() as wire:
            wire.connect("evil.7", "evil", PASSWORD, clean=False, session_expiry=FOREVER)


def attack_passwords(county):
    for login in ("acme", "hub", "evil", "nobody"):
        for _ in range(60):
            with county.wire(4) as wire:
                assert wire.connect(f"{login}.1", login, "wrong") != 0


def attack_subscriptions(county):
    """Filters by the thousand, with identifiers, in every form that is none."""
    for version in (4, 5):
        with county.evil(version) as evil:
            for block in range(20):
                filters = [f"$share/s{block}-{n}/#" if n % 2 else f"cityhub/v1/x{block}_{n}/evil/receipt" for n in range(500)]
                reasons = evil.subscribe(*filters, **({"subscription_identifier": 268435455} if version == 5 else {}))
                assert sum(reason < 0x80 for reason in reasons) <= 64
    for filters, given in ((("#",), {"subscription_identifier": 0}), (("",), {}), (("a/#/b",), {}), (("a+",), {}), (("$share//x",), {}),
                           (("$share/x",), {}), (("$share/x/",), {}), (("$share/a+b/x",), {}), ((), {})):
        with county.evil() as evil:
            evil.send(evil.subscribe_bytes(*filters, **given))
            try:
                evil.socket.settimeout(5)
                _, _, body = evil.read()
                assert body[-1] >= 0x80
            except Gone:
                pass
    for options in (0x03, 0x34, 0xC1, 0x05):
        with county.evil() as evil:
            evil.send(evil.subscribe_bytes("cityhub/v1/dust/evil/receipt", "$share/x/#", options=options))
            evil.gone(0.2)


def attack_wills(county):
    """Wills on topics of others, at once and after a while, retained, that expire; the connection then breaks."""
    for version in (4, 5):
        for topic in ("cityhub/v1/gas/acme/telemetry", "cityhub/v1/gas/acme/receipt", "cityhub/v1/gas/acme/inventory",
                      "cityhub/v1/dust/evil/telemetry", "$SYS/x", "#"):
            for of_will in ({}, {"will_delay": 1, "message_expiry": 1, "response_topic": "cityhub/v1/gas/acme/receipt"}):
                for qos in (0, 1, 2):
                    with county.wire(version) as wire:
                        try:
                            wire.connect(county.broker.client_id("evil"), "evil", PASSWORD, will=(topic, b"will", qos, True, of_will),
                                         **({"session_expiry": 2} if version == 5 else {}))
                        except Gone:
                            pass


def attack_retained(county):
    with county.evil() as evil:
        for topic in ("cityhub/v1/gas/acme/telemetry", "cityhub/v1/dust/evil/telemetry", "cityhub/v1/dust/evil/case"):
            for payload in (b"retained", b"", b"", b"again"):
                evil.publish(topic, payload, retain=True)


def attack_aliases(county):
    for alias in (0, 11, 65535):
        with county.evil() as evil:
            evil.send(evil.publish_bytes("cityhub/v1/dust/evil/telemetry", topic_alias=alias))
            assert evil.gone()
    with county.evil() as evil:
        assert evil.publish("cityhub/v1/gas/acme/telemetry", topic_alias=1) >= 0x80
        assert evil.publish("", topic_alias=1) >= 0x80
        assert evil.publish("cityhub/v1/dust/evil/telemetry", topic_alias=1) < 0x80
        assert evil.publish("cityhub/v1/gas/acme/telemetry", topic_alias=1) >= 0x80
        assert evil.publish("", topic_alias=1) >= 0x80
        evil.send(evil.publish_bytes("", topic_alias=2))
        assert evil.gone()


def attack_expiry(county):
    with county.evil() as evil:
        for _ in range(200):
            evil.send(evil.publish_bytes("cityhub/v1/dust/evil/telemetry", message_expiry=0))
            evil.send(evil.publish_bytes("cityhub/v1/dust/evil/telemetry", message_expiry=1, response_topic="cityhub/v1/gas/acme/telemetry",
                                         user_property=[("a", "b")] * 50))


def attack_receipts(county):
    """Sixty sessions that last for ever, each with all receipts, a window of one, and never an acknowledgement."""
    wires = []
    for number in range(60):
        wire = county.wire()
        assert wire.connect(f"evil.{100 + number}", "evil", PASSWORD, clean=False, session_expiry=FOREVER, receive_maximum=1,
                            maximum_packet_size=1024) == 0
        wire.send(wire.subscribe_bytes("cityhub/v1/+/evil/receipt", "cityhub/v1/dust/evil/receipt"))
        wires.append(wire)
    with county.evil() as evil:
        for _ in range(300):
            evil.send(evil.publish_bytes("cityhub/v1/dust/evil/telemetry", b"junk"))
    for wire in wires:
        wire.close()
    with county.wire() as wire:
        try:
            assert wire.connect("evil.200", "evil", PASSWORD, receive_maximum=0) != 0
        except Gone:
            pass


def attack_size(county):
    """Messages as large as they may be, larger, and never ending."""
    for size in (7_000_000, 16_000_000, 268_000_000):
        for topic in ("cityhub/v1/gas/acme/telemetry", "cityhub/v1/dust/evil/telemetry"):
            with county.evil() as evil:
                evil.socket.settimeout(5)
                try:
                    head = evil.publish_bytes(topic, b"")[2:]
                    evil.send(bytes([PUBLISH << 4 | 2]) + varint(len(head) + size) + head)
                    for _ in range(min(size, 8_000_000) // 1_000_000):
                        evil.send(b"x" * 1_000_000)
                except (Gone, socket.timeout):
                    pass
    for version in (4, 5):
        with county.wire(version) as wire:
            wire.send(bytes([CONNECT << 4]) + varint(268_000_000) + b"\x00\x04MQTT")
            wire.gone(0.2)
        with county.wire(version) as wire:
            wire.send(bytes([PUBLISH << 4]) + varint(268_000_000))
            assert wire.gone(), "before a login nothing but CONNECT is read"
        with county.wire(5) as wire:
            wire.send(wire.connect_bytes("evil.1", "evil", PASSWORD, user_property=[("k" * 20, "v" * 20)] * 1400))
            wire.gone(0.2)


def attack_authentication(county):
    for given in ({"authentication_method": "SCRAM-SHA-1"}, {"authentication_method": "x", "authentication_data": "y" * 60000}):
        with county.wire() as wire:
            try:
                assert wire.connect("acme.1", "acme", "wrong", **given) != 0
            except Gone:
                pass
    for body in (b"", b"\x00", b"\x18\x00", b"\x19" + properties(authentication_method="x")):
        with county.wire() as wire:
            wire.send(packet(AUTH, 0, body))
            assert wire.gone()
        with county.evil() as evil:
            evil.send(packet(AUTH, 0, body))
            assert evil.gone()


MALFORMED = [
    packet(0, 0, b""), packet(CONNECT, 0, b"\x00\x04MQTT\x05"), packet(PUBLISH, 6, text("a") + b"\x00\x01\x00"),
    packet(PUBLISH, 2, text("a") + b"\x00\x00\x00"), packet(PUBLISH, 2, text("a/+") + b"\x00\x01\x00"), packet(PUBLISH, 2, text("") + b"\x00\x01\x00"),
    packet(PUBLISH, 2, text(b"\xff\xfe") + b"\x00\x01\x00"), packet(PUBLISH, 2, text(b"a\x00b") + b"\x00\x01\x00"), packet(PUBLISH, 2, b"\x00\x20a"),
    packet(PUBLISH, 2, text("a") + b"\x00\x01\x05\x02"), packet(PUBLISH, 2, text("a") + b"\x00\x01" + properties(message_expiry=[1, 1])),
    packet(PUBLISH, 2, text("a") + b"\x00\x01" + properties(session_expiry=1)), packet(PUBLISH, 2, text("/" * 60000) + b"\x00\x01\x00"),
    packet(PUBACK, 0, b""), packet(PUBACK, 0, b"\x00\x00"), packet(PUBACK, 0, b"\xff\xff"), packet(PUBREC, 0, b"\x00\x07\xff"), packet(PUBREL, 0, b"\x00\x07"),
    packet(PUBREL, 2, b"\x00\x07"), packet(PUBCOMP, 0, b"\x00\x07"), packet(SUBSCRIBE, 0, b"\x00\x01\x00" + text("a") + b"\x00"),
    packet(SUBSCRIBE, 2, b"\x00\x00\x00" + text("a") + b"\x00"), packet(SUBSCRIBE, 2, b"\x00\x01\x00" + text("a")), packet(SUBSCRIBE, 2, b""),
    packet(UNSUBSCRIBE, 2, b"\x00\x01\x00"), packet(UNSUBSCRIBE, 2, b"\x00\x01\x00" + text("#") * 2000), packet(UNSUBSCRIBE, 0, b""),
    packet(PINGREQ, 0, b"x"), packet(PINGREQ, 15, b""), packet(DISCONNECT, 0, b"\x00" + properties(session_expiry=FOREVER)), packet(DISCONNECT, 15, b"\xff\xff"),
    b"\x30\xff\xff\xff\xff\x7f", b"\xff" * 64, b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64,
]


def attack_malformed(county):
    for data in MALFORMED:
        for version in (4, 5):
            with county.evil(version) as evil:
                flood(evil, data, 1)
            with county.wire(version) as wire:
                flood(wire, data, 1)
    # And whatever a die makes of good packets.
    die = random.Random(8)
    with county.wire() as maker:
        good = [maker.publish_bytes("cityhub/v1/dust/evil/telemetry", b"{}" * 20, topic_alias=3), maker.subscribe_bytes("cityhub/v1/dust/evil/receipt"),
                maker.connect_bytes("evil.5", "evil", PASSWORD, will=("cityhub/v1/dust/evil/case", b"w", 1, False, {"will_delay": 1})),
                packet(UNSUBSCRIBE, 2, b"\x00\x01\x00" + text("cityhub/v1/dust/evil/receipt")), packet(DISCONNECT, 0, b"\x00\x00")]
    for _ in range(150):
        data = bytearray(die.choice(good))
        for _ in range(die.randint(1, 4)):
            data[die.randrange(len(data))] = die.randrange(256)
        with (county.evil(die.choice((4, 5))) if die.random() < 0.7 else county.wire()) as wire:
            flood(wire, bytes(data[:die.randint(1, len(data))]), die.randint(1, 3))


def attack_half_sent(county):
    """QoS 2 without an end."""
    for version in (4, 5):
        with county.evil(version) as evil:
            flood(evil, b"".join(evil.publish_bytes("cityhub/v1/dust/evil/telemetry", b"x" * 1000, qos=2, mid=mid) for mid in range(1, 2000)), 1)
            assert evil.gone(), "messages are left half sent"


def attack_flood(county):
    """As much as goes through: refused messages, good ones, pings. The connection that sends too much is ended."""
    for topic in ("cityhub/v1/gas/acme/telemetry", "cityhub/v1/dust/evil/telemetry"):
        with county.evil() as evil:
            evil.socket.settimeout(20)
            flood(evil, evil.publish_bytes(topic, b"{}", qos=0) * 500, 300)
            assert evil.gone(), "150,000 messages in a row are taken"
    with county.evil() as evil:
        evil.socket.settimeout(2)
        flood(evil, packet(PINGREQ, 0, b"") * 1000, 20)


def attack_old_versions(county):
    """MQTT 3.1, bridges, and versions that there are not."""
    for name, version in (("MQIsdp", 3), ("MQIsdp", 0x83), ("MQTT", 0x84), ("MQTT", 0x85), ("MQTT", 6), ("MQTT", 0), ("mqtt", 4)):
        for client_id in ("acme.1", "evil.3"):
            with county.wire(4) as wire:
                body = wire.connect_bytes(client_id, "evil", PASSWORD)
                start = body.index(b"\x00\x04MQTT\x04")
                wire.send(packet(CONNECT, 0, text(name) + bytes([version]) + body[start + 7:]))
                try:
                    wire.socket.settimeout(5)
                    let_in = wire.read()[2][1] == 0
                except Gone:
                    let_in = False
                assert not (let_in and client_id == "acme.1")
                if let_in:
                    assert wire.subscribe("cityhub/#")[0] >= 0x80 if version & 0x7F == 4 else True
                    wire.send(wire.publish_bytes("cityhub/v1/gas/acme/telemetry", b"bridged"))


def attack_idle(county):
    """As many connections as Debian's service has descriptors, and more, none of which ever logs in."""
    idle = []
    try:
        for _ in range(1100):
            idle.append(socket.create_connection((county.broker.host, county.broker.vendor_port), 5))
        with county.wire() as beta:
            assert beta.connect("beta.500", "beta", PASSWORD) == 0, "nobody gets in any more"
            assert beta.publish("cityhub/v1/water/beta/telemetry", messages.json_bytes(
                [{"device_code": "idle", "observed_at_ms": now_ms(), "pressure_kpa": 2.0}])) < 0x80
    finally:
        for connection in idle:
            connection.close()


ATTACKS = [attack_sessions, attack_passwords, attack_subscriptions, attack_wills, attack_retained, attack_aliases, attack_expiry, attack_receipts,
           attack_size, attack_authentication, attack_malformed, attack_half_sent, attack_old_versions, attack_idle, attack_flood]


def attack_all(county, ids, told):
    """In a process of its own, or Python's lock would make others wait. Between the attacks is a time without, for comparison."""
    county.hub_ids = lambda: ids
    for attack in ATTACKS:
        time.sleep(0.8)
        begin, problem = time.monotonic(), None
        try:
            attack(county)
        except Exception as error:  # all are tried; each tells how it went
            problem = f"{attack.__name__}: {type(error).__name__}: {error}"
        told.put((attack.__name__, begin, time.monotonic(), problem))
    told.put(None)


def answer_at_once(broker, ready):
    """Instead of the hub, in a process of its own: reads what is not evil's, stores nothing, and answers. What others wait then, the
    broker and the machine are the reason."""
    def answer(client, _, message):
        _, _, subsystem, vendor, _ = message.topic.split("/")
        name = getattr(message.properties, "CorrelationData", None)
        if name is not None:
            client.publish(f"cityhub/v1/{subsystem}/{vendor}/receipt", json.dumps({"receipts": [{"message": name.decode()}]}), qos=1)
    client = mqtt.Client(client_id="nothing", protocol=mqtt.MQTTv5)
    client.username_pw_set("hub", HUB_PASSWORD)
    client.on_connect = lambda client, *_: client.subscribe([(f"cityhub/v1/{one}/+/telemetry", 1) for one in ("gas", "water")])
    client.on_subscribe = lambda *_: ready.set()
    client.on_message = answer
    client.connect(broker.host, broker.port)
    client.loop_forever()


def meanwhile(county, stores=True):
    """All attacks, one after the other, while others publish. Returns (Others, who have stopped; a line for each attack; problems).
    `stores`: what is acknowledged must be stored; False: the county has no hub, but answer_at_once()."""
    told = multiprocessing.get_context("fork").Queue()
    attacker = multiprocessing.get_context("fork").Process(target=attack_all, args=(county, county.hub_ids(), told), daemon=True)
    attacker.start()
    others, ran, problems = Others(county).start(), [], []
    try:
        for name, begin, end, problem in iter(lambda: told.get(timeout=120), None):
            others.attacked.append((begin, end))
            ran.append((name, begin, end))
            problems += [problem] if problem else []
    finally:
        others.stop()
        attacker.kill()
    for vendor, record, info, _ in others.acknowledged:
        info.wait_for_publish(30)
        assert info.is_published()
        others.wanted[vendor].add(record)
    for vendor, wanted in others.wanted.items():
        if stores:
            county.check_stored(vendor, wanted)
    wait_until(lambda: set(others.sent) <= set(others.arrived), 60, "every message has its receipt")
    lines = [f"{name}: {end - begin:.2f} s, others waited {others.worst_s(begin, end) * 1000:.0f} ms at the most" for name, begin, end in ran]
    (with_s, attacked), (without_s, quiet) = others.p99_s(True), others.p99_s(False)
    kept = "0 lost" if stores else "nothing stored"
    lines.append(f"{sum(map(len, others.wanted.values()))} acknowledged records of others, {kept}; p99 from publication to receipt "
                 f"{without_s * 1000:.0f} ms without ({quiet}), {with_s * 1000:.0f} ms with attacks ({attacked}), ratio {with_s / without_s:.2f}")
    return others, lines, problems
