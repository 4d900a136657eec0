"""Cases at the terminal: the shipped catalogue and departments, one case from report to closing, two dispatchers at once,
the journal recomputed from outside, the working calendar against what others published."""
import csv
import hashlib
import json
import os
import shutil
import subprocess
import threading

import psycopg2
import pytest

from harness import paths

CATALOGUE = paths.ROOT / "config" / "case_catalogue.csv"
DEPARTMENTS = paths.ROOT / "config" / "departments.csv"
NOTE = {"title": "垃圾成堆", "lon": "114.75", "lat": "34.55"}


@pytest.fixture
def program(make_hub):
    """The commands alone; no daemon runs."""
    return make_hub(start=False)


@pytest.fixture
def county(program, database):
    program.run("catalogue", "departments", "import", DEPARTMENTS)
    program.run("catalogue", "import", CATALOGUE)
    database.query("INSERT INTO onemap.grid_cell (code, department_id, geom) SELECT '410221001001001', d.id, "
                   "public.ST_Multi(public.ST_MakeEnvelope(114.7, 34.5, 114.8, 34.6, 4326)) "
                   "FROM onemap.department d WHERE d.code = 'jincheng'")
    return program


def settings(**fields):
    return [part for key, value in fields.items() for part in ("--set", f"{key}={value}")]


def report(program, **fields):
    done = program.run("case", "report", "--source", "supervisor", "--role", "supervisor", "--actor", "张三", "--json",
                       *settings(**{**NOTE, "category": "20102", "condition": "1", **fields}))
    return json.loads(done.stdout)["case"]


def act(program, code, action, role, reason="现场确认", exit_code=0, **fields):
    return program.run("case", "do", code, action, "--role", role, "--actor", "李四", "--reason", reason, *settings(**fields),
                       code=exit_code)


def registered(program):
    code = report(program)
    act(program, code, "accept", "acceptor")
    act(program, code, "register", "registrar")
    return code


def do(connection, request):
    with connection.cursor() as cursor:
        cursor.execute("SELECT onemap.case_do(%s)", (json.dumps(request),))
        return cursor.fetchone()[0]


# ---- the files ----

def test_shipped_files_go_in_and_come_out(program, database):
    out = program.run("catalogue", "departments", "import", DEPARTMENTS).stdout
    with open(DEPARTMENTS, newline="") as file:
        departments = list(csv.DictReader(file))
    assert out == f"{len(departments)} departments\n"
    assert {"金城街道办事处", "产业集聚区管委会", "五里河镇", "城郊乡"} == {d["name"] for d in departments if d["kind"] == "street"}
    assert program.run("catalogue", "departments", "export").stdout == DEPARTMENTS.read_text()
    out = program.run("catalogue", "import", CATALOGUE, "--check").stdout
    assert out.endswith("nothing is wrong with them\n") and database.value("SELECT onemap.case_catalogue_current()") is None
    program.run("catalogue", "import", CATALOGUE, "--comment", "first")
    assert program.run("catalogue", "export").stdout == CATALOGUE.read_text()
    assert program.run("catalogue", "export", "--bom").stdout == "\ufeff" + CATALOGUE.read_text()
    assert "nothing to import" in program.run("catalogue", "import", "-", input="\ufeff" + CATALOGUE.read_text()).stdout
    assert database.value("SELECT max(version) FROM onemap.case_catalogue") == 1
    versions = json.loads(program.run("catalogue", "list", "--versions", "--json").stdout)
    assert [(v["version"], v["comment"], v["categories"] >= 80) for v in versions] == [(1, "first", True)]
    assert "暴露垃圾" in program.run("catalogue", "list").stdout


def test_shipped_catalogue_is_complete(county, database):
    with open(CATALOGUE, newline="") as file:
        rows = list(csv.DictReader(file))
    classes = {row["code"][:3] for row in rows}
    assert classes == {"101", "102", "103", "104", "105", "201", "202", "203", "204", "205", "206"}, "5 classes of components, 6 of events"
    assert len({row["code"] for row in rows}) >= 80
    assert {row["unit"] for row in rows} == {"紧急工作时", "工作时", "工作日", "紧急工作日"}
    missing = database.query("SELECT r.subsystem, r.key, r.category_code FROM onemap.alarm_rule r WHERE r.category_code IS NOT NULL "
                             "AND NOT EXISTS (SELECT FROM onemap.case_category k WHERE k.code = r.category_code)")
    assert missing == [], "categories that alarm rules name"
    assert database.value("SELECT count(*) FROM onemap.alarm_rule WHERE category_code IS NOT NULL") > 20


@pytest.mark.parametrize("text, complaint", [
    ("", ":1: the file is empty"),
    ("code,name\n", ":1: column `class` is missing"),
    ("code,colour\n", ":1: there is no column `colour`"),
    ("HEADER\n20102,x\n", ":2: 2 fields where the header has 10"), ("HEADER\n\n,,,,,,,,,\n20102,x\n", ":4: 2 fields where the header has 10"),
    ("HEADER\t, ,\n20102,x\n", ":2: 2 fields where the header has 10"),  # a blank behind the last name, columns without one
    ("code;name\n1;2\n", ":1: the file has other separators than commas: save it as"), ("HEADER\n,,,\n", ":1: the file has no conditions"),
    ("HEADER\n\"20102\n", ":2: a quoted field has no end"),
    ("HEADER\n30102,市容,垃圾,1,成堆,1,工作日,清除,chengguan,assumed\n", ":2: code: must be 5 digits"),
    ("HEADER\n20102,市容,垃圾,1,成堆,1,小时,清除,nobody,assumed\n", ":2: unit: must be one of"),
])
def test_a_bad_file_is_refused_with_its_lines(program, database, work_folder, text, complaint):
    file = work_folder / "bad.csv"
    file.write_text(text.replace("HEADER", CATALOGUE.read_text().split("\n")[0]))
    done = program.run("catalogue", "import", file, code=1)
    assert f"{file}{complaint}" in done.stderr and "nothing is imported" in done.stderr
    assert database.value("SELECT count(*) FROM onemap.case_catalogue") == 0


def test_wrong_use(program):
    for arguments in (["catalogue"], ["catalogue", "dance"], ["catalogue", "import"], ["catalogue", "departments"],
                      ["catalogue", "export", "--version", "x"], ["case"], ["case", "show"], ["case", "do", "X", "accept"],
                      ["case", "list", "--limit", "0"], ["case", "report", "--role", "x", "--actor", "y"],
                      ["case", "do", "X", "accept", "--role", "r", "--actor", "a", "--set", "x"]):
        program.run(*arguments, code=2)
    assert "no such" not in program.run("case", "--help").stdout
    assert "cannot be" not in program.run("catalogue", "--help").stdout
    assert "No such file" in program.run("catalogue", "import", "/nonexistent", code=1).stderr


# ---- cases ----

def test_from_report_to_closing(county):
    code = registered(county)
    refused = act(county, code, "dispatch", "dispatcher", exit_code=2).stderr
    assert "2 departments could be responsible" in refused and "huanwei" in refused and "jincheng" in refused
    assert act(county, code, "dispatch", "dispatcher", department="huanwei").stdout == f"case {code} is dispatched, version 4, with huanwei\n"
    assert "needs a reason" in act(county, code, "return", "department", reason="", exit_code=2).stderr
    assert "is not for a department there" in act(county, code, "close", "department", exit_code=1).stderr
    photo = json.dumps([{"uri": "https://files/1.jpg", "sha256": "ab" * 32, "size_bytes": 1000, "media_type": "image/jpeg"}])
    assert '"unit" is missing' in act(county, code, "feed_back", "department", exit_code=2).stderr
    act(county, code, "feed_back", "department", attachments=photo, unit="huanwei")
    conflict = county.run("case", "do", code, "check", "--role", "supervisor", "--actor", "张三", "--version", 4, code=1).stderr
    assert "version 4 is no longer its last, which is 5" in conflict
    act(county, code, "check", "supervisor")
    assert act(county, code, "close", "registrar").stdout == f"case {code} is closed, version 7, with huanwei\n"
    act(county, code, "call_back", "acceptor", satisfaction="satisfied")
    shown = county.run("case", "show", code).stdout
    for word in ("closed 已结案", "暴露垃圾", "feed_back", "huanwei 环境卫生服务中心", "1 work_day"):
        assert word in shown
    case = json.loads(county.run("case", "show", code, "--json").stdout)
    assert [e["action"] for e in case["journal"]] == ["report", "accept", "register", "dispatch", "feed_back", "check", "close", "call_back"]
    assert case["satisfaction"] == "satisfied" and case["attachments"][0]["sha256"] == "ab" * 32
    assert county.run("case", "list").stdout == "no case fits\n"
    assert code in county.run("case", "list", "--all", "--department", "huanwei", "--since", "1 hours").stdout
    other = report(county, description="背街\n小巷")
    listed = json.loads(county.run("case", "list", "--json", "--state", "reported").stdout)
    assert [c["case"] for c in listed["cases"]] == [other] and listed["next"] is None
    assert "there is no case" in county.run("case", "show", "19990101-000001", code=1).stderr
    assert county.run("case", "check").stdout == "the journal is whole\n"


def test_check_finds_tampering(county, database):
    code = registered(county)
    assert json.loads(county.run("case", "seal").stdout)["events"] == 3
    assert county.run("case", "check", code).stdout == "the journal is whole\n"
    database.query("ALTER TABLE onemap.case_event DISABLE TRIGGER ALL; UPDATE onemap.case_event SET actor = '王五' WHERE seq = 2")
    done = county.run("case", "check", code=1)
    assert code in done.stdout and "is not what its hash says" in done.stdout and "not those that were sealed" in done.stdout


def test_two_dispatchers_at_once(county, database):
    """Both saw version 3. Whoever is first wins; the other is told of the conflict, and nothing of him stays."""
    for _ in range(8):
        code = registered(county)
        barrier, outcomes = threading.Barrier(2), {}

        def dispatch(unit):
            connection = database.connect()
            barrier.wait()
            try:
                outcomes[unit] = do(connection, {"case": code, "action": "dispatch", "role": "dispatcher", "actor": unit,
                                                 "version": 3, "department": unit})["department"]
            except psycopg2.Error as problem:
                outcomes[unit] = problem.pgcode
            connection.close()
        threads = [threading.Thread(target=dispatch, args=(unit,)) for unit in ("huanwei", "jincheng")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        winner = next(unit for unit in outcomes if outcomes[unit] == unit)
        assert sorted(outcomes.values()) == sorted(["CH011", winner]), outcomes
        assert database.query("SELECT actor, department FROM onemap.case_event WHERE case_code = %s AND seq > 3", code) == [(winner, winner)]
    assert county.run("case", "check").stdout == "the journal is whole\n"


def test_second_waits_for_the_first_and_gets_the_conflict(county, database):
    """The same in a fixed order: the second reads before the first commits, and waits on the row."""
    code = registered(county)
    first, second = database.connect(autocommit=False), database.connect()
    request = {"case": code, "action": "dispatch", "role": "dispatcher", "actor": "a", "version": 3, "department": "huanwei"}
    do(first, request)
    problems = []

    def late():
        try:
            do(second, {**request, "department": "jincheng"})
        except psycopg2.Error as problem:
            problems.append(problem)
    thread = threading.Thread(target=late)
    thread.start()
    from harness.process import wait_until
    wait_until(lambda: database.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()") == 1,
               30, "the second dispatcher waits")
    first.commit()
    thread.join(30)
    assert [p.pgcode for p in problems] == ["CH011"] and "somebody else changed it meanwhile" in str(problems[0])
    first.close()
    second.close()


def test_listeners_are_told(county, database):
    listener = database.connect()
    listener.cursor().execute("LISTEN cityhub_cases")
    code = report(county)
    listener.poll()
    assert [json.loads(n.payload) for n in listener.notifies] == [{"case": code, "seq": 1, "action": "report", "state": "reported"}]
    listener.close()


def test_the_journal_recomputed_from_outside(county, database):
    """docs/cases.md is enough to recompute every hash, in another language."""
    code = registered(county)
    act(county, code, "dispatch", "dispatcher", department="huanwei")
    act(county, code, "suspend", "leader", reason='等"材料"\n\t')
    act(county, code, "resume", "leader")
    columns = ("case_id case_code seq at recorded_at action from_state to_state role actor recorded_by department previous_department source "
               "catalogue_version category condition_number grid_cell street limit_value limit_unit deadline_at used_s overdue_s "
               "stage_deadline_at flags satisfaction reason detail").split()
    numbers = {"case_id", "seq", "catalogue_version", "condition_number", "limit_value", "used_s", "overdue_s"}
    times = {"at", "recorded_at", "deadline_at", "stage_deadline_at"}
    select = ", ".join(f"(extract(epoch FROM {c}) * 1000000)::bigint::text" if c in times else "to_jsonb(flags)::text" if c == "flags"
                       else f"{c}::text" for c in columns)
    previous, rows = bytes(32), database.query(f"SELECT {select}, hash FROM onemap.case_event WHERE case_code = %s ORDER BY seq", code)
    assert len(rows) == 6
    for *values, stored in rows:
        parts = ["null" if value is None else value if name in numbers | times | {"flags", "detail"} else json.dumps(value, ensure_ascii=False)
                 for name, value in zip(columns, values)]
        previous = hashlib.sha256(previous + f"[{', '.join(parts)}]".encode()).digest()
        assert previous == bytes(stored), parts


# ---- the calendar ----

def test_calendar_agrees_with_chinese_days(program, database, work_folder):
    """Every day of 2021 to 2026 against the npm package chinese-days. Its own list of days moved (in lieu) is not needed:
    whether a day is worked is."""
    folder = paths.build_folder().parent / "npm"
    folder.mkdir(exist_ok=True)
    shutil.copy(paths.ROOT / "tests" / "package.json", folder)
    done = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock"], cwd=folder,
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"npm install failed, so nothing was compared:\n{done.stdout}{done.stderr}"
    script = ("const days = require('chinese-days'); const out = {};"
              "for (let t = Date.UTC(2021, 0, 1); t <= Date.UTC(2026, 11, 31); t += 86400000) {"
              "const d = new Date(t).toISOString().slice(0, 10); out[d] = days.isWorkday(d); }"
              "console.log(JSON.stringify(out));")
    done = subprocess.run(["node", "-e", script], cwd=folder, capture_output=True, text=True, timeout=60, env={**os.environ, "TZ": "UTC"})
    assert done.returncode == 0, done.stderr
    theirs = json.loads(done.stdout)
    ours = {str(day): working for day, working in database.query(
        "SELECT day, working FROM onemap.calendar_day WHERE day BETWEEN '2021-01-01' AND '2026-12-31'")}
    assert len(theirs) == 2191
    assert {day: (ours.get(day), working) for day, working in theirs.items() if ours.get(day) != working} == {}
    assert len(ours) == len(theirs)
