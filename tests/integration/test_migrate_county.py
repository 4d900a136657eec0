"""`cityhub migrate` on a county's database that an earlier build made (data/make_dump): every row stays to the bit, the published
month keeps its hash and verifies, and what comes out is the schema of a fresh database."""
import json
import lzma
import pathlib
import re
import subprocess

import psycopg2
import pytest
from harness import paths
from harness.hub import Hub
from harness.postgres import Database

DUMP = pathlib.Path(__file__).parent / "data" / "county_0_1_0.sql.xz"
MONTH = "2026-09"
FINGERPRINTS = """
    SELECT format('SELECT %%L, count(*), coalesce(md5(string_agg(r::text, E''\\n'' ORDER BY r::text COLLATE "C")), '''') FROM (SELECT %%s FROM %%I.%%I) r',
                  c.relname, string_agg(format('%%I', a.attname), ', ' ORDER BY a.attnum), n.nspname, c.relname)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE n.nspname = 'onemap' AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
        AND (%s::jsonb IS NULL OR a.attname = ANY (SELECT jsonb_array_elements_text(%s::jsonb->(c.relname::text))))
    GROUP BY n.nspname, c.relname"""


class Nowhere:
    """migrate needs no broker."""
    host, port = "127.0.0.1", 1


def psql(cluster, database, text):
    done = subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", str(cluster.folder), "-p", str(cluster.port), "-U", "postgres",
                           "-d", database.name], input=text, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture
def county(cluster):
    """The earlier build's database, restored. Its roles are the cluster's."""
    cluster.start()
    database = Database(cluster, f"county_{next(cluster.numbers)}")
    cluster.admin(f"CREATE DATABASE {database.name}")
    psql(cluster, database, lzma.decompress(DUMP.read_bytes()).decode())
    yield database
    cluster.drop(database)


@pytest.fixture
def program(county, work_folder):
    return Hub(county, Nowhere, work_folder)


def columns(database):
    return {table: names for table, names in database.query(
        "SELECT c.relname, jsonb_agg(a.attname ORDER BY a.attnum) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
        "WHERE c.relnamespace = 'onemap'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped GROUP BY 1")}


def fingerprints(database, of=None):
    """{table: (rows, MD5 of its rows in order)} over the columns of `of` alone, if it is given."""
    of = None if of is None else json.dumps(of)
    queries = [sql for sql, in database.query(FINGERPRINTS, of, of)]
    return {row[0]: row[1:] for row in (database.query(sql)[0] for sql in queries)}


def rows(database, table, names):
    """Its rows as texts over these columns."""
    return {row for row, in database.query(f"SELECT ROW({', '.join(names)})::text FROM onemap.{table}")}


def schema_of(cluster, database):
    """The schema as pg_dump tells it, without what names the database or the run."""
    done = subprocess.run([paths.postgres_program("pg_dump"), "-s", "-h", str(cluster.folder), "-p", str(cluster.port), "-U", "postgres",
                           database.name], capture_output=True, text=True, check=True)
    statements = re.split(r"\n+(?=--\n-- Name: )", re.sub(r"^(\\(un)?restrict |SET default_).*\n+", "", done.stdout, flags=re.M))
    return sorted(statement.strip() for statement in statements if not re.search(r"(observation|track_point)_\d{8}", statement))


def people(database, reporter, contact):
    """{case: (reporter, name, phone)}: who reported, and whom to call, wherever it is kept."""
    return {case: tuple(told) for case, *told in database.query(
        f"SELECT c.id, coalesce({reporter}, ''), coalesce(k.name, ''), coalesce(k.phone, '') FROM onemap.case_record c "
        f"LEFT JOIN onemap.case_contact k ON k.case_id = c.id WHERE {contact}")}


def test_every_row_stays(county, program, cluster):
    had = columns(county)
    # Who reported moves from the case to where nobody reads it; all else stays where it is.
    had["case_record"].remove("reporter")
    del had["case_contact"]
    # Rules, of which this build has more.
    del had["sweep"]
    grown = {table: had.pop(table) for table in ("alarm_rule", "case_report_right", "case_transition")}
    rules = {table: rows(county, table, names) for table, names in grown.items()}
    # Up to where device states are complete, each batch says itself.
    del had["hub_state"]
    told = people(county, "c.reporter", "c.reporter <> '' OR k.case_id IS NOT NULL")
    assert len(told) > 5 and len({reporter for reporter, _, _ in told.values()}) > 2
    settings = dict(county.query("SELECT key, value FROM onemap.setting"))
    del had["setting"]
    before = fingerprints(county, had)
    assert before["case_record"][0] > 400 and before["observation_hourly"][0] > 100 and before["alarm"][0] > 5, "the dump has data"
    published = county.value("SELECT encode(sha256, 'hex') FROM onemap.assessment_publication WHERE month = %s", f"{MONTH}-01")
    assert published is not None
    assert "superseded" in program.run("migrate", "--list").stdout
    done = program.run("migrate")
    assert "recorded as superseded" in done.stdout

    now = fingerprints(county, had)
    assert set(before) == set(now) and len(before) > 60, "no table is gone"
    changed = {table: (before[table], now[table]) for table in before if now[table] != before[table]}
    assert changed == {}, "rows of these tables are not what they were"
    assert all(rules[table] < rows(county, table, names) for table, names in grown.items()), "rules of these tables are not what they were"
    now = dict(county.query("SELECT key, value FROM onemap.setting"))
    assert {key: now.get(key) for key in settings} == settings, "the county's settings stay; new ones may come"
    assert people(county, "k.reporter", "k.case_id IS NOT NULL") == told
    assert county.value("SELECT count(*) FROM pg_attribute WHERE attrelid = 'onemap.case_record'::regclass AND attname = 'reporter'") == 0
    assert county.query("SELECT DISTINCT v.vendor FROM onemap.vendor v EXCEPT SELECT c.vendor FROM onemap.vendor_company c") == []
    assert county.value("SELECT c.created_at = min(v.created_at) FROM onemap.vendor v JOIN onemap.vendor_company c USING (vendor) "
                        "WHERE c.vendor = 'sim' GROUP BY c.created_at")
    assert county.query("SELECT conname FROM pg_constraint WHERE NOT convalidated") == [], "the county's rows keep to the new constraints"

    assert program.run("score", "verify", "--month", MONTH).stdout.startswith("the same")
    assert county.value("SELECT onemap.assessment_publication_get(%s::jsonb)->>'sha256'", json.dumps({"month": MONTH})) == published
    assert county.value("SELECT onemap.assessment_publication_get(%s::jsonb)->>'intact'", json.dumps({"month": MONTH})) == "true"
    assert "the journal is whole" in program.run("case", "check").stdout


def test_account_of_what_was_done(county, program, cluster):
    old = county.query("SELECT name, checksum, applied_by FROM cityhub_meta.migration ORDER BY version")
    adapters = county.query("SELECT name, checksum FROM cityhub_meta.repeatable ORDER BY name")
    program.run("migrate")
    assert county.query("SELECT name, checksum, applied_by FROM cityhub_meta.migration_superseded ORDER BY version") == old
    names = [name for name, in county.query("SELECT name FROM cityhub_meta.migration ORDER BY version")]
    assert names == sorted(f"schema/tables/{path.name}" for path in (paths.ROOT / "schema" / "tables").glob("*.sql"))
    history = county.query("SELECT e.name, e.checksum FROM cityhub_meta.rule_edition e JOIN cityhub_meta.rule_run r ON r.id = e.run_id "
                           "WHERE r.schema_version = 120 ORDER BY e.name")
    assert history == adapters, "editions of adapters' files before are kept"
    listed = program.run("migrate", "--list").stdout
    assert "superseded" not in listed and "pending" not in listed
    again = program.run("migrate").stdout
    assert "0 schema files applied now, 0 of" in again and len(again.splitlines()) == 1


def test_schema_is_that_of_a_fresh_database(county, program, cluster, work_folder):
    program.run("migrate")
    fresh = Database(cluster, f"fresh_{next(cluster.numbers)}")
    cluster.admin(f"CREATE DATABASE {fresh.name}")
    try:
        Hub(fresh, Nowhere, work_folder, name="fresh").run("migrate")
        ours, theirs = schema_of(cluster, county), schema_of(cluster, fresh)
        assert [s for s in ours if s not in theirs] == [], "only in the migrated database"
        assert [s for s in theirs if s not in ours] == [], "only in the fresh one"
    finally:
        cluster.drop(fresh)


def test_a_row_that_refers_to_nothing_is_kept(county, program):
    """What a new reference would refuse stays, is told, and is no reason to stop."""
    county.query("UPDATE onemap.person SET device_id = 999999999 WHERE id = (SELECT min(id) FROM onemap.person)")
    program.run("migrate")
    assert county.query("SELECT conname FROM pg_constraint WHERE NOT convalidated") == [("person_device_id_fkey",)]
    assert county.value("SELECT count(*) FROM onemap.person WHERE device_id = 999999999") == 1
    with pytest.raises(psycopg2.errors.ForeignKeyViolation):
        county.query("UPDATE onemap.vehicle SET device_id = 999999999")


def test_the_rules_run_over_themselves(county, program):
    program.run("migrate")
    before = fingerprints(county)
    editions = county.value("SELECT count(*) FROM cityhub_meta.rule_edition")
    # As if one file had been another: all are run again.
    county.query("INSERT INTO cityhub_meta.rule_edition (run_id, name, checksum) SELECT max(id), 'schema/rules/core.sql', repeat('0', 64) "
                 "FROM cityhub_meta.rule_run WHERE id NOT IN (SELECT run_id FROM cityhub_meta.rule_edition WHERE name = 'schema/rules/core.sql')")
    assert "1 of them new or changed" in program.run("migrate").stdout
    assert fingerprints(county) == before
    assert county.value("SELECT count(*) FROM cityhub_meta.rule_edition") == editions + 2


def test_without_the_simulator(county, program):
    """What the county's database does not need goes; asked for, it comes back."""
    program.run("migrate")
    assert county.value("SELECT to_regnamespace('simulation') IS NULL")
    assert county.value("SELECT count(*) FROM pg_proc WHERE proname LIKE 'simulation%%'") == 0
    assert county.value("SELECT count(*) FROM pg_namespace n, aclexplode(n.nspacl) a WHERE n.nspname = 'onemap' "
                        "AND a.grantee = 'cityhub_history'::regrole") == 0
    refused = program.run("simulate", "--prepare", code=1)
    assert "cityhub migrate --simulation" in refused.stderr
    program.run("migrate", "--simulation")
    assert "is played: 5 cases" in program.run("simulate", "--cases", "--month", "2026-10", "--count", 5).stdout
