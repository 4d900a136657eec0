"""People and tokens over HTTP: secrets that the hub makes are shown once and work; none is in the database, its log or the hub's; who is no
administrator is refused, and that is noted."""
import concurrent.futures
import re

import pytest
import requests

from harness.people import ORIGIN, Visitor

SHARED_SETTINGS = {"http.origins": ORIGIN}


@pytest.fixture(scope="module")
def boss(shared):
    return Visitor(shared.hubs[0], "admin")


def log_in(hub, login, password):
    return requests.post(hub.http_url + "/api/v1/login", json={"login": login, "password": password}, headers={"Origin": ORIGIN}, timeout=60)


def test_a_person_comes_and_goes(shared, boss):
    hub, database = shared.hubs[0], shared.database
    added = boss.post("/api/v1/users", {"login": "zhang", "name": "张三", "posts": ["viewer"]})
    assert added.status_code == 201 and added.headers["Cache-Control"] == "no-store", added.text
    first = added.json()["password"]
    assert len(first) == 20 and log_in(hub, "zhang", first).status_code == 200
    chosen = "Renmin-2026-guangchang"
    reset = boss.post("/api/v1/users/zhang/password", {"password": chosen})
    assert reset.status_code == 200 and reset.json() == {"login": "zhang", "sessions": 1}
    assert log_in(hub, "zhang", first).status_code == 401 and log_in(hub, "zhang", chosen).status_code == 200
    for bad in ("short", "zhang-2026-zhang", 17, None, "x" * 300):
        assert boss.post("/api/v1/users/zhang/password", {"password": bad}).status_code == 400, bad
    assert boss.post("/api/v1/users/zhang/role", {"posts": ["viewer", "acceptor"]}).json()["posts"] == ["acceptor", "viewer"]
    listed = {one["login"]: one for one in boss.get("/api/v1/users").json()["users"]}
    assert listed["zhang"]["posts"] == ["acceptor", "viewer"] and listed["zhang"]["sessions"] == 1
    assert boss.post("/api/v1/users/zhang/revoke").json() == {"login": "zhang", "sessions": 1, "tokens": 0}
    assert log_in(hub, "zhang", chosen).status_code == 401
    assert "zhang" not in {one["login"] for one in boss.get("/api/v1/users").json()["users"]}
    assert "zhang" in {one["login"] for one in boss.get("/api/v1/users?all=true").json()["users"]}
    lines = database.query("SELECT action, detail::text, person, host(address) FROM onemap.audit_log WHERE detail->>'login' = 'zhang' AND action LIKE 'user%' ORDER BY id")
    assert [(action, person) for action, _, person, _ in lines] == [(what, boss.login) for what in ("user_add", "user_password", "user_role", "user_revoke")]
    assert {address for *_, address in lines} == {"127.0.0.1"}
    kept = str(database.query("SELECT to_jsonb(l)::text FROM onemap.audit_log l")) + hub.process.log_text()
    assert first not in kept and chosen not in kept and "argon2id" not in kept


def test_a_token_works_until_it_is_ended(shared, boss):
    hub = shared.hubs[0]
    sent = {"name": "qgis", "rights": ["read"], "days": 30, "hash": "00" * 32}
    assert boss.post("/api/v1/tokens", sent).status_code == 201  # a hash that is sent is none
    assert boss.post("/api/v1/tokens", {**sent, "name": "q2"}).json()["token"] != boss.post("/api/v1/tokens", {**sent, "name": "q3"}).json()["token"]
    token = boss.post("/api/v1/tokens", {"name": "robot", "rights": ["read", "operate"], "days": 30}).json()["token"]
    key = {"Authorization": f"Bearer {token}"}
    assert token.startswith("cht_") and requests.get(hub.http_url + "/api/v1/devices", headers=key, timeout=30).status_code == 200
    # It has the right operate, and manages nobody all the same.
    for method, path in (("GET", "users"), ("GET", "tokens"), ("POST", "users"), ("POST", "tokens/robot/revoke")):
        answer = requests.request(method, f"{hub.http_url}/api/v1/{path}", headers=key, json={} if path == "users" and method == "POST" else None, timeout=60)
        assert answer.status_code == 403 and answer.json()["code"] == "CH066", (path, answer.text)
    assert {one["name"] for one in boss.get("/api/v1/tokens").json()["tokens"]} >= {"qgis", "robot"} and token not in boss.get("/api/v1/tokens").text
    assert boss.post("/api/v1/tokens/robot/revoke").status_code == 200
    assert requests.get(hub.http_url + "/api/v1/devices", headers=key, timeout=30).status_code == 401
    assert token not in str(shared.database.query("SELECT to_jsonb(l)::text FROM onemap.audit_log l")) + hub.process.log_text()


def test_nobody_else_may(shared, boss):
    for posts in ("viewer", "dispatcher", "leader", "acceptor,registrar,supervisor"):
        other = Visitor(shared.hubs[0], posts)
        for path, body in (("users", {"login": "mine", "name": "x", "posts": ["admin"]}), (f"users/{other.login}/role", {"posts": ["admin"]}),
                           (f"users/{boss.login}/revoke", None), ("tokens", {"name": "mine", "rights": ["read"], "days": 1}),
                           ("alarm_rules/dust/pm10_high", {"source": "x", "enabled": False})):
            assert other.post(f"/api/v1/{path}", body).status_code == 403, (posts, path)
    refused = boss.post(f"/api/v1/users/{boss.login}/revoke")
    assert refused.status_code == 403 and refused.json()["code"] == "CH066"
    assert shared.database.value("SELECT count(*) FROM onemap.account WHERE login = 'mine'") == 0


def test_administrators_who_end_each_other(shared, boss):
    """At the same moment: one of the two is left."""
    pair = Visitor(shared.hubs[0], "admin"), Visitor(shared.hubs[0], "admin")
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda two: two[0].post(f"/api/v1/users/{two[1].login}/revoke").status_code, (pair, pair[::-1])))
    left = shared.database.value("SELECT count(*) FROM onemap.account WHERE login = ANY (%s) AND revoked_at IS NULL", [one.login for one in pair])
    assert left == 1 and answers.count(200) == 1, answers


def test_a_body_that_is_none(boss):
    for body in (b"", b"{", b"[]", b"\xff{}", '{"name": "王五"}'.encode("gbk"), b"{}" * 9000):
        for path in ("users", "tokens"):
            answer = boss.send("POST", f"/api/v1/{path}", data=body, headers={"Content-Type": "application/json"})
            assert answer.status_code in (400, 413, 422), (path, body[:20], answer.text)


def test_an_alarm_rule_is_changed_with_its_source(shared, boss):
    rule = next(one for one in boss.get("/api/v1/alarm_rules?subsystem=dust").json()["rules"] if one["comparison"] == "above")
    path = f"/api/v1/alarm_rules/dust/{rule['rule']}"
    assert boss.post(path, {"threshold": rule["threshold"] + 1}).status_code == 422
    assert boss.post(path, {"threshold": 5, "clear_threshold": 6, "source": "县"}).status_code == 422
    assert boss.post(path, {"threshold": rule["threshold"] + 1, "source": "县环委 12 号"}).status_code == 200
    edited = boss.get("/api/v1/alarm_rules?edited=true").json()["rules"]
    assert [(one["rule"], one["source"], one["threshold"]) for one in edited] == [(rule["rule"], "县环委 12 号", rule["threshold"] + 1)]
    assert shared.database.value("SELECT person FROM onemap.audit_log WHERE action = 'alarm_rule'") == boss.login


# What somebody at the page or a program can meet: the path with the method, what is sent, the code.
REFUSALS = [
    ("GET devices?subsystem=fire", None, "CH013"), ("GET devices?department=moon", None, "CH013"), ("GET devices?grid_cell=000000000000000", None, "CH013"),
    ("GET devices?kind=dragon", None, "CH013"), ("GET devices?at=2999-01-01T00:00:00Z", None, "CH065"), ("GET people?department=moon", None, "CH013"),
    ("GET work/summary?from=2020-01-01&to=2026-01-01", None, "CH013"), ("GET attendance?day=2999-01-01", None, "CH013"), ("GET search?q=a%20b", None, "CH013"),
    ("GET alarms?rule=nothing", None, "CH013"), ("GET alarms?subsystem=fire", None, "CH013"), ("GET cases?state=nothing", None, "CH013"),
    ("GET cases?department=moon", None, "CH016"), ("GET cases?from=2026-10-02&to=2026-10-01", None, "CH013"), ("GET cases?category=999", None, "CH013"),
    ("GET cases?month=2026-10", None, "CH013"), ("GET scores/statistics?from=2026-10-02&to=2026-10-01&by=all", None, "CH030"),
    ("POST users", {}, "CH013"), ("POST users", {"login": "{me}", "name": "某", "posts": ["viewer"]}, "CH018"),
    ("POST users", {"login": "x1", "name": "某", "posts": ["king"]}, "CH013"), ("POST users", {"login": "x2", "name": "某", "posts": ["department"]}, "CH013"),
    ("POST users/{me}/role", {"posts": ["viewer"]}, "CH066"), ("POST users/nobody/revoke", None, "CH013"), ("POST tokens/nothing/revoke", None, "CH013"),
    ("POST tokens", {"name": "A B", "rights": ["read"], "days": 3}, "CH013"), ("POST tokens", {"name": "x", "rights": ["score"], "days": 3}, "CH013"),
    ("POST alarm_rules/dust/pm25_high", {"source": "某", "threshold": 1e9}, "CH013"), ("POST alarm_rules/dust/nothing", {"source": "某", "threshold": 1}, "CH013"),
    ("POST assessments/2026-10/entries", {"department": "moon", "item": "nothing", "score": 1}, "CH030"), ("POST imports/calendar", {"file": 1}, "CH013"),
]


@pytest.mark.parametrize("asked, sent, code", REFUSALS, ids=[f"{place} {asked}" for place, (asked, *_) in enumerate(REFUSALS)])
def test_a_refusal_is_in_the_language_that_is_asked_for(shared, boss, asked, sent, code):
    """Its detail, too: what was wrong, in Chinese unless English is asked for."""
    method, path = asked.replace("{me}", boss.login).split(" ", 1)
    sent = {key: boss.login if value == "{me}" else value for key, value in sent.items()} if sent is not None else None
    zh, en = (boss.send(method, f"/api/v1/{path}", json=sent, headers={"Accept-Language": language}).json() for language in ("zh", "en"))
    assert (zh["code"], en["code"]) == (code, code), (zh, en)
    assert re.match("[一-龥“]", zh["detail"]), zh
    assert not re.search("[一-龥]", en["detail"].replace("某", "")), en
