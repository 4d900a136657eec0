-- construction_waste: tipping inside and outside permitted places and their time of validity, open covers, what was tipped where.
BEGIN ISOLATION LEVEL REPEATABLE READ;
\ir include/adapter.psql
SELECT plan(36);
SELECT test_rules('construction_waste', '{cover_open, illegal_dumping}');

-- A yard from 113.60 to 113.61 E, 34.70 to 34.71 N, permitted from 2026-03-10 08:00 to before 2026-03-20 18:00 of UTC+8.
-- A building site east of it, from 113.61 (a common edge) to 113.62, always valid. A no-entry area further west.
INSERT INTO onemap.zone (kind, code, name_zh, valid_from, valid_to, geom) VALUES
    ('disposal_yard', 'Y1', '一号消纳场', '2026-03-10 08:00+08', '2026-03-20 18:00+08', public.ST_Multi(public.ST_MakeEnvelope(113.60, 34.70, 113.61, 34.71, 4326))),
    ('construction_site', 'B1', '一号工地', '-infinity', 'infinity', public.ST_Multi(public.ST_MakeEnvelope(113.61, 34.70, 113.62, 34.71, 4326))),
    ('no_entry', 'N1', '禁行区', '-infinity', 'infinity', public.ST_Multi(public.ST_MakeEnvelope(113.50, 34.70, 113.59, 34.71, 4326)));
CREATE FUNCTION public.test_zone(lon float8, lat float8, at timestamptz) RETURNS text LANGUAGE sql AS $$
    SELECT z.code FROM onemap.zone z WHERE z.id = onemap.construction_waste_zone(public.test_point(lon, lat), at)
$$;
SELECT is(test_zone(113.605, 34.705, '2026-03-15 12:00+08'), 'Y1', 'inside the yard');
SELECT is(test_zone(113.605, 34.705, '2026-03-10 07:59:59+08'), NULL, 'a second before its permit');
SELECT is(test_zone(113.605, 34.705, '2026-03-10 08:00+08'), 'Y1', 'at the beginning of its permit');
SELECT is(test_zone(113.605, 34.705, '2026-03-20 17:59:59+08'), 'Y1', 'a second before its end');
SELECT is(test_zone(113.605, 34.705, '2026-03-20 18:00+08'), NULL, 'at its end');
SELECT is(test_zone(113.615, 34.705, '2030-01-01 00:00+08'), 'B1', 'a building site may be filled');
SELECT is(test_zone(113.61, 34.705, '2026-03-15 12:00+08'), 'Y1', 'on a common edge the yard counts');
SELECT is(test_zone(113.60, 34.70, '2026-03-15 12:00+08'), 'Y1', 'a corner belongs to the yard');
SELECT is(test_zone(113.5999, 34.705, '2026-03-15 12:00+08'), NULL, 'nine metres outside');
SELECT is(test_zone(113.55, 34.705, '2026-03-15 12:00+08'), NULL, 'a no-entry area permits nothing');

SELECT test_device('construction_waste', 'truck', 'T' || n) FROM generate_series(1, 6) n;
CREATE FUNCTION public.test_truck(n int) RETURNS int LANGUAGE sql AS $$ SELECT d.id FROM onemap.device d WHERE d.code = 'T' || n $$;
CREATE FUNCTION public.test_lift(truck int, at timestamptz, place jsonb) RETURNS void LANGUAGE sql AS $$
    SELECT onemap.construction_waste_dumping_check(jsonb_build_array(
        jsonb_build_object('device_id', truck, 'observed_at_ms', extract(epoch FROM at) * 1000) || place))
$$;
SELECT test_lift(test_truck(1), '2026-03-15 12:00+08', '{"lon": 113.605, "lat": 34.705}');
SELECT is(test_open(test_truck(1)), '', 'tipping in the yard is no alarm');
SELECT test_lift(test_truck(2), '2026-03-15 12:00+08', '{"lon": 113.65, "lat": 34.705}');
SELECT results_eq(format('SELECT opened_at, (detail->>''lon'')::numeric, (detail->>''lat'')::numeric, severity FROM onemap.alarm WHERE device_id = %s', test_truck(2)),
    $$VALUES (timestamptz '2026-03-15 12:00+08', 113.65, 34.705, 'critical')$$, 'tipping outside is one, with its place');
SELECT test_lift(test_truck(2), '2026-03-15 12:00:10+08', '{"lon": 113.65, "lat": 34.705}');
SELECT is((SELECT count(*) FROM onemap.alarm WHERE device_id = test_truck(2)), 1::bigint, 'and the next record of the same tipping no other');
SELECT test_lift(test_truck(3), '2026-03-21 12:00+08', '{"lon": 113.605, "lat": 34.705}');
SELECT is(test_open(test_truck(3)), 'illegal_dumping', 'in the yard after its permit ended');

-- No place in the record: the last known one counts for two minutes to either side.
SELECT test_put(test_truck(4), '2026-03-15 12:00+08', '{"bed_lifted": 0}');
UPDATE onemap.device_state SET geom = test_point(113.65, 34.705), geom_at = '2026-03-15 12:00+08' WHERE device_id = test_truck(4);
SELECT test_lift(test_truck(4), '2026-03-15 12:02:01+08', '{}');
SELECT is(test_open(test_truck(4)), '', 'a place older than two minutes says nothing');
SELECT test_lift(test_truck(4), '2026-03-15 12:02:00+08', '{"lon": null}');
SELECT is(test_open(test_truck(4)), 'illegal_dumping', 'one of two minutes does');
SELECT lives_ok($$SELECT onemap.construction_waste_dumping_check(rows) FROM (VALUES ('null'::jsonb), ('{}'), ('[]'), ('[1, null, "x", {}]'),
    ('[{"device_id": "1", "observed_at_ms": 1}]'), ('[{"device_id": 1e12, "observed_at_ms": 1}]'), ('[{"device_id": 1, "observed_at_ms": 1e20}]'),
    ('[{"device_id": 1, "observed_at_ms": 1, "lon": 500, "lat": 0}]'), ('[{"device_id": 999999, "observed_at_ms": 1, "lon": 1, "lat": 1}]')) r(rows)$$,
    'rows that make no sense raise no error');
SELECT is((SELECT count(*) FROM onemap.alarm), 3::bigint, 'and no alarm');

-- The sweep: down after the alarm ends it, down before does not.
SELECT test_put(test_truck(2), '2026-03-15 12:05+08', '{"bed_lifted": 0}'), test_put(test_truck(3), '2026-03-21 11:59+08', '{"bed_lifted": 0}');
SELECT is(onemap.construction_waste_dumping_sweep(), 1, 'one bed is down again');
SELECT is(test_open(test_truck(2)) || '/' || test_open(test_truck(3)), '/illegal_dumping', 'the other was down only before');
SELECT is((SELECT closed_at FROM onemap.alarm WHERE device_id = test_truck(2)), '2026-03-15 12:05+08', 'closed when it was down');

-- Tippings of T5: 12:00 and 12:01 up, 12:02 down (in the yard); 13:00 up (outside, track 13:00 less two minutes);
-- 13:10:01 up again without a reading between: ten minutes and a second later is another one, without a place; 23:55 up over midnight.
SELECT test_put(test_truck(5), at, jsonb_build_object('bed_lifted', up)) FROM (VALUES
    (timestamptz '2026-03-15 11:59+08', 0), ('2026-03-15 12:00+08', 1), ('2026-03-15 12:01+08', 1), ('2026-03-15 12:02+08', 0),
    ('2026-03-15 13:00+08', 1), ('2026-03-15 13:10:01+08', 1), ('2026-03-15 13:11+08', 0), ('2026-03-15 23:55+08', 1), ('2026-03-16 00:03+08', 1),
    ('2026-03-16 00:04+08', 0)) r(at, up);
SELECT test_track(test_truck(5), '2026-03-15 12:00+08', 113.605, 34.705), test_track(test_truck(5), '2026-03-15 12:58+08', 113.65, 34.705);
SELECT results_eq($$SELECT started_at, ended_at, records, permitted FROM onemap.construction_waste_dumpings('2026-03-15 00:00+08', '2026-03-16 00:00+08') ORDER BY 1$$,
    $$VALUES (timestamptz '2026-03-15 12:00+08', timestamptz '2026-03-15 12:01+08', 2, true), ('2026-03-15 13:00+08', '2026-03-15 13:00+08', 1, false),
        ('2026-03-15 13:10:01+08', '2026-03-15 13:10:01+08', 1, NULL), ('2026-03-15 23:55+08', '2026-03-15 23:55+08', 1, NULL)$$, 'a day''s tippings');
SELECT is_empty($$SELECT * FROM onemap.construction_waste_dumpings('2026-03-16 00:00+08', '2026-03-17 00:00+08')$$,
    'one that goes over midnight is not counted again on the next day');
SELECT is((SELECT z.code FROM onemap.construction_waste_dumpings('2026-03-15 12:00+08', '2026-03-15 12:30+08') t JOIN onemap.zone z ON z.id = t.zone_id), 'Y1', 'and where it was');

-- Covers. T1: open, 21 % load, 6 km/h: found. T2: 20 % is not above 20 %. T3: 5 km/h is not faster than 5. T4: closed. T6: load known
-- three minutes before the rest.
SELECT test_put(test_truck(n), now() - interval '1 minute', record) FROM (VALUES
    (1, '{"cover_closed": 0, "load_percent": 21, "speed_km_h": 6}'::jsonb), (2, '{"cover_closed": 0, "load_percent": 20, "speed_km_h": 40}'),
    (3, '{"cover_closed": 0, "load_percent": 90, "speed_km_h": 5}'), (4, '{"cover_closed": 1, "load_percent": 90, "speed_km_h": 40}'),
    (6, '{"cover_closed": 0, "speed_km_h": 40}')) r(n, record);
SELECT test_put(test_truck(6), now() - interval '3 minutes 1 second', '{"load_percent": 90}');
SELECT is(onemap.construction_waste_cover_sweep(), 1, 'one truck drives loaded with its cover open');
SELECT is((SELECT string_agg(d.code, ' ') FROM onemap.alarm a JOIN onemap.device d ON d.id = a.device_id JOIN onemap.alarm_rule r ON r.id = a.rule_id
    WHERE r.key = 'cover_open'), 'T1', 'the one that does');
SELECT test_put(test_truck(1), now() - interval '30 seconds', '{"speed_km_h": 0}');
SELECT onemap.construction_waste_cover_sweep();
SELECT is(test_open(test_truck(1)), 'cover_open', 'standing does not end it');
SELECT test_put(test_truck(1), now(), '{"cover_closed": 1}');
SELECT onemap.construction_waste_cover_sweep();
SELECT is(test_open(test_truck(1)), '', 'closing the cover does');
-- Received at a yard: 100000 t of counter, 35 t.
SELECT test_device('construction_waste', 'disposal_yard', 'D1') AS d1 \gset
SELECT test_put(:d1, '2026-03-15 09:00+08', '{"received_total_t": 1000}'), test_put(:d1, '2026-03-15 10:00+08', '{"received_total_t": 1035}');
SELECT results_eq($$SELECT device_id, consumption FROM onemap.counter_daily('construction_waste', 'received_total_t', '2026-03-15')$$,
    format('VALUES (%s, 35::float8)', :d1), 'what a yard received in a day');
SELECT is(onemap.sweep_run(), '{}', 'all sweeps run on this without a problem');
SELECT * FROM finish();
ROLLBACK;
