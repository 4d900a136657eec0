"""The live stream with a real hub, broker and PostgreSQL: from the commit to the client, back after a pause, a restart or a crash,
who sees what, and who is cut. A client keeps what it is told as a page would: by id, readings by their time."""
import json
import math
import os
import random
import signal
import socket
import threading
import time

import pytest
import requests
from harness import messages, paths
from harness.listeners import Listeners
from harness.process import wait_until

CLIENTS = int(os.environ.get("CITYHUB_LISTENERS", "50"))
CHANGES = 2 * CLIENTS  # of a round
SHARED_SETTINGS = {"http.connections": 60 + 2 * CLIENTS, "http.address_connections": 60 + 2 * CLIENTS, "http.streams": 10 + CLIENTS, "http.stall_s": 2}


@pytest.fixture
def hub(shared):
    return shared.hubs[0]


class Client:
    """Reads a stream in a thread, and comes back by itself, as a browser does."""

    def __init__(self, hub, key=None, last_event_id=None, **parameters):
        self.hub, self.parameters, self.last_event_id = hub, parameters, last_event_id
        self.headers = key or hub.key("streams", rights="read,operate")
        self.events, self.things, self.statuses, self.ended = [], {}, [], False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.ended:
            headers = dict(self.headers, **({"Last-Event-ID": self.last_event_id} if self.last_event_id else {}))
            try:
                with requests.get(f"{self.hub.http_url}/api/v1/stream", params=self.parameters, headers=headers, stream=True,
                                  timeout=(10, 40)) as self.response:
                    self.statuses.append(self.response.status_code)
                    if self.response.status_code == 200:
                        self.read(self.response.iter_lines(chunk_size=1, decode_unicode=True))
                    elif self.response.status_code in (401, 403):
                        return
            except (requests.RequestException, OSError, AttributeError):
                pass  # it comes again
            time.sleep(0.2)

    def read(self, lines):
        event = {}
        for line in lines:
            if self.ended:
                return
            name, _, value = line.partition(": ")
            if line:
                event[name] = value
                continue
            if "data" in event:
                self.take(event["event"], json.loads(event["data"]))
            self.last_event_id = event.get("id", self.last_event_id)
            event = {}

    def take(self, kind, data):
        self.events.append((kind, data))
        if kind == "resync":
            self.things.clear()
        for thing in data if isinstance(data, list) else []:
            key = (kind, thing.get("id"))
            if thing.get("left"):
                self.things.pop(key, None)
            elif kind == "state":
                self.merge(self.things.setdefault(key, {"values": {}, "times": {}}), thing)
            else:
                self.things[key] = thing

    @staticmethod
    def merge(old, new):
        for name, value in new.get("values", {}).items():
            at = new.get("times", {}).get(name, new["observed_at_ms"])
            if at >= old["times"].get(name, 0):
                old["values"][name], old["times"][name] = value, at
        old["online"], old["last_seen_at_ms"] = new["online"], new["last_seen_at_ms"]

    def count(self, kind):
        return sum(1 for name, _ in self.events if name == kind)

    def close(self):
        self.ended = True
        self.drop()
        self.thread.join(30)

    def drop(self):
        """Breaks the connection, as a network does."""
        connection = getattr(getattr(getattr(self, "response", None), "raw", None), "_connection", None)
        if connection is not None and connection.sock is not None:
            try:
                connection.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it is broken already


@pytest.fixture
def client(hub):
    clients = []

    def make(**options):
        made = Client(hub, **options)
        clients.append(made)
        wait_until(lambda: 200 in made.statuses and made.last_event_id, 60, "it listens")
        return made
    yield make
    for each in clients:
        each.ended = True
        each.drop()
    for each in clients:
        each.close()


def now_ms():
    return int(time.time() * 1000)


def records(*readings):
    return [{"device_code": code, "observed_at_ms": at, "pm25_ug_m3": value} for code, value, at in readings]


def send(vendor, *readings):
    """Returns when they are committed."""
    vendor.send_telemetry(*records(*readings))


def device_id(hub, vendor, code):
    return hub.database.value("SELECT id FROM onemap.device WHERE vendor = %s AND code = %s", vendor.vendor, code)


def put_department(hub, code):
    hub.database.query("INSERT INTO onemap.department (code, name_zh, kind) VALUES (%s, %s, 'county') ON CONFLICT DO NOTHING", code, code)
    return hub.database.value("SELECT id FROM onemap.department WHERE code = %s", code)


def alarm(hub, device):
    """An alarm that somebody else than the hub opens; its id."""
    hub.database.query("INSERT INTO onemap.alarm_rule (subsystem, key, name_zh, kind, severity, source) VALUES"
                       " ('dust', 'stream_rule', '测试', 'derived', 'major', 'test') ON CONFLICT DO NOTHING")
    hub.database.query("SELECT onemap.alarm_raise(%s, 'stream_rule', now(), 1, '{}')", device)
    return hub.database.value("SELECT max(id) FROM onemap.alarm WHERE device_id = %s", device)


def test_from_commit_to_client(shared, hub, client):
    vendor = shared.new_client("dust")
    all_of_it, dust, gas = client(), client(subsystem="dust", layer="state"), client(subsystem="gas")
    assert [kind for kind, _ in all_of_it.events][0] == "snapshot"
    response = all_of_it.response
    assert (response.headers["Content-Type"], response.headers["Cache-Control"], response.headers["X-Accel-Buffering"]) == (
        "text/event-stream", "no-cache, no-transform", "no")
    send(vendor, ("S-1", 35.5, now_ms()))
    wait_until(lambda: any(kind == "state" for kind, _ in dust.events), 30, "the state arrives")
    device = device_id(hub, vendor, "S-1")
    wait_until(lambda: ("state", device) in all_of_it.things, 30, "for the other, too")
    assert dust.things["state", device]["values"] == {"pm25_ug_m3": 35.5} and dust.things["state", device]["online"]
    number = alarm(hub, device)
    wait_until(lambda: ("alarm", number) in all_of_it.things, 30, "an alarm that the database opened arrives")
    assert all_of_it.things["alarm", number]["device"] == device
    hub.database.query("SELECT onemap.alarm_clear(%s, 'stream_rule', now())", device)
    wait_until(lambda: all_of_it.things["alarm", number]["closed_at"], 30, "and its end")
    assert dust.count("alarm") == 0 and gas.count("state") == 0 and gas.count("alarm") == 0
    hub.database.query("UPDATE onemap.device_state SET last_seen_at = now() - interval '2 days' WHERE device_id = %s", device)
    hub.database.query("SELECT onemap.presence_sweep(now() - interval '3 days')")
    # The hub has seen it later than the database says now: nobody is told what is not so.
    send(vendor, ("S-2", 1, now_ms()))
    wait_until(lambda: ("state", device_id(hub, vendor, "S-2")) in dust.things, 30, "the next arrives")
    assert dust.things["state", device]["online"]


def test_nothing_before_the_commit(shared, hub, client):
    """While a batch is stored and cannot be committed nobody is told of it; then everybody is."""
    vendor, listener = shared.new_client("dust"), client(layer="state", subsystem="dust")
    send(vendor, ("C-1", 1, now_ms()))
    device = device_id(hub, vendor, "C-1")

    def told():
        return listener.things.get(("state", device), {}).get("values", {}).get("pm25_ug_m3")
    wait_until(lambda: told() == 1, 30, "the first arrives")
    holder = hub.database.connect(autocommit=False)
    holder.cursor().execute("LOCK TABLE onemap.batch_log IN SHARE MODE")  # the last that a batch writes
    _, name = vendor.publish_start("telemetry", messages.protobuf("dust", records(("C-1", 2, now_ms()))))
    wait_until(lambda: hub.database.value("SELECT count(*) FROM pg_stat_activity WHERE application_name ~ 'writer' AND wait_event_type = 'Lock'"
                                          " AND datname = current_database()") == 1, 30, "the batch waits for its commit")
    time.sleep(2)  # eight turns of the stream, in which nothing may come
    assert told() == 1 and not vendor.receipts_of(name)
    holder.rollback()
    holder.close()
    wait_until(lambda: told() == 2, 30, "it arrives when it is committed")
    assert vendor.receipt(name)["accepted"] == 1


def test_refusals(hub):
    key = hub.key("streams", rights="read,operate")

    def ask(headers=key, **parameters):
        return requests.get(f"{hub.http_url}/api/v1/stream", params=parameters, headers={**headers, "Accept-Language": "en"}, timeout=30, stream=True)
    for parameters in ({"layer": "moon"}, {"subsystem": "moon"}, {"bbox": "1,2,3"}, {"department": "moon"}, {"subsystem": "dust,moon"},
                       {"last_event_id": "x" * 65}):
        response = ask(**parameters)
        assert response.status_code == 400 and response.json()["parameter"] == list(parameters)[0], response.text
    assert ask(headers={}).status_code == 401
    assert ask(headers=hub.key("operator", rights="operate")).status_code == 403
    for strange in ("0", "'; DROP TABLE onemap.device; --", "0000000000000000-1", "扬尘"):
        with ask(last_event_id=strange) as response:
            lines = response.iter_lines(chunk_size=1, decode_unicode=True)
            assert "event: resync" in [next(lines), next(lines)], strange


def test_back_where_it_was(shared, hub, client):
    vendor = shared.new_client("dust")
    listener = client(layer="state")
    send(vendor, ("B-1", 1, now_ms()))
    wait_until(lambda: listener.count("state"), 30, "the state arrives")
    seen = listener.last_event_id
    listener.close()
    send(vendor, ("B-1", 2, now_ms() + 10), ("B-2", 3, now_ms()))
    again = client(layer="state", last_event_id=seen)
    wait_until(lambda: len(again.things) == 2, 30, "what changed meanwhile arrives")
    assert again.things["state", device_id(hub, vendor, "B-1")]["values"]["pm25_ug_m3"] == 2
    assert again.count("resync") == again.count("snapshot") == 0


def test_rows_of_a_department(shared, hub, client):
    vendor = shared.new_client("dust")
    ours, theirs = put_department(hub, "parks"), put_department(hub, "roads")
    send(vendor, *[(code, 1, now_ms()) for code in ("D-ours", "D-theirs", "D-nobodys")])
    wait_until(lambda: device_id(hub, vendor, "D-nobodys"), 30, "the devices are there")
    for code, department in (("D-ours", ours), ("D-theirs", theirs)):
        hub.database.query("UPDATE onemap.device SET department_id = %s, updated_at = now() WHERE vendor = %s AND code = %s", department, vendor.vendor, code)
    ids = {code: device_id(hub, vendor, code) for code in ("D-ours", "D-theirs", "D-nobodys")}
    everybody, we = client(), client(key=hub.key("parks", rights="read", department="parks"))
    narrowed = client(department="parks")
    wait_until(lambda: send(vendor, *[(code, 2, now_ms()) for code in ids]) or ("state", ids["D-ours"]) in we.things, 30,
               "its own device arrives, once the hub knows whose it is")
    wait_until(lambda: all(("state", number) in everybody.things for number in ids.values()), 30, "all of them, for who sees all")
    numbers = {code: alarm(hub, ids[code]) for code in ids}
    wait_until(lambda: ("alarm", numbers["D-ours"]) in we.things, 30, "so does its alarm")
    wait_until(lambda: all(("alarm", number) in everybody.things for number in numbers.values()), 30, "all of them, for who sees all")
    for listener in (we, narrowed):
        assert {key[1] for key in listener.things if key[0] == "state"} <= {ids["D-ours"]}, listener.things
        assert {key[1] for key in listener.things if key[0] == "alarm"} <= {numbers["D-ours"]}
        assert listener.count("counter") == 0
    code = report(hub)
    case = hub.database.value("SELECT id FROM onemap.case_record WHERE code = %s", code)
    wait_until(lambda: ("case", case) in everybody.things, 30, "a case that is reported arrives")
    hub.database.query("SELECT onemap.case_do(%s)", json.dumps({"case": code, "action": "accept", "role": "acceptor", "actor": "李四", "version": 1}))
    wait_until(lambda: everybody.things["case", case]["action"] == "accept", 30, "so does what is done with it")
    assert "王五" not in str(everybody.things["case", case]) and not we.count("case")
    hub.database.query("UPDATE onemap.case_record SET department_id = %s WHERE id = %s", ours, case)
    wait_until(lambda: ("case", case) in we.things, 30, "a case of its own arrives")
    hub.database.query("UPDATE onemap.case_record SET department_id = %s WHERE id = %s", theirs, case)
    wait_until(lambda: ("case", case) not in we.things, 30, "and leaves when it is another's")
    wait_until(lambda: everybody.things["case", case]["department"] == "roads", 30, "for who sees both it changes")
    assert all(key[1] not in (ids["D-theirs"], ids["D-nobodys"]) for key in we.things)


def left(listener, kind):
    return [thing["id"] for name, data in listener.events if name == kind for thing in data if thing.get("left")]


def test_a_silent_device_is_handed_over(shared, hub, client):
    """Nothing comes of it: its state and its open alarm leave the one department and reach the other all the same."""
    vendor = shared.new_client("dust")
    departments = {code: put_department(hub, code) for code in ("green", "paved")}

    def give(code):
        hub.database.query("UPDATE onemap.device SET department_id = %s WHERE id = %s", departments.get(code), device)
    send(vendor, ("H-1", 1, now_ms()))
    wait_until(lambda: device_id(hub, vendor, "H-1"), 30, "the device is there")
    device = device_id(hub, vendor, "H-1")
    wait_until(lambda: hub.database.value("SELECT true FROM onemap.device_state WHERE device_id = %s", device), 30, "and its state")
    give("green")
    number = alarm(hub, device)
    listeners = {code: client(key=hub.key(code, rights="read", department=code)) for code in departments}
    everybody = client()
    for before, now in (("green", "paved"), ("paved", "green"), ("green", None)):
        give(now)
        for kind, thing in (("state", device), ("alarm", number)):
            wait_until(lambda: thing in left(listeners[before], kind), 30, f"the {kind} leaves {before}")  # noqa: B023
            wait_until(lambda: (kind, thing) in (listeners[now] if now else everybody).things, 30, f"the {kind} reaches {now}")  # noqa: B023
        listeners[before].events.clear()
    assert everybody.things["state", device]["online"] and not left(everybody, "state") + left(everybody, "alarm")
    give("paved")
    wait_until(lambda: ("state", device) in listeners["paved"].things, 30, "from nobody's, too")
    hub.database.query("UPDATE onemap.vendor SET department_id = %s WHERE vendor = %s", departments["paved"], vendor.vendor)
    hub.database.query("SELECT onemap.alarm_open(r.id, 0, %s, now(), NULL, '{}') FROM onemap.alarm_rule r WHERE r.subsystem = 'dust' AND r.key = 'vendor_silent'", vendor.vendor)
    whole = hub.database.value("SELECT id FROM onemap.alarm WHERE device_id = 0 AND vendor = %s", vendor.vendor)
    hub.database.query("UPDATE onemap.vendor SET department_id = %s WHERE vendor = %s", departments["green"], vendor.vendor)
    wait_until(lambda: ("alarm", whole) in listeners["green"].things and whole in left(listeners["paved"], "alarm"), 30, "an alarm of a whole vendor")


def test_who_sees_otherwise_reads_anew(hub, client):
    """What one sees now and did not before has not changed, so that no event tells it: a position of other rights is none."""
    bureau, section = put_department(hub, "bureau"), put_department(hub, "section")
    ours = client(key=hub.key("bureau", rights="read", department="bureau"))
    narrowed, others = client(department="bureau"), client(department="section")
    hub.database.query("UPDATE onemap.department SET parent_id = %s WHERE id = %s", bureau, section)
    for listener in (ours, narrowed):
        wait_until(lambda: listener.count("resync"), 60, "it reads anew, with the section's things")  # noqa: B023
    position = ours.last_event_id
    again = client(key=hub.key("bureau", rights="read", department="bureau"), last_event_id=position)
    wait_until(lambda: 200 in again.statuses and again.last_event_id != "", 30, "who sees the same goes on")
    elsewhere = client(key=hub.key("section", rights="read", department="section"), last_event_id=position)
    wait_until(lambda: elsewhere.count("resync"), 30, "another department's position is none")
    assert not again.count("resync") and not again.count("snapshot") and not others.count("resync")


def test_months_whose_scores_change(hub, client):
    report(hub)  # the county has its departments
    everybody, elsewhere = client(), client(layer="score", subsystem="gas", bbox="1,1,2,2")
    we, others = client(key=hub.key("scored", rights="read", department="jincheng")), client(layer="case,state")
    hub.database.query("INSERT INTO onemap.score_input (month, department, item, points, author, evidence) VALUES ('2025-03-01', 'jincheng', 'manual', 1, '张三', '纪要')")
    for listener in (everybody, elsewhere):
        wait_until(lambda: ("score", 202503) in listener.things, 30, "the month arrives, wherever it is listened")
        month = listener.things["score", 202503]
        assert (month["month"], month["closed"], month["published"], month["inputs"], month["entries"]) == ("2025-03", False, False, 1, 0)
    hub.database.query("INSERT INTO onemap.score_input (month, department, item, points, author, evidence) VALUES ('2025-03-01', 'jincheng', 'manual', 2, '张三', '纪要')")
    wait_until(lambda: everybody.things["score", 202503]["inputs"] == 2, 30, "and once more when it changes again")
    # What came behind it in the same turn was told to them: they are not merely late.
    code = report(hub)
    case = hub.database.value("SELECT id FROM onemap.case_record WHERE code = %s", code)
    wait_until(lambda: ("case", case) in others.things, 30, "a case arrives")
    assert we.count("score") == others.count("score") == 0


def cell_of(lon, lat):
    n = 1 << 14
    return int((lon + 180) / 360 * n), int((1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2 * n)


def told(listener, layer, lon, lat):
    x, y = cell_of(lon, lat)
    return {"layer": layer, "z": 14, "x": x, "y": y} in [thing for kind, data in listener.events if kind == "tile" for thing in data]


def test_tiles_that_change(shared, hub, client):
    vendor = shared.new_client("dust")
    ours = put_department(hub, "tiles")
    send(vendor, ("T-1", 1, now_ms()), ("T-2", 1, now_ms()))
    wait_until(lambda: device_id(hub, vendor, "T-2"), 30, "the devices are there")

    def put(code, lon, lat):
        hub.database.query("UPDATE onemap.device SET department_id = %s, geom = public.ST_SetSRID(public.ST_MakePoint(%s, %s), 4326), updated_at = now()"
                           " WHERE vendor = %s AND code = %s", ours if code == "T-1" else None, lon, lat, vendor.vendor, code)

    def tag(lon, lat, z):
        x, y = cell_of(lon, lat)
        url = f"{hub.http_url}/api/v1/tiles/device/{z}/{x >> 14 - z}/{y >> 14 - z}.mvt"
        return requests.get(url, headers=hub.key("streams", rights="read,operate"), timeout=30).headers["ETag"]
    everybody, we = client(layer="tile"), client(layer="tile", key=hub.key("tiles", rights="read", department="tiles"))
    west, others = client(layer="tile", bbox="114.20,34.50,114.21,34.51", subsystem="gas"), client(layer="state,position")
    before = {z: tag(114.205, 34.505, z) for z in (8, 14)}
    put("T-1", 114.205, 34.505)
    for listener in (everybody, we, west):
        wait_until(lambda: told(listener, "device", 114.205, 34.505), 30, "the tile to which it came is told")  # noqa: B023
    assert all(tag(114.205, 34.505, z) != old for z, old in before.items())
    put("T-1", 114.405, 34.505)
    wait_until(lambda: told(we, "device", 114.405, 34.505), 30, "and the one to which it goes")
    put("T-2", 114.505, 34.605)
    number = alarm(hub, device_id(hub, vendor, "T-2"))
    wait_until(lambda: told(everybody, "device", 114.505, 34.605) and told(everybody, "alarm", 114.505, 34.605), 30, "another's device, and its alarm")
    assert number
    hub.database.query("INSERT INTO onemap.zone (kind, code, name_zh, geom) VALUES ('other', 'told', 'told',"
                       " public.ST_Multi(public.ST_MakeEnvelope(114.3, 34.5, 114.31, 34.51, 4326)))")
    for listener in (everybody, we, west):
        wait_until(lambda: ("tile", [{"layer": "zone"}]) in listener.events, 30, "all tiles of a layer of polygons, for everybody")  # noqa: B023
    # What came behind it was told to them: they are not merely late.
    assert not told(west, "device", 114.405, 34.505)
    assert not told(we, "device", 114.505, 34.605) and not told(we, "alarm", 114.505, 34.605)
    assert others.count("tile") == 0


def report(hub):
    """A case that somebody reports; its code."""
    if hub.database.value("SELECT onemap.case_catalogue_current()") is None:
        hub.run("catalogue", "departments", "import", paths.ROOT / "config" / "departments.csv")
        hub.run("catalogue", "import", paths.ROOT / "config" / "case_catalogue.csv")
    return hub.database.value("SELECT onemap.case_report(%s)->>'case'", json.dumps(
        {"source": "supervisor", "role": "supervisor", "actor": "张三", "title": "测试", "contact": {"name": "王五", "phone": "13800000000"}}))


def test_revoked(hub, client):
    gone = hub.key("gone", rights="read")
    listener = client(key=gone)
    hub.run("token", "revoke", f"gone-{hub.process.name}")
    wait_until(lambda: 401 in listener.statuses, 30, "whose token is revoked is out")


def test_client_that_never_reads(shared, hub, client):
    vendor = shared.new_client("dust")
    reader = client(layer="state")
    before = hub.metrics().value("cityhub_stream_cut_total")
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.connect(("127.0.0.1", hub.http_port))
    head = "".join(f"{name}: {value}\r\n" for name, value in hub.key("streams", rights="read,operate").items())
    deaf.sendall(f"GET /api/v1/stream?layer=state HTTP/1.1\r\nHost: localhost\r\n{head}\r\n".encode())
    wait_until(lambda: hub.metrics().value("cityhub_stream_clients") == 2, 30, "both listen")
    begun = None
    while hub.metrics().value("cityhub_stream_cut_total") == before:
        send(vendor, *[(f"N-{n}", n, now_ms()) for n in range(400)])
        begun = begun or time.monotonic()
        assert time.monotonic() - begun < 10, "a client that takes nothing is cut"
        time.sleep(0.25)
    assert hub.metrics().value("cityhub_stream_clients") == 1 and reader.statuses == [200]
    assert "stream_cut reason=slow" in hub.process.log_text()
    deaf.close()


def test_as_many_as_there_may_be(hub):
    listeners = [Client(hub) for _ in range(SHARED_SETTINGS["http.streams"])]
    try:
        wait_until(lambda: hub.metrics().value("cityhub_stream_clients") == SHARED_SETTINGS["http.streams"], 60, "they are open")
        response = requests.get(f"{hub.http_url}/api/v1/stream", headers=hub.key("streams", rights="read,operate"), timeout=30)
        assert response.status_code == 503 and response.json()["code"] == "CH050" and int(response.headers["Retry-After"]) > 0
    finally:
        for each in listeners:
            each.ended = True
            each.drop()
    wait_until(lambda: hub.metrics().value("cityhub_stream_clients") == 0, 30, "they are gone")


WEST, SOUTH, SIZE, DEVICES, LORRIES, BOXES = 114.40, 34.50, 0.10, 60, 20, 3
HANDED = ("zhaoming", "yuanlin", None)


@pytest.fixture
def county(shared, hub):
    """Fixed devices and lorries of their own vendors, and (token, stream's parameters) of all who listen to them: those who see all, of boxes, of one subsystem,
    of departments."""
    dust, lorries = shared.new_client("dust"), shared.new_client("construction_waste")
    report(hub)  # the county has its departments
    departments = {code: code and put_department(hub, code) for code in HANDED}
    for n in range(DEVICES):
        hub.database.query("INSERT INTO onemap.device (subsystem, vendor, code, status, department_id, geom) VALUES ('dust', %s, %s, 'active', %s,"
                           " public.ST_SetSRID(public.ST_MakePoint(%s, %s), 4326))", dust.vendor, f"X-{n}", departments[HANDED[n % 3]],
                           WEST + SIZE * (n % 10 + 0.5) / 10, SOUTH + SIZE * (n // 10 + 0.5) / 6)
    hub.database.query("UPDATE onemap.alarm SET closed_at = now() WHERE closed_at IS NULL")  # of tests before
    hub.sync_registry()
    dust.send_telemetry(*records(*[(f"X-{n}", 0, now_ms()) for n in range(DEVICES)]))
    lorries.send_telemetry(*[drive(n, 0.5, 0.5) for n in range(LORRIES)])
    listens = [(hub.key("streams", rights="read,operate"), parameters) for parameters in (
        {}, {"layer": "state", "subsystem": "dust"}, *({"bbox": f"{west:.4f},{SOUTH},{west + SIZE / BOXES:.4f},{SOUTH + SIZE}"} for west in (WEST + SIZE * n / BOXES for n in range(BOXES))))]
    return dust, lorries, departments, listens + [(hub.key(code, rights="read", department=code), {}) for code in HANDED if code]


def drive(n, x, y):
    return {"device_code": f"T{n}", "observed_at_ms": now_ms(), "speed_km_h": round(50 * x, 1), "position": {"lon": WEST + SIZE * x, "lat": SOUTH + SIZE * y, "system": "WGS84"}}


def change(hub, county, rng):
    """One of the things that happen in a county, at random, nobody waits for it."""
    dust, lorries, departments, _ = county
    code, choice = f"X-{rng.randrange(DEVICES)}", rng.randrange(12)
    if choice < 4:
        dust.publish("telemetry", messages.protobuf("dust", records(*[(f"X-{n}", rng.randrange(1000), now_ms()) for n in rng.sample(range(DEVICES), 3)])))
    elif choice < 7:
        lorries.publish("telemetry", messages.protobuf("construction_waste", [drive(n, rng.random(), rng.random()) for n in rng.sample(range(LORRIES), 3)]))
    elif choice == 7:
        hub.database.query("UPDATE onemap.device SET department_id = %s WHERE vendor = %s AND code = %s", departments[rng.choice(HANDED)], dust.vendor, code)
    elif choice == 8:
        alarm(hub, device_id(hub, dust, code))
    elif choice == 9:
        hub.database.query("SELECT onemap.alarm_clear(device_id, 'stream_rule', now()) FROM onemap.alarm WHERE closed_at IS NULL ORDER BY opened_at LIMIT 1")
    elif choice == 10:
        hub.database.query("SELECT onemap.case_report(%s)", json.dumps({"source": "supervisor", "role": "supervisor", "actor": "张三", "title": "测试", "category": "20102",
                                                                        "lon": WEST + SIZE * rng.random(), "lat": SOUTH + SIZE * rng.random()}))
    else:
        hub.database.query("UPDATE onemap.case_record SET department_id = %s WHERE id = (SELECT id FROM onemap.case_record WHERE ended_at IS NULL ORDER BY random() LIMIT 1)",
                           departments[rng.choice(HANDED)])
        hub.database.query("SELECT onemap.case_do(jsonb_build_object('case', c.code, 'action', 'reject', 'role', 'acceptor', 'actor', '李四', 'reason', '理由',"
                           " 'version', c.version)) FROM onemap.case_record c WHERE c.state = 'reported' ORDER BY random() LIMIT 1")


STORED = {
    "state": "SELECT d.id, d.department_id, d.subsystem, ST_X(coalesce(s.geom, d.geom)), ST_Y(coalesce(s.geom, d.geom)), (SELECT coalesce(jsonb_object_agg(m.key, v.v),"
             " '{}') FROM unnest(s.readings) WITH ORDINALITY v (v, n) JOIN onemap.metric m ON m.subsystem = d.subsystem AND m.ordinal = v.n WHERE v.v IS NOT NULL)"
             " FROM onemap.device d JOIN onemap.device_state s ON s.device_id = d.id",
    "alarm": "SELECT a.id, d.department_id, d.subsystem, ST_X(coalesce(s.geom, d.geom)), ST_Y(coalesce(s.geom, d.geom)), a.severity FROM onemap.alarm a"
             " JOIN onemap.device d ON d.id = a.device_id LEFT JOIN onemap.device_state s ON s.device_id = d.id WHERE a.closed_at IS NULL",
    "case": "SELECT c.id, c.department_id, c.subsystem, ST_X(c.geom), ST_Y(c.geom), jsonb_build_array(c.code, c.version, c.state, d.code) FROM onemap.case_record c"
            " LEFT JOIN onemap.department d ON d.id = c.department_id WHERE c.ended_at IS NULL",
}


def seen(hub, county):
    """What each that listens has to know in the end: {layer: {id: ...}}."""
    _, _, departments, listens = county
    stored = {layer: hub.database.query(sql) for layer, sql in STORED.items()}
    stored["state"] = [(*row[:5], [row[3] and [round(row[3], 7), round(row[4], 7)], row[5]]) for row in stored["state"]]

    def shown(key, parameters, department, subsystem, lon, lat):
        west, south, east, north = map(float, parameters.get("bbox", "-180,-90,180,90").split(","))
        of = next((number for code, number in departments.items() if code and hub.key(code) is key), department)
        return department == of and subsystem == parameters.get("subsystem", subsystem) and ("bbox" not in parameters or lon is not None and west <= lon <= east and south <= lat <= north)
    return [{layer: {row[0]: row[5] for row in rows if shown(*listen, *row[1:5])} for layer, rows in stored.items()} for listen in listens]


FAULTS = (  # of the hub, in the middle of a round, after what happens to clients alone
    lambda hub: None,
    lambda hub: hub.kill() or hub.start(),
    lambda hub: hub.database.query("SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()"),
    lambda hub: os.kill(hub.process.pid, signal.SIGSTOP) or time.sleep(3) or os.kill(hub.process.pid, signal.SIGCONT),
    lambda hub: hub.restart(),
)


def test_nothing_is_missed(shared, hub, county):
    """Clients whose connections break and who stop reading, and a hub that is killed, stopped, held up, without its database: in the end each has what the database has
    for it. With CITYHUB_LISTENERS=1000 as the product must hold up."""
    rng, listeners = random.Random(20261130), Listeners(hub, CLIENTS, county[-1])
    try:
        wait_until(listeners.listening, 120, "they listen")
        for turn, fault in enumerate(FAULTS):
            listeners.shake(True)
            for n in range(CHANGES):
                change(hub, county, rng)
                time.sleep(0.02)
                if n == CHANGES // 2:
                    fault(hub)
            listeners.shake(False)

            def settled():
                wrong = listeners.differences(seen(hub, county))
                assert not wrong, f"round {turn}: {len(wrong)} things are not what the database says: {wrong[:3]}"  # noqa: B023
                return listeners.listening()
            wait_until(settled, 60, "every client has what the database has")
            counts = listeners.counts()
            print(f"round {turn}: {dict(counts)}")
            if turn == 0:  # nobody had to read anew: what they have was told
                assert counts["snapshot"] == CLIENTS < counts["200"] and not counts["resync"], counts
        assert counts["resync"] >= CLIENTS, counts
    finally:
        listeners.close()
