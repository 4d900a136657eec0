"""Alarms end to end: limits with duration, hysteresis and local hours; what survives a kill; rules that change while the hub runs;
silence of devices and vendors; checks in SQL, and one that fails."""
import datetime
import json
import time
import zoneinfo

import pytest
from harness.process import wait_until

SHANGHAI = zoneinfo.ZoneInfo("Asia/Shanghai")
DEFAULTS = {"name_zh": "试验", "severity": "minor", "source": "a test"}


def now_ms():
    return int(time.time() * 1000)


def set_rule(site, key, subsystem="dust", **rule):
    """A rule of this test's own, in force when this returns."""
    site.database.query("SELECT onemap.alarm_rule_default(%s, %s, %s)", subsystem, key, json.dumps({**DEFAULTS, **rule}))
    site.hubs[0].sync_registry()


def change_rule(site, key, subsystem="dust", **changes):
    site.database.query("SELECT onemap.alarm_rule_set(%s, %s, %s)", subsystem, key, json.dumps(changes))
    site.hubs[0].sync_registry()


class Device:
    """One device of a vendor, and what it says and is alarmed for under one rule. Times are milliseconds after `start`."""

    def __init__(self, client, key, metric, code="d", start=None):
        self.client, self.key, self.metric, self.code = client, key, metric, code
        self.start = start if start is not None else now_ms() - 600_000

    def say(self, at, value, **more):
        receipt = self.client.send_telemetry({"device_code": self.code, "observed_at_ms": self.start + at, self.metric: value, **more})
        assert receipt["rejected"] == 0, receipt

    def alarms(self, site):
        """[(opened after start, closed after start or None, why, value)]"""
        rows = site.database.query(
            "SELECT (extract(epoch FROM a.opened_at) * 1000)::bigint, (extract(epoch FROM a.closed_at) * 1000)::bigint, a.close_reason, a.value"
            " FROM onemap.alarm a JOIN onemap.alarm_rule r ON r.id = a.rule_id JOIN onemap.device d ON d.id = a.device_id"
            " WHERE r.key = %s AND d.vendor = %s AND d.code = %s ORDER BY a.id", self.key, self.client.vendor, self.code)
        return [(opened - self.start, None if closed is None else closed - self.start, why, value) for opened, closed, why, value in rows]

    def pending(self, site):
        rows = site.database.query(
            "SELECT (extract(epoch FROM p.since) * 1000)::bigint FROM onemap.alarm_pending p JOIN onemap.alarm_rule r ON r.id = p.rule_id"
            " JOIN onemap.device d ON d.id = p.device_id WHERE r.key = %s AND d.vendor = %s AND d.code = %s", self.key, self.client.vendor, self.code)
        return [since - self.start for since, in rows]


# ---- limits

def test_hysteresis_and_one_open_alarm(shared):
    set_rule(shared, "test_above", metric="air_temp_c", above=30, clear=25)
    device = Device(shared.new_client("dust"), "test_above", "air_temp_c")
    other = Device(device.client, "test_above", "air_temp_c", "other", device.start)
    for at, value, expected in (
            (0, 30.0, []),                                                      # at the limit is not beyond it
            (1, 30.5, [(1, None, None, 30.5)]),
            (2, 40.0, [(1, None, None, 30.5)]),                                 # one open alarm
            (3, 27.0, [(1, None, None, 30.5)]),                                 # between limit and clear it stays
            (4, 25.0, [(1, 4, "condition ended", 30.5)]),
            (5, 29.0, [(1, 4, "condition ended", 30.5)]),                       # between them no alarm opens
            (6, 31.0, [(1, 4, "condition ended", 30.5), (6, None, None, 31.0)])):
        device.say(at, value)
        assert device.alarms(shared) == expected, (at, value)
    other.say(7, 35.0)
    assert other.alarms(shared) == [(7, None, None, 35.0)] and len(device.alarms(shared)) == 2


def test_below_and_equals(shared):
    set_rule(shared, "test_below", metric="pressure_kpa", below=90, clear=95)
    set_rule(shared, "test_equals", metric="spraying_on", equals=1)
    client = shared.new_client("dust")
    low, spraying = Device(client, "test_below", "pressure_kpa"), Device(client, "test_equals", "spraying_on", "s")
    low.say(0, 92.0)
    low.say(1, 89.0)
    low.say(2, 94.9)
    low.say(3, 95.0)
    assert low.alarms(shared) == [(1, 3, "condition ended", 89.0)]
    spraying.say(0, False)
    spraying.say(1, True)
    spraying.say(2, False)
    assert spraying.alarms(shared) == [(1, 2, "condition ended", 1.0)]


def test_duration(shared):
    set_rule(shared, "test_duration", metric="wind_direction_deg", above=180, duration_s=60)
    device = Device(shared.new_client("dust"), "test_duration", "wind_direction_deg")
    device.say(0, 200.0)
    device.say(59_999, 200.0)
    assert device.alarms(shared) == [] and device.pending(shared) == [0]
    device.say(60_000, 150.0)
    assert device.alarms(shared) == [] and device.pending(shared) == []
    device.say(70_000, 200.0)
    device.say(130_000, 210.0)
    assert device.alarms(shared) == [(130_000, None, None, 210.0)] and device.pending(shared) == []


def test_what_is_not_judged(shared):
    """Readings that are none, or outside their range on the other side, and records older than one that was judged."""
    set_rule(shared, "test_unjudged", metric="humidity_percent", above=50)
    device = Device(shared.new_client("dust"), "test_unjudged", "humidity_percent")
    device.say(0, 9999)
    device.say(1, -0.5)
    device.say(10, 40.0)
    device.say(5, 60.0)
    assert device.alarms(shared) == []
    device.say(10, 40.0, noise_dba=50.0)
    device.say(11, 60.0)
    assert device.alarms(shared) == [(11, None, None, 60.0)]


def over_range(site, device):
    """[(what the alarm says of the range, its text)]"""
    return site.database.query("SELECT a.detail->>'out_of_range', o.text_zh FROM onemap.alarm a JOIN onemap.alarm_overview o ON o.id = a.id"
                               " JOIN onemap.device d ON d.id = a.device_id JOIN onemap.alarm_rule r ON r.id = a.rule_id"
                               " WHERE d.vendor = %s AND d.code = %s AND r.key = %s ORDER BY a.id", device.client.vendor, device.code, device.key)


def test_beyond_the_instrument(shared):
    """The worst moment is an alarm, in the direction of danger; in the other it opens, closes and ends nothing."""
    set_rule(shared, "test_over", metric="pm25_ug_m3", above=500, clear=400, duration_s=60)
    device = Device(shared.new_client("dust"), "test_over", "pm25_ug_m3")
    device.say(0, 1500)
    device.say(30_000, -3)
    device.say(60_000, 1000.5)
    opened = (60_000, None, None, 1000.5)
    assert device.alarms(shared) == [opened]
    ((marked, words),) = over_range(shared, device)
    assert marked == "true" and "超量程" in words
    device.say(70_000, -3)
    assert device.alarms(shared) == [opened], "what is out on the other side closes nothing"
    device.say(80_000, 300)
    assert device.alarms(shared) == [(60_000, 80_000, "condition ended", 1000.5)]
    quality = shared.database.query("SELECT quality FROM onemap.dust WHERE vendor = %s ORDER BY observed_at", device.client.vendor)
    assert [bool(flags) for flags, in quality] == [True, True, True, True, False], "each is flagged in its row"
    # At the instrument's upper limit, as the sender says: that much at least, which opens and holds, and proves no end.
    limit = Device(device.client, "test_over", "pm25_ug_m3", "limit", device.start)
    limit.say(0, 700, over_range=["pm25_ug_m3"])
    limit.say(60_000, 700, over_range=["pm25_ug_m3"])
    limit.say(70_000, 300, over_range=["pm25_ug_m3"])
    assert limit.alarms(shared) == [(60_000, None, None, 700)]
    assert "超量程：仪表已到测量上限，不低于 700 ug/m3" in over_range(shared, limit)[0][1]
    limit.say(80_000, 300)
    assert limit.alarms(shared) == [(60_000, 80_000, "condition ended", 700)]
    # An alarm that was open before is told of it by the first such reading.
    later = Device(device.client, "test_over", "pm25_ug_m3", "later", device.start)
    later.say(0, 600)
    later.say(60_000, 600)
    assert over_range(shared, later)[0][0] is None
    later.say(70_000, 2000)
    assert over_range(shared, later)[0][0] == "true" and later.alarms(shared) == [(60_000, None, None, 600)]


def test_below_the_instrument(shared):
    """Water pressure below its range is danger downwards; above it is none of the rule's."""
    set_rule(shared, "test_under", subsystem="water", metric="pressure_kpa", below=100, clear=120)
    device = Device(shared.new_client("water"), "test_under", "pressure_kpa")
    low, high = shared.database.query("SELECT min_value, max_value FROM onemap.metric WHERE subsystem = 'water' AND key = 'pressure_kpa'")[0]
    device.say(0, high + 1)
    assert device.alarms(shared) == []
    device.say(1, low - 1)
    assert device.alarms(shared) == [(1, None, None, low - 1)] and over_range(shared, device)[0][1].count("超量程") == 1
    device.say(2, high + 1)
    assert device.alarms(shared) == [(1, None, None, low - 1)]
    device.say(3, 120)
    assert device.alarms(shared) == [(1, 3, "condition ended", low - 1)]


def test_beyond_the_instrument_outlives_a_restart(site):
    """The mark and the pending condition are the database's: a hub that is killed and started says nothing twice."""
    hub = site.hub()
    set_rule(site, "test_over", metric="pm25_ug_m3", above=500, clear=400)
    device = Device(site.client("dust"), "test_over", "pm25_ug_m3")
    device.say(0, 1500)
    hub.kill()
    hub.start()
    device.say(1, 1600)
    device.say(2, -1)
    assert device.alarms(site) == [(0, None, None, 1500)] and over_range(site, device)[0][0] == "true"
    device.say(3, 10)
    assert device.alarms(site) == [(0, 3, "condition ended", 1500)]


@pytest.mark.parametrize("begins, ends, inside", [("06:00", "22:00", {"06:00", "12:00", "21:59"}),
                                                  ("22:00", "06:00", {"22:00", "23:30", "00:00", "05:59"})])
def test_hours_of_the_local_day(shared, begins, ends, inside):
    key = f"test_hours_{begins[:2]}"
    set_rule(shared, key, metric="tsp_ug_m3", above=5000, **{"from": begins, "to": ends})
    client, yesterday = shared.new_client("dust"), datetime.datetime.now(SHANGHAI).date() - datetime.timedelta(days=1)
    opened = set()
    for clock in ("00:00", "05:59", "06:00", "12:00", "21:59", "22:00", "23:30"):
        local = datetime.datetime.combine(yesterday, datetime.time.fromisoformat(clock), SHANGHAI)
        device = Device(client, key, "tsp_ug_m3", f"at-{clock}", int(local.timestamp() * 1000))
        device.say(0, 6000.0)
        if device.alarms(shared):
            opened.add(clock)
    assert opened == inside
    last = Device(client, key, "tsp_ug_m3", "through", int(datetime.datetime.combine(
        yesterday, datetime.time.fromisoformat(ends), SHANGHAI).timestamp() * 1000))
    last.say(-1, 6000.0)
    last.say(0, 6000.0)
    assert last.alarms(shared) == [(-1, 0, "condition ended", 6000.0)], "its hours over, it is over"


# ---- restarts and changes

def test_conditions_survive_a_kill(shared):
    set_rule(shared, "test_kill", metric="wind_speed_m_s", above=50, duration_s=30)
    client = shared.new_client("dust")
    opened, pending = Device(client, "test_kill", "wind_speed_m_s", "open"), Device(client, "test_kill", "wind_speed_m_s", "pending")
    opened.say(0, 55.0)
    opened.say(30_000, 56.0)
    pending.say(0, 55.0)
    for turn in range(2):
        shared.hubs[0].kill()
        shared.hubs[0].start()
        opened.say(31_000 + turn, 57.0)
        pending.say(20_000 + turn, 57.0)
        assert opened.alarms(shared) == [(30_000, None, None, 56.0)] and pending.alarms(shared) == [] and pending.pending(shared) == [0]
    pending.say(30_000, 58.0)
    assert pending.alarms(shared) == [(30_000, None, None, 58.0)], "since its first record, not since the restart"
    opened.say(40_000, 50.0)
    assert opened.alarms(shared) == [(30_000, 40_000, "condition ended", 56.0)]


def test_rule_that_is_changed_and_disabled(shared):
    set_rule(shared, "test_change", metric="noise_dba", above=100, duration_s=0)
    device = Device(shared.new_client("dust"), "test_change", "noise_dba")
    device.say(0, 110.0)
    change_rule(shared, "test_change", threshold=120)
    ((opened, closed, why, _),) = device.alarms(shared)
    assert (opened, why) == (0, "rule changed") and closed > 0
    device.say(1, 115.0)
    assert len(device.alarms(shared)) == 1
    device.say(2, 121.0)
    assert device.alarms(shared)[1:] == [(2, None, None, 121.0)]
    change_rule(shared, "test_change", duration_s=10)
    device.say(3, 115.0)
    device.say(4, 125.0)
    assert device.pending(shared) == [4]
    change_rule(shared, "test_change", enabled=False)
    assert device.pending(shared) == []
    device.say(20_000, 130.0)
    assert len(device.alarms(shared)) == 2
    change_rule(shared, "test_change", enabled=True, duration_s=0)
    device.say(20_001, 131.0)
    assert device.alarms(shared)[2:] == [(20_001, None, None, 131.0)]
    change_rule(shared, "test_change", enabled=False)
    assert device.alarms(shared)[2][2] == "rule disabled"


def test_rule_is_taken_without_asking(shared):
    """LISTEN alone tells the hub: nothing but the change makes it read its rules."""
    set_rule(shared, "test_listen", metric="pm10_ug_m3", above=1500)
    client = shared.new_client("dust")
    shared.database.query("SELECT onemap.alarm_rule_set('dust', 'test_listen', '{\"threshold\": 1000, \"clear_threshold\": 1000}')")
    number = iter(range(1000))

    def opened():
        device = Device(client, "test_listen", "pm10_ug_m3", f"d{next(number)}")
        device.say(0, 1200.0)
        return device.alarms(shared) == [(0, None, None, 1200.0)]
    wait_until(opened, 30, "the new limit is in force")


# ---- silence

def alarms_of_vendor(site, key, vendor):
    return site.database.query(
        "SELECT d.code, a.vendor, a.closed_at IS NULL, a.close_reason FROM onemap.alarm a JOIN onemap.alarm_rule r ON r.id = a.rule_id"
        " LEFT JOIN onemap.device d ON d.id = a.device_id WHERE r.key = %s AND (a.vendor = %s OR d.vendor = %s) ORDER BY a.id", key, vendor, vendor)


def test_devices_and_vendors_that_fall_silent(shared):
    shared.database.query("UPDATE onemap.device_kind SET offline_after = '2 seconds' WHERE subsystem = 'water' AND key = 'hydrant'")
    talking, silent = shared.new_client("water"), shared.new_client("water", silent_after="2 seconds")
    record = {"observed_at_ms": now_ms(), "pressure_kpa": 200.0}
    for client in (talking, silent):
        client.send("inventory", [{"device_code": "hydrant", "kind": "hydrant"}, {"device_code": "meter", "kind": "customer_meter"}])
    shared.hubs[0].sync_registry()
    for client in (talking, silent):
        client.send_telemetry({"device_code": "hydrant", **record}, {"device_code": "meter", **record})
    wait_until(lambda: alarms_of_vendor(shared, "device_offline", talking.vendor) == [("hydrant", "", True, None)], 30, "the hydrant is missed")
    wait_until(lambda: alarms_of_vendor(shared, "vendor_silent", silent.vendor) == [(None, silent.vendor, True, None)], 30, "the vendor is missed")
    assert alarms_of_vendor(shared, "vendor_silent", talking.vendor) == []
    assert alarms_of_vendor(shared, "device_offline", silent.vendor) == [], "one alarm of the vendor, none of each device"
    online = "SELECT d.code, s.online FROM onemap.device d JOIN onemap.device_state s ON s.device_id = d.id WHERE d.vendor = %s ORDER BY 1"
    assert shared.database.query(online, talking.vendor) == [("hydrant", False), ("meter", True)]

    def back():
        for client in (talking, silent):
            client.send_telemetry({"device_code": "hydrant", **record, "observed_at_ms": now_ms()})
        return (alarms_of_vendor(shared, "device_offline", talking.vendor) == [("hydrant", "", False, "records arrive again")]
                and alarms_of_vendor(shared, "vendor_silent", silent.vendor) == [(None, silent.vendor, False, "records arrive again")])
    wait_until(back, 30, "both are back")


# ---- checks

YARD = "public.ST_Multi(public.ST_MakeEnvelope(113.90, 35.10, 113.91, 35.11, 4326))"


def lifted(code, at, lon, lat, up=True):
    return {"device_code": code, "observed_at_ms": at, "bed_lifted": up, "position": {"lon": lon, "lat": lat, "system": "WGS84"}}


def test_dumping_outside_the_permitted_yard(shared):
    shared.database.query(f"INSERT INTO onemap.zone (kind, code, name_zh, geom) VALUES ('disposal_yard', 'y1', '一号消纳场', {YARD})")
    client, moment = shared.new_client("construction_waste"), now_ms() - 60_000
    client.send("inventory", [{"device_code": code, "kind": "truck"} for code in ("inside", "outside")])
    client.send_telemetry(lifted("inside", moment, 113.905, 35.105), lifted("outside", moment, 113.95, 35.105, up=False))
    client.send_telemetry(lifted("outside", moment + 1000, 113.95, 35.105))
    query = ("SELECT d.code, (extract(epoch FROM a.opened_at) * 1000)::bigint, (a.detail->>'lon')::float8, a.closed_at IS NULL, a.close_reason"
             " FROM onemap.alarm a JOIN onemap.alarm_rule r ON r.id = a.rule_id JOIN onemap.device d ON d.id = a.device_id"
             " WHERE r.key = 'illegal_dumping' AND d.vendor = %s")
    assert shared.database.query(query, client.vendor) == [("outside", moment + 1000, 113.95, True, None)]
    client.send_telemetry(lifted("outside", moment + 2000, 113.95, 35.105))
    assert len(shared.database.query(query, client.vendor)) == 1
    client.send_telemetry(lifted("outside", moment + 3000, 113.95, 35.105, up=False))
    wait_until(lambda: shared.database.query(query, client.vendor)[0][3:] == (False, "the bed is down"), 30, "the alarm is cleared")


def test_no_dumping_outside_the_county(shared):
    """A place that cannot be says nothing of where the bed went up: no alarm, no case, no place on the map."""
    client, moment = shared.new_client("construction_waste"), now_ms() - 60_000
    client.send("inventory", [{"device_code": "lost", "kind": "truck"}])
    client.send_telemetry(lifted("lost", moment, 113.9051, 35.1051, up=False))
    for number, (lon, lat) in enumerate(((-113.95, 35.105), (35.105, 113.95), (0, 35.105), (113.95, 0), (0.0001, -0.0001), (2.35, 48.85))):
        if abs(lat) <= 90:
            receipt = client.send_telemetry(lifted("lost", moment + 1000 * (number + 1), lon, lat))
            assert receipt["accepted"] == 1 and [one["code"] for one in receipt["warnings"]] == ["place_outside"], receipt
    assert shared.database.value("SELECT count(*) FROM onemap.alarm a JOIN onemap.device d ON d.id = a.device_id WHERE d.vendor = %s",
                                 client.vendor) == 0
    wait_until(lambda: shared.database.value("SELECT s.observed_at >= to_timestamp(%s / 1000.0) FROM onemap.device_state s JOIN onemap.device d"
                                             " ON d.id = s.device_id WHERE d.vendor = %s", moment + 6000, client.vendor), 30, "the state is written")
    assert shared.database.value("SELECT public.ST_X(s.geom) FROM onemap.device_state s JOIN onemap.device d ON d.id = s.device_id"
                                 " WHERE d.vendor = %s", client.vendor) == 113.9051
    stored = shared.database.query("SELECT t.geom IS NULL, t.geom_outside IS NULL FROM onemap.track_point t JOIN onemap.device d"
                                   " ON d.id = t.device_id WHERE d.vendor = %s ORDER BY t.observed_at", client.vendor)
    assert stored == [(False, True)] + [(True, False)] * 5, "kept beside"


POISON = """
CREATE OR REPLACE FUNCTION onemap.construction_waste_dumping_check(rows jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM jsonb_array_elements(rows) r JOIN onemap.device d ON d.id = (r->>'device_id')::int WHERE d.code = 'poison') THEN
        RAISE EXCEPTION 'this one is poison';
    END IF;
END $$"""


def test_check_that_fails_poisons_its_message_alone(shared):
    whole = shared.database.value("SELECT pg_get_functiondef('onemap.construction_waste_dumping_check'::regproc)")
    client, moment = shared.new_client("construction_waste"), now_ms()
    sent = {}
    shared.database.query(POISON)
    try:
        for number in range(9):
            code = "poison" if number == 4 else f"truck-{number}"
            payload = [lifted(code, moment, 113.905, 35.105), {"device_code": f"other-{number}", "observed_at_ms": moment, "speed_km_h": 1.0}]
            info, name = client.publish_start("telemetry", payload)
            sent[name] = payload
        receipts = [client.receipt(name) for name in sent]
    finally:
        shared.database.query(whole)
    assert [(one["accepted"], one["rejected"]) for one in receipts] == [(0, 2) if number == 4 else (2, 0) for number in range(9)]
    assert [(one["index"], one["code"]) for one in receipts[4]["problems"]] == [(-1, "refused_by_database")]
    assert "this one is poison" in receipts[4]["problems"][0]["reason"]
    ((row, code, payload),) = shared.database.query("SELECT id, code, payload FROM onemap.quarantine WHERE vendor = %s", client.vendor)
    assert code == "refused_by_database" and json.loads(bytes(payload)) == list(sent.values())[4]
    stored = "SELECT count(*), count(DISTINCT device_code) FROM onemap.construction_waste WHERE vendor = %s"
    assert shared.database.query(stored, client.vendor) == [(16, 16)]
    shared.hubs[0].run("quarantine", "replay", row)
    wait_until(lambda: shared.database.query(stored, client.vendor) == [(18, 18)], 30, "replayed once the check is mended, it is stored")
