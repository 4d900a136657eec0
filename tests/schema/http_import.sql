-- Files that an administrator imports over HTTP: judged first, whole or not at all, noted with person and address; nobody else.
BEGIN;
SELECT plan(23);
CREATE FUNCTION pg_temp.add(login text, posts text) RETURNS jsonb LANGUAGE sql AS $$
    SELECT onemap.user_add(jsonb_build_object('login', login, 'name', '某', 'posts', posts, 'password_hash', '$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA')) $$;
SELECT pg_temp.add('boss', 'admin'), pg_temp.add('li', 'dispatcher');
CREATE FUNCTION pg_temp.request(login text, subject text) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('identity', onemap.identity_of_account(a.id) || '{"address": "10.1.2.3"}', 'subject', subject) FROM onemap.account a WHERE a.login = $1 $$;
CREATE FUNCTION pg_temp.sent(content jsonb) RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_build_object('file', 'a.csv', 'content', content) $$;
CREATE FUNCTION pg_temp.checked(subject text, content jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT a.body::jsonb FROM onemap.http_import_check(pg_temp.request('boss', subject), pg_temp.sent(content)) a $$;
CREATE FUNCTION pg_temp.stored(subject text, content jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT coalesce(a.body::jsonb, to_jsonb(a.code || ' ' || a.detail || ' ' || a.hint)) FROM onemap.http_import(pg_temp.request('boss', subject), pg_temp.sent(content)) a $$;
CREATE FUNCTION pg_temp.audited(OUT text) LANGUAGE sql AS $$
    SELECT concat_ws(' ', l.action, l.person, host(l.address), l.detail) FROM onemap.audit_log l ORDER BY l.id DESC LIMIT 1 $$;

-- ---- who may ----
SELECT throws_ok($$SELECT * FROM onemap.http_imports(pg_temp.request('li', ''))$$, 'CH066', NULL, 'a dispatcher sees no files');
SELECT is((SELECT a.code FROM onemap.http_import_check(pg_temp.request('li', 'zones'), pg_temp.sent('[]')) a), 'CH066', 'nor has one judged');
SELECT is((SELECT a.code FROM onemap.http_import(pg_temp.request('li', 'zones'), pg_temp.sent('[]')) a), 'CH066', 'nor imports one');
SELECT is(pg_temp.audited(), 'refused li 10.1.2.3 {"code": "CH066", "action": "import", "subject": "zones"}', 'and that he tried is noted');
SELECT throws_ok(format($$SELECT * FROM onemap.http_import(pg_temp.request('boss', 'zones'), %L)$$, b.b), 'CH013', NULL, 'no body: ' || b.b)
FROM unnest('{"[]","{\"content\": []}","{\"file\": 1, \"content\": []}","{\"file\": \"a\", \"content\": [], \"x\": 1}"}'::text[]) b (b);

-- ---- departments: by columns and lines; who is left out is told ----
\set street '{"line": 2, "code": "jie", "name": "街道办", "kind": "street", "parent": "", "schedule": "standard", "active": "yes"}'
SELECT is(pg_temp.checked('departments', ('[' || :'street' || ']')::jsonb)->'problems', '[]', 'a right file');
SELECT is((SELECT count(*)::int FROM onemap.department d WHERE d.code = 'jie'), 0, 'of which nothing is stored yet');
SELECT is(pg_temp.stored('departments', ('[' || :'street' || ']')::jsonb)->>'imported', 'true', 'is imported');
SELECT is(pg_temp.audited(), 'import boss 10.1.2.3 {"file": "a.csv", "rows": 1, "subject": "departments", "made_inactive": []}', 'and noted with person and address');
SELECT is(pg_temp.checked('departments', '[{"line": 7, "code": "x", "name": "x", "kind": "moon", "parent": "", "schedule": "standard", "active": "yes"}]')->'problems',
    '[{"place": "line 7", "problem": "kind: must be street, county or enterprise, not \"moon\""}]', 'a problem has its line');
SELECT is(pg_temp.checked('departments', '[{"code": "x"}, 5]')->'problems',
    '[{"place": "line 2", "problem": "active: the column is missing"}, {"place": "line 3", "problem": "must be a row with columns"}]', 'rows that are none');
SELECT is(pg_temp.checked('departments', '{"a": 1}')->'problems'->0->>'problem', 'must be a list of rows', 'no list');
SELECT is(pg_temp.checked('departments', jsonb_build_array(jsonb_set(jsonb_set(:'street', '{code}', '"lu"'), '{name}', '"路"')))->'warnings'->0->>'warning',
    'jie 街道办 is not in the file: it becomes inactive', 'who is left out is told before');
SELECT is(pg_temp.stored('departments', '[]') #>> '{}', 'CH079 a.csv: line 1: the file has no departments 文件有 1 处问题，什么也没有导入。请先检查，按检查报告改正。', 'a wrong file is refused');

-- ---- the others go the same way ----
SELECT is(pg_temp.stored('catalogue', '[{"line": 2, "code": "20102", "class": "市容环境", "name": "暴露垃圾", "condition": "1", "registration_condition": "暴露", "limit": "5",
    "unit": "工作时", "closing_condition": "已处置", "responsible": "jie", "source": "assumed"}]')->>'imported', 'true', 'a catalogue');
SELECT is(pg_temp.checked('calendar', '{"source": "x", "holidays": [{"name": "元旦", "first_day": "2027-13-01", "last_day": "2027-01-03"}]}')->'problems'->0->>'place', 'holidays[0].first_day', 'a notice');
SELECT is(pg_temp.checked('office_hours', '[{"schedule": "s", "name_zh": "x", "source": "y", "periods": [{"opens": "08:30", "closes": "17:00"}]}, {"schedule": "s"}]')->'problems',
    '[{"place": "[1]", "problem": "name_zh: is missing"}, {"place": "[1]", "problem": "schedule: s is there already"}]', 'office hours');
SELECT is(pg_temp.stored('zones', '{"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {"kind": "no_entry", "code": "Z1", "name": "禁行"},
    "geometry": {"type": "Polygon", "coordinates": [[[114.4, 34.5], [114.41, 34.5], [114.41, 34.51], [114.4, 34.5]]]}}]}')->>'added', '1', 'a zone');
SELECT is(pg_temp.checked('components', '{"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {"code": "1"}, "geometry": {"type": "Point", "coordinates": [34, 114]}}]}')->>'rows', '1', 'components');
SELECT is((SELECT string_agg(concat_ws(':', s->>'subject', s->>'last_by'), ' ') FROM onemap.http_imports(pg_temp.request('boss', '')) h, json_array_elements(h.body->'subjects') s),
    'departments:boss catalogue:boss calendar office_hours grid_cells zones:boss components', 'who last did what');
SELECT * FROM finish();
ROLLBACK;
