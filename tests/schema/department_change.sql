-- Steps of a department's cases, as its own system reads them: each once, in order, its own alone, none passed over.
BEGIN;
\ir include/case_fixture.sql
\ir include/http_fixture.sql
SELECT plan(8);
CREATE FUNCTION pg_temp.read(department text, after bigint DEFAULT 0) RETURNS jsonb LANGUAGE sql AS $$
    SELECT test.get('http_department_changes', test.token(department) || jsonb_build_object('after', after, 'limit', 2)) $$;
CREATE FUNCTION pg_temp.all_read(department text) RETURNS text LANGUAGE sql AS $$
    WITH RECURSIVE page AS (SELECT pg_temp.read(department) AS said UNION ALL SELECT pg_temp.read(department, (p.said->>'next')::bigint) FROM page p
        WHERE jsonb_array_length(p.said->'changes') > 0)
    SELECT string_agg(CASE WHEN (e.e->>'left')::boolean THEN 'left' ELSE e.e->>'action' END, ' ' ORDER BY (e.e->>'change')::bigint)
    FROM page p, jsonb_array_elements(p.said->'changes') e (e) $$;
SELECT test.dispatched('20103', 1, 'chengguan', '2026-10-12 09:00') AS one \gset
SELECT cmp_ok(onemap.department_change_sweep(), '>', 0, 'what came is numbered');
SELECT is(onemap.department_change_sweep(), 0, 'once');
SELECT is(pg_temp.all_read('chengguan'), 'dispatch', 'the department reads it');
SELECT is(pg_temp.all_read('jincheng'), NULL, 'another does not');
SELECT test.act(:'one', 'return', 'department'), test.act(:'one', 'dispatch', 'dispatcher', '{"department": "jincheng"}'), test.act(:'one', 'handle', 'department', '{"reason": "SECRET"}');
SELECT onemap.department_change_sweep();
SELECT is(pg_temp.all_read('chengguan'), 'left left left', 'of what went to another it is told that it went, by pages');
SELECT is(pg_temp.all_read('jincheng'), 'dispatch handle', 'which reads it from then on');
SELECT ok(NOT pg_temp.read('chengguan')::text ~ 'SECRET', 'and nothing of what came after');
SELECT is((SELECT string_agg(e.e->>'action', ' ' ORDER BY (e.e->>'change')::bigint) FROM jsonb_array_elements(test.get('http_department_changes',
    test.as('boss', '{"after": 0}'))->'changes') e (e)), 'dispatch return dispatch handle', 'the centre reads all, each once');
SELECT * FROM finish();
ROLLBACK;
