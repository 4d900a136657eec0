-- The county at any minute: tables that are written over, against snapshots of them taken between random changes; states, against
-- a log of all that was ever received, before and after their days are packed; lists of the API at such moments.
BEGIN;
\ir include/case_fixture.sql
\ir include/http.sql
SELECT plan(74);
SELECT setseed(0.65);

-- ---- what is kept beside ----
CREATE TEMP TABLE watched AS SELECT x.what, x.key FROM (VALUES ('device', 'id'), ('person', 'id'), ('vehicle', 'id'), ('case_record', 'id'), ('alarm', 'id'),
    ('grid_cell', 'code'), ('zone', 'id'), ('work_order', 'id'), ('work_standard', 'id'), ('department', 'id'), ('alarm_rule', 'id'), ('vendor', 'subsystem,vendor')) AS x (what, key);
CREATE FUNCTION test.columns(what text) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT a.attname || ' ' || format_type(a.atttypid, a.atttypmod) FROM pg_attribute a
    WHERE a.attrelid = ('onemap.' || what)::regclass AND a.attnum > 0 AND NOT a.attisdropped
$$;
SELECT is_empty(format('SELECT * FROM test.columns(%L) EXCEPT SELECT * FROM test.columns(%L)', w.what, w.what || '_past'),
    format('every column of %s is kept, also one that was added: ALTER TABLE onemap.%s_past too', w.what, w.what)) FROM watched w;
SELECT is((SELECT array_agg(x.x ORDER BY x.x) FROM pg_trigger t, LATERAL (SELECT concat_ws(' ', t.tgrelid::regclass, t.tgfoid::regproc, t.tgtype)) x (x)
    WHERE t.tgname IN ('past_added', 'past_changed', 'past_gone') AND t.tgenabled = 'O'),
    -- After each statement that changed (16) or deleted (8) rows; of tables that do not say when a row came, also when it comes (4).
    (SELECT array_agg(x.x ORDER BY x.x) FROM watched w CROSS JOIN (VALUES (4), (8), (16)) AS e (event),
        LATERAL (SELECT format('onemap.%1$s onemap.%1$s_past_keep %2$s', w.what, e.event)) x (x)
     WHERE e.event <> 4 OR w.what NOT IN ('device', 'alarm', 'vendor')), 'by triggers on all of them');

-- ---- random changes, and what stood between them ----
CREATE TEMP TABLE snapshot (n int, what text, at timestamptz, rows text);
CREATE TEMP TABLE answer (route text, department text, fields jsonb, at timestamptz, body jsonb);
CREATE FUNCTION test.told_then(route text, fields jsonb, department text) RETURNS jsonb LANGUAGE sql AS $$
    -- What depends on the clock, which stands still in a test, and what nobody can do in the past.
    SELECT CASE route
        WHEN 'tile' THEN (SELECT to_jsonb(encode(t.body, 'hex')) FROM onemap.http_tile(test.ask(fields, department)) t)
        WHEN 'points' THEN (SELECT jsonb_agg(jsonb_build_array(p.id, p.kind, p.state, p.department, p.geom) ORDER BY p.id) FROM onemap.point_past(fields->>'layer',
            coalesce((fields->>'at')::timestamptz, clock_timestamp()), public.ST_MakeEnvelope(114.65, 34.45, 114.8, 34.6, 4326)) p)
        -- Of what is: the views that the hub's memory is filled from.
        WHEN 'map_counts' THEN CASE WHEN fields ? 'at' THEN test.answer(route, fields, department) ELSE (
            WITH mine AS (SELECT onemap.identity_departments(test.ask('{}', department)) AS ids), device AS (
                SELECT p.id, p.kind, p.state FROM onemap.point_device p, mine m
                WHERE p.shown AND p.lon BETWEEN 114.6 AND 114.9 AND p.lat BETWEEN 34.4 AND 34.7 AND (m.ids IS NULL OR p.department = ANY (m.ids))),
            thing AS (SELECT d.kind, d.state FROM device d UNION ALL SELECT a.kind, 'alarm' FROM onemap.point_alarm a JOIN device d ON d.id = a.device)
            SELECT jsonb_build_object('subsystems', (SELECT coalesce(jsonb_agg(jsonb_build_object('subsystem', d.subsystem, 'online', d.online, 'offline', d.offline, 'alarms', d.alarms) ORDER BY d.subsystem), '[]')
                    FROM (SELECT split_part(x.kind, '/', 1) AS subsystem, count(*) FILTER (WHERE x.state = 'online') AS online, count(*) FILTER (WHERE x.state = 'offline') AS offline,
                        count(*) FILTER (WHERE x.state = 'alarm') AS alarms FROM thing x GROUP BY 1) d),
                'cases', (SELECT count(*) FROM onemap.point_case p, mine m WHERE p.shown AND p.lon BETWEEN 114.6 AND 114.9 AND p.lat BETWEEN 34.4 AND 34.7
                    AND (m.ids IS NULL OR p.department = ANY (m.ids))))) END
        ELSE test.answer(route, fields || '{"limit": 1000, "readings": false}', department, 'read alarm') - '{clock,can,as_of}'::text[] END
$$;
CREATE FUNCTION test.rows(source text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE rows text;
BEGIN
    EXECUTE 'SELECT string_agg(t::text, E''\n'' ORDER BY t::text) FROM ' || source || ' t' INTO rows;
    RETURN rows;
END $$;
CREATE FUNCTION test.point() RETURNS public.geometry LANGUAGE sql AS $$
    SELECT public.ST_SetSRID(public.ST_MakePoint(114.6 + random() * 0.3, 34.4 + random() * 0.3), 4326)
$$;
CREATE FUNCTION test.one(what text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE id bigint;
BEGIN
    EXECUTE format('SELECT t.id FROM onemap.%I t ORDER BY random() LIMIT 1', what) INTO id;
    RETURN id;
END $$;
CREATE FUNCTION test.change(n int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE dice int := floor(random() * 24); unit int := (SELECT d.id FROM onemap.department d ORDER BY random() LIMIT 1); c onemap.case_record;
BEGIN
    CASE dice
        WHEN 0, 1, 2 THEN UPDATE onemap.device d SET geom = test.point(), name_zh = '设备' || n, department_id = unit WHERE d.id = test.one('device');
        WHEN 3 THEN INSERT INTO onemap.device (subsystem, vendor, code, geom, attributes, created_at) VALUES ('dust', 'sites', 'N' || n, test.point(), '{"a": "b"}', clock_timestamp());
        WHEN 4 THEN DELETE FROM onemap.device d WHERE d.code LIKE 'N%' AND d.id = test.one('device');
        WHEN 5, 6 THEN INSERT INTO onemap.person AS p (subsystem, vendor, code, name, on_duty, observed_at, geom) VALUES ('dust', 'sites', 'P' || n % 5, '人' || n, n % 2 = 0, now(), test.point())
            ON CONFLICT (subsystem, vendor, code) DO UPDATE SET name = excluded.name, on_duty = excluded.on_duty, geom = excluded.geom;
        WHEN 7 THEN INSERT INTO onemap.vehicle AS v (subsystem, vendor, code, plate, department_id, observed_at) VALUES ('dust', 'sites', 'V' || n % 3, '豫' || n, unit, now())
            ON CONFLICT (subsystem, vendor, code) DO UPDATE SET plate = excluded.plate, department_id = excluded.department_id;
        WHEN 8 THEN INSERT INTO onemap.zone AS z (kind, code, name_zh, geom) VALUES ('other', 'Z' || n % 4, '区' || n, public.ST_Multi(public.ST_Expand(test.point(), 0.01)))
            ON CONFLICT (kind, code) DO UPDATE SET name_zh = excluded.name_zh, geom = excluded.geom;
        WHEN 9 THEN DELETE FROM onemap.zone z WHERE z.id = test.one('zone');
        WHEN 10 THEN UPDATE onemap.grid_cell g SET department_id = unit, name_zh = '网格' || n, geom = public.ST_Multi(public.ST_MakeEnvelope(114.6, 34.4, 114.9 + random() * 0.01, 34.7, 4326));
        WHEN 11 THEN INSERT INTO onemap.alarm (rule_id, device_id, opened_at, severity, value) SELECT r.id, test.one('device'), now() - n * interval '1 minute', 'major', n
            FROM (SELECT a.id FROM onemap.alarm_rule a WHERE a.subsystem = 'dust' ORDER BY random() LIMIT 1) r ON CONFLICT DO NOTHING;
        WHEN 12 THEN UPDATE onemap.alarm a SET closed_at = now(), closing_value = n, close_reason = '好' WHERE a.closed_at IS NULL AND a.id = test.one('alarm');
        WHEN 13 THEN UPDATE onemap.alarm a SET acknowledged_at = now(), acknowledged_by = 'x' || n WHERE a.acknowledged_at IS NULL;
        WHEN 14 THEN PERFORM test.report();
        WHEN 15, 16, 17 THEN INSERT INTO onemap.work_order AS w (subsystem, vendor, code, title, status, standard_id, department_id, person_id, device_id, planned_start, planned_end, observed_at)
                SELECT 'dust', 'sites', 'W' || n % 9, '活' || n, (ARRAY['PLANNED', 'STARTED', 'FINISHED', 'CANCELLED'])[1 + n % 4], (SELECT s.id FROM onemap.work_standard s ORDER BY random() LIMIT 1), unit,
                    (SELECT p.id FROM onemap.person p ORDER BY random() LIMIT 1), (SELECT d.id FROM onemap.device d WHERE d.code NOT LIKE 'N%' ORDER BY random() LIMIT 1), now() + interval '1 hour', now() + interval '2 hours', now()
            ON CONFLICT (subsystem, vendor, code) DO UPDATE SET title = excluded.title, status = excluded.status, department_id = excluded.department_id, standard_id = excluded.standard_id;
        WHEN 18 THEN INSERT INTO onemap.work_standard AS s (subsystem, code, name) VALUES ('dust', 'B' || n % 3, '标准' || n) ON CONFLICT (subsystem, code) DO UPDATE SET name = excluded.name;
        WHEN 19 THEN UPDATE onemap.department d SET name_zh = '单位' || n WHERE d.id = unit;
        WHEN 20 THEN UPDATE onemap.alarm_rule r SET name_zh = '规则' || n, source = 'GB ' || n WHERE r.id = (SELECT a.rule_id FROM onemap.alarm a ORDER BY random() LIMIT 1);
        WHEN 21 THEN UPDATE onemap.vendor v SET department_id = unit WHERE v.subsystem = 'dust' AND v.vendor = 'sites';
        WHEN 22 THEN INSERT INTO onemap.alarm (rule_id, device_id, vendor, opened_at, severity) SELECT r.id, 0, 'sites', now() - n * interval '1 minute', 'minor'
            FROM onemap.alarm_rule r WHERE r.subsystem = 'dust' AND r.key = 'vendor_silent' ON CONFLICT DO NOTHING;
        ELSE
            SELECT r.* INTO c FROM onemap.case_record r WHERE r.ended_at IS NULL ORDER BY random() LIMIT 1;
            IF c.state = 'reported' THEN PERFORM test.act(c.code, 'accept', 'acceptor');
            ELSIF c.state = 'accepted' THEN PERFORM test.act(c.code, 'register', 'registrar');
            ELSIF c.state = 'registered' THEN PERFORM test.act(c.code, 'dispatch', 'dispatcher', '{"department": "chengguan"}');
            ELSIF c.state = 'dispatched' THEN PERFORM test.act(c.code, 'handle', 'department');
            ELSIF c.state = 'handling' THEN PERFORM test.act(c.code, 'feed_back', 'department');
            END IF;
    END CASE;
END $$;
DO $$
BEGIN
    FOR n IN 1..400 LOOP
        PERFORM test.change(n);
        IF n = 200 THEN -- another edition of the catalogue, in which everything has another name
            INSERT INTO onemap.case_catalogue (version, content_sha256, conditions) SELECT max(y.version) + 1, '\x02', 0 FROM onemap.case_catalogue y;
            INSERT INTO onemap.case_category (version, code, class_zh, name_zh) SELECT k.version + 1, k.code, '新' || k.class_zh, '新' || k.name_zh FROM onemap.case_category k;
            INSERT INTO onemap.case_condition (version, category_code, number, condition_zh, limit_value, limit_unit, closing_zh, responsible, source)
            SELECT k.version + 1, k.category_code, k.number, k.condition_zh, k.limit_value, k.limit_unit, k.closing_zh, k.responsible, k.source FROM onemap.case_condition k;
        END IF;
        IF n % 5 = 0 THEN
            -- A millisecond's room on both sides: a version's end is kept to the microsecond.
            INSERT INTO snapshot (n, what, at, rows) SELECT n, w.what, m.at, test.rows('onemap.' || w.what)
            FROM watched w, (SELECT clock_timestamp() AS at) m;
        END IF;
        IF n % 40 = 0 THEN
            INSERT INTO answer (route, department, fields, at, body) SELECT r.route, u.code, r.fields, clock_timestamp(), test.told_then(r.route, r.fields, u.code)
            FROM (VALUES (NULL), ('chengguan')) u (code), (SELECT 'device' AS route, jsonb_build_object('id', test.one('device')) AS fields
                UNION ALL SELECT 'alarm', jsonb_build_object('id', test.one('alarm'), 'after', 9999999)
                UNION ALL SELECT 'map_counts', '{"box": [114.6, 34.4, 114.9, 34.7]}'
                UNION ALL SELECT 'map_cells', '{"by": "alarms"}'
                UNION ALL SELECT 'case_statistics', jsonb_build_object('by', b) FROM unnest('{state,department,category,class,grid_cell}'::text[]) b
                UNION ALL SELECT 'case', jsonb_build_object('number', (SELECT c.code FROM onemap.case_record c ORDER BY random() LIMIT 1))
                UNION ALL SELECT 'tile', jsonb_build_object('layer', l, 'z', 10, 'x', 838, 'y', 407) FROM unnest('{grid,department,zone}'::text[]) l
                UNION ALL SELECT 'points', jsonb_build_object('layer', l) FROM unnest('{device,alarm,case}'::text[]) l
                UNION ALL SELECT x, '{}' FROM unnest('{devices,people,vehicles,departments,grid_cells,zones}'::text[]) x
                UNION ALL SELECT 'work', x.fields || '{"after": 9999999}' FROM (VALUES ('{}'::jsonb), ('{"is": "met"}'), ('{"status": "started"}')) AS x (fields) UNION ALL SELECT 'devices', '{"box": [114.6, 34.4, 114.75, 34.55]}'
                UNION ALL SELECT x.route, x.fields FROM (VALUES ('alarms', '{"after": 9999999}'::jsonb), ('alarms', '{"open": true, "after": 9999999}'), ('cases', '{"after": 9999999}'),
                    ('cases', '{"state": ["registered", "handling"], "after": 9999999}')) AS x (route, fields)) r;
        END IF;
    END LOOP;
END $$;
SELECT is((SELECT count(*)::int FROM snapshot s WHERE s.rows IS DISTINCT FROM test.rows(format('onemap.%s_as_of(%L)', s.what, s.at)) AND s.what = w.what), 0,
    format('%s as it was at each of 80 moments', w.what)) FROM watched w;
SELECT cmp_ok((SELECT count(DISTINCT s.rows)::int FROM snapshot s WHERE s.what = w.what), '>', 3, format('%s did change', w.what)) FROM watched w;
SELECT is((SELECT array_agg(w.what) FROM watched w WHERE test.rows('onemap.' || w.what) IS DISTINCT FROM test.rows(format('onemap.%s_as_of(NULL)', w.what))), NULL, 'without a moment: as it is');
SELECT is((SELECT array_agg(w.what) FROM watched w WHERE test.rows(format('onemap.%s_as_of(%L)', w.what, '2020-01-01Z')) IS NOT NULL
    AND w.what NOT IN ('grid_cell', 'alarm_rule')), NULL, 'before the first there was nothing'); -- but cells, and rules that came before versions were kept

SELECT is_empty($$SELECT a.route, a.fields, a.department, a.body, t.t FROM answer a, LATERAL (SELECT test.told_then(a.route, a.fields || jsonb_build_object('at', a.at), a.department)) t (t)
    WHERE a.body IS DISTINCT FROM t.t$$, 'the API answers of those moments as it answered then, to all and to a department');
SELECT cmp_ok((SELECT count(*)::int FROM answer a WHERE length(a.body::text) > 200), '>', 60, 'it had something to say');
SELECT is((SELECT array_agg(DISTINCT a.route ORDER BY a.route) FROM answer a WHERE length(a.body::text) > CASE a.route WHEN 'map_counts' THEN 60 ELSE 200 END), '{alarm,alarms,case,case_statistics,cases,departments,device,devices,grid_cells,map_counts,people,points,tile,vehicles,work,zones}',
    'of everything');
-- Counts of cases against their journal: of each case the last event that had been written.
SELECT is_empty($$SELECT s.at, c.by, c.counted, j.counted FROM (SELECT DISTINCT x.at FROM snapshot x) s CROSS JOIN LATERAL (VALUES ('state'), ('department')) b (by),
    LATERAL (SELECT b.by, jsonb_object_agg(r->>'key', r->'figures'->'all') AS counted FROM jsonb_array_elements(test.answer('case_statistics', jsonb_build_object('by', b.by, 'at', s.at))->'rows') r) c,
    LATERAL (SELECT jsonb_object_agg(k.key, k.total) AS counted FROM (SELECT CASE b.by WHEN 'state' THEN l.to_state ELSE coalesce(l.department, '') END AS key, count(*) AS total FROM (
        SELECT DISTINCT ON (e.case_id) e.to_state, e.department FROM onemap.case_event e WHERE e.recorded_at <= s.at ORDER BY e.case_id, e.seq DESC) l GROUP BY 1) k) j
    WHERE c.counted IS DISTINCT FROM j.counted$$, 'cases are counted by state and by department as their journal had them at each of 80 moments');
SELECT results_eq($$SELECT (onemap.work_performance(w, t.at)->>'start_late_s')::int, onemap.work_is(w, 'started_late', t.at) FROM onemap.work_order w,
    LATERAL (VALUES (w.planned_start - interval '1 minute'), (w.planned_start + interval '10 minutes')) t (at) WHERE w.id = (SELECT min(x.id) FROM onemap.work_order x WHERE x.status = 'PLANNED') ORDER BY t.at$$,
    'VALUES (0, false), (600, true)', 'work is late by the moment that is asked for');
-- What point_past() has is what the hub reads of what is, and a tile of it decodes to that.
SELECT results_eq(format($$SELECT p.id::bigint, p.kind, p.state, p.department FROM onemap.point_past(%L, clock_timestamp(), public.ST_MakeEnvelope(0, 0, 180, 80, 4326)) p ORDER BY 1$$, l.l),
    format($$SELECT p.id::bigint, p.kind, p.state, nullif(p.department, 0) FROM onemap.point_%s p WHERE p.shown AND p.lon IS NOT NULL ORDER BY 1$$, l.l), l.l || ': the points are those of now')
FROM unnest('{device,case}'::text[]) l (l);
SELECT is((SELECT count(*) FROM onemap.point_past('alarm', clock_timestamp(), public.ST_MakeEnvelope(0, 0, 180, 80, 4326))),
    (SELECT count(*) FROM onemap.point_alarm p JOIN onemap.point_device d ON d.id = p.device WHERE d.lon IS NOT NULL AND d.shown), 'and open alarms at their devices');
SELECT cmp_ok((SELECT length(onemap.tile_points_past('device', z.z, floor((p.lon + 180) / 360 * 2 ^ z.z)::int, floor((1 - asinh(tand(p.lat)) / pi()) / 2 * 2 ^ z.z)::int, NULL, clock_timestamp()))
        FROM onemap.point_device p WHERE p.shown AND p.lon IS NOT NULL ORDER BY p.id LIMIT 1),
    '>', 30, 'a tile of them at zoom ' || z.z) FROM (VALUES (0), (9), (12)) z (z);
SELECT is(onemap.tile_points_past('device', 14, 0, 0, NULL, clock_timestamp()), NULL, 'and none where nothing is');
SELECT is(onemap.tile_points_past('device', 9, 419, 203, '{}', clock_timestamp()), NULL, 'nor for who sees none');
SELECT throws_ok($$SELECT test.answer('devices', jsonb_build_object('at', now() + interval '1 hour'))$$, 'CH065', NULL, 'nobody knows the future');
SELECT is(jsonb_array_length(test.answer('devices', '{"at": "2020-01-01T00:00:00Z"}')->'devices'), 0, 'before the first device there was none');
SELECT throws_ok($$SELECT test.answer('cases', '{"at": "2026-01-01T00:00:00Z", "statistic": "closed"}')$$, 'CH078', NULL, 'a statistic has its own moment');

-- ---- records: all messages, in the order of their receipt; of a key the last one known counts ----
INSERT INTO onemap.device (id, subsystem, vendor, code, kind, created_at) SELECT 900000 + n, 'dust', 'sites', 'S' || n, 'site_monitor', '2026-03-01Z' FROM generate_series(1, 4) n;
SELECT onemap.partition_ensure(d::date) FROM generate_series('2026-03-01'::timestamp, '2026-03-04', '1 day') d;
CREATE TEMP TABLE message AS
SELECT 900001 + n % 4 AS device_id, t.observed_at, t.observed_at + random() * random() * interval '20 hours' - CASE WHEN n % 5 = 0 THEN interval '4 minutes' ELSE '0' END AS received_at, -- some clocks are ahead
    ARRAY[round(random() * 100)::float8, CASE WHEN n % 3 = 0 THEN round(random() * 100)::float8 END, CASE WHEN n % 50 = 0 THEN n END] AS readings,
    CASE WHEN n % 7 = 0 THEN 1 END::bigint AS quality, CASE WHEN n % 4 = 1 AND n % 3 > 0 THEN test.point() END AS geom
FROM generate_series(1, 900) n, LATERAL (SELECT date_trunc('minute', '2026-03-01 00:00Z'::timestamptz + (random() + 0 * n) * interval '71 hours')) t (observed_at);
-- Corrections, some of them days later.
INSERT INTO message SELECT m.device_id, m.observed_at, m.received_at + random() * interval '30 hours', ARRAY[-1, CASE WHEN m.readings[2] IS NOT NULL THEN -2 END, m.readings[3]]::float8[], NULL,
    CASE WHEN m.geom IS NOT NULL THEN test.point() END FROM message m WHERE random() < 0.15;
DELETE FROM message m USING message o WHERE o.device_id = m.device_id AND o.observed_at = m.observed_at AND o.readings[1] <> -1 AND m.readings[1] <> -1 AND o.ctid < m.ctid;
INSERT INTO onemap.observation_raw (device_id, observed_at, received_at, readings, quality)
SELECT DISTINCT ON (m.device_id, m.observed_at) m.device_id, m.observed_at, m.received_at, m.readings, m.quality FROM message m ORDER BY 1, 2, m.received_at DESC;
INSERT INTO onemap.track_point_raw (device_id, observed_at, received_at, geom)
SELECT DISTINCT ON (m.device_id, m.observed_at) m.device_id, m.observed_at, m.received_at, m.geom FROM message m WHERE m.geom IS NOT NULL ORDER BY 1, 2, m.received_at DESC;
INSERT INTO onemap.observation_revision (device_id, observed_at, received_at, readings, quality)
SELECT m.device_id, m.observed_at, m.received_at, m.readings, m.quality FROM message m
WHERE EXISTS (SELECT FROM message l WHERE l.device_id = m.device_id AND l.observed_at = m.observed_at AND l.received_at > m.received_at);
INSERT INTO onemap.observation_revision (device_id, observed_at, received_at, geom)
SELECT m.device_id, m.observed_at, m.received_at, m.geom FROM message m WHERE m.geom IS NOT NULL
    AND EXISTS (SELECT FROM message l WHERE l.device_id = m.device_id AND l.observed_at = m.observed_at AND l.received_at > m.received_at);
CREATE INDEX ON message (device_id, observed_at);
ANALYZE message, onemap.observation_raw, onemap.track_point_raw, onemap.observation_revision;
-- The same from the log alone, metric by metric.
CREATE FUNCTION test.known(device int, moment timestamptz) RETURNS SETOF message LANGUAGE sql AS $$
    SELECT m.* FROM message m WHERE m.device_id = device AND m.received_at <= moment
        AND NOT EXISTS (SELECT FROM message l WHERE l.device_id = m.device_id AND l.observed_at = m.observed_at AND l.received_at <= moment AND l.received_at > m.received_at)
$$;
CREATE FUNCTION test.state(device int, moment timestamptz) RETURNS text LANGUAGE plpgsql AS $$
DECLARE last message; placed message; reading message; said text := '';
BEGIN
    SELECT * INTO last FROM test.known(device, moment) k ORDER BY k.observed_at DESC LIMIT 1;
    SELECT * INTO placed FROM test.known(device, moment) k WHERE k.geom IS NOT NULL ORDER BY k.observed_at DESC LIMIT 1;
    FOR i IN 1..3 LOOP
        SELECT * INTO reading FROM test.known(device, moment) k
        WHERE k.readings[i] IS NOT NULL AND k.observed_at >= last.observed_at - interval '1 day' ORDER BY k.observed_at DESC LIMIT 1;
        said := said || concat_ws(' ', reading.readings[i], reading.observed_at, coalesce(reading.quality, 0) & (1 << i - 1)) || ', ';
    END LOOP;
    RETURN said || concat_ws(' ', last.observed_at, greatest(placed.received_at, (SELECT max(k.received_at) FROM test.known(device, moment) k
        WHERE k.observed_at >= last.observed_at - interval '1 day')), placed.observed_at, placed.geom::text);
END $$;
CREATE FUNCTION test.told(device int, moment timestamptz) RETURNS text LANGUAGE plpgsql AS $$
DECLARE s onemap.device_state; said text := '';
BEGIN
    SELECT * INTO s FROM onemap.device_state_past(device, moment);
    FOR i IN 1..3 LOOP
        said := said || concat_ws(' ', s.readings[i], s.reading_times[i], CASE WHEN s.readings[i] IS NOT NULL OR s.device_id IS NULL THEN coalesce(s.quality, 0) & (1 << i - 1) ELSE 0 END) || ', ';
    END LOOP;
    RETURN said || concat_ws(' ', s.observed_at, s.last_seen_at, s.geom_at, s.geom::text);
END $$;
CREATE TEMP TABLE moment AS SELECT '2026-03-01 00:00Z'::timestamptz + random() * interval '100 hours' AS at FROM generate_series(1, 200);
CREATE FUNCTION test.wrong() RETURNS SETOF text LANGUAGE sql AS $$
    SELECT format('%s at %s: %s instead of %s', d.d, m.at, test.told(d.d, m.at), test.state(d.d, m.at)) FROM moment m, generate_series(900001, 900004) d (d)
    WHERE test.told(d.d, m.at) IS DISTINCT FROM test.state(d.d, m.at)
$$;
SELECT is_empty('SELECT * FROM test.wrong()', 'states at 40 moments are what had been received by then');
DO $$
BEGIN
    FOR n IN 1..40 LOOP
        PERFORM onemap.pack_step('2026-03-04', NULL, 150);
    END LOOP;
END $$;
SELECT is((SELECT count(*)::int FROM onemap.packed_day p WHERE p.state = 'packed'), 6, 'the days are packed');
SELECT is_empty('SELECT * FROM test.wrong()', 'and the states are the same');
SELECT is((SELECT count(*)::int FROM onemap.device_state_past(900001, '2026-03-01Z')), 0, 'before its first record nothing is known of a device');
-- A hub that takes records an hour ahead of its clock.
SELECT onemap.partition_ensure('2026-03-10');
INSERT INTO onemap.observation_raw (device_id, observed_at, received_at, readings) VALUES (900003, '2026-03-10 01:00Z', '2026-03-10 00:20Z', '{7}');
SELECT onemap.past_reach('2 minutes');
SELECT is(onemap.past_latest('2026-03-10 00:30Z'), '2026-03-10 00:35Z', 'a hub that takes less than others did leaves theirs known');
SELECT onemap.past_reach('1 hour');
SELECT is((onemap.device_state_past(900003, '2026-03-10 00:30Z')).readings, '{7}', 'what came by then is known, however far ahead a hub took it');
SELECT isnt((onemap.device_state_past(900003, '2026-03-10 00:19Z')).readings, '{7}', 'and not before it came');
SELECT is((SELECT count(*)::int FROM onemap.setting WHERE key = 'max_ahead' AND value::interval = '1 hour'), 1, 'it is kept');
-- Days late: the state has it, if nothing came after it.
INSERT INTO onemap.device_state (device_id, observed_at, last_seen_at) VALUES (900002, '2026-03-04Z', '2026-03-20Z');
SELECT is((onemap.device_state_past(900002, '2026-03-20 01:00Z')).last_seen_at, '2026-03-20Z', 'what came more than a day late counts for when it was heard of last');
SELECT cmp_ok((onemap.device_state_past(900002, '2026-03-19Z')).last_seen_at, '<', '2026-03-10Z', 'and not before it came');
UPDATE onemap.device_state SET last_seen_at = x.at FROM (VALUES ('2026-03-25 00:00Z'::timestamptz)) x (at) WHERE device_id = 900002;
UPDATE onemap.device_state SET last_seen_at = '2026-03-25 00:00:40Z' WHERE device_id = 900002;
UPDATE onemap.device_state SET last_seen_at = '2026-04-01Z', observed_at = '2026-04-01Z' WHERE device_id = 900002;
SELECT is((SELECT string_agg(concat_ws(' ', h.device_id, h.until_at - h.since_at), ', ') FROM onemap.heard_past h), '900002 00:00:40', 'what is late is kept in one piece, what is new is no part of it');
SELECT is((onemap.device_state_past(900002, '2026-03-26Z')).last_seen_at, '2026-03-25 00:00:40Z', 'and is known when something newer has come since');
SELECT onemap.past_forget('2026-03-27Z') > 0 AS forgotten;
SELECT is((SELECT count(*)::int FROM onemap.heard_past), 0, 'until the past is forgotten');
DELETE FROM onemap.past_kept;
DELETE FROM onemap.device_state WHERE device_id = 900002;

-- ---- online and offline ----
INSERT INTO onemap.device_state (device_id, observed_at, last_seen_at, changed_at) VALUES (900001, now(), now(), '2026-03-02 00:00Z');
UPDATE onemap.device_state s SET online = false, changed_at = now() WHERE s.device_id = 900001;
INSERT INTO snapshot (n, what, at) VALUES (1, 'offline', clock_timestamp());
SELECT is((SELECT string_agg(x.online::text, ' ' ORDER BY t.at) FROM (VALUES ('2026-03-03 12:00Z'::timestamptz), (clock_timestamp())) t (at), onemap.device_state_past(900001, t.at) x),
    'true false', 'a silent device was online until it was found silent');
SELECT is((SELECT string_agg((test.answer('states', jsonb_build_object('at', t.at, 'text', 'S1', 'limit', 1))->'states'->0->>'state'), ' ' ORDER BY t.at)
    FROM (VALUES ('2026-02-01 12:00Z'::timestamptz), ('2026-03-03 12:00Z'), (clock_timestamp())) t (at)), 'online offline', 'and the API says so');

-- ---- the departments that were below one ----
INSERT INTO snapshot (n, what, at) VALUES (1, 'no bureau', clock_timestamp());
INSERT INTO onemap.department (code, name_zh, kind) VALUES ('bureau', '局', 'county'), ('section', '科', 'county');
UPDATE onemap.department d SET parent_id = (SELECT u.id FROM onemap.department u WHERE u.code = 'bureau') WHERE d.code = 'section';
UPDATE onemap.device d SET department_id = (SELECT u.id FROM onemap.department u WHERE u.code = 'section') WHERE d.id = 900001;
INSERT INTO snapshot (n, what, at) VALUES (2, 'below it', clock_timestamp());
UPDATE onemap.department d SET parent_id = NULL WHERE d.code = 'section';
INSERT INTO snapshot (n, what, at) VALUES (3, 'no longer', clock_timestamp());
SELECT is((SELECT string_agg(coalesce(test.list(test.answer('devices', jsonb_build_object('at', s.at, 'department', 'bureau', 'limit', 100))->'devices'), 'none'), ', ' ORDER BY s.n)
    FROM snapshot s WHERE s.what IN ('no bureau', 'below it', 'no longer')), 'none, S1, none', 'a department''s devices at a moment are those of the departments that were below it then');
SELECT is(test.list(test.answer('devices', '{"department": "section"}')->'devices'), 'S1', 'and now those of the ones that are');

-- ---- what is past its retention ----
SELECT cmp_ok(onemap.past_forget(clock_timestamp()), '>', 100, 'old versions go');
SELECT throws_ok($$SELECT test.answer('devices', '{"at": "2026-03-03T00:00:00Z"}')$$, 'CH065', NULL, 'and cannot be asked for');
SELECT * FROM finish();
ROLLBACK;
