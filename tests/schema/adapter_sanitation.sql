-- sanitation: weighings of a day, kilometres driven, swept and sprayed, sweeping too fast.
BEGIN ISOLATION LEVEL REPEATABLE READ;
\ir include/adapter.psql
SELECT plan(17);
SELECT test_rules('sanitation', '{sweeping_too_fast}');

-- The local day 2026-03-10. A1 is sent twice, the later one counts (5200); then one without net_kg: 15000 - 9000 = 6000; one of another
-- kind; one a second before midnight of the day before.
SELECT test_device('sanitation', 'transfer_station', 'Z1') AS z1, test_device('sanitation', 'sweeper', 'K1') AS k1,
       test_device('sanitation', 'sweeper', 'K2') AS k2, test_device('sanitation', 'sweeper', 'K3') AS k3 \gset
SELECT test_put(:z1, at, record) FROM (VALUES (timestamptz '2026-03-09 23:59:59+08', '{"net_kg": 9999, "waste_kind": 0}'::jsonb),
    ('2026-03-10 00:00+08', '{"net_kg": 5000, "waste_kind": 0}'), ('2026-03-10 00:05+08', '{"net_kg": 5200, "waste_kind": 0}'),
    ('2026-03-10 09:00+08', '{"gross_kg": 15000, "tare_kg": 9000, "waste_kind": 0}'), ('2026-03-10 10:00+08', '{"net_kg": 800, "waste_kind": 2}'),
    ('2026-03-10 11:00+08', '{"gross_kg": 15000}'), ('2026-03-11 00:00+08', '{"net_kg": 7777, "waste_kind": 0}')) r(at, record);
UPDATE onemap.observation_raw SET attributes = '{"weighing_number": "A1"}' WHERE device_id = :z1 AND observed_at IN ('2026-03-10 00:00+08', '2026-03-10 00:05+08');
SELECT results_eq($$SELECT device_id, waste_kind, weighings, net_t FROM onemap.sanitation_weighings('2026-03-10') ORDER BY 2$$,
    format('VALUES (%s, 0, 2, 11.2::float8), (%s, 2, 1, 0.8)', :z1, :z1), 'two weighings of 5.2 and 6 t, one of 0.8 t');
SELECT is((SELECT weighings FROM onemap.sanitation_weighings('2026-03-09')), 1, 'a weighing before midnight is of the day before');

-- K1 goes north by 0.001 degree (110.9 to 111 m at 34.7 N) a minute: at 08:00 sweeping, 08:01 sweeping and spraying, 08:02 neither,
-- 08:03; then 08:05:01, 121 s later (says nothing); 08:06:01: a jump of 0.1 degree (11 km in a minute; does not count).
SELECT test_track(:k1, at, 113.6, lat) FROM (VALUES (timestamptz '2026-03-10 08:00+08', 34.700), ('2026-03-10 08:01+08', 34.701), ('2026-03-10 08:02+08', 34.702),
    ('2026-03-10 08:03+08', 34.703), ('2026-03-10 08:05:01+08', 34.704), ('2026-03-10 08:06:01+08', 34.804)) r(at, lat);
SELECT test_put(:k1, at, record) FROM (VALUES (timestamptz '2026-03-10 08:00+08', '{"sweeping_on": 1, "spraying_on": 0}'::jsonb),
    ('2026-03-10 08:01+08', '{"sweeping_on": 1, "spraying_on": 1}'), ('2026-03-10 08:02+08', '{"sweeping_on": 0, "spraying_on": 0}')) r(at, record);
SELECT results_eq($$SELECT device_id, round(driven_km::numeric, 2), round(swept_km::numeric, 2), round(sprayed_km::numeric, 2), sweeping_s FROM onemap.sanitation_coverage('2026-03-10')$$,
    format('VALUES (%s, 0.33, 0.22, 0.11, 120::float8)', :k1), 'three steps of 111 m driven, two swept, one sprayed');
SELECT is((SELECT round((swept_km / driven_km)::numeric, 4) FROM onemap.sanitation_coverage('2026-03-10')), 0.6667, 'two thirds of the way were swept');
SELECT is_empty($$SELECT * FROM onemap.sanitation_coverage('2026-03-11')$$, 'nothing on the next day');

-- Limit 15 km/h over two minutes (90 s suffice). K1: 16 sweeping. K2: 15. K3: 16, not sweeping.
SELECT test_put(d, now() - n * interval '10 seconds', jsonb_build_object('speed_km_h', v, 'sweeping_on', s))
FROM (VALUES (:k1, 16, 1), (:k2, 15, 1), (:k3, 16, 0)) x(d, v, s), generate_series(1, 10) n;
SELECT is(onemap.sanitation_sweeping_sweep(), 1, 'one sweeper sweeps too fast');
SELECT is(test_open(:k1) || '/' || test_open(:k2) || '/' || test_open(:k3), 'sweeping_too_fast//', 'the one above the limit while sweeping');
SELECT test_put(:k1, now() - interval '5 seconds', '{"speed_km_h": 9, "sweeping_on": 1}');
SELECT onemap.sanitation_sweeping_sweep();
SELECT is(test_open(:k1), '', 'which ends when it slows down');
-- A toilet's water: 12.5 to 13.1 m3; and visitors.
SELECT test_device('sanitation', 'public_toilet', 'W1') AS w1 \gset
SELECT test_put(:w1, '2026-03-10 08:00+08', '{"water_total_m3": 12.5, "visitors_total": 100}'), test_put(:w1, '2026-03-10 09:00+08', '{"water_total_m3": 13.1, "visitors_total": 140}');
SELECT is((SELECT round(consumption::numeric, 6) FROM onemap.counter_daily('sanitation', 'water_total_m3', '2026-03-10')), 0.600000, 'water used in a day');
SELECT is(onemap.counter_consumption(:w1, 'visitors_total', '2026-03-10 00:00+08', '2026-03-11 00:00+08'), 40::float8, 'visitors of a day');
SELECT is(onemap.sweep_run(), '{}', 'all sweeps run on this without a problem');
SELECT * FROM finish();
ROLLBACK;
