"""`cityhub gateway`: pushes over HTTP and the terminals it knows, on a broker with logins, access rules and the plugin."""
import concurrent.futures
import gzip
import json
import time

import pytest
from harness import messages
from harness.gateway import Gateway, add_login
from harness.guarded import GuardedBroker
from harness.process import wait_until
from harness.site import Site, county_of

PASSWORD = "a-password-of-the-tests"


def now_ms():
    return int(time.time() * 1000)


class County:
    """A hub, a gateway, and vendors acme (dust, gas) and quiet (dust, wants receipts of problems only)."""

    def __init__(self, database, broker, folder):
        self.site, self.database, self.broker = Site(database, broker, folder), database, broker
        self.hub = self.site.hub(broker.hub_settings(), start=False)
        password = folder / "vendor.password"
        password.write_text(PASSWORD + "\n")
        for vendor, subsystem, *more in (("acme", "dust"), ("acme", "gas"), ("quiet", "dust", "--receipts", "problems")):
            self.hub.run("vendor", "add", "--subsystem", subsystem, "--vendor", vendor, "--password-file", password, *more)
        self.hub.start()
        self.gateway = Gateway(self.hub, broker, folder).start()

    def stored(self, vendor):
        return self.database.value("SELECT count(*) FROM onemap.observation o JOIN onemap.device d ON d.id = o.device_id WHERE d.vendor = %s",
                                   vendor)


class Broker(GuardedBroker):
    def __init__(self, log_path):
        super().__init__(log_path)
        add_login(self)


@pytest.fixture(scope="module")
def county(cluster, logs):
    with county_of(County, Broker, cluster, logs / "test_gateway") as county:
        try:
            yield county
            county.gateway.stop()
        finally:
            if county.gateway.process.running:
                county.gateway.kill()


def records(count, code, start=0):
    at = now_ms() - 1000 * count
    return [{"device_code": code, "observed_at_ms": at + 1000 * (start + i), "pm25_ug_m3": 40.0 + i} for i in range(count)]


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
    wait_until(lambda: gateway.terminals() == 3, 60, "the gateway has three terminals")
    kept = json.loads((gateway.state / "terminals.json").read_text())
    assert {(t["identity"], t["device"]) for t in kept["terminals"]} == {("MN-1", "T-1"), ("13800138000", "13800138000"), ("13800138001", "C-2")}
    text = (gateway.state / "terminals.json").read_text() + hub.process.log_path.read_text() + gateway.process.log_path.read_text()
    assert "123456" not in text and '"tok"' not in text, "a secret is written down"
    assert (gateway.state / "terminals.json").stat().st_mode & 0o777 == 0o600
    hub.run("terminal", "revoke", "--protocol", "jt808", "--identity", "0013800138001")
    wait_until(lambda: gateway.terminals() == 2, 60, "and one is revoked")
    listed = json.loads(hub.run("terminal", "list", "--json").stdout)
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
