"""Fills a database for the bench of transitions: the shipped catalogue, 60 departments, open cases in every state of their way
and many closed ones. A few are made by the functions of cases themselves; the others are copies of these in other numbers."""
import csv
import json

from harness import paths

from load import CLIENTS, DEPARTMENTS, LAG, STEPS

FIRST_CLOSED = 100_001  # six digits, so that a case's code is its day and its number
COPY = """
WITH kind AS (
    SELECT r, row_number() OVER (ORDER BY r.id) - 1 AS place, count(*) OVER () AS kinds FROM onemap.case_record r WHERE r.id = ANY (%(templates)s)
), copy AS MATERIALIZED (
    SELECT (k.r).id AS of, jsonb_populate_record(k.r, jsonb_build_object('id', g.id, 'code', '20261101-' || g.id, 'reported_at',
               CASE WHEN %(days)s = 0 THEN (k.r).reported_at ELSE now() - %(days)s * interval '1 day' * (g.place + 1) / cardinality(%(ids)s) END,
               'geom', format('SRID=4326;POINT(%%s %%s)', 114.7 + g.id * 37 %% 1000 / 1e4, 34.5 + g.id * 91 %% 997 / 1e4),
               'department_id', CASE WHEN (k.r).department_id IS NOT NULL THEN
                   (SELECT d.id FROM onemap.department d WHERE d.code = 'D' || 10 + g.id %% %(departments)s) END)) AS r
    FROM (SELECT i.id, i.place - 1 AS place FROM unnest(%(ids)s) WITH ORDINALITY i (id, place)) g JOIN kind k ON k.place = g.place %% k.kinds
), record AS (
    INSERT INTO onemap.case_record OVERRIDING SYSTEM VALUE SELECT (c.r).* FROM copy c
)
INSERT INTO onemap.case_event (case_id, case_code, seq, at, recorded_at, action, from_state, to_state, role, actor, recorded_by, department,
    source, catalogue_version, category, condition_number, grid_cell, street, limit_value, limit_unit, deadline_at, used_s, overdue_s,
    stage_deadline_at, flags, reason, detail, previous_hash, hash)
SELECT (c.r).id, (c.r).code, e.seq, e.at, e.recorded_at, e.action, e.from_state, e.to_state, e.role, e.actor, e.recorded_by,
    CASE WHEN e.department IS NOT NULL THEN 'D' || 10 + (c.r).id %% %(departments)s END, e.source, e.catalogue_version, e.category,
    e.condition_number, e.grid_cell, e.street, e.limit_value, e.limit_unit, e.deadline_at, e.used_s, e.overdue_s, e.stage_deadline_at, e.flags,
    e.reason, e.detail, e.previous_hash, e.hash
FROM copy c JOIN onemap.case_event e ON e.case_id = c.of ORDER BY (c.r).reported_at, (c.r).id, e.seq
"""


def catalogue(database):
    rows = list(csv.DictReader(open(paths.ROOT / "config" / "departments.csv", encoding="utf-8-sig")))
    rows += [{"code": f"D{10 + n}", "name": f"处置单位{n}", "kind": "county", "parent": "", "schedule": ("standard", "seasonal")[n % 2],
              "active": "yes"} for n in range(DEPARTMENTS)]
    kinds = csv.DictReader(open(paths.ROOT / "config" / "case_catalogue.csv", encoding="utf-8-sig"))
    for function, lines, more in (("department_import(%s::jsonb)", rows, ()), ("case_catalogue_import(%s::jsonb, %s)", kinds, ("bench",))):
        lines = [dict(row, line=number) for number, row in enumerate(lines, start=2)]
        answer = database.value(f"SELECT onemap.{function}", json.dumps(lines), *more)
        assert answer["imported"], answer
    database.query("INSERT INTO onemap.grid_cell (code, department_id, geom) SELECT '410221001001001', d.id, "
                   "public.ST_Multi(public.ST_MakeEnvelope(114.7, 34.5, 114.8, 34.6, 4326)) FROM onemap.department d WHERE d.code = 'D10'")


def make_case(database, category, condition, steps):
    """A case that has gone so many steps; its id."""
    answer = database.value("SELECT onemap.case_report(%s::jsonb)", json.dumps({
        "source": "supervisor", "role": "supervisor", "actor": "supervisor 张三", "title": "道路旁堆放建筑垃圾", "category": category,
        "description": "非机动车道上有两堆建筑垃圾，约三立方米，影响通行。", "condition": condition, "lon": 114.75, "lat": 34.55,
        "address": "金城大道与幸福路交叉口东南角"}))
    for action, role, fields in STEPS[:steps]:
        answer = database.value("SELECT onemap.case_do(%s::jsonb)", f'{{"case": "{answer["case"]}", "action": "{action}", "role": "{role}", '
                                f'"actor": "{role} 王建国", "version": {answer["version"]}{fields.replace("DEPARTMENT", "D10")}}}')
    return database.value("SELECT id FROM onemap.case_record WHERE code = %s", answer["case"])


def copy(connection, templates, ids, days=0):
    with connection.cursor() as cursor:
        cursor.execute(COPY, {"templates": templates, "ids": ids, "days": days, "departments": DEPARTMENTS})


def fill(database, closed, fresh_each):
    """Closed cases of two years, then each client's own: LAG in each state that lies between two steps, and fresh ones.
    Returns what the scripts must know."""
    catalogue(database)
    kinds = database.query("SELECT category_code, number FROM (SELECT c.*, row_number() OVER (PARTITION BY limit_unit ORDER BY category_code, number) AS place "
                           "FROM onemap.case_condition c) x WHERE place <= 3")
    templates = [[make_case(database, category, condition, steps) for category, condition in kinds] for steps in range(len(STEPS) + 1)]
    under_way = LAG * (len(STEPS) - 1)
    each = under_way + fresh_each
    first_case = FIRST_CLOSED + closed
    connection = database.connect(autocommit=False)
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
    copy(connection, templates[-1], list(range(FIRST_CLOSED, first_case)), days=730)
    for steps in range(len(STEPS)):
        # The oldest of a client are the furthest.
        low, high = (under_way - LAG * steps, under_way - LAG * (steps - 1)) if steps else (under_way, each)
        copy(connection, templates[steps], [first_case + client * each + n for client in range(CLIENTS) for n in range(low, high)])
    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA bench")
        cursor.execute("CREATE TABLE bench.bare (id bigint PRIMARY KEY, version int NOT NULL, filler text NOT NULL) WITH (fillfactor = 70)")
        # As wide as a case.
        cursor.execute("INSERT INTO bench.bare SELECT r.id, r.version, repeat('x', (SELECT avg(pg_column_size(c.*))::int - 40 FROM onemap.case_record c "
                       "WHERE c.id % 100 = 0)) FROM onemap.case_record r ORDER BY r.id")
    connection.commit()
    connection.close()
    for table in ("onemap.case_record", "onemap.case_event", "bench.bare"):
        database.query(f"VACUUM ANALYZE {table}")
    return {"first_case": first_case, "cases_each": each, "first_open": first_case, "last_open": first_case + CLIENTS * each - 1}
