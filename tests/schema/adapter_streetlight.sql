-- streetlight: the lighting rate (亮灯率) of cabinets, at a moment, over a night, now; energy of a night.
BEGIN ISOLATION LEVEL REPEATABLE READ;
\ir include/adapter.psql
SELECT plan(27);
SELECT test_rules('streetlight', '{lighting_rate_low}');

SELECT test_device('streetlight', 'cabinet', 'C1') AS c1, test_device('streetlight', 'cabinet', 'C2') AS c2, test_device('streetlight', 'cabinet', 'C3') AS c3 \gset
SELECT test_device('streetlight', 'lamp', 'L' || n, :c1) FROM generate_series(1, 7) n;
SELECT test_device('streetlight', 'lamp', 'M1', :c2) AS m1 \gset
CREATE FUNCTION public.test_lamp(lamp text) RETURNS int LANGUAGE sql AS $$ SELECT d.id FROM onemap.device d WHERE d.code = lamp $$;
UPDATE onemap.device SET status = 'retired' WHERE code = 'L7';
-- At 20:00 of UTC+8, C1, contactor closed:
--   L1 ordered on, lit                       ordered, lit
--   L2 ordered on, dark                      ordered
--   L3 lit, without an order of its own      ordered by the contactor, lit
--   L4 ordered off, dark                     not ordered
--   L5 lit, last heard of at 19:00:00        silent: a lamp's offline_after is an hour
--   L6 dark at 19:00:01 by order on          ordered
--   L7 retired                               not counted
-- So 6 lamps, 1 silent, 4 ordered, 2 lit: 50 %.
SELECT test_put(:c1, '2026-03-10 19:55+08', '{"contactor_closed": 1}');
SELECT test_put(test_lamp(r.lamp), r.at, r.record) FROM (VALUES
    ('L1', timestamptz '2026-03-10 19:50+08', '{"lamp_on": 0, "ordered_on": 0}'::jsonb), ('L1', '2026-03-10 20:00+08', '{"lamp_on": 1, "ordered_on": 1}'),
    ('L1', '2026-03-10 20:00:01+08', '{"lamp_on": 0, "ordered_on": 0}'),
    ('L2', '2026-03-10 19:50+08', '{"lamp_on": 0, "ordered_on": 1}'), ('L2', '2026-03-10 19:58+08', '{"lamp_temp_c": 20}'),
    ('L3', '2026-03-10 19:50+08', '{"lamp_on": 1}'), ('L4', '2026-03-10 19:50+08', '{"lamp_on": 0, "ordered_on": 0}'),
    ('L5', '2026-03-10 19:00+08', '{"lamp_on": 1, "ordered_on": 1}'), ('L6', '2026-03-10 19:00:01+08', '{"lamp_on": 0, "ordered_on": 1}'),
    ('L7', '2026-03-10 19:50+08', '{"lamp_on": 0, "ordered_on": 1}')) r(lamp, at, record);
SELECT results_eq($$SELECT d.code::text, l.ordered, l.lit FROM onemap.streetlight_lamps('2026-03-10 20:00+08') l JOIN onemap.device d ON d.id = l.lamp_id
    WHERE d.code LIKE 'L%' ORDER BY 1$$, $$VALUES ('L1', true, true), ('L2', true, false), ('L3', true, true), ('L4', false, false), ('L5', true, NULL), ('L6', true, false)$$,
    'lamps by their own order, else by the contactor; silent after an hour');
SELECT results_eq(format('SELECT lamps, silent, ordered, lit, rate_percent FROM onemap.streetlight_lighting_rate(''2026-03-10 20:00+08'', %s)', :c1),
    'VALUES (6, 1, 4, 2, 50::float8)', 'two lit of four that should be');
SELECT results_eq(format('SELECT lamps, silent, ordered, lit, rate_percent FROM onemap.streetlight_lighting_rate(''2026-03-10 20:00+08'', %s)', :c2),
    'VALUES (1, 1, 0, 0, NULL::float8)', 'a cabinet whose lamps are all silent has no rate');
SELECT is((SELECT count(*) FROM onemap.streetlight_lighting_rate('2026-03-10 20:00+08')), 2::bigint, 'all cabinets with lamps; one without lamps is not among them');
-- L3 follows the contactor: open at 19:59 it should be dark. Then 3 ordered (L1, L2, L6), 1 lit.
SELECT test_put(:c1, '2026-03-10 19:59+08', '{"contactor_closed": 0}');
SELECT results_eq(format('SELECT ordered, lit FROM onemap.streetlight_lighting_rate(''2026-03-10 20:00+08'', %s)', :c1), 'VALUES (3, 1)', 'an open contactor orders no lamp on');

-- A night of C2, 2026-03-11 noon to noon: M1 reports at 18:30 (dark, ordered), 19:30 and 20:30 (lit), 21:30 (ordered off, dark).
-- Seen at 19:00 (18:30's record), 20:00, 21:00 and 22:00 (not ordered): 3 hours, 3 ordered, 2 lit.
SELECT test_put(:m1, r.at, r.record) FROM (VALUES
    (timestamptz '2026-03-11 18:30+08', '{"lamp_on": 0, "ordered_on": 1}'::jsonb), ('2026-03-11 19:30+08', '{"lamp_on": 1, "ordered_on": 1}'),
    ('2026-03-11 20:30+08', '{"lamp_on": 1, "ordered_on": 1}'), ('2026-03-11 21:30+08', '{"lamp_on": 0, "ordered_on": 0}'),
    ('2026-03-12 12:00+08', '{"lamp_on": 0, "ordered_on": 1}')) r(at, record);
SELECT results_eq('SELECT cabinet_id, hours, ordered, lit, round(rate_percent::numeric, 3) FROM onemap.streetlight_night_rate(''2026-03-11'')',
    format('VALUES (%s, 3, 3, 2, 66.667)', :c2), 'two of three lamp-hours; the next noon is of the next night');
SELECT results_eq('SELECT cabinet_id, hours FROM onemap.streetlight_night_rate(''2026-03-12'')', format('VALUES (%s, 1)', :c2), 'to which it belongs');

-- Now: 25 lamps of C3 ordered on, 24 lit: 96 %, the limit itself. Then 23: 92 %.
SELECT test_device('streetlight', 'lamp', 'N' || n, :c3) FROM generate_series(1, 25) n;
SELECT test_put(test_lamp('N' || n), now() - interval '11 minutes', jsonb_build_object('lamp_on', (n > 1)::int, 'ordered_on', 1)) FROM generate_series(1, 25) n;
SELECT results_eq(format('SELECT lamps, silent, ordered, lit, rate_percent FROM onemap.streetlight_lighting_now WHERE cabinet_id = %s', :c3),
    'VALUES (25, 0, 25, 24, 96::float8)', 'the rate now');
SELECT is((SELECT r.rate_percent FROM onemap.streetlight_lighting_now n, onemap.streetlight_lighting_rate(now(), n.cabinet_id) r WHERE n.cabinet_id = :c3), 96::float8,
    'is that of the moment');
UPDATE onemap.device_state SET online = false WHERE device_id NOT IN (SELECT id FROM onemap.device WHERE code LIKE 'N%');
SELECT is(onemap.streetlight_lighting_rate_sweep(), 0, '96 % is not below 96 %');
SELECT test_put(test_lamp('N2'), now() - interval '9 minutes', '{"lamp_on": 0, "ordered_on": 1}');
SELECT is(onemap.streetlight_lighting_rate_sweep(), 0, '92 % now, but ten minutes ago it was not low');
SELECT test_put(test_lamp('N3'), now() - interval '10 minutes 30 seconds', '{"lamp_on": 0, "ordered_on": 1}');
SELECT is(onemap.streetlight_lighting_rate_sweep(), 1, 'low now and ten minutes ago');
SELECT is((SELECT a.value FROM onemap.alarm a WHERE a.device_id = :c3), 88::float8, '22 of 25 are 88 %');
SELECT test_put(test_lamp('N' || n), now() - interval '1 minute', '{"lamp_on": 0, "ordered_on": 0}') FROM generate_series(1, 25) n;
SELECT onemap.streetlight_lighting_rate_sweep();
SELECT is((SELECT a.close_reason FROM onemap.alarm a WHERE a.device_id = :c3), 'no lamp should be lit', 'in the morning it ends');

-- A silent lamp is not dark: two lamps, one silent, the other lit: 100 %.
SELECT test_put(test_lamp('N1'), now() - interval '10 seconds', '{"lamp_on": 1, "ordered_on": 1}');
UPDATE onemap.device_state SET online = false WHERE device_id = test_lamp('N2');
SELECT results_eq(format('SELECT silent, ordered, lit, rate_percent FROM onemap.streetlight_lighting_now WHERE cabinet_id = %s', :c3),
    'VALUES (1, 1, 1, 100::float8)', 'a silent lamp stands apart');

-- Energy of a cabinet, noon to noon: meter 999990 at 18:00, over the end (1000000) to 25 at 06:00: 10 + 25.
SELECT test_put(:c1, '2026-03-12 18:00+08', '{"energy_kwh": 999990}'), test_put(:c1, '2026-03-13 06:00+08', '{"energy_kwh": 25}');
SELECT is(onemap.counter_consumption(:c1, 'energy_kwh', '2026-03-12 12:00+08', '2026-03-13 12:00+08'), 35::float8, 'energy over the end of the meter');
SELECT is(onemap.counter_consumption(:c1, 'energy_kwh', '2026-03-13 00:00+08', '2026-03-14 00:00+08'), 35::float8,
    'the step belongs to the day of its later reading');
SELECT results_eq('SELECT device_id, consumption, rollovers FROM onemap.counter_daily(''streetlight'', ''energy_kwh'', ''2026-03-13'')',
    format('VALUES (%s, 35::float8, 1)', :c1), 'per device and day');
-- A fault code and a burning-hours counter are told apart from gauges.
SELECT is((SELECT count(*) FROM onemap.counter_daily('streetlight', 'fault_code', '2026-03-13')), 0::bigint, 'a state has no consumption');
SELECT is((SELECT m.rollover FROM onemap.metric m WHERE m.subsystem = 'streetlight' AND m.key = 'burning_hours_h'), 1000000::float8, 'burning hours count to a million');
SELECT is(onemap.sweep_run(), '{}', 'all sweeps run on this without a problem');
SELECT * FROM finish();
ROLLBACK;
