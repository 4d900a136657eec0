"""Commands to terminals (终端指令): from the API by the broker to the terminal and back, once, with what became of them."""
import json
import re
import struct
import time

import pytest
from harness import jt808
from harness.gateway import Gateway, county_with_gateway
from harness.monitor import Monitor
from harness.people import ORIGIN, Visitor
from harness.process import wait_until
from harness.site import Site

TRUCKS, MONITORS = ["13800000001", "13800000002", "13800000003"], ["MN-TELL-1", "MN-TELL-2"]
LOCKED, KEY = "MN-TELL-KEY", b"0123456789abcdef"
TEXT, SET, QUERY, WHERE = 0x8300, 0x8103, 0x8104, 0x8201


class County:
    """A hub, a gateway, trucks (construction_waste) and monitors (dust), and a dispatcher."""

    def __init__(self, database, broker, folder):
        self.site, self.database, self.broker = Site(database, broker, folder), database, broker
        self.hub = self.site.hub({**broker.hub_settings(), "http.origins": ORIGIN}, start=False)
        password = folder / "vendor.password"
        password.write_text("a-password-of-the-tests\n")
        for vendor, subsystem, protocol, names in (("trucks", "construction_waste", "jt808", TRUCKS), ("acme", "dust", "hj212", MONITORS)):
            self.hub.run("vendor", "add", "--subsystem", subsystem, "--vendor", vendor, "--password-file", password)
            for name in names:
                self.hub.run("terminal", "add", "--protocol", protocol, "--identity", name, "--subsystem", subsystem, "--vendor", vendor)
        password.write_text(KEY.decode() + "\n")
        self.hub.run("terminal", "add", "--protocol", "hj212", "--identity", LOCKED, "--subsystem", "dust", "--vendor", "acme", "--key-file", password)
        self.hub.start()
        self.gateway = Gateway(self.hub, broker, folder, {"gateway.history_s": 0}).start()
        wait_until(lambda: self.gateway.terminals() == len(TRUCKS + MONITORS) + 1, 60, "the gateway has the list")
        self.dispatcher = Visitor(self.hub, "dispatcher")

    def path(self, identity):
        found = [one["id"] for one in self.dispatcher.get("/api/v1/terminals").json()["terminals"] if one["identity"] == identity]
        return f"/api/v1/terminals/{found[0]}/commands"

    def tell(self, identity, **sent):
        answer = self.dispatcher.post(self.path(identity), sent)
        assert answer.status_code == 201 and answer.json()["state"] == "waiting", answer.text
        return answer.json()["id"]

    def command(self, identity, number):
        return next(one for one in self.dispatcher.get(self.path(identity)).json()["commands"] if one["id"] == number)

    def became(self, identity, number, state):
        return wait_until(lambda: (one := self.command(identity, number))["state"] == state and one, 60, f"command {number} is {state}")


@pytest.fixture(scope="module")
def county(cluster, logs):
    with county_with_gateway(County, cluster, logs / "test_gateway_tell") as county:
        yield county


@pytest.fixture
def truck(county):
    opened = []

    def make(phone, **options):
        opened.append(jt808.Terminal("127.0.0.1", county.gateway.jt808_port, ("0" + phone).rjust(20 if options.get("year") == 2019 else 12, "0"), **options))
        assert opened[-1].result(opened[-1].send(jt808.HEARTBEAT)) == 0
        return opened[-1]
    yield make
    for one in opened:
        one.close()


@pytest.fixture
def monitor(county):
    opened = []

    def make(mn, key=None):
        opened.append(Monitor("127.0.0.1", county.gateway.hj212_port, mn, key=key))
        assert "CN=9014;" in opened[-1].receive(opened[-1].send({"a34004-Rtd": 35.2}))
        return opened[-1]
    yield make
    for one in opened:
        one.close()


def acknowledge(one, came, result=0):
    one.send(jt808.ACK, struct.pack(">HHB", came["serial"], came["id"], result))


def request(device, command):
    """(QN, content) of the next request with that CN."""
    def came():
        device.receive("none", timeout=0.3)
        for number, one in enumerate(device.answers):
            found = re.search(rf"QN=(\d+);ST=39;CN={command};PW=123456;MN={device.mn};Flag=[59];CP=&&(.*)&&", one)
            if found:
                device.answers.pop(number)
                return found.groups()
        return None
    return wait_until(came, 60, f"{device.mn} is asked {command}")


# ---- JT/T 808

@pytest.mark.parametrize("year, flags", [(2013, "0d"), (2019, "0e01")])
def test_a_text_for_the_driver_is_acknowledged(county, truck, year, flags):
    one = truck(TRUCKS[0], year=year)
    number = county.tell(TRUCKS[0], command="text", text="请减速", urgent=True)
    came = one.receive(TEXT, timeout=60)
    assert came["body"] == bytes.fromhex(flags) + "请减速".encode("gbk")
    sent = county.became(TRUCKS[0], number, "sent")
    assert sent["gateway"] == "gateway" and sent["asked_by"] == county.dispatcher.login and sent["state_zh"] == "已发"
    acknowledge(one, {**came, "serial": came["serial"] + 1})
    acknowledge(one, came)
    done = county.became(TRUCKS[0], number, "acknowledged")
    assert done["answer"] == {"result": 0} and done["answered_at"]
    assert one.receive(TEXT, timeout=0.5) is None, "and is told once"
    assert county.database.value("SELECT count(*) FROM onemap.audit_log l WHERE l.action = 'terminal_command' AND l.person = %s"
                                 " AND (l.detail->>'number')::bigint = %s", county.dispatcher.login, number) == 1


def test_a_terminal_says_no(county, truck):
    one = truck(TRUCKS[0])
    number = county.tell(TRUCKS[0], command="set_parameters", parameters={"0x29": 30, "0x55": 60})
    came = one.receive(SET, timeout=60)
    assert came["body"].hex() == "02" "00000029040000001e" "00000055040000003c"
    acknowledge(one, came, 3)
    assert county.became(TRUCKS[0], number, "failed")["answer"] == {"result": 3}


def test_where_are_you_is_answered_with_a_position_that_is_stored_too(county, truck):
    one, when = truck(TRUCKS[1]), int(time.time()) - 5
    number = county.tell(TRUCKS[1], command="position")
    came = one.receive(WHERE, timeout=60)
    assert came["body"] == b""
    acknowledge(one, came)
    serial = one.send(0x0201, struct.pack(">H", came["serial"]) + jt808.position(lat=34.0583, lon=114.3925, when=when, speed=12.5))
    assert one.result(serial) == 0
    answer = county.became(TRUCKS[1], number, "acknowledged")["answer"]
    assert answer == {"result": 0, "fix": True, "lon": 114.3925, "lat": 34.0583, "speed_km_h": 12.5, "observed_at_ms": when * 1000}
    assert county.database.value("SELECT count(*) FROM onemap.track_point p JOIN onemap.device d ON d.id = p.device_id WHERE d.code = %s"
                                 " AND p.observed_at = to_timestamp(%s)", TRUCKS[1], when) == 1


@pytest.mark.parametrize("pieces", [1, 3])
def test_parameters_are_kept_before_they_are_acknowledged(county, truck, pieces):
    one = truck(TRUCKS[1])
    number = county.tell(TRUCKS[1], command="parameters")
    came = one.receive(QUERY, timeout=60)
    values = [(0x29, b"\0\0\0\x1e"), (0x13, b"10.0.0.1"), (0x84, b"\2"), (0x83, "豫A12345".encode("gbk")), (0xF001, b"\x7e" * 3)]
    body = struct.pack(">HB", came["serial"], len(values)) + b"".join(struct.pack(">IB", ident, len(value)) + value for ident, value in values)
    size = -(-len(body) // pieces)
    frames = jt808.frames(0x0104, body, size=size, serial=500, phone=one.phone) if pieces > 1 else [jt808.frame(0x0104, body, phone=one.phone, serial=500)]
    assert len(frames) == pieces
    for _ in range(2):  # its answer was lost
        for piece in frames:
            one.socket.sendall(piece)
        assert [one.result(500 + n) for n in range(pieces)] == [0] * pieces
        done = county.command(TRUCKS[1], number)
        assert done["state"] == "acknowledged", "8001 comes after it is kept"
        assert done["answer"] == {"parameters": {"0x0029": 30, "0x0013": "10.0.0.1", "0x0084": 2, "0x0083": "豫A12345".encode("gbk").hex(), "0xF001": "7e7e7e"}}
    one.socket.sendall(jt808.frame(0x0104, struct.pack(">HB", came["serial"] + 9, 0), phone=one.phone, serial=600))
    assert one.result(600) == 3, "what was not asked for is not taken for stored"


def test_who_is_away_is_told_when_he_comes_and_nobody_after_the_time(county, truck):
    late = county.tell(TRUCKS[2], command="text", text="太晚", expires_s=10)
    number = county.tell(TRUCKS[2], command="text", text="欢迎")
    assert county.became(TRUCKS[2], late, "expired")["state_zh"] == "过期未发" and county.command(TRUCKS[2], number)["state"] == "waiting"
    one = truck(TRUCKS[2])
    came = one.receive(TEXT, timeout=60)
    assert came["body"][1:] == "欢迎".encode("gbk")
    acknowledge(one, came)
    county.became(TRUCKS[2], number, "acknowledged")
    assert one.receive(TEXT, timeout=0.5) is None


def test_a_gateway_that_is_killed_says_nothing_and_tells_nothing_twice(county, truck):
    one = truck(TRUCKS[2])
    number = county.tell(TRUCKS[2], command="text", text="一次")
    assert one.receive(TEXT, timeout=60)
    county.became(TRUCKS[2], number, "sent")
    county.gateway.kill()
    county.gateway.start()
    county.gateway.sync()
    one = truck(TRUCKS[2])
    after = county.tell(TRUCKS[2], command="text", text="以后")
    came = one.receive(TEXT, timeout=60)
    assert came["body"][1:] == "以后".encode("gbk"), "the first one is not told again"
    acknowledge(one, came)
    county.became(TRUCKS[2], after, "acknowledged")
    assert county.command(TRUCKS[2], number)["state"] == "sent"
    county.database.query("UPDATE onemap.terminal_command SET sent_at = sent_at - interval '151 s' WHERE id = %s", number)
    assert county.command(TRUCKS[2], number)["state_zh"] == "超时未答", "the hub's clock says so"


# ---- HJ 212

def test_a_monitor_is_told_one_thing_after_the_other(county, monitor):
    device = monitor(MONITORS[0])
    first = county.tell(MONITORS[0], command="set_interval", interval=60)
    second = county.tell(MONITORS[0], command="interval")
    qn, content = request(device, 1062)
    assert content == "RtdInterval=60"
    device.send({"QnRtn": 1}, command=9011, qn=qn, flag=4)
    device.send({"ExeRtn": 1}, command=9012, qn="20260101000000000", flag=4)
    wait_until(lambda: county.command(MONITORS[0], first)["answer"] == {"QnRtn": "1"}, 60, "it has taken it")
    assert county.command(MONITORS[0], first)["state"] == "sent"
    device.receive("none", timeout=0.5)
    assert not [one for one in device.answers if "CN=1061;" in one] and county.command(MONITORS[0], second)["state"] == "waiting"
    device.send({"ExeRtn": 1}, command=9012, qn=qn, flag=4)
    assert county.became(MONITORS[0], first, "acknowledged")["answer"] == {"QnRtn": "1", "ExeRtn": "1"}
    qn, content = request(device, 1061)
    assert content == ""
    device.send({"QnRtn": 1}, command=9011, qn=qn, flag=4)
    device.send({"RtdInterval": 60}, command=1061, qn=qn, flag=4)
    device.send({"ExeRtn": 1}, command=9012, qn=qn, flag=4)
    assert county.became(MONITORS[0], second, "acknowledged")["answer"] == {"QnRtn": "1", "RtdInterval": "60", "ExeRtn": "1"}
    assert county.database.value("SELECT count(*) FROM onemap.quarantine q WHERE q.vendor = 'acme'") == 0, "a setting is no reading"


def test_clock_and_history(county, monitor):
    device = monitor(MONITORS[1])
    number = county.tell(MONITORS[1], command="set_clock")
    qn, content = request(device, 1012)
    assert abs(time.mktime(time.strptime(content, "SystemTime=%Y%m%d%H%M%S")) - 28800 - time.mktime(time.gmtime())) < 60
    device.send({"QnRtn": 3}, command=9011, qn=qn, flag=4)
    assert county.became(MONITORS[1], number, "failed")["answer"] == {"QnRtn": "3"}
    number = county.tell(MONITORS[1], command="history", data="hour", **{"from": "2026-01-01T08:00:00+08:00", "to": "2026-01-01T20:00:00+08:00"})
    qn, content = request(device, 2061)
    assert content == "BeginTime=20260101080000,EndTime=20260101200000"
    device.send({"ExeRtn": 100}, command=9012, qn=qn, flag=4)
    assert county.became(MONITORS[1], number, "failed")["answer"] == {"ExeRtn": "100"}


# ---- keys

def secret_in(county, text):
    """Where a secret can be read that must be nowhere: logs, audit log, commands as people see them."""
    texts = [county.gateway.process.log_path.read_text(), county.hub.process.log_path.read_text(), county.dispatcher.get(county.path(LOCKED)).text,
             county.dispatcher.get("/api/v1/terminals").text, county.hub.run("terminal", "list", "--json").stdout,
             county.hub.run("terminal", "list", "--commands", "--json").stdout,
             county.database.value("SELECT string_agg(l.detail::text, ' ') FROM onemap.audit_log l"),
             county.database.value("SELECT coalesce(string_agg(r.name || r.value, ' '), '') FROM onemap.interval_other_report r")]
    return [n for n, one in enumerate(texts) if text in one or text.encode().hex() in one]


def given_key(device):
    """Takes the key that comes down, as a monitor does: (QN, key)."""
    qn, content = request(device, 1014)
    made, key = re.fullmatch(r"SKCreateTime=(\d{17}),NewSK=([A-Za-z0-9]{16})", content).groups()
    assert abs(time.mktime(time.strptime(made[:14], "%Y%m%d%H%M%S")) - 28800 - time.mktime(time.gmtime())) < 300
    return qn, key


def opens(device, key, timeout=30):
    """Whether the gateway takes what is encrypted with a key."""
    device.key = key
    return device.receive(device.send({"a34004-Rtd": 35.2}, flag=9), timeout=timeout) is not None


def test_a_monitor_gets_a_new_key_and_the_old_one_is_gone_when_it_is_used(county, monitor):
    device = monitor(LOCKED, key=KEY)
    number = county.tell(LOCKED, command="new_key")
    qn, key = given_key(device)
    assert "SM4 since " in county.hub.run("terminal", "list").stdout and ", next given" in county.hub.run("terminal", "list").stdout
    county.gateway.kill()  # before the monitor has answered: what it has heard is good all the same
    county.gateway.start()
    device = monitor(LOCKED, key=KEY)
    assert opens(device, KEY) and opens(device, key.encode()), "both hold"
    wait_until(lambda: county.database.value("SELECT t.sm4_next IS NULL AND t.sm4_key = %s FROM onemap.terminal t WHERE t.identity = %s", key.encode(), LOCKED),
               60, "the hub knows that it is used")
    county.gateway.sync()
    assert not opens(device, KEY, timeout=2) and opens(device, key.encode()), "the old one is gone"
    assert county.command(LOCKED, number)["state"] == "sent" and county.command(LOCKED, number)["detail"] == {}
    assert secret_in(county, key) == [] and key not in str(device.answers)


def test_a_monitor_asks_for_a_new_key(county, monitor):
    key = bytes(county.database.value("SELECT t.sm4_key FROM onemap.terminal t WHERE t.identity = %s", LOCKED))
    county.database.query("UPDATE onemap.terminal_command SET asked_at = asked_at - interval '11 minutes' WHERE kind = 'new_key'")
    device = monitor(LOCKED, key=key)
    qn, frame = device.frame(None, command=1014, flag=9)
    device.socket.sendall(frame)
    assert "CN=9013;" in device.receive(qn)
    assert county.database.value("SELECT count(*) FROM onemap.terminal_command c WHERE c.asked_by = 'terminal'") == 1, "answered when it is noted"
    qn, new = given_key(device)
    device.send({"QnRtn": 1}, command=9011, qn=qn, flag=8)
    device.send({"ExeRtn": 1}, command=9012, qn=qn, flag=8)
    number = county.database.value("SELECT c.id FROM onemap.terminal_command c WHERE c.asked_by = 'terminal'")
    county.became(LOCKED, number, "acknowledged")
    assert opens(device, new.encode())
    stranger = monitor(MONITORS[0])
    qn, frame = stranger.frame(None, command=1014, flag=9)
    stranger.socket.sendall(frame)
    answer = stranger.receive(qn)
    assert "CN=9011;" in answer and "QnRtn=2" in answer, "who has no key is refused"


# ---- who may

def test_who_may_tell(county):
    path = county.path(TRUCKS[0])
    for posts, department in (("supervisor", None), ("viewer", None), ("leader", None)):
        visitor = Visitor(county.hub, posts, department)
        assert visitor.post(path, {"command": "position"}).status_code == visitor.get(path).status_code == visitor.get("/api/v1/terminals").status_code == 403
    answer = county.dispatcher.post(path, {"command": "set_clock"})
    assert answer.status_code == 422 and answer.json()["type"].endswith("CH073") and "text" in answer.json()["hint"], answer.text
    assert county.dispatcher.post("/api/v1/terminals/999999/commands", {"command": "position"}).status_code == 404
    assert county.dispatcher.post(path, {"command": "set_parameters", "parameters": {"0x13": 1}}).json()["type"].endswith("CH013")


def test_from_the_command_line(county, truck):
    one = truck(TRUCKS[0])
    said = county.hub.run("terminal", "tell", "--protocol", "jt808", "--identity", TRUCKS[0], "--command", "set_parameters",
                          "--set", 'parameters={"0x0029": 10}', "--set", "expires_s=60").stdout
    number = int(re.match(r"command (\d+) waits for terminal 13800000001 of jt808 until ", said)[1])
    came = one.receive(SET, timeout=60)
    acknowledge(one, came)
    county.became(TRUCKS[0], number, "acknowledged")
    listed = json.loads(county.hub.run("terminal", "list", "--commands", "--json").stdout)
    assert (listed[0]["id"], listed[0]["state"], listed[0]["detail"]) == (number, "acknowledged", {"parameters": {"0x0029": 10}})
    refused = county.hub.run("terminal", "tell", "--protocol", "hj212", "--identity", MONITORS[0], "--command", "text", "--set", "text=x", code=None)
    assert refused.returncode != 0 and 'takes no command "text"' in refused.stderr
