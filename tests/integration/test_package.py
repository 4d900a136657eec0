"""Exchange over a network that is kept apart: a county's records go to its city as files, receipts come back as files; one that was changed,
is missing or comes twice is told, and stores nothing twice."""
import json
import shutil

import pytest
from harness import paths
from harness.hub import Hub

KEY = "一把足够长的共同密钥-0123456789"


class Nowhere:
    host, port = "127.0.0.1", 1


class Side:
    """A hub with its peer's file, by the login that has the rights of cityhub_exchange alone."""

    def __init__(self, database, folder, name, peer, **more):
        self.database, self.name = database, name
        folder = folder / name
        self.out, self.inside, self.file = folder / "out", folder / "in", folder / "peer.json"
        self.out.mkdir(parents=True)
        self.inside.mkdir()
        (folder / "key").write_text(KEY)
        database.query("DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'upstream_login') THEN"
                       " CREATE ROLE upstream_login LOGIN IN ROLE cityhub_exchange; END IF; END $$")
        self.hub = Hub(database, Nowhere, folder, {"database.conninfo": database.cluster.conninfo(database.name, user="upstream_login")}, name)
        self.document = {"name": name, "peer": peer, "out": str(self.out), "in": str(self.inside), "records": 3,
                         "sign": {"kind": "hmac-sm3", "secret_file": str(folder / "key")}, **more}
        self.describe()

    def describe(self, **changes):
        self.file.write_text(json.dumps({**self.document, **changes}, ensure_ascii=False))

    def package(self, way, *options, code=0):
        done = self.hub.run("upstream", "package", way, self.file, *options, code=code)
        return done.stdout + done.stderr

    def value(self, sql, *values):
        return self.database.value(sql, *values)


class Pair:
    def __init__(self, database, folder):
        self.county = Side(database, folder, "qixian", "city", resources=["case_step"])
        database.query((paths.ROOT / "tests" / "schema" / "include" / "case_fixture.sql").read_text())
        self.city = Side(database.cluster.clone(), folder, "city", "qixian", county="qixian")
        operator = Hub(self.city.database, Nowhere, folder, {"database.conninfo": self.city.database.conninfo}, "operator")
        operator.run("token", "add", "from-qixian", "--rights", "exchange")
        operator.run("upstream", "county", "qixian", "--name-zh", "杞县", "--token", "from-qixian")

    @staticmethod
    def carry(side, other):
        """Everything that is there goes over; returns the names."""
        names = sorted(path.name for path in side.out.glob("*.json"))
        for name in names:
            shutil.move(side.out / name, other.inside / name)
        return names

    def stored(self):
        return self.city.value("SELECT count(*) FROM onemap.exchange_county_record")

    def ledger(self):
        return dict(self.county.database.query("SELECT state, count(*)::int FROM onemap.exchange_record GROUP BY state"))


@pytest.fixture
def pair(database, work_folder):
    made = Pair(database, work_folder)
    yield made
    made.city.database.cluster.drop(made.city.database)


def test_there_and_back(pair):
    code = pair.county.value("SELECT test.drive('dispatched')")
    assert pair.county.package("out").endswith("2 packages to city\n"), "four records, three a package"
    assert pair.county.package("out") == "0 packages to city\n" and pair.ledger() == {"waiting": 4}, "nothing is accepted without a receipt"
    assert pair.carry(pair.county, pair.city) == ["qixian-00000001.json", "qixian-00000002.json"]
    told = pair.city.package("in")
    assert "qixian-00000001.json: 3 records, 0 of them refused, 0 receipts" in told and pair.stored() == 4
    assert sorted(path.name for path in (pair.city.inside / "done").iterdir()) == ["qixian-00000001.json", "qixian-00000002.json"]
    rows = pair.county.database.query("SELECT id, record, encode(hash, 'hex') FROM onemap.exchange_record ORDER BY id")
    assert rows == pair.city.database.query("SELECT number, record, encode(hash, 'hex') FROM onemap.exchange_county_record ORDER BY number")
    assert [record for _, record, _ in rows] == [f"{code}/{seq}" for seq in range(1, 5)]
    pair.city.package("out")
    pair.carry(pair.city, pair.county)
    pair.county.package("in")
    assert pair.ledger() == {"accepted": 4}
    assert pair.county.value("SELECT count(*) FROM onemap.exchange_record WHERE receipt LIKE 'city/%%'") == 4
    assert pair.city.package("out") == "0 packages to qixian\n", "a receipt goes once"
    listed = json.loads(pair.county.hub.run("upstream", "packages", "--json").stdout)
    assert [(one["direction"], one["newest"], one["unanswered"]) for one in listed] == [("out", 2, 0), ("in", 2, None)]


def test_changed_missing_twice(pair):
    pair.county.value("SELECT test.drive('dispatched')")
    pair.county.package("out")
    first, second = pair.carry(pair.county, pair.city)
    good = (pair.city.inside / first).read_text()
    (pair.city.inside / first).write_text(good.replace("dispatch", "despatch").replace("accept", "except"))
    told = pair.city.package("in", code=1)
    assert f"{first}: changed: the signature is not that of its content" in told and f"{second}: missing: 1" in told
    assert pair.stored() == 0 and (pair.city.inside / second).exists() and (pair.city.inside / "refused" / first).exists()
    signed_by_another = json.loads(good)
    signed_by_another["signature"] = "0" * 64
    (pair.city.inside / first).write_text(json.dumps(signed_by_another))
    pair.city.package("in", code=1)
    (pair.city.inside / "qixian-00000007.json").write_text(good)
    assert "its content has the number 1" in pair.city.package("in", code=1) and pair.stored() == 0
    (pair.city.inside / first).write_text(good[:len(good) // 2])
    assert f"{first}: is not whole" in pair.city.package("in", code=1) and (pair.city.inside / first).exists(), "it may be being copied"
    (pair.city.inside / first).write_text(good)
    pair.city.package("in")
    assert pair.stored() == 4
    (pair.city.inside / first).write_text(good)
    assert f"{first}: it came before" in pair.city.package("in") and pair.stored() == 4
    assert pair.city.value("SELECT count(*) FROM onemap.exchange_package WHERE direction = 'in'") == 2


def test_lost(pair):
    """What was in a package that was given up comes again, since it has no receipt, under its number."""
    pair.county.value("SELECT test.drive('dispatched')")
    pair.county.package("out")
    first, _ = pair.carry(pair.county, pair.city)
    (pair.city.inside / first).unlink()
    assert "missing: 1" in pair.city.package("in", code=1)
    assert "is not the next one, which is 1" in pair.city.package("in", "--lost", "2", "--reason", "光盘损坏", code=1)
    pair.city.package("in", "--lost", "1", "--reason", "光盘损坏")
    assert pair.stored() == 1
    assert pair.city.value("SELECT count(*) FROM onemap.audit_log WHERE action = 'exchange_package_lost'") == 1
    pair.county.database.query("UPDATE onemap.exchange_record SET next_attempt_at = now() - interval '1 second'")
    for _ in range(2):
        pair.county.package("out")
        pair.carry(pair.county, pair.city)
        pair.city.package("in")
        pair.city.package("out")
        pair.carry(pair.city, pair.county)
        pair.county.package("in")
    assert pair.stored() == 4 and pair.ledger() == {"accepted": 4}


def test_stopped_between_numbering_and_writing(pair):
    pair.county.value("SELECT test.drive('accepted')")
    pair.county.out.rmdir()
    assert "No such file or directory" in pair.county.package("out", code=1)
    number, digest = pair.county.database.query("SELECT number, encode(hash, 'hex') FROM onemap.exchange_package")[0]
    pair.county.out.mkdir()
    pair.county.package("out")
    assert number == 1 and json.loads((pair.county.out / "qixian-00000001.json").read_text())["hash"] == digest
    assert pair.county.value("SELECT count(*) FROM onemap.exchange_package") == 1


def test_refused_record_and_its_receipt(pair):
    """A record that the city does not take is refused in the county's ledger, with the city's words."""
    pair.county.value("SELECT test.drive('accepted')")
    pair.city.describe(county="nowhere")
    pair.county.package("out")
    pair.carry(pair.county, pair.city)
    assert "2 records, 2 of them refused" in pair.city.package("in")
    pair.city.package("out")
    pair.carry(pair.city, pair.county)
    pair.county.package("in")
    assert pair.ledger() == {"refused": 2}
    assert pair.county.value("SELECT min(answer) FROM onemap.exchange_record") == "there is no county to report here"


@pytest.mark.parametrize("changes, words", [
    ({"name": "city"}, "name and peer must be two names"), ({"out": ""}, "out and in must be two folders"), ({"moon": 1}, 'there is no member "moon"'),
    ({"sign": {"kind": "md5"}}, "sign: needs kind (hmac-sha256 or hmac-sm3)"), ({"records": 0}, "records must be from 1")])
def test_file(pair, changes, words):
    pair.county.describe(**changes)
    assert words in pair.county.package("out", code=1)


def test_file_that_is_no_object(pair):
    pair.county.file.write_text("[1]")
    assert "must be a JSON object" in pair.county.package("out", code=1)
