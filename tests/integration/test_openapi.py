"""GET /api/v1/openapi.json: it is an OpenAPI 3.1 document, it says what the rows say, and every answer is as it says. Requests are made
from the document itself: each parameter at its limits, with each of its words, and beyond them. A route, parameter or status that is new
is tried without a change here; hub/http/openapi.json has the forms of answers."""
import concurrent.futures
import datetime
import itertools
import json
import re

import jsonschema
import pytest
import requests

from harness import paths
from harness.people import ORIGIN, Visitor
from harness.planted import MARKS, plant

SHARED_SETTINGS = {"http.origins": ORIGIN}
FORMS = json.loads((paths.ROOT / "hub" / "http" / "openapi.json").read_text())
# Routes of JSON whose answer has no form yet, by method and path: may become fewer, never more.
WITHOUT_FORM = set()
# Nothing is published here, no county reports, and there is no base map (test_basemap.py has some).
NEVER_HERE = {"/api/v1/publications/{month}", "/api/v1/exchange/{county}/ledger/records", "/api/v1/basemaps/{name}/{layer}/{z}/{x}/{y}"}
NO_PARAMETER = "no_such_parameter"
formats = jsonschema.FormatChecker(formats=())


@formats.checks("date-time", raises=ValueError)
def is_moment(text):
    return not isinstance(text, str) or datetime.datetime.fromisoformat(text).tzinfo is not None


@formats.checks("date", raises=ValueError)
def is_day(text):
    return not isinstance(text, str) or bool(datetime.date.fromisoformat(text))


# ---- the document

@pytest.fixture(scope="module")
def county(shared):
    planted = plant(shared)
    client = shared.client("sanitation")
    now = datetime.datetime.now().timestamp() * 1000
    place = {"system": "WGS84"}
    receipt = client.send("telemetry", [{"device_code": "T1", "observed_at_ms": int(now - n * 20000), "speed_km_h": 20.0,
                                         "position": {**place, "lon": 114.78 + n * 0.0005 * (n < 20), "lat": 34.55}} for n in range(60)])
    assert receipt["accepted"] == 60, receipt
    planted["moving"] = shared.database.value("SELECT id FROM onemap.device WHERE code = 'T1'")
    return planted


@pytest.fixture(scope="module")
def document(shared):
    response = requests.get(shared.hubs[0].http_url + "/api/v1/openapi.json", timeout=30)
    assert response.status_code == 200 and response.headers["Content-Type"].startswith("application/json")
    again = requests.get(response.url, headers={"If-None-Match": response.headers["ETag"]}, timeout=30)
    assert again.status_code == 304
    return response.json()


def operations(document):
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield method.upper(), path, operation


def resolve(document, thing):
    """What a $ref stands for; it must be there."""
    while "$ref" in thing:
        assert set(thing) == {"$ref"} and thing["$ref"].startswith("#/"), thing
        ref, thing = thing["$ref"], document
        for word in ref[2:].split("/"):
            assert word in thing, ref
            thing = thing[word]
    return thing


def fields(thing, required, optional=""):
    """An object of the document has these members, and no others but extensions."""
    names = {name for name in thing if not name.startswith("x-")}
    assert set(required.split()) <= names <= set(required.split()) | set(optional.split()), thing
    return thing


def check_schema(document, schema):
    jsonschema.Draft202012Validator.check_schema(schema)
    assert "optional" not in json.dumps(schema)
    for ref in re.findall(r'"\$ref": "([^"]*)"', json.dumps(schema)):
        resolve(document, {"$ref": ref})


def check_content(document, content):
    assert content
    for media, value in content.items():
        assert re.fullmatch(r"[a-z]+/[a-z0-9.+-]+", media)
        fields(value, "", "schema")
        if "schema" in value:
            check_schema(document, value["schema"])


def check_response(document, response):
    response = fields(resolve(document, response), "description", "headers content")
    assert response["description"]
    if "content" in response:
        check_content(document, response["content"])
    for header in response.get("headers", {}).values():
        check_schema(document, fields(header, "schema", "description required")["schema"])


def check_operation(document, path, operation):
    """The Operation Object of OpenAPI 3.1.0 and what is in it."""
    fields(operation, "operationId summary responses security tags", "parameters requestBody description")
    assert re.fullmatch("[a-z][a-z0-9_]*[a-z0-9]", operation["operationId"])
    names = [(p["in"], p["name"]) for p in operation.get("parameters", ())]
    assert len(names) == len(set(names))
    assert {name for place, name in names if place == "path"} == set(re.findall(r"{([^}]*)}", path))
    for parameter in operation.get("parameters", ()):
        fields(parameter, "name in required schema description", "explode")
        assert parameter["in"] in ("path", "query") and (parameter["required"] is True or parameter["in"] == "query")
        check_schema(document, parameter["schema"])
        if "default" in parameter["schema"]:
            jsonschema.Draft202012Validator(parameter["schema"]).validate(parameter["schema"]["default"])
        if parameter["schema"]["type"] == "array":
            assert parameter["explode"] is False
    if "requestBody" in operation:
        check_content(document, fields(operation["requestBody"], "content required", "description")["content"])
    assert any(status.startswith("2") for status in operation["responses"])
    for status, response in operation["responses"].items():
        assert re.fullmatch("[2-5][0-9][0-9]", status)
        check_response(document, response)
    for choice in operation["security"]:
        assert set(choice) <= set(document["components"]["securitySchemes"]) and all(scopes == [] for scopes in choice.values())


def test_it_is_an_openapi_document(document):
    fields(document, "openapi info paths components servers", "tags")
    assert document["openapi"] == "3.1.0"
    fields(document["info"], "title version", "description")
    assert document["servers"] == [{"url": "/"}]
    components = fields(document["components"], "schemas responses securitySchemes")
    for kind in ("schemas", "responses", "securitySchemes"):
        assert all(re.fullmatch(r"[A-Za-z0-9._-]+", name) for name in components[kind])
    for schema in components["schemas"].values():
        check_schema(document, schema)
    for response in components["responses"].values():
        check_response(document, response)
    for scheme in components["securitySchemes"].values():
        fields(scheme, {"apiKey": "type in name", "http": "type scheme"}[scheme["type"]], "description")
    for path, item in document["paths"].items():
        assert path.startswith("/") and set(item) <= {"get", "post", "put", "patch", "delete"}
        for operation in item.values():
            check_operation(document, path, operation)
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(ids) == len(set(ids)) > 50
    used = set(re.findall(r'#/components/schemas/(\w+)"', json.dumps(document)))
    assert used == set(components["schemas"])


def test_it_says_what_the_rows_say(shared, document):
    rows = {(row["method"], row["path"]): row for row in requests.get(shared.hubs[0].http_url + "/api/v1", timeout=30).json()["routes"]
            # /ogc has a document of its own, /open311 a standard; the page's files are for browsers.
            if not row["path"].startswith(("/ogc", "/open311")) and row["path"] not in ("/", "/assets/{file}")}
    assert set(rows) == {(method, path) for method, path, _ in operations(document)}
    for method, path, operation in operations(document):
        row = rows[method, path]
        assert operation["x-right"] == row["right"] and operation["summary"] == row["summary"]
        assert [p["name"] for p in operation.get("parameters", ())] == [p["name"] for p in row["parameters"]]
        for mine, its in zip(operation.get("parameters", ()), row["parameters"]):
            schema = mine["schema"]
            value = schema["items"] if its["type"] == "array" and "maxItems" in its else schema
            assert schema["type"] == its["type"] and (mine["in"], mine["required"]) == (its["in"], its["required"])
            assert schema.get("default") == its.get("default") and value.get("enum") == its.get("enum")
            for limit in ("minimum", "maximum", "minLength", "maxLength"):
                assert limit not in its or value.get(limit) == its[limit], (path, its)
        assert ("requestBody" in operation) == ("body" in row)
        closed = row["right"] != "anyone" and not row["loopback"]
        assert (operation["security"] == []) == (row["right"] == "anyone") and ({} in operation["security"]) == row["loopback"]
        assert not closed or {"session": []} in operation["security"] and ({"basic": []} in operation["security"]) == (method == "GET")


def test_every_answer_has_its_form(document):
    known = {f"{method} {path}" for method, path, _ in operations(document)}
    assert set(FORMS["answers"]) <= known and set(FORMS["bodies"]) <= known
    bare = {f"{method} {path}" for method, path, operation in operations(document) for response in operation["responses"].values()
            for media, value in response.get("content", {}).items() if "json" in media and not value.get("schema")}
    assert bare == WITHOUT_FORM, "hub/http/openapi.json"
    assert {f"{method} {path}" for method, path, operation in operations(document) if "requestBody" in operation} == set(FORMS["bodies"])


# ---- answers

def closed(document, schema):
    """The schema with what it refers to inside, and without room for a field that it does not name."""
    if not isinstance(schema, dict):
        return schema
    schema = dict(resolve(document, schema) if "$ref" in schema else schema)
    for key in ("items", "additionalProperties"):
        if key in schema:
            schema[key] = closed(document, schema[key])
    if "anyOf" in schema:
        schema["anyOf"] = [closed(document, one) for one in schema["anyOf"]]
    if "properties" in schema:
        schema["properties"] = {name: closed(document, one) for name, one in schema["properties"].items()}
        schema.setdefault("additionalProperties", False)
    return schema


class Forms:
    """Holds answers against the document; a validator is made once."""

    def __init__(self, document):
        self.document, self.validators = document, {}

    def flaw(self, method, path, response, body):
        """None, or what is wrong with an answer."""
        operation = self.document["paths"][path][method.lower()]
        status = str(response.status_code)
        if status not in operation["responses"]:
            return f"status {status} is not in the document"
        content = resolve(self.document, operation["responses"][status]).get("content")
        if content is None:
            return f"has a body with {status}" if body else None
        media = response.headers.get("Content-Type", "").split(";")[0]
        if media not in content:
            return f"{media} with {status} is not in the document"
        if "json" not in media or "schema" not in content[media]:
            return None
        key = (method, path, status, media)
        if key not in self.validators:
            self.validators[key] = jsonschema.Draft202012Validator(closed(self.document, content[media]["schema"]), format_checker=formats)
        value = json.loads(body)
        wrong = next(self.validators[key].iter_errors(value), None)
        if wrong is None:
            return None
        best = jsonschema.exceptions.best_match([wrong])
        return f"{best.json_path}: {best.message[:300]}"


def spell(value):
    """A value as it stands in a query."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(spell(one) for one in value) if isinstance(value, list) else str(value)


def good_values(schema):
    if schema["type"] == "array":
        if schema.get("maxItems") == schema.get("minItems") == 4 and "enum" not in schema["items"]:
            return [[114, 34, 115, 35], [179.5, -1, -179.5, 1]]
        values = good_values(schema["items"])
        return [[values[0]], values[:schema["maxItems"]]]
    if "enum" in schema:
        return schema["enum"]
    if schema["type"] == "boolean":
        return [True, False]
    if schema["type"] == "string" and "anyOf" in schema:
        return ["2026-01-01", "2026-01-01T08:00:00+08:00", "2026-01-01T00:00:00.5Z"]
    if schema["type"] == "string":
        return ["1" * max(schema["minLength"], 1), "路" * schema["maxLength"], "%'\\_" [:schema["maxLength"]].ljust(schema["minLength"], "-")]
    return [schema["minimum"], schema["maximum"]]


def bad_texts(schema):
    """What is no value: as text."""
    if schema["type"] == "array":
        if schema.get("maxItems") == schema.get("minItems") == 4 and "enum" not in schema["items"]:
            return ["1,2,3", "1,2,3,4,5", "1,2,3,x", "200,0,1,1", "1,2,3,1"]
        one = spell(good_values(schema["items"])[0])
        return [",".join([one] * (schema["maxItems"] + 1)), *bad_texts(schema["items"])]
    if "enum" in schema:
        return ["", "no-such-word", schema["enum"][0].upper() + "x"]
    if schema["type"] == "boolean":
        return ["", "yes", "TRUE", "1"]
    if schema["type"] == "string" and "anyOf" in schema:
        return ["", "yesterday", "2026-02-30", "2026-01-01T08:00:00", "2026-01-01T25:00:00Z", "2026-1-1"]
    if schema["type"] == "string":
        return ["x" * (schema["maxLength"] + 1), *(["x" * (schema["minLength"] - 1)] if schema["minLength"] > 1 else [])]
    return ["", "one", "1e999", "0x10", spell(schema["minimum"] - 1), spell(schema["maximum"] + 1 if schema["maximum"] < 2**52 else schema["maximum"] * 2)]


class Requests:
    """The requests of a route. `known`: what is there, by the name of a parameter, so that something is found."""

    def __init__(self, county, month):
        self.known = {"number": county["numbers"], "month": [month], "year": [int(month[:4])], "device": county["devices"], "department": list(MARKS),
                      "subsystem": ["dust"], "devices": [county["devices"], [county["moving"]]], "statistic": ["dispatched"], "q": list(MARKS.values()),
                      "lon": [114.78], "lat": [34.55], "z": [12], "x": [3354], "y": [1627], "metrics": [["speed_km_h"]], "sha256": county["files"]}
        self.ids = [*county["ids"], county["moving"]]

    def values(self, path, parameter):
        if parameter["name"] == "id" and "{id}" in path:
            return self.ids
        if parameter["name"] == "department" and parameter["schema"]["type"] == "array":
            return good_values(parameter["schema"])
        if parameter["name"] == "area" and parameter["schema"]["type"] == "array":
            return [[114, 34, 115, 34, 115, 35]]
        return [*self.known.get(parameter["name"], ())] or good_values(parameter["schema"])

    @staticmethod
    def fill(path, inside, values):
        for parameter, value in zip(inside, values):
            path = path.replace("{%s}" % parameter["name"], requests.utils.quote(spell(value), safe=""))
        return path

    def of(self, path, operation):
        """(path, query, name): name: the parameter that is bad, None if none is."""
        parameters = operation.get("parameters", [])
        inside = [p for p in parameters if p["in"] == "path"]
        others = [p for p in parameters if p["in"] == "query"]
        needed = {p["name"]: spell(self.values(path, p)[0]) for p in others if p["required"]}
        if "statistics" in path and "/scores" in path:
            needed["month"] = self.known["month"][0]  # or from and to
        ways = list(itertools.islice(itertools.product(*(self.values(path, p) for p in inside)), 40))
        for way in ways:
            yield self.fill(path, inside, way), needed, None
        first = self.fill(path, inside, ways[0])
        for parameter in others:
            # Of an area not any numbers are good: they are corners.
            more = [] if parameter["name"] == "area" and parameter["schema"]["type"] == "array" else good_values(parameter["schema"])
            for value in {spell(v): v for v in [*self.values(path, parameter), *more]}.values():
                yield first, {**needed, parameter["name"]: spell(value)}, None
            for text in bad_texts(parameter["schema"]):
                yield first, {**needed, parameter["name"]: text}, parameter["name"]
            if parameter["required"]:
                yield first, {name: value for name, value in needed.items() if name != parameter["name"]}, parameter["name"]
        for place, parameter in enumerate(inside):
            for text in bad_texts(parameter["schema"]):
                if text:
                    values = [*ways[0][:place], text, *ways[0][place + 1:]]
                    yield self.fill(path, inside, values), needed, parameter["name"]
        yield first, {**needed, NO_PARAMETER: "1"}, NO_PARAMETER


def ask(session, url, query, endless, **options):
    """The answer and its bytes; of one without an end the first ones."""
    with session.get(url, params=query, timeout=60, stream=True, **options) as response:
        return response, b"" if endless and response.status_code == 200 else response.content


def walk(document, url, session, wanted):
    """Asks for all of (path, (filled path, query, bad parameter)); returns what was wrong, and the statuses of each path."""
    forms, flaws, statuses = Forms(document), [], {}
    for path, (filled, query, bad) in wanted:
        operation = document["paths"][path]["get"]
        endless = "text/event-stream" in operation["responses"]["200"].get("content", {})
        response, body = ask(session, url + filled, query, endless)
        statuses.setdefault(path, set()).add(response.status_code)
        flaw = forms.flaw("GET", path, response, body)
        any_query = "400" not in operation["responses"]
        if bad and not any_query and (response.status_code != 400 or json.loads(body)["code"] != "CH042" or json.loads(body)["parameter"] != bad):
            flaw = flaw or f"{bad} was bad: {response.status_code} {body[:200]}"
        elif not bad and response.status_code == 400 and not endless:  # a stream itself refuses codes of what there is not
            flaw = flaw or f"was good: {body[:300]}"
        if response.status_code >= 500 and path != "/readyz":
            flaw = flaw or f"{response.status_code} {body[:300]}"
        if flaw:
            flaws.append(f"GET {path}: {filled} {query}: {flaw}")
    return flaws, statuses


@pytest.fixture(scope="module")
def month(shared):
    return shared.database.value("SELECT to_char(onemap.local_time(now()), 'YYYY-MM')")


@pytest.mark.parametrize("posts, department", [("admin", None), ("department", "alpha")], ids=["all", "one department"])
def test_every_answer_is_as_described(shared, county, document, month, posts, department):
    hub, maker = shared.hubs[0], Requests(county, month)
    sessions = [Visitor(hub, posts, department).session for _ in range(4)]
    wanted = [(path, one) for method, path, operation in operations(document) if method == "GET" for one in maker.of(path, operation)]
    if department:  # the rows are others, the forms the same: the first of each and what is not for it
        wanted = [one for _, group in itertools.groupby(wanted, lambda w: w[0]) for one in [w for w in group if w[1][2] is None][:40]]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda n: walk(document, hub.http_url, sessions[n], wanted[n::4]), range(4)))
    flaws = [flaw for found, _ in parts for flaw in found]
    assert not flaws, f"{len(flaws)} of {len(wanted)}:\n" + "\n".join(flaws[:60])
    answered = {path for _, statuses in parts for path, found in statuses.items() if found & {200, 204}}
    gets = {path for method, path, operation in operations(document) if method == "GET"}
    never = gets - answered - NEVER_HERE
    mine = {"/api/v1/subscriptions/{id}", "/api/v1/subscriptions/{id}/events"}  # a program's own, and an administrator's
    others = never - mine
    assert not never if posts == "admin" else all(document["paths"][path]["get"]["x-right"] in ("operate", "command") for path in others), never
    print(len(wanted), "requests")


def test_what_is_refused_before_it_is_asked(shared, county, document, month):
    """Nobody, another type, another method: of every route, with the documented statuses."""
    hub, maker, forms = shared.hubs[0], Requests(county, month), Forms(document)
    visitor, nobody = Visitor(hub, "admin").session, requests.Session()
    for path, item in document["paths"].items():
        operation = next(iter(item.values()))
        method = next(iter(item)).upper()
        filled, query, _ = next(maker.of(path, operation))
        url = hub.http_url + filled

        def told(response, status, its_method=method):
            assert response.status_code == status, (its_method, path, response.text)
            assert forms.flaw(its_method, path, response, response.content) is None, (path, response.text)
        if {} not in operation["security"] and operation["security"]:
            told(nobody.request(method, url, params=query, timeout=60), 401)
        if method == "GET":
            told(visitor.get(url, params=query, headers={"Accept": "image/avif"}, timeout=60), 406)
        other = visitor.request("PATCH" if "delete" in item else "DELETE", url, timeout=60)
        assert other.status_code == 405 and set(other.headers["Allow"].split(", ")) == {
            *(name.upper() for name in item), "OPTIONS", *(["HEAD"] if "get" in item else [])}, path
        problem = document["components"]["responses"]["405"]["content"]["application/problem+json"]["schema"]
        jsonschema.Draft202012Validator(closed(document, problem)).validate(other.json())
        for method, operation in item.items():
            if "requestBody" in operation:
                limit = int(operation["requestBody"]["description"].split()[0])
                told(visitor.request(method, url, data="x", headers={"Content-Type": "text/plain"}, timeout=60), 415, method)
                told(visitor.request(method, url, headers={"Origin": "http://elsewhere.example"}, json={}, timeout=60), 403, method)
                if "application/json" not in operation["requestBody"]["content"]:
                    continue  # test_attachments.py
                told(visitor.request(method, url, data=" " * (limit + 1), headers={"Content-Type": "application/json"}, timeout=60), 413, method)
                for body in ("{", '"\x01"', "[" * 2000):
                    told(visitor.request(method, url, data=body, headers={"Content-Type": "application/json"}, timeout=60), 400, method)


def test_what_is_written(shared, county, document, month):
    """Good bodies and bodies that a rule refuses: answers as described, requests as described."""
    hub, forms = shared.hubs[0], Forms(document)
    admin, chief = Visitor(hub, "admin"), Visitor(hub, "supervisor,acceptor,registrar,dispatcher")
    alarm = shared.database.value("SELECT max(id) FROM onemap.alarm")
    written = set()

    def post(visitor, path, body, status, **inside):
        response = visitor.post(path.format(**inside), body)
        assert response.status_code == status, (path, response.text)
        assert forms.flaw("POST", path, response, response.content) is None, (path, forms.flaw("POST", path, response, response.content), response.text)
        operation = document["paths"][path]["post"]
        if status < 300 and "requestBody" in operation and body is not None:
            schema = closed(document, operation["requestBody"]["content"]["application/json"]["schema"])
            jsonschema.Draft202012Validator(schema).validate(body)
        written.update([path] if status < 300 else [])
        return response
    case = post(chief, "/api/v1/cases", {"source": "supervisor", "post": "supervisor", "title": "垃圾", "category": "20102", "lon": 114.78, "lat": 34.55}, 201).json()
    post(chief, "/api/v1/cases", {"source": "nobody"}, 422)
    acting = "/api/v1/cases/{number}/actions"
    post(chief, acting, {"action": "accept", "post": "acceptor", "version": case["version"]}, 200, number=case["case"])
    post(chief, acting, {"action": "accept", "post": "acceptor", "version": case["version"]}, 409, number=case["case"])
    post(chief, acting, {"action": "accept", "version": 1}, 404, number="x")
    order = {"source": "12345", "external_number": "form", "content": "路灯", "lon": 114.78, "lat": 34.55, "contact": {"name": "某"}}
    number = post(chief, "/api/v1/orders", order, 201).json()["order"]
    post(chief, "/api/v1/orders", order, 200)
    post(chief, "/api/v1/orders", {**order, "source": "热线"}, 422)
    post(admin, "/api/v1/orders", order, 403)
    post(chief, "/api/v1/orders/{number}/actions", {"action": "sign", "version": 1}, 200, number=number)
    post(chief, "/api/v1/orders/{number}/actions", {"action": "sign", "version": 1}, 409, number=number)
    post(chief, "/api/v1/orders/{number}/actions", {"action": "sign", "version": 1}, 404, number="x")
    post(admin, "/api/v1/alarms/{id}/acknowledge", None, 200, id=alarm)
    post(admin, "/api/v1/alarms/{id}/acknowledge", {"words": "好"}, 409, id=alarm)
    post(admin, "/api/v1/alarms/{id}/comments", {"words": "已派人"}, 201, id=alarm)
    post(admin, "/api/v1/alarms/{id}/comments", {}, 422, id=alarm)
    entry = {"department": "alpha", "item": "landscaping", "score": 91.5, "office": "督查办", "evidence": "第 1 号"}
    post(admin, "/api/v1/assessments/{month}/entries", entry, 201, month=month)
    post(admin, "/api/v1/assessments/{month}/entries", {**entry, "item": "none"}, 422, month=month)
    program = Visitor(hub, "admin")
    del program.session.headers["Cookie"]
    program.session.headers.update(hub.key("form-program", rights="read"))
    wants = {"name": "form", "resources": ["alarm"], "subsystems": ["dust"], "webhook": {"url": "https://form.example/events"}}
    subscription = post(program, "/api/v1/subscriptions", wants, 201).json()["id"]
    post(program, "/api/v1/subscriptions", wants, 200)
    post(program, "/api/v1/subscriptions", {**wants, "webhook": {"url": "https://form.example/others"}}, 409)
    post(admin, "/api/v1/subscriptions", wants, 422)
    post(program, "/api/v1/subscriptions/{id}/resume", None, 200, id=subscription)
    post(program, "/api/v1/subscriptions/{id}/resume", None, 404, id=subscription + 1)
    report = {"records": [{"number": "1", "record": "x", "version": 1, "hash": "0" * 64, "content": "{}"}]}
    post(admin, "/api/v1/exchange/{county}/{resource}", report, 404, county="none", resource="device")
    kind = shared.database.value("SELECT min(kind) FROM onemap.assessment_award_kind")
    post(admin, "/api/v1/assessments/{month}/awards", {"department": "alpha", "kind": kind, "times": 1, "office": "督查办", "evidence": "第 2 号"}, 201, month=month)
    post(admin, "/api/v1/scores/{month}/adjustments", {"department": "alpha", "points": 1, "reason": "x"}, 422, month=month)
    post(admin, "/api/v1/publications/{month}", None, 409, month=month)
    post(chief, "/api/v1/publications/{month}", None, 403, month=month)
    post(admin, "/api/v1/login", {"login": "nobody", "password": "wrong-password"}, 401)
    post(admin, "/api/v1/me/password", {"password": "wrong-password", "new_password": "another-password"}, 401)
    person = {"login": "form", "name": "某", "posts": ["viewer"], "department": "alpha"}
    post(admin, "/api/v1/users", person, 201)
    post(admin, "/api/v1/users", {**person, "password": "Another-2026-word"}, 409)
    post(admin, "/api/v1/users", {**person, "login": "F"}, 422)
    post(chief, "/api/v1/users", person, 403)
    post(admin, "/api/v1/users/{login}/role", {"posts": ["department"], "department": "beta"}, 200, login="form")
    post(admin, "/api/v1/users/{login}/role", {"posts": ["viewer"]}, 403, login=admin.login)
    post(admin, "/api/v1/users/{login}/password", {}, 200, login="form")
    post(admin, "/api/v1/users/{login}/password", {"password": "short"}, 400, login="form")
    post(admin, "/api/v1/tokens", {"name": "form", "rights": ["read"], "days": 9, "owner": "form"}, 201)
    post(admin, "/api/v1/tokens", {"name": "form", "rights": ["read"], "days": 9}, 409)
    post(admin, "/api/v1/tokens/{token}/revoke", None, 200, token="form")
    post(admin, "/api/v1/users/{login}/revoke", None, 200, login="form")
    rule = next(one for one in admin.get("/api/v1/alarm_rules?subsystem=dust").json()["rules"] if one["comparison"] == "above")
    changes = {"source": "县", "threshold": 99.5, "clear_threshold": 90, "severity": "minor", "enabled": True}
    post(admin, "/api/v1/alarm_rules/{subsystem}/{rule}", changes, 200, subsystem="dust", rule=rule["rule"])
    post(admin, "/api/v1/alarm_rules/{subsystem}/{rule}", {"threshold": 99}, 422, subsystem="dust", rule=rule["rule"])
    message = shared.database.value("SELECT max(id) FROM onemap.quarantine")
    post(admin, "/api/v1/quarantine/{id}/replay", None, 202, id=message)
    post(admin, "/api/v1/replays", None, 202)
    post(chief, "/api/v1/quarantine/{id}/replay", None, 403, id=message)
    post(admin, "/api/v1/quarantine/{id}/replay", None, 404, id=2**40)
    hours = {"file": "hours.json", "content": {"schedule": "form", "name_zh": "表", "source": "assumed", "periods": [{"opens": "08:30", "closes": "17:00"}]}}
    post(admin, "/api/v1/imports/{subject}/check", hours, 200, subject="office_hours")
    post(admin, "/api/v1/imports/{subject}", hours, 200, subject="office_hours")
    post(admin, "/api/v1/imports/{subject}", {"file": "x", "content": []}, 422, subject="departments")
    post(chief, "/api/v1/imports/{subject}", hours, 403, subject="office_hours")
    terminal, tell = shared.database.value("SELECT min(id) FROM onemap.terminal"), "/api/v1/terminals/{id}/commands"
    post(chief, tell, {"command": "position", "expires_s": 60}, 201, id=terminal)
    post(chief, tell, {"command": "clock"}, 422, id=terminal)
    post(admin, tell, {"command": "position"}, 404, id=2**31 - 1)
    for _ in range(6):
        post(admin, tell, {"command": "position"}, 201, id=terminal)
    post(admin, tell, {"command": "position"}, 429, id=terminal)
    post(chief, "/api/v1/logout", None, 204)
    posts = {path for method, path, _ in operations(document) if method == "POST"}
    # Of these test_identity.py, test_api_cases.py, test_attachments.py and test_federation.py have good ones.
    assert posts - written == {"/api/v1/attachments", "/api/v1/exchange/{county}/{resource}", "/api/v1/login", "/api/v1/me/password", "/api/v1/publications/{month}",
                               "/api/v1/scores/{month}/adjustments", "/api/v1/scores/{month}/inputs"}
