-- The ledger of what goes upward.
BEGIN;
\ir include/case_fixture.sql
SELECT plan(74);

-- ---- what is there when a target is added, and what changes then ----
SELECT throws_ok($$SELECT onemap.exchange_target_put('{"target": "city", "resources": ["case"]}')$$, 'CH070',
    'resources: "case" is none of department, grid_cell, device, case_step, alarm, figure_hour, figure_day, statistics, score, assessment', 'a resource that is none');
SELECT throws_ok($$SELECT onemap.exchange_target_put('{"target": "city", "resources": []}')$$, 'CH070', NULL, 'no resources');
SELECT test.drive('dispatched') AS first \gset
SELECT is((onemap.exchange_target_put('{"target": "city", "name_zh": "市平台", "resources": ["case_step"]}')->>'entered')::int, 4, 'the steps that are there');
SELECT is(onemap.exchange_target_put('{"target": "city", "name_zh": "市平台", "resources": ["case_step"]}')->'entered', '0', 'and only once');
SELECT is((SELECT count(*)::int FROM onemap.audit_log a WHERE a.action = 'exchange_target'), 1, 'what changes nothing is no change');
SELECT is(onemap.exchange_sweep(), 0, 'nor are they entered again as changes');
SELECT is((SELECT count(*)::int FROM onemap.exchange_change), 0, 'which are taken away');
SELECT is((SELECT string_agg(r.record || ' ' || r.version || ' ' || (r.content->>'action'), ', ' ORDER BY r.id) FROM onemap.exchange_record r),
    format('%1$s/1 1 report, %1$s/2 1 accept, %1$s/3 1 register, %1$s/4 1 dispatch', :'first'), 'in the order of the case');
SELECT is((SELECT count(*)::int FROM onemap.exchange_record r WHERE r.hash <> sha256(convert_to(r.content::text, 'UTF8'))), 0, 'hash: of the content''s text');
SELECT ok((SELECT bool_and(NOT r.content ?| '{actor,recorded_by,record,chain,place,key,occurred_at}') FROM onemap.exchange_record r), 'nobody is named');
SELECT is((SELECT r.content->>'deadline_at' ~ '\+00:00$' FROM onemap.exchange_record r WHERE r.record LIKE '%/4'), true, 'times are in UTC');

-- ---- order, refusal, again ----
SELECT test.drive('accepted') AS second \gset
SELECT is(onemap.exchange_sweep(), 2, 'two more steps');
CREATE FUNCTION pg_temp.take(most int DEFAULT 10) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(t.record || '#' || t.attempts, ' ' ORDER BY t.number) FROM onemap.exchange_take('city', most, 60) t
$$;
CREATE FUNCTION pg_temp.answer(record text, outcome text, fields jsonb DEFAULT '{}') RETURNS int LANGUAGE sql AS $$
    SELECT onemap.exchange_answered('city', jsonb_build_array(jsonb_build_object('number', max(r.id), 'outcome', $2) || fields))
    FROM onemap.exchange_record r WHERE r.record = $1 AND r.state = 'waiting'
$$;
SELECT is(pg_temp.take(), format('%s/1#1 %s/1#1', :'first', :'second'), 'the first of each case');
SELECT is(pg_temp.take(), NULL, 'nothing twice while it is under way');
SELECT is(pg_temp.answer(:'first' || '/1', 'accepted', '{"receipt_number": "R1", "sent": "{}"}'), 1, 'one is accepted');
SELECT is(pg_temp.take(), :'first' || '/2#1', 'and the case goes on');
SELECT is(pg_temp.answer(:'first' || '/2', 'refused', '{"answer": "no such category"}'), 1, 'one is refused');
SELECT is(pg_temp.take(), NULL, 'which holds up its case');
SELECT is(pg_temp.answer(:'second' || '/1', 'accepted'), 1, 'and');
SELECT is(pg_temp.take(), :'second' || '/2#1', 'no other');
SELECT is(pg_temp.answer(:'second' || '/2', 'again', '{"answer": "busy", "wait_s": 0}'), 1, 'one is to come again');
SELECT is(pg_temp.take(), :'second' || '/2#2', 'and comes again');
SELECT is(pg_temp.answer(:'second' || '/2', 'again'), 1, 'without a time');
SELECT ok((SELECT r.next_attempt_at - clock_timestamp() BETWEEN interval '1 second' AND interval '4 seconds' FROM onemap.exchange_record r WHERE r.record = :'second' || '/2'),
    'it waits for up to 2 to the power of its attempts');
SELECT is(pg_temp.take(), NULL, 'meanwhile nothing is due');
SELECT is(onemap.exchange_answered('city', (SELECT jsonb_build_array(jsonb_build_object('number', r.id, 'outcome', 'refused')) FROM onemap.exchange_record r WHERE r.receipt = 'R1')), 0,
    'what is accepted stays so');
SELECT is((SELECT (s->>'records') || ' ' || (s->>'accepted') || ' ' || (s->>'refused') || ' ' || (s->>'waiting') || ' ' || (s->>'held_up')
    FROM jsonb_array_elements(onemap.exchange_status_json('{"target": "city"}')) s), '6 2 1 3 2', 'how the target stands');
SELECT is((SELECT s.state FROM onemap.exchange_status_table('{}') s), 'refused', 'for people');
SELECT is((SELECT string_agg(d.difference, ' ' ORDER BY d.record) FROM onemap.exchange_differences('{"target": "city"}') d), 'refused waiting waiting waiting', 'what it does not have');

-- ---- people ----
SELECT throws_ok($$SELECT onemap.exchange_retry('{"target": "province"}')$$, 'CH070', 'there is no target "province"', 'no such target');
SELECT throws_ok($$SELECT onemap.exchange_skip('{"target": "city", "number": 0, "reason": "x"}')$$, 'CH071', NULL, 'no such record');
SELECT is(onemap.exchange_skip(jsonb_build_object('target', 'city', 'reason', '市平台无此类别', 'number', (SELECT r.id FROM onemap.exchange_record r WHERE r.state = 'refused'))),
    '{"records": 1}', 'it is given up');
SELECT is(pg_temp.take(), :'first' || '/3#1', 'and its case goes on');
SELECT is(onemap.exchange_retry('{"target": "city"}'), '{"records": 3}', 'all that wait are due at once');
SELECT is(pg_temp.take(1), :'first' || '/3#2', 'the oldest first');
SELECT is(onemap.exchange_replay(jsonb_build_object('target', 'city', 'case', :'first')), '{"records": 2}', 'a case goes up once more');
SELECT is(pg_temp.take(), format('%s/1#2 %s/2#3', :'first', :'second'), 'under the same numbers');
SELECT is((SELECT count(*)::int FROM onemap.audit_log a WHERE a.action LIKE 'exchange_%'), 4, 'all of that is in the audit log');

-- ---- the breaker ----
SELECT cmp_ok(onemap.exchange_reached('city', 'connection refused', NULL), '<=', 1::float8, 'a second at first');
SELECT cmp_ok(onemap.exchange_reached('city', 'connection refused', NULL), '>', 0.5::float8, 'then two');
SELECT cmp_ok(onemap.exchange_reached('city', '429', 30), '>', 29::float8, 'or what it asks for');
SELECT onemap.exchange_retry('{"target": "city"}');
UPDATE onemap.exchange_target SET paused_until = clock_timestamp() + interval '1 minute';
SELECT is(pg_temp.take(), NULL, 'nothing goes there');
SELECT is(onemap.exchange_reached('city', NULL, NULL), 0::float8, 'until it answers');
SELECT is((SELECT t.failures || t.problem FROM onemap.exchange_target t), '0', 'then all is forgotten');

-- ---- corrections ----
SELECT onemap.exchange_target_put('{"target": "city", "name_zh": "市平台", "resources": ["device", "figure_hour", "figure_day"]}');
SELECT onemap.exchange_sweep();
UPDATE onemap.device SET name_zh = '一号灯' WHERE code = 'L1';
UPDATE onemap.device SET attributes = '{"a": 1}' WHERE code = 'D1';
SELECT is(onemap.exchange_sweep(), 1, 'what changed goes up, but not what no view has');
SELECT is((SELECT string_agg(r.version || ' ' || (r.content->>'name_zh'), ', ' ORDER BY r.id) FROM onemap.exchange_record r WHERE r.record = 'streetlight/lamps/L1'),
    '1 , 2 一号灯', 'as a correction of its own number');

-- Figures: of hours that are closed, and again when one is made anew.
INSERT INTO onemap.observation_hourly (device_id, hour, records, last_at, counts, minima, maxima, sums, firsts, lasts, flagged_above, flagged_below)
SELECT d.id, '2026-03-01 01:00+00', 2, '2026-03-01 01:30+00', array_fill(2, ARRAY[m.n]), array_fill(1::float8, ARRAY[m.n]), array_fill(2::float8, ARRAY[m.n]),
    array_fill(3::float8, ARRAY[m.n]), array_fill(1::float8, ARRAY[m.n]), array_fill(2::float8, ARRAY[m.n]), array_fill(0, ARRAY[m.n]), array_fill(0, ARRAY[m.n])
FROM onemap.device d, (SELECT max(m.ordinal) AS n FROM onemap.metric m WHERE m.subsystem = 'dust') m WHERE d.code = 'D1';
SELECT is((SELECT count(*)::int FROM onemap.exchange_figure_hour), 0, 'an hour that is not closed is not there');
UPDATE onemap.rollup_closed SET through = '2026-03-01 02:00+00';
SELECT onemap.exchange_sweep();
SELECT is((SELECT r.content - '{unit}'::text[] FROM onemap.exchange_record r WHERE r.record = '2026-03-01T01Z/dust/pm10_ug_m3'),
    '{"hour": "2026-03-01T01:00:00+00:00", "mean": 1.500000, "devices": 1, "maximum": 2, "metric": "pm10_ug_m3", "minimum": 1, "readings": 2, "subsystem": "dust"}', 'its figures, when it is');
SELECT is((SELECT count(*)::int FROM onemap.exchange_differences('{"target": "city", "resource": "figure_hour"}') d WHERE d.difference <> 'waiting'), 0, 'and all of them');

-- ---- quality, and the alarm of what waits too long ----
SELECT onemap.exchange_target_put('{"target": "late", "name_zh": "省平台", "resources": ["case_step"], "oldest_s": 60, "required": {"case_step": ["case_code", "reason"]}}');
CREATE FUNCTION pg_temp.board(resource text) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', b.expected, coalesce(b.complete::text, '-'), coalesce(b.content::text, '-'), coalesce(b.timely::text, '-'), coalesce(b.up::text, '-'), b.points)
    FROM onemap.exchange_quality_board('{"target": "late"}') b WHERE b.resource = $1
$$;
SELECT onemap.exchange_late_sweep();
SELECT is((SELECT count(*)::int FROM onemap.alarm a WHERE a.vendor = 'late'), 0, 'what waits within its time is no alarm');
SELECT is(pg_temp.board('case_step'), '6 0.00 66.66 - - 16.67', 'nothing is accepted; a reason is there for all but the reports');
UPDATE onemap.exchange_record r SET made_at = now() - interval '2 minutes' WHERE r.target = 'late';
SELECT onemap.exchange_late_sweep();
SELECT is(onemap.exchange_late_sweep(), 1, 'a target is late');
SELECT is((SELECT count(*) || ' ' || min(r.subsystem || '/' || r.key) FROM onemap.alarm a JOIN onemap.alarm_rule r ON r.id = a.rule_id WHERE a.vendor = 'late' AND a.closed_at IS NULL),
    '1 hub/upstream_late', 'which is one alarm, however often it is looked at');
SELECT matches((SELECT o.text_zh FROM onemap.alarm_overview o WHERE o.key = 'upstream_late' AND o.vendor = 'late'), '^上报超过时限：late（省平台：最早的一条 .* 起等待，共 6 条等待）$', 'in words');
SELECT is((SELECT onemap.exchange_answered('late', jsonb_agg(jsonb_build_object('number', r.id, 'outcome', 'accepted'))) FROM onemap.exchange_record r
    WHERE r.target = 'late' AND r.record LIKE '%/1'), 2, 'two are accepted, late');
SELECT is((SELECT onemap.exchange_answered('late', jsonb_agg(jsonb_build_object('number', r.id, 'outcome', 'refused'))) FROM onemap.exchange_record r
    WHERE r.target = 'late' AND r.record LIKE '%/2'), 2, 'two are refused');
UPDATE onemap.exchange_record r SET made_at = now() - interval '10 seconds' WHERE r.target = 'late' AND (r.state = 'waiting' OR r.record = :'first' || '/1');
SELECT onemap.exchange_reached('late', NULL, NULL), onemap.exchange_reached('late', NULL, NULL), onemap.exchange_reached('late', '500', NULL);
SELECT is(onemap.exchange_late_sweep(), 0, 'nothing waits too long');
SELECT is((SELECT a.close_reason FROM onemap.alarm a WHERE a.vendor = 'late'), 'nothing waits too long any more', 'and the alarm ends by itself');
SELECT is(pg_temp.board('all'), pg_temp.board('case_step'), 'of one resource all is that');
SELECT is((onemap.exchange_quality_json('{"target": "late"}')->0) - '{points,content,target_zh,resource_zh}'::text[], '{"target": "late", "resource": "all", "expected": 6, "complete": 33.33, "timely": 25.00, "up": 66.66}',
    'accepted as they are, within the time, reached');
SELECT throws_ok($$SELECT onemap.exchange_quality('{"target": "moon"}')$$, 'CH070', NULL, 'no such target');
SELECT throws_ok(format($$SELECT * FROM onemap.%I('{"target": "moon"}')$$, f.f), 'CH070', 'there is no target "moon"', f.f || ' of no such target')
FROM unnest('{exchange_status_json,exchange_status_table,exchange_find}'::text[]) f (f);

-- ---- what is forgotten of the ledger ----
UPDATE onemap.exchange_record r SET sent = 'the message', sent_at = now(), answered_at = CASE WHEN r.record LIKE '%/1' THEN now() - interval '3 years' ELSE now() END
WHERE r.target = 'late' AND r.record ~ '/[123]$';
UPDATE onemap.exchange_record r SET state = 'waiting', answered_at = now() - interval '3 years' WHERE r.target = 'late' AND r.record LIKE '%/3';
CREATE TEMP TABLE ledger_before AS SELECT to_jsonb(r) - 'sent' AS r FROM onemap.exchange_record r;
SELECT onemap.partition_maintain(1, 730);
SELECT is((SELECT array_agg(DISTINCT right(r.record, 2) || ' ' || (r.sent IS NULL)) FILTER (WHERE r.record ~ '/[123]$') FROM onemap.exchange_record r WHERE r.target = 'late'),
    '{"/1 true","/2 false","/3 false"}', 'messages that were answered before the retention; not those that wait');
SELECT is_empty('SELECT r FROM ledger_before EXCEPT SELECT to_jsonb(r) - ''sent'' FROM onemap.exchange_record r', 'all else of the ledger stays');

-- ---- the database's clock was ahead for a while ----
SELECT onemap.exchange_target_put('{"target": "ahead", "resources": ["case_step"], "asks": true}');
CREATE FUNCTION pg_temp.wait(tried interval, paused interval, asked interval) RETURNS void LANGUAGE sql AS $$
    UPDATE onemap.exchange_record r SET next_attempt_at = now() + tried, attempts = 1 WHERE r.target = 'ahead';
    UPDATE onemap.exchange_target t SET paused_until = now() + paused, ask_next_at = now() + asked, failures = 1 WHERE t.target = 'ahead' $$;
SELECT pg_temp.wait('1 hour', '-1 s', '1 hour');
SELECT is_empty($$SELECT onemap.exchange_take('ahead', 100, 60)$$, 'a record that waits for its time waits');
SELECT is(onemap.exchange_ask_begin('ahead'), NULL, 'and so does the asking');
SELECT pg_temp.wait('-1 s', '23 hours', '-1 s');
SELECT is_empty($$SELECT onemap.exchange_take('ahead', 100, 60)$$, 'and all, while a target is left alone');
SELECT is(onemap.exchange_ask_begin('ahead'), NULL, 'it is not asked either');
SELECT is((SELECT s.state FROM onemap.exchange_status_table('{"target": "ahead"}') s), 'paused', 'which is told');
SELECT pg_temp.wait('2 years', '2 years', '2 years');
SELECT is((SELECT s.state FROM onemap.exchange_status_table('{"target": "ahead"}') s), 'good', 'two years ahead nothing is put off by anybody');
SELECT is((SELECT count(*)::int FROM onemap.exchange_take('ahead', 100, 60)), (SELECT count(DISTINCT r.chain)::int FROM onemap.exchange_record r
    WHERE r.target = 'ahead'), 'all chains go on');
SELECT isnt(onemap.exchange_ask_begin('ahead'), NULL, 'and so does the asking');
SELECT * FROM finish();
ROLLBACK;
