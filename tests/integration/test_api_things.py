"""Routes of things over HTTP: devices, series, tracks, people, work, places, search and what is near. What each function answers is
tested in tests/schema/http_*.sql; here is what reaches a client, what is refused in which words, and that the page's examples work."""
import csv
import io
import itertools
import json
import math
import os
import re
import subprocess
import sys
import time
import zipfile
from xml.etree import ElementTree

import pytest
import requests
from harness import mvt, paths
from harness.process import wait_until

PAGE = (paths.ROOT / "docs" / "api.md").read_text()
LISTS = {"/api/v1/devices": "devices", "/api/v1/people": "people", "/api/v1/vehicles": "vehicles", "/api/v1/attendance": "attendance",
         "/api/v1/work": "work", "/api/v1/grid_cells": "features", "/api/v1/zones": "features", "/api/v1/components": "features"}
HOSTILE = ["'; DROP TABLE onemap.device; --", "' OR '1'='1", "$1", "\\'\\\\", "%_%", "火星路\u3000\u200b", "\U0001f6a8\U0001f6a8", "../../etc/passwd", "a" * 64, "\u202eabc", "%%%%"]
# What is there, or may be, by the name of a parameter in a path; of others the first word or the least number.
THERE = {"collection": "device", "month": "2026-01", "department": "east", "sha256": "0" * 64, "county": "none", "resource": "device"}
STANDARDS = ("/ogc", "/open311")
ALL_RIGHTS = "read,alarm,operate,open311,order,exchange,command"


@pytest.fixture(scope="module")
def county(shared):
    """Two departments with a site each, one of them with readings, a vehicle, a worker, an order, a case and a component."""
    shared.database.query("""
        INSERT INTO onemap.department (code, name_zh, kind) VALUES ('east', '东街道', 'street'), ('west', '西街道', 'street');
        INSERT INTO onemap.grid_cell (code, department_id, geom) SELECT '4102210' || d.id || '0010012', d.id,
            public.ST_Multi(public.ST_MakeEnvelope(114.2 + d.id * 0.1, 34.4, 114.3 + d.id * 0.1, 34.6, 4326)) FROM onemap.department d;
        INSERT INTO onemap.zone (kind, code, name_zh, geom) VALUES ('disposal_yard', 'Y1', '一号消纳场', public.ST_Multi(public.ST_MakeEnvelope(114.3, 34.5, 114.31, 34.51, 4326)))
        """)
    place = "SELECT public.ST_PointOnSurface(g.geom) FROM onemap.grid_cell g WHERE g.department_id = d.id"
    shared.database.query(f"""
        INSERT INTO onemap.device (subsystem, vendor, code, name_zh, status, department_id, geom) SELECT 'dust', 'tester', 'site-' || d.code, d.name_zh || '人民路工地', 'active', d.id, ({place})
            FROM onemap.department d;
        INSERT INTO onemap.component (component_code, name_zh, department_id, geom) SELECT '410221011800000' || row_number() OVER (), d.name_zh || '灯杆', d.id, ({place}) FROM onemap.department d;
        INSERT INTO onemap.person (subsystem, vendor, code, name, department_id, device_id, on_duty, observed_at, geom)
            SELECT 'dust', 'tester', 'worker-' || d.code, '张三丰', d.id, e.id, true, now(), ({place}) FROM onemap.department d JOIN onemap.device e ON e.department_id = d.id;
        INSERT INTO onemap.vehicle (subsystem, vendor, code, plate, department_id, on_duty, observed_at, geom) SELECT 'dust', 'tester', 'truck-' || d.code, '豫B8888' || d.id, d.id, true, now(), ({place})
            FROM onemap.department d;
        INSERT INTO onemap.work_order (subsystem, vendor, code, status, department_id, device_id, planned_start, observed_at) SELECT 'dust', 'tester', 'order-' || d.code, 'STARTED', d.id, e.id, now(), now()
            FROM onemap.department d JOIN onemap.device e ON e.department_id = d.id""")
    shared.hubs[0].sync_registry()
    client = shared.client("dust")
    now = int(time.time() * 1000)
    receipt = client.send("telemetry", [{"device_code": f"site-{site}", "observed_at_ms": now - n * 60000, "pm25_ug_m3": 30.0 + n, "pm10_ug_m3": 60.0}
                                        for site in ("east", "west") for n in range(30)])
    assert receipt["accepted"] == 60, receipt
    devices = dict(shared.database.query("SELECT d.code, d.id FROM onemap.device d WHERE d.vendor = 'tester'"))
    wait_until(lambda: shared.database.value("SELECT count(*) FROM onemap.device_state") == 2, 30, "the states are written")
    return devices


@pytest.fixture
def hub(shared, county):
    return shared.hubs[0]


def read(hub, path, key="test", **options):
    settings = {"department": key} if key in ("east", "west") else {}
    return requests.get(hub.http_url + path, headers={**hub.key(key, **settings), **options.pop("headers", {})}, timeout=30, **options)


def problem(response, status, code):
    assert response.status_code == status, f"{response.url} {response.status_code}: {response.text}"
    assert response.json()["code"] == code and response.json()["hint"], response.text
    return response.json()


def rows(hub):
    return [row for row in hub.get("/api/v1").json()["routes"]
            if any(row["path"] == path or row["path"].startswith(path + "/") for path in (*LISTS, "/api/v1/devices.csv", "/api/v1/work.csv", "/api/v1/attendance.csv", "/api/v1/series", "/api/v1/search",
                                                                                          "/api/v1/nearby", "/api/v1/metrics", "/api/v1/departments"))]


# ---- the page

def test_examples_of_the_page(hub, county, tmp_path):
    environment = {**os.environ, "HUB": hub.http_url, "TOKEN": hub.key()["Authorization"].split()[1], "DEVICE": str(county["site-east"]), "no_proxy": "*"}
    commands = [line for block in re.findall(r"```bash\n(.*?)```", PAGE, re.S) for line in block.splitlines()]
    assert len(commands) >= 20 and all(line.startswith("curl -fsS ") for line in commands)
    for command in commands:
        done = subprocess.run(["bash", "-c", command], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        assert "-o " in command or isinstance(json.loads(done.stdout), dict), command
    assert (tmp_path / "devices.csv").read_text("utf-8-sig").startswith("id,subsystem,")
    program, = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "0 台离线" in done.stdout and "pm25_ug_m3" in done.stdout, done.stdout + done.stderr


def test_every_route_is_on_the_page(hub):
    missing = [row["path"] for row in rows(hub) if row["path"].removeprefix("/api/v1").replace("{id}", "$DEVICE") not in PAGE]
    assert missing == []


# ---- what they tell

def test_device_and_its_day(hub, county):
    shown = read(hub, f"/api/v1/devices/{county['site-east']}")
    device = shown.json()
    assert (device["code"], device["department"], device["state"], device["alarms"], device["cases"]) == ("site-east", "east", "online", [], [])
    pm25 = next(reading for reading in device["readings"] if reading["key"] == "pm25_ug_m3")
    assert (pm25["value"], pm25["quality"], pm25["unit"]) == (30.0, "good", "ug/m3") and pm25["minimum"] < pm25["maximum"]
    assert [order["code"] for order in device["work"]] == ["order-east"]
    assert read(hub, f"/api/v1/devices/{county['site-east']}", headers={"If-None-Match": shown.headers["ETag"]}).status_code == 304
    day = read(hub, f"/api/v1/devices/{county['site-east']}/series?metrics=pm25_ug_m3&width=5000").json()
    points = day["series"][0]["points"]
    assert [point[3] for point in points] == [30.0 + n for n in range(29, -1, -1)] and day["time_zone"] == "Asia/Shanghai"
    both = read(hub, f"/api/v1/series?devices={county['site-west']},{county['site-east']}&metrics=pm10_ug_m3").json()
    assert [(series["device"], sum(point[5] for point in series["points"])) for series in both["series"]] == [(county["site-west"], 30), (county["site-east"], 30)]


def test_pages_and_csv(hub, county):
    found, after = [], 0
    while after is not None:
        page = read(hub, f"/api/v1/devices?limit=1&after={after}").json()
        found += [device["code"] for device in page["devices"]]
        after = page["next"]
    assert found == ["site-east", "site-west"]
    table = read(hub, "/api/v1/devices.csv?subsystem=dust&bom=true")
    assert table.headers["Content-Type"] == "text/csv; charset=utf-8" and table.content.startswith(b"\xef\xbb\xbf")
    lines = list(csv.DictReader(io.StringIO(table.content.decode("utf-8-sig"))))
    assert [(line["code"], line["department_zh"], line["state"]) for line in lines] == [("site-east", "东街道", "online"), ("site-west", "西街道", "online")]
    cells = read(hub, "/api/v1/grid_cells")
    assert cells.headers["Content-Type"] == "application/geo+json" and len(cells.json()["features"]) == 2


def cells(content):
    """Rows of a workbook's first sheet: {column letters: text or number}; a formula anywhere is an error."""
    names = {"m": "http://schemas.openxmlformats.org/spreadsheetml/2006/main"}
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        assert book.testzip() is None
        sheet = ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml"))
        shared = [] if "xl/sharedStrings.xml" not in book.namelist() else [
            "".join(text.text or "" for text in entry.iter(f"{{{names['m']}}}t")) for entry in ElementTree.fromstring(book.read("xl/sharedStrings.xml"))]
    assert sheet.findall(".//m:f", names) == []
    found = []
    for row in sheet.findall(".//m:row", names):
        found.append({})
        for cell in row:
            kind, column = cell.get("t", "n"), cell.get("r").rstrip("0123456789")
            value = cell.find("m:v", names)
            found[-1][column] = "".join(text.text or "" for text in cell.iter(f"{{{names['m']}}}t")) if kind == "inlineStr" \
                else shared[int(value.text)] if kind == "s" else float(value.text)
    return found


def test_workbooks(shared, hub, county):
    hostile = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(1)", "＝1", "a,\"b\"\nc", "'quoted", "-5", "no\uffff\ufffe XML"]
    shared.database.query("INSERT INTO onemap.device (subsystem, vendor, code, name_zh, status) SELECT 'dust', 'tester', 'x-' || n, w, 'active'"
                          " FROM unnest(%s::text[]) WITH ORDINALITY u (w, n)", hostile)
    try:
        table = read(hub, "/api/v1/devices.xlsx?subsystem=dust")
        assert table.status_code == 200 and table.headers["Content-Type"] == "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
        head, *lines = cells(table.content)
        plain = list(csv.reader(io.StringIO(read(hub, "/api/v1/devices.csv?subsystem=dust").text)))
        assert list(head.values()) == plain[0] and len(lines) == len(plain) - 1
        column = {name: letters for letters, name in head.items()}
        assert [line[column["name_zh"]] for line in lines][2:] == [*hostile[:-1], "no XML"]
        assert (lines[0][column["lon"]], lines[0][column["lat"]], lines[0][column["alarms"]]) == (114.35, 34.5, 0)
        assert lines[0][column["grid_cell"]] == "410221010010012" and lines[0][column["department_zh"]] == "东街道"
    finally:
        shared.database.query("DELETE FROM onemap.device WHERE code LIKE 'x-%%'")
    assert len(cells(read(hub, "/api/v1/devices.xlsx", "west").content)) == 2
    for name in ("alarms", "cases", "work", "attendance"):
        head, *lines = cells(read(hub, f"/api/v1/{name}.xlsx").content)
        assert list(head.values()) == next(csv.reader(io.StringIO(read(hub, f"/api/v1/{name}.csv").text))), name
    problem(read(hub, "/api/v1/devices.xlsx?subsystem=fire"), 422, "CH013")


def test_work_and_attendance_for_an_office(shared, hub, county):
    named = hub.key("named", rights="read,alarm")
    title = "=HYPERLINK(\"http://x\")"
    shared.database.query("UPDATE onemap.work_order w SET title = %s, person_id = p.id, planned_start = '2026-11-01T00:00:00Z', planned_end = '2026-11-01T01:00:00Z', started_at = '2026-11-01T00:01:00Z',"
                          " finished_at = '2026-11-01T01:00:30Z', status = 'FINISHED', quantity = 12.5, quality_score = 88 FROM onemap.person p WHERE w.code = 'order-east' AND p.code = 'worker-east'", title)

    def table(name, headers=None):
        listed = requests.get(f"{hub.http_url}/api/v1/{name}", headers=headers or hub.key(), timeout=30)
        assert listed.status_code == 200, listed.text
        if name.partition("?")[0].endswith(".csv"):
            return list(csv.DictReader(io.StringIO(listed.text)))
        head, *lines = cells(listed.content)
        return [{column: line.get(letters) for letters, column in head.items()} for line in lines]

    try:
        order, = table("work.xlsx?status=finished&is=ended_late")
        assert (order["作业单号"], order["作业"], order["状态"], order["单位"], order["姓名"], order["设备编号"]) == ("order-east", title, "完成", "东街道", None, "site-east")
        assert (order["晚开始秒"], order["晚完成秒"], order["用时秒"], order["数量"], order["质量分"], order["计划开始"]) == (60, 30, 3570, 12.5, 88, "2026-11-01 08:00")
        assert [(line["作业单号"], line["作业"]) for line in table("work.csv")] == [("order-west", ""), ("order-east", "'" + title)]
        assert len(table("work.csv?limit=1")) == 1 and table("work.csv?from=2026-11-02&to=2026-11-03") == []
        assert table("work.xlsx?status=finished", named)[0]["姓名"] == "张三丰"
        shared.database.query("INSERT INTO onemap.observation_hourly (device_id, hour, records, counts, minima, maxima, sums, firsts, lasts, last_at) SELECT %s, '2026-01-01T00:00:00Z'::timestamptz + h * interval '1 hour', 7,"
                              " '{}', '{}', '{}', '{}', '{}', '{}', '2026-01-01T00:40:00Z'::timestamptz + h * interval '1 hour' FROM generate_series(0, 2) h", county["site-west"])
        day = table("attendance.csv?day=2026-01-01", named)
        assert [(line["日期"], line["人员编号"], line["姓名"], line["单位"], line["终端编号"], line["到岗"], line["上报小时"], line["最早"], line["最晚"]) for line in day] == [
            ("2026-01-01", "worker-east", "张三丰", "东街道", "site-east", "否", "0", "", ""),
            ("2026-01-01", "worker-west", "张三丰", "西街道", "site-west", "是", "3", "2026-01-01 08:00", "2026-01-01 10:40")]
        assert [(line["到岗"], line["上报小时"], line["姓名"]) for line in table("attendance.xlsx?day=2026-01-01")] == [("否", 0, None), ("是", 3, None)]
    finally:
        shared.database.query("DELETE FROM onemap.observation_hourly WHERE hour < '2026-01-02T00:00:00Z'")
        shared.database.query("UPDATE onemap.work_order SET title = '', person_id = NULL, planned_start = now(), planned_end = NULL, started_at = NULL, finished_at = NULL, status = 'STARTED',"
                              " quantity = NULL, quality_score = NULL WHERE code = 'order-east'")


def test_the_county_at_a_moment(shared, hub, county):
    now = lambda: shared.database.value("SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')")
    device = county["site-east"]

    def seen(at, path="/api/v1/devices", key="test", **options):
        return read(hub, path, key, params={"at": at} if at else {}, **options)

    def names(at, key="test"):
        return [(entry["code"], entry["name_zh"], entry["department"]) for entry in seen(at, key=key).json()["devices"]]

    def without_times(answer):
        # Receipt is the batch's time in the records, and the message's in the state: some milliseconds.
        # Work that has not begun becomes later by the second.
        changing = {"devices": {"last_seen_at": None}, "work": {"performance": None}}
        return {key: [{**entry, **changing[key]} for entry in value] if key in changing else value for key, value in answer.items()}

    moments = [now()]
    before = {path: seen(None, path).json() for path in ("/api/v1/devices", f"/api/v1/devices/{device}", "/api/v1/people", "/api/v1/vehicles", "/api/v1/work", "/api/v1/departments")}
    shared.database.query("UPDATE onemap.device SET name_zh = '改名', department_id = (SELECT id FROM onemap.department WHERE code = 'west'), geom = NULL WHERE id = %s", device)
    shared.database.query("UPDATE onemap.person SET on_duty = false, name = '李四' WHERE code = 'worker-east'")
    shared.database.query("UPDATE onemap.vehicle SET plate = '豫A0' WHERE code = 'truck-east'")
    shared.database.query("UPDATE onemap.work_order SET title = '改了', status = 'CANCELLED' WHERE code = 'order-east'; UPDATE onemap.department SET name_zh = '东街' WHERE code = 'east'")
    moments.append(now())
    try:
        client = shared.client("dust")
        sent = int(time.time() * 1000)
        assert client.send("telemetry", [{"device_code": "site-west", "observed_at_ms": sent - 3600 * 1000 * 5, "pm25_ug_m3": 777.0},
                                         {"device_code": "site-west", "observed_at_ms": sent, "pm25_ug_m3": 555.0}])["accepted"] == 2
        moments.append(now())
        assert names(moments[0]) == [("site-east", "东街道人民路工地", "east"), ("site-west", "西街道人民路工地", "west")]
        assert names(moments[1]) == names(None) == [("site-east", "改名", "west"), ("site-west", "西街道人民路工地", "west")]
        # Rights are today's, the row's department is the one it had.
        assert [code for code, _, _ in names(moments[0], "west")] == ["site-west"] and len(names(moments[1], "west")) == 2
        assert len(names(moments[0], "east")) == 1 and names(moments[1], "east") == []
        assert seen(moments[0], f"/api/v1/devices/{device}", "east").status_code == 200 and seen(moments[1], f"/api/v1/devices/{device}", "east").status_code == 404
        for path, answer in before.items():
            if path != f"/api/v1/devices/{device}":
                then = seen(moments[0], path).json()
                assert without_times(then) == without_times(answer), f"{path}: {then}, not {answer}"
        shown = seen(moments[0], f"/api/v1/devices/{device}").json()
        # Reports of the last second may have come between the two times.
        assert {**shown, "state_since": None, "last_seen_at": None} == {**before[f"/api/v1/devices/{device}"], "state_since": None, "last_seen_at": None}
        values = [{entry["code"]: entry["readings"]["pm25_ug_m3"]["value"] for entry in seen(at, "/api/v1/states").json()["states"]} for at in moments]
        assert [value["site-west"] for value in values] == [30.0, 30.0, 555.0], values
        x, y = int((114.35 + 180) / 360 * 2**14), int((1 - math.asinh(math.tan(math.radians(34.5))) / math.pi) / 2 * 2**14)
        tiles = [seen(at, f"/api/v1/tiles/device/14/{x}/{y}.mvt") for at in (*moments[:2], moments[0])]
        assert [tile.status_code for tile in tiles] == [200, 204, 200] and tiles[0].content == tiles[2].content
        layer, = mvt.layers(tiles[0].content).values()
        assert (layer.name, [(feature.id, feature.attributes) for feature in layer.features]) == ("device", [(device, {"kind": "dust", "state": "online"})])
        assert seen(moments[0], f"/api/v1/tiles/device/14/{x}/{y}.mvt", "west").status_code == 204
        problem(seen("2126-01-01", f"/api/v1/tiles/device/14/{x}/{y}.mvt"), 400, "CH065")
        # Answers of different moments are different things; the same one is the same.
        tags = [seen(at).headers["ETag"] for at in (moments[0], moments[1], moments[0])]
        assert tags[0] == tags[2] != tags[1] and seen(moments[0], headers={"If-None-Match": tags[0]}).status_code == 304
        assert seen(moments[1], headers={"If-None-Match": tags[0]}).status_code == 200
        day = time.strftime("%Y-%m-%d", time.gmtime(time.time() - 10 * 86400))
        for name in ("devices", "states", "alarms", "cases", "people", "vehicles", "work"):
            path = f"/api/v1/{name}"
            assert seen(day, path).json()[name] == [], path
            problem(seen("2126-01-01", path), 400, "CH065")
            problem(seen("1999-01-01", path), 400, "CH065")
            problem(seen("yesterday", path), 400, "CH042")
        for path in ("/api/v1/attendance", "/api/v1/components", "/api/v1/scores/statistics"):
            problem(seen(day, path), 400, "CH078")
    finally:
        shared.database.query("UPDATE onemap.work_order SET title = '', status = 'STARTED' WHERE code = 'order-east'; UPDATE onemap.department SET name_zh = '东街道' WHERE code = 'east'")
        shared.database.query("UPDATE onemap.device SET name_zh = '东街道人民路工地', department_id = (SELECT id FROM onemap.department WHERE code = 'east'), "
                              "geom = (SELECT public.ST_PointOnSurface(g.geom) FROM onemap.grid_cell g JOIN onemap.department d ON d.id = g.department_id WHERE d.code = 'east') WHERE id = %s", device)
        shared.database.query("UPDATE onemap.person SET on_duty = true, name = '张三丰' WHERE code = 'worker-east'")
        shared.database.query("UPDATE onemap.vehicle SET plate = '豫B8888' || department_id WHERE code = 'truck-east'")


# ---- who sees what

@pytest.mark.parametrize("mine, other", [("east", "west"), ("west", "east")])
def test_a_department_sees_its_own(hub, county, mine, other):
    for path, name in LISTS.items():
        text = read(hub, path, mine).text
        listed = json.loads(text)[name]
        assert len(listed) == (2 if name == "features" and "cells" in path else 1), path
        assert other not in text or "cells" in path, f"{path}: {text}"
    for path in ("", "/series", "/track"):
        problem(read(hub, f"/api/v1/devices/{county[f'site-{other}']}{path}", mine), 404, "CH049")
        assert read(hub, f"/api/v1/devices/{county[f'site-{mine}']}{path}", mine).status_code == 200
    problem(read(hub, f"/api/v1/series?devices={county[f'site-{mine}']},{county[f'site-{other}']}", mine), 422, "CH013")
    for path in ("/api/v1/search?q=site", "/api/v1/search?q=88", "/api/v1/search?q=4102210118", "/api/v1/devices.csv", "/api/v1/work.csv", "/api/v1/attendance.csv"):
        answer = read(hub, path, mine).text
        assert f"-{other}" not in answer and ("东街道", "西街道")[mine == "east"] not in answer, path
    everywhere = read(hub, "/api/v1/nearby?lon=114.4&lat=34.5&metres=5000", mine).json()
    assert all(len(everywhere[kind]) <= 1 for kind in everywhere) and other not in json.dumps(everywhere)


def test_names_of_people(hub):
    """A token that may only read is told no names, and finds nobody by one."""
    assert [person["name"] for person in read(hub, "/api/v1/people").json()["people"]] == [None, None]
    assert read(hub, "/api/v1/search?q=张三丰").json()["results"] == [] == read(hub, "/api/v1/people?text=三丰").json()["people"]
    named = hub.key("named", rights="read,alarm")
    assert [person["name"] for person in requests.get(hub.http_url + "/api/v1/people?text=三丰", headers=named, timeout=30).json()["people"]] == ["张三丰", "张三丰"]


# ---- what is refused

def test_bad_parameters(hub, county):
    device = county["site-east"]
    for query in ("limit=0", "limit=1001", "limit=x", "after=-1", "after=2147483648", "state=broken", "colour=red", "limit=1&limit=2", "box=1,2,3", "text=a"):
        assert re.search("[一-龥]", problem(read(hub, f"/api/v1/devices?{query}"), 400, "CH042")["detail"])
    for path in (f"/api/v1/devices/{device}/series?width=5", f"/api/v1/devices/{device}/series?from=yesterday", "/api/v1/devices/0", "/api/v1/devices/x", "/api/v1/series",
                 "/api/v1/nearby?lon=114", "/api/v1/search", "/api/v1/search?q=ab&kinds=device,dragon", f"/api/v1/devices/{device}/track?zoom=99"):
        problem(read(hub, path), 400, "CH042")
    for path in ("/api/v1/devices?subsystem=fire", "/api/v1/people?department=moon", f"/api/v1/devices/{device}/series?metrics=nothing", "/api/v1/search?q=a%20b",
                 f"/api/v1/devices/{device}/series?resolution=raw&from=2026-01-01&to=2026-06-01", "/api/v1/devices?grid_cell=000000000000000"):
        assert re.search("[一-龥]", problem(read(hub, path), 422, "CH013")["hint"])
    problem(read(hub, "/api/v1/devices/2147483647"), 404, "CH049")


def test_texts_are_texts(hub, county, shared):
    """SQL, Unicode and patterns in every text parameter of every route of these: an answer or a refusal, and nothing else."""
    before = shared.database.value("SELECT count(*) FROM onemap.device")
    asked = 0
    for row, text in itertools.product(rows(hub), HOSTILE):
        for parameter in row.get("parameters", ()):
            if parameter["in"] == "query" and parameter["type"] in ("string", "array"):
                needed = {other["name"]: {"lon": 114, "lat": 34, "q": "ab", "devices": county["site-east"]}[other["name"]]
                          for other in row["parameters"] if other["required"] and other["in"] == "query"}
                path = row["path"].replace("{id}", str(county["site-east"]))
                response = read(hub, path, params={**needed, parameter["name"]: text})
                assert response.status_code in (200, 400, 422), f"{response.url} {response.status_code}: {response.text}"
                if response.status_code == 200 and row["path"] in LISTS and parameter["name"] == "text" and text != "%_%":
                    assert response.json()[LISTS[row["path"]]] == [], response.url
                asked += 1
    assert asked > 200 and shared.database.value("SELECT count(*) FROM onemap.device") == before


def test_texts_are_texts_in_paths_and_standards(hub, county, shared):
    """The same in every part of a path of every route that is read, and in every parameter of the standards' routes, whose programs the
    hub does not know: a documented answer that is no failure, without a word of PostgreSQL's; and no statement failed."""
    documented = {path: {int(status) for status in item["get"]["responses"]}
                  for path, item in hub.get("/api/v1/openapi.json").json()["paths"].items() if "get" in item}
    before, there = shared.database.value("SELECT count(*) FROM onemap.device"), {**THERE, "id": county["site-east"]}
    asked, flaws, logged = set(), [], len(hub.process.log_text())
    for row in hub.get("/api/v1").json()["routes"]:
        if row["method"] != "GET":
            continue
        inside = [one for one in row["parameters"] if one["in"] == "path"]
        known = {one["name"]: str(there.get(one["name"], one.get("enum", [one.get("minimum", "x")])[0])) for one in inside}
        for parameter, text in itertools.product(row["parameters"] if row["path"].startswith(STANDARDS) else inside, HOSTILE):
            values, query = ({**known, parameter["name"]: text}, {}) if parameter in inside else (known, {parameter["name"]: text})
            path = re.sub(r"{(\w+)}", lambda name: requests.utils.quote(values[name[1]], safe=""), row["path"])
            response = requests.get(hub.http_url + path, params=query, headers=hub.key("all", rights=ALL_RIGHTS), timeout=30)
            good = documented.get(row["path"], {200, 400, 404}) & {200, 400, 404, 422} | ({403} if parameter["name"] == "api_key" else set())
            if response.status_code not in good or re.search("syntax error|ERROR:|pg_|SQLSTATE|PL/pgSQL", response.text):
                flaws.append(f"{response.url} {response.status_code}: {response.text[:1000]}")
            asked.add(row["path"])
    assert not flaws, "\n".join(flaws)
    assert {path for path in documented if "{" in path} < asked and all(any(path.startswith(one) for path in asked) for one in STANDARDS)
    assert hub.ready() and "event=http_query" not in hub.process.log_text()[logged:] and shared.database.value("SELECT count(*) FROM onemap.device") == before
