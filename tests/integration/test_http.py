"""The HTTP server with a real PostgreSQL: answers by SQL, their order, time, end, and what becomes of clients that leave, wait
or send nonsense. `probe` is the server alone, with rows whose functions a test makes itself."""
import contextlib
import gzip
import json
import signal
import socket
import time

import pytest
import requests
from harness import paths
from harness.metrics import Metrics
from harness.process import Process, free_port, wait_until

QUERIES, QUEUE = 2, 4  # QUEUE: what may wait for one address, of five places


class Probe:
    def __init__(self, database, folder):
        self.database, self.port = database, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.config = folder / "probe.ini"
        self.reports = folder / "probe-sanitizer"
        self.settings = {"port": self.port, "deadline_s": 60, "queries": QUERIES, "queue": QUEUE + 1, "timeout_s": 2, "stall_s": 1,
                         "connections": 700, "address_connections": 700, "address_queries": QUERIES}
        environment = {"ASAN_OPTIONS": f"detect_leaks=1:exitcode=99:quarantine_size_mb=8:log_path={self.reports}",
                       "UBSAN_OPTIONS": f"print_stacktrace=1:halt_on_error=1:exitcode=99:log_path={self.reports}"}
        self.process = Process("http_probe", [paths.build_folder() / "tests" / "http_probe", self.config], folder / "probe.log",
                               env=environment)

    def start(self):
        self.config.write_text(f"[hub]\ninstance = probe\n[database]\nconninfo = {self.database.hub_conninfo}\n[http]\n"
                               + "".join(f"{key} = {value}\n" for key, value in self.settings.items()))
        self.process.start()
        wait_until(lambda: self.get("/ping").text == "pong\n", 30, f"the probe answers (log: {self.process.log_path})")
        wait_until(lambda: len(self.backends()) == self.settings["queries"] + 1, 30, f"it is connected (log: {self.process.log_path})")

    def stop(self):
        status = self.process.end(signal.SIGTERM)
        reports = "\n".join(path.read_text(errors="replace") for path in self.reports.parent.glob(self.reports.name + "*"))
        assert status == 0 and not reports, f"it ended with {status}; log: {self.process.log_path}\n{self.process.log_tail()}\n{reports[:6000]}"

    def get(self, path, timeout_s=30, **options):
        return requests.get(self.url + path, timeout=timeout_s, **options)

    def metric(self, name):
        return Metrics(self.get("/metrics").text).value(name)

    def function(self, name, body, arguments="request jsonb", returns="TABLE (body text)", how="LANGUAGE plpgsql"):
        """Makes onemap.NAME anew, callable by the API alone."""
        self.database.query(f"DROP FUNCTION IF EXISTS onemap.{name}")
        self.database.query(f"CREATE FUNCTION onemap.{name}({arguments}) RETURNS {returns} {how} AS $f$ {body} $f$;"
                            f" GRANT EXECUTE ON FUNCTION onemap.{name} TO cityhub_api")

    def sleeper(self, seconds):
        self.function("probe_get", f"BEGIN PERFORM pg_sleep({seconds}); RETURN QUERY SELECT 'slept'::text; END")

    @contextlib.contextmanager
    def gate(self):
        """While it lasts, /probe waits (its statement runs) until the caller opens: `open()`, or the end of the block."""
        self.function("probe_get", "BEGIN PERFORM pg_advisory_xact_lock_shared(7); RETURN QUERY SELECT 'passed'::text; END")
        with contextlib.closing(self.database.connect()) as holder, holder.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(7)")
            yield lambda: cursor.execute("SELECT pg_advisory_unlock_all()")

    @contextlib.contextmanager
    def set(self, **settings):
        """The server with other settings, until the end of the block."""
        usual = dict(self.settings)
        self.stop()
        self.settings.update(settings)
        self.start()
        try:
            yield
        finally:
            self.stop()
            self.settings = usual
            self.start()

    def backends(self, state=None):
        return [pid for pid, found in self.database.query(
            "SELECT pid, state FROM pg_stat_activity WHERE application_name ~ '^cityhub probe http-([0-9]|cancel)'") if state in (None, found)]

    def running(self):
        """Statements of routes that have come to their sleep or gate in the server: what is sent to them now meets the function itself."""
        return self.database.value("SELECT count(*) FROM pg_stat_activity WHERE application_name ~ '^cityhub probe http-[0-9]'"
                                   " AND state = 'active' AND wait_event IN ('PgSleep', 'advisory')")

    def busy(self):
        """Statements of routes in the server, whatever they do."""
        return len(self.backends("active"))

    def connect(self, timeout_s=30):
        client = socket.create_connection(("127.0.0.1", self.port), timeout=timeout_s)
        return client

    def ask(self, path, method="GET", head="", body="", source=None):
        """A connection that has asked and waits; from another address, if it is said."""
        client = socket.create_connection(("127.0.0.1", self.port), 30, source and (source, 0))
        client.sendall(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{head}\r\n{body}".encode())
        return client


@pytest.fixture(scope="module")
def probe(cluster, logs):
    cluster.start()
    database = cluster.clone()
    folder = logs / "test_http_probe"
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    probe = Probe(database, folder)
    try:
        probe.start()
        yield probe
        probe.stop()
    finally:
        if probe.process.running:
            probe.process.kill()
        cluster.start()
        cluster.drop(database)


def problem(response, status, code):
    assert response.status_code == status, f"{response.status_code}: {response.text}"
    assert response.headers["Content-Type"] == "application/problem+json; charset=utf-8"
    document = response.json()
    assert (document["code"], document["status"], document["type"]) == (code, status, f"urn:cityhub:problem:{code}"), document
    assert document["title"] and document["detail"]
    return document


def received(client):
    """Everything until the server closes."""
    pieces = []
    try:
        while piece := client.recv(65536):
            pieces.append(piece)
    except ConnectionResetError:
        pass
    client.close()
    return b"".join(pieces)


# ---- answers

def test_request_reaches_the_function_as_json(probe):
    probe.function("probe_get", "BEGIN RETURN QUERY SELECT request::text; END")
    response = probe.get("/probe", params={"n": "-7", "text": "'; DROP TABLE onemap.device; -- \\ \" 扬尘 \U0001f600 ${x}", "at": "2026-11-24T08:00:00+08:00",
                                           "box": "113.9,33.8,114.5,34.3", "names": "a,b"})
    assert response.json() == {"n": -7, "text": "'; DROP TABLE onemap.device; -- \\ \" 扬尘 \U0001f600 ${x}", "at": "2026-11-24T08:00:00+08:00",
                               "box": [113.9, 33.8, 114.5, 34.3], "names": ["a", "b"]}
    assert response.headers["Content-Type"] == "application/json"
    assert probe.get("/probe").json() == {"n": 1}
    assert probe.get("/probe?text=").json() == {"n": 1, "text": ""}


def test_columns_of_an_answer(probe):
    columns = "TABLE (body text, etag text, status int, location text)"
    probe.function("probe_get", "BEGIN RETURN QUERY VALUES ('a', 'v7', 202, '/there'), ('b', 'ignored', 500, NULL); END", returns=columns)
    response = probe.get("/probe")
    assert (response.status_code, response.text, response.headers["ETag"], response.headers["Location"]) == (202, "ab", '"v7"', "/there")
    probe.function("probe_get", "BEGIN RETURN QUERY VALUES ('a', 'v7', NULL::int, NULL); END", returns=columns)
    assert probe.get("/probe", headers={"If-None-Match": '"v7"'}).status_code == 304
    assert probe.get("/probe", headers={"If-None-Match": '"v8"'}).text == "a"
    problem(_with_function(probe, "BEGIN END"), 404, "CH049")
    problem(_with_function(probe, "BEGIN RETURN QUERY SELECT NULL::text; END"), 404, "CH049")
    assert _with_function(probe, "BEGIN RETURN QUERY SELECT ''; END").text == ""
    assert _with_function(probe, "BEGIN RETURN QUERY SELECT '{\"a\": 1}'::json; END", "TABLE (body json)").json() == {"a": 1}
    assert _with_function(probe, "BEGIN RETURN QUERY SELECT '\\x00ff0d0a'::bytea; END", "TABLE (body bytea)").content == b"\0\xff\r\n"


def _with_function(probe, body, returns="TABLE (body text)"):
    probe.function("probe_get", body, returns=returns)
    return probe.get("/probe")


@pytest.mark.parametrize("body, returns, words", [
    ("BEGIN RETURN QUERY SELECT 'x'::text; END", "TABLE (answer text)", "no column body"),
    ("BEGIN RETURN QUERY SELECT '{}'::jsonb; END", "TABLE (body jsonb)", "no column body of type"),
    ("BEGIN RETURN QUERY SELECT 'x', 42; END", "TABLE (body text, status int)", "status"),
    ("BEGIN RETURN QUERY SELECT 'x', 'a\"b'; END", "TABLE (body text, etag text)", "etag"),
    ("BEGIN RETURN QUERY SELECT 'x', repeat('x', 300); END", "TABLE (body text, location text)", "location"),
    ("BEGIN RETURN QUERY SELECT 'x', E'a\\r\\nSet-Cookie: b'; END", "TABLE (body text, location text)", "location"),
    ("BEGIN RETURN QUERY SELECT repeat('x', 1000000) FROM generate_series(1, 10); END", "TABLE (body text)", "too large"),
    ("BEGIN RAISE EXCEPTION 'an inner secret'; END", "TABLE (body text)", "an inner secret"),
], ids=range(8))
def test_function_that_is_wrong(probe, body, returns, words):
    document = problem(_with_function(probe, body, returns), 500, "CH053")
    assert "secret" not in json.dumps(document)
    assert words in probe.process.log_text()
    wait_until(lambda: probe.busy() == 0, 30, "nothing runs on")


def test_function_that_is_not_there(probe):
    probe.database.query("DROP FUNCTION IF EXISTS onemap.probe_get")
    problem(probe.get("/probe"), 500, "CH053")
    assert "cityhub migrate" in probe.process.log_text()


@pytest.mark.parametrize("code, status", [("CH017", 404), ("CH010", 409), ("CH011", 409), ("CH019", 403), ("CH031", 409), ("CH013", 422)])
def test_a_rule_says_no(probe, code, status):
    document = problem(_with_function(probe, f"BEGIN RAISE EXCEPTION '案件 7 不存在' USING ERRCODE = '{code}', HINT = '看看'; END"), status, code)
    assert (document["detail"], document["hint"]) == ("案件 7 不存在", "看看")


def test_language(probe):
    document = problem(probe.get("/probe?n=x"), 400, "CH042")
    assert document["title"] == "参数有误" and document["parameter"] == "n" and "整数" in document["detail"]
    document = problem(probe.get("/probe?n=x", headers={"Accept-Language": "en-GB"}), 400, "CH042")
    assert document["detail"] == 'the parameter "n" must be a whole number from -1000000000 to 1000000000'
    assert document["instance"] == "/probe"


def test_reads_only_as_the_api(probe):
    assert _with_function(probe, "BEGIN RETURN QUERY SELECT current_user || ' ' || current_setting('transaction_read_only')"
                                 " || ' ' || current_setting('statement_timeout'); END").text == "cityhub_api on 1min"
    problem(_with_function(probe, "BEGIN CREATE TEMP TABLE x (); END"), 500, "CH053")
    problem(_with_function(probe, "BEGIN RETURN QUERY SELECT password_hash FROM onemap.vendor_credential; END"), 500, "CH053")
    assert "permission denied" in probe.process.log_text()


def test_writing_route(probe):
    probe.database.query("CREATE TABLE IF NOT EXISTS onemap.probe_note (note jsonb); GRANT INSERT, SELECT ON onemap.probe_note TO cityhub_api")
    probe.function("probe_post", "BEGIN INSERT INTO onemap.probe_note VALUES (note); RETURN QUERY SELECT note::text, 201; END",
                   "request jsonb, note jsonb", "TABLE (body text, status int)")
    probe.function("probe_get", "BEGIN RETURN QUERY SELECT current_setting('transaction_read_only'); END")
    for number in range(10):
        response = requests.post(probe.url + "/probe", json={"number": number, "词": "汉"}, timeout=30)
        assert (response.status_code, response.json()) == (201, {"number": number, "词": "汉"})
        assert probe.get("/probe").text == "on"  # on whichever connection
    assert probe.database.value("SELECT count(*) FROM onemap.probe_note") == 10
    json_type = {"Content-Type": "application/json"}
    for bad in ('{"a": ', "[1,]", '{"a": "\\u0000"}', "[" * 90000, '"\t"x', "{}\0{}", "\0", "\ufeff\ufeff{}"):
        problem(requests.post(probe.url + "/probe", data=bad.encode(), headers=json_type, timeout=30), 400, "CH044")
    assert probe.database.value("SELECT count(*) FROM onemap.probe_note") == 10
    for around in ("\ufeff{}", "{}\0", "\ufeff{}\0\0"):  # a file's byte order mark, a C program's NUL
        response = requests.post(probe.url + "/probe", data=around.encode(), headers=json_type, timeout=30)
        assert (response.status_code, response.json()) == (201, {})


def test_body_of_bytes(probe):
    probe.function("probe_put", "BEGIN RETURN QUERY SELECT coalesce(bytes || '\\x00'::bytea, 'none'); END", "request jsonb, bytes bytea", "TABLE (body bytea)")
    body = bytes(range(256)) * 10
    kind = {"Content-Type": "application/octet-stream"}
    assert requests.put(probe.url + "/probe", data=body, headers=kind, timeout=30).content == body + b"\0"
    assert requests.put(probe.url + "/probe", timeout=30).content == b"none"
    problem(requests.put(probe.url + "/probe", data=b"x" * 100001, headers=kind, timeout=30), 413, "CH045")
    problem(requests.put(probe.url + "/probe", data=b"x", headers={"Content-Type": "text/plain"}, timeout=30), 415, "CH046")


def test_head_gzip_and_etag(probe):
    probe.function("probe_get", "BEGIN RETURN QUERY SELECT repeat('0123456789', (request->>'n')::int); END")
    plain = probe.get("/probe?n=500", headers={"Accept-Encoding": "identity"})
    assert plain.headers["Content-Length"] == "5000" and "Content-Encoding" not in plain.headers
    head = requests.head(probe.url + "/probe?n=500", headers={"Accept-Encoding": "identity"}, timeout=30)
    assert (head.headers["Content-Length"], head.headers["ETag"], head.content) == ("5000", plain.headers["ETag"], b"")
    packed = probe.get("/probe?n=500", headers={"Accept-Encoding": "gzip"}, stream=True)
    assert packed.headers["Content-Encoding"] == "gzip" and int(packed.headers["Content-Length"]) < 200
    assert gzip.decompress(packed.raw.read()) == plain.content
    assert packed.headers["ETag"] != plain.headers["ETag"]
    for tag in (plain.headers["ETag"], packed.headers["ETag"]):
        response = probe.get("/probe?n=500", headers={"If-None-Match": tag})
        assert (response.status_code, response.content) == (304, b"")
    assert probe.get("/probe?n=501", headers={"If-None-Match": plain.headers["ETag"]}).status_code == 200
    large = probe.get("/probe?n=400000", headers={"Accept-Encoding": "gzip"})
    assert large.headers["Content-Encoding"] == "gzip" and large.headers["Transfer-Encoding"] == "chunked" and len(large.content) == 4000000


# ---- row by row

def test_rows_stream_with_backpressure(probe):
    """400 MB for a client that reads slowly: neither the hub nor the kernel takes more than a little of it in advance. What is
    freed is kept for a while by ASan: of the 10 to 20 MB that are read it is most of the growth."""
    probe.function("probe_rows", "SELECT repeat('x', 99999) || E'\\n' FROM generate_series(1, 4000)", how="LANGUAGE sql")
    before = probe.metric("process_resident_memory_bytes")
    client = probe.ask("/probe/rows", head="Connection: close\r\n")
    total, largest, begun = 0, 0, time.monotonic()
    while time.monotonic() - begun < 6:
        total += len(client.recv(65536))
        time.sleep(0.02)  # its pace: at most 3 MB/s
        largest = max(largest, probe.metric("process_resident_memory_bytes"))
    assert total > 1_000_000 and largest - before < 60_000_000, f"{total} read, resident {before} -> {largest}"
    client.close()
    wait_until(lambda: probe.busy() == 0, 30, "the statement of a client that left is cancelled")


def test_rows_whole(probe):
    probe.function("probe_rows", "SELECT i || ',' || repeat('y', i % 97) || E'\\n' FROM generate_series(1, (request->>'n')::int) i", how="LANGUAGE sql")
    wanted = "".join(f"{i},{'y' * (i % 97)}\n" for i in range(1, 50001))
    response = probe.get("/probe/rows?n=50000")
    assert response.text == wanted and response.headers["Transfer-Encoding"] == "chunked"
    assert probe.get("/probe/rows?n=0").text == ""


def test_rows_of_a_workbook(probe):
    """What is more than one may hold is refused as such, not a fault."""
    probe.function("probe_rows", "SELECT 'n,' || repeat('y', 1000000) || E'\\n' FROM generate_series(1, (request->>'n')::int) i", how="LANGUAGE sql")
    assert probe.get("/probe/sheet?n=2").content[:2] == b"PK"
    refused = problem(probe.get("/probe/sheet?n=30", headers={"Accept-Language": "zh"}), 422, "CH013")
    assert "工作簿" in refused["detail"] and ".csv" in refused["hint"]
    assert probe.get("/probe/sheet?n=2").status_code == 200


def test_rows_that_break_off(probe):
    probe.function("probe_rows", "BEGIN RETURN QUERY SELECT i || E'\\n' FROM generate_series(1, 5) i; RAISE EXCEPTION 'never mind'; END")
    problem(probe.get("/probe/rows"), 500, "CH053")  # plpgsql collects first: nothing was sent yet
    probe.function("probe_rows", "SELECT (100000 / (20000 - i)) || repeat('z', 1000) FROM generate_series(1, 30000) i", how="LANGUAGE sql")
    with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.exceptions.ConnectionError)):
        probe.get("/probe/rows")  # division by zero in mid-answer: no last chunk, so nobody takes it for whole
    assert "broken off" in probe.process.log_text()


# ---- time

def test_query_over_its_deadline(probe):
    probe.sleeper(60)
    with probe.set(deadline_s=2):
        wait_until(lambda: len(probe.backends("idle")) == QUERIES + 1, 30, "its connections are there: without one the answer is 503")
        begun = time.monotonic()
        document = problem(probe.get("/probe"), 504, "CH052")
        assert 1.9 < time.monotonic() - begun < 30 and "取消" in document["detail"]
        wait_until(lambda: probe.busy() == 0, 30, "it is cancelled in the server")
        assert probe.get("/ping").text == "pong\n"


def test_client_that_leaves(probe):
    probe.sleeper(60)
    cancelled = probe.metric("cityhub_http_cancelled_total")
    clients = [probe.ask("/probe") for _ in range(QUERIES)]
    wait_until(lambda: probe.running() == QUERIES, 30, "the statements run")
    begun = time.monotonic()
    for client in clients:
        client.close()
    wait_until(lambda: probe.busy() == 0, 30, "they are cancelled in the server")
    assert time.monotonic() - begun < 45  # by the clients' leave and not by the deadline
    assert probe.metric("cityhub_http_cancelled_total") == cancelled + QUERIES
    assert len(probe.backends("idle")) == QUERIES + 1  # on the same connections as before
    probe.function("probe_get", "BEGIN RETURN QUERY SELECT 'next'; END")
    assert [probe.get("/probe").text for _ in range(QUERIES * 4)] == ["next"] * QUERIES * 4


def test_client_that_leaves_the_queue(probe):
    with probe.gate():
        running = [probe.ask("/probe", head="Connection: close\r\n") for _ in range(QUERIES)]
        wait_until(lambda: probe.running() == QUERIES, 30, "the statements run")
        waiting = [probe.ask("/probe") for _ in range(QUEUE)]
        wait_until(lambda: probe.metric("cityhub_http_queue") == QUEUE, 30, "the others wait")
        for client in waiting:
            client.close()
        wait_until(lambda: probe.metric("cityhub_http_queue") == 0, 30, "nobody waits")
    assert all(b"200 OK" in received(client) for client in running)


def test_queue_is_full(probe):
    with probe.gate():
        running = [probe.ask("/probe", head="Connection: close\r\n") for _ in range(QUERIES)]
        wait_until(lambda: probe.running() == QUERIES, 30, "the statements run")
        waiting = [probe.ask("/probe", head="Connection: close\r\n") for _ in range(QUEUE)]
        wait_until(lambda: probe.metric("cityhub_http_queue") == QUEUE, 30, "the others wait")
        refused = probe.metric("cityhub_http_refused_total")
        response = probe.get("/probe")
        problem(response, 503, "CH050")
        assert response.headers["Retry-After"] == "1"
        assert probe.metric("cityhub_http_refused_total") == refused + 1
        assert probe.get("/ping").text == "pong\n"  # what is in memory goes on
    answers = [received(client) for client in running + waiting]
    assert [b"200 OK" in answer and answer.endswith(b"passed") for answer in answers] == [True] * len(answers)


def test_deadline_in_the_queue(probe):
    stubborn = """BEGIN
        BEGIN PERFORM pg_sleep(60); EXCEPTION WHEN query_canceled THEN PERFORM pg_advisory_xact_lock_shared(7); END;
        RETURN QUERY SELECT 'late'::text; END"""
    with probe.set(deadline_s=2), probe.gate():
        probe.function("probe_get", stubborn)  # so that it keeps its place in the pool longer than any waits for it
        clients = [probe.ask("/probe", head="Connection: close\r\n") for _ in range(QUERIES + 1)]
        answers = sorted(received(client).split(b"\r\n")[0] for client in clients)
    assert answers == [b"HTTP/1.1 503 Service Unavailable"] + [b"HTTP/1.1 504 Gateway Timeout"] * QUERIES


def test_backend_that_is_killed(probe):
    probe.sleeper(60)
    client = probe.ask("/probe", head="Connection: close\r\n")
    wait_until(lambda: probe.running() == 1, 30, "the statement runs")
    probe.database.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name ~ '^cityhub probe' AND state = 'active'")
    assert b"503 Service" in received(client)
    wait_until(lambda: len(probe.backends()) == QUERIES + 1, 30, "it connects again")


def test_cancelled_by_somebody_else(probe):
    probe.sleeper(60)
    client = probe.ask("/probe", head="Connection: close\r\n")
    wait_until(lambda: probe.running() == 1, 30, "the statement runs")
    probe.database.query("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name ~ '^cityhub probe' AND state = 'active'")
    assert b"503 Service" in received(client)


def test_database_away_and_back(probe, cluster):
    probe.sleeper(60)
    client = probe.ask("/probe", head="Connection: close\r\n")
    wait_until(lambda: probe.running() == 1, 30, "the statement runs")
    cluster.stop("immediate")
    try:
        answer = received(client)
        assert b"503 Service" in answer and b"CH051" in answer
        response = probe.get("/probe")
        problem(response, 503, "CH051")
        assert response.headers["Retry-After"] == "5" and response.elapsed.total_seconds() < 15  # at once, and not at the deadline
        assert probe.get("/ping").text == "pong\n"
    finally:
        cluster.start()
    probe.function("probe_get", "BEGIN RETURN QUERY SELECT 'back'; END")
    wait_until(lambda: probe.get("/probe").text == "back", 60, "it answers again")
    wait_until(lambda: len(probe.backends()) == QUERIES + 1, 60, "all connections are back")


# ---- clients

def test_pipelining_and_keep_alive(probe):
    probe.function("probe_get", "BEGIN RETURN QUERY SELECT request->>'n'; END")
    client = probe.connect()
    client.sendall(b"".join(b"GET /probe?n=%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % n for n in range(199))
                   + b"GET /probe?n=199 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    bodies = [part.split(b"\r\n\r\n", 1)[1] for part in received(client).split(b"HTTP/1.1 200 OK")[1:]]
    assert bodies == [str(n).encode() for n in range(200)]
    with requests.Session() as session:
        assert [session.get(f"{probe.url}/probe?n={n}", timeout=30).text for n in range(50)] == list(map(str, range(50)))


def test_many_at_once(probe):
    """500 connections together: each gets its own answer, or 503 with Retry-After."""
    probe.function("probe_get", "BEGIN PERFORM pg_sleep(0.001); RETURN QUERY SELECT request->>'n'; END")
    clients = [(n, probe.connect()) for n in range(500)]
    for n, client in clients:
        client.sendall(f"GET /probe?n={n} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    answered = 0
    for n, client in clients:
        answer = received(client)
        if answer.startswith(b"HTTP/1.1 200 OK") and answer.endswith(f"\r\n\r\n{n}".encode()):
            answered += 1
        else:
            assert answer.startswith(b"HTTP/1.1 503 ") and b"\r\nRetry-After: 1\r\n" in answer, answer
    assert answered >= QUERIES
    assert probe.get("/probe?n=7").text == "7"


UNFINISHED = {"nothing": b"", "method": b"GET", "head": b"GET /probe HTTP/1.1\r\nHost: loc", "blank lines": b"\r\n" * 10,
              "half a body": b"POST /probe HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"a",
              "half a body of no use": b"POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nx"}


@pytest.mark.parametrize("text", UNFINISHED.values(), ids=UNFINISHED)
def test_client_that_sends_no_more(probe, text):
    client = probe.connect()
    client.sendall(text)
    begun = time.monotonic()
    received(client)
    assert time.monotonic() - begun < 25, "a client that says nothing more holds its connection"


def test_client_that_sends_slowly(probe):
    """A byte every 0.2 s is traffic, and yet the head has its time."""
    client = probe.connect()
    begun = time.monotonic()
    with pytest.raises(OSError):
        for byte in b"GET /ping HTTP/1.1\r\nX-Slow: " + b"x" * 1000:
            client.sendall(bytes([byte]))
            time.sleep(0.2)
            assert time.monotonic() - begun < 15, "it is still listened to"
    client.close()


def test_stream_that_is_not_read(probe):
    probe.function("probe_rows", "SELECT repeat('x', 100000) FROM generate_series(1, 100000)", how="LANGUAGE sql")
    slow = probe.metric("cityhub_http_slow_total")
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    client.settimeout(30)
    client.connect(("127.0.0.1", probe.port))
    client.sendall(b"GET /probe/rows HTTP/1.1\r\nHost: localhost\r\n\r\n")
    wait_until(lambda: probe.metric("cityhub_http_slow_total") == slow + 1, 15, "it is cut (deadline: 20 s)")
    wait_until(lambda: probe.busy() == 0, 30, "its statement is cancelled")
    client.close()


@pytest.mark.parametrize("head", [b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\n\r\n",
                                  b"GET /ping HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 1_000_000 + b"\r\n\r\n",
                                  b"GET /ping HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(70000)) + b"\r\n"],
                         ids=["target", "one header", "many headers"])
def test_heads_of_a_megabyte(probe, head):
    before = probe.metric("process_resident_memory_bytes")
    client = probe.connect()
    try:
        client.sendall(head)
    except OSError:
        pass
    answer = received(client)
    assert answer == b"" or answer[9:12] in (b"414", b"431", b"413", b"400"), answer[:200]
    assert probe.get("/ping").text == "pong\n"
    assert probe.metric("process_resident_memory_bytes") - before < 10_000_000


def test_idle_connections_make_room(probe):
    """More idle connections than there is room for do not keep others out."""
    with probe.set(connections=20, timeout_s=60):
        idle = []
        for _ in range(20):
            client = probe.ask("/ping")
            assert client.recv(1000).endswith(b"pong\n")
            idle.append(client)
        begun = time.monotonic()
        assert probe.get("/ping").text == "pong\n"
        assert time.monotonic() - begun < 20
        assert probe.metric("cityhub_http_evicted_total") >= 1
        for client in idle:
            client.close()


@pytest.mark.parametrize("text", UNFINISHED.values(), ids=UNFINISHED)
def test_unfinished_requests_make_room(probe, text):
    """Strangers of many addresses, four times as many as there is room for, send half and hold their connections: whoever asks is
    answered, and what was asked before they came is answered too. So it is with those of one address that has its share."""
    with probe.set(connections=20, address_connections=20, timeout_s=60), probe.gate() as opened:
        asked = [probe.ask("/probe", head="Connection: close\r\n", source="127.0.0.2") for _ in range(QUERIES)]
        wait_until(lambda: probe.running() == QUERIES, 30, "they wait for their answer")
        held = []
        try:
            for sources in [[f"127.0.1.{n + 1}" for n in range(80)], ["127.0.0.1"] * 20]:
                for source in sources:
                    held.append(socket.create_connection(("127.0.0.1", probe.port), 30, (source, 0)))
                    held[-1].sendall(text)
                begun = time.monotonic()
                wait_until(lambda: probe.get("/ping").text == "pong\n", 30, "a place is made")
                assert time.monotonic() - begun < 10, "their time had to be over first"
            assert probe.metric("cityhub_http_evicted_total") >= 60
            opened()
            assert all(received(client).endswith(b"passed") for client in asked), "what waits for its answer gives no way"
        finally:
            for client in held:
                client.close()


def test_one_address_among_others(probe):
    """One address takes neither all connections nor all of the pool; it is told so, and what it leaves idle makes room for its next."""
    held, share = [], 10
    with probe.set(connections=60, address_connections=share, address_queries=1, timeout_s=60), probe.gate() as opened:
        try:
            held += [probe.ask("/probe") for _ in range(share)]
            wait_until(lambda: probe.running() == 1, 30, "one statement runs")
            other = probe.ask("/probe", head="Connection: close\r\n", source="127.0.0.2")
            wait_until(lambda: probe.running() == 2, 30, "that of another address runs beside it, before those that have waited longer")
            refused = probe.get("/ping")
            assert problem(refused, 429, "CH054")["detail"].startswith("该地址已有 10 个连接")
            assert (refused.headers["Connection"], refused.headers["Retry-After"]) == ("close", "1")
            silent = [probe.connect() for _ in range(60)]
            assert sum(received_soon(client) for client in silent) >= 40, "more of them are closed at once"
            assert received(probe.ask("/ping", head="Connection: close\r\n", source="127.0.0.3")).endswith(b"pong\n")
            opened()
            assert received(other).endswith(b"passed")
            for client in held:  # until each has its answer; then it is idle
                assert client.recv(1000)
            assert probe.metric("cityhub_http_crowded_total") >= 41
            wait_until(lambda: probe.get("/ping").text == "pong\n", 30, "what is idle makes room")
            assert probe.metric("cityhub_http_evicted_total") >= 1
        finally:
            for client in held:
                client.close()


def received_soon(client):
    """Whether the server has closed a connection that said nothing."""
    client.settimeout(0.2)
    try:
        return client.recv(1000) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def test_end_while_requests_wait(probe):
    probe.sleeper(60)
    clients = [probe.ask("/probe") for _ in range(QUERIES + 2)]
    wait_until(lambda: probe.running() == QUERIES, 30, "the statements run")
    probe.stop()  # nothing is left allocated, and no handle in the loop
    for client in clients:
        received(client)
    wait_until(lambda: probe.busy() == 0, 30, "the server notices that nobody waits")
    probe.start()
