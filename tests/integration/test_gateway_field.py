"""`cityhub gateway`: what field devices say beside their readings, and what they are asked for."""
import datetime
import hashlib
import json
import random
import re
import struct
import time

import pytest
from harness import jt808, paths
from harness.gateway import Gateway, county_with_gateway
from harness.monitor import BEIJING, Monitor
from harness.people import Visitor
from harness.process import wait_until
from harness.site import Site

MONITORS = ["MN-AWAY-1", "MN-AWAY-2"]
LOCKED, KEY = ["010000A8900016F000169DC0", "MN-LOCKED"], b"0" * 16  # the official vectors' MN and key
TRUCKS = ["13800000001", "13800000002", "13800000003"]


class County:
    """A hub, a gateway, vendors trucks (construction_waste) and acme (dust), and their terminals."""

    def __init__(self, database, broker, folder):
        self.site, self.database, self.broker = Site(database, broker, folder), database, broker
        self.hub = self.site.hub(broker.hub_settings(), start=False)
        password = folder / "vendor.password"
        password.write_text("a-password-of-the-tests\n")
        for vendor, subsystem in (("trucks", "construction_waste"), ("acme", "dust")):
            self.hub.run("vendor", "add", "--subsystem", subsystem, "--vendor", vendor, "--password-file", password)
        for phone in TRUCKS:
            self.hub.run("terminal", "add", "--protocol", "jt808", "--identity", phone, "--subsystem", "construction_waste", "--vendor", "trucks")
        for mn in MONITORS:
            self.hub.run("terminal", "add", "--protocol", "hj212", "--identity", mn, "--subsystem", "dust", "--vendor", "acme")
        password.write_text(KEY.decode() + "\n")
        for mn in LOCKED:
            self.hub.run("terminal", "add", "--protocol", "hj212", "--identity", mn, "--subsystem", "dust", "--vendor", "acme", "--key-file", password)
        self.hub.start()
        self.gateway = Gateway(self.hub, broker, folder, {"gateway.history_s": 1}).start()
        wait_until(lambda: self.gateway.terminals() == len(TRUCKS + MONITORS + LOCKED), 60, "the gateway has the list")

    def media(self, phone):
        return self.database.query("SELECT m.media_id, m.content FROM onemap.gateway_media m JOIN onemap.terminal t ON t.id = m.terminal_id"
                                   " WHERE t.identity = %s ORDER BY m.id", phone)


@pytest.fixture(scope="module")
def county(cluster, logs):
    with county_with_gateway(County, cluster, logs / "test_gateway_field") as county:
        yield county


@pytest.fixture
def truck(county):
    opened = []

    def make(phone, gateway=None, **options):
        opened.append(jt808.Terminal("127.0.0.1", (gateway or county.gateway).jt808_port, "0" + phone, **options))
        return opened[-1]
    yield make
    for one in opened:
        one.close()


# ---- media

def picture(size, seed=1):
    return b"\xff\xd8\xff\xe0" + random.Random(seed).randbytes(size - 4)


def media_answer(one, timeout=30):
    """(media id, numbers of missing pieces) of the next 8800."""
    answer = one.receive(jt808.MEDIA_ANSWER, timeout=timeout)
    return answer and (struct.unpack(">I", answer["body"][:4])[0], answer["body"][5:])


def test_a_picture_is_answered_when_it_is_stored_and_missing_pieces_are_asked_for(county, truck):
    one, data = truck(TRUCKS[0]), picture(60_000)
    assert one.result(one.send(jt808.MEDIA_EVENT, struct.pack(">IBBBB", 7, 0, 0, 1, 2))) == 0
    assert county.media(TRUCKS[0]) == [(7, None)], "its announcement is seen, after the commit"
    pieces = jt808.frames(jt808.MEDIA, jt808.media(7, data, event=1, channel=2, lat=34.05, lon=114.39), size=900, serial=100, phone=one.phone)
    for number, piece in enumerate(pieces, 1):
        if number not in (3, 50):
            one.socket.sendall(piece)

    def asked():
        one.send(jt808.HEARTBEAT)
        return one.receive(jt808.ASK_AGAIN, timeout=1)
    missing = wait_until(asked, 60, "the missing pieces are asked for")["body"]
    assert struct.unpack(">HBHH", missing) == (100, 2, 3, 50)
    one.socket.sendall(pieces[2] + pieces[49])
    assert media_answer(one) == (7, b"")
    stored = county.media(TRUCKS[0])
    assert [(number, bytes(content)) for number, content in stored] == [(7, data)], "8800 came before the commit"
    row = county.database.query("SELECT r.device_code, r.kind, r.format, r.event, r.channel, r.lat, r.lon, r.sha256 FROM onemap.gateway_media_report r"
                                " WHERE r.identity = %s", TRUCKS[0])
    assert tuple(row[0][:7]) == (TRUCKS[0], "picture", "JPEG", 1, 2, 34.05, 114.39) and bytes(row[0][7]) == hashlib.sha256(data).digest()
    visitor, device = Visitor(county.hub), county.database.value("SELECT d.id FROM onemap.device d WHERE d.code = %s", TRUCKS[0])
    if device is None:  # its first position makes it one
        assert one.result(one.send(jt808.POSITION, jt808.position(when=time.time()))) == 0
        device = county.database.value("SELECT d.id FROM onemap.device d WHERE d.code = %s", TRUCKS[0])
    listed = visitor.get(f"/api/v1/devices/{device}/media").json()
    assert [(m["kind"], m["format"], m["lat"], m["size_bytes"]) for m in listed["media"]] == [("picture", "JPEG", 34.05, 60_000)]
    shown = visitor.get(f"/api/v1/media/{listed['media'][0]['id']}")
    assert shown.content == data and shown.headers["Content-Type"] == "image/jpeg"
    again = visitor.get(f"/api/v1/media/{listed['media'][0]['id']}", headers={"If-None-Match": shown.headers["ETag"]})
    assert again.status_code == 304 and visitor.get("/api/v1/media/999999").status_code == 404
    one.send_media(7, data)
    assert media_answer(one) == (7, b"")
    assert len(county.media(TRUCKS[0])) == 1, "its answer was lost: the same again is the same"


def test_without_the_hub_a_picture_has_no_answer_and_is_stored_once_when_it_is_back(county, truck):
    gateway = Gateway(county.hub, county.broker, county.site.folder, {"gateway.receipt_s": 2}, name="gateway-away").start()
    try:
        wait_until(lambda: gateway.terminals() == len(TRUCKS + MONITORS + LOCKED), 60, "it has the list")
        one, data = truck(TRUCKS[1], gateway), picture(20_000)
        county.hub.stop()
        one.send_media(9, data)
        wait_until(lambda: gateway.metric("cityhub_gateway_frames_total", protocol="jt808", outcome="unsure") >= 1, 60, "no hub has kept it")
        assert one.receive(jt808.MEDIA_ANSWER, timeout=1) is None
        county.hub.start()

        def stored():
            one.send_media(9, data)
            return media_answer(one, 3)
        assert wait_until(stored, 90, "the hub is back") == (9, b"")
        assert [(number, bytes(content)) for number, content in county.media(TRUCKS[1])] == [(9, data)]
    finally:
        gateway.stop()
        if not county.hub.process.running:
            county.hub.start()


def test_what_is_too_large_is_said_to_be_unsupported(county, truck):
    one = truck(TRUCKS[2])
    piece = jt808.frame(jt808.MEDIA, b"\xff" * 1000, phone=one.phone, serial=5, packet=(1100, 1))
    one.socket.sendall(piece)
    assert one.result(5) == 3
    one.socket.sendall(jt808.frame(jt808.MEDIA, b"\0\0\0\1\0\0\0\0", phone=one.phone, serial=6))
    assert one.result(6) == 2, "a medium without a byte"
    assert county.media(TRUCKS[2]) == [] and one.result(one.send(jt808.POSITION, jt808.position(when=time.time()))) == 0


# ---- what no field takes

def test_what_the_dialect_of_a_truck_does_not_take_is_kept(county, truck):
    one, when = truck(TRUCKS[2]), int(time.time()) - 100
    assert one.result(one.send(jt808.POSITION, jt808.position(when=when - 10))) == 0, "the device is known"
    items = [(0x01, (300).to_bytes(4, "big")), (0x30, b"\x20"), (0xE1, b"\xab\xcd"), (0xE1, b"\x01")]
    places = [jt808.position(when=when, items=items), jt808.position(when=when + 10, status=0x80000003, alarm=2)]
    assert one.result(one.send(jt808.BATCH, jt808.batch(places))) == 0
    kept = county.database.query("SELECT extract(epoch FROM o.began_at)::int - %s, o.name, o.value FROM onemap.interval_other_report o"
                                 " WHERE o.device_code = %s ORDER BY o.began_at, o.name", when, TRUCKS[2])
    assert [tuple(row) for row in kept] == [(0, "item_E1", "abcd"), (0, "item_E1_2", "01"), (10, "alarm", "0x00000002"), (10, "status", "0x80000003")]


# ---- history

@pytest.fixture
def monitor(county):
    opened = []

    def make(mn, **options):
        opened.append(Monitor("127.0.0.1", county.gateway.hj212_port, mn, **options))
        return opened[-1]
    yield make
    for one in opened:
        one.close()


def report(device, began):
    """Ten minutes' mean that began then, acknowledged."""
    assert "CN=9014;" in device.receive(device.send({"a34004-Avg": 30 + began % 7}, command=2051, when=began))


def request(device, beats=True):
    """(QN, begin, end) of the next request for minutes; the device goes on sending meanwhile."""
    def came():
        device.receive(device.send({"a34004-Rtd": 35.2}) if beats else "none", timeout=0.5)
        for number, one in enumerate(device.answers):
            found = re.search(r"QN=(\d+);ST=39;CN=2051;PW=123456;MN=.*Flag=5;CP=&&BeginTime=(\d+),EndTime=(\d+)&&", one)
            if found:
                device.answers.pop(number)
                return found[1], *(datetime.datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=BEIJING).timestamp() for text in found.groups()[1:])
        return None
    return wait_until(came, 60, f"{device.mn} is asked for what is missing")


def answer(device, asked):
    """The device sends what it was asked for, as it has it: by the request's QN."""
    qn, begin, end = asked
    device.send({"QnRtn": 1}, command=9011, qn=qn, flag=4)
    for began in range(int(begin + 599) // 600 * 600, int(end) + 1, 600):
        report(device, began)
    device.send({"ExeRtn": 1}, command=9012, qn=qn, flag=4)


def begun(county, mn):
    rows = county.database.query("SELECT DISTINCT extract(epoch FROM i.began_at)::bigint AS at FROM onemap.interval_value i"
                                 " JOIN onemap.device d ON d.id = i.device_id WHERE d.code = %s ORDER BY at", mn)
    return [row[0] for row in rows]


def fetched(county, mn):
    rows = county.database.query("SELECT extract(epoch FROM f.began_at)::bigint, f.asks FROM onemap.gateway_fetch f JOIN onemap.terminal t ON t.id = f.terminal_id"
                                 " WHERE t.identity = %s ORDER BY f.began_at", mn)
    return [tuple(row) for row in rows]


def test_a_monitor_that_was_away_is_asked_for_the_hole_once(county, monitor):
    now = int(time.time()) // 600 * 600
    device = monitor(MONITORS[0])
    assert device.receive(device.send({"a34004-Rtd": 35.2}, when=now - 7300)), "the device is known"
    for began in range(now - 7200, now - 3600, 600):
        report(device, began)
    device.close()
    device = monitor(MONITORS[0])
    asked = request(device)
    assert asked[1] == now - 3600 and now - 601 <= asked[2] <= now + 600, "the hour in which it was away"
    answer(device, asked)
    assert begun(county, MONITORS[0])[:12] == list(range(now - 7200, now, 600)), "the hole is closed"

    # Another one with two holes is asked for one after the other; the first one, which comes back before, for nothing.
    other = monitor(MONITORS[1])
    assert other.receive(other.send({"a34004-Rtd": 35.2}, when=now - 7300)), "the device is known"
    for began in (now - 6000, now - 4800, now - 3600, now - 600):
        report(other, began)
    other.close()
    device.close()
    device = monitor(MONITORS[0])
    for _ in range(5):
        assert device.receive(device.send({"a34004-Rtd": 35.3}))
        device.receive("none", timeout=0.3)
    other = monitor(MONITORS[1])
    first = request(other)
    assert (first[1], first[2]) == (now - 5400, now - 4801)
    other.receive("none", timeout=0.5)
    assert not [one for one in other.answers if "CN=2051;" in one], "one request at a time"
    other.send({"QnRtn": 1}, command=9011, qn=first[0], flag=4)
    report(other, now - 5400)
    other.send({"ExeRtn": 1}, command=9012, qn=first[0], flag=4)
    second = request(other)
    assert (second[1], second[2]) == (now - 4200, now - 3601)
    answer(other, second)
    answer(other, request(other))
    assert begun(county, MONITORS[1])[:10] == list(range(now - 6000, now, 600))
    assert fetched(county, MONITORS[1]) == [(now - 5400, 1), (now - 4200, 1), (now - 3000, 1)]
    device.receive("none", timeout=0.3)
    assert not [one for one in device.answers if "CN=2051;" in one] and fetched(county, MONITORS[0]) == [(now - 3600, 1)], "and only once"


# ---- encrypted

def test_what_is_encrypted_is_read_with_the_terminals_key(county, monitor, tmp_path):
    vectors = [line.split("\t")[1] for line in (paths.ROOT / "tests" / "data" / "hj212.tsv").read_text().splitlines() if "CP=&&{0x" in line]
    official = [one.replace("\\r\\n", "").encode() + b"\r\n" for one in vectors if LOCKED[0] in one]
    assert len(official) >= 2
    for one in official:
        device = monitor(LOCKED[0])
        device.socket.sendall(one)
        assert "CN=9014;" in device.receive("20240520210700000"), "its check value is that of what was encrypted"
    device = monitor(LOCKED[1], key=KEY)
    for value in (35.2, 36.4):
        assert "CN=9014;" in device.receive(device.send({"a34004-Rtd": value, "a34002-Rtd": 80}, flag=9, when=time.time() - 100 + value))
    values = county.database.query("SELECT d.pm25_ug_m3 FROM onemap.dust d WHERE d.device_code = %s ORDER BY d.observed_at", LOCKED[1])
    assert [row[0] for row in values] == [35.2, 36.4]
    plain, wrong, none = monitor(LOCKED[1]), monitor(LOCKED[1], key=b"1" * 16), monitor(MONITORS[1], key=KEY)
    assert plain.receive(plain.send({"a34004-Rtd": 37, "a34002-Rtd": 80}))
    for one in (wrong, none):
        assert one.receive(one.send({"a34004-Rtd": 99, "a34002-Rtd": 80}, flag=9), timeout=1) is None
    (tmp_path / "key").write_text("too short\n")
    done = county.hub.run("terminal", "add", "--protocol", "hj212", "--identity", "X", "--subsystem", "dust", "--vendor", "acme", "--key-file",
                          tmp_path / "key", code=2)
    assert "must have 16 bytes" in done.stderr
    assert [one["secret"] for one in json.loads(county.hub.run("terminal", "list", "--json").stdout) if one["identity"] in LOCKED] == [f"no, SM4 since {datetime.datetime.now(BEIJING):%Y-%m-%d}"] * 2
