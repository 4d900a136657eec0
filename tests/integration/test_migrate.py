"""`cityhub migrate`: a fresh database, once more, what it refuses and why, two at once, killed in the middle."""
import hashlib
import pathlib
import shutil
import signal

import psycopg2
import pytest
from harness import paths
from harness.hub import Hub
from harness.postgres import Database
from harness.process import Process, wait_until

LOCK_KEY = 0x0063697479687562  # hub/migrate/migrate_ready.c
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


def editions(database):
    """{file: SHA-256 of the edition in force}, and the runs of the rules so far."""
    in_force = dict(database.query("SELECT DISTINCT ON (name) name, checksum FROM cityhub_meta.rule_edition ORDER BY name, id DESC"))
    return in_force, database.value("SELECT count(*) FROM cityhub_meta.rule_run")


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def listed_files(data_dir):
    """Paths that schema/rules/order names, patterns by their files; without the metrics of the build."""
    lines = (data_dir / "schema" / "rules" / "order").read_text().splitlines()
    return [path.relative_to(data_dir) for line in lines if line and not line.startswith("#") and line != "metrics"
            for path in sorted(data_dir.glob(line))]


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
    path = data_dir / "schema" / "tables" / name
    path.write_text(text)
    return path


def add_rule(data_dir, name, text):
    path = data_dir / "schema" / "rules" / name
    path.write_text(text)
    with open(data_dir / "schema" / "rules" / "order", "a") as order:
        order.write(f"schema/rules/{name}\n")
    return path


def test_fresh_database_and_once_more(empty, migrate, data_dir):
    files = sorted(path for path in (data_dir / "schema" / "tables").glob("*.sql"))
    first = migrate(empty)
    assert f"{len(files)} schema files applied now" in first.stdout.splitlines()[-1]
    before = applied(empty)
    assert [(name, checksum) for _, name, checksum, _ in before] == [(f"schema/tables/{path.name}", sha256(path)) for path in files]
    assert empty.value("SELECT count(*) > 200 FROM onemap.metric"), "the catalogue of metrics is there"
    assert empty.value("SELECT count(*) > 11 FROM onemap.alarm_rule WHERE kind = 'threshold'"), "the adapters' rules are there"
    assert empty.value("SELECT to_regnamespace('simulation') IS NULL"), "the simulator's SQL is not"
    in_force, runs = editions(empty)
    assert in_force.pop("catalogue of metrics") is not None
    assert in_force == {str(path): sha256(data_dir / path) for path in listed_files(data_dir)}
    assert runs == 1
    assert empty.query("SELECT DISTINCT run_by, build <> '', run_at <= now() FROM cityhub_meta.rule_run") == [("postgres", True, True)]
    state = editions(empty)
    again = migrate(empty)
    assert "0 schema files applied now, 0 of" in again.stdout
    assert (applied(empty), editions(empty)) == (before, state), "the second run changed something"


def test_an_amendment_is_a_new_edition(empty, migrate, data_dir):
    """Rules that changed are run again with all the others; the history says what was in force until then."""
    migrate(empty)
    before, runs = editions(empty)
    path = data_dir / "schema" / "rules" / "assessment_month.sql"
    name = "schema/rules/assessment_month.sql"
    text = path.read_text()
    assert text.count("total >= 85 THEN '良好'") == 1
    path.write_text(text.replace("total >= 85 THEN '良好'", "total >= 80 THEN '良好'"))
    assert [line.split()[1] for line in migrate(empty, "--list").stdout.splitlines() if line.startswith("changed")] == [name]
    done = migrate(empty)
    assert "1 of them new or changed" in done.stdout and f"changed     {name}" in done.stdout
    assert empty.value("SELECT onemap.assessment_grade(82)") == "良好"
    after, now_runs = editions(empty)
    assert {file for file in after if after[file] != before[file]} == {name} and after[name] == sha256(path)
    assert now_runs == runs + 1
    assert empty.query("SELECT checksum FROM cityhub_meta.rule_edition WHERE name = %s ORDER BY id", name) == [(before[name],), (after[name],)]
    # And back: the same bytes are an edition of their own again.
    path.write_text(text)
    migrate(empty)
    assert empty.value("SELECT onemap.assessment_grade(82)") == "合格"
    assert empty.query("SELECT checksum FROM cityhub_meta.rule_edition WHERE name = %s ORDER BY id", name) == [
        (before[name],), (after[name],), (before[name],)]
    with pytest.raises(psycopg2.Error, match="append-only"):
        empty.query("UPDATE cityhub_meta.rule_edition SET checksum = NULL")
    with pytest.raises(psycopg2.Error, match="append-only"):
        empty.query("DELETE FROM cityhub_meta.rule_run")


def test_rules_are_one_transaction(empty, migrate, data_dir):
    migrate(empty)
    before = editions(empty)
    first = data_dir / "schema" / "rules" / "core.sql"
    first.write_text(first.read_text().replace("IS 'Value of one setting, or NULL'", "IS 'Value of a setting, or NULL'"))
    wrong = add_rule(data_dir, "wrong.sql", "SELECT 1;\nSELECT nonsense;\n")
    done = migrate(empty, code=1)
    assert "schema/rules/wrong.sql:2:" in done.stderr and "nothing of it is in the database" in done.stderr
    assert empty.value("SELECT obj_description('onemap.setting(text)'::regprocedure)") == "Value of one setting, or NULL"
    assert editions(empty) == before
    wrong.write_text("SELECT 1;\n")
    migrate(empty)
    assert empty.value("SELECT obj_description('onemap.setting(text)'::regprocedure)") == "Value of a setting, or NULL"


def test_new_and_withdrawn_rules(empty, migrate, data_dir):
    migrate(empty)
    order = data_dir / "schema" / "rules" / "order"
    kept = order.read_text()
    path = add_rule(data_dir, "more.sql", "INSERT INTO onemap.setting (key, value) VALUES ('more', 'yes') ON CONFLICT DO NOTHING;\n")
    done = migrate(empty)
    assert "new         schema/rules/more.sql" in done.stdout
    assert empty.value("SELECT onemap.setting('more')") == "yes"
    path.unlink()
    order.write_text(kept)
    assert "withdrawn     schema/rules/more.sql" in migrate(empty, "--list").stdout
    assert "withdrawn   schema/rules/more.sql" in migrate(empty).stdout
    assert editions(empty)[0]["schema/rules/more.sql"] is None
    assert "schema/rules/more.sql" not in migrate(empty, "--list").stdout


def test_rights_and_sweeps_are_those_of_the_files(empty, migrate, data_dir):
    """What a file no longer grants or registers is gone after the next run."""
    migrate(empty)
    empty.query("GRANT EXECUTE ON FUNCTION onemap.case_contact_show(text, text) TO cityhub_read")
    empty.query("INSERT INTO onemap.sweep (function_name) VALUES ('stray_sweep')")
    path = data_dir / "schema" / "rules" / "core.sql"
    path.write_text(path.read_text() + "-- changed\n")
    migrate(empty)
    assert not empty.value("SELECT has_function_privilege('cityhub_read', 'onemap.case_contact_show(text, text)', 'EXECUTE')")
    assert empty.value("SELECT count(*) FROM onemap.sweep WHERE function_name = 'stray_sweep'") == 0
    assert empty.value("SELECT count(*) > 10 FROM onemap.sweep")


def test_rules_are_run_after_a_table(empty, migrate, data_dir):
    migrate(empty)
    runs = editions(empty)[1]
    add_file(data_dir, "990_more.sql", "CREATE TABLE onemap.more (id int);\n")
    done = migrate(empty)
    assert "1 schema files applied now, 0 of" in done.stdout and ", all run" in done.stdout
    assert editions(empty)[1] == runs + 1


def test_dry_run_and_list_change_nothing(empty, migrate, data_dir):
    done = migrate(empty, "--dry-run")
    assert "schema/tables/001_core.sql" in done.stdout and "nothing was changed" in done.stdout
    assert not exists(empty, "cityhub_meta.migration")
    files, rules = (part.splitlines()[1:] for part in migrate(empty, "--list").stdout.split("\n\n"))
    assert len(files) == len(list((data_dir / "schema" / "tables").glob("*.sql"))) and all(line.startswith("pending") for line in files)
    assert len(rules) == len(listed_files(data_dir)) + 1 and all(line.startswith("new ") for line in rules)
    migrate(empty)
    files, rules = (part.splitlines()[1:] for part in migrate(empty, "--list").stdout.split("\n\n"))
    assert all(line.startswith("applied") for line in files)
    assert all(line.startswith("in force") and "postgres" in line for line in rules)
    assert "0 schema files would be applied, 0 rules are new or changed; nothing was changed" in migrate(empty, "--dry-run").stdout


def test_simulation_comes_when_asked_for(empty, migrate, data_dir):
    migrate(empty)
    migrate(empty, "--simulation")
    assert empty.value("SELECT to_regprocedure('simulation.month(jsonb)') IS NOT NULL")
    # Once there, it is kept up to date; taken away, it stays away.
    path = data_dir / "schema" / "simulation" / "simulation.sql"
    path.write_text(path.read_text() + "COMMENT ON SCHEMA simulation IS 'changed';\n")
    migrate(empty)
    assert empty.value("SELECT obj_description('simulation'::regnamespace)") == "changed"
    empty.query("DROP SCHEMA simulation CASCADE")
    assert "withdrawn   schema/simulation/simulation.sql" in migrate(empty).stdout
    assert empty.value("SELECT to_regnamespace('simulation') IS NULL")


def test_changed_file_is_refused(empty, migrate, data_dir):
    migrate(empty)
    path = data_dir / "schema" / "tables" / "003_observation.sql"
    path.write_text(path.read_text() + "\n-- one more remark\n")
    add_file(data_dir, "990_more.sql", "CREATE TABLE onemap.more (id int);\n")
    for arguments in ((), ("--dry-run",)):
        done = migrate(empty, *arguments, code=1)
        assert "this build does not fit the database; nothing was changed" in done.stderr
        assert "schema/tables/003_observation.sql was applied on" in done.stderr and "has been changed since" in done.stderr
        assert "Put the file back" in done.stderr, "it says what to do"
    assert not exists(empty, "onemap.more"), "nothing else was applied either"
    listed = migrate(empty, "--list", code=1)
    assert [line.split()[1] for line in listed.stdout.splitlines() if line.startswith("CHANGED")] == ["schema/tables/003_observation.sql"]


def test_missing_newer_and_inserted_files_are_refused(empty, migrate, data_dir):
    last = add_file(data_dir, "998_last.sql", "CREATE TABLE onemap.last (id int);\n")
    migrate(empty)
    inserted = add_file(data_dir, "900_between.sql", "CREATE TABLE onemap.between (id int);\n")
    done = migrate(empty, code=1)
    assert "schema/tables/900_between.sql was not applied, but later files were: there is a gap" in done.stderr
    inserted.unlink()
    last.unlink()
    assert "the database is newer than this build" in migrate(empty, code=1).stderr
    add_file(data_dir, "999_end.sql", "SELECT 1;\n")
    assert "schema/tables/998_last.sql was applied on" in migrate(empty, code=1).stderr
    assert not exists(empty, "onemap.between")


@pytest.mark.parametrize("change, reason", [
    (lambda rules: (rules / "stray.sql").write_text("SELECT 1;"), "schema/rules/stray.sql is not in schema/rules/order"),
    (lambda rules: (rules / "core.sql").unlink(), "schema/rules/core.sql: no such file"),
    (lambda rules: (rules / "order").write_text((rules / "order").read_text() + "schema/rules/core.sql\n"), "core.sql is listed twice"),
], ids=["stray", "missing", "twice"])
def test_order_that_does_not_fit(empty, migrate, data_dir, change, reason):
    change(data_dir / "schema" / "rules")
    assert reason in migrate(empty, code=1).stderr
    assert not exists(empty, "cityhub_meta.migration"), "nothing was done"


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
    assert "schema/tables/999_gate.sql" in first.log_text()
    assert "0 schema files applied now, 0 of" in second.log_text()


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
    assert applied(empty)[-1][1] != "schema/tables/999_gate.sql"
    done = migrate(empty)
    assert "1 schema files applied now" in done.stdout.splitlines()[-1], "what was applied before the kill stayed"
    assert exists(empty, "onemap.gated")


def test_catalogue_that_changed_its_meaning_is_refused(empty, migrate):
    migrate(empty)
    # As if another build, with another catalogue, had been here before.
    empty.query("UPDATE onemap.metric SET unit = 'mg/m3' WHERE subsystem = 'dust' AND key = 'pm10_ug_m3'")
    empty.query("INSERT INTO onemap.metric (subsystem, ordinal, key, name_zh, unit, kind) VALUES ('dust', 63, 'ozone_ug_m3', '臭氧', 'ug/m3', 'gauge')")
    empty.query("INSERT INTO cityhub_meta.rule_run (build, schema_version, duration) SELECT 'other', max(version), '0' FROM cityhub_meta.migration")
    empty.query("INSERT INTO cityhub_meta.rule_edition (run_id, name, checksum) SELECT max(id), 'catalogue of metrics', repeat('0', 64) "
                "FROM cityhub_meta.rule_run")
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
