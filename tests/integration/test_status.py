"""What an operator sees of a running hub: /metrics, /api/v1/status, `cityhub status`."""
import json
import os
import pty
import re
import subprocess
import time

from harness import paths
from harness.process import wait_until


def record(number, **fields):
    return {"device_code": f"device-{number}", "observed_at_ms": int(time.time() * 1000) - 1000 + number, "pm25_ug_m3": 1.0, **fields}


def test_figures_follow_what_happens(hub, vendor_client):
    client = vendor_client("dust")
    client.send_telemetry(*[record(i) for i in range(10)])
    client.publish("telemetry", b"neither protobuf nor JSON")
    hub.metrics().check()
    assert hub.metric("cityhub_records_committed_total", subsystem="dust") == 10
    wait_until(lambda: hub.metric("cityhub_messages_quarantined_total", subsystem="dust") == 1, 30, "the bad message is counted")
    wait_until(lambda: hub.status()["quarantine_waiting"] == 1, 30, "the quarantine is counted")
    status = hub.status()
    assert status["ready"] and status["why"] is None and status["database"]["connected"]
    dust, = [one for one in status["subsystems"] if one["key"] == "dust"]
    assert (dust["lanes"], dust["connected"], dust["records_committed"], dust["messages_quarantined"]) == (1, 1, 10, 1)
    assert sorted(one["key"] for one in status["subsystems"]) == sorted(paths.SUBSYSTEMS)
    histogram = hub.metric("cityhub_commit_seconds_count", subsystem="dust")
    assert histogram == hub.metric("cityhub_batches_committed_total", subsystem="dust") > 0


def test_command_once(hub, vendor_client):
    vendor_client("dust").send_telemetry(*[record(i) for i in range(7)])
    text = hub.run("status").stdout
    assert re.search(r"^cityhub \S+ test, up .*, ready$", text, re.M), text
    assert re.search(r"^dust +\S*扬尘\S* +1/1 +- +7 ", text, re.M), text
    assert len(re.findall(r"^\S+ +\S+ +1/1 ", text, re.M)) == len(paths.SUBSYSTEMS), text
    assert "last problem: " in text and "devices online" in text
    assert json.loads(hub.run("status", "--json").stdout)["instance"] == "test"


def test_a_year_without_its_holidays(make_hub, database):
    """Deadlines of this year are counted by a plain week: whoever looks at the hub is told."""
    database.query("UPDATE onemap.calendar_day SET kind = CASE WHEN extract(isodow FROM day) < 6 THEN 'workday' ELSE 'weekend' END, "
                   "working = extract(isodow FROM day) < 6, source = '', name_zh = '' WHERE day > now() - interval '2 years'")
    hub = make_hub()
    wait_until(lambda: hub.status()["calendar"] is not None, 30, "the calendar was looked at")
    assert "no notice of holidays is entered for " in hub.status()["calendar"]
    assert re.search(r"^calendar: no notice of holidays is entered for \d{4}", hub.run("status").stdout, re.M)


def test_command_without_a_hub(make_hub):
    hub = make_hub(start=False)
    done = hub.run("status", code=1)
    assert f"no hub answers at http://127.0.0.1:{hub.http_port}/api/v1/status" in done.stderr
    assert done.stdout == ""
    hub.run("status", "--follow", code=1)
    hub.run("status", "--interval", "0", code=2)
    hub.run("status", "more", code=2)


def follow(hub, *arguments, stdout):
    return subprocess.Popen([paths.cityhub(), "--config", hub.config_path, "status", "--follow", "--interval", "1", *arguments],
                            stdout=stdout, env={**os.environ, **hub.environment})


def test_follow_by_lines(hub, vendor_client):
    client = vendor_client("dust")
    watch = follow(hub, stdout=subprocess.PIPE)
    try:
        assert "records/s" in watch.stdout.readline().decode()
        client.send_telemetry(*[record(i) for i in range(50)])
        lines = [watch.stdout.readline().decode() for _ in range(3)]
        rates = [int(match.group(1)) for line in lines for match in re.finditer(r"dust \S+ (\d+)", line)]
        assert len(rates) == 3 and max(rates) > 0, lines
        assert all(re.match(r"\d\d:\d\d:\d\d  \d+ records/s \(.*\); \d+ of \d+ devices online, ", line) for line in lines), lines
        hub.stop()
        wait_until(lambda: "no answer for" in watch.stdout.readline().decode(), 30, "the silence is told")
        hub.start()
        wait_until(lambda: "records/s (" in watch.stdout.readline().decode(), 30, "it goes on with the hub")
    finally:
        watch.terminate()
        watch.wait()
        watch.stdout.close()


def test_follow_on_a_terminal(hub):
    """The block is drawn over itself: up as many lines as it had."""
    ours, theirs = pty.openpty()
    subprocess.run(["stty", "rows", "40", "cols", "200"], stdin=theirs, check=True)
    watch = follow(hub, stdout=theirs)
    text = ""
    try:
        def drawn_again():
            nonlocal text
            text += os.read(ours, 65536).decode(errors="replace")
            return text.count("last problem: ") >= 3
        wait_until(drawn_again, 30, "the block was drawn three times")
        first, *others = text.split("\x1b[J")[1:4]
        up = re.search(r"\x1b\[(\d+)A\r$", first)
        assert up and int(up.group(1)) == first[: up.start()].count("\n"), first
        assert all(one.startswith("\x1b[?7lcityhub ") for one in (first, *others))
    finally:
        watch.terminate()
        watch.wait()
        os.close(ours)
        os.close(theirs)
