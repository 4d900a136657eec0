-- enforcement: officers who are to be at work and are not, who stand still, hours on duty and what was done.
BEGIN ISOLATION LEVEL REPEATABLE READ;
\ir include/adapter.psql
SELECT plan(25);
SELECT test_rules('enforcement', '{absent_on_shift, idle}');

SELECT test_device('enforcement', 'officer_terminal', 'O' || n) FROM generate_series(1, 6) n;
CREATE FUNCTION public.test_id(code text) RETURNS int LANGUAGE sql AS $$ SELECT d.id FROM onemap.device d WHERE d.code = $1 $$;
INSERT INTO onemap.person (subsystem, vendor, code, device_id, observed_at) SELECT 'enforcement', 'tester', d.code, d.id, now() FROM onemap.device d;
-- O1 to O3 are planned for now; O4's work ended five minutes ago; O5 has none; O6's work is started, planned to end in an hour.
INSERT INTO onemap.work_order (subsystem, vendor, code, status, person_id, planned_start, planned_end, started_at, observed_at)
SELECT 'enforcement', 'tester', 'W-' || r.code, r.status, p.id, now() - r.since, now() + r.rest, CASE r.status WHEN 'STARTED' THEN now() - interval '30 minutes' END, now() - interval '1 day'
FROM (VALUES ('O1', 'PLANNED', interval '2 hours', interval '2 hours'), ('O2', 'PLANNED', '2 hours', '2 hours'), ('O3', 'PLANNED', '5 minutes', '2 hours'),
    ('O4', 'PLANNED', '2 hours', '-5 minutes'), ('O6', 'STARTED', '2 hours', '1 hour')) r(code, status, since, rest) JOIN onemap.person p ON p.code = r.code;
CREATE FUNCTION public.test_shift(code text, at timestamptz) RETURNS text LANGUAGE sql AS $$ SELECT w.code FROM onemap.work_order w WHERE w.id = onemap.enforcement_shift(test_id($1), at) $$;
SELECT is(test_shift('O1', now()), 'W-O1', 'planned for now');
SELECT is(test_shift('O1', now() - interval '2 hours'), 'W-O1', 'from its beginning');
SELECT is(test_shift('O1', now() - interval '2 hours 1 second'), NULL, 'not before');
SELECT is(test_shift('O1', now() + interval '2 hours'), NULL, 'nor at its end');
SELECT is(test_shift('O6', now() - interval '31 minutes'), NULL, 'started work counts from when it was started');
SELECT is(test_shift('O6', now() - interval '30 minutes'), 'W-O6', 'on');

-- Fifteen minutes off duty, records over 12 (11.25 suffice). O1 off. O2 on once. O3's work began five minutes ago. O4's is over. O5 has none. O6 off.
SELECT test_put(test_id('O' || n), now() - m * interval '1 minute', jsonb_build_object('on_duty', CASE WHEN n = 2 AND m = 8 THEN 1 ELSE 0 END)) FROM generate_series(1, 6) n, generate_series(1, 13) m;
SELECT is(onemap.enforcement_duty_sweep(), 2, 'two officers are not at their work');
SELECT is((SELECT string_agg(d.code, ' ' ORDER BY d.code) FROM onemap.alarm a JOIN onemap.device d ON d.id = a.device_id), 'O1 O6', 'those off duty through all of it');
SELECT test_put(test_id('O1'), now() - interval '10 seconds', '{"on_duty": 1}');
UPDATE onemap.work_order SET status = 'FINISHED' WHERE code = 'W-O6';
SELECT is(onemap.enforcement_duty_sweep(), 0, 'one comes, the other''s work is finished');
SELECT results_eq($$SELECT d.code, a.close_reason FROM onemap.alarm a JOIN onemap.device d ON d.id = a.device_id ORDER BY 1$$, $$VALUES ('O1', 'condition ended'), ('O6', 'the work is over')$$, 'which ends both');

-- Standing still, an hour (45 minutes suffice), 50 m; 0.0004 degree of latitude are 44 m, 0.0005 are 55 m.
-- O1 on duty, within 44 m: idle. O2 on duty, 55 m away once. O3 off duty, within 0. O4 on duty, over 40 minutes.
DELETE FROM onemap.device_state;
SELECT test_put(test_id('O' || n), now() - interval '1 second', jsonb_build_object('on_duty', (n <> 3)::int)) FROM generate_series(1, 4) n;
SELECT test_track(test_id(code), now() - minutes * interval '1 minute', 113.6, lat) FROM (VALUES ('O1', 50, 34.7), ('O1', 25, 34.7004), ('O1', 1, 34.7), ('O2', 50, 34.7), ('O2', 25, 34.7005), ('O2', 1, 34.7),
    ('O3', 50, 34.7), ('O3', 1, 34.7), ('O4', 41, 34.7), ('O4', 1, 34.7), ('O1', 61, 34.8)) r(code, minutes, lat);
SELECT is(onemap.enforcement_idle_sweep(), 1, 'one officer stands still');
SELECT is((SELECT string_agg(test_open(test_id('O' || n)), '/' ORDER BY n) FROM generate_series(1, 4) n), 'idle///', 'the one who did not go further than 50 m');
SELECT is((SELECT round(value) FROM onemap.alarm WHERE closed_at IS NULL), 44::float8, '44 m');
SELECT test_track(test_id('O1'), now(), 113.6, 34.71);
SELECT is(onemap.enforcement_idle_sweep(), 0, 'and goes on');
SELECT is(test_open(test_id('O1')), '', 'which ends it');

-- The local day 2026-03-10. O1: on duty 08:00, 08:10 recording, 08:20 off; 09:00 on, no record after: 15 minutes (offline_after). On: 20 + 15 = 35
-- minutes, recording 10. Checks 9999998 to 3 over the end (5), warnings: new terminal 40 to 41 (1), then 0 to 2 (2).
SELECT test_put(test_id('O1'), at, record) FROM (VALUES (timestamptz '2026-03-10 08:00+08', '{"on_duty": 1, "recording_on": 0, "checks_total": 9999998, "warnings_total": 40}'::jsonb),
    ('2026-03-10 08:10+08', '{"on_duty": 1, "recording_on": 1, "checks_total": 1, "warnings_total": 41, "tickets_total": 7}'), ('2026-03-10 08:20+08', '{"on_duty": 0, "recording_on": 1, "checks_total": 3, "warnings_total": 0}'),
    ('2026-03-10 09:00+08', '{"on_duty": 1, "recording_on": 0, "warnings_total": 2, "tickets_total": 8}')) r(at, record);
SELECT results_eq($$SELECT device_id, round(on_duty_h::numeric, 4), round(recording_h::numeric, 4), checks, warnings, orders, tickets, seizures FROM onemap.enforcement_duty('2026-03-10')$$,
    format('VALUES (%s, 0.5833, 0.1667, 5::float8, 3::float8, NULL::float8, 1::float8, NULL::float8)', test_id('O1')), 'hours on duty and recording, and what was done');
SELECT is_empty($$SELECT * FROM onemap.enforcement_duty('2026-03-11')$$, 'nothing on a day without records');
SELECT results_eq($$SELECT key, category_code FROM onemap.alarm_rule WHERE subsystem = 'enforcement' AND category_code IS NOT NULL ORDER BY key$$, $$VALUES ('camera_blocked', '10136'), ('camera_offline', '10136')$$, 'cases that follow');
SELECT is(onemap.sweep_run(), '{}', 'all sweeps run on this without a problem');
SELECT * FROM finish();
ROLLBACK;
