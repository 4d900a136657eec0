-- What keeps journals, versions and closed months as they are: every such table has its triggers, they fire for everybody, and one
-- that is gone or switched off is found. What a login may do with tables directly, and with numbers that make no sense.
BEGIN;
\ir include/case_fixture.sql
SELECT plan(36);
SELECT is_empty('SELECT * FROM onemap.guard_check()', 'all stand');
SELECT set_eq($$SELECT t.tgrelid::regclass::text, t.tgname::text FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
    WHERE NOT t.tgisinternal AND p.proname IN ('append_only', 'score_case_guard', 'score_insert_guard', 'score_month_guard')$$,
    'SELECT l.relation, l.trigger_name FROM onemap.guard_list() l', 'the list has every trigger that refuses');
SELECT is_empty($$SELECT t.tgname FROM pg_catalog.pg_trigger t JOIN onemap.guard_list() l ON t.tgrelid = l.relation::regclass AND t.tgname = l.trigger_name
    WHERE t.tgenabled <> 'A'$$, 'and each fires always');

-- ---- emptied, by the owner himself ----
SELECT throws_like(format('TRUNCATE %s CASCADE', l.relation), '%refused%', 'not to be emptied: ' || l.relation)
FROM (SELECT DISTINCT g.relation FROM onemap.guard_list() g) l ORDER BY l.relation;
-- ---- a closed month ----
INSERT INTO onemap.score_formula (version, key, document, sha256, from_month, author)
SELECT max(f.version) + 1, 'x', f.document, '\x00', '2020-01-01', 'x' FROM onemap.score_formula f GROUP BY f.document LIMIT 1;
INSERT INTO onemap.score_month (month, closed_at, closed_by, through_id, formula_version)
SELECT '2024-01-01', now(), 'x', 0, max(f.version) FROM onemap.score_formula f;
SELECT throws_ok($$UPDATE onemap.score_month SET closed_at = NULL, closed_by = NULL, through_id = NULL, formula_version = NULL$$, 'CH031', NULL,
    'a closed month is not opened again');
SELECT throws_ok('DELETE FROM onemap.score_month', 'CH031', NULL, 'nor taken away');

-- ---- found ----
SAVEPOINT s;
ALTER TABLE onemap.case_event DISABLE TRIGGER case_event_append_only;
ALTER TABLE onemap.case_seal ENABLE TRIGGER case_seal_no_truncate;
ALTER TABLE onemap.score_input ENABLE REPLICA TRIGGER score_input_append_only;
DROP TRIGGER assessment_result_append_only ON onemap.assessment_result;
CREATE FUNCTION test.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE OR REPLACE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE ON onemap.audit_log FOR EACH ROW EXECUTE FUNCTION test.nothing();
ALTER TABLE onemap.audit_log ENABLE ALWAYS TRIGGER audit_log_append_only;
SELECT results_eq('SELECT relation, problem FROM onemap.guard_check()', $$VALUES
    ('onemap.assessment_result', 'the trigger assessment_result_append_only is gone: nothing keeps its rows from being changed'),
    ('onemap.audit_log', 'the trigger audit_log_append_only calls another function'),
    ('onemap.case_event', 'the trigger case_event_append_only is switched off'),
    ('onemap.case_seal', 'the trigger case_seal_no_truncate does not fire in every session'),
    ('onemap.score_input', 'the trigger score_input_append_only does not fire in every session')$$, 'each kind of it');
SELECT is((SELECT count(*)::int FROM onemap.case_check_table('{}') c WHERE c.problem LIKE 'the trigger%'), 5, 'and `case check` says so');
ROLLBACK TO s;

-- ---- numbers of the hub's own functions ----
CREATE ROLE test_hub LOGIN IN ROLE cityhub_hub;
CREATE ROLE test_read LOGIN IN ROLE cityhub_read;
SELECT isnt(test.as_login('test_hub', x.statement), '', 'refused: ' || x.statement) FROM (VALUES
    ('SELECT onemap.delivery_maintain(-100000, -100000)'), ('SELECT onemap.delivery_maintain(0, 30)'), ('SELECT onemap.delivery_maintain(30, NULL)'),
    ('SELECT onemap.partition_maintain(1, NULL)'), ('SELECT onemap.partition_maintain(NULL, 30)'),
    ($$SELECT onemap.partition_ensure('0001-01-01')$$), ($$SELECT onemap.partition_ensure('2999-01-01')$$)) AS x (statement);

-- ---- readers write nothing ----
CREATE TEMP TABLE before AS SELECT (SELECT count(*) FROM onemap.score_month) AS months, (SELECT count(*) FROM onemap.score_case) AS cases;
SELECT test.drive('closed');
CREATE TEMP TABLE dirty AS SELECT count(*) AS n FROM onemap.score_dirty;
SET SESSION AUTHORIZATION test_read;
SELECT onemap.score_compute('{"month": "2026-10"}')->>'month' AS read_month,
    onemap.score_statistics('{"month": "2026-09"}')->>'by' AS read_by, onemap.assessment_compute('{"month": "2026-08"}')->>'month' AS read_assessed,
    onemap.score_explain('{"month": "2026-07", "department": "jincheng"}')->>'month' AS read_explained \gset
RESET SESSION AUTHORIZATION;
SELECT is(:'read_month' || :'read_by' || :'read_assessed' || :'read_explained', '2026-10department2026-082026-07', 'a reader gets its answers');
SELECT results_eq('SELECT (SELECT count(*) FROM onemap.score_month), (SELECT count(*) FROM onemap.score_case), (SELECT count(*) FROM onemap.score_dirty)',
    'SELECT b.months, b.cases, d.n FROM before b, dirty d', 'and nothing was written');
SELECT is(test.as_login('test_read', $$SELECT onemap.score_compute('{"month": "2099-10"}')$$), 'CH031', 'a month to come has no score');
SELECT * FROM finish();
ROLLBACK;
