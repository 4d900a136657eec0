"""What the hub owes to whoever asks when more ask than it can serve, and when its database is away: each has an answer, or is told
when to come again. With the connections, queue and shares of an address that a county has."""
import asyncio
import atexit
import collections
import pathlib
import shutil
import socket
import tempfile
import threading
import time

import pytest
import requests
from harness.guides import now_ms
from harness.process import wait_until

CLIENTS, CONNECTIONS, TURNS = 500, 4, 2
PAGE = pathlib.Path(tempfile.mkdtemp(prefix="cityhub-page-"))  # with a file that no socket's buffers hold
atexit.register(shutil.rmtree, PAGE, ignore_errors=True)
PAGE.joinpath("assets").mkdir()
PAGE.joinpath("index.html").write_text("<!doctype html>")
PAGE.joinpath("assets", "large.js").write_bytes(b"//" + bytes(7 << 20))
SHARED_SETTINGS = {"http.deadline_s": 6, "http.page": PAGE}
QUERIES = 4  # [http] queries
IDLE_S = 0.9  # a connection that says nothing for a second may be closed for others


@pytest.fixture
def hub(shared):
    return shared.hubs[0]


@pytest.fixture(scope="module")
def device(shared):
    """The id of one of 50 that have sent; the map has all."""
    hub, vendor = shared.hubs[0], shared.new_client("dust")
    shared.database.query("INSERT INTO onemap.device (subsystem, vendor, code, kind, status, geom) SELECT 'dust', %s, 'C' || n, NULL, 'active',"
                          " public.ST_SetSRID(public.ST_MakePoint(114.5 + n * 0.001, 34.5), 4326) FROM generate_series(1, 50) n", vendor.vendor)
    hub.sync_registry()
    vendor.send_telemetry(*({"device_code": f"C{n}", "observed_at_ms": now_ms(), "pm25_ug_m3": 1.0 * n} for n in range(1, 51)))
    wait_until(lambda: hub.metric("cityhub_map_devices") >= 50, 30, "the map has them")
    return shared.database.value("SELECT min(id) FROM onemap.device WHERE vendor = %s", vendor.vendor)


class Page:
    """A client's connections, from an address of its own; each asks TURNS times, the next when it has its answer, as a browser does."""

    def __init__(self, hub, number, paths):
        self.port, self.source = hub.http_port, f"127.1.{number // 250}.{number % 250 + 1}"
        self.head = "".join(f"{name}: {value}\r\n" for name, value in hub.key().items())
        self.paths, self.answers, self.spoke = paths, [], {}

    async def look(self):
        await asyncio.gather(*(self.connection(path) for path in self.paths))

    async def connection(self, path):
        streams = None
        for _ in range(TURNS):
            streams = streams or await self.connect()
            silent_s = time.monotonic() - self.spoke[streams[1]]
            answer = await self.ask(streams, path)
            while answer is None and silent_s > IDLE_S:  # it said nothing and made room: a browser comes again by itself
                streams = await self.connect()
                silent_s = time.monotonic() - self.spoke[streams[1]]
                answer = await self.ask(streams, path)
            self.answers.append(answer)
            if answer is None or answer[1].get("connection") == "close":
                streams[1].close()
                streams = None
        if streams is not None:
            streams[1].close()

    async def connect(self):
        begun = time.monotonic()
        streams = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(self.source, 0))
        self.spoke[streams[1]] = begun
        return streams

    async def ask(self, streams, path):
        """(status, headers, with the body among them if it came whole); None: the connection was closed without a word."""
        reader, writer = streams
        self.spoke[writer] = time.monotonic()  # and not when the answer is read here: the hub may have sent it long before
        try:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{self.head}\r\n".encode())
            first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
            if headers.get("transfer-encoding") == "chunked":
                while size := int(await reader.readline(), 16):
                    await reader.readexactly(size + 2)
                await reader.readline()
            else:
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                headers["body"] = body
        except asyncio.IncompleteReadError as error:
            assert error.partial == b"", f"an answer breaks off: {error.partial[:200]}"
            return None
        except ConnectionError:
            return None
        return int(first.split()[1]), headers


def crowd(hub, device, meanwhile=lambda: None):
    """All clients together; how many of their requests ended with which status; "full": 503 for want of a place in the queue."""
    paths = ["/api/v1/tiles/device/12/3350/1629.mvt", "/api/v1/tiles/device/9/418/203.mvt", "/api/v1/devices?limit=20&readings=true",
             f"/api/v1/devices/{device}/series"]
    pages = [Page(hub, number, paths) for number in range(CLIENTS)]
    hub.key()

    async def all_of_them():
        await asyncio.wait_for(asyncio.gather(*(page.look() for page in pages)), 240)
    thread = threading.Thread(target=meanwhile)
    thread.start()
    asyncio.run(all_of_them())
    thread.join()
    answers = [answer for page in pages for answer in page.answers]
    assert len(answers) == CLIENTS * CONNECTIONS * TURNS
    for answer in answers:
        assert answer is not None, "somebody was sent away without a word"
        assert answer[0] in (200, 204) or answer[0] == 503 and int(answer[1]["retry-after"]) > 0, answer
    return collections.Counter("full" if status == 503 and "等待的请求过多" in headers["body"].decode() else status for status, headers in answers)


def stranger(hub, number):
    """Somebody unknown who has asked for the large file and can hold little of it."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.bind((f"127.4.{number // 100}.{number % 100 + 1}", 0))
    client.settimeout(30)
    client.connect(("127.0.0.1", hub.http_port))
    client.sendall(b"GET /assets/large.js HTTP/1.1\r\nHost: a\r\n\r\n")
    return client


def running(shared):
    return shared.database.value("SELECT count(*) FROM pg_stat_activity WHERE application_name ~ '^cityhub test http-[0-9]' AND state = 'active'")


def test_500_clients_with_four_connections(shared, hub, device):
    """Four times the connections that there are: each request has its answer, and vendors' messages are stored meanwhile."""
    vendor, receipts = shared.new_client("dust"), []

    def messages():
        receipts.extend(vendor.send_telemetry({"device_code": "X", "observed_at_ms": now_ms() + n, "pm25_ug_m3": 1.0}) for n in range(20))
    told = crowd(hub, device, messages)
    assert [receipt["accepted"] for receipt in receipts] == [1] * 20
    assert told[200] + told[204] > 0 and not told["full"], f"the queue has a place for each connection: {told}"
    assert hub.read(f"/api/v1/devices/{device}").status_code == 200


def test_600_half_sent_heads(shared, hub, device):
    """Strangers of many addresses that send half a head and hold on: the hub says that it is well, whoever is logged in is answered, and
    a live stream goes on."""
    vendor, events, held = shared.new_client("dust"), [], []
    with requests.get(hub.http_url + "/api/v1/stream", headers=hub.key(), stream=True, timeout=60) as stream:
        lines = stream.iter_lines()
        assert next(line for line in lines if line)
        try:
            for number in range(600):
                held.append(socket.create_connection(("127.0.0.1", hub.http_port), 30, (f"127.3.{number // 100}.{number % 100 + 1}", 0)))
                held[-1].sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-Slow: ")
            for _ in range(3):
                assert requests.get(hub.http_url + "/healthz", timeout=5).status_code == 200
                assert requests.get(hub.http_url + f"/api/v1/devices/{device}", headers=hub.key(), timeout=5).status_code == 200
            vendor.send_telemetry({"device_code": "live", "observed_at_ms": now_ms(), "pm25_ug_m3": 1.0})
            events.append(next(line for line in lines if line.startswith(b"data:")))
        finally:
            for client in held:
                client.close()
    assert events


def test_500_that_read_no_answer(shared, hub, device):
    """Strangers of many addresses that ask for a large file and do not read it: whoever is logged in is answered in under a second, on
    a new connection, too, once those that stood before him in the listener's queue have shown what they are, and that long before
    their deadline; a stranger who reads slowly is not taken for one of them."""
    held, took = [stranger(hub, number) for number in range(500)], []
    slow = stranger(hub, 999)
    try:
        begun = time.monotonic()
        while (now := time.monotonic()) < begun + 12:
            assert requests.get(hub.http_url + f"/api/v1/devices/{device}", headers=hub.key(), timeout=30).status_code == 200
            took.append((round(time.monotonic() - now, 3), round(now - begun, 1)))
            if now < begun + 4:  # its own time is over at the deadline
                assert slow.recv(1 << 20), "who reads was cut"
            time.sleep(0.1)
    finally:
        for client in [*held, slow]:
            client.close()
    assert took[0][0] < SHARED_SETTINGS["http.deadline_s"] and max(took[1:])[0] < 1, f"seconds that an answer took, and when: {sorted(took)[-8:]}"


def test_queries_that_run_away(shared, hub, device):
    """As many as the pool has connections, from as many addresses: they are cancelled in the database at their deadline; who waits for
    them meanwhile is told when to come again, and the map goes on."""
    name = "onemap.http_nearby(jsonb)"
    source, result = shared.database.query("SELECT pg_get_functiondef(%s::regprocedure), pg_get_function_result(%s::regprocedure)", name, name)[0]
    ends, cancelled = [], hub.metric("cityhub_http_cancelled_total")

    def run_away(number):
        client = socket.create_connection(("127.0.0.1", hub.http_port), 60, (f"127.2.0.{number + 1}", 0))
        head = "".join(f"{key}: {value}\r\n" for key, value in hub.key().items())
        client.sendall(f"GET /api/v1/nearby?lon=114.5&lat=34.5 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{head}\r\n".encode())
        ends.append(client)
    hub.key()
    try:
        # It counts, so that it takes its core as a wrong plan would.
        shared.database.query(f"CREATE OR REPLACE FUNCTION onemap.http_nearby(request jsonb) RETURNS {result} LANGUAGE plpgsql STABLE AS $f$"
                              " DECLARE n bigint := 0; BEGIN LOOP n := n + 1; END LOOP; END $f$")
        for number in range(QUERIES):
            run_away(number)
        wait_until(lambda: running(shared) == QUERIES, 30, "they run")
        tile = requests.get(hub.http_url + "/api/v1/tiles/device/12/3350/1629.mvt", headers=hub.key(), timeout=30)
        told = crowd(hub, device)
        for client in ends:
            answer = client.recv(65536)
            assert answer.startswith(b"HTTP/1.1 504 ") and b"CH052" in answer, answer
            client.close()
        wait_until(lambda: running(shared) == 0, 30, "none of them runs on")
    finally:
        shared.database.query(source)
    assert tile.status_code in (200, 503), tile.text
    assert hub.metric("cityhub_http_cancelled_total") >= cancelled + QUERIES
    assert told[200] + told[204] > 0 and hub.read("/api/v1/nearby?lon=114.5&lat=34.5").status_code == 200


def example(parameter):
    """A value that the parameter takes, as it stands in a path or query."""
    if "enum" in parameter:
        return parameter["enum"][0]
    if parameter["type"] in ("integer", "number"):
        return str(parameter.get("minimum", 1))
    known = {"at": "2026-01-01", "box": "114,34,115,35", "month": "2026-01", "sha256": "0" * 64}
    return known.get(parameter["name"], "1" * max(1, parameter.get("minLength", 1)))


def asked(row):
    path = row["path"]
    for parameter in row["parameters"]:
        path = path.replace("{%s}" % parameter["name"], example(parameter))
    query = "&".join(f"{p['name']}={example(p)}" for p in row["parameters"] if p["in"] == "query" and p["required"])
    return path + ("?" + query if query else "")


def test_database_away(shared, hub, device, cluster):
    """Every route that reads: from memory, marked with its age, or 503 that says when to come again; at once, and not at the deadline."""
    rows = [row for row in hub.get("/api/v1").json()["routes"] if row["method"] == "GET"]
    known = {"/api/v1/tiles/{layer}/{z}/{x}/{y}.mvt": "/api/v1/tiles/device/12/3350/1629.mvt", "/api/v1/map/counts": "/api/v1/map/counts"}
    before = {path: hub.read(path) for path in known.values()}
    memory = {"/healthz": 200, "/readyz": 503, "/metrics": 200, "/api/v1": 200, "/api/v1/openapi.json": 200, "/api/v1/status": 200,
              "/": 200, "/assets/{file}": 404, "/api/v1/basemaps/{name}/{layer}/{z}/{x}/{y}": 404}  # no such file, no base map
    cluster.stop("immediate")
    try:
        wait_until(lambda: hub.read(known["/api/v1/map/counts"]).headers.get("Age"), 30, "what is in memory tells its age")
        wrong = {}
        for row in rows:
            path = known.get(row["path"]) or asked(row)
            answer = hub.get(path) if row["loopback"] else hub.read(path)
            if row["path"] in known:
                right = answer.content == before[path].content and answer.status_code == 200 and int(answer.headers["Age"]) > 0
            elif row["path"] in memory:
                right = answer.status_code == memory[row["path"]]
            else:
                right = (answer.status_code == 503 and answer.json()["code"] == "CH051" and int(answer.headers["Retry-After"]) > 0
                         and answer.elapsed.total_seconds() < SHARED_SETTINGS["http.deadline_s"])
            if not right:
                wrong[path] = (answer.status_code, answer.headers.get("Age"), answer.text[:200])
        assert not wrong, "\n".join(f"{path}: {what}" for path, what in wrong.items())
        assert len(rows) > 50
    finally:
        cluster.start()
    hub.wait_ready()
    wait_until(lambda: "Age" not in hub.read("/api/v1/map/counts").headers, 60, "the map is current again")
    assert hub.read(f"/api/v1/devices/{device}").status_code == 200
