"""Two departments with one of everything that is a department's: device, terminal, person, vehicle, work, alarm, message in quarantine, case, entry.
Each text that is theirs has their mark."""
import base64
import json
import time

import requests

from harness import media
from harness.people import Visitor

MARKS = {"alpha": "ZQXALPHA7", "beta": "ZQXBETA7"}


def case(shared, code, mark, more=()):
    value = shared.database.value
    number = value("SELECT onemap.case_report(%s)->>'case'", json.dumps({
        "source": "supervisor", "role": "supervisor", "actor": "x", "category": "20102", "title": mark, "description": mark, "address": mark,
        "reporter": mark, "contact": {"name": mark, "phone": "1"}, "lon": 114.78, "lat": 34.55}))
    steps = [("accept", "acceptor", {}), ("register", "registrar", {}), ("dispatch", "dispatcher", {"department": code}), *more]
    for action, role, fields in steps:
        value("SELECT onemap.case_do(%s || jsonb_build_object('version', (SELECT r.version FROM onemap.case_record r WHERE r.code = %s)))",
              json.dumps({"case": number, "action": action, "role": role, "actor": mark, "reason": mark, **fields}), number)
    return number


def plant_one(shared, code, mark, found):
    query, value = shared.database.query, shared.database.value
    vendor = f"vendor-{code}"
    department = value("SELECT id FROM onemap.department WHERE code = %s", code)
    query("SELECT onemap.vendor_put('dust', %s, %s)", vendor, json.dumps({"department": code, "name_zh": mark}))
    device = value("INSERT INTO onemap.device (subsystem, vendor, code, name_zh, status, department_id, kind, geom) VALUES ('dust', %s, %s, %s, 'active',"
                   " %s, (SELECT min(k.key) FROM onemap.device_kind k WHERE k.subsystem = 'dust'), public.ST_SetSRID(public.ST_MakePoint(114.78, 34.55), 4326))"
                   " RETURNING id", vendor, f"D-{mark}", mark, department)
    query("INSERT INTO onemap.device_state (device_id, observed_at, last_seen_at, online, geom) SELECT d.id, now(), now(), true, d.geom"
          " FROM onemap.device d WHERE d.id = %s", device)
    common = {"department_code": code, "observed_at_ms": int(time.time() * 1000), "lon": 114.78, "lat": 34.55}
    for kind, record in (("staff", {"kind": "PERSON", "code": f"P-{mark}", "name": mark, "role": mark, "on_duty": True}),
                         ("staff", {"kind": "VEHICLE", "code": f"V-{mark}", "name": mark, "plate": mark, "on_duty": True}),
                         ("work", {"work_code": f"W-{mark}", "title": mark, "status": "PLANNED", "person_code": f"P-{mark}", "device_code": f"D-{mark}"})):
        query("SELECT onemap.message_store(%s, '\\x')", json.dumps({"subsystem": "dust", "vendor": vendor, "kind": kind, "topic": mark, "message": mark,
              "received_at_ms": common["observed_at_ms"], "total": 1, "records": [{"index": 0, "record": {**record, **common}}]}))
    alarm = value("INSERT INTO onemap.alarm (rule_id, device_id, opened_at, severity, detail) SELECT r.id, %s, now(), 'major',"
                  " jsonb_build_object('text_zh', %s::text) FROM onemap.alarm_rule r WHERE r.subsystem = 'dust' LIMIT 1 RETURNING id", device, mark)
    query("INSERT INTO onemap.alarm_comment (alarm_id, author, words) VALUES (%s, 'x', %s)", alarm, mark)
    message = value("INSERT INTO onemap.quarantine (received_at, subsystem, vendor, kind, topic, payload, code, reason) VALUES (now(), 'dust', %s,"
                    " 'telemetry', %s, %s, 'malformed', %s) RETURNING id", vendor, mark, mark.encode(), mark)
    query("INSERT INTO onemap.assessment_entry (month, item, department, score, office, author, evidence) VALUES"
          " (date_trunc('month', onemap.local_time(now()))::date, 'landscaping', %s, 90, %s, %s, %s)", code, mark, mark, mark)
    found["numbers"].append(case(shared, code, mark, [("handle", "department", {"unit": code})]))
    found["devices"].append(device)
    phone = mark.encode().hex()  # on the line of JT/T 808 there are digits alone
    terminal = {"protocol": "jt808", "identity": phone, "subsystem": "dust", "vendor": vendor, "device": f"D-{mark}"}
    query("SELECT onemap.terminal_add(%s)", json.dumps(terminal))
    query("SELECT onemap.terminal_tell(%s)", json.dumps({"protocol": "jt808", "identity": phone, "command": "text", "text": mark}))
    picture = {"protocol": "jt808", "identity": phone, "id": 7, "kind": 0, "format": 0, "event": 1, "channel": 1,
               "data": base64.b64encode(b"\xff\xd8" + mark.encode()).decode()}
    assert value("SELECT onemap.gateway_media_put('gateway', %s)", json.dumps(picture))
    found["ids"] += [alarm, message, device, value("SELECT id FROM onemap.terminal WHERE identity = %s", phone),
                     value("SELECT max(id) FROM onemap.gateway_media"), *(number for number, in query(
        "SELECT p.id FROM onemap.person p WHERE p.vendor = %s UNION SELECT v.id FROM onemap.vehicle v WHERE v.vendor = %s"
        " UNION SELECT w.id FROM onemap.work_order w WHERE w.vendor = %s", vendor, vendor, vendor))]
    found["codes"] += [vendor, f"D-{mark}", f"P-{mark}", f"V-{mark}", f"W-{mark}"]


def send_file(visitor, content, kind="application/octet-stream"):
    """Its name."""
    answer = visitor.send("POST", "/api/v1/attachments", data=content, headers={"Content-Type": kind})
    assert answer.status_code == 201, answer.text
    return answer.json()["sha256"]


def plant_files(shared, code, mark, number):
    """A document with the mark inside and a photograph, attached to the case by somebody of the department."""
    visitor = Visitor(shared.hubs[0], "department", code)
    sent = [send_file(visitor, media.pdf(mark)), send_file(visitor, media.png(ord(mark[3])))]
    version = visitor.get(f"/api/v1/cases/{number}").json()["version"]
    done = visitor.post(f"/api/v1/cases/{number}/actions", {"action": "attach", "version": version, "attachments": [{"sha256": name} for name in sent]})
    assert done.status_code == 200, done.text
    return sent


def plant_order(shared, mark, number, files):
    """A hotline's order that stands for the case, answered with the case's files."""
    desk = Visitor(shared.hubs[0], "acceptor")
    order = desk.post("/api/v1/orders", {"source": "12345", "external_number": mark, "title": mark, "content": mark, "address": mark,
                                         "contact": {"name": mark, "phone": "1"}})
    assert order.status_code == 201, order.text
    name = order.json()["order"]
    for version, fields in enumerate(({"action": "sign"}, {"action": "link", "case": number},
                                      {"action": "answer", "result": 0, "text": mark, "attachments": files}), 1):
        done = desk.post(f"/api/v1/orders/{name}/actions", {"version": version, **fields})
        assert done.status_code == 200, done.text
    return name


def plant(shared):
    """Both departments with one of everything that is a department's; each text that is theirs has their mark. {kind: codes and ids}"""
    query, found = shared.database.query, {"numbers": [], "ids": [], "devices": [], "codes": [], "files": [], "departments": list(MARKS)}
    query("SELECT onemap.department_import(%s)", json.dumps([
        {"line": n, "code": code, "name": code, "kind": "county", "parent": "", "schedule": "standard", "active": "yes"} for n, code in enumerate(MARKS, 2)]))
    query("SELECT onemap.case_catalogue_import(%s, 'x')", json.dumps([{
        "line": 2, "code": "20102", "class": "市容", "name": "垃圾", "condition": "1", "registration_condition": "x", "limit": "5", "unit": "工作时",
        "closing_condition": "x", "responsible": "alpha beta", "source": "assumed"}]))
    orders = []
    for code, mark in MARKS.items():
        plant_one(shared, code, mark, found)
        files = plant_files(shared, code, mark, found["numbers"][-1])
        orders.append(plant_order(shared, mark, found["numbers"][-1], files))
        found["files"] += files
    # A case that alpha had first: what came after it went on is beta's alone.
    found["numbers"].append(case(shared, "alpha", "both", [("return", "department", {"unit": "alpha"}), ("dispatch", "dispatcher", {"department": "beta"}),
                                                           ("feed_back", "department", {"unit": "beta", "reason": MARKS["beta"]})]))
    found["numbers"][:0] = orders
    made = requests.post(shared.hubs[0].http_url + "/api/v1/subscriptions", json={"name": "all", "resources": ["case_step", "alarm"]},
                         headers=shared.hubs[0].key("subscriber", rights="read"), timeout=30)
    assert made.status_code == 201, made.text
    found["ids"].append(made.json()["id"])
    found["ids"] = sorted(set(found["ids"]))
    for hub in shared.hubs:
        hub.sync_registry()
    return found
