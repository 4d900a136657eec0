"""Old days are packed and unpacked while records for them arrive, late, doubled and corrected, and hub and database are killed at random:
nothing is lost or doubled. CITYHUB_KILLS: how many times something is killed (tests/harness/books.py)."""
import collections
import random
import threading

import psycopg2

from harness.books import check_books, kill_at_random

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
    check_books(site, books, 1)
