-- heating: the season, cold rooms, warm hours, make-up water, heat used.
BEGIN ISOLATION LEVEL REPEATABLE READ;
\ir include/adapter.psql
SELECT plan(27);
SELECT test_rules('heating', '{room_cold, makeup_rate_high}');

-- 15 November to 15 March, both included.
SELECT is(onemap.heating_season('2026-11-14'), false, 'the day before the season');
SELECT is(onemap.heating_season('2026-11-15'), true, 'its first day');
SELECT is(onemap.heating_season('2027-01-01'), true, 'over the turn of the year');
SELECT is(onemap.heating_season('2028-02-29'), true, 'a leap day');
SELECT is(onemap.heating_season('2027-03-15'), true, 'its last day');
SELECT is(onemap.heating_season('2027-03-16'), false, 'the day after');
UPDATE onemap.setting SET value = CASE key WHEN 'heating_from' THEN '01-01' ELSE '12-31' END WHERE key IN ('heating_from', 'heating_to');
SELECT is(onemap.heating_season('2026-07-01'), true, 'a season within one year, as the tests below have it');

-- Two hours, limit 18: Q1 17.8 and 18.1: mean 17.95: cold. Q2 17 and 19: 18: not below. Q3 once 10: too little. Q4 10, flagged 70: one good reading.
SELECT test_device('heating', 'room_sensor', 'Q' || n) FROM generate_series(1, 5) n;
CREATE FUNCTION public.test_id(code text) RETURNS int LANGUAGE sql AS $$ SELECT d.id FROM onemap.device d WHERE d.code = $1 $$;
SELECT test_put(test_id(code), now() - minutes * interval '1 minute', jsonb_build_object('indoor_temp_c', temp)) FROM (VALUES
    ('Q1', 70, 17.8), ('Q1', 10, 18.1), ('Q2', 70, 17), ('Q2', 10, 19), ('Q3', 10, 10), ('Q4', 70, 10), ('Q4', 10, 70), ('Q5', 120, 5), ('Q5', 60, 17), ('Q5', 1, 17)) r(code, minutes, temp);
-- Q5: the reading of exactly two hours ago is outside; 59 minutes are less than half of two hours.
SELECT is(onemap.heating_room_sweep(), 1, 'one room is cold');
SELECT is((SELECT string_agg(test_open(test_id('Q' || n)), '/' ORDER BY n) FROM generate_series(1, 5) n), 'room_cold////', 'its mean of two hours is below 18');
SELECT is((SELECT round(value::numeric, 6) FROM onemap.alarm), 17.950000, 'at 17.95');
UPDATE onemap.setting SET value = to_char(now() - interval '40 days', 'MM-DD') WHERE key = 'heating_from';
UPDATE onemap.setting SET value = to_char(now() - interval '20 days', 'MM-DD') WHERE key = 'heating_to';
SELECT is(onemap.heating_room_sweep(), 0, 'after the season no room is cold');
SELECT is((SELECT close_reason FROM onemap.alarm), 'the heating season is over', 'and alarms end');
UPDATE onemap.setting SET value = CASE key WHEN 'heating_from' THEN '01-01' ELSE '12-31' END WHERE key IN ('heating_from', 'heating_to');

-- Hours of the local day 2026-12-10: Q1 18 (17.5 and 18.5), 17.9, 20 and 16 in the hour before midnight: 2 of 3 warm. The mean: 55.9 / 3.
SELECT test_put(test_id('Q1'), at, jsonb_build_object('indoor_temp_c', temp)) FROM (VALUES (timestamptz '2026-12-09 23:30+08', 16), ('2026-12-10 00:00+08', 17.5),
    ('2026-12-10 00:30+08', 18.5), ('2026-12-10 01:00+08', 17.9), ('2026-12-10 02:00+08', 20)) r(at, temp);
SELECT test_rollup();
SELECT results_eq($$SELECT hours, round(mean_c::numeric, 4), warm_hours, round(warm_percent::numeric, 4) FROM onemap.heating_rooms_daily('2026-12-10')$$,
    'VALUES (3, 18.6333, 2, 66.6667)', 'hours of at least 18 degrees');

-- Make-up water, one hour, limit 1 %. E1: 1.5 and 1.1 of 100 and 130: 1.3 / 115 = 1.1304 %. E2: 1 of 100: at the limit. E3: only 40 minutes. H1: a source.
SELECT test_device('heating', 'substation', 'E1'), test_device('heating', 'substation', 'E2'), test_device('heating', 'substation', 'E3'), test_device('heating', 'substation', 'E4'),
       test_device('heating', 'heat_source', 'H1');
SELECT test_put(test_id(code), now() - minutes * interval '1 minute', jsonb_build_object('makeup_flow_m3_h', makeup, 'flow_m3_h', flow)) FROM (VALUES
    ('E1', 50, 1.5, 100), ('E1', 5, 1.1, 130), ('E2', 50, 1, 100), ('E2', 5, 1, 100), ('E3', 41, 9, 100), ('E3', 1, 9, 100), ('E4', 50, 1, 0), ('E4', 5, 1, 0), ('H1', 50, 90, 100), ('H1', 1, 90, 100)) r(code, minutes, makeup, flow);
SELECT test_put(test_id('E1'), now() - interval '3 minutes', '{"makeup_flow_m3_h": 400}');
SELECT results_eq($$SELECT d.code, m.makeup_m3_h, m.circulating_m3_h, round(m.rate_percent::numeric, 4), m.readings FROM onemap.heating_makeup(now() - interval '1 hour', now()) m
    JOIN onemap.device d ON d.id = m.device_id WHERE d.code IN ('E1', 'E2', 'E4') ORDER BY 1$$,
    $$VALUES ('E1', 1.3::float8, 115::float8, 1.1304, 2), ('E2', 1, 100, 1.0000, 2), ('E4', 1, 0, NULL, 2)$$, 'of records with both flows; no rate while nothing circulates');
SELECT is(onemap.heating_makeup_sweep(), 1, 'one substation loses water');
SELECT is((SELECT string_agg(test_open(test_id(c)), '/' ORDER BY c) FROM unnest('{E1, E2, E3, E4, H1}'::text[]) c), 'makeup_rate_high////', 'not at the limit, not after 40 minutes, no other kind');
SELECT test_put(test_id('E1'), now() - interval '1 minute', '{"makeup_flow_m3_h": 0, "flow_m3_h": 190}');
-- 2.6 / 420 = 0.619 %
SELECT is(onemap.heating_makeup_sweep(), 0, 'and then less');
SELECT is(test_open(test_id('E1')), '', 'which ends it');

-- Heat of the local day 2026-12-10: E1 9999995 to 4 over the end (9), E2 a new meter: 700 to 705.5 (5.5), new 0 to 1 (1). Electricity 100 to 340.
SELECT test_put(test_id(code), timestamptz '2026-12-10 00:00+08' + n * interval '6 hours', record) FROM (VALUES
    ('E1', 0, '{"heat_total_gj": 9999995, "energy_kwh": 100, "makeup_total_m3": 10}'::jsonb), ('E1', 1, '{"heat_total_gj": 4, "energy_kwh": 340, "makeup_total_m3": 10.5}'),
    ('E2', 0, '{"heat_total_gj": 700}'), ('E2', 1, '{"heat_total_gj": 705.5}'), ('E2', 2, '{"heat_total_gj": 0}'), ('E2', 3, '{"heat_total_gj": 1}')) r(code, n, record);
SELECT results_eq($$SELECT d.code, c.device_kind, c.heat_gj, c.makeup_m3, c.energy_kwh FROM onemap.heating_consumption('2026-12-10') c JOIN onemap.device d ON d.id = c.device_id ORDER BY 1$$,
    $$VALUES ('E1', 'substation', 9::float8, 0.5::float8, 240::float8), ('E2', 'substation', 6.5, NULL, NULL)$$, 'heat, make-up water and electricity of a day');
SELECT is_empty($$SELECT * FROM onemap.heating_consumption('2026-12-12')$$, 'none on a day without readings');
SELECT is(onemap.sweep_run(), '{}', 'all sweeps run on this without a problem');
SELECT * FROM finish();
ROLLBACK;
