"""Row rights over all routes: whatever an identity of one department asks for, in whatever form, no answer holds what belongs to the
other department alone, and nobody's what takes a right that he has not. The routes are those of GET /api/v1, their parameters filled
by what the list says of them: a route that is new is asked without a change here, with codes and ids of both departments' rows."""
import base64
import concurrent.futures
import io
import itertools
import random
import re
import zipfile

import pytest
import requests

from harness.people import ORIGIN, Visitor
from harness.planted import MARKS, plant

SHARED_SETTINGS = {"http.origins": ORIGIN}
DAY = "2026-01-01"
EVERYWHERE = ("admin", "supervisor", "acceptor", "registrar", "dispatcher", "leader")  # posts that see all departments


@pytest.fixture(scope="module")
def planted(shared):
    return plant(shared)


@pytest.fixture(scope="module")
def identities(shared, planted):
    """{department: {kind: session}}, and of all departments, {post: session}, under None."""
    hub, made = shared.hubs[0], {None: {}}

    def program(name, **options):
        session = requests.Session()
        session.headers.update(hub.key(name, **options))
        return session
    for code in MARKS:
        made[code] = {"post": Visitor(hub, "department", code).session}
    person = Visitor(hub, "viewer", "alpha")
    made["alpha"] |= {"viewer": person.session, "token": program("own-alpha", rights="read", owner=person.login),
                      "operator": program("all-alpha", rights="read,alarm,operate,command", department="alpha")}
    made[None] = {post: Visitor(hub, post).session for post in EVERYWHERE}
    return made


class Paths:
    """The requests of a route: each way to fill its path, with the query's parameters left out and each of them tried alone."""

    def __init__(self, planted, month):
        self.planted, self.month, self.random = planted, month, random.Random(7)
        self.named = {"number": planted["numbers"], "month": [month], "department": planted["departments"], "subsystem": ["dust"],
                      "year": [month[:4]], "id": planted["ids"], "device": planted["devices"], "devices": planted["devices"],
                      "statistic": ["dispatched"], "lon": [114.78], "lat": [34.55], "sha256": planted["files"],
                      "collection": ["case", "department", "device", "alarm", "component", "zone", "grid_cell"],
                      "fid": [*planted["departments"], *planted["numbers"], *planted["ids"]]}

    def values(self, parameter):
        """By name, where it is one of those that are everywhere the same; else by type: whatever of its kind is planted."""
        kind = parameter["type"]
        if parameter["name"] in self.named:
            return self.named[parameter["name"]]
        if parameter["name"] == "limit":
            return [parameter["maximum"]]
        if "enum" in parameter:
            return parameter["enum"]
        if "description" in parameter and kind == "string" and "minLength" not in parameter:
            return [DAY]
        if kind == "integer" or kind == "number":
            low, high = parameter.get("minimum", 0), parameter.get("maximum", 2**31)
            return [value for value in (*self.planted["ids"], low, high) if low <= value <= high][:12] or [low]
        fixed = {"boolean": ["true", "false"], "array": ["114,34,115,35"]}
        return fixed.get(kind) or [*MARKS.values(), *MARKS, *self.planted["codes"], *self.planted["numbers"]]

    def of(self, route):
        inside = [p for p in route["parameters"] if p["in"] == "path"]
        always = [p for p in route["parameters"] if p["in"] == "query" and (p["required"] or p["name"] in ("limit", "month"))]
        others = [p for p in route["parameters"] if p["in"] == "query" and p not in always]
        ways = list(itertools.product(*(self.values(p) for p in inside)))
        widest = itertools.product(*([p["minimum"]] if p["type"] == "integer" and p["name"] not in self.named else self.values(p) for p in inside))
        for way in [*self.random.sample(ways, min(len(ways), 8)), *itertools.islice(widest, 8 if len(ways) > 8 else 0)]:
            path = route["path"]
            for parameter, value in zip(inside, way):
                path = path.replace("{%s}" % parameter["name"], str(value))
            for months in (True, False) if any(p["name"] == "month" and not p["required"] for p in always) else (True,):
                for n in range(2 if any(p["required"] for p in always) else 1):
                    yield path, {p["name"]: self.values(p)[n % len(self.values(p))] for p in always if p["name"] != "month" or months}
        for parameter in others:  # on the first way
            values = self.values(parameter)
            most = 2 if parameter["type"] in ("string", "integer") and "enum" not in parameter else 1
            for value in self.random.sample(values, min(len(values), most)):
                query = {p["name"]: self.values(p)[0] for p in always if p["required"] or parameter["name"] == "statistic" or p["name"] == "limit"}
                yield path, {**query, parameter["name"]: value}


def opened(answer):
    """As it can be searched: of a workbook, which is deflated, all that is inside."""
    if not answer.startswith(b"PK\x03\x04"):
        return answer
    with zipfile.ZipFile(io.BytesIO(answer)) as book:
        return b"\n".join(book.read(name) for name in book.namelist())


def ask(session, url, path, query, endless):
    """The status, and the bytes of the answer; of one without an end what comes before nothing comes for a while."""
    pieces = []
    with session.get(url + path, params=query, timeout=(30, 0.5 if endless else 30), stream=True) as response:
        try:
            for piece in response.iter_content(None):
                pieces.append(piece)
        except requests.exceptions.ConnectionError:
            assert endless
        return response.status_code, opened(b"".join(pieces))


def holds(answer, mark):
    """The mark as it is, or in base64 as the beginning of a payload. Not in the addresses of links, which repeat what was asked for."""
    answer = re.sub(rb'"href": "[^"]*"', b"", answer)
    return mark.encode() in answer or base64.b64encode(mark.encode())[:10] in answer


def test_no_answer_has_another_departments_rows(shared, planted, identities):
    hub = shared.hubs[0]
    month = shared.database.value("SELECT to_char(onemap.local_time(now()), 'YYYY-MM')")
    routes = [route for route in requests.get(hub.http_url + "/api/v1", timeout=30).json()["routes"] if route["method"] == "GET"]
    assert len(routes) > 20
    paths = Paths(planted, month)
    wanted = [(route, path, query) for route in routes for path, query in paths.of(route)]
    leaks, seen, statuses, lacking = [], {}, {}, {}  # lacking: the routes that take another right
    print(len(routes), "routes,", len(wanted), "requests each")

    def walk(code, kind, session):
        url, found = hub.http_url, []
        rights = {"anyone", "identity", *session.get(url + "/api/v1/me", timeout=30).json()["rights"]}
        lacking[code, kind] = {route["path"] for route in routes if route["right"] not in rights}
        for route, path, query in wanted:
            status, answer = ask(session, url, path, query, route["content_type"].startswith("text/event-stream"))
            found.append((route["path"], path, query, status, [mark for mark in MARKS.values() if holds(answer, mark)], answer))
        return code, kind, found
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        walks = [pool.submit(walk, code, kind, session) for code, kinds in identities.items() for kind, session in kinds.items()]
        for code, kind, found in (one.result() for one in walks):
            for pattern, path, query, status, marks, answer in found:
                statuses.setdefault(pattern, set()).add(status)
                assert status < 500, (kind, path, query, answer[:500])
                assert status in (400, 403) or pattern not in lacking[code, kind], (kind, path, query, status, answer[:500])
                told = [mark for mark in marks if status < 400 or mark not in path + str(query)]  # a refusal repeats what was sent
                seen.setdefault((code or kind, pattern), set()).update(told)
                for other, mark in MARKS.items():
                    if code is not None and other != code and mark in told:
                        leaks.append(f"{code} {kind}: {path} {query} has {mark}: {answer[:200]}")
    assert not leaks, "\n".join(leaks[:40])
    unasked = [pattern for pattern, found in statuses.items() if not found & {200, 204, 304}]
    assert set(unasked) <= {"/api/v1/publications/{month}", "/readyz", "/", "/assets/{file}", "/api/v1/exchange/{county}/ledger/records",
                            "/api/v1/basemaps/{name}/{layer}/{z}/{x}/{y}", *(f"/open311/v2/{what}.{form}" for form in (
        "json", "xml") for what in ("services/{code}", "requests/{id}", "tokens/{id}"))}, f"never answered: {unasked}, {statuses}"
    # The test can fail: who sees all sees both marks, and each department its own, on these.
    lists = [f"/api/v1/{name}{form}" for name in ("cases", "alarms", "devices", "work", "attendance") for form in (".csv", ".xlsx")]
    for pattern in (*lists, "/api/v1/cases", "/api/v1/cases/{number}", "/api/v1/alarms", "/api/v1/alarms/{id}", "/api/v1/assessments/{month}/entries",
                    "/api/v1/devices", "/api/v1/devices/{id}", "/api/v1/people", "/api/v1/work", "/api/v1/orders", "/api/v1/orders/{number}",
                    "/api/v1/orders/{number}/attachments/{sha256}", "/api/v1/attachments/{sha256}", "/api/v1/search", "/api/v1/nearby",
                    "/ogc/collections/{collection}/items"):
        assert all(seen[post, pattern] == set(MARKS.values()) for post in EVERYWHERE), (pattern, seen)
        assert all(seen[code, pattern] == {mark} for code, mark in MARKS.items()), (pattern, seen)
    for pattern in ("/api/v1/quarantine/{id}", "/api/v1/terminals", "/api/v1/terminals.csv", "/api/v1/terminals.xlsx", "/api/v1/terminals/{id}",
                    "/api/v1/terminals/{id}/commands", "/api/v1/media/{id}", "/api/v1/vendors/conformity.csv", "/api/v1/vendors/conformity.xlsx"):
        assert seen["admin", pattern] == set(MARKS.values()) and seen["alpha", pattern] == {MARKS["alpha"]}, pattern
        for post in EVERYWHERE:
            assert seen[post, pattern] == (set() if pattern in lacking[None, post] else set(MARKS.values())), (post, pattern, seen)


def test_a_case_that_went_on(shared, planted, identities):
    """Its first department reads it up to there."""
    number = planted["numbers"][-1]
    path = f"{shared.hubs[0].http_url}/api/v1/cases/{number}"
    first, second = (identities[code]["post"].get(path, timeout=30) for code in MARKS)
    was, now = first.json(), second.json()
    assert was["past"] is True and MARKS["beta"] not in first.text
    assert "past" not in now and MARKS["beta"] in second.text
    went = next(step for step in now["journal"] if step["previous_department"] == "alpha")
    before = now["journal"][went["seq"] - 2]
    assert (was["left_at"], was["state"], was["department"], was["version"]) == (went["at"], before["to_state"], "alpha", before["seq"])
    assert was["deadline_at"] == before["deadline_at"] and "clock" not in was and "can" not in was
    shown = was["journal"][-1]
    assert (shown["seq"], shown["deadline_at"], shown["limit_value"], shown["detail"]) == (went["seq"], None, None, {})
