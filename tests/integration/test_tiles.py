"""Vector tiles: after random changes by vendors, by SQL and over restarts, every tile is what the database says; one tag a version;
whose rows; what is kept is sent without asking anybody."""
import collections
import concurrent.futures
import json
import math
import os
import random

import pytest
import requests
from harness import mvt
from harness.guides import now_ms
from harness.process import wait_until

LAYERS = ("device", "alarm", "case", "grid", "department", "zone")
CHANGES = int(os.environ.get("CITYHUB_CHANGES", "50"))
WEST, SOUTH, SIZE = 114.40, 34.50, 0.10


@pytest.fixture
def hub(shared):
    return shared.hubs[0]


@pytest.fixture(scope="module")
def county(shared):
    """Departments and their cells, 60 lamps, and a vendor with lorries."""
    database, hub = shared.database, shared.hubs[0]
    for number, (code, parent) in enumerate((("bureau", None), ("lamps", "bureau"), ("street", None)), 1):
        database.query("INSERT INTO onemap.department (id, code, name_zh, kind, parent_id) OVERRIDING SYSTEM VALUE"
                       " VALUES (%s, %s, %s, 'county', (SELECT id FROM onemap.department WHERE code = %s))", number, code, code, parent)
    for x in range(4):
        database.query("INSERT INTO onemap.grid_cell (code, department_id, geom) VALUES (%s, %s, public.ST_Multi(public.ST_MakeEnvelope(%s, %s, %s, %s, 4326)))",
                       f"41022100100100{x}", (1, 2, 3, None)[x], WEST + x * SIZE / 4, SOUTH, WEST + (x + 1) * SIZE / 4, SOUTH + SIZE)
    database.query("INSERT INTO onemap.device (subsystem, vendor, code, kind, status, department_id, geom)"
                   " SELECT 'streetlight', 'tester', 'L' || n, NULL, 'active', 1 + n %% 3, public.ST_SetSRID(public.ST_MakePoint(%s + %s * random(), %s + %s * random()), 4326)"
                   " FROM generate_series(1, 60) n", WEST, SIZE, SOUTH, SIZE)
    database.query("SELECT onemap.case_catalogue_import(%s, 'test')", json.dumps([{
        "line": 2, "code": "20102", "class": "市容环境", "name": "暴露垃圾", "condition": "1", "registration_condition": "暴露", "limit": "5", "unit": "工作时",
        "closing_condition": "已处置", "responsible": "bureau", "source": "assumed"}]))
    lorries = shared.new_client("construction_waste")
    database.query("INSERT INTO onemap.alarm (rule_id, device_id, opened_at, severity) SELECT r.id, d.id, now(), 'major' FROM onemap.alarm_rule r, onemap.device d"
                   " WHERE r.subsystem = 'streetlight' AND r.key = 'device_offline' AND d.code ~ '^L[1-6]$'")
    report(database, WEST + SIZE / 2, SOUTH + SIZE / 2)
    lorries.send_telemetry(drive("T0", WEST + SIZE / 3, SOUTH + SIZE / 3, now_ms()))
    hub.sync_registry()
    check_all(hub, database, zooms=(12,))
    return lorries


def report(database, lon, lat):
    database.query("SELECT onemap.case_report(%s)", json.dumps({"source": "supervisor", "role": "supervisor", "actor": "张三", "title": "测试", "category": "20102",
                                                                "lon": lon, "lat": lat}))


def get(hub, layer, z, x, y, key=None, **headers):
    return requests.get(f"{hub.http_url}/api/v1/tiles/{layer}/{z}/{x}/{y}.mvt", headers={**(key or hub.key()), **headers}, timeout=30)


def tile_at(z, lon, lat):
    n = 1 << z
    return int((lon + 180) / 360 * n), int((1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2 * n)


def units(z, x, y, lon, lat):
    """Where a place is in a tile, not rounded."""
    n = 4096 * (1 << z)
    return (lon + 180) / 360 * n - 4096 * x, (1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2 * n - 4096 * y


def features(response):
    if response.status_code == 204:
        return []
    assert response.status_code == 200, f"{response.status_code}: {response.text}"
    (layer,) = mvt.layers(response.content).values()
    assert (layer.extent, layer.version) == (4096, 2)
    return layer.features


STORED = {
    "device": "SELECT d.id, d.subsystem || coalesce('/' || d.kind, ''), CASE WHEN s.online THEN 'online' ELSE 'offline' END,"
              " ST_X(coalesce(s.geom, d.geom)), ST_Y(coalesce(s.geom, d.geom)), d.department_id"
              " FROM onemap.device d LEFT JOIN onemap.device_state s ON s.device_id = d.id WHERE d.status <> 'retired'",
    "alarm": "SELECT a.id, r.subsystem || '/' || r.key, a.severity, ST_X(coalesce(s.geom, d.geom)), ST_Y(coalesce(s.geom, d.geom)), d.department_id"
             " FROM onemap.alarm a JOIN onemap.alarm_rule r ON r.id = a.rule_id JOIN onemap.device d ON d.id = a.device_id"
             " LEFT JOIN onemap.device_state s ON s.device_id = d.id WHERE a.closed_at IS NULL AND d.status <> 'retired'",
    "case": "SELECT c.id, coalesce(c.category_code, ''), c.state, ST_X(c.geom), ST_Y(c.geom), c.department_id FROM onemap.case_record c WHERE c.ended_at IS NULL",
}


def stored(database, layer):
    return [row for row in database.query(STORED[layer]) if row[3] is not None]


def differences(rows, layer, z, x, y, found):
    """What a tile shows that the rows do not say, or the other way round."""
    inside = {}
    for identity, kind, state, lon, lat, _ in rows:
        at = units(z, x, y, lon, lat)
        if all(-64.6 < value < 4096 + 64.6 for value in at):
            inside[identity] = (kind, state, at)
    if z < 12:
        counted = collections.Counter()
        for _, state, at in inside.values():
            if all(0 <= value < 4096 for value in at):
                counted[(int(at[0] // 64) * 64 + 32, int(at[1] // 64) * 64 + 32, state)] += 1
        shown = {(*feature.place, feature.attributes["state"]): feature.attributes["count"] for feature in found}
        return {key: (counted[key], shown.get(key)) for key in {*counted, *shown} if counted[key] != shown.get(key)}
    wrong = {}
    shown = {feature.id: feature for feature in found}
    assert len(shown) == len(found), "an id comes twice"
    for identity in {*inside, *shown}:
        kind, state, at = inside.get(identity, (None, None, None))
        feature = shown.get(identity)
        if feature is None:
            if all(-64.4 < value < 4096 + 64.4 for value in at):  # at the very edge either is right
                wrong[identity] = "is not shown"
        elif kind is None or feature.attributes != {"kind": kind, "state": state} or max(abs(a - b) for a, b in zip(feature.place, at)) > 0.51:
            wrong[identity] = (feature, (kind, state, at))
    return wrong


def occupied(rows, zooms):
    """The tiles that show something, buffer included, and each one's neighbour, which may not."""
    tiles = set()
    for _, _, _, lon, lat, _ in rows:
        for z in zooms:
            x, y = tile_at(z, lon, lat)
            tiles |= {(z, x, y), (z, x + 1, y), (z, x, y + 1)}
    return sorted(tile for tile in tiles if max(tile[1:]) < 1 << tile[0])


def check_all(hub, database, zooms=(0, 8, 11, 12, 14, 17), tags=None):
    """Every occupied tile of each layer of points = database; one content a tag, those of `tags` included."""
    tags = {} if tags is None else tags

    def settled():
        told = {}
        with concurrent.futures.ThreadPoolExecutor(8) as threads:
            for layer in STORED:
                rows = stored(database, layer)
                tiles = occupied(rows, zooms)
                for tile, response in zip(tiles, threads.map(lambda at: get(hub, layer, *at), tiles)):
                    wrong = differences(rows, layer, *tile, features(response))
                    if wrong:
                        told[(layer, *tile)] = wrong
                    seen = tags.setdefault((layer, *tile, response.headers["ETag"]), response.content)
                    assert seen == response.content, f"two contents of {layer} {tile} have one tag"
        assert not told, f"{len(told)} tiles are not what the database says: {dict(list(told.items())[:2])}"
        return True
    wait_until(settled, 30, "every tile is what the database says")


def drive(code, lon, lat, at):
    return {"device_code": code, "observed_at_ms": at, "speed_km_h": 10.0, "position": {"lon": lon, "lat": lat, "system": "WGS84"}}


def shake(shared, lorries, rng, steps):
    """Random changes: lorries drive, devices are moved, retired and given away, alarms open and close, cases come and go."""
    database = shared.database
    for _ in range(steps):
        lon, lat = WEST + SIZE * rng.random(), SOUTH + SIZE * rng.random()
        choice = rng.randrange(8)
        lamp = "L%d" % rng.randint(1, 60)
        if choice < 4:
            lorries.send_telemetry(*(drive(f"T{n}", WEST + SIZE * rng.random(), SOUTH + SIZE * rng.random(), now_ms() - rng.randrange(2000))
                                     for n in rng.sample(range(20), 5)))
        elif choice == 4:
            database.query("UPDATE onemap.device SET geom = public.ST_SetSRID(public.ST_MakePoint(%s, %s), 4326), status = %s, department_id = %s WHERE code = %s",
                           lon, lat, rng.choice(("active", "active", "retired")), rng.choice((1, 2, 3)), lamp)
        elif choice == 5:
            database.query("INSERT INTO onemap.alarm (rule_id, device_id, opened_at, severity) SELECT r.id, d.id, clock_timestamp(), %s FROM onemap.alarm_rule r,"
                           " onemap.device d WHERE r.subsystem = 'streetlight' AND r.key = 'device_offline' AND d.code = %s ON CONFLICT DO NOTHING",
                           rng.choice(("minor", "major")), lamp)
        elif choice == 6:
            database.query("UPDATE onemap.alarm SET closed_at = clock_timestamp() WHERE id = (SELECT min(id) FROM onemap.alarm WHERE closed_at IS NULL)")
        else:
            report(database, lon, lat)
            database.query("SELECT onemap.case_do(jsonb_build_object('case', c.code, 'action', 'reject', 'role', 'acceptor', 'actor', '李四', 'reason', '理由',"
                           " 'version', c.version)) FROM onemap.case_record c WHERE c.state = 'reported' ORDER BY random() LIMIT %s", rng.randrange(2))


# ---- what tiles show

def test_every_tile_is_the_database(shared, hub, county):
    """The hub is killed, and loses its database: once each, or every 500 changes with CITYHUB_CHANGES=10000, as the product must hold up. A
    tag that stood for something before stands for it afterwards."""
    rng, tags = random.Random(20261127), {}
    turns = CHANGES // 25
    every = min(20, turns)
    for turn in range(1, turns + 1):
        shake(shared, county, rng, 25)
        if turn % every == every // 2:
            hub.kill()
            hub.start()
        elif turn % every == 0:
            shared.database.query("SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()")
        if turn == 1 or turn % 40 == 0 or turn == turns:
            check_all(hub, shared.database, tags=tags)


def test_the_same_as_st_asmvt(shared, hub, county):
    """PostGIS makes the same features of the same points: ids, attributes, and places but for the rounding of a half."""
    sql = ("SELECT public.ST_AsMVT(r, 'device', 4096, 'geom', 'id') FROM (SELECT p.id, p.kind, p.state, public.ST_AsMVTGeom(public.ST_Transform("
           "public.ST_SetSRID(public.ST_MakePoint(p.lon, p.lat), 4326), 3857), public.ST_TileEnvelope(%s, %s, %s), 4096, 64, true) AS geom"
           " FROM onemap.point_device p WHERE p.shown) r")
    compared = 0
    for tile in occupied(stored(shared.database, "device"), (12, 13, 15)):
        mine = {f.id: f for f in features(get(hub, "device", *tile))}
        made = mvt.layers(bytes(shared.database.value(sql, *tile)))
        theirs = {f.id: f for f in made["device"].features} if made else {}
        assert set(mine) == set(theirs), tile
        for identity, feature in mine.items():
            assert feature.attributes == theirs[identity].attributes, (tile, identity)
            assert max(abs(a - b) for a, b in zip(feature.place, theirs[identity].place)) <= 1, (tile, feature, theirs[identity])
            compared += feature.place == theirs[identity].place
    assert compared > 100


def test_silent_devices(shared, hub, county):
    """Which the sweep finds offline."""
    shared.database.query("INSERT INTO onemap.device_state (device_id, observed_at, last_seen_at) SELECT d.id, t.t, t.t FROM onemap.device d,"
                          " (SELECT now() - interval '2 hours') t (t) WHERE d.code ~ '^L[1-9]$' ON CONFLICT (device_id) DO NOTHING")
    shared.database.query("UPDATE onemap.device SET name_zh = 'online' WHERE code ~ '^L[1-9]$'")
    check_all(hub, shared.database, zooms=(12,))
    assert shared.database.value("SELECT onemap.presence_sweep('-infinity')") == 9
    check_all(hub, shared.database, zooms=(12,))


def test_a_lorry_is_seen_within_a_second(shared, hub, county):
    """Not when its state is written, but when its record is stored."""
    place = tile_at(16, WEST + 0.05, SOUTH + 0.05)
    at = now_ms()
    county.send_telemetry(drive("fast", WEST + 0.05, SOUTH + 0.05, at))
    wait_until(lambda: any(f.attributes["kind"].startswith("construction_waste") for f in features(get(hub, "device", 16, *place))), 30, "it is on the map")


def test_restart_makes_a_new_epoch(shared, hub, county):
    check_all(hub, shared.database, zooms=(14,))
    rows = stored(shared.database, "device")
    z, x, y = occupied(rows, (14,))[0]
    before = get(hub, "device", z, x, y)
    assert get(hub, "device", z, x, y, **{"If-None-Match": before.headers["ETag"]}).status_code == 304
    hub.restart()
    wait_until(lambda: get(hub, "device", z, x, y).status_code != 503, 30, "the map is loaded")
    after = get(hub, "device", z, x, y, **{"If-None-Match": before.headers["ETag"]})
    assert after.status_code in (200, 204) and after.headers["ETag"].split("-")[0] != before.headers["ETag"].split("-")[0]
    check_all(hub, shared.database, zooms=(8, 12, 15))


# ---- how they are sent

def test_headers(shared, hub, county):
    lon, lat = WEST + SIZE + 0.01, SOUTH
    x, y = tile_at(12, lon, lat)
    shared.database.query("INSERT INTO onemap.device (subsystem, vendor, code, status, geom) SELECT 'dust', 'tester', 'H' || n, 'active',"
                          " public.ST_SetSRID(public.ST_MakePoint(%s, %s), 4326) FROM generate_series(1, 100) n", lon, lat)
    wait_until(lambda: len(features(get(hub, "device", 12, x, y))) >= 100, 30, "the tile has 100 points")
    response = get(hub, "device", 12, x, y)
    assert response.headers["Content-Type"] == "application/vnd.mapbox-vector-tile"
    assert response.headers["Cache-Control"] == "private, no-cache" and "Age" not in response.headers
    assert "Authorization, Cookie" in response.headers["Vary"]
    plain = get(hub, "device", 12, x, y, **{"Accept-Encoding": "identity"})
    assert plain.content == response.content and "Content-Encoding" not in plain.headers
    assert response.headers.get("Content-Encoding") == "gzip"
    assert response.headers["ETag"] == plain.headers["ETag"].rstrip('"') + '-gzip"'
    assert get(hub, "device", 12, x, y, **{"If-None-Match": response.headers["ETag"]}).status_code == 304
    shared.database.query("UPDATE onemap.device SET status = 'retired' WHERE code ~ '^H'")
    empty = get(hub, "device", 12, 0, 0)
    assert (empty.status_code, empty.content) == (204, b"")


@pytest.mark.parametrize("path, status, code", [
    ("device/19/0/0", 400, "CH042"), ("device/2/4/0", 400, "CH042"), ("device/2/0/4", 400, "CH042"), ("river/2/0/0", 400, "CH042"),
    ("device/-1/0/0", 400, "CH042"), ("device/2/1.5/0", 400, "CH042"), ("device/2/0/0.mvt/x", 404, "CH040")])
def test_no_such_tile(hub, county, path, status, code):
    response = requests.get(f"{hub.http_url}/api/v1/tiles/{path}.mvt", headers=hub.key(), timeout=30)
    assert (response.status_code, response.json()["code"]) == (status, code)


def test_nobody_sees_nothing(hub, county):
    assert requests.get(f"{hub.http_url}/api/v1/tiles/device/0/0/0.mvt", timeout=30).status_code == 401
    assert get(hub, "device", 0, 0, 0, key=hub.key("operator", rights="operate")).status_code == 403


def test_warm_tiles_ask_nobody(shared, hub, county):
    """The second time neither the encoder nor the database works."""
    x, y = tile_at(13, WEST + 0.05, SOUTH + 0.05)
    first = {layer: get(hub, layer, 13, x, y) for layer in LAYERS}
    before = hub.metrics()
    session = requests.Session()
    for layer in LAYERS * 20:
        response = session.get(f"{hub.http_url}/api/v1/tiles/{layer}/13/{x}/{y}.mvt", headers=hub.key(), timeout=30)
        assert (response.content, response.headers["ETag"]) == (first[layer].content, first[layer].headers["ETag"])
    after = hub.metrics()
    assert after.value("cityhub_tiles_encoded_total") == before.value("cityhub_tiles_encoded_total")
    assert after.value("cityhub_tiles_warm_total") == before.value("cityhub_tiles_warm_total") + 20 * len(LAYERS)
    for layer in LAYERS:
        assert get(hub, layer, 13, x, y, **{"If-None-Match": first[layer].headers["ETag"]}).status_code == 304
    again = hub.metrics()
    assert again.value("cityhub_tiles_encoded_total") == before.value("cityhub_tiles_encoded_total")
    assert again.value("cityhub_tiles_unchanged_total") == before.value("cityhub_tiles_unchanged_total") + len(LAYERS)


# ---- polygons

def test_polygons(shared, hub, county):
    z, (x, y) = 9, tile_at(9, WEST + 0.05, SOUTH + 0.05)
    response = get(hub, "grid", z, x, y)
    cells = {f.attributes["code"]: f for f in features(response)}
    assert set(cells) == {f"41022100100100{n}" for n in range(4)} and cells["410221001001001"].id == 410221001001001
    assert {f.attributes["code"] for f in features(get(hub, "department", z, x, y))} == {"bureau", "lamps", "street"}
    assert get(hub, "zone", z, x, y).status_code == 204
    shared.database.query("UPDATE onemap.grid_cell SET name_zh = '改了' WHERE code = '410221001001001'")
    wait_until(lambda: get(hub, "grid", z, x, y).headers["ETag"] != response.headers["ETag"], 30, "the tile has another version")
    assert {f.attributes["name"] for f in features(get(hub, "grid", z, x, y))} == {"", "改了"}


def test_tile_json(shared, hub, county):
    """TileJSON leads to the tiles, by the name that the client has for the hub, and names every attribute that they have."""
    attributes = {}
    for layer in STORED:
        answer = requests.get(f"{hub.http_url}/api/v1/tiles/{layer}.json", headers=hub.key(), timeout=30)
        assert answer.status_code == 200 and answer.headers["Content-Type"].startswith("application/json"), answer.text
        told = answer.json()
        assert (told["tilejson"], told["minzoom"], told["maxzoom"]) == ("3.0.0", 0, 18)
        assert told["tiles"] == [f"{hub.http_url}/api/v1/tiles/{layer}/{{z}}/{{x}}/{{y}}.mvt"]
        described, = told["vector_layers"]
        west, south, east, north = told["bounds"]
        assert described["id"] == layer and -180 <= west < east <= 180 and -90 <= south < north <= 90
        rows = stored(shared.database, layer)
        for z in (9, 14):
            for x, y in {tile[1:] for tile in occupied(rows, (z,))}:
                tile = requests.get(told["tiles"][0].format(z=z, x=x, y=y), headers=hub.key(), timeout=30)
                for name, shown in mvt.layers(tile.content).items():
                    assert name == layer
                    attributes.setdefault(layer, set()).update(key for feature in shown.features for key in feature.attributes)
        assert attributes[layer] and attributes[layer] <= set(described["fields"]), (layer, attributes)
    then = requests.get(f"{hub.http_url}/api/v1/tiles/zone.json?at=2126-01-01", headers=hub.key(), timeout=30)
    assert then.status_code == 400 and then.json()["code"] == "CH065"
    assert requests.get(f"{hub.http_url}/api/v1/tiles/roads.json", headers=hub.key(), timeout=30).status_code == 400


def test_one_query_for_a_burst(shared, hub, county):
    """32 who want the same tile of polygons at once: it is made once."""
    source = shared.database.value("SELECT pg_get_functiondef('onemap.tile_zone(int,int,int,int[],timestamptz)'::regprocedure)")
    shared.database.query("INSERT INTO onemap.zone (kind, code, name_zh, geom) VALUES ('other', 'slow', 'slow', public.ST_Multi(public.ST_MakeEnvelope(%s, %s, %s, %s, 4326)))",
                          WEST, SOUTH, WEST + SIZE, SOUTH + SIZE)
    x, y = tile_at(9, WEST + 0.05, SOUTH + 0.05)
    get(hub, "zone", 9, x, y)
    try:
        shared.database.query("CREATE OR REPLACE FUNCTION onemap.tile_zone(z int, x int, y int, departments int[], moment timestamptz) RETURNS bytea LANGUAGE plpgsql VOLATILE AS $$"
                              " BEGIN PERFORM pg_sleep(0.5); RETURN convert_to(clock_timestamp()::text, 'UTF8'); END $$")
        with concurrent.futures.ThreadPoolExecutor(32) as threads:
            contents = set(threads.map(lambda _: get(hub, "zone", 9, x + 1, y).content, range(32)))
        assert len(contents) == 1 and contents != {b""}, contents
    finally:
        shared.database.query(source)
        shared.database.query("DELETE FROM onemap.zone")


# ---- whose

def test_rows_of_ones_departments(shared, hub, county):
    """A token of a department sees its rows and those of departments below it, in every layer, also after somebody who sees all."""
    bureau, street = hub.key("bureau", department="bureau"), hub.key("street", department="street")
    for layer in STORED:
        rows = stored(shared.database, layer)
        assert rows, layer
        for z in (9, 14):
            for tile in occupied(rows, (z,)):
                get(hub, layer, *tile)
                for key, own in ((bureau, {1, 2}), (street, {3})):
                    response = get(hub, layer, *tile, key=key)
                    wrong = differences([row for row in rows if row[5] in own], layer, *tile, features(response))
                    assert not wrong, (layer, tile, wrong)
    x, y = tile_at(9, WEST + 0.05, SOUTH + 0.05)
    assert {f.attributes["code"] for f in features(get(hub, "grid", 9, x, y, key=bureau))} == {"410221001001000", "410221001001001"}
    everything = get(hub, "device", 9, *tile_at(9, WEST, SOUTH))
    mine = get(hub, "device", 9, *tile_at(9, WEST, SOUTH), key=street, **{"If-None-Match": everything.headers["ETag"]})
    assert mine.status_code in (200, 204) and mine.headers["ETag"] != everything.headers["ETag"]


def test_counts_are_what_the_tiles_show(shared, hub, county):
    """Of each subsystem, within a box and everywhere, and of one's own departments alone."""
    for key, own in ((hub.key(), {1, 2, 3, None}), (hub.key("bureau", department="bureau"), {1, 2}), (hub.key("street", department="street"), {3})):
        # The last one lies over the date line.
        for box in (None, (WEST, SOUTH, WEST + SIZE / 2, SOUTH + SIZE / 3), (WEST + SIZE * 2 / 3, SOUTH, WEST + SIZE / 3, SOUTH + SIZE / 2)):
            def inside(row):
                return row[5] in own and (box is None or box[1] <= row[4] <= box[3] and (
                    box[0] <= row[3] <= box[2] if box[0] <= box[2] else row[3] >= box[0] or row[3] <= box[2]))
            wanted = collections.Counter((row[1].split("/")[0], row[2]) for row in stored(shared.database, "device") if inside(row))
            wanted.update((row[1].split("/")[0], "alarms") for row in stored(shared.database, "alarm") if inside(row))
            answer = requests.get(hub.http_url + "/api/v1/map/counts", params=box and {"box": ",".join(map(str, box))}, headers=key, timeout=30).json()
            counted = {(one["subsystem"], name): one[name] for one in answer["subsystems"] for name in ("online", "offline", "alarms") if one[name]}
            assert counted == wanted, (own, box)
            assert answer["cases"] == sum(map(inside, stored(shared.database, "case"))), (own, box)
    # At a moment the database counts.
    then = lambda at: requests.get(hub.http_url + "/api/v1/map/counts", params={"at": at}, headers=hub.key(), timeout=30)
    (before,), (clock,) = shared.database.query("SELECT to_char(t AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') FROM unnest(ARRAY[now() - interval '10 days', clock_timestamp()]) t")
    assert then(clock).json()["cases"] == len(stored(shared.database, "case")) > 0
    assert sum(one["online"] + one["offline"] for one in then(clock).json()["subsystems"]) == len(stored(shared.database, "device"))
    assert then("2126-01-01T00:00:00Z").json()["code"] == "CH065"
    assert then(before).json() == {"subsystems": [], "cases": 0}
    assert requests.get(hub.http_url + "/api/v1/map/counts", headers={"Host": "hub.example"}, timeout=30).status_code == 401
    assert requests.get(hub.http_url + "/api/v1/map/counts", params={"at": clock}, headers={"Host": "hub.example"}, timeout=30).status_code == 401


def test_revoked(shared, hub, county):
    """Who is revoked is out within two seconds, however often tiles are asked for."""
    key = hub.key("leaving")
    assert get(hub, "device", 0, 0, 0, key=key).status_code in (200, 204)
    hub.run("token", "revoke", f"leaving-{hub.process.name}")
    wait_until(lambda: get(hub, "device", 0, 0, 0, key=key).status_code == 401, 30, "it is out")


# ---- the database away

def test_database_away(shared, hub, county, cluster):
    """What is in memory goes on, and says how old it may be; what is not is refused."""
    x, y = tile_at(13, WEST + 0.05, SOUTH + 0.05)
    known = get(hub, "device", 13, x, y)
    get(hub, "grid", 13, x, y)
    cluster.stop()
    try:
        stale = wait_until(lambda: (r := get(hub, "device", 13, x, y)).headers.get("Age") and r, 30, "tiles tell their age")
        assert stale.status_code == 200 and stale.content == known.content
        refused = get(hub, "grid", 12, 0, 0)
        assert refused.status_code == 503 and int(refused.headers["Retry-After"]) > 0
    finally:
        cluster.start()
    shared.database.query("UPDATE onemap.device SET status = 'active'")
    hub.wait_ready()
    wait_until(lambda: "Age" not in get(hub, "device", 13, x, y).headers, 30, "the map is current again")
    check_all(hub, shared.database, zooms=(11, 14))
