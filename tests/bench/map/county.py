"""A county for benches of the map: devices, most of them in towns, cells, cases, and vehicles that move while a bench asks."""
import json
import random
import threading
import time

WEST, SOUTH, WIDTH, HEIGHT = 114.2, 34.2, 0.6, 0.5
MOVE_S = 5  # a vehicle tells where it is as often
MOVERS = "construction_waste"


def places(count):
    """70 % in 12 towns."""
    rng = random.Random(20261127)
    towns = [(WEST + WIDTH * rng.random(), SOUTH + HEIGHT * rng.random()) for _ in range(12)]
    for _ in range(count):
        if rng.random() < 0.7:
            lon, lat = rng.choice(towns)
            yield rng.gauss(lon, 0.012), rng.gauss(lat, 0.010)
        else:
            yield WEST + WIDTH * rng.random(), SOUTH + HEIGHT * rng.random()


def cells(database, count):
    """In rows of 100, of 20 departments; as high as it takes to cover the county: what happens beyond its cells is outside of it."""
    high = HEIGHT / (-(-count // 100))
    database.query("""
        INSERT INTO onemap.department (code, name_zh, kind) SELECT 'u' || n, '单位' || n, 'county' FROM generate_series(1, 20) n;
        INSERT INTO onemap.grid_cell (code, department_id, geom)
        SELECT '41022100100' || lpad(n::text, 4, '0'), (SELECT d.id FROM onemap.department d WHERE d.code = 'u' || 1 + n %% 20),
            public.ST_Multi(public.ST_MakeEnvelope(%s + n %% 100 * 0.006, %s + n / 100 * %s, %s + (n %% 100 + 1) * 0.006, %s + (n / 100 + 1) * %s, 4326))
        FROM generate_series(0, %s) n""", WEST, SOUTH, high, WEST, SOUTH, high, count - 1)


def devices(database, points):
    values = ",".join(f"({n},{lon:.7f},{lat:.7f})" for n, (lon, lat) in enumerate(points))
    database.query("INSERT INTO onemap.device (subsystem, vendor, code, kind, status, geom) SELECT 'dust', 'tester', 'D-' || p.n,"
                   " (SELECT min(k.key) FROM onemap.device_kind k WHERE k.subsystem = 'dust'), 'active',"
                   f" public.ST_SetSRID(public.ST_MakePoint(p.lon, p.lat), 4326) FROM (VALUES {values}) p (n, lon, lat)")
    database.query("INSERT INTO onemap.device_state (device_id, observed_at, last_seen_at, online) SELECT d.id, now(), now(), d.id % 10 > 0 FROM onemap.device d")


def cases(database, count):
    """One is reported, the others are its copies in other places; every fifth is open."""
    database.value("SELECT onemap.case_catalogue_import(%s::jsonb, 'bench')", json.dumps([{
        "line": 2, "code": "20102", "class": "市容环境", "name": "暴露垃圾", "condition": "1", "registration_condition": "暴露", "limit": "5", "unit": "工作时",
        "closing_condition": "已处置", "responsible": "u1", "source": "assumed"}]))
    code = database.value("SELECT onemap.case_report(%s::jsonb)->>'case'", json.dumps({
        "source": "supervisor", "role": "supervisor", "actor": "张三", "title": "暴露垃圾", "category": "20102", "lon": WEST + 0.1, "lat": SOUTH + 0.1}))
    connection = database.connect()
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")  # their journals are of no concern here
        cursor.execute("""
            INSERT INTO onemap.case_record OVERRIDING SYSTEM VALUE
            SELECT (jsonb_populate_record(r, jsonb_build_object('id', r.id + n, 'code', '20261101-' || 100000 + n,
                'ended_at', CASE WHEN n %% 5 > 0 THEN now() END, 'state', CASE WHEN n %% 5 > 0 THEN 'closed' ELSE r.state END,
                'geom', format('SRID=4326;POINT(%%s %%s)', %s + random() * %s, %s + random() * %s)))).*
            FROM onemap.case_record r, generate_series(1, %s) n WHERE r.code = %s""", (WEST, WIDTH, SOUTH, HEIGHT, count - 1, code))
    connection.close()
    database.query("SELECT setval(pg_get_serial_sequence('onemap.case_record', 'id'), max(c.id)) FROM onemap.case_record c")  # more may be reported


class Movers:
    """Vehicles on their way, as long as the block lasts: each tells its place once an interval, and has gone some 50 m."""

    def __init__(self, vendor, count, interval=MOVE_S, at=None):
        self.vendor, self.ended, self.rng, self.turns = vendor, threading.Event(), random.Random(7), round(interval * 4)
        self.at = at or [[WEST + WIDTH * self.rng.random(), SOUTH + HEIGHT * self.rng.random()] for _ in range(count)]
        self.thread = threading.Thread(target=self.run)

    def tell(self, numbers):
        now = int(time.time() * 1000)
        for n in numbers:
            self.at[n] = [self.at[n][0] + self.rng.uniform(-5e-4, 5e-4), self.at[n][1] + self.rng.uniform(-5e-4, 5e-4)]
        return self.vendor.publish("telemetry", [
            {"device_code": f"V-{n}", "observed_at_ms": now, "speed_km_h": 36.0,
             "position": {"system": "WGS84", "lon": round(self.at[n][0], 7), "lat": round(self.at[n][1], 7)}} for n in numbers])

    def run(self):
        turn, due = 0, time.monotonic()
        while not self.ended.wait(max(0, due - time.monotonic())):
            self.tell(range(turn % self.turns, len(self.at), self.turns))  # four times a second
            turn, due = turn + 1, due + 0.25

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()
