-- Who is who: posts and rights, the look-up of sessions and tokens, the rows that each sees, acting in a post, and who may call what.
BEGIN;
SELECT plan(73);
\set hash '''$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA'''
INSERT INTO onemap.department (code, name_zh, kind) VALUES ('parks', '园林', 'county'), ('street', '街道', 'street');
INSERT INTO onemap.department (code, name_zh, kind, parent_id) SELECT 'west', '西园', 'county', d.id FROM onemap.department d WHERE d.code = 'parks';
INSERT INTO onemap.department (code, name_zh, kind, parent_id) SELECT 'pond', '池', 'county', d.id FROM onemap.department d WHERE d.code = 'west';
CREATE FUNCTION pg_temp.secret(text text) RETURNS bytea LANGUAGE sql AS $$ SELECT sha256(text::bytea) $$;
CREATE FUNCTION pg_temp.add(login text, posts text, department text DEFAULT NULL) RETURNS jsonb LANGUAGE sql AS $$
    SELECT onemap.user_add(jsonb_strip_nulls(jsonb_build_object('login', login, 'name', '某', 'posts', posts, 'department', department,
        'password_hash', '$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA'))) $$;
CREATE FUNCTION pg_temp.request(login text) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('identity', onemap.identity_of_account(a.id) || '{"address": "10.1.2.3"}') FROM onemap.account a WHERE a.login = $1 $$;
CREATE FUNCTION pg_temp.sees(request jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN onemap.identity_departments(request) IS NULL THEN 'all'
        ELSE (SELECT coalesce(string_agg(d.code, ' ' ORDER BY d.code), 'nothing') FROM onemap.department d
              WHERE d.id = ANY (onemap.identity_departments(request))) END $$;

-- ---- words ----
SELECT is((SELECT string_agg(p.post, ' ' ORDER BY p.position) FROM onemap.post p),
    'supervisor acceptor registrar dispatcher department leader viewer admin', 'the posts of the closed loop, viewer and admin');
SELECT is((SELECT string_agg(p.post || ':' || (SELECT string_agg(r.access_right, ',' ORDER BY r.access_right) FROM onemap.post_right r
        WHERE r.post = p.post), ' ' ORDER BY p.position) FROM onemap.post p),
    'supervisor:read acceptor:alarm,read registrar:alarm,read dispatcher:alarm,command,read department:alarm,read leader:read,score '
    'viewer:read admin:alarm,command,exchange,operate,read,score', 'and their rights');

-- ---- people ----
SELECT is(pg_temp.add('boss', 'admin'), '{"login": "boss", "posts": ["admin"]}', 'an administrator');
SELECT is(pg_temp.add('li', 'dispatcher, viewer', 'parks'), '{"login": "li", "posts": ["dispatcher", "viewer"]}', 'with two posts');
SELECT is(pg_temp.add('wang', 'department,viewer', 'parks')->>'login', 'wang', 'for a department');
SELECT is(pg_temp.add('zhao', 'viewer')->>'login', 'zhao', 'who only looks');
SELECT is(pg_temp.add('qian', 'viewer', 'west')->>'login', 'qian', 'at one department');
SELECT throws_ok($$SELECT pg_temp.add('li', 'viewer')$$, 'CH018', NULL, 'once');
SELECT throws_ok($$SELECT pg_temp.add('x', 'boss')$$, 'CH013', '"boss" is no post', 'no such post');
SELECT throws_ok($$SELECT pg_temp.add('x', 'system')$$, 'CH013', '"system" is no post', 'nobody is the hub');
SELECT throws_ok($$SELECT pg_temp.add('x', 'viewer', 'moon')$$, 'CH013', '"moon" is no department', 'no such department');
SELECT throws_ok($$SELECT pg_temp.add('x', 'department')$$, 'CH013', NULL, 'who acts for a department is of one');
SELECT throws_ok($$SELECT pg_temp.add('X y', 'viewer')$$, '23514', NULL, 'no such login');
SELECT throws_ok($$SELECT onemap.user_add('{"login": "x", "name": "x", "posts": "viewer", "password_hash": "plain"}')$$, '23514', NULL,
    'what is no hash is not taken');

-- ---- the rows they see ----
SELECT is(pg_temp.sees(pg_temp.request('boss')), 'all', 'an administrator sees all');
SELECT is(pg_temp.sees(pg_temp.request('li')), 'all', 'a post of the centre sees all, whatever its department');
SELECT is(pg_temp.sees(pg_temp.request('wang')), 'parks pond west', 'a department sees its own and those below');
SELECT is(pg_temp.sees(pg_temp.request('qian')), 'pond west', 'a viewer of a department, too');
SELECT is(pg_temp.sees(pg_temp.request('zhao')), 'all', 'a viewer of none sees all');
SELECT throws_ok($$SELECT onemap.identity_departments('{}')$$, 'CH060', NULL, 'nobody sees nothing');
SELECT throws_ok($$SELECT onemap.identity_departments('{"identity": null}')$$, 'CH060', NULL, 'nor does null');
SELECT throws_ok($$SELECT onemap.identity_departments(NULL)$$, 'CH060', NULL, 'nor no request at all');

-- ---- acting in a post ----
SELECT is(onemap.identity_act(pg_temp.request('li'), 'dispatcher'), '{"role": "dispatcher", "actor": "li"}', 'in a post that is held');
SELECT is(onemap.identity_act(pg_temp.request('wang'), 'department'), '{"role": "department", "actor": "wang", "unit": "parks"}',
    'for the own department');
SELECT throws_ok($$SELECT onemap.identity_act(pg_temp.request('li'), 'registrar')$$, 'CH019', 'li does not act as "registrar"', 'in no other');
SELECT throws_ok($$SELECT onemap.identity_act(pg_temp.request('li'), 'viewer')$$, 'CH019', NULL, 'viewer is no post of the closed loop');
SELECT throws_ok($$SELECT onemap.identity_act(pg_temp.request('boss'), 'dispatcher')$$, 'CH019', NULL, 'nor is admin all of them');
SELECT throws_ok($$SELECT onemap.identity_act(pg_temp.request('li') || '{"role": "registrar"}', 'registrar')$$, 'CH019', NULL, 'whatever is claimed');
SELECT pg_temp.request('li') AS before \gset
SELECT onemap.user_role('{"login": "li", "posts": "viewer"}');
SELECT throws_ok(format('SELECT onemap.identity_act(%L, %L)', :'before', 'dispatcher'), 'CH019', NULL, 'nor with a post that was');
SELECT is(onemap.user_role('{"login": "li", "posts": "registrar", "department": null}'),
    '{"login": "li", "posts": ["registrar"], "department": null}', 'posts and department change');
SELECT is(onemap.user_role('{"login": "wang", "name": "王"}')->'posts', '["department", "viewer"]', 'what is not named stays');
SELECT throws_ok($$SELECT onemap.user_role('{"login": "wang", "department": null}')$$, 'CH013', NULL, 'but for what would not go together');
SELECT throws_ok($$SELECT onemap.user_role('{"login": "nobody"}')$$, 'CH013', NULL, 'of somebody who is there');

-- ---- sessions ----
SELECT is((SELECT f.password_hash FROM onemap.login_find('li') f), :hash, 'what a password is held against');
SELECT is_empty($$SELECT * FROM onemap.login_find('nobody')$$, 'of nobody: nothing');
CREATE FUNCTION pg_temp.open(who text, secret text, before text DEFAULT NULL) RETURNS jsonb LANGUAGE sql AS $$
    SELECT onemap.login_open(f.account, f.password_hash, pg_temp.secret(secret), '10.1.2.3', pg_temp.secret(before)) FROM onemap.login_find(who) f $$;
CREATE FUNCTION pg_temp.who(kind text, secret text) RETURNS text LANGUAGE sql AS $$
    SELECT f.identity->>'login' || ' ' || f.rights FROM onemap.identity_find(kind, pg_temp.secret(secret), '10.1.2.3') f $$;
SELECT is(pg_temp.open('li', 'one')->>'login', 'li', 'a session');
SELECT is(pg_temp.who('session', 'one'), 'li alarm read', 'is found with its rights');
SELECT is(pg_temp.who('token', 'one'), NULL, 'and is no token');
SELECT is(pg_temp.who('session', 'two'), NULL, 'another secret is nobody');
SELECT pg_temp.open('li', 'two', 'one');
SELECT is(pg_temp.who('session', 'one'), NULL, 'the one that came along ends');
SELECT is((SELECT onemap.login_open(a.id, '$argon2id$other', pg_temp.secret('x'), NULL, NULL) FROM onemap.account a WHERE a.login = 'li'), NULL,
    'none with a password that was changed meanwhile');
SELECT is((SELECT f.due FROM onemap.identity_find('session', pg_temp.secret('two'), NULL) f), false, 'used just now');
UPDATE onemap.session SET last_used_at = now() - interval '2 minutes';
SELECT is((SELECT f.due FROM onemap.identity_find('session', pg_temp.secret('two'), NULL) f), true, 'used some time ago: to be noted');
SELECT onemap.identity_touch('session', pg_temp.secret('two'), '10.1.2.3');
SELECT is((SELECT s.last_used_at FROM onemap.session s), now(), 'and noted');
UPDATE onemap.setting SET value = '1 minute' WHERE key = 'session_idle';
UPDATE onemap.session SET last_used_at = now() - interval '61 seconds';
SELECT is(pg_temp.who('session', 'two'), NULL, 'idle for longer than the county wants');
SELECT pg_temp.open('zhao', 'three');
SELECT is((SELECT count(*)::int FROM onemap.session), 1, 'what is over is swept by the next login');
SELECT is(onemap.user_password(jsonb_build_object('login', 'zhao', 'password_hash', :hash))->>'sessions', '1', 'a new password ends sessions');
SELECT is(pg_temp.who('session', 'three'), NULL, 'at once');
UPDATE onemap.setting SET value = '30 minutes' WHERE key = 'session_idle';
-- A wall: the post viewer alone.
SELECT is((pg_temp.open('zhao', 'wall')->>'expires_at')::timestamptz, now() + interval '90 days', 'a wall''s session lasts for weeks');
UPDATE onemap.session SET opened_at = now() - interval '89 days', last_used_at = now() - interval '11 hours' WHERE hash = pg_temp.secret('wall');
SELECT is(pg_temp.who('session', 'wall'), 'zhao read', 'through a night of its PC, too');
SELECT onemap.user_role('{"login": "zhao", "posts": "viewer,dispatcher"}');
SELECT is(pg_temp.who('session', 'wall'), NULL, 'and no more when its person may do more');
SELECT onemap.user_role('{"login": "zhao", "posts": "viewer"}');
UPDATE onemap.session SET opened_at = now() - interval '91 days' WHERE hash = pg_temp.secret('wall');
SELECT is(pg_temp.who('session', 'wall'), NULL, 'nor for ever');
SELECT pg_temp.open('zhao', 'here'), pg_temp.open('zhao', 'there');
CREATE FUNCTION pg_temp.change(old text) RETURNS jsonb LANGUAGE sql AS $$
    SELECT onemap.login_password(a.id, old, '$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$bmV1',
        (SELECT s.id FROM onemap.session s WHERE s.hash = pg_temp.secret('here')), '10.1.2.3') FROM onemap.account a WHERE a.login = 'zhao' $$;
SELECT is(pg_temp.change('$argon2id$other'), NULL, 'no own password in place of one that was changed meanwhile');
SELECT is(pg_temp.change(:hash), '{"login": "zhao", "sessions": 1}', 'an own new password ends the other sessions');
SELECT is(ARRAY[pg_temp.who('session', 'here'), pg_temp.who('session', 'there')], '{zhao read,NULL}', 'and not this one');
SELECT is((SELECT ROW(l.person, host(l.address), l.detail)::text FROM onemap.audit_log l WHERE l.action = 'password'),
    '(zhao,10.1.2.3,"{""sessions"": 1}")', 'and is noted');

-- ---- tokens ----
CREATE FUNCTION pg_temp.token(request jsonb, secret text) RETURNS jsonb LANGUAGE sql AS $$
    SELECT onemap.token_add(request || jsonb_build_object('hash', encode(pg_temp.secret(secret), 'hex'))) $$;
SELECT is(pg_temp.token('{"name": "gis", "rights": "read", "days": 10, "department": "parks"}', 'gis') - 'expires', '{"name": "gis"}', 'a token');
SELECT is(pg_temp.who('token', 'gis'), 'token:gis read', 'is found');
SELECT is((SELECT pg_temp.sees(jsonb_build_object('identity', f.identity)) FROM onemap.identity_find('token', pg_temp.secret('gis'), NULL) f),
    'parks pond west', 'sees its department');
SELECT throws_ok($$SELECT onemap.identity_act(jsonb_build_object('identity', (SELECT f.identity FROM onemap.identity_find('token',
    pg_temp.secret('gis'), NULL) f)), 'dispatcher')$$, 'CH019', NULL, 'and acts in no post');
SELECT is((SELECT a.asked - 'identity' || jsonb_build_object('who', a.asked->'identity'->'login', 'address', a.asked->'identity'->'address') FROM onemap.identity_asking(
    '{"limit": 5, "identity": {"login": "root"}}', 'token', pg_temp.secret('gis'), '10.1.2.3', 'read') a), '{"limit": 5, "who": "token:gis", "address": "10.1.2.3"}', 'what is asked goes on with who asks, whatever it said');
SELECT is((SELECT count(*)::int FROM unnest('{identity,read,operate,rea,read operate}'::text[]) r (r), onemap.identity_asking('{}', 'token', pg_temp.secret('gis'), NULL, r.r) a), 2, 'with the right, or where any will do');
SELECT is((SELECT count(*)::int FROM onemap.identity_asking('{}', 'token', pg_temp.secret('nobody'), NULL, 'identity') a), 0, 'not for nobody');
SELECT pg_temp.token('{"name": "own", "rights": "operate,read", "days": 10, "owner": "qian"}', 'own');
SELECT is(pg_temp.who('token', 'own'), 'token:own read', 'of a person: no more than the person may');
SELECT is((SELECT pg_temp.sees(jsonb_build_object('identity', f.identity)) FROM onemap.identity_find('token', pg_temp.secret('own'), NULL) f),
    'pond west', 'nor sees');
SELECT is(onemap.user_revoke('{"login": "qian"}'), '{"login": "qian", "sessions": 0, "tokens": 1}', 'and it ends with the person');
SELECT is(pg_temp.who('token', 'own'), NULL, 'at once');
SELECT is((SELECT count(*)::int FROM onemap.account a WHERE a.login = 'qian' AND a.password_hash IS NULL), 1, 'of whom no hash is kept');
SELECT throws_ok($$SELECT pg_temp.token('{"name": "gis", "rights": "read", "days": 10}', 'y')$$, 'CH018', NULL, 'a token''s name is used once');

-- ---- what is noted, and who may ----
SELECT onemap.http_write('{"limit": 5, "identity": {"login": "li", "address": "10.1.2.3"}}', 'POST /api/v1/x');
SELECT is((SELECT ROW(l.person, host(l.address), l.detail)::text FROM onemap.audit_log l WHERE l.action = 'POST /api/v1/x'),
    '(li,10.1.2.3,"{""limit"": 5}")', 'a write, with person and address');
SELECT is((SELECT count(*)::int FROM onemap.audit_log l WHERE l.detail::text ~ 'argon2id|hash'), 0, 'and never a hash');
SELECT is((SELECT array_agg(p.proname::text ORDER BY p.proname) FROM pg_catalog.pg_proc p WHERE p.pronamespace = 'onemap'::regnamespace
        AND p.proname ~ '^(user|token|login|identity|account|session)_' AND has_function_privilege('cityhub_api', p.oid, 'EXECUTE')),
    '{identity_asking,identity_find,identity_touch}'::text[], 'of all this the API''s role finds out who comes, and no more');
SELECT is((SELECT count(*)::int FROM pg_catalog.pg_proc p WHERE p.pronamespace = 'onemap'::regnamespace
        AND p.proname ~ '^(user|token|login|identity|account|session)_' AND has_function_privilege('cityhub_read', p.oid, 'EXECUTE')), 0,
    'cityhub_read nothing');
SELECT * FROM finish();
ROLLBACK;
