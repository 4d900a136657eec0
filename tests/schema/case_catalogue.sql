-- The catalogue and the departments: what a file may not have, versions, and that a case keeps the one it was opened under.
BEGIN;
\ir include/case_fixture.sql
SELECT no_plan();
CREATE FUNCTION test.row(changes jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS $$
    SELECT '{"line": 2, "code": "20102", "class": "市容环境", "name": "暴露垃圾", "condition": "1", "registration_condition": "成堆垃圾", "limit": "1",
        "unit": "工作日", "closing_condition": "清除", "responsible": "chengguan @grid", "source": "assumed"}'::jsonb || changes
$$;
CREATE FUNCTION test.problems(VARIADIC rows jsonb[]) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(string_agg(p.line || ': ' || p.problem, ' / '), '') FROM onemap.case_catalogue_problems(to_jsonb($1)) p
$$;
SELECT is(test.problems(test.row()), '', 'a good row');
SELECT matches(test.problems(test.row(x.changes::jsonb)), x.problem, x.changes) FROM (VALUES
    ('{"code": "30102"}', '^2: code: '), ('{"code": "2010"}', '^2: code: '), ('{"code": null}', '^2: code: '), ('{"class": ""}', '^2: class: is empty$'),
    ('{"name": " "}', '^2: name: is empty$'), ('{"name": "暴露垃圾 "}', '^2: name: begins or ends'), ('{"registration_condition": "a\nb"}', '^2: registration_condition: begins or ends'),
    ('{"condition": "0"}', '^2: condition: '), ('{"condition": "1.0"}', '^2: condition: '), ('{"limit": "0"}', '^2: limit: '), ('{"limit": "-1"}', '^2: limit: '), ('{"limit": "1001"}', '^2: limit: '),
    ('{"limit": "1.234"}', '^2: limit: '), ('{"limit": "一"}', '^2: limit: '), ('{"unit": "小时"}', '^2: unit: must be one of '), ('{"closing_condition": ""}', '^2: closing_condition: is empty$'),
    ('{"responsible": ""}', '^2: responsible: is empty$'), ('{"responsible": "nobody"}', '^2: responsible: the county has no active department "nobody"$'),
    ('{"responsible": "old"}', '^2: responsible: the county has no active department "old"$'), ('{"responsible": "@owner @nobody"}', '"@nobody"$'), ('{"source": ""}', '^2: source: is empty$')) AS x (changes, problem);
SELECT is(test.problems(test.row(), test.row('{"line": 3}')), '3: condition: 20102/1 is there already, in line 2', 'a condition twice');
SELECT is(test.problems(test.row(), test.row('{"line": 3, "condition": "2", "name": "垃圾"}')), '3: name: 20102 is "垃圾" here and "暴露垃圾" in line 2', 'two names');
SELECT is(test.problems(test.row(), test.row('{"line": 3, "code": "20103"}')), '3: name: "暴露垃圾" is the name of 20102 too, in line 2', 'one name twice');
SELECT is(test.problems(test.row(), test.row('{"line": 3, "code": "20103", "name": "渣土", "class": "市容"}')), '3: class: 201 is "市容" here and "市容环境" in line 2', 'two names of a class');
SELECT is((SELECT string_agg(p.problem, '') FROM onemap.case_catalogue_problems('[]') p), 'the file has no conditions', 'an empty file');

CREATE TEMP TABLE early AS SELECT test.report() AS code;
SELECT is(onemap.case_catalogue_import(jsonb_build_array(test.row('{"unit": "小时"}')), '')->'imported', 'false', 'a bad file is not imported');
SELECT is(onemap.case_catalogue_current(), 1, 'at all');
SELECT is(onemap.case_catalogue_import(jsonb_build_array(test.row()), 'second') - 'problems', '{"imported": true, "version": 2, "conditions": 1, "categories": 1}', 'a good one is version 2');
SELECT is(onemap.case_catalogue_import(jsonb_build_array(test.row('{"responsible": "chengguan  @grid", "limit": "1.00"}')), '')->'unchanged', 'true', 'the same content makes none');
SELECT is((SELECT r::text FROM onemap.case_catalogue_rows(2) r), '(20102,市容环境,暴露垃圾,1,成堆垃圾,1,工作日,清除,"chengguan @grid",assumed)', 'what goes in comes out');
CREATE TEMP TABLE late AS SELECT test.report() AS code;
SELECT test.act(code, 'accept', 'acceptor') FROM (SELECT code FROM early UNION ALL SELECT code FROM late) x;
SELECT is((SELECT r.catalogue_version FROM onemap.case_record r JOIN early USING (code)), 1, 'a case keeps the version it was opened under');
SELECT is(test.try(code, 'classify', 'registrar', '{"category": "20103", "condition": 1}'), 'accepted', 'its categories too') FROM early;
SELECT is(test.try(code, 'classify', 'registrar', '{"category": "20103", "condition": 1}'), 'CH015', 'which the new version does not have') FROM late;
SELECT test.act(code, 'register', 'registrar'), test.act(code, 'dispatch', 'dispatcher', '{"department": "chengguan"}') FROM (SELECT code FROM early UNION ALL SELECT code FROM late) x;
SELECT is((SELECT string_agg(r.limit_value || r.limit_unit, ' ' ORDER BY r.id) FROM onemap.case_record r), '5work_hour 1work_day', 'each with the limit of its version');
SELECT throws_ok('UPDATE onemap.case_condition SET limit_value = 9', '42501', NULL, 'a version never changes');
SELECT throws_ok('DELETE FROM onemap.case_category', '42501', NULL, 'nor goes');

CREATE FUNCTION test.unit(changes jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS $$
    SELECT '{"line": 2, "code": "x", "name": "甲", "kind": "county", "parent": "", "schedule": "standard", "active": "yes"}'::jsonb || changes
$$;
SELECT matches((SELECT string_agg(p.line || ': ' || p.problem, ' / ') FROM onemap.department_problems(jsonb_build_array(test.unit(x.changes::jsonb))) p), x.problem, x.changes) FROM (VALUES
    ('{"code": "甲"}', '^2: code: '), ('{"name": ""}', '^2: name: '), ('{"name": "城市管理局"}', 'name of the department chengguan'), ('{"kind": "ministry"}', '^2: kind: '),
    ('{"parent": "y"}', '^2: parent: '), ('{"parent": "x"}', '^2: parent: '), ('{"schedule": "night"}', '^2: schedule: '), ('{"active": "maybe"}', '^2: active: ')) AS x (changes, problem);
SELECT is(onemap.department_import(jsonb_build_array(test.unit('{"code": "chengguan", "name": "金城街道办事处"}'), test.unit('{"line": 3, "code": "jincheng", "name": "城市管理局", "kind": "street"}'))) - 'problems',
    '{"imported": true, "departments": 2, "made_inactive": ["zhaoming"]}', 'names exchanged; who is not named is inactive');
SELECT is((SELECT string_agg(d.code || d.name, ' ') FROM onemap.department_rows() d WHERE d.active = 'yes'), 'chengguan金城街道办事处 jincheng城市管理局', 'in the order of the file');
SELECT throws_ok($$SELECT onemap.calendar_notice_put('{"holidays": []}')$$, 'CH014', NULL, 'a notice without its source');
SELECT throws_ok($$SELECT onemap.calendar_notice_put('{"source": "x", "holidays": [], "workdays": ["2025-11-24"]}')$$, 'CH014', NULL, 'a make-up workday on a Monday');
SELECT * FROM finish();
ROLLBACK;
