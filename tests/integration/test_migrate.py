"""`cityhub migrate`: a fresh database, once more, what it refuses and why, two at once, killed in the middle."""
import hashlib
import pathlib
import shutil
import signal

import pytest
from harness import paths
from harness.hub import Hub
from harness.postgres import Database
from harness.process import Process, wait_until

LOCK_KEY = 0x0063697479687562  # hub/migrate/migrate.c
GATE = 4711  # an advisory lock with which a test holds a file in its middle


@pytest.fixture
def empty(cluster):
    """A database with nothing in it."""
    cluster.start()
    database = Database(cluster, f"empty_{next(cluster.numbers)}")
    cluster.admin(f"CREATE DATABASE {database.name}")
    yield database
    cluster.drop(database)


@pytest.fixture
def data_dir(work_folder):
    """A copy of schema/ and adapters/, for tests that change it."""
    folder = work_folder / "data"
    shutil.copytree(paths.ROOT / "schema", folder / "schema")
    shutil.copytree(paths.ROOT / "adapters", folder / "adapters")
    return folder


class Nowhere:
    """migrate needs no broker."""
    host, port = "127.0.0.1", 1


@pytest.fixture
def migrate(work_folder, data_dir):
    """migrate(database, *arguments, code=0): runs it with the copied files."""
    def run(database, *arguments, code=0, conninfo=None):
        hub = Hub(database, Nowhere, work_folder, {"hub.data_dir": data_dir, "database.migrate_conninfo": conninfo or database.conninfo})
        return hub.run("migrate", *arguments, code=code)
    return run


@pytest.fixture
def background(work_folder, data_dir):
    """Starts migrates that go on while the test does something else."""
    started = []

    def start(database, *arguments):
        name = f"migrate{len(started) + 1}"
        hub = Hub(database, Nowhere, work_folder, {"hub.data_dir": data_dir}, name)
        process = Process(name, [paths.cityhub(), "--config", hub.config_path, "migrate", *arguments], work_folder / f"{name}.log",
                          env=hub.environment)
        process.start()
        started.append(process)
        return process
    yield start
    for process in started:
        if process.running:
            process.kill()


def applied(database):
    return database.query("SELECT version, name, checksum, applied_at FROM cityhub_meta.migration ORDER BY version")


def repeatables(database):
    return database.query("SELECT name, applied_at FROM cityhub_meta.repeatable ORDER BY name")


def exists(database, table):
    return database.value("SELECT to_regclass(%s) IS NOT NULL", table)


def wait_for_lock(database, key):
    """Waits until a server process waits for this advisory lock."""
    wait_until(lambda: database.value(
        "SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND (classid::bigint << 32 | objid::bigint) = %s"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())", key), 60, f"somebody waits for lock {key}")


def ended(process, timeout_s=120):
    wait_until(lambda: not process.running, timeout_s, f"{process.name} ended (log: {process.log_path})")
    return process.child.returncode


def add_file(data_dir, name, text):
    path = data_dir / "schema" / name
    path.write_text(text)
    return path


def test_fresh_database_and_once_more(empty, migrate, data_dir):
    files = sorted(path for path in (data_dir / "schema").glob("*.sql"))
    first = migrate(empty)
    assert f"{len(files)} schema files" in first.stdout.splitlines()[-1]
    before = applied(empty)
    assert [(name, checksum) for _, name, checksum, _ in before] == [
        (f"schema/{path.name}", hashlib.sha256(path.read_bytes()).hexdigest()) for path in files]
    assert empty.value("SELECT count(*) > 200 FROM onemap.metric"), "the catalogue of metrics is there"
    assert empty.value("SELECT count(*) > 11 FROM onemap.alarm_rule WHERE kind = 'threshold'"), "the adapters' rules are there"
    again, stamps = migrate(empty), repeatables(empty)
    assert "0 schema files and 0 repeatable ones applied now" in again.stdout
    assert (applied(empty), repeatables(empty)) == (before, stamps), "the second run changed something"


def test_changed_repeatable_is_applied_anew(empty, migrate, data_dir):
    migrate(empty)
    path = next((data_dir / "adapters").glob("dust/*.sql"))
    path.write_text(path.read_text() + "\nCREATE TABLE onemap.added_by_test (id int);\n")
    done = migrate(empty)
    assert "0 schema files and 1 repeatable ones applied now" in done.stdout
    assert exists(empty, "onemap.added_by_test")


def test_dry_run_and_list_change_nothing(empty, migrate, data_dir):
    done = migrate(empty, "--dry-run")
    assert "schema/001_core.sql" in done.stdout and "nothing was changed" in done.stdout
    assert not exists(empty, "cityhub_meta.migration")
    listed = migrate(empty, "--list").stdout.splitlines()[1:]
    assert len(listed) == len(list((data_dir / "schema").glob("*.sql"))) and all(line.startswith("pending") for line in listed)
    migrate(empty)
    assert all(line.startswith("applied") for line in migrate(empty, "--list").stdout.splitlines()[1:])
    assert "0 schema files and 0 repeatable ones would be applied" in migrate(empty, "--dry-run").stdout


def test_changed_file_is_refused(empty, migrate, data_dir):
    migrate(empty)
    path = data_dir / "schema" / "003_observation.sql"
    path.write_text(path.read_text() + "\n-- one more remark\n")
    add_file(data_dir, "990_more.sql", "CREATE TABLE onemap.more (id int);\n")
    for arguments in ((), ("--dry-run",)):
        done = migrate(empty, *arguments, code=1)
        assert "this build does not fit the database; nothing was changed" in done.stderr
        assert "schema/003_observation.sql was applied on" in done.stderr and "has been changed since" in done.stderr
        assert "Put the file back" in done.stderr, "it says what to do"
    assert not exists(empty, "onemap.more"), "nothing else was applied either"
    listed = migrate(empty, "--list", code=1)
    assert [line.split()[1] for line in listed.stdout.splitlines() if line.startswith("CHANGED")] == ["schema/003_observation.sql"]


def test_missing_newer_and_inserted_files_are_refused(empty, migrate, data_dir):
    last = add_file(data_dir, "998_last.sql", "CREATE TABLE onemap.last (id int);\n")
    migrate(empty)
    inserted = add_file(data_dir, "050_between.sql", "CREATE TABLE onemap.between (id int);\n")
    done = migrate(empty, code=1)
    assert "schema/050_between.sql was not applied, but later files were: there is a gap" in done.stderr
    inserted.unlink()
    last.unlink()
    assert "the database is newer than this build" in migrate(empty, code=1).stderr
    add_file(data_dir, "999_end.sql", "SELECT 1;\n")
    assert "schema/998_last.sql was applied on" in migrate(empty, code=1).stderr
    assert not exists(empty, "onemap.between")


@pytest.mark.parametrize("name, text, reason", [
    ("12_short.sql", "SELECT 1;", "must be NNN_name.sql"),
    ("001_twice.sql", "SELECT 1;", "have the same number"),
    ("990_commit.sql", "CREATE TABLE onemap.half (id int);\nCOMMIT;\n", "990_commit.sql:2: ends or begins a transaction"),
    ("990_copy.sql", "CREATE TABLE onemap.half (id int);\nCOPY onemap.half FROM STDIN;\n", "990_copy.sql:2: COPY from or to the client"),
    ("990_wrong.sql", "CREATE TABLE onemap.half (id int);\n\nSELECT 1,\n    nonsense;\n", "990_wrong.sql:4:"),
    ("990_wrong.sql", "CREATE TABLE onemap.half (id int);\nSELECT $$;\n", "990_wrong.sql:2"),
], ids=["name", "number", "commit", "copy", "error", "quote"])
def test_file_that_cannot_be_applied(empty, migrate, data_dir, name, text, reason):
    path = add_file(data_dir, name, text)
    done = migrate(empty, code=1)
    assert reason in done.stderr, done.stderr
    assert not exists(empty, "onemap.half"), "nothing of a failed file is in the database"
    path.unlink()
    migrate(empty)
    assert exists(empty, "onemap.observation"), "after the cause is mended it goes on"


def test_second_migrate_waits(empty, migrate, background, data_dir):
    add_file(data_dir, "999_gate.sql", f"CREATE TABLE onemap.gated (id int);\nSELECT pg_catalog.pg_advisory_xact_lock({GATE});\n")
    gate = empty.connect()
    gate.cursor().execute("SELECT pg_advisory_lock(%s)", (GATE,))
    first = background(empty)
    wait_for_lock(empty, GATE)
    second = background(empty)
    wait_for_lock(empty, LOCK_KEY)
    assert "another migrate is at work (server process" in second.log_text()
    impatient = migrate(empty, "--lock-wait", "1", code=1)
    assert "the other migrate did not end within 1 s: nothing was done" in impatient.stderr
    assert second.running and first.running
    gate.close()
    assert (ended(first), ended(second)) == (0, 0), f"{first.log_text()}\n{second.log_text()}"
    assert "schema/999_gate.sql" in first.log_text()
    assert "0 schema files and 0 repeatable ones applied now" in second.log_text()


def test_killed_in_the_middle_of_a_file(empty, migrate, background, data_dir):
    add_file(data_dir, "999_gate.sql", f"CREATE TABLE onemap.gated (id int);\nSELECT pg_catalog.pg_advisory_xact_lock({GATE});\n")
    gate = empty.connect()
    gate.cursor().execute("SELECT pg_advisory_lock(%s)", (GATE,))
    process = background(empty)
    wait_for_lock(empty, GATE)
    process.end(signal.SIGKILL)
    # Its server process notices, although it waits for a lock, and gives up what it holds.
    wait_until(lambda: empty.value("SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'cityhub migrate'"), 30,
               "the server process of the killed migrate is gone")
    gate.close()
    assert not exists(empty, "onemap.gated"), "half a file is in the database"
    assert applied(empty)[-1][1] != "schema/999_gate.sql"
    done = migrate(empty)
    assert "1 schema files" in done.stdout.splitlines()[-1], "what was applied before the kill stayed"
    assert exists(empty, "onemap.gated")


def test_catalogue_that_changed_its_meaning_is_refused(empty, migrate):
    migrate(empty)
    # As if another build, with another catalogue, had been here before.
    empty.query("UPDATE onemap.metric SET unit = 'mg/m3' WHERE subsystem = 'dust' AND key = 'pm10_ug_m3'")
    empty.query("INSERT INTO onemap.metric (subsystem, ordinal, key, name_zh, unit, kind) VALUES ('dust', 63, 'ozone_ug_m3', '臭氧', 'ug/m3', 'gauge')")
    empty.query("UPDATE cityhub_meta.repeatable SET checksum = repeat('0', 64) WHERE name = 'catalogue of metrics'")
    done = migrate(empty, code=1)
    assert "the catalogue of metrics does not fit" in done.stderr
    assert "dust: ordinal 2 means pm10_ug_m3 in the database, pm10_ug_m3 in this build" in done.stderr
    assert "dust: metric ozone_ug_m3 (ordinal 63) is in the database and not in this build" in done.stderr
    assert "An ordinal keeps its meaning for ever" in done.stderr, "it says what to do"
    assert empty.value("SELECT unit FROM onemap.metric WHERE subsystem = 'dust' AND ordinal = 2") == "mg/m3", "nothing was changed"


def test_login_without_rights_is_told_what_is_missing(cluster, empty, migrate):
    role = f"plain_{empty.name}"
    cluster.admin(f"CREATE ROLE {role} LOGIN")
    try:
        done = migrate(empty, code=1, conninfo=cluster.conninfo(empty.name, user=role))
        assert "An administrator must first run" in done.stderr
        assert "CREATE EXTENSION postgis SCHEMA public;" in done.stderr
        assert f"GRANT CREATE ON DATABASE {empty.name} TO {role};" in done.stderr
        # What it asked for is enough.
        empty.query("CREATE EXTENSION postgis SCHEMA public")
        empty.query(f"GRANT CREATE ON DATABASE {empty.name} TO {role}")
        migrate(empty, conninfo=cluster.conninfo(empty.name, user=role))
        # Another login, that is no member of the owner, is refused; the superuser acts for the owner.
        cluster.admin(f"CREATE ROLE other_{role} LOGIN")
        refused = migrate(empty, code=1, conninfo=cluster.conninfo(empty.name, user=f"other_{role}"))
        assert f"the schema is owned by {role}" in refused.stderr
        migrate(empty)
        assert empty.value("SELECT count(DISTINCT pg_get_userbyid(relowner)) FROM pg_class WHERE relnamespace = 'onemap'::regnamespace") == 1
    finally:
        empty.query(f"DROP OWNED BY {role} CASCADE")
        cluster.admin(f"DROP ROLE {role}")
        cluster.admin(f"DROP ROLE IF EXISTS other_{role}")


def test_no_such_folder_or_database(cluster, empty, migrate, data_dir):
    done = migrate(empty, code=1, conninfo=cluster.conninfo("no_such_database"))
    assert "no_such_database" in done.stderr
    shutil.rmtree(data_dir / "schema")
    done = migrate(empty, code=1)
    assert "[hub] data_dir must name the folder that holds schema/ and adapters/" in done.stderr
    assert pathlib.Path(data_dir).exists()
