-- What operations refuse and with which code, who may do what, assignment, merging, attachments, contacts, lists.
BEGIN;
\ir include/case_fixture.sql
SELECT no_plan();
CREATE ROLE test_api LOGIN IN ROLE cityhub_api;
CREATE ROLE test_hub LOGIN IN ROLE cityhub_hub;
CREATE ROLE test_read LOGIN IN ROLE cityhub_read;
CREATE ROLE test_history LOGIN IN ROLE cityhub_history;
CREATE TEMP TABLE c AS SELECT test.drive(w.state, test.report()) AS code, w.state FROM test.way w WHERE w.state <> 'merged';
CREATE FUNCTION test.of(state text) RETURNS text LANGUAGE sql AS $$ SELECT c.code FROM c WHERE c.state = $1 $$;
CREATE FUNCTION test.message(code text, action text, role text, fields jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE message text; hint text;
BEGIN
    PERFORM test.act(code, action, role, fields);
    RETURN 'nothing was refused';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
    RETURN message || ' | ' || hint;
END $$;

-- ---- refusals ----
SELECT is(test.try(test.of(x.state), x.action, x.role, x.fields::jsonb), x.wanted, x.why) FROM (VALUES
    ('reported', 'accept', 'acceptor', '{"version": 7}', 'CH011', 'another version'),
    ('reported', 'accept', 'acceptor', '{"version": "1"}', 'accepted', 'a version as text'),
    ('reported', 'accept', 'acceptor', '{"version": 1.5}', 'CH013', 'no version'),
    ('reported', 'accept', 'acceptor', '{"version": null}', 'CH013', 'without a version'),
    ('reported', 'accept', 'acceptor', '{"actor": " "}', 'CH013', 'without an actor'),
    ('reported', 'accept', 'acceptor', '{"actor": ["x"]}', 'CH013', 'an actor that is no text'),
    ('reported', 'accept', 'acceptor', '{"colour": "red"}', 'CH013', 'an unknown field'),
    ('reported', 'accept', 'acceptor', '{"department": "chengguan"}', 'CH013', 'a field of another action'),
    ('reported', 'accept', 'acceptor', '{"case": "none"}', 'CH017', 'no such case'),
    ('reported', 'accept', 'acceptor', '{"category": "29999"}', 'CH015', 'no such category'),
    ('reported', 'accept', 'acceptor', '{"category": "20102", "condition": 2}', 'CH015', 'no such condition'),
    ('reported', 'accept', 'acceptor', '{"condition": 0}', 'CH013', 'no condition at all'),
    ('reported', 'reject', 'acceptor', '{"reason": ""}', 'CH012', 'rejected without a reason'),
    ('reported', 'reject', 'acceptor', '{"reason": null}', 'CH012', 'rejected without a reason, null'),
    ('reported', 'classify', 'acceptor', '{}', 'CH013', 'classified as nothing'),
    ('accepted', 'register', 'registrar', '{"category": "20103"}', 'CH015', 'registered without one of five conditions'),
    ('accepted', 'register', 'registrar', '{"category": "20103", "condition": 2}', 'registered', 'registered with one'),
    ('registered', 'dispatch', 'dispatcher', '{}', 'CH016', 'two candidates: to whom?'),
    ('registered', 'dispatch', 'dispatcher', '{"department": "nobody"}', 'CH016', 'no such department'),
    ('registered', 'dispatch', 'dispatcher', '{"department": "old"}', 'CH016', 'a department no longer active'),
    ('handling', 'ask_extension', 'department', '{}', 'CH013', 'an extension of nothing'),
    ('handling', 'ask_extension', 'department', '{"amount": -1}', 'CH013', 'an extension backward'),
    ('handling', 'grant_extension', 'leader', '{}', 'CH020', 'no extension is asked'),
    ('handling', 'refuse_extension', 'leader', '{}', 'CH020', 'no extension is asked'),
    ('handling', 'refuse_suspension', 'leader', '{}', 'CH020', 'no suspension is asked'),
    ('handling', 'feed_back', 'department', '{"unit": null}', 'CH013', 'whoever acts for a department says for which'),
    ('handling', 'feed_back', 'department', '{"unit": ""}', 'CH013', 'and not for none'),
    ('handling', 'feed_back', 'department', '{"unit": "nowhere"}', 'CH016', 'for one that there is not'),
    ('handling', 'return', 'department', '{"unit": "old"}', 'CH016', 'nor for one that there is no more'),
    ('accepted', 'attach', 'department', '{"unit": "jincheng"}', 'accepted', 'while nobody has the case, any department may add to it'),
    ('handling', 'feed_back', 'department', '{"unit": "jincheng"}', 'CH019', 'another department''s case'),
    ('handling', 'feed_back', 'department', '{"unit": "chengguan"}', 'handled', 'one''s own case'),
    ('closed', 'call_back', 'acceptor', '{"satisfaction": "great"}', 'CH013', 'no such satisfaction'),
    ('closed', 'call_back', 'acceptor', '{}', 'CH013', 'no satisfaction'),
    ('closed', 'flag', 'leader', '{"flags": ["ugly"]}', 'CH013', 'no such finding'),
    ('closed', 'flag', 'leader', '{"flags": []}', 'CH013', 'no finding'),
    ('reported', 'merge', 'acceptor', '{}', 'CH013', 'merged into nothing'),
    ('reported', 'merge', 'acceptor', '{"into": "none"}', 'CH017', 'merged into no case'),
    ('handling', 'attach', 'department', '{"at": "2000-01-01T00:00:00Z"}', 'CH014', 'before its last event'),
    ('handling', 'attach', 'department', '{"at": "2999-01-01T00:00:00Z"}', 'CH014', 'in the future'),
    ('handling', 'attach', 'department', '{"at": "2025-01-01 00:00:00"}', 'CH014', 'a time without an offset'),
    ('handling', 'attach', 'department', '{"at": "yesterday noon"}', 'CH014', 'no time'),
    ('handling', 'attach', 'department', '{"at": "2025-01-01T00:00:00+99:99"}', 'CH014', 'no offset'),
    ('handling', 'attach', 'department', '{"at": "2025-02-30T00:00:00Z"}', 'CH014', 'a day that is not'),
    ('handling', 'attach', 'department', '{"at": "infinity"}', 'CH014', 'never'),
    ('handling', 'attach', 'department', '{"attachments": [{"uri": "a", "sha256": "12", "size_bytes": 1, "media_type": "image/png"}]}', 'CH013', 'no SHA-256'),
    ('handling', 'attach', 'department', '{"attachments": [{"uri": "a b", "sha256": "0000000000000000000000000000000000000000000000000000000000000000", "size_bytes": 1, "media_type": "image/png"}]}', 'CH013', 'a URI with a blank'),
    ('handling', 'attach', 'department', '{"attachments": [{"uri": "a"}]}', 'CH013', 'half an attachment'),
    ('handling', 'attach', 'department', '{"attachments": []}', 'CH013', 'no attachment')
) AS x (state, action, role, fields, wanted, why);
SELECT is(test.try(test.of('reported'), 'merge', 'acceptor', jsonb_build_object('into', test.of('reported'))), 'CH013', 'merged into itself');
SELECT is(test.try(test.of('reported'), 'merge', 'acceptor', jsonb_build_object('into', test.of('closed'))), 'CH013', 'merged into one that has ended');
SELECT throws_ok('SELECT onemap.case_do(''[]'')', 'CH013', NULL, 'a request that is no object');
SELECT throws_ok('SELECT onemap.case_do(''{}'')', 'CH013', NULL, 'an empty request');
SELECT is(test.message(test.of('reported'), 'close', 'registrar', '{}'), format('case %s is reported: close is not for a registrar there | Nobody can close a case that is reported. A registrar can: attach, merge, supervise, void.', test.of('reported')), 'a refusal says what can be done');
SELECT is(test.message(test.of('registered'), 'dispatch', 'dispatcher', '{}'), format('case %s: 2 departments could be responsible | Give "department": chengguan 城市管理局, jincheng 金城街道办事处.', test.of('registered')), 'the dispatcher gets the candidates');
SELECT is(test.message(test.of('reported'), 'accept', 'acceptor', '{"version": 9}'), format('case %s: version 9 is no longer its last, which is 1 | Somebody else changed it meanwhile: look at it again, then decide again.', test.of('reported')), 'a conflict says so');

SELECT is(test.as_login('postgres', format('SELECT onemap.case_report(%L)', '{"source": "supervisor", "role": "supervisor", "actor": "x"}'::jsonb || x.fields::jsonb)), x.wanted, 'report: ' || x.why)
FROM (VALUES ('{}', 'CH013', 'without any content'), ('{"title": " ", "description": ""}', 'CH013', 'with blanks alone'), ('{"title": "\u3000\u200b", "description": "\ufeff"}', 'CH013', 'with what nobody sees'), ('{"title": "x"}', '', 'with a title alone'), ('{"category": "29999"}', 'CH015', 'no such category'), ('{"lon": 114}', 'CH013', 'half a place'), ('{"lon": 190, "lat": 1}', 'CH013', 'off the earth'),
    ('{"lon": "x", "lat": 1}', 'CH013', 'no number'), ('{"grid_cell": "999999999999999"}', 'CH013', 'no such grid cell'), ('{"component_code": "12"}', 'CH013', 'no component code'),
    ('{"source": "gossip"}', 'CH013', 'no such source'), ('{"colour": 1}', 'CH013', 'an unknown field'), ('{"contact": {"email": "x"}}', 'CH013', 'an unknown field of the contact'),
    ('{"device_code": "L1"}', 'CH013', 'a device without its vendor'), ('{"subsystem": "dust", "vendor": "sites", "device_code": "D9"}', 'CH013', 'no such device'),
    ('{"subsystem": "mars"}', 'CH013', 'no such subsystem'), ('{"title": {"a": 1}}', 'CH013', 'a title that is no text'), ('{"at": "2999-01-01T00:00:00Z"}', 'CH014', 'in the future'),
    ('{"at": "2019-01-01T00:00:00Z", "title": "x"}', 'CH014', 'before the calendar')) AS x (fields, wanted, why);

-- ---- assignment ----
SELECT is((SELECT jsonb_agg(d.code ORDER BY array_position(k.candidates, d.id)) FROM onemap.case_record k, onemap.department d WHERE k.code = test.of('registered') AND d.id = ANY (k.candidates)),
    '["chengguan", "jincheng"]', 'the department that the category names, and the one of the grid cell');
CREATE FUNCTION test.candidates(fields jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE code text := test.report(fields);
BEGIN
    PERFORM test.act(code, 'accept', 'acceptor');
    RETURN test.act(code, 'register', 'registrar')->'candidates';
END $$;
SELECT is(test.candidates('{"category": "10118", "subsystem": "streetlight", "vendor": "lamps", "device_code": "L1"}'), '["zhaoming"]', '@owner: of the device');
SELECT is(test.candidates('{"category": "10118", "component_code": "4102210118000001"}'), '["zhaoming"]', '@owner: of the component');
SELECT is(test.candidates('{"category": "10118"}'), '[]', '@owner: not known');
SELECT is(test.candidates('{"category": "20302"}'), '["jincheng"]', '@grid: of the place');
SELECT is(test.candidates('{"category": "20302", "lon": 114.6, "lat": 34.42}'), '[]', '@grid: outside');
SELECT is(test.candidates('{"category": "20302", "lon": 114.6, "lat": 34.42, "grid_cell": "410221001001001"}'), '["jincheng"]', '@grid: said');
CREATE TEMP TABLE single AS SELECT test.report('{"category": "20301"}') AS code;
SELECT test.act(code, 'accept', 'acceptor') FROM single;
SELECT is(test.act(code, 'register', 'registrar')->>'state', 'registered', 'one candidate: proposed') FROM single;
SELECT is(test.act(code, 'dispatch', 'dispatcher')->>'department', 'chengguan', 'and taken if no other is said') FROM single;
UPDATE onemap.setting SET value = 'on' WHERE key = 'case_dispatch_single';
CREATE TEMP TABLE auto AS SELECT test.report('{"category": "20301"}') AS code;
SELECT test.act(code, 'accept', 'acceptor') FROM auto;
SELECT is(test.act(code, 'register', 'registrar') - '{case,deadline_at}'::text[], '{"version": 4, "state": "dispatched", "seq": 4, "category": "20301", "condition": 1, "department": "chengguan", "candidates": null}', 'case_dispatch_single: dispatched at once') FROM auto;
SELECT is((test.last(code)).role, 'system', 'by the system') FROM auto;
UPDATE onemap.setting SET value = 'off' WHERE key = 'case_dispatch_single';

-- ---- merging, attachments, contacts, findings ----
CREATE TEMP TABLE m AS SELECT test.report() AS code, test.drive('handling') AS kept;
SELECT is(test.act(code, 'merge', 'acceptor', jsonb_build_object('into', kept))->>'state', 'merged', 'merged') FROM m;
SELECT is((test.last(kept)).detail, jsonb_build_object('merged', code), 'the kept case notes it') FROM m;
SELECT is(onemap.case_show(kept)->'merged', jsonb_build_array(code), 'and shows it') FROM m;
SELECT test.act(kept, 'attach', 'department', jsonb_build_object('attachments', jsonb_build_array(jsonb_build_object('uri', 'file:///p.jpg', 'sha256', repeat('aB', 32), 'size_bytes', 12345, 'media_type', 'image/jpeg')))) FROM m;
SELECT is((onemap.case_show(kept)->'attachments'->0) - 'seq', jsonb_build_object('uri', 'file:///p.jpg', 'sha256', repeat('ab', 32), 'size_bytes', 12345, 'media_type', 'image/jpeg'), 'an attachment with hash, size and type') FROM m;
SELECT is(jsonb_array_length((test.last(kept)).detail->'attachments'), 1, 'and the journal has it') FROM m;
CREATE TEMP TABLE p AS SELECT test.report('{"contact": {"name": "王五", "phone": "13800000000"}, "reporter": "王五"}') AS code;
SELECT ok(onemap.case_show(code)::text !~ '王五|13800000000', 'who reported is in neither case nor journal') FROM p;
SELECT is(onemap.case_contact_show(code, '李四'), jsonb_build_object('case', code, 'reporter', '王五', 'name', '王五', 'phone', '13800000000'), 'but can be asked for') FROM p;
SELECT is((SELECT a.detail->>'actor' FROM onemap.audit_log a WHERE a.action = 'case_contact_show' ORDER BY a.id DESC LIMIT 1), '李四', 'which is noted');
SELECT test.act(test.of('closed'), 'flag', 'leader', '{"flags": ["fraud", "poor_cooperation"]}'), test.act(test.of('closed'), 'call_back', 'acceptor', '{"satisfaction": "dissatisfied"}');
SELECT is((SELECT (r.flags, r.satisfaction)::text FROM onemap.case_record r WHERE r.code = test.of('closed')), '("{fraud,poor_cooperation}",dissatisfied)', 'findings and satisfaction after the end');
SELECT test.act(test.of('handling'), 'supervise', 'leader'), test.act(test.of('handling'), 'remind', 'dispatcher');
SELECT is((SELECT (r.supervision_count, r.reminder_count)::text FROM onemap.case_record r WHERE r.code = test.of('handling')), '(1,1)', 'supervised and reminded');

-- ---- subsystems ----
SELECT is(onemap.case_put('dust', 'sites', '{"case_code": "A1", "occurred_at_ms": 1763700000000, "category_code": "20302", "title": "扬尘", "device_code": "D1", "severity": "major",
    "attachments": [{"uri": "http://x/1.jpg", "sha256": "0000000000000000000000000000000000000000000000000000000000000000", "size_bytes": 5, "media_type": "image/jpeg"}]}'), 'accepted', 'a subsystem reports');
SELECT is((SELECT (r.source, r.state, r.category_code, r.grid_cell, r.vendor)::text FROM onemap.case_record r WHERE r.external_code = 'A1'), '(subsystem,reported,20302,410221001001001,sites)', 'it is a case');
SELECT is((SELECT (test.last(r.code)).reason FROM onemap.case_record r WHERE r.external_code = 'A1'), '发生于 2025-11-21 12:40:00，级别：重要', 'with its own time and severity');
SELECT is(onemap.case_put('dust', 'sites', '{"case_code": "A1", "occurred_at_ms": 1763700000000}'), 'duplicate', 'told again');
SELECT throws_ok($$SELECT onemap.case_put('dust', 'sites', '{"case_code": "A2", "category_code": "29999"}')$$, 'CH002', NULL, 'a category that is not');
SELECT onemap.case_put('dust', 'sites', jsonb_build_object('case_code', 'A9', 'occurred_at_ms', 1763700000000, 'title', repeat('长', 230), 'description', 'x'));
SELECT ok((SELECT length(r.title) = 200 AND r.description = repeat('长', 230) || E'\nx' FROM onemap.case_record r WHERE r.external_code = 'A9'), 'a title that is too long begins the description');
SELECT throws_ok($$SELECT onemap.case_put('dust', 'sites', '{"case_code": "A3", "device_code": "D9"}')$$, 'CH002', NULL, 'a device that is not');
SELECT is(onemap.case_put('dust', 'sites', '{"case_code": "A4", "occurred_at_ms": 1763700000000, "lon": 114.75, "lat": 34.55}'), 'accepted', 'without a category: the acceptor gives one');
-- One outside number, one case, also where it comes without a subsystem or a vendor.
SELECT is(test.as_login('postgres', format('SELECT onemap.case_report(%L)', o.report)), o.wanted, o.why)
FROM (SELECT test.report('{"source": "hotline", "role": "acceptor", "external_code": "H-1"}'),
        test.report('{"source": "video", "role": "acceptor", "external_code": "H-2", "subsystem": "dust"}')) AS before, LATERAL (VALUES
    ('{"source": "hotline", "role": "acceptor", "actor": "x", "external_code": "H-1"}'::jsonb, 'CH018', 'a hotline''s number again'),
    ('{"source": "hotline", "role": "acceptor", "actor": "x", "external_code": " H-1 "}', 'CH018', 'with blanks around it'),
    ('{"source": "media", "role": "acceptor", "actor": "x", "external_code": "H-1"}', 'CH018', 'by another source'),
    ('{"source": "video", "role": "acceptor", "actor": "x", "external_code": "H-2", "subsystem": "dust"}', 'CH018', 'with a subsystem and no vendor'),
    ('{"source": "video", "role": "acceptor", "actor": "x", "external_code": "H-2"}', 'CH018', 'without its subsystem'),
    ('{"source": "video", "role": "acceptor", "actor": "x", "external_code": "H-2", "subsystem": "gas"}', 'CH018', 'with another subsystem'),
    ('{"source": "hotline", "role": "acceptor", "actor": "x", "external_code": "\u3000Ｈ－１"}', 'CH018', 'in wide letters'),
    ('{"source": "hotline", "role": "acceptor", "actor": "x", "external_code": "h-1"}', 'CH018', 'in small letters'),
    ('{"source": "hotline", "role": "acceptor", "actor": "x", "vendor": "sites", "external_code": "A1", "title": "x"}', 'CH018', 'a vendor''s, without its subsystem'),
    ('{"source": "hotline", "role": "acceptor", "actor": "x", "vendor": "sites", "subsystem": "dust", "external_code": "a1", "title": "x"}', '', 'a vendor''s other number'),
    ('{"source": "hotline", "role": "acceptor", "actor": "x", "external_code": "H-3", "title": "x"}', '', 'another number')) AS o (report, wanted, why);
SELECT throws_ok(format('UPDATE onemap.case_record SET external_code = %L, subsystem = ''gas'', vendor = NULL WHERE external_code = ''A9''', n.number), '23505', NULL, 'and the table itself holds two at once apart: ' || n.number)
FROM (VALUES ('H-1'), ('h-1')) AS n (number);
SELECT is((SELECT e.detail->>'unit' FROM onemap.case_event e WHERE e.case_code = test.of('handling') AND e.action = 'handle'), 'chengguan', 'the journal keeps who acted for whom');
SELECT is(test.as_login('postgres', $$SELECT onemap.case_report('{"source": "subsystem", "role": "system", "actor": "x", "subsystem": "dust", "vendor": "sites", "external_code": "A1"}')$$), 'CH018', 'a report twice');

-- ---- lists ----
SELECT is(jsonb_array_length(onemap.case_list('{"open": "true", "limit": 3}')->'cases'), 3, 'a page of three');
SELECT is((SELECT count(*)::int FROM jsonb_array_elements(onemap.case_list('{"open": true, "limit": 1000}')->'cases')), (SELECT count(*)::int FROM onemap.case_record r WHERE r.ended_at IS NULL), 'all that are open');
SELECT is((WITH RECURSIVE page AS (SELECT onemap.case_list('{"limit": 4}') AS p UNION ALL
    SELECT onemap.case_list(jsonb_build_object('limit', 4, 'after', p->'next')) FROM page WHERE p->'next' <> 'null')
    SELECT count(DISTINCT k->>'case') FROM page, jsonb_array_elements(p->'cases') k), (SELECT count(*) FROM onemap.case_record), 'page by page, each once');
SELECT is(onemap.case_list('{"state": "checked", "department": "chengguan"}')->'cases'->0->>'case', test.of('checked'), 'by state and department');
SELECT is(jsonb_array_length(onemap.case_list('{"source": "subsystem", "since": "1 hours", "street": "410221001"}')->'cases'), 2, 'by source, time and street');
SELECT is(onemap.case_list('{"overdue": true}')->'cases', '[]', 'none is overdue');
SELECT throws_ok($$SELECT onemap.case_list('{"stat": "x"}')$$, 'CH013', NULL, 'no such filter');
SELECT throws_ok($$SELECT onemap.case_list('{"state": "x"}')$$, 'CH013', NULL, 'no such state to list');
SELECT throws_ok($$SELECT onemap.case_list('{"department": "x"}')$$, 'CH016', NULL, 'no such department to list');
SELECT throws_ok($$SELECT onemap.case_list('{"since": "2026-02-01", "until": "2026-01-01"}')$$, 'CH013', NULL, 'an end before its beginning');
SELECT throws_ok(format('SELECT onemap.case_list(%L)', jsonb_build_object(f.key, f.value)), f.state, NULL, 'a filter that names no ' || f.key || ' there is')
FROM (VALUES ('source', 'gossip', 'CH013'), ('subsystem', 'streetlights', 'CH013'), ('category', '29999', 'CH013'), ('grid_cell', '410221001001999', 'CH013'),
    ('street', '410221', 'CH013'), ('device', '999999', 'CH013')) AS f (key, value, state);
SELECT lives_ok($$SELECT onemap.case_list('{"source": "hotline", "subsystem": "gas", "category": "20103", "street": "410221001"}')$$, 'known ones find nothing');
SELECT throws_ok($$SELECT onemap.case_show('x')$$, 'CH017', NULL, 'no such case to show');
SELECT is(jsonb_array_length(onemap.case_show(test.of('closed'))->'journal'), (SELECT r.event_count FROM onemap.case_record r WHERE r.code = test.of('closed')), 'a case with its journal');

-- ---- privileges: functions alone, and `at` and `system` not for everybody ----
CREATE FUNCTION test.request(action text, role text, fields text DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
    SELECT format('SELECT onemap.case_do(%L)', jsonb_build_object('case', test.of('handling'), 'action', action, 'role', role, 'actor', 'x', 'unit', 'chengguan', 'version',
        (SELECT r.version FROM onemap.case_record r WHERE r.code = test.of('handling'))) || fields::jsonb)
$$;
SELECT is(test.as_login(x.login, test.request('attach', x.role, x.fields)), x.wanted, format('%s as %s %s', x.login, x.role, x.fields)) FROM (VALUES
    ('test_api', 'department', '{}', ''), ('test_hub', 'department', '{}', ''), ('test_history', 'department', '{}', ''), ('test_read', 'department', '{}', '42501'),
    ('test_api', 'system', '{}', 'CH019'), ('test_hub', 'system', '{}', ''), ('test_history', 'system', '{}', ''),
    ('test_api', 'department', '{"at": "2099-01-01T00:00:00Z"}', 'CH019'), ('test_hub', 'department', '{"at": "2099-01-01T00:00:00Z"}', 'CH019'),
    ('test_history', 'department', '{"at": "2099-01-01T00:00:00Z"}', 'CH014')) AS x (login, role, fields, wanted);
SELECT is(test.as_login('test_history', test.request('attach', 'department', jsonb_build_object('at', now() + interval '1 second' - interval '1 second')::text)), 'CH014', 'even history does not go backward');
CREATE TEMP TABLE change (kind text, statement text);
INSERT INTO change SELECT k.kind, format(k.statement, t.name, t.plain) FROM (VALUES ('onemap.case_event', 'actor'), ('onemap.case_seal', 'events'), ('onemap.case_record', 'title'), ('onemap.case_attachment', 'uri')) AS t (name, plain),
    (VALUES ('update', 'UPDATE %1$s SET %2$I = %2$I'), ('delete', 'DELETE FROM %s'), ('truncate', 'TRUNCATE %s'), ('truncate cascade', 'TRUNCATE %s CASCADE'),
        ('disable', 'ALTER TABLE %s DISABLE TRIGGER ALL'), ('insert', 'INSERT INTO %1$s OVERRIDING SYSTEM VALUE SELECT * FROM %1$s LIMIT 1'), ('drop', 'DROP TABLE %s CASCADE'),
        ('rule', 'CREATE RULE r AS ON INSERT TO %s DO INSTEAD NOTHING')) AS k (kind, statement);
SELECT is(test.as_login(l.login, c.statement), '42501', format('%s: %s', l.login, c.statement))
FROM change c, (VALUES ('test_api'), ('test_hub'), ('test_read'), ('test_history')) AS l (login) ORDER BY l.login, c.statement;
SELECT is(test.as_login('postgres', 'UPDATE onemap.case_event SET actor = ''x'''), '42501', 'nor does the owner by accident');
SELECT is(test.as_login('postgres', 'TRUNCATE onemap.case_event CASCADE'), '42501', 'nor empty it');
SELECT is(test.as_login('postgres', 'SET LOCAL session_replication_role = replica; DELETE FROM onemap.case_event'), '42501', 'nor as a replica');
SELECT is(test.as_login(l.login, format('SELECT onemap.%s', f.call)), '42501', l.login || ' cannot call ' || f.call)
FROM (VALUES ('test_api'), ('test_read'), ('test_history')) AS l (login), (VALUES ('case_write(NULL, NULL, '''', '''', '''', now(), ''{}'', ''{}'')'), ('case_event_add(NULL)'),
    ('case_open(NULL, '''', '''', ''{}'', ''{}'')'), ('case_seal_put(1)'), ('case_retime(''x'')')) AS f (call);
SELECT is(test.as_login('test_read', 'SELECT * FROM onemap.case_contact'), '42501', 'contacts are not for readers');
SELECT is(test.as_login('test_api', 'SELECT onemap.case_list(), onemap.case_transitions()'), '', 'the API reads by functions');
SELECT is_empty('SELECT * FROM onemap.case_chain_check()', 'and the journal is whole');
SELECT * FROM finish();
ROLLBACK;
