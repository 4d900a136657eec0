"""Orders of the hotlines as the hotline's program and the desk meet them: sent at once by many, one order; from receipt to follow-up, the
changes polled by cursor while others write, the answer with a photograph."""
import concurrent.futures
import hashlib

import pytest
import requests

from harness import paths
from harness.people import ORIGIN, Visitor

SHARED_SETTINGS = {"http.origins": ORIGIN}
PNG = bytes.fromhex("89504e470d0a1a0a0000000d4948445200000001000000010806000000" "1f15c4890000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082")


class Hotline:
    def __init__(self, hub, name):
        self.url, self.headers = hub.http_url + "/api/v1/orders", hub.key(name, rights="order")

    def send(self, number, **fields):
        return requests.post(self.url, headers=self.headers, timeout=30,
                             json={"source": "12345", "external_number": number, "content": "路灯不亮", "lon": 114.75, "lat": 34.55, **fields})

    def get(self, path="", **query):
        return requests.get(self.url + path, params=query, headers=self.headers, timeout=30)


@pytest.fixture(scope="module")
def county(shared):
    hub = shared.hubs[0]
    hub.run("catalogue", "departments", "import", paths.ROOT / "config" / "departments.csv")
    hub.run("catalogue", "import", paths.ROOT / "config" / "case_catalogue.csv")
    people = {post: Visitor(hub, post) for post in ("acceptor", "registrar", "dispatcher", "supervisor")}
    return {"hotline": Hotline(hub, "hotline"), "hub": hub, "huanwei": Visitor(hub, "department", "huanwei"), **people}


def act(county, number, action, who="acceptor", status=200, **fields):
    version = county["acceptor"].get(f"/api/v1/orders/{number}").json()["version"]
    response = county[who].post(f"/api/v1/orders/{number}/actions", {"action": action, "version": version, **fields})
    assert response.status_code == status, response.text
    return response.json()


def test_sent_at_once_by_many_it_is_one_order(county, shared):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: county["hotline"].send("ＡＢ-1" if n % 2 else "ab-1"), range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    assert len({answer.json()["order"] for answer in answers}) == 1
    assert shared.database.value("SELECT count(*) FROM onemap.hotline_order WHERE upper(external_number) IN ('AB-1', 'ＡＢ-1')") == 1


def test_from_receipt_to_follow_up(county):
    hotline, acceptor = county["hotline"], county["acceptor"]
    number = hotline.send("HX-1", contact={"name": "王某", "phone": "0378-28000000"}).json()["order"]
    can = [{one["action"] for one in answer["can"]} for answer in (acceptor.get(f"/api/v1/orders/{number}").json(), hotline.get("/" + number).json())]
    assert can == [{"sign", "return", "link", "remind"}, {"remind"}] and county["supervisor"].get(f"/api/v1/orders/{number}").json()["can"] == []
    act(county, number, "sign")
    case = act(county, number, "open_case", category="20102", condition=1)["cases"][0]["case"]

    def do(who, action, **fields):
        version = acceptor.get(f"/api/v1/cases/{case}").json()["version"]
        response = county[who].post(f"/api/v1/cases/{case}/actions", {"action": action, "version": version, **fields})
        assert response.status_code == 200, response.text
    for who, action, fields in (("acceptor", "accept", {}), ("registrar", "register", {}), ("dispatcher", "dispatch", {"department": "huanwei"})):
        do(who, action, **fields)
    assert county["huanwei"].get(f"/api/v1/orders/{number}").status_code == 200
    sent = county["huanwei"].send("POST", "/api/v1/attachments", data=PNG, headers={"Content-Type": "image/png"})
    assert sent.status_code in (200, 201), sent.text
    name = sent.json()["sha256"]
    do("huanwei", "feed_back", attachments=[{"sha256": name}])
    act(county, number, "answer", status=422, result=0, text="已修复", attachments=[hashlib.sha256(b"other").hexdigest()])
    act(county, number, "answer", result=0, text="已修复", attachments=[name])
    seen = hotline.get("/" + number).json()
    assert (seen["state"], seen["result"], seen["answer"]) == ("answered", 0, "已修复")
    assert not any(private in str(seen) for private in ("王某", "0378-"))  # no time has that in it
    photograph = hotline.get(f"/{number}/attachments/{name}")
    assert photograph.status_code == 200 and hashlib.sha256(photograph.content).hexdigest() == name
    assert Hotline(county["hub"], "another-hotline").get(f"/{number}/attachments/{name}").status_code == 404
    assert requests.get(f"{county['hub'].http_url}/api/v1/cases/{case}", headers=hotline.headers, timeout=30).status_code == 403
    told = requests.post(f"{hotline.url}/{number}/actions", headers=hotline.headers, timeout=30,
                         json={"action": "visit", "version": seen["version"], "satisfaction": "dissatisfied", "reason": "还是不亮"})
    assert told.status_code == 200 and told.json()["state"] == "visited", told.text
    assert acceptor.get(f"/api/v1/cases/{case}").json()["satisfaction"] == "dissatisfied"


def test_changes_are_read_once_and_in_order_while_others_write(county, shared):
    hotline = county["hotline"]
    after = shared.database.value("SELECT coalesce(max(id), 0) FROM onemap.hotline_order_event")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        writes = [pool.submit(hotline.send, f"many-{n}") for n in range(60)]
        seen = []
        while len(seen) < 60:
            page = hotline.get("/changes", after=after, limit=7).json()
            seen += [change["external_number"] for change in page["changes"]]
            after = page["next"]
        assert all(write.result().status_code == 201 for write in writes)
    assert sorted(seen) == sorted(f"many-{n}" for n in range(60))
    assert hotline.get("/changes", after=after).json() == {"changes": [], "next": after}
