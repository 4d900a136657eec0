"""`cityhub gateway`: pushes over HTTP, terminals, and devices that speak HJ 212 and JT/T 808, on a broker with logins, access rules and
the plugin."""
import concurrent.futures
import datetime
import gzip
import hashlib
import json
import os
import random
import socket
import ssl
import threading
import time

import pytest
import requests
from harness import hj212, jt808, messages, nginx, paths
from harness.gateway import Gateway, county_with_gateway
from harness.monitor import Monitor
from harness.process import free_port, wait_until
from harness.site import Site

PASSWORD = "a-password-of-the-tests"


def now_ms():
    return int(time.time() * 1000)


def terminal(protocol, identity, subsystem, vendor, secret=None, device=""):
    """A terminal, as the command's function takes it; what is kept of its secret is computed here anew."""
    kept = {} if secret is None else {"secret_hash": hashlib.sha256(f"{protocol}:{identity}:{secret}".encode()).hexdigest()}
    return {"protocol": protocol, "identity": identity, "subsystem": subsystem, "vendor": vendor, "device": device, **kept}


# Known before the gateway starts: of each only one test knows.
TERMINALS = [
    terminal("hj212", "MN-DUST-1", "dust", "quiet", "654321", "dust-1"),
    terminal("jt808", "13800000001", "construction_waste", "trucks", "T000001", "truck-1"),
    terminal("hj212", "MN-TLS", "dust", "acme", device="tls-monitor"),
    terminal("jt808", "13800000009", "construction_waste", "trucks", device="tls-truck"),
    terminal("hj212", "MN-ODD", "dust", "acme"),
    terminal("hj212", "MN-CALM", "dust", "acme"),
    *[terminal("hj212", f"MANY-{i}", "dust", "acme") for i in range(30)],
    *[terminal("hj212", f"KILL-{i}", "dust", "acme") for i in range(4)],
    *[terminal("jt808", f"139{i:08}", "construction_waste", "trucks") for i in range(4, 8)],
]


class County:
    """A hub, a gateway, and vendors acme (dust, gas), trucks (construction_waste) and quiet (dust, wants receipts of problems only)."""

    def __init__(self, database, broker, folder):
        self.site, self.database, self.broker = Site(database, broker, folder), database, broker
        self.hub = self.site.hub(broker.hub_settings(), start=False)
        password = folder / "vendor.password"
        password.write_text(PASSWORD + "\n")
        for vendor, subsystem, *more in (("acme", "dust"), ("acme", "gas"), ("trucks", "construction_waste"), ("quiet", "dust", "--receipts", "problems")):
            self.hub.run("vendor", "add", "--subsystem", subsystem, "--vendor", vendor, "--password-file", password, *more)
        answer = self.database.value("SELECT onemap.terminal_import(%s)", json.dumps([{"line": n, **one} for n, one in enumerate(TERMINALS)]))
        assert answer == {"added": len(TERMINALS), "changed": 0}, answer
        self.hub.start()
        self.gateway = Gateway(self.hub, broker, folder).start()
        wait_until(lambda: self.gateway.terminals() == len(TERMINALS), 60, "the gateway has the list")

    def stored(self, vendor):
        return self.database.value("SELECT count(*) FROM onemap.observation o JOIN onemap.device d ON d.id = o.device_id WHERE d.vendor = %s",
                                   vendor)


@pytest.fixture(scope="module")
def county(cluster, logs):
    with county_with_gateway(County, cluster, logs / "test_gateway") as county:
        yield county


def records(count, code, start=0):
    at = now_ms() - 1000 * count
    return [{"device_code": code, "observed_at_ms": at + 1000 * (start + i), "pm25_ug_m3": 40.0 + i} for i in range(count)]


# ---- how it is

def test_the_hub_tells_how_its_gateways_are(county, monitor):
    """What the gateway counts, the hub's figures and status have by its reports; one that is gone is called silent."""
    assert county.gateway.push("dust", "acme", "telemetry", messages.json_bytes(records(1, "told")), PASSWORD).status_code == 200
    device = monitor("MN-CALM")
    assert device.receive(device.send({"a34004-Rtd": 34.2}))
    hub = county.hub

    def of(family, **labels):
        return hub.metric(f"cityhub_gateways_{family}", gateway="gateway", **labels)
    own = county.gateway.metric("cityhub_gateway_frames_total", protocol="hj212", outcome="stored")
    assert own >= 1
    wait_until(lambda: of("frames_total", protocol="hj212", outcome="stored") >= own and of("pushes_total", outcome="stored") >= 1, 30, "the report is there")
    hub.metrics().check()
    assert of("acknowledge_seconds_count") >= own and of("report_age_seconds") < 15
    told, = [one for one in hub.status()["gateways"] if one["gateway"] == "gateway"]
    assert not told["silent"] and told["frames_stored"] >= own and told["terminals"] == len(TERMINALS) and 0 < told["acknowledge_p99_s"] <= 30, told
    assert "gateway gateway: " in hub.run("status").stdout
    with county.database.connect(autocommit=False) as lock:  # nothing is stored meanwhile
        lock.cursor().execute("LOCK TABLE onemap.batch_log IN ACCESS EXCLUSIVE MODE")
        late = device.send({"a34004-Rtd": 34.3})
        wait_until(lambda: county.gateway.metric("cityhub_gateway_waiting") == 1 and of("waiting") == 1, 15, "what waits is counted")
        assert [one["waiting"] for one in hub.status()["gateways"] if one["gateway"] == "gateway"] == [1]
    assert device.receive(late)
    wait_until(lambda: county.gateway.metric("cityhub_gateway_waiting") == 0 and of("waiting") == 0, 30, "nothing waits any more")
    other = Gateway(hub, county.broker, county.site.folder, name="gone").start()
    wait_until(lambda: any(one["gateway"] == "gone" for one in hub.status()["gateways"]), 30, "the second one has reported")
    other.stop()
    wait_until(lambda: [one["silent"] for one in hub.status()["gateways"] if one["gateway"] == "gone"] == [True], 60, "it is called silent")
    assert "gateway gone: SILENT" in hub.run("status").stdout


# ---- push

def test_every_form_of_body_is_answered_with_its_receipt_after_commit(county):
    forms = {
        "one": (messages.json_bytes(records(1, "form-one")[0]), {}),
        "array": (messages.json_bytes(records(3, "form-array")), {}),
        "wrapped": (messages.json_bytes({"subsystem": "dust", "records": records(2, "form-wrapped")}), {}),
        "gzip": (gzip.compress(messages.json_bytes(records(3, "form-gzip"))), {"Content-Encoding": "gzip"}),
        "lines": (b"\r\n".join(messages.json_bytes(record) for record in records(3, "form-lines")) + b"\n\n",
                  {"Content-Type": "application/x-ndjson"}),
        "protobuf": (messages.protobuf("dust", records(3, "form-protobuf")), {"Content-Type": "application/x-protobuf"}),
    }
    for name, (body, headers) in forms.items():
        answer = county.gateway.push("dust", "acme", "telemetry", body, PASSWORD, {**headers, "Idempotency-Key": f"form-{name}"})
        assert answer.status_code == 200, f"{name}: {answer.status_code} {answer.text}"
        receipt = answer.json()
        count = {"one": 1, "wrapped": 2}.get(name, 3)
        assert (receipt["message"], receipt["accepted"], receipt["problems"]) == (f"form-{name}", count, [])
        stored = county.database.value("SELECT count(*) FROM onemap.observation o JOIN onemap.device d ON d.id = o.device_id"
                                       " WHERE d.code = %s", f"form-{name}")
        assert stored == count, "the answer came before the commit"


def test_a_vendor_that_wants_few_receipts_has_its_answer_all_the_same(county):
    answer = county.gateway.push("dust", "quiet", "telemetry", messages.json_bytes(records(2, "Q-1")), PASSWORD)
    assert answer.status_code == 200 and answer.json()["accepted"] == 2 and answer.json()["message"].startswith("sha256:")
    answer = county.gateway.push("dust", "quiet", "inventory", messages.json_bytes([{"device_code": "Q-1", "kind": "site_monitor"}]), PASSWORD)
    assert answer.status_code == 200 and answer.json()["kind"] == "inventory", answer.text


def test_sent_again_nothing_is_doubled(county):
    body = messages.json_bytes(records(5, "twice"))
    first = county.gateway.push("dust", "acme", "telemetry", body, PASSWORD, {"Idempotency-Key": '"twice-1"'})
    again = county.gateway.push("dust", "acme", "telemetry", body, PASSWORD, {"Idempotency-Key": "twice-1"})
    assert (first.json()["accepted"], again.json()["duplicates"]) == (5, 5) and again.status_code == 200
    other = county.gateway.push("dust", "acme", "telemetry", messages.json_bytes(records(1, "twice-else")), PASSWORD,
                                {"Idempotency-Key": "twice-1"})
    assert other.status_code == 422 and other.json()["code"] == "CH056", other.text
    assert county.database.value("SELECT count(*) FROM onemap.device WHERE code = 'twice-else'") == 0


def test_sent_again_after_the_gateway_was_killed_nothing_is_doubled(county):
    """The answer was lost with the gateway: the same again, by its name, is no second time, and the receipt says so."""
    gateway = Gateway(county.hub, county.broker, county.site.folder, name="gateway5").start()
    try:
        body = messages.json_bytes(records(4, "restart"))
        assert gateway.push("dust", "acme", "telemetry", body, PASSWORD, {"Idempotency-Key": "restart-1"}).json()["accepted"] == 4
        gateway.kill()
        gateway.start()
        again = gateway.push("dust", "acme", "telemetry", body, PASSWORD, {"Idempotency-Key": "restart-1"})
        assert again.status_code == 200 and (again.json()["message"], again.json()["accepted"], again.json()["duplicates"]) == ("restart-1", 0, 4), again.text
        stored = county.database.value("SELECT count(*) FROM onemap.observation o JOIN onemap.device d ON d.id = o.device_id WHERE d.code = 'restart'")
        assert stored == 4
    finally:
        gateway.stop()


def test_what_is_wrong_is_named(county):
    body = messages.json_bytes(records(1, "wrong"))
    push = county.gateway.push
    cases = (
        (push("dust", "acme", "telemetry", body), 401, "CH060"),
        (push("dust", "acme", "telemetry", body, "wrong-password-1"), 401, "CH061"),
        (push("water", "acme", "telemetry", body, PASSWORD), 403, "CH064"),
        (push("nowhere", "acme", "telemetry", body, PASSWORD), 404, "CH049"),
        (push("dust", "acme", "receipt", body, PASSWORD), 404, "CH049"),
        (push("dust", "acme", "telemetry", b"", PASSWORD), 400, "CH044"),
        (push("dust", "acme", "telemetry", b"not gzip", PASSWORD, {"Content-Encoding": "gzip"}), 400, "CH044"),
        (push("dust", "acme", "telemetry", gzip.compress(body)[:-4], PASSWORD, {"Content-Encoding": "gzip"}), 400, "CH044"),
        (push("dust", "acme", "telemetry", gzip.compress(b" " * 5_000_000), PASSWORD, {"Content-Encoding": "gzip"}), 413, "CH045"),
        (push("dust", "acme", "telemetry", body[1:-1] + b"\n{\n", PASSWORD, {"Content-Type": "application/x-ndjson"}), 400, "CH044"),
        (push("dust", "acme", "telemetry", body, PASSWORD, {"Content-Type": "text/xml"}), 415, "CH046"),
        (push("dust", "acme", "telemetry", body, PASSWORD, {"Idempotency-Key": "x" * 200}), 400, "CH044"),
    )
    for answer, status, code in cases:
        assert (answer.status_code, answer.json().get("code")) == (status, code), f"{status} {code}: {answer.status_code} {answer.text}"
    assert cases[0][0].headers["WWW-Authenticate"].startswith("Basic ")
    assert "line 2" in cases[9][0].json()["detail"]
    other = push("dust", "quiet", "telemetry", body, headers={"Authorization": cases[2][0].request.headers["Authorization"]})
    assert other.status_code == 403
    refused = push("dust", "acme", "telemetry", b'[{"device_code": "wrong"}]', PASSWORD)
    assert refused.status_code == 422 and refused.json()["problems"][0]["code"] == "missing_time", refused.text
    some = push("dust", "acme", "telemetry", messages.json_bytes([{"device_code": "wrong"}, *records(1, "right")]), PASSWORD)
    assert some.status_code == 200 and (some.json()["accepted"], some.json()["rejected"]) == (1, 1)
    assert county.database.value("SELECT count(*) FROM onemap.device WHERE code = 'wrong'") == 0


def test_wrong_passwords_are_slowed_and_the_right_one_goes_on(county):
    body = messages.json_bytes(records(1, "slow"))
    statuses = [county.gateway.push("dust", "acme", "telemetry", body, f"wrong-password-{i}").status_code for i in range(10)]
    assert set(statuses) == {401, 429}, statuses
    assert county.gateway.push("dust", "acme", "telemetry", body, PASSWORD).status_code == 200


def test_many_at_once_each_have_their_own_receipt(county):
    def one(number):
        return county.gateway.push("dust", "acme", "telemetry", messages.json_bytes(records(number % 7 + 1, f"many-{number}")), PASSWORD,
                                   {"Idempotency-Key": f"many-{number}"})
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(one, range(100)))
    assert [answer.status_code for answer in answers] == [200] * 100
    assert [(answer.json()["message"], answer.json()["accepted"]) for answer in answers] == [(f"many-{i}", i % 7 + 1) for i in range(100)]


# ---- terminals

def test_terminals_come_to_the_gateway_and_go(county, tmp_path):
    hub, gateway = county.hub, county.gateway
    secret = tmp_path / "pw"
    secret.write_text("123456\n")
    done = hub.run("terminal", "add", "--protocol", "hj212", "--identity", "MN-1", "--subsystem", "dust", "--vendor", "acme", "--device", "T-1",
                   "--secret-file", secret)
    assert done.stdout == "terminal MN-1 of hj212 added: device T-1 of acme, dust\n"
    file = tmp_path / "trucks.csv"
    file.write_text("protocol,identity,subsystem,vendor,device,secret\njt808,013800138000,gas,acme,,tok\njt808,13800138001,gas,acme,C-2,\n")
    assert hub.run("terminal", "import", file, "--check").stdout.endswith("2 rows, nothing is wrong with them\n")
    assert hub.run("terminal", "import", file).stdout == "2 terminals added, 0 changed\n"
    wait_until(lambda: gateway.terminals() == len(TERMINALS) + 3, 60, "the gateway has three terminals more")
    kept = json.loads((gateway.state / "terminals.json").read_text())
    assert {(t["identity"], t["device"]) for t in kept["terminals"][len(TERMINALS):]} == {("MN-1", "T-1"), ("13800138000", "13800138000"), ("13800138001", "C-2")}
    text = (gateway.state / "terminals.json").read_text() + hub.process.log_path.read_text() + gateway.process.log_path.read_text()
    assert "123456" not in text and '"tok"' not in text, "a secret is written down"
    assert (gateway.state / "terminals.json").stat().st_mode & 0o777 == 0o600
    hub.run("terminal", "revoke", "--protocol", "jt808", "--identity", "0013800138001")
    wait_until(lambda: gateway.terminals() == len(TERMINALS) + 2, 60, "and one is revoked")
    known = {one["identity"] for one in TERMINALS}
    listed = [one for one in json.loads(hub.run("terminal", "list", "--json").stdout) if one["identity"] not in known]
    assert [(t["identity"], t["secret"], t["revoked"] is None) for t in listed] == [("MN-1", "yes", True), ("13800138000", "yes", True),
                                                                                   ("13800138001", "no", False)]
    gateway.sync()


def test_a_file_with_a_fault_changes_nothing(county, tmp_path):
    file = tmp_path / "bad.csv"
    file.write_text("protocol,identity,subsystem,vendor,crc\nhj212,OK-1,dust,acme,\nhj212,OK-1,dust,acme,\nhj212,bad id,dust,acme,\n"
                    "hj212,OK-2,dust,nobody,\nhj212,OK-3,dust,acme,crc32\n")
    done = county.hub.run("terminal", "import", file, code=1)
    for line, words in ((3, "2 times"), (4, "identity"), (5, "nobody"), (6, "crc32")):
        assert f"{file}:{line}: " in done.stderr and words in done.stderr, done.stderr
    assert county.database.value("SELECT count(*) FROM onemap.terminal WHERE identity LIKE 'OK%%'") == 0
    done = county.hub.run("terminal", "adopt", "--protocol", "hj212", "--identity", "NEVER", "--subsystem", "dust", "--vendor", "acme", code=2)
    assert "no unknown terminal" in done.stderr
    done = county.hub.run("terminal", "add", "--protocol", "hj212", "--identity", "X", "--subsystem", "dust", "--vendor", "acme", "--secret", "x",
                          code=2)
    assert "never an argument" in done.stderr


# ---- what is away

def test_without_the_hub_there_is_no_2xx_and_what_was_sent_is_stored_once(county):
    """The hub is away while a vendor pushes and pushes again: 503 until it is back, then everything is there once."""
    gateway = Gateway(county.hub, county.broker, county.site.folder, {"gateway.receipt_s": 2}, name="gateway2").start()
    try:
        body = messages.json_bytes(records(4, "away"))
        county.hub.stop()
        for _ in range(2):
            answer = gateway.push("dust", "acme", "telemetry", body, PASSWORD, {"Idempotency-Key": "away-1"})
            assert answer.status_code == 503 and int(answer.headers["Retry-After"]) > 0 and answer.json()["code"] == "CH055"
        county.broker.stop()
        answer = gateway.push("dust", "acme", "telemetry", body, PASSWORD, {"Idempotency-Key": "away-1"})
        assert answer.status_code == 503 and int(answer.headers["Retry-After"]) > 0
        county.broker.start()
        county.hub.start()

        def stored():
            answer = gateway.push("dust", "acme", "telemetry", body, PASSWORD, {"Idempotency-Key": "away-1"})
            return answer.status_code == 200 and answer.json()
        receipt = wait_until(stored, 90, "the hub is back and answers")
        assert receipt["accepted"] + receipt["duplicates"] == 4
        assert county.database.value("SELECT count(*) FROM onemap.observation o JOIN onemap.device d ON d.id = o.device_id"
                                     " WHERE d.code = 'away'") == 4
    finally:
        gateway.stop()
        county.broker.start()
        if not county.hub.process.running:
            county.hub.start()
    county.gateway.wait_ready()


# ---- devices

def readings(county, code):
    return county.database.query("SELECT o.observed_at, o.readings FROM onemap.observation o JOIN onemap.device d ON d.id = o.device_id"
                                 " WHERE d.code = %s ORDER BY o.observed_at", code)


@pytest.fixture
def monitor(county):
    """A monitor of dust by its MN, on the gateway's port."""
    opened = []

    def make(mn, gateway=None, port=None, **options):
        opened.append(Monitor("127.0.0.1", port or (gateway or county.gateway).hj212_port, mn, **options))
        return opened[-1]
    yield make
    for one in opened:
        one.close()


@pytest.fixture
def truck(county):
    opened = []

    def make(phone, gateway=None, port=None, **options):
        opened.append(jt808.Terminal("127.0.0.1", port or (gateway or county.gateway).jt808_port, phone, **options))
        return opened[-1]
    yield make
    for one in opened:
        one.close()


def test_a_monitor_is_acknowledged_when_its_data_is_committed(county, monitor):
    device = monitor("MN-DUST-1", pw="654321")
    when = time.time()
    qn = device.send({"a34004-Rtd": 35.2, "a34002-Rtd": 80, "LA-Rtd": 61.5}, when=when)
    answer = device.receive(qn)
    assert len(readings(county, "dust-1")) == 1, "9014 came before the commit"
    assert answer and "CN=9014;" in answer and "MN=MN-DUST-1;" in answer and "PW=654321;" in answer
    again = device.receive(device.send({"a34004-Rtd": 35.2, "a34002-Rtd": 80, "LA-Rtd": 61.5}, qn=qn, when=when))
    assert "CN=9014;" in again
    assert "CN=9014;" in device.receive(device.send({"a34004-Avg": 33.5, "a34004-Min": 30, "a34004-Max": 40}, command=2051, when=time.time() - 600))
    assert county.database.value("SELECT count(*) FROM onemap.interval_value i JOIN onemap.device d ON d.id = i.device_id WHERE d.code = 'dust-1'") == 1
    assert len(readings(county, "dust-1")) == 1, "a mean is no instant value"
    wrong = monitor("MN-DUST-1", pw="111111")
    assert "CN=9011" in wrong.receive(wrong.send({"a34004-Rtd": 1})), "a wrong PW is told"
    assert device.receive(device.send({"a34004-Rtd": 36})) and not wrong.receive(wrong.send({"a34004-Rtd": 1}, flag=4), timeout=1)
    assert "CN=9014;" in device.receive(device.send({"a34004-Rtd": 700, "a34004-Flag": "T", "LA-Rtd": 60}, when=time.time() - 30))
    assert county.database.query("SELECT pm25_ug_m3, noise_dba, flagged FROM onemap.dust WHERE device_code = 'dust-1' AND flagged IS NOT NULL") == [
        (700, 60, ["pm25_ug_m3"])], "flag T is a reading beyond the instrument's upper limit"
    assert "CN=9013;" in device.receive(device.send(None, command=1013))
    assert any("CN=1012;" in one and "SystemTime=" in one for one in device.answers) or device.receive("", timeout=5) is None


def test_a_truck_registers_and_is_acknowledged_when_its_place_is_committed(county, truck):
    one = truck("013800000001")
    assert one.result(one.send(jt808.POSITION, jt808.position())) == 1, "not before it has authenticated"
    result, token = one.register()
    assert result == 0 and token
    assert one.authenticate("nonsense") == 1 and one.authenticate(token) == 0
    assert one.result(one.send(jt808.HEARTBEAT)) == 0
    assert one.result(one.send(jt808.POSITION, jt808.position(speed=42.0))) == 0
    assert county.database.value("SELECT count(*) FROM onemap.track_point p JOIN onemap.device d ON d.id = p.device_id"
                                 " WHERE d.code = 'truck-1'") == 1, "8001 came before the commit"
    now = time.time()
    places = [jt808.position(when=now - 600 + 10 * i, lat=34.05 + i / 10000) for i in range(30)]
    assert one.result(one.send(jt808.BATCH, jt808.batch(places[:10]))) == 0
    pieces = jt808.frames(jt808.BATCH, jt808.batch(places[10:]), size=300, serial=100, phone=one.phone)
    for piece in pieces:
        one.socket.sendall(piece)
    assert [one.result(100 + n) for n in range(len(pieces))] == [0] * len(pieces), "each sub-packet has its answer"
    assert len(readings(county, "truck-1")) == 31
    packed = truck("013800000001")
    for ident, body, serial in ((jt808.REGISTER, jt808.registration(), 200), (jt808.AUTHENTICATE, jt808.authentication(token), 300)):
        pieces = jt808.frames(ident, body, size=20, serial=serial, phone=packed.phone)
        assert 2 <= len(pieces) <= 4
        for piece in reversed(pieces[1:]):
            packed.socket.sendall(piece)
        assert packed.receive(timeout=0.5) is None, "not before it is whole"
        packed.socket.sendall(pieces[0])
        for n in range(len(pieces)):
            answer = packed.receive(ident | 0x8000 if ident == jt808.REGISTER else jt808.GENERAL_ANSWER, serial + n)
            assert answer["body"][2 if ident == jt808.REGISTER else 4] == 0, "a login in sub-packets, each of which is answered"
    assert packed.result(packed.send(jt808.POSITION, jt808.position(when=now + 1))) == 0
    for piece in jt808.frames(jt808.AUTHENTICATE, b"x" * 1000, size=150, serial=400, phone=packed.phone):
        packed.socket.sendall(piece)
    assert packed.result(400) == 3, "one in more pieces than a login has is not kept"
    one = truck("013800000001")
    assert one.authenticate(token) == 0
    one.send(jt808.TIME_2019)
    told = datetime.datetime.strptime(one.receive(jt808.TIME_2019 | 0x8000)["body"].hex(), "%y%m%d%H%M%S")
    assert abs(told - datetime.datetime.utcnow()) < datetime.timedelta(minutes=5)
    impostor = truck("013800000001")
    impostor.send(jt808.REGISTER, jt808.registration(terminal="T000002"))
    assert impostor.receive(jt808.REGISTER_ANSWER)["body"][2] == 4, "whoever does not know the secret is no such terminal"
    assert one.result(one.send(jt808.HEARTBEAT)) == 0, "and does not end the other's connection"
    newer = truck("013800000001")
    assert newer.authenticate(token) == 0
    assert one.receive(timeout=30) is None, "the newest connection of a terminal wins"
    assert newer.result(newer.send(jt808.POSITION, jt808.position(when=now + 5))) == 0


def test_by_tls_behind_nginx(county, monitor, truck, tmp_path):
    """deploy/nginx-gateway.conf and deploy/nginx.conf as they are, but for names, ports and files: devices and pushes by TLS."""
    tmp_path.chmod(0o755)
    authority, (monitors, trucks, pushes, plain) = nginx.certificate(tmp_path, "gateway"), (free_port() for _ in range(4))
    files, deploy = ("/etc/nginx/cityhub", str(tmp_path)), paths.ROOT / "deploy"
    stream = nginx.fitted((deploy / "nginx-gateway.conf").read_text(), (
        files, ("listen 9443 ", f"listen 127.0.0.1:{monitors} "), ("listen 9444 ", f"listen 127.0.0.1:{trucks} "),
        ("127.0.0.1:9001", f"127.0.0.1:{county.gateway.hj212_port}"), ("127.0.0.1:9002", f"127.0.0.1:{county.gateway.jt808_port}")))
    http = nginx.fitted((deploy / "nginx.conf").read_text(), (
        files, (f"{tmp_path}/map.", f"{tmp_path}/gateway."), ("listen 80;", f"listen 127.0.0.1:{plain};"), ("listen 443 ssl", f"listen 127.0.0.1:{pushes} ssl"),
        ("map.example.cn", "localhost"), ("127.0.0.1:8080", f"127.0.0.1:{county.gateway.http_port}")))
    tls = ssl.create_default_context(cafile=authority)
    with nginx.running(tmp_path, monitors, http, f"load_module /usr/lib/nginx/modules/ngx_stream_module.so;\n{stream}"):
        one, other = monitor("MN-TLS", port=monitors), truck("013800000009", port=trucks)
        for device in (one, other):
            device.socket = tls.wrap_socket(device.socket, server_hostname="localhost")
        assert "CN=9014;" in one.receive(one.send({"a34004-Rtd": 35.2})) and len(readings(county, "tls-monitor")) == 1
        result, token = other.register()
        assert result == 0 and other.authenticate(token) == 0
        assert other.result(other.send(jt808.POSITION, jt808.position())) == 0 and len(readings(county, "tls-truck")) == 1
        answer = requests.post(f"https://localhost:{pushes}/push/gas/acme/telemetry", json=[{"device_code": "tls-1", "observed_at_ms": now_ms(), "pressure_kpa": 2.5}],
                               auth=("acme", PASSWORD), verify=authority, timeout=60)
        assert answer.status_code == 200 and answer.json()["accepted"] == 1, answer.text
        bare = monitor("MN-TLS", port=monitors)
        assert bare.receive(bare.send({"a34004-Rtd": 1})) is None and len(readings(county, "tls-monitor")) == 1, "without TLS"


def refused(county, identity):
    return next((one for one in json.loads(county.hub.run("terminal", "list", "--pending", "--json").stdout) if one["identity"] == identity), None)


def test_why_a_terminal_of_the_list_is_refused_is_told(county, monitor, truck):
    """And nothing of its frames is kept: they have what it takes for its secret."""
    wrong = monitor("MN-DUST-1", pw="111111")
    assert "CN=9011" in wrong.receive(wrong.send({"a34004-Rtd": 1}))
    odd = monitor("MN-ODD", kind="modbus")
    assert odd.receive(odd.send({"a34004-Rtd": 1}), timeout=1) is None
    impostor = truck("013800000001")
    impostor.send(jt808.REGISTER, jt808.registration(terminal="T000002"))
    assert impostor.receive(jt808.REGISTER_ANSWER)["body"][2] == 4
    for identity, reason in (("MN-DUST-1", "wrong_secret"), ("MN-ODD", "wrong_check_value"), ("13800000001", "wrong_secret")):
        told = wait_until(lambda: (one := refused(county, identity)) and one["reason"] == reason and one, 60, f"{identity} is refused for its {reason}")
        assert (told["address"], told["samples"]) == ("127.0.0.1", []) and told["frames"] >= 1, told
    assert impostor.result(impostor.send(jt808.POSITION, jt808.position())) == 1
    wait_until(lambda: refused(county, "13800000001")["reason"] == "not_logged_in", 60, "it reports before it has logged in")
    told = county.hub.run("terminal", "list", "--pending").stdout
    assert "wrong_check_value" in told and "111111" not in told, told
    county.hub.run("terminal", "adopt", "--protocol", "hj212", "--identity", "MN-ODD", "--subsystem", "dust", "--vendor", "acme", code=2)


def test_an_unknown_device_is_remembered_and_adopted(county, monitor):
    device = monitor("MN-NEW-7", kind="modbus")
    assert device.receive(device.send({"a34004-Rtd": 35.2}), timeout=1) is None
    pending = wait_until(lambda: refused(county, "MN-NEW-7"), 60, "it is reported")
    assert (pending["reason"], pending["address"]) == ("not_listed", "127.0.0.1")
    assert b"a34004-Rtd=35.2" in bytes.fromhex(pending["samples"][0])
    assert "##0" in county.hub.run("terminal", "list", "--pending").stdout
    county.hub.run("terminal", "adopt", "--protocol", "hj212", "--identity", "MN-NEW-7", "--subsystem", "dust", "--vendor", "acme", "--crc", "modbus")
    county.gateway.sync()
    assert device.receive(device.send({"a34004-Rtd": 35.2})), "on the same connection"
    assert len(readings(county, "MN-NEW-7")) == 1
    county.hub.run("terminal", "revoke", "--protocol", "hj212", "--identity", "MN-NEW-7")
    assert device.receive("none", timeout=60) is None and not device.socket.recv(1), "whoever is revoked is closed"


def test_what_no_record_can_be_made_of_is_kept_whole(county, monitor):
    device = monitor("MN-ODD")
    assert "CN=9014;" in device.receive(device.send({"z99999-Rtd": 1})), "its data is kept"
    kept = county.database.query("SELECT convert_from(q.payload, 'UTF8') FROM onemap.quarantine q WHERE convert_from(q.payload, 'UTF8') LIKE '%%MN-ODD%%'")
    assert len(kept) == 1 and "z99999-Rtd=1" in kept[0][0]
    segment = f"QN=20260801085857223;ST=39;CN=2011;PW={device.pw};MN=MN-ODD;Flag=5;DataTime=20260801085857;a34004-Rtd=17".encode()
    device.socket.sendall(b"##%04d%b%04X\r\n" % (len(segment), segment, hj212.crc(segment)))
    assert "CN=9014;" in device.receive("20260801085857223"), "values without CP=&& are kept"
    assert county.database.value("SELECT count(*) FROM onemap.quarantine q WHERE convert_from(q.payload, 'UTF8') LIKE '%%a34004-Rtd=17%%'") == 1


def test_what_the_dialect_does_not_know_is_kept_beside_what_it_does(county, monitor):
    """The device deletes what is acknowledged: factors of its own, states and logs too are where people find them."""
    device = monitor("MN-CALM")
    assert device.receive(device.send({"a34004-Rtd": 35.2})), "the device is known"
    qn = device.send({"a34004-Rtd": 36.2, "zz17-Rtd": "12.50", "zz17-Flag": "D", "l01001": 116.5})
    assert "CN=9014;" in device.receive(qn)
    assert "CN=9014;" in device.receive(device.send({"a34002-Flag": "B;door open"})), "a flag without a value, and what has no ="
    assert "CN=9014;" in device.receive(device.send({"SB1-RS": 4}, command=2021))
    kept = county.database.query("SELECT o.name, o.value FROM onemap.interval_other_report o WHERE o.device_code = 'MN-CALM' ORDER BY o.name")
    assert [tuple(one) for one in kept] == [("SB1-RS", "4"), ("a34002-Flag", "B"), ("door open", ""), ("l01001", "116.5"), ("zz17-Flag", "D"),
                                            ("zz17-Rtd", "12.50")], kept


def test_strangers_on_the_port_harm_nobody(county, monitor):
    gateway = Gateway(county.hub, county.broker, county.site.folder, {"gateway.first_frame_s": 3}, name="gateway3").start()
    try:
        wait_until(lambda: gateway.terminals() >= len(TERMINALS), 60, "the other gateway has the list")
        device = monitor("MN-CALM", gateway)
        strangers = [socket.create_connection(("127.0.0.1", gateway.hj212_port), timeout=60) for _ in range(20)]
        for number, stranger in enumerate(strangers):
            stranger.sendall((b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x00\x01\x00\x00\x00\x06\x01\x03\x00\x00\x00\x0a", b"", b"##9999QN=")[number % 4])
        strangers[0].sendall(b"#" * 300_000)
        broken = monitor("MN-CALM", gateway, kind="modbus")
        assert broken.receive(broken.send({"a34004-Rtd": 1}), timeout=1) is None, "a wrong check value"
        for _ in range(20):
            assert device.receive(device.send({"a34004-Rtd": 35.2})), "the device goes on meanwhile"
        for stranger in strangers:
            try:
                assert stranger.recv(1) == b"", "a stranger is closed"
            except ConnectionResetError:
                pass
        assert device.receive(device.send({"a34004-Rtd": 36.2}))
        assert gateway.metric("cityhub_gateway_frames_total", protocol="hj212", outcome="broken") >= 1
        assert gateway.metric("cityhub_gateway_connections", protocol="hj212") <= 2
        for stranger in strangers:
            stranger.close()
    finally:
        gateway.stop()


def test_many_devices_each_get_their_own_acknowledgement(county):
    """What is sent without waiting for answers travels in few messages, and each frame is acknowledged."""

    def run(number):
        device = Monitor("127.0.0.1", county.gateway.hj212_port, f"MANY-{number}")
        start = time.time() - 3600
        sent = [device.send({"a34004-Rtd": i}, when=start + i) for i in range(100)]
        answers = [device.receive(qn) for qn in sent]
        device.close()
        return all(answers) and len(set(sent))
    with concurrent.futures.ThreadPoolExecutor(15) as pool:
        assert list(pool.map(run, range(30))) == [100] * 30
    assert county.database.value("SELECT count(*) FROM onemap.observation o JOIN onemap.device d ON d.id = o.device_id WHERE d.code LIKE 'MANY-%%'") == 3000


# ---- killed at random

KILLS = int(os.environ.get("CITYHUB_KILLS", 0)) or 4


class Repeater(threading.Thread):
    """A device, or a vendor's platform, as the field has them: it sends a value every moment, keeps what was not acknowledged, connects anew
    when it is cut and sends that again. `acknowledged`: moments that it was told are stored; `wrong`: answers that nobody should get."""

    MOMENTS = 1500 + 200 * KILLS

    def __init__(self, number, code, connect):
        super().__init__(daemon=True)
        self.number, self.code, self.connect, self.wrong = number, code, connect, []
        self.sent, self.acknowledged, self.stopping = [], set(), threading.Event()
        self.start_s = int(time.time()) - self.MOMENTS - 100

    def run(self):
        waiting = []
        while not self.stopping.is_set() or waiting:
            try:
                speak = self.connect(self)
                while not self.stopping.is_set() or waiting:
                    if not self.stopping.is_set() and len(self.sent) < self.MOMENTS:
                        self.sent.append(len(self.sent))
                        waiting.append(self.sent[-1])
                    for moment in speak(waiting):
                        self.acknowledged.add(moment)
                    waiting = [moment for moment in waiting if moment not in self.acknowledged]
            except (OSError, AssertionError):
                time.sleep(0.05)


def monitor_of(county):
    def connect(repeater):
        device = Monitor("127.0.0.1", county.gateway.hj212_port, repeater.code, timeout=5)

        def speak(moments):
            asked = [(device.send({"a34004-Rtd": moment % 90}, when=repeater.start_s + moment), moment) for moment in moments[:20]]
            done = [moment for qn, moment in asked if device.receive(qn, timeout=4)]
            assert done or not asked, "nothing came: connects anew"
            return done
        return speak
    return connect


def truck_of(county):
    def connect(repeater):
        device = jt808.Terminal("127.0.0.1", county.gateway.jt808_port, f"0{repeater.code}", timeout=5)

        def speak(moments):
            asked = [(device.send(jt808.POSITION, jt808.position(when=repeater.start_s + moment)), moment) for moment in moments[:20]]
            done = [moment for serial, moment in asked if device.result(serial, timeout=4) == 0]
            assert done or not asked, "nothing came: connects anew"
            return done
        return speak
    return connect


def platform_of(county):
    def connect(repeater):
        def push(moment):
            body = messages.json_bytes({"device_code": repeater.code, "observed_at_ms": (repeater.start_s + moment) * 1000, "pm25_ug_m3": moment % 90})
            answer = county.gateway.push("dust", "acme", "telemetry", body, PASSWORD, {"Idempotency-Key": f"{repeater.code}-{moment}"}, 30)
            receipt = answer.json() if answer.status_code == 200 else {}
            if answer.status_code != 503 and receipt.get("accepted", 0) + receipt.get("duplicates", 0) != 1:
                repeater.wrong.append(f"{answer.status_code} {answer.text}")
            return answer.status_code == 200
        return lambda moments: [moment for moment in moments[:5] if push(moment)]
    return connect


def kill_one(county, cluster, what):
    if what == "gateway":
        county.gateway.kill()
        county.gateway.process.start()
    elif what == "hub":
        county.hub.kill()
        county.hub.start(ready=False)
    elif what == "broker":
        county.broker.kill()
        county.broker.start()
    else:
        cluster.stop("kill")
        cluster.start()


def test_killed_at_random_nothing_acknowledged_is_lost_or_doubled(county, cluster):
    """Gateway, hub, broker and database are killed while devices and platforms repeat what was not acknowledged; then it is counted. What the
    broker had and had not saved is lost with it: nothing of that was acknowledged. How often: CITYHUB_KILLS, of all four together."""
    repeaters = [*(Repeater(i, f"KILL-{i}", monitor_of(county)) for i in range(4)),
                 *(Repeater(i, f"139{i:08}", truck_of(county)) for i in range(4, 8)),
                 *(Repeater(i, f"PUSH-{i}", platform_of(county)) for i in range(8, 10))]
    moments = random.Random(212808)
    for repeater in repeaters:
        repeater.start()
    for number in range(KILLS):
        before = [len(repeater.acknowledged) for repeater in repeaters]
        wait_until(lambda before=before: all(len(r.acknowledged) > was for r, was in zip(repeaters, before))
                   and sum(len(r.acknowledged) for r in repeaters) > sum(before) + 20, 120, "devices and platforms are acknowledged")
        time.sleep(moments.uniform(0, 0.2))  # the moment of the kill, not a wait for anything
        kill_one(county, cluster, ("gateway", "hub", "broker", "database")[number % 4])
    county.hub.wait_ready()
    county.gateway.wait_ready()
    for repeater in repeaters:
        repeater.stopping.set()
    for repeater in repeaters:
        repeater.join(120)
        assert not repeater.is_alive(), f"{repeater.code}: what it sent is acknowledged in the end"
    for repeater in repeaters:
        stored = [int(row[0].timestamp()) - repeater.start_s for row in readings(county, repeater.code)]
        assert len(stored) == len(set(stored)), f"{repeater.code}: doubled"
        assert repeater.acknowledged - set(stored) == set(), f"{repeater.code}: lost"
        assert set(stored) == set(repeater.sent) and stored
        assert not repeater.wrong, f"{repeater.code}: {repeater.wrong[:3]}"
    print(f"{KILLS} kills, {sum(len(r.acknowledged) for r in repeaters)} acknowledged, 0 lost, 0 doubled")
