-- Readings beyond the instrument: every derived rule judges those on the side of its danger, at least as the range's end, and says
-- so in its alarm (超量程); those on the other side neither open nor close one. Means and rollups say how many there were.
BEGIN ISOLATION LEVEL REPEATABLE READ;
\ir include/adapter.psql
SELECT plan(93);

CREATE FUNCTION public.test_says(device int, rule text) RETURNS boolean LANGUAGE sql AS $$
    SELECT bool_and(a.detail->>'text_zh' LIKE '超量程%' AND o.text_zh LIKE '%超量程%' AND o.out_of_range)
    FROM onemap.alarm a JOIN onemap.alarm_rule r ON r.id = a.rule_id JOIN onemap.alarm_overview o ON o.id = a.id
    WHERE a.device_id = device AND r.key = rule AND a.closed_at IS NULL
$$;

-- ---- one reading: what a rule takes of it ----
SELECT results_eq($$SELECT onemap.reading_judged(ARRAY[v], q, m, 'above'), onemap.reading_judged(ARRAY[v], q, m, 'below'),
        onemap.reading_bounded(ARRAY[v], q, m, 'above'), onemap.reading_bounded(ARRAY[v], q, m, 'below')
    FROM (VALUES (1, 500::float8, NULL::bigint), (2, 1200, 1), (3, -5, 1), (4, NULL, NULL)) r(n, v, q)
    JOIN onemap.metric m ON m.subsystem = 'dust' AND m.ordinal = 1 ORDER BY n$$,
    $$VALUES (500::float8, 500::float8, 500::float8, 500::float8), (1200, NULL, 1000, NULL), (NULL, -5, NULL, 0), (NULL, NULL, NULL, NULL)$$,
    'in range, above, below, none');
SELECT results_eq($$SELECT onemap.reading_judged(ARRAY[v], 1, m, 'above'), onemap.reading_judged(ARRAY[v], 1, m, 'below'),
        onemap.reading_bounded(ARRAY[v], 1, m, 'above'), onemap.reading_bounded(ARRAY[v], 1, m, 'below')
    FROM unnest(ARRAY[0, 500, 1000]::float8[]) v JOIN onemap.metric m ON m.subsystem = 'dust' AND m.ordinal = 1 ORDER BY v$$,
    $$VALUES (0::float8, NULL::float8, 0::float8, NULL::float8), (500, NULL, 500, NULL), (1000, NULL, 1000, NULL)$$,
    'beyond the instrument as the sender says: that much at least');

-- ---- limits that count while a state holds ----
CREATE TEMP TABLE sustained AS SELECT *, row_number() OVER () AS n,
    test_device(subsystem, kind, 'over-' || rule) AS over, test_device(subsystem, kind, 'under-' || rule) AS under,
    test_device(subsystem, kind, 'mixed-' || rule) AS mixed
FROM (VALUES ('gas', 'leak_detector', 'leak_not_shut_off', 'leak_percent_lel', 120.0, 30.0, 'valve_open', 1, 120, 'gas_leak_sweep'),
             ('gas', 'meter', 'flow_through_shut_valve', 'flow_m3_h', 200000, 5, 'valve_open', 0, 600, 'gas_valve_sweep'),
             ('municipal', 'pump_station', 'pump_not_running', 'sump_level_m', 31, 4, 'pump_running', 0, 600, 'municipal_pump_sweep'),
             ('landscaping', 'irrigation_valve', 'irrigation_leak', 'irrigation_flow_m3_h', 1200, 5, 'valve_open', 0, 600, 'landscaping_leak_sweep'),
             ('sanitation', 'sweeper', 'sweeping_too_fast', 'speed_km_h', 300, 30, 'sweeping_on', 1, 120, 'sanitation_sweeping_sweep'))
    AS v(subsystem, kind, rule, metric, beyond, high, state_metric, state, duration_s, sweep);
CREATE FUNCTION public.test_state(device int, age interval, metric text, value float8, state_metric text, state int) RETURNS void LANGUAGE sql AS $$
    SELECT test_put(device, now() - age, jsonb_build_object(metric, value, state_metric, state))
$$;
-- Ten records through the duration: beyond; below the range; high and below the range in turn.
SELECT test_state(s.over, m * make_interval(secs => s.duration_s / 11.0), s.metric, s.beyond, s.state_metric, s.state),
       test_state(s.under, m * make_interval(secs => s.duration_s / 11.0), s.metric, -1, s.state_metric, s.state),
       test_state(s.mixed, m * make_interval(secs => s.duration_s / 11.0), s.metric, CASE m % 3 WHEN 1 THEN s.high ELSE -1 END, s.state_metric, s.state)
FROM sustained s, generate_series(1, 10) m;
SELECT is(onemap.sweep_run(), '{}', 'the sweeps run');
SELECT is(test_open(s.over), s.rule, s.rule || ': beyond the instrument is an alarm') FROM sustained s ORDER BY n;
SELECT ok(test_says(s.over, s.rule), s.rule || ': which says so') FROM sustained s ORDER BY n;
SELECT is(test_open(s.under), '', s.rule || ': below the range opens none') FROM sustained s ORDER BY n;
SELECT is(test_open(s.mixed), s.rule, s.rule || ': nor does it hide what is beside it') FROM sustained s ORDER BY n;
SELECT is(test_says(s.mixed, s.rule), false, s.rule || ': whose alarm says nothing of it') FROM sustained s ORDER BY n;
SELECT test_state(s.over, '0 seconds', s.metric, -1, s.state_metric, s.state) FROM sustained s;
SELECT onemap.sweep_run();
SELECT is(test_open(s.over), s.rule, s.rule || ': nor closes one') FROM sustained s ORDER BY n;

-- ---- the same at the instrument's upper limit, within the metric's range ----
CREATE TEMP TABLE limited AS SELECT s.*, row_number() OVER () AS k,
    test_device(subsystem, kind, 'limit-' || rule) AS limit_high, test_device(subsystem, kind, 'unsure-' || rule) AS unsure FROM sustained s;
SELECT test_put(d.device, now() - m * make_interval(secs => l.duration_s / 11.0), jsonb_build_object(l.metric, d.value, l.state_metric, l.state, 'over_range', ARRAY[l.metric]))
FROM limited l CROSS JOIN LATERAL (VALUES (l.limit_high, l.high), (l.unsure, 0)) d(device, value), generate_series(1, 10) m;
SELECT is(onemap.sweep_run(), '{}', 'the sweeps run');
SELECT is(test_open(l.limit_high), l.rule, l.rule || ': above the limit at the instrument''s end is an alarm') FROM limited l ORDER BY k;
SELECT ok(test_says(l.limit_high, l.rule), l.rule || ': which says so') FROM limited l ORDER BY k;
SELECT is(test_open(l.unsure), '', l.rule || ': below it, it opens none') FROM limited l ORDER BY k;
SELECT test_put(l.limit_high, now(), jsonb_build_object(l.metric, 0, l.state_metric, l.state, 'over_range', ARRAY[l.metric])) FROM limited l;
SELECT onemap.sweep_run();
SELECT is(test_open(l.limit_high), l.rule, l.rule || ': nor ends one') FROM limited l ORDER BY k;

-- ---- dust: noise and PM10 ----
SELECT test_device('dust', 'site_monitor', 'S1') AS s1, test_device('dust', 'site_monitor', 'S2') AS s2 \gset
SELECT test_local_hour(2);
SELECT test_put(:s1, now() - n * interval '1 minute', '{"noise_dba": 999}'), test_put(:s2, now() - n * interval '1 minute', '{"noise_dba": -1}') FROM generate_series(1, 20) n;
SELECT is(onemap.dust_noise_sweep(), 1, 'noise beyond the meter');
SELECT ok(test_says(:s1, 'noise_night'), 'is an alarm that says so');
SELECT is(test_open(:s2), '', 'below its range it is none');
SELECT date_trunc('hour', now() - interval '5 minutes') - interval '1 hour' AS judged \gset
SELECT test_put(:s1, timestamptz :'judged' + n * interval '1 minute', '{"pm10_ug_m3": 9998}'), test_put(:s2, timestamptz :'judged' + n * interval '1 minute', '{"pm10_ug_m3": -5}')
FROM generate_series(1, 3) n;
SELECT test_rollup();
SELECT results_eq(format('SELECT counts[2], flagged_above[2], flagged_below[2], onemap.hourly_flagged(h, 2) FROM onemap.observation_hourly h WHERE hour = %L AND device_id IN (%s, %s) ORDER BY device_id', :'judged', :s1, :s2),
    'VALUES (0, 3, 0, 3), (0, 0, 3, 3)', 'a rollup says how many were out of range, and on which side');
SELECT is(onemap.dust_pm10_sweep(), 1, 'an hour of which all was beyond the instrument is judged');
SELECT ok(test_says(:s1, 'pm10_hourly'), 'and its alarm says so');
SELECT is((SELECT a.value FROM onemap.alarm a JOIN onemap.alarm_rule r ON r.id = a.rule_id WHERE r.key = 'pm10_hourly' AND a.device_id = :s1), 1850::float8, 'at least its end, 2000, less 150');
SELECT is((SELECT pm10_ug_m3::text || '/' || pm10_flagged FROM onemap.dust_hourly WHERE device_id = :s1 AND hour = :'judged'), NULL, 'there is no mean of good readings');
SELECT test_put(:s2, timestamptz :'judged' + interval '10 minutes', '{"pm10_ug_m3": 100}');
SELECT test_rollup();
SELECT results_eq(format('SELECT counts[2], flagged_above[2], flagged_below[2] FROM onemap.observation_hourly WHERE hour = %L AND device_id = %s', :'judged', :s2),
    'VALUES (1, 0, 3)', 'another batch of the hour is added');

SELECT test_device('dust', 'site_monitor', 'S3') AS s3 \gset
SELECT test_put(:s3, timestamptz :'judged' + n * interval '1 minute', jsonb_build_object('pm10_ug_m3', 400 + n, 'over_range', ARRAY['pm10_ug_m3'])) FROM generate_series(0, 2) n;
SELECT test_put(:s3, timestamptz :'judged' + interval '9 minutes', '{"pm10_ug_m3": 100}');
SELECT test_rollup();
SELECT results_eq(format('SELECT counts[2], sums[2], flagged_above[2], above_least, onemap.hourly_flagged(h, 2), onemap.hourly_judged(h, m, ''above''), onemap.hourly_judged(h, m, ''below'')
    FROM onemap.observation_hourly h, onemap.metric m WHERE m.subsystem = ''dust'' AND m.ordinal = 2 AND hour = %L AND device_id = %s', :'judged', :s3),
    'VALUES (1, 100::float8, 3, ARRAY[NULL, 400]::float8[], 3, 325::float8, 100::float8)', 'an hour at the instrument''s end: at least');
SELECT test_put(:s3, timestamptz :'judged' + interval '10 minutes', '{"pm10_ug_m3": 300, "over_range": ["pm10_ug_m3"]}');
SELECT test_rollup();
SELECT is((SELECT above_least FROM onemap.observation_hourly WHERE hour = :'judged' AND device_id = :s3), ARRAY[NULL, 300]::float8[], 'another batch is added');
SELECT onemap.dust_pm10_sweep();
SELECT ok(test_says(:s3, 'pm10_hourly'), 'is judged by that');
UPDATE onemap.observation_hourly SET above_least = ARRAY[NULL, 1], sums = ARRAY[NULL, 1] WHERE hour = :'judged' AND device_id = :s3;
SELECT onemap.dust_pm10_sweep();
SELECT is(test_open(:s3), 'pm10_hourly', 'an hour that may have been above the limit ends none');

-- ---- heating: rooms below, make-up water above ----
UPDATE onemap.setting SET value = CASE key WHEN 'heating_from' THEN '01-01' ELSE '12-31' END WHERE key IN ('heating_from', 'heating_to');
SELECT test_device('heating', 'room_sensor', 'Q1') AS q1, test_device('heating', 'room_sensor', 'Q2') AS q2,
       test_device('heating', 'substation', 'E1') AS e1, test_device('heating', 'substation', 'E2') AS e2 \gset
SELECT test_put(:q1, now() - m * interval '10 minutes', '{"indoor_temp_c": -40}'), test_put(:q2, now() - m * interval '10 minutes', '{"indoor_temp_c": 200}'),
       test_put(:e1, now() - m * interval '5 minutes', '{"makeup_flow_m3_h": 900, "flow_m3_h": 100}'), test_put(:e2, now() - m * interval '5 minutes', '{"makeup_flow_m3_h": -1, "flow_m3_h": 100}')
FROM generate_series(1, 11) m;
SELECT is(onemap.heating_room_sweep(), 1, 'a room below the thermometer');
SELECT ok(test_says(:q1, 'room_cold') AND test_open(:q2) = '', 'is cold, one above it says nothing');
SELECT is((SELECT flagged FROM onemap.heating_room_means(now() - interval '2 hours', now()) WHERE device_id = :q1), 11, 'the mean says how many');
SELECT is(onemap.heating_makeup_sweep(), 1, 'more make-up water than the meter can say');
SELECT ok(test_says(:e1, 'makeup_rate_high') AND test_open(:e2) = '', 'is an alarm, less than nothing is none');

-- ---- water: night flow ----
SELECT test_device('water', 'district_meter', 'D1') AS d1, test_device('water', 'district_meter', 'D2') AS d2 \gset
SELECT test_put(d, onemap.local_midnight('2026-03-12') - interval '19 hours' + h * interval '1 hour', jsonb_build_object('flow_m3_h', CASE WHEN h < 20 THEN 20 ELSE v END))
FROM (VALUES (:d1, 90000), (:d2, -90000)) r(d, v), generate_series(0, 23) h;
SELECT test_rollup();
SELECT is(onemap.water_night_judge('2026-03-12'), 1, 'a night that the meter cannot say');
SELECT ok(test_says(:d1, 'night_flow_high') AND test_open(:d2) = '', 'flows at least at its end; backwards beyond it says nothing');
SELECT is((SELECT flagged FROM onemap.water_night_flow('2026-03-12') WHERE device_id = :d1), 4, 'and how many there were');

-- ---- incineration: furnace below, emissions above, carbon below ----
SELECT test_device('incineration', 'furnace_line', 'F1') AS f1, test_device('incineration', 'furnace_line', 'F2') AS f2 \gset
SELECT test_put(:f1, timestamptz '2026-03-10 10:00Z' + n * interval '1 minute', '{"furnace_temp_middle_c": -200}'),
       test_put(:f2, timestamptz '2026-03-10 10:00Z' + n * interval '1 minute', '{"furnace_temp_upper_c": 5000, "furnace_temp_middle_c": 900}') FROM generate_series(0, 4) n;
SELECT results_eq($$SELECT temp_c, samples, flagged, beyond FROM onemap.incineration_furnace_means('2026-03-10 10:00Z', '2026-03-10 10:05Z') ORDER BY device_id$$,
    'VALUES (-20::float8, 5, 5, true), (900, 5, 5, false)', 'a furnace below its thermocouples; one above one of them');
SELECT test_put(:f1, timestamptz '2026-03-12 02:00Z' + n * interval '5 minutes', '{"o2_percent": 11, "nox_mg_m3": 5000}'),
       test_put(:f2, timestamptz '2026-03-12 02:00Z' + n * interval '5 minutes', '{"o2_percent": 11, "nox_mg_m3": -3}') FROM generate_series(0, 11) n;
SELECT is(onemap.incineration_emission_judge_hour('2026-03-12 02:00Z'), 1, 'emissions beyond the monitor');
SELECT ok(test_says(:f1, 'nox_hourly') AND test_open(:f2) = '', 'are an alarm; below it they are no reading');
-- The monitor says that it is over range: what is beyond its limit counts, what stands beside it does not.
SELECT test_put(:f2, timestamptz '2026-03-12 04:00Z' + n * interval '5 minutes', '{"o2_percent": 11, "nox_mg_m3": 900, "so2_mg_m3": 900, "monitor_state": 6, "over_range": ["nox_mg_m3"]}') FROM generate_series(0, 11) n;
SELECT results_eq($$SELECT metric, mean_mg_m3, valid, beyond FROM onemap.incineration_emission_hours('2026-03-12 04:00Z', '2026-03-12 05:00Z') h WHERE mean_mg_m3 IS NOT NULL$$,
    $$VALUES ('nox_mg_m3', 900::float8, true, true)$$, 'an hour with the monitor over range');
SELECT onemap.incineration_emission_judge_hour('2026-03-12 04:00Z');
SELECT ok(test_says(:f2, 'nox_hourly'), 'is an alarm');
SELECT test_put(:f1, now() - m * interval '3 minutes' - interval '1 second', '{"activated_carbon_kg_h": -2, "line_state": 0}'),
       test_put(:f2, now() - m * interval '3 minutes' - interval '1 second', '{"activated_carbon_kg_h": 9000, "line_state": 0}') FROM generate_series(0, 9) m;
SELECT onemap.incineration_carbon_sweep();
SELECT ok(test_says(:f1, 'activated_carbon_low') AND test_open(:f2) !~ 'carbon', 'no carbon at all');

-- ---- construction waste: the last known states ----
SELECT test_device('construction_waste', 'truck', 'T1') AS t1, test_device('construction_waste', 'truck', 'T2') AS t2 \gset
SELECT test_put(:t1, now(), '{"cover_closed": 0, "load_percent": 900, "speed_km_h": 40}'), test_put(:t2, now(), '{"cover_closed": 0, "load_percent": 90, "speed_km_h": 40}');
SELECT is(onemap.construction_waste_cover_sweep(), 2, 'two trucks drive loaded and open');
SELECT ok(test_says(:t1, 'cover_open'), 'one with a load beyond its scales');
SELECT test_put(:t2, now() + interval '1 second', '{"cover_closed": 0, "load_percent": -5, "speed_km_h": 40}');
SELECT onemap.construction_waste_cover_sweep();
SELECT is(test_open(:t2), 'cover_open', 'a load below nothing is no empty truck');
SELECT test_put(:t2, now() + interval '2 seconds', '{"cover_closed": 0, "load_percent": 1, "speed_km_h": 40, "over_range": ["load_percent"]}');
SELECT onemap.construction_waste_cover_sweep();
SELECT is(test_open(:t2), 'cover_open', 'nor is one at the end of its scales');

-- ---- the hub's alarms ----
SELECT test_device('gas', 'leak_detector', 'L1') AS l1 \gset
SELECT id AS leak FROM onemap.alarm_rule WHERE subsystem = 'gas' AND key = 'leak_second' \gset
SELECT onemap.alarm_apply(format('[{"op": "open", "device_id": %s, "rule_id": %s, "at_ms": 1773136800000, "value": 120, "out_of_range": true}]', :l1, :leak)::jsonb);
SELECT is((SELECT text_zh FROM onemap.alarm_overview WHERE device_id = :l1), '燃气泄漏二级报警：L1（超量程：120 %LEL，量程 0 至 100 %LEL）', 'an alarm in words');
SELECT onemap.alarm_apply(format('[{"op": "close", "device_id": %s, "rule_id": %s, "at_ms": 1773136801000, "value": 3}, {"op": "open", "device_id": %s, "rule_id": %s, "at_ms": 1773136802000, "value": 60}]', :l1, :leak, :l1, :leak)::jsonb);
SELECT is((SELECT text_zh FROM onemap.alarm_overview WHERE device_id = :l1 AND closed_at IS NULL), '燃气泄漏二级报警：L1', 'one within the range says nothing of it');
SELECT onemap.alarm_apply(format('[{"op": "mark", "device_id": %s, "rule_id": %s, "at_ms": 1773136803000, "value": 150, "out_of_range": true}, {"op": "mark", "device_id": %s, "rule_id": %s, "at_ms": 1773136804000, "value": 180, "out_of_range": true}]', :l1, :leak, :l1, :leak)::jsonb);
SELECT is((SELECT text_zh || value FROM onemap.alarm_overview WHERE device_id = :l1 AND closed_at IS NULL), '燃气泄漏二级报警：L1（超量程：150 %LEL，量程 0 至 100 %LEL）60',
    'until it is beyond: then it says the first, and keeps what opened it');
SELECT onemap.alarm_apply(format('[{"op": "close", "device_id": %s, "rule_id": %s, "at_ms": 1773136805000, "value": 3}, {"op": "open", "device_id": %s, "rule_id": %s, "at_ms": 1773136806000, "value": 60, "out_of_range": true}]', :l1, :leak, :l1, :leak)::jsonb);
SELECT is((SELECT text_zh FROM onemap.alarm_overview WHERE device_id = :l1 AND closed_at IS NULL), '燃气泄漏二级报警：L1（超量程：仪表已到测量上限，不低于 60 %LEL）', 'one at the instrument''s upper limit');
SELECT is((SELECT flagged FROM onemap.gas WHERE device_code = 'limit-leak_not_shut_off' LIMIT 1), '{leak_percent_lel}', 'the view names it');
SELECT is((SELECT flagged FROM onemap.gas WHERE device_code = 'over-leak_not_shut_off' LIMIT 1), '{leak_percent_lel}', 'the view names what is out of range');
SELECT is((SELECT flagged FROM onemap.gas WHERE device_code = 'mixed-leak_not_shut_off' AND leak_percent_lel > 0 LIMIT 1), NULL, 'and only that');
SELECT is(onemap.sweep_run(), '{}', 'all sweeps run on this without a problem');
SELECT * FROM finish();
ROLLBACK;
