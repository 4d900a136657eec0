-- municipal: ponding events, hours and volume of pumps, a station that does not pump.
BEGIN ISOLATION LEVEL REPEATABLE READ;
\ir include/adapter.psql
SELECT plan(17);
SELECT test_rules('municipal', '{pump_not_running}');

SELECT test_device('municipal', 'ponding_sensor', 'P1') AS p1, test_device('municipal', 'pump_station', 'S1') AS s1,
       test_device('municipal', 'pump_station', 'S2') AS s2, test_device('municipal', 'pump_station', 'S3') AS s3 \gset
-- 15.0 is not deeper than 15. Wet from 10:10, deepest 30 at 10:20 (and again at 10:30), dry at 10:40: 30 minutes. Beyond the
-- gauge (600 of at most 500) at 10:25, which counts as its end; -1 at 10:35 says nothing. Wet again from 11:50 to the end.
SELECT test_put(:p1, at, jsonb_build_object('ponding_depth_cm', cm)) FROM (VALUES
    (timestamptz '2026-07-20 10:00Z', 15), ('2026-07-20 10:10Z', 16), ('2026-07-20 10:20Z', 30), ('2026-07-20 10:25Z', 600), ('2026-07-20 10:30Z', 30), ('2026-07-20 10:35Z', -1),
    ('2026-07-20 10:40Z', 15), ('2026-07-20 11:40Z', 3), ('2026-07-20 11:50Z', 20), ('2026-07-20 11:55Z', 22)) r(at, cm);
SELECT results_eq($$SELECT started_at, ended_at, minutes, deepest_cm, deepest_at, over, beyond FROM onemap.municipal_ponding_events('2026-07-20 10:00Z', '2026-07-20 12:00Z') ORDER BY 1$$,
    $$VALUES (timestamptz '2026-07-20 10:10Z', timestamptz '2026-07-20 10:40Z', 30::float8, 500::float8, timestamptz '2026-07-20 10:25Z', true, true),
        ('2026-07-20 11:50Z', '2026-07-20 11:55Z', 5, 22, '2026-07-20 11:55Z', false, false)$$, 'one that ran off and one that goes on');
SELECT is((SELECT count(*) FROM onemap.municipal_ponding_events('2026-07-20 10:00Z', '2026-07-20 12:00Z', 25)), 1::bigint, 'deeper than 25 cm: one');
SELECT is((SELECT count(*) FROM onemap.municipal_ponding_events('2026-07-20 10:00Z', '2026-07-20 12:00Z', 30)), 1::bigint, 'deeper than 30 cm: what the gauge could not say');

-- 10:00 stopped; 10:10 runs at 600 m3/h for 10 minutes (100 m3); 10:20 runs at 1200 until 10:35, the 900 s of offline_after (300 m3),
-- as the next record comes at 10:50: stopped; 10:55 runs without a flow to the end, 11:00 (5 minutes, volume unknown).
-- Known: 10:00 to 10:35 and 10:50 to 11:00: 45 minutes; run: 10 + 15 + 5 = 30; starts: 10:10 and 10:55.
SELECT test_put(:s1, at, record) FROM (VALUES (timestamptz '2026-07-20 10:00Z', '{"pump_running": 0}'::jsonb),
    ('2026-07-20 10:10Z', '{"pump_running": 1, "pump_flow_m3_h": 600}'), ('2026-07-20 10:20Z', '{"pump_running": 1, "pump_flow_m3_h": 1200}'),
    ('2026-07-20 10:50Z', '{"pump_running": 0, "pump_flow_m3_h": 0}'), ('2026-07-20 10:55Z', '{"pump_running": 1}'), ('2026-07-20 11:00Z', '{"pump_running": 1}')) r(at, record);
SELECT results_eq($$SELECT round(running_h::numeric, 6), round(known_h::numeric, 6), starts, round(pumped_m3::numeric, 6)
    FROM onemap.municipal_pump_running('2026-07-20 10:00Z', '2026-07-20 11:00Z')$$, 'VALUES (0.5, 0.75, 2, 400.0)', 'hours run and known, starts, volume');

-- Limit 2.8 m, ten minutes. S1: 3 m, no pump, records over 8 minutes: found. S2: once 2.8. S3: over 7 minutes only.
SELECT test_put(:s1, now() - n * interval '1 minute', '{"sump_level_m": 3, "pump_running": 0}') FROM generate_series(1, 9) n;
SELECT test_put(:s2, now() - n * interval '1 minute', jsonb_build_object('sump_level_m', CASE n WHEN 5 THEN 2.8 ELSE 3 END, 'pump_running', 0)) FROM generate_series(1, 9) n;
SELECT test_put(:s3, now() - n * interval '1 minute', '{"sump_level_m": 3, "pump_running": 0}') FROM generate_series(1, 8) n;
SELECT is(onemap.municipal_pump_sweep(), 1, 'one station stands high without pumping');
SELECT is(test_open(:s1) || '/' || test_open(:s2) || '/' || test_open(:s3), 'pump_not_running//', 'at the limit is not above; seven minutes are not three quarters of ten');
SELECT results_eq(format('SELECT value, opened_at FROM onemap.alarm WHERE device_id = %s', :s1), $$SELECT 3::float8, now() - interval '1 minute'$$, 'its value is the lowest level');
SELECT test_put(:s1, now() - interval '10 seconds', '{"sump_level_m": 3, "pump_running": 1}');
SELECT is(onemap.municipal_pump_sweep(), 0, 'a pump runs');
SELECT is((SELECT closed_at FROM onemap.alarm WHERE device_id = :s1), now() - interval '10 seconds', 'which ends it');
-- 1e9 m3 counter of what was pumped: 999999900 to 60: 100 + 60.
SELECT test_put(:s2, '2026-07-20 10:00Z', '{"discharge_total_m3": 999999900}'), test_put(:s2, '2026-07-20 15:00Z', '{"discharge_total_m3": 60}');
SELECT results_eq($$SELECT consumption, rollovers FROM onemap.counter_daily('municipal', 'discharge_total_m3', '2026-07-20')$$, 'VALUES (160::float8, 1)', 'water pumped in a day');
SELECT is(onemap.sweep_run(), '{}', 'all sweeps run on this without a problem');
SELECT * FROM finish();
ROLLBACK;
