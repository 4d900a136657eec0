"""Every statistic of random legal histories, counted a second time by walking through each case's journal event by event.
The second method shares nothing with schema/110: it keeps the state of one case in variables and looks at what stands
between two events; the first works on whole months with window functions."""
import collections
import datetime as dt
import decimal
import json
import random

import psycopg2
import pytest
import score_journal
from score_journal import COUNTY, RandomCase

DEPARTMENTS = ["A1", "A2", "B1", "B2"]
WITH_DEPARTMENT = {"dispatched", "handling", "handled", "checked", "closed"}
FOR_CLOSING = {"dispatched", "handling", "closed"}
COUNTED = {"report": "reported", "accept": "accepted", "verify": "verified", "refute": "refuted", "register": "registered",
           "dispatch": "dispatched", "feed_back": "feed_backs", "return": "returned", "refuse_return": "returns_refused",
           "rework": "rework_times", "check": "checked", "close": "closings", "ask_extension": "extensions_asked",
           "grant_extension": "extended", "suspend": "suspended", "resume": "resumed", "supervise": "supervised", "remind": "reminded"}
IN_TIME = {"accept": "accepted_in_time", "register": "registered_in_time", "dispatch": "dispatched_in_time", "check": "checked_in_time"}


class Duty:
    def __init__(self, department):
        self.department = department or ""
        self.handle_due = self.close_due = None
        self.deferred = False
        self.feedback = None  # None: none that stands; True: the one that stands was in time; False: it was late
        self.ever_fed_back = self.closed = self.touched = False
        self.last_feedback_in_time = None
        self.reworks = 0
        self.attributes = {}
        self.counts = collections.Counter()


def walk(events, begin, end):
    """What one case contributes to [begin, end), by duty."""
    duties, duty, kept = [], None, None
    events = [e for e in events if e["at"] < end]
    for number, e in enumerate(events):
        if duty is None or (e["department"] or "") != duty.department:
            previous, duty = duty, Duty(e["department"])
            duties.append(duty)
        else:
            previous = duty
        inside = e["at"] >= begin
        duty.attributes = {"source": e["source"], "category": e["category"] or "", "grid_cell": e["grid_cell"], "street": e["street"],
                           "urgent": e["limit_unit"] in ("urgent_hour", "urgent_day")}
        if e["action"] == "feed_back":
            duty.feedback = duty.last_feedback_in_time = e["overdue_s"] is None
            duty.ever_fed_back = True
        if e["action"] == "rework":
            duty.feedback = None
            duty.reworks += 1
        duty.closed |= e["to_state"] == "closed"
        if inside:
            duty.touched = True
            count_event(duty, previous, e)
        # What happens by the passing of time alone, until the next event or for ever.
        until = events[number + 1]["at"] if number + 1 < len(events) else dt.datetime.max.replace(tzinfo=COUNTY)
        if e["deadline_at"] is not None:
            kept = e["deadline_at"]
        if not duty.department:
            continue
        if e["to_state"] in WITH_DEPARTMENT and e["deadline_at"] is not None:
            moment = e["deadline_at"] if e["deadline_at"] > e["at"] else e["at"]
            if moment < until:
                duty.handle_due = duty.handle_due or moment
                if e["to_state"] in FOR_CLOSING:
                    duty.close_due = duty.close_due or moment
        if e["to_state"] == "suspended" and kept is not None and e["at"] <= kept < until and begin <= kept < end:
            duty.deferred = True
    for duty in duties:
        finish(duty, begin, end)
    return duties


def count_event(duty, previous, e):
    counts, action = duty.counts, e["action"]
    if action in COUNTED:
        counts[COUNTED[action]] += 1
    if action in IN_TIME and (e["stage_deadline_at"] is None or e["at"] <= e["stage_deadline_at"]):
        counts[IN_TIME[action]] += 1
    if action == "feed_back" and e["overdue_s"] is not None:
        counts["feed_backs_late"] += 1
    if action == "rework" and duty.reworks == 3:
        counts["rework_third"] += 1
    for state in ("rejected", "voided", "merged"):
        if e["to_state"] == state and e["from_state"] != state:
            counts[state] += 1
    if action == "call_back":
        counts[e["satisfaction"]] += 1
        counts["call_backs"] += 1
    for flag in e["flags"]:
        if flag in ("shirking", "fraud", "poor_cooperation"):
            counts[flag] += 1
        if flag == "wrong_dispatch" and action == "dispatch":
            previous.counts["wrong_dispatch"] += 1


def finish(duty, begin, end):
    counts = duty.counts
    counts["dispatched_right"] = counts["dispatched"] - counts["wrong_dispatch"]
    counts["rework"] = int(counts["rework_times"] > 0)
    if duty.handle_due is not None and begin <= duty.handle_due < end:
        handled, in_time = duty.feedback is not None, duty.feedback is True
        counts.update(should_handle=1, handled=int(handled), handled_in_time=int(in_time), handled_late=int(handled and not in_time),
                      to_handle=int(not handled), overdue=int(not in_time))
    if duty.close_due is not None and begin <= duty.close_due < end:
        counts.update(should_close=1, closed=int(duty.closed), closed_in_time=int(duty.closed and duty.last_feedback_in_time is True))
    if duty.deferred:
        counts.update(should_close=1, deferred=1)


def second_method(cases, begin, end, by, urgent=None):
    """{key: {measure: n}} of all cases, without zeros."""
    sums = collections.defaultdict(collections.Counter)
    for events in cases:
        for duty in walk(events, begin, end):
            if urgent is None or duty.attributes["urgent"] == urgent:
                key = {"department": duty.department, "all": "all"}.get(by) if by in ("department", "all") else duty.attributes[by]
                sums[key].update(duty.counts)
    return {key: {m: n for m, n in counts.items() if n} for key, counts in sums.items() if any(counts.values())}


def first_method(database, **request):
    answer = database.value("SELECT onemap.score_statistics(%s)", json.dumps(request))
    rows = {row["key"]: {m: n for m, n in row["measures"].items() if n} for row in answer["rows"]}
    return {key: measures for key, measures in rows.items() if measures}, answer


def rates_again(measures):
    """The rates of docs/score.md, in percent with two decimals, half up; None where nothing is divided by."""
    m = collections.Counter(measures)
    pairs = {
        "accept_in_time_rate": (m["accepted_in_time"], m["accepted"]), "register_in_time_rate": (m["registered_in_time"], m["registered"]),
        "dispatch_in_time_rate": (m["dispatched_in_time"], m["dispatched"]),
        "dispatch_right_rate": (m["dispatched"] - m["wrong_dispatch"], m["dispatched"]), "handle_rate": (m["handled"], m["should_handle"]),
        "handle_in_time_rate": (m["handled_in_time"], m["should_handle"]), "overdue_rate": (m["should_handle"] - m["handled_in_time"], m["should_handle"]),
        "rework_rate": (m["rework_times"], m["feed_backs"]), "return_rate": (m["returned"], m["dispatched"]),
        "check_in_time_rate": (m["checked_in_time"], m["checked"]), "close_rate": (m["closed"], m["should_close"] - m["deferred"]),
        "close_in_time_rate": (m["closed_in_time"], m["should_close"] - m["deferred"]),
        "satisfaction_rate": (m["satisfied"] + m["basically_satisfied"], m["call_backs"])}
    return {name: None if b <= 0 else (decimal.Decimal(100 * a) / b).quantize(decimal.Decimal("0.01"), decimal.ROUND_HALF_UP)
            for name, (a, b) in pairs.items()}


def months(first, count):
    year, month = first
    for _ in range(count):
        begin = dt.datetime(year, month, 1, tzinfo=COUNTY)
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
        yield begin, dt.datetime(year, month, 1, tzinfo=COUNTY)


def persons(cases, begin, end):
    """By person: actions, those in time, wrong dispatches by who had dispatched."""
    sums = collections.defaultdict(collections.Counter)
    for events in cases:
        dispatcher = None
        for e in events:
            if begin <= e["at"] < end:
                sums[e["actor"]][e["action"]] += 1
                if e["action"] in ("accept", "register", "dispatch", "check", "close", "verify") and (
                        e["stage_deadline_at"] is None or e["at"] <= e["stage_deadline_at"]):
                    sums[e["actor"]][e["action"] + "_in_time"] += 1
                if e["action"] == "feed_back" and e["overdue_s"] is None:
                    sums[e["actor"]]["feed_back_in_time"] += 1
                if e["action"] == "dispatch" and "wrong_dispatch" in e["flags"]:
                    sums[dispatcher]["wrong_dispatch"] += 1
            if e["action"] == "dispatch":
                dispatcher = e["actor"]
    return {key: dict(counts) for key, counts in sums.items()}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_statistic_by_a_second_method(database, seed):
    score_journal.prepare(database, [(code, f"单位{code}", "street") for code in DEPARTMENTS])
    chance = random.Random(seed)
    table = score_journal.transitions(database)
    sources = [row[0] for row in database.query("SELECT source FROM onemap.case_source ORDER BY 1")]
    start = dt.datetime(2025, 1, 20, tzinfo=COUNTY)
    cases = [RandomCase(chance, n, start + dt.timedelta(minutes=chance.randrange(60 * 24 * 100)), table, DEPARTMENTS, sources).live()
             for n in range(1, 401)]
    # In the order of time and in several parts, the statistics asked for in between: rows are kept up case by case.
    events = sorted((e for case in cases for e in case), key=lambda e: (e["at"], e["case_id"], e["seq"]))
    for part in range(5):
        score_journal.write(database, events[len(events) * part // 5:len(events) * (part + 1) // 5])
        database.value("SELECT onemap.score_statistics(%s)", json.dumps({"month": f"2025-0{part + 1}"}))
    seen = collections.Counter()
    for begin, end in months((2025, 1), 6):
        month = begin.strftime("%Y-%m")
        for by in ("department", "street", "grid_cell", "category", "source", "all"):
            counted, answer = first_method(database, month=month, by=by)
            assert counted == second_method(cases, begin, end, by), f"seed {seed}, {month} by {by}"
            for row in answer["rows"]:
                rates = {name: None if rate is None else decimal.Decimal(str(rate)).quantize(decimal.Decimal("0.01")) for name, rate in row["rates"].items()}
                assert rates == rates_again(row["measures"]), f"seed {seed}, {month}, rates of {by} {row['key']}"
        counted, _ = first_method(database, month=month, by="department", where={"urgent": True})
        assert counted == second_method(cases, begin, end, "department", urgent=True), f"seed {seed}, {month}, urgent ones"
        answer = database.value("SELECT onemap.score_statistics(%s)", json.dumps({"month": month, "by": "person"}))
        assert {row["key"]: row["measures"] for row in answer["rows"]} == persons(cases, begin, end), f"seed {seed}, {month} by person"
        for counts in second_method(cases, begin, end, "department").values():
            seen.update(counts)
    for _ in range(5):
        first = start.date() + dt.timedelta(days=chance.randrange(90))
        last = first + dt.timedelta(days=chance.randrange(40))
        begin = dt.datetime(first.year, first.month, first.day, tzinfo=COUNTY)
        end = dt.datetime(last.year, last.month, last.day, tzinfo=COUNTY) + dt.timedelta(days=1)
        counted, _ = first_method(database, **{"from": str(first), "to": str(last), "by": "department"})
        assert counted == second_method(cases, begin, end, "department"), f"seed {seed}, {first} to {last}"
    # The histories must have had everything in them, or the comparison says little.
    measures = {row[0] for row in database.query("SELECT measure FROM onemap.score_measure")}
    assert {m for m in measures if not seen[m]} == set(), "measures that no history touched"


def test_rows_kept_case_by_case_are_those_built_from_the_whole_journal(database):
    score_journal.prepare(database, [(code, f"单位{code}", "street") for code in DEPARTMENTS])
    chance = random.Random(9)
    table = score_journal.transitions(database)
    start = dt.datetime(2025, 3, 1, tzinfo=COUNTY)
    cases = [RandomCase(chance, n, start + dt.timedelta(minutes=chance.randrange(60 * 24 * 60)), table, DEPARTMENTS, ["public", "hotline"]).live()
             for n in range(1, 201)]
    events = sorted((e for case in cases for e in case), key=lambda e: (e["at"], e["case_id"], e["seq"]))
    database.query("SELECT onemap.score_month_build(m::date) FROM generate_series(timestamp '2025-03-01', '2025-05-01', '1 month') m")
    for begin in range(0, len(events), 97):
        score_journal.write(database, events[begin:begin + 97])
        database.value("SELECT onemap.score_refresh()")
    kept = database.query("SELECT md5(string_agg(c::text, E'\\n' ORDER BY c.month, c.case_id, c.duty)), count(*) FROM onemap.score_case c")
    database.query("SELECT onemap.score_month_build(m::date) FROM generate_series(timestamp '2025-03-01', '2025-05-01', '1 month') m")
    built = database.query("SELECT md5(string_agg(c::text, E'\\n' ORDER BY c.month, c.case_id, c.duty)), count(*) FROM onemap.score_case c")
    assert kept == built and built[0][1] > 200


CATALOGUE = [{"line": n, "code": code, "class": "市容环境", "name": name, "condition": "1", "registration_condition": "发现", "limit": limit, "unit": unit,
              "closing_condition": "恢复", "responsible": "A1", "source": "assumed"}
             for n, (code, name, limit, unit) in enumerate([("20101", "暴露垃圾", "3", "工作日"), ("20102", "道路不洁", "36", "紧急工作时")], 2)]
COUNTY_FILE = [{"line": n, "code": code, "name": f"单位{code}", "kind": "street", "parent": "", "schedule": "standard", "active": "yes"}
               for n, code in enumerate(DEPARTMENTS, 2)]


def act(connection, chance, case, action, role, at):
    """One action by the case functions; False if they refuse it. `case` is their last answer and is brought up to date."""
    request = {"case": case["case"], "action": action, "role": role, "actor": f"{role}{chance.randrange(3)}", "version": case["version"],
               "reason": "事由", "at": at.isoformat()}
    if role == "department":
        request["unit"] = case.get("department") or chance.choice(DEPARTMENTS)
    request.update({"dispatch": {"department": chance.choice(DEPARTMENTS)}, "refuse_return": {"shirking": chance.random() < 0.5},
                    "flag": {"flags": [chance.choice(["shirking", "fraud", "poor_cooperation"])]},
                    "call_back": {"satisfaction": chance.choice(["satisfied", "basically_satisfied", "dissatisfied"])},
                    "ask_extension": {"amount": 2}, "grant_extension": {"amount": 1}}.get(action, {}))
    with connection.cursor() as cursor:
        try:
            cursor.execute("SELECT onemap.case_do(%s)", (json.dumps(request),))
            case.update(cursor.fetchone()[0])
        except psycopg2.Error as error:
            assert (error.pgcode or "").startswith("CH"), f"{action} in {case['state']}: {error}"
            return False
    return True


def journal(database):
    """The journal as it is read back, a list of events for each case."""
    columns = ["case_id", "at", "action", "from_state", "to_state", "actor", "department", "source", "category", "grid_cell", "street", "limit_unit",
               "deadline_at", "overdue_s", "stage_deadline_at", "flags", "satisfaction"]
    cases = collections.defaultdict(list)
    for row in database.query(f"SELECT {', '.join('e.' + c for c in columns)} FROM onemap.case_event e ORDER BY e.case_id, e.seq"):
        found = dict(zip(columns, row))
        found["grid_cell"], found["street"] = found["grid_cell"] or "", found["street"] or ""
        cases[found["case_id"]].append(found)
    return list(cases.values())


def test_histories_made_by_the_case_functions(database):
    assert database.value("SELECT onemap.department_import(%s)", json.dumps(COUNTY_FILE))["imported"]
    assert database.value("SELECT onemap.case_catalogue_import(%s, '')", json.dumps(CATALOGUE))["imported"]
    chance, table = random.Random(4), score_journal.transitions(database)
    connection = database.connect()
    weights = {"void": 0.03, "reject": 0.1, "merge": 0, "attach": 0, "retime": 0, "supervise": 0.05, "remind": 0.1, "suspend": 0.2, "flag": 0.1,
               "ask_verify": 0.3, "check": 3, "close": 5, "feed_back": 2, "rework": 0.7}
    done = collections.Counter()
    for _ in range(60):
        at = dt.datetime(2025, 1, 25, 9, tzinfo=COUNTY) + dt.timedelta(minutes=chance.randrange(60 * 24 * 50))
        with connection.cursor() as cursor:
            cursor.execute("SELECT onemap.case_report(%s)", (json.dumps({"source": "supervisor", "role": "supervisor", "actor": "supervisor1",
                           "category": chance.choice(["20101", "20102"]), "condition": 1, "lon": 114.78, "lat": 34.55, "at": at.isoformat()}),))
            case = cursor.fetchone()[0]
        for _ in range(18):
            choices = [c for c in table.get(case["state"], []) if weights.get(c[0], 1)]
            if not choices:
                break
            at += dt.timedelta(minutes=chance.randrange(60 * 40))
            action, role, _ = chance.choices(choices, [weights.get(c[0], 1) for c in choices])[0]
            done[action] += act(connection, chance, case, action, role, at)
    connection.close()
    assert done["close"] and done["rework"] and done["suspend"] and done["feed_back"] > 20, f"too little happened: {done}"
    cases = journal(database)
    for begin, end in months((2025, 1), 4):
        for by in ("department", "category", "source"):
            counted, _ = first_method(database, month=begin.strftime("%Y-%m"), by=by)
            assert counted == second_method(cases, begin, end, by), f"{begin:%Y-%m} by {by}"
