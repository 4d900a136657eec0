"""From a vendor's message to the rows and the receipt: every field of every subsystem, what becomes of repeated and changed
records, places, vendors and devices that come and go, documents, and what is derived from it all, also right after a kill."""
import hashlib
import json
import math
import struct
import subprocess
import time

import pytest
from harness import messages, paths
from harness.process import wait_until

PLACE = {"lon": 114.0164322, "lat": 33.0133556, "system": "WGS84"}
TOLD = ("accepted", "duplicates", "merged", "revised", "rejected")


def now_ms():
    return int(time.time() * 1000)


def told(receipt):
    return tuple(receipt[key] for key in TOLD)


def dust(code, at_ms, **fields):
    return {"device_code": code, "observed_at_ms": at_ms, **(fields or {"pm25_ug_m3": 40.5})}


def rows_of(database, subsystem, vendor):
    return [row[0] for row in database.query(
        f"SELECT to_jsonb(v) FROM onemap.{subsystem} v WHERE v.vendor = %s ORDER BY v.device_code, v.observed_at", vendor)]


# ---- every field of every subsystem

def value_of(field, kind, low, high, ordinal):
    """A value inside the metric's range that no other metric of the record has, so that exchanged columns show."""
    if kind == "text":
        return f"{field.name} 文本 {ordinal}"
    if field.enum_type is not None:
        return field.enum_type.values[ordinal % len(field.enum_type.values)].name
    if field.type == field.TYPE_BOOL:
        return ordinal % 2 == 1
    if field.cpp_type in (field.CPPTYPE_DOUBLE, field.CPPTYPE_FLOAT):
        return low + (high - low) * (0.25 + ordinal / 1000)
    return math.floor(low + (high - low) * 0.25) + min(ordinal, math.floor((high - low) / 2))


def as_stored(field, value):
    if field.enum_type is not None:
        return field.enum_type.values_by_name[value].number
    if field.type == field.TYPE_FLOAT:
        return struct.unpack("f", struct.pack("f", value))[0]
    return value


@pytest.mark.parametrize("subsystem", paths.SUBSYSTEMS)
def test_every_field_arrives(shared, subsystem):
    client, record_type = shared.new_client(subsystem), messages.batch_type(subsystem).DESCRIPTOR.fields_by_name["records"].message_type
    metrics = shared.database.query(
        "SELECT key, kind, min_value, max_value, ordinal FROM onemap.metric WHERE subsystem = %s", subsystem)
    assert {key for key, *_ in metrics} == set(record_type.fields_by_name) - {"device_code", "observed_at_ms", "position", "over_range"}
    values = {key: value_of(record_type.fields_by_name[key], kind, low, high, ordinal) for key, kind, low, high, ordinal in metrics}
    moment = now_ms() - 1000
    records = {form: {"device_code": form, "observed_at_ms": moment, "position": PLACE, **values} for form in ("json", "protobuf")}
    assert told(client.send("telemetry", records["json"])) == (1, 0, 0, 0, 0)
    assert told(client.send("telemetry", messages.protobuf(subsystem, [records["protobuf"]]))) == (1, 0, 0, 0, 0)
    rows = rows_of(shared.database, subsystem, client.vendor)
    assert [row["device_code"] for row in rows] == ["json", "protobuf"]
    expected = {key: as_stored(record_type.fields_by_name[key], value) for key, value in values.items()}
    for row in rows:
        assert {key: row[key] for key in expected} == expected, row["device_code"]
        assert row["quality"] is None, f"values inside their ranges are flagged: {row['quality']:b}"
    assert shared.database.value("SELECT count(*) FROM onemap.observation o JOIN onemap.device d ON d.id = o.device_id WHERE d.vendor = %s"
                                 " AND extract(epoch FROM o.observed_at) * 1000 = %s", client.vendor, moment) == 2


def test_quality_flags_are_kept_with_their_values(shared):
    client = shared.new_client("dust")
    client.send_telemetry(dust("d", now_ms(), pm25_ug_m3=1e6, pm10_ug_m3=50.0, humidity_percent=-5.0))
    (row,) = rows_of(shared.database, "dust", client.vendor)
    ordinals = dict(shared.database.query("SELECT key, ordinal FROM onemap.metric WHERE subsystem = 'dust'"))
    assert (row["pm25_ug_m3"], row["pm10_ug_m3"], row["humidity_percent"]) == (1e6, 50.0, -5.0)
    assert row["quality"] == (1 << ordinals["pm25_ug_m3"] - 1) + (1 << ordinals["humidity_percent"] - 1)


# ---- receipts

def test_receipt_of_a_mixed_message(shared):
    client, moment = shared.new_client("dust"), now_ms() - 5000
    client.send_telemetry(dust("a", moment), dust("b", moment), dust("c", moment))
    before = now_ms()
    receipt = client.send("telemetry", [
        dust("a", moment), dust("b", moment, pm10_ug_m3=7), dust("c", moment, pm25_ug_m3=41.5), dust("d", moment),
        {"observed_at_ms": moment, "pm25_ug_m3": 1}, dust("e", moment, pm25_ug_m3=1, stray=3)], message="报文 1")
    assert before <= receipt.pop("received_at_ms") <= now_ms()
    problems, warnings = receipt.pop("problems"), receipt.pop("warnings")
    assert receipt == {"message": "报文 1", "kind": "telemetry", "records": 6, "accepted": 2, "duplicates": 1, "merged": 1,
                       "revised": 1, "rejected": 1, "bad_fields": 0, "warned": 1}
    assert [(one["index"], one["code"]) for one in problems] == [(4, "missing_device_code")]
    assert [(one["index"], one["code"]) for one in warnings] == [(5, "unknown_field")] and "stray" in warnings[0]["reason"]
    quarantined = shared.database.query("SELECT code, record_count, problems, kind, topic, replayed_at FROM onemap.quarantine WHERE vendor = %s",
                                        client.vendor)
    assert quarantined == [("missing_device_code", 6, problems, "telemetry", client.topic("telemetry"), None)]


def test_message_without_a_name_is_called_by_its_hash(shared):
    client, payload = shared.new_client("gas"), messages.json_bytes([{"device_code": "g", "observed_at_ms": now_ms(), "pressure_kpa": 2.5}])
    subprocess.run(["mosquitto_pub", "-V", "mqttv5", "-h", client.broker.host, "-p", str(client.broker.port), "-q", "1",
                    "-t", client.topic("telemetry"), "-s"], input=payload, check=True, timeout=30)
    receipt = client.receipt("sha256:" + hashlib.sha256(payload).hexdigest()[:16])
    assert told(receipt) == (1, 0, 0, 0, 0)
    too_long = "n" * 129
    client.publish("telemetry", payload, message=too_long)
    wait_until(lambda: len(client.receipts) == 2, 30, "the receipt of the message with too long a name")
    assert client.receipts[1]["message"] == receipt["message"] and told(client.receipts[1]) == (0, 1, 0, 0, 0)


def test_vendor_that_wants_receipts_of_problems_alone(shared):
    client, moment = shared.new_client("water", receipts="problems"), now_ms()
    record = {"device_code": "w", "observed_at_ms": moment, "pressure_kpa": 300.0}
    client.publish("telemetry", [record])
    receipt = client.send("telemetry", [record, {"device_code": "w"}])
    assert told(receipt) == (0, 1, 0, 0, 1)
    assert [one["message"] for one in client.receipts] == [receipt["message"]]
    # A warning is told, too: nobody else would hear of it.
    receipt = client.send("telemetry", [{**record, "observed_at_ms": moment + 1, "stray": 1}])
    assert told(receipt) == (1, 0, 0, 0, 0) and receipt["warned"] == 1


# ---- the same key again

def test_identical_merged_and_revised(shared):
    client, moment = shared.new_client("incineration"), now_ms() - 60000
    base = {"device_code": "line-1", "observed_at_ms": moment}
    hot, gas, third = "furnace_temp_upper_c", "co_mg_m3", "hcl_mg_m3"
    revisions = ("SELECT r.readings[m.ordinal] FROM onemap.observation_revision r JOIN onemap.device d ON d.id = r.device_id"
                 f" JOIN onemap.metric m ON m.subsystem = d.subsystem AND m.key = '{hot}' WHERE d.vendor = %s ORDER BY r.id")
    steps = [({hot: 100.0, gas: 12.0}, (1, 0, 0, 0, 0), []),
             ({hot: 100.0, gas: 12.0}, (0, 1, 0, 0, 0), []),          # identical
             ({gas: 12.0}, (0, 1, 0, 0, 0), []),                      # nothing new
             ({third: 3.0}, (0, 0, 1, 0, 0), []),                     # a new field
             ({hot: 120.0}, (0, 0, 0, 1, 0), [100.0]),                # another value: the old one is kept aside
             ({hot: 120.0, gas: 12.0, third: 3.0}, (0, 1, 0, 0, 0), [100.0]),
             ({hot: 100.0}, (0, 0, 0, 1, 0), [100.0, 120.0])]
    for fields, expected, kept in steps:
        assert told(client.send_telemetry({**base, **fields})) == expected, fields
        assert [value for value, in shared.database.query(revisions, client.vendor)] == kept, fields
    (row,) = rows_of(shared.database, "incineration", client.vendor)
    assert (row[hot], row[gas], row[third]) == (100.0, 12.0, 3.0)


def test_same_key_three_times_in_one_message(shared):
    client, moment = shared.new_client("dust"), now_ms()
    receipt = client.send_telemetry(dust("a", moment, pm25_ug_m3=1.0), dust("a", moment, pm25_ug_m3=2.0), dust("a", moment, pm25_ug_m3=2.0),
                                    dust("a", moment, noise_dba=50.0))
    assert told(receipt) == (1, 1, 1, 1, 0)
    (row,) = rows_of(shared.database, "dust", client.vendor)
    assert (row["pm25_ug_m3"], row["noise_dba"]) == (2.0, 50.0)


def test_text_that_changes_is_a_revision(shared):
    client, base = shared.new_client("construction_waste"), {"device_code": "truck", "observed_at_ms": now_ms()}
    assert told(client.send_telemetry({**base, "speed_km_h": 10.0, "plate": "豫H12345"})) == (1, 0, 0, 0, 0)
    assert told(client.send_telemetry({**base, "permit_number": "渣-7"})) == (0, 0, 1, 0, 0)
    assert told(client.send_telemetry({**base, "plate": "豫H54321"})) == (0, 0, 0, 1, 0)
    (row,) = rows_of(shared.database, "construction_waste", client.vendor)
    assert (row["speed_km_h"], row["plate"], row["permit_number"]) == (10.0, "豫H54321", "渣-7")


# ---- places

# Published test points of 驻马店 (tests/unit/test_coordinate.c says whose).
POINTS = {"WGS84": (114.0164322, 33.0133556), "CGCS2000": (114.0164322, 33.0133556), "GCJ02": (114.022306, 33.0115324),
          "BD09": (114.0287781, 33.0176697)}


@pytest.mark.parametrize("form", ["json", "protobuf"])
def test_coordinates_of_all_systems(shared, form):
    client, moment = shared.new_client("sanitation"), now_ms()
    client.send("inventory", [{"device_code": system, "kind": "sweeper"} for system in POINTS])
    shared.hubs[0].sync_registry()
    records = [{"device_code": system, "observed_at_ms": moment, "position": {"lon": lon, "lat": lat, "system": system}}
               for system, (lon, lat) in POINTS.items()]
    client.send("telemetry", messages.protobuf("sanitation", records) if form == "protobuf" else records)
    distance = "public.ST_Distance(%s.geom::public.geography, public.ST_SetSRID(public.ST_MakePoint(114.0164322, 33.0133556), 4326)::public.geography)"
    far = dict(shared.database.query(f"SELECT d.code, {distance % 't'} FROM onemap.track_point t JOIN onemap.device d ON d.id = t.device_id"
                                     f" WHERE d.vendor = '{client.vendor}'"))
    assert set(far) == set(POINTS) and max(far.values()) < 1, far

    def states():
        return dict(shared.database.query(f"SELECT d.code, {distance % 's'} FROM onemap.device_state s JOIN onemap.device d ON d.id = s.device_id"
                                          f" WHERE d.vendor = '{client.vendor}'"))
    wait_until(lambda: set(states()) == set(POINTS), 30, "the states of all four devices are written")
    assert max(states().values()) < 1, states()


def test_fixed_device_leaves_no_track(shared):
    client = shared.new_client("dust")
    client.send("inventory", {"device_code": "fixed", "kind": "site_monitor", "position": PLACE})
    shared.hubs[0].sync_registry()
    client.send_telemetry({**dust("fixed", now_ms()), "position": PLACE}, {**dust("pending", now_ms()), "position": PLACE})
    assert shared.database.query("SELECT d.code FROM onemap.track_point t JOIN onemap.device d ON d.id = t.device_id WHERE d.vendor = %s",
                                 client.vendor) == [("pending",)], "of a device not yet known nobody knows whether it moves"


# ---- vendors

def test_unknown_and_revoked_vendors(shared):
    stranger = shared.client("heating", "stranger", register=False)
    record = {"device_code": "h", "observed_at_ms": now_ms(), "supply_temp_c": 75.0}
    receipt = stranger.send("telemetry", record)
    assert (receipt["records"], *told(receipt)) == (0, 0, 0, 0, 0, 1)
    assert [(one["index"], one["code"]) for one in receipt["problems"]] == [(-1, "unknown_vendor")]
    assert "stranger" in receipt["problems"][0]["reason"]
    shared.register("heating", "stranger")
    assert told(stranger.send("telemetry", record)) == (1, 0, 0, 0, 0), "known while the hub runs"
    shared.database.query("SELECT onemap.vendor_revoke('heating', 'stranger')")
    shared.hubs[0].sync_registry()
    receipt = stranger.send("telemetry", {**record, "observed_at_ms": now_ms()})
    assert [(one["index"], one["code"]) for one in receipt["problems"]] == [(-1, "revoked_vendor")]
    shared.register("heating", "stranger")
    assert told(stranger.send("telemetry", {**record, "observed_at_ms": now_ms()})) == (1, 0, 0, 0, 0), "and again after a new vendor_put"
    assert shared.database.query("SELECT code FROM onemap.quarantine WHERE vendor = 'stranger' ORDER BY id") == [
        ("unknown_vendor",), ("revoked_vendor",)]


def test_vendor_that_is_added_is_known_without_asking(shared):
    """The hub hears of it by LISTEN: nothing but the change itself makes it look."""
    shared.database.query("SELECT onemap.vendor_put('municipal', 'late-comer', '{}')")
    client = shared.client("municipal", "late-comer")
    record = {"device_code": "cover", "observed_at_ms": now_ms(), "cover_tilt_deg": 1.0}
    wait_until(lambda: told(client.send("telemetry", record))[4] == 0, 30, "the new vendor is known")


def test_vendor_of_one_subsystem_is_not_one_of_another(shared):
    client = shared.new_client("gas")
    receipt = client.publish("telemetry", dust("d", now_ms()), topic=f"cityhub/v1/dust/{client.vendor}/telemetry")
    wait_until(lambda: shared.database.query("SELECT code FROM onemap.quarantine WHERE subsystem = 'dust' AND vendor = %s", client.vendor)
               == [("unknown_vendor",)], 30, f"{receipt} is in quarantine")


# ---- devices

def test_unknown_devices_are_registered_as_pending(shared):
    client = shared.new_client("landscaping")
    client.send_telemetry({"device_code": "传感器 1", "observed_at_ms": now_ms(), "soil_moisture_percent": 30.0})
    assert shared.database.query("SELECT code, status, kind, geom FROM onemap.device WHERE vendor = %s", client.vendor) == [
        ("传感器 1", "pending", None, None)]


def test_unknown_devices_are_quarantined_where_the_vendor_is_set_so(shared):
    client, moment = shared.new_client("dust", unknown_devices="quarantine"), now_ms()
    client.send("inventory", {"device_code": "known", "kind": "site_monitor"})
    shared.hubs[0].sync_registry()
    receipt = client.send_telemetry(dust("known", moment), dust("stray", moment))
    assert told(receipt) == (1, 0, 0, 0, 1)
    assert [(one["index"], one["code"]) for one in receipt["problems"]] == [(1, "unknown_device")]
    assert shared.database.query("SELECT code FROM onemap.device WHERE vendor = %s", client.vendor) == [("known",)]
    shared.register("dust", client.vendor, unknown_devices="register")
    assert told(client.send_telemetry(dust("known", moment), dust("stray", moment))) == (1, 1, 0, 0, 0)


def test_pending_device_becomes_active_by_its_inventory(shared):
    client, database = shared.new_client("municipal"), shared.database
    department = database.value("INSERT INTO onemap.department (code, name_zh, kind) VALUES ('street-7', '七街道', 'street') RETURNING id")
    database.query("INSERT INTO onemap.grid_cell (code, department_id, geom) VALUES ('410823001001007', %s,"
                   " public.ST_Multi(public.ST_MakeEnvelope(114.01, 33.01, 114.02, 33.02, 4326)))", department)
    client.send_telemetry({"device_code": "m", "observed_at_ms": now_ms(), "cover_tilt_deg": 3.0})
    (before,) = database.query("SELECT id, status, kind, grid_cell, department_id FROM onemap.device WHERE vendor = %s", client.vendor)
    assert before[1:] == ("pending", None, None, None)
    kind = database.value("SELECT min(key) FROM onemap.device_kind WHERE subsystem = 'municipal' AND NOT mobile")
    place = {"lon": 114.015, "lat": 33.015, "system": "WGS84"}
    receipt = client.send("inventory", {"device_code": "m", "kind": kind, "name": "井盖 7", "component_code": "4108230101000007",
                                        "position": place, "attributes": [{"key": "model", "value": "X1"}]})
    assert (receipt["kind"], *told(receipt)) == ("inventory", 1, 0, 0, 0, 0)
    assert database.query("SELECT id, status, kind, grid_cell, department_id, name_zh, component_code, attributes FROM onemap.device"
                          " WHERE vendor = %s", client.vendor) == [
        (before[0], "active", kind, "410823001001007", department, "井盖 7", "4108230101000007", {"model": "X1"})]
    assert told(client.send("inventory", {"device_code": "m", "kind": kind})) == (0, 1, 0, 0, 0)


def test_device_whose_kind_an_inventory_changed_is_known_at_once(shared):
    """What an inventory says of a device holds for the telemetry that follows its receipt by a moment."""
    client = shared.new_client("dust")
    client.send("inventory", {"device_code": "x", "kind": "site_monitor"})

    def no_more_tracks():
        before = shared.database.value("SELECT count(*) FROM onemap.track_point t JOIN onemap.device d ON d.id = t.device_id"
                                       " WHERE d.vendor = %s", client.vendor)
        client.send_telemetry({**dust("x", now_ms()), "position": PLACE})
        return shared.database.value("SELECT count(*) FROM onemap.track_point t JOIN onemap.device d ON d.id = t.device_id"
                                     " WHERE d.vendor = %s", client.vendor) == before
    wait_until(no_more_tracks, 30, "the hub knows that the device is a fixed one")


# ---- documents

def test_staff_work_and_cases(shared):
    client, database, moment = shared.new_client("sanitation"), shared.database, now_ms()
    assert told(client.send("staff", [
        {"kind": "PERSON", "code": "p1", "name": "张三", "role": "清扫工", "on_duty": True, "observed_at_ms": moment, "position": PLACE},
        {"kind": "VEHICLE", "code": "v1", "name": "洗扫车", "plate": "豫H11111", "on_duty": False, "observed_at_ms": moment}])) == (2, 0, 0, 0, 0)
    assert told(client.send("staff", {"kind": "PERSON", "code": "p1", "on_duty": False, "observed_at_ms": moment - 1})) == (0, 1, 0, 0, 0)
    assert database.query("SELECT code, name, role, on_duty, public.ST_X(geom) FROM onemap.person WHERE vendor = %s", client.vendor) == [
        ("p1", "张三", "清扫工", True, PLACE["lon"])]
    assert database.query("SELECT code, plate, on_duty FROM onemap.vehicle WHERE vendor = %s", client.vendor) == [("v1", "豫H11111", False)]
    work = {"work_code": "w1", "title": "机扫", "status": "STARTED", "standard_code": "s1", "standard_name": "机扫标准",
            "standard_requirement": "每日 2 次", "person_code": "p1", "vehicle_code": "v1", "started_ms": moment, "quantity": 1.5,
            "quantity_unit": "km", "observed_at_ms": moment}
    receipt = client.send("work", messages.protobuf("sanitation", [work, {**work, "work_code": "w2", "person_code": "nobody"}], "work"))
    assert told(receipt) == (1, 0, 0, 0, 1) and receipt["problems"][0]["code"] == "unknown_reference" and receipt["problems"][0]["index"] == 1
    assert database.query("SELECT w.code, w.status, s.requirement, p.code, v.code, w.quantity FROM onemap.work_order w"
                          " JOIN onemap.work_standard s ON s.id = w.standard_id JOIN onemap.person p ON p.id = w.person_id"
                          " JOIN onemap.vehicle v ON v.id = w.vehicle_id WHERE w.vendor = %s", client.vendor) == [
        ("w1", "STARTED", "每日 2 次", "p1", "v1", 1.5)]
    # Cases are opened under a catalogue of categories, which a county imports before its vendors report any.
    assert database.value("SELECT onemap.case_catalogue_import(%s, 'for the test')", json.dumps([
        {"line": 2, "code": "20101", "class": "市容环境", "name": "暴露垃圾", "condition": "1", "registration_condition": "有暴露垃圾", "limit": "1",
         "unit": "工作日", "closing_condition": "清除", "responsible": "@grid", "source": "assumed"}]))["imported"]
    case = {"case_code": "c1", "occurred_at_ms": moment, "title": "垃圾外溢", "description": "路口", "position": PLACE, "severity": "minor"}
    assert told(client.send("case", case)) == (1, 0, 0, 0, 0)
    assert told(client.send("case", case)) == (0, 1, 0, 0, 0)
    assert database.query("SELECT source, title, external_code FROM onemap.case_record WHERE vendor = %s", client.vendor) == [
        ("subsystem", "垃圾外溢", "c1")]
    assert database.query("SELECT kind, code FROM onemap.quarantine WHERE vendor = %s", client.vendor) == [("work", "unknown_reference")]


# ---- what is derived

def test_late_records_reach_the_rollups(shared):
    client, hour = shared.new_client("dust"), (now_ms() // 3600000 - 3) * 3600000
    query = ("SELECT h.records, h.counts[1], h.minima[1], h.maxima[1], h.sums[1], h.firsts[1], h.lasts[1] FROM onemap.observation_hourly h"
             " JOIN onemap.device d ON d.id = h.device_id WHERE d.vendor = %s AND h.hour = to_timestamp(%s)")

    def rollup():
        return shared.database.query(query, client.vendor, hour // 1000)
    client.send_telemetry(dust("a", hour + 600000, pm25_ug_m3=10.0), dust("a", hour + 1200000, pm25_ug_m3=20.0))
    wait_until(lambda: rollup() == [(2, 2, 10.0, 20.0, 30.0, 10.0, 20.0)], 30, "the first rollup")
    client.send_telemetry(dust("a", hour, pm25_ug_m3=30.0), dust("a", hour + 3599999, pm25_ug_m3=1e6), dust("a", hour + 3600000, pm25_ug_m3=7.0))
    wait_until(lambda: rollup() == [(4, 3, 10.0, 30.0, 60.0, 30.0, 20.0)], 30, "earlier records count, flagged readings do not")
    client.send_telemetry(dust("a", hour + 1200000, pm25_ug_m3=25.0))
    wait_until(lambda: rollup() == [(4, 3, 10.0, 30.0, 65.0, 30.0, 25.0)], 30, "the revised record counts with its new value")


EXPECTED_STATES = """
SELECT d.code, m.key, (array_agg(o.readings[m.ordinal] ORDER BY o.observed_at DESC))[1]
FROM onemap.observation o JOIN onemap.device d ON d.id = o.device_id JOIN onemap.metric m ON m.subsystem = d.subsystem
WHERE d.vendor = %(vendor)s AND o.readings[m.ordinal] IS NOT NULL GROUP BY d.code, m.key"""
STORED_STATES = """
SELECT d.code, m.key, s.readings[m.ordinal]
FROM onemap.device_state s JOIN onemap.device d ON d.id = s.device_id JOIN onemap.metric m ON m.subsystem = d.subsystem
WHERE d.vendor = %(vendor)s AND s.readings[m.ordinal] IS NOT NULL"""


def test_device_state_is_right_after_a_kill(shared):
    """Killed at once after the receipts, three times over; records of all sorts: late ones, parts of a record, revisions."""
    client, hub, start = shared.new_client("dust"), shared.hubs[0], now_ms() - 7200000
    for turn in range(3):
        at = start + turn * 600000
        records = [dust(f"d{n % 7}", at + n * 1000 * (-1 if n % 5 == 0 else 1), **{("pm25_ug_m3", "noise_dba", "air_temp_c")[n % 3]: float(turn * 100 + n)})
                   for n in range(100)]
        assert told(client.send_telemetry(*records))[4] == 0
        client.send_telemetry(dust("d1", at + 1000, noise_dba=77.0 + turn))
        hub.kill()
        hub.start()
        wanted = {(code, key): value for code, key, value in shared.database.query(EXPECTED_STATES.replace("%(vendor)s", "%s"), client.vendor)}
        found = {(code, key): value for code, key, value in shared.database.query(STORED_STATES.replace("%(vendor)s", "%s"), client.vendor)}
        assert len(wanted) >= 7 and found == wanted, f"turn {turn}"
        assert shared.database.query(
            "SELECT d.code FROM onemap.device d JOIN onemap.device_state s ON s.device_id = d.id WHERE d.vendor = %s AND s.observed_at <>"
            " (SELECT max(o.observed_at) FROM onemap.observation o WHERE o.device_id = d.id)", client.vendor) == []


def test_quarantine_is_replayed_when_its_cause_is_mended(shared):
    client, hub, database, moment = shared.new_client("dust", unknown_devices="quarantine"), shared.hubs[0], shared.database, now_ms()
    client.send("inventory", {"device_code": "known", "kind": "site_monitor"})
    hub.sync_registry()
    payload = [dust("known", moment), dust("stray", moment)]
    assert told(client.send("telemetry", payload)) == (1, 0, 0, 0, 1)
    (kept, raw), = database.query("SELECT id, payload FROM onemap.quarantine WHERE vendor = %s", client.vendor)
    assert json.loads(bytes(raw)) == payload
    name = "sha256:" + hashlib.sha256(bytes(raw)).hexdigest()[:16]
    hub.run("quarantine", "replay", kept)
    assert told(client.receipt(name)) == (0, 1, 0, 0, 1), "nothing was mended: it comes back"
    (again,), = database.query("SELECT id FROM onemap.quarantine WHERE vendor = %s AND replayed_at IS NULL", client.vendor)
    assert again != kept
    client.send("inventory", {"device_code": "stray", "kind": "site_monitor"})
    hub.sync_registry()
    hub.run("quarantine", "replay", again)
    wait_until(lambda: len(client.receipts_of(name)) == 2, 30, "the receipt of the second replay")
    assert told(client.receipts_of(name)[1]) == (1, 1, 0, 0, 0), "the good one is there already, the other is stored"
    assert database.value("SELECT count(*) FROM onemap.quarantine WHERE vendor = %s AND replayed_at IS NULL", client.vendor) == 0
    assert len(rows_of(database, "dust", client.vendor)) == 2


def test_counters_add_up(shared):
    """Last in this file: of all that came here every record is accounted for."""
    hub = shared.hubs[0]
    metrics = hub.metrics()
    metrics.check()
    for subsystem in paths.SUBSYSTEMS:
        received, *fates = (metrics.value(f"cityhub_records_{what}_total", subsystem=subsystem)
                            for what in ("received", "committed", "duplicate", "merged", "revised", "rejected"))
        assert received == sum(fates), f"{subsystem}: {received} received, fates {fates}"
