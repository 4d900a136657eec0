-- Alarms become cases: one open case per device and category, repeated alarms attach to it, their ends are noted.
BEGIN;
\ir include/case_fixture.sql
SELECT no_plan();
SELECT onemap.alarm_rule_default('dust', 'test_dust', '{"name_zh": "扬尘", "severity": "major", "source": "test", "category_code": "20302"}'),
    onemap.alarm_rule_default('dust', 'test_dust_more', '{"name_zh": "扬尘更甚", "severity": "critical", "source": "test", "category_code": "20302"}'),
    onemap.alarm_rule_default('dust', 'test_noise', '{"name_zh": "噪声", "severity": "major", "source": "test", "category_code": "20301"}'),
    onemap.alarm_rule_default('dust', 'test_plain', '{"name_zh": "其他", "severity": "info", "source": "test"}'),
    onemap.alarm_rule_default('dust', 'test_strange', '{"name_zh": "无类", "severity": "info", "source": "test", "category_code": "29999"}');
CREATE FUNCTION test.raise(key text) RETURNS void LANGUAGE sql AS $$ SELECT onemap.alarm_raise(d.id, $1, clock_timestamp(), 100, '{}') FROM onemap.device d WHERE d.code = 'D1' $$;
CREATE FUNCTION test.clear(key text) RETURNS void LANGUAGE sql AS $$ SELECT onemap.alarm_clear(d.id, $1, clock_timestamp()) FROM onemap.device d WHERE d.code = 'D1' $$;
CREATE FUNCTION test.cases() RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(string_agg(c.category_code || ' ' || c.state || ' ' || c.event_count, ', ' ORDER BY c.id), '') FROM onemap.case_record c WHERE c.source = 'alarm'
$$;
SELECT is(onemap.case_alarm_sweep(), 0, 'no alarm, no case');
SELECT test.raise('test_dust'), test.raise('test_plain'), test.raise('test_strange');
SELECT is(onemap.case_alarm_sweep(), 1, 'one alarm has a category that there is');
SELECT is(test.cases(), '20302 reported 1', 'it is a case');
SELECT is((SELECT (c.title, c.grid_cell, c.condition_number, c.vendor, k.role, k.actor, k.detail->'alarm'->>'rule')::text FROM onemap.case_record c JOIN onemap.case_event k ON k.case_id = c.id WHERE c.source = 'alarm'),
    '(扬尘：D1,410221001001001,1,sites,system,cityhub,test_dust)', 'with its place, condition and alarm');
SELECT is(onemap.case_alarm_sweep(), 0, 'and once');
SELECT is((SELECT c.description FROM onemap.case_record c WHERE c.source = 'alarm'), '100', 'with the value');
SELECT is(onemap.alarm_measured_zh(r, 180), 'PM2.5 180 ug/m3，高于 150 ug/m3', 'in the words of whoever handles it') FROM onemap.alarm_rule r
WHERE r.subsystem = 'dust' AND r.key = 'pm25_high';
SELECT test.clear('test_dust');
SELECT is(onemap.case_alarm_sweep(), 1, 'its end is noted');
SELECT is(test.cases(), '20302 reported 2', 'in the case, which stays open');
SELECT is((SELECT k.detail->'alarm_closed'->>'reason' FROM onemap.case_record c JOIN onemap.case_event k ON k.case_id = c.id AND k.seq = 2 WHERE c.source = 'alarm'), 'condition ended', 'with the reason');
SELECT test.raise('test_dust'), test.raise('test_dust_more'), test.raise('test_noise');
SELECT is(onemap.case_alarm_sweep(), 3, 'the same again, a second rule of the category, another category');
SELECT is(test.cases(), '20302 reported 4, 20301 reported 1', 'two attach to the open case, one is a case of its own');
SELECT is((SELECT count(*)::int FROM onemap.case_alarm), 4, 'each alarm has its case');
-- An alarm that ends after its case does no more than that.
SELECT test.act(c.code, 'reject', 'acceptor') FROM onemap.case_record c WHERE c.category_code = '20302';
SELECT test.clear('test_dust'), test.clear('test_dust_more');
SELECT is(onemap.case_alarm_sweep(), 2, 'ends after the case');
SELECT is(test.cases(), '20302 rejected 5, 20301 reported 1', 'are not noted in it');
SELECT is((SELECT count(*)::int FROM onemap.case_alarm a WHERE a.close_seq = 0), 2, 'but settled');
SELECT test.raise('test_dust');
SELECT is(onemap.case_alarm_sweep(), 1, 'a new alarm after the case has ended');
SELECT is(test.cases(), '20302 rejected 5, 20301 reported 1, 20302 reported 1', 'is a new case');
-- Attached to a supervisor's case that the alarm's case was merged into.
CREATE TEMP TABLE kept AS SELECT test.report('{"category": "20302"}') AS code;
SELECT test.act(c.code, 'merge', 'acceptor', jsonb_build_object('into', kept.code)) FROM onemap.case_record c, kept WHERE c.category_code = '20302' AND c.state = 'reported' AND c.source = 'alarm';
SELECT test.raise('test_dust_more');
SELECT is(onemap.case_alarm_sweep(), 1, 'an alarm after the merger');
SELECT is((test.last(code)).detail->'alarm'->>'rule', 'test_dust_more', 'goes to the case that was kept') FROM kept;
-- A supervisor's case of the same device and category takes the alarm, too; a suspended one as well.
CREATE TEMP TABLE own AS SELECT test.drive('suspended', NULL, '{"category": "10118", "subsystem": "streetlight", "vendor": "lamps", "device_code": "L1"}') AS code;
SELECT onemap.alarm_rule_default('streetlight', 'test_out', '{"name_zh": "灯灭", "severity": "minor", "source": "test", "category_code": "10118"}');
SELECT onemap.alarm_raise(d.id, 'test_out', clock_timestamp(), 0, '{}') FROM onemap.device d WHERE d.code = 'L1';
SELECT is(onemap.case_alarm_sweep(), 1, 'an alarm of a device whose case is suspended');
SELECT is((SELECT c.state || ' ' || (test.last(c.code)).action FROM onemap.case_record c JOIN own USING (code)), 'suspended attach', 'is attached to it');
SELECT throws_ok(format('UPDATE onemap.case_record SET source = ''alarm'', category_code = ''20301'', condition_number = 1, device_id = (SELECT id FROM onemap.device WHERE code = ''D1'') WHERE code = %L', code),
    '23505', NULL, 'the table itself refuses a second open case of an alarm') FROM own;
SELECT ok(onemap.sweep_run() = '{}', 'all sweeps run');
SELECT is((SELECT count(*)::int FROM onemap.sweep s WHERE s.function_name LIKE 'case_%'), 3, 'the three of cases among them');
SELECT is_empty('SELECT * FROM onemap.case_chain_check()', 'and the journal is whole');
SELECT * FROM finish();
ROLLBACK;
