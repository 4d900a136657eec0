"""Old days are packed and unpacked while records for them arrive, late, doubled and corrected, and hub and database are killed at random:
nothing is lost or doubled. CITYHUB_KILLS: how many times something is killed (tests/harness/books.py). And what is stored while a
step is at it is in the step."""
import collections
import random
import threading

import psycopg2

from harness.books import check_books, kill_at_random
from harness.process import wait_until

AGE_DAYS = 10


class Packer:
    """Packs a day in small steps, and now and then unpacks it, vacuums what is empty, and drops it, whatever is killed meanwhile."""

    def __init__(self, database):
        self.database, self.random = database, random.Random(3)
        self.day = database.value("SELECT (now() AT TIME ZONE 'UTC')::date - %s", AGE_DAYS)
        self.steps = collections.Counter()
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def step(self, sql, *args):
        told = self.database.value(sql, *args)
        self.steps[told] += 1
        return told

    def pack(self, rows):
        return self.step("SELECT onemap.pack_step(%s, %s, %s)", str(self.day + self.day.resolution), self.day, rows)

    def vacuum(self):
        for name in ("observation", "track_point"):
            leaf = f"onemap.{name}_{self.day:%Y%m%d}"
            if self.database.value("SELECT to_regclass(%s) IS NOT NULL", leaf):
                self.database.query(f"VACUUM {leaf}")

    def _run(self):
        while not self.stopping.is_set():
            try:
                for _ in range(self.random.randrange(1, 12)):
                    self.pack(self.random.randrange(5, 400))
                if self.random.random() < 0.3:
                    self.vacuum()
                if self.random.random() < 0.2:
                    for _ in range(self.random.randrange(1, 30)):
                        self.step("SELECT 'un' || onemap.unpack_step(%s, 40)", self.day)
            except psycopg2.Error:
                self.steps["failed"] += 1  # killed, not begun yet, or dropped in between
                self.stopping.wait(0.05)
            self.stopping.wait(0.01)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join(60)
        assert not self.thread.is_alive()


def test_killed_while_packed(site, hub, vendor_client, cluster):
    client = vendor_client("dust", session_expiry_s=3600)
    # At noon of that day, whenever the test runs.
    age_s = AGE_DAYS * 86400 - 43200 + site.database.value("SELECT extract(epoch FROM now())::bigint % 86400")
    with Packer(site.database) as packer:
        books = kill_at_random(site, cluster, client, kills=6, broker_dies=False, age_s=age_s)
    print("steps:", dict(packer.steps))
    assert {"begun", "devices", "packed", "again", "undevices", "ununpacked"} <= set(packer.steps), packer.steps
    for _ in range(200):
        if packer.pack(1000) == "done":
            break
    packer.vacuum()
    while packer.pack(1000) != "done":
        pass
    assert packer.steps["dropped"] > 0
    assert site.database.value("SELECT count(*) FROM onemap.observation_raw") == 0, "all of it is packed"
    check_books(site, books)


def test_stored_during_a_step(database):
    """A step packs without holding the day. What is corrected, and what comes new, between its look and its hold is packed as well."""
    day = database.value("SELECT (now() AT TIME ZONE 'UTC')::date - %s", AGE_DAYS)
    database.query("SELECT onemap.partition_ensure(%s)", day)
    database.query("INSERT INTO onemap.observation_raw SELECT d, %s::date + n * interval '1 min', now(), ARRAY[n, d] FROM generate_series(1, 3) d,"
                   " generate_series(0, 99) n", day)

    def step():
        return database.value("SELECT onemap.pack_step(%s, %s)", str(day + day.resolution), day)
    assert step() == "begun"
    writer = database.connect(autocommit=False)
    cursor = writer.cursor()
    cursor.execute("SELECT onemap.stage_create()")
    cursor.execute("INSERT INTO pg_temp.observation_stage (device_id, observed_at, received_at, readings) VALUES (1, %(day)s, now(), '{-5,1}'),"
                   " (2, %(day)s::date + interval '12 hours', now(), '{-6,2}')", {"day": day})
    cursor.execute("SELECT cardinality(revised) FROM onemap.observation_settle(now())")
    assert cursor.fetchone() == (1,)
    told = []
    packer = threading.Thread(target=lambda: told.append(step()))
    packer.start()
    wait_until(lambda: database.value("SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'ShareRowExclusiveLock'") == 1, 30,
               "the step waits for the writer")
    writer.commit()
    writer.close()
    packer.join(60)
    while told[-1] == "busy":  # it does not wait for ever
        told.append(step())
    assert told[-1] == "packed"
    assert database.value("SELECT count(*) FROM onemap.observation_raw") == 0
    assert database.query("SELECT device_id, readings FROM onemap.observation WHERE readings[1] < 0 ORDER BY 1") == [(1, [-5, 1]), (2, [-6, 2])]
    assert database.value("SELECT count(*) FROM onemap.observation") == 301
