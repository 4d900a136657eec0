-- water: limits of drinking water, water used, balance and night flow of districts.
BEGIN ISOLATION LEVEL REPEATABLE READ;
\ir include/adapter.psql
SELECT plan(22);
SELECT test_rules('water', '{night_flow_high}');
SELECT results_eq($$SELECT key, device_kind, comparison, threshold FROM onemap.alarm_rule WHERE subsystem = 'water' AND source LIKE 'GB 5749-2022%' ORDER BY key$$,
    $$VALUES ('ammonia_high', NULL, 'above', 0.5::float8), ('chlorine_high', NULL, 'above', 2), ('chlorine_network_low', 'quality_point', 'below', 0.05), ('chlorine_station_low', 'pump_station', 'below', 0.05),
        ('chlorine_works_low', 'waterworks', 'below', 0.3), ('cod_mn_high', NULL, 'above', 3), ('ph_high', NULL, 'above', 8.5), ('ph_low', NULL, 'below', 6.5), ('turbidity_high', NULL, 'above', 1)$$,
    'limits of GB 5749-2022');

SELECT test_device('water', 'district_meter', 'D1') AS d1, test_device('water', 'district_meter', 'D2') AS d2, test_device('water', 'district_meter', 'D3') AS d3,
       test_device('water', 'district_meter', 'D4') AS d4 \gset
SELECT test_device('water', 'customer_meter', 'K1', :d1), test_device('water', 'customer_meter', 'K2', :d1), test_device('water', 'customer_meter', 'K3', :d1), test_device('water', 'pump_station', 'P1');
CREATE FUNCTION public.test_id(code text) RETURNS int LANGUAGE sql AS $$ SELECT d.id FROM onemap.device d WHERE d.code = $1 $$;

-- The local day 2026-03-10. D1 in: 1000 to 2000, back 5: net 995. K1 500 to 900: 400; K2 over the end 99999900 to 100: 200;
-- K3 without readings. Not metered: 995 - 600 = 395, 39.698 %. D2 has nothing below it: all of its 100.
SELECT test_put(test_id(code), timestamptz '2026-03-10 00:00+08' + n * interval '8 hours', record) FROM (VALUES
    ('D1', 0, '{"volume_total_m3": 1000, "reverse_total_m3": 20}'::jsonb), ('D1', 2, '{"volume_total_m3": 2000, "reverse_total_m3": 25}'), ('K1', 0, '{"volume_total_m3": 500}'), ('K1', 1, '{"volume_total_m3": 900}'),
    ('K2', 0, '{"volume_total_m3": 99999900}'), ('K2', 1, '{"volume_total_m3": 100}'), ('D2', 0, '{"volume_total_m3": 0}'), ('D2', 1, '{"volume_total_m3": 100}'),
    ('P1', 0, '{"energy_kwh": 10}'), ('P1', 1, '{"energy_kwh": 52}')) r(code, n, record);
SELECT results_eq($$SELECT d.code, c.forward_m3, c.reverse_m3, c.net_m3, c.energy_kwh FROM onemap.water_consumption('2026-03-10') c JOIN onemap.device d ON d.id = c.device_id ORDER BY 1$$,
    $$VALUES ('D1', 1000::float8, 5::float8, 995::float8, NULL::float8), ('D2', 100, NULL, 100, NULL), ('K1', 400, NULL, 400, NULL), ('K2', 200, NULL, 200, NULL), ('P1', NULL, NULL, NULL, 42)$$, 'water and electricity of a day');
SELECT results_eq($$SELECT d.code, b.supplied_m3, b.metered_m3, b.meters, b.unmetered_m3, round(b.unmetered_percent::numeric, 3) FROM onemap.water_balance('2026-03-10') b JOIN onemap.device d ON d.id = b.district_id ORDER BY 1$$,
    $$VALUES ('D1', 995::float8, 600::float8, 2, 395::float8, 39.698), ('D2', 100, 0, 0, 100, 100.000)$$, 'balance of each district');

-- Night ending 2026-03-12 05:00+08; the 24 hours to it. D1: 20 m3/h but 8 at 01:00, 6 at 02:00 (5 and 7), 7 at 03:00, 8 at 04:00: least 6;
-- mean (20 x 20 + 29) / 24 = 17.875; 6 / 17.875 = 33.566 %. D2: always 10: 100 %. D3: only two hours of the night. D4: 45 %: night 9, else so that the mean is 20.
CREATE FUNCTION public.test_flow(code text, hour_of_day int, minute int, flow float8) RETURNS void LANGUAGE sql AS $$
    SELECT test_put(test_id(code), timestamptz '2026-03-11 05:00+08' + ((hour_of_day + 19) % 24) * interval '1 hour' + minute * interval '1 minute', jsonb_build_object('flow_m3_h', flow))
$$;
SELECT test_flow('D1', h, 0, CASE h WHEN 1 THEN 8 WHEN 2 THEN 5 WHEN 3 THEN 7 WHEN 4 THEN 8 ELSE 20 END) FROM generate_series(0, 23) h;
SELECT test_flow('D1', 2, 30, 7), test_put(:d1, '2026-03-11 04:59+08', '{"flow_m3_h": 1}'), test_put(:d1, '2026-03-12 05:00+08', '{"flow_m3_h": 1}');
SELECT test_flow('D2', h, 0, 10) FROM generate_series(0, 23) h;
SELECT test_flow('D3', h, 0, 10) FROM generate_series(3, 23) h;
-- D4: 9 in four hours of the night, 22.2 in twenty: (36 + 444) / 24 = 20; 9 / 20 = 45 %.
SELECT test_flow('D4', h, 0, CASE WHEN h BETWEEN 1 AND 4 THEN 9 ELSE 22.2 END) FROM generate_series(0, 23) h;
SELECT test_rollup();
SELECT results_eq($$SELECT d.code, n.night_m3_h, n.night_hours, round(n.mean_m3_h::numeric, 6), n.mean_hours, round(n.night_percent::numeric, 3) FROM onemap.water_night_flow('2026-03-12') n JOIN onemap.device d ON d.id = n.device_id ORDER BY 1$$,
    $$VALUES ('D1', 6::float8, 4, 17.875000, 24, 33.566), ('D2', 10, 4, 10.000000, 24, 100.000), ('D3', 10, 2, 10.000000, 21, NULL), ('D4', 9, 4, 20.000000, 24, 45.000)$$, 'night flow, of the mean of 24 hours');
-- The rule is 45 %; floating point must not lift 45 % over it.
SELECT is(onemap.water_night_judge('2026-03-12'), 1, 'one district flows by night as by day');
SELECT results_eq('SELECT device_id, opened_at, value FROM onemap.alarm', format($$VALUES (%s, timestamptz '2026-03-12 05:00+08', 100::float8)$$, :d2), 'at the end of the night');
SELECT is(onemap.water_night_judge('2026-03-13'), 0, 'a night without readings');
SELECT is(test_open(:d2), 'night_flow_high', 'leaves the alarm');
UPDATE onemap.observation_raw SET readings[3] = 2 WHERE device_id = :d2 AND observed_at >= '2026-03-12 01:00+08';
INSERT INTO onemap.rollup_recompute (device_id, hour) SELECT :d2, timestamptz '2026-03-12 01:00+08' + h * interval '1 hour' FROM generate_series(0, 3) h;
DO $$ BEGIN PERFORM onemap.rollup_run(); END $$;
-- 2 of (20 x 10 + 4 x 2) / 24 = 8.667: 23.08 %
SELECT is((SELECT round(night_percent::numeric, 2) FROM onemap.water_night_flow('2026-03-12') WHERE device_id = :d2), 23.08, 'corrected');
SELECT onemap.water_night_judge('2026-03-12');
SELECT is(test_open(:d2), '', 'it ends');

-- The sweep, in a county where it is 07:xx: the night that ended at 05:00 today is judged once.
SELECT test_local_hour(7);
SELECT (now() AT TIME ZONE onemap.setting('time_zone'))::date AS today \gset
SELECT test_put(:d3, onemap.local_midnight(:'today') - interval '19 hours' + h * interval '1 hour', '{"flow_m3_h": 10}') FROM generate_series(0, 23) h;
SELECT test_rollup();
SELECT is(onemap.water_night_sweep(), 0, 'the first call judges the last hour only');
UPDATE onemap.sweep_mark SET judged_to = judged_to - interval '5 hours' WHERE name = 'water_night';
SELECT is(onemap.water_night_sweep(), 1, 'what was missed is judged');
SELECT is((SELECT opened_at FROM onemap.alarm WHERE device_id = :d3), (:'today'::date + time '05:00') AT TIME ZONE onemap.setting('time_zone'), 'at 05:00');
SELECT is(onemap.water_night_sweep(), 0, 'once');
-- Leaks and pressure that make a case.
SELECT results_eq($$SELECT key, category_code FROM onemap.alarm_rule WHERE subsystem = 'water' AND category_code IS NOT NULL ORDER BY key$$,
    $$VALUES ('hydrant_dry', '10113'), ('hydrant_open', '10113'), ('hydrant_tilted', '10113'), ('leak_suspected', '20402'), ('night_flow_high', '20402'), ('pressure_low', '20402')$$, 'cases that follow');
SELECT is(onemap.sweep_run(), '{}', 'all sweeps run on this without a problem');
SELECT * FROM finish();
ROLLBACK;
