-- landscaping: need for water after FAO-56, leaking valves, water and rain by their counters.
BEGIN ISOLATION LEVEL REPEATABLE READ;
\ir include/adapter.psql
SELECT plan(22);
SELECT test_rules('landscaping', '{irrigation_leak}');

-- Field capacity 30 %, wilting point 14 %, roots 0.3 m, fraction 0.5: readily available 0.5 x 16 = 8 %.
-- At 22 %: depletion 8, just used up: 10 x 8 x 0.3 = 24 mm. At 22.5 %: 7.5: none yet. At 14 %: 16: 48 mm.
SELECT is(onemap.landscaping_water_need_mm(22, 30, 14, 0.3, 0.5), 24::float8, 'water when the readily available water is used up');
SELECT is(onemap.landscaping_water_need_mm(22.5, 30, 14, 0.3, 0.5), 0::float8, 'none before');
SELECT is(onemap.landscaping_water_need_mm(14, 30, 14, 0.3, 0.5), 48::float8, 'at the wilting point');
SELECT is(onemap.landscaping_water_need_mm(35, 30, 14, 0.3, 0.5), 0::float8, 'wetter than field capacity');
SELECT is(onemap.landscaping_attribute('{"root_depth_m": "0.5"}', 'root_depth_m', 0.3), 0.5::float8, 'an attribute of the inventory');
SELECT is(onemap.landscaping_attribute('{"root_depth_m": "0.5 m"}', 'root_depth_m', 0.3), 0.3::float8, 'that is no number is not taken');
SELECT is(onemap.landscaping_attribute('{}', 'root_depth_m', 0.3), 0.3::float8, 'nor one that is not there');

-- G1: defaults (0.3 m, fraction 0.4: 6.4 %), 20 %: 10 x 10 x 0.3 = 30 mm. G2: roots 0.5 m, 10 x 10 x 0.5 = 50. G3 offline. G4 out of range.
SELECT test_device('landscaping', 'soil_sensor', 'G1') AS g1, test_device('landscaping', 'soil_sensor', 'G2', NULL, '{"root_depth_m": "0.5"}') AS g2,
       test_device('landscaping', 'soil_sensor', 'G3') AS g3, test_device('landscaping', 'soil_sensor', 'G4') AS g4 \gset
SELECT test_put(d, now(), jsonb_build_object('soil_moisture_percent', v)) FROM (VALUES (:g1, 20), (:g2, 20), (:g3, 20), (:g4, 101)) x(d, v);
UPDATE onemap.device_state SET online = false WHERE device_id = :g3;
SELECT results_eq('SELECT device_code, need_mm FROM onemap.landscaping_irrigation_need ORDER BY 1', $$VALUES ('G1', 30::float8), ('G2', 50)$$, 'what each place needs now');

-- V1: shut, 0.3 m3/h for eight minutes of ten: leak. V2: 0.2 is not above 0.2. V3: open.
SELECT test_device('landscaping', 'irrigation_valve', 'V1') AS v1, test_device('landscaping', 'irrigation_valve', 'V2') AS v2,
       test_device('landscaping', 'irrigation_valve', 'V3') AS v3 \gset
SELECT test_put(d, now() - n * interval '1 minute', jsonb_build_object('valve_open', open, 'irrigation_flow_m3_h', flow))
FROM (VALUES (:v1, 0, 0.3), (:v2, 0, 0.2), (:v3, 1, 8)) x(d, open, flow), generate_series(1, 9) n;
SELECT is(onemap.landscaping_leak_sweep(), 1, 'one shut valve leaks');
SELECT is(test_open(:v1) || '/' || test_open(:v2) || '/' || test_open(:v3), 'irrigation_leak//', 'the one with flow above the limit');
SELECT test_put(:v1, now(), '{"valve_open": 0, "irrigation_flow_m3_h": 0}');
SELECT is(onemap.landscaping_leak_sweep(), 0, 'it is tight again');
SELECT is(test_open(:v1), '', 'which ends it');

-- Rain: a 16-bit counter of 0.2 mm, over its end at 13107.2: 13105.2 -> 3 is 2 + 3 = 5 mm. Water meter of five digits: 99990 -> 20: 30 m3.
SELECT test_device('landscaping', 'weather_station', 'W1') AS w1 \gset
SELECT test_put(:w1, '2026-07-20 00:00+08', '{"rain_total_mm": 13105.2}'), test_put(:w1, '2026-07-20 12:00+08', '{"rain_total_mm": 3}');
SELECT is((SELECT round(consumption::numeric, 6) FROM onemap.counter_daily('landscaping', 'rain_total_mm', '2026-07-20')), 5.000000, 'rain of a day over the end of the counter');
SELECT test_put(:v3, '2026-07-20 00:00+08', '{"water_total_m3": 99990}'), test_put(:v3, '2026-07-20 12:00+08', '{"water_total_m3": 20}'),
       test_put(:v3, '2026-07-20 13:00+08', '{"water_total_m3": 26}');
SELECT results_eq($$SELECT device_id, consumption, rollovers FROM onemap.counter_daily('landscaping', 'water_total_m3', '2026-07-20')$$,
    format('VALUES (%s, 36::float8, 1)', :v3), 'water of a day: 30 + 6');
SELECT is((SELECT count(*) FROM onemap.counter_daily('landscaping', 'water_total_m3', '2026-07-21')), 0::bigint, 'none on a day without readings');
SELECT is(onemap.sweep_run(), '{}', 'all sweeps run on this without a problem');
SELECT * FROM finish();
ROLLBACK;
