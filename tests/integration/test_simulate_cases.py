"""`cityhub simulate --cases`: a month from the first report to the published ranking. All of it goes through the functions
that people's programs call, so every step was a legal one; here we look at what came of it."""
import csv
import json
import re
import zipfile

import pytest

from harness import paths

MONTH = "2026-09"
CASES = 150


@pytest.fixture
def county(make_hub, database):
    """As the quickstart does it; a device whose alarms may become cases stands for those of the live simulator."""
    program = make_hub(start=False)
    program.run("catalogue", "departments", "import", paths.ROOT / "config" / "departments.csv")
    program.run("catalogue", "import", paths.ROOT / "config" / "case_catalogue.csv")
    program.run("simulate", "--prepare")
    return program


def add_devices(database):
    database.query("INSERT INTO onemap.device (subsystem, vendor, code, kind, name_zh, grid_cell) SELECT DISTINCT ON (r.subsystem) r.subsystem, "
                   "'sim', 'alarming-1', coalesce(r.device_kind, k.key), '模拟设备', (SELECT min(code) FROM onemap.grid_cell) "
                   "FROM onemap.alarm_rule r JOIN onemap.device_kind k USING (subsystem) WHERE r.category_code IS NOT NULL")


def play(program, *options, count=CASES, month=MONTH, code=0):
    return program.run("simulate", "--cases", "--month", month, "--count", count, *options, code=code)


def diligence(output):
    """{department: (percent, cases)} of what the command prints at its end."""
    rows = re.findall(r"^([a-z]+) +\S+ +(\d+) +(\d+)$", output, re.M)
    return {code: (int(percent), int(cases)) for code, percent, cases in rows}


def statistics(program, by):
    return json.loads(program.run("score", "statistics", "--month", MONTH, "--by", by, "--json").stdout)["rows"]


def assessed(program):
    done = program.run("score", "compute", "--month", MONTH, "--json")
    return json.loads(done.stdout)


def test_a_month_from_report_to_ranking(county, database, work_folder):
    add_devices(database)
    output = play(county).stdout
    units = diligence(output)
    assert len(units) == 36 and sum(cases for _, cases in units.values()) == CASES, output
    assert f"month {MONTH} is played: {CASES} cases" in output

    assert database.value("SELECT count(*) FROM onemap.case_record") == CASES
    assert database.query("SELECT * FROM onemap.case_chain_check()") == []
    assert "the journal is whole" in county.run("case", "check").stdout
    assert database.value("SELECT count(*) FROM onemap.case_event WHERE actor NOT LIKE '模拟%' AND actor <> 'cityhub'") == 0
    assert database.query("SELECT action, detail->>'month', detail->>'simulated' FROM onemap.audit_log WHERE action = 'simulate_cases'") == [
        ("simulate_cases", MONTH, "true")]
    outside = database.value("SELECT count(*) FROM onemap.case_record WHERE reported_at < '2026-09-01 00:00+08' OR reported_at >= '2026-10-01 00:00+08'")
    assert outside == 0, "every case is reported in the month, county time"
    assert {source for source, in database.query("SELECT DISTINCT source FROM onemap.case_record")} >= {
        "supervisor", "hotline", "public", "video", "alarm", "leader"}

    computed = assessed(county)
    assert [row["department"] for row in computed["digital"]["rows"] if row["score"] is None] == []
    rows = computed["assessment"]["rows"]
    assert len(rows) >= 24 and all(row["missing"] == [] and row["total"] is not None for row in rows)
    assert any(row["bonus"] > 0 for row in rows) and any(row["deducted"] < 0 for row in rows)

    folder = work_folder / "published"
    county.run("score", "publish", "--month", MONTH, "--author", "模拟发布人", "--out", folder)
    with open(folder / f"{MONTH}-ranking.csv", newline="", encoding="utf-8-sig") as file:
        table = list(csv.reader(file))
    names = [row["name"] for row in sorted(rows, key=lambda row: row["rank"])]
    assert [name for line in table for name in line if name in names] == names
    page = (folder / f"{MONTH}-bulletin.html").read_text()
    assert all(name in page for name in names) and f"{rows[0]['total']:.2f}" in page
    with zipfile.ZipFile(folder / f"{MONTH}-bulletin.xlsx") as book:
        texts = book.read("xl/sharedStrings.xml").decode()
        assert all(name in texts for name in names)
        assert book.testzip() is None
    assert county.run("score", "verify", "--month", MONTH).stdout.startswith("the same")

    refused = play(county, code=1)
    assert "is closed" in refused.stderr
    assert database.value("SELECT count(*) FROM onemap.case_record") == CASES


def test_the_diligent_stand_above_the_careless(county):
    """Of the whole month as the quickstart has it: the ranking follows what the departments are like."""
    units = diligence(play(county, count=1500).stdout)
    computed = assessed(county)
    totals = {row["department"]: row["total"] for row in computed["assessment"]["rows"]}
    digital = {row["department"]: row["score"] for row in computed["digital"]["rows"] if units[row["department"]][1] >= 20}
    assert len(digital) >= 10

    def mean(scores, wanted):
        found = [score for code, score in scores.items() if wanted(units[code][0])]
        assert len(found) >= 3
        return sum(found) / len(found)

    for scores, gap in ((totals, 10), (digital, 5)):
        high, middle, low = (mean(scores, wanted) for wanted in (lambda p: p >= 67, lambda p: 33 < p < 67, lambda p: p <= 33))
        assert high > middle > low and high - low > gap, (high, middle, low)
    grades = {row["grade"] for row in computed["assessment"]["rows"]}
    assert len(grades) >= 3, grades
    county_wide = statistics(county, "all")[0]["measures"]
    for measure in ("reported", "accepted", "rejected", "verified", "refuted", "registered", "dispatched", "wrong_dispatch", "handled", "returned",
                    "returns_refused", "rework_times", "extensions_asked", "extended", "suspended", "resumed", "supervised", "reminded", "voided",
                    "merged", "shirking", "satisfied", "basically_satisfied", "dissatisfied", "closed", "closed_in_time", "overdue"):
        assert county_wide[measure] > 0, f"{measure}: the whole closed loop has it"
    assert county_wide["closed_in_time"] > county_wide["overdue"]


def test_the_same_seed_makes_the_same_month(make_hub, database, county, cluster, site):
    figures = []
    for seed in (7, 7, 8):
        other = cluster.clone()
        try:
            county.write_config(database__conninfo=other.hub_conninfo, database__migrate_conninfo=other.conninfo)
            county.run("catalogue", "departments", "import", paths.ROOT / "config" / "departments.csv")
            county.run("catalogue", "import", paths.ROOT / "config" / "case_catalogue.csv")
            county.run("simulate", "--prepare")
            play(county, "--seed", seed)
            computed = assessed(county)["assessment"]["rows"]
            figures.append((statistics(county, "department"), statistics(county, "category"), statistics(county, "person"),
                            [(row["department"], row["total"], row["rank"]) for row in computed]))
        finally:
            cluster.drop(other)
    assert figures[0] == figures[1]
    assert figures[0] != figures[2]


def test_refused(make_hub, database, county):
    played = play(county, count=3)
    assert "is played: 3 cases" in played.stdout
    assert "has been played already" in play(county, count=3, code=1).stderr
    assert "has not ended" in play(county, month="2031-01", code=1).stderr
    assert "such as 2026-10" in play(county, month="October", code=2).stderr
    county.run("simulate", "--month", MONTH, code=2)
    county.run("simulate", "--cases", "--count", "0", code=2)
    assert database.value("SELECT count(*) FROM onemap.case_record") == 3
    county.write_config(database__migrate_conninfo=None)
    daemon = play(county, month="2026-08", count=3, code=1)
    assert "GRANT cityhub_history TO cityhub_daemon" in daemon.stderr
    county.write_config(database__migrate_conninfo=database.conninfo)
    database.query("UPDATE onemap.grid_cell SET name_zh = '金城一号' WHERE code = (SELECT min(code) FROM onemap.grid_cell)")
    assert "real grid cells" in play(county, month="2026-08", count=3, code=1).stderr
    assert database.value("SELECT count(*) FROM onemap.case_record") == 3


def test_refused_without_a_county(make_hub, database):
    program = make_hub(start=False)
    assert "--prepare" in play(program, code=1).stderr
