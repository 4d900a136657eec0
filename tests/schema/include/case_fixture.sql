-- What the tests of cases share: a small county with a catalogue of its own, and functions that drive a case. Included by
-- \ir within the test's transaction.
CREATE SCHEMA test;
SELECT onemap.department_import('[
    {"line": 2, "code": "jincheng", "name": "金城街道办事处", "kind": "street", "parent": "", "schedule": "standard", "active": "yes"},
    {"line": 3, "code": "chengguan", "name": "城市管理局", "kind": "county", "parent": "", "schedule": "standard", "active": "yes"},
    {"line": 4, "code": "zhaoming", "name": "路灯管理所", "kind": "county", "parent": "chengguan", "schedule": "seasonal", "active": "yes"},
    {"line": 5, "code": "old", "name": "旧单位", "kind": "county", "parent": "", "schedule": "standard", "active": "no"}]');
SELECT onemap.case_catalogue_import(jsonb_agg(jsonb_build_object('line', t.line, 'code', t.code, 'class', t.class, 'name', t.name,
    'condition', t.condition::text, 'registration_condition', t.name, 'limit', t.amount, 'unit', t.unit, 'closing_condition', '已处置',
    'responsible', t.responsible, 'source', 'assumed')), 'test')
FROM (VALUES
    (2, '20102', '市容环境', '暴露垃圾', 1, '5', '工作时', 'chengguan @grid'),
    (3, '20103', '市容环境', '积存渣土', 1, '1', '工作日', 'chengguan'),
    (4, '20103', '市容环境', '积存渣土', 2, '2', '紧急工作时', 'chengguan'),
    (5, '20103', '市容环境', '积存渣土', 3, '1', '紧急工作日', 'chengguan'),
    (6, '20103', '市容环境', '积存渣土', 4, '2', '工作日', 'chengguan'),
    (7, '20103', '市容环境', '积存渣土', 5, '4', '工作时', 'chengguan'),
    (8, '10118', '公用设施', '路灯', 1, '5', '工作时', '@owner'),
    (9, '20301', '施工管理', '施工扰民', 1, '2', '紧急工作时', 'chengguan'),
    (10, '20302', '施工管理', '工地扬尘', 1, '4', '工作时', '@grid'))
    AS t (line, code, class, name, condition, amount, unit, responsible);
INSERT INTO onemap.grid_cell (code, department_id, geom)
SELECT '410221001001001', d.id, public.ST_Multi(public.ST_MakeEnvelope(114.7, 34.5, 114.8, 34.6, 4326))
FROM onemap.department d WHERE d.code = 'jincheng';
SELECT onemap.vendor_put('streetlight', 'lamps', '{"department": "zhaoming"}'), onemap.vendor_put('dust', 'sites', '{}');
INSERT INTO onemap.device (subsystem, vendor, code, status, component_code, geom) VALUES
    ('streetlight', 'lamps', 'L1', 'active', '4102210118000001', public.ST_SetSRID(public.ST_MakePoint(114.75, 34.55), 4326)),
    ('dust', 'sites', 'D1', 'active', NULL, public.ST_SetSRID(public.ST_MakePoint(114.76, 34.56), 4326));

CREATE FUNCTION test.report(fields jsonb DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
    SELECT onemap.case_report('{"source": "supervisor", "role": "supervisor", "actor": "张三", "title": "测试", "category": "20102", "lon": 114.75, "lat": 34.55}'
        || fields)->>'case'
$$;
-- One action on the case as it is now; reasons are given always.
CREATE FUNCTION test.act(code text, action text, role text, fields jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS $$
    SELECT onemap.case_do(jsonb_build_object('case', $1, 'action', $2, 'role', $3, 'actor', '李四', 'reason', '理由', 'version',
        (SELECT r.version FROM onemap.case_record r WHERE r.code = $1))
        || CASE WHEN $3 = 'department' THEN jsonb_build_object('unit', coalesce((SELECT d.code FROM onemap.case_record r
            JOIN onemap.department d ON d.id = r.department_id WHERE r.code = $1), 'chengguan')) ELSE '{}' END || fields)
$$;
-- What would come of an action: the state after it, or the SQLSTATE; nothing stays.
CREATE FUNCTION test.try(code text, action text, role text, fields jsonb DEFAULT '{}') RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'ZZ001', MESSAGE = test.act(code, action, role, fields)->>'state';
EXCEPTION WHEN SQLSTATE 'ZZ001' THEN RETURN SQLERRM; WHEN OTHERS THEN RETURN SQLSTATE;
END $$;
CREATE FUNCTION test.fields(action text, other text) RETURNS jsonb LANGUAGE sql AS $$
    SELECT CASE action WHEN 'classify' THEN '{"category": "20103", "condition": 1}'::jsonb WHEN 'dispatch' THEN '{"department": "chengguan"}'
        WHEN 'ask_extension' THEN '{"amount": 1}' WHEN 'merge' THEN jsonb_build_object('into', other) WHEN 'flag' THEN '{"flags": ["shirking"]}'
        WHEN 'call_back' THEN '{"satisfaction": "satisfied"}' ELSE '{}' END
$$;
-- The way to each state: action role, action role, ...
CREATE TABLE test.way (state text PRIMARY KEY, steps text[]);
INSERT INTO test.way VALUES ('reported', '{}'), ('accepted', '{accept acceptor}'), ('verifying', '{accept acceptor,ask_verify acceptor}'),
    ('verified', '{accept acceptor,ask_verify acceptor,verify supervisor}'), ('rejected', '{reject acceptor}'), ('voided', '{void registrar}'),
    ('merged', '{merge acceptor}');
INSERT INTO test.way SELECT 'registered', steps || '{register registrar}' FROM test.way WHERE state = 'accepted';
INSERT INTO test.way SELECT 'dispatched', steps || '{dispatch dispatcher}' FROM test.way WHERE state = 'registered';
INSERT INTO test.way SELECT 'suspended', steps || '{suspend leader}' FROM test.way WHERE state = 'dispatched';
INSERT INTO test.way SELECT 'handling', steps || '{handle department}' FROM test.way WHERE state = 'dispatched';
INSERT INTO test.way SELECT 'returned', steps || '{return department}' FROM test.way WHERE state = 'handling';
INSERT INTO test.way SELECT 'handled', steps || '{feed_back department}' FROM test.way WHERE state = 'handling';
INSERT INTO test.way SELECT 'checked', steps || '{check supervisor}' FROM test.way WHERE state = 'handled';
INSERT INTO test.way SELECT 'closed', steps || '{close registrar}' FROM test.way WHERE state = 'checked';
CREATE FUNCTION test.drive(state text, other text DEFAULT NULL, report jsonb DEFAULT '{}') RETURNS text LANGUAGE plpgsql AS $$
DECLARE code text := test.report(report); step text;
BEGIN
    FOREACH step IN ARRAY (SELECT w.steps FROM test.way w WHERE w.state = $1) LOOP
        PERFORM test.act(code, split_part(step, ' ', 1), split_part(step, ' ', 2), test.fields(split_part(step, ' ', 1), other));
    END LOOP;
    RETURN code;
END $$;
-- A case that reached its department at a local time, with everything before at that same moment.
CREATE FUNCTION test.at(local text) RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_build_object('at', local || '+08:00') $$;
CREATE FUNCTION test.dispatched(category text, condition int, unit text, local text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE code text := test.report(jsonb_build_object('category', category, 'condition', condition) || test.at(local));
BEGIN
    PERFORM test.act(code, 'accept', 'acceptor', test.at(local)), test.act(code, 'register', 'registrar', test.at(local)),
        test.act(code, 'dispatch', 'dispatcher', test.at(local) || jsonb_build_object('department', unit));
    RETURN code;
END $$;
CREATE FUNCTION test.local(moment timestamptz) RETURNS text LANGUAGE sql AS $$ SELECT to_char(moment AT TIME ZONE 'Asia/Shanghai', 'YYYY-MM-DD HH24:MI:SS') $$;
CREATE FUNCTION test.deadline(code text) RETURNS text LANGUAGE sql AS $$ SELECT test.local(r.deadline_at) FROM onemap.case_record r WHERE r.code = $1 $$;
CREATE FUNCTION test.last(code text) RETURNS onemap.case_event LANGUAGE sql AS $$
    SELECT e.* FROM onemap.case_event e JOIN onemap.case_record r ON r.id = e.case_id AND e.seq = r.event_count WHERE r.code = $1
$$;
-- The SQLSTATE of a statement run under a login, '' if it went well; nothing stays.
CREATE FUNCTION test.as_login(login text, statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('session_authorization', login, true);
    EXECUTE statement;
    RAISE EXCEPTION USING ERRCODE = 'ZZ001';
EXCEPTION WHEN SQLSTATE 'ZZ001' THEN RETURN ''; WHEN OTHERS THEN RETURN SQLSTATE;
END $$;
