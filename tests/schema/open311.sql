-- Open311 below its routes: forms, times, what is public, the same report twice, states and updates, merged reports, additions.
BEGIN;
\ir include/case_fixture.sql
\ir include/http_fixture.sql
SELECT plan(94);
CREATE FUNCTION pg_temp.escaped(words text) RETURNS text LANGUAGE sql AS $$
    SELECT regexp_replace(encode(convert_to(words, 'UTF8'), 'hex'), '(..)', '%\1', 'g') $$;
CREATE FUNCTION pg_temp.form(fields jsonb) RETURNS bytea LANGUAGE sql AS $$
    SELECT convert_to(string_agg(pg_temp.escaped(e.key) || '=' || pg_temp.escaped(e.value), '&'), 'UTF8') FROM jsonb_each_text(fields) e $$;
CREATE FUNCTION pg_temp.send(fields jsonb, OUT status int, OUT said jsonb) LANGUAGE sql AS $$
    SELECT a.status, a.body::jsonb FROM onemap.http_open311_report_json('{}', pg_temp.form(fields)) a $$;
CREATE FUNCTION pg_temp.add(fields jsonb, OUT status int, OUT said jsonb) LANGUAGE sql AS $$
    SELECT a.status, a.body::jsonb FROM onemap.http_open311_remark_json('{}', pg_temp.form(fields)) a $$;

-- ---- forms and times ----
SELECT is(onemap.open311_form('a=1&b=%E5%9E%83+%e5%9c%be&c=&d&=5&e%5Bf%5D=x%3Dy&a=2'), '{"a": "1\n2", "b": "垃 圾", "e[f]": "x=y"}',
    'a form: UTF-8, blanks, empty is absent, the same name twice');
SELECT is(onemap.open311_form(''), '{}', 'an empty one');
SELECT throws_ok($$SELECT onemap.open311_form('a=%FF%FE')$$, 'CH077', NULL, 'no UTF-8');
SELECT throws_ok($$SELECT onemap.open311_form('a=%00')$$, 'CH077', NULL, 'no NUL');
SELECT throws_ok($$SELECT onemap.open311_form('a=%G1')$$, 'CH077', NULL, 'no escape');
SELECT is(onemap.open311_time('2026-10-12T09:00:00Z', 'x'), '2026-10-12 09:00:00+00'::timestamptz, 'a time');
SELECT is(onemap.open311_time('2026-10-12t09:00:00 08:00', 'x'), '2026-10-12 01:00:00+00'::timestamptz, 'with a + that became a blank');
SELECT throws_ok($$SELECT onemap.open311_time('2026-13-40T09:00:00Z', 'x')$$, 'CH077', NULL, 'no such day');
SELECT throws_ok($$SELECT onemap.open311_time('2 hours', 'x')$$, 'CH077', NULL, 'no W3C time');
SELECT matches(onemap.open311_shown('2026-10-12 01:00:00.9+00'), '^2026-10-12T..:00:00[+-][0-9]{2}:[0-9]{2}$', 'as it is shown');
SELECT is(onemap.open311_time(onemap.open311_shown('2026-10-12 01:00:00+00'), 'x'), '2026-10-12 01:00:00+00'::timestamptz, 'which is read again');

-- ---- services ----
SELECT is(onemap.open311_service_import('[{"line": 2, "code": "a b", "category": "99999", "name": "", "description": "", "keywords": "",
    "group": "", "private": "perhaps"}]')->'problems', onemap.open311_service_check('[{"line": 2, "code": "a b", "category": "99999",
    "name": "", "description": "", "keywords": "", "group": "", "private": "perhaps"}]')->'problems', 'a wrong list is not taken');
SELECT is(jsonb_array_length(onemap.open311_service_check('[{"line": 2, "code": "a b", "category": "99999", "name": "", "private": "perhaps"}]')
    ->'problems'), 4, 'each problem is named');
CREATE FUNCTION pg_temp.services(private text) RETURNS jsonb LANGUAGE sql AS $$
    SELECT onemap.open311_service_import(jsonb_build_array(
        '{"line": 2, "code": "garbage", "category": "20102", "name": "垃圾 & <渣土>", "private": "no"}'::jsonb,
        jsonb_build_object('line', 3, 'code', 'secret', 'category', '', 'name', '其他', 'private', private))) $$;
SELECT is(pg_temp.services('yes') - 'problems', '{"services": 2, "gone": []}', 'a right one is');
SELECT is((SELECT string_agg(e.e->>'service_code', ' ') FROM jsonb_array_elements((SELECT a.body::jsonb
    FROM onemap.http_open311_services_json('{}') a)) e (e)), 'garbage secret', 'and listed in its order');
SELECT ok(xpath('//service_name/text()', (SELECT a.body::xml FROM onemap.http_open311_services_xml('{}') a))::text ~ '&amp; &lt;渣土&gt;',
    'XML is escaped');
SELECT is((SELECT a.status FROM onemap.http_open311_services_json('{"jurisdiction_id": "elsewhere"}') a), 404, 'another jurisdiction');
SELECT is((SELECT a.status FROM onemap.http_open311_definition_json('{"code": "nothing"}') a), 404, 'no such service');
SELECT is((SELECT a.body::jsonb->'attributes'->0->>'code' FROM onemap.http_open311_definition_json('{"code": "garbage"}') a), 'fixmystreet_id',
    'the definition asks for the sender''s number');

-- ---- keys ----
SELECT onemap.token_add(jsonb_build_object('name', t.name, 'rights', t.rights, 'days', 30, 'hash', encode(sha256(t.name::bytea), 'hex')))
FROM (VALUES ('fms', 'open311'), ('other', 'open311'), ('reader', 'read')) AS t (name, rights);
\set report '{"api_key": "fms", "service_code": "garbage", "lat": "34.55", "long": "114.75", "description": "一堆垃圾 & 污水\\r\\n第二行", "email": "wang@example.com", "first_name": "小明", "last_name": "王", "phone": "13800000000"}'
SELECT is((pg_temp.send(:'report'::jsonb - 'api_key')).status, 403, 'without a key');
SELECT is((pg_temp.send(:'report'::jsonb || '{"api_key": "wrong"}')).status, 403, 'with a wrong one');
SELECT is((pg_temp.send(:'report'::jsonb || '{"api_key": "reader"}')).status, 403, 'with one of another right');
SELECT is((SELECT count(*)::int FROM onemap.case_record), 0, 'no case of them');

-- ---- reports ----
SELECT (pg_temp.send(:'report')).* \gset first_
SELECT :'first_said'::jsonb->0->>'service_request_id' AS number \gset
SELECT is((SELECT concat_ws('|', r.source, r.category_code, r.state, r.description) FROM onemap.case_record r WHERE r.code = :'number'),
    E'public|20102|reported|一堆垃圾 & 污水\n第二行', 'a report is a case at once');
SELECT is((SELECT concat_ws('|', k.reporter, k.name, k.phone) FROM onemap.case_contact k JOIN onemap.case_record r ON r.id = k.case_id
    WHERE r.code = :'number'), '王 小明 wang@example.com|王 小明|13800000000', 'who reported is kept apart');
SELECT is((SELECT count(*)::int FROM onemap.case_event e WHERE e.detail::text ~ 'wang|1380000|小明'), 0, 'and not in the journal');
SELECT is((pg_temp.send(:'report')).said->0->>'service_request_id', :'number', 'the same report twice has the same id');
SELECT isnt((pg_temp.send(:'report'::jsonb || '{"api_key": "other"}')).said->0->>'service_request_id', :'number', 'not so another program''s');
SELECT isnt((pg_temp.send(:'report'::jsonb || '{"description": "别的"}')).said->0->>'service_request_id', :'number', 'nor another text');
SELECT (pg_temp.send(:'report'::jsonb || '{"attribute[fixmystreet_id]": "77"}')).said->0->>'service_request_id' AS numbered \gset
SELECT is((pg_temp.send(:'report'::jsonb || '{"attribute[fixmystreet_id]": "77", "description": "changed"}')).said->0->>'service_request_id',
    :'numbered', 'with a number of the sender''s, that alone counts');
\set another '{"attribute[fixmystreet_id]": "77", "description": "changed", "service_code": "secret", "lat": "34.56"}'
SELECT matches((pg_temp.send(:'report'::jsonb || :'another')).said->0->>'service_notice', '已作为补充记入.* / ', 'and what else it says is told');
SELECT is((SELECT string_agg(e.reason, ',' ORDER BY e.seq) FROM onemap.case_event e WHERE e.case_code = :'numbered' AND e.action = 'attach'),
    E'同一编号再次上报，内容与先前不同。类别：垃圾 & <渣土>\n位置：114.75 34.55\nchanged,同一编号再次上报，内容与先前不同。类别：其他\n位置：114.75 34.56\nchanged', 'and kept');
SELECT pg_temp.send(:'report'::jsonb || :'another');
SELECT is((SELECT count(*)::int FROM onemap.case_event e WHERE e.case_code = :'numbered' AND e.action = 'attach'), 2, 'once each');
SELECT is((pg_temp.send(:'report'::jsonb || '{"attribute[fixmystreet_id]": "77"}')).said->0->>'service_notice', '已收到，编号 ' || :'numbered', 'the same is the same');
SELECT is((pg_temp.send(:'report'::jsonb || f.fields)).status, 400, f.what || ' that would be cut') FROM (VALUES
    (jsonb_build_object('attribute[fixmystreet_id]', repeat('7', 61)), 'a number'), (jsonb_build_object('address_string', repeat('路', 301)), 'an address'),
    (jsonb_build_object('phone', repeat('1', 41)), 'a telephone number'), (jsonb_build_object('email', repeat('x', 101)), 'an address of mail')) AS f (fields, what);
UPDATE onemap.open311_request q SET recorded_at = now() - interval '25 hours' FROM onemap.case_record r WHERE r.id = q.case_id AND r.code = :'number';
SELECT isnt((pg_temp.send(:'report')).said->0->>'service_request_id', :'number', 'a day later the same text is a new report');
SELECT is((pg_temp.send(:'report'::jsonb || f.fields)).status, f.status, f.what) FROM (VALUES
    ('{"service_code": "nothing"}'::jsonb, 404, 'no such service'), ('{"service_code": ""}', 400, 'no service'),
    ('{"lat": ""}', 400, 'half a place'), ('{"lat": "north"}', 400, 'no number'), ('{"lat": "10"}', 400, 'outside the county'),
    ('{"description": "\u0007"}', 400, 'a control character'), ('{"jurisdiction_id": "1"}', 404, 'another jurisdiction')) AS f (fields, status, what);

-- Chinese first, whoever refuses: Open311 itself, or the rules of cases below it.
SELECT matches((pg_temp.send(:'report'::jsonb || f.fields)).said->0->>'description', '^[^/]*[一-龥][^/]* / .*[a-z]', f.what || ' is told in Chinese, too')
FROM (VALUES ('{"lat": "north"}'::jsonb, 'no number'), ('{"lat": "10"}', 'a place outside'), ('{"long": "181"}', 'no degree'), ('{"lat": ""}', 'half a place'),
    ('{"description": "\u0007"}', 'a control character'), ('{"phone": "\u0007"}', 'one in a telephone number'),
    ('{"address_string": "\u0007"}', 'one in an address')) AS f (fields, what);
SELECT matches((pg_temp.add(jsonb_build_object('api_key', 'fms', 'service_request_id', :'numbered', 'description', repeat('字', 2001)))).said->0->>'description',
    '^[^/]*[一-龥][^/]* / .*[a-z]', 'an addition that is too long, likewise');
SELECT matches((SELECT a.body::jsonb->0->>'description' FROM onemap.http_open311_requests_json(f.fields) a), '^[^/]*[一-龥][^/]* / .*[a-z]',
    f.fields::text || ', likewise')
FROM (VALUES ('{"page": "0"}'::jsonb), ('{"page_size": "many"}'), ('{"status": "foo"}'), ('{"lat": "1"}'), ('{"lat": "34.5", "long": "114.7", "radius": "0"}'),
    ('{"start_date": "x"}')) AS f (fields);

-- ---- photographs ----
SELECT is(m.kept || '|' || m.refused, '|true', 'no address is kept by itself') FROM (SELECT coalesce(k.kept, '') AS kept, k.refused
    FROM onemap.open311_media('http://10.0.0.1/a.jpg') k) m;
UPDATE onemap.setting SET value = 'photos.example, b.example' WHERE key = 'open311_media_hosts';
SELECT is(m::text, '(https://photos.example/1.jpg,t)', 'but those of named hosts are') FROM onemap.open311_media(
    E'https://photos.example/1.jpg\nhttps://photos.example@evil/2.jpg http://photos.example.evil/ ftp://b.example/') m;
INSERT INTO onemap.open311_media (case_id, url, due_at) SELECT q.case_id, 'https://photos.example/' || n, now() - n * interval '20 minutes'
FROM (SELECT min(case_id) AS case_id FROM onemap.open311_request) q, generate_series(1, 3) n;
SELECT is(ARRAY[onemap.open311_media_sweep(), onemap.open311_media_sweep()], '{2,2}', 'two photographs that nobody came for');
SELECT is((SELECT count(*) || ' ' || bool_and(o.text_zh ~ '^上报图片无人抓取：open311（2 张图片等待抓取.*cityhub-media')::text FROM onemap.alarm_overview o
    WHERE o.key = 'media_not_fetched' AND o.closed_at IS NULL), '1 true', 'are one alarm, which says what to look at');
SELECT is(jsonb_array_length(onemap.open311_media_due()), 3, 'once they are asked for');
SELECT is(onemap.open311_media_sweep(), 0, 'none waits for nobody');
UPDATE onemap.open311_media m SET due_at = now() + CASE WHEN m.url ~ '1$' THEN interval '6 hours' ELSE '2 years' END;
SELECT is(jsonb_array_length(onemap.open311_media_due()), 2, 'what was put off by a clock that was ahead is not');
SELECT is((SELECT count(*)::int FROM onemap.alarm_overview o WHERE o.key = 'media_not_fetched' AND o.closed_at IS NULL), 0, 'and the alarm is over');

-- ---- what the public sees ----
CREATE FUNCTION pg_temp.list(request jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS $$
    SELECT a.body::jsonb FROM onemap.http_open311_requests_json(request) a $$;
SELECT is((SELECT array_agg(DISTINCT k.k ORDER BY k.k) FROM jsonb_array_elements(pg_temp.list()) e (e), jsonb_object_keys(e.e) k (k)),
    '{lat,long,requested_datetime,service_code,service_name,service_request_id,status,status_notes,updated_datetime}', 'these fields and no others');
SELECT test.report('{"title": "inside"}') AS inside \gset
SELECT (pg_temp.send(:'report'::jsonb || '{"service_code": "secret"}')).said->0->>'service_request_id' AS hidden \gset
SELECT is((SELECT string_agg(coalesce(jsonb_array_length(pg_temp.list(jsonb_build_object('service_request_id', n.n)
        || CASE WHEN k.k = '' THEN '{}' ELSE jsonb_build_object('api_key', k.k) END)), 0)::text, '' ORDER BY n.place, k.place)
    FROM unnest(ARRAY[:'number', :'inside', :'hidden']) WITH ORDINALITY n (n, place),
        unnest('{"",other,fms}'::text[]) WITH ORDINALITY k (k, place)), '111' || '000' || '001', 'the desk''s own cases never, private ones to their sender');

-- ---- states, updates, merging, additions ----
SELECT is(onemap.open311_state(s.state) <> '' AND onemap.open311_notes(s.state) <> '', true, 'a word for ' || s.state) FROM onemap.case_state s
WHERE s.state IN ('reported', 'suspended', 'merged');
SELECT test.act(:'number', 'accept', 'acceptor');
SELECT test.act(:'number', 'register', 'registrar', '{"condition": 1}');
SELECT test.act(:'numbered', 'accept', 'acceptor');
SELECT test.act(:'numbered', 'merge', 'registrar', jsonb_build_object('into', :'number'));
CREATE FUNCTION pg_temp.updates(number text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(e.e->>'status', ' ' ORDER BY e.n) FROM jsonb_array_elements((SELECT a.body::jsonb
        FROM onemap.http_open311_updates_json(jsonb_build_object('service_request_id', number)) a)) WITH ORDINALITY e (e, n) $$;
SELECT is(pg_temp.updates(:'number'), 'ACTION_SCHEDULED', 'a step counts when what the public sees changes');
SELECT is((pg_temp.add(jsonb_build_object('api_key', 'fms', 'service_request_id', :'numbered', 'update_id', '5', 'description', '还在'))).said,
    (pg_temp.add(jsonb_build_object('api_key', 'fms', 'service_request_id', :'numbered', 'update_id', '5', 'description', '还在'))).said,
    'an addition that comes twice has the same id');
SELECT isnt((pg_temp.add(jsonb_build_object('api_key', 'fms', 'service_request_id', :'numbered', 'update_id', '5', 'description', '更多了'))).said,
    (pg_temp.add(jsonb_build_object('api_key', 'fms', 'service_request_id', :'numbered', 'update_id', '5', 'description', '还在'))).said, 'another by the same number is another');
SELECT ok(EXISTS (SELECT FROM onemap.case_event e WHERE e.case_code = :'number' AND e.reason = '更多了'), 'and kept');
SELECT is((SELECT string_agg(e.reason, ',') FROM onemap.case_event e WHERE e.case_code = :'number' AND e.action = 'attach' AND e.reason = '还在'),
    '还在', 'and is once in the journal of the case that the report follows');
SELECT is((pg_temp.add(jsonb_build_object('api_key', 'other', 'service_request_id', :'number', 'description', 'x'))).status, 404,
    'nobody adds to another''s report');
SELECT test.act(:'number', 'void', 'registrar');
SELECT is(pg_temp.updates(:'numbered'), 'DUPLICATE NO_FURTHER_ACTION', 'who was merged is told of the leader''s end');
SELECT is((pg_temp.add(jsonb_build_object('api_key', 'fms', 'service_request_id', :'number', 'description', 'x'))).status, 400, 'an end is an end');
SELECT is(pg_temp.list(jsonb_build_object('service_request_id', :'numbered'))->0->>'status', 'closed', 'closed with it');
SELECT is((SELECT count(DISTINCT e.e->>'update_id') = count(*) FROM jsonb_array_elements((SELECT a.body::jsonb
    FROM onemap.http_open311_updates_json('{}') a)) e (e)), true, 'ids of updates are unique');
SELECT is((SELECT a.status FROM onemap.http_open311_updates_xml('{"start_date": "2026-01-01T00:00:00Z", "end_date": "2026-09-01T00:00:00Z"}') a), 400, 'more than 90 days');
SELECT is((SELECT a.status FROM onemap.http_open311_updates_xml('{"start_date": "2026-01-01T00:00:00+99:99"}') a), 400, 'an offset that there is not');
SELECT matches((SELECT a.body FROM onemap.http_open311_updates_json('{"start_date": "2026-02-01T00:00:00Z", "end_date": "2026-01-01T00:00:00Z"}') a), '须早于', 'backwards');
SELECT is((SELECT a.status FROM onemap.http_open311_requests_json(q.q) a), q.status, q.q::text) FROM (VALUES ('{"service_code": "garbag"}'::jsonb, 404), ('{"service_code": "garbage,secret"}', 200),
    ('{"api_key": "typo"}', 403), ('{"api_key": "reader"}', 403), ('{"api_key": ""}', 200)) AS q (q, status);
DELETE FROM onemap.open311_service WHERE service_code = 'secret';
SELECT is((SELECT a.status FROM onemap.http_open311_requests_json('{"service_code": "secret"}') a), 200, 'a service that was closed is asked for');
SELECT is(onemap.open311_service_import('[]'), '{"problems": [{"line": 1, "problem": "the file has no services"}]}', 'a list of nothing is a mistake');
SELECT isnt((SELECT count(*)::int FROM onemap.open311_service), 0, 'and closes nothing to the public');
SELECT * FROM finish();
ROLLBACK;
