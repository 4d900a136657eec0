"""Webhooks: what a subscription is told arrives signed, once and in order, whatever the receiver (harness/city.py) does and however often the
sender is killed; what must not be reached is not; one that hangs holds up no other; one that fails for long is disabled, and resumed.

CITYHUB_KILLS: how many times; else six."""
import hashlib
import hmac
import json
import os
import pathlib
import random
import signal

import pytest
from harness import paths
from harness.city import City
from harness.hub import Hub
from harness.process import Process, wait_until


class Nowhere:
    """The sender needs no broker."""
    host, port = "127.0.0.1", 1


class County:
    """Cases' words (test.drive), programs that subscribe, and the sender's login, which has the rights of cityhub_exchange alone."""

    def __init__(self, database, folder):
        self.database, self.folder, self.sender_count = database, folder, 0
        database.query((paths.ROOT / "tests" / "schema" / "include" / "case_fixture.sql").read_text())
        database.query("DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'upstream_login') THEN"
                       " CREATE ROLE upstream_login LOGIN IN ROLE cityhub_exchange; END IF; END $$")
        self.hub = Hub(database, Nowhere, folder, {"database.conninfo": database.cluster.conninfo(database.name, user="upstream_login")}, "push")
        Hub(database, Nowhere, folder, {"database.conninfo": database.conninfo}, "operator").run("token", "add", "program", "--rights", "read")

    def ask(self, function, sent=None, **members):
        """A route's function as the program asks it."""
        request = "jsonb_build_object('identity', (SELECT onemap.identity_of_token(t.id) FROM onemap.token t)) || %s"
        answer = self.database.value(f"SELECT f.body::text FROM onemap.{function}({request}{', %s' if sent else ''}) f", json.dumps(members),
                                     *([json.dumps(sent)] if sent else []))
        return answer and json.loads(answer)

    def subscribe(self, name, url, **more):
        return self.ask("http_subscription_add", {"name": name, "resources": ["case_step"], "webhook": {"url": url, **more}})

    def webhook(self, subscription):
        return self.ask("http_subscription", id=subscription["id"])["webhook"]

    def file(self, **changes):
        path = self.folder / "webhooks.json"
        path.write_text(json.dumps({"plain_http": True, "private_addresses": ["127.0.0.1/32"], "timeout_s": 1, **changes}))
        return path

    def push(self, code=0, **changes):
        return self.hub.run("upstream", "push", "--once", self.file(**changes), code=code)

    def sender(self):
        self.sender_count += 1
        return Process(f"push-{self.sender_count}", [paths.cityhub(), "--config", self.hub.config_path, "upstream", "push", self.file()],
                       self.folder / f"push-{self.sender_count}.log", env=self.hub.environment)


def children(process):
    return [int(child) for child in pathlib.Path(f"/proc/{process}/task/{process}/children").read_text().split()]


@pytest.fixture
def county(database, work_folder):
    return County(database, work_folder)


@pytest.fixture
def receiver(work_folder):
    city = City(work_folder)
    try:
        yield city.start()
    finally:
        city.close()


@pytest.mark.parametrize("sign", ["hmac-sha256", "hmac-sm3"])
def test_signed(county, receiver, sign):
    made = county.subscribe("all", receiver.url + "/events?x=1", sign=sign)
    assert "secret" not in county.webhook(made) and "secret" not in county.subscribe("all", receiver.url + "/events?x=1", sign=sign)["webhook"]
    code = county.database.value("SELECT test.drive('accepted')")
    assert county.push().stdout == f"subscription-{made['id']}: 2 accepted, 0 refused, 0 to be tried again\n"
    county.push()
    assert [(one["resource"], one["record"], one["version"]) for one in receiver.stored()] == [("case_step", f"{code}/1", 1), ("case_step", f"{code}/2", 1)]
    assert receiver.repetitions() == 0, "nothing twice"
    for one in receiver.signed():
        over = "\n".join((one["x-cityhub-time"], one["x-cityhub-nonce"], one["body"]))
        assert one["x-cityhub-signature"] == hmac.new(made["webhook"]["secret"].encode(), over.encode(), sign.removeprefix("hmac-")).hexdigest()
        assert one["x-cityhub-subscription"] == str(made["id"])
        event = json.loads(one["body"])
        assert hashlib.sha256(event["content"].encode()).hexdigest() == event["hash"] and json.loads(event["content"])["case_code"] == code
    events = county.ask("http_subscription_events", id=made["id"], after=0, limit=10)["events"]
    assert [str(one["event"]) for one in events] == [one["event"] for one in receiver.stored()], "by cursor they are the same"


def test_what_must_not_be_reached(county, receiver):
    made = county.subscribe("all", receiver.url)
    county.database.value("SELECT test.drive('accepted')")
    county.push(code=1, private_addresses=[])
    assert receiver.requests() == 0
    assert "an address that is not public" in county.webhook(made)["problem"] and county.webhook(made)["state"] == "failing"
    county.database.query("UPDATE onemap.exchange_target SET paused_until = '-infinity'")
    receiver.behave(redirect="http://127.0.0.2:1/metadata")
    county.push(code=1)
    assert receiver.stored() == [] and "302" in county.webhook(made)["problem"], "a redirect is not followed"
    county.push(code=1, plain_http=False)
    told = county.hub.run("upstream", "push", "--once", county.file(moon=1), code=1).stderr
    assert 'there is no member "moon"' in told
    receiver.behave()
    county.database.query("UPDATE onemap.exchange_target SET paused_until = '-infinity'")
    county.push()
    assert len(receiver.stored()) == 2


def test_hostile_receiver_and_killed_sender(county, receiver):
    """In the end every event is there, stored once, each case's in its order."""
    kills, chance = int(os.environ.get("CITYHUB_KILLS", "6")), random.Random(3)
    made = county.subscribe("all", receiver.url)
    receiver.behave(chaos=True, seed=11)
    for number in range(kills):
        county.database.value("SELECT count(test.drive('dispatched')) FROM generate_series(1, 4)")
        before, sender = receiver.requests(), county.sender()
        sender.start()
        more = chance.randrange(1, 8)
        wait_until(lambda before=before, more=more: receiver.requests() >= before + more, 60, "it sends")
        for child in children(sender.pid) if number % 2 else ():
            os.kill(child, signal.SIGKILL)
        sender.kill()
    receiver.behave()
    sender = county.sender()
    sender.start()

    def settled():
        county.database.query("UPDATE onemap.exchange_target SET paused_until = '-infinity'")
        county.database.query("UPDATE onemap.exchange_record SET next_attempt_at = '-infinity' WHERE state = 'waiting' AND answered_at >= sent_at")
        return county.database.value("SELECT bool_and(state = 'accepted') AND count(*) = %s FROM onemap.exchange_record", 16 * kills)
    wait_until(settled, 120, "all has arrived")
    assert sender.end() == 0, sender.log_tail()
    stored = receiver.stored()
    assert len({one["event"] for one in stored}) == len(stored) == 16 * kills
    for case in {one["record"].split("/")[0] for one in stored}:
        assert [int(one["record"].split("/")[1]) for one in stored if one["record"].startswith(case)] == [1, 2, 3, 4]
    assert county.webhook(made)["state"] == "good"


def test_one_that_hangs_holds_up_no_other(county, receiver, work_folder):
    (work_folder / "other").mkdir()
    slow = City(work_folder / "other")
    slow.start()
    try:
        slow.behave(hang=30)
        hanging, good = county.subscribe("slow", slow.url), county.subscribe("good", receiver.url)
        sender = county.sender()
        sender.start()
        county.database.value("SELECT test.drive('dispatched')")
        wait_until(lambda: len(receiver.stored()) == 4, 60, "the other has all")
        wait_until(lambda: county.webhook(hanging)["state"] == "failing", 60, "the slow one is failing")
        assert county.webhook(good)["state"] == "good"
        county.ask("http_subscription_end", id=good["id"])
        later = county.subscribe("later", receiver.url)
        county.database.value("SELECT test.drive('accepted')")
        wait_until(lambda: county.webhook(later)["waiting"] == 0 and len(receiver.stored()) == 6, 60, "what is new has a sender, what has ended none")
        assert sender.end() == 0, sender.log_tail()
    finally:
        slow.close()


def test_disabled_and_resumed(county, receiver):
    made = county.subscribe("all", receiver.url)
    county.database.query("UPDATE onemap.setting SET value = '0 seconds' WHERE key = 'webhook_patience'")
    county.database.value("SELECT test.drive('accepted')")
    receiver.behave(status=410)
    county.push(code=1)
    assert county.webhook(made)["state"] == "refused"
    assert county.database.value("SELECT onemap.webhook_sweep()") == 1
    assert county.webhook(made)["state"] == "disabled"
    open_alarms = ("SELECT count(*) FROM onemap.alarm a JOIN onemap.alarm_rule r ON r.id = a.rule_id"
                   " WHERE r.key = 'webhook_disabled' AND a.closed_at IS NULL AND a.detail->>'text_zh' LIKE '%已停用'")
    assert county.database.value(open_alarms) == 1
    receiver.behave()
    assert county.push().stdout == "" and receiver.stored() == [], "nothing is sent"
    assert county.ask("http_webhook_resume", id=made["id"])["webhook"]["state"] == "good"
    county.push()
    assert len(receiver.stored()) == 2
    county.database.value("SELECT onemap.webhook_sweep()")
    assert county.database.value(open_alarms) == 0
