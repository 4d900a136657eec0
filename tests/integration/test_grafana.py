"""deploy/grafana: every statement of the dashboard runs as cityhub_read, in a transaction that only reads, with what Grafana puts in for its
macros and variables; and shows what is there."""
import json
import re
import time

import psycopg2
import pytest
from harness import paths
from harness.people import ORIGIN
from harness.planted import plant

SHARED_SETTINGS = {"http.origins": ORIGIN}
FOLDER = paths.ROOT / "deploy" / "grafana"
DASHBOARD = json.loads((FOLDER / "cityhub.json").read_text())
PANELS = {panel["title"].split()[0]: panel for panel in DASHBOARD["panels"]}
VARIABLES = {variable["name"]: variable["query"] for variable in DASHBOARD["templating"]["list"]}


@pytest.fixture(scope="module")
def county(shared):
    planted = plant(shared)
    now = int(time.time() * 1000)
    receipt = shared.client("dust").send("telemetry", [{"device_code": "G1", "observed_at_ms": now - n * 60000, "pm25_ug_m3": 10.0 + n} for n in range(90)])
    assert receipt["accepted"] == 90, receipt
    # Without the hub, which rolls up every minute, and closes alarms of those that are silent: a dashboard reads the database alone.
    shared.hubs[0].stop()
    with psycopg2.connect(shared.database.conninfo) as connection, connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT onemap.rollup_run()")
    device = shared.database.value("SELECT id FROM onemap.device WHERE code = 'G1'")
    shared.database.query("INSERT INTO onemap.alarm (rule_id, device_id, opened_at, recorded_at, severity) SELECT min(r.id), %s, now() - interval '1 hour', now() - interval '1 hour', 'major'"
                          " FROM onemap.alarm_rule r WHERE r.subsystem = 'dust' AND r.kind = 'threshold' AND r.metric NOT LIKE 'pm%%'", device)
    shared.database.query("UPDATE onemap.device SET created_at = now() - interval '2 hours' WHERE id = %s", device)
    return {**planted, "device": device}


def filled(sql, device):
    """As Grafana's PostgreSQL data source expands it: times are text in UTC, a variable with :sqlstring is quoted, several of them with commas."""
    # To the next whole second: what was made in this one is there.
    start, end = (time.strftime("'%Y-%m-%dT%H:%M:%SZ'", time.gmtime(time.time() - back)) for back in (86400, -1))
    sql = re.sub(r"\$__timeFilter\(([^)]+)\)", rf"\1 BETWEEN {start} AND {end}", sql)
    sql = sql.replace("$__timeFrom()", start).replace("$__timeTo()", end)
    seconds = {"1h": 3600, "1d": 86400}
    sql = re.sub(r"\$__timeGroup\(([^,]+), '(\w+)'\)", lambda found: f"floor(extract(epoch from {found[1]})/{seconds[found[2]]})*{seconds[found[2]]}", sql)
    for name, value in (("subsystem", "'dust'"), ("device", f"'{device}'"), ("metric", "'pm25_ug_m3','pm10_ug_m3'")):
        sql = sql.replace("${" + name + ":sqlstring}", value)
    assert "$" not in sql, sql
    return sql


def rows(shared, sql, device):
    with psycopg2.connect(shared.database.conninfo) as connection, connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION READ ONLY; SET LOCAL ROLE cityhub_read; SET LOCAL statement_timeout = '20s'")
        cursor.execute(filled(sql, device))
        return [column.name for column in cursor.description], cursor.fetchall()


def test_every_statement_runs_as_the_reader(shared, county):
    statements = [(target["rawSql"], target["format"]) for panel in DASHBOARD["panels"] for target in panel["targets"]]
    assert len(statements) > 10
    for sql, form in [*statements, *((query, "variable") for query in VARIABLES.values())]:
        names, found = rows(shared, sql, county["device"])
        if form == "time_series":
            assert names == ["time", "metric", "value"], sql
        elif form == "variable":
            assert names == ["__text", "__value"] and found, sql


def test_they_show_what_is_there(shared, county):
    def shown(title):
        return rows(shared, PANELS[title]["targets"][0]["rawSql"], county["device"])[1]

    value = shared.database.value
    assert shown("未结案卷") == [(value("SELECT count(*) FROM onemap.case_record WHERE ended_at IS NULL"),)] and shown("未结案卷")[0][0] > 0
    assert shown("未结束的报警") == [(value("SELECT count(*) FROM onemap.alarm WHERE closed_at IS NULL"),)]
    assert shown("未结束的报警")[0][0] > 0 and "G1" in {line[3] for line in shown("所选时段末未结束的报警")}
    assert sorted(line[2] for line in shown("曲线")) == [10.0 + n for n in range(90)]
    assert sum(line[2] for line in shown("每小时记录数")) >= 60 and len(shown("小时均值")) >= 2
    assert {line[0] for line in shown("最后读数")} <= {name for name, in shared.database.query("SELECT name_zh FROM onemap.metric WHERE subsystem = 'dust'")}
    assert str(county["device"]) in {line[1] for line in rows(shared, VARIABLES["device"], county["device"])[1]}


def test_the_source_is_the_readers(shared):
    """The three files speak of one source; there is no password in them."""
    source = (FOLDER / "datasource.yaml").read_text()
    used = {DASHBOARD["templating"]["list"][0]["datasource"]["uid"], *(panel["datasource"]["uid"] for panel in DASHBOARD["panels"])}
    assert used == set(re.findall(r"^    uid: (\w+)$", source, re.M)) == {"cityhub"}
    assert re.findall(r"password: (.*)", source) == ["$CITYHUB_READ_PASSWORD"]
