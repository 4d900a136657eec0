"""`cityhub quarantine`: list, show and replay. A plain subscriber stands in for the hub: replay publishes to the broker."""
import json
import re
import threading

import paho.mqtt.client as mqtt
import pytest
from harness import paths
from harness.hub import Hub
from harness.process import wait_until

PAYLOADS = [b'{"device_code": "a"}', b"\x00\x01\xff" * 100, b"", '{"name": "扬尘"}'.encode(), b"[" * 2000]


@pytest.fixture
def hub(database, broker, work_folder):
    return Hub(database, broker, work_folder)


@pytest.fixture
def ids(database):
    """Five messages in quarantine: dust, gas, dust, gas, dust; the last one was replayed before."""
    found = []
    for number, payload in enumerate(PAYLOADS):
        subsystem = ("dust", "gas")[number % 2]
        found.append(database.value(
            "INSERT INTO onemap.quarantine (received_at, subsystem, vendor, kind, topic, payload, code, reason, problems, record_count, replayed_at, replay_count)"
            " VALUES (now() - %s * interval '1 hour', %s, 'acme', 'telemetry', %s, %s, %s, %s, %s, 7, CASE WHEN %s THEN now() END, %s) RETURNING id",
            5 - number, subsystem, f"cityhub/v1/{subsystem}/acme/telemetry", payload, ("no_time", "malformed")[number % 2], f"reason {number}",
            json.dumps([{"index": 2, "code": "no_time", "reason": f"reason {number}"}, {"index": 5, "code": "no_code", "reason": "another\x1b[31m one"}]),
            number == 4, int(number == 4)))
    return found


class Subscriber:
    def __init__(self, broker):
        self.messages = []
        subscribed = threading.Event()
        self.client = mqtt.Client(protocol=mqtt.MQTTv5)
        self.client.on_subscribe = lambda *_: subscribed.set()
        self.client.on_message = lambda client, user, message: self.messages.append(message)
        self.client.connect(broker.host, broker.port)
        self.client.loop_start()
        wait_until(self.client.is_connected, 30, "the subscriber is connected")
        self.client.subscribe("cityhub/v1/#", qos=1)
        assert subscribed.wait(30)

    def wait(self, count):
        wait_until(lambda: len(self.messages) >= count, 30, f"{count} messages arrive ({len(self.messages)} did)")
        return sorted(int(dict(message.properties.UserProperty)["cityhub-replay"]) for message in self.messages)


@pytest.fixture
def subscriber(broker):
    subscriber = Subscriber(broker)
    yield subscriber
    subscriber.client.disconnect()
    subscriber.client.loop_stop()


def listed(hub, *arguments):
    return [row["id"] for row in json.loads(hub.run("quarantine", "list", "--json", *arguments).stdout)]


def replays(database):
    return [count for count, in database.query("SELECT replay_count FROM onemap.quarantine ORDER BY id")]


def test_list(hub, ids):
    assert listed(hub) == ids[3::-1], "those that wait, newest first"
    assert listed(hub, "--all") == ids[::-1]
    assert listed(hub, "--limit", "2") == [ids[3], ids[2]]
    assert listed(hub, "--subsystem", "gas") == [ids[3], ids[1]]
    assert listed(hub, "--subsystem", "gas", "--since", "3 hours") == [ids[3]]
    assert listed(hub, "--code", "no_time", "--vendor", "acme", "--kind", "telemetry") == [ids[2], ids[0]]
    assert listed(hub, "--kind", "work") == []
    row = json.loads(hub.run("quarantine", "list", "--json", "--limit", "1").stdout)[0]
    assert (row["bytes"], row["records"], row["problems"], "payload" in row) == (len(PAYLOADS[3]), 7, 2, False)
    table = hub.run("quarantine", "list", "--limit", "2").stdout
    assert "reason 3" in table and "reason 1" not in table and "The first 2; --limit shows more." in table


def test_list_of_nothing(hub):
    assert hub.run("quarantine", "list").stdout == "no message waits\n"
    assert hub.run("quarantine", "list", "--all").stdout == "no message fits\n"
    assert listed(hub) == []


def test_show(hub, ids, work_folder):
    shown = hub.run("quarantine", "show", ids[3]).stdout
    for part in ("cityhub/v1/gas/acme/telemetry", "malformed", "reason 3", "record 2: no_time: reason 3", "record 5: no_code:", '{"name": "扬尘"}'):
        assert part in shown, shown
    assert "\x1b" not in shown, "control characters of a vendor reach the terminal"
    binary = hub.run("quarantine", "show", ids[1]).stdout
    assert "300 bytes\n" in binary and "It begins with:\n00 01 ff 00" in binary
    assert "It begins with:\n[[[" in hub.run("quarantine", "show", ids[4]).stdout
    for number, payload in enumerate(PAYLOADS):
        hub.run("quarantine", "show", ids[number], "--payload", work_folder / f"payload{number}")
        assert (work_folder / f"payload{number}").read_bytes() == payload, "the payload is kept to the byte"
    assert hub.run("quarantine", "show", ids[0], "--payload", "-").stdout == PAYLOADS[0].decode()
    done = hub.run("quarantine", "show", ids[1], "--payload", work_folder / "payload0", code=1)
    assert "File exists" in done.stderr and (work_folder / "payload0").read_bytes() == PAYLOADS[0], "a file that was there is as it was"
    assert "the quarantine has no message 999999" in hub.run("quarantine", "show", "999999", code=1).stderr


def test_replay_all_that_wait(hub, ids, subscriber, database):
    done = hub.run("quarantine", "replay", "--all")
    assert done.stdout == "4 replayed, 0 not\n"
    assert subscriber.wait(4) == ids[:4]
    for message in subscriber.messages:
        number = ids.index(int(dict(message.properties.UserProperty)["cityhub-replay"]))
        assert (message.payload, message.topic, message.qos, message.retain) == (
            PAYLOADS[number], f"cityhub/v1/{('dust', 'gas')[number % 2]}/acme/telemetry", 1, False)
    assert replays(database) == [1, 1, 1, 1, 1]
    assert database.value("SELECT count(*) FROM onemap.quarantine WHERE replayed_at IS NULL") == 0
    assert hub.run("quarantine", "replay", "--all").stdout == "0 replayed, 0 not\n", "nothing waits any more"
    assert hub.run("quarantine", "list").stdout == "no message waits\n"
    assert database.value("SELECT count(*) FROM onemap.audit_log WHERE action = 'quarantine_replay'") == 4


def test_replay_of_some(hub, ids, subscriber, database):
    assert hub.run("quarantine", "replay", ids[4], ids[1]).stdout == "2 replayed, 0 not\n"
    assert subscriber.wait(2) == [ids[1], ids[4]], "named ones are sent even if they were before"
    assert hub.run("quarantine", "replay", "--subsystem", "dust", "--limit", "1").stdout == "1 replayed, 0 not\n"
    assert replays(database) == [1, 1, 0, 0, 2], "the oldest first"
    assert hub.run("quarantine", "replay", "--subsystem", "gas", "--again").stdout == "2 replayed, 0 not\n"
    assert replays(database) == [1, 2, 0, 1, 2]
    done = hub.run("quarantine", "replay", ids[0], 999999, code=1)
    assert "the quarantine has no message 999999" in done.stderr and done.stdout == "1 replayed, 1 not\n"


def test_replay_of_more_than_a_window(hub, subscriber, database):
    database.query("INSERT INTO onemap.quarantine (received_at, subsystem, vendor, kind, topic, payload, code, reason)"
                   " SELECT now(), 'dust', 'acme', 'telemetry', 'cityhub/v1/dust/acme/telemetry', convert_to(n::text, 'UTF8'), 'c', 'r' FROM generate_series(1, 1100) n")
    assert hub.run("quarantine", "replay", "--all").stdout == "1100 replayed, 0 not\n"
    subscriber.wait(1100)
    assert sorted(int(message.payload) for message in subscriber.messages) == list(range(1, 1101)), "each once"
    assert set(replays(database)) == {1}


def test_replay_that_nobody_receives(hub, ids, database):
    done = hub.run("quarantine", "replay", "--all", code=1)
    assert done.stdout == "0 replayed, 4 not\n"
    assert "nobody receives this topic: has the hub ever been started with this broker?" in done.stderr
    assert replays(database) == [0, 0, 0, 0, 1], "a message that nobody got was noted as replayed"


def test_topic_that_cannot_be_published(hub, ids, subscriber, database):
    database.query("UPDATE onemap.quarantine SET topic = 'cityhub/v1/#' WHERE id = %s", ids[0])
    done = hub.run("quarantine", "replay", "--all", code=1)
    assert f"message {ids[0]} was not replayed" in done.stderr and done.stdout == "3 replayed, 1 not\n", "one bad message does not hold up the others"
    assert replays(database) == [0, 1, 1, 1, 1]


def test_broker_away(hub, broker, ids, database):
    broker.stop()
    done = hub.run("quarantine", "replay", "--all", code=1)
    assert "cannot connect to the broker at 127.0.0.1" in done.stderr
    assert replays(database) == [0, 0, 0, 0, 1]


@pytest.mark.parametrize("arguments, reason", [
    ((), "usage: cityhub quarantine"), (("nonsense",), "`nonsense` is no action"), (("list", "1"), "`1` is one argument too many"),
    (("list", "--again"), "there is no option --again"), (("list", "--limit", "0"), "--limit 0: must be a whole number from 1"),
    (("list", "--limit", "x"), "--limit x"), (("list", "--subsystem", "waste"), "must be one of construction_waste"), (("list", "--json", "--csv"), "only one of them"), (("list", "--colour"), "there is no option --colour"), (("show",), "missing: ID"),
    (("show", "x"), "ID x: must be a whole number, 1 or more"), (("show", "1", "2"), "`2` is one argument too many"), (("replay",), "give ids, or else --all or filters"),
    (("replay", "1", "--all"), "give ids, or else --all or filters"), (("replay", "1x"), "ID 1x: must be a whole number"), (("replay", "0"), "ID 0: must be a whole number"),
    (("replay", "--all", "--json"), "there is no option --json"), (("replay", "1", "--limit", "1"), "give ids, or else"),
], ids=lambda value: "-".join(value) or "nothing" if isinstance(value, tuple) else "")
def test_wrong_use(hub, arguments, reason):
    done = hub.run("quarantine", *arguments, code=2)
    assert reason in done.stderr and done.stdout == ""


def test_times_that_are_none(hub):
    done = hub.run("quarantine", "list", "--since", "soon", code=2)
    assert '"soon" is no time' in done.stderr and "For example 2026-11-24" in done.stderr


@pytest.mark.parametrize("arguments, reason", [
    (("--subsystem", "streetlights"), "--subsystem streetlights: must be one of"), (("--vendor", "nobody"), 'there is no vendor "nobody"'),
    (("--kind", "telemetrie"), 'there is no kind of message "telemetrie"'), (("--code", "unknown_devise"), 'there is no code of a problem "unknown_devise"'),
], ids=lambda value: value[0] if isinstance(value, tuple) else "")
def test_a_filter_that_names_nothing(hub, arguments, reason):
    """An empty list would read as "nothing is wrong"; so it does for replay."""
    for action in ("list", "replay"):
        done = hub.run("quarantine", action, *arguments, code=2)
        assert reason in done.stderr and "no message" not in done.stdout


def test_a_filter_of_every_code_that_vendors_are_told(database):
    text = (paths.ROOT / "docs" / "vendor.md").read_text()
    section = text[text.index("\n## 问题代码"):]
    codes = re.findall(r"^\| `([a-z_]+)` \|", section[:section.index("\n## ", 5)], re.MULTILINE)
    assert len(codes) > 20
    known = database.value("SELECT onemap.problem_codes()")
    assert [code for code in codes if code not in known] == [], "onemap.problem_codes() lacks these"
