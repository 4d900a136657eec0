-- gas: leaks that are not shut off, flow through shut valves, gas used, cathodic protection; limits and their ends.
BEGIN ISOLATION LEVEL REPEATABLE READ;
\ir include/adapter.psql
SELECT plan(22);
SELECT test_rules('gas', '{leak_not_shut_off, flow_through_shut_valve}');
SELECT results_eq($$SELECT key, comparison, threshold, clear_threshold, category_code FROM onemap.alarm_rule WHERE subsystem = 'gas'
    AND key IN ('leak_first', 'leak_second', 'cathodic_too_weak', 'cathodic_too_strong', 'outlet_pressure_high', 'outlet_pressure_low') ORDER BY key$$,
    $$VALUES ('cathodic_too_strong', 'below', -1200::float8, -1170::float8, NULL), ('cathodic_too_weak', 'above', -850, -870, NULL), ('leak_first', 'above', 20, 15, '20403'),
        ('leak_second', 'above', 50, 40, '20403'), ('outlet_pressure_high', 'above', 3, 2.8, '10135'), ('outlet_pressure_low', 'below', 1.5, 1.7, '10135')$$, 'the limits that standards give');

SELECT test_device('gas', 'leak_detector', 'D' || n) FROM generate_series(1, 4) n;
SELECT test_device('gas', 'meter', 'M' || n) FROM generate_series(1, 3) n;
SELECT test_device('gas', 'regulator_station', 'R1') AS r1, test_device('gas', 'cathodic_post', 'C1') AS c1 \gset
CREATE FUNCTION public.test_id(code text) RETURNS int LANGUAGE sql AS $$ SELECT d.id FROM onemap.device d WHERE d.code = $1 $$;

-- 20 %LEL, two minutes (90 s suffice). D1: 21, open over 90 s: found. D2: 20 is not above. D3: shuts after a minute. D4: over 80 s only.
SELECT test_put(test_id(code), now() - n * interval '10 seconds', jsonb_build_object('leak_percent_lel', lel, 'valve_open', CASE WHEN code = 'D3' AND n < 6 THEN 0 ELSE 1 END))
FROM (VALUES ('D1', 21, 10), ('D2', 20, 10), ('D3', 60, 10), ('D4', 60, 9)) r(code, lel, last), generate_series(1, last) n;
SELECT is(onemap.gas_leak_sweep(), 1, 'one detector''s valve stays open');
SELECT is((SELECT string_agg(test_open(test_id('D' || n)), '/' ORDER BY n) FROM generate_series(1, 4) n), 'leak_not_shut_off///', 'at the limit, shut in time, not yet long enough: none');
SELECT is((SELECT severity || ' ' || value FROM onemap.alarm), 'critical 21', 'with the lowest reading');
SELECT test_put(test_id('D1'), now(), '{"leak_percent_lel": 30, "valve_open": 0}');
SELECT is(onemap.gas_leak_sweep(), 0, 'the valve shuts');
SELECT is(test_open(test_id('D1')), '', 'which ends it');

-- 0.5 m3/h, ten minutes, valve shut. M1: 0.6. M2: 0.5. M3: open.
SELECT test_put(test_id(code), now() - n * interval '1 minute', jsonb_build_object('flow_m3_h', flow, 'valve_open', open))
FROM (VALUES ('M1', 0.6, 0), ('M2', 0.5, 0), ('M3', 40, 1)) r(code, flow, open), generate_series(1, 9) n;
SELECT is(onemap.gas_valve_sweep(), 1, 'gas flows through one shut valve');
SELECT is(test_open(test_id('M1')) || '/' || test_open(test_id('M2')) || '/' || test_open(test_id('M3')), 'flow_through_shut_valve//', 'above the limit only');

-- The local day 2026-03-10. M1: 1000 the day before, 1120.5 and 1200: 200. M2: over the end, 999999950 to 50: 100.
-- M3: replaced, 77777 to 77800 (23), the new one from 2 to 9 (7): 30. R1: 5000 to 5800.
SELECT test_put(test_id(code), at, jsonb_build_object('volume_total_m3', reading)) FROM (VALUES
    ('M1', timestamptz '2026-03-09 23:00+08', 1000), ('M1', '2026-03-10 00:00+08', 1120.5), ('M1', '2026-03-10 23:59:59+08', 1200), ('M1', '2026-03-11 00:00+08', 1300),
    ('M2', '2026-03-10 01:00+08', 999999950), ('M2', '2026-03-10 02:00+08', 50), ('M3', '2026-03-10 01:00+08', 77777), ('M3', '2026-03-10 02:00+08', 77800),
    ('M3', '2026-03-10 03:00+08', 2), ('M3', '2026-03-10 04:00+08', 9), ('R1', '2026-03-10 01:00+08', 5000), ('R1', '2026-03-10 02:00+08', 5800)) r(code, at, reading);
SELECT results_eq($$SELECT d.code, c.device_kind, c.volume_m3, c.rollovers, c.replacements FROM onemap.gas_consumption('2026-03-10') c JOIN onemap.device d ON d.id = c.device_id ORDER BY 1$$,
    $$VALUES ('M1', 'meter', 200::float8, 0, 0), ('M2', 'meter', 100, 1, 0), ('M3', 'meter', 30, 0, 1), ('R1', 'regulator_station', 800, 0, 0)$$, 'gas of a day');
SELECT test_rollup();
SELECT results_eq($$SELECT d.code, c.volume_m3 FROM onemap.gas_consumption('2026-03-10') c JOIN onemap.device d ON d.id = c.device_id ORDER BY 1$$,
    $$VALUES ('M1', 200::float8), ('M2', 100), ('M3', 30), ('R1', 800)$$, 'and from the rollups the same');
SELECT results_eq($$SELECT d.code, c.volume_m3 FROM onemap.gas_consumption('2026-03-11') c JOIN onemap.device d ON d.id = c.device_id$$, $$VALUES ('M1', 100::float8)$$, 'midnight is of the next day');
SELECT is((SELECT sum(volume_m3) FROM onemap.gas_consumption('2026-03-10') WHERE device_kind = 'meter'), 330::float8, 'meters together');

-- -850 and -1200 mV are within the limits, -849 and -1201 are not; -6000 is out of the instrument's range. Mean -4100 / 4 = -1025.
SELECT test_put(:c1, timestamptz '2026-03-10 01:00+08' + n * interval '1 hour', jsonb_build_object('cathodic_potential_mv', mv)) FROM unnest('{-850, -1200, -849, -1201, -6000}'::float8[]) WITH ORDINALITY u(mv, n);
SELECT results_eq($$SELECT device_id, readings, mean_mv, protected_percent FROM onemap.gas_cathodic_daily('2026-03-10')$$, format('VALUES (%s, 4, -1025::float8, 50::float8)', :c1), 'half of the readings show protection');
SELECT is_empty($$SELECT * FROM onemap.gas_cathodic_daily('2026-03-11')$$, 'no readings, no judgement');
-- The county's own limit counts at once: -800.
SELECT onemap.alarm_rule_set('gas', 'cathodic_too_weak', '{"threshold": -800, "source": "assumed: a test"}');
SELECT is((SELECT protected_percent FROM onemap.gas_cathodic_daily('2026-03-10')), 75::float8, 'a limit changed by the county counts');
SELECT is(onemap.sweep_run(), '{}', 'all sweeps run on this without a problem');
SELECT * FROM finish();
ROLLBACK;
