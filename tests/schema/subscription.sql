-- Subscriptions: each event once and in order, what it asked for alone, and never what its token may not see.
BEGIN;
\ir include/case_fixture.sql
\ir include/http_fixture.sql
SELECT plan(38);
INSERT INTO onemap.token (name, hash, department_id, expires_at)
SELECT t.name, sha256(t.name::bytea), d.id, now() + interval '1 day'
FROM (VALUES ('all', NULL), ('street', 'jincheng'), ('city', 'chengguan')) AS t (name, code) LEFT JOIN onemap.department d ON d.code = t.code;
INSERT INTO onemap.token_right (token_id, access_right) SELECT t.id, 'read' FROM onemap.token t;
CREATE FUNCTION pg_temp.by(token text, more jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS $$
    SELECT '{"after": 0, "limit": 3}' || jsonb_build_object('identity', onemap.identity_of_token(t.id)) || more FROM onemap.token t WHERE t.name = $1 $$;
CREATE FUNCTION pg_temp.subscribe(token text, name text, wants jsonb) RETURNS int LANGUAGE sql AS $$
    SELECT (f.body->>'id')::int FROM onemap.http_subscription_add(pg_temp.by(token), jsonb_build_object('name', name) || wants) f $$;
CREATE FUNCTION pg_temp.read(token text, id int, after bigint DEFAULT 0) RETURNS jsonb LANGUAGE sql AS $$
    SELECT f.body::jsonb FROM onemap.http_subscription_events(pg_temp.by(token, jsonb_build_object('id', id, 'after', after))) f $$;
-- All events by pages of three: for cases their steps, for others what the record is called.
CREATE FUNCTION pg_temp.told(token text, id int) RETURNS text LANGUAGE sql AS $$
    WITH RECURSIVE page AS (SELECT pg_temp.read(token, id) AS said UNION ALL SELECT pg_temp.read(token, id, (p.said->>'next')::bigint) FROM page p
        WHERE (p.said->>'more')::boolean)
    SELECT string_agg(CASE WHEN e.e->'content' ? 'left' THEN 'left' ELSE coalesce(e.e->'content'->>'action', e.e->'content'->>'rule' || (e.e->>'version')) END, ' '
        ORDER BY (e.e->>'event')::bigint) FROM page p, jsonb_array_elements(p.said->'events') e (e) $$;

-- ---- what may be asked for ----
CREATE FUNCTION pg_temp.refused(token text, sent jsonb, words text) RETURNS text LANGUAGE sql AS $$
    SELECT throws_like(format('SELECT onemap.http_subscription_add(pg_temp.by(%L), %L)', token, sent), words, words) $$;
SELECT pg_temp.refused('all', '{"name": "x", "resources": ["device"]}', 'resources: "device" is none of%');
SELECT pg_temp.refused('all', '{"name": "x", "resources": []}', 'field "resources" must be a list of%');
SELECT pg_temp.refused('all', '{"name": "x", "resources": [1]}', 'field "resources" must be a list of%');
SELECT pg_temp.refused('all', '{"name": "x"}', 'field "resources" is missing');
SELECT pg_temp.refused('all', '{"name": "x", "resources": ["alarm"], "moon": 1}', 'unknown field "moon"');
SELECT pg_temp.refused('all', '{"name": "x", "resources": ["alarm"], "departments": ["moon"]}', 'departments: there is no "moon"%');
SELECT pg_temp.refused('all', '{"name": "x", "resources": ["alarm"], "subsystems": ["moon"]}', 'subsystems: there is no "moon"');
SELECT pg_temp.refused('all', '{"name": "x", "resources": ["case_step"], "categories": ["%"]}', 'categories: "\%" is not the beginning%');
SELECT pg_temp.refused('street', '{"name": "x", "resources": ["alarm"], "departments": ["chengguan"]}', 'departments: there is no "chengguan", or not for this token');
SELECT pg_temp.refused('street', '{"name": "x", "resources": ["figure_hour"]}', 'figures are of the whole county%');
SELECT throws_ok($$SELECT onemap.http_subscription_add(test.as('boss'), '{"name": "x", "resources": ["alarm"]}')$$, 'CH081', NULL, 'a person subscribes to nothing');
SELECT throws_ok($$SELECT onemap.exchange_target_put('{"target": "subscription-1", "resources": ["alarm"]}')$$, 'CH070', NULL, 'no platform has a subscription''s name');

-- ---- cases ----
SELECT test.drive('accepted') AS before \gset
SELECT onemap.exchange_sweep();
SELECT pg_temp.subscribe('all', 'cases', '{"resources": ["case_step"]}') AS whole, pg_temp.subscribe('street', 'mine', '{"resources": ["case_step", "alarm"]}') AS street,
    pg_temp.subscribe('city', 'mine', '{"resources": ["case_step"]}') AS city,
    pg_temp.subscribe('all', 'class 1', '{"resources": ["case_step"], "categories": ["101", "9"]}') AS class,
    pg_temp.subscribe('all', 'street', '{"resources": ["case_step"], "departments": ["jincheng"]}') AS about \gset
SELECT is(pg_temp.subscribe('all', 'cases', '{"resources": ["case_step"]}'), :whole, 'the same again is the same');
SELECT throws_ok($$SELECT pg_temp.subscribe('all', 'cases', '{"resources": ["alarm"]}')$$, 'CH018', NULL, 'something else under its name is not');
SELECT is(pg_temp.told('all', :whole), NULL, 'what was before is not told');
SELECT test.dispatched('20103', 1, 'chengguan', '2026-10-12 09:00') AS one \gset
SELECT onemap.exchange_sweep();
SELECT is(pg_temp.told('all', :whole), 'report accept register dispatch', 'what came after is, by pages');
SELECT onemap.exchange_sweep();
SELECT is(pg_temp.told('all', :whole), 'report accept register dispatch', 'once');
SELECT is(pg_temp.told('city', :city), 'dispatch', 'a department is told from its own step on');
SELECT is(pg_temp.told('street', :street), NULL, 'another not');
SELECT is(pg_temp.told('all', :class), NULL, 'nor who wants other categories');
SELECT test.act(:'one', 'return', 'department'), test.act(:'one', 'dispatch', 'dispatcher', '{"department": "jincheng"}'),
    test.act(:'one', 'handle', 'department', '{"reason": "SECRET"}');
SELECT onemap.exchange_sweep();
SELECT matches(pg_temp.told('city', :city), '^dispatch (return|left)( left)?$', 'who had the case is told that it went');
SELECT ok(NOT pg_temp.read('city', :city)::text ~ 'SECRET', 'and nothing of what came after');
SELECT is(pg_temp.told('street', :street), 'dispatch handle', 'which the other is told');
SELECT is(pg_temp.told('all', :about), 'dispatch handle', 'as who asked for that department');
SELECT is(pg_temp.told('all', :whole), 'report accept register dispatch return dispatch handle', 'and who asked for all');
SELECT is(pg_temp.read('street', :city), NULL, 'nobody reads another program''s');
SELECT is((SELECT f.body FROM onemap.http_subscription(pg_temp.by('street', jsonb_build_object('id', :city))) f)::text, NULL, 'nor sees it');
SELECT ok(pg_temp.read('city', :city) IS NOT DISTINCT FROM (SELECT f.body::jsonb FROM onemap.http_subscription_events(test.as('boss', jsonb_build_object('id', :city, 'after', 0, 'limit', 3))) f),
    'but an administrator');

-- ---- alarms ----
SELECT pg_temp.subscribe('all', 'dust', '{"resources": ["alarm"], "subsystems": ["dust"]}') AS dust \gset
UPDATE onemap.device d SET department_id = u.id FROM onemap.department u WHERE (d.code, u.code) IN (('L1', 'jincheng'), ('D1', 'chengguan'));
INSERT INTO onemap.alarm (rule_id, device_id, opened_at, severity)
SELECT (SELECT min(r.id) FROM onemap.alarm_rule r WHERE r.subsystem = d.subsystem AND r.key = 'device_offline'), d.id, now(), 'major' FROM onemap.device d WHERE d.code IN ('L1', 'D1');
SELECT onemap.exchange_sweep();
UPDATE onemap.alarm a SET closed_at = now() + interval '1 minute', close_reason = 'x' FROM onemap.device d WHERE d.id = a.device_id AND d.code = 'D1';
SELECT onemap.exchange_sweep();
SELECT is(pg_temp.told('all', :dust), 'device_offline1 device_offline2', 'alarms of a subsystem, and their end');
SELECT is(pg_temp.told('street', :street), 'dispatch handle device_offline1', 'of a department''s devices alone');

-- ---- the platforms above have nothing of it ----
SELECT is(onemap.exchange_status_json('{}'), '[]', 'a subscription is no platform');
SELECT is((SELECT count(*)::int FROM onemap.exchange_quality('{}')) + (SELECT count(*)::int FROM onemap.exchange_differences('{}')), 0, 'nothing is missing there');
SELECT is((SELECT count(*)::int FROM onemap.exchange_take('subscription-' || :whole, 10, 60)), 0, 'and nothing to be sent');

-- ---- forgotten, revoked, ended ----
SELECT (pg_temp.read('all', :whole)->>'next')::bigint AS third \gset
UPDATE onemap.exchange_record r SET made_at = now() - interval '40 days' WHERE r.target = 'subscription-' || :whole AND r.id <= :third;
SELECT is(onemap.subscription_sweep(), 3, 'what is old is forgotten');
SELECT is(pg_temp.told('all', :whole), 'dispatch return dispatch handle', 'the rest is there');
SELECT throws_ok(format('SELECT pg_temp.read(''all'', %s, %s)', :whole, :third - 1), 'CH082', NULL, 'who has missed something is told so');
UPDATE onemap.token t SET revoked_at = now(), hash = NULL WHERE t.name = 'street';
SELECT test.act(:'one', 'feed_back', 'department', '{}');
SELECT onemap.exchange_sweep();
SELECT is((SELECT count(*)::int FROM onemap.exchange_record r WHERE r.target = 'subscription-' || :street), 3, 'a revoked token is told nothing more');
SELECT onemap.http_subscription_end(pg_temp.by('city', jsonb_build_object('id', :whole)));
SELECT onemap.http_subscription_end(pg_temp.by('all', jsonb_build_object('id', :whole)));
SELECT is(pg_temp.read('all', :whole)::text || (SELECT count(*) FROM onemap.subscription s WHERE s.ended_at IS NOT NULL), NULL, 'an ended one is not there');
SELECT * FROM finish();
ROLLBACK;
