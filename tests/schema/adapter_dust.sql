-- dust: equivalent level, periods of day over midnight, noise of sites, PM10 above the background, daily means.
BEGIN ISOLATION LEVEL REPEATABLE READ;
\ir include/adapter.psql
SELECT plan(43);
SELECT test_rules('dust', '{noise_day, noise_night, pm10_hourly}');

-- 50 and 60 dB(A): mean energy (10^5 + 10^6) / 2 = 550000, 10 lg 550000 = 57.4036
SELECT is(round(onemap.dust_leq('{50, 60}')::numeric, 4), 57.4036, 'the mean of energies, not of levels');
SELECT is(round(onemap.dust_leq('{60, NULL, 60}')::numeric, 6), 60.000000, 'missing samples do not count');
SELECT is(onemap.dust_leq('{}'), NULL, 'no samples, no level');

-- The county's time is UTC+8.
SELECT is(onemap.dust_noise_period('2026-03-10 23:30+08', '22:00', '06:00'), '2026-03-10 22:00+08', 'before midnight the night began this evening');
SELECT is(onemap.dust_noise_period('2026-03-11 03:00+08', '22:00', '06:00'), '2026-03-10 22:00+08', 'after midnight it began last evening');
SELECT is(onemap.dust_noise_period('2026-03-10 22:00+08', '22:00', '06:00'), '2026-03-10 22:00+08', 'it begins at 22:00');
SELECT is(onemap.dust_noise_period('2026-03-10 21:59:59+08', '22:00', '06:00'), NULL, 'not a second earlier');
SELECT is(onemap.dust_noise_period('2026-03-11 05:59:59+08', '22:00', '06:00'), '2026-03-10 22:00+08', 'and lasts to 06:00');
SELECT is(onemap.dust_noise_period('2026-03-11 06:00+08', '22:00', '06:00'), NULL, 'when the day begins');
SELECT is(onemap.dust_noise_period('2026-03-11 06:00+08', '06:00', '22:00'), '2026-03-11 06:00+08', 'the day begins at 06:00');
SELECT is(onemap.dust_noise_period('2026-03-11 22:00+08', '06:00', '22:00'), NULL, 'and is over at 22:00');

-- One site, a sample a minute: 72 to 21:59, 54 from 22:00 to 22:30, 56 from 23:50 to 00:20, one of 150 (beyond the
-- instrument: its end, 140) at 00:05:30, one of 10 (below it) at 00:06:30.
SELECT test_device('dust', 'site_monitor', 'S1') AS s1, test_device('dust', 'road_monitor', 'R1') AS r1, test_device('dust', 'road_monitor', 'R2') AS r2,
       test_device('dust', 'site_monitor', 'S2') AS s2 \gset
SELECT test_put(:s1, t, jsonb_build_object('noise_dba', CASE WHEN t < '2026-03-10 22:00+08' THEN 72 ELSE 54 END))
FROM generate_series(timestamptz '2026-03-10 21:30+08', '2026-03-10 22:30+08', '1 minute') t;
SELECT test_put(:s1, t, '{"noise_dba": 56}') FROM generate_series(timestamptz '2026-03-10 23:50+08', '2026-03-11 00:20+08', '1 minute') t;
SELECT test_put(:s1, '2026-03-11 00:05:30+08', '{"noise_dba": 150}'), test_put(:s1, '2026-03-11 00:06:30+08', '{"noise_dba": 10}');
UPDATE onemap.device_state SET last_seen_at = '2026-03-11 00:20+08' WHERE device_id = :s1;
CREATE FUNCTION public.test_judge(at timestamptz) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT format('%s %s of %s, %s samples from %s', j.rule_key, j.leq_dba, j.limit_dba, j.samples, to_char(j.from_at AT TIME ZONE 'Asia/Shanghai', 'HH24:MI'))
    FROM onemap.dust_noise_judge(at) j
$$;
-- last_seen_at is after all these moments; the 20 minutes to 22:00 are those from 21:40 to 21:59.
SELECT results_eq($$SELECT test_judge('2026-03-10 21:59:59+08')$$, $$VALUES ('noise_day 72 of 70, 20 samples from 21:40')$$, 'by day the last 20 minutes are above 70');
-- 22:00 to 22:14: 14 minutes, fewer than 15
SELECT is_empty($$SELECT test_judge('2026-03-10 22:15+08')$$, 'the night has not lasted long enough to be judged');
SELECT results_eq($$SELECT test_judge('2026-03-10 22:16+08')$$, $$VALUES ('noise_night 54 of 55, 16 samples from 22:00')$$,
    'once samples span three quarters of 20 minutes it is, and by the night''s own samples');
SELECT results_eq($$SELECT test_judge('2026-03-11 00:10+08')$$, $$VALUES ('noise_night 126.8 of 55, 21 samples from 23:50')$$,
    'over midnight the window goes on; what is beyond the instrument counts as its end, what is below it does not count');
SELECT results_eq(format($$SELECT flagged, beyond FROM onemap.dust_noise(%s, '2026-03-10 23:50+08', '2026-03-11 00:10+08')$$, :s1), 'VALUES (2, 1)',
    'and it says how many there were');
SELECT is_empty($$SELECT test_judge('2026-03-10 23:00+08')$$, 'a silent site is not judged');

-- The sweep at 02:xx of a county whose clock shows that now: 55.0 is at the limit, 55.2 above it.
SELECT test_local_hour(2);
SELECT test_put(d, now() - n * interval '1 minute', jsonb_build_object('noise_dba', l)) FROM (VALUES (:s1, 55.0), (:s2, 55.2)) x(d, l), generate_series(1, 20) n;
SELECT is(onemap.dust_noise_sweep(), 1, 'one site is above the limit of the night');
SELECT is(test_open(:s1) || '/' || test_open(:s2), '/noise_night', 'the one at it is not');
SELECT is(onemap.dust_noise_sweep(), 1, 'it still is');
SELECT is((SELECT count(*) FROM onemap.alarm WHERE device_id = :s2), 1::bigint, 'and has one alarm');
SELECT test_local_hour(12);
SELECT onemap.dust_noise_sweep();
SELECT is((SELECT close_reason FROM onemap.alarm WHERE device_id = :s2), 'the period of day ended', 'which the day ends');

-- PM10, one hour: roads 100 and 140, mean 120; site 250: 130 above it. S2 has the hour's readings 100 and 200: 150, 30 above.
SELECT test_put(d, timestamptz '2026-03-12 02:10Z' + n * interval '10 minutes', jsonb_build_object('pm10_ug_m3', v)) FROM
    (VALUES (:r1, '{100, 100}'::float8[]), (:r2, '{140, 140}'), (:s1, '{250, 250}'), (:s2, '{100, 200}')) x(d, values), unnest(values) WITH ORDINALITY u(v, n);
-- The next hour: roads 300, capped at 150; S1 exactly 80 above. The third: no road; S1 200 less 150.
SELECT test_put(:r1, '2026-03-12 03:10Z', '{"pm10_ug_m3": 300}'), test_put(:s1, '2026-03-12 03:10Z', '{"pm10_ug_m3": 230}'),
       test_put(:s1, '2026-03-12 04:10Z', '{"pm10_ug_m3": 200}'), test_put(:s1, '2026-03-12 04:11Z', '{"pm10_ug_m3": 5000}');
-- Twenty hours of PM2.5 of the local day 2026-03-13 (from 2026-03-12 16:00Z): ten of 50, ten of 70; 19 of S2.
SELECT test_put(:s1, timestamptz '2026-03-12 16:05Z' + h * interval '1 hour', jsonb_build_object('pm25_ug_m3', 50 + 20 * (h % 2))) FROM generate_series(0, 19) h;
SELECT test_put(:s2, timestamptz '2026-03-12 16:05Z' + h * interval '1 hour', '{"pm25_ug_m3": 80}') FROM generate_series(0, 18) h;
SELECT test_put(:s2, '2026-03-12 15:59Z', '{"pm25_ug_m3": 900}');
SELECT test_rollup();
SELECT results_eq(format($$SELECT device_id, pm10_ug_m3, background_ug_m3, excess_ug_m3 FROM onemap.dust_pm10_excess('2026-03-12 02:00Z') ORDER BY 1$$),
    format('VALUES (%s, 250::float8, 120::float8, 130::float8), (%s, 150, 120, 30)', :s1, :s2), 'sites less the mean of the roads');
SELECT results_eq($$SELECT background_ug_m3, excess_ug_m3 FROM onemap.dust_pm10_excess('2026-03-12 03:00Z')$$, $$VALUES (150::float8, 80::float8)$$,
    'no more than 150 is taken off');
SELECT results_eq($$SELECT background_ug_m3, excess_ug_m3 FROM onemap.dust_pm10_excess('2026-03-12 04:00Z')$$, $$VALUES (150::float8, 950::float8)$$,
    'without a road the cap is; 5000 counts as the instrument''s end: (200 + 2000) / 2');
SELECT results_eq(format($$SELECT pm10_ug_m3, pm10_samples, pm10_flagged FROM onemap.dust_hourly WHERE device_id = %s AND hour = '2026-03-12 04:00Z'$$, :s1),
    'VALUES (200::float8, 1, 1)', 'the mean itself is of good readings, and says how many there were beside them');
UPDATE onemap.setting SET value = 'Asia/Shanghai' WHERE key = 'time_zone';
SELECT results_eq($$SELECT device_id, hours, pm25_ug_m3, valid, pm25_above_limit FROM onemap.dust_daily('2026-03-13') ORDER BY 1$$,
    format('VALUES (%s, 20, 60::float8, true, false), (%s, 19, 80, false, NULL)', :s1, :s2),
    'twenty hourly means make a day, 19 do not; 60 is not above 60; the hour before midnight is of the day before');
SELECT is(onemap.dust_pm25_daily_limit('2026-02-28'), 75::float8, 'PM2.5 in a day: 75 under GB 3095-2012');
SELECT is(onemap.dust_pm25_daily_limit('2026-03-01'), 60::float8, '60 from 2026-03-01');
SELECT is(onemap.dust_pm25_daily_limit('2030-12-31'), 60::float8, '60 to the end of 2030');
SELECT is(onemap.dust_pm25_daily_limit('2031-01-01'), 50::float8, '50 from 2031');

-- The last full hour that is over for five minutes: roads 100; S1 181 (81 above, alarm), S2 180 (80: at the limit).
SELECT date_trunc('hour', now() - interval '5 minutes') - interval '1 hour' AS judged \gset
SELECT test_put(d, timestamptz :'judged' + interval '7 minutes 3 seconds', jsonb_build_object('pm10_ug_m3', v)) FROM (VALUES (:r1, 100), (:s1, 181), (:s2, 180)) x(d, v);
SELECT test_rollup();
SELECT is(onemap.dust_pm10_sweep(), 1, 'one site is above the background by more than 80');
SELECT is(test_open(:s1) || '/' || test_open(:s2), 'pm10_hourly/', 'just 80 is not above');
SELECT is((SELECT a.value FROM onemap.alarm a WHERE a.device_id = :s1 AND a.closed_at IS NULL), 81::float8, 'its value is the excess');
-- The hour is corrected to 170: the alarm ends.
UPDATE onemap.observation_raw SET readings[2] = 170 WHERE device_id = :s1 AND observed_at > :'judged';
INSERT INTO onemap.rollup_recompute (device_id, hour) VALUES (:s1, :'judged');
SELECT test_put(:r2, timestamptz :'judged' + interval '8 minutes', '{"pm25_ug_m3": 10}');
SELECT test_rollup();
SELECT is(onemap.dust_pm10_sweep(), 0, 'and none once the hour is corrected');
SELECT is(test_open(:s1), '', 'which closes the alarm');
SELECT is(onemap.sweep_run(), '{}', 'all sweeps run on this without a problem');
SELECT * FROM finish();
ROLLBACK;
