"""What commands answer from the database: every list as a table, as JSON and as CSV; the county's alarm limits, its calendar and
office hours, the offices that lead; refusals in sentences. No daemon runs."""
import csv
import datetime
import io
import json
import re

import pytest
from harness import paths, table
from harness.hub import Hub

LISTS = [command for command in table.commands() if any(option["name"] == "csv" for option in command.options)]


class NoBroker:
    host, port = "127.0.0.1", 1


@pytest.fixture
def county(database, work_folder):
    """The commands of a county that has departments, a catalogue, a vendor and a quarantined message, with the hub's rights alone."""
    hub = Hub(database, NoBroker, work_folder)
    hub.run("catalogue", "departments", "import", paths.ROOT / "config" / "departments.csv")
    hub.run("catalogue", "import", paths.ROOT / "config" / "case_catalogue.csv")
    return hub


def test_every_list_in_every_form(county, database):
    """The rows are the same in a table and in CSV; JSON is whole."""
    county.run("vendor", "add", "--subsystem", "dust", "--vendor", "acme", "--name-zh", '甲,"乙"')
    county.run("case", "report", "--source", "hotline", "--role", "acceptor", "--actor", "李", "--set", "title=路面, 破损", "--set", "lon=114.75",
               "--set", "lat=34.55")
    database.query("INSERT INTO onemap.quarantine (received_at, subsystem, vendor, kind, topic, payload, code, reason) "
                   "VALUES (now(), 'dust', 'acme', 'telemetry', 't', '\\x00', 'malformed', 'a \"reason\"')")
    assert len(LISTS) >= 12
    for command in LISTS:
        shown = county.run(*command.arguments()).stdout
        rows = list(csv.reader(io.StringIO(county.run(*command.arguments("--csv")).stdout)))
        json.loads(county.run(*command.arguments("--json")).stdout)
        assert len(rows[0]) > 1 and all(len(row) == len(rows[0]) for row in rows), command
        if len(rows) == 1:
            assert len(shown.splitlines()) == 1, f"{command}: {shown}"
        else:
            titles = [title.replace("_", " ") for title in rows[0]]
            assert shown.splitlines()[0].split() == " ".join(titles).split(), command
            told = ("--limit shows more" in shown) + ("\nTimes are those of Asia/Shanghai.\n" in shown)
            assert len(shown.splitlines()) - told == len(rows), command
    vendors = list(csv.DictReader(io.StringIO(county.run("vendor", "list", "--csv").stdout)))
    assert vendors[0]["name"] == '甲,"乙"' and vendors[0]["login"] == "no"
    # What came from outside is no formula in a spreadsheet.
    county.run("case", "report", "--source", "hotline", "--role", "acceptor", "--actor", "李", "--set", 'title==HYPERLINK("http://x","y")')
    county.run("case", "report", "--source", "hotline", "--role", "acceptor", "--actor", "李", "--set", "title=@SUM(1)")
    titles = {row["title"] for row in csv.DictReader(io.StringIO(county.run("case", "list", "--csv").stdout))}
    assert titles == {"路面, 破损", '\'=HYPERLINK("http://x","y")', "'@SUM(1)"}
    assert county.run("vendor", "list", "--subsystem", "gas").stdout.startswith("There is no vendor yet")
    assert json.loads(county.run("vendor", "list", "--subsystem", "gas", "--json").stdout) == []


def test_suggested_words_are_those_of_the_database(database):
    """What the table offers for completion, others being the database's to judge."""
    def words(command, name):
        return set(table.command(command).option(name)["words"].split())

    def stored(sql):
        return {row[0] for row in database.query(sql)}
    assert words("case list", "state") == stored("SELECT state FROM onemap.case_state")
    assert words("case list", "source") == stored("SELECT source FROM onemap.case_source")
    assert words("case report", "source") == stored("SELECT source FROM onemap.case_report_right WHERE role <> 'system'")
    assert words("case do", "role") == words("case report", "role") == stored("SELECT role FROM onemap.case_role WHERE role <> 'system'")
    assert words("case do", "ACTION") == stored("SELECT DISTINCT action FROM onemap.case_transition WHERE role <> 'system'")
    assert words("case do", "set") == stored("SELECT DISTINCT unnest(fields) FROM onemap.case_action") | {"unit", "attachments", "at"}
    assert words("score enter", "item") == words("score lead set", "item") == stored("SELECT item FROM onemap.assessment_item WHERE part <> 'digital'")
    assert words("score award", "kind") == stored("SELECT kind FROM onemap.assessment_award_kind")
    assert words("quarantine list", "subsystem") == stored("SELECT key FROM onemap.subsystem")


def test_alarm_rules(county, database):
    listed = json.loads(county.run("alarm", "rule", "list", "--subsystem", "dust", "--json").stdout)
    before = next(rule for rule in listed if rule["rule"] == "pm25_high")
    assert (before["threshold"], before["clear_threshold"], before["edited"]) == (150, 115, False)
    assert county.run("alarm", "rule", "list", "--edited").stdout == "no rule fits\n"
    done = county.run("alarm", "rule", "set", "--subsystem", "dust", "--rule", "pm25_high", "--threshold", "120", "--clear-threshold", "110.5",
                      "--duration", "600", "--severity", "critical", "--source", "县环委〔2026〕3号", "--category", "20102")
    assert done.stdout == "dust.pm25_high PM2.5偏高: above 120, ends at 110.5, for 600 s; critical; opens cases of category 20102; source: 县环委〔2026〕3号\n"
    assert re.search(r"^dust +pm25_high +PM2.5偏高 +pm25_ug_m3 +above 120, ends at 110.5, for 600 s +critical +20102 +yes +yes ",
                     county.run("alarm", "rule", "list", "--edited").stdout, re.MULTILINE)
    done = county.run("alarm", "rule", "set", "--subsystem", "dust", "--rule", "pm25_high", "--disable", "--no-category")
    assert "opens no case" in done.stdout and done.stdout.endswith("; DISABLED\n")
    assert database.value("SELECT count(*) FROM onemap.audit_log WHERE action = 'alarm_rule_set'") == 2
    assert "DISABLED" not in county.run("alarm", "rule", "set", "--subsystem", "dust", "--rule", "pm25_high", "--enable").stdout


@pytest.mark.parametrize("arguments, sentence", [
    (("--rule", "nothing", "--disable"), 'subsystem "dust" has no alarm rule "nothing"'),
    (("--rule", "pm25_high"), "alarm rule dust.pm25_high: nothing is to be changed"),
    (("--rule", "pm25_high", "--clear-threshold", "151", "--source", "x"), "opens above 150, so it cannot end at 151 already"),
    (("--rule", "pm25_high", "--threshold", "100", "--clear-threshold", "101", "--source", "x"), "opens above 100, so it cannot end at 101 already"),
    (("--rule", "pm25_high", "--threshold", "100", "--source", ""), "the source of the limit cannot be empty"),
    (("--rule", "pm25_high", "--category", "29999"), 'the catalogue of cases has no category "29999"'),
    (("--rule", "device_offline", "--clear-threshold", "1", "--source", "x"), "has no limit beyond which it opens and ends"),
], ids=range(7))
def test_alarm_rules_are_not_made_senseless(county, database, arguments, sentence):
    before = database.query("SELECT to_jsonb(r) FROM onemap.alarm_rule r ORDER BY id")
    done = county.run("alarm", "rule", "set", "--subsystem", "dust", *arguments, code=2)
    assert sentence in done.stderr and "constraint" not in done.stderr and "violates" not in done.stderr and done.stdout == ""
    assert database.query("SELECT to_jsonb(r) FROM onemap.alarm_rule r ORDER BY id") == before
    assert county.run("alarm", "rule", "set", "--subsystem", "dust", "--rule", "pm25_high", "--threshold", "1", code=2).stderr.startswith(
        "cityhub alarm rule set: --threshold needs --source\n")


def test_a_constraint_speaks_in_a_sentence(county, database):
    """What no function has foreseen: the table's name, and neither the constraint's nor the row."""
    database.query("CREATE OR REPLACE FUNCTION onemap.alarm_rule_change_check(r onemap.alarm_rule, changes jsonb) RETURNS void LANGUAGE sql AS ''")
    done = county.run("alarm", "rule", "set", "--subsystem", "dust", "--rule", "pm25_high", "--clear-threshold", "151", "--source", "x", code=1)
    assert done.stderr == "cityhub: the database refuses this: a value is out of its range, or values do not fit together (table alarm_rule)\n"


def test_holidays(county, database, work_folder):
    file = work_folder / "2027.json"
    file.write_text(json.dumps([{"source": "test 2027", "holidays": [{"name": "元旦", "first_day": "2026-12-31", "last_day": "2027-01-03"},
                                                                     {"name": "春节", "first_day": "2027-02-05", "last_day": "2027-02-11"}],
                                 "workdays": ["2027-01-09"]}]))
    assert county.run("calendar", "import", file).stdout == f"{file}: entered test 2027\n"
    days = database.query("SELECT day, kind FROM onemap.calendar_day WHERE source = 'test 2027' ORDER BY day")
    assert len(days) == 12 and days[0] == (datetime.date(2026, 12, 31), "holiday") and (datetime.date(2027, 1, 9), "makeup") in days
    shown = county.run("calendar", "list", "--year", "2027").stdout
    assert re.search(r"^2027-01-01 +周五 +no +holiday +元旦 +test 2027$", shown, re.MULTILINE)
    assert re.search(r"^2027-01-09 +周六 +yes +makeup +调休上班 +test 2027$", shown, re.MULTILINE)
    assert len(json.loads(county.run("calendar", "list", "--year", "2027", "--all", "--json").stdout)) == 365
    exported = json.loads(county.run("calendar", "export", "--year", "2027").stdout)
    assert exported == json.loads(file.read_text())
    # All that is exported goes in again, and nothing changes.
    everything = work_folder / "all.json"
    everything.write_text(county.run("calendar", "export").stdout)
    assert len(json.loads(everything.read_text())) == 7
    before = database.query("SELECT * FROM onemap.calendar_day ORDER BY day")
    county.run("calendar", "import", everything)
    assert database.query("SELECT * FROM onemap.calendar_day ORDER BY day") == before
    assert "no day of that year" in county.run("calendar", "list", "--year", "2032").stdout
    # A county's own for the year before, instead of the State Council's: only if it says so, and no later edition of the hub takes it back.
    own, council = work_folder / "own.json", "国办发明电〔2025〕7号"
    notice = next(one for one in json.loads(everything.read_text()) if one["source"] == council)
    own.write_text(json.dumps(dict(notice, source="县政府 2026", workdays=[])))
    assert f"holidays[0]: takes 元旦 2026-01-01 to 2026-01-03 of {council}: if that is meant" in county.run("calendar", "import", own, code=1).stderr
    own.write_text(json.dumps(dict(notice, source="县政府 2026", workdays=[], replaces=[council])))
    assert county.run("calendar", "import", own).stdout.startswith(f"{own}: entered 县政府 2026\n{own}: replaced 元旦 2026-01-01 to 2026-01-03 of {council}\n")
    before = database.query("SELECT * FROM onemap.calendar_day ORDER BY day")
    database.query((paths.ROOT / "schema" / "rules" / "calendar_notice.sql").read_text())
    assert database.query("SELECT * FROM onemap.calendar_day ORDER BY day") == before


@pytest.mark.parametrize("text, complaint", [
    ("{\n  \"source\": \"x\",\n  oops\n}", ":3: is no JSON"), ("[{}]", "[0].source: is missing"), ("7", "must be an object"), ('{"source": "x"}', "enters nothing"),
    ('[{"source": "good", "holidays": []}, {"source": "", "holidays": []}]', "[0]: enters nothing: it has neither holidays nor workdays\n[1].source: is missing"),
    ('{"source": "x", "holidays": [], "workdays": ["2027-01-08"]}', "workdays[0]: make-up workday 2027-01-08 is not on a weekend"),
    ('{"source": "x", "holidays": [{"name": "a", "first_day": "2027-02-30", "last_day": "2027-03-01"}]}', "holidays[0].first_day: must be a day such as 2027-01-01, not 2027-02-30"),
    ('{"source": "x", "workdays": ["2027-01-09"], "workdays": []}', 'has the member "workdays" twice'), ("[]", "enters nothing: the list is empty"),
    ("{\"source\": \"\xd4\xaa\xb5\xa9\"}", "is not valid UTF-8: save it as UTF-8"),
], ids=range(10))
def test_bad_notices(county, database, work_folder, text, complaint):
    before = database.query("SELECT * FROM onemap.calendar_day ORDER BY day")
    file = work_folder / "bad.json"
    file.write_bytes(text.encode("latin-1"))
    done = county.run("calendar", "import", file, code=1)
    assert complaint in done.stderr and f"{file}: nothing is entered" in done.stderr and done.stdout == ""
    assert database.query("SELECT * FROM onemap.calendar_day ORDER BY day") == before
    assert "No such file" in county.run("calendar", "import", "/nonexistent", code=1).stderr


def test_office_hours(county, database):
    assert re.search(r"^seasonal +冬夏两季作息 +06-01 to 09-30 +15:00 +18:30 +0 +assumed", county.run("calendar", "office", "list").stdout, re.MULTILINE)
    assert re.search(r"^standard +全年作息 +all year +08:30 +12:00 +[1-9]\d* +assumed", county.run("calendar", "office", "list").stdout, re.MULTILINE)
    exported = json.loads(county.run("calendar", "office", "export", "standard").stdout)
    assert [(p["opens"], p["closes"]) for p in exported[0]["periods"]] == [("08:30", "12:00"), ("14:00", "18:00")]
    ours = {"schedule": "night", "name_zh": "夜班", "source": "县府办〔2026〕1号", "periods": [{"opens": "20:00", "closes": "24:00"}]}
    done = county.run("calendar", "office", "import", "-", input=json.dumps([ours, {**exported[0], "source": "县府办〔2026〕2号"}]))
    assert done.stdout == "-: entered night\n-: entered standard\n"
    assert json.loads(county.run("calendar", "office", "export", "night").stdout)[0]["periods"] == [
        {"opens": "20:00", "closes": "24:00", "season_from": 101, "season_to": 1231}]
    assert database.value("SELECT count(*) FROM onemap.audit_log WHERE action = 'office_schedule_put'") == 2
    everything = county.run("calendar", "office", "export").stdout
    county.run("calendar", "office", "import", "-", input=everything)
    assert county.run("calendar", "office", "export").stdout == everything


@pytest.mark.parametrize("changes, complaint", [
    ({"schedule": "Day"}, 'office hours "Day": schedule: must be 1 to 32 small letters'), ({"schedule": "day"}, "neither \"continuous\" nor \"day\""),
    ({"name_zh": ""}, "name_zh: is missing"), ({"source": None}, "source: is missing"), ({"periods": []}, "periods: must be a list"),
    ({"periods": [{"opens": "25:00", "closes": "26:00"}]}, "periods[0]: opens and closes must be times"),
    ({"periods": [{"opens": "08:00", "closes": "12:00"}, {"opens": "12:00", "closes": "12:00"}]}, "periods[1]: closes at 12:00, which is not after 12:00"),
    ({"periods": [{"opens": "08:00", "closes": "12:00", "season_from": 1301}]}, "periods[0]: season_from and season_to must be month x 100 + day"),
    ({"periods": [{"opens": "08:00", "closes": "12:00"}, {"opens": "11:00", "closes": "13:00"}]}, "they must not overlap"),
], ids=range(9))
def test_bad_office_hours(county, database, changes, complaint):
    good = {"schedule": "ours", "name_zh": "本县", "source": "x", "periods": [{"opens": "08:00", "closes": "12:00"}]}
    done = county.run("calendar", "office", "import", "-", input=json.dumps([{**good, "schedule": "fine"}, {**good, **changes}]), code=1)
    assert complaint in done.stderr and "constraint" not in done.stderr and done.stdout == ""
    assert database.value("SELECT count(*) FROM onemap.office_schedule") == 2, "the good one of the two is not there either"


def test_offices_that_lead(county, database):
    assert re.search(r"^garden_city +县创园工作 +office +2 +- +四", county.run("score", "lead", "list").stdout, re.MULTILINE)
    assert county.run("score", "lead", "set", "--item", "garden_city", "--office", "县创园办").stdout == "garden_city: 县创园办\n"
    entry = ("score", "enter", "--month", "2026-10", "--department", "jincheng", "--item", "garden_city", "--score", "90", "--author", "王", "--evidence", "表")
    assert "县创园办" in county.run(*entry, "--office", "别的办", code=2).stderr
    assert re.fullmatch(r"entered as \d+\n", county.run(*entry, "--office", "县创园办").stdout)
    assert county.run("score", "lead", "set", "--item", "garden_city", "--office", "").stdout == "garden_city: whoever enters it names itself\n"
    county.run(*entry, "--office", "别的办")
    assert 'there is no "nothing"' in county.run("score", "lead", "set", "--item", "nothing", "--office", "x", code=2).stderr


def test_awards_and_inputs(county):
    who = ("--office", "督查局", "--author", "王", "--evidence", "台账")
    entered = county.run("score", "award", "--month", "2026-10", "--department", "jincheng", "--kind", "media_city", "--times", "2", *who).stdout
    number = re.fullmatch(r"entered as (\d+)\n", entered).group(1)
    shown = json.loads(county.run("score", "compute", "--month", "2026-10", "--json").stdout)["assessment"]["rows"]
    assert {row["department"]: row["deducted"] for row in shown}["jincheng"] == -1
    county.run("score", "revoke", number, *who)
    shown = json.loads(county.run("score", "compute", "--month", "2026-10", "--json").stdout)["assessment"]["rows"]
    assert {row["department"]: row["deducted"] for row in shown}["jincheng"] == 0
    assert "there is no standing entry" in county.run("score", "revoke", number, *who, code=2).stderr
    points = ("score", "input", "--month", "2026-10", "--department", "jincheng", "--item", "organisation", "--author", "王", "--evidence", "表")
    assert "entered as " in county.run(*points, "--formula", "jinhua", "--points", "8.5").stdout
    assert "points: must be a number from 0 to 9" in county.run(*points, "--formula", "jinhua", "--points", "10", code=2).stderr
    assert 'has no input "organisation"' in county.run(*points, "--points", "8", code=2).stderr


def test_files_for_spreadsheets(county):
    """What is exported is what was imported, to the byte; nothing is printed where there is nothing to export."""
    assert county.run("catalogue", "departments", "export", "--bom").stdout == "\ufeff" + (paths.ROOT / "config" / "departments.csv").read_text()
    assert county.run("catalogue", "export", "--version", "1").stdout == (paths.ROOT / "config" / "case_catalogue.csv").read_text()
    done = county.run("catalogue", "export", "--version", "7", code=1)
    assert done.stdout == "" and "the catalogue has no version 7" in done.stderr
    assert "金城街道办事处" in county.run("catalogue", "departments", "list").stdout


# ---- storage ----

def test_storage(county, database):
    """Days are told, packed and unpacked by hand; the figures are those of the days, and who is refused is told why."""
    database.query("SELECT onemap.partition_ensure('2026-03-01'), onemap.partition_ensure('2026-03-02')")
    database.query("INSERT INTO onemap.observation_raw SELECT d, '2026-03-01'::date + n * interval '1 min' + d * interval '1 day', now(), ARRAY[n, d, n % 7]"
                   " FROM generate_series(0, 1) d, generate_series(0, 1199) n")
    database.query("ANALYZE onemap.observation_raw")

    def listed(*arguments):
        return json.loads(county.run("storage", "list", "--json", *arguments).stdout)
    first, second = listed("--to", "2026-03-02")["days"]
    assert (first["day"], first["state"], first["records"], first["would_save"]) == ("2026-03-01", "raw", 1200, None)
    told = county.run("storage", "pack", "2026-03-01").stdout
    assert re.fullmatch(r"2026-03-01: packed: 1200 records, 0 places, 3600 values, 0\.\d MiB, \d\.\d\d bytes a value \(\d\d\.\d\d raw\)\n", told), told
    first, second = listed("--to", "2026-03-02")["days"]
    assert first["state"] == "packed" and (first["records"], first["values"]) == (1200, 3600) and first["saved"] > 50_000
    assert second["state"] == "raw" and 0 < second["would_save"] < second["bytes"]
    assert listed("--from", "2026-03-02", "--to", "2026-03-02")["days"] == [second]
    assert re.search(r"^2026-03-01 +packed +1200 +0 +3600 ", county.run("storage", "list").stdout, re.MULTILINE)
    assert database.value("SELECT count(*) FROM onemap.observation WHERE device_id = 0") == 1200
    told = county.run("storage", "unpack", "2026-03-01").stdout
    assert told.startswith("2026-03-01: raw: "), told
    assert database.value("SELECT count(*) FROM onemap.observation_raw WHERE device_id = 0") == 1200
    assert listed("--to", "2026-03-01")["days"][0]["state"] == "raw"
    assert len(county.run("storage", "pack", "2026-03-01", "2026-03-02").stdout.splitlines()) == 2
    actions = [row[0] for row in database.query("SELECT action FROM onemap.audit_log WHERE action ~ 'pack_day$' ORDER BY id")]
    assert set(actions) == {"pack_day", "unpack_day"}
    for arguments, reason in ((("pack", datetime.date.today().isoformat()), "too young to be packed"),
                              (("unpack", "2026-03-09"), "the day 2026-03-09 is not packed"),
                              (("pack", "2026-02-30"), '"2026-02-30" is no day'), (("pack", "yesterday"), "a day such as 2026-10-01")):
        done = county.run("storage", *arguments, code=2)
        assert reason in done.stderr and done.stdout == "", done.stderr
