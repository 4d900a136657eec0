-- The ground: seed data, who may do what, journals that nobody changes.
BEGIN;
SELECT plan(35);

SELECT is((SELECT array_agg(key ORDER BY key) FROM onemap.subsystem),
    (SELECT array_agg(DISTINCT subsystem ORDER BY subsystem) FROM onemap.metric), 'every subsystem has an adapter');
SELECT is(onemap.setting('time_zone'), 'Asia/Shanghai', 'the county''s time zone');
SELECT is(onemap.setting('nonsense'), NULL, 'a setting that is not there is NULL');
SELECT is((SELECT count(*)::int FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_proc p ON p.pronamespace = n.oid
           WHERE n.nspname = 'onemap' AND pg_catalog.obj_description(p.oid, 'pg_proc') IS NULL), 0, 'every function has a comment');
SELECT is((SELECT string_agg(p.proname, ', ') FROM pg_catalog.pg_proc p
           WHERE p.pronamespace = 'onemap'::regnamespace AND p.prosecdef
             AND NOT coalesce(p.proconfig, '{}') @> '{"search_path=pg_catalog, pg_temp"}'),
    NULL, 'every SECURITY DEFINER function has its search_path pinned');
SELECT is((SELECT string_agg(p.proname, ', ') FROM pg_catalog.pg_proc p
           WHERE p.pronamespace = 'onemap'::regnamespace AND has_function_privilege('public', p.oid, 'EXECUTE')),
    NULL, 'PUBLIC may execute no function of onemap');
SELECT is((SELECT string_agg(c.relname, ', ') FROM pg_catalog.pg_class c
           WHERE c.relnamespace = 'onemap'::regnamespace AND c.relkind IN ('r', 'p') AND c.relispartition = false
             AND pg_catalog.obj_description(c.oid, 'pg_class') IS NULL), NULL, 'every table has a comment');

-- No table is open to a role that must not write it.
SELECT is((SELECT string_agg(DISTINCT c.relname || ' ' || w.way, ', ') FROM pg_catalog.pg_class c,
               unnest('{INSERT,UPDATE,DELETE,TRUNCATE}'::text[]) w(way)
           WHERE c.relnamespace = 'onemap'::regnamespace AND c.relkind IN ('r', 'p', 'v')
             AND has_table_privilege('cityhub_api', c.oid, w.way)), NULL, 'cityhub_api may write no table at all');
SELECT is((SELECT string_agg(DISTINCT c.relname || ' ' || w.way, ', ') FROM pg_catalog.pg_class c,
               unnest('{INSERT,UPDATE,DELETE,TRUNCATE}'::text[]) w(way)
           WHERE c.relnamespace = 'onemap'::regnamespace AND c.relkind IN ('r', 'p', 'v')
             AND has_table_privilege('cityhub_read', c.oid, w.way)), NULL, 'cityhub_read may write no table at all');
SELECT is((SELECT string_agg(c.relname || ' ' || w.way, ', ') FROM pg_catalog.pg_class c,
               unnest('{UPDATE,DELETE,TRUNCATE}'::text[]) w(way)
           WHERE c.oid IN ('onemap.audit_log'::regclass, 'onemap.quarantine'::regclass, 'onemap.observation_revision'::regclass,
                           'onemap.outbox'::regclass, 'onemap.vendor'::regclass, 'onemap.device'::regclass, 'onemap.alarm'::regclass)
             AND has_table_privilege('cityhub_hub', c.oid, w.way)), NULL, 'the hub may change none of the tables that functions keep');
SELECT ok(has_table_privilege('cityhub_hub', 'onemap.observation_raw', 'INSERT'), 'the hub may insert observations');
SELECT ok(NOT has_table_privilege('cityhub_hub', 'onemap.observation_raw', 'DELETE'), 'the hub may not delete observations');
SELECT ok(has_column_privilege('cityhub_hub', 'onemap.observation_raw', 'readings', 'UPDATE'), 'it may merge readings');
SELECT ok(NOT has_column_privilege('cityhub_hub', 'onemap.observation_raw', 'device_id', 'UPDATE'), 'it may not move a record to another device');
SELECT ok(has_table_privilege('cityhub_read', 'onemap.observation', 'SELECT'), 'cityhub_read reads observations');
SELECT ok(has_table_privilege('cityhub_read', 'onemap.dust', 'SELECT'), 'cityhub_read reads the named views');
SELECT ok(NOT has_table_privilege('cityhub_read', 'onemap.vendor_credential', 'SELECT'), 'cityhub_read does not see password hashes');
SELECT ok(NOT has_table_privilege('cityhub_api', 'onemap.vendor_credential', 'SELECT'), 'cityhub_api does not see password hashes');
SELECT ok(NOT has_function_privilege('cityhub_api', 'onemap.vendor_logins()', 'EXECUTE'), 'nor through the function for the broker''s file');
SELECT ok(NOT has_function_privilege('cityhub_read', 'onemap.vendor_put(text,text,jsonb)', 'EXECUTE'), 'cityhub_read adds no vendors');
SELECT ok(has_function_privilege('cityhub_api', 'onemap.vendor_put(text,text,jsonb)', 'EXECUTE'), 'cityhub_api does, by the function');
SELECT ok(NOT has_function_privilege('cityhub_hub', 'onemap.catalogue_sync(jsonb)', 'EXECUTE'), 'the running hub cannot change the catalogue');

-- The audit log.
SELECT lives_ok($$SELECT onemap.audit('test', '{"a": 1}')$$, 'a line for the audit log');
SELECT is((SELECT action || ' by ' || actor FROM onemap.audit_log ORDER BY id DESC LIMIT 1), 'test by ' || session_user, 'it names who did it');
SELECT throws_ok($$UPDATE onemap.audit_log SET action = 'x'$$, '42501', 'UPDATE on onemap.audit_log refused: the table is append-only', 'no change of it');
SELECT throws_ok($$DELETE FROM onemap.audit_log$$, '42501', 'DELETE on onemap.audit_log refused: the table is append-only', 'no deletion');
SELECT throws_ok($$TRUNCATE onemap.audit_log$$, '42501', 'TRUNCATE on onemap.audit_log refused: what it holds is not emptied', 'no truncation');
SET LOCAL ROLE cityhub_api;
SELECT throws_ok($$INSERT INTO onemap.audit_log (actor, action) VALUES ('somebody', 'x')$$, '42501', NULL, 'nobody writes it by hand under another name');
SELECT throws_ok($$INSERT INTO onemap.vendor (subsystem, vendor) VALUES ('dust', 'direct')$$, '42501', NULL, 'the API writes no table');
SELECT lives_ok($$SELECT onemap.vendor_put('dust', 'by_function', '{}')$$, 'the API writes through functions');
RESET ROLE;
SELECT is((SELECT actor FROM onemap.audit_log WHERE action = 'vendor_put' ORDER BY id DESC LIMIT 1), session_user::text, 'the audit log has the login, not the owner of the function');
SET LOCAL ROLE cityhub_read;
SELECT throws_ok($$SELECT onemap.audit('x', '{}')$$, '42501', NULL, 'cityhub_read writes no audit lines');
RESET ROLE;

-- Constraints in the tables.
SELECT throws_ok($$INSERT INTO onemap.department (code, name_zh, kind) VALUES ('a b', 'x', 'street')$$, '23514', NULL, 'a code of a department has no blanks');
SELECT throws_ok($$INSERT INTO onemap.grid_cell (code, geom) VALUES ('41038200100100', 'SRID=4326;MULTIPOLYGON(((0 0,1 0,1 1,0 0)))')$$,
    '23514', NULL, 'a grid cell''s code has 15 digits');
SELECT throws_ok($$INSERT INTO onemap.zone (kind, code, name_zh, valid_from, valid_to, geom)
    VALUES ('disposal_yard', 'a', 'x', '2026-02-01', '2026-01-01', 'SRID=4326;MULTIPOLYGON(((0 0,1 0,1 1,0 0)))')$$,
    '23514', NULL, 'a zone''s term ends after it begins');
SELECT * FROM finish();
ROLLBACK;
