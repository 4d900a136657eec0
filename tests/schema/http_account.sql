-- People, tokens and alarm rules over HTTP: an administrator alone, none above himself, one always left, every step noted with person and address.
BEGIN;
SELECT plan(40);
INSERT INTO onemap.department (code, name_zh, kind) VALUES ('parks', '园林', 'county');
CREATE FUNCTION pg_temp.add(login text, posts text) RETURNS jsonb LANGUAGE sql AS $$
    SELECT onemap.user_add(jsonb_build_object('login', login, 'name', '某', 'posts', posts, 'password_hash', '$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA')) $$;
SELECT pg_temp.add('boss', 'admin'), pg_temp.add('li', 'dispatcher');
CREATE FUNCTION pg_temp.request(login text, more jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('identity', onemap.identity_of_account(a.id) || '{"address": "10.1.2.3"}') || more FROM onemap.account a WHERE a.login = $1 $$;
\set hash '"password_hash": "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA"'
\set zhang '{"login": "zhang", "name": "张", "posts": ["viewer", "department"], "department": "parks", ' :hash '}'
SELECT concat(:'zhang') AS zhang \gset
CREATE FUNCTION pg_temp.audited(OUT text) LANGUAGE sql AS $$
    SELECT concat_ws(' ', l.action, l.person, host(l.address), l.detail) FROM onemap.audit_log l ORDER BY l.id DESC LIMIT 1 $$;

-- ---- who may ----
SELECT throws_ok($$SELECT * FROM onemap.http_users(pg_temp.request('li'))$$, 'CH066', 'li is no administrator', 'a dispatcher sees no accounts');
SELECT throws_ok($$SELECT * FROM onemap.http_tokens(pg_temp.request('li'))$$, 'CH066', NULL, 'nor tokens');
SELECT onemap.token_add(jsonb_build_object('name', 'robot', 'rights', 'operate,read', 'days', 9, 'owner', 'boss', 'hash', repeat('ab', 32)));
SELECT jsonb_build_object('identity', onemap.identity_of_token(t.id) || '{"address": "10.9.9.9"}') AS robot FROM onemap.token t WHERE t.name = 'robot' \gset
SELECT throws_ok(format($$SELECT * FROM onemap.http_users(%L)$$, :'robot'), 'CH066', NULL, 'nor does a token of the administrator''s own');
SELECT is((SELECT a.code || ' ' || a.detail FROM onemap.http_user_add(:'robot', :'zhang') a), 'CH066 token:robot is no administrator', 'a token adds nobody');
SELECT is(pg_temp.audited(), 'refused token:robot 10.9.9.9 {"code": "CH066", "action": "user_add"}', 'and that it tried is noted');
SELECT is((SELECT a.code FROM onemap.http_user_add(pg_temp.request('li'), :'zhang') a), 'CH066', 'a dispatcher adds nobody');
SELECT is((SELECT a.code FROM onemap.http_alarm_rule_set(pg_temp.request('li', '{"subsystem": "dust", "rule": "pm10_high"}'), '{"source": "x", "enabled": false}') a), 'CH066',
    'and changes no rule');
SELECT throws_ok($$SELECT * FROM onemap.http_user_add('{}', '{}')$$, 'CH060', NULL, 'nobody does nothing');

-- ---- people ----
SELECT is((SELECT a.status || ' ' || a.body FROM onemap.http_user_add(pg_temp.request('boss'), :'zhang') a),
    '201 {"login": "zhang", "posts": ["department", "viewer"]}', 'a person is added');
SELECT is(pg_temp.audited(), 'user_add boss 10.1.2.3 {"name": "张", "login": "zhang", "posts": "department,viewer", "department": "parks"}',
    'noted with person and address, without the hash');
SELECT is((SELECT string_agg(u->>'login', ' ') FROM onemap.http_users(pg_temp.request('boss', '{"all": false}')) h, json_array_elements(h.body->'users') u), 'boss li zhang', 'the list');
SELECT ok(NOT EXISTS (SELECT FROM onemap.http_users(pg_temp.request('boss', '{"all": true}')) h WHERE h.body::text ~ 'argon'), 'has no hash');
SELECT throws_ok(format($$SELECT * FROM onemap.http_user_add(pg_temp.request('boss'), %L)$$, :'zhang'), 'CH018', NULL, 'once');
SELECT throws_ok($$SELECT * FROM onemap.http_user_add(pg_temp.request('boss'), '{"login": "A B", "name": "x", "posts": ["viewer"], "password_hash": "x"}')$$, 'CH013', NULL, 'no such login');
SELECT throws_ok($$SELECT * FROM onemap.http_user_add(pg_temp.request('boss'), '{"login": "ab", "name": "x", "posts": [], "password_hash": "x"}')$$, 'CH013', NULL, 'no post');
SELECT throws_ok($$SELECT * FROM onemap.http_user_add(pg_temp.request('boss'), '{"login": "ab", "name": "x", "posts": "viewer", "password_hash": "x"}')$$, 'CH013', NULL, 'no list');
SELECT throws_ok($$SELECT * FROM onemap.http_user_add(pg_temp.request('boss'), '{"login": "ab", "name": "x", "posts": ["viewer,admin"], "password_hash": "x"}')$$, 'CH013', NULL, 'a word is one word');
SELECT throws_ok($$SELECT * FROM onemap.http_user_add(pg_temp.request('boss'), '{"login": "ab", "name": "x", "posts": ["viewer"], "password_hash": "x", "id": 1}')$$, 'CH013', NULL, 'nothing else');
SELECT throws_ok($$SELECT * FROM onemap.http_user_add(pg_temp.request('boss'), '[1]')$$, 'CH013', NULL, 'an object');
SELECT is((SELECT a.body::jsonb FROM onemap.http_user_role(pg_temp.request('boss', '{"login": "zhang"}'), '{"posts": ["viewer"], "department": null}') a),
    '{"login": "zhang", "posts": ["viewer"], "department": null}', 'another post, no department');
SELECT is((SELECT a.body::jsonb->'posts' FROM onemap.http_user_role(pg_temp.request('boss', '{"login": "zhang"}'), '{"name": "张三"}') a), '["viewer"]', 'a name alone');
SELECT is((SELECT a.body::jsonb->>'login' FROM onemap.http_user_password(pg_temp.request('boss', '{"login": "zhang"}'), ('{' || :'hash' || '}')::jsonb) a), 'zhang', 'a new password');
SELECT is(pg_temp.audited(), 'user_password boss 10.1.2.3 {"login": "zhang"}', 'noted without it');
SELECT throws_ok($$SELECT * FROM onemap.http_user_role(pg_temp.request('boss', '{"login": "nobody"}'), '{"name": "x"}')$$, 'CH013', NULL, 'who is not there');

-- ---- nobody above himself, one always left ----
SELECT is((SELECT a.code || a.hint FROM onemap.http_user_revoke(pg_temp.request('boss', '{"login": "boss"}')) a), 'CH066您是最后一个管理员：须先另设一个管理员，由他来改。本人的口令在“修改密码”里改。',
    'the last administrator stays');
SELECT is(pg_temp.audited(), 'refused boss 10.1.2.3 {"code": "CH066", "login": "boss", "action": "user_revoke"}', 'and that he tried is noted');
SELECT is((SELECT a.code FROM onemap.http_user_role(pg_temp.request('boss', '{"login": "boss"}'), '{"posts": ["viewer"]}') a), 'CH066', 'with his post');
SELECT is((SELECT a.code FROM onemap.http_user_role(pg_temp.request('boss', '{"login": "boss"}'), '{"posts": ["admin", "leader"]}') a), 'CH066', 'and gives himself no other');
SELECT is((SELECT a.code FROM onemap.http_user_password(pg_temp.request('boss', '{"login": "boss"}'), ('{' || :'hash' || '}')::jsonb) a), 'CH066',
    'nor a password without the present one');
SELECT pg_temp.add('second', 'admin');
SELECT is((SELECT a.code || a.hint FROM onemap.http_user_revoke(pg_temp.request('boss', '{"login": "boss"}')) a), 'CH066本人的岗位和停用须由别的管理员办理；本人的口令在“修改密码”里改。', 'another does it');
SELECT pg_temp.request('second') AS second \gset
SELECT is((SELECT a.code FROM onemap.http_user_revoke(pg_temp.request('boss', '{"login": "second"}')) a), NULL, 'as the second one is ended');
SELECT is((SELECT a.code || ' ' || a.detail FROM onemap.http_user_revoke(:'second'::jsonb || '{"login": "boss"}') a), 'CH066 second is no administrator any more',
    'who ends nobody any more, whatever was true when he asked');
SELECT is((SELECT a.code FROM onemap.http_user_add(jsonb_set(pg_temp.request('boss'), '{identity,rights}', '["read", "operate"]'), '{"login": "up", "name": "x", "posts": ["leader"], "password_hash": "x"}') a),
    'CH066', 'a right that he has not is not given');

-- ---- tokens ----
SELECT is((SELECT a.status || ' ' || (a.body->>'name') FROM onemap.http_token_add(pg_temp.request('boss'), jsonb_build_object('name', 'qgis', 'rights', '["read"]'::jsonb, 'days', 30,
    'owner', 'zhang', 'hash', repeat('cd', 32))) a), '201 qgis', 'a token is added');
SELECT is(pg_temp.audited(), 'token_add boss 10.1.2.3 {"days": 30, "name": "qgis", "owner": "zhang", "rights": "read"}', 'noted, without its hash');
SELECT throws_ok($$SELECT * FROM onemap.http_token_add(pg_temp.request('boss'), '{"name": "x", "rights": ["score"], "days": 1, "hash": "00"}')$$, 'CH013', NULL, 'a program enters no score');
SELECT throws_ok($$SELECT * FROM onemap.http_token_add(pg_temp.request('boss'), '{"name": "x", "rights": ["read"], "days": 0, "hash": "00"}')$$, 'CH013', NULL, 'it lasts a day or more');
SELECT is((SELECT a.body->>'name' FROM onemap.http_token_revoke(pg_temp.request('boss', '{"token": "qgis"}')) a), 'qgis', 'and ended');

-- ---- alarm rules ----
SELECT is((SELECT a.body->>'source' FROM onemap.alarm_rule r, onemap.http_alarm_rule_set(pg_temp.request('boss', jsonb_build_object('subsystem', r.subsystem, 'rule', r.key)),
    '{"threshold": 120, "clear_threshold": 110, "source": "县环委 2026-12 号"}') a WHERE r.subsystem = 'dust' AND r.kind = 'threshold' AND r.comparison = 'above' ORDER BY r.key LIMIT 1),
    '县环委 2026-12 号', 'a limit is changed with its source');
SELECT throws_ok($$SELECT * FROM onemap.http_alarm_rule_set(pg_temp.request('boss', '{"subsystem": "dust", "rule": "pm10_high"}'), '{"threshold": 120}')$$, 'CH013', NULL, 'and not without');
SELECT * FROM finish();
ROLLBACK;
