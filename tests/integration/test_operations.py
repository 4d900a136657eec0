"""Running the hub: what it says of itself, starts that are refused, servers that are away, the end by SIGTERM, partitions."""
import datetime
import socket
import time

import pytest
from harness import paths
from harness.hub import Hub
from harness.process import wait_until

SHARED_SETTINGS = {"retention.observation_days": 5, "retention.partitions_ahead_days": 4}
DAY_MS = 86_400_000


def now_ms():
    return int(time.time() * 1000)


def dust(code, at_ms):
    return {"device_code": code, "observed_at_ms": at_ms, "pm25_ug_m3": 8.0}


def other_hub(shared, name, **settings):
    """One that is expected not to come up, beside the running one."""
    return Hub(shared.database, shared.broker, shared.folder, {"hub.instance": name, **settings}, name)


def check_refused(hub, *words):
    """It ends by itself with exit status 1 and a line of its log says why."""
    hub.process.start()
    child, hub.process.child = hub.process.child, None
    try:
        status = child.wait(60)
    finally:
        child.kill()
    hub.check_reports()
    log = hub.process.log_text()
    assert status == 1, f"exit status {status}:\n{log}"
    assert any("level=error" in line and all(word in line for word in words) for line in log.splitlines()), f"no error line has {words}:\n{log}"


# ---- starts that are refused

def test_database_that_is_not_migrated(shared, cluster):
    cluster.admin("CREATE DATABASE bare")
    try:
        check_refused(other_hub(shared, "bare", **{"database.conninfo": cluster.conninfo("bare")}), "cityhub migrate")
    finally:
        cluster.admin("DROP DATABASE bare WITH (FORCE)")


def test_role_without_rights(shared, cluster):
    cluster.admin("CREATE ROLE nobody_special LOGIN")
    try:
        check_refused(other_hub(shared, "powerless", **{"database.conninfo": cluster.conninfo(shared.database.name, "nobody_special")}),
                      "permission denied")
    finally:
        cluster.admin("DROP ROLE nobody_special")


def test_catalogue_that_drifted(shared):
    unit = shared.database.value("SELECT unit FROM onemap.metric WHERE subsystem = 'gas' AND ordinal = 1")
    change = "UPDATE onemap.metric SET unit = %s WHERE subsystem = 'gas' AND ordinal = 1"
    shared.database.query(change, "furlong")
    hub = other_hub(shared, "drifted")
    try:
        check_refused(hub, "catalogue_drift", "gas: ordinal 1")
        assert "cityhub migrate" in hub.process.log_text()
    finally:
        shared.database.query(change, unit)


def test_catalogue_that_lacks_a_metric(shared):
    row = shared.database.value("SELECT to_jsonb(m)::text FROM onemap.metric m WHERE m.subsystem = 'enforcement'"
                                " AND NOT EXISTS (SELECT FROM onemap.alarm_rule r WHERE r.subsystem = m.subsystem AND r.metric = m.key)"
                                " ORDER BY m.ordinal DESC LIMIT 1")
    shared.database.query("DELETE FROM onemap.metric m USING jsonb_populate_record(NULL::onemap.metric, %s::jsonb) r"
                          " WHERE m.subsystem = r.subsystem AND m.ordinal = r.ordinal", row)
    try:
        check_refused(other_hub(shared, "lacking"), "catalogue_missing", "enforcement: metric")
    finally:
        shared.database.query("INSERT INTO onemap.metric SELECT * FROM jsonb_populate_record(NULL::onemap.metric, %s::jsonb)", row)


def test_port_in_use(shared):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        check_refused(other_hub(shared, "crowded", **{"http.port": taken.getsockname()[1]}), "ddress already in use")


@pytest.mark.parametrize("key, value", [("lane.batch_records", "0"), ("lane.batch_colour", "red"), ("lane.counts", "dust=99"),
                                        ("mqtt.port", "http")])
def test_configuration_that_is_wrong(shared, key, value):
    done = other_hub(shared, "wrong", **{key: value}).run("serve", code=2)
    assert key.split(".")[1] in done.stderr and "event=starting" not in done.stderr


# ---- what it says of itself

def test_health_metrics_and_unknown_pages(shared):
    hub = shared.hubs[0]
    assert (hub.get("/healthz").status_code, hub.get("/healthz").text) == (200, "ok\n")
    assert (hub.get("/readyz").status_code, hub.get("/readyz").text) == (200, "ready\n")
    assert hub.get("/metrics").headers["Content-Type"].startswith("text/plain; version=0.0.4")
    metrics = hub.metrics()
    metrics.check()
    assert len(metrics.samples["cityhub_lane_connected"]) == metrics.value("cityhub_lane_connected") == len(paths.SUBSYSTEMS)
    assert metrics.value("cityhub_database_connected") == 1 and metrics.value("cityhub_writers_connected") == 4
    assert hub.get("/nothing").status_code == 404


def test_connections(shared):
    """As many as the guide, and the hub's own look at max_connections (config_connections), say."""
    names = [f"writer-{n}" for n in range(1, 5)] + [f"http-{n}" for n in range(1, 5)]
    names += ["loader", "states", "jobs", "outbox", "points", "http-cancel", "http-login"]
    open_now = "SELECT DISTINCT split_part(application_name, ' ', 3) FROM pg_stat_activity WHERE datname = current_database()" \
        " AND application_name LIKE 'cityhub test %%'"
    wait_until(lambda: {name for name, in shared.database.query(open_now)} == set(names), 30, f"the hub holds {sorted(names)}")


# ---- servers that are away

def test_database_away(shared, cluster):
    hub, client = shared.hubs[0], shared.new_client("dust")
    client.send_telemetry(dust("d", now_ms()))
    cluster.stop()
    try:
        wait_until(lambda: hub.get("/readyz").status_code == 503, 30, "/readyz says that it is not ready")
        assert hub.get("/readyz").text == "the database is away\n" and hub.get("/healthz").status_code == 200
        wait_until(lambda: hub.metric("cityhub_database_connected") == 0, 30, "the metric says so")
        hub.metrics().check()
        name = client.publish("telemetry", [dust("d", now_ms())])
        wait_until(lambda: hub.metric("cityhub_queue_messages", subsystem="dust") == 1, 30, "the message is taken")
        assert client.receipts_of(name) == []
    finally:
        cluster.start()
    hub.wait_ready()
    assert client.receipt(name)["accepted"] == 1
    assert shared.database.value("SELECT count(*) FROM onemap.dust WHERE vendor = %s", client.vendor) == 2


def test_broker_away_at_start(site, make_hub, broker):
    hub = make_hub(start=False)
    broker.stop()
    hub.start(ready=False)
    wait_until(lambda: "is not connected to the broker" in hub.get("/readyz").text, 30, "/readyz names a lane")
    assert hub.get("/readyz").status_code == 503
    wait_until(lambda: "event=broker_lost" in hub.process.log_text(), 30, "the log says so")
    broker.start()
    hub.wait_ready()
    assert site.client("gas").send("telemetry", [{"device_code": "g", "observed_at_ms": now_ms(), "pressure_kpa": 2.0}])["accepted"] == 1


def test_sigterm_while_the_database_is_away(shared, cluster):
    """It ends all the same; what it had taken is not acknowledged, and comes again."""
    hub, client = shared.hubs[0], shared.new_client("dust")
    client.send_telemetry(dust("d", now_ms() - 1000))
    cluster.stop()
    try:
        name = client.publish("telemetry", [dust("d", now_ms())])
        wait_until(lambda: hub.metric("cityhub_queue_messages", subsystem="dust") == 1, 30, "the message is taken")
        hub.stop()
        assert 'committed="not all' in hub.process.log_text()
    finally:
        cluster.start()
    hub.start()
    assert client.receipt(name)["accepted"] == 1


def test_sigterm_when_nothing_waits(shared):
    hub = shared.hubs[0]
    hub.stop()
    assert "event=stopped committed=all" in hub.process.log_text()
    hub.start()


# ---- partitions

def utc_today():
    return datetime.datetime.now(datetime.timezone.utc).date()


def partition_days(database):
    return {day for day, in database.query("SELECT onemap.partition_days()")}


def at_noon_ms(day):
    return int(datetime.datetime.combine(day, datetime.time(12), datetime.timezone.utc).timestamp() * 1000)


def test_partitions_are_made_ahead_and_dropped_after_retention(shared):
    database, today = shared.database, utc_today()
    wait_until(lambda: {today + datetime.timedelta(n) for n in range(-1, 5)} <= partition_days(database), 30, "partitions are made ahead")
    old, young = today - datetime.timedelta(9), today - datetime.timedelta(5)
    for day in (old, young):
        database.query("SELECT onemap.partition_ensure(%s)", day)
        database.query("INSERT INTO onemap.observation_raw (device_id, observed_at, received_at, readings) VALUES (999999, %s, now(), '{1}')",
                       datetime.datetime.combine(day, datetime.time(23), datetime.timezone.utc))
    shared.hubs[0].restart()  # it maintains them at start, and then every hour
    wait_until(lambda: old not in partition_days(database), 30, "what is older than its retention is dropped")
    assert young in partition_days(database)
    assert database.value("SELECT count(*) FROM onemap.observation WHERE device_id = 999999") == 1


def test_record_of_a_day_without_a_partition(shared):
    client, day = shared.new_client("dust"), utc_today() - datetime.timedelta(3)
    assert day not in partition_days(shared.database)
    assert client.send_telemetry(dust("d", at_noon_ms(day)))["accepted"] == 1
    assert day in partition_days(shared.database)
    # One that was dropped behind the hub's back is made again.
    for table in ("observation", "track_point"):
        shared.database.query(f"DROP TABLE onemap.{table}_{day:%Y%m%d}")
    assert client.send_telemetry(dust("d", at_noon_ms(day)), dust("d", at_noon_ms(day) + 1))["accepted"] == 2
    assert shared.database.value("SELECT count(*) FROM onemap.dust WHERE vendor = %s", client.vendor) == 2


def test_too_old_and_too_far_ahead(shared):
    client, moment = shared.new_client("dust"), now_ms()
    receipt = client.send_telemetry(dust("old", moment - 5 * DAY_MS - 60_000), dust("a", moment - 5 * DAY_MS + 600_000),
                                    dust("b", moment + 200_000), dust("ahead", moment + 400_000))
    assert [(one["index"], one["code"]) for one in receipt["problems"]] == [(0, "time_too_old"), (3, "time_ahead")]
    assert shared.database.query("SELECT device_code FROM onemap.dust WHERE vendor = %s ORDER BY 1", client.vendor) == [("a",), ("b",)]
    assert shared.database.query("SELECT code, record_count FROM onemap.quarantine WHERE vendor = %s", client.vendor) == [("time_too_old", 4)]
