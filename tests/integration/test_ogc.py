"""OGC API - Features under /ogc: what OGC's conformance suite asserts of Core, GeoJSON, OpenAPI 3.0 and CRS, repeated here, and GDAL, which
reads every collection whole while rows change. What requests find is tested in tests/schema/http_ogc.sql."""
import base64
import json
import math
import os
import re
import subprocess
import threading
import urllib.parse

import pytest
import requests

SHARED_SETTINGS = {"http.proxies": "127.0.0.1"}
COLLECTIONS = ("department", "grid_cell", "zone", "component", "device", "alarm", "case")
OPENAPI = "application/vnd.oai.openapi+json;version=3.0"
CRS84, EPSG_4326, EPSG_4490, EPSG_3857 = ("http://www.opengis.net/def/crs/OGC/1.3/CRS84", *(
    f"http://www.opengis.net/def/crs/EPSG/0/{code}" for code in (4326, 4490, 3857)))
SQL_CODES = {"department": "SELECT code FROM onemap.department", "grid_cell": "SELECT code FROM onemap.grid_cell", "zone": "SELECT code FROM onemap.zone",
             "component": "SELECT component_code FROM onemap.component", "device": "SELECT code FROM onemap.device WHERE code NOT LIKE 'new-%'",
             "alarm": "SELECT d.code FROM onemap.alarm a JOIN onemap.device d ON d.id = a.device_id WHERE a.closed_at IS NULL", "case": "SELECT code FROM onemap.case_record WHERE ended_at IS NULL"}


@pytest.fixture(scope="module")
def county(shared):
    query = shared.database.query
    query("INSERT INTO onemap.department (code, name_zh, kind) VALUES ('east', '东街道', 'street'), ('west', '西街道', 'street')")
    query("SELECT onemap.vendor_put('dust', 'tester', '{}'), onemap.vendor_put('gas', 'tester', '{}')")
    query("""
        INSERT INTO onemap.grid_cell (code, department_id, geom) SELECT '4102210010010' || lpad((d.id * 10 + n)::text, 2, '0'), d.id,
            public.ST_Multi(public.ST_MakeEnvelope(114.2 + d.id * 0.1 + n * 0.01, 34.4, 114.21 + d.id * 0.1 + n * 0.01, 34.6, 4326)) FROM onemap.department d, generate_series(1, 5) n;
        INSERT INTO onemap.zone (kind, code, name_zh, valid_from, geom) SELECT 'other', 'Y' || n, '区域' || n, '2026-01-01T00:00:00Z', public.ST_Multi(public.ST_MakeEnvelope(114.3, 34.5, 114.31, 34.51, 4326))
            FROM generate_series(1, 12) n;
        INSERT INTO onemap.component (component_code, name_zh, department_id, geom) SELECT '41022101180000' || n, '灯杆', d.id, public.ST_SetSRID(public.ST_MakePoint(114.3 + n * 0.001, 34.5), 4326)
            FROM generate_series(11, 40) n JOIN onemap.department d ON d.code = CASE WHEN n % 2 = 0 THEN 'east' ELSE 'west' END;
        INSERT INTO onemap.device (subsystem, vendor, code, name_zh, status, department_id, geom) SELECT CASE WHEN n % 3 = 0 THEN 'gas' ELSE 'dust' END, 'tester', 'site-' || n, '人民路工地', 'active', d.id,
            public.ST_SetSRID(public.ST_MakePoint(114.3 + n * 0.001, 34.5 + n * 0.0001), 4326) FROM generate_series(1, 60) n JOIN onemap.department d ON d.code = CASE WHEN n % 2 = 0 THEN 'east' ELSE 'west' END;
        INSERT INTO onemap.device_state (device_id, observed_at, last_seen_at) SELECT d.id, '2026-03-02T00:00:00Z', '2026-03-02T00:00:00Z' FROM onemap.device d;
        INSERT INTO onemap.alarm (rule_id, device_id, opened_at, severity) SELECT (SELECT min(r.id) FROM onemap.alarm_rule r WHERE r.subsystem = d.subsystem AND r.kind = 'threshold'), d.id, '2026-03-02T00:00:00Z', 'major'
            FROM onemap.device d WHERE d.id % 4 = 0""")
    query("SELECT onemap.case_catalogue_import(%s, 'x')", json.dumps([{
        "line": 2, "code": "20102", "class": "市容", "name": "垃圾", "condition": "1", "registration_condition": "x", "limit": "5", "unit": "工作时",
        "closing_condition": "x", "responsible": "east", "source": "assumed"}]))
    for n in range(15):
        query("SELECT onemap.case_report(%s)", json.dumps({"source": "supervisor", "role": "supervisor", "actor": "x", "category": "20102", "title": f"案卷{n}",
                                                           "lon": 114.3 + n * 0.001, "lat": 34.55}))
    shared.hubs[0].sync_registry()
    return shared


@pytest.fixture
def hub(county):
    return county.hubs[0]


@pytest.fixture
def read(hub):
    def get(url, status=200, **options):
        url = url if url.startswith("http") else f"{hub.http_url}/ogc{url}"
        response = requests.get(url, headers={**hub.key(), **options.pop("headers", {})}, timeout=30, **options)
        assert response.status_code == status, f"{response.url}: {response.status_code} {response.text[:1000]}"
        return response
    return get


def link(document, relation):
    found = [entry["href"] for entry in document["links"] if entry["rel"] == relation]
    return found[0] if found else None


def name_of(feature):
    return feature["properties"].get("device_code") or feature["properties"]["code"]


def walk(read, collection, **parameters):
    """All features, by the next links as they are; each page."""
    url, pages = f"/collections/{collection}/items", []
    while url is not None:
        pages.append(read(url, params=parameters).json())
        url, parameters = link(pages[-1], "next"), {}
        assert url is None or all("=" in pair for pair in urllib.parse.urlsplit(url).query.split("&"))
    return pages


# ---- what the conformance suite asserts

def test_landing_page(read):
    for path in ("", "/"):
        page = read(path)
        assert page.headers["Content-Type"].startswith("application/json") and page.raw.version == 11
        links = {entry["rel"]: entry for entry in page.json()["links"]}
        assert {"self", "service-desc", "conformance", "data"} <= set(links) and links["service-desc"]["type"] == OPENAPI
        assert page.json()["title"]


def test_every_link_leads_somewhere(read, hub):
    """Each is absolute, there, and of the type it says."""
    seen, waiting = {}, [f"{hub.http_url}/ogc/"]
    while waiting:
        url = waiting.pop()
        page = read(url, headers={"Accept": seen.get(url, "*/*")})
        if "json" not in page.headers["Content-Type"]:
            continue
        for part in [page.json(), *page.json().get("collections", ())]:
            for entry in part.get("links", ()):
                assert entry["href"].startswith(hub.http_url + "/ogc") and entry["rel"] and entry["type"], entry
                if entry["href"] not in seen:
                    seen[entry["href"]] = entry["type"]
                    waiting.append(entry["href"])
        assert url not in seen or page.headers["Content-Type"].split("; charset")[0] == seen[url], url
    assert len(seen) >= 4 + 3 * len(COLLECTIONS)


def test_conformance(read):
    classes = read("/conformance").json()["conformsTo"]
    assert classes == [f"http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/{part}" for part in ("core", "oas30", "geojson")] + [
        "http://www.opengis.net/spec/ogcapi-features-2/1.0/conf/crs"]


def test_api_document(read, hub):
    """OpenAPI 3.0: what it must have, and parameters as Core's requirements define them, on each collection's items."""
    page = read("/api", headers={"Accept": OPENAPI})
    document = page.json()
    assert page.headers["Content-Type"] == OPENAPI and re.fullmatch(r"3\.0\.\d+", document["openapi"])
    assert document["info"]["title"] and document["info"]["version"] and document["servers"] == [{"url": f"{hub.http_url}/ogc"}]
    assert {"/", "/conformance", "/collections"} <= set(document["paths"])
    operations = [(path, item["get"]) for path, item in document["paths"].items()]
    assert len({operation["operationId"] for _, operation in operations}) == len(operations)
    for path, operation in operations:
        assert all(answer.get("description") or answer["$ref"] == "#/components/responses/problem" for answer in operation["responses"].values())
        assert {name for name in re.findall(r"{(\w+)}", path)} == {p["name"] for p in operation["parameters"] if p["in"] == "path"}
        assert all("schema" in parameter and (parameter["in"] == "query" or parameter["required"] is True) for parameter in operation["parameters"])
    assert "description" in document["components"]["responses"]["problem"]
    for collection in COLLECTIONS:
        parameters = {parameter["name"]: parameter for parameter in document["paths"][f"/collections/{collection}/items"]["get"]["parameters"]}
        for name in ("limit", "bbox", "datetime", "crs", "bbox-crs"):
            assert (parameters[name]["in"], parameters[name]["required"], parameters[name]["style"], parameters[name]["explode"]) == ("query", False, "form", False)
        assert parameters["limit"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 5000, "default": 100}
        assert parameters["bbox"]["schema"] == {"type": "array", "minItems": 4, "maxItems": 6, "items": {"type": "number"}}
        assert parameters["datetime"]["schema"]["type"] == "string"
        values = {"bbox": "114,34,115,35", "datetime": "2026-01-01T00:00:00Z/..", "limit": 1, "crs": CRS84, "bbox-crs": CRS84, "cursor": 1}
        for name in parameters:  # the server takes each of them
            read(f"/collections/{collection}/items", params={name: values.get(name, "x")})


def test_collections(read):
    page = read("/collections").json()
    assert [collection["id"] for collection in page["collections"]] == list(COLLECTIONS) and link(page, "self")
    for collection in page["collections"]:
        assert read(f"/collections/{collection['id']}").json() == collection
        items = next(entry for entry in collection["links"] if entry["rel"] == "items")
        assert items["type"] == "application/geo+json" and collection["itemType"] == "feature"
        assert len(collection["extent"]["spatial"]["bbox"][0]) == 4
        assert all(len(interval) == 2 for interval in collection["extent"].get("temporal", {}).get("interval", ()))
        assert collection["crs"] == [CRS84, EPSG_4326, EPSG_4490, EPSG_3857] and collection["storageCrs"] == CRS84
    for path in ("", "/items", "/items/1", "/queryables"):
        assert read(f"/collections/dUmmYColLection{path}", 404).headers["Content-Type"].startswith("application/problem+json")


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_items(read, county, collection):
    first = read(f"/collections/{collection}/items", params={"limit": 3}, headers={"Accept": "application/geo+json"})
    page = first.json()
    assert first.headers["Content-Type"] == "application/geo+json" and first.headers["Content-Crs"] == f"<{CRS84}>"
    assert page["type"] == "FeatureCollection" and page["numberReturned"] == len(page["features"]) <= 3 and link(page, "self")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", page["timeStamp"])
    pages = walk(read, collection, limit=4)
    features = [feature for page in pages for feature in page["features"]]
    ids = [feature["id"] for feature in features]
    assert all(page["numberReturned"] == len(page["features"]) for page in pages) and pages[0]["numberMatched"] == len(ids) == len(set(ids))
    named = sorted(name_of(feature) for feature in features)
    assert named == sorted(code for code, in county.database.query(SQL_CODES[collection])) != []
    for feature in (features[0], features[-1]):
        one = read(f"/collections/{collection}/items/{feature['id']}")
        assert one.headers["Content-Type"] == "application/geo+json" and one.headers["Content-Crs"] == f"<{CRS84}>"
        assert {key: value for key, value in one.json().items() if key != "links"} == feature and link(one.json(), "self") and link(one.json(), "collection")
        assert read(link(one.json(), "self"), 304, headers={"If-None-Match": one.headers["ETag"]}).content == b""
    read(f"/collections/{collection}/items/none", 404)
    assert read(f"/collections/{collection}/items", params={"limit": 10**9}).json()["numberReturned"] == len(ids)


@pytest.mark.parametrize("query, status", [
    ("limit=unlimited", 400), ("limit=0", 400), ("limit=-1", 400), ("limit=1.5", 400), ("limit=5001", 200), ("unknown=1", 400), ("dUmmY", 400), ("limit=1&limit=2", 400),
    ("bbox=177,65,-177,70", 200), ("bbox=-180,85,180,90", 200), ("bbox=-180,-90,180,-85", 200), ("bbox=114,34,0,115,35,9", 200), ("bbox=114,34,115", 400), ("bbox=a,b,c,d", 400),
    ("bbox=114,34,115,35,1", 400), ("bbox=", 400), ("bbox=1,2,3,4,5,6,7", 400), ("bbox=114,35,115,34", 400), ("bbox=114%2C34%2C115%2C35", 200), ("datetime=2026-03-02T00:00:00Z", 200), ("datetime=../2026-03-02", 200),
    ("datetime=2026-03-02T08:00:00%2B08:00/..", 200), ("datetime=2026-03-02T08:00:00+08:00/", 200), ("datetime=2026", 400), ("datetime=", 400), ("datetime=2026-03-03/2026-03-02", 400), ("crs=urn:nothing", 400), ("bbox-crs=EPSG:4326", 400),
    ("crs=" + urllib.parse.quote(EPSG_3857), 200), ("cursor=", 400), ("cursor=';", 400), ("severity=major", 400), ("subsystem=';DROP TABLE onemap.device;--", 200), ("subsystem=", 400)])
def test_parameters(read, query, status):
    answer = read(f"/collections/device/items?{query}", status)
    if status == 400:
        assert answer.headers["Content-Type"].startswith("application/problem+json") and answer.json()["code"] == "CH042" and re.search("[一-龥]", answer.json()["hint"])


def test_reference_systems(read):
    """The same point by another way round, in each, on pages and alone."""
    expected = {CRS84: (114.301, 34.5001), EPSG_4326: (34.5001, 114.301), EPSG_4490: (34.5001, 114.301), EPSG_3857: (
        6378137 * math.radians(114.301), 6378137 * math.log(math.tan(math.pi / 4 + math.radians(34.5001) / 2)))}
    first = read("/collections/device/items", params={"code": "site-1"}).json()["features"][0]
    for crs, place in expected.items():
        for path, query in (("/collections/device/items", {"code": "site-1"}), (f"/collections/device/items/{first['id']}", {})):
            page = read(path, params={"crs": crs, **query})
            feature = page.json()["features"][0] if query else page.json()
            assert page.headers["Content-Crs"] == f"<{crs}>"
            assert feature["geometry"]["coordinates"] == pytest.approx(place, abs=0.5 if crs == EPSG_3857 else 1e-7) and feature["properties"] == first["properties"]
        box = ",".join(str(value + shift) for shift in ((-5, 5) if crs == EPSG_3857 else (-5e-5, 5e-5)) for value in feature["geometry"]["coordinates"])
        assert [found["id"] for found in read("/collections/device/items", params={"bbox": box, "bbox-crs": crs}).json()["features"]] == [first["id"]]


# ---- where links lead

def test_links_follow_configuration_and_proxies(read, hub):
    """Never the Host that a client writes; what a county's proxy says it was asked for."""
    def root(headers):
        return link(read("/", headers=headers).json(), "data")
    here = f"{hub.http_url}/ogc/collections"
    assert root({"Host": "evil.example"}) == here == root({})
    assert root({"X-Forwarded-Host": "map.example.cn", "X-Forwarded-Proto": "https"}) == "https://map.example.cn/ogc/collections"
    assert root({"X-Forwarded-Host": "10.1.1.1:8443"}) == "http://10.1.1.1:8443/ogc/collections"
    for host in ("a b", "evil.example/x", "a\"><script>", "a,b", "x" * 300):
        assert root({"X-Forwarded-Host": host}) == here
    assert root({"X-Forwarded-Host": "map.example.cn", "X-Forwarded-Proto": "javascript"}) == here


def test_nobody(hub):
    for path in ("/ogc", "/ogc/api", "/ogc/collections/device/items"):
        assert requests.get(hub.http_url + path, timeout=30).status_code == 401


def test_a_department_reads_its_own(hub):
    headers = hub.key("east", department="east")
    for collection, count in (("device", 30), ("component", 15), ("department", 2), ("zone", 12)):
        page = requests.get(f"{hub.http_url}/ogc/collections/{collection}/items?limit=1000", headers=headers, timeout=30).json()
        assert page["numberMatched"] == len(page["features"]) == count
        assert collection not in ("device", "component") or {feature["properties"]["department"] for feature in page["features"]} == {"east"}


# ---- GDAL

@pytest.fixture
def gdal(hub):
    """Runs one of its programs against /ogc, with the token as password; its output."""
    def run(program, *arguments):
        token = hub.key()["Authorization"].split()[1]
        done = subprocess.run([program, *arguments, "-oo", "PAGE_SIZE=7"], capture_output=True, text=True, timeout=120,
                              env={**os.environ, "no_proxy": "*", "GDAL_HTTP_USERPWD": f"any:{token}"})
        assert done.returncode == 0 and "ERROR" not in done.stderr, done.stdout + done.stderr
        return done.stdout
    return run


def test_gdal_reads_every_collection(gdal, hub, county, tmp_path):
    """Codes and places are those of SQL, while devices come and go."""
    stop = threading.Event()

    def change():
        n = 0
        while not stop.is_set():
            n += 1
            county.database.query("INSERT INTO onemap.device (subsystem, vendor, code) VALUES ('gas', 'tester', %s)", f"new-{n}")
            county.database.query("DELETE FROM onemap.device d WHERE d.code = %s", f"new-{n - 3}")
            county.database.query("UPDATE onemap.device d SET name_zh = d.name_zh || '.' WHERE d.code = 'site-1'")
            stop.wait(0.02)
    changing = threading.Thread(target=change)
    changing.start()
    try:
        layers = gdal("ogrinfo", "-ro", f"OAPIF:{hub.http_url}/ogc")
        assert re.findall(r"^\d+: (\w+)", layers, re.M) == list(COLLECTIONS)
        for collection in COLLECTIONS:
            file = tmp_path / f"{collection}.json"
            gdal("ogr2ogr", "-f", "GeoJSON", str(file), f"OAPIF:{hub.http_url}/ogc", collection, "-lco", "RFC7946=YES", "-lco", "COORDINATE_PRECISION=7")
            features = json.loads(file.read_text())["features"]
            read = [name_of(feature) for feature in features]
            assert sorted(code for code in read if not code.startswith("new-")) == sorted(code for code, in county.database.query(SQL_CODES[collection]))
            assert len(read) == len(set(read)) and (collection == "device" or all(feature["geometry"] for feature in features))
    finally:
        stop.set()
        changing.join()
    places = {feature["properties"]["code"]: feature["geometry"]["coordinates"] for feature in json.loads((tmp_path / "device.json").read_text())["features"] if feature["geometry"]}
    stored = county.database.query("SELECT d.code, public.ST_X(d.geom), public.ST_Y(d.geom) FROM onemap.device d WHERE d.geom IS NOT NULL")
    assert places == {code: pytest.approx([lon, lat], abs=1e-7) for code, lon, lat in stored} and len(places) == 60


def test_gdal_filters(gdal, hub):
    def count(*arguments):
        return int(re.search(r"Feature Count: (\d+)", gdal("ogrinfo", "-ro", "-so", *arguments, f"OAPIF:{hub.http_url}/ogc", "device")).group(1))
    assert count("-where", "subsystem = 'gas' AND code LIKE 'site-%'") == 20 == count("-where", "subsystem = 'gas' AND vendor = 'tester' AND code LIKE 'site-%'")
    assert count("-spat", "114.3005", "34.4", "114.3105", "34.6", "-where", "code LIKE 'site-%'") == 10


def test_basic_password_only_reads(hub):
    token = hub.key()["Authorization"].split()[1]
    basic = {"Authorization": "Basic " + base64.b64encode(f"qgis:{token}".encode()).decode()}
    assert requests.get(f"{hub.http_url}/ogc/collections", headers=basic, timeout=30).status_code == 200
