"""Being above: three cityhubs are counties, one is their city, each a daemon with a database of its own. What the city shows of a month is what the counties have, to the last digit;
what comes again changes nothing, and nobody reports for another."""
import contextlib
import hashlib
import json
import signal

import pytest
import requests
import score_journal
from harness import paths
from harness.hub import Hub
from harness.process import Process, wait_until

from test_score import DEPARTMENTS, one_case

MONTH = "2025-10"
COUNTIES = {"qixian": "杞县", "tongxu": "通许县", "weishi": "尉氏县"}


class Nowhere:
    host, port = "127.0.0.1", 1


class County:
    """Its cases of the month are its own: other numbers of them, other fates. The month is closed by its rules."""

    def __init__(self, cluster, city, folder, name, place, broker=Nowhere):
        self.name, self.database, self.folder = name, cluster.clone(), folder
        self.hub = Hub(self.database, broker, folder, {"database.conninfo": self.database.conninfo, "hub.instance": name}, name)
        score_journal.prepare(self.database, DEPARTMENTS)
        fates = [(department, days) for department, days in (("JC", 1), ("JC", 3), ("WLH", None), ("CJ", 1), ("CG", 3)) for _ in range(place + 1)] + [("JC", 1)] * place
        score_journal.write(self.database, [e for n, (department, days) in enumerate(fates, 1) for e in one_case(n, department, days)])
        self.close_month()
        self.file, secret = folder / f"{name}.json", folder / f"{name}.token"
        city.run("token", "add", f"from-{name}", "--rights", "exchange")
        secret.write_text(city.run("token", "add", f"for-{name}", "--rights", "exchange").stdout.split()[-1])
        self.headers = {"Authorization": f"Bearer {secret.read_text()}"}
        city.run("upstream", "county", name, "--name-zh", COUNTIES[name], "--token", f"for-{name}")
        document = json.loads((paths.ROOT / "config" / "upstream" / "cityhub.json").read_text())
        self.url = f"{city.http_url}/api/v1/exchange/{name}"
        document["to"] |= {"url": self.url, "plain_http": True, "private_addresses": ["127.0.0.1/32"]}
        document["authenticate"]["secret_file"] = str(secret)
        self.file.write_text(json.dumps(document, ensure_ascii=False))

    def close_month(self):
        """As the county does, its assessment left out."""
        self.database.value("SELECT onemap.score_month_close(%s)", json.dumps({"month": MONTH, "author": "王"}))

    @contextlib.contextmanager
    def daemons(self):
        """The county as it works: the hub, and beside it the service that reports upward."""
        sender = Process(f"{self.name}-sender", [paths.cityhub(), "--config", self.hub.config_path, "upstream", "run", self.file],
                         self.folder / f"{self.name}-sender.log", env=self.hub.environment)
        self.hub.start()
        sender.start()
        try:
            yield
        finally:
            assert sender.end(signal.SIGTERM) == 0, sender.log_tail()
            self.hub.stop()

    def waiting(self):
        return self.database.query("SELECT count(*) > 0, count(*) FILTER (WHERE state <> 'accepted') FROM onemap.exchange_record") != [(True, 0)]

    def send(self):
        return self.hub.run("upstream", "send", self.file).stdout

    def statistics(self):
        columns = ("reported", "registered", "dispatched", "should_handle", "handled", "handled_in_time", "should_close", "closed", "closed_in_time")
        row, = self.database.query("SELECT " + ", ".join(f"sum({c})" for c in columns) + " FROM onemap.exchange_statistics WHERE month = '2025-10-01'")
        return dict(zip(columns, row))


@pytest.fixture
def city(hub):
    return hub


def test_three_counties_and_a_city(city, site, cluster, work_folder, database):
    counties = [County(cluster, city, work_folder, name, place, site.broker) for place, name in enumerate(COUNTIES)]
    with contextlib.ExitStack() as running:
        for county in counties:
            running.enter_context(county.daemons())
        for county in counties:
            wait_until(lambda: not county.waiting(), 60, f"the city has all of {county.name}")
    for county in counties:  # what a hub noted while it ended
        assert " 0 refused, 0 to be tried again" in county.send()
    answer = requests.get(city.http_url + f"/api/v1/counties?month={MONTH}", headers=city.key("above", rights="read,operate"), timeout=30)
    shown = {one["county"]: one for one in answer.json()["counties"]}
    assert {name: one["name_zh"] for name, one in shown.items()} == COUNTIES
    seen = set()
    for county in counties:
        below = county.statistics()
        assert below["reported"] > 0 and {key: shown[county.name]["statistics"][key] for key in below} == below, county.name
        seen.add(json.dumps(below, default=str))
        # Record by record, digit by digit: the text that is hashed is the same above and below.
        ours = county.database.query("SELECT id, encode(hash, 'hex'), resource, record, version, content::text FROM onemap.exchange_record ORDER BY id")
        above = database.query("SELECT number, encode(hash, 'hex'), resource, record, version, content::text FROM onemap.exchange_county_record"
                               " WHERE county = %s ORDER BY number", county.name)
        assert ours == above and {"statistics", "score"} <= {row[2] for row in ours}
        scores = dict(county.database.query("SELECT department, score::float8 FROM onemap.score_result"))
        assert {one["department"]: one["score"] for one in shown[county.name]["scores"]} == scores and len(scores) > 1
        names = dict(county.database.query("SELECT code, name_zh FROM onemap.department"))
        assert all(one["name_zh"] == names[one["department"]] for one in shown[county.name]["scores"])
    newest = requests.get(city.http_url + "/api/v1/counties", headers=city.key("above", rights="read,operate"), timeout=30).json()["counties"]
    assert {one["county"]: one["month"] for one in newest} == dict(database.query(
        "SELECT county, left(max(content->>'month'), 7) FROM onemap.exchange_county_record WHERE resource = 'statistics' GROUP BY county"))
    assert len(seen) == 3, "the counties differ, so that a mix-up would show"
    assert city.run("upstream", "counties", "--month", MONTH).stdout.count(MONTH) == 3

    # What comes again is the same; what is not, is refused; the city says what it has, and it is what was accepted.
    county = counties[0]
    before = database.value("SELECT count(*) FROM onemap.exchange_county_record")
    county.hub.run("upstream", "replay", "--target", "city")
    county.send()
    assert database.value("SELECT count(*) FROM onemap.exchange_county_record") == before
    assert "accepted all as it is" in county.hub.run("upstream", "reconcile").stdout
    assert county.database.value("SELECT asked_at IS NOT NULL FROM onemap.exchange_target")
    # What is lost above, in spite of its guard (a backup of before, say).
    database.query("ALTER TABLE onemap.exchange_county_record DISABLE TRIGGER ALL; DELETE FROM onemap.exchange_county_record WHERE county = 'qixian'"
                   " AND number = (SELECT min(number) FROM onemap.exchange_county_record WHERE county = 'qixian');"
                   " ALTER TABLE onemap.exchange_county_record ENABLE TRIGGER ALL")
    county.database.query("UPDATE onemap.exchange_target SET ask_next_at = '-infinity'")
    county.send()
    county.send()  # the alarm of it is a record, too, and goes up with the next
    assert [one["difference"] for one in json.loads(county.hub.run("upstream", "reconcile", "--json", code=1).stdout)] == ["lost"]


def test_what_is_refused(city, cluster, work_folder, database):
    qixian, tongxu = (County(cluster, city, work_folder, name, 0) for name in ("qixian", "tongxu"))
    content = '{"code": "x", "mean": 1.500000000000000000001}'
    one = {"number": "7", "record": "x", "version": 1, "hash": hashlib.sha256(content.encode()).hexdigest(), "content": content}

    def post(record, county=qixian, headers=None, resource="device"):
        return requests.post(f"{county.url}/{resource}", json={"records": [record]}, headers=headers or county.headers, timeout=30)

    assert [post(one).json()["results"][0]["code"] for _ in range(2)] == [0, 0], "twice is once"
    assert database.value("SELECT content::text FROM onemap.exchange_county_record") == content, "every digit"
    other = {**one, "content": "{}", "hash": hashlib.sha256(b"{}").hexdigest()}
    assert post(other).json()["results"][0] == {"number": "7", "code": 1, "message": "this number came before with another hash", "receipt": "qixian/7"}
    assert post({**one, "number": "8"}).json()["results"][0]["code"] == 1, "a version has one number"
    assert post({**one, "number": "9", "record": "y", "hash": "0" * 64}).json()["results"][0]["message"] == "the hash is not that of the content"
    assert post({"number": "9"}).json()["results"][0]["code"] == 1
    assert post(one, headers=tongxu.headers).status_code == 404, "not for another county"
    assert post(one, headers=city.key("reader", rights="read")).status_code == 403
    assert requests.get(city.http_url + "/api/v1/cases", headers=qixian.headers, timeout=30).status_code == 403, "and it reads nothing else"
    assert post(one, resource="moon").status_code == 422
    assert post(one, county=tongxu).json()["results"][0]["code"] == 0, "the same number of another county is another record"
    assert database.query("SELECT county, count(*) FROM onemap.exchange_county_record GROUP BY county ORDER BY county") == [("qixian", 1), ("tongxu", 1)]
