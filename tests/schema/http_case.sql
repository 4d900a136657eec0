-- Cases over HTTP: every number opens its list, who sees which rows, what each post can do, acting as who is logged in, CSV.
BEGIN;
\ir include/case_fixture.sql
\ir include/http_fixture.sql
SELECT plan(105);
CREATE FUNCTION pg_temp.step(code text, local text, action text, role text, fields jsonb DEFAULT '{}') RETURNS void LANGUAGE sql AS $$
    SELECT test.act(code, action, role, test.at(local) || fields) $$;
CREATE FUNCTION pg_temp.steps(code text, VARIADIC steps text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE s text;
BEGIN
    FOREACH s IN ARRAY steps LOOP -- time|action|role|fields
        PERFORM pg_temp.step(code, split_part(s, '|', 1), split_part(s, '|', 2), split_part(s, '|', 3),
            coalesce(nullif(split_part(s, '|', 4), ''), '{}')::jsonb);
    END LOOP;
END $$;
CREATE TEMP TABLE c (name text PRIMARY KEY, code text);
INSERT INTO c (name, code)
SELECT w.state, test.drive(w.state, test.report(jsonb_build_object('title', 'other ' || w.state)), jsonb_build_object('title', '=' || w.state))
FROM test.way w;
CREATE FUNCTION pg_temp.of(name text) RETURNS text LANGUAGE sql AS $$ SELECT c.code FROM c WHERE c.name = $1 $$;
-- A month of history, with everything that the statistics count.
INSERT INTO c (name, code) VALUES ('good', test.dispatched('20102', 1, 'chengguan', '2026-10-12 09:00')),
    ('moved', test.dispatched('20102', 1, 'jincheng', '2026-10-12 09:30')), ('again', test.dispatched('20103', 1, 'chengguan', '2026-10-13 09:00')),
    ('hung', test.dispatched('20301', 1, 'chengguan', '2026-10-14 09:00')), ('longer', test.dispatched('10118', 1, 'zhaoming', '2026-10-15 09:00')),
    ('ours', test.dispatched('20302', 1, 'jincheng', '2026-10-16 09:00')), ('bare', test.report(test.at('2026-10-17 09:00')
        || '{"category": null, "lon": null, "lat": null, "title": "无类别"}'));
SELECT pg_temp.steps(pg_temp.of('good'), '2026-10-12 10:00|feed_back|department', '2026-10-12 10:30|check|supervisor', '2026-10-12 11:00|close|registrar',
    '2026-10-13 09:00|call_back|acceptor|{"satisfaction": "satisfied"}');
SELECT pg_temp.steps(pg_temp.of('moved'), '2026-10-12 10:00|return|department|{"reason": "theirs"}',
    '2026-10-12 11:00|dispatch|dispatcher|{"department": "chengguan", "reason": "sent on"}', '2026-10-20 09:00|feed_back|department|{"reason": "SECRET of chengguan"}',
    '2026-10-20 10:00|check|supervisor', '2026-10-20 11:00|close|registrar', '2026-10-21 09:00|call_back|acceptor|{"satisfaction": "dissatisfied"}');
SELECT pg_temp.steps(pg_temp.of('again'), '2026-10-13 10:00|feed_back|department', '2026-10-13 11:00|rework|supervisor', '2026-10-13 12:00|feed_back|department',
    '2026-10-13 15:00|rework|supervisor', '2026-10-20 12:00|feed_back|department', '2026-10-20 13:00|flag|leader|{"flags": ["fraud", "poor_cooperation"]}');
SELECT pg_temp.steps(pg_temp.of('hung'), '2026-10-14 09:30|suspend|leader', '2026-10-28 09:00|resume|leader', '2026-10-28 10:00|remind|dispatcher',
    '2026-10-28 10:30|supervise|leader');
SELECT pg_temp.steps(pg_temp.of('longer'), '2026-10-15 09:30|ask_extension|department|{"amount": 3}', '2026-10-15 10:00|grant_extension|leader');

-- ---- every number opens its list ----
SELECT is((SELECT count(*) FROM onemap.case_state s WHERE (SELECT count(*) FROM onemap.http_case_stages() g WHERE s.state = ANY (g.states)) <> 1), 0::bigint,
    'each state belongs to one stage');
CREATE FUNCTION pg_temp.list(request jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$ -- all pages
DECLARE page jsonb; entries jsonb := '[]'::jsonb;
BEGIN
    LOOP
        page := test.get('http_cases', request);
        entries := entries || (page->'cases');
        EXIT WHEN page->>'next' IS NULL;
        request := request || jsonb_build_object('after', page->'next');
    END LOOP;
    RETURN entries;
END $$;
CREATE FUNCTION pg_temp.wrong_counts(request jsonb, ways text[] DEFAULT '{all,stage}') RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE answer jsonb; r record; f record; dimension text; filter jsonb; listed jsonb;
BEGIN
    FOR dimension IN SELECT k.dimension FROM onemap.http_case_keys() k WHERE k.dimension = ANY (ways) LOOP
        answer := test.get('http_case_statistics', request || jsonb_build_object('by', dimension));
        FOR r IN SELECT e->>'key' AS key, e->'figures' AS figures FROM jsonb_array_elements(answer->'rows') e LOOP
            FOR f IN SELECT g.key AS figure, g.value::int AS value FROM jsonb_each_text(r.figures) g WHERE g.value <> '0' OR dimension = 'all' LOOP
                filter := CASE WHEN f.figure = 'all' THEN '{}'::jsonb ELSE jsonb_build_object('is', jsonb_build_array(f.figure)) END;
                IF answer->>'parameter' IS NOT NULL THEN
                    filter := filter || jsonb_build_object(answer->>'parameter', jsonb_build_array(r.key));
                END IF;
                listed := pg_temp.list(request || filter);
                IF jsonb_array_length(listed) <> f.value OR (SELECT count(DISTINCT e->>'case') FROM jsonb_array_elements(listed) e) <> f.value THEN
                    RETURN NEXT format('by %s %s: %s is %s, the list has %s', dimension, r.key, f.figure, f.value, jsonb_array_length(listed));
                END IF;
            END LOOP;
        END LOOP;
    END LOOP;
END $$;
SELECT is_empty($$SELECT * FROM pg_temp.wrong_counts(test.as('boss'), ARRAY(SELECT k.dimension FROM onemap.http_case_keys() k))$$, 'each figure of cases as they stand is the length of its list');
SELECT is_empty($$SELECT * FROM pg_temp.wrong_counts(test.as('street'))$$, 'for a department, too');
SELECT is_empty($$SELECT * FROM pg_temp.wrong_counts(test.as('seer', '{"box": [114.7, 34.5, 114.8, 34.6], "text": "other", "limit": 3}'))$$, 'and with other filters, in pages');
SELECT cmp_ok((SELECT count(*) FROM jsonb_each_text(test.get('http_case_statistics', test.as('boss', '{"by": "all"}'))->'rows'->0->'figures') f WHERE f.value <> '0'),
    '>', 15::bigint, 'most figures have cases here');
CREATE FUNCTION pg_temp.wrong_statistics(request jsonb, ways text[] DEFAULT '{all}') RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE answer jsonb; r record; m record; dimension record; listed jsonb; figure jsonb; asked jsonb;
BEGIN
    FOR dimension IN SELECT * FROM (VALUES ('department', 'department'), ('source', 'source'), ('category', 'category'), ('grid_cell', 'grid_cell'),
            ('street', 'grid_cell'), ('all', NULL)) d (way, parameter) WHERE d.way = ANY (ways) LOOP
        answer := test.get('http_score_statistics', request || jsonb_build_object('by', dimension.way));
        FOR r IN SELECT e->>'key' AS key, e->'measures' AS measures FROM jsonb_array_elements(answer->'rows') e LOOP
            FOR m IN SELECT g.key AS measure, g.value::int AS value FROM jsonb_each_text(r.measures) g WHERE g.value <> '0' OR dimension.way = 'all' LOOP
                asked := request || jsonb_build_object('statistic', m.measure) || CASE WHEN dimension.parameter IS NULL THEN '{}'
                    ELSE jsonb_build_object(dimension.parameter, jsonb_build_array(r.key)) END;
                listed := test.get('http_cases', asked);
                figure := listed->'figure';
                listed := listed->'cases';
                IF (SELECT coalesce(sum((e->>'times')::int), 0) FROM jsonb_array_elements(listed) e) <> m.value OR (figure->>'value')::int <> m.value
                    OR (figure->>'cases')::int <> jsonb_array_length(listed)
                    OR (SELECT count(DISTINCT e->>'case') FROM jsonb_array_elements(listed) e) <> jsonb_array_length(listed) THEN
                    RETURN NEXT format('by %s %s: %s is %s, the list %s', dimension.way, r.key, m.measure, m.value, figure);
                END IF;
            END LOOP;
        END LOOP;
    END LOOP;
END $$;
SELECT is_empty($$SELECT * FROM pg_temp.wrong_statistics(test.as('boss', '{"month": "2026-10"}'))$$, 'each statistic of a month is the sum of its list');
SELECT is_empty($$SELECT * FROM pg_temp.wrong_statistics(test.as('boss', '{"from": "2026-10-12", "to": "2026-10-13"}'))$$, 'and of days');
SELECT is_empty($$SELECT * FROM pg_temp.wrong_statistics(test.as('city', '{"month": "2026-10", "urgent": false}'))$$, 'for a department, too');
SELECT onemap.score_month_build('2026-10-01');
SELECT is_empty($$SELECT * FROM pg_temp.wrong_statistics(test.as('boss', '{"month": "2026-10"}'), '{department,category,street}')$$,
    'from the rows that are kept, too, by whatever they are counted');
SELECT is_empty($$SELECT * FROM pg_temp.wrong_statistics(test.as('street', '{"month": "2026-10"}'), '{department,category}')$$, 'also of what another has by now');

SELECT is((SELECT count(*) FROM onemap.score_measure m WHERE (test.get('http_score_statistics', test.as('boss', '{"month": "2026-10", "by": "all"}'))
        ->'rows'->0->'measures'->>m.measure) <> '0') > 25, true, 'most measures have cases here');
SELECT is((SELECT array_agg(e->>'case' ORDER BY e->>'case') FROM jsonb_array_elements(pg_temp.list(test.as('boss', '{"statistic": "rework_times", "month": "2026-10"}'))) e),
    ARRAY[pg_temp.of('again')], 'the case that was reworked');
SELECT is(pg_temp.list(test.as('boss', '{"statistic": "rework_times", "month": "2026-10"}'))->0->>'times', '2', 'twice');

-- ---- filters ----
CREATE FUNCTION pg_temp.names(login text, parameters jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(string_agg(coalesce(c.name, '?'), ' ' ORDER BY c.name), '') FROM jsonb_array_elements(pg_temp.list(test.as(login, parameters))) e
    LEFT JOIN c ON c.code = e->>'case' WHERE c.name IS NOT NULL OR e->>'title' !~ '^other' $$;
SELECT is(pg_temp.names('boss', x.parameters::jsonb), x.wanted, x.why) FROM (VALUES
    ('{"state": ["suspended", "returned"]}', 'returned suspended', 'states'),
    ('{"stage": ["check"]}', 'again handled', 'a stage'),
    ('{"category": ["1011", "10118"]}', 'longer', 'beginnings of categories'),
    ('{"category": [""]}', 'bare', 'without a category'),
    ('{"grid_cell": [""], "category": [""]}', 'bare', 'without a place'),
    ('{"grid_cell": ["410221001"], "category": ["203"]}', 'hung ours', 'a street'),
    ('{"department": ["zhaoming", "jincheng"]}', 'longer ours', 'departments'),
    ('{"from": "2026-10-14", "to": "2026-10-15"}', 'hung', 'days of the county'),
    ('{"from": "2026-10-14T01:30:00Z", "to": "2026-10-15T00:59:59Z"}', '', 'moments'),
    ('{"moment": "dispatched", "from": "2026-10-15", "to": "2026-10-17"}', 'longer ours', 'by dispatch'),
    ('{"moment": "ended", "from": "2026-10-01", "to": "2026-10-31"}', 'good moved', 'by closing'),
    ('{"is": ["reworked", "fraud"]}', 'again', 'all of several figures'),
    ('{"is": ["returned"], "not": ["open"]}', 'moved', 'one and not another'),
    ('{"urgent": true}', 'hung', 'urgent'),
    ('{"text": "无类别"}', 'bare', 'words'),
    ('{"text": "%"}', '', 'no pattern'),
    ('{"text": "'' OR true --"}', '', 'no SQL'),
    ('{"box": [100, 30, 101, 31]}', '', 'elsewhere'), ('{"area": [100, 30, 101, 31, 101, 30]}', '', 'in an area elsewhere'),
    ('{"area": [114, 30, 180, 30, 180, 80, 114, 80], "category": ["203"]}', 'hung ours', 'in an area'),
    ('{"box": [114, 30, -100, 40], "category": ["203"]}', 'hung ours', 'over the date line'),
    ('{"source": ["hotline"]}', '', 'another source')
) AS x (parameters, wanted, why);
SELECT throws_ok(format('SELECT test.get(%L, test.as(%L, %L))', 'http_cases', 'boss', x.parameters), x.code, NULL, x.parameters || ' is refused') FROM (VALUES
    ('{"state": ["open"]}', 'CH013'), ('{"is": ["nothing"]}', 'CH013'), ('{"statistic": "x", "month": "2026-10"}', 'CH013'),
    ('{"category": ["2%"]}', 'CH013'), ('{"category": ["", "999"]}', 'CH013'), ('{"grid_cell": ["99"]}', 'CH013'), ('{"device": 2000000000}', 'CH013'),
    ('{"from": "2026-10-02", "to": "2026-10-01"}', 'CH013'), ('{"from": "2026-10-02", "to": "2026-10-02"}', 'CH013'), ('{"department": ["nobody"]}', 'CH016'), ('{"month": "2026-10"}', 'CH013'),
    ('{"statistic": "reported"}', 'CH030'), ('{"statistic": "reported", "from": "2026-10-02", "to": "2026-10-01"}', 'CH030')) AS x (parameters, code);
SELECT throws_ok($$SELECT test.get('http_cases', '{"limit": 10}')$$, 'CH060', NULL, 'nobody lists nothing');

-- ---- who sees what ----
SELECT is(pg_temp.names('street', '{}'), 'ours', 'a department lists what it has');
SELECT is(pg_temp.names('look', '{}'), 'ours', 'so does who looks for it');
SELECT is((SELECT count(*)::int FROM jsonb_array_elements(pg_temp.list(test.token('zhaoming'))) e), 1, 'and a program');
SELECT is(pg_temp.names('street', '{"statistic": "returned", "month": "2026-10"}'), 'moved', 'what counted for it, though another has it by now');
SELECT is(test.get('http_case', test.as('street', jsonb_build_object('number', pg_temp.of('good')))), NULL, 'another department''s case is not there');
SELECT is(test.get('http_case', test.as('street', jsonb_build_object('number', pg_temp.of('bare')))), NULL, 'nor one of nobody');
SELECT is((SELECT array_agg(e->>'action' ORDER BY (e->>'seq')::int) FROM jsonb_array_elements(test.get('http_case',
        test.as('street', jsonb_build_object('number', pg_temp.of('moved'))))->'journal') e),
    '{report,accept,register,dispatch,return,dispatch}', 'a past one is, up to where it went on');
SELECT unalike(test.get('http_case', test.as('street', jsonb_build_object('number', pg_temp.of('moved'))))::text, '%SECRET%', 'and no further');
-- As it was asked for while it was returned and not sent on yet; whether it was overdue is told of the moment at which it went on.
CREATE FUNCTION pg_temp.then(login text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE answer jsonb; number text;
BEGIN
    number := test.dispatched('20102', 1, 'jincheng', '2026-10-12 09:30');
    PERFORM pg_temp.steps(number, '2026-10-12 10:00|return|department|{"reason": "theirs"}');
    answer := jsonb_build_object('before', test.get('http_case', test.as(login, jsonb_build_object('number', number))));
    PERFORM pg_temp.steps(number, '2026-10-12 11:00|dispatch|dispatcher|{"department": "chengguan", "reason": "sent on"}', '2026-10-20 09:00|feed_back|department',
        '2026-10-20 10:00|check|supervisor', '2026-10-20 11:00|close|registrar');
    RETURN answer || jsonb_build_object('after', test.get('http_case', test.as(login, jsonb_build_object('number', number))));
END $$;
CREATE TEMP TABLE gone AS SELECT t->'before' AS before, t->'after' AS after FROM pg_temp.then('street') t;
SELECT is_empty($$SELECT b.key, b.value, a.value FROM gone g, jsonb_each(g.before) b LEFT JOIN LATERAL jsonb_each(g.after) a ON a.key = b.key
    WHERE b.value <> a.value AND b.key NOT IN ('journal', 'overdue')$$, 'all that is said of it is as it stood then');
SELECT is((SELECT after->>'left_at' FROM gone)::timestamptz, '2026-10-12 11:00+08'::timestamptz, 'when it went on is said');
SELECT is((SELECT (after->'journal') - -1 FROM gone), (SELECT before->'journal' FROM gone), 'each step up to then is there');
SELECT is((SELECT (after->'journal'->-1)->'deadline_at' FROM gone), 'null'::jsonb, 'the other department''s deadline is not');
SELECT is((SELECT e->>'state' || ' ' || (e->>'department') || ' ' || (e->>'past') FROM jsonb_array_elements(pg_temp.list(test.as('street',
        '{"statistic": "returned", "month": "2026-10"}'))) e WHERE e->>'case' = (SELECT after->>'case' FROM gone)), 'returned jincheng true', 'nor in a list');
SELECT is((SELECT count(*)::int FROM unnest('{state,is}'::text[], '{closed,satisfied}'::text[]) f (key, value), jsonb_array_elements(pg_temp.list(test.as('street',
        jsonb_build_object('statistic', 'returned', 'month', '2026-10', f.key, jsonb_build_array(f.value))))) e WHERE (e->>'past')::boolean), 0,
    'by a filter neither: its state is the one of then');
SELECT is((SELECT count(*)::int FROM jsonb_array_elements(pg_temp.list(test.as('street', '{"statistic": "returned", "month": "2026-10", "state": ["returned"]}'))) e
    WHERE e->>'case' = (SELECT after->>'case' FROM gone)), 1, 'by which it is found');
SELECT is((SELECT array_agg(r->>'key') FROM json_array_elements(test.get('http_case_statistics', test.as('street',
        '{"statistic": "returned", "month": "2026-10", "by": "department"}'))::json->'rows') r), '{jincheng}', 'and counted');
SELECT alike(test.get('http_case', test.as('city', jsonb_build_object('number', pg_temp.of('moved'))))::text, '%SECRET%', 'who has it reads all');
SELECT is((SELECT count(*)::int FROM jsonb_array_elements(test.get('http_case', test.as('street', jsonb_build_object('number', pg_temp.of('ours'))))->'nearby') e), 0,
    'nearby are cases that one may see');
SELECT cmp_ok((SELECT count(*)::int FROM jsonb_array_elements(test.get('http_case', test.as('boss', jsonb_build_object('number', pg_temp.of('ours'))))->'nearby') e), '>', 10,
    'of which there are many');
SELECT is((SELECT array_agg(DISTINCT e->>'category') FROM jsonb_array_elements(test.get('http_case', test.as('boss',
    jsonb_build_object('number', pg_temp.of('reported'))))->'similar') e), '{20102}', 'similar ones are of the same category');

-- ---- acting ----
CREATE FUNCTION pg_temp.try(login text, sent jsonb, name text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE r record; outcome text := 'no row';
BEGIN
    FOR r IN SELECT f.code, f.body FROM onemap.http_case_do(test.as(login, jsonb_build_object('number', pg_temp.of(name))), '{"reason": "x"}' || sent
            || jsonb_build_object('version', (SELECT k.version FROM onemap.case_record k WHERE k.code = pg_temp.of(name)))) f LOOP
        outcome := coalesce(r.code, r.body->>'state');
    END LOOP;
    RAISE EXCEPTION USING ERRCODE = 'ZZ001', MESSAGE = outcome;
EXCEPTION WHEN SQLSTATE 'ZZ001' THEN RETURN SQLERRM; WHEN OTHERS THEN RETURN SQLSTATE;
END $$;
CREATE TEMP TABLE can AS
    SELECT s.name, p.login, p.post, test.get('http_case', test.as(p.login, jsonb_build_object('number', pg_temp.of(s.name))))->'can'->p.post AS actions
    FROM unnest('{registered,dispatched,handled,closed}'::text[]) s (name), (VALUES ('super', 'supervisor'), ('accept', 'acceptor'), ('regis', 'registrar'),
        ('disp', 'dispatcher'), ('lead', 'leader'), ('city', 'department'), ('boss', 'admin')) p (login, post)
    WHERE p.login <> 'city' OR s.name <> 'registered';
SELECT is_empty($$SELECT k.name, k.login, a.action FROM can k, onemap.case_action a
    WHERE a.action <> 'report' AND (k.actions @> jsonb_build_array(jsonb_build_object('action', a.action))) IS TRUE
        = pg_temp.try(k.login, jsonb_build_object('action', a.action) || test.fields(a.action, ''), k.name) IN ('CH010', 'CH019')$$,
    'what somebody can do is what is not refused');
SELECT is(pg_temp.try('city', '{"action": "handle"}', 'dispatched'), 'handling', 'the department that has the case handles it');
SELECT is(pg_temp.try('street', '{"action": "handle"}', 'dispatched'), 'no row', 'to another it is not there');
SELECT is(pg_temp.try('both', '{"action": "suspend"}', 'dispatched'), 'CH013', 'who could in two posts says in which');
SELECT is(pg_temp.try('both', '{"action": "suspend", "post": "leader"}', 'dispatched'), 'suspended', 'and then does');
SELECT is(pg_temp.try('disp', '{"action": "close", "post": "registrar"}', 'checked'), 'CH019', 'nobody acts in a post that is not held');
SELECT is(pg_temp.try('regis', jsonb_build_object('action', 'close') || jsonb_build_object(f.f, 'x'), 'checked'), 'CH013', f.f || ' is not for the client to say')
FROM unnest('{role,actor,unit,at}'::text[]) f (f);
SELECT is((SELECT (f.code IS NULL, f.status, f.location = '/api/v1/cases/' || (f.body->>'case'))::text FROM onemap.http_case_report(test.as('super'),
    '{"source": "supervisor", "title": "新", "lon": 114.75, "lat": 34.55, "category": "20102"}') f), '(t,201,t)', 'a report');
SELECT is((SELECT e.actor || ' ' || e.role FROM onemap.case_event e ORDER BY e.id DESC LIMIT 1), 'super supervisor', 'it is by who is logged in');
SELECT is((SELECT f.code FROM onemap.http_case_report(test.as('city'), '{"source": "supervisor", "title": "x"}') f), 'CH010', 'a department reports none');
SELECT throws_ok($$SELECT * FROM onemap.http_case_report(test.as('super'), '{"source": "supervisor", "title": "x", "lon": 1, "lat": 1}')$$, 'CH013', NULL,
    'nor anybody one outside the county');
SELECT is((SELECT (l.person, host(l.address), l.detail->>'code', l.detail->>'source')::text FROM onemap.audit_log l WHERE l.action = 'refused'),
    '(city,10.1.2.3,CH010,supervisor)', 'what is refused is noted');

-- ---- as many attachments as a case may have ----
CREATE FUNCTION pg_temp.files(most int) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('attachments', jsonb_agg(jsonb_build_object('uri', 'http://x/' || n, 'sha256', repeat('0', 64),
        'size_bytes', 5, 'media_type', 'image/jpeg'))) FROM generate_series(1, most) n $$;
CREATE FUNCTION pg_temp.report(files int) RETURNS text LANGUAGE sql AS $$
    SELECT f.body->>'case' FROM onemap.http_case_report(test.as('super'), '{"source": "supervisor", "title": "附件", "lon": 114.75,
        "lat": 34.55, "category": "20102"}' || pg_temp.files(files)) f $$;
CREATE FUNCTION pg_temp.attach(number text, files int) RETURNS int LANGUAGE plpgsql AS $$ -- how many it has then
BEGIN
    PERFORM onemap.http_case_do(test.as('regis', jsonb_build_object('number', number)), jsonb_build_object('action', 'attach',
        'reason', 'x', 'version', (SELECT r.version FROM onemap.case_record r WHERE r.code = number)) || pg_temp.files(files));
    RETURN jsonb_array_length(test.get('http_case', test.as('regis', jsonb_build_object('number', number)))->'attachments');
END $$;
SELECT pg_temp.report(98) AS number \gset
SELECT throws_ok(format('SELECT pg_temp.attach(%L, 3)', :'number'), 'CH013', 'a case has 100 attachments at the most',
    'more than a case may have, with those that it has');
SELECT is(pg_temp.attach(:'number', 2), 100, 'as many as it may have');
UPDATE onemap.setting SET value = '101' WHERE key = 'attachment_case';
SELECT is(pg_temp.attach(:'number', 1), 101, 'the county sets how many that are');
UPDATE onemap.setting SET value = '2' WHERE key = 'attachment_case';
SELECT throws_ok('SELECT pg_temp.report(3)', 'CH013', 'a case has 2 attachments at the most', 'a report has no more, either');
SELECT isnt(pg_temp.report(2), NULL, 'and may have as many');

-- ---- CSV ----
SELECT is(onemap.http_csv_line('a', NULL, '=1+1', '-1.5', '-x', '+86', '@x', '＝x', '-', 'a,"b"', E'x\ny', E'\t1'),
    E'a,,''=1+1,-1.5,''-x,+86,''@x,''＝x,-,"a,""b""","x\ny",''\t1\r\n', 'cells');
SELECT is((SELECT count(*)::int FROM regexp_matches(test.text('http_cases_csv', test.as('boss')), E'\r\n', 'g')),
    jsonb_array_length(pg_temp.list(test.as('boss'))) + 1, 'a line each, and the head');
SELECT alike(test.text('http_cases_csv', test.as('boss', '{"state": ["reported"], "bom": true}')), U&'\FEFF案卷号,状态,%,''=reported,%', 'titles stay text');
SELECT is((SELECT count(*)::int FROM regexp_matches(test.text('http_cases_csv', test.as('street')), E'\r\n', 'g')), 2, 'and a department gets its own');
-- What a line is made of is worked out once, not once for each of its cells: a county's list has 100,000 of them.
SET LOCAL track_functions = 'all';
INSERT INTO onemap.alarm (rule_id, vendor, opened_at, severity) SELECT min(r.id), 'v', now(), 'major' FROM onemap.alarm_rule r;
SELECT onemap.vendor_put('dust', 'v', '{}');
INSERT INTO onemap.work_order (subsystem, vendor, code, title, status, observed_at) VALUES ('dust', 'v', 'w1', 't', 'PLANNED', now());
CREATE FUNCTION pg_temp.worked_out(what text, entry text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE of_entry oid := (SELECT p.oid FROM pg_proc p WHERE p.proname = entry AND p.pronamespace = 'onemap'::regnamespace);
    before bigint := coalesce(pg_stat_get_xact_function_calls(of_entry), 0); lines int;
BEGIN
    lines := (SELECT count(*) FROM regexp_matches(test.text(what, test.as('boss')), E'\r\n', 'g'));
    RETURN CASE WHEN lines < 2 THEN 'no lines' ELSE format('%s of %s', pg_stat_get_xact_function_calls(of_entry) - before, lines - 1) END;
END $$;
SELECT matches(pg_temp.worked_out(t.what, t.entry), '^([0-9]+) of \1$', t.what || ': once a line')
FROM (VALUES ('http_work_csv', 'http_work_entry')) AS t (what, entry);
SELECT matches(pg_temp.worked_out('http_cases_csv', 'http_case_stages'), '^[12] of [1-9][0-9]$', 'http_cases_csv: what a case is made of is looked up for all lines together');
-- A part that is taken for the whole is a wrong number.
SELECT ok(onemap.setting('export_most')::int >= 50000, 'a list is long before it is refused');
UPDATE onemap.setting SET value = '0' WHERE key = 'export_most';
SELECT throws_ok(format('SELECT test.text(%L, test.as(''boss'') - ''limit'')', f.f), 'CH013', 'the list has more than 0 lines', f.f || ': who asks for the whole is given no part')
FROM unnest('{http_cases_csv,http_alarms_csv,http_work_csv}'::text[]) f (f);
SELECT is((SELECT count(*)::int FROM regexp_matches(test.text('http_cases_csv', test.as('boss', '{"limit": 1}')), E'\r\n', 'g')), 2, 'who asks for a part has it');
UPDATE onemap.setting SET value = '1' WHERE key = 'export_most';
SELECT is((SELECT count(*)::int FROM regexp_matches(test.text('http_cases_csv', test.as('street') - 'limit'), E'\r\n', 'g')), 2, 'and as many as there may be are given');
SELECT is((SELECT count(*)::int FROM jsonb_array_elements(test.get('http_case_words', test.as('look'))->'states')), 15, 'words are everybody''s');
-- ---- refusals in both languages ----
-- Left out: what nobody at the page or with a token can come to, and what says an error of a call, not of who calls.
SELECT is_empty($$SELECT p.proname FROM pg_proc p WHERE p.pronamespace = 'onemap'::regnamespace
    AND (p.proname LIKE 'order\_%' OR p.proname ~ ('^case_(act|apply|at|attachments|classify|department|dispatch|do|extend|fields_check|findings?|follow|merge|new|number|place|refused|report|role_check|'
        || 'suspend|text|whole)$')
        OR p.proname ~ '^(http(?!_exchange)|assessment|subscription|webhook|search|series|account|user|token|score_(month_(open|close|parse)|require|number|department_check|input_put|adjust))(_|$)'
        OR p.proname IN ('identity_ids', 'alarm_rule_change', 'alarm_rule_change_check', 'calendar_office_names', 'office_schedule_put', 'terminal_tell', 'terminal_key_make')
        OR p.proname ~ '^terminal_(command|parameters|text|interval|history)')
    AND regexp_count(p.prosrc, 'RAISE EXCEPTION') > regexp_count(p.prosrc, 'DETAIL = ')$$, 'what refuses an action says so in Chinese, too');
SELECT is_empty($$SELECT p.proname, d[1] FROM pg_proc p, regexp_matches(p.prosrc, 'DETAIL = (?:format\()?''([^'']*)', 'g') d
    WHERE p.pronamespace = 'onemap'::regnamespace AND d[1] !~ '^[一-龥“]'
        AND (p.proname, d[1]) NOT IN (('case_report', '%s不能上报来源为%s的案卷'), ('order_may', '%s须写明理由'))$$, 'and begins in Chinese, by which the answer knows it');
SELECT is((SELECT f.detail_zh FROM onemap.http_case_report(test.as('city'), '{"source": "supervisor", "title": "x"}') f) ~ '[一-龥]', true, 'in the answer, too');
SELECT * FROM finish();
ROLLBACK;
