-- What keeps journals, versions and closed months as they are: every such table has its triggers, they fire for everybody, and one
-- that is gone or switched off is found. What a login may do with tables directly, and with numbers that make no sense.
BEGIN;
\ir include/case_fixture.sql
SELECT plan(83);
SELECT is_empty('SELECT * FROM onemap.guard_check()', 'all stand');
SELECT set_eq($$SELECT t.tgrelid::regclass::text, t.tgname::text FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
    WHERE NOT t.tgisinternal AND p.proname IN ('append_only', 'score_case_guard', 'score_insert_guard', 'score_month_guard')$$,
    'SELECT l.relation, l.trigger_name FROM onemap.guard_list() l', 'the list has every trigger that refuses');
SELECT is_empty($$SELECT t.tgname FROM pg_catalog.pg_trigger t JOIN onemap.guard_list() l ON t.tgrelid = l.relation::regclass AND t.tgname = l.trigger_name
    WHERE t.tgenabled <> 'A'$$, 'and each fires always');

-- ---- emptied, by the owner himself ----
SELECT throws_like(format('TRUNCATE %s CASCADE', l.relation), '%refused%', 'not to be emptied: ' || l.relation)
FROM (SELECT DISTINCT g.relation FROM onemap.guard_list() g) l ORDER BY l.relation;
-- Whatever is of this kind: the past, cases, orders and what hangs on them, and what names who said or did it. Beside it are the
-- county's settings, what the hub makes anew (who the broker refused is its report, kept for 30 days), and what somebody is asked to do: none of that is evidence.
SELECT is_empty($$WITH kind AS (
        SELECT c.oid FROM pg_catalog.pg_class c WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
            AND c.relnamespace IN ('onemap'::regnamespace, 'cityhub_meta'::regnamespace)
            AND (c.relname ~ '_(past|revision|event|contact|record|remark|receipt|comment)$'
                OR EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attname IN ('actor', 'author', 'login',
                    'entered_by', 'asked_by', 'made_by', 'run_by', 'closed_by', 'imported_by', 'recorded_by', 'acknowledged_by'))
                OR EXISTS (SELECT FROM pg_catalog.pg_constraint f WHERE f.conrelid = c.oid AND f.contype = 'f' AND f.confrelid IN (
                    'onemap.case_record'::regclass, 'onemap.hotline_order'::regclass, 'onemap.open311_request'::regclass,
                    'onemap.alarm'::regclass, 'onemap.attachment'::regclass))))
    SELECT k.oid::regclass::text FROM kind k WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_trigger t
        WHERE t.tgrelid = k.oid AND t.tgenabled = 'A' AND t.tgtype & 32 > 0 AND t.tgfoid = 'onemap.append_only()'::regprocedure)
        AND k.oid::regclass::text NOT IN ('onemap.packed_record', 'onemap.exchange_contact', 'onemap.login_refusal')$$, 'none of its kind without');
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
CREATE OR REPLACE TRIGGER case_condition_append_only BEFORE DELETE OR UPDATE OF condition_zh ON onemap.case_condition FOR EACH ROW EXECUTE FUNCTION onemap.append_only();
ALTER TABLE onemap.case_condition ENABLE ALWAYS TRIGGER case_condition_append_only;
DROP TRIGGER score_case_no_truncate ON onemap.score_case;
CREATE TRIGGER score_case_no_truncate AFTER INSERT ON onemap.score_case FOR EACH STATEMENT EXECUTE FUNCTION onemap.append_only();
ALTER TABLE onemap.score_case ENABLE ALWAYS TRIGGER score_case_no_truncate;
CREATE TRIGGER swallow BEFORE INSERT ON onemap.assessment_award FOR EACH ROW EXECUTE FUNCTION test.nothing();
CREATE TRIGGER heard AFTER INSERT ON onemap.assessment_award FOR EACH ROW EXECUTE FUNCTION test.nothing();
CREATE RULE elsewhere AS ON INSERT TO onemap.case_attachment DO INSTEAD NOTHING;
ALTER TABLE onemap.assessment_entry ENABLE ROW LEVEL SECURITY;
SELECT results_eq('SELECT relation, problem FROM onemap.guard_check()', $$VALUES
    ('onemap.assessment_award', 'the trigger swallow may change what is written; it is not one of the rules'),
    ('onemap.assessment_entry', 'row security may hide its rows'),
    ('onemap.assessment_result', 'the trigger assessment_result_append_only is gone: nothing keeps its rows from being changed'),
    ('onemap.audit_log', 'the trigger audit_log_append_only is not what it was: CREATE TRIGGER audit_log_append_only BEFORE DELETE OR UPDATE ON onemap.audit_log FOR EACH ROW EXECUTE FUNCTION test.nothing()'),
    ('onemap.case_attachment', 'the rule elsewhere changes what is asked of it'),
    ('onemap.case_condition', 'the trigger case_condition_append_only is not what it was: CREATE TRIGGER case_condition_append_only BEFORE DELETE OR UPDATE OF condition_zh ON onemap.case_condition FOR EACH ROW EXECUTE FUNCTION onemap.append_only()'),
    ('onemap.case_event', 'the trigger case_event_append_only is switched off'),
    ('onemap.case_seal', 'the trigger case_seal_no_truncate does not fire in every session'),
    ('onemap.score_case', 'the trigger score_case_no_truncate is not what it was: CREATE TRIGGER score_case_no_truncate AFTER INSERT ON onemap.score_case FOR EACH STATEMENT EXECUTE FUNCTION onemap.append_only()'),
    ('onemap.score_input', 'the trigger score_input_append_only does not fire in every session')$$, 'each kind of it');
SELECT is((SELECT count(*)::int FROM onemap.case_check_table('{}') c WHERE c.what LIKE 'onemap.%'), 10, 'and `case check` says so');
ROLLBACK TO s;
CREATE OR REPLACE FUNCTION onemap.score_month_guard() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
SELECT results_eq('SELECT relation, problem FROM onemap.guard_check()',
    $$VALUES ('onemap.score_month', 'the trigger score_month_guard calls a function that was replaced')$$, 'also a function that refuses no more');
ROLLBACK TO s;
SELECT is_empty('SELECT * FROM onemap.guard_check()', 'and all stand again');

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
