"""The ledger upward and the seals of the cases' journal under writers that commit in any order: nothing is passed over, whatever
number it drew."""
import contextlib
import random
import threading

import pytest
from harness import paths

CASES, WRITERS = 12, 4


@pytest.fixture
def county(database):
    """A county with cases' words and functions (test.report, test.act)."""
    database.query((paths.ROOT / "tests" / "schema" / "include" / "case_fixture.sql").read_text())
    return database


@contextlib.contextmanager
def transaction(database):
    """A connection with a transaction that has its number, for what a test wants to commit when it likes."""
    connection = database.connect(autocommit=False)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_current_xact_id()")
        yield connection
    finally:
        connection.close()


def report(connection):
    with connection.cursor() as cursor:
        cursor.execute("SELECT test.report()")
        return cursor.fetchone()[0]


def test_seal_waits_for_numbers_beyond_the_snapshot(county):
    """A transaction whose number is beyond all that have ended adds an event below the last one: no seal is set over it."""
    county.query("UPDATE onemap.setting SET value = '0' WHERE key = 'case_seal_hours'")
    with transaction(county) as earlier, transaction(county) as later:
        report(later)
        report(earlier)
        earlier.commit()
        for _ in range(5):
            assert county.value("SELECT onemap.case_seal_sweep()") == 0
        later.commit()
    sealed = [county.value("SELECT onemap.case_seal_sweep()") for _ in range(2)]
    assert 1 in sealed, f"it is sealed when all have ended: {sealed}"
    assert county.query("SELECT * FROM onemap.case_seal_check()") == []
    assert county.value("SELECT events FROM onemap.case_seal ORDER BY id DESC LIMIT 1") == 2


def test_target_added_while_cases_are_written(county):
    """What was begun before a target was there, and commits after it, goes to it."""
    with transaction(county) as writer:
        code = report(writer)
        put = county.value("""SELECT onemap.exchange_target_put('{"target": "city", "resources": ["case_step"]}')""")
        assert put["entered"] == 0 and county.value("SELECT onemap.exchange_sweep()") == 0
        writer.commit()
    assert county.value("SELECT onemap.exchange_sweep()") == 1
    assert county.query("SELECT record FROM onemap.exchange_record") == [(f"{code}/1",)]


def test_writers_commit_in_any_order(county):
    """Many writers that hold their transactions open for as long as others write, two sweeps side by side: each step is in the ledger
    once, each case's in its order, and a device's last state is the last version."""
    county.value("""SELECT onemap.exchange_target_put('{"target": "city", "resources": ["case_step", "device"]}')""")
    done, faults = threading.Event(), []

    def write(seed):
        chance, held = random.Random(seed), {}
        try:
            for number in range(CASES):
                connection, slot = county.connect(autocommit=False), next(one for one in range(3) if one not in held)
                held[slot] = connection
                code = report(connection)
                with connection.cursor() as cursor:
                    if chance.random() < 0.5:
                        cursor.execute("SELECT test.act(%s, 'accept', 'acceptor')", (code,))
                    cursor.execute("UPDATE onemap.device SET name_zh = %s WHERE code = %s", (code, f"L{seed}-{slot}"))
                # Up to three are open, and end in any order: a number that was drawn first may be seen last.
                while len(held) > (2 if number < CASES - 1 else 0):
                    one = held.pop(chance.choice(sorted(held)))
                    one.rollback() if chance.random() < 0.2 else one.commit()
                    one.close()
        except Exception as fault:  # the test tells it
            faults.append(fault)

    def sweep():
        with contextlib.closing(county):
            while not done.is_set():
                county.value("SELECT onemap.exchange_sweep()")

    county.query("INSERT INTO onemap.device (subsystem, vendor, code, status) SELECT 'streetlight', 'lamps', 'L' || n || '-' || k, 'active'"
                 " FROM generate_series(1, %s) n, generate_series(0, 2) k", WRITERS)
    writers = [threading.Thread(target=write, args=(number + 1,)) for number in range(WRITERS)]
    sweepers = [threading.Thread(target=sweep) for _ in range(2)]
    for thread in writers + sweepers:
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    for thread in sweepers:
        thread.join()
    assert not faults
    while county.value("SELECT onemap.exchange_sweep()"):
        pass
    assert county.value("SELECT count(*) FROM onemap.case_event") > WRITERS * CASES / 2, "they have written"
    assert county.query("SELECT d.record, d.difference FROM onemap.exchange_differences('{}') d WHERE d.difference <> 'waiting'") == []
    assert county.query("SELECT record FROM onemap.exchange_record WHERE resource = 'case_step' AND version > 1") == []
    assert county.query("SELECT chain FROM (SELECT chain, id, lag(id) OVER (PARTITION BY chain ORDER BY (content->>'seq')::int) AS before"
                        " FROM onemap.exchange_record WHERE resource = 'case_step') x WHERE before > id") == []
    assert county.query("SELECT count(*) FROM onemap.exchange_change") == [(0,)]
