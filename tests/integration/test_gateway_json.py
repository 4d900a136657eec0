"""`cityhub gateway`: platforms that push JSON of their own, on their own paths, read by mappings, answered after the commit."""
import base64
import hashlib
import json
import time

import pytest
import requests
from harness import paths
from harness.gateway import Gateway, county_with_gateway
from harness.process import wait_until
from harness.site import Site

SECRET = "a.secret-of-platforms"
SAMPLES = paths.ROOT / "tests" / "data" / "mappings"
SOURCES = {"tb": "thingsboard-device", "tbgw": "thingsboard-gateway", "ct": "ctwing", "iotda": "huawei-iotda", "ocean": "oceanconnect", "one": "onenet", "ml": "senml"}


class County:
    def __init__(self, database, broker, folder):
        self.site, self.database = Site(database, broker, folder), database
        self.hub = self.site.hub(broker.hub_settings(), start=False)
        secret = folder / "vendor.password"
        secret.write_text("a-password-of-the-tests\n")
        self.hub.run("vendor", "add", "--subsystem", "dust", "--vendor", "acme", "--password-file", secret)
        secret.write_text(SECRET + "\n")
        for identity, mapping in SOURCES.items():
            self.hub.run("terminal", "add", "--protocol", "json", "--identity", identity, "--subsystem", "dust", "--vendor", "acme", "--device", f"dev-{identity}",
                         "--dialect", mapping, "--secret-file", secret)
        self.hub.start()
        self.gateway = Gateway(self.hub, broker, folder).start()
        wait_until(lambda: self.gateway.terminals() == len(SOURCES), 60, "the gateway has the list")

    def post(self, path, message, **options):
        return requests.post(self.gateway.url + path, data=message if isinstance(message, bytes) else json.dumps(message),
                             headers={"Content-Type": "application/json", "Accept-Language": "en"}, timeout=60, **options)

    def readings(self, device):
        return self.database.value("SELECT count(*) FROM onemap.observation o JOIN onemap.device d ON d.id = o.device_id WHERE d.code = %s", device)


@pytest.fixture(scope="module")
def county(cluster, logs):
    with county_with_gateway(County, cluster, logs / "test_gateway_json") as county:
        yield county


def now_ms():
    return int(time.time() * 1000)


def shifted(message, by_ms):
    """The sample with its times of today."""
    if isinstance(message, dict):
        return {key: shifted(value, by_ms) for key, value in message.items()}
    if isinstance(message, list):
        return [shifted(value, by_ms) for value in message]
    return message + by_ms if isinstance(message, int) and message > 10 ** 12 else message


def test_a_platform_is_answered_when_its_data_is_committed(county):
    """ThingsBoard's device API, and its gateway's: the paths and bodies that exporters have."""
    by = now_ms() - 1785545937000 - 3_600_000
    answer = county.post(f"/api/v1/tb.{SECRET}/telemetry", shifted(json.loads((SAMPLES / "thingsboard-device.sample.json").read_text()), by))
    assert (answer.status_code, answer.text) == (200, "{}"), answer.text
    assert county.readings("dev-tb") == 2, "the answer came before the commit"
    sample = shifted(json.loads((SAMPLES / "thingsboard-gateway.sample.json").read_text()), by)
    for _ in range(2):
        assert county.post(f"/json/thingsboard-gateway/tbgw.{SECRET}", sample).status_code == 200
        assert (county.readings("D-1"), county.readings("D-2")) == (2, 1), "sent again nothing is doubled"
    wait_until(lambda: county.post(f"/json/thingsboard-gateway/tbgw.{SECRET}", sample).status_code == 200 and county.database.value(
        "SELECT o.value FROM onemap.interval_other_report o WHERE o.device_code = 'D-2' AND o.name = 'door'") == "open", 30, "what is left over is kept")


def test_what_no_record_can_be_made_of_is_kept_whole(county):
    answer = county.post(f"/json/oceanconnect/ocean.{SECRET}", {"deviceId": "oc-9", "marker": "keep-me", "service": {"eventTime": "never", "data": {"pm25_ug_m3": 1}}})
    assert answer.status_code == 200, answer.text
    kept = county.database.value("SELECT count(*) FROM onemap.quarantine q WHERE convert_from(q.payload, 'UTF8') LIKE '%%keep-me%%'")
    assert kept == 1 and county.readings("oc-9") == 0


def test_onenet_is_checked_by_its_signature(county):
    def sign(message, nonce):
        return base64.b64encode(hashlib.md5((SECRET + nonce + message).encode()).digest()).decode()
    url = f"{county.gateway.url}/json/onenet/one.{SECRET}"
    echo = requests.get(url, params={"msg": "hello-1", "nonce": "n1", "signature": sign("hello-1", "n1")}, timeout=60)
    assert (echo.status_code, echo.text) == (200, "hello-1")
    assert requests.get(url, params={"msg": "hello-2", "nonce": "n1", "signature": sign("hello-1", "n1")}, timeout=60).status_code == 401
    assert requests.get(url.replace("onenet/one", "senml/ml"), params={"msg": "m", "nonce": "n", "signature": sign("m", "n")}, timeout=60).status_code == 404
    message = json.dumps({"type": 1, "dev_id": 77, "ds_id": "pm25_ug_m3", "at": now_ms(), "value": 35.2})
    assert county.post(f"/json/onenet/one.{SECRET}", {"msg": message, "nonce": "n2", "msg_signature": sign(message, "n3")}).status_code == 401
    assert county.readings("77") == 0
    assert county.post(f"/json/onenet/one.{SECRET}", {"msg": message, "nonce": "n2", "msg_signature": sign(message, "n2")}).status_code == 200
    assert county.readings("77") == 1


def test_what_is_wrong_is_named_and_no_secret_is_logged(county):
    cases = [
        (county.post(f"/json/senml/ml.{SECRET}", b"{"), 400, "CH044"),
        (county.post(f"/json/onenet/ml.{SECRET}", []), 404, "CH049"),
        (county.post("/json/senml/no-dot", []), 401, "CH061"),
        (county.post("/json/senml/nobody.secret", []), 401, "CH061"),
        (county.post("/json/senml/ct.wrong-secret", []), 401, "CH061"),
    ]
    for answer, status, code in cases:
        assert (answer.status_code, answer.json().get("code")) == (status, code), f"{status} {code}: {answer.status_code} {answer.text}"
    statuses = {county.post("/json/ctwing/ct.wrong-secret", {}).status_code for _ in range(12)}
    assert 429 in statuses, "wrong secrets are slowed"
    told = wait_until(lambda: [one for one in json.loads(county.hub.run("terminal", "list", "--pending", "--json").stdout) if one["identity"] == "ct"], 60, "it is told")
    assert (told[0]["protocol"], told[0]["reason"], told[0]["samples"]) == ("json", "wrong_secret", []), "a stranger's name is nobody's"
    assert SECRET not in county.gateway.process.log_path.read_text()


def test_without_a_hub_nothing_is_promised(county):
    county.hub.stop()
    try:
        answer = county.post(f"/json/senml/ml.{SECRET}", [{"bn": "x:", "n": "pm25_ug_m3", "v": 1, "bt": time.time()}])
        assert answer.status_code == 503 and answer.json()["code"] == "CH055" and answer.headers["Retry-After"], answer.text
    finally:
        county.hub.start()
