"""Cases, alarms, scores and quarantine over HTTP: one case from report to closing by people of the right posts, refusals that are noted,
lists as CSV, the month's assessment entered and published."""
import csv
import io
import json

import pytest

from harness import paths
from harness.people import ORIGIN, Visitor

SHARED_SETTINGS = {"http.origins": ORIGIN}
POSTS = ("supervisor", "acceptor", "registrar", "dispatcher", "leader", "viewer", "admin")


@pytest.fixture(scope="module")
def county(shared):
    hub, database = shared.hubs[0], shared.database
    hub.run("catalogue", "departments", "import", paths.ROOT / "config" / "departments.csv")
    hub.run("catalogue", "import", paths.ROOT / "config" / "case_catalogue.csv")
    database.query("INSERT INTO onemap.grid_cell (code, department_id, geom) SELECT '410221001001001', d.id,"
                   " public.ST_Multi(public.ST_MakeEnvelope(114.7, 34.5, 114.8, 34.6, 4326)) FROM onemap.department d WHERE d.code = 'jincheng'")
    people = {post: Visitor(hub, post) for post in POSTS}
    people |= {unit: Visitor(hub, "department", unit) for unit in ("huanwei", "jincheng")}
    return people


def told(response, status=200):
    assert response.status_code == status, f"{response.status_code}: {response.text}"
    return response.json()


def problem(response, status, code):
    document = told(response, status)
    assert response.headers["Content-Type"].startswith("application/problem+json") and document["code"] == code, document
    return document


def report(county, **fields):
    body = {"source": "supervisor", "title": "垃圾成堆", "lon": 114.75, "lat": 34.55, "category": "20102", "condition": 1, **fields}
    return told(county["supervisor"].post("/api/v1/cases", body), 201)["case"]


def act(county, who, number, action, **fields):
    version = told(county["admin"].get(f"/api/v1/cases/{number}"))["version"]
    return county[who].post(f"/api/v1/cases/{number}/actions", {"action": action, "version": version, **fields})


def test_from_report_to_closing(county, shared):
    made = county["supervisor"].post("/api/v1/cases", {"source": "supervisor", "title": "垃圾成堆", "lon": 114.75, "lat": 34.55, "category": "20102",
                                                       "condition": 1, "contact": {"name": "王先生", "phone": "13800000000"}})
    number = told(made, 201)["case"]
    assert made.headers["Location"] == f"/api/v1/cases/{number}" and made.json()["state"] == "reported"
    steps = (("acceptor", "accept", {}, "accepted"), ("registrar", "register", {}, "registered"),
             ("dispatcher", "dispatch", {"department": "huanwei"}, "dispatched"), ("huanwei", "handle", {}, "handling"),
             ("huanwei", "feed_back", {"reason": "已清运"}, "handled"), ("supervisor", "check", {}, "checked"), ("registrar", "close", {}, "closed"),
             ("acceptor", "call_back", {"satisfaction": "satisfied"}, "closed"))
    for who, action, fields, state in steps:
        seen = county[who].get(f"/api/v1/cases/{number}").json()
        post = "department" if who == "huanwei" else who
        assert action in [can["action"] for can in seen["can"][post]], seen["can"]
        assert told(act(county, who, number, action, **fields))["state"] == state
    case = told(county["leader"].get(f"/api/v1/cases/{number}"))
    assert [(event["action"], event["role"], event["actor"]) for event in case["journal"]] == [("report", "supervisor", county["supervisor"].login)] + [
        (action, "department" if who == "huanwei" else who, county[who].login) for who, action, _, _ in steps]
    assert "13800000000" not in json.dumps(case) and case["stage"] == "ended" and case["satisfaction"] == "satisfied"
    written = shared.database.query("SELECT person, action FROM onemap.audit_log WHERE action ~ '^POST /api/v1/cases' AND detail->>'number' = %s"
                                    " ORDER BY id", number)
    assert written == [(county[who].login, "POST /api/v1/cases/{number}/actions") for who, _, _, _ in steps]
    told(county["jincheng"].get(f"/api/v1/cases/{number}"), 404)
    assert number in [entry["case"] for entry in told(county["huanwei"].get("/api/v1/cases?stage=ended"))["cases"]]


def test_wrong_posts_are_refused_and_noted(county, shared):
    number = report(county)
    for who, fields, status, code in (("dispatcher", {}, 409, "CH010"), ("viewer", {}, 403, "CH019"), ("admin", {}, 403, "CH019"),
                                      ("dispatcher", {"post": "acceptor"}, 403, "CH019"), ("acceptor", {"actor": "boss"}, 422, "CH013"),
                                      ("acceptor", {"version": 7}, 409, "CH011")):
        problem(act(county, who, number, "accept", **fields), status, code)
    problem(act(county, "huanwei", number, "attach"), 404, "CH049")  # not its case, and so not there
    noted = shared.database.query("SELECT person, detail->>'code', host(address) FROM onemap.audit_log WHERE action = 'refused' AND detail->>'case' = %s"
                                  " ORDER BY id", number)
    assert noted == [(county[who].login, code, "127.0.0.1") for who, code in (("dispatcher", "CH010"), ("viewer", "CH019"), ("admin", "CH019"),
                                                                           ("dispatcher", "CH019"))]
    chinese = county["dispatcher"].post(f"/api/v1/cases/{number}/actions", {"action": "accept", "version": 1}, headers={"Accept-Language": "zh"}).json()
    assert chinese["title"] == "当前状态或岗位不能这样办理" and chinese["hint"].startswith("请刷新案卷") and "acceptor" in chinese["hint"]
    told(act(county, "acceptor", number, "accept"))
    program = shared.hubs[0].key("writer", rights="read,alarm,operate")
    refused = county["viewer"].session.post(f"{shared.hubs[0].http_url}/api/v1/cases/{number}/actions", json={"action": "attach", "version": 2},
                                            headers={**program, "Cookie": "", "Origin": ""}, timeout=30)
    problem(refused, 403, "CH019")


@pytest.mark.parametrize("body, status, code", [
    ("[]", 422, "CH013"), ("{", 400, "CH044"), ("null", 422, "CH013"), ('{"source": "moon", "title": "x"}', 422, "CH013"),
    ('{"source": "supervisor", "title": "x", "lon": 1, "lat": 1}', 422, "CH013"), ('{"source": "supervisor", "title": "x", "at": "2026-01-01T00:00:00Z"}', 422, "CH013"),
    ('{"source": "supervisor"}', 422, "CH013"), ('{"source": "supervisor", "title": "x", "category": "99999"}', 422, "CH015")], ids=range(8))
def test_reports_that_are_refused(county, shared, body, status, code):
    before = shared.database.value("SELECT count(*) FROM onemap.case_record")
    response = county["supervisor"].send("POST", "/api/v1/cases", data=body, headers={"Content-Type": "application/json"})
    problem(response, status, code)
    assert shared.database.value("SELECT count(*) FROM onemap.case_record") == before


def test_lists(county):
    number = report(county, title="=1+1,某处", address="西街\n3 号")
    told(act(county, "registrar", number, "supervise", reason="督办"))
    page = county["viewer"].get("/api/v1/cases?is=supervised,open&limit=1")
    assert [entry["case"] for entry in told(page)["cases"]] == [number] and page.json()["next"]
    assert told(county["viewer"].get(f"/api/v1/cases?is=supervised,open&limit=1&after={page.json()['next']}"))["cases"] == []
    unchanged = county["viewer"].get("/api/v1/cases?is=supervised,open&limit=1", headers={"If-None-Match": page.headers["ETag"]})
    assert unchanged.status_code == 304
    for path in ("/api/v1/cases?state=open", "/api/v1/cases?is=x", "/api/v1/cases?department=moon"):
        assert county["viewer"].get(path).status_code == 422
    assert problem(county["viewer"].get("/api/v1/cases?box=1,2,3"), 400, "CH042")["parameter"] == "box"
    listed = county["viewer"].get("/api/v1/cases.csv?is=supervised&bom=true")
    assert listed.headers["Content-Type"] == "text/csv; charset=utf-8" and listed.content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(listed.content.decode("utf-8-sig"))))
    assert [(row["案卷号"], row["标题"], row["地址"], row["督办次数"]) for row in rows] == [(number, "'=1+1,某处", "西街\n3 号", "1")]
    counted = told(county["viewer"].get("/api/v1/cases/statistics?by=department"))
    assert {row["key"] for row in counted["rows"]} >= {"", "huanwei"}
    assert problem(county["viewer"].get("/api/v1/cases.csv?state=open"), 422, "CH013")


def test_alarms(county, shared):
    database = shared.database
    device, = database.query("INSERT INTO onemap.device (subsystem, vendor, code, status, department_id) SELECT 'dust', 'tester', 'A1', 'active', d.id"
                             " FROM onemap.department d WHERE d.code = 'huanwei' RETURNING id")[0]
    alarm, = database.query("INSERT INTO onemap.alarm (rule_id, device_id, opened_at, severity, value) SELECT r.id, %s, now(), 'major', 1 FROM"
                            " onemap.alarm_rule r WHERE r.subsystem = 'dust' LIMIT 1 RETURNING id", device)[0]
    path = f"/api/v1/alarms/{alarm}"
    assert [entry["id"] for entry in told(county["huanwei"].get("/api/v1/alarms?open=true&acknowledged=false"))["alarms"]] == [alarm]
    problem(county["jincheng"].get(path), 404, "CH049")
    problem(county["jincheng"].post(path + "/acknowledge"), 404, "CH049")
    problem(county["viewer"].post(path + "/acknowledge"), 403, "CH064")
    seen = told(county["huanwei"].post(path + "/acknowledge", {"words": "去看看"}))
    assert seen["acknowledged_by"] == county["huanwei"].login and [c["words"] for c in seen["comments"]] == ["去看看"]
    problem(county["dispatcher"].post(path + "/acknowledge"), 409, "CH018")
    assert len(told(county["dispatcher"].post(path + "/comments", {"words": "好"}), 201)["comments"]) == 2
    problem(county["dispatcher"].post(path + "/comments", {"words": " "}), 422, "CH013")
    assert "A1" in county["viewer"].get("/api/v1/alarms.csv").text and "A1" not in county["jincheng"].get("/api/v1/alarms.csv").text


def test_scores_and_operating(county, shared):
    month = shared.database.value("SELECT to_char(onemap.local_time(now()), 'YYYY-MM')")
    figures = told(county["viewer"].get(f"/api/v1/scores/statistics?month={month}&by=all"))["rows"][0]["measures"]
    listed = told(county["viewer"].get(f"/api/v1/cases?statistic=reported&month={month}&limit=1000"))
    assert figures["reported"] == listed["figure"]["value"] == len(listed["cases"]) > 2
    own = told(county["huanwei"].get(f"/api/v1/scores/{month}"))["rows"]
    assert [row["department"] for row in own] == ["huanwei"] and "rank" not in own[0]
    assert len(told(county["viewer"].get(f"/api/v1/scores/{month}"))["rows"]) > 5
    assert told(county["huanwei"].get(f"/api/v1/scores/{month}/departments/huanwei"))["department"] == "huanwei"
    told(county["huanwei"].get(f"/api/v1/scores/{month}/departments/jincheng"), 404)
    problem(county["huanwei"].get(f"/api/v1/scores/statistics?month={month}&by=person"), 403, "CH019")
    entry = {"department": "huanwei", "item": "landscaping", "score": 90, "office": "园林办", "evidence": "现场"}
    problem(county["viewer"].post(f"/api/v1/assessments/{month}/entries", entry), 403, "CH064")
    problem(county["leader"].post(f"/api/v1/assessments/{month}/entries", {**entry, "author": "boss"}), 422, "CH030")
    told(county["leader"].post(f"/api/v1/assessments/{month}/entries", entry), 201)
    entered = told(county["huanwei"].get(f"/api/v1/assessments/{month}/entries"))["entries"]
    assert [(one["author"], one["score"], one["office"]) for one in entered] == [(county["leader"].login, 90, "园林办")]
    assert told(county["jincheng"].get(f"/api/v1/assessments/{month}/entries"))["entries"] == []
    missing = told(county["leader"].post(f"/api/v1/publications/{month}"), 409)["missing"]
    assert missing and told(county["huanwei"].get(f"/api/v1/assessments/{month}/status"))["published"] is False
    assert told(county["huanwei"].get("/api/v1/publications"))["publications"] == []
    told(county["huanwei"].get(f"/api/v1/publications/{month}"), 404)
    message, = shared.database.query("INSERT INTO onemap.quarantine (received_at, subsystem, vendor, kind, topic, payload, code, reason) VALUES"
                                     " (now(), 'dust', 'tester', 'telemetry', 'x', '\\x00ff41', 'malformed', 'x') RETURNING id")[0]
    assert county["admin"].get(f"/api/v1/quarantine/{message}/payload").content == b"\x00\xffA"
    assert told(county["admin"].get(f"/api/v1/quarantine/{message}"))["payload_base64"] == "AP9B"
    assert {"code": "malformed", "waiting": 1}.items() <= told(county["admin"].get("/api/v1/quarantine/reasons"))["reasons"][0].items()
    assert [one["id"] for one in told(county["admin"].get("/api/v1/quarantine?code=malformed&waiting=true"))["messages"]] == [message]
    problem(county["dispatcher"].get("/api/v1/quarantine"), 403, "CH064")
    assert len(told(county["admin"].get("/api/v1/vendors?subsystem=dust"))["vendors"]) == 1
    assert "dust" in {lane["subsystem"] for lane in told(county["admin"].get("/api/v1/lanes"))["lanes"]}
    shared.database.query("""SELECT onemap.exchange_target_put('{"target": "city", "name_zh": "市平台", "resources": ["grid_cell"], "oldest_s": 1}')""")
    target, = told(county["admin"].get("/api/v1/upstream"))["targets"]
    assert target["target"] == "city" and target["waiting"] == target["records"] == shared.database.value("SELECT count(*) FROM onemap.grid_cell")
    page = told(county["admin"].get("/api/v1/upstream/records?target=city&state=waiting&limit=1"))
    rest = told(county["admin"].get(f"/api/v1/upstream/records?target=city&state=waiting&limit=1000&after={page['next']}"))
    assert len(page["records"]) == 1 and {one["resource"] for one in rest["records"]} <= {"grid_cell"}
    assert len({one["number"] for one in page["records"] + rest["records"]}) == target["waiting"], "every number opens what it counts"
    assert told(county["admin"].get("/api/v1/upstream/records?state=refused"))["records"] == []
    quality = told(county["admin"].get("/api/v1/upstream/quality?target=city"))["quality"]
    assert [(one["resource"], one["expected"], one["complete"]) for one in quality] == [("all", target["records"], 0), ("grid_cell", target["records"], 0)]
    assert [(one["target_zh"], one["resource_zh"]) for one in quality] == [("市平台", None), ("市平台", "单元网格")]
    names = dict(shared.database.query("SELECT code::text, name_zh FROM onemap.grid_cell"))
    assert {(one["resource_zh"], one["name_zh"]) for one in rest["records"]} <= {("单元网格", name) for name in names.values()}
    problem(county["dispatcher"].get("/api/v1/upstream/quality"), 403, "CH064")
    problem(county["dispatcher"].get("/api/v1/upstream/records"), 403, "CH064")
