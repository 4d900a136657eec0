-- incineration: five-minute furnace temperature with the states that do not count, emissions at 11 % O2 by hour and day, output.
BEGIN ISOLATION LEVEL REPEATABLE READ;
\ir include/adapter.psql
SELECT plan(52);
SELECT test_rules('incineration', '{furnace_temp_low, furnace_temp_low_daily, pm_hourly, pm_daily, nox_hourly, nox_daily, so2_hourly,
    so2_daily, hcl_hourly, hcl_daily, co_hourly, co_daily, activated_carbon_low}');
SELECT results_eq($$SELECT key, threshold FROM onemap.alarm_rule WHERE subsystem = 'incineration' AND metric LIKE '%\_mg\_m3' ORDER BY key$$,
    $$VALUES ('co_daily', 80::float8), ('co_hourly', 100), ('hcl_daily', 50), ('hcl_hourly', 60), ('nox_daily', 250), ('nox_hourly', 300),
        ('pm_daily', 20), ('pm_hourly', 30), ('so2_daily', 80), ('so2_hourly', 100)$$, 'limits of GB 18485-2014, table 4');

SELECT test_device('incineration', 'furnace_line', 'F' || n, NULL, CASE n WHEN 2 THEN '{"emissions_at_11_o2": "1"}' ELSE '{}' END::jsonb) FROM generate_series(1, 6) n;
CREATE FUNCTION public.test_line(n int) RETURNS int LANGUAGE sql AS $$ SELECT d.id FROM onemap.device d WHERE d.code = 'F' || n $$;

-- ---- conversion: c x 10 / (21 - O2) ----
SELECT is(onemap.incineration_at_11_o2(20, 11), 20::float8, 'at 11 % nothing changes');
SELECT is(onemap.incineration_at_11_o2(13, 8), 10::float8, '13 at 8 %: 13 x 10 / 13');
SELECT is(onemap.incineration_at_11_o2(13, 16), 26::float8, '13 at 16 %: 13 x 10 / 5');
SELECT is(onemap.incineration_at_11_o2(13, 20), NULL, 'at 20 % there is no flue gas');
SELECT is(onemap.incineration_at_11_o2(13, NULL), NULL, 'without O2 no value');

-- ---- furnace temperature, F1 from 10:00Z, five minutes each ----
-- 10:00 (840 + 860) / 2 = 850, 850: mean 850, not below. 10:05 850, 849.5: 849.75. 10:10 800, one record starting up.
-- 10:15 the upper plane alone, 845. 10:20 the upper plane at 1400 is out of range, the middle one 900. 10:25 no temperature.
SELECT test_put(test_line(1), at, record) FROM (VALUES
    (timestamptz '2026-03-10 10:00Z', '{"furnace_temp_upper_c": 840, "furnace_temp_middle_c": 860}'::jsonb), ('2026-03-10 10:04:59Z', '{"furnace_temp_upper_c": 850, "furnace_temp_middle_c": 850, "line_state": 0}'),
    ('2026-03-10 10:05Z', '{"furnace_temp_upper_c": 849, "furnace_temp_middle_c": 851}'), ('2026-03-10 10:06Z', '{"furnace_temp_upper_c": 849, "furnace_temp_middle_c": 850}'),
    ('2026-03-10 10:10Z', '{"furnace_temp_upper_c": 800, "furnace_temp_middle_c": 800, "line_state": 2}'), ('2026-03-10 10:14Z', '{"furnace_temp_upper_c": 800, "furnace_temp_middle_c": 800, "line_state": 0}'),
    ('2026-03-10 10:15Z', '{"furnace_temp_upper_c": 845}'), ('2026-03-10 10:20Z', '{"furnace_temp_upper_c": 1400, "furnace_temp_middle_c": 900}'),
    ('2026-03-10 10:25Z', '{"line_state": 0}')) r(at, record);
SELECT results_eq($$SELECT slot, temp_c, samples, running FROM onemap.incineration_furnace_means('2026-03-10 10:00Z', '2026-03-10 10:30Z') ORDER BY slot$$,
    $$VALUES (timestamptz '2026-03-10 10:00Z', 850::float8, 2, true), ('2026-03-10 10:05Z', 849.75, 2, true), ('2026-03-10 10:10Z', 800, 2, false),
        ('2026-03-10 10:15Z', 845, 1, true), ('2026-03-10 10:20Z', 900, 1, true), ('2026-03-10 10:25Z', NULL, 0, true)$$, 'five-minute means of two planes');
SELECT results_eq($$SELECT device_id, slots, low, lowest_c, sixth_low_at FROM onemap.incineration_furnace_daily('2026-03-10')$$,
    format('VALUES (%s, 4, 2, 845::float8, NULL::timestamptz)', test_line(1)), 'four count on that day, two are below 850; 850 itself is not');
-- Each state but 正常运行 (0) takes its five minutes out.
SELECT test_put(test_line(6), timestamptz '2026-03-11 00:00Z' + s * interval '5 minutes', jsonb_build_object('furnace_temp_middle_c', 700, 'line_state', s)) FROM generate_series(0, 7) s;
SELECT is((SELECT array_agg(running ORDER BY slot) FROM onemap.incineration_furnace_means('2026-03-11 00:00Z', '2026-03-11 00:40Z')),
    '{t,f,f,f,f,f,f,f}', 'drying, starting, stopping, cooling, stopped, fault, accident do not count');
-- The local day begins at 16:00Z. F6: 15:55Z of the day before; six low ones 16:00Z to 16:25Z.
SELECT test_put(test_line(6), timestamptz '2026-03-13 15:55Z' + n * interval '5 minutes', '{"furnace_temp_middle_c": 849.9}') FROM generate_series(0, 6) n;
SELECT results_eq($$SELECT low, sixth_low_at FROM onemap.incineration_furnace_daily('2026-03-14')$$, $$VALUES (6, timestamptz '2026-03-13 16:30Z')$$, 'the sixth low mean of a local day');
SELECT is((SELECT low FROM onemap.incineration_furnace_daily('2026-03-13')), 1, 'the one before midnight is of the day before');

-- ---- the furnace sweep, around now; b: end of the last five minutes that may be judged ----
SELECT date_bin('5 minutes', now() - interval '1 minute', timestamptz '2000-01-01 00:00:00Z') AS b \gset
SELECT test_local_hour(12);
CREATE FUNCTION public.test_slot(line int, ends timestamptz, temp float8, state int) RETURNS void LANGUAGE sql AS $$
    SELECT test_put(line, ends - interval '2 minutes', jsonb_build_object('furnace_temp_middle_c', temp, 'furnace_temp_upper_c', temp, 'line_state', state))
$$;
SELECT is(onemap.incineration_furnace_sweep(), 0, 'nothing to judge');
SELECT is((SELECT judged_to FROM onemap.sweep_mark WHERE name = 'incineration_furnace'), :'b', 'but it is judged up to now');
-- F1: low, well, low. F2: low, then stopping while cold. F3: low, then no reading.
SELECT test_slot(test_line(n), timestamptz :'b' - s * interval '5 minutes', temp, state) FROM (VALUES
    (1, 2, 840, 0), (1, 1, 850, 0), (1, 0, 849, 0), (2, 2, 840, 0), (2, 1, 600, 3), (3, 2, 840, 0), (3, 1, NULL, 0), (4, 0, 850, 0)) r(n, s, temp, state);
SELECT is(onemap.incineration_furnace_sweep(), 0, 'what is judged is not judged again');
UPDATE onemap.sweep_mark SET judged_to = timestamptz :'b' - interval '15 minutes' WHERE name = 'incineration_furnace';
SELECT is(onemap.incineration_furnace_sweep(), 4, 'after a pause all that was missed is, in its order');
SELECT results_eq(format($$SELECT d.code, a.opened_at - %L, a.closed_at - %L, a.value, a.close_reason FROM onemap.alarm a JOIN onemap.device d ON d.id = a.device_id ORDER BY 1, 2$$, :'b', :'b'),
    $$VALUES ('F1', interval '-10 minutes', interval '-5 minutes', 840::float8, 'condition ended'), ('F1', '0', NULL, 849, NULL),
        ('F2', '-10 minutes', '-5 minutes', 840, 'the line is not running'), ('F3', '-10 minutes', NULL, 840, NULL)$$,
    'each alarm opens at the end of its five minutes; no reading says nothing');
-- Six low means of F5 four hours ago, five of F6.
SELECT test_slot(test_line(n), timestamptz :'b' - interval '4 hours' + s * interval '5 minutes', 840, 0) FROM (VALUES (5, 6), (6, 5)) r(n, times), generate_series(1, times) s;
UPDATE onemap.sweep_mark SET judged_to = timestamptz :'b' - interval '5 minutes' WHERE name = 'incineration_furnace';
SELECT onemap.incineration_furnace_sweep();
SELECT is(test_open(test_line(5)) || '/' || test_open(test_line(6)), 'furnace_temp_low_daily/', 'six times in a day are too many, five are not');
SELECT is((SELECT opened_at - :'b' FROM onemap.alarm WHERE device_id = test_line(5)), interval '-3 hours -30 minutes', 'since the end of the sixth');
SELECT test_local_hour(1);
UPDATE onemap.sweep_mark SET judged_to = timestamptz :'b' - interval '5 minutes' WHERE name = 'incineration_furnace';
SELECT onemap.incineration_furnace_sweep();
SELECT is((SELECT close_reason FROM onemap.alarm WHERE device_id = test_line(5)), 'the day ended', 'which ends with the day');
UPDATE onemap.setting SET value = 'Asia/Shanghai' WHERE key = 'time_zone';

-- ---- emissions, one record every five minutes ----
-- F1. 02:00Z: O2 8: PM 13 -> 10, NOx 364 and 442 in turn -> 280 and 340, mean 310.
SELECT test_put(test_line(1), timestamptz '2026-03-12 02:00Z' + n * interval '5 minutes', jsonb_build_object('o2_percent', 8, 'pm_mg_m3', 13, 'nox_mg_m3', 364 + 78 * (n % 2))) FROM generate_series(0, 11) n;
-- 03:00Z: 45 minutes with SO2 50, then calibration (5) with 900. 04:00Z: 40 minutes with 50, then stopping (3) with 900. 05:00Z: stopped.
SELECT test_put(test_line(1), timestamptz '2026-03-12 03:00Z' + n * interval '5 minutes', jsonb_build_object('o2_percent', 11, 'so2_mg_m3', CASE WHEN n < 9 THEN 50 ELSE 900 END, 'monitor_state', CASE WHEN n < 9 THEN 0 ELSE 5 END)) FROM generate_series(0, 11) n;
SELECT test_put(test_line(1), timestamptz '2026-03-12 04:00Z' + n * interval '5 minutes', jsonb_build_object('o2_percent', 11, 'so2_mg_m3', CASE WHEN n < 8 THEN 50 ELSE 900 END, 'line_state', CASE WHEN n < 8 THEN 0 ELSE 3 END)) FROM generate_series(0, 11) n;
SELECT test_put(test_line(1), timestamptz '2026-03-12 05:00Z' + n * interval '5 minutes', '{"o2_percent": 11, "so2_mg_m3": 900, "line_state": 5}') FROM generate_series(0, 11) n;
-- F2 sends converted values: 13 stays 13, with any O2 and without. F3: one reading beyond the instrument (600 of at
-- most 500: counts as that) among eleven of 20: (11 x 20 + 500) / 12 = 60.
SELECT test_put(test_line(2), timestamptz '2026-03-12 02:00Z' + n * interval '5 minutes', CASE WHEN n < 6 THEN '{"pm_mg_m3": 13, "o2_percent": 8}' ELSE '{"pm_mg_m3": 13}' END::jsonb) FROM generate_series(0, 11) n;
SELECT test_put(test_line(3), timestamptz '2026-03-12 02:00Z' + n * interval '5 minutes', jsonb_build_object('pm_mg_m3', CASE n WHEN 3 THEN 600 ELSE 20 END, 'o2_percent', 11)) FROM generate_series(0, 11) n;
CREATE FUNCTION public.test_hours(line int, key text) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT format('%s: %s mg/m3, %s of %s min%s', to_char(h.hour AT TIME ZONE 'UTC', 'HH24'), round(h.mean_mg_m3::numeric, 6)::float8, h.covered_min, h.running_min, CASE WHEN h.valid THEN ', valid' END)
    FROM onemap.incineration_emission_hours('2026-03-12 02:00Z', '2026-03-12 06:00Z') h WHERE h.device_id = line AND h.metric = key ORDER BY h.hour
$$;
SELECT results_eq('SELECT test_hours(test_line(1), ''nox_mg_m3'') LIMIT 1', $$VALUES ('02: 310 mg/m3, 60 of 60 min, valid')$$, 'the hourly mean of converted NOx');
SELECT results_eq('SELECT test_hours(test_line(1), ''pm_mg_m3'') LIMIT 1', $$VALUES ('02: 10 mg/m3, 60 of 60 min, valid')$$, 'and of particulates');
SELECT results_eq('SELECT test_hours(test_line(1), ''so2_mg_m3'') OFFSET 1', $$VALUES ('03: 50 mg/m3, 45 of 60 min, valid'), ('04: 50 mg/m3, 40 of 40 min'), ('05:  mg/m3, 0 of 0 min')$$,
    '45 minutes make an hour, 40 do not; calibration and a stopping line do not count');
SELECT results_eq('SELECT test_hours(test_line(2), ''pm_mg_m3'')', $$VALUES ('02: 13 mg/m3, 60 of 60 min, valid')$$, 'values that are converted already stay');
SELECT results_eq('SELECT test_hours(test_line(3), ''pm_mg_m3'')', $$VALUES ('02: 60 mg/m3, 60 of 60 min, valid')$$, 'beyond the instrument is at least its end');
SELECT is(onemap.incineration_emission_judge_hour('2026-03-12 02:00Z'), 2, 'two emissions are above their hourly limit');
SELECT matches((SELECT detail->>'text_zh' FROM onemap.alarm a JOIN onemap.alarm_rule r ON r.id = a.rule_id WHERE r.key = 'pm_hourly' AND a.device_id = test_line(3)), '超量程',
    'and the one that was beyond its instrument says so');
SELECT results_eq(format('SELECT opened_at, value FROM onemap.alarm a JOIN onemap.alarm_rule r ON r.id = a.rule_id WHERE r.key = ''nox_hourly'' AND device_id = %s', test_line(1)),
    $$VALUES (timestamptz '2026-03-12 03:00Z', 310::float8)$$, 'NOx 310 against 300, at the end of the hour');
SELECT onemap.incineration_emission_judge_hour('2026-03-12 04:00Z');
SELECT matches(test_open(test_line(1)), 'nox_hourly', 'an hour without a valid mean leaves the alarm');
SELECT onemap.incineration_emission_judge_hour('2026-03-12 05:00Z');
SELECT doesnt_match(test_open(test_line(1)), 'nox_hourly', 'one in which the line does not run ends it');

-- The local day 2026-03-20, from 2026-03-19 16:00Z. CO at 11 % O2. F3: 20 hours, 70 and 90 in turn: 80, at the limit. F4: 19 hours of 81.
-- F5: 19 hours of 80 and one of 101: 81.05, and one hour above 100.
SELECT test_put(test_line(n), timestamptz '2026-03-19 16:00Z' + h * interval '1 hour' + m * interval '5 minutes', jsonb_build_object('o2_percent', 11, 'co_mg_m3', CASE n WHEN 3 THEN 70 + 20 * (h % 2) WHEN 4 THEN 81 ELSE CASE h WHEN 7 THEN 101 ELSE 80 END END))
FROM (VALUES (3, 20), (4, 19), (5, 20)) r(n, hours), generate_series(0, hours - 1) h, generate_series(0, 11) m;
SELECT results_eq($$SELECT d.code, e.mean_mg_m3, e.hours, e.valid, e.hours_above, e.above_limit FROM onemap.incineration_emission_daily('2026-03-20') e
    JOIN onemap.device d ON d.id = e.device_id WHERE e.metric = 'co_mg_m3' ORDER BY 1$$,
    $$VALUES ('F3', 80::float8, 20, true, 0, false), ('F4', 81, 19, false, 0, NULL), ('F5', 81.05, 20, true, 1, true)$$, 'daily means of twenty hourly means and more');
SELECT is(onemap.incineration_emission_judge_day('2026-03-20'), 1, 'one line was above the daily limit');
SELECT matches(test_open(test_line(5)), 'co_daily', 'the one with 81.05');
SELECT is(onemap.incineration_emission_judge_day('2026-03-21'), 0, 'the next day has no means');
SELECT is((SELECT close_reason FROM onemap.alarm a JOIN onemap.alarm_rule r ON r.id = a.rule_id WHERE r.key = 'co_daily'), 'no valid daily mean', 'which ends it');

-- The sweep judges the last full hour once: F4, HCl 61. The county's midnight is not near.
SELECT test_local_hour(12);
SELECT test_put(test_line(4), date_bin('1 hour', now() - interval '5 minutes', timestamptz '2000-01-01 00:00:00Z') - interval '1 hour' + n * interval '5 minutes' + interval '3 seconds',
    '{"o2_percent": 11, "hcl_mg_m3": 61}') FROM generate_series(0, 11) n;
SELECT is(onemap.incineration_emission_sweep(), 1, 'the last full hour');
SELECT matches(test_open(test_line(4)), 'hcl_hourly', 'HCl 61 against 60');
SELECT is(onemap.incineration_emission_sweep(), 0, 'is judged once');
-- Twelve hours back the day before ended; F5's yesterday has twenty hours of SO2 81 from its midnight on.
SELECT (now() AT TIME ZONE onemap.setting('time_zone'))::date - 1 AS yesterday \gset
SELECT test_put(test_line(5), onemap.local_midnight(:'yesterday') + h * interval '1 hour' + m * interval '5 minutes' + interval '3 seconds', '{"o2_percent": 11, "so2_mg_m3": 81}')
FROM generate_series(0, 19) h, generate_series(0, 11) m;
UPDATE onemap.sweep_mark SET judged_to = judged_to - interval '20 hours' WHERE name = 'incineration_emission';
SELECT cmp_ok(onemap.incineration_emission_sweep(), '>=', 1, 'after a pause over midnight');
SELECT is((SELECT count(*) FROM onemap.alarm a JOIN onemap.alarm_rule r ON r.id = a.rule_id WHERE r.key = 'so2_daily' AND a.device_id = test_line(5) AND a.opened_at = onemap.local_midnight(:'yesterday'::date + 1)),
    1::bigint, 'the day that ended in it is judged too');

-- ---- activated carbon: limit 2 kg/h over half an hour while running ----
UPDATE onemap.alarm SET closed_at = greatest(opened_at, now()) WHERE closed_at IS NULL;
DELETE FROM onemap.observation_raw WHERE observed_at > now() - interval '40 minutes';
SELECT test_put(test_line(n), now() - m * interval '3 minutes' - interval '1 second', jsonb_build_object('activated_carbon_kg_h', kg, 'line_state', state))
FROM (VALUES (1, 1.9, 0), (2, 2.0, 0), (3, 0, 5)) r(n, kg, state), generate_series(0, 9) m;
SELECT is(onemap.incineration_carbon_sweep(), 1, 'one line runs with too little activated carbon');
SELECT is(test_open(test_line(1)) || '/' || test_open(test_line(2)) || '/' || test_open(test_line(3)), 'activated_carbon_low//', 'not at the limit, not while stopped');
SELECT test_put(test_line(1), now(), '{"activated_carbon_kg_h": 9}');
SELECT onemap.incineration_carbon_sweep();
SELECT is(test_open(test_line(1)), '', 'it ends when carbon flows');

-- ---- hours of each state: 10:00Z starting to 10:05, running to 10:15 (a record holds no longer than 10 minutes) and 10:20 to 10:25 ----
SELECT test_put(test_line(6), at, jsonb_build_object('line_state', s)) FROM (VALUES (timestamptz '2026-04-01 10:00Z', 2), ('2026-04-01 10:05Z', 0), ('2026-04-01 10:20Z', 0)) r(at, s);
SELECT results_eq($$SELECT line_state, round(hours::numeric, 6) FROM onemap.incineration_state_hours('2026-04-01 10:00Z', '2026-04-01 10:25Z') ORDER BY 1$$,
    'VALUES (0, 0.25), (2, 0.083333)', 'a quarter of an hour running, five minutes starting');

UPDATE onemap.setting SET value = 'Asia/Shanghai' WHERE key = 'time_zone';
-- ---- output of the local day 2026-04-05: burned 100 + 120 t, exported 55000 kWh: 250 kWh/t; meter over 1e10; a new carbon counter ----
SELECT test_device('incineration', 'generator', 'G1') AS g1, test_device('incineration', 'weighbridge', 'W1') AS w1 \gset
SELECT test_put(d, timestamptz '2026-04-04 15:00Z' + n * interval '3 hours', record) FROM (VALUES
    (test_line(1), 0, '{"waste_burned_total_t": 1000, "activated_carbon_total_kg": 8000}'::jsonb), (test_line(1), 1, '{"waste_burned_total_t": 1050, "activated_carbon_total_kg": 8040}'),
    (test_line(1), 2, '{"waste_burned_total_t": 1100, "activated_carbon_total_kg": 10}'), (test_line(1), 3, '{"activated_carbon_total_kg": 30}'),
    (test_line(2), 0, '{"waste_burned_total_t": 5}'), (test_line(2), 1, '{"waste_burned_total_t": 125}'),
    (:g1, 0, '{"energy_exported_kwh": 9999970000, "energy_generated_kwh": 100, "energy_own_use_kwh": 7}'), (:g1, 2, '{"energy_exported_kwh": 25000, "energy_generated_kwh": 66100, "energy_own_use_kwh": 11007}'),
    (:w1, 0, '{"waste_in_total_t": 10}'), (:w1, 1, '{"waste_in_total_t": 310}')) r(d, n, record);
SELECT results_eq($$SELECT * FROM onemap.incineration_output('2026-04-05')$$,
    $$VALUES (300::float8, 220::float8, 66000::float8, 55000::float8, 11000::float8, 60::float8, 250::float8)$$, 'waste, energy, carbon (40 + 20), kWh exported per tonne');
SELECT is((SELECT exported_kwh_per_t FROM onemap.incineration_output('2026-04-06')), NULL, 'a day without readings has none');
SELECT is(onemap.sweep_run(), '{}', 'all sweeps run on this without a problem');
SELECT * FROM finish();
ROLLBACK;
