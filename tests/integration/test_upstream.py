"""`cityhub upstream`: what its files may say, what goes up, and a hostile city: a process of its own that fails in every way it can
(harness/city.py), while sender and database are killed.

CITYHUB_KILLS: how many times; else eight."""
import hashlib
import hmac
import json
import os
import random
import signal
import subprocess

import pytest
from harness import paths
from harness.city import City
from harness.hub import Hub
from harness.process import Process, wait_until

SECRET = "四海一家"


class Nowhere:
    """The sender needs no broker."""
    host, port = "127.0.0.1", 1


class County:
    """A county with cases' words (test.report, test.act, test.drive), a city above it, and its file."""

    def __init__(self, database, folder):
        self.database, self.folder, self.number = database, folder, 0
        database.query((paths.ROOT / "tests" / "schema" / "include" / "case_fixture.sql").read_text())
        database.query("DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'upstream_login') THEN"
                       " CREATE ROLE upstream_login LOGIN IN ROLE cityhub_exchange; END IF; END $$")
        # The login that docs/upstream.md gives it: its rights are enough, and it has no others.
        conninfo = database.cluster.conninfo(database.name, user="upstream_login")
        self.hub = Hub(database, Nowhere, folder, {"database.conninfo": conninfo}, "upstream")
        self.operator = Hub(database, Nowhere, folder, {"database.conninfo": database.conninfo}, "operator")

    def target(self, url, **changes):
        self.number += 1
        path = self.folder / f"target-{self.number}.json"
        document = {
            "target": "city", "to": {"url": url, "plain_http": True, "private_addresses": ["127.0.0.1/32"], "timeout_s": 1},
            "answer": {"success": {"member": "code", "values": [0]}, "again": [7], "receipt_member": "receipt", "message": "message"},
            "maps": {"action": {"values": {"report": "上报", "accept": "受理"}, "otherwise": "其他"}},
            "resources": {"case_step": {"path": "/steps", "fields": {
                "number": {"from": "$number"}, "hash": {"from": "$hash"}, "version": {"from": "$version"}, "case": {"from": "case_code", "required": True},
                "step": {"from": "seq", "type": "integer"}, "action": {"from": "action", "map": "action"}, "at": {"from": "at", "type": "time"},
                "county": {"value": "410221"}}}},
        }
        for name, value in changes.items():
            document[name] = {**document.get(name, {}), **value} if isinstance(value, dict) and name != "resources" else value
        path.write_text(json.dumps(document, ensure_ascii=False))
        return path

    def send(self, path, code=0):
        return self.hub.run("upstream", "send", path, code=code)

    def sender(self, path):
        return Process("sender", [paths.cityhub(), "--config", self.hub.config_path, "upstream", "run", path], self.folder / "sender.log",
                       env=self.hub.environment)

    def differences(self):
        return json.loads(self.operator.run("upstream", "reconcile", "--json", code=None).stdout)


@pytest.fixture
def county(database, work_folder):
    return County(database, work_folder)


@pytest.fixture
def city(work_folder):
    city = City(work_folder)
    try:
        yield city.start()
    finally:
        city.close()


# ---- what a file may say ----

def test_check(county):
    assert county.operator.run("upstream", "check", paths.ROOT / "config" / "upstream" / "city.json",
                               paths.ROOT / "config" / "upstream" / "province.json",
                               paths.ROOT / "config" / "upstream" / "cityhub.json").stdout.count("nothing is wrong") == 3
    fields = {"a": {"from": "moon"}, "b": {"from": "case_code", "type": "time"}, "c": {"from": "action", "map": "none"}, "d": {"from": "$moon"}, "e": {}}
    for changes, expected in (
            ({"resources": {"case_step": {"fields": {"a": fields["a"], "b": fields["b"]}}}},
             ["fields.a: onemap.exchange_case_step has no column moon", "fields.b: column case_code is text and cannot be sent as time"]),
            ({"resources": {"case_step": {"fields": fields}}},
             ['fields.c: there is no map "none" under maps', "fields.d: $moon is none of", "fields.e: must have either from or value"]),
            ({"resources": {"moon": {"fields": {"a": {"value": 1}}}}}, ["resources.moon: there is no such resource"]),
            ({"to": {"plain_http": False}}, ["to.url: must begin with https://"]),
            ({"to": {"batch": 10}}, ["to.records: a message with a batch needs", "answer: of a batch each record must be answered"]),
            ({"to": {"folder": "/tmp"}}, ["to: must have either url or folder"]),
            ({"to": {"private_addresses": ["10.0.0.0"]}}, ["to.private_addresses: each must be a range"]),
            ({"authenticate": {"kind": "basic"}}, ["authenticate: user is missing", "authenticate: secret_file is missing"]),
            ({"sign": {"kind": "md5"}}, ["sign.kind: must be none, hmac-sha256, hmac-sm3 or sm2"]),
            ({"nonsense": 1}, ['the file: there is no member "nonsense"'])):
        told = county.operator.run("upstream", "check", county.target("http://127.0.0.1:1", **changes), code=1).stderr
        for line in expected:
            assert line in told, f"{changes}: {told}"


# ---- what goes up ----

def test_send(county, city):
    code = county.database.value("SELECT test.drive('accepted')")
    path = county.target(city.url)
    assert county.send(path).stdout == "city: 2 accepted, 0 refused, 0 to be tried again\n"
    rows = county.database.query("SELECT id::text, encode(hash, 'hex'), receipt FROM onemap.exchange_record ORDER BY id")
    stored = city.stored()
    assert [(one["number"], one["hash"]) for one in stored] == [row[:2] for row in rows]
    assert [(one["case"], one["step"], one["action"], one["county"]) for one in stored] == [(code, 1, "上报", "410221"), (code, 2, "受理", "410221")]
    assert [row[2] for row in rows] == [f"R{row[0]}" for row in rows], "receipts"
    assert county.differences() == []
    assert county.send(path).stdout.startswith("city: 0 accepted"), "nothing twice"
    status = json.loads(county.operator.run("upstream", "status", "--json").stdout)[0]
    assert (status["records"], status["accepted"], status["waiting"], status["late"]) == (2, 2, 0, False)
    assert county.operator.run("upstream", "replay", "--target", "city", "--case", code).stdout == "2 records will go up once more\n"
    county.send(path)
    assert city.repetitions() == 2 and len(city.stored()) == 2, "recognisably the same"


def test_refused(county, city):
    first, second = (county.database.value("SELECT test.drive('accepted')") for _ in range(2))
    path = county.target(city.url)
    city.behave(refuse=f"{first}/1")
    assert county.send(path, code=1).stdout == "city: 2 accepted, 1 refused, 0 to be tried again\n"
    assert [one["case"] for one in city.stored()] == [second, second], "the other case is not held up"
    listed = json.loads(county.operator.run("upstream", "list", "--state", "refused", "--json").stdout)
    assert [(one["record"], one["answer"], json.loads(one["sent"])["case"]) for one in listed] == [(f"{first}/1", "不予接收", first)]
    assert {one["difference"] for one in county.differences()} == {"refused", "waiting"}
    county.operator.run("upstream", "skip", "--target", "city", "--number", listed[0]["number"], "--reason", "市平台不收")
    county.send(path)
    assert [(one["case"], one["step"]) for one in city.stored()] == [(second, 1), (second, 2), (first, 2)]


def test_template_that_a_record_does_not_fit(county, city):
    """A code that the map does not have is refused here, with the reason, and not sent."""
    county.database.value("SELECT test.report()")
    path = county.target(city.url, maps={"action": {"values": {"accept": "受理"}}})
    assert "1 refused" in county.send(path, code=1).stdout
    assert county.database.value("SELECT answer FROM onemap.exchange_record") == 'action: map action has no "report"'
    assert city.stored() == []


def test_addresses(county, city):
    """A name that leads into the county's own network is not followed, unless the file says so; a redirect never."""
    county.database.value("SELECT test.report()")
    county.send(county.target(city.url, to={"private_addresses": []}), code=1)
    assert "private_addresses" in county.database.value("SELECT problem FROM onemap.exchange_target")
    county.operator.run("upstream", "retry", "--target", "city")
    city.behave(redirect=True)
    county.send(county.target(city.url), code=1)
    assert county.database.value("SELECT problem FROM onemap.exchange_target").startswith("302") and city.stored() == []


def test_signed_files(county, work_folder):
    """For a one-way gate: SM2 over time and message, which OpenSSL's own program finds right; HMAC-SM3 likewise."""
    county.database.value("SELECT test.drive('accepted')")
    folder, key, public = work_folder / "gate", work_folder / "sm2.pem", work_folder / "sm2.pub"
    folder.mkdir()
    subprocess.run(["openssl", "genpkey", "-algorithm", "SM2", "-out", key], check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-out", public], check=True, capture_output=True)
    to = {"url": "", "folder": str(folder), "batch": 10, "records": "records"}
    sign = {"secret_file": str(key), "header": "X-Signature", "time_header": "X-Time", "parts": ["time", "body"]}
    county.send(county.target("", to=to, sign={"kind": "sm2", **sign}))
    files = sorted(folder.iterdir())
    assert len(files) == 2, "one case's steps do not go in one message"
    for file in files:
        document = json.loads(file.read_text())
        headers = dict(line.split(": ", 1) for line in document["headers"])
        (work_folder / "signature").write_bytes(bytes.fromhex(headers["X-Signature"]))
        (work_folder / "content").write_text(f"{headers['X-Time']}\n{document['message']}")
        subprocess.run(["openssl", "dgst", "-sm3", "-verify", public, "-sigopt", "distid:1234567812345678", "-signature", work_folder / "signature",
                        work_folder / "content"], check=True, capture_output=True)
        assert len(json.loads(document["message"])["records"]) == 1 and document["path"] == "/steps"
    assert county.differences() == []
    secret = work_folder / "secret"
    secret.write_text(SECRET)
    county.operator.run("upstream", "replay", "--target", "city")
    county.send(county.target("", to=to, sign={"kind": "hmac-sm3", **sign, "secret_file": str(secret)}))
    assert sorted(folder.iterdir()) == files, "the same number is the same file"
    document = json.loads(files[0].read_text())
    headers = dict(line.split(": ", 1) for line in document["headers"])
    content = f"{headers['X-Time']}\n{document['message']}".encode()
    assert headers["X-Signature"] == hmac.new(SECRET.encode(), content, lambda: hashlib.new("sm3")).hexdigest()


def test_mutual_tls_and_login(county, work_folder):
    city = City(work_folder, tls=True, token="geheim")
    secret = work_folder / "client.secret"
    secret.write_text("client-secret\n")
    login = {"kind": "oauth2", "token_url": f"{city.url}/token", "client": "county", "secret_file": str(secret)}
    county.database.value("SELECT test.report()")
    try:
        city.start()
        to = {"ca_file": str(city.ca), "certificate_file": str(city.certificate), "key_file": str(city.key)}
        assert "away" in county.send(county.target(city.url, to={"ca_file": str(city.ca)}, authenticate=login), code=1).stdout, "without a certificate"
        county.operator.run("upstream", "retry", "--target", "city")
        assert county.send(county.target(city.url, to=to, authenticate=login)).stdout.startswith("city: 1 accepted")
    finally:
        city.close()


# ---- a hostile city ----

def books(county):
    county.database.value("SELECT onemap.exchange_sweep()")
    return county.database.value("SELECT count(*) FROM onemap.exchange_record WHERE state <> 'accepted'")


def in_order(stored):
    """Each case's steps have come from its first, one after the other."""
    steps = {}
    for one in stored:
        steps.setdefault(one["case"], []).append(one["step"])
    return all(seen == list(range(1, len(seen) + 1)) for seen in steps.values())


@pytest.mark.parametrize("batch", [1, 8])
def test_hostile_city(county, city, cluster, batch):
    """Errors, cuts, timeouts after it has stored, 429; sender and database are killed at random: in the end the city has all, in order
    per case, and what came twice was the same under the same number."""
    chance = random.Random(batch)
    # A cloned sequence that was used in the template is written to the log only after the next checkpoint, and a kill before that
    # would take it back.
    county.database.query("CHECKPOINT")
    city.behave(chaos=True, seed=batch)
    more = {"to": {"batch": batch, "records": "records"}, "answer": {"records": "results", "number": "number"}} if batch > 1 else {}
    path = county.target(city.url, **more)
    sender = county.sender(path)
    sender.start()
    for turn in range(int(os.environ.get("CITYHUB_KILLS", 8))):
        def drive():
            cluster.start()
            return county.database.value("SELECT test.drive(%s)", chance.choice(["accepted", "handled", "closed"]))
        for _ in range(3):
            wait_until(drive, 60, "a case is written")
        before = city.requests()
        wait_until(lambda: city.requests() > before + chance.randrange(4), 60, "the sender is at it")
        if turn % 3 == 2:
            cluster.stop("kill")
            cluster.start()
        else:
            sender.end(signal.SIGKILL)
            sender.start()
    city.behave(chaos=False)
    county.operator.run("upstream", "retry", "--target", "city")
    wait_until(lambda: books(county) == 0, 120, f"all is accepted (log: {sender.log_path})")
    assert sender.end(signal.SIGTERM) == 0, sender.log_tail()
    county.hub.check_reports()
    assert county.differences() == []
    stored = city.stored()
    ledger = county.database.query("SELECT id::text, encode(hash, 'hex') FROM onemap.exchange_record ORDER BY id")
    assert sorted((one["number"], one["hash"]) for one in stored) == sorted(ledger), "each once"
    assert city.repetitions() > 0, "some came twice, as the same"
    assert in_order(stored)


# ---- a city that is away for long, slow, or has the wrong time ----

class Absence:
    """The time while a city is away, told by the database's own moments: they are moved back by what is to have passed."""

    def __init__(self, county, path):
        self.county, self.path, self.passed_s, self.pauses = county, path, 0.0, []

    def try_and_wait(self):
        """The breaker lets one message try, and is waited for."""
        assert "the target is away" in self.county.send(self.path, code=1).stdout
        pause_s = float(self.county.database.value("SELECT extract(epoch FROM paused_until - reached) FROM onemap.exchange_target,"
                                                   " (SELECT max(answered_at) AS reached FROM onemap.exchange_record) x"))
        self.pauses.append(pause_s)
        self.county.send(self.path)
        assert self.county.database.value("SELECT failures FROM onemap.exchange_target") == len(self.pauses), "nothing is sent while it is open"
        self.wait(pause_s)

    def wait(self, seconds):
        self.passed_s += seconds
        for table, column in (("target", "paused_until"), ("record", "made_at"), ("record", "sent_at"), ("record", "answered_at"), ("record", "next_attempt_at")):
            self.county.database.query(f"UPDATE onemap.exchange_{table} SET {column} = {column} - make_interval(secs => %s)", seconds)


def late(county):
    """Open alarms of what waits too long."""
    county.database.value("SELECT onemap.exchange_late_sweep()")
    return county.database.query("SELECT text_zh FROM onemap.alarm_overview WHERE key = 'upstream_late' AND closed_at IS NULL")


def test_half_an_hour_away(county, city):
    """The breaker's pauses double up to five minutes, cases go on meanwhile, the alarm comes and goes; then all goes up in each case's
    order, one message after the other, and each once."""
    early = [county.database.value("SELECT test.drive('dispatched')") for _ in range(3)]
    path = county.target(city.url, oldest_s=1200)
    county.send(path)
    city.close()
    absence = Absence(county, path)
    while absence.passed_s < 1800:
        if absence.pauses:
            assert len(late(county)) == (absence.passed_s > 1200), absence.pauses
        county.database.value("SELECT test.drive('accepted')")
        if early:
            county.database.value("SELECT test.act(%s, 'handle', 'department')", early.pop())
        absence.try_and_wait()
    for place, pause_s in enumerate(absence.pauses):
        most = min(300, 2 ** place)
        assert most / 2 - 0.1 <= pause_s <= most + 1, absence.pauses
    assert len(late(county)) == 1 and "共" in late(county)[0][0]
    waiting = county.database.value("SELECT count(*) FROM onemap.exchange_record WHERE state = 'waiting'")
    tried = county.database.value("SELECT sum(attempts) FROM onemap.exchange_record WHERE state = 'waiting'")
    assert (waiting, tried) == (2 * len(absence.pauses) + 3, len(absence.pauses)), "one message tries for all"

    before = len(city.stored())
    city.start()
    sender = county.sender(path)
    sender.start()
    wait_until(lambda: books(county) == 0, 60, f"all is accepted (log: {sender.log_path})")
    assert sender.end(signal.SIGTERM) == 0, sender.log_tail()
    stored = city.stored()
    assert len(stored) == before + waiting and city.repetitions() == 0 and city.most_at_once() == 1
    assert in_order(stored)
    assert late(county) == [] and county.differences() == []


def test_ended_while_it_waits(county, city):
    """Who ends the sender says nothing of the city: no pause, and what was under way goes again at once under its number."""
    county.database.value("SELECT test.drive('registered')")
    path = county.target(city.url)
    city.behave(hang=30)
    sender = county.sender(path)
    sender.start()
    wait_until(lambda: city.most_at_once() == 1, 30, "a message is under way")
    assert sender.end(signal.SIGTERM) == 0, sender.log_tail()
    assert county.database.query("SELECT failures, paused_until < now() FROM onemap.exchange_target") == [(0, True)]
    assert county.database.query("SELECT attempts, answer FROM onemap.exchange_record WHERE attempts > 0") == [(1, "the sender was ended")]
    city.behave()
    assert county.send(path).stdout == "city: 3 accepted, 0 refused, 0 to be tried again\n"


def test_wrong_time_and_slow(county, city):
    """A city's clock is five hours off: when it is to be tried again is not taken from it. A slow answer is an answer."""
    county.database.value("SELECT test.drive('registered')")
    path = county.target(city.url)
    for clock_s in (-18000, 18000):
        city.behave(status=503, again_s=60, clock_s=clock_s)
        county.send(path, code=1)
        assert county.database.value("SELECT paused_until - clock_timestamp() < interval '3 s' FROM onemap.exchange_target"), clock_s
        county.operator.run("upstream", "retry", "--target", "city")
    city.behave(hang=0.3, clock_s=18000)
    assert county.send(path).stdout == "city: 3 accepted, 0 refused, 0 to be tried again\n"
    assert county.database.value("SELECT max(accepted_at) <= clock_timestamp() AND min(accepted_at) >= min(made_at) FROM onemap.exchange_record")
    assert city.repetitions() == 0 and county.differences() == []


# ---- what it says it has ----

ASK = {"path": "/held", "records": "list", "number": "lsh", "hash": "zy", "next": "more", "after": "page"}


def test_city_that_lost_and_changed_and_doubled(county, city):
    """It is asked by the sender itself; what it does not say is told by record, is an alarm, and ends when it has all again."""
    county.database.value("SELECT test.drive('dispatched')")
    path = county.target(city.url, ask=ASK)
    county.send(path)
    numbers = [one["number"] for one in city.stored()]
    assert len(numbers) == 4 and county.differences() == []

    def ask(**how):
        city.behave(**how)
        county.database.query("UPDATE onemap.exchange_target SET ask_next_at = '-infinity'")
        county.send(path)
        return [(one["difference"], str(one["number"] or one["record"])) for one in county.differences()]

    def alarm():
        return county.database.query("SELECT o.text_zh FROM onemap.alarm_overview o WHERE o.key = 'upstream_different' AND o.closed_at IS NULL")

    assert ask() == [] and alarm() == [] and len(city.asked()) == 3, "one page of nothing, then two pages"
    assert sorted(ask(lost=numbers[:1], changed=numbers[1:2], doubled=numbers[2:3], invented=["990099"])) == sorted(
        [("lost", numbers[0]), ("different", numbers[1]), ("doubled", numbers[2]), ("unknown", "990099")])
    assert alarm() == [("上级平台数据与台账不符：city（city：different 1，doubled 1，lost 1，unknown 1）",)]
    asked = len(city.asked())
    assert len(ask(silent=True)) == 4 and len(city.asked()) == asked, "no answer changes nothing"
    assert "4 records" in county.operator.run("upstream", "replay", "--target", "city").stdout
    assert ask() == [] and alarm() == [], "what went up once more is there"
    asked = len(city.asked())
    county.send(path)
    assert len(city.asked()) == asked, "then not before tomorrow"


def test_month_waits_for_the_comparison(county, city):
    """A month's figures are not sent before the city was asked what it has; one that does not answer has a day."""
    path = county.target(city.url, ask=ASK, resources={"statistics": {"path": "/months", "fields": {
        "number": {"from": "$number"}, "hash": {"from": "$hash"}, "case": {"from": "department"}, "step": {"from": "month"}}}})
    county.database.value("SELECT test.drive('closed')")
    county.send(path)
    city.behave(silent=True)
    county.database.query("INSERT INTO onemap.exchange_record (target, resource, record, version, chain, content, hash) SELECT 'city', 'statistics', '2026-10/x', 1,"
                          " 'statistics:2026-10/x', c, sha256(convert_to(c::text, 'UTF8')) FROM (SELECT '{\"month\": \"2026-10-01\", \"department\": \"x\"}'::jsonb) c (c)")
    county.send(path)
    assert city.stored() == []
    city.behave()
    county.database.query("UPDATE onemap.exchange_target SET ask_next_at = '-infinity'")
    county.send(path)
    assert [one["case"] for one in city.stored()] == ["x"] and len(city.asked()) == 2
