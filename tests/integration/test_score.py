"""cityhub score: a month from the journal to the published files, by the commands; the files opened and checked without the
libraries that wrote them."""
import csv
import datetime as dt
import functools
import hashlib
import html.parser
import json
import re
import xml.etree.ElementTree as ElementTree
import zipfile

import pytest
import score_journal
from harness.hub import Hub
from score_journal import COUNTY, event

DEPARTMENTS = [("JC", "金城街道办事处", "street"), ("WLH", "五里河镇", "street"), ("CJ", "城郊乡", "street"), ("CG", "县城管局", "county"), ("GAS", "燃气公司", "enterprise")]
ITEMS = ["overhead_lines", "street_facades", "road_maintenance", "construction_waste", "landscaping", "static_parking", "outdoor_advertising",
         "site_hoarding", "peace", "civilisation", "city_management", "garden_city"]
SHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def one_case(number, department, days_to_feedback, day=5):
    """A case of October 2025 with two days to handle; days_to_feedback None: never handled."""
    at = dt.datetime(2025, 10, day, 9, tzinfo=COUNTY)
    due = at + dt.timedelta(days=2)
    steps = [("report", None, "reported", 0), ("dispatch", "registered", "dispatched", 0)]
    if days_to_feedback is not None:
        steps += [("feed_back", "dispatched", "handled", days_to_feedback), ("check", "handled", "checked", days_to_feedback), ("close", "checked", "closed", days_to_feedback)]
    events = []
    for seq, (action, before, after, days) in enumerate(steps, 1):
        moment = at + dt.timedelta(days=days, minutes=seq)
        held = department if action != "report" else None
        events.append(event(number, seq, moment, action, before, after, department=held, deadline_at=due if held else None,
                            overdue_s=3600 if action == "feed_back" and moment > due else None))
    return events


@pytest.fixture
def command(database, work_folder):
    class NoBroker:
        host, port = "127.0.0.1", 1
    score_journal.prepare(database, DEPARTMENTS)
    # JC: 4 cases, 3 in time, 1 late. WLH: 2, none handled. CJ, CG: 1 each, in time.
    fates = [("JC", 1), ("JC", 1), ("JC", 1), ("JC", 3), ("WLH", None), ("WLH", None), ("CJ", 1), ("CG", 1)]
    score_journal.write(database, [e for n, (department, days) in enumerate(fates, 1) for e in one_case(n, department, days)])
    return Hub(database, NoBroker, work_folder, {"database.conninfo": database.hub_conninfo}).run


def enter_all(command, scores, month="2025-10"):
    for department, score in scores.items():
        for item in ITEMS:
            command("score", "enter", "--month", month, "--department", department, "--item", item, "--score", score,
                    "--office", "牵头办", "--author", "王", "--evidence", "评分表")


def test_a_month_is_closed_while_sweeps_write_the_journal(command, database):
    """The hub's sweeps are one transaction, which first writes to the journal and then looks after the statistics."""
    sweeps, closing = database.connect(autocommit=False), database.connect(autocommit=False)
    try:
        with sweeps.cursor() as sweep, closing.cursor() as close:
            close.execute("SELECT onemap.score_lock()")
            sweep.execute("SET LOCAL lock_timeout = '20s'")
            sweep.execute("LOCK TABLE onemap.case_event IN ROW EXCLUSIVE MODE")
            assert database.value("SELECT count(*) FROM onemap.score_dirty") > 0
            sweep.execute("SELECT onemap.score_sweep()")
            assert sweep.fetchone() == (0,), "it does not wait for whoever has the lock"
            sweeps.commit()
            close.execute("SET LOCAL lock_timeout = '20s'")
            close.execute("LOCK TABLE onemap.case_event IN SHARE MODE")
            closing.commit()
            sweep.execute("SELECT onemap.score_sweep()")
            assert database.value("SELECT count(*) FROM onemap.score_dirty") > 0
            sweeps.commit()
            assert database.value("SELECT count(*) FROM onemap.score_dirty") == 0
    finally:
        sweeps.close()
        closing.close()


def test_a_month_from_the_journal_to_its_score(command):
    # JC: handled in time 3/4 x 35 = 26.25, urgent: none, full 10; closed in time 3/4 x 20 = 15; closed 4/4 x 15; 10 + 5 + 5: 86.25.
    # WLH: 0 + 10 + 0 + 0 + 10 + 5 + 5 = 30. CJ: 100.
    answer = json.loads(command("score", "compute", "--month", "2025-10", "--json").stdout)
    assert {row["department"]: row["score"] for row in answer["digital"]["rows"]} == {"JC": 86.25, "WLH": 30, "CJ": 100, "CG": 100, "GAS": 100}
    text = command("score", "compute", "--month", "2025-10").stdout
    assert re.search(r"JC +金城街道办事处 +86\.25", text) and "Assessment" in text
    sixty = json.loads(command("score", "compute", "--month", "2025-10", "--formula", "in_time_60", "--json").stdout)["digital"]
    assert {row["department"]: row["score"] for row in sixty["rows"]}["JC"] == 45  # 3/4 x 60
    assert re.search(r"^JC +0 +0 +4 +4 +4 +3 +1 ", command("score", "statistics", "--month", "2025-10").stdout, re.M)
    assert "nobody" in command("score", "statistics", "--month", "2025-10", "--by", "person").stdout


def test_explain_names_the_cases_that_cost_points(command):
    text = command("score", "explain", "--month", "2025-10", "--department", "JC").stdout
    assert "86.25 of 100" in text and "26.25 of 35   3 / 4 = 75 %" in text and "C00004" in text
    assert "C00001" not in text, "a case in time costs nothing"
    tree = json.loads(command("score", "explain", "--month", "2025-10", "--department", "WLH", "--json").stdout)
    close = next(item for item in tree["items"] if item["key"] == "close")
    assert [case["case"] for case in close["costing"]] == ["C00005", "C00006"]
    assert "is not scored" in command("score", "explain", "--month", "2025-10", "--department", "NONE", code=2).stderr


def test_publishing_waits_for_what_is_missing_and_then_freezes(command, database, work_folder):
    out = work_folder / "out"
    refused = command("score", "publish", "--month", "2025-10", "--author", "王", "--out", out, code=1)
    assert "金城街道办事处 lacks: 架空线路专项整治" in refused.stderr and not out.exists()
    assert "4 of them incomplete" in command("score", "status", "--month", "2025-10").stdout
    enter_all(command, {"JC": 90, "WLH": 60, "CJ": 88, "CG": 70.99})
    command("score", "award", "--month", "2025-10", "--department", "JC", "--kind", "outside_duty", "--times", 8, "--office", "督查局", "--author", "王", "--evidence", "台账")
    command("score", "award", "--month", "2025-10", "--department", "CG", "--kind", "media_city", "--office", "督查局", "--author", "王", "--evidence", "报道")
    done = command("score", "publish", "--month", "2025-10", "--author", "王", "--out", out)
    names = {path.name for path in out.iterdir()}
    assert names == {"2025-10.json", "2025-10-publication.json", "2025-10-ranking.csv", "2025-10-bulletin.xlsx", "2025-10-bulletin.html"}
    # JC 86.25 x 0.5 + 90 x 0.4 + 90 x 0.1 + 3 = 91.125 -> 91.13; WLH 30 x 0.5 + 60 x 0.5 = 45; CJ 50 + 44 = 94; CG 50 + 35.495 - 0.5 = 84.995,
    # which two decimals would show as 85.00, a 良好.
    content = (out / "2025-10.json").read_bytes()
    rows = json.loads(content)["rows"]
    assert [(row["department"], row["total"], row["grade"]) for row in rows] == [("CJ", 94, "优秀"), ("JC", 91.13, "优秀"), ("CG", 84.995, "合格"), ("WLH", 45, "不合格")]
    about = json.loads((out / "2025-10-publication.json").read_text())
    assert hashlib.sha256(content).hexdigest() == about["sha256"] and about["sha256"] in done.stdout and about["previous_sha256"] is None
    check_csv(out / "2025-10-ranking.csv")
    check_html(out / "2025-10-bulletin.html", about["sha256"])
    check_xlsx(out / "2025-10-bulletin.xlsx", about["sha256"])
    locked = command("score", "enter", "--month", "2025-10", "--department", "JC", "--item", "peace", "--score", 1, "--office", "x", "--author", "x", "--evidence", "x", code=1)
    assert "is published: its figures are locked" in locked.stderr
    # Again: the same bytes, whatever came into the journal since.
    score_journal.write(database, one_case(99, "CJ", None))
    before = {path.name: path.read_bytes() for path in out.iterdir() if path.suffix != ".xlsx"}
    command("score", "publish", "--month", "2025-10", "--author", "王", "--out", out)
    assert before == {path.name: path.read_bytes() for path in out.iterdir() if path.suffix != ".xlsx"}
    verified = command("score", "verify", "--month", "2025-10").stdout
    assert "the same: 0 rows and 0 scores differ; 2 events" in verified and "amended" not in verified
    database.query("WITH run AS (INSERT INTO cityhub_meta.rule_run (build, duration) VALUES ('test', '1 s') RETURNING id) INSERT INTO "
                   "cityhub_meta.rule_edition (run_id, name, checksum) SELECT id, 'schema/rules/score_case.sql', repeat('0', 64) FROM run")
    assert "amended since it was closed: schema/rules/score_case.sql" in command("score", "verify", "--month", "2025-10").stdout
    assert "2 events of this month were written after it was closed" in command("score", "status", "--month", "2025-10").stdout
    assert "counts in 2025-11" in command("score", "adjust", "--month", "2025-10", "--department", "CJ", "--points", "-1.5", "--case", "C00099",
                                          "--reason", "补录案件超期", "--author", "王").stdout
    assert "-1.5" in command("score", "explain", "--month", "2025-11", "--department", "CJ").stdout
    assert re.search(r"CJ +城郊乡 +94\.00", command("score", "year", "--year", "2025").stdout)


def check_csv(path):
    with open(path, encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["名次"], row["单位"], row["总分"], row["等级"]) for row in rows] == [
        ("1", "城郊乡", "94.00", "优秀"), ("2", "金城街道办事处", "91.13", "优秀"), ("3", "县城管局", "84.995", "合格"), ("4", "五里河镇", "45.00", "不合格")]
    assert rows[1]["加分"] == "3" and rows[2]["减分"] == "-0.5" and rows[0]["县文明办"] == "88"


class Page(html.parser.HTMLParser):
    """Tables by their id as lists of rows, every address that the page refers to, and whether its tags close."""

    def __init__(self):
        super().__init__()
        self.tables, self.links, self.open, self.bars, self.cell, self.table = {}, [], [], 0, None, None

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.links += [attributes[key] for key in ("href", "src", "data") if key in attributes]
        self.bars += tag == "rect"
        if tag == "table":
            self.table = self.tables.setdefault(attributes.get("id"), [])
        if tag == "tr":
            self.table.append([])
        if tag in ("td", "th"):
            self.cell = ""
        if tag not in ("meta", "br", "rect"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.bars += tag == "rect"

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes another"
        if tag in ("td", "th"):
            self.table[-1].append(self.cell)
            self.cell = None

    def handle_data(self, data):
        if self.cell is not None:
            self.cell += data


def check_html(path, sha256):
    text = path.read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    assert page.open == [] and page.links == [] and "url(" not in text, "whole, and nothing from outside"
    assert page.bars == 12, "three charts of four departments"
    assert [row[1:4] for row in page.tables["ranking"][1:]] == [["城郊乡", "94.00", "优秀"], ["金城街道办事处", "91.13", "优秀"], ["县城管局", "84.995", "合格"], ["五里河镇", "45.00", "不合格"]]
    findings = page.tables["findings"][1:]
    assert ["城郊乡", "月度考核第一：奖励2万元，在县电视台等新闻媒体公布", "七(二)2", "20000"] in findings
    assert [row[0] for row in findings if "通报批评" in row[1]] == ["县城管局", "五里河镇"]
    assert ["金城街道办事处", "承担并完成非自身职责内的问题", "五(三)", "8", "3.0"] in page.tables["awards"]
    assert next(row for row in page.tables["statistics"] if row[0] == "金城街道办事处")[1:5] == ["4", "4", "3", "1"]
    assert sha256 in text and "2025年10月" in text and 'lang="zh-CN"' in text


def check_form(book):
    """What programs that are not Excel need: column ranges that do not overlap, rows as high as their wrapped texts, and
    pages as wide as paper."""
    shared = ["".join(t.text or "" for t in item.iter(SHEET + "t")) for item in ElementTree.fromstring(book.read("xl/sharedStrings.xml"))]
    for name in sorted(name for name in book.namelist() if name.startswith("xl/worksheets/sheet")):
        sheet = ElementTree.fromstring(book.read(name))
        spans = [(int(column.get("min")), int(column.get("max")), float(column.get("width"))) for column in sheet.iter(SHEET + "col")]
        assert spans and all(left[1] < right[0] for left, right in zip(spans, spans[1:])), f"{name}: column ranges {spans}"
        widths = {column: width for first, last, width in spans for column in range(first, last + 1)}
        for row in list(sheet.iter(SHEET + "row"))[1:]:
            for cell in row.iter(SHEET + "c"):
                if cell.get("t") == "s":
                    letters = cell.get("r").rstrip("0123456789")
                    column = functools.reduce(lambda number, letter: number * 26 + ord(letter) - 64, letters, 0)
                    text = shared[int(cell.find(SHEET + "v").text)]
                    lines = -(-sum(2 if ord(character) > 255 else 1 for character in text) // widths[column])
                    assert float(row.get("ht", 15)) >= 15 * lines, f"{name} {cell.get('r')}: {text} needs {lines} lines"
        fit = sheet.find(f"{SHEET}sheetPr/{SHEET}pageSetUpPr")
        breaks = [0, *(int(one.get("id")) for one in sheet.iter(SHEET + "brk")), len(widths)]
        pages = [sum(widths[column + 1] for column in range(first, last)) for first, last in zip(breaks, breaks[1:])]
        assert max(pages) <= (200 if fit is not None and fit.get("fitToPage") == "1" else 150), f"{name}: pages of {pages} digits"


def check_xlsx(path, sha256):
    with zipfile.ZipFile(path) as book:
        assert book.testzip() is None
        shared = ["".join(t.text or "" for t in item.iter(SHEET + "t")) for item in ElementTree.fromstring(book.read("xl/sharedStrings.xml"))]
        check_form(book)
        sheets = [sheet.get("name") for sheet in ElementTree.fromstring(book.read("xl/workbook.xml")).iter(SHEET + "sheet")]
        charts = [name for name in book.namelist() if name.startswith("xl/charts/chart")]

        def cells(number):
            found = {}
            for cell in ElementTree.fromstring(book.read(f"xl/worksheets/sheet{number}.xml")).iter(SHEET + "c"):
                value = cell.find(SHEET + "v")
                if value is not None:
                    found[cell.get("r")] = shared[int(value.text)] if cell.get("t") == "s" else float(value.text)
            return found
        ranking, bulletin, digital, counted, about = (cells(number) for number in range(1, 6))
        chart = book.read(charts[0]).decode()
    assert sheets == ["考核排名", "月度考核总分", "通报", "数字城管", "案件统计", "按期处置率（%）", "说明"] and len(charts) == 2
    assert [ranking["A1"], ranking["B3"], ranking["C3"], ranking["B4"], ranking["C4"]] == ["城市管理“三化”月度考核排名（2025年10月）", "城郊乡", 94, "金城街道办事处", 91.13]
    assert "$C$3:$C$6" in chart and "$B$3:$B$6" in chart, "the chart is drawn from the ranking's own cells"
    assert bulletin["A3"] == "城郊乡" and 20000 in bulletin.values()
    assert "紧急案件按期处置率" in digital.values() and 26.25 in digital.values()
    assert counted["A2"] == "单位" and "（未派遣）" in counted.values()
    assert sha256 in about.values()


def test_wrong_use_and_refusals(command, work_folder):
    for arguments in (("compute",), ("explain", "--month", "2025-10"), ("compute", "--month", "2025-10", "--department", "JC"), ("formula",),
                      ("enter", "--author", "a", "--office", "b", "--evidence", "c"), ("nonsense",), ("status", "--month", "2025-10", "more")):
        assert command("score", *arguments, code=2).stderr
    assert "--month 2025-13: must be a month such as 2026-10" in command("score", "compute", "--month", "2025-13", code=2).stderr
    entry = ("score", "enter", "--month", "2025-10", "--department", "JC", "--item", "peace", "--office", "x", "--author", "x", "--evidence", "x")
    assert "--score abc: must be a number from 0 to 100" in command(*entry, "--score", "abc", code=2).stderr
    assert "at most four decimals" in command(*entry, "--score", "1.23456", code=2).stderr
    assert "missing: --score N or --not-concerned" in command(*entry, code=2).stderr


def test_formulas_are_checked_and_put(command, work_folder):
    path = work_folder / "formula.json"
    formula = {"key": "ours", "name": "本县规则", "source": "assumed", "full": 100, "groups": [{"key": "all", "name": "全部", "kinds": ["street", "county", "enterprise"]}],
               "items": [{"key": "close", "name": "结案率", "kind": "proportional", "weight": 90, "numerator": ["closed"], "denominator": ["should_close"]}]}
    path.write_text(json.dumps(formula))
    assert "items: the weights add up to 90, not to full = 100" in command("score", "formula", "check", path, code=1).stderr
    formula["items"][0]["weight"] = 100
    path.write_text(json.dumps(formula))
    command("score", "formula", "check", path)
    assert "version 5" in command("score", "formula", "put", path, "--from-month", "2025-11", "--author", "王").stdout
    assert re.search(r"5 +ours +本县规则 +2025-11", command("score", "formula", "list").stdout)
    rows = json.loads(command("score", "compute", "--month", "2025-10", "--formula", "ours", "--json").stdout)["digital"]["rows"]
    assert {row["department"]: row["score"] for row in rows}["WLH"] == 0 and {row["group"] for row in rows} == {"all"}
    path.write_text("{")
    assert "is no JSON" in command("score", "formula", "check", path, code=1).stderr
