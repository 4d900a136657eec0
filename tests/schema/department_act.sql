-- A department's own system acts on its department's cases, by its token's right act, and on no others.
BEGIN;
\ir include/case_fixture.sql
\ir include/http_fixture.sql
SELECT plan(16);
SELECT throws_ok($$SELECT onemap.token_add('{"name": "x", "rights": "read,act", "days": 1}')$$, 'CH013', 'the right "act" is for a token of a department', 'of a department alone');
SELECT onemap.token_add(jsonb_build_object('name', t.name, 'rights', t.rights, 'days', 1, 'department', t.department, 'hash', encode(sha256(t.name::bytea), 'hex')))
FROM (VALUES ('city-system', 'read,act', 'chengguan'), ('lamps-system', 'read,act', 'zhaoming'), ('reader', 'read', 'chengguan')) AS t (name, rights, department);
CREATE FUNCTION pg_temp.by(token text, more jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('identity', onemap.identity_of_token(t.id)) || more FROM onemap.token t WHERE t.name = $1 $$;
CREATE FUNCTION pg_temp.act(token text, code text, action text, more jsonb DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(f.code, f.body->>'state') FROM onemap.http_case_do(pg_temp.by(token, jsonb_build_object('number', $2)), jsonb_build_object('action', $3,
        'version', (SELECT c.version FROM onemap.case_record c WHERE c.code = $2)) || more) f $$;
SELECT is(onemap.identity_of_token((SELECT t.id FROM onemap.token t WHERE t.name = 'city-system'))->'posts', '["department"]', 'it has its department''s post');
SELECT is(onemap.identity_of_token((SELECT t.id FROM onemap.token t WHERE t.name = 'reader'))->'posts', '[]', 'without the right it has none');
SELECT test.dispatched('20103', 1, 'chengguan', '2026-10-12 09:00') AS one, test.dispatched('20103', 1, 'jincheng', '2026-10-12 09:00') AS other \gset
SELECT is(pg_temp.act('reader', :'one', 'handle'), 'CH019', 'who may read alone acts on nothing');
SELECT is(pg_temp.act('city-system', :'one', 'handle'), 'handling', 'it takes the case');
SELECT is((SELECT e.actor || ' ' || e.role || ' ' || e.department FROM onemap.case_event e WHERE e.case_code = :'one' ORDER BY e.seq DESC LIMIT 1),
    'token:city-system department chengguan', 'the journal says which system, and for whom');
SELECT is(pg_temp.act('city-system', :'other', 'handle'), NULL, 'another department''s case is not there');
SELECT is(pg_temp.act('lamps-system', :'one', 'handle'), NULL, 'nor that of the one above');
SELECT throws_ok(format($$SELECT pg_temp.act('city-system', %L, 'feed_back', '{"unit": "jincheng"}')$$, :'one'), 'CH013', NULL, 'it does not say for whom it acts');
SELECT is(pg_temp.act('city-system', :'one', 'feed_back', '{"post": "dispatcher"}'), 'CH019', 'nor in another post');
SELECT is(pg_temp.act('city-system', :'one', 'close'), 'CH010', 'nor what is not the department''s to do');
SELECT is((SELECT count(*)::int FROM onemap.audit_log a WHERE a.action = 'refused' AND a.person = 'token:city-system'), 2, 'what was refused is noted');
SELECT is(pg_temp.act('city-system', :'one', 'feed_back', '{"reason": "已修复"}'), 'handled', 'it feeds back');
SELECT test.dispatched('20103', 1, 'zhaoming', '2026-10-12 09:00') AS below \gset
SELECT is(pg_temp.act('city-system', :'below', 'handle'), 'CH019', 'a case of the department below is seen, and that one''s to do');
SELECT pg_temp.by('city-system') AS before \gset
UPDATE onemap.token t SET revoked_at = now(), hash = NULL WHERE t.name = 'city-system';
SELECT throws_ok(format('SELECT onemap.identity_act(%L, ''department'')', :'before'), 'CH019', NULL, 'once revoked it acts no more');
SELECT is((onemap.identity_act(pg_temp.by('lamps-system'), 'department'))->>'unit', 'zhaoming', 'for its own department');
SELECT * FROM finish();
ROLLBACK;
