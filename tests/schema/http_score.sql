-- Alarms, scores, assessment and operating over HTTP: who sees which rows before and after publication, entering as who is logged in.
BEGIN;
\ir include/case_fixture.sql
\ir include/http_fixture.sql
SELECT plan(84);
CREATE FUNCTION pg_temp.month() RETURNS text LANGUAGE sql AS $$ SELECT '2026-09' $$;
CREATE FUNCTION pg_temp.of(login text, more jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS $$ SELECT test.as(login, more || jsonb_build_object('month', pg_temp.month())) $$;
CREATE FUNCTION pg_temp.departments(list jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(e->>'department', ' ' ORDER BY e->>'department') FROM jsonb_array_elements(list) e $$;
CREATE FUNCTION pg_temp.post(function text, request jsonb, sent jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text;
BEGIN
    EXECUTE format('SELECT f.status || '' '' || f.body::text FROM onemap.%I($1, $2) f', function) INTO result USING request, sent;
    RETURN result;
END $$;

-- ---- scores before publication ----
SELECT is(pg_temp.departments(test.get('http_scores', pg_temp.of('boss'))->'rows'), 'chengguan jincheng zhaoming', 'the centre sees all scores');
SELECT is(pg_temp.departments(test.get('http_scores', pg_temp.of('look'))->'rows'), 'jincheng', 'a department its own');
SELECT is(pg_temp.departments(test.get('http_scores', pg_temp.of('city'))->'rows'), 'chengguan zhaoming', 'and of those below it');
SELECT ok(NOT test.get('http_scores', pg_temp.of('look'))->'rows'->0 ? 'rank', 'not how it stands among others');
SELECT ok(test.get('http_scores', pg_temp.of('boss'))->'rows'->0 ? 'rank', 'which the centre sees');
SELECT is(test.get('http_scores', test.token('jincheng') || jsonb_build_object('month', pg_temp.month()))->>'published', 'false', 'a program, too');
SELECT is(test.get('http_score_explain', pg_temp.of('look', '{"department": "jincheng"}'))->>'department', 'jincheng', 'why one''s own score is what it is');
SELECT ok(NOT test.get('http_score_explain', pg_temp.of('look', '{"department": "jincheng"}')) ? 'rank', 'without the rank');
SELECT is(test.get('http_score_explain', pg_temp.of('look', '{"department": "chengguan"}')), NULL, 'not another''s');
SELECT is(test.get('http_score_explain', pg_temp.of('boss', '{"department": "nobody"}')), NULL, 'nor one of nobody');
SELECT is(pg_temp.departments(test.get('http_assessment', pg_temp.of('look'))->'rows'), 'jincheng', 'the assessment: its own');
SELECT is(pg_temp.departments(test.get('http_assessment_status', pg_temp.of('look'))->'missing'), 'jincheng', 'what is missing: its own');
SELECT is(test.get('http_publications', test.as('look'))->'publications', '[]', 'nothing is published');
SELECT is(test.get('http_publication', pg_temp.of('look')), NULL, 'nor this month');
SELECT throws_ok($$SELECT test.get('http_scores', test.as('boss', '{"month": "2099-01"}'))$$, 'CH031', NULL, 'a month to come');
SELECT throws_ok($$SELECT test.get('http_scores', test.as('boss', '{"month": "x"}'))$$, 'CH030', NULL, 'no month');
-- ---- entering ----
SELECT throws_ok($$SELECT pg_temp.post('http_assessment_enter', pg_temp.of('lead'), '{"department": "jincheng", "author": "boss"}')$$, 'CH030', NULL, 'the author is not said');
SELECT throws_ok($$SELECT pg_temp.post('http_assessment_enter', pg_temp.of('lead'), '[]')$$, 'CH030', NULL, 'an object');
SELECT throws_ok($$SELECT pg_temp.post('http_assessment_enter', test.token('jincheng') || '{"month": "2026-09"}', '{}')$$, 'CH019', NULL, 'a program enters nothing');
SELECT alike(pg_temp.post('http_assessment_enter', pg_temp.of('lead'),
    '{"department": "jincheng", "item": "landscaping", "score": 91, "office": "园林办", "evidence": "MARK of jincheng"}'), '201 %', 'a score is entered');
SELECT alike(pg_temp.post('http_assessment_award', pg_temp.of('lead'), '{"department": "chengguan", "kind": "praise_city", "office": "x", "evidence": "MARK of chengguan"}'), '201 %',
    'and a bonus');
SELECT is((SELECT e.author || ' ' || e.office FROM onemap.assessment_entry e), 'lead 园林办', 'by who is logged in');
SELECT alike(test.get('http_assessment_entries', pg_temp.of('look'))::text, '%MARK of jincheng%', 'a department reads what was entered for it');
SELECT unalike(test.get('http_assessment_entries', pg_temp.of('look'))::text, '%MARK of chengguan%', 'and not for another');
SELECT alike(pg_temp.post('http_assessment_enter', pg_temp.of('city'), '{"department": "jincheng", "item": "landscaping", "score": 92, "office": "x", "evidence": "x"}'), '201 %',
    'entered for a department''s office');
SELECT is((SELECT e.office FROM onemap.assessment_entry e ORDER BY e.id DESC LIMIT 1), '城市管理局', 'which is the person''s own, whatever is said');
SELECT is((SELECT f.status || ' ' || (f.body->>'published') FROM onemap.http_publish(pg_temp.of('lead')) f), '409 false', 'not published while something is missing');

-- ---- publication ----
SELECT count(*) FROM (SELECT onemap.assessment_enter(jsonb_build_object('month', pg_temp.month(), 'department', d.code, 'item', i.item, 'score', 90, 'office', 'x',
    'author', 'x', 'evidence', 'x')) FROM onemap.department d, onemap.assessment_item i WHERE d.active AND i.part <> 'digital') e;
SELECT is((SELECT f.status || ' ' || f.location FROM onemap.http_publish(pg_temp.of('lead')) f), '201 /api/v1/publications/2026-09', 'published once nothing is missing');
SELECT is(pg_temp.departments(test.get('http_scores', pg_temp.of('look'))->'rows'), 'chengguan jincheng zhaoming', 'then all scores are everybody''s');
SELECT ok(test.get('http_assessment', pg_temp.of('look'))->'rows'->0 ? 'rank', 'with ranks');
SELECT is(test.get('http_publication', pg_temp.of('look'))->>'intact', 'true', 'and what was published can be read');
SELECT is(test.get('http_assessment_year', test.as('look', '{"year": 2026}'))->'rows'->0->>'months', '1', 'so can the year');
SELECT throws_ok($$SELECT * FROM onemap.http_publish(pg_temp.of('lead'))$$, 'CH031', NULL, 'once');

-- ---- alarms ----
UPDATE onemap.device SET department_id = (SELECT d.id FROM onemap.department d WHERE d.code = 'jincheng') WHERE code = 'D1';
UPDATE onemap.device SET department_id = (SELECT d.id FROM onemap.department d WHERE d.code = 'zhaoming') WHERE code = 'L1';
INSERT INTO onemap.alarm (rule_id, device_id, vendor, opened_at, closed_at, severity) SELECT r.id, coalesce(d.id, 0), CASE WHEN d.id IS NULL THEN 'lamps' ELSE '' END,
    '2026-10-01 00:00Z', CASE WHEN d.code = 'D1' THEN '2026-10-02 00:00Z'::timestamptz END, CASE WHEN d.id IS NULL THEN 'critical' ELSE 'minor' END
FROM (VALUES ('streetlight', 'L1'), ('dust', 'D1'), ('streetlight', NULL)) x (subsystem, code)
    JOIN LATERAL (SELECT min(a.id) AS id FROM onemap.alarm_rule a WHERE a.subsystem = x.subsystem) r ON true LEFT JOIN onemap.device d ON d.code = x.code;
CREATE FUNCTION pg_temp.alarms(login text, more jsonb DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(string_agg(coalesce(e->>'device_code', e->>'vendor'), ' ' ORDER BY coalesce(e->>'device_code', e->>'vendor')), '')
    FROM jsonb_array_elements(test.get('http_alarms', test.as(login, more))->'alarms') e $$;
SELECT is(pg_temp.alarms(x.login, x.more::jsonb), x.wanted, x.login || ' sees ' || x.more) FROM (VALUES ('boss', '{}', 'D1 L1 lamps'), ('look', '{}', 'D1'), ('city', '{}', 'L1 lamps'),
    ('boss', '{"open": true}', 'L1 lamps'), ('boss', '{"severity": ["critical"]}', 'lamps'), ('boss', '{"device": 0}', 'lamps'), ('boss', '{"department": ["jincheng"]}', 'D1'),
    ('boss', '{"from": "2026-10-01T00:00:01Z"}', ''), ('boss', '{"box": [114.755, 34, 115, 35]}', 'D1'), ('boss', '{"text": "l1"}', 'L1')) AS x (login, more, wanted);
INSERT INTO onemap.alarm (rule_id, device_id, vendor, opened_at, severity) SELECT r.id, 0, 'province', '2026-10-03 00:00Z', 'minor' FROM onemap.alarm_rule r
WHERE r.subsystem = 'hub' AND r.key = 'upstream_late';
SELECT is(pg_temp.alarms(x.login, x.more::jsonb), x.wanted, x.login || ' sees ' || x.more) FROM (VALUES ('boss', '{"vendor": "lamps"}', 'L1 lamps'), ('boss', '{"vendor": "province"}', 'province'),
    ('boss', '{"rule": "upstream_late"}', 'province'), ('look', '{"vendor": "moon"}', ''), ('look', '{"device": 2000000000}', '')) AS x (login, more, wanted);
SELECT throws_ok(format('SELECT test.get(%L, test.as(%L, %L))', x.f, 'boss', x.more), 'CH013', NULL, x.f || ' refuses ' || x.more) FROM (VALUES
    ('http_alarms', '{"vendor": "moon"}'), ('http_alarms', '{"rule": "moon"}'), ('http_alarms', '{"device": 2000000000}'), ('http_alarms', '{"grid_cell": ["99"]}'), ('http_alarms', '{"grid_cell": ["4x"]}'),
    ('http_alarms', '{"from": "2026-10-02", "to": "2026-10-01"}'), ('http_vendors', '{"subsystem": "moon"}'), ('http_alarm_rules', '{"subsystem": "moon"}')) AS x (f, more);
SELECT throws_ok(format('SELECT test.get(%L, test.as(%L, %L))', x.f, 'boss', x.more), x.code, NULL, x.f || ' refuses ' || x.more) FROM (VALUES
    ('http_score_statistics', '{"month": "2026-09", "by": "department", "department": ["moon"]}', 'CH016'), ('http_score_statistics', '{"month": "2026-09", "by": "all", "category": ["99"]}', 'CH013'),
    ('http_terminals', '{"device": 2000000000, "limit": 9}', 'CH013')) AS x (f, more, code);
DELETE FROM onemap.alarm a WHERE a.vendor = 'province';
SELECT is((SELECT f.body->>'acknowledged_by' FROM onemap.http_alarm_acknowledge(test.as('city', jsonb_build_object('id', (SELECT max(a.id) FROM onemap.alarm a))), NULL) f), 'city',
    'somebody sees to it');
SELECT is_empty($$SELECT * FROM onemap.http_alarm_acknowledge(test.as('city', jsonb_build_object('id', (SELECT a.id FROM onemap.alarm a JOIN onemap.device d ON d.id = a.device_id
    WHERE d.code = 'D1'))), NULL)$$, 'not to another department''s');

-- ---- operating ----
INSERT INTO onemap.quarantine (received_at, subsystem, vendor, kind, topic, payload, code, reason) VALUES (now(), 'streetlight', 'lamps', 'telemetry', 't', 'abc', 'malformed', 'r'),
    (now(), 'dust', 'sites', 'telemetry', 't', '\x00ff', 'missing_time', 'r');
SELECT is(jsonb_array_length(test.get('http_quarantine', test.as('boss'))->'messages'), 2, 'what could not be stored');
SELECT is(test.get('http_quarantine', test.token('zhaoming'))->'messages'->0->>'vendor', 'lamps', 'a department''s program sees its vendors''');
SELECT is(jsonb_array_length(test.get('http_quarantine_reasons', test.token('zhaoming'))->'reasons'), 1, 'so with the reasons');
SELECT is(jsonb_array_length(test.get('http_vendors', test.token('zhaoming'))->'vendors'), 1, 'and the vendors');
SELECT is(test.get('http_lanes', test.token('zhaoming'))->'lanes', '[]', 'lanes are the hub''s');
SELECT is((SELECT f.body FROM onemap.http_quarantine_payload(test.as('boss', jsonb_build_object('id', (SELECT max(q.id) FROM onemap.quarantine q)))) f), '\x00ff'::bytea, 'the bytes');
SELECT is_empty($$SELECT * FROM onemap.http_quarantine_payload(test.token('zhaoming') || jsonb_build_object('id', (SELECT max(q.id) FROM onemap.quarantine q)))$$, 'not another''s');
-- ---- nobody ----
SELECT throws_ok(format('SELECT test.get(%L, %L)', f.f, CASE f.f WHEN 'http_score_explain' THEN '{"department": "jincheng"}'::jsonb
    ELSE '{}' END || '{"month": "2026-09", "year": 2026, "limit": 1, "id": 1, "number": "x", "by": "all"}'), 'CH060',
    NULL, f.f || ' shows nobody nothing') FROM unnest('{http_scores,http_score_explain,http_score_statistics,http_assessment,http_assessment_status,http_assessment_entries,'
    'http_assessment_year,http_publications,http_publication,http_alarms,http_alarm,http_quarantine,http_quarantine_reasons,http_vendors,http_lanes,http_case_words}'::text[]) f (f);
SELECT * FROM finish();
ROLLBACK;
