-- What the commands show people and read from them: columns and words of the lists, refusals, and who may call what.
BEGIN;
SELECT plan(53);
INSERT INTO onemap.department (code, name_zh, kind, schedule) VALUES 
    ('north', '北', 'street', 'standard'), ('south', '南', 'county', 'seasonal');
INSERT INTO onemap.department (code, name_zh, kind, parent_id, active)
SELECT 'below', '下', 'county', d.id, false FROM onemap.department d WHERE d.code = 'north';

-- Times of the county, which is at UTC+8.
SELECT is(onemap.county_time('2026-11-23 16:30Z'), '2026-11-24 00:30', 'a moment as the county''s clocks show it');
SELECT is(onemap.county_time('2026-11-23 16:30:05Z', 'HH24:MI:SS'), '00:30:05', 'in another form');
SELECT is(onemap.county_time(NULL), NULL, 'nothing is nothing');

-- Vendors.
SELECT onemap.vendor_add('{"subsystem": "dust", "vendor": "acme", "department": "north"}');
SELECT onemap.vendor_add('{"subsystem": "gas", "vendor": "beta"}');
SELECT results_eq($$SELECT subsystem, vendor, department, login, revoked FROM onemap.vendor_list_table('{}')$$,
    $$VALUES ('dust', 'acme', 'north', 'no', NULL), ('gas', 'beta', NULL, 'no', NULL)$$, 'vendors for people');
SELECT is((SELECT array_agg(v.vendor) FROM onemap.vendor_list_table('{"subsystem": "gas"}') v), '{beta}', 'of one subsystem');
SELECT is(onemap.vendor_list_json('{"subsystem": "dust"}')->0->>'silent_after', '00:10:00', 'whole as JSON');
SELECT is(onemap.vendor_list_json('{"subsystem": "water"}'), '[]', 'none is an empty list');
SELECT ok(onemap.vendor_is_known('acme') AND NOT onemap.vendor_is_known('nobody'), 'who is known');
SELECT is(onemap.vendor_end('{"subsystem": "gas", "vendor": "beta"}')->'revoked', 'true', 'a right ends by request');
SELECT matches((SELECT v.revoked FROM onemap.vendor_list_table('{"subsystem": "gas"}') v),
    '^\d{4}-\d\d-\d\d \d\d:\d\d$', 'and the list says when');

-- Limits in words.
SELECT is(onemap.alarm_rule_words(r), 'above 150, ends at 115, for 3600 s', 'a limit and where it ends') FROM onemap.alarm_rule r
WHERE r.subsystem = 'dust' AND r.key = 'pm25_high';
UPDATE onemap.alarm_rule SET duration_s = 60, window_from = '22:00', window_to = '06:00', clear_threshold = threshold
WHERE subsystem = 'dust' AND key = 'pm25_high';
SELECT is(onemap.alarm_rule_words(r), 'above 150, for 60 s, 22:00 to 06:00', 'with duration and window') FROM onemap.alarm_rule r
WHERE r.subsystem = 'dust' AND r.key = 'pm25_high';
SELECT is(onemap.alarm_rule_words(r), '', 'a rule without a limit') FROM onemap.alarm_rule r
WHERE r.subsystem = 'dust' AND r.key = 'device_offline';
SELECT is(onemap.alarm_rule_change(
        '{"subsystem": "dust", "rule": "pm25_high", "threshold": 120, "source": "x", "category_code": null}') - 'name',
    '{"subsystem": "dust", "rule": "pm25_high", "limit": "above 120, for 60 s, 22:00 to 06:00", "limit_zh": "高于 120，持续 60 秒，22:00 至 06:00", "severity": "info",
    "category": null, "enabled": true, "source": "x", "source_zh": "x"}', 'a new threshold alone is where it ends, too');
SELECT is((SELECT count(*)::int FROM onemap.alarm_rule_list_table('{"edited": true}')), 1, 'the county''s own');
SELECT is(onemap.alarm_rule_list_json('{"edited": true}')->0->>'rule', 'pm25_high', 'as JSON, too');
SELECT is(onemap.alarm_rule_list_json('{"edited": true}')->0->>'unit', 'ug/m3', 'with the limit''s unit');
SELECT is(array_agg(DISTINCT onemap.alarm_rule_unit(r)), '{NULL}', 'states have none') FROM onemap.alarm_rule r WHERE r.comparison = 'equals';
-- What is derived is in the unit of what it is derived from, or in one that its rule says: a share, a distance, a number of times.
SELECT is((SELECT string_agg(r.key || ' ' || coalesce(onemap.alarm_rule_unit(r), '-'), ', ' ORDER BY r.subsystem, r.key) FROM onemap.alarm_rule r LEFT JOIN onemap.metric m ON m.subsystem = r.subsystem
    AND m.key = r.metric WHERE r.kind = 'derived' AND r.subsystem <> 'hub' AND onemap.alarm_rule_unit(r) IS DISTINCT FROM m.unit), 'illegal_dumping -, absent_on_shift -, idle m, makeup_rate_high %, '
    || 'furnace_temp_low_daily -, lighting_rate_low %, night_flow_high %', 'units of their own');
SELECT is(onemap.alarm_measured_zh(r, 93.4), '93.4 %，低于 96 %', 'as a case says it') FROM onemap.alarm_rule r WHERE r.key = 'lighting_rate_low';
SELECT is((SELECT count(*)::int FROM onemap.alarm_rule r WHERE r.kind = 'derived' AND r.comparison <> 'equals' AND r.key <> 'furnace_temp_low_daily' AND onemap.alarm_rule_unit(r) IS NULL), 0, 'no limit is without');
SELECT lives_ok($$SELECT onemap.alarm_rule_set('water', 'night_flow_high', '{"threshold": 50}'); SELECT onemap.alarm_rule_default('water', 'night_flow_high', '{"name_zh": "x", "kind": "derived", "above": 45, "unit": "L/h", "severity": "minor", "source": "x"}')$$, 'a new edition of one that the county changed');
SELECT is((SELECT r.threshold || ' ' || onemap.alarm_rule_unit(r) FROM onemap.alarm_rule r WHERE r.key = 'night_flow_high'), '50 L/h', 'keeps the limit, and has the unit');
SELECT throws_ok($$SELECT onemap.alarm_rule_change('{"subsystem": "dust", "rule": "pm25_high", "clear_threshold": 121}')$$, 'CH013',
    'alarm rule dust.pm25_high: opens above 120, so it cannot end at 121 already', 'a limit that would end before it begins');
SELECT throws_ok(format('SELECT onemap.alarm_rule_change(%L)', '{"subsystem": "dust", "rule": "pm25_high"}'::jsonb || c.c::jsonb), 'CH013', NULL, 'what no reading is: ' || c.c)
FROM unnest('{"{\"threshold\": 1200}","{\"threshold\": -999}","{\"clear_threshold\": -999}"}'::text[]) c (c);
SELECT throws_ok($$SELECT onemap.alarm_rule_change('{"subsystem": "dust", "rule": "pm25_high", "colour": 1}')$$, 'P0001',
    'alarm rule dust.pm25_high: colour cannot be changed', 'what a county may not change');
UPDATE onemap.alarm_rule SET comparison = 'below' WHERE subsystem = 'dust' AND key = 'pm25_high';
SELECT throws_ok($$SELECT onemap.alarm_rule_change('{"subsystem": "dust", "rule": "pm25_high", "clear_threshold": 119}')$$, 'CH013',
    'alarm rule dust.pm25_high: opens below 120, so it cannot end at 119 already', 'the other way round');

-- Departments and catalogue.
SELECT results_eq($$SELECT code, parent, active FROM onemap.department_export_table('{}')$$,
    $$VALUES ('below', 'north', 'no'), ('north', NULL, 'yes'), ('south', NULL, 'yes')$$, 'the file of departments');
SELECT is((SELECT array_agg(d.code) FROM onemap.department_list_table('{}') d), '{north,south}', 'the list has the active ones');
SELECT is(jsonb_array_length(onemap.department_list_json('{"all": true}')), 3, 'or all');
SELECT throws_ok($$SELECT * FROM onemap.catalogue_export_table('{}')$$, 'P0001',
    'there is no catalogue of categories yet: nothing to export', 'nothing to export');
SELECT is(onemap.case_catalogue_check('[]'), '{"problems": [{"line": 1, "problem": "the file has no conditions"}]}',
    'an empty catalogue');
SELECT is(onemap.department_check('[]'), '{"problems": [{"line": 1, "problem": "the file has no departments"}]}', 'no departments');
-- Who sees a department's rows, sees those of all below it: in a circle each would see the others'.
CREATE FUNCTION pg_temp.circles(parents text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(p->>'line' || ' ' || (p->>'problem'), '; ' ORDER BY n) FROM jsonb_array_elements(onemap.department_check((
        SELECT jsonb_agg(jsonb_build_object('line', o.n, 'code', chr(96 + o.n::int), 'name', '单位' || o.n, 'kind', 'county', 'parent', o.parent,
            'schedule', (SELECT min(s.schedule) FROM onemap.office_schedule s), 'active', 'yes'))
        FROM string_to_table(parents, ',') WITH ORDINALITY AS o (parent, n)))->'problems') WITH ORDINALITY e (p, n) $$;
SELECT is(pg_temp.circles('b,c,a,a,'), '1 parent: from b upwards the departments come back to a itself; 2 parent: from c upwards the departments come back to b itself; '
    '3 parent: from a upwards the departments come back to c itself', 'three departments below each other; one that hangs on them is not at fault');
SELECT is(pg_temp.circles('b,c,d,,d'), NULL, 'lines that end are right');
SELECT is(onemap.catalogue_versions_json('{}'), '[]', 'no versions');

-- Calendar.
SELECT is((SELECT count(*)::int FROM onemap.calendar_days('{"year": 2026}') d WHERE d.kind = 'holiday'), 33, 'holidays of 2026');
SELECT is((SELECT count(*)::int FROM onemap.calendar_days('{"year": 2028, "all": true}')), 366, 'every day of a leap year');
SELECT is(onemap.calendar_export_json('{"year": 2026}')->0->'holidays'->1,
    '{"name": "春节", "first_day": "2026-02-15", "last_day": "2026-02-23"}',
    'a holiday is the days without a gap');
SELECT is((SELECT array_agg(n->>'source' ORDER BY n->>'source')
    FROM jsonb_array_elements(onemap.calendar_export_json('{"year": 2022}')) n),
    '{国办发明电〔2021〕11号,国办发明电〔2022〕16号}', 'notices of two years touch one');
SELECT is((SELECT o.season FROM onemap.calendar_office_table('{"schedule": "seasonal"}') o WHERE o.opens = '15:00'),
    '06-01 to 09-30', 'a season');
SELECT is((SELECT array_agg(DISTINCT o.departments) FROM onemap.calendar_office_table('{"schedule": "standard"}') o), '{1}',
    'how many active departments keep the hours');
SELECT is((SELECT array_agg(onemap.calendar_office_problem(o)) FROM jsonb_array_elements(onemap.calendar_office_json('{}')) o),
    ARRAY[NULL, NULL], 'nothing is wrong with those that are there');
SELECT is(onemap.calendar_office_problem('[]'), 'must be an object', 'a list is no office hours');

-- Quarantine.
INSERT INTO onemap.quarantine (received_at, subsystem, vendor, kind, topic, payload, code, reason, problems, record_count)
VALUES ('2026-11-23 16:00Z', 'dust', 'acme', 'telemetry', 't', '\x0001', 'c', 'r',
    '[{"index": 2, "code": "c", "reason": "r"}, {"index": 1, "code": "d", "reason": "s"}]', 3);
SELECT is((SELECT string_agg(f.fact || '=' || f.value, '; ')
    FROM onemap.quarantine_show_facts(jsonb_build_object('id', onemap.quarantine_last_id())) f
    WHERE f.fact NOT IN ('id')), 'received=2026-11-24 00:00:00.000; topic=t; code=c; reason=r; records=3; replayed=0; '
    || E'problems=record 1: d: s\nrecord 2: c: r; payload=2 bytes',
    'a message for people');
SELECT is((SELECT m.payload FROM onemap.quarantine_message(onemap.quarantine_last_id()) m), '\x0001'::bytea, 'its payload');
SELECT throws_ok('SELECT * FROM onemap.quarantine_message(999999)', 'P0002',
    'the quarantine has no message 999999', 'one that is not there');
SELECT is((SELECT array_agg(i) FROM onemap.quarantine_ids('{"vendor": "acme", "limit": 1}') i),
    ARRAY[onemap.quarantine_last_id()], 'ids');

-- Who may call them: the hub all, readers those that change nothing, the API none: it has the rules.
CREATE TEMP TABLE ours AS SELECT p.oid, p.proname::text AS name FROM pg_catalog.pg_proc p
WHERE p.pronamespace = 'onemap'::regnamespace AND NOT p.prosecdef AND p.proname ~
    '^(county_time|calendar_.*|.*_(table|json|facts|show_journal|words|rule_change|change_check|ids|last_id|message)'
    '|.*_(is_known|do_now))$'
    AND p.proname !~ '^http_' AND p.proname NOT IN ('series_json', 'track_json', 'calendar_extend', 'calendar_notice_apply', 'calendar_notice_replace', 'case_clock_json', 'simulation_facts');
SELECT cmp_ok((SELECT count(*)::int FROM ours), '>=', 45, 'the functions of the commands');
SELECT is((SELECT string_agg(o.name, ', ') FROM ours o WHERE NOT has_function_privilege('cityhub_hub', o.oid, 'EXECUTE')), NULL,
    'the hub may call all');
SELECT is((SELECT string_agg(o.name, ', ' ORDER BY o.name) FROM ours o
    WHERE NOT has_function_privilege('cityhub_read', o.oid, 'EXECUTE')),
    'alarm_rule_change, alarm_rule_change_check, calendar_import, calendar_office_import, calendar_office_problem, case_do_now, '
        'quarantine_message, token_list_json, token_list_table, user_list_json, user_list_table',
    'readers may call what reads, but not who has a login, nor what a message says');
SELECT * FROM finish();
ROLLBACK;
