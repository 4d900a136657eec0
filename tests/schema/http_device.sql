-- Routes of devices: filters against plain predicates, pages while rows change, who sees what, one device, metrics, CSV.
BEGIN;
\ir include/case_fixture.sql
\ir include/http.sql
SELECT plan(99);
SELECT setseed(0.42);
INSERT INTO onemap.device (subsystem, vendor, code, name_zh, kind, status, department_id, geom)
SELECT x.subsystem, x.vendor, x.subsystem || '-' || n, CASE WHEN n % 7 = 0 THEN '人民路' || n || '号' ELSE '公园' || n END,
    CASE WHEN n % 3 > 0 THEN (SELECT min(k.key) FROM onemap.device_kind k WHERE k.subsystem = x.subsystem) END, CASE WHEN n % 17 = 0 THEN 'retired' ELSE 'active' END,
    (SELECT d.id FROM onemap.department d WHERE d.code = ('{jincheng,chengguan,zhaoming}'::text[])[1 + n % 4]),
    CASE WHEN n % 5 > 0 THEN public.ST_SetSRID(public.ST_MakePoint(114.6 + random() * 0.3, 34.4 + random() * 0.3), 4326) END
FROM generate_series(1, 300) n, LATERAL (SELECT CASE WHEN n % 2 = 0 THEN 'dust' ELSE 'streetlight' END AS subsystem,
    CASE WHEN n % 2 = 0 THEN 'sites' ELSE 'lamps' END AS vendor) x;
INSERT INTO onemap.device_state (device_id, observed_at, last_seen_at, online, readings, reading_times, quality, geom, geom_at)
SELECT d.id, now(), now(), d.id % 4 > 0, '{11,2000}', ARRAY[now(), now()], 2,
    CASE WHEN d.id % 11 = 0 THEN public.ST_SetSRID(public.ST_MakePoint(114.6 + random() * 0.3, 34.4 + random() * 0.3), 4326) END, now()
FROM onemap.device d WHERE d.id % 6 > 0;
INSERT INTO onemap.alarm (rule_id, device_id, opened_at, closed_at, severity)
SELECT r.id, d.id, now() - interval '1 hour', CASE WHEN d.id % 2 = 0 THEN now() END, 'major'
FROM onemap.device d, LATERAL (SELECT min(a.id) AS id FROM onemap.alarm_rule a WHERE a.subsystem = d.subsystem) r WHERE d.id % 13 = 0;
ANALYZE onemap.device, onemap.device_state, onemap.alarm;

-- ---- each filter finds what its words say, alone and with others, for all and for a department ----
CREATE TABLE test.filter (name text, field jsonb, condition text);
INSERT INTO test.filter VALUES
    ('all', '{}', 'true'), ('subsystem', '{"subsystem": "dust"}', 'd.subsystem = ''dust'''), ('vendor', '{"vendor": "lamps"}', 'd.vendor = ''lamps'''),
    ('kind', (SELECT jsonb_build_object('kind', min(k.key)) FROM onemap.device_kind k WHERE k.subsystem = 'dust'), 'd.kind = (SELECT min(k.key) FROM onemap.device_kind k WHERE k.subsystem = ''dust'')'),
    ('department', '{"department": "chengguan"}', 'u.code IN (''chengguan'', ''zhaoming'')'), ('cell', '{"grid_cell": "410221001001001"}', 'd.grid_cell = ''410221001001001'''),
    ('box', '{"box": [114.65, 34.45, 114.75, 34.55]}', 'public.ST_X(coalesce(s.geom, d.geom)) BETWEEN 114.65 AND 114.75 AND public.ST_Y(coalesce(s.geom, d.geom)) BETWEEN 34.45 AND 34.55'),
    ('far box', '{"box": [114.65, 34.45, 114.6, 34.55]}', 'NOT (public.ST_X(coalesce(s.geom, d.geom)) > 114.6 AND public.ST_X(coalesce(s.geom, d.geom)) < 114.65) AND public.ST_Y(coalesce(s.geom, d.geom)) BETWEEN 34.45 AND 34.55'),
    ('area', '{"area": [114.65, 34.45, 114.85, 34.45, 114.75, 34.65]}', 'public.ST_Y(coalesce(s.geom, d.geom)) >= 34.45 AND public.ST_Y(coalesce(s.geom, d.geom)) - 34.45 <= 2 * least(public.ST_X(coalesce(s.geom, d.geom)) - 114.65, 114.85 - public.ST_X(coalesce(s.geom, d.geom)))'),
    ('online', '{"state": "online"}', 's.online AND d.status <> ''retired'''), ('offline', '{"state": "offline"}', 'NOT s.online AND d.status <> ''retired'''), ('never', '{"state": "never"}', 's.device_id IS NULL AND d.status <> ''retired'''), ('away', '{"state": "away"}', 's.online IS NOT TRUE AND d.status <> ''retired'''),
    ('in use', '{"state": "in_use"}', 'd.status <> ''retired'''), ('alarm', '{"state": "alarm"}', 'd.id % 26 = 13'), ('street', '{"text": "民路"}', 'd.name_zh LIKE ''%民路%'''), ('part of a code', '{"text": "Light-1"}', 'd.code LIKE ''%light-1%'''),
    ('two words', '{"text": "路1 号"}', 'd.name_zh LIKE ''%路1%'' AND d.name_zh LIKE ''%号%'''), ('signs', '{"text": "%_"}', 'false'), ('component', '{"text": "4102210118"}', 'd.component_code LIKE ''4102210118%''');
CREATE FUNCTION test.wanted(condition text, department text) RETURNS int[] LANGUAGE plpgsql AS $$
DECLARE ids int[];
BEGIN
    EXECUTE 'SELECT array_agg(d.id ORDER BY d.id) FROM onemap.device d LEFT JOIN onemap.device_state s ON s.device_id = d.id LEFT JOIN onemap.department u ON u.id = d.department_id
        WHERE (' || condition || ') AND ($1 IS NULL OR u.code = $1 OR u.parent_id = (SELECT p.id FROM onemap.department p WHERE p.code = $1))' INTO ids USING department;
    RETURN coalesce(ids, '{}');
END $$;
SELECT is(onemap.http_device_ids(test.ask(f.field), 1000), test.wanted(f.condition, NULL), 'filter: ' || f.name) FROM test.filter f;
SELECT is(onemap.http_device_ids(test.ask(f.field, 'chengguan'), 1000), test.wanted(f.condition, 'chengguan'), 'for a department: ' || f.name) FROM test.filter f;
SELECT cmp_ok((SELECT count(*)::int FROM test.filter f WHERE cardinality(test.wanted(f.condition, 'chengguan')) BETWEEN 1 AND 150), '>', 10, 'they find something');
SELECT is((SELECT count(*)::int FROM test.filter a JOIN test.filter b ON a.name < b.name AND hashtext(a.name || b.name) % 3 = 0 AND NOT a.field ?| ARRAY(SELECT jsonb_object_keys(b.field))
    WHERE onemap.http_device_ids(test.ask(a.field || b.field, 'chengguan'), 1000) IS DISTINCT FROM test.wanted('(' || a.condition || ') AND (' || b.condition || ')', 'chengguan')), 0, 'two of them together');
-- What the map counts is what the list has, wherever it is on it.
SELECT results_eq(format($$SELECT c->>'subsystem', (c->>'online')::int, (c->>'offline')::int FROM jsonb_array_elements(test.answer('map_counts', jsonb_build_object('at', clock_timestamp()), %1$L)->'subsystems') c ORDER BY 1$$, d.d),
    format($$SELECT s.s, cardinality(onemap.http_device_ids(test.ask(f.f || '{"state": "online"}', %1$L), 1000)), cardinality(onemap.http_device_ids(test.ask(f.f || '{"state": "away"}', %1$L), 1000))
        FROM unnest('{dust,streetlight}'::text[]) s (s), LATERAL (SELECT jsonb_build_object('subsystem', s.s, 'box', '[-180, -90, 180, 90]'::jsonb) || x.x FROM (VALUES ('{}'::jsonb), (jsonb_build_object('at', clock_timestamp()))) x (x) ORDER BY x.x::text LIMIT 1) f (f) ORDER BY 1$$, d.d),
    'a number of the map opens its list') FROM (VALUES (NULL), ('chengguan')) d (d);
SELECT results_eq(format($$SELECT v->>'vendor', (v->>'devices')::int, (v->>'online')::int FROM jsonb_array_elements(test.answer('vendors', '{}', %1$L)->'vendors') v ORDER BY 1$$, d.d),
    format($$SELECT v.vendor, cardinality(onemap.http_device_ids(test.ask(f.f || '{"state": "in_use"}', %1$L), 1000)), cardinality(onemap.http_device_ids(test.ask(f.f || '{"state": "online"}', %1$L), 1000))
        FROM onemap.http_vendor_rows(test.ask('{}', %1$L)) v, LATERAL (SELECT jsonb_build_object('subsystem', v.subsystem, 'vendor', v.vendor)) f (f) ORDER BY 1$$, d.d),
    'a vendor''s number of devices opens its list') FROM (VALUES (NULL), ('chengguan')) d (d);
-- Of logins that the broker refused vendors' are told by name; the rest is counted, for who sees all.
SELECT lives_ok(format($$SELECT onemap.broker_refused(%L) FROM generate_series(1, 2)$$, replace('{"refused": [{"login": "lamps", "count": 3, "first_ms": 1000, "last_ms": NOW, "address": "10.0.0.1", "client_id": "lamps-1", "reason": "password"},
    {"login": "secret", "count": 2, "first_ms": 1000, "last_ms": 2000, "address": "10.0.0.2", "client_id": "x", "reason": "password"},
    {"login": "", "count": 5, "first_ms": 1000, "last_ms": NOW, "address": "10.0.0.3", "client_id": "y", "reason": "client_id"}]}', 'NOW', onemap.http_ms(now() - interval '1 day')::text)), 'a report that comes twice');
SELECT is((SELECT string_agg(concat_ws(' ', l.login, l.refused, l.reason, l.address, l.client_id), ', ' ORDER BY l.login) FROM onemap.login_refusal l), ' 7 client_id 10.0.0.3 y, lamps 3 password 10.0.0.1 lamps-1', 'is one');
SELECT is((SELECT string_agg(concat_ws(' ', d.d, a->'unknown_logins'->>'count', (SELECT string_agg(v->'refused'->>'count' || (v->'refused'->>'reason_zh'), ',') FROM jsonb_array_elements(a->'vendors') v)), '; ' ORDER BY d.d)
    FROM (VALUES ('all', NULL), ('one', 'chengguan')) d (d, s), LATERAL (SELECT test.answer('vendors', '{}', d.s) AS a) x), 'all 7 3口令不对; one 3口令不对', 'who is told: of its own');
SELECT lives_ok($$SELECT onemap.broker_refused('{"refused": [{"login": "sites", "count": 1, "first_ms": 1, "last_ms": 1, "address": "", "client_id": "", "reason": "password"}]}')$$, 'one of long ago');
SELECT is((SELECT count(*)::int FROM onemap.login_refusal WHERE login = 'sites'), 0, 'is forgotten');
SELECT is(onemap.http_device_ids(test.ask('{}', 'old'), 1000), '{}', 'a department without devices sees none');
SELECT throws_ok($$SELECT * FROM onemap.http_devices('{"limit": 1, "after": 0}')$$, 'CH060', NULL, 'nobody sees nothing');
SELECT throws_ok(format('SELECT test.answer(%L, %L)', 'devices', f.f), 'CH013', NULL, f.f) FROM unnest('{"{\"subsystem\": \"fire\"}","{\"department\": \"moon\"}","{\"grid_cell\": \"000000000000000\"}","{\"text\": \"a b\"}","{\"kind\": \"moon\"}","{\"vendor\": \"moon\"}"}'::text[]) f (f);

SELECT throws_ok(format('SELECT test.answer(%L, %L)', 'devices', jsonb_build_object('area', a.a::jsonb)), 'CH042', NULL, 'no area: ' || a.a)
FROM unnest('{"[1, 2]","[1, 2, 3, 4, 5]","[1, 2, 3, 4, 5, 6, 7]","[1, 1, 2, 2, 3, 3]","[1, 1, 2, 99, 3, 3]"}'::text[]) a (a);
SELECT ok(public.ST_Equals(onemap.http_where('{"box": [0, 0, 1, 1], "area": [0.5, 0, 5, 0, 5, 1, 0.5, 1]}'), public.ST_MakeEnvelope(0.5, 0, 1, 1, 4326)), 'a box and an area: what is in both');

-- ---- pages: what is there all the time comes once, whatever else comes and goes ----
CREATE FUNCTION test.walk() RETURNS int[] LANGUAGE plpgsql AS $$
DECLARE page jsonb; found int[] := '{}'; after int := 0;
BEGIN
    WHILE after IS NOT NULL LOOP
        page := test.answer('devices', jsonb_build_object('limit', 7, 'after', after));
        found := found || ARRAY(SELECT (d->>'id')::int FROM jsonb_array_elements(page->'devices') d);
        after := (page->>'next')::int;
        INSERT INTO onemap.device (subsystem, vendor, code) VALUES ('gas', 'pipes', 'new-' || cardinality(found));
        DELETE FROM onemap.device d WHERE d.code = 'new-' || cardinality(found) - 7;
        UPDATE onemap.device d SET name_zh = d.name_zh || '.' WHERE d.id = found[1];
        EXIT WHEN cardinality(found) > 400;
    END LOOP;
    RETURN found;
END $$;
SELECT onemap.vendor_put('gas', 'pipes', '{}');
SELECT array_agg(d.id ORDER BY d.id) AS there FROM onemap.device d \gset
SELECT ok(f.f @> :'there'::int[] AND cardinality(f.f) = (SELECT count(DISTINCT x) FROM unnest(f.f) x), 'a walk finds all, each once') FROM (SELECT test.walk() AS f) f;
SELECT is(test.answer('devices', '{"text": "公园2", "limit": 1000}')->'next', 'null', 'the last page says so');

-- ---- one device ----
SELECT d.id AS lamp FROM onemap.device d WHERE d.code = 'L1' \gset
UPDATE onemap.device d SET department_id = (SELECT u.id FROM onemap.department u WHERE u.code = 'zhaoming') WHERE d.id = :lamp;
INSERT INTO onemap.device_state (device_id, observed_at, last_seen_at, readings, reading_times, quality) VALUES (:lamp, now(), now(), '{225,900}', ARRAY[now(), now()], 2)
ON CONFLICT (device_id) DO UPDATE SET readings = excluded.readings, reading_times = excluded.reading_times, quality = excluded.quality;
SELECT test.report('{"lon": 114.7503, "lat": 34.55}') AS near, test.report('{"lon": 114.77, "lat": 34.55}') AS far, test.report(jsonb_build_object('category', '10118', 'component_code', '4102210118000001')) AS own \gset
INSERT INTO onemap.work_order (subsystem, vendor, code, status, device_id, observed_at, department_id)
SELECT 'streetlight', 'lamps', 'W' || n, 'PLANNED', :lamp, now() + n * interval '1 minute', u.id FROM generate_series(1, 7) n
    LEFT JOIN onemap.department u ON u.code = CASE WHEN n = 7 THEN 'jincheng' ELSE 'zhaoming' END;
SELECT test.answer('device', jsonb_build_object('id', :lamp)) AS shown, test.answer('device', jsonb_build_object('id', :lamp), 'zhaoming') AS own_view \gset
SELECT is((:'shown'::jsonb->>'code', :'shown'::jsonb->>'department', :'shown'::jsonb->>'subsystem_zh', :'shown'::jsonb->>'grid_cell')::text, '(L1,zhaoming,智慧路灯,410221001001001)', 'what it is and whose');
SELECT is((SELECT r->>'quality' FROM jsonb_array_elements(:'shown'::jsonb->'readings') r OFFSET 1 LIMIT 1), 'out_of_range', 'a reading beyond its range says so');
SELECT is((SELECT r->>'quality' || (r->>'unit') FROM jsonb_array_elements(:'shown'::jsonb->'readings') r LIMIT 1), 'good' || (SELECT m.unit FROM onemap.metric m WHERE m.subsystem = 'streetlight' AND m.ordinal = 1), 'another one is good, with its unit');
SELECT ok(test.list(:'shown'::jsonb->'cases', 'case') LIKE '%' || :'near' || '%' AND test.list(:'shown'::jsonb->'cases', 'case') NOT LIKE '%' || :'far' || '%', 'cases within 100 m, not beyond');
SELECT is(test.list(:'shown'::jsonb->'work'), 'W7 W6 W5 W4 W3', 'the last work');
SELECT is(test.list(:'own_view'::jsonb->'work'), 'W6 W5 W4 W3 W2', 'of the own department for who sees no other');
SELECT is(:'own_view'::jsonb->'cases', '[]', 'cases that are not its own are not told to a department');
SELECT test.act(:'near', 'accept', 'acceptor'), test.act(:'near', 'register', 'registrar'), test.act(:'near', 'dispatch', 'dispatcher', '{"department": "zhaoming"}');
SELECT is(test.list(test.answer('device', jsonb_build_object('id', :lamp), 'zhaoming')->'cases', 'case'), :'near', 'its own are');
UPDATE onemap.device d SET attributes = '{"owner": "张三 13800000000"}' WHERE d.id = :lamp;
SELECT is(test.answer('device', jsonb_build_object('id', :lamp))->'attributes', 'null', 'what a vendor wrote freely may be of people');
SELECT is(test.answer('device', jsonb_build_object('id', :lamp), NULL, 'read alarm')->'attributes'->>'owner', '张三 13800000000', 'and is told to who acts');
UPDATE onemap.vendor v SET name_zh = '星衢照明' WHERE v.vendor = 'lamps';
SELECT onemap.terminal_add('{"protocol": "jt808", "identity": "13800000001", "subsystem": "streetlight", "vendor": "lamps", "device": "L1"}');
SELECT is(test.answer('device', jsonb_build_object('id', :lamp))->>'vendor_zh', '星衢照明', 'its vendor has a name');
SELECT is(test.answer('device', jsonb_build_object('id', :lamp, 'at', now() - interval '1 second'))->>'vendor_zh', NULL, 'which it had not before');
SELECT is(test.answer('device', jsonb_build_object('id', :lamp), NULL, x.rights)->'terminals' #>> '{0,identity}', x.told, x.rights || ': which terminal speaks for it') FROM (VALUES ('read', NULL), ('read command', '13800000001'))
    x (rights, told);
SELECT is(test.answer('device', jsonb_build_object('id', :lamp), 'jincheng'), NULL, 'another department''s device is not there');
SELECT is(test.answer('device', '{"id": 2147483647}'), NULL, 'as one that is none');

-- ---- one device: the ranges of its readings, the limits that make them, its alarms ----
SELECT onemap.alarm_rule_default('streetlight', r.key, r.rule || '{"metric": "current_a", "duration_s": 60, "severity": "minor"}')
FROM (VALUES ('t_above', '{"name_zh": "电流高", "above": 40, "source": "assumed"}'::jsonb),
    ('t_above_cabinet', '{"name_zh": "回路电流高", "device_kind": "cabinet", "above": 30, "source": "fuse", "source_zh": "熔断"}'),
    ('t_below', '{"name_zh": "电流低", "below": 1, "source": "assumed"}'),
    ('t_below_cabinet', '{"name_zh": "回路电流低", "device_kind": "cabinet", "below": 2, "source": "assumed"}'),
    ('t_off', '{"name_zh": "不用", "above": 20, "source": "assumed"}')) AS r (key, rule);
UPDATE onemap.alarm_rule r SET enabled = false WHERE r.key = 't_off';
INSERT INTO onemap.device (subsystem, vendor, code, kind, status)
SELECT 'streetlight', 'lamps', 'K-' || k.k, k.k, 'active' FROM unnest('{lamp,cabinet}'::text[]) k (k);
INSERT INTO onemap.device_state (device_id, observed_at, last_seen_at, readings, reading_times, quality)
SELECT d.id, now(), now(), '{NULL,NULL,NULL,NULL,35}', ARRAY[NULL, NULL, NULL, NULL, now()], 0
FROM onemap.device d WHERE d.code LIKE 'K-%';
CREATE FUNCTION test.page(kind text, at timestamptz DEFAULT NULL) RETURNS jsonb LANGUAGE sql AS $$
    SELECT test.answer('device', jsonb_strip_nulls(jsonb_build_object('id', d.id, 'at', at)))
    FROM onemap.device d WHERE d.code = 'K-' || page.kind $$;
SELECT is((SELECT concat_ws(' ', r->'key', r->'value', r->'minimum', r->'maximum', r->'normal_low', r->'normal_high',
        test.list(r->'limits', 'rule')) FROM jsonb_array_elements(test.page(x.kind)->'readings') r), x.wanted, x.why)
FROM (VALUES ('lamp', '"current_a" 35 0 400 1 40 t_above t_below', 'what can be, what is normal, and by which rules in use'),
    ('cabinet', '"current_a" 35 0 400 2 30 t_above t_above_cabinet t_below t_below_cabinet', 'the narrowest, with its kind''s'))
    AS x (kind, wanted, why);
SELECT is(test.page('cabinet')->'readings'->0->'limits'->1, '{"rule": "t_above_cabinet", "name_zh": "回路电流高",
    "device_kind": "cabinet", "comparison": "above", "threshold": 30, "duration_s": 60, "severity": "minor", "source": "fuse",
    "source_zh": "熔断"}', 'a limit in full');
SELECT clock_timestamp() AS before \gset
INSERT INTO onemap.alarm (rule_id, device_id, opened_at, closed_at, acknowledged_at, severity, value)
SELECT r.id, d.id, now() - a.opened, now() - a.closed, now() - a.acknowledged, 'major', a.value
FROM (VALUES ('t_above_cabinet', interval '5 minutes', NULL::interval, interval '1 minute', 35),
    ('t_below', '6 minutes', '5 minutes', NULL, 0), ('t_above', '9 minutes', NULL, NULL, 41))
    AS a (key, opened, closed, acknowledged, value) JOIN onemap.alarm_rule r ON r.key = a.key
    JOIN onemap.device d ON d.code = 'K-cabinet';
SELECT is(test.list(test.page(x.kind, x.at)->'alarms', 'rule'), x.wanted, x.why)
FROM (VALUES ('cabinet', NULL, 't_above_cabinet t_above', 'its open alarms, the newest first'),
    ('cabinet', clock_timestamp(), 't_above_cabinet t_above', 'those of a moment'),
    ('cabinet', :'before', NULL, 'before, there were none'), ('lamp', NULL, NULL, 'another has none')) AS x (kind, at, wanted, why);
SELECT is(test.page('cabinet')->'alarms'->0, (SELECT jsonb_build_object('id', a.id, 'rule', 't_above_cabinet',
        'name_zh', '回路电流高', 'severity', 'major', 'opened_at', now() - interval '5 minutes', 'value', 35,
        'acknowledged_at', now() - interval '1 minute')
    FROM onemap.alarm a JOIN onemap.alarm_rule r ON r.id = a.rule_id WHERE r.key = 't_above_cabinet'), 'an alarm in full');

-- ---- metrics and their limits ----
UPDATE onemap.alarm_rule r SET threshold = 150, clear_threshold = 100, enabled = true WHERE r.subsystem = 'dust' AND r.metric = 'pm10_ug_m3' AND r.kind = 'threshold';
SELECT is((SELECT m->'normal_high' FROM jsonb_array_elements(test.answer('metrics', '{"subsystem": "dust"}')->'metrics') m WHERE m->>'key' = 'pm10_ug_m3'),
    (SELECT CASE WHEN count(*) > 0 THEN '150'::jsonb ELSE 'null' END FROM onemap.alarm_rule r WHERE r.subsystem = 'dust' AND r.metric = 'pm10_ug_m3' AND r.kind = 'threshold' AND r.comparison = 'above'), 'the normal range ends where a rule objects');
SELECT is(jsonb_array_length(test.answer('metrics')->'metrics'), (SELECT count(*)::int FROM onemap.metric), 'all of them');

-- ---- CSV ----
UPDATE onemap.device d SET name_zh = '=1+1, "x"' WHERE d.id = :lamp;
SELECT is((SELECT array_agg(c ORDER BY n) FROM onemap.http_devices_csv(test.ask('{"bom": true, "text": "L1 4102210118"}')) WITH ORDINALITY x (c, n)),
    ARRAY[E'\ufeffid,subsystem,vendor,code,kind,name_zh,status,lon,lat,grid_cell,department,department_zh,state,last_seen_at,alarms\r\n',
        format(E'%s,streetlight,lamps,L1,,"''=1+1, ""x""",active,114.75,34.55,410221001001001,zhaoming,路灯管理所,%s,%s,0\r\n', :lamp,
        (SELECT onemap.http_device_state(s.online) FROM onemap.device_state s WHERE s.device_id = :lamp), onemap.county_time(now(), 'YYYY-MM-DD HH24:MI:SS'))],
    'a table with text that no spreadsheet calculates');
SELECT is((SELECT count(*)::int FROM onemap.http_devices_csv(test.ask('{"bom": false}', 'jincheng'))) - 1, cardinality(test.wanted('true', 'jincheng')), 'all rows of who asks, and no others');
SELECT is(array_agg(onemap.http_csv_cell(c.c)), ARRAY['''+a', '''@a', ' -1', 'a=b', '"a""b"', E'"a\nb"', '', '''=1'], 'cells') FROM unnest(ARRAY['+a', '@a', ' -1', 'a=b', 'a"b', E'a\nb', NULL, '=1']) c (c);

-- ---- what moves ----
INSERT INTO onemap.vendor (subsystem, vendor) SELECT k.subsystem, 'lorries' FROM onemap.device_kind k WHERE k.mobile ORDER BY k.subsystem, k.key LIMIT 1;
INSERT INTO onemap.device (subsystem, vendor, code, kind, status, department_id, geom)
SELECT k.subsystem, 'lorries', 'M' || n, k.key, CASE n WHEN 4 THEN 'retired' ELSE 'active' END,
    (SELECT d.id FROM onemap.department d WHERE d.code = CASE n WHEN 1 THEN 'jincheng' ELSE 'chengguan' END),
    CASE WHEN n <> 3 THEN public.ST_SetSRID(public.ST_MakePoint(114.6, 34.4), 4326) END
FROM generate_series(1, 4) n, (SELECT x.subsystem, x.key FROM onemap.device_kind x WHERE x.mobile ORDER BY x.subsystem, x.key LIMIT 1) k;
INSERT INTO onemap.device_state (device_id, observed_at, last_seen_at, geom, geom_at)
SELECT d.id, now(), now(), public.ST_SetSRID(public.ST_MakePoint(114.70000012, 34.5), 4326), '2026-03-02T00:00:00.1239Z' FROM onemap.device d WHERE d.code = 'M1';
CREATE FUNCTION test.movers(unit text DEFAULT NULL) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_agg(jsonb_build_array(d.code, m->1, m->2, m->3) ORDER BY n)
    FROM jsonb_array_elements(test.answer('map_movers', '{}', unit)->'movers') WITH ORDINALITY x (m, n) JOIN onemap.device d ON d.id = (m->>0)::int WHERE d.vendor = 'lorries' $$;
SELECT is(test.movers(), '[["M1", 114.7, 34.5, 1772409600123], ["M2", 114.6, 34.4, null]]', 'its last place and when, or where it is registered; none without a place, none retired');
SELECT is(test.movers('jincheng'), '[["M1", 114.7, 34.5, 1772409600123]]', 'a department''s are its own');
SELECT is((SELECT count(*)::int FROM jsonb_array_elements(test.answer('map_movers')->'movers') m JOIN onemap.device d ON d.id = (m->>0)::int
    LEFT JOIN onemap.device_kind k ON k.subsystem = d.subsystem AND k.key = d.kind WHERE k.mobile IS NOT TRUE), 0, 'what stands is not among them');
SELECT * FROM finish();
ROLLBACK;
