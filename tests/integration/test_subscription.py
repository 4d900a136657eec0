"""Subscriptions as other systems meet them over HTTP: while many write cases, a program reads by its cursor, stops and goes on, and has each
step once and in order; a department's program has its own alone."""
import concurrent.futures

import pytest
import requests

from harness import media, paths
from harness.people import ORIGIN, Visitor
from harness.process import wait_until

SHARED_SETTINGS = {"http.origins": ORIGIN}


class Program:
    """Another system with a token."""

    def __init__(self, hub, name, **settings):
        self.url, self.headers = hub.http_url + "/api/v1/subscriptions", hub.key(name, rights="read", **settings)

    def subscribe(self, name, status=201, **wants):
        response = requests.post(self.url, json={"name": name, **wants}, headers=self.headers, timeout=30)
        assert response.status_code == status, response.text
        return response.json()

    def get(self, path="", **query):
        return requests.get(f"{self.url}{path}", params=query, headers=self.headers, timeout=30)


@pytest.fixture(scope="module")
def county(shared):
    hub = shared.hubs[0]
    shared.database.query((paths.ROOT / "tests" / "schema" / "include" / "case_fixture.sql").read_text())
    return hub


def test_each_step_once_and_in_order(county, shared):
    """Four write cases at the same time; ledger and journal agree to the last step."""
    reader = Program(county, "reader")
    made = reader.subscribe("cases", resources=["case_step"])
    assert reader.subscribe("cases", status=200, resources=["case_step"])["id"] == made["id"]
    assert reader.subscribe("cases", status=409, resources=["alarm"])["code"] == "CH018"

    def write(_):
        return [shared.database.value("SELECT test.drive('dispatched')") for _ in range(5)]
    seen, cursor = [], 0
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        cases = [pool.submit(write, n) for n in range(4)]

        def whole():
            nonlocal cursor
            page = reader.get(f"/{made['id']}/events", after=cursor, limit=7).json()
            seen.extend(page["events"])
            cursor = page["next"]
            return len(seen) >= 80 and all(one.done() for one in cases)
        wait_until(whole, 60, "all steps are read")
        numbers = {number for one in cases for number in one.result()}
    assert [one["event"] for one in seen] == sorted({one["event"] for one in seen})
    read = [(one["content"]["case_code"], one["content"]["seq"], one["content"]["action"]) for one in seen]
    journal = shared.database.query("SELECT case_code, seq, action FROM onemap.case_event WHERE case_code = ANY (%s) ORDER BY id", list(numbers))
    assert sorted(read) == sorted(journal) and len(read) == 80
    for number in numbers:
        assert [seq for case, seq, _ in read if case == number] == [1, 2, 3, 4]
    assert reader.get(f"/{made['id']}/events", after=cursor).json() == {"events": [], "next": cursor, "more": False}


def test_whose_it_is(county, shared):
    own, other = Program(county, "jincheng-system", department="jincheng"), Program(county, "chengguan-system", department="chengguan")
    mine = own.subscribe("mine", resources=["case_step"])["id"]
    assert own.subscribe("other", status=422, resources=["case_step"], departments=["chengguan"])["code"] == "CH081"
    assert [other.get(f"/{mine}{path}").status_code for path in ("", "/events")] == [404, 404]
    assert other.get().json() == {"subscriptions": []}
    assert [one["id"] for one in own.get().json()["subscriptions"]] == [mine]
    admin = Visitor(county, "admin")
    assert admin.get(f"/api/v1/subscriptions/{mine}/events").status_code == 200
    assert admin.post("/api/v1/subscriptions", {"name": "x", "resources": ["alarm"]}).status_code == 422
    assert requests.delete(f"{own.url}/{mine}", headers=other.headers, timeout=30).status_code == 404
    assert requests.delete(f"{own.url}/{mine}", headers=own.headers, timeout=30).status_code == 204
    assert own.get(f"/{mine}").status_code == 404
    noted = shared.database.query("SELECT person FROM onemap.audit_log WHERE action = 'DELETE /api/v1/subscriptions/{id}' ORDER BY id")
    assert noted[-1][0].startswith("token:jincheng-system")


def test_a_departments_system_acts(county, shared):
    """It takes its case and feeds it back with a photograph, as its department; people see both, and nobody's else is touched."""
    url, headers = county.http_url, county.key("huanwei-acts", rights="read,act", department="jincheng")
    one, other = (shared.database.value("SELECT test.dispatched('20103', 1, %s, '2026-10-12 09:00')", unit) for unit in ("jincheng", "chengguan"))

    def act(number, action, **fields):
        return requests.post(f"{url}/api/v1/cases/{number}/actions", headers=headers, timeout=30, json={"action": action, **fields})
    seen = requests.get(f"{url}/api/v1/cases/{one}", headers=headers, timeout=30).json()
    assert "handle" in [can["action"] for can in seen["can"]["department"]]
    assert act(other, "handle", version=1).status_code == 404
    assert act(one, "handle", version=seen["version"] + 1).status_code == 409
    taken = act(one, "handle", version=seen["version"])
    assert taken.status_code == 200, taken.text
    sent = requests.post(f"{url}/api/v1/attachments", headers={**headers, "Content-Type": "image/png"}, data=media.png(1), timeout=60)
    assert sent.status_code == 201, sent.text
    done = act(one, "feed_back", version=taken.json()["version"], reason="已修复", attachments=[{"sha256": sent.json()["sha256"]}])
    assert done.status_code == 200, done.text
    shown = Visitor(county, "supervisor").get(f"/api/v1/cases/{one}").json()
    assert shown["state"] == "handled" and shown["attachments"][-1]["sha256"] == sent.json()["sha256"]
    assert [(event["action"], event["actor"]) for event in shown["journal"][-2:]] == [(name, f"token:huanwei-acts-{county.process.name}") for name in ("handle", "feed_back")]
    assert Visitor(county, "supervisor").get(f"/api/v1/attachments/{sent.json()['sha256']}").status_code == 200
    reader = county.key("huanwei-reads", rights="read", department="jincheng")
    refused = requests.post(f"{url}/api/v1/attachments", headers={**reader, "Content-Type": "image/png"}, data=media.png(2), timeout=60)
    assert refused.status_code == 403 and refused.json()["code"] == "CH019"
