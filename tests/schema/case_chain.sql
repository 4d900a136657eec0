-- Tampering shows: what a superuser who switches the triggers off changes, is found by the chain of the case, by the case
-- itself or by the seals.
BEGIN;
\ir include/case_fixture.sql
SELECT no_plan();
CREATE TEMP TABLE c AS SELECT test.drive(w.state, test.report()) AS code, w.state FROM test.way w;
SELECT is_empty('SELECT * FROM onemap.case_chain_check()', 'whole');
SELECT is((onemap.case_seal_now()->>'events')::bigint, (SELECT count(*) FROM onemap.case_event), 'all events are sealed');
SELECT is(onemap.case_seal_now()->'sealed', 'false', 'nothing new, no seal');
SELECT test.act(code, 'attach', 'leader') FROM c WHERE state = 'handled';
SELECT is(onemap.case_seal_now()->'events', '1', 'the second seal is over what came after the first');
SELECT is_empty('SELECT * FROM onemap.case_seal_check()', 'the seals hold');
SELECT is(encode(e.hash, 'hex'), encode(sha256(e.previous_hash || convert_to(format('[%s, "%s", 1, %s, %s, "report", null, "reported", "supervisor", "张三", "%s", null, null, "supervisor", 1, "20102", 1, "410221001001001", "410221001", null, null, null, null, null, null, [], null, null, {"lat": 34.55, "lon": 114.75, "title": "测试"}]',
    e.case_id, e.case_code, (extract(epoch FROM e.at) * 1000000)::bigint, (extract(epoch FROM e.recorded_at) * 1000000)::bigint, session_user), 'UTF8')), 'hex'), 'the hash is over what docs/cases.md says')
FROM onemap.case_event e JOIN c ON c.code = e.case_code AND c.state = 'reported';
SELECT isnt_empty('SELECT 1 FROM onemap.case_event e JOIN c ON c.code = e.case_code', 'there are events');
-- Whatever the session's settings are, the hashes are the same.
SET LOCAL timezone = 'America/Los_Angeles';
SET LOCAL datestyle = 'German';
SET LOCAL extra_float_digits = -10;
SELECT is_empty('SELECT * FROM onemap.case_chain_check()', 'whole in another time zone');
RESET timezone;

-- What a change does, and that it is undone: problems as text.
CREATE FUNCTION test.tamper(VARIADIC statements text[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE s text; result text;
BEGIN
    EXECUTE 'ALTER TABLE onemap.case_event DISABLE TRIGGER ALL; ALTER TABLE onemap.case_seal DISABLE TRIGGER ALL; ALTER TABLE onemap.case_attachment DISABLE TRIGGER ALL';
    FOREACH s IN ARRAY statements LOOP
        EXECUTE s;
    END LOOP;
    SELECT concat_ws('; ', (SELECT string_agg(DISTINCT problem, ', ' ORDER BY problem) FROM onemap.case_chain_check()),
                     (SELECT 'seals: ' || string_agg(DISTINCT problem, ', ' ORDER BY problem) FROM onemap.case_seal_check())) INTO result;
    RAISE EXCEPTION USING ERRCODE = 'ZZ001', MESSAGE = result;
EXCEPTION WHEN SQLSTATE 'ZZ001' THEN RETURN SQLERRM;
END $$;
CREATE FUNCTION test.case_id(state text) RETURNS bigint LANGUAGE sql AS $$ SELECT r.id FROM onemap.case_record r JOIN c USING (code) WHERE c.state = $1 $$;
-- Every column of the journal, one after the other.
SELECT matches(test.tamper(format('UPDATE onemap.case_event SET %I = %s WHERE case_id = %s AND seq = 5', x.name, x.value, test.case_id('handled'))), 'the event is not what its hash says' || CASE x.name WHEN 'hash' THEN '' ELSE '.*seals: ' END, 'changed: ' || x.name)
FROM (VALUES ('at', 'at - interval ''1 microsecond'''), ('recorded_at', 'recorded_at + interval ''1 second'''), ('action', '''attach'''), ('from_state', '''handling'''), ('to_state', '''closed'''),
    ('role', '''leader'''), ('actor', '''王'''), ('recorded_by', '''x'''), ('department', '''jincheng'''), ('previous_department', '''jincheng'''), ('source', '''media'''), ('catalogue_version', '2'),
    ('category', '''20103'''), ('condition_number', '2'), ('grid_cell', 'NULL'), ('street', 'NULL'), ('limit_value', '50'), ('limit_unit', '''work_day'''), ('deadline_at', 'deadline_at + interval ''1 day'''),
    ('used_s', '1'), ('overdue_s', '1'), ('stage_deadline_at', 'now()'), ('flags', '''{fraud}'''), ('satisfaction', '''satisfied'''), ('reason', '''x'''), ('detail', '''{"a": 1}'''),
    ('case_code', '''20250101-000001'''), ('hash', 'sha256(hash)'), ('previous_hash', 'sha256(hash)')) AS x (name, value);
SELECT is((SELECT count(*)::int FROM pg_attribute a WHERE a.attrelid = 'onemap.case_event'::regclass AND a.attnum > 0 AND NOT a.attisdropped), 29 + 3, 'those are all columns but id, case_id and seq');
SELECT matches(test.tamper(format('DELETE FROM onemap.case_event WHERE case_id = %s AND seq = 3', test.case_id('closed'))),
    '^an event before this one is missing, the event begins in another state than the one before it ended in, the event does not follow from the one before it; seals: [0-9]+ events where [0-9]+ were sealed, the events are not those that were sealed$', 'an event taken out');
SELECT matches(test.tamper(format('DELETE FROM onemap.case_event WHERE case_id = %s AND action = ''close''', test.case_id('closed'))), '^the case is not what its last event left; seals: ', 'the last event taken away');
SELECT matches(test.tamper(format('DELETE FROM onemap.case_event WHERE case_id = %s', test.case_id('merged'))), '^the case has no events; seals: ', 'all events of a case taken away');
SELECT matches(test.tamper(format('DELETE FROM onemap.case_event WHERE case_id = %s', test.case_id('rejected')), format('DELETE FROM onemap.case_record WHERE id = %s', test.case_id('rejected'))), '^seals: ', 'a whole case taken away: the seals show it');
SELECT is(test.tamper(format('UPDATE onemap.case_record SET state = ''closed'', ended_at = now() WHERE id = %s', test.case_id('checked'))), 'the case is not what its last event left', 'the case changed behind the journal''s back');
-- Who can do everything and recomputes a whole chain is found by the seal, and by the published hash of the last one if he makes the seals anew.
SELECT matches(test.tamper(format('UPDATE onemap.case_event e SET actor = ''王'' WHERE case_id = %s', test.case_id('reported')), format('UPDATE onemap.case_event e SET hash = onemap.case_event_hash(e) WHERE case_id = %s', test.case_id('reported')),
    format('UPDATE onemap.case_record r SET last_hash = e.hash FROM onemap.case_event e WHERE e.case_id = r.id AND r.id = %s', test.case_id('reported'))), '^seals: the events are not those that were sealed$', 'a chain made anew');
SELECT matches(test.tamper('DELETE FROM onemap.case_seal WHERE id = (SELECT min(id) FROM onemap.case_seal)'), '^seals: ', 'a seal taken away');
SELECT is_empty('SELECT * FROM onemap.case_chain_check()', 'and all is undone');

-- The sweep seals in three steps, and never past a transaction that runs.
UPDATE onemap.setting SET value = '0' WHERE key = 'case_seal_hours';
SELECT test.act(code, 'attach', 'leader') FROM c WHERE state = 'handled';
SELECT is(onemap.case_seal_sweep(), 0, 'first the last id is noted');
SELECT is((SELECT d.through_id FROM onemap.case_seal_due d), (SELECT max(e.id) FROM onemap.case_event e), 'it is the last');
SELECT is(onemap.case_seal_sweep(), 0, 'the same transaction does not go on');
SELECT is((SELECT d.settled_at FROM onemap.case_seal_due d), NULL, 'since its number is older than what it noted');
UPDATE onemap.case_seal_due SET noted_by = '3';
SELECT is(onemap.case_seal_sweep(), 0, 'a later one says whom to wait for');
SELECT is((SELECT d.settled_at FROM onemap.case_seal_due d), pg_current_xact_id(), 'itself and all before it');
SELECT is(onemap.case_seal_sweep(), 0, 'while one of them runs (this one), nothing is sealed');
UPDATE onemap.case_seal_due SET settled_at = '3';
SELECT is(onemap.case_seal_sweep(), 1, 'once all have ended, it is');
SELECT is((SELECT s.events FROM onemap.case_seal s ORDER BY s.id DESC LIMIT 1), 1::bigint, 'the one event since');
SELECT is_empty('SELECT * FROM onemap.case_seal_check()', 'and holds');
SELECT * FROM finish();
ROLLBACK;
