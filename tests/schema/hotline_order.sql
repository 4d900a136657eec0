-- Orders of the hotlines: one number, one order; who may do what in which state; their clocks; cases of an order; what goes back.
BEGIN;
\ir include/case_fixture.sql
\ir include/http_fixture.sql
SELECT plan(61);
SELECT onemap.token_add(jsonb_build_object('name', t.name, 'rights', t.rights, 'days', 30, 'hash', encode(sha256(t.name::bytea), 'hex')))
FROM (VALUES ('hotline', 'order'), ('other', 'order'), ('reader', 'read')) AS t (name, rights);
CREATE FUNCTION pg_temp.program(name text, parameters jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS $$
    SELECT '{"limit": 1000, "after": 0}' || parameters || jsonb_build_object('identity', onemap.identity_of_token(t.id)) FROM onemap.token t WHERE t.name = $1 $$;
CREATE FUNCTION pg_temp.send(who jsonb, fields jsonb, OUT status int, OUT said jsonb) LANGUAGE sql AS $$
    SELECT p.status, p.body::jsonb FROM onemap.http_order_put(who, '{"source": "12345", "content": "路灯不亮"}' || fields) p $$;
-- One action on the order as it is now; its SQLSTATE if it is refused.
CREATE FUNCTION pg_temp.act(who jsonb, number text, action text, fields jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT d.body::jsonb FROM onemap.http_order_do(who || jsonb_build_object('number', number), jsonb_build_object('action', action,
        'version', (SELECT o.version FROM onemap.hotline_order o WHERE o.number = act.number)) || fields) d);
EXCEPTION WHEN OTHERS THEN
    RETURN jsonb_build_object('code', SQLSTATE);
END $$;
-- What a refusal says in Chinese.
CREATE FUNCTION pg_temp.refused_zh(sql text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE zh text;
BEGIN
    EXECUTE sql;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS zh = PG_EXCEPTION_DETAIL;
    RETURN zh;
END $$;

-- ---- one number, one order ----
SELECT (pg_temp.send(pg_temp.program('hotline'), '{"external_number": "HX-9", "contact": {"name": "王某", "phone": "13800000000"}, "lon": 114.75, "lat": 34.55}')).* \gset first_
SELECT :'first_said'::jsonb->>'order' AS number \gset
SELECT is(:first_status, 201, 'an order is taken in');
SELECT is(r.status || (r.said->>'order'), '200' || :'number', 'the same number again is the same order') FROM pg_temp.send(pg_temp.program('hotline'), '{"external_number": "ｈｘ-9", "contact": {"phone": "13800000000"}, "lon": 114.750, "lat": 34.55}') r;
SELECT throws_like(format('SELECT pg_temp.send(pg_temp.program(''hotline''), %L)', jsonb_build_object('external_number', 'HX-9') || w.sent), '%with another ' || w.field || ':%',
    'what was taken in stays, which is said: ' || w.field)
FROM (VALUES ('{"content": "x"}'::jsonb, 'content'), ('{"title": "路灯"}', 'title'), ('{"address": "某路"}', 'address'), ('{"lon": 114.76, "lat": 34.55}', 'lon'), ('{"urgent": true}', 'urgent'),
    (jsonb_build_object('answer_by', now() + interval '9 days'), 'answer_by'), ('{"contact": {"name": "李某", "phone": "1"}}', 'contact.name, contact.phone')) AS w (sent, field);
SELECT is((SELECT count(*)::int FROM onemap.hotline_order), 1, 'there is one');
SELECT throws_ok($$SELECT pg_temp.send(pg_temp.program('other'), '{"external_number": "HX-9"}')$$, 'CH018', NULL, 'another program is not told of it');
SELECT is((pg_temp.send(pg_temp.program('other'), '{"external_number": "HX-9", "source": "12319"}')).status, 201, 'the same number of another source is another');
SELECT is((pg_temp.send(test.as('accept'), '{"external_number": "HX-10"}')).status, 201, 'the desk takes in orders, too');
SELECT throws_ok(format('SELECT pg_temp.send(%L, %L)', w.who, w.sent), w.code, NULL, w.what) FROM (VALUES
    (pg_temp.program('reader'), '{"external_number": "1"}', 'CH019', 'a program without the right does not'),
    (test.as('seer'), '{"external_number": "1"}', 'CH019', 'nor who only looks'), (test.as('accept'), '{}', 'CH013', 'a number is needed'),
    (test.as('accept'), '{"external_number": "1", "source": "热线"}', 'CH013', 'and a source'),
    (test.as('accept'), '{"external_number": "1", "lon": 1, "lat": 1}', 'CH013', 'no place elsewhere'),
    (test.as('accept'), '{"external_number": "1", "sign_by": "soon"}', 'CH014', 'a limit is a moment'),
    (test.as('accept'), '{"external_number": "1", "answer_by": "2062-12-03T18:00:00+08:00"}', 'CH014', 'not of another year'),
    (test.as('accept'), jsonb_build_object('external_number', '1', 'sign_by', now() + interval '2 days', 'answer_by', now() + interval '1 day')::text, 'CH014', 'one is not answered before it is signed for'),
    (test.as('accept'), '{"external_number": "1", "urgent": "是"}', 'CH013', 'urgent is true or false'), (test.as('accept'), '{"external_number": "1", "urgent": 1}', 'CH013', 'and no number'),
    (test.as('accept'), '{"external_number": "1", "contact": "王某 13800000000"}', 'CH013', 'who called is a name and a number'),
    (test.as('accept'), '{"external_number": "1", "sign_by": "2026-01-01T00:00:00+99:99"}', 'CH014', 'with an offset that there is')) AS w (who, sent, code, what);

-- ---- who sees which ----
SELECT is((SELECT string_agg(CASE WHEN EXISTS (SELECT FROM onemap.http_order(w.who || jsonb_build_object('number', :'number'))) THEN 'y' ELSE 'n' END, '' ORDER BY w.n)
    FROM unnest(ARRAY[pg_temp.program('hotline'), pg_temp.program('other'), test.as('accept'), test.as('street'), test.as('city')]) WITH ORDINALITY w (who, n)), 'ynynn',
    'who sent it and the centre see it');
SELECT ok(NOT (SELECT string_agg(h.body::text, '') FROM onemap.http_order(test.as('boss', jsonb_build_object('number', :'number'))) h) ~ '1380000|王某', 'who called is not told');

-- ---- states ----
SELECT is(pg_temp.act(test.as('accept'), :'number', 'answer', '{"result": 0, "text": "x"}')->>'code', 'CH010', 'what is not signed for is not answered');
SELECT is(pg_temp.act(test.as('street'), :'number', 'sign'), NULL, 'a department does not see it');
SELECT is(pg_temp.act(test.as('seer'), :'number', 'sign')->>'code', 'CH019', 'nor does a viewer act');
SELECT is(pg_temp.act(pg_temp.program('hotline'), :'number', 'sign')->>'code', 'CH019', 'nor does the hotline sign for us');
SELECT matches(pg_temp.refused_zh(format('SELECT onemap.http_order_do(%L, %L)', pg_temp.program('hotline', jsonb_build_object('number', :'number')),
    '{"action": "sign", "version": 1}')), '^[^ -~].*不能', 'in a sentence that begins in Chinese, whatever the name is');
SELECT matches(pg_temp.refused_zh(format('SELECT onemap.http_order_put(%L, %L)', test.as('seer'), '{"source": "12345", "external_number": "1", "content": "路灯不亮"}')),
    '^[^ -~].*不能', 'as taking in is');
SELECT is(pg_temp.act(test.as('accept'), :'number', 'return')->>'code', 'CH012', 'a return needs a reason');
SELECT is(pg_temp.act(test.as('accept'), :'number', 'sign', '{"version": 7}')->>'code', 'CH011', 'what changed meanwhile is looked at again');
SELECT is(pg_temp.act(test.as('accept'), :'number', 'return', '{"reason": "非本县"}')->>'result', '3', 'a returned one is not handled');
SELECT is(pg_temp.act(pg_temp.program('hotline'), :'number', 'redispatch', jsonb_build_object('reason', '是本县', 'answer_by', now() + interval '9 days')) @> '{"state": "received", "round": 2, "result": null}', true, 'and may be sent again');
SELECT is((pg_temp.act(pg_temp.program('hotline'), :'number', 'remind')->>'reminder_count')::int, 1, 'the hotline reminds');
SELECT is(pg_temp.act(test.as('accept'), :'number', 'sign')->>'state', 'signed', 'it is signed for');

-- ---- cases ----
SELECT pg_temp.act(test.as('accept'), :'number', 'open_case', '{"category": "20102", "condition": 1}')->'cases'->0->>'case' AS one \gset
SELECT is((SELECT concat_ws('|', c.source, c.description, c.external_code, k.phone) FROM onemap.case_record c JOIN onemap.case_contact k ON k.case_id = c.id
    WHERE c.code = :'one'), 'hotline|路灯不亮|12345:HX-9|13800000000', 'a case of it, with whom to call back');
SELECT is(jsonb_array_length(pg_temp.act(test.as('accept'), :'number', 'open_case', '{"title": "又一处"}')->'cases'), 2, 'and another');
SELECT is(jsonb_array_length(pg_temp.act(test.as('accept'), :'number', 'link', jsonb_build_object('case', test.report()))->'cases'), 3, 'and one that was there');
SELECT is(pg_temp.act(test.as('accept'), :'number', 'link', '{"case": "nothing"}')->>'code', 'CH017', 'but none that is not');
SELECT test.act(:'one', 'accept', 'acceptor'), test.act(:'one', 'register', 'registrar', '{"condition": 1}'), test.act(:'one', 'dispatch', 'dispatcher', '{"department": "chengguan"}'),
    test.act(:'one', 'feed_back', 'department');
SELECT is(EXISTS (SELECT FROM onemap.http_order(test.as(u.login, jsonb_build_object('number', :'number')))), d.code = u.department, u.department || ' sees it if it has the case')
FROM (VALUES ('city', 'chengguan'), ('lamps', 'zhaoming')) AS u (login, department), onemap.case_record c JOIN onemap.department d ON d.id = c.department_id WHERE c.code = :'one';

SELECT is((SELECT array_agg(k.k->>'case') FROM onemap.http_order(test.as('city', jsonb_build_object('number', :'number'))) h, jsonb_array_elements(h.body::jsonb->'cases') k (k)),
    ARRAY[:'one'], 'a department is told of its own case, not of those beside it');
SELECT is((SELECT jsonb_array_length(o.o->'cases') FROM jsonb_array_elements(test.get('http_orders', test.as('city'))->'orders') o (o) WHERE o.o->>'order' = :'number'), 1, 'in the list, too');

-- ---- answer, satisfaction ----
SELECT is(pg_temp.act(test.as('accept'), :'number', 'answer', a.fields)->>'code', 'CH013', a.what) FROM (VALUES ('{"result": 4, "text": "x"}'::jsonb, 'no such result'),
    ('{"result": 0}', 'a text is needed'), ('{"result": 0, "text": "x", "attachments": ["00"]}', 'photographs are those of its cases')) AS a (fields, what);
SELECT is(pg_temp.act(test.as('accept'), :'number', 'answer', '{"result": 0, "text": "已修复"}') @> '{"state": "answered", "answer": "已修复", "result": 0}', true, 'answered');
SELECT is(pg_temp.act(pg_temp.program('hotline'), :'number', 'visit', '{"satisfaction": "dissatisfied", "reason": "还是不亮"}')->>'state', 'visited', 'the hotline called back');
SELECT is((SELECT c.satisfaction || ' ' || e.satisfaction || ' ' || e.actor FROM onemap.case_record c JOIN onemap.case_event e ON e.case_id = c.id AND e.action = 'call_back'
    WHERE c.code = :'one'), 'dissatisfied dissatisfied token:hotline', 'which the case and its journal say, too');
SELECT is((SELECT count(*)::int FROM onemap.case_record c WHERE c.satisfaction IS NOT NULL), 1, 'of those that are handled');

-- ---- clocks, changes ----
UPDATE onemap.hotline_order SET sign_by = now() - interval '1 hour' WHERE external_number = 'HX-10';
SELECT is((SELECT string_agg(e.e->>'external_number', ',') FROM jsonb_array_elements(test.get('http_orders', test.as('boss', '{"overdue": true}'))->'orders') e (e)), 'HX-10', 'overdue');
SELECT is(jsonb_array_length(test.get('http_orders', test.as('boss', '{"source": "12345"}'))->'orders'), 2, 'those of a source');
SELECT throws_ok($$SELECT test.get('http_orders', test.as('boss', '{"source": "12354"}'))$$, 'CH013', NULL, 'one of which there are none is no source');
SELECT is(test.get('http_orders', pg_temp.program('other', '{"source": "12354"}'))->'orders', '[]', 'but a program asks for its own, before there is one');
CREATE FUNCTION pg_temp.changes(after bigint) RETURNS jsonb LANGUAGE sql AS $$
    SELECT test.get('http_order_changes', pg_temp.program('hotline', jsonb_build_object('after', after, 'limit', 3))) $$;
WITH RECURSIVE page AS (SELECT pg_temp.changes(0) AS said UNION ALL SELECT pg_temp.changes((p.said->>'next')::bigint) FROM page p WHERE jsonb_array_length(p.said->'changes') > 0)
SELECT is(string_agg(e.e->>'action', ' ' ORDER BY (e.e->>'change')::bigint), 'receive return redispatch remind sign open_case open_case link answer visit', 'each change once and in order, by pages')
FROM page p, jsonb_array_elements(p.said->'changes') e (e);
SELECT is((SELECT count(*)::int FROM onemap.hotline_order_event e JOIN onemap.hotline_order o ON o.id = e.order_id WHERE o.number = :'number'), 10, 'refusals leave no line');
SELECT ok(bool_and(r.status = 201), 'what is null is not said') FROM pg_temp.send(pg_temp.program('hotline'), '{"external_number": "HX-0", "urgent": null, "contact": null, "sign_by": null}') r;
SELECT * FROM finish();
ROLLBACK;
