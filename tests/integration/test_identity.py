"""People and programs at the HTTP server: logins, cookies, tokens, rights, and what becomes of them when they are revoked. Each test
comes from an address of its own (the hub believes this machine's X-Forwarded-For), so that no test is delayed by another's tries."""
import base64
import concurrent.futures
import contextlib
import itertools
import json
import os
import pathlib
import re
import subprocess
import threading
import time

import pytest
import requests
from harness import paths
from harness.process import wait_until

PLAIN, SECURE = "http://hub.example", "https://hub.example"
PORTAL = "https://portal.example.cn"
SHARED_SETTINGS = {"http.origins": f"{PLAIN} {SECURE}", "http.cors": f"http://10.1.1.1:8081 {PORTAL}", "http.proxies": "127.0.0.1", "hub.log_level": "debug"}
addresses = (f"10.20.{n >> 8}.{n & 255}" for n in itertools.count(1))
logins = (f"person{n}" for n in itertools.count(1))
PASSWORD = "一个很长的密码 2026"
told = [PASSWORD]  # every password and token of this file: none may stand in a log


class Person:
    """Somebody with a login, at an address, with a browser on a page of the hub."""
    password_hash = None

    def __init__(self, hub, posts="viewer", origin=PLAIN, **settings):
        self.hub, self.login, self.address, self.origin = hub, next(logins), next(addresses), origin
        self.cookies, self.password = {}, PASSWORD
        request = {"login": self.login, "name": "某某", "posts": posts, "password_hash": self.hash(hub), **settings}
        hub.database.query("SELECT onemap.user_add(%s)", json.dumps(request))

    @classmethod
    def hash(cls, hub):
        """Of everybody's password: one is typed at the command, and the others get its hash."""
        if not cls.password_hash:
            hub.run("user", "add", "first", "--name", "某某", "--posts", "viewer", "--password-file", "-", input=PASSWORD + "\n")
            cls.password_hash = hub.database.value("SELECT password_hash FROM onemap.account WHERE login = 'first'")
        return cls.password_hash

    def send(self, method, path, origin="own", headers=None, **options):
        own = {"X-Forwarded-For": self.address, "Accept-Language": "en"}
        if origin is not None and method != "GET":
            own["Origin"] = self.origin if origin == "own" else origin
        if self.cookies:
            own["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return requests.request(method, self.hub.http_url + path, headers={**own, **(headers or {})}, timeout=60, **options)

    def get(self, path, **options):
        return self.send("GET", path, **options)

    def enter(self, password=None, login=None, **options):
        response = self.send("POST", "/api/v1/login", json={"login": login or self.login, "password": password or self.password}, **options)
        if response.status_code == 200:
            name, value = response.headers["Set-Cookie"].split(";")[0].split("=")
            told.append(value)
            self.cookies = {name: value}
        return response


@pytest.fixture
def hub(shared):
    return shared.hubs[0]


def problem(response, status, code):
    assert response.status_code == status, f"{response.status_code}: {response.text}"
    assert response.json()["code"] == code, response.text
    return response.json()


def token(hub, name, *options):
    made = hub.run("token", "add", name, *options).stdout.split()[-1]
    told.append(made)
    return made


def bearer(secret):
    return {"Authorization": f"Bearer {secret}", "X-Forwarded-For": next(addresses)}


def audit(shared, person):
    return [action for action, in shared.database.query("SELECT action FROM onemap.audit_log WHERE person = %s ORDER BY id", person)]


# ---- logging in

def test_login_and_logout(hub, shared):
    person = Person(hub, "dispatcher,viewer")
    response = person.enter()
    assert response.status_code == 200, response.text
    assert {key: response.json()[key] for key in ("kind", "login", "name", "posts", "rights")} == {
        "kind": "person", "login": person.login, "name": "某某", "posts": ["dispatcher", "viewer"], "rights": ["alarm", "command", "read"]}
    assert "id" not in response.json() and response.headers["Cache-Control"] == "no-store"
    me = person.get("/api/v1/me")
    assert (me.status_code, me.json()["login"], me.json()["address"], me.json()["all_departments"]) == (200, person.login, person.address, True)
    assert me.json()["expires_at"] == response.json()["expires_at"] and "session" not in me.json()
    assert "Authorization, Cookie" in me.headers["Vary"] and me.headers["Cache-Control"] == "no-store"
    assert person.get("/api/v1/subsystems").status_code == 200
    problem(person.get("/metrics"), 403, "CH064")
    left = person.send("POST", "/api/v1/logout")
    assert left.status_code == 204 and "Max-Age=0" in left.headers["Set-Cookie"]
    problem(person.get("/api/v1/me"), 401, "CH060")
    assert audit(shared, person.login) == ["login", "POST /api/v1/logout"]
    rows = shared.database.query("SELECT DISTINCT host(address) FROM onemap.audit_log WHERE person = %s", person.login)
    assert rows == [(person.address,)]


@pytest.mark.parametrize("origin, name, secure", [(PLAIN, "cityhub_session", False), (SECURE, "__Host-cityhub_session", True)])
def test_cookie(hub, origin, name, secure):
    person = Person(hub, origin=origin)
    attributes = [part.strip() for part in person.enter().headers["Set-Cookie"].split(";")]
    assert re.fullmatch(name + "=[A-Za-z0-9_-]{43}", attributes[0])
    assert set(attributes[1:]) == {"Path=/", "HttpOnly", "SameSite=Strict"} | ({"Secure"} if secure else set())
    assert person.get("/api/v1/me").status_code == 200
    left = person.send("POST", "/api/v1/logout")
    assert left.headers["Set-Cookie"].startswith(name + "=;") and ("Secure" in left.headers["Set-Cookie"]) == secure


def test_wrong_passwords_are_one_answer(hub, shared):
    """An unknown login and a wrong password: the same answer, and about the same time."""
    person, times = Person(hub), {True: [], False: []}
    stranger = Person(hub)
    answers = set()
    for _ in range(4):
        for known in (True, False):
            begun = time.monotonic()
            response = (person if known else stranger).enter("wrong-password", None if known else "nobody.at.all")
            times[known].append(time.monotonic() - begun)
            problem(response, 401, "CH061")
            answers.add((response.text, tuple(sorted(set(response.headers) - {"Date"}))))
            assert response.headers["WWW-Authenticate"].startswith("Bearer") and "Set-Cookie" not in response.headers
    assert len(answers) == 1
    # Argon2id takes most of both; a look that is left out would be many times shorter.
    assert 0.4 < min(times[True]) / min(times[False]) < 2.5, times
    wait_until(lambda: audit(shared, person.login) == ["login_failed"] * 4, 30, "wrong passwords of a person are noted")


def test_tries_are_delayed_by_account(hub):
    person = Person(hub)
    others = [Person(hub) for _ in range(2)]
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        statuses = list(pool.map(lambda n: others[n % 2].enter("wrong-password", person.login).status_code, range(12)))
    assert statuses.count(401) >= 6 and set(statuses) == {401, 429}
    while (refused := person.enter("wrong-password")).status_code == 401:  # from elsewhere: this account waits, each time longer
        pass
    document = problem(refused, 429, "CH063")
    assert 1 <= int(refused.headers["Retry-After"]) <= 30 and refused.headers["Retry-After"] in document["detail"]
    assert others[0].enter().status_code == 200  # and no other
    wait_until(lambda: person.enter().status_code == 200, 30, "the delay ends")


def test_tries_are_delayed_by_address(hub):
    person = Person(hub)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        statuses = list(pool.map(lambda n: person.enter("wrong-password", f"guess{n}.{person.login}").status_code, range(21)))
    assert statuses.count(401) >= 20
    more = next(n for n in itertools.count() if person.enter("wrong-password", f"more{n}.{person.login}").status_code == 429)
    assert more < 12  # each try is delayed twice as long as the one before
    problem(person.enter(login=f"guess99.{person.login}"), 429, "CH063")
    person.address = next(addresses)
    assert person.enter().status_code == 200


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"login": "a"}', '{"login": 1, "password": "x"}', '{"login": "", "password": "x"}',
                                  '{"login": "a", "password": "' + "x" * 257 + '"}', '{"login": "' + "a" * 64 + '", "password": "x"}', '{"login": '],
                         ids=range(9))
def test_login_body(hub, body):
    response = requests.post(hub.http_url + "/api/v1/login", data=body, headers={"Content-Type": "application/json"}, timeout=30)
    problem(response, 400, "CH044")


def test_login_of_other_forms(hub):
    person = Person(hub)
    form = requests.post(hub.http_url + "/api/v1/login", data={"login": person.login, "password": person.password}, timeout=30)
    problem(form, 415, "CH046")  # what a page of another site could send without asking
    problem(person.enter(origin="http://evil.example"), 403, "CH062")
    problem(person.enter(headers={"Sec-Fetch-Site": "cross-site"}), 403, "CH062")
    assert person.enter(origin=None).status_code == 200  # curl
    problem(person.enter("x" * 200, login="' OR 1=1 --"), 401, "CH061")


def test_session_is_made_anew(hub, shared):
    """Who logs in gets a session that nobody knew before, and the one that came along ends."""
    person = Person(hub)
    person.cookies = {"cityhub_session": "A" * 43}
    person.enter()
    first = dict(person.cookies)
    assert first["cityhub_session"] != "A" * 43
    person.enter()
    second, person.cookies = person.cookies, first
    problem(person.get("/api/v1/me"), 401, "CH060")
    person.cookies = second
    assert person.get("/api/v1/me").status_code == 200
    shared.database.query("INSERT INTO onemap.session (hash, account_id, expires_at) SELECT sha256(n::text::bytea), a.id, now() + interval '1 hour'"
                          " FROM generate_series(1, 25) n, onemap.account a WHERE a.login = %s", person.login)
    assert person.enter().status_code == 200  # no more than 20 at a time
    assert shared.database.value("SELECT count(*) FROM onemap.session s JOIN onemap.account a ON a.id = s.account_id WHERE a.login = %s",
                                 person.login) == 20


@pytest.mark.parametrize("change, status", [
    ("expires_at = now() - interval '1 second'", 401), ("last_used_at = now() - interval '31 minutes'", 401),
    ("opened_at = now() + interval '1 day'", 401), ("last_used_at = now() + interval '1 day'", 401),
    ("last_used_at = now() - interval '29 minutes'", 200)], ids=["over", "idle", "clock went back", "used in the future", "used"])
def test_session_ends(hub, shared, change, status):
    person = Person(hub, posts="acceptor")
    person.enter()
    where = "WHERE account_id = (SELECT id FROM onemap.account WHERE login = %s)"
    shared.database.query(f"UPDATE onemap.session SET {change} {where}", person.login)
    assert person.get("/api/v1/me").status_code == status
    if status == 200:  # and its idle time begins anew
        wait_until(lambda: shared.database.value(f"SELECT last_used_at > now() - interval '1 minute' FROM onemap.session {where}", person.login), 30,
                   "the use is noted")


def test_own_password(hub, shared):
    person, wanted = Person(hub), "另一个更长的密码 2027"
    told.append(wanted)
    person.enter()
    other, person.cookies = person.cookies, {}
    person.enter()

    def change(password=PASSWORD, new_password=wanted, **options):
        return person.send("POST", "/api/v1/me/password", json={"password": password, "new_password": new_password}, **options)
    problem(change(origin=None), 403, "CH062")
    for flawed in ("short", "aaaaaaaaaaaaa", f"1 {person.login} 2", PASSWORD, "x" * 257, None, 5):
        problem(change(new_password=flawed), 400, "CH044")
    for body in ({}, [], {"password": PASSWORD}, {"new_password": wanted}, {"password": ["x"], "new_password": wanted}):
        problem(person.send("POST", "/api/v1/me/password", json=body), 400, "CH044")
    assert "the new password has fewer than 10 characters" in change(new_password="short").json()["detail"]
    assert problem(change("wrong-password"), 401, "CH061")["detail"] == "the present password is wrong"
    done = change()
    assert (done.status_code, done.json()) == (200, {"login": person.login, "sessions": 1}) and "Set-Cookie" not in done.headers
    assert person.get("/api/v1/me").status_code == 200  # this session goes on
    problem(change(), 401, "CH061")
    person.cookies = other
    problem(person.get("/api/v1/me"), 401, "CH060")
    person.cookies = {}
    problem(change(), 401, "CH060")
    problem(person.enter(), 401, "CH061")
    assert person.enter(wanted).status_code == 200
    wait_until(lambda: sorted(audit(shared, person.login)) == ["login"] * 3 + ["login_failed"] * 3 + ["password"], 30, "all of it is noted")
    assert shared.database.value("SELECT count(*) FROM onemap.audit_log WHERE detail::text ~ '密码|argon2id'") == 0


def test_own_password_is_not_guessed(hub):
    """By whoever found a session open: wrong ones are delayed, and count with those of the login."""
    person = Person(hub)
    person.enter()

    def change(password):
        return person.send("POST", "/api/v1/me/password", json={"password": password, "new_password": "x" + PASSWORD})
    while (refused := change("wrong-password")).status_code == 401:
        pass
    assert int(problem(refused, 429, "CH063") and refused.headers["Retry-After"]) >= 1
    person.address = next(addresses)
    assert change("wrong-password").status_code == 429  # the account, from wherever
    assert person.get("/api/v1/me").status_code == 200


def test_a_program_has_no_password(hub):
    secret = token(hub, "no-password")
    problem(requests.post(hub.http_url + "/api/v1/me/password", headers=bearer(secret), json={"password": PASSWORD, "new_password": "x" + PASSWORD},
                          timeout=30), 403, "CH064")


# ---- other sites' pages

def test_writes_need_an_origin(hub):
    person = Person(hub)
    person.enter()
    for origin, headers in ((None, {}), ("http://evil.example", {}), ("null", {}), (PLAIN + ".evil.example", {}), (PLAIN + ":81", {}),
                            (PLAIN, {"Sec-Fetch-Site": "cross-site"}), (PLAIN, {"Sec-Fetch-Site": "same-site"})):
        problem(person.send("POST", "/api/v1/logout", origin=origin, headers=headers), 403, "CH062")
    assert person.get("/api/v1/me", headers={"Origin": "http://evil.example"}).status_code == 200  # reads nothing for another page: no CORS
    assert "Access-Control-Allow-Origin" not in person.get("/api/v1/me").headers
    assert person.send("POST", "/api/v1/logout", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 204


def test_origins_of_a_county_with_tls_alone(site):
    hub = site.hub({"http.origins": SECURE})
    person = Person(hub, origin=SECURE)
    assert "Secure" in person.enter(origin=None).headers["Set-Cookie"]
    value = person.cookies["__Host-cityhub_session"]
    assert person.get("/api/v1/me").status_code == 200
    person.cookies = {"cityhub_session": value}  # could have been put there by anybody on the way
    problem(person.get("/api/v1/me"), 401, "CH060")
    problem(person.enter(origin=PLAIN), 403, "CH062")
    # Without [http] proxies nobody's word is taken for an address.
    assert site.database.value("SELECT DISTINCT host(address) FROM onemap.session") == "127.0.0.1"


def test_pages_of_other_systems(hub):
    """What [http] cors names may ask, with a token, and read what is answered, also a refusal; with a cookie it may nothing."""
    def said(answer):
        return {name[len("Access-Control-"):]: value for name, value in answer.headers.items() if name.startswith("Access-Control-")}

    def preflight(path, origin, method="GET"):
        headers = {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": "authorization"}
        return requests.options(hub.http_url + path, headers=headers, timeout=30)
    secret = token(hub, "portal")
    for path, method in (("/api/v1/devices", "GET"), ("/api/v1/stream", "GET"), ("/api/v1/alarms/1/comments", "POST"), ("/ogc", "GET"),
                         ("/api/v1/tiles/device/1/0/0.mvt", "GET"), ("/api/v1/subscriptions/1", "DELETE")):
        answer = preflight(path, PORTAL, method)
        allowed = said(answer)
        assert answer.status_code == 204 and allowed["Allow-Origin"] == PORTAL and method in allowed["Allow-Methods"].split(", ")
        assert {"Authorization", "Content-Type", "If-None-Match", "Last-Event-ID"} <= set(allowed["Allow-Headers"].split(", ")) and int(allowed["Max-Age"]) > 0
    for origin in ("http://10.1.1.1:8081", PORTAL):
        answer = requests.get(hub.http_url + "/api/v1/devices", headers={**bearer(secret), "Origin": origin}, timeout=30)
        assert answer.status_code == 200 and said(answer)["Allow-Origin"] == origin and "Origin" in answer.headers["Vary"]
        assert {"ETag", "Retry-After", "Location", "Content-Crs"} <= set(said(answer)["Expose-Headers"].split(", "))
        again = requests.get(hub.http_url + "/api/v1/devices", headers={**bearer(secret), "Origin": origin, "If-None-Match": answer.headers["ETag"]}, timeout=30)
        assert again.status_code == 304 and said(again)["Allow-Origin"] == origin
    for path, key, status in (("/api/v1/devices", {}, 401), ("/api/v1/nothing", bearer(secret), 404), ("/api/v1/devices?x=1", bearer(secret), 400)):
        answer = requests.get(hub.http_url + path, headers={**key, "Origin": PORTAL}, timeout=30)
        assert answer.status_code == status and said(answer)["Allow-Origin"] == PORTAL  # it can tell its user why
    for origin in ("https://evil.example", "null", PORTAL + ".evil.example", PORTAL + ":8443", "http://portal.example.cn", "*"):
        for answer in (preflight("/api/v1/devices", origin), requests.get(hub.http_url + "/api/v1/devices", headers={**bearer(secret), "Origin": origin}, timeout=30)):
            assert not said(answer) and "Origin" in answer.headers["Vary"], origin  # a cache keeps it apart from what the others are answered
    person = Person(hub)
    person.enter()
    assert "Allow-Credentials" not in said(person.get("/api/v1/me", headers={"Origin": PORTAL}))
    problem(person.send("POST", "/api/v1/logout", origin=PORTAL), 403, "CH062")
    problem(Person(hub).enter(origin=PORTAL), 403, "CH062")


# ---- tokens

def test_token(hub, shared):
    secret = token(hub, "reader", "--days", "7")
    assert re.fullmatch("cht_[A-Za-z0-9_-]{43}", secret)
    me = requests.get(hub.http_url + "/api/v1/me", headers=bearer(secret), timeout=30).json()
    assert (me["kind"], me["login"], me["posts"], me["rights"], me["all_departments"]) == ("token", "token:reader", [], ["read"], True)
    assert requests.get(hub.http_url + "/api/v1/subsystems", headers=bearer(secret), timeout=30).status_code == 200
    problem(requests.get(hub.http_url + "/metrics", headers=bearer(secret), timeout=30), 403, "CH064")
    wait_until(lambda: "10.20." in (hub.run("token", "list", "--csv").stdout.split("reader")[1].split("\n")[0]), 30, "the last use is noted")
    basic = requests.get(hub.http_url + "/api/v1/me", auth=("whoever", secret), timeout=30)
    assert basic.status_code == 200 and basic.json()["login"] == "token:reader"
    problem(requests.post(hub.http_url + "/api/v1/logout", auth=("whoever", secret), timeout=30), 403, "CH062")
    assert requests.post(hub.http_url + "/api/v1/logout", headers=bearer(secret), timeout=30).status_code == 204  # nothing to end
    hub.run("token", "revoke", "reader")
    problem(requests.get(hub.http_url + "/api/v1/me", headers=bearer(secret), timeout=30), 401, "CH060")
    assert "reader" in hub.run("token", "list", "--all").stdout and "reader" not in hub.run("token", "list").stdout
    assert "or was, a token" in hub.run("token", "add", "reader", code=1).stderr


def test_monitoring_from_elsewhere(hub):
    secret = token(hub, "prometheus", "--rights", "operate")
    assert requests.get(hub.http_url + "/metrics", headers=bearer(secret), timeout=30).status_code == 200
    problem(requests.get(hub.http_url + "/api/v1/subsystems", headers=bearer(secret), timeout=30), 403, "CH064")


def test_token_that_ends(hub, shared):
    secret = token(hub, "short")
    for change in ("expires_at = now() - interval '1 second'", "created_at = now() + interval '1 day', expires_at = now() + interval '2 days'"):
        shared.database.query(f"UPDATE onemap.token SET {change} WHERE name = 'short'")
        problem(requests.get(hub.http_url + "/api/v1/me", headers=bearer(secret), timeout=30), 401, "CH060")


def test_token_of_a_person(hub, shared):
    """No more than the person may, at any time, and gone with the person."""
    shared.database.query("INSERT INTO onemap.department (code, name_zh, kind) VALUES ('parks', '园林', 'county'), ('west', '西园', 'county')"
                          " ON CONFLICT DO NOTHING")
    shared.database.query("UPDATE onemap.department SET parent_id = (SELECT id FROM onemap.department WHERE code = 'parks') WHERE code = 'west'")
    person = Person(hub, "department", department="parks")
    secret = token(hub, "of-a-person", "--rights", "read,operate,alarm", "--owner", person.login)

    def me():
        return requests.get(hub.http_url + "/api/v1/me", headers=bearer(secret), timeout=30).json()
    assert (me()["rights"], me()["department"], me()["all_departments"]) == (["alarm", "read"], "parks", False)
    hub.run("user", "role", person.login, "--posts", "viewer")
    assert me()["rights"] == ["read"]
    hub.run("user", "role", person.login, "--posts", "admin", "--no-department")
    assert me()["rights"] == ["alarm", "operate", "read"] and me()["all_departments"]
    hub.run("user", "revoke", person.login)
    assert me()["code"] == "CH060"


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Bearer cht_", "Bearer " + "x" * 43, "Bearer a b", "Bearer a,b", "Bearer " + "x" * 500, "Digest x",
                                    "Basic", "Basic !", "Basic eDp5", "Basic " + base64.b64encode(b"user:").decode(),
                                    "Basic " + base64.b64encode(b"no colon").decode(), "Basic " + base64.b64encode(b"u:\0\xff").decode(), ""], ids=range(15))
def test_forged_header(hub, header):
    problem(requests.get(hub.http_url + "/api/v1/subsystems", headers={"Authorization": header}, timeout=30), 401, "CH060")
    # Nor does it open on this machine what is open there without.
    problem(requests.get(hub.http_url + "/metrics", headers={"Authorization": header}, timeout=30), 401, "CH060")


@pytest.mark.parametrize("cookie", ["cityhub_session=", "cityhub_session=" + "x" * 43, "cityhub_session", "=;;=", "__Host-cityhub_session=x", "x=y"], ids=range(6))
def test_forged_cookie(hub, cookie):
    headers = {"Cookie": cookie, "X-Forwarded-For": next(addresses)}
    problem(requests.get(hub.http_url + "/api/v1/me", headers=headers, timeout=30), 401, "CH060")


# ---- revoked

@pytest.mark.parametrize("how", [("revoke",), ("password", "--generate-password")], ids=["revoked", "another password"])
def test_out_at_once(hub, how):
    person = Person(hub)
    person.enter()
    clients = [dict(person.cookies)]
    person.cookies = {}
    person.enter()
    clients.append(person.cookies)
    assert "2" in hub.run("user", "list", "--csv").stdout.split(person.login)[1].split("\n")[0]
    changed = hub.run("user", how[0], person.login, *how[1:])
    assert "2 sessions" in changed.stdout
    for person.cookies in clients:
        problem(person.get("/api/v1/me"), 401, "CH060")
    person.cookies = {}
    problem(person.enter(), 401, "CH061")
    if how[0] == "password":
        person.password = changed.stdout.split()[-1]
        told.append(person.password)
        assert person.enter().status_code == 200
    else:
        back = hub.run("user", "add", person.login, "--name", "某某", "--posts", "viewer", "--generate-password").stdout
        told.append(back.split()[-1])
        assert person.enter(back.split()[-1]).status_code == 200


def test_posts_hold_from_the_next_request(hub):
    person = Person(hub, "admin")
    person.enter()
    assert person.get("/metrics").status_code == 200
    hub.run("user", "role", person.login, "--posts", "viewer")
    problem(person.get("/metrics"), 403, "CH064")
    assert person.get("/api/v1/me").json()["posts"] == ["viewer"]


# ---- commands

def test_passwords_that_are_refused(hub):
    for password, words in (("short", "fewer than 10"), ("a" * 20, "different"), ("xx-somebody-yy", "login"), ("x" * 300, "more than 256"),
                            ("tab\there-is-one", "control")):
        done = hub.run("user", "add", "somebody", "--name", "x", "--posts", "viewer", "--password-file", "-", input=password + "\n", code=1)
        assert words in done.stderr and password not in done.stderr
    assert "somebody" not in hub.run("user", "list").stdout


def test_commands_say_what_is_wrong(hub, tmp_path):
    person = Person(hub)
    for arguments, words in ((("add", person.login, "--name", "x", "--posts", "viewer"), "already"), (("add", "new", "--name", "x", "--posts", "boss"), "no post"),
                             (("add", "new", "--name", "x", "--posts", "department"), "needs a department"),
                             (("add", "new", "--name", "x", "--posts", "viewer", "--department", "moon"), "no department"),
                             (("password", "nobody"), "no user")):
        assert words in hub.run("user", *arguments, "--generate-password", code=None).stderr
    assert "no user" in hub.run("user", "revoke", "nobody", code=2).stderr
    assert "never an argument" in hub.run("user", "password", person.login, "--password", "x", code=2).stderr
    assert "no right" in hub.run("token", "add", "new", "--rights", "everything", code=2).stderr
    assert "no terminal" in subprocess.run([paths.cityhub(), "--config", hub.config_path, "user", "password", person.login], text=True,
                                           stdin=subprocess.DEVNULL, capture_output=True, start_new_session=True, timeout=60).stderr
    (tmp_path / "password").write_text("a-password-of-a-file\nand more\n")
    hub.run("user", "password", person.login, "--password-file", tmp_path / "password")
    assert person.enter("a-password-of-a-file").status_code == 200
    told.append("a-password-of-a-file")


# ---- many

def test_flood_of_logins(hub):
    """Argon2id is two at a time and the queue bounded: health answers meanwhile, and so does who is in."""
    people = [Person(hub) for _ in range(3)]
    people[0].enter()
    refused = hub.metric("cityhub_http_logins_refused_total")

    def strike(number):
        flooder = requests.post(hub.http_url + "/api/v1/login", json={"login": f"flood{number}", "password": "wrong-password"},
                                headers={"X-Forwarded-For": f"10.99.{number}.1"}, timeout=60)
        return flooder.status_code
    with concurrent.futures.ThreadPoolExecutor(60) as pool:
        flood = [pool.submit(strike, number) for number in range(70)]
        waits, threads = [], set()
        while not all(one.done() for one in flood):
            begun = time.monotonic()
            assert hub.get("/healthz").status_code == 200
            waits.append(time.monotonic() - begun)
            assert people[0].get("/api/v1/me").status_code == 200
            threads.add(hub.metric("cityhub_http_logins"))
    statuses = [one.result() for one in flood]
    assert {401, 503} <= set(statuses) <= {401, 503, 504} and max(threads) <= 32, (statuses, threads)
    assert statuses.count(503) == hub.metric("cityhub_http_logins_refused_total") - refused
    assert sorted(waits)[len(waits) // 2] < 0.5, waits
    assert people[1].enter().status_code == 200


def test_clients_that_leave(hub):
    person = Person(hub)
    for _ in range(4):
        try:
            requests.post(hub.http_url + "/api/v1/login", json={"login": person.login, "password": person.password}, timeout=0.02)
        except requests.exceptions.RequestException:
            pass
    wait_until(lambda: hub.metric("cityhub_http_logins") == 0, 30, "nobody waits any more")
    assert person.enter().status_code in (200, 429)


def test_hub_without_settings(site):
    """Pages of this machine alone; the database away: nobody comes in, and nobody is forgotten; the end while people log in."""
    hub = site.hub()
    person = Person(hub, origin=f"http://localhost:{hub.http_port}")
    problem(person.enter(origin="http://localhost:1"), 403, "CH062")
    assert "Secure" not in person.enter().headers["Set-Cookie"]
    site.database.cluster.stop()
    try:
        wait_until(lambda: person.get("/api/v1/me").status_code == 503, 30, "nobody is let in unasked")
        wait_until(lambda: person.enter(origin=None).status_code == 503, 30, "nor logs in")
        assert hub.get("/healthz").status_code == 200 and hub.get("/metrics").status_code == 200
    finally:
        site.database.cluster.start()
    wait_until(lambda: person.get("/api/v1/me").status_code == 200, 60, "the session is still there")
    ended = threading.Event()
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        def enter_until_it_is_gone():
            with contextlib.suppress(requests.exceptions.ConnectionError):
                while not ended.is_set():
                    person.enter(origin=None)
        entering = [pool.submit(enter_until_it_is_gone) for _ in range(12)]
        try:
            wait_until(lambda: hub.metric("cityhub_http_logins") > 2, 30, "some wait")
            hub.stop()  # nothing is left allocated
        finally:
            ended.set()
        for one in entering:
            one.result()


# ---- at the end of the file

def test_nothing_of_it_in_logs(hub, shared):
    """Neither in the logs of the hub and the server, nor in the command lines of what ran, nor in the database."""
    assert len(told) > 20
    logs = [path for path in pathlib.Path(shared.folder).rglob("*.log")] + [shared.database.cluster.process.log_path]
    for path in logs:
        text = path.read_text(errors="replace")
        assert not [secret for secret in told if secret in text], f"{path} has a secret"
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = path.read_bytes().decode(errors="replace")
        except OSError:
            continue
        assert os.getpid() == int(path.parent.name) or not [secret for secret in told if secret in text], path
    stored = shared.database.value("SELECT string_agg(x::text, ' ') FROM (SELECT a::text FROM onemap.account a UNION ALL SELECT s::text FROM onemap.session s"
                                   " UNION ALL SELECT t::text FROM onemap.token t UNION ALL SELECT l::text FROM onemap.audit_log l) AS r (x)")
    assert not [secret for secret in told if secret in stored]
