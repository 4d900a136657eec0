"""The hub's own rows of the HTTP server: each has its function, strangers are told health alone, requests are counted and go beside
messages."""
import concurrent.futures
import time

import requests
from harness import paths


def now_ms():
    return int(time.time() * 1000)


def test_subsystems(shared):
    hub = shared.hubs[0]
    response = hub.read("/api/v1/subsystems")
    document = response.json()
    assert [one["key"] for one in document["subsystems"]] == sorted(paths.SUBSYSTEMS)
    dust = next(one for one in document["subsystems"] if one["key"] == "dust")
    assert dust["name_zh"] == "扬尘管控" and all(kind["key"] and kind["name_zh"] for kind in dust["kinds"]) and dust["kinds"]
    assert next(metric for metric in dust["metrics"] if metric["key"] == "pm25_ug_m3")["unit"]
    assert requests.get(hub.http_url + "/api/v1/subsystems", headers={**hub.key(), "If-None-Match": response.headers["ETag"]}, timeout=30).status_code == 304


def test_every_route_has_its_function(shared):
    """Each row's function is in the migrated database, may be called by the API, and changes nothing unless the row writes."""
    rows = shared.hubs[0].get("/api/v1").json()["routes"]
    assert len(rows) >= 7
    for row in (row for row in rows if "function" in row):
        # A body that is JSON, or what became of one that is a file, or its bytes.
        arguments = ["jsonb"] if "body" not in row else ["jsonb, jsonb"] if row["body"]["types"] == ["application/json"] else ["jsonb, jsonb", "jsonb, bytea"]
        signatures = [signature for signature in (f"{row['function']}({one})" for one in arguments)
                      if shared.database.value("SELECT to_regprocedure(%s) IS NOT NULL", signature)]
        assert len(signatures) == 1, f"{row['path']}: there is no {row['function']}({arguments})"
        signature = signatures[0]
        assert shared.database.value("SELECT has_function_privilege('cityhub_api', %s, 'EXECUTE')", signature), row["path"]
        assert row["method"] != "GET" or shared.database.value("SELECT provolatile FROM pg_proc WHERE oid = %s::regprocedure", signature) == "s", row["path"]


def test_only_health_is_told_to_strangers(shared):
    hub = shared.hubs[0]
    rows = hub.get("/api/v1").json()["routes"]
    citizens = {row["path"] for row in rows if row["path"].startswith("/open311/")}  # test_open311.py: an allow-list says what is public
    assert {row["path"] for row in rows if row["right"] == "anyone"} == {"/healthz", "/readyz", "/api/v1/login", "/", "/assets/{file}"} | citizens
    assert {row["path"] for row in rows if row["loopback"]} == {"/metrics", "/api/v1", "/api/v1/openapi.json", "/api/v1/status"}
    for row in (row for row in rows if row["path"] not in citizens):
        path = row["path"].replace("{id}", "1")
        for headers in ({"Host": "hub.example"}, {"X-Forwarded-For": "10.1.2.3"}):
            response = requests.request(row["method"], hub.http_url + path, headers=headers, timeout=30)
            status = {"/api/v1/login": 400, "/": 404, "/assets/{file}": 404}.get(row["path"], 200 if row["right"] == "anyone" else 401)
            assert response.status_code == status, path


def test_requests_are_counted(shared):
    hub = shared.hubs[0]
    name = "GET /api/v1/devices"
    before = hub.metrics().samples["cityhub_http_requests_total"]
    hub.read("/api/v1/devices")
    hub.read("/api/v1/devices?limit=x")
    metrics = hub.metrics()
    metrics.check()
    def counted(kind):
        key = (("class", kind), ("route", name))
        return metrics.samples["cityhub_http_requests_total"][key] - before.get(key, 0)
    assert (counted("2xx"), counted("4xx")) == (1, 1)
    assert metrics.samples["cityhub_http_route_seconds_total"][(("route", name),)] > 0
    assert metrics.value("cityhub_http_request_seconds_count") > 2


def test_requests_beside_messages(shared):
    """Many readers and a vendor at once: nobody is refused, every message is stored."""
    hub, client = shared.hubs[0], shared.new_client("dust")

    def read(number):
        with requests.Session() as session:
            session.headers.update(hub.key())
            return [session.get(f"{hub.http_url}/api/v1/devices?subsystem=dust&limit={number + 1}", timeout=30).status_code for _ in range(20)]
    hub.key()
    with concurrent.futures.ThreadPoolExecutor(8) as readers:
        results = [readers.submit(read, number) for number in range(8)]
        receipts = [client.send_telemetry({"device_code": "D", "observed_at_ms": now_ms() + n, "pm25_ug_m3": 1.0}) for n in range(20)]
        statuses = [status for result in results for status in result.result()]
    assert set(statuses) == {200} and all(receipt["accepted"] == 1 for receipt in receipts)


def test_a_function_has_other_columns_since(site, hub):
    """The server plans a statement once a connection; a migration beside it that gives a function another column is noticed, and nobody is refused."""
    path = "/api/v1/metrics?subsystem=dust"
    before = [hub.read(path).json() for _ in range(20)][0]
    site.database.query("""
        ALTER FUNCTION onemap.http_metrics(jsonb) RENAME TO http_metrics_before;
        CREATE FUNCTION onemap.http_metrics(request jsonb) RETURNS TABLE (body json, status int) LANGUAGE plpgsql STABLE SECURITY DEFINER
            SET search_path = pg_catalog, pg_temp AS $$ BEGIN RETURN QUERY SELECT f.body::json, 203 FROM onemap.http_metrics_before(request) f; END $$;
        GRANT EXECUTE ON FUNCTION onemap.http_metrics(jsonb) TO cityhub_api""")
    with concurrent.futures.ThreadPoolExecutor(8) as many:
        answers = list(many.map(lambda _: hub.read(path), range(40)))
    assert {answer.status_code for answer in answers} == {203}
    assert all(answer.json() == before for answer in answers)
