"""Open311 as a program meets it that was written from the specification alone: GeoReport v2, and the updates of FixMyStreet. Its client
reads XML, as FixMyStreet does; each answer as JSON must say the same."""
import concurrent.futures
import datetime
import http.server
import json
import threading
import xml.etree.ElementTree as ElementTree

import pytest
import requests

from harness import media, paths
from harness.hub import Hub
from harness.people import ORIGIN, Visitor

SHARED_SETTINGS = {"http.origins": ORIGIN}
SERVICE = {"service_code", "service_name", "metadata", "type"}
REQUEST = {"service_request_id", "status", "service_code", "requested_datetime"}


class Nowhere:
    """The fetcher needs no broker."""
    host, port = "127.0.0.1", 1


def moment(text):
    found = datetime.datetime.fromisoformat(text)
    assert found.tzinfo is not None
    return found


class Client:
    """What the specification says, and nothing of the hub."""

    def __init__(self, base, key):
        self.base, self.key = base, key

    def document(self, response, status):
        assert response.status_code == status, f"{response.status_code}: {response.text}"
        assert response.headers["Content-Type"].replace(" ", "") == "text/xml;charset=utf-8"
        assert response.content.startswith(b"<?xml version=\"1.0\" encoding=\"utf-8\"?>")
        return ElementTree.fromstring(response.content)

    def entries(self, root):
        return [{field.tag: field.text or "" for field in entry} for entry in root]

    def get(self, path, expected=200, **query):
        """The entries of the XML; those of the JSON must say the same."""
        root = self.document(requests.get(f"{self.base}/{path}.xml", params=query, timeout=30), expected)
        response = requests.get(f"{self.base}/{path}.json", params=query, timeout=30)
        assert response.status_code == expected and response.headers["Content-Type"].replace(" ", "") == "application/json;charset=utf-8"
        same = [{name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in entry.items()} for entry in response.json()]
        found = self.entries(root)
        assert found == same
        return found

    def post(self, path, expected=200, form="xml", **fields):
        response = requests.post(f"{self.base}/{path}.{form}", data={"api_key": self.key, **fields}, timeout=30)
        if form == "xml":
            return self.entries(self.document(response, expected))
        assert response.status_code == expected, response.text
        return response.json()

    def send(self, **fields):
        """A report, as FixMyStreet sends it: again until there is an id."""
        [answer] = self.post("requests", **{"service_code": "20102", "lat": "34.55", "long": "114.75", "description": "垃圾", **fields})
        if "token" in answer:
            [answer] = self.get("tokens/" + answer["token"])
        return answer["service_request_id"]


@pytest.fixture(scope="module")
def hub(shared):
    one = shared.hubs[0]
    one.run("catalogue", "departments", "import", paths.ROOT / "config" / "departments.csv")
    one.run("catalogue", "import", paths.ROOT / "config" / "case_catalogue.csv")
    assert "3 services are public" in one.run("catalogue", "services", "import", paths.ROOT / "config" / "open311_services.csv").stdout
    return one


@pytest.fixture(scope="module")
def client(hub):
    key = hub.key("fixmystreet", rights="open311")["Authorization"].removeprefix("Bearer ")
    discovery = ElementTree.fromstring(requests.get(hub.http_url + "/open311/discovery.xml", timeout=30).content)
    [endpoint] = discovery.iter("endpoint")
    assert [each.text for each in endpoint.iter("format")] == ["text/xml", "application/json"] and "GeoReport_v2" in endpoint.find("specification").text
    url = endpoint.find("url").text  # as the county's name has it, which is no address here
    assert url.startswith(ORIGIN + "/")
    return Client(url.replace(ORIGIN, hub.http_url), key)


def test_services_are_an_allow_list_that_is_whole_or_not(client, hub, tmp_path):
    services = client.get("services")
    assert [each["service_code"] for each in services] == ["20102", "20103", "other"]
    assert all(SERVICE <= set(each) and each["type"] == "realtime" for each in services)
    for each in services:
        root = client.document(requests.get(f"{client.base}/services/{each['service_code']}.xml", timeout=30), 200)
        assert root.tag == "service_definition" and root.find("service_code").text == each["service_code"]
        assert "fixmystreet_id" in [attribute.find("code").text for attribute in root.find("attributes")]
    [error] = client.get("services/none", 404)
    assert set(error) == {"code", "description"} and error["code"] == "404"
    half = tmp_path / "half.csv"
    half.write_text("code,category,name,description,keywords,group,private\n20102,20102,垃圾,,,,no\nx,99999,无此类,,,,no\n")
    refused = hub.run("catalogue", "services", "import", half, code=1)
    assert ":3: the catalogue has no category 99999" in refused.stderr + refused.stdout
    assert len(client.get("services")) == 3
    assert hub.run("catalogue", "services", "export").stdout == (paths.ROOT / "config" / "open311_services.csv").read_text()


def test_a_report_has_an_id_at_once_and_twice_the_same(client, shared):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(lambda _: client.send(**{"description": "同一件 <&> 😀", "attribute[fixmystreet_id]": "42"}), range(8)))
    assert len(ids) == 1
    [entry] = client.get("requests/" + ids.pop())
    assert REQUEST <= set(entry) and entry["status"] == "open" and (float(entry["lat"]), float(entry["long"])) == (34.55, 114.75)
    assert abs(moment(entry["requested_datetime"]) - datetime.datetime.now(datetime.timezone.utc)) < datetime.timedelta(minutes=10)
    first = client.send(description="没有编号")
    assert client.send(description="没有编号") == first != client.send(description="没有编号的另一件")
    assert shared.database.value("SELECT count(*) FROM onemap.case_record WHERE description = '没有编号'") == 1
    [answer] = client.post("requests", form="json", service_code="20103", address_string="某路口", description="渣土",
                           media_url="http://169.254.169.254/latest")
    assert isinstance(answer["service_request_id"], str) and "media_url" in answer["service_notice"]
    assert shared.database.value("SELECT description FROM onemap.case_record WHERE code = %s", answer["service_request_id"]) == "渣土"


@pytest.mark.parametrize("status, fields", [
    (403, {"api_key": "cht_wrong"}), (400, {"service_code": ""}), (404, {"service_code": "none"}), (400, {"lat": "", "long": ""}),
    (400, {"lat": "x"}), (400, {"description": "字" * 4001}), (404, {"jurisdiction_id": "elsewhere"})])
def test_errors_are_in_the_standards_form(client, status, fields):
    sent = {"service_code": "20102", "lat": "34.55", "long": "114.75", "description": "错误", **fields}
    for form in ("xml", "json"):
        [error] = client.post("requests", status, form, **sent)
        assert set(error) == {"code", "description"} and error["code"] == str(status) and error["description"]


def test_only_the_allow_list_is_public(client, hub, shared):
    number = client.send(**{"description": "暗号甲", "email": "wang@example.com", "first_name": "暗号乙", "phone": "13800000000",
                            "address_string": "暗号丙", "media_url": "http://暗号丁/"})
    hidden = client.send(service_code="other", description="私密")
    public = requests.get(client.base + "/requests.json", timeout=30).text
    assert number in public and hidden not in public
    assert not any(secret in public for secret in ("暗号", "wang@", "138000"))
    assert hidden in requests.get(client.base + "/requests.json", params={"api_key": client.key}, timeout=30).text
    assert client.get("requests/" + hidden, 404)[0]["code"] == "404"
    other = Client(client.base, hub.key("another", rights="open311")["Authorization"].removeprefix("Bearer "))
    assert other.post("servicerequestupdates", 404, service_request_id=number, description="x")
    reader = hub.key("only-reads", rights="read")["Authorization"].removeprefix("Bearer ")
    assert Client(client.base, reader).post("requests", 403, service_code="20102", lat="34.55", long="114.75")[0]["code"] == "403"
    assert requests.get(hub.http_url + "/api/v1/cases", headers={"Authorization": f"Bearer {client.key}"}, timeout=30).status_code == 403
    assert client.key not in str(shared.database.query("SELECT detail FROM onemap.audit_log"))


def test_updates_follow_the_case(client, hub):
    start = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    number = client.send(description="会办结的")
    desk = {post: Visitor(hub, post) for post in ("acceptor", "registrar", "admin")}

    def act(post, action, **fields):
        version = desk["admin"].get(f"/api/v1/cases/{number}").json()["version"]
        response = desk[post].post(f"/api/v1/cases/{number}/actions", {"action": action, "version": version, **fields})
        assert response.status_code == 200, response.text
    [remark] = client.post("servicerequestupdates", service_request_id=number, update_id="9", description="味道很大", email="wang@example.com", status="OPEN")
    assert client.post("servicerequestupdates", service_request_id=number, update_id="9", description="味道很大") == [remark]
    act("acceptor", "accept")
    act("registrar", "register", condition=1, reason="内部理由")
    act("registrar", "void", reason="内部理由")
    window = {"start_date": start.isoformat(), "end_date": (start + datetime.timedelta(hours=1)).isoformat()}
    updates = [each for each in client.get("servicerequestupdates", **window) if each["service_request_id"] == number]
    assert [each["status"] for each in updates] == ["ACTION_SCHEDULED", "NO_FURTHER_ACTION"] and "内部" not in str(updates)
    assert all(start <= moment(each["updated_datetime"]) <= start + datetime.timedelta(hours=1) for each in updates)
    assert client.get("servicerequestupdates", start_date=window["end_date"]) == []
    [entry] = client.get("requests/" + number)
    assert entry["status"] == "closed" and entry["updated_datetime"] == updates[-1]["updated_datetime"]
    assert number in [each["service_request_id"] for each in client.get("requests", status="closed")]
    journal = desk["admin"].get(f"/api/v1/cases/{number}").json()["journal"]
    assert [event["reason"] for event in journal if event["action"] == "attach"] == ["味道很大"]
    assert client.post("servicerequestupdates", 400, service_request_id=number, description="晚了")


def test_pages_end(client):
    ids = [client.send(description=f"分页 {n}") for n in range(3)]
    seen, page = [], 1
    while entries := client.get("requests", page=page, page_size=2):
        seen += [each["service_request_id"] for each in entries]
        page += 1
    assert set(ids) <= set(seen) and len(seen) == len(set(seen))
    assert [each["service_request_id"] for each in client.get("requests", service_request_id=f"{ids[0]},{ids[2]}")] == [ids[2], ids[0]]
    client.get("requests", 400, start_date="yesterday")


def test_what_is_near_is_named_before_a_report(client, shared):
    """Degrees near 34.6 north: a ten-thousandth of latitude is 11 m, one of longitude 9 m."""
    far, near, nearest = (client.send(description=f"附近 {lat}", lat=lat, long="114.9000") for lat in ("34.6040", "34.6010", "34.6001"))
    other = client.send(description="别的类别", service_code="20103", lat="34.6000", long="114.9000")
    hidden = client.send(description="私密的", service_code="other", lat="34.6000", long="114.9000")
    before = shared.database.value("SELECT count(*) FROM onemap.case_record")
    asked = {"status": "open", "lat": "34.6000", "long": "114.9000"}
    entries = client.get("requests", service_code="20102", **asked)
    assert [each["service_request_id"] for each in entries] == [nearest, near]
    assert set(entries[0]) == set(client.get("requests/" + near)[0])

    def ids(**query):
        return [each["service_request_id"] for each in client.get("requests", **{**asked, **query})]
    assert ids() == [other, nearest, near] and ids(radius="500") == [other, nearest, near, far] and ids(radius="50") == [other, nearest]
    assert ids(api_key=client.key, radius="1") in ([hidden, other], [other, hidden])
    assert ids(page="2", page_size="1") == [nearest] and ids(status="closed") == []
    for wrong in ({"lat": ""}, {"long": ""}, {"lat": "91"}, {"long": "x"}, {"radius": "0"}, {"radius": "5001"}, {"lat": "1e9"}, {"lat": "", "long": "", "radius": "9"}):
        client.get("requests", 400, **{**asked, **wrong})
    assert shared.database.value("SELECT count(*) FROM onemap.case_record") == before


# ---- photographs ----

class Photographs(http.server.BaseHTTPRequestHandler):
    """The host of a citizens' program: what it answers to which path."""
    answers = {}

    def do_GET(self):
        status, content = self.answers.get(self.path, (404, b""))
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/good.png")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def host():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Photographs)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Fetcher:
    """`cityhub upstream media`, with the rights of cityhub_exchange alone."""

    def __init__(self, hub, shared, folder):
        value, self.database, self.folder = shared.database.query, shared.database, folder
        token = hub.key("media", rights="read,act", department="huanwei")["Authorization"].removeprefix("Bearer ")
        (folder / "token").write_text(token + "\n")
        value("UPDATE onemap.setting SET value = %s WHERE key = 'open311_media_token'", f"media-{hub.process.name}")
        value("UPDATE onemap.setting SET value = '127.0.0.1' WHERE key = 'open311_media_hosts'")
        value("DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'upstream_login') THEN"
              " CREATE ROLE upstream_login LOGIN IN ROLE cityhub_exchange; END IF; END $$")
        self.url, self.hub = hub.http_url, Hub(shared.database, Nowhere, folder, {
            "database.conninfo": shared.database.cluster.conninfo(shared.database.name, user="upstream_login")}, "media")

    def __call__(self, code=0, **changes):
        path = self.folder / "media.json"
        path.write_text(json.dumps({"hub": self.url, "token_file": str(self.folder / "token"), "plain_http": True,
                                    "private_addresses": ["127.0.0.1/32"], **changes}))
        self.database.query("UPDATE onemap.open311_media SET due_at = now() WHERE state = 'waiting'")
        return self.hub.run("upstream", "media", "--once", path, code=code)


@pytest.fixture
def fetch(hub, shared, work_folder):
    return Fetcher(hub, shared, work_folder)


def test_photographs_are_fetched_afterwards(client, hub, shared, host, fetch):
    Photographs.answers = {"/good.png?key=SECRET": (200, media.png(77)), "/later.png": (503, b""), "/page": (200, b"<html>no picture</html>"),
                           "/moved.png": (302, b"")}
    number = client.send(description="有图", media_url="\n".join(host + path for path in Photographs.answers))
    desk = Visitor(hub, "admin")

    def case():
        found = desk.get(f"/api/v1/cases/{number}").json()
        return [each["media_type"] for each in found["attachments"]], [each["reason"] for each in found["journal"] if each["action"] == "attach"]

    def notice(key):
        return requests.get(f"{client.base}/requests/{number}.json", params={"api_key": key}, timeout=30).json()[0].get("service_notice")
    assert notice(client.key) == "图片 / media: 待取 waiting 4" and notice("") is None and case() == ([], [])
    done = fetch()
    assert done.stdout == "1 kept, 2 failed, 1 to be tried again\n" and "SECRET" not in done.stderr and host not in done.stderr
    files, words = case()
    assert files == ["image/png"] and sorted(words) == ["上报所附图片", "上报所附图片未能取得：it is no whole JPEG, PNG, WebP, PDF or MP4 file",
                                                        "上报所附图片未能取得：its host answered with status 302"]
    assert notice(client.key) == "图片 / media: 待取 waiting 1，已收到 received 1，未能取得 failed 2"
    assert shared.database.value("SELECT due_at > now() + interval '30 seconds' FROM onemap.open311_media WHERE state = 'waiting'")
    assert fetch().stdout == "0 kept, 0 failed, 1 to be tried again\n"
    assert shared.database.value("SELECT due_at > now() + interval '90 seconds' FROM onemap.open311_media WHERE state = 'waiting'"), "later each time"
    Photographs.answers["/later.png"] = (200, media.png(78))
    assert fetch().stdout == "1 kept, 0 failed, 0 to be tried again\n" and case()[0] == ["image/png"] * 2
    client.post("servicerequestupdates", service_request_id=number, description="再补一张", media_url=host + "/gone.png")
    assert fetch().stdout == "0 kept, 0 failed, 1 to be tried again\n"
    shared.database.query("UPDATE onemap.open311_media SET recorded_at = now() - interval '4 days' WHERE state = 'waiting'")
    assert fetch().stdout == "0 kept, 1 failed, 0 to be tried again\n"
    assert case()[1][-1] == "上报所附图片未能取得：its host answered with status 404" and "media_url" not in str(client.get("requests/" + number))
    assert fetch().stdout == "0 kept, 0 failed, 0 to be tried again\n"


def test_photographs_of_addresses_that_are_not_permitted(client, shared, host, fetch):
    Photographs.answers = {"/good.png": (200, media.png(79))}
    number = client.send(description="内网", media_url=host + "/good.png")
    assert fetch(private_addresses=[]).stdout == "0 kept, 1 failed, 0 to be tried again\n"
    assert "not a public one" in shared.database.value("SELECT m.problem FROM onemap.open311_media m JOIN onemap.case_record r ON r.id = m.case_id"
                                                       " WHERE r.code = %s", number)
    client.send(description="主机撤销", media_url=host + "/good.png")
    shared.database.query("UPDATE onemap.setting SET value = 'another' WHERE key = 'open311_media_token'")
    assert fetch().stdout == "0 kept, 0 failed, 1 to be tried again\n"
    shared.database.query("UPDATE onemap.setting SET value = '' WHERE key = 'open311_media_hosts'")
    assert fetch().stdout == "0 kept, 1 failed, 0 to be tried again\n"
    assert 'there is no member "moon"' in fetch(code=1, moon=1).stderr
