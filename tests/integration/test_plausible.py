"""What can be true: numbers that stand for "no value", readings beyond the instrument in means and receipts, places outside the
county through every door; what of it the county sets itself, in force while the hub runs."""
import json
import time

import pytest
import requests
from harness import messages
from harness.process import wait_until

NEAR = {"lon": 114.75, "lat": 34.55, "system": "WGS84"}
# Outside a county of 114.7 to 114.8, 34.5 to 34.6 with 10 km around, and what may be said of the mistake.
FAR = {"sign of lon": (-114.75, 34.55, "sign"), "sign of lat": (114.75, -34.55, "sign"), "exchanged": (34.55, 114.75, "exchanged"),
       "no fix at all": (0, 0, "without a fix"), "no fix": (0.0002, -0.0003, "without a fix"), "lon 0": (0, 34.55, "one of the two is 0"), "lat 0": (114.75, 0, "one of the two is 0"),
       "degrees and minutes": (114.45, 34.33, "degrees and minutes"), "next province": (116.4, 39.9, "outside the county"),
       "far away": (2.35, 48.85, "outside the county")}


def now_ms():
    return int(time.time() * 1000)


def warned(receipt):
    return [(one["index"], one["code"], one.get("field"), one.get("value")) for one in receipt["warnings"]]


def dust(code, at_ms, **fields):
    return {"device_code": code, "observed_at_ms": at_ms, **fields}


def in_force(site):
    """After a change of codes or of the extent: the hub has taken it in."""
    site.hubs[0].sync_registry()


# ---- readings that are none

@pytest.mark.parametrize("form", ["json", "protobuf"])
@pytest.mark.parametrize("code", [-999, -9999, 9999, 65535, 32767, -32768, -99.9])
def test_a_code_for_no_value_is_no_reading(shared, code, form):
    client, moment = shared.new_client("dust"), now_ms()
    record = dust("d", moment, pm25_ug_m3=float(code), noise_dba=50.0)
    receipt = client.send("telemetry", record if form == "json" else messages.protobuf("dust", [record]))
    assert (receipt["accepted"], receipt["rejected"], receipt["problems"]) == (1, 0, [])
    assert warned(receipt) == [(0, "no_value", "pm25_ug_m3", code)]
    assert shared.database.query("SELECT pm25_ug_m3, noise_dba, quality FROM onemap.dust WHERE vendor = %s", client.vendor) == [(None, 50, None)]


def test_a_code_in_the_range_is_a_reading_unless_the_county_says_so(shared):
    """65535 kg is a load; 999 is no code."""
    client, moment = shared.new_client("construction_waste"), now_ms()
    record = {"device_code": "t", "observed_at_ms": moment, "load_kg": 65535, "speed_km_h": 999}
    receipt = client.send_telemetry(record)
    assert warned(receipt) == [(0, "out_of_range", "speed_km_h", 999)]
    assert shared.database.query("SELECT load_kg FROM onemap.construction_waste WHERE vendor = %s", client.vendor) == [(65535,)]
    said = {"subsystem": "construction_waste", "vendor": client.vendor, "metric": "load_kg"}
    with pytest.raises(Exception, match="65535 is a possible reading of load_kg"):
        shared.database.query("SELECT onemap.no_value_set(65535, %s)", json.dumps(said))
    shared.database.query("SELECT onemap.no_value_set(65535, %s)", json.dumps({**said, "in_range": True}))
    shared.database.query("SELECT onemap.no_value_set(999, %s)", json.dumps({"vendor": client.vendor}))
    in_force(shared)
    receipt = client.send_telemetry({**record, "observed_at_ms": moment + 1})
    assert warned(receipt) == [(0, "no_value", "speed_km_h", 999), (0, "no_value", "load_kg", 65535)]
    other = shared.new_client("construction_waste")
    assert warned(other.send_telemetry(record)) == [(0, "out_of_range", "speed_km_h", 999)]
    shared.database.query("SELECT onemap.no_value_set(65535, %s)", json.dumps({**said, "enabled": False}))
    in_force(shared)
    receipt = client.send_telemetry({**record, "observed_at_ms": moment + 2, "speed_km_h": 20})
    assert warned(receipt) == []
    assert shared.database.value("SELECT count(*) FROM onemap.audit_log WHERE action = 'no_value_set'") >= 3


# ---- readings beyond the instrument

@pytest.mark.parametrize("form", ["json", "protobuf"])
def test_over_range_is_kept_and_told(shared, form):
    """What the sender says is beyond his instrument stays so, twice, corrected, and late."""
    client, moment = shared.new_client("dust"), now_ms() - 10_000
    def send(at_ms, **fields):
        record = dust("d", at_ms, **fields)
        return client.send("telemetry", record if form == "json" else messages.protobuf("dust", [record]))
    def stored():
        return shared.database.query("SELECT pm25_ug_m3, quality, flagged FROM onemap.dust WHERE vendor = %s ORDER BY observed_at", client.vendor)
    over = {"pm25_ug_m3": 500.0, "noise_dba": 50.0, "over_range": ["pm25_ug_m3"]}
    receipt = send(moment, **over)
    assert (receipt["accepted"], receipt["problems"], warned(receipt)) == (1, [], [(0, "over_range", "pm25_ug_m3", 500)])
    assert send(moment, **over)["duplicates"] == 1 and stored() == [(500, 1, ["pm25_ug_m3"])]
    assert send(moment, pm25_ug_m3=500.0)["revised"] == 1 and stored() == [(500, None, None)]
    assert send(moment, **over)["revised"] == 1 and send(moment, pm10_ug_m3=7.0)["merged"] == 1
    assert stored() == [(500, 1, ["pm25_ug_m3"])]
    assert send(moment - 5_000, **over)["accepted"] == 1
    device = shared.database.value("SELECT id FROM onemap.device WHERE vendor = %s", client.vendor)
    wait_until(lambda: shared.database.query("SELECT quality, readings[1:2] FROM onemap.device_state WHERE device_id = %s", device) == [(1, [500, 7])],
               20, "the state has it")
    hub = shared.hubs[0]
    def ask(path):
        return requests.get(f"{hub.http_url}/api/v1/devices/{device}{path}", headers=hub.key(), timeout=30).json()
    assert {one["key"]: one["quality"] for one in ask("")["readings"]} == {"pm25_ug_m3": "over_range", "pm10_ug_m3": "good", "noise_dba": "good"}
    (series,) = ask("/series?metrics=pm25_ug_m3&resolution=raw")["series"]
    assert [point[1:] for point in series["points"] if point[0] is not None] == [[None, None, None, None, 0, 2]]

def test_warnings_are_bounded_and_counted(shared):
    client, moment = shared.new_client("dust"), now_ms() - 100_000
    records = [dust("d", moment + n, pm25_ug_m3=1500.0 + n, **({"noise_dba": -999} if n == 119 else {})) for n in range(120)]
    receipt = client.send_telemetry(*records)
    assert (receipt["accepted"], receipt["warned"]) == (120, 121)
    assert warned(receipt)[:2] == [(0, "out_of_range", "pm25_ug_m3", 1500), (1, "out_of_range", "pm25_ug_m3", 1501)]
    assert len(receipt["warnings"]) == 51 and warned(receipt)[-1] == (119, "no_value", "noise_dba", -999)
    assert shared.database.value("SELECT count(*) FROM onemap.quarantine WHERE vendor = %s", client.vendor) == 0


def test_means_say_how_many_readings_were_flagged(shared):
    client, hour = shared.new_client("dust"), (now_ms() // 3600000 - 2) * 3600000
    client.send_telemetry(*(dust("d", hour + n * 60000, pm25_ug_m3=value) for n, value in enumerate((40.0, 60.0, 1200.0, 1300.0, -5.0, -999.0))))
    query = ("SELECT h.records, h.counts[1], h.sums[1], h.maxima[1], h.flagged_above[1], h.flagged_below[1] FROM onemap.observation_hourly h"
             " JOIN onemap.device d ON d.id = h.device_id WHERE d.vendor = %s")
    wait_until(lambda: shared.database.query(query, client.vendor) == [(6, 2, 100.0, 60.0, 2, 1)], 30, "the hour is rolled up")
    assert shared.database.query("SELECT pm25_ug_m3, flagged FROM onemap.dust WHERE vendor = %s ORDER BY observed_at", client.vendor) == [
        (40, None), (60, None), (1200, ["pm25_ug_m3"]), (1300, ["pm25_ug_m3"]), (-5, ["pm25_ug_m3"]), (None, None)]


# ---- places

@pytest.fixture(scope="module")
def county(shared):
    """Its one grid cell tells where it is; a department, and a category for its cases."""
    shared.database.query("INSERT INTO onemap.department (code, name_zh, kind) VALUES ('street', '街道', 'street')")
    assert shared.database.value("SELECT onemap.case_catalogue_import(%s, 'for the test')", json.dumps([
        {"line": 2, "code": "20101", "class": "市容环境", "name": "暴露垃圾", "condition": "1", "registration_condition": "有暴露垃圾", "limit": "1",
         "unit": "工作日", "closing_condition": "清除", "responsible": "@grid", "source": "assumed"}]))["imported"]
    client = shared.new_client("construction_waste")
    receipt = client.send_telemetry({"device_code": "before", "observed_at_ms": now_ms(), "position": {**NEAR, "lon": 2.35, "lat": 48.85}})
    assert "outside the county" in receipt["warnings"][0]["reason"], "China's own rectangle, before there are cells"
    receipt = client.send_telemetry({"device_code": "before", "observed_at_ms": now_ms(), "position": {**NEAR, "lon": 80.0, "lat": 40.0}})
    assert receipt["warnings"] == []
    shared.database.query("INSERT INTO onemap.grid_cell (code, department_id, geom) SELECT '410221001001001', d.id,"
                          " public.ST_Multi(public.ST_MakeEnvelope(114.7, 34.5, 114.8, 34.6, 4326)) FROM onemap.department d WHERE d.code = 'street'")
    in_force(shared)
    return shared


def no_case_there(county, client, place, code, words):
    record = {"case_code": "c", "occurred_at_ms": now_ms(), "title": "t", "position": place}
    for payload in (record, messages.protobuf("sanitation", [record], "case")):
        receipt = client.send("case", payload)
        assert (receipt["accepted"], [(one["index"], one["code"], "field" in one) for one in receipt["problems"]]) == (0, [(0, code, False)])
        assert words in receipt["problems"][0]["reason"], receipt
    assert county.database.value("SELECT count(*) FROM onemap.case_record WHERE vendor = %s", client.vendor) == 0


@pytest.mark.parametrize("name", FAR)
def test_places_outside_through_every_door(county, name):
    lon, lat, words = FAR[name]
    place, client, moment = {"lon": lon, "lat": lat, "system": "WGS84"}, county.new_client("sanitation"), now_ms()
    if abs(lat) > 90 or lon == lat == 0:  # that is nowhere
        receipt = client.send_telemetry({"device_code": "a", "observed_at_ms": moment, "speed_km_h": 1.0, "position": place})
        assert receipt["accepted"] == 1 and [(one["code"], one["field"]) for one in receipt["problems"]] == [("bad_position", "position")]
        assert words in receipt["problems"][0]["reason"]
        no_case_there(county, client, place, "bad_position", words)
        return

    def told(receipt):
        assert (receipt["accepted"], receipt["problems"], receipt["warned"]) == (1, [], 1), receipt
        ((index, code, field, _),) = warned(receipt)
        assert (index, code, field) == (0, "place_outside", "position") and words in receipt["warnings"][0]["reason"], receipt
    told(client.send_telemetry({"device_code": "a", "observed_at_ms": moment, "speed_km_h": 1.0, "position": place}))
    told(client.send("telemetry", {"device_code": "a", "observed_at_ms": moment + 1, "position": place}))
    told(client.send("inventory", {"device_code": "bin", "kind": "bin", "position": place}))
    told(client.send("staff", messages.protobuf("sanitation", [{"kind": "PERSON", "code": "p", "observed_at_ms": moment, "position": place}], "staff")))
    told(client.send("work", {"work_code": "w", "status": "STARTED", "observed_at_ms": moment, "position": place}))
    for table in ("device WHERE code = 'bin' AND", "person WHERE", "work_order WHERE"):
        assert county.database.query(f"SELECT geom IS NULL, round(public.ST_X(geom_outside)::numeric, 4) = %s FROM onemap.{table} vendor = %s",
                                     lon, client.vendor) == [(True, True)], table
    no_case_there(county, client, place, "place_outside", words)
    done = county.hubs[0].run("case", "report", "--source", "public", "--role", "acceptor", "--actor", "张三", "--set", "title=t",
                              "--set", f"lon={lon}", "--set", f"lat={lat}", code=None)
    assert done.returncode != 0 and "outside the county" in done.stderr, done


def test_what_no_map_can_show_is_counted_and_listed(county):
    client, moment, hub = county.new_client("sanitation"), now_ms(), county.hubs[0]
    operator, reader = hub.key("operator", rights="read,operate"), hub.key("reader", rights="read")

    def things(headers, what, **query):
        after, found = 0, []
        while after is not None:
            answer = requests.get(hub.http_url + "/api/v1/unplaced", params={"what": what, "after": after, "limit": 2, **query}, headers=headers, timeout=30).json()
            found, after = found + answer["things"], answer["next"]
        return found

    def mine(headers, what):
        return {one["code"] if what == "device" else one["flaw"]: one for one in things(headers, what) if one["vendor"] == client.vendor}
    client.send("inventory", {"device_code": "bin", "kind": "bin", "position": NEAR})
    client.send("inventory", {"device_code": "bin", "kind": "bin", "position": {**NEAR, "lon": 34.55, "lat": 114.75 - 90}})
    client.send("inventory", {"device_code": "nowhere", "kind": "bin"})
    client.send("inventory", {"device_code": "now", "kind": "bin"})
    client.send("inventory", {"device_code": "good", "kind": "bin", "position": NEAR})
    client.send("inventory", {"device_code": "lorry", "kind": county.database.value("SELECT min(key) FROM onemap.device_kind WHERE subsystem = 'sanitation' AND mobile")})
    client.send_telemetry({"device_code": "lorry", "observed_at_ms": moment, "speed_km_h": 1.0, "position": NEAR})
    wait_until(lambda: set(mine(operator, "device")) == {"bin", "nowhere", "now"}, 30, "the lorry's place is its state")
    client.send_telemetry({"device_code": "lorry", "observed_at_ms": moment + 1, "speed_km_h": 1.0, "position": {**NEAR, "doubt": "POSITION_NO_FIX"}})
    receipt = client.send_telemetry({"device_code": "nowhere", "observed_at_ms": moment, "position": {**NEAR, "lon": 0, "lat": 0}, "speed_km_h": 1.0})
    assert [one["code"] for one in receipt["problems"]] == ["bad_position"]
    message = county.database.value("SELECT max(id) FROM onemap.quarantine WHERE vendor = %s", client.vendor)
    found = mine(operator, "device")
    assert {code: (one["flaw"], one["flaw_zh"], one["message"]) for code, one in found.items()} == {
        "bin": ("outside", "在县域之外", None), "nowhere": ("none", "没有位置", message), "now": ("none", "没有位置", None), "lorry": ("doubtful", "厂商注明不可信", None)}
    assert (found["bin"]["lon"], found["bin"]["shown"], found["nowhere"]["shown"]) == (34.55, True, False)
    assert [(flaw, one["message"], one["records"]) for flaw, one in mine(operator, "message").items()] == [("zero", message, 1)]
    county.database.query("SELECT onemap.case_report(%s)", json.dumps({"source": "public", "role": "acceptor", "actor": "张三", "title": "没有地点", "category": "20101"}))
    assert "没有地点" in {one["name_zh"] for one in things(operator, "case", flaw="none")}
    for headers in (operator, reader):
        told = requests.get(hub.http_url + "/api/v1/unplaced/counts", headers=headers, timeout=30).json()
        assert told["total"] == sum(one["count"] for one in told["counts"]) > 0
        for one in told["counts"]:
            assert len(things(headers, one["what"], flaw=one["flaw"])) == one["count"], one
    assert {one["what"] for one in told["counts"]} == {"device", "case"} and things(reader, "message") == [], "quarantine is the operators'"
    assert mine(reader, "device")["nowhere"]["message"] is None
    client.send_telemetry({"device_code": "lorry", "observed_at_ms": moment + 2, "speed_km_h": 1.0, "position": NEAR})
    client.send("inventory", {"device_code": "bin", "kind": "bin", "position": NEAR})
    assert set(mine(operator, "device")) == {"nowhere", "now"}, "what is put right leaves the list"


def test_a_place_that_is_put_right(county):
    client, moment = county.new_client("sanitation"), now_ms()
    wrong = {**NEAR, "lon": -114.75}
    query = "SELECT public.ST_X(geom), public.ST_X(geom_outside) FROM onemap.device WHERE vendor = %s AND code = 'bin'"
    client.send("inventory", {"device_code": "bin", "kind": "bin", "position": NEAR})
    client.send("inventory", {"device_code": "bin", "kind": "bin", "position": wrong})
    assert county.database.query(query, client.vendor) == [(114.75, -114.75)]
    client.send("inventory", {"device_code": "bin", "kind": "bin", "position": NEAR})
    assert county.database.query(query, client.vendor) == [(114.75, None)]
    client.send_telemetry({"device_code": "t", "observed_at_ms": moment, "position": wrong})
    client.send_telemetry({"device_code": "t", "observed_at_ms": moment, "position": NEAR})
    assert county.database.query("SELECT public.ST_X(p.geom), p.geom_outside FROM onemap.track_point p JOIN onemap.device d ON d.id = p.device_id"
                                 " WHERE d.vendor = %s", client.vendor) == [(114.75, None)]


def test_a_case_says_something(county):
    """Without any content nobody can work on it; a word that is no severity costs that field."""
    client, moment = county.new_client("dust"), now_ms()
    for number, more in enumerate(({}, {"severity": "major"}, {"title": "  ", "description": ""}, {"title": 5}, {"device_code": "nobody"})):
        receipt = client.send("case", {"case_code": f"empty-{number}", "occurred_at_ms": moment, **more})
        assert (receipt["accepted"], [(one["index"], one["code"]) for one in receipt["problems"]]) == (0, [(0, "bad_value")]), receipt
        assert "without any content" in receipt["problems"][0]["reason"]
    attachment = {"uri": "http://x/1.jpg", "sha256": "ab" * 32, "size_bytes": 5, "media_type": "image/jpeg"}
    for number, more in enumerate(({"title": "t"}, {"category_code": "20101"}, {"position": NEAR}, {"attachments": [attachment] * 60})):
        assert client.send("case", {"case_code": f"case-{number}", "occurred_at_ms": moment, **more})["accepted"] == 1, more
    for word, problems, kept in (("Major", [], "级别：重要"), ("CRITICAL", [], "级别：紧急"), ("enormous", [("bad_value", "severity")], None)):
        receipt = client.send("case", {"case_code": word, "occurred_at_ms": moment, "title": "t", "severity": word})
        assert (receipt["accepted"], [(one["code"], one["field"]) for one in receipt["problems"]]) == (1, problems), receipt
        reason = county.database.value("SELECT e.reason FROM onemap.case_event e JOIN onemap.case_record r ON r.id = e.case_id"
                                       " WHERE r.vendor = %s AND r.external_code = %s AND e.seq = 1", client.vendor, word)
        assert (kept in reason) if kept else ("级别" not in reason), reason
    done = county.hubs[0].run("case", "report", "--source", "public", "--role", "acceptor", "--actor", "张三", code=None)
    assert done.returncode != 0 and "without any content" in done.stderr, done


def test_the_county_says_where_it_is(county):
    """Last in this file: its extent is the county's own word from here on."""
    client, moment = county.new_client("sanitation"), now_ms()
    record = {"device_code": "t", "observed_at_ms": moment, "position": {**NEAR, "lon": 113.5}}
    assert client.send_telemetry(record)["warned"] == 1
    extent = county.database.value("SELECT onemap.place_extent_set(%s)", json.dumps({"min_lon": 113, "min_lat": 34, "max_lon": 115, "max_lat": 35}))
    assert extent["source"] == "setting"
    in_force(county)
    assert client.send_telemetry({**record, "observed_at_ms": moment + 1})["warned"] == 0
    county.database.query("SELECT onemap.place_extent_set('{\"from_grid_cells\": true, \"margin_km\": 150}')")
    in_force(county)
    assert client.send_telemetry({**record, "observed_at_ms": moment + 2})["warned"] == 0
    assert county.database.value("SELECT count(*) FROM onemap.audit_log WHERE action = 'place_extent_set'") == 2
